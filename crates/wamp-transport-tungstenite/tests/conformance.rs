//! The conformance test of transports: over both ends of this transport, and against the other one for WebSocket. The
//! streams are past their handshake, which `tungstenite` does not do with a peer that sends single bytes.

use tokio::io::DuplexStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;
use wamp_proto::Serializer;
use wamp_transport::testing::conformance;
use wamp_transport_tungstenite::Tungstenite;
use wamp_transport_ws::WebSocket;

async fn end(stream: DuplexStream, role: Role, serializer: Serializer) -> Tungstenite<DuplexStream> {
    Tungstenite::new(WebSocketStream::from_raw_socket(stream, role, None).await, serializer)
}

#[tokio::test]
async fn a_stream_of_tokio_tungstenite_conforms() {
    conformance(async |wanted| {
        let (ours, theirs) = wanted.streams();
        let client = end(ours, Role::Client, wanted.serializer).await;
        (client, end(theirs, Role::Server, wanted.serializer).await)
    })
    .await;
}

#[tokio::test]
async fn the_two_websocket_transports_conform_together() {
    conformance(async |wanted| {
        let ((ours, theirs), config) = (wanted.streams(), wamp_transport_ws::Config::default());
        let client = end(ours, Role::Client, wanted.serializer).await;
        let role = wamp_transport_ws::Role::Server;
        (client, WebSocket::upgraded(theirs, role, wanted.serializer, &config))
    })
    .await;
}
