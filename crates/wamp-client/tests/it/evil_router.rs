//! Routers, and callers behind them, that make a client hold as much memory as possible. The allocator counts
//! the memory.

use std::future::Future;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{sleep, timeout};
use wamp_client::{Closed, Event, Invocation, Session};

use crate::peer::{Peer, idle, joined_over};

const MIB: u64 = 1 << 20;

/// The greatest amount of memory that client and peer hold together at any time, in bytes.
fn most_memory(test: impl Future<Output = ()>) -> u64 {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    allocation_counter::measure(|| runtime.block_on(test)).bytes_max
}

/// A session with the procedure `big` (registration 7), which returns a text of this many bytes after this
/// many milliseconds.
async fn big_callee() -> (Session, Peer) {
    let (session, mut peer) = joined_over(1).await;
    peer.register(session.register("big", |call: Invocation| async move {
        let (length, after): (usize, u64) = call.args()?;
        if after > 0 {
            sleep(Duration::from_millis(after)).await;
        }
        Ok("x".repeat(length))
    }))
    .await;
    (session, peer)
}

/// Sends these messages until the client reads no more, and returns their approximate number.
async fn flood(peer: &mut Peer, messages: impl IntoIterator<Item = Value>) -> usize {
    let (mut messages, mut taken) = (messages.into_iter(), 0);
    loop {
        let some: Vec<Value> = messages.by_ref().take(100).collect();
        // The connection holds one message at a time.
        if some.is_empty() || timeout(Duration::from_secs(1), peer.send_all(&some)).await.is_err() {
            return taken;
        }
        taken += some.len();
    }
}

fn is_last_answer(message: &Value) -> bool {
    message[0] == 70 || message[0] == 8
}

#[test]
fn handlers_do_not_begin_while_their_results_could_not_be_sent() {
    const CALLS: usize = 2000;
    let most = most_memory(async {
        let (_session, mut peer) = big_callee().await;
        let invocations = (1..=CALLS).map(|id| json!([68, id, 7, {}, [256 << 10, 0]]));
        assert_eq!(flood(&mut peer, invocations).await, CALLS);
        idle().await;
    });
    assert!(most < 12 * MIB, "{} MiB for results of {} MiB", most / MIB, CALLS as u64 / 4);
}

#[test]
fn handlers_that_waited_to_begin_all_do_in_the_end_and_in_order() {
    const CALLS: usize = 200;
    let most = most_memory(async {
        let (_session, mut peer) = big_callee().await;
        flood(&mut peer, (1..=CALLS).map(|id| json!([68, id, 7, {}, [100 << 10, 0]]))).await;
        idle().await;
        for id in 1..=CALLS {
            let answer = peer.next().await;
            assert_eq!((&answer[0], &answer[1]), (&json!(70), &json!(id)));
        }
        peer.ping(b"done").await;
        peer.expect(json!("PONG done")).await;
    });
    assert!(most < 12 * MIB, "{} MiB", most / MIB);
}

#[test]
fn results_of_handlers_that_have_begun_are_bounded_and_each_call_has_its_end() {
    const CALLS: usize = 3000;
    let most = most_memory(async {
        let (_session, mut peer) = big_callee().await;
        let invocations = (1..=CALLS).map(|id| json!([68, id, 7, {}, [128 << 10, 50]]));
        assert_eq!(flood(&mut peer, invocations).await, CALLS);
        sleep(Duration::from_millis(100)).await;
        let (mut results, mut refused) = (0, 0);
        while results + refused < CALLS {
            let answer = peer.next().await;
            assert!(is_last_answer(&answer), "{answer}");
            if answer[0] == 70 {
                results += 1;
            } else {
                assert_eq!(answer[4], "wamp.error.unavailable");
                refused += 1;
            }
        }
        assert!(results > 1000, "{results}");
        assert!(refused > 0);
    });
    assert!(most < 280 * MIB, "{} MiB for results of {} MiB", most / MIB, CALLS as u64 / 8);
}

#[test]
fn a_reader_stops_while_refusals_fill_its_queue() {
    const CALLS: usize = 200_000;
    let most = most_memory(async {
        let (_session, mut peer) = joined_over(1).await;
        let taken = flood(&mut peer, (1..=CALLS).map(|id| json!([68, id, 99, {}]))).await;
        assert!((20_000..CALLS - 10_000).contains(&taken), "{taken}");
        for id in 1..=taken {
            let answer = peer.next().await;
            assert_eq!((&answer[2], &answer[4]), (&json!(id), &json!("wamp.error.no_such_registration")));
        }
        // And it reads again.
        peer.ping(b"").await;
        while peer.next().await != json!("PONG ") {}
    });
    assert!(most < 24 * MIB, "{} MiB", most / MIB);
}

