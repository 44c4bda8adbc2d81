//! Small worlds, exhaustively: every order of the programs' actions, of the messages that cross either end of
//! each wire, and of deadlines. That takes minutes, so only `MODEL=full` explores each world completely;
//! otherwise a random part of [`SHORT`] states is explored.
//!
//! The search is depth first, with a set of the worlds already met. Two worlds are the same if each of their
//! machines has had the same inputs in the same order (`World::key`), since the machines are deterministic;
//! nothing is assumed about the state of a machine. Independent events lead to the same world in either
//! order, and only one order is tried: if a message waits for a client on its wire, only the next steps of
//! this client are tried first (it reads, or its program acts), since nothing elsewhere can change them. The
//! other steps are tried afterwards. (In the literature this is a persistent set.) So every machine meets
//! each possible order of its inputs.

use std::collections::HashSet;
use std::hash::{BuildHasher, Hash};
use std::rc::Rc;

use fastrand::Rng;
use foldhash::fast::FixedState;

use crate::account::Stream;
use crate::client::End;
use crate::coverage::{Coverage, Phase};
use crate::ledger::{Broken, hold};
use crate::setup::Setup;
use crate::step::Step;
use crate::wire_message::Answer;
use crate::world::World;
use crate::{is_full, report};

/// A small world: the actions of each program, in this order but at any time, and the answers of its callees
/// to each invocation.
pub struct Small {
    pub name: String,
    pub setup: Setup,
    pub scripts: Vec<Vec<Step>>,
    pub answers: Vec<Answer>,
    /// Whether its applications go on reading, so that no call ends for lack of credit.
    pub reads: bool,
}

#[derive(Clone)]
struct Node {
    world: World,
    /// The number of steps done in each script.
    done: [u8; CLIENTS],
    /// The number of answers given to each invocation of each client.
    given: [[u8; INVOCATIONS]; CLIENTS],
    path: Option<Rc<Path>>,
}

/// The number of states of each world that are explored without `MODEL=full`.
const SHORT: usize = 800;

/// The largest number of clients.
const CLIENTS: usize = 4;
const INVOCATIONS: usize = 4;

/// The steps that led to a world, from its end.
struct Path {
    step: Step,
    before: Option<Rc<Path>>,
}

fn steps(path: &Option<Rc<Path>>) -> Vec<Step> {
    let mut steps: Vec<Step> =
        std::iter::successors(path.as_ref(), |path| path.before.as_ref()).map(|path| path.step).collect();
    steps.reverse();
    steps
}

impl Node {
    fn key(&self) -> u128 {
        let rest = (&self.done, &self.given);
        self.world.key() ^ u128::from(FixedState::with_seed(5).hash_one(rest)) << 32
    }
}

/// A step, and the script or invocation that it belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Next {
    Act(usize),
    Answer(usize, usize),
    /// The program takes a message.
    Take(usize),
    Wire(Step),
    /// Time advances to the next deadline, of the realm or of a client.
    Time(Option<usize>),
}

/// Returns the next steps of one client: its program acts or answers, or it reads.
fn of_client(small: &Small, node: &Node, index: usize) -> Vec<Next> {
    let client = &node.world.clients[index];
    let mut choices = Vec::new();
    if !waits_to_act(small, node, index) && usize::from(node.done[index]) < small.scripts[index].len() {
        choices.push(Next::Act(index));
    }
    for (invocation, got) in client.invocations.iter().enumerate() {
        let given = usize::from(node.given[index][invocation]);
        let alive = match &client.end {
            End::Session(_, endpoint) => {
                endpoint.is_open() && endpoint.invocation_phase(got.invocation).is_some_and(Phase::is_alive)
            }
            End::Raw(_) => client.is_active(),
        };
        let waits = got.waits && small.answers.get(given).is_some_and(|answer| answer.is_progress());
        if given < small.answers.len() && alive && !waits {
            choices.push(Next::Answer(index, invocation));
        }
    }
    if small.reads && !client.items.is_empty() {
        choices.push(Next::Take(index));
    }
    if !client.down.is_empty() {
        choices.push(Next::Wire(Step::Down { client: index }));
    }
    choices
}

