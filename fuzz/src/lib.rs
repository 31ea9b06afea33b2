//! What the fuzz targets do with their bytes.
//!
//! `fuzz_targets/` gives these functions to libFuzzer; `tests/corpus.rs` of the library gives them the inputs that are
//! kept in `tests/corpus/`. Each takes any bytes, and panics where a promise is broken.
#![allow(
    dead_code,
    unnameable_types,
    unreachable_pub,
    unused_imports,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::panic_in_result_fn,
    clippy::std_instead_of_core,
    clippy::unreachable,
    clippy::unwrap_used,
    clippy::use_self,
    clippy::wrong_self_convention,
    missing_docs,
    reason = "code of the tests and the examples, which uses all of it and has std"
)]

pub mod batch;
pub mod bridge;
mod common;
pub mod control;
pub mod dissect;
mod draw;
pub mod engine;
pub mod fdb;
pub mod geneve_options;
pub mod inner;
mod log;
pub mod neighbour;
pub mod options;
pub mod outer;
pub mod record;
#[path = "../../tests/reference/mod.rs"]
mod reference;
pub mod seeds;

/// Takes any bytes.
pub type Target = fn(&[u8]);

/// Every target by its name.
pub const TARGETS: [(&str, Target); 12] = [
    ("outer", outer::run),
    ("inner", inner::run),
    ("geneve_options", geneve_options::run),
    ("options", options::run),
    ("neighbour", neighbour::run),
    ("dissect", dissect::run),
    ("fdb", fdb::run),
    ("engine", engine::run),
    ("batch", batch::run),
    ("bridge", bridge::run),
    ("control", control::run),
    ("record", record::run),
];
