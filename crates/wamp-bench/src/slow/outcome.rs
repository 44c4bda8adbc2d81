//! The outcome of a call with a slow peer, and the waits of the others meanwhile.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use wamp_client::CallError;

use crate::order::Wrong;
use crate::pings::{Record, Waits};
use crate::report::figure_text;

/// A span of time in which a peer did not read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) from: Instant,
    pub(super) to: Instant,
}

/// The outcome of one call, or of several.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) received: u64,
    /// Up to the end of the call, of any kind.
    pub(super) wrong: Wrong,
    pub(super) end: End,
    pub(super) span: Span,
}

/// The end of a call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Result,
    Canceled,
    Lagged,
    /// The caller dropped it on purpose.
    Dropped,
    Other(String),
}

impl From<&CallError> for End {
    fn from(error: &CallError) -> Self {
        match error {
            CallError::Canceled { .. } => End::Canceled,
            CallError::Lagged { .. } => End::Lagged,
            other => End::Other(other.to_string()),
        }
    }
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Result => f.write_str("result"),
            End::Canceled => f.write_str("canceled"),
            End::Lagged => f.write_str("Lagged"),
            End::Dropped => f.write_str("dropped"),
            End::Other(text) => f.write_str(text),
        }
    }
}

/// One row of the table, and its violations of the limits.
pub(super) struct Verdict {
    name: String,
    growth: Option<u64>,
    received: u64,
    wrong: Wrong,
    ends: BTreeMap<End, u64>,
    unrelated: Option<Both>,
    same: Option<Both>,
    misses: Vec<String>,
}

/// Adds the waits of a caller before and meanwhile.
#[derive(Clone, Debug)]
pub(super) struct Both {
    pub(super) before: Waits,
    pub(super) meanwhile: Waits,
}

impl Both {
    pub(super) fn of(record: &Record, before: Span, meanwhile: Span) -> Self {
        let within = |span: Span| record.between(span.from, span.to);
        Self { before: within(before), meanwhile: within(meanwhile) }
    }

    fn p99(&self) -> Option<(f64, f64)> {
        Some((self.before.times?.p99, self.meanwhile.times?.p99))
    }

    fn text(&self) -> String {
        let Some((before, meanwhile)) = self.p99() else { return "no answers".to_owned() };
        let ms = |us: f64| figure_text(us / 1e3);
        let mut text = format!("{} to {} (x{})", ms(before), ms(meanwhile), figure_text(meanwhile / before));
        text += &format!(", worst {}", ms(self.meanwhile.worst.as_secs_f64() * 1e6));
        if self.meanwhile.failed > 0 {
            text += &format!(", {} failed", self.meanwhile.failed);
        }
        text
    }
}

impl Verdict {
    pub(super) const HEAD: &'static str = "\
| scenario | router grows, MiB | received | lost / doubled / out of order | ends | unrelated pair, p99 ms | same callee, p99 ms | |
|---|---|---|---|---|---|---|---|";

    pub(super) fn new(name: String, growth: Option<u64>) -> Self {
        let (wrong, ends) = (Wrong::default(), BTreeMap::new());
        Self { name, growth, received: 0, wrong, ends, unrelated: None, same: None, misses: Vec::new() }
    }

    /// Adds a violation of a limit.
    pub(super) fn miss(&mut self, text: impl Into<String>) {
        self.misses.push(text.into());
    }

    /// Adds the outcome of the slow call; only these ends are allowed, and no mistakes.
    pub(super) fn calls(&mut self, outcomes: &[Outcome], allowed: &[End]) {
        for outcome in outcomes {
            self.received += outcome.received;
            self.wrong.add(outcome.wrong);
            *self.ends.entry(outcome.end.clone()).or_default() += 1;
        }
        if !self.wrong.is_nothing() {
            self.miss("not all came once and in order");
        }
        let others: Vec<_> =
            self.ends.keys().filter(|end| !allowed.contains(end)).map(End::to_string).collect();
        for end in others {
            self.miss(format!("ended in {end}"));
        }
    }

    /// The router may grow by less than this.
    pub(super) fn growth_below(&mut self, mebibytes: u64) {
        if self.growth.is_some_and(|growth| growth >= mebibytes << 20) {
            self.miss(format!("memory: below {mebibytes} MiB wanted"));
        }
    }

    pub(super) fn unrelated(&mut self, both: Both, within: Option<f64>) {
        self.compare("the unrelated pair", &both, within);
        self.unrelated = Some(both);
    }

    /// Another caller of the same callee.
    pub(super) fn same(&mut self, both: Both, within: Option<f64>) {
        self.compare("the other caller", &both, within);
        self.same = Some(both);
    }

    /// Adds another caller of the same callee, with a limit for the duration of its calls.
    pub(super) fn same_at_most(&mut self, both: Both, limit: Duration) {
        self.failed("the other caller", &both);
        match both.p99() {
            Some((_, p99)) if p99 <= limit.as_secs_f64() * 1e6 => {}
            _ => self.miss(format!("the other caller: p99 within {} s wanted", limit.as_secs_f64())),
        }
        self.same = Some(both);
    }

    fn compare(&mut self, who: &str, both: &Both, within: Option<f64>) {
        let Some(within) = within else { return };
        self.failed(who, both);
        match both.p99() {
            Some((before, meanwhile)) if meanwhile <= before * within => {}
            _ => self.miss(format!("{who}: p99 within x{within} wanted")),
        }
    }

    fn failed(&mut self, who: &str, both: &Both) {
        if both.meanwhile.failed > 0 {
            self.miss(format!("{who}: {} calls failed", both.meanwhile.failed));
        }
    }

    pub(super) fn passed(&self) -> bool {
        self.misses.is_empty()
    }

    pub(super) fn line(&self) -> String {
        let ends = self.ends.iter().map(|(end, count)| match count {
            1 => end.to_string(),
            _ => format!("{count} {end}"),
        });
        let waits = |both: &Option<Both>| both.as_ref().map(Both::text).unwrap_or_default();
        let growth = self.growth.map(|bytes| figure_text(bytes as f64 / f64::from(1 << 20)));
        let verdict = match self.passed() {
            true => "PASS".to_owned(),
            false => format!("FAIL ({})", self.misses.join("; ")),
        };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {verdict} |",
            self.name,
            growth.unwrap_or_default(),
            self.received,
            self.wrong,
            ends.collect::<Vec<_>>().join(", "),
            waits(&self.unrelated),
            waits(&self.same),
        )
    }
}
