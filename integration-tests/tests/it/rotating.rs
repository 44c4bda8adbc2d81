//! Callers that do not read hold a callee in turns and come back as new sessions; an innocent caller is not
//! harmed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::{Instant, sleep};
use wamp_proto::{Message, Serializer};
use wamp_router::{Limits, Router};

use crate::peer::json;
use crate::support::{Peer, Way, attach_joined, piped};

const SECOND: Duration = Duration::from_secs(1);
const HIGH: usize = 32 << 10;

/// Answers each call of `v.quick` at once, and each of `v.big` with much data, streamed if `streams`.
async fn victim(mut victim: Peer, streams: bool) {
    let big = victim.register("com.myapp.big").await;
    victim.say(r#"[64,2,{},"com.myapp.quick"]"#).await;
    victim.hear().await;
    let filler = "x".repeat(2 * HIGH);
    loop {
        let Message::Invocation(invocation) = victim.message().await else { continue };
        let request = invocation.request;
        if invocation.registration.get() != big {
            victim.say(&format!("[70,{request},{{}},[1]]")).await;
        } else if streams {
            victim.say(&format!(r#"[70,{request},{{"progress":true}},["{filler}"]]"#)).await;
        } else {
            victim.say(&format!(r#"[70,{request},{{}},["{filler}"]]"#)).await;
        }
    }
}

/// Calls and does not read, and comes back as a new session when it has lost its calls, or after a while.
async fn attacker(router: Router, seed: u64, calls: u64) {
    for round in 0.. {
        let mut peer = piped(&router, Way::RawSocket, Serializer::Json, 1024).await;
        for request in 1..=calls {
            peer.say(&format!(r#"[48,{request},{{"receive_progress":true}},"com.myapp.big"]"#)).await;
        }
        sleep(Duration::from_millis(100 + (seed * 7919 + round * 977) % 2900)).await;
    }
}

/// The waits of calls made each 100 ms, for this long.
async fn innocent(mut peer: Peer, lasts: Duration) -> Vec<(Instant, Duration)> {
    let start = Instant::now();
    let mut waits = Vec::new();
    for request in 1.. {
        let since = Instant::now();
        if since - start > lasts {
            break;
        }
        peer.say(&format!(r#"[48,{request},{{}},"com.myapp.quick"]"#)).await;
        let answer = json(&peer.message().await);
        assert_eq!(answer, format!("[50,{request},{{}},[1]]"));
        waits.push((since, since.elapsed()));
        sleep(SECOND / 10).await;
    }
    waits
}

#[tokio::test(start_paused = true)]
async fn however_many_hold_a_callee_in_turns_an_innocent_call_waits_for_one_share() {
    for (attackers, calls) in [(1, 8), (8, 4), (64, 1)] {
        for streams in [false, true] {
            let limits = Limits { high_water: HIGH, low_water: HIGH / 4 * 3, ..Limits::default() };
            let router = Router::builder().limits(limits).build();
            let peer = piped(&router, Way::RawSocket, Serializer::Json, 4096).await;
            let mut tasks = vec![tokio::spawn(victim(peer, streams))];
            let quick = attach_joined(&router, Serializer::Json).await;
            let going = Arc::new(AtomicBool::new(true));
            for seed in 0..attackers {
                let (router, going) = (router.clone(), going.clone());
                tasks.push(tokio::spawn(async move {
                    sleep(Duration::from_millis(10 * seed)).await;
                    if going.load(Ordering::Relaxed) {
                        attacker(router, seed, calls).await;
                    }
                }));
            }
            let waits = innocent(quick, 14 * SECOND).await;
            going.store(false, Ordering::Relaxed);
            // The sum of all waits in any window of 10 s; the worst window begins or ends with a wait.
            let within = |from: Instant| {
                let to = from + 10 * SECOND;
                let part = |(at, wait): &(Instant, Duration)| (*at + *wait).min(to) - (*at).clamp(from, to);
                waits.iter().map(part).sum::<Duration>()
            };
            let ends = waits.iter().map(|(at, wait)| within((*at + *wait).checked_sub(10 * SECOND).unwrap()));
            let most = waits.iter().map(|(at, _)| within(*at)).chain(ends).max().unwrap();
            assert!(most <= SECOND * 5 / 2, "{attackers} attackers, streams {streams}: {most:?} in 10 s");
            assert!(router.stats().total.holds > 0, "no session was held");
            tasks.iter().for_each(tokio::task::JoinHandle::abort);
        }
    }
}
