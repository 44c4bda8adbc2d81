//! A two-way call whose callee stops reading the chunks.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::Notify;
use tokio::time::timeout;
use wamp_client::{CallStream, Failure, Invocation, Session};

use super::outcome::{End, Outcome, Span, Verdict};
use super::scene::{Callee, RESULT_BYTES, Scene};
use super::{SAME, UNRELATED, caller, scene};
use crate::Failed;
use crate::numbered::{Numbered, Template};
use crate::options::{Options, Stop};
use crate::order::{Order, Wrong};
use crate::target::Target;

const POUR: &str = "bench.pour";

/// The limit of the router's growth, in MiB.
const GROWTH: u64 = 2;

/// The callee's report: the number of chunks, and of lost, doubled and misplaced ones.
type Told = (u64, u64, u64, u64);

pub(super) async fn duplex(options: &Options, name: String, stop: Stop) -> Result<Verdict, Failed> {
    let target = Target::start(options).await?;
    let way = caller::way(options, &target, stop).await?;
    let session = caller::join(options, &target, way.as_ref()).await?;
    let (first, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    register(&session, options.results, first.clone(), go.clone()).await?;
    let callee = Callee::over(session).await?;
    let scene = Scene::start(options, target, callee).await?;

    let uploader = scene::join(options, &scene.target).await?;
    let upload = upload(&uploader, options.results);
    let pause = async {
        first.notified().await;
        let span = match &way {
            None => {
                let from = Instant::now();
                tokio::time::sleep(options.pause).await;
                Span { from, to: Instant::now() }
            }
            Some(proxy) => {
                // The application goes on.
                go.notify_one();
                proxy.stop_for(options.pause).await
            }
        };
        go.notify_one();
        span
    };
    let both = async { tokio::join!(upload, pause) };
    let (told, span) = timeout(scene.patience(), both).await.map_err(|_| "it never ended")?;
    let outcome = match told? {
        Ok((received, lost, doubled, misordered)) => {
            Outcome { received, wrong: Wrong { lost, doubled, misordered }, end: End::Result, span }
        }
        Err(end) => Outcome { received: 0, wrong: Wrong::default(), end, span },
    };
    let mut ended = scene.end(name);
    let (unrelated, same) = (ended.unrelated(span), ended.same(span));
    let verdict = &mut ended.verdict;
    verdict.calls(&[outcome], &[End::Result]);
    verdict.growth_below(GROWTH);
    verdict.unrelated(unrelated, Some(UNRELATED));
    // A callee whose socket is not read answers no call.
    verdict.same(same, (stop == Stop::App).then_some(SAME));
    Ok(ended.verdict)
}

/// A handler that takes one chunk, waits for a signal, and takes the rest.
async fn register(callee: &Session, sent: u64, first: Arc<Notify>, go: Arc<Notify>) -> Result<(), Failed> {
    callee
        .register(POUR, move |call: Invocation| {
            let (first, go) = (first.clone(), go.clone());
            async move {
                let (mut chunks, mut order, mut received) = (call.chunks::<Numbered>(), Order::default(), 0);
                while let Some(chunk) = chunks.next().await {
                    order.see(chunk?.number);
                    received += 1;
                    if received == 1 {
                        first.notify_one();
                        go.notified().await;
                    }
                }
                let Wrong { lost, doubled, misordered } = order.wrong_of(sent);
                Ok::<Told, Failure>((received, lost, doubled, misordered))
            }
        })
        .await?;
    Ok(())
}

/// Uploads at full speed. Returns the callee's report, or another end of the call.
async fn upload(session: &Session, chunks: u64) -> Result<Result<Told, End>, Failed> {
    let (mut up, down): (_, CallStream<()>) = session.call(POUR).duplex::<()>().await?;
    let mut template = Template::new(RESULT_BYTES);
    for number in 0..chunks {
        // The other direction has the reason of the end.
        if up.send(template.with(number).to_owned()).await.is_err() {
            break;
        }
    }
    let _ = up.end().await;
    Ok(down.finish::<Told>().await.map_err(|error| End::from(&error)))
}
