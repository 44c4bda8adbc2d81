//! Known defects of other implementations, each with a test that this one does not have it. Names with a
//! module are in `tests/it`.
//!
//! | situation | test |
//! |---|---|
//! | callee lacks progressive results or canceling, caller asks | `progressive_results::a_callee_without_canceling_streams_and_is_never_interrupted`, `registrations::strict_features_follow_the_letter` |
//! | unsolicited progressive YIELD | `progressive_results::unsolicited_progress_is_discarded_and_the_call_goes_on` |
//! | late progressive YIELD after the end | `late_progress_is_not_interrupted_again` |
//! | YIELD with an id that never was | `violations::late_and_foreign_answers_are_distinguished_from_invalid_ones` |
//! | caller leaves | `a_callee_hears_at_once_that_its_caller_has_left` |
//! | callee leaves | `a_caller_hears_once_that_its_callee_has_left` |
//! | CANCEL skip, or callee without canceling | `progressive_results::skip_and_killnowait_end_the_call_at_once`, `a_cancel_is_answered_once_and_at_once` |
//! | CANCEL kill, and results that still come | `progressive_results::after_a_kill_results_still_come_until_the_last` |
//! | CANCEL of a finished call | `a_cancel_of_a_finished_call_is_not_answered` |
//! | timeout between results | `progressive_results::a_timeout_begins_again_with_each_result` |
//! | payload passthru on chunks | `registrations::passthru_attributes_go_with_every_message_of_a_call` |
//! | RESULT too big for the caller | `progressive_results::a_result_too_big_for_its_caller_ends_the_call_with_an_error` |
//!
//! (*Caller slow* is about queues, which these machines do not have.)

use crate::coverage::Coverage;
use crate::setup::{Kind, Setup};
use crate::step::Step;
use crate::wire_message::{Answer, Mode};
use crate::world::World;

const CALLER: usize = 0;
const CALLEE: usize = 1;

const CALL: Step = Step::Call { client: CALLER, procedure: 0, wants_progress: true, more: false, timeout: 0 };
const PROGRESS: Step = Step::Answer { client: CALLEE, invocation: 0, answer: Answer::Progress };
const RESULT: Step = Step::Answer { client: CALLEE, invocation: 0, answer: Answer::Result };

fn cancel(mode: Mode) -> Step {
    Step::Cancel { client: CALLER, call: 0, mode }
}

/// A caller and a callee played by the model, which can send anything. The callee may have fewer features.
struct Two {
    world: World,
    cover: Coverage,
}

impl Two {
    fn new(canceling: bool) -> Self {
        let mut features = Kind::ALL_FEATURES;
        let caller = Kind { rogue: true, ..Kind::raw(features) };
        features.callee_canceling = canceling;
        let callee = Kind { rogue: true, ..Kind::raw(features) };
        let setup = Setup {
            clients: vec![caller, callee],
            offers: vec![(CALLEE, 0)],
            strict: false,
            strict_ids: false,
            windows: None,
        };
        let mut cover = Coverage::new();
        let world = World::new(&setup, true, &mut cover).unwrap();
        let mut two = Self { world, cover };
        two.heard(CALLEE);
        two
    }

    /// Does a step and delivers all messages.
    fn step(&mut self, step: Step) {
        self.world.step(&step, &mut self.cover).unwrap();
        self.world.settle(&mut self.cover).unwrap();
    }

    /// Returns the messages that the router has sent to a client since the last call.
    fn heard(&mut self, client: usize) -> Vec<String> {
        let prefix = format!("    router ─▶ client {client}  ");
        let log = self.world.log.as_mut().unwrap();
        let heard = log.iter().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect();
        log.retain(|line| !line.starts_with(&prefix));
        heard
    }

    fn finish(mut self) {
        self.world.finish(&mut self.cover).unwrap();
    }
}

