//! A peer that does not read for too long: its calls end with an error, and all others go on. Circular waits
//! end too.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use wamp_proto::{Message, Serializer};
use wamp_router::{Limits, Router, SessionLimits};
use wamp_transport::Incoming;

use crate::peer::json;
use crate::support::{Bystander, Peer, Way, attach_joined, piped, within};

const HIGH: usize = 32 << 10;
const CHUNK: usize = 1000;
const SECOND: Duration = Duration::from_secs(1);
const SLOW: &str = r#""wamp.error.canceled",["slow consumer"]]"#;
const INTERRUPT: &str = r#"{"mode":"killnowait","reason":"wamp.error.canceled"}]"#;

/// Ways to the router, and how many bytes each takes at a time. With one byte, a pair in memory takes one
/// message.
const WAYS: [(Way, usize); 5] = [
    (Way::Memory, 16 << 10),
    (Way::Memory, 1),
    (Way::RawSocket, 16 << 10),
    (Way::RawSocket, 1),
    (Way::WebSocket, 16 << 10),
];

fn router() -> Router {
    let limits = Limits { high_water: HIGH, low_water: HIGH / 4 * 3, ..Limits::default() };
    Router::builder().limits(limits).build()
}

fn chunk(invocation: usize) -> String {
    format!(r#"[70,{invocation},{{"progress":true}},["{}"]]"#, "x".repeat(CHUNK))
}

/// Sends the same message until it is not accepted any more; returns how often it was accepted.
async fn fill(peer: &mut Peer, mut said: impl FnMut() -> String) -> usize {
    let mut count = 0;
    while peer.says(&said()).await {
        count += 1;
        assert!(count * CHUNK < 50 * HIGH, "no session holds it");
    }
    count
}

/// Reads until the call ends, and returns its end.
async fn end(peer: &mut Peer) -> String {
    loop {
        match peer.message().await {
            Message::Result(result) if result.details.progress == Some(true) => {}
            other => return json(&other),
        }
    }
}

async fn flood(router: &Router, (way, bytes): (Way, usize)) -> (Peer, Peer) {
    let mut callee = piped(router, way, Serializer::Json, bytes).await;
    callee.register("com.myapp.flood").await;
    let mut caller = piped(router, way, Serializer::Json, bytes).await;
    caller.say(r#"[48,1,{"receive_progress":true},"com.myapp.flood"]"#).await;
    callee.hear().await;
    (caller, callee)
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_holds_its_callee_and_accepts_nothing_loses_its_call_after_5_s() {
    for way in WAYS {
        let router = router();
        let bystander = Bystander::new(&router).await;
        let (mut caller, mut callee) = flood(&router, way).await;
        let start = Instant::now();
        fill(&mut callee, || chunk(1)).await;
        assert_eq!(router.stats().now.held, 1, "{way:?}");
        let queued = router.stats().bytes_queued;
        assert!((HIGH..HIGH + (128 << 10)).contains(&queued), "{way:?}: {queued} bytes");

        assert!(callee.hear().await.ends_with(INTERRUPT), "{way:?}");
        let waited = start.elapsed();
        assert!((5 * SECOND..7 * SECOND).contains(&waited), "{way:?}: {waited:?}");
        callee.flush().await.unwrap();
        callee.settle(2).await;
        // Its session stays, and it can call again as soon as it has read.
        assert!(end(&mut caller).await.ends_with(SLOW), "{way:?}");
        caller.say(r#"[48,2,{},"com.myapp.flood"]"#).await;
        assert!(callee.hear().await.starts_with("[68,2,"), "{way:?}");
        callee.say("[70,2,{},[2]]").await;
        caller.expect("[50,2,{},[2]]").await;
        bystander.finish().await;
        let stats = router.stats();
        assert_eq!((stats.total.slow_consumers, stats.now.held, stats.bytes_queued), (1, 0, 0), "{way:?}");
        assert!(stats.total.holds >= 1 && stats.held_time >= 3 * SECOND, "{way:?}: {stats:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_innocent_caller_waits_once_for_a_caller_with_many_stalled_streams() {
    for way in WAYS {
        let router = router();
        let (mut slow, mut callee) = flood(&router, way).await;
        for request in 2..=100 {
            slow.say(&format!(r#"[48,{request},{{"receive_progress":true}},"com.myapp.flood"]"#)).await;
            callee.hear().await;
        }
        let mut innocent = attach_joined(&router, Serializer::Cbor).await;
        let mut stream = 0;
        let mut any = || {
            stream = stream % 100 + 1;
            chunk(stream)
        };
        fill(&mut callee, &mut any).await;

        // Its answer is queued behind the flood, and everything else behind the slow caller.
        let start = Instant::now();
        innocent.say(r#"[48,1,{},"com.myapp.flood"]"#).await;
        assert!(callee.hear().await.starts_with("[68,101,"));
        assert!(!callee.says("[70,101,{},[1]]").await, "{way:?}");
        let (mut interrupted, answered) = (0, async {
            innocent.expect("[50,1,{},[1]]").await;
            start.elapsed()
        });
        let hears = async {
            callee.flush().await.unwrap();
            while interrupted < 100 {
                assert!(callee.hear().await.ends_with(INTERRUPT));
                interrupted += 1;
            }
        };
        let (waited, ()) = tokio::join!(answered, hears);
        assert!(waited <= 2 * SECOND + SECOND / 10, "{way:?}: {waited:?}");
        assert_eq!(router.stats().total.slow_consumers, 100, "{way:?}");

        // From now on no call waits for the slow caller.
        let start = Instant::now();
        for request in 2..=20 {
            let _ = slow
                .says(&format!(r#"[48,{},{{"receive_progress":true}},"com.myapp.flood"]"#, 99 + request))
                .await;
            let since = Instant::now();
            innocent.say(&format!(r#"[48,{request},{{}},"com.myapp.flood"]"#)).await;
            assert!(callee.hear().await.starts_with(&format!("[68,{},", 100 + request)));
            callee.say(&any()).await;
            callee.say(&format!("[70,{},{{}},[2]]", 100 + request)).await;
            innocent.expect(&format!("[50,{request},{{}},[2]]")).await;
            assert_eq!(since.elapsed(), Duration::ZERO, "{way:?}");
        }
        assert!(router.stats().total.unavailable > 0 || start.elapsed() > SECOND, "{way:?}");
        // The slow caller receives an end of each call.
        let mut ends = 0;
        while ends < 100 {
            ends += usize::from(end(&mut slow).await.ends_with(SLOW));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn two_sessions_that_are_each_others_slow_callers_both_go_on() {
    for way in WAYS {
        let router = router();
        let bystander = Bystander::new(&router).await;
        let (mut a, mut b) = flood(&router, way).await;
        a.say(r#"[64,2,{},"com.myapp.back"]"#).await;
        a.hear().await;
        b.say(r#"[48,2,{"receive_progress":true},"com.myapp.back"]"#).await;
        a.hear().await;
        b.say(r#"[64,3,{},"com.myapp.b"]"#).await;
        b.hear().await;
        a.say(r#"[48,3,{"receive_progress":true},"com.myapp.b"]"#).await;
        b.hear().await;
        let start = Instant::now();
        fill(&mut a, || chunk(1)).await;
        fill(&mut b, || chunk(1)).await;
        // Each writes everything it has to send before it reads anything.
        tokio::try_join!(a.flush(), b.flush()).unwrap();
        assert!(start.elapsed() < 10 * SECOND, "{way:?}: {:?}", start.elapsed());
        for (peer, ends) in [(&mut a, 3), (&mut b, 3)] {
            // The ends of its calls, and the INTERRUPTs of those that it had to answer.
            let mut heard = Vec::new();
            while heard.len() < ends {
                heard.push(end(peer).await);
            }
            let canceled = heard.iter().filter(|heard| heard.ends_with(SLOW)).count();
            let interrupted = heard.iter().filter(|heard| heard.ends_with(INTERRUPT)).count();
            assert_eq!(canceled + interrupted, ends, "{way:?}: {heard:?}");
        }
        assert_eq!(router.stats().now.calls, 1, "{way:?}: the bystander's");
        bystander.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_session_that_calls_itself_and_does_not_read_goes_on() {
    for way in WAYS {
        let router = router();
        let bystander = Bystander::new(&router).await;
        let mut me = piped(&router, way.0, Serializer::Json, way.1).await;
        me.register("com.myapp.me").await;
        me.say(r#"[48,2,{"receive_progress":true},"com.myapp.me"]"#).await;
        me.hear().await;
        let start = Instant::now();
        fill(&mut me, || chunk(1)).await;
        // It writes everything it has to send before it reads anything.
        me.flush().await.unwrap();
        me.say("[70,1,{},[\"end\"]]").await;
        let waited = start.elapsed();
        assert!(waited < 8 * SECOND, "{way:?}: {waited:?}");
        let mut heard = vec![end(&mut me).await, end(&mut me).await];
        heard.sort_unstable();
        assert!(heard[0].starts_with("[69,1,") && heard[1].ends_with(SLOW), "{way:?}: {heard:?}");
        me.settle(3).await;
        bystander.finish().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_callee_that_does_not_read_its_chunks_loses_the_call_and_its_caller_goes_on() {
    for way in WAYS {
        let router = router();
        let bystander = Bystander::new(&router).await;
        let mut callee = chunky(&router, way).await;
        callee.register("com.myapp.upload").await;
        let mut caller = chunky(&router, way).await;
        let start = Instant::now();
        let piece = format!(r#"[48,1,{{"progress":true}},"com.myapp.upload",["{}"]]"#, "x".repeat(CHUNK));
        fill(&mut caller, || piece.clone()).await;
        assert!(caller.hear().await.ends_with(SLOW), "{way:?}");
        let waited = start.elapsed();
        assert!((5 * SECOND..7 * SECOND).contains(&waited), "{way:?}: {waited:?}");
        caller.flush().await.unwrap();
        caller.settle(2).await;
        // A new call would have no room until the callee reads.
        caller.say(r#"[48,3,{},"com.myapp.upload"]"#).await;
        assert!(caller.hear().await.contains("wamp.error.unavailable"), "{way:?}");
        loop {
            let heard = callee.hear().await;
            if heard.starts_with("[69,1,") {
                break;
            }
            assert!(heard.starts_with("[68,1,"), "{heard}");
        }
        callee.settle(2).await;
        caller.say(r#"[48,4,{},"com.myapp.upload"]"#).await;
        assert!(callee.hear().await.starts_with("[68,2,"), "{way:?}");
        bystander.finish().await;
    }
}

/// A peer that makes and accepts calls in chunks.
async fn chunky(router: &Router, (way, bytes): (Way, usize)) -> Peer {
    let mut peer = piped(router, way, Serializer::Json, bytes).await;
    peer.say(r#"[6,{},"wamp.close.close_realm"]"#).await;
    peer.hear().await;
    let features = r#"{"features":{"progressive_call_invocations":true,"progressive_call_results":true,"call_canceling":true}}"#;
    peer.say(&format!(r#"[1,"realm1",{{"roles":{{"caller":{features},"callee":{features}}}}}]"#)).await;
    assert!(peer.hear().await.starts_with("[2,"));
    peer
}

#[tokio::test(start_paused = true)]
async fn an_application_that_uploads_everything_before_it_reads_comes_to_its_end() {
    for way in WAYS {
        let router = router();
        let mut callee = chunky(&router, way).await;
        callee.register("com.myapp.echo").await;
        let mut caller = chunky(&router, way).await;
        let piece = format!(
            r#"[48,1,{{"progress":true,"receive_progress":true}},"com.myapp.echo",["{}"]]"#,
            "x".repeat(CHUNK)
        );
        let start = Instant::now();
        // The callee sends everything back at once, and waits for room; so it does not read either.
        let echo = async {
            loop {
                if !callee.hear().await.starts_with("[68,1,") {
                    return;
                }
                callee.say(&chunk(1)).await;
            }
        };
        let upload = async {
            for _ in 0..10 * HIGH / CHUNK {
                caller.say(&piece).await;
            }
            end(&mut caller).await
        };
        let ((), ended) = tokio::join!(echo, upload);
        assert!(ended.ends_with(SLOW), "{way:?}: {ended}");
        assert!(start.elapsed() < 10 * SECOND, "{way:?}: {:?}", start.elapsed());
    }
}

#[tokio::test(start_paused = true)]
async fn a_held_callee_is_not_asked_whether_it_is_there() {
    for way in [(Way::Memory, 1024), (Way::RawSocket, 1024)] {
        let router = router();
        let (mut caller, mut callee) = flood(&router, way).await;
        let sent = fill(&mut callee, || chunk(1)).await;
        // The caller reads now and then, so little that the callee stays held for longer than it may be silent.
        let (start, mut heard) = (Instant::now(), 0);
        while start.elapsed() < 60 * SECOND {
            for item in caller.some().await {
                match item {
                    Incoming::Ping(_) => caller.pong().await,
                    _ => heard += 1,
                }
            }
            tokio::time::sleep(4 * SECOND).await;
        }
        assert!(heard < sent, "{way:?}");
        let stats = router.stats();
        assert_eq!(
            (stats.now.held, stats.now.sessions, stats.total.holds, stats.total.slow_consumers),
            (1, 2, 1, 0),
            "{way:?}"
        );
        assert!(stats.held_time >= 60 * SECOND, "{way:?}");
        // Not even a PING has arrived meanwhile.
        let nothing = timeout(SECOND / 10, callee.incoming()).await;
        assert!(nothing.is_err(), "{way:?}: {nothing:?}");
        // Now it reads everything, and the callee ends the call.
        let ends = async {
            callee.flush().await.unwrap();
            callee.say("[70,1,{},[\"end\"]]").await;
        };
        let (ended, ()) = tokio::join!(end(&mut caller), ends);
        assert_eq!(ended, "[50,1,{},[\"end\"]]", "{way:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_goes_to_a_callee_that_reads() {
    for way in WAYS {
        let router = router();
        let mut slow = piped(&router, way.0, Serializer::Json, way.1).await;
        let mut quick = attach_joined(&router, Serializer::Json).await;
        for callee in [&mut slow, &mut quick] {
            callee.say(r#"[64,1,{"invoke":"first"},"com.myapp.shared"]"#).await;
            callee.hear().await;
        }
        slow.say(r#"[64,2,{},"com.myapp.own"]"#).await;
        slow.hear().await;
        let mut feeder = attach_joined(&router, Serializer::Json).await;
        let mut request = 0;
        let filler = "x".repeat(CHUNK);
        fill(&mut feeder, || {
            request += 1;
            format!(r#"[48,{request},{{}},"com.myapp.own",["{filler}"]]"#)
        })
        .await;
        let mut caller = attach_joined(&router, Serializer::Json).await;
        caller.say(r#"[48,1,{},"com.myapp.own"]"#).await;
        assert!(caller.hear().await.starts_with(r#"[8,48,1,{},"wamp.error.unavailable","#), "{way:?}");
        caller.say(r#"[48,2,{},"com.myapp.shared"]"#).await;
        assert!(quick.hear().await.starts_with("[68,1,"), "{way:?}");
        assert_eq!(router.stats().total.unavailable, 1, "{way:?}");
        // The session that feeds it goes on when it reads.
        let reads = async {
            loop {
                slow.hear().await;
            }
        };
        let goes_on = async {
            feeder.flush().await.unwrap();
            feeder.settle(request + 1).await;
        };
        tokio::select! {
            () = reads => unreachable!(),
            () = goes_on => {}
        }
    }
}

/// Links become full and have room again all the time, on several threads; none may stay held for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_wake_up_is_lost_when_links_fill_and_drain_at_once() {
    const STREAMS: usize = 8;
    const CHUNKS: usize = 1500;
    let mut limits =
        Limits { high_water: 4 << 10, low_water: 3 << 10, memory: 64 << 10, ..Limits::default() };
    // The end of a call would release it.
    limits.stall = 1000 * SECOND;
    limits.give_up = 1000 * SECOND;
    let sessions =
        SessionLimits { holding: 1000 * SECOND, holding_window: 1000 * SECOND, ..SessionLimits::default() };
    let router = Router::builder().limits(limits).session_limits(sessions).build();
    let mut tasks = Vec::new();
    // Two callers call each callee, so that one holds the callee that the other waits for.
    for i in 0..STREAMS {
        let mut callee = piped(&router, Way::Memory, Serializer::Json, 2048).await;
        callee.register(&format!("com.myapp.p{i}")).await;
        let mut callers = Vec::new();
        for _ in 0..2 {
            let mut caller = piped(&router, Way::RawSocket, Serializer::MsgPack, 512).await;
            caller.say(&format!(r#"[48,1,{{"receive_progress":true}},"com.myapp.p{i}"]"#)).await;
            callee.hear().await;
            callers.push(caller);
        }
        tasks.push(tokio::spawn(async move {
            let filler = "x".repeat(200);
            for chunk in 0..CHUNKS {
                for call in 1..=2 {
                    callee.say(&format!(r#"[70,{call},{{"progress":true}},[{chunk},"{filler}"]]"#)).await;
                }
            }
            callee.say_all(&["[70,1,{}]", "[70,2,{}]"]).await;
        }));
        for (pace, mut caller) in (2..).zip(callers) {
            tasks.push(tokio::spawn(async move {
                for chunk in 0..CHUNKS {
                    if chunk % (pace * 50) == 0 {
                        tokio::time::sleep(SECOND / 1000).await;
                    }
                    let start = format!(r#"[50,1,{{"progress":true}},[{chunk},"x"#);
                    let heard = caller.hear().await;
                    assert!(heard.starts_with(&start), "{heard} is not {start}");
                }
                caller.expect("[50,1,{}]").await;
            }));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    // The last bytes may be at the caller before the router notices that they are written.
    within(async {
        while router.stats().now.held > 0 {
            tokio::time::sleep(SECOND / 1000).await;
        }
    })
    .await;
    let stats = router.stats();
    assert!(stats.total.holds as usize > STREAMS, "{stats:?}");
    assert_eq!(stats.total.progressive_results as usize, 2 * STREAMS * CHUNKS);
}
