//! A realm and twelve peers that do anything in any order: each CALL has exactly one end, nothing follows it,
//! no progress is unsolicited, the realm holds exactly the running calls, and nothing when all have left.

#![no_main]

#[path = "world/mod.rs"]
mod world;

use libfuzzer_sys::fuzz_target;
use world::World;

fuzz_target!(|input: &[u8]| {
    let Some((&first, steps)) = input.split_first() else { return };
    let mut world = World::new(first);
    let mut steps = steps.chunks_exact(4).take(3000);
    for step in &mut steps {
        world.step([step[0], step[1], step[2], step[3]]);
        world.settle();
        world.check();
    }
    world.finish();
});
