//! Larger worlds at random: up to four callers and three callees, shared registrations, chunks and results in
//! both directions, and peers that break the rules.

use fastrand::Rng;
use wamp_proto::Serializer;

use crate::account::Windows;
use crate::client::Client;
use crate::coverage::Coverage;
use crate::ledger::Broken;
use crate::setup::{Kind, Numbering, Setup};
use crate::step::{Forged, Step, Wrong};
use crate::wire_message::{Answer, Mode};
use crate::world::World;
use crate::{is_full, report};

/// The number of runs, and without `MODEL=full`.
const RUNS: u64 = 100_000;
const SHORT: u64 = 800;
/// The least number of times that everything occurs in a full run.
const LEAST: u64 = 50;

const STEPS: usize = 30;

pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number")))
}

fn pick<T: Copy>(rng: &mut Rng, from: &[T]) -> T {
    from[rng.usize(..from.len())]
}

/// Returns windows of one or two messages.
fn windows(rng: &mut Rng) -> Windows {
    let first = pick(rng, &[1, 60, 100, 150, 250]);
    Windows { first, max: first * pick(rng, &[1, 1, 2, 4]) }
}

fn setup(rng: &mut Rng) -> Setup {
    let counts = rng.u8(..5) < 2;
    let callers = rng.usize(1..=4);
    let callees = rng.usize(1..=3);
    let strict_ids = rng.u8(..8) == 0;
    let mut clients = Vec::new();
    for _ in 0..callers + callees {
        let mut kind = match rng.u8(..10) {
            0..6 => Kind::ours(),
            6..8 => Kind::raw(Kind::ALL_FEATURES),
            8 => Kind::numbering(Numbering::Counting),
            _ => {
                let mut features = Kind::ALL_FEATURES;
                features.caller_progress = rng.bool();
                features.caller_chunks = rng.bool();
                features.callee_progress = rng.bool();
                features.callee_canceling = rng.u8(..4) == 0;
                features.callee_chunks = rng.bool();
                features.callee_timeout = rng.bool();
                features.callee_reroute = rng.bool();
                Kind::raw(features)
            }
        };
        if !kind.ours && !kind.features.caller_chunks && !strict_ids {
            kind.numbering = pick(rng, &[Numbering::Counting, Numbering::Drawn, Numbering::Reusing]);
        }
        kind.rogue = !kind.ours && rng.u8(..3) == 0;
        kind.mute = !kind.ours && rng.u8(..4) == 0;
        kind.serializer = pick(rng, Serializer::ALL);
        if counts && kind.numbering != Numbering::Reusing && rng.u8(..4) > 0 {
            let Windows { first, max } = windows(rng);
            kind = kind.counting(first, max);
            if !kind.ours && rng.u8(..4) == 0 {
                let credit = if rng.bool() {
                    &mut kind.features.caller_credit
                } else {
                    &mut kind.features.callee_credit
                };
                *credit = None;
            }
        }
        clients.push(kind);
    }
    let mut offers = Vec::new();
    for callee in callers..callers + callees {
        offers.push((callee, 1));
        if rng.bool() {
            offers.push((callee, 3));
        }
    }
    offers.push((rng.usize(callers..callers + callees), 0));
    offers.push((rng.usize(callers..callers + callees), 2));
    if rng.u8(..3) == 0 {
        // A caller that is also a callee, and sometimes calls itself.
        offers.push((0, 4));
    }
    Setup {
        clients,
        offers,
        strict: rng.u8(..8) == 0,
        strict_ids,
        windows: (counts && rng.u8(..16) > 0).then(|| windows(rng)),
    }
}

