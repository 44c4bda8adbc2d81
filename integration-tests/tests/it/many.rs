//! Many sessions at once.

use std::sync::Arc;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use wamp_proto::Message;

use crate::support::{House, Peer, SERIALIZERS, WAYS, within};

const SESSIONS: usize = 200;

/// Calls its neighbour and serves another, until both calls are over.
async fn live(mut peer: Peer, number: usize, all: Arc<Barrier>) {
    peer.register(&format!("com.myapp.p{number}")).await;
    all.wait().await;
    let neighbour = (number + 1) % SESSIONS;
    peer.say(&format!(r#"[48,2,{{"receive_progress":true}},"com.myapp.p{neighbour}",[{number}]]"#)).await;
    let (mut heard, mut served) = (Vec::new(), false);
    while heard.len() < 4 || !served {
        match peer.message().await {
            Message::Invocation(invocation) => {
                let (caller,): (usize,) = invocation.payload.decode().unwrap();
                assert_eq!((caller + 1) % SESSIONS, number);
                for i in 0..3 {
                    peer.say(&format!(r#"[70,1,{{"progress":true}},[{caller},{i}]]"#)).await;
                }
                peer.say(&format!("[70,1,{{}},[{caller},3]]")).await;
                served = true;
            }
            Message::Result(result) => {
                let (me, i): (usize, usize) = result.payload.decode().unwrap();
                assert_eq!((me, result.details.is_progress()), (number, i < 3));
                heard.push(i);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(heard, [0, 1, 2, 3]);
    // No session leaves while a neighbour waits for its answer.
    all.wait().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_sessions_at_once_make_a_progressive_call_each() {
    let house = House::new().await;
    let all = Arc::new(Barrier::new(SESSIONS));
    let mut lives = JoinSet::new();
    for number in 0..SESSIONS {
        // Over loopback, and every third one in memory or over a Unix socket.
        let peer = house.join(WAYS[number % WAYS.len()], SERIALIZERS[number % SERIALIZERS.len()]).await;
        lives.spawn(live(peer, number, all.clone()));
    }
    within(async {
        while let Some(ended) = lives.join_next().await {
            ended.unwrap();
        }
    })
    .await;
    let (stats, sizes) = house.router.realm_stats("realm1").unwrap();
    assert_eq!((stats.progressive_results, stats.results), (600, 800));
    assert_eq!(sizes.calls, 0);
    within(house.router.shut_down()).await;
}
