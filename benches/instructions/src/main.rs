//! Runs each case once between two functions that callgrind looks for: `.ci/instructions` counts what it executes.
//!
//! `vtep-instructions [FILTER [TIMES]]` runs those whose name contains FILTER, so many times: for a profiler. Prints a line for each case, in the order of the calls: its name and how many operations it is.

#[path = "../../cases/mod.rs"]
mod cases;

use cases::overlay::Plan;
use cases::{Case, Work, codec, engine, fdb, flood};

/// Small enough for callgrind, large enough for both buckets of a key to matter.
const MACS: usize = 1_000;
const SLOTS: usize = 1 << 12;

fn main() {
    let geneve = Plan { macs: MACS, options: 1, ..Plan::GENEVE };
    let vxlan = Plan { macs: MACS, ..Plan::VXLAN };
    // One train of packets.
    let train = Plan { macs: 1, ..vxlan };
    let labels = Plan { labels: true, ..geneve };
    let policy = Plan { policy: true, ..labels };
    // More tunnels than the engine remembers.
    let vnis = Plan { vnis: 50, ..vxlan };
    let v6 = Plan { macs: MACS, ipv6: true, checksum: true, ..Plan::VXLAN };
    let mut cases: Vec<Case> = codec::parses();
    cases.extend(codec::writes());
    cases.extend(fdb::all(SLOTS));
    cases.extend([vxlan, train, vnis, geneve, labels, policy, v6].into_iter().flat_map(engine::traffic));
    cases.extend([1, 16, 64].into_iter().flat_map(flood::replication));
    let filter = std::env::args().nth(1).unwrap_or_default();
    let times = std::env::args().nth(2).map_or(1, |times| times.parse().expect("how many times"));
    cases.retain(|case| !case.name.contains("floor") && case.name.contains(&filter));
    for mut case in cases {
        // The first run may do what later ones need not.
        case.work.prepare();
        case.work.run();
        case.work.prepare();
        for _ in 0..times {
            let sum = measured(case.work.as_mut());
            done(sum);
        }
        println!("{} {}", case.name, case.ops);
    }
}

#[inline(never)]
fn measured(work: &mut dyn Work) -> u64 {
    core::hint::black_box(work.run())
}

#[inline(never)]
fn done(sum: u64) {
    core::hint::black_box(sum);
}
