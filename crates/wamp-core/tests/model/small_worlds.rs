//! The small worlds that are explored exhaustively. Two callers A and B make a call each, and a callee C
//! answers each call with a progressive and a last result. A cancel, a timeout and a departure occur at any
//! time. Every mode of canceling meets every way to leave, every departing client, and a timeout of each of
//! the two calls.

use crate::exhaustive::{Small, compare_reduced, explore_all};
use crate::setup::{Kind, Numbering, Setup};
use crate::step::Step;
use crate::wire_message::{Answer, Mode};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;
const D: usize = 3;

const TWO: &[Answer] = &[Answer::Progress, Answer::Result];

fn call(client: usize, procedure: u8, timeout: u64) -> Step {
    Step::Call { client, procedure, wants_progress: true, more: false, timeout }
}

fn upload(client: usize, procedure: u8, timeout: u64) -> Step {
    Step::Call { client, procedure, wants_progress: true, more: true, timeout }
}

fn chunk(client: usize, last: bool) -> Step {
    Step::Chunk { client, call: 0, last }
}

fn cancel(mode: Mode) -> Step {
    Step::Cancel { client: A, call: 0, mode }
}

fn three(callee: Kind, procedure: u8) -> Setup {
    Setup {
        clients: vec![Kind::ours(), Kind::ours(), callee],
        offers: vec![(C, procedure)],
        strict: false,
        strict_ids: false,
        windows: None,
    }
}

/// The ways to leave, for each client.
const LEAVING: [fn(usize) -> Step; 5] = [
    |client| Step::Leave { client },
    |client| Step::Cut { client },
    |client| Step::Die { client },
    |client| Step::Abort { client },
    |client| Step::CloseByRouter { client },
];

const CANCELS: [&[Mode]; 5] = [
    &[Mode::Skip],
    &[Mode::Kill],
    &[Mode::KillNoWait],
    &[Mode::Kill, Mode::KillNoWait],
    &[Mode::Kill, Mode::Skip],
];

/// A and B call C. A cancels in these modes, one after the other; one client leaves; one call has a timeout.
fn calls(callee: Kind, modes: &[Mode], leaves: Option<Step>, timeouts: [u64; 2]) -> Small {
    let mut scripts = vec![vec![call(A, 0, timeouts[A])], vec![call(B, 0, timeouts[B])], vec![]];
    scripts[A].extend(modes.iter().map(|mode| cancel(*mode)));
    match leaves {
        Some(
            Step::Leave { client }
            | Step::Cut { client }
            | Step::Die { client }
            | Step::Abort { client }
            | Step::CloseByRouter { client },
        ) => scripts[client].extend(leaves),
        _ => scripts[C].extend(leaves),
    }
    let name = format!("cancel {modes:?}, leaves {leaves:?}, timeouts {timeouts:?}");
    Small { name, setup: three(callee, 0), scripts, answers: TWO.to_vec(), reads: true }
}

/// A cancel, a timeout and a departure in one world. Every mode meets every departing client and every way to
/// leave.
fn triples(mode: Mode) -> Vec<Small> {
    let at = Mode::ALL.iter().position(|other| *other == mode).unwrap_or_default();
    let worlds = [A, B, C].map(|leaver| {
        let leaves = LEAVING[(at + leaver) % 3](leaver);
        let timeouts = if (at + leaver) % 2 == 0 { [0, 100] } else { [100, 0] };
        calls(Kind::ours(), &[mode], Some(leaves), timeouts)
    });
    worlds.into()
}

#[test]
fn skip_timeout_and_leaving() {
    explore_all("three", triples(Mode::Skip));
}

#[test]
fn kill_timeout_and_leaving() {
    explore_all("three", triples(Mode::Kill));
}

#[test]
fn killnowait_timeout_and_leaving() {
    explore_all("three", triples(Mode::KillNoWait));
}

