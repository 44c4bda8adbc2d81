//! New connections: accepted one after another, each admitted, refused or closed, and served in a task of its own.

use std::io;
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
    state.tasks.spawn(async move {
        if timeout(REFUSAL, greet::refuse(socket)).await.is_err() {
            tracing::debug!("refused a connection that sent no handshake");
        }
        drop(permit);
    });
}

/// Serves a connection in a separate task, beginning with the transport's handshake.
fn serve<S: Socket>(state: &Arc<RouterState>, socket: S, peer: Peer, permit: Permit) {
    let since = Instant::now();
    let handshake = Handshake::new(state, peer.clone(), permit, since);
    // Each future is boxed; otherwise the task would be as large as all of them.
    let opening = Box::pin(greet::open(socket, handshake));
    let own = state.clone();
    state.tasks.spawn(async move {
        // The log has the reason where there is no connection.
        let Ok(opened) = opening.await else { return };
        #[cfg(feature = "tls")]
        let opened = match &own.tls {
            Some(tls) if opened.is_tls() => {
                let Ok(opened) = Box::pin(opened.secure(&tls.server)).await else { return };
                return converse(own, opened, peer, since).await;
            }
            Some(tls) if tls.is_required(&peer) => {
                Box::pin(opened.wants_tls()).await;
                return;
            }
            _ => opened,
        };
        converse(own, opened, peer, since).await;
    });
}

/// Does the handshake of the transport, and serves the link until its end.
async fn converse<S: Socket>(state: Arc<RouterState>, opened: Opened<S>, peer: Peer, since: Instant) {
    match Box::pin(greet::greet(opened)).await {
        Ok((Greeted::RawSocket(transport), permit, newcomer)) => {
            Box::pin(link::serve(state, transport, peer, since, Some((permit, newcomer)))).await;
        }
        Ok((Greeted::WebSocket(transport), permit, newcomer)) => {
            Box::pin(link::serve(state, transport, peer, since, Some((permit, newcomer)))).await;
        }
        // The log has it already.
        Err(_) => {}
    }
}
