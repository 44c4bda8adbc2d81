//! New connections: accepted one after another, each admitted, refused or closed, and served in a task of its own.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wamp_transport::socket::{Listener, Peer, Socket};

use crate::connections::{Admission, Permit};
use crate::greet::{self, Begins, Greeted, Handshake, Opened, REFUSAL};
use crate::link;
use crate::listen::{Address, is_public};
use crate::listeners::Listening;
use crate::router::RouterState;
use crate::settings::Settings;

/// The reason for a connection beyond the limit.
const TOO_MANY: &str = "the limit of connections is reached (`limits.connections`)";

/// The time to wait when there is no file descriptor left to accept a connection with.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// Serves the connections of a listener until it is closed or the router shuts down, in a separate task. Both wait for
/// it, so that the address is free afterwards.
pub(crate) fn spawn(
    state: &Arc<RouterState>,
    listener: impl Listener,
    asked: Option<String>,
    address: Option<Address>,
) {
    let (own, stop) = (state.clone(), state.closing.child_token());
    let tcp = listener.tcp_address().ok().flatten();
    let is_public = tcp.as_ref().is_some_and(is_public);
    let task = TaskTracker::new();
    let listening = Listening { asked, address, tcp, stop: stop.clone(), task: task.clone() };
    state.tasks.spawn(task.track_future(async move { accept_all(&own, listener, is_public, &stop).await }));
    state.listeners.add(listening);
}

async fn accept_all(
    state: &Arc<RouterState>,
    mut listener: impl Listener,
    is_public: bool,
    stop: &CancellationToken,
) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((socket, peer)) => admit(state, socket, (peer, is_public)).await,
            Err(error) => not_accepted(state, &error).await,
        }
    }
}

async fn not_accepted(state: &RouterState, error: &io::Error) {
    state.refusals.not_accepted(error);
    tokio::time::sleep(OUT_OF_FILES).await;
}

/// Waits until there is a place for a newcomer from this peer; then serves the connection, refuses or closes it. Other
/// machines may reach its listener.
pub(crate) async fn admit<S: Socket>(state: &Arc<RouterState>, socket: S, (peer, is_public): (Peer, bool)) {
    state.connections.place_for(peer.ip()).await;
    match state.connections.admit() {
        Admission::Serve(permit) => serve(state, socket, (peer, is_public), permit),
        Admission::Refuse(permit) => {
            state.refusals.handshake(&peer, TOO_MANY);
            refuse(state, socket, permit);
        }
        Admission::Close => state.refusals.handshake(&peer, TOO_MANY),
    }
}

/// Refuses a connection in a separate, short task.
fn refuse<S: Socket>(state: &Arc<RouterState>, socket: S, permit: Permit) {
    let has_tls = state.settings().has_tls();
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
fn serve<S: Socket>(state: &Arc<RouterState>, socket: S, (peer, is_public): (Peer, bool), permit: Permit) {
    let since = Instant::now();
    let handshake = Handshake::new(state, (peer.clone(), is_public), permit, since);
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
    #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "TLS may be required of some peers"))]
    peer: Peer,
    since: Instant,
) -> Option<Link> {
    let settings = handshake.settings().clone();
    let opened = greet::open(socket, handshake, Begins::Connection).await.ok()?;
    #[cfg(feature = "tls")]
    let opened = match &settings.tls {
        Some(tls) if opened.is_tls() => {
            let opened = Box::pin(opened.secure(&tls.server)).await.ok()?;
            return Box::pin(link(state, settings, opened, since)).await;
        }
        Some(tls) if tls.is_required(&peer) => {
            Box::pin(opened.wants_tls()).await;
            return None;
        }
        _ => opened,
    };
    Box::pin(link(state, settings, opened, since)).await
}

/// Does the handshake of the transport and returns its link.
async fn link<S: Socket>(
    state: Arc<RouterState>,
    settings: Arc<Settings>,
    opened: Opened<S>,
    since: Instant,
) -> Option<Link> {
    let (transport, peer, admitted) = greet::greet(opened).await.ok()?;
    let admission = Some(admitted);
    Some(match transport {
        Greeted::RawSocket(transport) => {
            Box::pin(link::serve(state, settings, transport, peer, since, admission))
        }
        Greeted::WebSocket(transport) => {
            Box::pin(link::serve(state, settings, transport, peer, since, admission))
        }
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
