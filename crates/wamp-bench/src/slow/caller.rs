//! Our own callers that stop reading for a while, in two ways.

use std::time::Instant;

use wamp_client::{CallStream, Session};

use super::outcome::{End, Outcome, Span};
use super::proxy::Proxy;
use super::scene::{self, RESULT_BYTES};
use crate::callee::{FLOOD, Flood};
use crate::numbered::Numbered;
use crate::options::{Options, Stop};
use crate::order::Order;
use crate::target::Target;
use crate::{Failed, report};

/// The path between a caller and the router.
pub(super) async fn way(options: &Options, target: &Target, stop: Stop) -> Result<Option<Proxy>, Failed> {
    match stop {
        Stop::App => Ok(None),
        Stop::Socket => Ok(Some(Proxy::start(target.url(options.transport()), None).await?)),
    }
}

/// A caller's session over that path.
pub(super) async fn join(options: &Options, target: &Target, way: Option<&Proxy>) -> Result<Session, Failed> {
    match way {
        Some(proxy) => scene::join_at(options, target, proxy.url()).await,
        None => scene::join(options, target).await,
    }
}

/// Calls for this many results, or for any number.
pub(super) async fn flood(caller: &Session, results: Option<u64>) -> Result<CallStream<Numbered>, Failed> {
    let wanted: Flood = (RESULT_BYTES, results, None);
    Ok(caller.call(FLOOD).args(wanted).progressive().await?)
}

/// Takes one result, stops for a pause, and takes all others. With a proxy, the proxy stops and the
/// application goes on.
pub(super) async fn stop_and_go(
    options: &Options,
    mut results: CallStream<Numbered>,
    way: Option<&Proxy>,
) -> Outcome {
    let mut taken = Taken::default();
    taken.next(&mut results).await;
    let span = match way {
        None => {
            let from = Instant::now();
            tokio::time::sleep(options.pause).await;
            Span { from, to: Instant::now() }
        }
        Some(proxy) => {
            let stopped = proxy.stop_for(options.pause);
            tokio::pin!(stopped);
            loop {
                tokio::select! {
                    span = &mut stopped => break span,
                    () = taken.next(&mut results), if taken.end.is_none() => {}
                }
            }
        }
    };
    while taken.end.is_none() {
        taken.next(&mut results).await;
    }
    taken.finish(results, span).await
}

/// The results that were taken of a stream.
#[derive(Default)]
pub(super) struct Taken {
    order: Order,
    received: u64,
    /// The end of the progressive results.
    pub(super) end: Option<End>,
}

impl Taken {
    /// Takes one more, or notices the end.
    pub(super) async fn next(&mut self, results: &mut CallStream<Numbered>) {
        match results.next().await {
            Some(Ok(result)) => {
                self.received += 1;
                self.order.see(result.number);
            }
            Some(Err(error)) => self.end = Some(End::from(&error)),
            None => self.end = Some(self.end.take().unwrap_or(End::Result)),
        }
    }

    /// The last result is their number.
    pub(super) async fn finish(self, results: CallStream<Numbered>, span: Span) -> Outcome {
        let Self { order, received, end } = self;
        let end = end.unwrap_or(End::Dropped);
        let (wrong, end) = match end {
            End::Result => match results.finish::<u64>().await {
                Ok(sent) => (order.wrong_of(sent), End::Result),
                Err(error) => (order.wrong(), End::from(&error)),
            },
            end => {
                drop(results);
                (order.wrong(), end)
            }
        };
        if let End::Other(text) = &end {
            report::complain(&format!("A call ended in: {text}"));
        }
        Outcome { received, wrong, end, span }
    }
}
