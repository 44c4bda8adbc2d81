//! The opening handshake, from both sides.

use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use wamp_proto::Serializer;
use wamp_transport::Transport;
use wamp_transport_ws::{Config, HandshakeError, Refusal, accept, accept_unless, connect, refuse};

/// A request with these lines in addition.
fn request(lines: &str) -> String {
    format!(
        "GET /ws HTTP/1.1\r\nHost: localhost\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

fn speaks(serializers: &[Serializer]) -> Config {
    Config { serializers: serializers.to_vec(), ..Config::default() }
}

/// A server's answer to a request, and its result.
async fn answered(request: &str, config: &Config) -> (String, Result<Serializer, HandshakeError>) {
    let (mut ours, theirs) = duplex(64 * 1024);
    ours.write_all(request.as_bytes()).await.unwrap();
    // The server reads from a refused client until it closes.
    let answered = async move {
        let mut answer = String::new();
        ours.read_to_string(&mut answer).await.unwrap();
        answer
    };
    let accepted = async { accept(theirs, &[], config).await.map(|server| server.serializer()) };
    tokio::join!(answered, accepted)
}

/// A client's result for an answer; `ACCEPT` in it becomes the right digest.
async fn answer(answer: &str, offers: &[Serializer]) -> Result<Serializer, HandshakeError> {
    let (ours, mut theirs) = duplex(64 * 1024);
    let config = Config::default();
    let server = async {
        let mut request = vec![0; 4096];
        let n = theirs.read(&mut request).await.unwrap();
        let request = String::from_utf8(request[..n].to_vec()).unwrap();
        let key = request.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: "));
        let digest = key.map(|key| tungstenite::handshake::derive_accept_key(key.as_bytes()));
        let answer = answer.replace("ACCEPT", &digest.unwrap_or_default());
        theirs.write_all(answer.as_bytes()).await.unwrap();
        drop(theirs);
        request
    };
    let (client, request) = tokio::join!(connect(ours, "ws://localhost/ws", offers, &config), server);
    assert!(request.starts_with("GET /ws HTTP/1.1\r\n"), "{request}");
    client.map(|client| client.serializer())
}

const YES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                   Sec-WebSocket-Accept: ACCEPT\r\n";

/// Behaviour 53.
#[tokio::test]
async fn a_server_picks_the_first_offer_that_it_speaks() {
    let no_json = speaks(&[Serializer::MsgPack, Serializer::Cbor]);
    for (offers, config, picked) in [
        ("Sec-WebSocket-Protocol: wamp.2.cbor,wamp.2.json\r\n", Config::default(), Serializer::Cbor),
        ("Sec-WebSocket-Protocol: wamp.2.json, wamp.2.cbor\r\n", Config::default(), Serializer::Json),
        ("Sec-WebSocket-Protocol: wamp.2.json, wamp.2.cbor\r\n", no_json, Serializer::Cbor),
        (
            "Sec-WebSocket-Protocol: foo\r\nSec-WebSocket-Protocol: wamp.2.msgpack\r\n",
            Config::default(),
            Serializer::MsgPack,
        ),
    ] {
        let (answer, outcome) = answered(&request(offers), &config).await;
        assert_eq!(outcome.unwrap(), picked, "{offers}");
        assert!(answer.starts_with("HTTP/1.1 101 "), "{answer}");
        assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
        let line = format!("sec-websocket-protocol: {}\r\n", picked.subprotocol());
        assert!(answer.to_lowercase().contains(&line), "{answer}");
    }
}

/// Behaviour 53: a server does not default to anything.
#[tokio::test]
async fn a_server_refuses_a_client_whose_offers_it_does_not_speak() {
    let only_cbor = speaks(&[Serializer::Cbor]);
    for offers in ["", "Sec-WebSocket-Protocol: foo\r\n", "Sec-WebSocket-Protocol: wamp.2.json\r\n"] {
        let (answer, outcome) = answered(&request(offers), &only_cbor).await;
        assert!(matches!(outcome, Err(HandshakeError::Declined(_))));
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        let (_, text) = answer.split_once("\r\n\r\n").unwrap();
        assert_eq!(text, "none of the offered WebSocket subprotocols is supported, only wamp.2.cbor\n");
        assert!(answer.contains(&format!("Content-Length: {}\r\n", text.len())), "{answer}");
    }
}

#[tokio::test]
async fn a_server_explains_itself_to_other_http_clients() {
    let (answer, outcome) = answered("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", &Config::default()).await;
    assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
    assert!(answer.contains("this is a WAMP router"), "{answer}");
    assert!(matches!(outcome, Err(HandshakeError::Declined(_))));

    let (answer, _) = answered("POST / HTTP/1.1\r\nHost: localhost\r\n\r\n", &Config::default()).await;
    assert!(answer.starts_with("HTTP/1.1 405 Method Not Allowed\r\n"), "{answer}");
    assert!(answer.contains("\r\nAllow: GET\r\n"), "{answer}");
}

#[tokio::test]
async fn each_refusal_has_its_status_and_a_sentence() {
    let good = request("Sec-WebSocket-Protocol: wamp.2.json\r\n");
    let cookie = format!("Sec-WebSocket-Protocol: wamp.2.json\r\nCookie: {}\r\n", "a".repeat(17_000));
    for (request, status, why) in [
        (request(&cookie), "431 Request Header Fields Too Large", "the headers are longer than 16384 bytes"),
        (
            request(&"X: y\r\n".repeat(200)),
            "431 Request Header Fields Too Large",
            "there are too many headers",
        ),
        (
            good.replace("Upgrade: websocket", "Upgrade: h2c"),
            "426 Upgrade Required",
            "this is a WAMP router; connect",
        ),
        (good.replace("Version: 13", "Version: 8"), "426 Upgrade Required", "only version 13 of WebSocket"),
        (
            good.replace("Sec-WebSocket-Version: 13\r\n", ""),
            "426 Upgrade Required",
            "only version 13 of WebSocket",
        ),
        (good.replace("dGhl", ""), "400 Bad Request", "Sec-WebSocket-Key must be 16 bytes in base64"),
        (good.replace("HTTP/1.1", "HTTP/1.0"), "505 HTTP Version Not Supported", "WebSocket wants HTTP/1.1"),
        (
            "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(),
            "505 HTTP Version Not Supported",
            "WebSocket wants HTTP/1.1",
        ),
        (
            good.replace("Host: ", "Host\u{1}: "),
            "400 Bad Request",
            "the HTTP request cannot be read: invalid",
        ),
        (good.replace("GET", "PUT"), "405 Method Not Allowed", "this is a WAMP router; WebSocket begins"),
        ("\u{16}\u{3}\u{1}".into(), "400 Bad Request", "the peer does not speak HTTP: a TLS handshake came"),
        ("hello?\r\n".into(), "400 Bad Request", "the peer does not speak HTTP: 0x68 came first"),
    ] {
        let (answer, outcome) = answered(&request, &Config::default()).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request:.40}: {answer}");
        let (_, text) = answer.split_once("\r\n\r\n").unwrap();
        assert!(text.starts_with(why) && text.ends_with('\n'), "{text}");
        let Err(HandshakeError::Declined(known)) = outcome else { panic!("{outcome:?}") };
        assert_eq!(known.clone() + "\n", text, "the server's log says the same");
        assert!(!text.contains(['\u{1}', '\r']), "{text:?}");
    }
}

#[tokio::test]
async fn a_request_that_is_not_wanted_any_more_is_answered() {
    for (refusal, status) in [
        (Refusal::timeout("the request took too long"), "408 Request Timeout"),
        (Refusal::unavailable("others want to connect too"), "503 Service Unavailable"),
    ] {
        let (mut ours, theirs) = duplex(4096);
        ours.write_all(b"GET / HT").await.unwrap();
        let answered = async move {
            let mut answer = String::new();
            ours.read_to_string(&mut answer).await.unwrap();
            answer
        };
        let later = async {
            tokio::task::yield_now().await;
            refusal
        };
        let config = Config::default();
        let accepted = async {
            let mut theirs = theirs;
            accept_unless(&mut theirs, &[], &config, later).await
        };
        let (answer, outcome) = tokio::join!(answered, accepted);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
        assert!(matches!(outcome, Err(HandshakeError::Declined(_))));
    }
}

#[tokio::test]
async fn a_server_gives_up_on_garbage_at_once_and_on_endless_headers() {
    for (bytes, words) in [
        ("\x16\x03\x01", "the peer does not speak HTTP: a TLS handshake came, on a port without TLS"),
        ("\x7f\x11\0\0", "the peer does not speak HTTP: a RawSocket handshake came"),
        ("GET / HTTP/1.1\r\n", "the peer closed the connection in the handshake"),
    ] {
        let (mut ours, theirs) = duplex(4096);
        ours.write_all(bytes.as_bytes()).await.unwrap();
        ours.shutdown().await.unwrap();
        let words = format!("refused the client: {words}");
        assert_eq!(accept(theirs, &[], &Config::default()).await.unwrap_err().to_string(), words);
    }
    let endless = format!("GET / HTTP/1.1\r\n{}", "x: y\r\n".repeat(5000));
    let (_, outcome) = answered(&endless, &Config::default()).await;
    assert!(matches!(outcome, Err(HandshakeError::Declined(_))));
}

#[tokio::test]
async fn a_handshake_may_come_byte_by_byte() {
    let (ours, theirs) = duplex(1);
    let config = Config::default();
    let offers = [Serializer::Json];
    let (client, server) =
        tokio::join!(connect(ours, "ws://localhost", &offers, &config), accept(theirs, &[], &config));
    assert_eq!((client.unwrap().serializer(), server.unwrap().serializer()), (offers[0], offers[0]));
}

/// The transport's part of behaviour 52.
#[tokio::test]
async fn a_server_that_has_looked_at_the_first_byte_goes_on() {
    let (ours, mut theirs) = duplex(4096);
    let config = Config::default();
    let server = async {
        let first = [theirs.read_u8().await?];
        accept(theirs, &first, &config).await
    };
    let offers = [Serializer::Json];
    let (client, server) = tokio::join!(connect(ours, "ws://localhost/", &offers, &config), server);
    assert!(client.is_ok() && server.is_ok());
}

#[tokio::test]
async fn a_server_that_is_full_says_so() {
    let (ours, theirs) = duplex(4096);
    let config = Config::default();
    let offers = [Serializer::Json];
    let (client, refused) = tokio::join!(
        connect(ours, "ws://localhost/", &offers, &config),
        refuse(theirs, &[], "too many sessions")
    );
    refused.unwrap();
    assert_eq!(client.unwrap_err().to_string(), "the server answered with HTTP 503: too many sessions");
}

/// Behaviour 53.
#[tokio::test]
async fn a_client_accepts_only_an_offered_subprotocol() {
    let offers = [Serializer::Cbor, Serializer::Json];
    let said = |lines: &str| format!("{YES}{lines}\r\n");
    let picked = answer(&said("Sec-WebSocket-Protocol: wamp.2.json\r\n"), &offers).await;
    assert_eq!(picked.unwrap(), Serializer::Json);
    for (lines, words) in [
        ("", "the server chose no subprotocol; offered were wamp.2.cbor, wamp.2.json"),
        (
            "Sec-WebSocket-Protocol: wamp.2.msgpack\r\n",
            "the server chose wamp.2.msgpack; offered were wamp.2.cbor, wamp.2.json",
        ),
        ("Sec-WebSocket-Protocol: mqtt\r\n", "the server chose mqtt; offered were wamp.2.cbor, wamp.2.json"),
    ] {
        let refused = answer(&said(lines), &offers).await.unwrap_err();
        assert!(matches!(refused, HandshakeError::Subprotocol { .. }));
        assert_eq!(refused.to_string(), words);
    }
}

#[tokio::test]
async fn a_client_describes_the_fault_of_its_server() {
    for (said, words) in [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 20\r\n\r\nno such page\nat all\n".to_owned(),
            "the server answered with HTTP 404: no such page",
        ),
        ("HTTP/1.1 200 OK\r\n\r\n".to_owned(), "the server answered with HTTP 200"),
        (
            "\x15\x03\x01\0\x02".to_owned(),
            "the peer does not speak HTTP: a TLS alert came, the port seems to want TLS (wss)",
        ),
        (String::new(), "the peer closed the connection in the handshake"),
        ("HTTP/1.1 101 Sw".to_owned(), "the peer closed the connection in the handshake"),
        (
            format!("{}Sec-WebSocket-Protocol: wamp.2.json\r\n\r\n", YES.replace("ACCEPT", "nonsense")),
            "the server's answer breaks the WebSocket protocol: a wrong Sec-WebSocket-Accept",
        ),
        (
            format!("{YES}Sec-WebSocket-Protocol: wamp.2.json\r\nSec-WebSocket-Extensions: x\r\n\r\n"),
            "the server's answer breaks the WebSocket protocol: an extension that was not requested",
        ),
    ] {
        let refused = answer(&said, &[Serializer::Json]).await.unwrap_err();
        assert_eq!(refused.to_string(), words);
    }
    let nonsense = answer("HTTP nonsense\r\n\r\n", &[Serializer::Json]).await;
    assert!(matches!(nonsense, Err(HandshakeError::NotHttp(_))));
}
