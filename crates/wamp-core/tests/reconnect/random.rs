//! Long histories at random.

use fastrand::Rng;
use wamp_core::reconnect::Config;

use crate::step::Step;
use crate::world::World;

/// The number of runs, and without `MODEL=full`.
const RUNS: u64 = 3_000;
const SHORT: u64 = 600;
const STEPS: usize = 200;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is to be a number")))
}

/// The relative frequency of a step. Losses are rare enough for sessions to be up in between.
fn weight(step: Step) -> usize {
    match step {
        Step::Write | Step::ToRouter | Step::ToClient => 100,
        Step::Connect => 60,
        Step::Tick | Step::Forget => 15,
        Step::Declare(_) => 20,
        Step::Call(_) | Step::Progress | Step::Result | Step::Unavailable => 5,
        Step::Withdraw(_) => 2,
        Step::Fail | Step::Lose | Step::LoseSilently | Step::Restart | Step::ShutDown => 1,
        Step::Leave => 0,
    }
}

fn draw(rng: &mut Rng, steps: &[Step]) -> Step {
    if rng.u16(..2000) == 0 {
        return Step::Leave;
    }
    let total: usize = steps.iter().map(|step| weight(*step)).sum();
    let mut at = rng.usize(..total);
    for step in steps {
        match at.checked_sub(weight(*step)) {
            Some(rest) => at = rest,
            None => return *step,
        }
    }
    unreachable!("the draw is below the sum")
}

#[test]
fn declarations_and_calls_survive_any_losses() {
    let runs = number("MODEL_RUNS").unwrap_or(if crate::is_full() { RUNS } else { SHORT });
    let first = number("MODEL_SEED").unwrap_or(1);
    let (mut sessions, mut repeated, mut declared_again, mut probed) = (0, 0, 0, 0);
    for seed in first..first + runs {
        let mut rng = Rng::with_seed(seed);
        let mut config = Config::new(rng.usize(1..=3));
        config.waits_for_first = rng.u8(..4) > 0;
        let mut world = World::new(config, seed);
        let mut taken = Vec::new();
        for _ in 0..rng.usize(..STEPS) {
            let step = draw(&mut rng, &world.steps());
            taken.push(step);
            world.step(step);
        }
        match rng.bool() {
            true => world.settle(),
            false => world.settle_by_probes(),
        }
        world.check_settled();
        assert!(
            world.ledger.faults().is_empty(),
            "MODEL_SEED={seed}: {:?}: {taken:?}",
            world.ledger.faults()
        );
        sessions += world.ledger.sessions;
        repeated += world.ledger.repeated;
        declared_again += world.ledger.declared_again;
        probed += world.ledger.probed;
    }
    if runs >= 500 {
        assert!(sessions as u64 > 2 * runs, "{sessions} sessions");
        assert!(repeated as u64 > runs / 10, "{repeated} calls were repeated");
        assert!(probed as u64 > runs / 50, "{probed} probes");
        assert!(declared_again as u64 > 2 * runs, "{declared_again} declarations were made again");
    }
}
