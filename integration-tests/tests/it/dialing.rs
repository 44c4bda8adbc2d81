//! From a URL to a router: names, proxies, and the errors of a client.

use std::error::Error;
use std::future::IntoFuture;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;
use wamp_client::{Connect, ConnectError, ConnectErrorKind, connect};
use wamp_router::Router;

const PATIENCE: Duration = Duration::from_secs(20);

async fn refused(connecting: Connect) -> ConnectError {
    timeout(PATIENCE, connecting.into_future()).await.expect("it ends").unwrap_err()
}

async fn joins(connecting: Connect) {
    let session = timeout(PATIENCE, connecting.into_future()).await.expect("it ends").unwrap();
    session.leave().await;
}

async fn router() -> (Router, u16) {
    let router = Router::default();
    let port = router.listen("127.0.0.1:0").await.unwrap().tcp().unwrap().port();
    (router, port)
}

/// An address where nothing listens.
async fn nowhere() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// An HTTP proxy for one user. Reports its requests.
async fn http_proxy(router: u16) -> (u16, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            let head = String::from_utf8(head).unwrap();
            asked.send(head.lines().next().unwrap().to_owned()).unwrap();
            // alice:s@cret
            if !head.contains("Proxy-Authorization: Basic YWxpY2U6c0BjcmV0\r\n") {
                let answer = b"HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n";
                stream.write_all(answer).await.unwrap();
                continue;
            }
            if head.starts_with("CONNECT forbidden.example:") {
                stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n").await.unwrap();
                continue;
            }
            let mut onward = TcpStream::connect(("127.0.0.1", router)).await.unwrap();
            stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.unwrap();
            tokio::spawn(async move { copy_bidirectional(&mut stream, &mut onward).await });
        }
    });
    (port, requests)
}

/// A SOCKS5 proxy (RFC 1928, 1929) for one user. Reports the kind of each address, and the address.
async fn socks_proxy(router: u16) -> (u16, mpsc::UnboundedReceiver<(u8, Vec<u8>)>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let (asked, requests) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut greeting = [0; 3];
            stream.read_exact(&mut greeting).await.unwrap();
            if greeting != [5, 1, 2] {
                stream.write_all(&[5, 0xff]).await.unwrap();
                continue;
            }
            stream.write_all(&[5, 2]).await.unwrap();
            let mut login = [0; 1 + 1 + 5 + 1 + 6];
            stream.read_exact(&mut login).await.unwrap();
            let is_known = &login == b"\x01\x05alice\x06s@cret";
            stream.write_all(&[1, u8::from(!is_known)]).await.unwrap();
            if !is_known {
                continue;
            }
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.unwrap();
            let length = match request[3] {
                1 => 4,
                3 => usize::from(stream.read_u8().await.unwrap()),
                _ => 16,
            };
            let mut address = vec![0; length];
            stream.read_exact(&mut address).await.unwrap();
            let _port = stream.read_u16().await.unwrap();
            asked.send((request[3], address.clone())).unwrap();
            let is_allowed = address != b"forbidden.example";
            stream.write_all(&[5, if is_allowed { 0 } else { 2 }, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            if is_allowed {
                let mut onward = TcpStream::connect(("127.0.0.1", router)).await.unwrap();
                tokio::spawn(async move { copy_bidirectional(&mut stream, &mut onward).await });
            }
        }
    });
    (port, requests)
}

#[tokio::test]
async fn through_an_http_proxy_with_a_password() {
    let (_router, port) = router().await;
    let (proxy, mut requests) = http_proxy(port).await;
    let at = format!("http://alice:s%40cret@127.0.0.1:{proxy}");
    for (url, asked) in [
        ("ws://inside.example/ws", "CONNECT inside.example:80 HTTP/1.1"),
        ("rs://inside.example:8080", "CONNECT inside.example:8080 HTTP/1.1"),
        ("ws://[2001:db8::1]:8080/", "CONNECT [2001:db8::1]:8080 HTTP/1.1"),
    ] {
        joins(connect(url).proxy(at.as_str())).await;
        assert_eq!(requests.recv().await.unwrap(), asked);
    }
}

#[tokio::test]
async fn through_a_socks_proxy_with_a_password() {
    let (_router, port) = router().await;
    let (proxy, mut requests) = socks_proxy(port).await;
    // With `socks5h` the proxy looks up the name.
    joins(connect("ws://inside.example/ws").proxy(format!("socks5h://alice:s%40cret@127.0.0.1:{proxy}")))
        .await;
    assert_eq!(requests.recv().await.unwrap(), (3, b"inside.example".to_vec()));
    joins(connect("rs://localhost:1").proxy(format!("socks5://alice:s%40cret@127.0.0.1:{proxy}"))).await;
    assert_eq!(requests.recv().await.unwrap(), (1, vec![127, 0, 0, 1]));
}

