//! What an attacker may try, and what comes of it: the threat model's promises, one test each (`docs/security.md`).
#![allow(
    missing_docs,
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unreachable,
    clippy::unwrap_used
)]

#[path = "../common/mod.rs"]
mod common;
// What `cargo run --release --example attacks` measures.
#[path = "../../examples/attacks/arena.rs"]
mod arena;
#[path = "../../examples/attacks/scenarios.rs"]
mod scenarios;
#[path = "../../examples/attacks/table.rs"]
mod table;

mod collisions;
mod figures;
mod flapping;
mod groups;
mod nesting;
mod poisoning;
mod spoofing;
mod storm;
