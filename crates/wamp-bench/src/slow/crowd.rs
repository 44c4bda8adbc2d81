//! Many slow streams at once: one for each of many callers, or all of one caller.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::time::timeout;
use wamp_client::Session;

use super::outcome::{End, Outcome, Span, Verdict};
use super::proxy::Proxy;
use super::scene::{Callee, Scene};
use super::{UNRELATED, caller};
use crate::options::{Library, Options, Stop};
use crate::target::Target;
use crate::{Failed, process};

/// The limit of the router's memory for all of them.
const GROWTH: u64 = 96;

/// The longest wait for a callee that a stalled link holds.
const STALL: Duration = Duration::from_secs(5);

/// Each caller has a session and one stream.
pub(super) async fn crowd(options: &Options, name: String, stop: Stop) -> Result<Verdict, Failed> {
    process::need_files(3 * options.callers + 64)?;
    let target = Target::start(options).await?;
    let callee = Callee::join(options, &target, Library::Ours).await?;
    let scene = Scene::start(options, target, callee).await?;
    let way = caller::way(options, &scene.target, stop).await?.map(Arc::new);
    // Each stream must be longer than the buffers of the sockets, which are not the router's.
    let results = match stop {
        Stop::App => options.results.div_ceil(1000),
        Stop::Socket => options.results.div_ceil(250),
    };
    let mut sessions = Vec::new();
    for _ in 0..options.callers {
        sessions.push(caller::join(options, &scene.target, way.as_deref()).await?);
    }
    let outcomes = timeout(scene.patience(), streams(options, sessions, results, way)).await;
    let outcomes = outcomes.map_err(|_| "it never ended")??;
    let mut ended = scene.end(name);
    let span = longest(&outcomes);
    let (unrelated, same) = (ended.unrelated(span), ended.same(span));
    let verdict = &mut ended.verdict;
    verdict.calls(&outcomes, &[End::Result]);
    verdict.growth_below(GROWTH);
    verdict.unrelated(unrelated, None);
    verdict.same(same, None);
    Ok(ended.verdict)
}

/// One session has all streams.
pub(super) async fn stalled(
    options: &Options,
    name: String,
    callee: Library,
    stop: Stop,
) -> Result<Verdict, Failed> {
    let target = Target::start(options).await?;
    let callee = Callee::join(options, &target, callee).await?;
    let scene = Scene::start(options, target, callee).await?;
    let way = caller::way(options, &scene.target, stop).await?.map(Arc::new);
    let session = caller::join(options, &scene.target, way.as_deref()).await?;
    let sessions = vec![session; options.streams as usize];
    let results = options.results.div_ceil(options.streams.max(1));
    let outcomes = timeout(scene.patience(), streams(options, sessions, results, way)).await;
    let outcomes = outcomes.map_err(|_| "it never ended")??;
    let mut ended = scene.end(name);
    let span = longest(&outcomes);
    let (unrelated, same) = (ended.unrelated(span), ended.same(span));
    let verdict = &mut ended.verdict;
    verdict.calls(&outcomes, &[End::Result, End::Canceled, End::Lagged]);
    verdict.unrelated(unrelated, Some(UNRELATED));
    if same.meanwhile.long > 1 || same.meanwhile.worst > STALL || same.meanwhile.times.is_none() {
        verdict.miss("the other caller: one wait of at most 5 s wanted");
    }
    if same.meanwhile.failed > 0 {
        verdict.miss("calls of the other caller failed");
    }
    verdict.same(same, None);
    Ok(ended.verdict)
}

/// One stream on each session; all stop at once.
async fn streams(
    options: &Options,
    sessions: Vec<Session>,
    results: u64,
    way: Option<Arc<Proxy>>,
) -> Result<Vec<Outcome>, Failed> {
    let tasks = sessions.into_iter().map(|session| {
        let (options, way) = (options.clone(), way.clone());
        tokio::spawn(async move {
            let stream = caller::flood(&session, Some(results)).await?;
            Ok::<_, Failed>(caller::stop_and_go(&options, stream, way.as_deref()).await)
        })
    });
    let tasks: Vec<_> = tasks.collect();
    join_all(tasks).await.into_iter().map(|outcome| outcome?).collect()
}

/// From the first that stopped to the last that went on.
fn longest(outcomes: &[Outcome]) -> Span {
    let now = Instant::now();
    Span {
        from: outcomes.iter().map(|outcome| outcome.span.from).min().unwrap_or(now),
        to: outcomes.iter().map(|outcome| outcome.span.to).max().unwrap_or(now),
    }
}
