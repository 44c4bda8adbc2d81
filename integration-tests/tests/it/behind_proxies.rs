//! Clients behind proxies, and web pages of strangers.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wamp_router::auth::Principal;
use wamp_router::{Builder, ClientAddress, Limits, Meta, Origins, Proxies, RealmConfig, Role, Router};

use crate::support::within;

/// A RawSocket client in JSON behind what has been sent already.
async fn rawsocket(stream: &mut TcpStream, message: &str) -> String {
    stream.write_all(&[0x7f, 0xf1, 0, 0]).await.unwrap();
    within(stream.read_exact(&mut [0; 4])).await.unwrap();
    send(stream, message).await;
    let mut prefix = [0; 4];
    within(stream.read_exact(&mut prefix)).await.unwrap();
    let mut answer = vec![0; u32::from_be_bytes(prefix) as usize];
    within(stream.read_exact(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn send(stream: &mut TcpStream, message: &str) {
    let frame = [&(message.len() as u32).to_be_bytes(), message.as_bytes()].concat();
    stream.write_all(&frame).await.unwrap();
}

/// The head of the answer to a WebSocket request with these headers.
async fn upgrade(stream: &mut TcpStream, headers: impl AsRef<[u8]>) -> String {
    upgrade_at("router.example:8080", stream, headers).await
}

/// The same for a request that names another host.
async fn upgrade_at(host: &str, stream: &mut TcpStream, headers: impl AsRef<[u8]>) -> String {
    let request = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: wamp.2.json\r\n";
    let host = format!("GET / HTTP/1.1\r\nHost: {host}\r\n");
    let request = [host.as_bytes(), request.as_bytes(), headers.as_ref(), b"\r\n"].concat();
    stream.write_all(&request).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.push(within(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(answer).unwrap()
}

/// A text message of a WebSocket client, masked with zeros, and the answer.
async fn websocket(stream: &mut TcpStream, message: &str) -> String {
    let length = u8::try_from(message.len()).ok().filter(|length| *length < 126);
    let mut frame = vec![0x81];
    match length {
        Some(length) => frame.push(0x80 | length),
        None => {
            frame.push(0x80 | 126);
            frame.extend((message.len() as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(message.as_bytes());
    stream.write_all(&frame).await.unwrap();
    within(stream.read_u8()).await.unwrap();
    let length = match within(stream.read_u8()).await.unwrap() {
        126 => within(stream.read_u16()).await.unwrap() as usize,
        length => length as usize,
    };
    let mut answer = vec![0; length];
    within(stream.read_exact(&mut answer)).await.unwrap();
    String::from_utf8(answer).unwrap()
}

async fn listen(builder: Builder) -> (Router, String) {
    let router = builder.build();
    let address = router.listen("127.0.0.1:0").await.unwrap().tcp().unwrap().to_string();
    (router, address)
}

fn proxies(client: ClientAddress, addresses: &[&str]) -> Proxies {
    let mut proxies = Proxies::new(client);
    addresses.iter().for_each(|address| proxies.add(address).unwrap());
    proxies
}

/// A realm whose sessions may see the addresses of others.
fn open() -> RealmConfig {
    let mut realm = RealmConfig::new("realm1");
    realm.meta = Meta::Control;
    realm
}

const HELLO: &str = r#"[1,"realm1",{"roles":{"caller":{}}}]"#;

/// The address of a session, as the meta API shows it.
fn get(welcome: &str) -> String {
    let id = welcome.strip_prefix("[2,").unwrap_or_else(|| panic!("{welcome}")).split(',').next().unwrap();
    format!(r#"[48,1,{{}},"wamp.session.get",[{id}]]"#)
}

#[tokio::test]
async fn a_trusted_proxy_tells_the_address_of_its_client_by_a_header() {
    let table = [
        (
            ClientAddress::XForwardedFor,
            "127.0.0.0/8",
            "X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\n",
            "192.0.2.1",
        ),
        // Another trusted proxy stands between.
        (ClientAddress::XForwardedFor, "0.0.0.0/0", "X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\n", "192.0.2.9"),
        (ClientAddress::Forwarded, "127.0.0.1", "Forwarded: for=\"[2001:db8::1]:4711\"\r\n", "[2001:db8::1]"),
        // The other header is that of the client, which is not believed.
        (ClientAddress::Forwarded, "127.0.0.1", "X-Forwarded-For: 192.0.2.1\r\n", "127.0.0.1"),
        (ClientAddress::XForwardedFor, "10.0.0.0/8", "X-Forwarded-For: 192.0.2.1\r\n", "127.0.0.1"),
    ];
    for (client, trusted, header, expected) in table {
        let builder = Router::builder().realm_with(open()).proxies(proxies(client, &[trusted]));
        let (_router, address) = listen(builder).await;
        let mut stream = TcpStream::connect(&address).await.unwrap();
        assert!(upgrade(&mut stream, header).await.starts_with("HTTP/1.1 101 "));
        let welcome = websocket(&mut stream, HELLO).await;
        let details = websocket(&mut stream, &get(&welcome)).await;
        assert!(details.contains(&format!("\"{expected}:")), "{header}: {details}");
    }
}

#[tokio::test]
async fn a_client_cannot_hide_its_address_behind_a_trusted_proxy() {
    let proxies = || proxies(ClientAddress::XForwardedFor, &["127.0.0.1", "10.0.0.0/8"]);
    let (_router, address) = listen(Router::builder().realm_with(open()).proxies(proxies())).await;
    let mut stream = TcpStream::connect(&address).await.unwrap();
    let head = upgrade(&mut stream, b"X-Forwarded-For: \xff, 192.0.2.1\r\n").await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    let welcome = websocket(&mut stream, HELLO).await;
    let details = websocket(&mut stream, &get(&welcome)).await;
    assert!(details.contains("\"192.0.2.1:"), "{details}");
    // A trusted proxy that notes no address of its client does not lend it its own.
    for header in [&b"192.0.2.1, unknown"[..], b"\xff", b"", b"\xff, 10.0.0.1"] {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let header = [b"X-Forwarded-For: ", header, b"\r\n"].concat();
        let head = upgrade(&mut stream, header).await;
        assert!(head.starts_with("HTTP/1.1 400 "), "{head}");
        let mut text = String::new();
        within(stream.read_to_string(&mut text)).await.unwrap();
        assert!(text.contains("no usable address"), "{text}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_begins_with_a_header_of_the_proxy_protocol() {
    let proxies = proxies(ClientAddress::ProxyProtocol, &["127.0.0.1"]);
    let (_router, address) = listen(Router::builder().realm_with(open()).proxies(proxies)).await;
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(b"PROXY TCP4 192.0.2.1 127.0.0.1 4711 80\r\n").await.unwrap();
    let welcome = rawsocket(&mut stream, HELLO).await;
    send(&mut stream, &get(&welcome)).await;
    let mut details = vec![0; 2000];
    let length = within(stream.read(&mut details)).await.unwrap();
    let details = String::from_utf8_lossy(&details[..length]).into_owned();
    assert!(details.contains("\"192.0.2.1:4711\""), "{details}");
    // A client that reaches the port past the proxy is refused.
    let mut stream = TcpStream::connect(&address).await.unwrap();
    stream.write_all(&[0x7f, 0xf1, 0, 0]).await.unwrap();
    let mut answer = Vec::new();
    let _ = within(stream.read_to_end(&mut answer)).await;
    assert_eq!(answer, b"");
}

// behaviour 209
#[tokio::test]
async fn failed_proofs_count_for_the_client_and_not_for_its_proxy() {
    let realm = RealmConfig::new("realm1").role(Role::everything("user"));
    let realm = realm.principal(Principal::new("joe", "user").ticket("secret"));
    let limits = Limits { failed_proofs: 2, ..Limits::default() };
    let proxies = proxies(ClientAddress::ProxyProtocol, &["127.0.0.1"]);
    let (_router, address) =
        listen(Router::builder().realm_with(realm).limits(limits).proxies(proxies)).await;
    let attempt = async |client: &str| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(format!("PROXY TCP4 {client} 127.0.0.1 4711 80\r\n").as_bytes()).await.unwrap();
        let hello = r#"[1,"realm1",{"roles":{"caller":{}},"authmethods":["ticket"],"authid":"joe"}]"#;
        let challenge = rawsocket(&mut stream, hello).await;
        if challenge.starts_with("[4,") {
            send(&mut stream, r#"[5,"wrong",{}]"#).await;
            let _ = within(stream.read_to_end(&mut Vec::new())).await;
        }
        challenge.starts_with("[4,")
    };
    assert!(attempt("192.0.2.1").await && attempt("192.0.2.1").await);
    assert!(!attempt("192.0.2.1").await, "it has to wait");
    assert!(attempt("192.0.2.2").await, "another one does not");
}

#[tokio::test]
async fn web_pages_of_strangers_are_refused_and_told_how_that_is_changed() {
    let status_of = async |builder: Builder, host: &str, header: &str| {
        let (_router, address) = listen(builder).await;
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = upgrade_at(host, &mut stream, header).await;
        let mut text = String::new();
        if !head.starts_with("HTTP/1.1 101 ") {
            within(stream.read_to_string(&mut text)).await.unwrap();
        }
        (head[9..12].to_owned(), text)
    };
    let status = async |origins: Origins, header: &str| {
        status_of(Router::builder().origins(origins), "localhost:8080", header).await
    };
    let evil = "Origin: https://evil.example\r\n";
    let (refused, text) = status(Origins::default(), evil).await;
    assert_eq!(refused, "403");
    assert!(text.contains("https://evil.example") && text.contains("`allowed_origins`"), "{text}");
    for (origins, header) in [
        (Origins::default(), ""),
        (Origins::default(), "Origin: https://localhost\r\n"),
        (Origins::same_host().with("https://evil.example"), evil),
        (Origins::any(), evil),
    ] {
        assert_eq!(status(origins, header).await.0, "101", "{header}");
    }
    // Any name can be made to lead to this machine. Only a proxy is believed that it is the right one.
    let (host, own) = ("router.example", "Origin: https://router.example\r\n");
    assert_eq!(status_of(Router::builder(), host, own).await.0, "403");
    let behind = Router::builder().proxies(proxies(ClientAddress::XForwardedFor, &["127.0.0.1"]));
    assert_eq!(status_of(behind, host, &format!("{own}X-Forwarded-For: 192.0.2.1\r\n")).await.0, "101");
}
