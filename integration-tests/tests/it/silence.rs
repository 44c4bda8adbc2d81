//! A link that says nothing is asked whether it is still there.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use wamp_proto::Serializer;
use wamp_router::Router;
use wamp_transport::Incoming;

use crate::support::{Peer, Way, attach_joined, piped, piped_as};

const WAYS: [Way; 3] = [Way::Memory, Way::RawSocket, Way::WebSocket];

fn since(start: Instant) -> u64 {
    start.elapsed().as_secs()
}

#[tokio::test(start_paused = true)]
async fn after_30_s_of_silence_comes_a_ping_and_10_s_later_the_end() {
    for way in [Way::Memory, Way::RawSocket] {
        let router = Router::default();
        let mut silent = piped(&router, way, Serializer::Json, 4096).await;
        let start = Instant::now();
        silent.register("com.myapp.longop").await;
        let mut caller = attach_joined(&router, Serializer::Json).await;
        caller.say(r#"[48,1,{},"com.myapp.longop"]"#).await;
        silent.hear().await;
        let ends = async {
            let Incoming::Ping(_) = silent.incoming().await.unwrap() else { panic!("no PING") };
            assert_eq!(since(start), 30, "{way:?}");
            silent.incoming().await.unwrap_err();
            assert_eq!(since(start), 40, "{way:?}");
        };
        // Whoever waits for it, and answers PINGs, learns that it is gone.
        let learns = async {
            let error = caller.hear().await;
            assert!(error.starts_with(r#"[8,48,1,{},"wamp.error.canceled""#), "{error}");
            assert_eq!(since(start), 40, "{way:?}");
        };
        tokio::join!(ends, learns);
        assert_eq!(router.realm_stats("realm1").unwrap().1.registrations, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn autobahn_for_python_is_not_asked_over_rawsocket_where_it_takes_that_for_the_end() {
    for (way, asked) in [(Way::RawSocket, false), (Way::Memory, true)] {
        let router = Router::default();
        let mut peer = piped_as(&router, way, Serializer::Json, 4096, "AutobahnPython/26.10").await;
        assert_eq!(idle(&mut peer, 50).await.is_some(), asked, "{way:?}");
        if !asked {
            peer.register("com.myapp.longop").await;
        }
    }
}

/// Stays away from the program for so long; only its transport is awake.
async fn idle(peer: &mut Peer, seconds: u64) -> Option<Incoming> {
    tokio::time::timeout(Duration::from_secs(seconds), peer.incoming()).await.ok().map(Result::unwrap)
}

#[tokio::test(start_paused = true)]
async fn a_pong_or_anything_else_keeps_the_link() {
    for way in WAYS {
        let router = Router::default();
        let mut peer = piped(&router, way, Serializer::Cbor, 4096).await;
        for _ in 0..3 {
            // A WebSocket answers by itself while it is being read.
            match (way, idle(&mut peer, 35).await) {
                (Way::WebSocket, None) => {}
                (_, Some(Incoming::Ping(_))) => peer.pong().await,
                other => panic!("{other:?}"),
            }
        }
        // A message is as good as a PONG.
        if way != Way::WebSocket {
            let Some(Incoming::Ping(_)) = idle(&mut peer, 35).await else { panic!("no PING") };
        }
        peer.settle(1).await;
        // Somebody who keeps talking is not asked.
        for request in 2..10 {
            assert_eq!(idle(&mut peer, 20).await, None);
            peer.settle(request).await;
        }
        assert_eq!(router.realm_stats("realm1").unwrap().1.sessions, 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_websocket_that_is_not_even_read_is_given_up() {
    let router = Router::default();
    let mut peer = piped(&router, Way::WebSocket, Serializer::Json, 4096).await;
    sleep(Duration::from_secs(39)).await;
    assert_eq!(router.realm_stats("realm1").unwrap().1.sessions, 1);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(router.realm_stats("realm1").unwrap().1.sessions, 0);
    peer.incoming().await.unwrap_err();
}
