//! The flood-and-learn story, played on real frames in memory.
//!
//!     cargo run --release --example fabric -- --encap geneve --flood multicast --underlay v6
//!
//!     cargo run --release --example fabric -- --story security-groups
//!
//! Some VTEPs with pods behind each, an underlay that routes, and virtual time. Pods speak ARP and ICMP; every VTEP is a
//! `vtep::engine::Engine`. Each frame is followed from the pod that sent it to everybody it reaches, and compared with a
//! plain bridge ([`model`]), or, where the story is about security groups ([`groups`]), with what the story says. Exit code 0: the story went as told; 1: an expectation failed, which is printed; 2: bad
//! arguments, or the capture could not be written.

#![allow(
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    reason = "the library's rules are for code without std that must not panic"
)]

mod args;
mod campaign;
mod capture;
mod chaos;
mod check;
mod frames;
mod groups;
mod model;
mod node;
mod pods;
mod print;
mod story;
mod underlay;
mod world;

use std::process::ExitCode;

use clap::Parser;

use args::{Arguments, StoryKind};
use groups::Groups;
use node::Tables;
use story::Story;
use world::World;

fn main() -> ExitCode {
    let args = Arguments::parse();
    if args.is_chaos() {
        return campaign::play(&args);
    }
    let mut tables: Vec<Tables> = (0..args.vteps()).map(|_| Tables::new()).collect();
    let world = match World::new(&args, &mut tables) {
        Ok(world) => world,
        Err(failure) => return failed(&failure),
    };
    let (outcome, captured) = match args.story {
        StoryKind::FloodAndLearn => Story::new(&args, world).play(),
        StoryKind::SecurityGroups => Groups::new(&args, world).play(),
    };
    // The capture of a story that failed shows why.
    if let Err(error) = capture::write(&args.pcap, &captured) {
        eprintln!("{}: {error}", args.pcap.display());
        return ExitCode::from(2);
    }
    match outcome {
        Ok(()) => {
            println!("\nThe story went as told. {} underlay frames are in {}.", captured.len(), args.pcap.display());
            ExitCode::SUCCESS
        }
        Err(failure) => failed(&failure),
    }
}

fn failed(failure: &str) -> ExitCode {
    eprintln!("FAILED: {failure}");
    ExitCode::FAILURE
}