// behaviour 266
#[test]
fn the_router_calls_a_callee_that_leaves_in_every_way() {
    let ask = Step::Ask { procedure: 0, timeout: 100 };
    let worlds = LEAVING.iter().flat_map(|leaves| {
        [vec![ask], vec![ask, Step::Abandon { ask: 0 }]].map(|asks| {
            let name = format!("{asks:?}, leaves {:?}", leaves(C));
            let scripts = vec![vec![call(A, 0, 0), cancel(Mode::Kill)], asks, vec![leaves(C)]];
            Small { name, setup: three(Kind::ours(), 0), scripts, answers: TWO.to_vec(), reads: true }
        })
    });
    explore_all("router", worlds.collect());
}

#[test]
fn every_client_leaves_in_every_way() {
    let worlds = LEAVING
        .iter()
        .flat_map(|leaves| [A, B, C].map(|leaver| calls(Kind::ours(), &[], Some(leaves(leaver)), [0, 0])));
    explore_all("leaving", worlds.collect());
}

#[test]
fn every_cancel_meets_abort_and_being_closed() {
    let mut worlds = Vec::new();
    for leaves in &LEAVING[3..] {
        for leaver in [A, B, C] {
            for modes in &CANCELS[..3] {
                worlds.push(calls(Kind::ours(), modes, Some(leaves(leaver)), [0, 0]));
            }
            worlds.push(calls(Kind::ours(), &[], Some(leaves(leaver)), [100, 0]));
        }
    }
    explore_all("leaving", worlds);
}

#[test]
fn every_cancel_meets_every_timeout() {
    let worlds = CANCELS
        .iter()
        .flat_map(|modes| [[0, 100], [100, 0]].map(|timeouts| calls(Kind::ours(), modes, None, timeouts)));
    explore_all("cancel", worlds.collect());
}

#[test]
fn a_callee_that_takes_no_interrupt() {
    let mut features = Kind::ALL_FEATURES;
    features.callee_canceling = false;
    let callee = Kind::raw(features);
    let mut worlds = Vec::new();
    for modes in &CANCELS[..3] {
        worlds.push(calls(callee, modes, None, [100, 0]));
        worlds.push(calls(callee, modes, Some(Step::Leave { client: C }), [0, 0]));
        worlds.push(calls(callee, modes, Some(Step::Cut { client: A }), [0, 0]));
    }
    explore_all("no INTERRUPT", worlds);
}

#[test]
fn a_callee_that_answers_a_kill_itself() {
    let mut worlds = Vec::new();
    for (modes, leaves) in [
        (&[Mode::Kill][..], None),
        (&[Mode::Kill], Some(Step::Leave { client: C })),
        (&[Mode::Kill], Some(Step::Cut { client: A })),
        (&[Mode::Kill, Mode::KillNoWait], None),
    ] {
        let mut small = calls(Kind::ours(), modes, leaves, [0, 0]);
        small.scripts[C].insert(0, Step::AnswerCancelMyself { client: C, invocation: 0 });
        worlds.push(small);
    }
    explore_all("answers itself", worlds);
}

#[test]
fn a_callee_that_watches_the_timeout_itself() {
    let mut worlds = Vec::new();
    for modes in &CANCELS[..4] {
        let mut scripts = vec![vec![call(A, 2, 100)], vec![call(B, 2, 0)], vec![]];
        scripts[A].extend(modes.iter().map(|mode| cancel(*mode)));
        let name = format!("cancel {modes:?}");
        worlds.push(Small {
            name,
            setup: three(Kind::ours(), 2),
            scripts,
            answers: TWO.to_vec(),
            reads: true,
        });
    }
    explore_all("forward_timeout", worlds);
}

