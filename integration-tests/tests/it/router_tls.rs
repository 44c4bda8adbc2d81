//! A router with TLS on its port: clients with and without, bad handshakes, a certificate that is replaced.

use std::future::IntoFuture;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use wamp_client::{Connect, ConnectErrorKind, Invocation, Session, connect};
use wamp_router::{Address, Limits, Router, TlsMode};
use wamp_tls::{Identity, Server};

use crate::support::within;
use crate::tls::{Authority, Signed};

const PATIENCE: Duration = Duration::from_secs(20);

fn identity(signed: &Signed) -> Identity {
    Identity::new(signed.chain.as_bytes(), signed.key.as_bytes())
}

/// A router with TLS, and its port.
async fn router(server: &Server, mode: TlsMode) -> (Router, u16) {
    let limits = Limits { join: Duration::from_millis(500), ..Limits::default() };
    let router = Router::builder().limits(limits).tls(server.clone(), mode).build();
    let Address::Tls(address) = router.listen("127.0.0.1:0").await.unwrap() else { panic!("not TLS") };
    (router, address.port())
}

async fn join(connecting: Connect) -> Session {
    timeout(PATIENCE, connecting.into_future()).await.expect("it ends").unwrap()
}

/// Answers to bytes that are sent without TLS, until the router closes.
async fn answer(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let _ = timeout(PATIENCE, stream.read_to_end(&mut answer)).await.expect("it is closed");
    answer
}

#[tokio::test]
async fn wss_and_rss_are_served_on_one_port() {
    let authority = Authority::new("ours");
    let server = Server::new(&identity(&authority.sign("localhost", 2100))).unwrap();
    let (_router, port) = router(&server, TlsMode::Required).await;
    for scheme in ["wss", "rss"] {
        let url = format!("{scheme}://localhost:{port}");
        let session = join(connect(url).ca(authority.pem.as_bytes())).await;
        let longop = |call: Invocation| async move {
            let progress = call.progress().expect("it is asked for");
            for i in 0..100_u32 {
                progress.send(i).await?;
            }
            Ok("x".repeat(300_000))
        };
        session.register("com.myapp.longop", longop).await.unwrap();
        let mut seen = Vec::new();
        let call = session.call("com.myapp.longop").on_progress(|i: u32| seen.push(i));
        let text: String = within(call.into_future()).await.unwrap().decode().unwrap();
        assert_eq!((seen.len(), text.len()), (100, 300_000));
        session.leave().await;
    }
}

#[tokio::test]
async fn an_address_with_tls_does_not_stay_without_it() {
    let authority = Authority::new("ours");
    let server = Server::new(&identity(&authority.sign("localhost", 2100))).unwrap();
    let router = Router::builder().tls(server.clone(), TlsMode::Required).build();
    let listen = ["wss://127.0.0.1:0".to_owned()];
    router.listen(&listen[0]).await.unwrap();
    let error = router.reload(Router::builder(), &listen).await.unwrap_err();
    assert!(matches!(error, wamp_router::ListenError::Address(_)), "{error}");
    assert!(router.has_tls(), "nothing has changed");
    let builder = Router::builder().tls(server, TlsMode::Optional);
    assert_eq!(router.reload(builder, &listen).await.unwrap(), wamp_router::Reloaded::default());
}

