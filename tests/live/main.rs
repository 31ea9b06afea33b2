//! The live lab: `vtepd` beside the Linux kernel's VXLAN devices and Open vSwitch, in network namespaces of the test's
//! own.
//!
//!     sudo VTEP_LIVE=1 cargo test --test live
//!
//! Each test is a scenario: it builds its hosts and pods, lets them talk, and takes everything down again, whatever
//! happened. Without root, or without a program of `packages.txt`, the tests count as ignored and say why;
//! with `VTEP_LIVE=1` they fail then. They run one after the other, because some measure time; `--test-threads` changes
//! that.
#![allow(
    missing_docs,
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]

#[cfg(target_os = "linux")]
#[path = "../common/mod.rs"]
mod common;
#[cfg(target_os = "linux")]
mod lab;
#[cfg(target_os = "linux")]
mod scenarios;

#[cfg(target_os = "linux")]
fn main() {
    let mut arguments = libtest_mimic::Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(1));
    if !arguments.list {
        lab::sweep();
    }
    let trials = scenarios::all().into_iter().map(lab::needs::Scenario::trial).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("the live lab needs Linux");
}
