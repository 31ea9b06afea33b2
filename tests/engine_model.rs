//! The engine against a plain bridge, verdict by verdict, on random networks.
#![allow(
    clippy::panic_in_result_fn,
    clippy::use_self,
    clippy::wrong_self_convention,
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod common;
mod reference;

use proptest::prelude::*;
use reference::ops::{ops, scenes};
use reference::tables::Sizes;
use reference::{Op, Rig, Scene, Tables, promises};

fn run(scene: &Scene, ops: &[Op]) {
    let (mut tables, mut twin_tables) = (Tables::new(&Sizes::AMPLE), Tables::new(&Sizes::AMPLE));
    let (mut rig, mut twin) = (Rig::new(&mut tables, scene), Rig::new(&mut twin_tables, scene));
    for op in ops {
        let op = &rig.aim(op);
        if let Some(handled) = rig.apply(op) {
            promises::check(&rig.engine, op, &handled);
        }
        twin.apply(op);
        rig.check();
        twin.check();
        assert_eq!(rig.engine.digest(), twin.engine.digest(), "after {op:?}");
    }
}

/// As many cases as `PROPTEST_CASES` says, or 400.
fn config() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(400);
    ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(cases) }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_engine_is_a_bridge(
        (scene, ops) in scenes().prop_flat_map(|scene| {
            let profile = scene.profile;
            (Just(scene), ops(profile, 80))
        })
    ) {
        run(&scene, &ops);
    }
}
