//! A peer that does not read: queues are bounded, nothing is lost, and no other peer notices.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use wamp_proto::{Message, Serializer};
use wamp_router::{Limits, Router};
use wamp_transport::Incoming;

use crate::peer::json;
use crate::support::{Bystander, Peer, Way, attach_joined, piped};

const WAYS: [Way; 3] = [Way::Memory, Way::RawSocket, Way::WebSocket];
const PIPE: usize = 16 << 10;
const HIGH: usize = 128 << 10;
const CHUNK: usize = 1000;
/// The most bytes on their way: the queue, one read of the callee's link, the two pipes, the writer's batch,
/// and the buffer of a WebSocket.
const BOUND: usize = HIGH + 5 * (64 << 10);
const STALL: Duration = Duration::from_secs(20);

/// The INTERRUPT that a callee receives when its caller has left.
const GONE: &str = r#"[69,1,{"mode":"killnowait","reason":"wamp.close.close_realm"}]"#;

fn router() -> Router {
    let mut limits = Limits { high_water: HIGH, low_water: HIGH / 2, ..Limits::default() };
    // These tests are about links, not about calls.
    limits.stall = Duration::from_secs(1 << 20);
    limits.give_up = STALL;
    // No PINGs in these tests.
    limits.silence = Duration::from_secs(1 << 20);
    Router::builder().limits(limits).build()
}