#[tokio::test]
async fn a_proxy_that_refuses_is_one_sentence() {
    let (http, _requests) = http_proxy(0).await;
    let (socks, _requests) = socks_proxy(0).await;
    let nowhere = nowhere().await;
    let table = [
        (
            format!("http://bob:wrong@127.0.0.1:{http}"),
            format!("the proxy 127.0.0.1:{http} wants a name and a password, or others (HTTP 407)"),
        ),
        (
            format!("http://alice:s%40cret@127.0.0.1:{http}"),
            format!("the proxy 127.0.0.1:{http} refuses to connect to forbidden.example:443"),
        ),
        (
            format!("socks5h://alice:wrong!@127.0.0.1:{socks}"),
            format!("the proxy 127.0.0.1:{socks} does not accept the name and the password"),
        ),
        (
            format!("socks5h://alice:s%40cret@127.0.0.1:{socks}"),
            format!(
                "the proxy 127.0.0.1:{socks} does not connect to forbidden.example:443: SOCKS error: \
                 connection not allowed"
            ),
        ),
        (
            format!("http://127.0.0.1:{nowhere}"),
            format!("cannot connect to the proxy 127.0.0.1:{nowhere}: Connection refused (os error 111)"),
        ),
    ];
    for (proxy, sentence) in table {
        let error = refused(connect("wss://alice:secret@forbidden.example/ws").proxy(proxy)).await;
        assert_eq!(error.to_string(), format!("wss://alice:***@forbidden.example/ws: {sentence}"));
        assert_eq!(error.kind(), ConnectErrorKind::Connect);
        let debug = format!("{error:?}");
        assert!(!debug.contains("secret") && !debug.contains("s%40cret"), "{debug}");
    }
    let error = refused(connect("ws://forbidden.example/").proxy("https://alice:secret@proxy:3128")).await;
    assert_eq!(
        error.to_string(),
        "ws://forbidden.example/: a proxy must be http://, socks5:// or socks5h://, and proxy:3128 is https://"
    );
    assert_eq!(error.kind(), ConnectErrorKind::Url);
}

#[tokio::test]
async fn a_host_without_an_address_or_a_server_is_one_sentence() {
    // No name has this ending (RFC 6761).
    let error = refused(connect("ws://alice:secret@no.such.invalid:8080/ws")).await;
    let beginning = "ws://alice:***@no.such.invalid:8080/ws: cannot connect to no.such.invalid:8080: failed to lookup \
                     address information: ";
    assert!(error.to_string().starts_with(beginning), "{error}");
    assert_eq!(error.kind(), ConnectErrorKind::Connect);
    let nowhere = nowhere().await;
    for url in [format!("rs://127.0.0.1:{nowhere}"), format!("ws://127.0.0.1:{nowhere}/ws")] {
        let error = refused(connect(url.as_str())).await;
        let sentence = format!("cannot connect to 127.0.0.1:{nowhere}: Connection refused (os error 111)");
        assert_eq!(error.to_string(), format!("{url}: {sentence}"));
        let mut cause = error.source().expect("a cause");
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        let io = cause.downcast_ref::<std::io::Error>().expect("the error of the operating system");
        assert_eq!(io.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}

/// An invalid URL is reported at once, even if another URL works.
#[tokio::test]
async fn all_urls_of_a_list_are_checked_first_and_may_have_different_schemes() {
    let (_router, port) = router().await;
    let nowhere = nowhere().await;
    let (ws, rs) = (format!("ws://127.0.0.1:{nowhere}"), format!("rs://127.0.0.1:{port}"));
    joins(connect(ws.as_str()).or(rs.as_str())).await;
    let error = refused(connect(rs).or(ws).or("http://alice:secret@127.0.0.1/ws").retry_initial()).await;
    assert_eq!(
        error.to_string(),
        "http://alice:***@127.0.0.1/ws: it must begin with ws:// instead of http://"
    );
    assert_eq!(error.kind(), ConnectErrorKind::Url);
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for scheme in ["ws", "wss", "rs", "rss"] {
        let url = format!("{scheme}://127.0.0.1:{port}");
        let error = refused(connect(url.as_str()).connect_timeout(Duration::from_millis(200))).await;
        assert_eq!(error.to_string(), format!("{url}: the connection took too long"));
        assert_eq!(error.kind(), ConnectErrorKind::Timeout);
    }
}
