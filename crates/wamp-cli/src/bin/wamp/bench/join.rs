//! Sessions that join and leave.

use std::time::Duration;

use futures_util::future::try_join_all;

use super::measure::{Report, Times};
use super::{Load, Stage};
use crate::fail::Fail;

pub(super) async fn run(stage: &Stage<'_>, load: &Load) -> Result<Report, Fail> {
    // The first error is told before the time runs.
    stage.join().await?.leave().await;
    let pace = load.pace();
    let worker = || async {
        let mut times = Times::new();
        loop {
            // Files and credentials are read before the time of a join runs.
            let connect = stage.prepare().await?;
            let Some(due) = pace.next().await else { break };
            let session = connect.send().await;
            let session = session.map_err(|error| Fail::connect(&error, stage.settings.realm()))?;
            times.note(due, pace.now());
            session.leave().await;
        }
        Ok::<_, Fail>(times)
    };
    let times = try_join_all((0..load.concurrency).map(|_| worker())).await?;
    let time = Duration::from_nanos(pace.now());
    let rate = load.rate.map(|rate| format!(", {rate}/s wanted")).unwrap_or_default();
    let about = format!("{} at a time{rate}", load.concurrency);
    let (times, lost) = (Times::sum(times), pace.omitted());
    Ok(Report { kind: "join", about, counted: "joins", time, times, size: 0, lost })
}
