//! Many streams at once.

use std::time::Instant;

use futures_util::future::try_join_all;

use super::stream::{spent, take_all};
use super::{Bench, Case};
use crate::Failed;
use crate::callee::{self, FLOOD};
use crate::locks::LockMeter;
use crate::order::Wrong;
use crate::report::Row;
use crate::target::Target;

/// Connections of callers. All call the one callee.
const CONNECTIONS: usize = 16;

/// Streams of each of them.
const STREAMS: usize = 16;

pub(super) async fn fan(bench: &Bench<'_>, case: Case) -> Result<Row, Failed> {
    let null = bench.null.stream(case.frame()?, bench.options.secs).await?;
    let mut target = Target::start(bench.options).await?;
    let callee = case.join_callee(&target).await?;
    callee::register(&callee).await?;
    let callers = try_join_all((0..CONNECTIONS).map(|_| case.join_caller(&target))).await?;
    take_all(&callers[0], FLOOD, case.payload, bench.warm_up()).await?;
    let alone = take_all(&callers[0], FLOOD, case.payload, bench.options.secs).await?;
    let alone = alone.results as f64 / bench.options.secs.as_secs_f64();

    let locks = LockMeter::start(&mut target).await?;
    let (cpu, start, secs) = (target.cpu(), Instant::now(), bench.options.secs);
    let streams = callers.iter().flat_map(|caller| std::iter::repeat_n(caller, STREAMS));
    let tasks = streams.map(|caller| {
        let caller = caller.clone();
        tokio::spawn(async move { take_all(&caller, FLOOD, case.payload, secs).await })
    });
    let mut wrong = Wrong::default();
    let mut shares = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        let streamed = task.await??;
        wrong.add(streamed.wrong);
        shares.push(streamed.results as f64);
    }
    let results: f64 = shares.iter().sum();
    let rate = results / start.elapsed().as_secs_f64();
    let mut own = vec![("Jain's index", fairness(&shares)), ("against one stream:", rate / alone)];
    own.extend(locks.end(&mut target, results).await?);
    Ok(Row {
        rate: Some(rate),
        of_null: null.rate.map(|null| rate / null),
        cpu: spent(&target, cpu).map(|used| used * 1e6 / results),
        memory: target.memory().map(|bytes| bytes as f64),
        wrong: Some(wrong),
        own,
        ..Row::default()
    })
}

/// Jain's index: 1 where all have the same, 1/n where one has all.
pub(crate) fn fairness(shares: &[f64]) -> f64 {
    let (sum, squares) = shares.iter().fold((0.0, 0.0), |(sum, squares), x| (sum + x, squares + x * x));
    sum * sum / (shares.len() as f64 * squares)
}

#[cfg(test)]
mod tests {
    use super::fairness;

    #[test]
    fn the_index_is_one_for_equal_shares() {
        assert_eq!(fairness(&[5.0; 4]), 1.0);
        assert_eq!(fairness(&[1.0, 0.0, 0.0, 0.0]), 0.25);
    }
}
