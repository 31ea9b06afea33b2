//! What the fuzzers found worth keeping runs through the fuzz targets again, on stable Rust.
//!
//! `tests/corpus/TARGET/` holds the inputs: those that reach all code which the fuzzer reached, and, named after what they
//! showed, those that found a fault.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]

#[path = "../fuzz/src/lib.rs"]
mod targets;

use std::panic::catch_unwind;
use std::path::PathBuf;

fn inputs(target: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files = entries.map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
    files.sort();
    files
}

/// Runs the inputs of a target; all of them, so that one failure does not hide another.
fn replay(target: &str) {
    let (_, run) = targets::TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let files = inputs(target);
    assert!(files.len() >= 10, "only {} inputs", files.len());
    let broken = |file: &&PathBuf| catch_unwind(|| run(&std::fs::read(file).unwrap())).is_err();
    let broken = files.iter().filter(broken).collect::<Vec<_>>();
    assert!(broken.is_empty(), "{broken:?}");
    println!("{target}: {} inputs", files.len());
}

macro_rules! replays {
    ($($target:ident)*) => {
        $(
            #[test]
            fn $target() {
                replay(stringify!($target));
            }
        )*

        #[test]
        fn every_target_is_replayed() {
            assert_eq!(targets::TARGETS.map(|(name, _)| name), [$(stringify!($target)),*]);
        }
    };
}

replays! { outer inner geneve_options options neighbour dissect fdb engine batch bridge control record }