/// Returns a random step: most steps advance calls, few end something.
fn propose(rng: &mut Rng, world: &World) -> Step {
    let clients = world.clients.len();
    let client = rng.usize(..clients);
    let state = &world.clients[client];
    let (calls, invocations) = (state.calls.len(), state.invocations.len());
    // The latest ones are more likely to be alive.
    let recent = |rng: &mut Rng, count: usize| match rng.u8(..4) {
        0 => rng.usize(..count.max(1)),
        _ => count.saturating_sub(1 + rng.usize(..2)),
    };
    if world.counts && rng.u8(..4) == 0 {
        return propose_credit(rng, world);
    }
    let made: usize = world.clients.iter().map(|client| client.calls.len()).sum();
    match rng.u8(..100) {
        0..16 => Step::Up { client: busy(rng, world, true), count: if rng.u8(..5) == 0 { 4 } else { 1 } },
        16..34 => Step::Down { client: busy(rng, world, false) },
        34..42 if made < 8 => Step::Call {
            client: rng.usize(..clients.div_ceil(2)),
            procedure: pick(rng, &[0, 0, 0, 1, 1, 1, 2, 2, 3, 4]),
            wants_progress: rng.u8(..4) > 0,
            more: rng.u8(..3) == 0,
            timeout: pick(rng, &[0, 0, 0, 100, 200]),
        },
        42..50 if calls > 0 => Step::Chunk { client, call: recent(rng, calls), last: rng.u8(..3) == 0 },
        50..59 if calls > 0 => Step::Cancel { client, call: recent(rng, calls), mode: pick(rng, &Mode::ALL) },
        50..80 if invocations > 0 => {
            let answer = pick(
                rng,
                &[
                    Answer::Progress,
                    Answer::Progress,
                    Answer::Progress,
                    Answer::Result,
                    Answer::Error,
                    Answer::Refusal,
                ],
            );
            Step::Answer { client, invocation: recent(rng, invocations), answer }
        }
        80..82 => Step::AnswerCancelMyself { client, invocation: recent(rng, invocations) },
        82 if rng.bool() => match rng.u8(..3) {
            0 if !world.asks.is_empty() => Step::Abandon { ask: recent(rng, world.asks.len()) },
            _ => Step::Ask {
                procedure: pick(rng, &[0, 0, 1, 1, 2, 3, 4]),
                timeout: pick(rng, &[100, 200, 5_000]),
            },
        },
        82..84 => pick(
            rng,
            &[
                Step::Register { client, procedure: 1 },
                Step::Register { client, procedure: 0 },
                Step::Unregister { client, procedure: 0 },
                Step::Unregister { client, procedure: 1 },
                Step::Unregister { client, procedure: 2 },
            ],
        ),
        84..88 => Step::Pass { millis: pick(rng, &[1, 50, 80, 100, 5_000]) },
        88..90 => Step::Tick,
        90..93 => Step::Expire { client: None },
        93 => Step::Expire { client: Some(client) },
        94 if rng.u8(..2) == 0 => Step::Leave { client },
        95 if rng.u8(..2) == 0 => {
            let end = [
                Step::Die { client },
                Step::Cut { client },
                Step::Abort { client },
                Step::CloseByRouter { client },
            ];
            pick(rng, &end)
        }
        96 if rng.u8(..8) == 0 => Step::Shutdown,
        97 => {
            let wrongs = [
                Wrong::NeverInvoked,
                Wrong::ErrorOfCall,
                Wrong::Gap,
                Wrong::Again,
                Wrong::Garbage,
                Wrong::ForeignCancel,
                Wrong::ForeignCancel,
                Wrong::CancelWithoutMode,
                Wrong::CancelWithoutMode,
            ];
            Step::Wrong { client, wrong: pick(rng, &wrongs) }
        }
        98 if rng.bool() => {
            if state.held {
                Step::Release { client }
            } else {
                Step::Hold { client }
            }
        }
        98 | 99 => {
            let forged = match world.windows.is_some() && state.kind.windows.is_some() && rng.bool() {
                true => [Forged::Credit, Forged::Credit, Forged::Void, Forged::Void, Forged::Interrupt],
                false => {
                    [Forged::Progress, Forged::Progress, Forged::Result, Forged::Unknown, Forged::Interrupt]
                }
            };
            let forged = pick(rng, &forged);
            let of_invocations = matches!(forged, Forged::Interrupt | Forged::Credit);
            let count = if of_invocations { invocations } else { calls };
            Step::Forge { client, of: recent(rng, count), forged }
        }
        _ => Step::Down { client: busy(rng, world, false) },
    }
}

/// Returns a random step of credit: mostly one that advances a stream, sometimes one that breaks the rules.
fn propose_credit(rng: &mut Rng, world: &World) -> Step {
    let having = |rng: &mut Rng, has: fn(&Client) -> bool| {
        let clients: Vec<usize> =
            (0..world.clients.len()).filter(|client| has(&world.clients[*client])).collect();
        if clients.is_empty() { 0 } else { pick(rng, &clients) }
    };
    match rng.u8(..32) {
        0..12 => Step::Left { client: having(rng, |client| !client.watches.is_empty()) },
        12..25 => Step::Take { client: having(rng, |client| !client.items.is_empty()) },
        25..28 => Step::Grant {
            client: having(rng, |client| client.kind.rogue),
            request: rng.u64(1..=4),
            chunks: pick(rng, &[None, None, Some(true), Some(false)]),
            total: pick(rng, &[None, Some(0), Some(1), Some(120), Some(400), Some(wamp_proto::MAX_ID)]),
        },
        28 => Step::Tick,
        29 => Step::Expire { client: Some(having(rng, Client::has_delayed)) },
        30 => Step::Pass { millis: pick(rng, &[10_000, 30_000, 60_000, 300_000]) },
        _ => Step::Expire { client: None },
    }
}