#[test]
fn a_call_in_chunks() {
    let mut worlds = Vec::new();
    let mut add = |timeout: u64, acts: &[Step], of_callee: &[Step]| {
        let mut scripts = vec![vec![upload(A, 0, timeout)], vec![call(B, 0, 0)], of_callee.to_vec()];
        scripts[A].extend_from_slice(acts);
        let name = format!("timeout {timeout}, {acts:?}, callee {of_callee:?}");
        worlds.push(Small {
            name,
            setup: three(Kind::ours(), 0),
            scripts,
            answers: TWO.to_vec(),
            reads: true,
        });
    };
    let (next, last) = (chunk(A, false), chunk(A, true));
    add(0, &[next, last], &[]);
    add(100, &[next, last], &[]);
    for mode in Mode::ALL {
        add(0, &[next, cancel(mode), last], &[]);
        add(100, &[cancel(mode), last], &[]);
    }
    for leaves in LEAVING {
        add(0, &[next, leaves(A)], &[]);
        add(0, &[next, last], &[leaves(C)]);
    }
    add(0, &[last], &[Step::Unregister { client: C, procedure: 0 }]);
    explore_all("chunks", worlds);
}

#[test]
fn a_call_in_chunks_to_one_of_two_callees() {
    let setup = Setup {
        clients: vec![Kind::ours(), Kind::ours(), Kind::ours(), Kind::ours()],
        offers: vec![(C, 1), (D, 1)],
        strict: false,
        strict_ids: false,
        windows: None,
    };
    let mut worlds = Vec::new();
    for leaves in [None, Some(Step::Unregister { client: C, procedure: 1 }), Some(Step::Leave { client: C })]
    {
        let scripts = vec![
            vec![upload(A, 1, 0), chunk(A, false), chunk(A, true)],
            vec![call(B, 1, 0)],
            leaves.into_iter().collect(),
            vec![],
        ];
        let name = format!("{leaves:?}");
        worlds.push(Small { name, setup: setup.clone(), scripts, answers: TWO.to_vec(), reads: true });
    }
    explore_all("shared", worlds);
}

// behaviour 142, behaviour 143
#[test]
fn callees_that_refuse_a_call() {
    let setup = Setup {
        clients: vec![Kind::ours(), Kind::ours(), Kind::ours()],
        offers: vec![(B, 1), (C, 1)],
        strict: false,
        strict_ids: false,
        windows: None,
    };
    let mut worlds = Vec::new();
    let mut add = |caller: Vec<Step>, of_callee: Option<Step>, answers: &[Answer]| {
        let name = format!("{caller:?}, callee {of_callee:?}, {answers:?}");
        let scripts = vec![caller, vec![], of_callee.into_iter().collect()];
        worlds.push(Small { name, setup: setup.clone(), scripts, answers: answers.to_vec(), reads: true });
    };
    let refuses = &[Answer::Refusal][..];
    for timeout in [0, 100] {
        for mode in Mode::ALL {
            add(vec![call(A, 1, timeout), cancel(mode)], None, refuses);
        }
        add(vec![call(A, 1, timeout)], None, &[Answer::Progress, Answer::Refusal]);
    }
    for leaves in LEAVING {
        add(vec![call(A, 1, 0), leaves(A)], None, refuses);
        add(vec![call(A, 1, 100)], Some(leaves(C)), refuses);
    }
    add(vec![call(A, 1, 0)], Some(Step::Unregister { client: C, procedure: 1 }), refuses);
    add(vec![upload(A, 1, 0), chunk(A, false), chunk(A, true)], None, refuses);
    add(vec![upload(A, 1, 100), chunk(A, true)], None, refuses);
    explore_all("refusals", worlds);
}

// behaviour 148
#[test]
fn callees_that_take_two_calls_at_once() {
    let setup = Setup {
        clients: vec![Kind::ours(), Kind::ours()],
        offers: vec![(B, 3)],
        strict: false,
        strict_ids: false,
        windows: None,
    };
    let mut worlds = Vec::new();
    for act in [Some(cancel(Mode::Kill)), Some(cancel(Mode::Skip)), Some(Step::Leave { client: A }), None] {
        let mut caller = vec![call(A, 3, 100), call(A, 3, 0), call(A, 3, 0)];
        caller.extend(act);
        let name = format!("{act:?}");
        let scripts = vec![caller, vec![]];
        let answers = vec![Answer::Result];
        worlds.push(Small { name, setup: setup.clone(), scripts, answers, reads: true });
    }
    explore_all("busy callees", worlds);
}

