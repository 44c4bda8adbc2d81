//! Calls that are echoed.

use wamp_client::Invocation;

use super::measure::{Report, Times};
use super::{Load, Stage};
use crate::fail::Fail;

pub(super) async fn run(stage: &Stage<'_>, load: &Load) -> Result<Report, Fail> {
    let (callee, caller) = (stage.join().await?, stage.join().await?);
    let procedure = load.uri(&callee);
    let echo = |call: Invocation| async move { Ok(call.payload().clone()) };
    let registered = callee.register(procedure.clone(), echo).await;
    registered.map_err(|error| Fail::request(&procedure, &error))?;
    let (pace, payload) = (load.pace(), load.payload());
    let worker = || async {
        let mut times = Times::new();
        while let Some(due) = pace.next().await {
            let called = caller.call(procedure.clone()).arg(&payload).await;
            called.map_err(|error| Fail::call(&procedure, &error))?;
            times.note(due, pace.now());
        }
        Ok::<_, Fail>(times)
    };
    let measured = load.measure(&pace, worker).await?;
    let _ = tokio::join!(caller.leave(), callee.leave());
    Ok(Report { kind: "call", about: load.about(), counted: "calls", size: load.size, measured })
}
