//! The conformance test of transports.

use wamp_transport::socket::AnyStream;
use wamp_transport::testing::conformance;
use wamp_transport_ws::{Config, Role, WebSocket, accept, connect};

#[tokio::test]
async fn websocket_conforms() {
    conformance(async |wanted| {
        let ((ours, theirs), config) = (wanted.streams(), Config::default());
        let offers = [wanted.serializer];
        tokio::try_join!(connect(ours, "ws://localhost/", &offers, &config), accept(theirs, &[], &config))
            .unwrap()
    })
    .await;
}

/// As an HTTP server hands it over, over a stream of its own kind.
#[tokio::test]
async fn an_upgraded_stream_conforms() {
    conformance(async |wanted| {
        let ((ours, theirs), config) = (wanted.streams(), Config::default());
        (
            WebSocket::upgraded(AnyStream(ours), Role::Client, wanted.serializer, &config),
            WebSocket::upgraded(AnyStream(theirs), Role::Server, wanted.serializer, &config),
        )
    })
    .await;
}