fn chunk(i: usize) -> String {
    format!(r#"{{"progress":true}},[{i},"{}"]"#, "x".repeat(CHUNK))
}

/// A caller that reads nothing after its CALL, and a callee that has been held. Returns how many results the
/// callee could send.
async fn held(router: &Router, way: Way) -> (Peer, Peer, usize) {
    let mut callee = piped(router, way, Serializer::Json, PIPE).await;
    callee.register("com.myapp.flood").await;
    let mut caller = piped(router, way, Serializer::Json, PIPE).await;
    caller.say(r#"[48,1,{"receive_progress":true},"com.myapp.flood"]"#).await;
    callee.hear().await;
    let mut sent = 0;
    loop {
        sent += 1;
        if !callee.says(&format!("[70,1,{}]", chunk(sent - 1))).await {
            break;
        }
        assert!(sent * CHUNK < 4 * BOUND, "{way:?}: no session holds it");
    }
    (caller, callee, sent)
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_does_not_read_holds_its_callee_and_loses_nothing() {
    for way in WAYS {
        let router = router();
        let mut bystander = Bystander::new(&router).await;
        let (mut caller, mut callee, sent) = held(&router, way).await;
        assert!((HIGH..BOUND).contains(&(sent * CHUNK)), "{way:?}: {sent} chunks were sent");
        let passed = router.realm_stats("realm1").unwrap().0.progressive_results;
        assert!((passed as usize) < sent, "{way:?}: some wait in the callee's pipe");
        bystander.progress().await;

        // It reads again, and the callee goes on.
        let last = sent + 2000;
        let send = async {
            callee.flush().await.unwrap();
            for i in sent..last {
                callee.say(&format!("[70,1,{}]", chunk(i))).await;
            }
            callee.say("[70,1,{},[\"end\"]]").await;
        };
        let receive = async {
            for i in 0..last {
                caller.expect(&format!("[50,1,{}]", chunk(i))).await;
            }
            caller.expect("[50,1,{},[\"end\"]]").await;
        };
        tokio::join!(send, receive);
        bystander.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_never_reads_is_dropped_and_its_callee_interrupted() {
    for way in WAYS {
        let router = router();
        let mut bystander = Bystander::new(&router).await;
        let start = Instant::now();
        let (mut caller, mut callee, sent) = held(&router, way).await;
        callee.expect(GONE).await;
        let waited = start.elapsed();
        assert!((STALL..STALL + Duration::from_secs(5)).contains(&waited), "{way:?}: {waited:?}");
        bystander.progress().await;

        // The callee is released: its further results are late, and it can serve others.
        callee.flush().await.unwrap();
        callee.say("[70,1,{},[\"late\"]]").await;
        let mut other = attach_joined(&router, Serializer::MsgPack).await;
        other.say(r#"[48,1,{},"com.myapp.flood"]"#).await;
        assert!(callee.hear().await.starts_with("[68,2,"));
        callee.say("[70,2,{},[2]]").await;
        other.expect("[50,1,{},[2]]").await;
        let (stats, sizes) = router.realm_stats("realm1").unwrap();
        assert!(stats.late > 0 && sizes.sessions == 4, "{way:?}: {stats:?}, {sizes:?}");
        // The caller receives the earlier messages, and no end of its call.
        let mut found = 0;
        while let Ok(Incoming::Message(_)) = caller.incoming().await {
            found += 1;
        }
        assert!(found < sent, "{way:?}");
        bystander.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_reads_slowly_is_not_dropped() {
    for way in WAYS {
        let router = router();
        let (mut caller, mut callee, _) = held(&router, way).await;
        let start = Instant::now();
        let mut next = 0;
        while start.elapsed() < 5 * STALL {
            tokio::time::sleep(STALL * 3 / 4).await;
            for item in caller.some().await {
                let Incoming::Message(frame) = item else { panic!("{item:?}") };
                let message = Message::decode(Serializer::Json, &frame, &Default::default()).unwrap();
                assert_eq!(json(&message), format!("[50,1,{}]", chunk(next)));
                next += 1;
            }
            // The callee sends more as soon as it can.
            let _ = timeout(Duration::from_millis(10), callee.flush()).await;
        }
        assert!(next > 5, "{way:?}");
        assert_eq!(router.realm_stats("realm1").unwrap().1.sessions, 2, "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_does_not_read_holds_its_callers() {
    for way in WAYS {
        let router = router();
        let bystander = Bystander::new(&router).await;
        let mut callee = piped(&router, way, Serializer::Cbor, PIPE).await;
        callee.register("com.myapp.sink").await;
        let mut caller = piped(&router, way, Serializer::Cbor, PIPE).await;
        let mut said = 0;
        loop {
            said += 1;
            let filler = "x".repeat(CHUNK);
            if !caller.says(&format!(r#"[48,{said},{{}},"com.myapp.sink",["{filler}"]]"#)).await {
                break;
            }
            assert!(said * CHUNK < 4 * BOUND, "{way:?}: no session holds it");
        }
        assert!((HIGH..BOUND).contains(&(said * CHUNK)), "{way:?}: {said} calls were made");
        bystander.finish().await;
        // It reads again, and each call has its answer.
        let answer = async {
            for i in 1..=said {
                assert!(callee.hear().await.starts_with(&format!("[68,{i},")));
                callee.say(&format!("[70,{i},{{}},[{i}]]")).await;
            }
        };
        let receive = async {
            caller.flush().await.unwrap();
            for i in 1..=said {
                caller.expect(&format!("[50,{i},{{}},[{i}]]")).await;
            }
        };
        tokio::join!(answer, receive);
    }
}

#[tokio::test(start_paused = true)]
async fn events_for_a_slow_subscriber_are_dropped_and_its_session_stays() {
    const EVENTS: usize = 1000;
    for way in WAYS {
        let router = router();
        let mut slow = piped(&router, way, Serializer::Json, PIPE).await;
        let mut quick = attach_joined(&router, Serializer::Json).await;
        let mut subscription = String::new();
        for peer in [&mut slow, &mut quick] {
            peer.say(r#"[32,1,{},"com.myapp.topic"]"#).await;
            subscription = peer.hear().await.replace("[33,1,", "").replace(']', "");
        }
        let mut publisher = piped(&router, way, Serializer::Json, PIPE).await;
        for i in 0..EVENTS {
            let filler = "x".repeat(CHUNK);
            let said = format!(r#"[16,{},{{}},"com.myapp.topic",[{i},"{filler}"]]"#, i + 1);
            // The publisher is not held.
            assert!(publisher.says(&said).await, "{way:?}: held at {i}");
            let event = quick.hear().await;
            assert!(event.starts_with(&format!("[36,{subscription},")), "{event}");
            assert!(event.contains(&format!(",[{i},\"x")), "{way:?}: none is missing");
        }
        let (stats, _) = router.realm_stats("realm1").unwrap();
        assert_eq!(stats.events + stats.events_dropped, 2 * EVENTS as u64, "{way:?}");
        let lost = stats.events_dropped as usize;
        let range = (EVENTS - BOUND / CHUNK)..(EVENTS - HIGH / CHUNK);
        assert!(range.contains(&lost), "{way:?}: {lost} lost");

        // It reads again: the events that were kept, in order, and then new ones.
        let mut numbers = Vec::new();
        while numbers.len() < EVENTS - lost {
            let event = slow.hear().await;
            let (_, arguments) = event.split_once(",{},[").unwrap();
            numbers.push(arguments.split(',').next().unwrap().parse::<usize>().unwrap());
        }
        assert!(numbers.is_sorted(), "{way:?}");
        publisher.say(&format!(r#"[16,{},{{}},"com.myapp.topic",["new"]]"#, EVENTS + 1)).await;
        assert!(slow.hear().await.ends_with(r#",["new"]]"#), "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_queue_that_many_fill_at_once_has_an_end() {
    let limits =
        Limits { high_water: HIGH, low_water: HIGH / 2, max_link_queue: 512 << 10, ..Limits::default() };
    let router = Router::builder().limits(limits).build();
    let bystander = Bystander::new(&router).await;
    let mut caller = piped(&router, Way::Memory, Serializer::Json, PIPE).await;
    let mut callees = Vec::new();
    let filler = "x".repeat(100 << 10);
    for i in 1..=10 {
        let mut callee = attach_joined(&router, Serializer::Json).await;
        callee.register(&format!("com.myapp.p{i}")).await;
        caller.say(&format!(r#"[48,{i},{{"receive_progress":true}},"com.myapp.p{i}"]"#)).await;
        callee.hear().await;
        callees.push(callee);
    }
    let start = Instant::now();
    for callee in &mut callees {
        callee.say(&format!(r#"[70,1,{{"progress":true}},["{filler}"]]"#)).await;
    }
    for callee in &mut callees {
        callee.expect(GONE).await;
    }
    assert!(start.elapsed() < Duration::from_secs(1), "at once, not after the stall limit");
    while caller.incoming().await.is_ok() {}
    bystander.finish().await;
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_goes_releases_its_callee_at_once() {
    for way in WAYS {
        let router = router();
        let (caller, mut callee, _) = held(&router, way).await;
        let start = Instant::now();
        drop(caller);
        callee.expect(GONE).await;
        callee.flush().await.unwrap();
        callee.settle(2).await;
        assert!(start.elapsed() < Duration::from_secs(1), "{way:?}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn abort_overtakes_the_unread_messages_of_a_slow_peer() {
    for way in WAYS {
        let router = router();
        let (mut caller, mut callee, _) = held(&router, way).await;
        caller.say("[99]").await;
        callee.expect(GONE).await;
        let mut ahead = 0;
        loop {
            match caller.message().await {
                Message::Abort(abort) => break assert_eq!(abort.reason, "wamp.error.protocol_violation"),
                other => ahead += json(&other).len(),
            }
        }
        caller.closed().await;
        // The two pipes, the writer's batch and the buffer of a WebSocket, but not the queue.
        assert!(ahead < PIPE + (64 << 10) + (40 << 10), "{way:?}: {ahead} bytes before it");
        assert!(ahead > PIPE / 2, "{way:?}: {ahead} bytes before it");
    }
}

// behaviour 37
#[tokio::test(start_paused = true)]
async fn a_timeout_stands_still_while_the_router_holds_the_callee() {
    for way in WAYS {
        let router = router();
        let mut callee = piped(&router, way, Serializer::Json, PIPE).await;
        callee.register("com.myapp.flood").await;
        let mut caller = piped(&router, way, Serializer::Json, PIPE).await;
        caller.say(r#"[48,1,{"receive_progress":true,"timeout":3000},"com.myapp.flood"]"#).await;
        callee.hear().await;
        let mut sent = 0;
        while callee.says(&format!("[70,1,{}]", chunk(sent))).await {
            sent += 1;
        }
        // Three times as long as the callee may take.
        tokio::time::sleep(Duration::from_secs(9)).await;
        let send = async {
            callee.flush().await.unwrap();
            callee.say("[70,1,{},[\"end\"]]").await;
        };
        let receive = async {
            for i in 0..=sent {
                caller.expect(&format!("[50,1,{}]", chunk(i))).await;
            }
            caller.expect("[50,1,{},[\"end\"]]").await;
        };
        tokio::join!(send, receive);
        assert_eq!(router.realm_stats("realm1").unwrap().0.timeouts, 0);

        // Without that it runs, and starts again with each result.
        let start = Instant::now();
        caller.say(r#"[48,2,{"receive_progress":true,"timeout":3000},"com.myapp.flood"]"#).await;
        callee.hear().await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        callee.say(r#"[70,2,{"progress":true},[1]]"#).await;
        caller.expect(r#"[50,2,{"progress":true},[1]]"#).await;
        let error = caller.hear().await;
        assert!(error.starts_with(r#"[8,48,2,{},"wamp.error.timeout""#), "{error}");
        assert_eq!(start.elapsed().as_secs(), 5, "{way:?}");
        callee.expect(r#"[69,2,{"mode":"killnowait","reason":"wamp.error.timeout"}]"#).await;
    }
}

/// Whatever ends the calls that hold a link releases it.
#[tokio::test(start_paused = true)]
async fn a_cancel_releases_the_callee_at_once() {
    for end in
        [r#"[49,1,{"mode":"killnowait"}]"#, r#"[49,1,{"mode":"skip"}]"#, r#"[6,{},"wamp.close.close_realm"]"#]
    {
        let router = router();
        let (mut caller, mut callee, _) = held(&router, Way::Memory).await;
        let start = Instant::now();
        caller.say(end).await;
        if !end.contains("skip") {
            assert!(callee.hear().await.starts_with("[69,1,"));
        }
        callee.flush().await.unwrap();
        callee.settle(2).await;
        assert!(start.elapsed() < Duration::from_secs(1), "{end}: {:?}", start.elapsed());
    }
}

/// A subscriber of `com.myapp.topic`, and a publisher.
async fn subscriber_and_publisher(router: &Router, way: Way) -> (Peer, Peer) {
    let mut subscriber = piped(router, way, Serializer::Json, PIPE).await;
    subscriber.say(r#"[32,1,{},"com.myapp.topic"]"#).await;
    subscriber.hear().await;
    (subscriber, piped(router, way, Serializer::Json, PIPE).await)
}

fn publication(i: usize) -> String {
    format!(r#"[16,{},{{}},"com.myapp.topic",[{i},"{}"]]"#, i + 1, "x".repeat(CHUNK))
}

/// The number of an event.
fn number(event: &str) -> usize {
    let (_, arguments) = event.split_once(",{},[").unwrap();
    arguments.split(',').next().unwrap().parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_is_behind_and_reads_holds_its_publisher_and_loses_nothing() {
    const EVENTS: usize = 2000;
    for way in WAYS {
        let router = router();
        let bystander = Bystander::new(&router).await;
        let (mut slow, mut publisher) = subscriber_and_publisher(&router, way).await;
        let mut quick = attach_joined(&router, Serializer::Json).await;
        quick.say(r#"[32,1,{},"com.myapp.topic"]"#).await;
        quick.hear().await;
        let publish = async {
            for i in 0..EVENTS {
                publisher.say(&publication(i)).await;
            }
        };
        let behind = async {
            for i in 0..EVENTS {
                // It takes 1.4 s for all of them.
                tokio::time::sleep(Duration::from_micros(700)).await;
                assert_eq!(number(&slow.hear().await), i, "{way:?}");
            }
        };
        let keeps_up = async {
            for i in 0..EVENTS {
                assert_eq!(number(&quick.hear().await), i, "{way:?}");
            }
        };
        tokio::join!(publish, behind, keeps_up);
        let (stats, sizes) = router.realm_stats("realm1").unwrap();
        assert_eq!((stats.events, stats.events_dropped), (2 * EVENTS as u64, 0), "{way:?}");
        assert!(stats.holds > 0 && sizes.held == 0, "{way:?}: {} holds", stats.holds);
        bystander.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_reads_too_slowly_holds_its_publisher_for_a_share_of_the_time() {
    for way in WAYS {
        let router = router();
        let (mut slow, mut publisher) = subscriber_and_publisher(&router, way).await;
        let start = Instant::now();
        let publish = async {
            let (mut published, mut waited) = (0, Duration::ZERO);
            while start.elapsed() < Duration::from_secs(20) {
                let before = Instant::now();
                publisher.say(&publication(published)).await;
                waited += before.elapsed();
                published += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            (published, waited)
        };
        let read = async {
            let mut last = None;
            while start.elapsed() < Duration::from_secs(20) {
                // A tenth of the published rate. A full pipe lasts for less than 250 ms at it.
                tokio::time::sleep(Duration::from_millis(10)).await;
                let number = number(&slow.hear().await);
                assert!(last.is_none_or(|last| last < number), "{way:?}: in order");
                last = Some(number);
            }
        };
        let ((published, waited), ()) = tokio::join!(publish, read);
        assert!(waited > Duration::from_secs(1), "{way:?}: held for {waited:?} only");
        assert!(waited < Duration::from_millis(5_000), "{way:?}: held for {waited:?} in 20 s");
        assert!(published > 10_000, "{way:?}: {published}");
        assert!(router.realm_stats("realm1").unwrap().0.events_dropped > 0, "{way:?}");
    }
}
