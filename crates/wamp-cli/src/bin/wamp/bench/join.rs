//! Sessions that join and leave.

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
    let measured = load.measure(&pace, worker).await?;
    let rate = load.rate.map(|rate| format!(", {rate}/s wanted")).unwrap_or_default();
    let about = format!("{} at a time{rate}", load.concurrency);
    Ok(Report { kind: "join", about, counted: "joins", size: 0, measured })
}
