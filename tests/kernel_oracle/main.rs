//! The kernel as oracle: the same frames go into a kernel VXLAN device and into the engine in profile `Linux`.
//!
//! Delivered or not, inner bytes, outer fields of what is sent and in which order, the FDB afterwards and the reason
//! of a drop must agree. What is meant to differ stands in `compare::MEANT`, and the report at the end counts it.
//!
//! It needs root, network namespaces and the `vxlan` module: without them its tests count as ignored, with
//! `VTEP_LIVE=1` as failed. `VTEP_ORACLE_CASES` is the number of random cases (20,000 unless set), `VTEP_ORACLE_SEED`
//! repeats a run.
#![cfg_attr(
    target_os = "linux",
    allow(
        clippy::arithmetic_side_effects,
        clippy::cast_possible_truncation,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::panic,
        clippy::std_instead_of_core,
        clippy::string_slice,
        clippy::unreachable,
        clippy::unwrap_used
    )
)]

#[cfg(target_os = "linux")]
#[path = "../common/mod.rs"]
mod common;
#[cfg(target_os = "linux")]
mod compare;
#[cfg(target_os = "linux")]
mod directed;
#[cfg(target_os = "linux")]
mod entropy;
#[cfg(target_os = "linux")]
mod generate;
#[cfg(target_os = "linux")]
mod kernel;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod meant;
#[cfg(target_os = "linux")]
mod misses;
#[cfg(target_os = "linux")]
mod ours;
#[cfg(target_os = "linux")]
mod random;
#[cfg(target_os = "linux")]
mod run;
#[cfg(target_os = "linux")]
mod scenario;
#[cfg(target_os = "linux")]
mod seen;
#[cfg(target_os = "linux")]
mod socket;
#[cfg(target_os = "linux")]
mod trace;

#[cfg(target_os = "linux")]
fn main() {
    run::main();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the kernel as oracle: Linux only");
}