#[test]
fn a_session_that_calls_itself() {
    let setup = Setup {
        clients: vec![Kind::ours(), Kind::ours()],
        offers: vec![(A, 0)],
        strict: false,
        strict_ids: false,
        windows: None,
    };
    let mut worlds = Vec::new();
    for leaves in LEAVING {
        for modes in [&[][..], &[Mode::Kill], &[Mode::KillNoWait]] {
            let mut scripts = vec![vec![call(A, 0, 0)], vec![call(B, 0, 0)]];
            scripts[A].extend(modes.iter().map(|mode| cancel(*mode)));
            scripts[A].push(leaves(A));
            let name = format!("cancel {modes:?}, {:?}", leaves(A));
            worlds.push(Small { name, setup: setup.clone(), scripts, answers: TWO.to_vec(), reads: true });
        }
    }
    explore_all("self-call", worlds);
}

#[test]
fn the_router_shuts_down() {
    let mut worlds = vec![
        calls(Kind::ours(), &[], Some(Step::Shutdown), [0, 0]),
        calls(Kind { mute: true, ..Kind::raw(Kind::ALL_FEATURES) }, &[], Some(Step::Shutdown), [0, 0]),
    ];
    // With a cancel, A and its callee alone: the GOODBYEs of all clients in every order are too many states.
    let setup = Setup {
        clients: vec![Kind::ours(), Kind::ours()],
        offers: vec![(1, 0)],
        strict: false,
        strict_ids: false,
        windows: None,
    };
    for modes in CANCELS {
        for timeout in [0, 100] {
            let mut scripts = vec![vec![call(A, 0, timeout)], vec![Step::Shutdown]];
            scripts[A].extend(modes.iter().map(|mode| cancel(*mode)));
            let name = format!("cancel {modes:?}, timeout {timeout}");
            worlds.push(Small { name, setup: setup.clone(), scripts, answers: TWO.to_vec(), reads: true });
        }
    }
    explore_all("shutdown", worlds);
}

#[test]
fn a_callee_unregisters() {
    let unregister = Some(Step::Unregister { client: C, procedure: 0 });
    let worlds = CANCELS[..3].iter().map(|modes| calls(Kind::ours(), modes, unregister, [0, 0]));
    explore_all("unregister", worlds.collect());
}

#[test]
fn the_orders_left_out_lead_to_no_other_ends() {
    compare_reduced(&calls(Kind::ours(), &[], Some(Step::Leave { client: B }), [0, 0]));
    if !crate::is_full() {
        return;
    }
    compare_reduced(&calls(Kind::ours(), &[Mode::Kill], None, [0, 0]));
    compare_reduced(&calls(Kind::ours(), &[Mode::Skip], None, [0, 100]));
    compare_reduced(&calls(Kind::ours(), &[], Some(Step::Cut { client: C }), [0, 0]));
    compare_reduced(&calls(Kind::ours(), &[], Some(Step::Shutdown), [0, 0]));
}

#[test]
fn a_caller_that_uses_its_ids_again() {
    let mut worlds = Vec::new();
    for (modes, timeout) in
        [(&[][..], 100), (&[Mode::Skip], 0), (&[Mode::Kill], 0), (&[Mode::KillNoWait], 100)]
    {
        for leaves in [None, Some(Step::Leave { client: 1 })] {
            let mut caller = vec![call(A, 0, timeout)];
            caller.extend(modes.iter().map(|mode| cancel(*mode)));
            caller.push(call(A, 0, 0));
            let clients = vec![Kind::numbering(Numbering::Reusing), Kind::ours()];
            let offers = vec![(1, 0)];
            let setup = Setup { clients, offers, strict: false, strict_ids: false, windows: None };
            let scripts = vec![caller, leaves.into_iter().collect()];
            let name = format!("cancel {modes:?}, leaves {leaves:?}, timeout {timeout}");
            worlds.push(Small { name, setup, scripts, answers: TWO.to_vec(), reads: true });
        }
    }
    explore_all("ids used again", worlds);
}