/// Returns whether all next steps of a client are known and independent of everything elsewhere: a message
/// waits for it on its wire, it watches no timeout, the next step of its script is not the router's, and that
/// step does not cut a wire that the router still reads.
fn is_independent(small: &Small, node: &Node, index: usize) -> bool {
    let client = &node.world.clients[index];
    let act = small.scripts[index].get(usize::from(node.done[index]));
    let by_router = matches!(
        act,
        Some(Step::CloseByRouter { .. } | Step::Shutdown | Step::Ask { .. } | Step::Abandon { .. })
    );
    let cuts = matches!(act, Some(Step::Cut { .. })) && !client.up.is_empty();
    !client.down.is_empty() && !client.watches_timeouts() && !by_router && !cuts
}

/// Returns whether the next step of a script is a chunk that waits for credit.
fn waits_to_act(small: &Small, node: &Node, index: usize) -> bool {
    match small.scripts[index].get(usize::from(node.done[index])) {
        Some(Step::Chunk { call, last: false, .. }) => {
            let client = &node.world.clients[index];
            let stream = client.calls.get(*call).map(|call| Stream::chunks(call.request));
            stream.is_some_and(|stream| client.waiting().contains(&stream))
        }
        _ => false,
    }
}

/// Checks a world without next steps in which every application has gone on reading: no program waits for
/// credit, and no call has ended for lack of it.
fn comes_to_an_end(small: &Small, node: &Node) -> Result<(), Broken> {
    if !small.reads {
        return Ok(());
    }
    let waiting: Vec<_> = node.world.clients.iter().map(|client| client.waiting()).collect();
    let stuck = (0..waiting.len()).any(|index| waits_to_act(small, node, index)) || {
        let given = |index: usize, got: usize| usize::from(node.given[index][got]) < small.answers.len();
        let clients = node.world.clients.iter().enumerate();
        clients.clone().any(|(index, client)| {
            let mut got = client.invocations.iter().enumerate();
            got.any(|(at, got)| {
                got.waits && given(index, at) && waiting[index].contains(&Stream::results(got.invocation))
            })
        })
    };
    hold!(!stuck, "19: {waiting:?} wait for credit forever");
    let slow = node.world.dealer.counts.slow_consumers;
    hold!(slow == 0, "20: {slow} calls have ended as slow, although every application goes on reading");
    Ok(())
}

fn choices(small: &Small, node: &Node, reduced: bool) -> Vec<Next> {
    let world = &node.world;
    let clients = 0..world.clients.len();
    if let Some(client) = clients.clone().find(|client| reduced && is_independent(small, node, *client)) {
        return of_client(small, node, client);
    }
    let mut choices: Vec<Next> = clients.flat_map(|client| of_client(small, node, client)).collect();
    for (index, client) in world.clients.iter().enumerate() {
        if client.readable && !client.up.is_empty() {
            choices.push(Next::Wire(Step::Up { client: index, count: 1 }));
        }
    }
    for (index, client) in world.clients.iter().enumerate() {
        if !client.watches.is_empty() {
            choices.push(Next::Wire(Step::Left { client: index }));
        }
    }
    let Some(next) = world.deadline() else { return choices };
    // The waits for GOODBYE end when nothing else happens.
    let of_call = world.dealer.call_deadlines().any(|deadline| deadline == next);
    if choices.is_empty() || of_call || world.clients.iter().any(|client| client.watches_timeouts()) {
        if world.realm.poll_timeout() == Some(next) {
            choices.push(Next::Time(None));
        }
        for (index, client) in world.clients.iter().enumerate() {
            if client.deadline() == Some(next) {
                choices.push(Next::Time(Some(index)));
            }
        }
    }
    choices
}

