//! The sizes that README states are those of this build.
#![cfg(target_pointer_width = "64")]
#![allow(clippy::arithmetic_side_effects, clippy::expect_used)]

use vtep::engine::{Counters, Engine, Input, LabelStorage, Storage, Verdict};
use vtep::table::Bucket;

const BEGIN: &str = "<!-- sizes:begin -->\n";
const END: &str = "<!-- sizes:end -->";

#[test]
fn a_mac_takes_16_bytes() {
    assert_eq!(size_of::<Bucket>(), 4 * 16);
    assert_eq!(align_of::<Bucket>(), 64);
}

#[test]
fn readme_tells_the_sizes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).expect("README.md");
    let (_, rest) = readme.split_once(BEGIN).expect("the marker where the sizes begin");
    let (told, _) = rest.split_once(END).expect("the marker where the sizes end");
    let table = table();
    println!("{table}");
    assert!(told == table, "put this between the markers in README.md:\n\n{table}");
}

fn table() -> String {
    type Tables<const BUCKETS: usize, const BRIDGES: usize, const PORTS: usize, const ENDPOINTS: usize> =
        Storage<BUCKETS, BRIDGES, PORTS, ENDPOINTS, 0, 0>;
    // What 64 more take, so that rounding to cache lines does not show.
    let each = |more: usize| (more - size_of::<Storage<0, 0, 0, 0, 0, 0>>()) / 64;
    let rows = [
        ("the engine", size_of::<Engine<'_>>()),
        ("its counters", size_of::<Counters>()),
        ("a MAC in the forwarding database", size_of::<Bucket>() / 4),
        ("a bridge: VNI, counters, flood list, limits", each(size_of::<Tables<0, 64, 0, 0>>())),
        ("a port", each(size_of::<Tables<0, 0, 64, 0>>())),
        ("an endpoint: ready-made outer header, address look-up", each(size_of::<Tables<0, 0, 0, 64>>())),
        ("a place on a flood list", each(size_of::<Storage<0, 0, 0, 0, 64, 0>>())),
        ("a waiting event", each(size_of::<Storage<0, 0, 0, 0, 0, 64>>())),
        ("a MAC that moves, where duplicates are looked for", each(size_of::<Storage<0, 0, 0, 0, 0, 0, 64>>()) / 4),
        ("a pair of security group and traffic class", size_of::<LabelStorage<64, 0, 0>>() / 64),
        ("a rule about two groups", size_of::<LabelStorage<0, 64, 0>>() / 64),
        ("a traffic map", size_of::<LabelStorage<0, 0, 64>>() / 64),
        ("an input, a verdict: on the stack", size_of::<Input<'_>>().max(size_of::<Verdict>())),
    ];
    let rows = rows.map(|(what, bytes)| format!("| {what} | {bytes} |\n"));
    format!("| with `Storage`, on a 64-bit machine | bytes |\n|---|---|\n{}", rows.concat())
}
