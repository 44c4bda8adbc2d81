//! Every order of events in a small world: two declarations that are up and a call, a loss at any moment, and another
//! loss at any moment after it.

use wamp_core::reconnect::Config;

use crate::step::Step;
use crate::world::World;

/// The number of losses of each kind in a history.
const LOSSES: usize = 2;

/// The number of steps before the world settles, and without `MODEL=full`.
const DEPTH: usize = 9;
const SHORT: usize = 7;

fn is_loss(step: Step) -> bool {
    matches!(step, Step::Fail | Step::Lose | Step::LoseSilently | Step::Restart | Step::ShutDown)
}

/// The steps of the histories. The actions of the program are fixed before.
fn is_explored(step: Step, losses: usize) -> bool {
    match step {
        step if is_loss(step) => losses > 0,
        Step::Connect | Step::Write | Step::ToRouter | Step::ToClient | Step::Forget => true,
        Step::Tick | Step::Progress | Step::Withdraw(0) => true,
        _ => false,
    }
}

fn begin(policy: usize) -> World {
    let mut world = World::new(Config::new(1), 7);
    world.settle();
    for step in [Step::Declare(0), Step::Declare(2)] {
        world.step(step);
        world.settle();
    }
    world.step(Step::Call(policy));
    world
}

struct Explored {
    histories: usize,
    probed: usize,
}

impl Explored {
    fn explore(&mut self, world: &World, taken: &mut Vec<Step>, losses: usize, depth: usize) {
        assert!(world.ledger.faults().is_empty(), "{:?}: {taken:?}", world.ledger.faults());
        if depth == 0 {
            let mut end = world.clone();
            match self.histories % 2 {
                0 => end.settle(),
                _ => end.settle_by_probes(),
            }
            end.check_settled();
            assert!(end.ledger.faults().is_empty(), "{:?}: {taken:?}", end.ledger.faults());
            self.histories += 1;
            self.probed += end.ledger.probed;
            return;
        }
        for step in world.steps().into_iter().filter(|step| is_explored(*step, losses)) {
            let mut next = world.clone();
            next.step(step);
            taken.push(step);
            self.explore(&next, taken, losses - usize::from(is_loss(step)), depth - 1);
            taken.pop();
        }
    }
}

#[test]
fn every_loss_at_every_moment() {
    let mut explored = Explored { histories: 0, probed: 0 };
    let (depth, histories, probes) =
        if crate::is_full() { (DEPTH, 10_000, 1_000) } else { (SHORT, 1_000, 100) };
    for policy in 0..crate::step::POLICIES.len() {
        explored.explore(&begin(policy), &mut Vec::new(), LOSSES, depth);
    }
    assert!(explored.histories > histories, "{} histories", explored.histories);
    assert!(explored.probed > probes, "{} probes", explored.probed);
}