#[test]
fn so_it_does_while_canceled_invocations_fill_it() {
    const CALLS: usize = 250_000;
    let most = most_memory(async {
        let (_session, mut peer) = big_callee().await;
        // So that none of the others begins.
        peer.send(json!([68, 1, 7, {}, [2 << 20, 0]])).await;
        let pair = |id| [json!([68, id, 7, {}, [1, 0]]), json!([69, id, {"mode": "kill"}])];
        let taken = flood(&mut peer, (2..CALLS).flat_map(pair)).await;
        assert!((10_000..2 * CALLS - 10_000).contains(&taken), "{taken}");
    });
    assert!(most < 40 * MIB, "{} MiB", most / MIB);
}

#[test]
fn streams_whose_callers_take_nothing_make_way() {
    const CALLS: usize = 8000;
    let most = most_memory(async {
        let (ours, theirs) = wamp_transport::memory::pair(wamp_client::Serializer::Json);
        let mut peer = Peer::new(theirs);
        let welcome = async {
            peer.next().await;
            let features =
                json!({"progressive_call_results": true, "call_canceling": true, "_progress_credit": 1000});
            peer.send(json!([2, 1, {"roles": {"dealer": {"features": features}, "broker": {}}}])).await;
        };
        let (session, ()) = tokio::join!(async { wamp_client::Client::over(ours).await.unwrap() }, welcome);
        peer.register(session.register("stream", |call: Invocation| async move {
            let progress = call.progress().unwrap();
            loop {
                progress.send("x".repeat(60 << 10)).await?;
            }
            #[allow(unreachable_code)]
            Ok(())
        }))
        .await;
        let mut ended = Vec::new();
        for id in 1..=CALLS {
            peer.send(json!([68, id, 7, {"receive_progress": true}])).await;
            // Each has credit for one result; the second one waits.
            loop {
                let message = peer.next().await;
                match message[0].as_u64().unwrap() {
                    8 => {
                        assert_eq!(message[4], "wamp.error.unavailable");
                        ended.push(message[2].as_u64().unwrap());
                    }
                    _ => break assert_eq!(message[1], json!(id)),
                }
            }
        }
        let expected: Vec<u64> = (1..=ended.len() as u64).collect();
        assert_eq!(ended, expected, "the one that has waited longest makes way first");
        assert!((3000..CALLS - 1000).contains(&ended.len()), "{}", ended.len());
    });
    assert!(most < 280 * MIB, "{} MiB", most / MIB);
}

#[test]
fn lists_of_callers_that_asked_for_no_progress_are_bounded_together() {
    const CALLS: usize = 100;
    let most = most_memory(async {
        let (session, mut peer) = joined_over(1).await;
        peer.register(session.register_stream("stream", |_: Invocation| {
            futures_util::stream::unfold(0, |i| async move {
                // Each item comes after those of all other calls.
                sleep(Duration::from_millis(1)).await;
                (i < 15).then(|| (Ok("x".repeat(1 << 20)), i + 1))
            })
        }))
        .await;
        flood(&mut peer, (1..=CALLS).map(|id| json!([68, id, 7, {}]))).await;
        let mut answers = [0, 0];
        for _ in 0..CALLS {
            let answer = peer.next().await;
            assert!(is_last_answer(&answer));
            answers[usize::from(answer[0] == 8)] += 1;
        }
        assert!(answers[0] > 0 && answers[1] > 0, "{answers:?}");
    });
    assert!(most < 300 * MIB, "{} MiB", most / MIB);
}

