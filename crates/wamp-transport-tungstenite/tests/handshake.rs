//! Handshakes that fail.

use wamp_proto::Serializer;
use wamp_transport_tungstenite::{HandshakeError, WebSocketConfig, accept, connect};

#[tokio::test]
async fn ends_without_a_common_serializer_part_with_an_explanation() {
    let (ours, theirs) = tokio::io::duplex(4096);
    let config = WebSocketConfig::default();
    let (client, server) = tokio::join!(
        connect(ours, "ws://localhost/", &[Serializer::Cbor], config),
        accept(theirs, &[Serializer::Json, Serializer::MsgPack], config)
    );
    let client = client.unwrap_err().to_string();
    assert_eq!(client, "the WebSocket handshake failed: HTTP error: 400 Bad Request");
    assert!(server.is_err());
}

#[tokio::test]
async fn a_server_that_chooses_nothing_is_no_wamp_router() {
    let (ours, theirs) = tokio::io::duplex(4096);
    let plain = async { tokio_tungstenite::accept_async(theirs).await };
    let offers = [Serializer::Cbor, Serializer::Json];
    let (client, _server) =
        tokio::join!(connect(ours, "ws://localhost/", &offers, WebSocketConfig::default()), plain);
    let error = client.unwrap_err();
    assert!(matches!(error, HandshakeError::Subprotocol { answered: None, .. }), "{error}");
    assert_eq!(error.to_string(), "the peer chose no subprotocol; offered were wamp.2.cbor, wamp.2.json");
}
