use std::time::Duration;

use serde_json::json;
use wamp_client::{Client, ConnectErrorKind, Serializer, connect};
use wamp_transport::memory;

use crate::peer::Peer;

#[tokio::test]
async fn a_refused_realm_says_which_and_why() {
    let (ours, theirs) = memory::pair(Serializer::Json);
    let mut peer = Peer::new(theirs);
    let router = async {
        assert_eq!(peer.next().await[1], "nowhere");
        peer.send(json!([3, {"message": "no realm \"nowhere\""}, "wamp.error.no_such_realm"])).await;
        peer.expect(json!(null)).await;
    };
    let (session, ()) = tokio::join!(async { Client::over(ours).realm("nowhere").await }, router);
    let error = session.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Refused);
    assert_eq!(error.uri().unwrap(), &"wamp.error.no_such_realm");
    assert_eq!(
        format!("Error: {}: {error}", error.kind()),
        "Error: refused: the router aborted the session with wamp.error.no_such_realm: no realm \"nowhere\""
    );
}

#[tokio::test(start_paused = true)]
async fn a_router_that_does_not_answer_hello_is_given_up() {
    let (ours, _theirs) = memory::pair(Serializer::Json);
    let error = Client::over(ours).connect_timeout(Duration::from_secs(3)).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Timeout);
}

#[tokio::test]
async fn a_timeout_beyond_the_range_of_the_clock_is_none() {
    let (ours, theirs) = memory::pair(Serializer::Json);
    let mut peer = Peer::new(theirs);
    let router = async {
        peer.next().await;
        peer.send(json!([3, {}, "wamp.error.no_such_realm"])).await;
        peer.expect(json!(null)).await;
    };
    let connecting = async { Client::over(ours).connect_timeout(Duration::MAX).await };
    let (session, ()) = tokio::join!(connecting, router);
    assert_eq!(session.unwrap_err().kind(), ConnectErrorKind::Refused);
}

#[tokio::test]
async fn a_connection_that_is_lost_before_welcome() {
    let (ours, theirs) = memory::pair(Serializer::Json);
    drop(theirs);
    let error = Client::over(ours).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Lost);
}

#[tokio::test]
async fn a_router_that_speaks_nonsense_is_told_so() {
    let (ours, theirs) = memory::pair(Serializer::Json);
    let mut peer = Peer::new(theirs);
    let router = async {
        peer.next().await;
        peer.send(json!([50, 1, {}])).await;
        assert_eq!(peer.next().await[2], "wamp.error.protocol_violation");
    };
    let (session, ()) = tokio::join!(async { Client::over(ours).await }, router);
    assert_eq!(session.unwrap_err().kind(), ConnectErrorKind::Protocol);
}

#[tokio::test]
async fn a_connect_that_is_dropped_ends_the_connection() {
    let (ours, theirs) = memory::pair(Serializer::Json);
    let mut peer = Peer::new(theirs);
    let connecting = tokio::spawn(Client::over(ours).into_future());
    peer.next().await;
    connecting.abort();
    assert!(connecting.await.is_err());
    peer.expect(json!(null)).await;
}

#[tokio::test]
async fn urls_that_lead_nowhere_are_named() {
    let with_tls = if cfg!(feature = "tls") { ConnectErrorKind::Connect } else { ConnectErrorKind::Tls };
    let table = [
        ("localhost:8080", ConnectErrorKind::Url),
        ("http://localhost", ConnectErrorKind::Url),
        ("ws://", ConnectErrorKind::Url),
        ("rs://localhost", ConnectErrorKind::Url),
        ("rs://:1", ConnectErrorKind::Url),
        ("rs+unix://relative", ConnectErrorKind::Url),
        ("wss://localhost:1/ws", with_tls),
        ("rss://localhost:1", with_tls),
        ("rs+unix:///nowhere/at/all", ConnectErrorKind::Connect),
    ];
    for (url, kind) in table {
        let error = connect(url).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().starts_with(&format!("{url}: ")), "{error}");
    }
}

/// A port of this machine that answers each connection with these bytes, or not at all.
async fn server(answer: Option<&'static [u8]>) -> u16 {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let Some(answer) = answer else { return port };
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = [0; 4];
        stream.read_exact(&mut asked).await.unwrap();
        stream.write_all(answer).await.unwrap();
        // Until the client disconnects.
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    port
}

#[tokio::test]
async fn errors_over_sockets_have_a_kind() {
    use ConnectErrorKind as K;
    let teapot: &[u8] = b"HTTP/1.1 418 I'm a teapot\r\ncontent-length: 0\r\n\r\n";
    let alert: &[u8] = &[0x15, 3, 1, 0, 2, 2, 70];
    let table = [
        ("ws", None, K::Connect),
        ("rs", None, K::Connect),
        ("ws", Some(teapot), K::Handshake),
        ("rs", Some(teapot), K::Handshake),
        ("ws", Some(alert), K::Tls),
        ("rs", Some(alert), K::Tls),
        ("rs", Some(&[0x7F, 0x10, 0, 0][..]), K::Subprotocol),
        ("rs", Some(&[0x7F, 0x40, 0, 0][..]), K::Handshake),
    ];
    for (scheme, answer, kind) in table {
        let port = server(answer).await;
        let url = format!("{scheme}://127.0.0.1:{port}");
        let error = connect(&url).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().starts_with(&url), "{error}");
    }
}

#[tokio::test]
async fn a_hello_that_does_not_fit_is_not_sent() {
    // MessagePack, and at most 512 bytes.
    let port = server(Some(&[0x7F, 0x02, 0, 0])).await;
    let error = connect(format!("rs://127.0.0.1:{port}")).authid("x".repeat(600)).await.unwrap_err();
    assert_eq!(error.kind(), ConnectErrorKind::Handshake);
    let text = error.to_string();
    assert!(text.contains("HELLO has ") && text.contains("the 512 bytes that the router takes"), "{text}");
}
