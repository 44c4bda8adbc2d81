//! Small worlds with credit: windows so small that a sender waits after a message or two, programs that
//! consume messages at any time, handlers that wait for credit and are woken by nothing else, and queues that
//! empty at any time. As long as every application goes on reading, each world comes to an end.

use crate::account::Windows;
use crate::exhaustive::{Small, compare_reduced, explore_all};
use crate::setup::{Kind, Setup};
use crate::step::Step;
use crate::wire_message::{Answer, Mode};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

const THREE: &[Answer] = &[Answer::Progress, Answer::Progress, Answer::Progress, Answer::Result];
const TWO: &[Answer] = &[Answer::Progress, Answer::Progress, Answer::Result];
const ONE: &[Answer] = &[Answer::Progress, Answer::Result];

fn call(client: usize) -> Step {
    Step::Call { client, procedure: 0, wants_progress: true, more: false, timeout: 0 }
}

fn upload(client: usize, wants_progress: bool) -> Step {
    Step::Call { client, procedure: 0, wants_progress, more: true, timeout: 0 }
}

fn chunk(client: usize, last: bool) -> Step {
    Step::Chunk { client, call: 0, last }
}

fn cancel(mode: Mode) -> Step {
    Step::Cancel { client: A, call: 0, mode }
}

/// One message, or slightly more, or two: a progressive result costs about 96 bytes.
const NARROW: [u64; 3] = [1, 100, 150];

fn counting(first: u64) -> Kind {
    Kind::ours().counting(first, first)
}

/// A caller and a callee.
fn two(caller: Kind, callee: Kind, router: Windows) -> Setup {
    Setup {
        clients: vec![caller, callee],
        offers: vec![(1, 0)],
        strict: false,
        strict_ids: false,
        windows: Some(router),
    }
}

fn fixed(first: u64) -> Windows {
    Windows { first, max: first }
}

fn small(name: String, setup: Setup, scripts: Vec<Vec<Step>>, answers: &[Answer]) -> Small {
    Small { name, setup, scripts, answers: answers.to_vec(), reads: true }
}

#[test]
fn a_stream_of_results_comes_to_an_end() {
    let mut worlds = Vec::new();
    for caller in NARROW {
        for router in NARROW {
            let name = format!("results, caller {caller}, router {router}");
            let setup = two(counting(caller), counting(caller), fixed(router));
            worlds.push(small(name, setup, vec![vec![call(A)], vec![]], THREE));
        }
    }
    for (name, caller, callee) in [
        ("foreign caller", Kind::raw(Kind::ALL_FEATURES), counting(100)),
        ("foreign callee", counting(100), Kind::raw(Kind::ALL_FEATURES)),
        ("foreign caller with credit", Kind::raw(Kind::ALL_FEATURES).counting(100, 100), counting(100)),
        ("foreign callee with credit", counting(100), Kind::raw(Kind::ALL_FEATURES).counting(100, 100)),
        ("ours without credit", Kind::ours(), counting(100)),
    ] {
        worlds.push(small(
            name.to_owned(),
            two(caller, callee, fixed(100)),
            vec![vec![call(A)], vec![]],
            THREE,
        ));
    }
    let wide = |kind: Kind| kind.counting(100, 400);
    let setup = two(wide(Kind::ours()), wide(Kind::ours()), Windows { first: 100, max: 400 });
    worlds.push(small("windows that widen".to_owned(), setup, vec![vec![call(A)], vec![]], THREE));
    explore_all("credit", worlds);
}

#[test]
fn chunks_and_both_ways_come_to_an_end() {
    let mut worlds = Vec::new();
    let (next, last) = (chunk(A, false), chunk(A, true));
    for (first, router) in [(1, 1), (100, 100), (1, 150), (150, 1)] {
        let setup = two(counting(first), counting(first), fixed(router));
        let up = vec![vec![upload(A, false), next, next, last], vec![]];
        worlds.push(small(format!("chunks, {first}, router {router}"), setup.clone(), up, &[Answer::Result]));
        if first == router && first == 1 {
            let both = vec![vec![upload(A, true), next, last], vec![]];
            worlds.push(small(format!("both ways, {first}, router {router}"), setup, both, ONE));
        }
    }
    let foreign = Kind::raw(Kind::ALL_FEATURES);
    for (name, caller, callee) in
        [("foreign caller", foreign, counting(1)), ("foreign callee", counting(1), foreign)]
    {
        let both = vec![vec![upload(A, true), next, last], vec![]];
        worlds.push(small(format!("both ways, {name}"), two(caller, callee, fixed(1)), both, ONE));
    }
    let setup = two(foreign.counting(1, 1), foreign.counting(1, 1), fixed(1));
    let up = vec![vec![upload(A, false), next, next, last], vec![]];
    worlds.push(small("chunks, foreign both".to_owned(), setup, up, &[Answer::Result]));
    explore_all("credit, chunks", worlds);
}

