//! The realm's tables and counters, compared with the live sessions and calls.

use crate::ledger::Broken;
use crate::world::World;

impl World {
    /// Checks that no table of the realm holds anything dead.
    pub fn check_tables(&self) -> Result<(), Broken> {
        let sizes = self.realm.sizes();
        let deadlines = self.dealer.deadlines();
        let found = (sizes.sessions, sizes.calls, sizes.registrations, sizes.deadlines);
        let expected =
            (self.dealer.sessions(), self.dealer.calls(), self.dealer.registrations(), deadlines.len());
        if let Some(broken) = &self.dealer.broken {
            return Err(broken.clone());
        }
        if found != expected {
            return Err(format!(
                "the realm holds {found:?} sessions, calls, registrations and deadlines, but {expected:?} are alive"
            ));
        }
        let (found, expected) = ((sizes.loads, sizes.kept_bytes > 0), self.dealer.loads());
        if found != expected {
            return Err(format!(
                "the realm counts and keeps the calls of {found:?} callees, expected {expected:?}"
            ));
        }
        let (found, expected) = (self.realm.poll_timeout(), deadlines.iter().min().copied());
        if found != expected {
            return Err(format!("the realm's next deadline is {found:?}, expected {expected:?}"));
        }
        let (stats, counts) = (self.realm.stats(), self.dealer.counts);
        let found =
            (stats.late, stats.unsolicited, stats.timeouts, stats.violations, stats.results, stats.chunks);
        let expected = (
            counts.late,
            counts.unsolicited,
            counts.timeouts,
            counts.violations,
            counts.results,
            counts.chunks,
        );
        if found != expected {
            return Err(format!(
                "the realm counts {found:?} late, unsolicited, timeouts, violations, results and chunks, \
                 where it should count {expected:?}"
            ));
        }
        Ok(())
    }
}