fn take(small: &Small, node: &mut Node, next: Next, cover: &mut Coverage) -> Result<(), Broken> {
    let mut steps = Vec::new();
    match next {
        Next::Act(client) => {
            steps.push(small.scripts[client][usize::from(node.done[client])]);
            node.done[client] += 1;
        }
        Next::Answer(client, invocation) => {
            let given = &mut node.given[client][invocation];
            steps.push(Step::Answer { client, invocation, answer: small.answers[usize::from(*given)] });
            *given += 1;
        }
        Next::Take(client) => steps.push(Step::Take { client }),
        Next::Wire(step) => steps.push(step),
        Next::Time(client) => steps.extend([Step::Tick, Step::Expire { client }]),
    }
    for step in steps {
        node.path = Some(Rc::new(Path { step, before: node.path.take() }));
        node.world.step(&step, cover)?;
    }
    Ok(())
}

#[derive(Default)]
struct Visited {
    states: usize,
    steps: usize,
    /// The worlds without next steps.
    ends: Vec<u128>,
}

/// Explores a world: all of it depth first, or, with a limit, that many states in a random order that is
/// always the same.
fn explore(small: &Small, reduced: bool, limit: Option<usize>, cover: &mut Coverage) -> Visited {
    let mut visited = Visited::default();
    let world = World::new(&small.setup, false, cover).unwrap_or_else(|broken| panic!("{broken}"));
    let (done, given) = ([0; CLIENTS], [[0; INVOCATIONS]; CLIENTS]);
    let root = Node { world, done, given, path: None };
    let mut met = HashSet::with_hasher(FixedState::with_seed(9));
    met.insert(root.key());
    let mut open = vec![root];
    let mut rng = Rng::with_seed(11);
    while let Some(last) = open.len().checked_sub(1) {
        // A random state, but more often one of the latest, to reach the ends.
        let at = if limit.is_some() && rng.u8(..4) == 0 { rng.usize(..=last) } else { last };
        let mut node = open.swap_remove(at);
        visited.states += 1;
        if limit.is_some_and(|limit| visited.states > limit) {
            break;
        }
        let choices = choices(small, &node, reduced);
        if choices.is_empty() {
            visited.ends.push(node.key());
            if let Err(broken) = comes_to_an_end(small, &node).and_then(|()| node.world.finish(cover)) {
                fail(small, &steps(&node.path), &broken);
            }
            continue;
        }
        for next in choices {
            visited.steps += 1;
            let mut child = node.clone();
            if let Err(broken) = take(small, &mut child, next, cover) {
                fail(small, &steps(&child.path), &broken);
            }
            if met.insert(child.key()) {
                open.push(child);
            }
        }
    }
    visited
}

/// Explores these worlds, and reports the number of states.
pub fn explore_all(name: &str, worlds: Vec<Small>) {
    let mut cover = Coverage::new();
    let limit = (!is_full()).then_some(SHORT);
    let (mut states, mut steps, mut ends) = (0, 0, 0);
    for small in &worlds {
        let visited = explore(small, true, limit, &mut cover);
        report(&format!(
            "model, exhaustive: {:>8} states {:>8} steps {:>7} ends  {name}: {}",
            visited.states,
            visited.steps,
            visited.ends.len(),
            small.name
        ));
        states += visited.states;
        steps += visited.steps;
        ends += visited.ends.len();
    }
    let count = worlds.len();
    report(&format!(
        "model, exhaustive: {states:>8} states {steps:>8} steps {ends:>7} ends  {name}, all {count}"
    ));
}

/// Checks that the orders left out by `is_independent` lead to no other ends.
pub fn compare_reduced(small: &Small) {
    let mut cover = Coverage::new();
    let [mut reduced, mut full] = [true, false].map(|reduced| explore(small, reduced, None, &mut cover).ends);
    reduced.sort_unstable();
    full.sort_unstable();
    assert_eq!(reduced, full, "{}: {} and {} ends", small.name, reduced.len(), full.len());
}

fn fail(small: &Small, path: &[Step], broken: &Broken) -> ! {
    crate::random::fail(&small.name, small.setup.clone(), path.to_vec(), broken)
}
