//! The rule of progressive results (Advanced Profile, *Progressive Call Results*, *Call Canceling*; behaviour
//! [9](crate::behaviour#rule-9), [16](crate::behaviour#rule-16), [25](crate::behaviour#rule-25) to
//! [32](crate::behaviour#rule-32)).
//!
//! Caller, dealer and callee each keep one [`Progress`] for each call and ask it about each reply. It is the
//! same for all three. A caller wants progress if its CALL has `receive_progress`.
//!
//! | state \ reply | progress | result or error |
//! |---|---|---|
//! | running, caller wants progress | deliver | deliver, over |
//! | running, caller does not | discard, count | deliver, over |
//! | canceling (`kill`), caller wants progress | deliver (the call goes on) | deliver, over |
//! | canceling (`kill`), caller does not | discard, count | deliver, over |
//! | abandoned (`skip`, `killnowait`, timeout, caller gone) | discard | discard, over |
//! | over | discard | discard |
//!
//! ```text
//!              progress            progress
//!               ┌──┐                ┌──┐
//!               │  ▼     kill       │  ▼
//!             ┌────────┐ ─────▶ ┌───────────┐
//!             │running │        │ canceling │
//!             └────────┘        └───────────┘
//!   skip, killnowait │ │ result     │ │  killnowait, the wait is over
//!    timeout, gone   │ │ error      │ │
//!                    ▼ └──▶ over ◀──┘ ▼
//!                  abandoned ──▶ over
//! ```

use wamp_proto::message::CancelMode;

/// The state of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Phase {
    /// The callee is working.
    Running,
    /// The caller has sent CANCEL `kill`; the callee decides how the call ends.
    Canceling,
    /// The caller has the end of the call; the callee may not know it yet.
    Abandoned,
    /// Both ends know that the call has ended.
    Over,
}

/// A kind of reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReplyKind {
    /// A progressive result: other replies follow.
    Progress,
    /// A result or an error: the last reply.
    Last,
}

/// What to do with a reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Deliver it.
    Deliver,
    /// Discard it and count it as unsolicited: the caller did not ask for progressive results.
    Unsolicited,
    /// Discard it and count it as late: the call has ended.
    Late,
}

/// The state of one call at its caller, the dealer or its callee.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Progress {
    phase: Phase,
    wants_progress: bool,
}

impl Progress {
    /// A call that has just begun; `wants_progress` says whether its caller asked for progressive results.
    pub const fn new(wants_progress: bool) -> Self {
        Self { phase: Phase::Running, wants_progress }
    }

    /// The state of the call.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether the caller asked for progressive results.
    pub const fn wants_progress(&self) -> bool {
        self.wants_progress
    }

    /// Records a reply and returns the action for it.
    pub fn on_reply(&mut self, reply: ReplyKind) -> Verdict {
        match (self.phase, reply) {
            (Phase::Running | Phase::Canceling, ReplyKind::Progress) if self.wants_progress => {
                Verdict::Deliver
            }
            (Phase::Running | Phase::Canceling, ReplyKind::Progress) => Verdict::Unsolicited,
            (Phase::Running | Phase::Canceling, ReplyKind::Last) => {
                self.phase = Phase::Over;
                Verdict::Deliver
            }
            (Phase::Abandoned, ReplyKind::Last) => {
                self.phase = Phase::Over;
                Verdict::Late
            }
            (Phase::Abandoned, ReplyKind::Progress) | (Phase::Over, _) => Verdict::Late,
        }
    }

    /// Records a cancel. Returns `false` if it came too late or was repeated, and changed nothing.
    pub fn on_cancel(&mut self, mode: CancelMode) -> bool {
        let phase = match (self.phase, mode) {
            (Phase::Running, CancelMode::Kill) => Phase::Canceling,
            (Phase::Running | Phase::Canceling, CancelMode::Skip | CancelMode::KillNoWait) => {
                Phase::Abandoned
            }
            _ => return false,
        };
        self.phase = phase;
        true
    }

    /// Records that the call ended for its caller without a reply of the callee: by a timeout, by leaving, by a limit.
    pub fn abandon(&mut self) {
        if matches!(self.phase, Phase::Running | Phase::Canceling) {
            self.phase = Phase::Abandoned;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reached(phase: Phase, wants_progress: bool) -> Progress {
        let mut progress = Progress::new(wants_progress);
        match phase {
            Phase::Running => {}
            Phase::Canceling => assert!(progress.on_cancel(CancelMode::Kill)),
            Phase::Abandoned => progress.abandon(),
            Phase::Over => assert_eq!(progress.on_reply(ReplyKind::Last), Verdict::Deliver),
        }
        assert_eq!(progress.phase(), phase);
        progress
    }

    #[test]
    fn each_cell_of_the_table() {
        use Phase::*;
        use ReplyKind::*;
        use Verdict::*;
        let table = [
            (Running, true, Progress, Deliver, Running),
            (Running, true, Last, Deliver, Over),
            (Running, false, Progress, Unsolicited, Running),
            (Running, false, Last, Deliver, Over),
            (Canceling, true, Progress, Deliver, Canceling),
            (Canceling, true, Last, Deliver, Over),
            (Canceling, false, Progress, Unsolicited, Canceling),
            (Canceling, false, Last, Deliver, Over),
            (Abandoned, true, Progress, Late, Abandoned),
            (Abandoned, true, Last, Late, Over),
            (Abandoned, false, Progress, Late, Abandoned),
            (Abandoned, false, Last, Late, Over),
            (Over, true, Progress, Late, Over),
            (Over, true, Last, Late, Over),
            (Over, false, Progress, Late, Over),
            (Over, false, Last, Late, Over),
        ];
        for (phase, wants, reply, verdict, then) in table {
            let mut progress = reached(phase, wants);
            assert_eq!(progress.on_reply(reply), verdict, "{phase:?}, wants: {wants}, {reply:?}");
            assert_eq!(progress.phase(), then, "{phase:?}, wants: {wants}, {reply:?}");
        }
    }

    #[test]
    fn a_cancel_changes_a_running_call_and_upgrades_a_kill() {
        use CancelMode::*;
        let table = [
            (Phase::Running, Skip, true, Phase::Abandoned),
            (Phase::Running, Kill, true, Phase::Canceling),
            (Phase::Running, KillNoWait, true, Phase::Abandoned),
            (Phase::Canceling, Skip, true, Phase::Abandoned),
            (Phase::Canceling, Kill, false, Phase::Canceling),
            (Phase::Canceling, KillNoWait, true, Phase::Abandoned),
            (Phase::Abandoned, Kill, false, Phase::Abandoned),
            (Phase::Abandoned, KillNoWait, false, Phase::Abandoned),
            (Phase::Over, Skip, false, Phase::Over),
            (Phase::Over, Kill, false, Phase::Over),
        ];
        for (phase, mode, changed, then) in table {
            let mut progress = reached(phase, true);
            assert_eq!(progress.on_cancel(mode), changed, "{phase:?}, {mode:?}");
            assert_eq!(progress.phase(), then, "{phase:?}, {mode:?}");
        }
    }
}