/// The ways to leave, for each client.
const LEAVING: [fn(usize) -> Step; 4] = [
    |client| Step::Leave { client },
    |client| Step::Cut { client },
    |client| Step::Abort { client },
    |client| Step::CloseByRouter { client },
];

#[test]
fn a_call_that_is_over_takes_its_credit_with_it() {
    let mut worlds = Vec::new();
    let setup = || two(counting(100), counting(100), fixed(100));
    for modes in [&[Mode::Skip][..], &[Mode::Kill], &[Mode::KillNoWait], &[Mode::Kill, Mode::KillNoWait]] {
        let mut script = vec![call(A)];
        script.extend(modes.iter().map(|mode| cancel(*mode)));
        let answers = if modes.len() == 1 { TWO } else { ONE };
        worlds.push(small(format!("cancel {modes:?}"), setup(), vec![script.clone(), vec![]], answers));
        let itself = vec![Step::AnswerCancelMyself { client: 1, invocation: 0 }];
        worlds.push(small(format!("cancel {modes:?}, answered"), setup(), vec![script, itself], ONE));
        let mut script = vec![upload(A, false), chunk(A, false)];
        script.extend(modes.iter().map(|mode| cancel(*mode)));
        worlds.push(small(
            format!("cancel {modes:?}, chunks"),
            setup(),
            vec![script, vec![]],
            &[Answer::Result],
        ));
    }
    for leaves in LEAVING {
        for leaver in [0, 1] {
            let mut scripts = vec![vec![call(A)], vec![]];
            scripts[leaver].push(leaves(leaver));
            worlds.push(small(format!("{:?}", leaves(leaver)), setup(), scripts, TWO));
            let mut scripts = vec![vec![upload(A, false)], vec![]];
            scripts[leaver].push(leaves(leaver));
            worlds.push(small(format!("{:?}, chunks", leaves(leaver)), setup(), scripts, &[Answer::Result]));
        }
    }
    let shutdown = vec![vec![call(A)], vec![Step::Shutdown]];
    worlds.push(small("shutdown".to_owned(), setup(), shutdown, TWO));
    explore_all("credit, endings", worlds);
}

#[test]
fn two_calls_share_no_credit() {
    let three = |router: Windows| Setup {
        clients: vec![counting(100), counting(100), counting(100)],
        offers: vec![(C, 0)],
        strict: false,
        strict_ids: false,
        windows: Some(router),
    };
    let scripts = vec![vec![call(A)], vec![call(B)], vec![]];
    explore_all("credit, two calls", vec![small("two callers".to_owned(), three(fixed(100)), scripts, ONE)]);
}

#[test]
fn a_session_that_calls_itself_comes_to_an_end() {
    let alone = |kind: Kind| Setup {
        clients: vec![kind],
        offers: vec![(A, 0)],
        strict: false,
        strict_ids: false,
        windows: Some(fixed(100)),
    };
    // (Equal ids of calls and invocations need more calls than this; the random worlds have them.)
    let mut worlds = Vec::new();
    for kind in [counting(1), counting(100)] {
        worlds.push(small("one call".to_owned(), alone(kind), vec![vec![call(A)]], TWO));
    }
    let both = vec![upload(A, true), chunk(A, false), chunk(A, true)];
    worlds.push(small("both ways".to_owned(), alone(counting(1)), vec![both], ONE));
    explore_all("credit, self-call", worlds);
}

#[test]
fn a_caller_that_reads_nothing_loses_the_call_and_nothing_else() {
    let mut worlds = Vec::new();
    let three = Setup {
        clients: vec![counting(100), Kind::ours(), counting(100)],
        offers: vec![(C, 0)],
        strict: false,
        strict_ids: false,
        windows: Some(fixed(100)),
    };
    let scripts = vec![vec![call(A)], vec![call(B)], vec![]];
    worlds.push(Small { reads: false, ..small("results".to_owned(), three, scripts, TWO) });
    let setup = two(counting(1), counting(1), fixed(1));
    let up = vec![vec![upload(A, false), chunk(A, false), chunk(A, false), chunk(A, true)], vec![]];
    worlds.push(Small { reads: false, ..small("chunks".to_owned(), setup, up, &[]) });
    explore_all("credit, slow", worlds);
}

#[test]
fn the_orders_left_out_lead_to_no_other_ends_with_credit() {
    let setup = two(counting(100), counting(100), fixed(100));
    compare_reduced(&small("results".to_owned(), setup.clone(), vec![vec![call(A)], vec![]], ONE));
    let up = vec![vec![upload(A, false), chunk(A, true)], vec![]];
    compare_reduced(&small("chunks".to_owned(), setup, up, &[Answer::Result]));
}
