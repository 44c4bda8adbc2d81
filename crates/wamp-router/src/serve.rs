//! New connections: accepted one after another, each admitted, refused or closed, and served in a task of its own.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use wamp_transport::socket::{Listener, Peer, Socket};

use crate::connections::{Admission, Permit};
use crate::greet::{self, Greeted, Handshake, Opened, REFUSAL};
use crate::link;
use crate::router::RouterState;

/// The time to wait when there is no file descriptor left to accept a connection with.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// Serves the connections of a listener until the router shuts down, in a separate task. A shutdown waits for
/// it, so that the address is free afterwards.
pub(crate) fn spawn(state: &Arc<RouterState>, listener: impl Listener) {
    let own = state.clone();
    state.tasks.spawn(async move { accept_all(&own, listener).await });
}

async fn accept_all(state: &Arc<RouterState>, mut listener: impl Listener) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = state.closing.cancelled() => return,
        };
        match accepted {
            Ok((socket, peer)) => admit(state, socket, peer).await,
            Err(error) => not_accepted(&error).await,
        }
    }
}

async fn not_accepted(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(OUT_OF_FILES).await;
}

/// Waits until there is a place for a newcomer from this peer; then serves the connection, refuses or closes it.
pub(crate) async fn admit<S: Socket>(state: &Arc<RouterState>, socket: S, peer: Peer) {
    state.connections.place_for(peer.ip()).await;
    match state.connections.admit() {
        Admission::Serve(permit) => serve(state, socket, peer, permit),
        Admission::Refuse(permit) => refuse(state, socket, permit),
        Admission::Close => {}
    }
}

/// Refuses a connection in a separate, short task.
fn refuse<S: Socket>(state: &Arc<RouterState>, socket: S, permit: Permit) {
    let has_tls = state.has_tls();
    state.tasks.spawn(async move {
        if timeout(REFUSAL, greet::refuse(socket, has_tls)).await.is_err() {
            tracing::debug!("refused a connection that sent no handshake");
        }
        drop(permit);
    });
}

/// The future of a link, from its first message to its end.
type Link = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Serves a connection in a separate task, beginning with the transport's handshake.
fn serve<S: Socket>(state: &Arc<RouterState>, socket: S, peer: Peer, permit: Permit) {
    let since = Instant::now();
    let handshake = Handshake::new(state, peer.clone(), permit, since);
    // Boxed, so that the task is as small as its link.
    let opening = Box::pin(open(state.clone(), socket, handshake, peer, since));
    state.tasks.spawn(run(opening));
}

/// Runs a connection: its handshakes, then its link.
async fn run(opening: impl Future<Output = Option<Link>> + Unpin) {
    if let Some(link) = opening.await {
        link.await;
    }
}

/// Does the handshakes of a connection. Returns `None` if it has no link; the log has the reason.
async fn open<S: Socket>(
    state: Arc<RouterState>,
    socket: S,
    handshake: Handshake,
    peer: Peer,
    since: Instant,
) -> Option<Link> {
    let opened = greet::open(socket, handshake).await.ok()?;
    #[cfg(feature = "tls")]
    let opened = match &state.tls {
        Some(tls) if opened.is_tls() => {
            let opened = Box::pin(opened.secure(&tls.server)).await.ok()?;
            return Box::pin(link(state, opened, peer, since)).await;
        }
        Some(tls) if tls.is_required(&peer) => {
            Box::pin(opened.wants_tls()).await;
            return None;
        }
        _ => opened,
    };
    Box::pin(link(state, opened, peer, since)).await
}

/// Does the handshake of the transport and returns its link.
async fn link<S: Socket>(
    state: Arc<RouterState>,
    opened: Opened<S>,
    peer: Peer,
    since: Instant,
) -> Option<Link> {
    let (transport, permit, newcomer) = greet::greet(opened).await.ok()?;
    let admission = Some((permit, newcomer));
    Some(match transport {
        Greeted::RawSocket(transport) => Box::pin(link::serve(state, transport, peer, since, admission)),
        Greeted::WebSocket(transport) => Box::pin(link::serve(state, transport, peer, since, admission)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The state of the handshakes does not stay with a session.
    #[tokio::test]
    async fn the_task_of_a_connection_is_small() {
        let task = size_of_val(&run(Box::pin(async { None })));
        assert!(task <= 64, "{task} bytes");
    }
}
