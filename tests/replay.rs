//! A recorded live session ends with the digest and the counters it had, on every target: `.ci/big-endian` runs this on
//! one of the other byte order.
#![allow(
    dead_code,
    missing_docs,
    unnameable_types,
    unreachable_pub,
    unused_imports,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unwrap_used,
    reason = "code of the examples, which uses all of it and has std"
)]

#[path = "../examples/vtepd/node/mod.rs"]
mod node;
#[path = "../examples/replay/session.rs"]
mod session;

use session::{Outcome, replay};

/// `vtepd --record` beside a kernel VXLAN device, ended by SIGTERM: see `tests/data/README.md`.
const RECORD: &str = include_str!("data/session.record");
/// What `vtepd` itself printed then.
const SUMMARY: &str = include_str!("data/session.summary");

#[test]
fn a_live_session_ends_as_it_did() {
    let Outcome { summary, unmet, digests } = replay(RECORD.as_bytes()).unwrap();
    assert_eq!(unmet, []);
    assert_eq!(digests, 1);
    assert_eq!(summary.to_string(), SUMMARY);
}

/// A digest that says the same of everything would meet any record.
#[test]
fn a_session_without_one_of_its_packets_ends_otherwise() {
    let lines: Vec<&str> = RECORD.lines().collect();
    let packet = lines.iter().position(|line| line.contains(" udp ")).unwrap();
    let rest = [&lines[..packet], &lines[packet + 1..]].concat().join("\n") + "\n";
    let Outcome { summary, unmet, .. } = replay(rest.as_bytes()).unwrap();
    assert_eq!(unmet.len(), 1);
    assert_ne!(summary.to_string(), SUMMARY);
}

#[test]
fn a_session_cut_off_anywhere_replays_up_to_there() {
    for end in (RECORD.len() / 2..RECORD.len()).step_by(97) {
        let Outcome { unmet, digests, .. } = replay(&RECORD.as_bytes()[..end]).unwrap();
        assert_eq!((unmet, digests), (vec![], 0), "{end}");
    }
}