#[test]
fn untaken_chunks_are_bounded_in_all_calls_together() {
    const CALLS: usize = 20;
    let most = most_memory(async {
        let (session, mut peer) = joined_over(1).await;
        peer.register(session.register("upload", async |call: Invocation| {
            call.canceled().await;
            Ok(())
        }))
        .await;
        let options = json!({"progress": true});
        flood(&mut peer, (1..=CALLS).map(|id| json!([68, id, 7, options]))).await;
        let chunk = "x".repeat(4 << 20);
        let mut refused = std::collections::HashSet::new();
        for i in 0..5 * CALLS {
            let id = 1 + i % CALLS;
            if !refused.contains(&id) {
                let invocation = format!(r#"[68,{id},7,{{"progress":true}},["{chunk}"]]"#);
                peer.send_bytes(invocation.as_bytes()).await;
                peer.ping(b"").await;
            }
            while !refused.contains(&id) {
                let message = peer.next().await;
                if message == json!("PONG ") {
                    break;
                }
                assert_eq!((&message[0], &message[4]), (&json!(8), &json!("wamp.error.unavailable")));
                refused.insert(message[2].as_u64().unwrap() as usize);
            }
        }
        assert!(!refused.is_empty());
    });
    assert!(most < 260 * MIB, "{} MiB", most / MIB);
}

#[test]
fn events_for_a_slow_subscriber_hold_the_counted_memory() {
    for (fill, events) in [(0, 100_000), (4200, 6_000), (15_000, 2000), (60_000, 600)] {
        let most = most_memory(async {
            let (session, mut peer) = joined_over(64 << 10).await;
            let subscribed = async {
                let message = peer.next().await;
                peer.send(json!([33, message[1], 5])).await;
            };
            let (events_of, ()) = tokio::join!(session.subscribe_stream("slow"), subscribed);
            let mut events_of = events_of.unwrap();
            let payload = "x".repeat(fill);
            // Each event shares its read buffer with others.
            for id in 0..events / 10 {
                let events: Vec<Value> =
                    (1..=10).map(|i| json!([36, 5, 10 * id + i, {}, [payload]])).collect();
                peer.send_all(&events).await;
                idle().await;
            }
            assert!(session.stats().events_dropped > 0);
            let first: Event = events_of.next().await.unwrap();
            assert_eq!(first.decode::<String>().unwrap().len(), fill);
        });
        assert!(most < 26 * MIB, "{} MiB for 16 MiB of events of {fill} bytes", most / MIB);
    }
}

#[test]
fn interrupts_results_and_credit_for_nothing_leave_nothing_behind() {
    let most = most_memory(async {
        let (session, mut peer) = joined_over(64 << 10).await;
        for id in 1..30_000 {
            peer.send_all(&[
                json!([69, id, {"mode": "kill", "reason": "wamp.error.timeout"}]),
                json!([50, id, {"progress": true}, ["x".repeat(100)]]),
                json!([36, 5, id, {}, ["x".repeat(100)]]),
                json!([8, 48, id, {}, "com.example.error"]),
            ])
            .await;
        }
        peer.ping(b"done").await;
        peer.expect(json!("PONG done")).await;
        assert!(session.stats().unknown > 0);
    });
    assert!(most < 2 * MIB, "{} KiB", most >> 10);
}

#[test]
fn pings_of_any_length_are_bounded() {
    for (length, pings) in [(4 << 10, 10_000), (16 << 20, 10)] {
        let most = most_memory(async {
            let (_session, mut peer) = big_callee().await;
            peer.send(json!([68, 1, 7, {}, [2 << 20, 0]])).await;
            idle().await;
            for _ in 0..pings {
                peer.ping_owned(vec![b'x'; length]).await;
            }
            idle().await;
        });
        assert!(most < 80 * MIB, "{} MiB", most / MIB);
    }
}

/// A session with a result of 2 MiB on its way, another one in its queue, and a third one that waits for room.
async fn stuck() -> (Session, Peer) {
    let (session, mut peer) = big_callee().await;
    flood(&mut peer, [1, 2, 3].map(|id| json!([68, id, 7, {}, [2 << 20, 5]]))).await;
    sleep(Duration::from_millis(10)).await;
    // And one that waits to begin.
    peer.send(json!([68, 4, 7, {}, [1, 0]])).await;
    idle().await;
    (session, peer)
}

#[tokio::test(start_paused = true)]
async fn while_results_wait_cancels_and_pongs_get_through() {
    let (session, mut peer) = stuck().await;
    peer.send(json!([69, 3, {"mode": "killnowait"}])).await;
    peer.send(json!([69, 4, {"mode": "killnowait"}])).await;
    peer.ping(b"here").await;
    idle().await;
    assert_eq!(session.stats().discarded, 1, "the waiting one has ended");
    assert_eq!(peer.next().await[1], 1);
    assert_eq!(peer.next().await[1], 2);
    peer.expect(json!("PONG here")).await;
    peer.send(json!([68, 5, 7, {}, [1, 0]])).await;
    peer.expect(json!([70, 5, {}, ["x"]])).await;
}

#[tokio::test(start_paused = true)]
async fn while_results_wait_a_goodbye_gets_through() {
    let (session, mut peer) = stuck().await;
    peer.send(json!([6, {}, "wamp.close.system_shutdown"])).await;
    assert!(matches!(session.closed().await, Closed::ByRouter { .. }));
    assert_eq!(session.stats().discarded, 1, "of the three that have begun, two have been sent");
}

#[tokio::test(start_paused = true)]
async fn leaving_and_dropping_end_the_waiting() {
    let (session, mut peer) = stuck().await;
    let waiting = tokio::spawn(session.call("a").into_future());
    idle().await;
    let leaving = session.clone();
    let leaving = tokio::spawn(async move { leaving.leave().await });
    idle().await;
    assert!(waiting.is_finished(), "nothing is sent after GOODBYE");
    assert_eq!(session.stats().discarded, 1);
    assert_eq!(leaving.await.unwrap(), Closed::Left, "although the router reads nothing");
    drop((session, peer));

    let (session, peer_of_other) = stuck().await;
    peer = peer_of_other;
    drop(session);
    idle().await;
    assert_eq!(peer.next().await[1], 1);
    assert_eq!(peer.next().await[1], 2);
    peer.expect(json!([6, {}, "wamp.close.close_realm"])).await;
}
