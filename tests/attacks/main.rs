//! What an attacker may try, and what comes of it: the threat model's promises, one test each (`docs/security.md`).
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unreachable,
    clippy::unwrap_used
)]

#[path = "../common/mod.rs"]
mod common;

mod flapping;
mod poisoning;
mod storm;
