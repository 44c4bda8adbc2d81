//! Our clients while Crossbar.io is killed, ended and stopped under load. `KILLS` is how often, 3 by default.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use wamp_client::{CallError, Connect, EventStream, Invocation, Keepalive, Session, Standing, connect};

use crate::log::Log;
use crate::peer::Transport;
use crate::process::PATIENCE;
use crate::report::say;
use crate::routers::{Running, Which};
use crate::run::{Chapter, Outcome, with_log};
use crate::tools::Tools;

const SECOND: Duration = Duration::from_secs(1);

/// Longer than both ends of a session wait for a sign of life.
const STOPPED: Duration = Duration::from_secs(3);

const TITLE: &str = "L: our callee and caller come back to Crossbar.io (not nexus: it is written in Go, and no registry \
                     that install.sh uses has it)";

const ROW: &str = "Crossbar.io killed, ended and stopped under load";

/// The row, unless other ones are wanted.
pub async fn chapter(tools: &Tools, wanted: &[String]) -> Option<Chapter> {
    if !wanted.is_empty() && !wanted.iter().any(|word| ROW.contains(&**word)) {
        return None;
    }
    let (started, log) = (Instant::now(), Log::default());
    let result = play(tools, &log).await.map_err(|why| with_log(why, &log));
    Some(Chapter { title: TITLE, outcomes: vec![Outcome { row: ROW, took: started.elapsed(), result }] })
}

/// How calls have ended.
#[derive(Default)]
struct Tally {
    served: AtomicUsize,
    failed: AtomicUsize,
}

async fn play(tools: &Tools, log: &Log) -> Result<(), String> {
    let kills = std::env::var("KILLS")
        .map_or(Ok(3), |kills| kills.parse())
        .map_err(|error| format!("KILLS: {error}"))?;
    let mut router = Running::start(Which::Crossbar, tools).await?;
    let (address, url) = (router.address(), router.url(Transport::WebSocket));
    let callee = quickly(&url).await.map_err(|error| error.to_string())?;
    let caller = quickly(&url).await.map_err(|error| error.to_string())?;
    let twice = |call: Invocation| async move { Ok(2 * call.decode::<u64>()?) };
    let registration =
        callee.register("com.example.twice", twice).await.map_err(|error| error.to_string())?;
    let events = callee.subscribe_stream("com.example.topic").await;
    let mut events = events.map_err(|error| error.to_string())?;
    let tally = Arc::new(Tally::default());
    let mut tasks = JoinSet::new();
    for _ in 0..4 {
        tasks.spawn(load(caller.clone(), tally.clone()));
    }
    let mut slowest = Duration::ZERO;
    for kill in 0..kills {
        let before = callee.id();
        match ["KILL", "TERM", "STOP"][kill % 3] {
            "STOP" => {
                router.signal("STOP").await?;
                sleep(STOPPED).await;
                router.signal("CONT").await?;
            }
            signal => {
                match signal {
                    "KILL" => router.kill().await?,
                    _ => router.stop().await?,
                }
                router = Running::restart_crossbar(address, log.clone()).await?;
            }
        }
        let begin = Instant::now();
        let again = async {
            while callee.id() == before || registration.state() != Some(Standing::Up) {
                sleep(SECOND / 100).await;
            }
            delivers(&caller, &mut events, kill).await?;
            let answered = tally.served.load(Ordering::Relaxed);
            while tally.served.load(Ordering::Relaxed) == answered {
                sleep(SECOND / 100).await;
            }
            Ok::<_, String>(())
        };
        timeout(PATIENCE, again).await.map_err(|_| format!("not back after {kill} kills"))??;
        slowest = slowest.max(begin.elapsed());
        // The next one is under load, too.
        sleep(SECOND).await;
        if let Some(ended) = tasks.try_join_next() {
            return Err(ended.unwrap_or_else(|error| error.to_string()));
        }
    }
    tasks.shutdown().await;
    let Tally { served, failed } = &*tally;
    say(&format!(
        "{kills} times: {served:?} calls served, {failed:?} failed, in service again after {slowest:?} at most"
    ));
    callee.leave().await;
    caller.leave().await;
    router.stop().await
}

fn quickly(url: &str) -> Connect {
    let keepalive = Keepalive::default().silence(SECOND).answer(SECOND);
    connect(url).backoff(SECOND / 200, SECOND / 5).keepalive(keepalive)
}

/// Publishes one event, and receives just this one.
async fn delivers(session: &Session, events: &mut EventStream, number: usize) -> Result<(), String> {
    let published = session.publish("com.example.topic").arg(number).acknowledge().when_up(PATIENCE).await;
    published.map_err(|error| format!("cannot publish: {error}"))?;
    let event = events.next().await.ok_or("the subscription has ended")?;
    match event.decode::<usize>() {
        Ok(received) if received == number => Ok(()),
        other => Err(format!("the event {other:?} instead of {number}")),
    }
}

/// Calls without end, and counts how the calls end. Returns what is wrong with one.
async fn load(session: Session, tally: Arc<Tally>) -> String {
    let mut number = 0_u64;
    loop {
        number += 1;
        match timeout(PATIENCE, session.call("com.example.twice").arg(number)).await {
            Err(_) => return "a call has no end".to_owned(),
            Ok(Ok(result)) => match result.decode::<u64>() {
                Ok(twice) if twice == 2 * number => drop(tally.served.fetch_add(1, Ordering::Relaxed)),
                other => return format!("{other:?} is not twice {number}"),
            },
            Ok(Err(
                CallError::Disconnected { .. } | CallError::Canceled { .. } | CallError::Application { .. },
            )) => {
                tally.failed.fetch_add(1, Ordering::Relaxed);
                // The router that starts meanwhile needs the processor.
                sleep(SECOND / 50).await;
            }
            Ok(Err(error)) => return format!("a call has failed: {error}"),
        }
    }
}
