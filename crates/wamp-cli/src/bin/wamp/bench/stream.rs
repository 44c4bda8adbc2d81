//! Progressive results.

use wamp_client::{Bytes, Invocation};

use super::measure::{Report, Times};
use super::{Load, Stage};
use crate::fail::Fail;

pub(super) async fn run(stage: &Stage<'_>, load: &Load) -> Result<Report, Fail> {
    let (callee, caller) = (stage.join().await?, stage.join().await?);
    let procedure = load.uri(&callee);
    let (pace, payload) = (load.pace(), load.payload());
    let results = {
        let pace = pace.clone();
        move |call: Invocation| {
            let (pace, payload) = (pace.clone(), payload.clone());
            async move {
                if let Some(progress) = call.progress() {
                    while let Some(due) = pace.next().await {
                        progress.send((due, &payload)).await?;
                    }
                }
                Ok(())
            }
        }
    };
    let registered = callee.register(procedure.clone(), results).await;
    registered.map_err(|error| Fail::request(&procedure, &error))?;
    let worker = || async {
        let failed = |error| Fail::call(&procedure, &error);
        let mut times = Times::new();
        let mut results =
            caller.call(procedure.clone()).progressive::<(u64, Bytes)>().await.map_err(failed)?;
        while let Some((due, _)) = results.try_next().await.map_err(failed)? {
            times.note(due, pace.now());
        }
        Ok::<_, Fail>(times)
    };
    let measured = load.measure(&pace, worker).await?;
    let _ = tokio::join!(caller.leave(), callee.leave());
    Ok(Report { kind: "stream", about: load.about(), counted: "results", size: load.size, measured })
}
