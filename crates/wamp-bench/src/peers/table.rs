//! The table that compares peers.

use std::fmt;

use super::{Measured, Scenario};
use crate::fast::fairness;
use crate::options::Peer;
use crate::order::Wrong;
use crate::report::{figure_text, median};

pub(super) const HEAD: &str = "\
| scenario | figure | ours | gRPC | NATS | ours / gRPC | ours / NATS |
|---|---|---|---|---|---|---|";

/// The cells of a line of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Figure {
    Rate,
    P50,
    P99,
    ClientsCpu,
    RouterCpu,
    Jain,
}

impl Figure {
    fn of(self, measured: &Measured) -> Option<f64> {
        let per_million = |secs: Option<f64>| secs.map(|secs| secs * 1e6 / measured.count as f64);
        match self {
            Self::Rate => Some(measured.count as f64 / measured.secs),
            Self::P50 => measured.times.map(|times| times.p50),
            Self::P99 => measured.times.map(|times| times.p99),
            Self::ClientsCpu => per_million(measured.clients),
            Self::RouterCpu => per_million(measured.router),
            Self::Jain => (!measured.shares.is_empty()).then(|| fairness(&measured.shares)),
        }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rate => "per second",
            Self::P50 => "p50, us",
            Self::P99 => "p99, us",
            Self::ClientsCpu => "both clients' CPU s per million",
            Self::RouterCpu => "router's CPU s per million",
            Self::Jain => "Jain's index",
        })
    }
}

/// The results of all peers in one scenario, by repetition.
#[derive(Default)]
pub(super) struct Table(Vec<Vec<(Peer, Measured)>>);

impl Table {
    /// Begins a repetition.
    pub(super) fn begin(&mut self) {
        self.0.push(Vec::new());
    }

    pub(super) fn add(&mut self, peer: Peer, measured: Measured) {
        if let Some(repetition) = self.0.last_mut() {
            repetition.push((peer, measured));
        }
    }

    /// Returns whether no message of ours was lost.
    pub(super) fn is_complete(&self) -> bool {
        self.wrong(Peer::Ours).is_nothing()
    }

    fn wrong(&self, peer: Peer) -> Wrong {
        let mut wrong = Wrong::default();
        let all = self.0.iter().flatten().filter(|(of, _)| *of == peer);
        all.for_each(|(_, measured)| wrong.add(measured.wrong));
        wrong
    }

    /// The lines of a scenario: medians, and medians of the ratios within a repetition.
    pub(super) fn lines(&self, scenario: Scenario) -> Vec<String> {
        let figures = scenario.figures().iter().map(|figure| self.line(scenario, *figure));
        let wrong =
            Peer::ALL.iter().map(|peer| (peer, self.wrong(*peer))).filter(|(_, wrong)| !wrong.is_nothing());
        let wrong = wrong.map(|(peer, wrong)| {
            format!("| {scenario} | {peer:?}: lost / doubled / out of order: {wrong} | | | | | |")
        });
        figures.chain(wrong).collect()
    }

    fn line(&self, scenario: Scenario, figure: Figure) -> String {
        let in_repetition = |repetition: &[(Peer, Measured)], peer| {
            repetition.iter().find(|(of, _)| *of == peer).and_then(|(_, measured)| figure.of(measured))
        };
        let of = |peer| median(self.0.iter().filter_map(|all| in_repetition(all, peer)).collect());
        let against = |peer| {
            let ratios = self.0.iter().filter_map(|all| {
                let theirs = in_repetition(all, peer).filter(|figure| *figure > 0.0)?;
                Some(in_repetition(all, Peer::Ours)? / theirs)
            });
            median(ratios.collect())
        };
        let text = |figure: Option<f64>| figure.map(figure_text).unwrap_or_default();
        let [ours, grpc, nats] = Peer::ALL.map(|peer| text(of(peer)));
        let (of_grpc, of_nats) = (text(against(Peer::Grpc)), text(against(Peer::Nats)));
        format!("| {scenario} | {figure} | {ours} | {grpc} | {nats} | {of_grpc} | {of_nats} |")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_repetition() {
        let mut table = Table::default();
        for (ours, theirs) in [(100, 10), (8, 2), (30, 15)] {
            table.begin();
            let measured = |count| Measured { count, secs: 1.0, ..Measured::default() };
            table.add(Peer::Grpc, measured(theirs));
            table.add(Peer::Ours, measured(ours));
        }
        let line = table.line(Scenario::Calls(64), Figure::Rate);
        assert_eq!(line, "| calls, 64 outstanding, 16 B | per second | 30.0 | 10.0 |  | 4.00 |  |");
        assert!(table.is_complete());
    }
}
