//! New connections: accepted one after another, each admitted, refused or closed, and served in a task of its own.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, timeout};
use wamp_transport::socket::{Listener, Peer, Socket};

use crate::connections::{Admission, Place};
use crate::greet::{self, Greeted, Handshake, REFUSAL};
use crate::link;
use crate::router::Shared;

/// How long to wait when there is nothing left to accept a connection with.
const OUT_OF_FILES: Duration = Duration::from_millis(100);

/// Serves what comes to a listener until the router shuts down, in a task of its own. A shutdown waits for it, so that
/// the address is free afterwards.
pub(crate) fn spawn(shared: &Arc<Shared>, listener: impl Listener) {
    let (shared, counted) = (shared.clone(), shared.count());
    tokio::spawn(async move {
        accept_all(&shared, listener).await;
        drop(counted);
    });
}

async fn accept_all(shared: &Arc<Shared>, mut listener: impl Listener) {
    let mut closing = shared.closing.subscribe();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        match accepted {
            Ok((socket, peer)) => admit(shared, socket, peer).await,
            Err(error) => not_accepted(&error).await,
        }
    }
}

async fn not_accepted(error: &io::Error) {
    tracing::warn!(%error, "a connection could not be accepted");
    tokio::time::sleep(OUT_OF_FILES).await;
}

/// Waits until there is a place for a newcomer from this peer; then serves the connection, refuses or closes it.
pub(crate) async fn admit<S: Socket>(shared: &Arc<Shared>, socket: S, peer: Peer) {
    shared.connections.place_for(peer.ip()).await;
    match shared.connections.admit() {
        Admission::Serve(place) => serve(shared, socket, peer, place),
        Admission::Refuse(place) => refuse(shared, socket, place),
        Admission::Close => {}
    }
}

/// Refuses a connection in a task of its own, which takes little time.
fn refuse<S: Socket>(shared: &Arc<Shared>, socket: S, place: Place) {
    let counted = shared.count();
    tokio::spawn(async move {
        if timeout(REFUSAL, greet::refuse(socket)).await.is_err() {
            tracing::debug!("refused a connection that sent no handshake");
        }
        drop((place, counted));
    });
}

/// Serves a connection in a task of its own: first the transport's handshake.
fn serve<S: Socket>(shared: &Arc<Shared>, socket: S, peer: Peer, place: Place) {
    let since = Instant::now();
    let handshake = Handshake::new(shared, peer.clone(), place, since);
    // Each of them in a box, or the task would be as large as all of them.
    let greeting = Box::pin(greet::greet(socket, handshake));
    let (shared, counted) = (shared.clone(), shared.count());
    tokio::spawn(async move {
        match greeting.await {
            Ok((Greeted::RawSocket(transport), place, newcomer)) => {
                Box::pin(link::serve(shared, transport, peer, since, Some((place, newcomer)))).await;
            }
            Ok((Greeted::WebSocket(transport), place, newcomer)) => {
                Box::pin(link::serve(shared, transport, peer, since, Some((place, newcomer)))).await;
            }
            // The log has it already.
            Err(_) => {}
        }
        drop(counted);
    });
}
