//! The cost of a call among many registrations, compared with the same call among ten.

use std::ops::Range;

use futures_util::{StreamExt, TryStreamExt, stream};
use wamp_client::{MatchPolicy, Serializer, Session};

use super::Bench;
use super::calls::{Procedures, call_all};
use super::stream::spent;
use crate::report::{Row, Times};
use crate::target::Target;
use crate::{Failed, callee};

/// The number of registrations at first.
const FEW: usize = 10;

/// Registrations of one session; a router may limit them.
const OF_ONE_SESSION: usize = 25_000;

/// Outstanding calls, enough to make the router the bottleneck.
const AT_ONCE: usize = 64;

/// The match policies of the registrations.
#[derive(Clone, Copy, Debug)]
pub(super) enum Match {
    Exact,
    Prefix,
    Wildcard,
}

impl Match {
    pub(super) const ALL: [Match; 3] = [Match::Exact, Match::Prefix, Match::Wildcard];

    pub(super) fn name(self) -> &'static str {
        match self {
            Match::Exact => "exact",
            Match::Prefix => "prefix",
            Match::Wildcard => "wildcard",
        }
    }

    fn policy(self) -> MatchPolicy {
        match self {
            Match::Exact => MatchPolicy::Exact,
            Match::Prefix => MatchPolicy::Prefix,
            Match::Wildcard => MatchPolicy::Wildcard,
        }
    }

    /// The n-th registration, and a procedure that it matches.
    fn names(self, number: usize) -> (String, String) {
        match self {
            Match::Exact => (format!("bench.r{number}.run"), format!("bench.r{number}.run")),
            Match::Prefix => (format!("bench.r{number}."), format!("bench.r{number}.run")),
            Match::Wildcard => (format!("bench..r{number}"), format!("bench.run.r{number}")),
        }
    }
}

pub(super) async fn registrations(bench: &Bench<'_>, policy: Match) -> Result<Row, Failed> {
    let options = bench.options;
    let target = Target::start(options).await?;
    let (transport, serializer) = (options.transport(), options.serializer.unwrap_or(Serializer::MsgPack));
    let caller = target.join(transport, serializer).await?;
    let all = options.registrations.max(FEW);
    // The ten are spread over the same number of links as all: fewer links would have larger batches.
    let sessions = all.div_ceil(OF_ONE_SESSION).min(FEW);
    let mut callees = Vec::new();
    for _ in 0..sessions {
        callees.push(target.join(transport, serializer).await?);
    }
    let part = |numbers: Range<usize>, session| numbers.skip(session).step_by(sessions);
    for (session, callee) in callees.iter().enumerate() {
        register(callee, policy, part(0..FEW, session)).await?;
    }
    let few = measure(bench, &target, &caller, policy, FEW).await?;
    for (session, callee) in callees.iter().enumerate() {
        register(callee, policy, part(FEW..all, session)).await?;
    }
    let many = measure(bench, &target, &caller, policy, all).await?;
    let cost = |row: &Row| row.cpu.or_else(|| row.rate.map(|rate| 1.0 / rate));
    let ratio = cost(&many).zip(cost(&few)).map(|(many, few)| ("against 10:", many / few));
    Ok(Row { own: ratio.into_iter().collect(), ..many })
}

async fn register(
    callee: &Session,
    policy: Match,
    numbers: impl Iterator<Item = usize>,
) -> Result<(), Failed> {
    stream::iter(numbers)
        .map(|number| async move {
            callee.register(policy.names(number).0, callee::echo).matching(policy.policy()).await.map(drop)
        })
        .buffer_unordered(256)
        .try_collect::<()>()
        .await?;
    Ok(())
}

/// Calls them in a scattered order.
async fn measure(
    bench: &Bench<'_>,
    target: &Target,
    caller: &Session,
    policy: Match,
    registrations: usize,
) -> Result<Row, Failed> {
    let procedures = || {
        Procedures::new(move |number| {
            let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
            policy.names((scattered % registrations as u64) as usize).1
        })
    };
    call_all(caller, procedures(), 16, AT_ONCE, bench.warm_up()).await?;
    let (cpu, start) = (target.cpu(), std::time::Instant::now());
    let times = call_all(caller, procedures(), 16, AT_ONCE, bench.options.secs).await?;
    let count = times.len() as f64;
    Ok(Row {
        rate: Some(count / start.elapsed().as_secs_f64()),
        times: Times::of(times),
        cpu: spent(target, cpu).map(|used| used * 1e6 / count),
        memory: target.memory().map(|bytes| bytes as f64),
        ..Row::default()
    })
}
