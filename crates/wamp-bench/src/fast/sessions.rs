//! The cost of idle sessions, and the rate at which sessions join.

use std::time::Instant;

use futures_util::{StreamExt, TryStreamExt, stream};
use wamp_client::Serializer;

use super::Bench;
use super::stream::spent;
use crate::options::Transport;
use crate::report::Row;
use crate::target::Target;
use crate::{Failed, process};

/// The number of sessions that join at a time.
const AT_ONCE: usize = 32;

/// Memory of the router with this many sessions, minus that with one.
pub(super) async fn idle(bench: &Bench<'_>, transport: Transport) -> Result<Row, Failed> {
    let sessions = bench.options.sessions;
    process::need_files(sessions as u64 + 64)?;
    let target = Target::start(bench.options).await?;
    let serializer = bench.options.serializer.unwrap_or(Serializer::MsgPack);
    let first = target.join(transport, serializer).await?;
    bench.settle().await;
    let before = target.memory();
    let joined: Vec<_> = stream::iter(0..sessions)
        .map(|_| target.join(transport, serializer))
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await?;
    bench.settle().await;
    let after = target.memory();
    drop((first, joined));
    let each = after.zip(before).map(|(after, before)| (after as f64 - before as f64) / sessions as f64);
    Ok(Row {
        memory: after.map(|bytes| bytes as f64),
        own: each.map(|bytes| ("KiB per session", bytes / 1024.0)).into_iter().collect(),
        ..Row::default()
    })
}

/// Sessions that join and leave, with GOODBYE, at full speed.
pub(super) async fn join(bench: &Bench<'_>, transport: Transport) -> Result<Row, Failed> {
    let target = Target::start(bench.options).await?;
    let serializer = bench.options.serializer.unwrap_or(Serializer::MsgPack);
    let (cpu, start) = (target.cpu(), Instant::now());
    let end = start + bench.options.secs;
    let mut workers = tokio::task::JoinSet::new();
    for _ in 0..AT_ONCE {
        let (url, realm) = (target.url(transport).to_owned(), target.realm().to_owned());
        workers.spawn(async move {
            let mut joined = 0;
            while Instant::now() < end {
                let session =
                    wamp_client::connect(url.as_str()).realm(realm.as_str()).serializer(serializer).await?;
                session.leave().await;
                joined += 1;
            }
            Ok::<u64, Failed>(joined)
        });
    }
    let mut joined = 0;
    while let Some(worker) = workers.join_next().await {
        joined += worker??;
    }
    let rate = joined as f64 / start.elapsed().as_secs_f64();
    Ok(Row {
        rate: Some(rate),
        cpu: spent(&target, cpu).map(|used| used * 1e6 / joined as f64),
        memory: target.memory().map(|bytes| bytes as f64),
        ..Row::default()
    })
}