// nexus sends an INTERRUPT for each of them.
#[test]
fn late_progress_is_not_interrupted_again() {
    let mut two = Two::new(true);
    two.step(CALL);
    two.step(cancel(Mode::KillNoWait));
    assert_eq!(two.heard(CALLEE).len(), 2, "INVOCATION and INTERRUPT");
    assert_eq!(two.heard(CALLER).len(), 1, "ERROR");
    for _ in 0..100 {
        two.step(PROGRESS);
    }
    two.step(RESULT);
    assert!(two.heard(CALLEE).is_empty() && two.heard(CALLER).is_empty());
    two.finish();
}

// nexus and xconn-go do not tell the callee.
#[test]
fn a_callee_hears_at_once_that_its_caller_has_left() {
    let ways = [
        Step::Leave { client: CALLER },
        Step::Cut { client: CALLER },
        Step::Abort { client: CALLER },
        Step::CloseByRouter { client: CALLER },
    ];
    for leaves in ways {
        for canceling in [true, false] {
            let mut two = Two::new(canceling);
            two.step(CALL);
            two.heard(CALLEE);
            two.step(leaves);
            let interrupt = r#"[69,1,{"mode":"killnowait","reason":"wamp.close.close_realm"}]"#;
            let expected = [interrupt].into_iter().filter(|_| canceling).collect::<Vec<_>>();
            assert_eq!(two.heard(CALLEE), expected, "{leaves:?}");
            assert_eq!(two.world.realm.sizes().calls, 0, "{leaves:?}");
            two.step(PROGRESS);
            two.step(RESULT);
            assert!(two.heard(CALLEE).is_empty(), "{leaves:?}");
            two.finish();
        }
    }
}

// Crossbar may inform the caller twice, nexus not at all after a kill, xconn-go never.
#[test]
fn a_caller_hears_once_that_its_callee_has_left() {
    let ways = [
        Step::Leave { client: CALLEE },
        Step::Cut { client: CALLEE },
        Step::Abort { client: CALLEE },
        Step::CloseByRouter { client: CALLEE },
    ];
    for leaves in ways {
        for mode in [None, Some(Mode::Skip), Some(Mode::Kill), Some(Mode::KillNoWait)] {
            let mut two = Two::new(true);
            two.step(CALL);
            if let Some(mode) = mode {
                two.step(cancel(mode));
            }
            two.step(leaves);
            let heard = two.heard(CALLER);
            assert_eq!(heard.len(), 1, "{leaves:?}, {mode:?}: {heard:?}");
            assert!(heard[0].starts_with(r#"[8,48,1,{},"wamp.error.canceled""#), "{heard:?}");
            assert_eq!(two.world.realm.sizes().calls, 0);
            two.finish();
        }
    }
}

// Crossbar does not answer a skip; wampproto-rs interrupts callees that do not support it.
#[test]
fn a_cancel_is_answered_once_and_at_once() {
    for mode in Mode::ALL {
        let mut two = Two::new(false);
        two.step(CALL);
        two.heard(CALLEE);
        two.step(cancel(mode));
        let heard = two.heard(CALLER);
        assert_eq!(heard.len(), 1, "{mode:?}: {heard:?}");
        assert!(heard[0].starts_with(r#"[8,48,1,{},"wamp.error.canceled""#), "{heard:?}");
        assert!(two.heard(CALLEE).is_empty(), "{mode:?}");
        two.step(RESULT);
        assert!(two.heard(CALLER).is_empty(), "{mode:?}");
        two.finish();
    }
}

// wampproto-rs answers it with an ERROR, which makes an Autobahn|Python caller lose its session.
#[test]
fn a_cancel_of_a_finished_call_is_not_answered() {
    for mode in Mode::ALL {
        let mut two = Two::new(true);
        two.step(CALL);
        two.step(PROGRESS);
        two.step(RESULT);
        two.heard(CALLEE);
        assert_eq!(two.heard(CALLER).len(), 2);
        two.step(cancel(mode));
        assert!(two.heard(CALLER).is_empty() && two.heard(CALLEE).is_empty(), "{mode:?}");
        two.finish();
    }
}