#[tokio::test]
async fn a_client_without_tls_is_told_unless_it_is_optional() {
    let authority = Authority::new("ours");
    let server = Server::new(&identity(&authority.sign("localhost", 2100))).unwrap();
    let (_router, port) = router(&server, TlsMode::Required).await;
    let text = String::from_utf8(answer(port, b"GET /ws HTTP/1.1\r\nHost: a\r\n\r\n").await).unwrap();
    assert!(text.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{text}");
    assert!(text.ends_with("\r\n\r\nthis port requires TLS: connect to wss:// instead of ws://\n"), "{text}");
    assert_eq!(answer(port, &[0x7f, 0xf1, 0, 0]).await, b"");
    let error = connect(format!("ws://127.0.0.1:{port}/ws")).await.unwrap_err();
    assert!(
        error.to_string().ends_with("HTTP 426: this port requires TLS: connect to wss:// instead of ws://"),
        "{error}"
    );

    let (_router, port) = router(&server, TlsMode::Optional).await;
    for scheme in ["ws", "rs", "wss", "rss"] {
        let url = format!("{scheme}://localhost:{port}");
        join(connect(url).ca(authority.pem.as_bytes())).await.leave().await;
    }
}

#[tokio::test]
async fn a_client_certificate_can_be_required() {
    let authority = Authority::new("ours");
    let router_identity = identity(&authority.sign("localhost", 2100));
    let server = Server::new(&router_identity.client_authorities(authority.pem.as_bytes(), true)).unwrap();
    let (_router, port) = router(&server, TlsMode::Required).await;
    let alice = authority.sign("alice", 2100);
    let mallory = Authority::new("another").sign("alice", 2100);
    let url = format!("wss://localhost:{port}/ws");
    let connecting = || connect(url.as_str()).ca(authority.pem.as_bytes());
    join(connecting().client_cert(alice.chain, alice.key)).await.leave().await;
    for refused in [connecting(), connecting().client_cert(mallory.chain, mallory.key)] {
        timeout(PATIENCE, refused.into_future()).await.expect("it ends").unwrap_err();
    }
}

/// Neither garbage nor an endless handshake delays other clients.
#[tokio::test]
async fn bad_handshakes_end_and_cost_no_other_client_anything() {
    let authority = Authority::new("ours");
    let server = Server::new(&identity(&authority.sign("localhost", 2100))).unwrap();
    let (router, port) = router(&server, TlsMode::Required).await;
    let url = format!("wss://localhost:{port}");
    let session = join(connect(url.as_str()).ca(authority.pem.as_bytes())).await;
    // A record with a ClientHello of 64 KiB that does not end, garbage as a record, a record of an unknown version, and
    // an alert of the client.
    let endless = [&[0x16, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff][..], &[0; 1000]].concat();
    let garbage = [&[0x16][..], &[0xa5; 2000]].concat();
    for bytes in
        [&endless[..], &garbage, &[0x16, 3, 1, 0, 5, 9, 9, 9, 9, 9], &[0x16, 0x15, 3, 1, 0, 2, 2, 40]]
    {
        let answer = answer(port, bytes).await;
        // An alert, or nothing where the handshake could still have gone on.
        assert!(answer.is_empty() || answer[0] == 0x15, "{answer:02x?}");
    }
    // A client that sends its ClientHello byte by byte, and never all of it.
    let mut slow = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    let dripping = async {
        loop {
            slow.write_all(&[0x16]).await?;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let closed: Result<(), std::io::Error> = timeout(PATIENCE, dripping).await.expect("it is closed");
    closed.unwrap_err();
    session.call("com.myapp.nothing").await.unwrap_err();
    assert_eq!(router.stats().now.sessions, 1);
    session.leave().await;
}

/// Sessions with a stream in each stay, and new ones see the new certificate.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_replaced_under_streams() {
    const STREAMS: usize = 50;
    const RESULTS: u32 = 200;
    let (before, after) = (Authority::new("before"), Authority::new("after"));
    let server = Server::new(&identity(&before.sign("localhost", 2100))).unwrap();
    let (_router, port) = router(&server, TlsMode::Required).await;
    let url = format!("wss://localhost:{port}/ws");
    let callee = join(connect(url.as_str()).ca(before.pem.as_bytes())).await;
    let longop = |call: Invocation| async move {
        let progress = call.progress().expect("it is asked for");
        for i in 0..RESULTS {
            progress.send(i).await?;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(RESULTS)
    };
    callee.register("com.myapp.longop", longop).await.unwrap();
    let mut streams = tokio::task::JoinSet::new();
    for _ in 0..STREAMS {
        let caller = join(connect(url.as_str()).ca(before.pem.as_bytes())).await;
        streams.spawn(async move {
            let mut next = 0;
            let call = caller.call("com.myapp.longop").on_progress(|i: u32| {
                assert_eq!(i, next);
                next += 1;
            });
            let last: u32 = timeout(PATIENCE, call.into_future()).await.unwrap().unwrap().decode().unwrap();
            (next, last)
        });
    }
    // A certificate that cannot be used has no effect.
    let unfit = Identity::new(after.sign("localhost", 2100).chain, before.sign("localhost", 2100).key);
    let error = server.replace(&unfit).unwrap_err();
    assert_eq!(error.to_string(), "the certificate with the key cannot be used: they do not belong together");
    join(connect(url.as_str()).ca(before.pem.as_bytes())).await.leave().await;
    server.replace(&identity(&after.sign("localhost", 2100))).unwrap();
    let old = connect(url.as_str()).ca(before.pem.as_bytes());
    assert_eq!(
        timeout(PATIENCE, old.into_future()).await.unwrap().unwrap_err().kind(),
        ConnectErrorKind::Tls
    );
    join(connect(url.as_str()).ca(after.pem.as_bytes())).await.leave().await;
    while let Some(stream) = streams.join_next().await {
        assert_eq!(stream.unwrap(), (RESULTS, RESULTS));
    }
}

/// Both ends derive the same channel binding, and each connection has a different one.
#[tokio::test]
async fn both_ends_know_the_channel_and_a_session_of_tls_is_resumed() {
    let authority = Authority::new("ours");
    let server = Server::new(&identity(&authority.sign("localhost", 2100))).unwrap();
    let client = wamp_tls::Client::new().authorities(authority.pem.as_bytes());
    let mut bindings = Vec::new();
    for resumed in [false, true, true] {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (at_client, at_server) =
            tokio::join!(client.connect("localhost", ours), server.accept(&[], theirs));
        let (Ok(mut at_client), Ok(mut at_server)) = (at_client, at_server) else { panic!("no TLS") };
        assert_eq!(at_client.channel_binding(), at_server.channel_binding());
        bindings.push(at_client.channel_binding().unwrap());
        // The ticket arrives with the first bytes of the server.
        at_server.write_all(b"x").await.unwrap();
        assert_eq!(at_client.read_u8().await.unwrap(), b'x');
        let kind = at_client.session().handshake_kind();
        assert_eq!(kind == Some(wamp_tls::rustls::HandshakeKind::Resumed), resumed, "{kind:?}");
    }
    bindings.sort_unstable();
    bindings.dedup();
    assert_eq!(bindings.len(), 3);
}

/// A client that begins with HTTP and does not continue is a newcomer like all others.
#[tokio::test]
async fn a_client_without_tls_gives_way_too() {
    let authority = Authority::new("ours");
    let server = Server::new(&identity(&authority.sign("localhost", 2100))).unwrap();
    let limits = Limits { connections: Some(8), join: PATIENCE * 10, ..Limits::default() };
    let router = Router::builder().limits(limits).tls(server, TlsMode::Required).build();
    let Address::Tls(address) = router.listen("127.0.0.1:0").await.unwrap() else { panic!("not TLS") };
    let mut silent = Vec::new();
    for _ in 0..3 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HT").await.unwrap();
        silent.push(stream);
    }
    let mut rest = Vec::new();
    let _ = timeout(PATIENCE, silent[0].read_to_end(&mut rest)).await.expect("the oldest gives way");
}

/// A client with TLS at a full router gets no answer, since it would take one for that of a router without
/// TLS.
#[tokio::test]
async fn a_full_router_closes_a_connection_that_begins_with_tls() {
    let authority = Authority::new("ours");
    let server = Server::new(&identity(&authority.sign("localhost", 2100))).unwrap();
    let limits = Limits { connections: Some(1), ..Limits::default() };
    let router = Router::builder().limits(limits).tls(server, TlsMode::Required).build();
    let Address::Tls(address) = router.listen("127.0.0.1:0").await.unwrap() else { panic!("not TLS") };
    let url = format!("wss://localhost:{}", address.port());
    let session = join(connect(url.as_str()).ca(authority.pem.as_bytes())).await;
    assert_eq!(answer(address.port(), &[0x16, 3, 1, 0, 5]).await, b"");
    let refused = connect(url.as_str()).ca(authority.pem.as_bytes());
    let error = timeout(PATIENCE, refused.into_future()).await.expect("it ends").unwrap_err();
    assert_ne!(error.kind(), ConnectErrorKind::Tls, "{error}");
    session.leave().await;
}
