//! Shutdown of the router, and the addresses it listens on.

use std::time::Duration;

use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, timeout};
use wamp_proto::Serializer;
use wamp_router::{Address, Limits, ListenError, Router};

use crate::support::{House, Peer, SERIALIZERS, WAYS, Way, attach_joined, piped, unix_path, within};

const GOODBYE: &str = r#"[6,{"message":"the router is shutting down"},"wamp.close.system_shutdown"]"#;

/// Receives GOODBYE, answers it and sees the connection closed.
async fn leave(peer: &mut Peer) {
    peer.expect(GOODBYE).await;
    peer.say(r#"[6,{},"wamp.close.goodbye_and_out"]"#).await;
    peer.closed().await;
}

#[tokio::test]
async fn every_session_gets_goodbye_and_then_the_links_are_closed() {
    let house = House::new().await;
    let mut peers = Vec::new();
    for way in WAYS {
        for serializer in SERIALIZERS {
            peers.push(house.join(way, serializer).await);
        }
    }
    // A client that has not joined yet.
    let mut early = house.connect(Way::RawSocket, Serializer::Json).await;
    let start = Instant::now();
    let leaving = async {
        for peer in &mut peers {
            leave(peer).await;
        }
        let (reason, _) = early.aborted().await;
        assert_eq!(reason, "wamp.close.system_shutdown");
        drop((peers, early));
    };
    within(async { tokio::join!(house.router.shut_down(), leaving) }).await;
    assert!(start.elapsed() < Duration::from_secs(2), "the shutdown did not have to wait");
    let (stats, sizes) = house.router.realm_stats("realm1").unwrap();
    assert_eq!((stats.violations, sizes.sessions), (0, 0));
    // The router stops listening at once.
    assert!(TcpStream::connect(&house.tcp).await.is_err());
    assert!(!house.unix.exists());
    // A second shutdown is allowed.
    within(house.router.shut_down()).await;
}

#[tokio::test]
async fn sessions_end_one_after_another_when_a_shutdown_is_spread() {
    let limits = Limits { shutdown_spread: Duration::from_secs(1), ..Limits::default() };
    let house = House::with(Router::builder().limits(limits).build()).await;
    let mut peers = Vec::new();
    for index in 0..20 {
        peers.push(house.join(WAYS[index % WAYS.len()], Serializer::Json).await);
    }
    let start = Instant::now();
    let ends = peers.into_iter().map(|mut peer| async move {
        peer.expect(GOODBYE).await;
        let after = start.elapsed();
        peer.say(r#"[6,{},"wamp.close.goodbye_and_out"]"#).await;
        // No session joins on this link any more.
        peer.closed().await;
        after
    });
    let arriving = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(TcpStream::connect(&house.tcp).await.is_err(), "it stops listening at once");
        house.router.stats().now.sessions
    };
    let all =
        async { tokio::join!(house.router.shut_down(), futures_util::future::join_all(ends), arriving) };
    let ((), mut ends, left) = within(all).await;
    assert!((5..=19).contains(&left), "{left} sessions after 300 ms");
    ends.sort_unstable();
    assert!(ends[9] > Duration::from_millis(300) && ends[19] > Duration::from_millis(800), "{ends:?}");
}

#[tokio::test]
async fn calls_in_flight_end_with_canceled_before_goodbye() {
    for caller_first in [true, false] {
        let router = Router::default();
        let mut first = attach_joined(&router, Serializer::Json).await;
        let mut second = attach_joined(&router, Serializer::Cbor).await;
        let (caller, callee) =
            if caller_first { (&mut first, &mut second) } else { (&mut second, &mut first) };
        callee.register("com.myapp.longop").await;
        for request in 1..3 {
            let options = r#"{"receive_progress":true}"#;
            caller.say(&format!(r#"[48,{request},{options},"com.myapp.longop"]"#)).await;
            callee.hear().await;
            callee.say(&format!(r#"[70,{request},{{"progress":true}},[1]]"#)).await;
            caller.expect(&format!(r#"[50,{request},{{"progress":true}},[1]]"#)).await;
        }
        let ends = async {
            let mut requests = Vec::new();
            for _ in 0..2 {
                let error = caller.hear().await;
                assert!(
                    error.contains(r#",{},"wamp.error.canceled""#),
                    "caller first: {caller_first}: {error}"
                );
                requests.push(error.as_bytes()[6]);
            }
            requests.sort_unstable();
            assert_eq!(requests, b"12");
            leave(caller).await;
            leave(callee).await;
        };
        within(async { tokio::join!(router.shut_down(), ends) }).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_answer_or_read_delays_a_shutdown_little() {
    let router = Router::default();
    let mut mute = attach_joined(&router, Serializer::Json).await;
    // Its queue is full, and it does not read.
    let mut deaf = piped(&router, Way::RawSocket, Serializer::Json, 4096).await;
    let mut callee = attach_joined(&router, Serializer::Json).await;
    callee.register("com.myapp.flood").await;
    deaf.say(r#"[48,1,{"receive_progress":true},"com.myapp.flood"]"#).await;
    callee.hear().await;
    let filler = "x".repeat(10_000);
    while callee.says(&format!(r#"[70,1,{{"progress":true}},["{filler}"]]"#)).await {}
    let start = Instant::now();
    let hears = async {
        mute.expect(GOODBYE).await;
        callee.expect(GOODBYE).await;
    };
    tokio::join!(router.shut_down(), hears);
    assert!(start.elapsed() <= Duration::from_millis(5100), "{:?}", start.elapsed());
    // Dropping the handle ends everything.
    drop(router);
    while mute.incoming().await.is_ok() {}
}

#[tokio::test]
async fn a_router_that_is_dropped_says_goodbye_too() {
    let house = House::new().await;
    let mut peer = house.join(Way::WebSocket, Serializer::MsgPack).await;
    let House { router, unix, tcp } = house;
    drop(router);
    leave(&mut peer).await;
    within(async {
        while unix.exists() || TcpStream::connect(&tcp).await.is_ok() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_unix_socket_can_be_listened_on_again_at_once() {
    let path = unix_path();
    let address = format!("unix://{}", path.display());
    for _ in 0..50 {
        let router = Router::default();
        assert_eq!(router.listen(&address).await.unwrap(), Address::Unix(path.clone()));
        let taken = Router::default().listen(&address).await.unwrap_err();
        assert!(matches!(taken, ListenError::Io { .. }), "{taken}");
        assert!(taken.to_string().starts_with(&format!("cannot listen on {address}: ")), "{taken}");
        within(router.shut_down()).await;
        assert!(!path.exists());
    }
    // Another process has died without removing its socket.
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let router = Router::default();
    router.listen(&address).await.unwrap();
    within(UnixStream::connect(&path)).await.unwrap();
    // A file that is not a socket is not removed.
    let file = path.with_extension("txt");
    std::fs::write(&file, "precious").unwrap();
    router.listen(&format!("unix://{}", file.display())).await.unwrap_err();
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "precious");
    std::fs::remove_file(&file).unwrap();
    within(router.shut_down()).await;
}

#[tokio::test]
async fn a_public_address_needs_a_permission() {
    let router = Router::default();
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:8080"] {
        let refused = router.listen(address).await.unwrap_err();
        assert!(matches!(refused, ListenError::Public(_)), "{refused}");
        assert!(refused.to_string().contains("--allow-anonymous-on-public"), "{refused}");
    }
    // With permission, the only obstacle is that the address is not ours.
    let router = Router::builder().allow_anonymous_on_public(true).build();
    let refused = router.listen("192.0.2.1:0").await.unwrap_err();
    assert!(matches!(refused, ListenError::Io { .. }), "{refused}");
}

#[tokio::test]
async fn an_invalid_address_is_named() {
    let router = Router::default();
    for address in [
        "",
        "nonsense",
        "127.0.0.1",
        "127.0.0.1:99999",
        "127.0.0.1:",
        "unix://relative/path",
        "unix:///no/such/dir/x",
    ] {
        let refused = timeout(Duration::from_secs(10), router.listen(address)).await.unwrap().unwrap_err();
        assert!(refused.to_string().contains(address), "{address}: {refused}");
    }
    let Address::Tcp(taken) = router.listen("127.0.0.1:0").await.unwrap() else { panic!("not TCP") };
    let refused = router.listen(&taken.to_string()).await.unwrap_err();
    assert!(refused.to_string().starts_with(&format!("cannot listen on {taken}: ")), "{refused}");
    let address = Address::Tcp(taken);
    assert_eq!(address.to_string(), format!("ws://{taken} rs://{taken}"));
    assert_eq!(
        (address.ws_url(), address.rs_url()),
        (Some(format!("ws://{taken}")), format!("rs://{taken}"))
    );
    assert_eq!(Address::Unix("/run/wamp".into()).to_string(), "rs+unix:///run/wamp");
}
