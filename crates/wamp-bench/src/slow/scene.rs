//! The common parts of all slow scenarios: a router, a callee, another caller of it, and an unrelated pair.

use std::time::{Duration, Instant};

use wamp_client::{Serializer, Session};

use super::foreign::Foreign;
use super::outcome::{Both, Span, Verdict};
use crate::Failed;
use crate::callee::{self, ECHO};
use crate::options::{Library, Options};
use crate::pings::{Pings, Record};
use crate::process::Growth;
use crate::target::Target;

/// Bytes of a result.
pub(super) const RESULT_BYTES: usize = 1024;

/// The procedure of the unrelated pair.
const UNRELATED: &str = "bench.unrelated.echo";

/// The callee. It lives as long as the scene.
pub(super) enum Callee {
    Ours { _session: Session },
    Foreign { _process: Box<Foreign> },
}

impl Callee {
    /// Joins and registers everything.
    pub(super) async fn join(options: &Options, target: &Target, library: Library) -> Result<Self, Failed> {
        match library {
            Library::Ours => Self::over(join(options, target).await?).await,
            Library::Foreign => {
                let process = Foreign::callee(options, target, RESULT_BYTES).await?;
                Ok(Callee::Foreign { _process: Box::new(process) })
            }
        }
    }

    /// Our callee, over an existing session.
    pub(super) async fn over(session: Session) -> Result<Self, Failed> {
        callee::register(&session).await?;
        Ok(Callee::Ours { _session: session })
    }
}

/// A session straight to the router.
pub(super) async fn join(options: &Options, target: &Target) -> Result<Session, Failed> {
    join_at(options, target, target.url(options.transport())).await
}

/// A session by another way.
pub(super) async fn join_at(options: &Options, target: &Target, url: &str) -> Result<Session, Failed> {
    target.join_at(url, options.serializer.unwrap_or(Serializer::MsgPack)).await
}

/// The peers of a scenario, while one of them is slow.
pub(super) struct Scene<'a> {
    pub(super) options: &'a Options,
    pub(super) target: Target,
    callee: Callee,
    unrelated: Pings,
    same: Pings,
    before: Span,
    growth: Growth,
    /// The callee of the unrelated pair.
    right: Session,
}

impl<'a> Scene<'a> {
    /// Sets it up, and measures the waits of the other peers while none is slow.
    pub(super) async fn start(options: &'a Options, target: Target, callee: Callee) -> Result<Self, Failed> {
        let (other, left) = (join(options, &target).await?, join(options, &target).await?);
        let right = join(options, &target).await?;
        right.register(UNRELATED, callee::echo).await?;
        let unrelated = Pings::start(left, UNRELATED);
        let same = Pings::start(other, ECHO);
        // A tenth of a pause warms everything up; three tenths are measured.
        tokio::time::sleep(options.pause / 10).await;
        let from = Instant::now();
        tokio::time::sleep(options.pause * 3 / 10).await;
        let before = Span { from, to: Instant::now() };
        let growth = Growth::start(target.pid());
        Ok(Self { options, target, callee, unrelated, same, before, growth, right })
    }

    /// The time after which a scenario counts as stuck.
    pub(super) fn patience(&self) -> Duration {
        self.options.pause * 2 + Duration::from_secs(60 + self.options.results / 5_000)
    }

    /// Stops the other callers.
    pub(super) fn end(self, name: String) -> Ended {
        let Self { target, callee, unrelated, same, before, growth, right, .. } = self;
        Ended {
            verdict: Verdict::new(name, growth.end()),
            target,
            unrelated: unrelated.stop(),
            same: same.stop(),
            before,
            _sessions: (callee, right),
        }
    }
}

/// A scene without running calls.
pub(super) struct Ended {
    pub(super) verdict: Verdict,
    pub(super) target: Target,
    unrelated: Record,
    same: Record,
    before: Span,
    _sessions: (Callee, Session),
}

impl Ended {
    /// The waits of the unrelated pair, before and meanwhile.
    pub(super) fn unrelated(&self, meanwhile: Span) -> Both {
        Both::of(&self.unrelated, self.before, meanwhile)
    }

    /// The waits of another caller of the same callee.
    pub(super) fn same(&self, meanwhile: Span) -> Both {
        Both::of(&self.same, self.before, meanwhile)
    }
}