/// Returns a client on whose wire a message waits, if there is one.
fn busy(rng: &mut Rng, world: &World, up: bool) -> usize {
    let waits = |index: &usize| {
        let client = &world.clients[*index];
        if up { client.readable && !client.up.is_empty() } else { !client.down.is_empty() }
    };
    let busy: Vec<usize> = (0..world.clients.len()).filter(waits).collect();
    if busy.is_empty() { rng.usize(..world.clients.len()) } else { pick(rng, &busy) }
}

/// Does these steps in a new world, and finishes it.
fn replay(setup: &Setup, steps: &[Step], log: bool) -> (Result<(), Broken>, Vec<String>) {
    let mut cover = Coverage::new();
    let mut world = match World::new(setup, log, &mut cover) {
        Ok(world) => world,
        Err(broken) => return (Err(broken), Vec::new()),
    };
    let mut run = || {
        steps.iter().try_for_each(|step| world.step(step, &mut cover).map(|_| ()))?;
        world.note(|| "everything is delivered and answered; then all clients leave".to_owned());
        world.finish(&mut cover)
    };
    let result = run();
    (result, world.log.take().unwrap_or_default())
}

/// Removes steps, several at a time at first, and registrations, as long as something fails.
fn shrink(setup: &mut Setup, mut steps: Vec<Step>) -> Vec<Step> {
    let mut size = steps.len().div_ceil(2);
    while size > 0 {
        let before = steps.len();
        let mut at = 0;
        while at < steps.len() {
            let mut fewer = steps.clone();
            fewer.drain(at..(at + size).min(fewer.len()));
            if replay(setup, &fewer, false).0.is_err() {
                steps = fewer;
            } else {
                at += size;
            }
        }
        if steps.len() == before || size > 1 {
            size /= 2;
        }
    }
    for at in (0..setup.offers.len()).rev() {
        let mut fewer = setup.clone();
        fewer.offers.remove(at);
        if replay(&fewer, &steps, false).0.is_err() {
            *setup = fewer;
        }
    }
    steps
}

pub fn fail(name: &str, mut setup: Setup, steps: Vec<Step>, broken: &Broken) -> ! {
    let steps = shrink(&mut setup, steps);
    let setup = &setup;
    let (result, log) = replay(setup, &steps, true);
    let again = result.err().unwrap_or_default();
    let mut kinds = String::new();
    for (index, kind) in setup.clients.iter().enumerate() {
        kinds += &format!("client {index}: {kind:?}\n");
    }
    panic!(
        "{name}: {broken}\n\nA minimal sequence, in which {again}\n\n{kinds}strict_features: {}, strict_request_ids: {}, windows: {:?}\n\n{}\n\n{steps:?}",
        setup.strict,
        setup.strict_ids,
        setup.windows,
        log.join("\n"),
    );
}

/// Runs one world. Returns the number of its steps.
fn run(seed: u64, cover: &mut Coverage) -> usize {
    let mut rng = Rng::with_seed(seed);
    let setup = setup(&mut rng);
    let mut steps = Vec::new();
    let mut world = World::new(&setup, false, cover).unwrap_or_else(|broken| panic!("seed {seed}: {broken}"));
    let count = rng.usize(35..=90);
    let mut tries = 0;
    while steps.len() < count && tries < 10 * count {
        tries += 1;
        let step = propose(&mut rng, &world);
        steps.push(step);
        match world.step(&step, cover) {
            Ok(true) => {}
            Ok(false) => {
                steps.pop();
            }
            Err(broken) => fail(&format!("seed {seed}"), setup, steps, &broken),
        }
    }
    if let Err(broken) = world.finish(cover) {
        fail(&format!("seed {seed}"), setup, steps, &broken);
    }
    steps.len()
}

// behaviour 9
#[test]
fn calls_end_exactly_once() {
    let runs = number("MODEL_RUNS").unwrap_or(if is_full() { RUNS } else { SHORT });
    let first = number("MODEL_SEED").unwrap_or(1);
    let mut cover = Coverage::new();
    let (mut done, mut steps, mut seed) = (0, 0, first);
    while done < runs {
        let taken = run(seed, &mut cover);
        seed += 1;
        steps += taken;
        // Sometimes all clients leave early.
        done += u64::from(taken >= STEPS);
    }
    report(&format!(
        "model, random: {done} runs of {STEPS} steps or more, seeds {first} to {}, {steps} steps\n{cover}",
        seed - 1
    ));
    if runs >= RUNS {
        let below = cover.below(LEAST);
        assert!(below.is_empty(), "occurred less than {LEAST} times: {below:#?}");
    }
}
