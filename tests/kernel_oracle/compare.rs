//! Which differences there are, and which of them are meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::entropy;
use crate::meant::{Case, MEANT, delivered, drop_of, station};
use crate::scenario::{Op, Scenario};
use crate::seen::{Run, Seen, Sent};

/// The engine's reasons and what the kernel calls them, in 6.18 and before or after.
const REASONS: &[(&[&str], &[&str])] = &[
    (&["no-vni", "reserved-bits"], &["VXLAN_INVALID_HDR"]),
    (&["unknown-vni"], &["VXLAN_VNI_NOT_FOUND"]),
    // That it did not get 14 bytes, the kernel takes for a lack of memory.
    (&["inner-truncated"], &["NOMEM", "PKT_TOO_SMALL"]),
    (&["inner-short-ip"], &["PKT_TOO_SMALL"]),
    (&["source-mac-invalid"], &["MAC_INVALID_SOURCE"]),
    (&["source-mac-own"], &["LOCAL_MAC"]),
    (&["source-mac-static"], &["VXLAN_ENTRY_EXISTS"]),
    (&["ecn-conflict"], &["IP_TUNNEL_ECN"]),
    (&["no-flood-target"], &["NO_TX_TARGET", "VXLAN_NO_REMOTE"]),
    (&["outer-source-invalid"], &["IP_INVALID_SOURCE", "IP_LOCALNET", "IP_INHDR"]),
    (&["outer-source-own"], &["IP_LOCAL_SOURCE"]),
    (
        &["outer-truncated", "outer-length-too-short", "outer-length-too-long", "outer-zero-length"],
        // In UDP a header cut short has no name of its own.
        &["PKT_TOO_SMALL", "HDR_TRUNC", "IP_INHDR", "NOT_SPECIFIED"],
    ),
    (&["outer-unknown-version", "outer-header-length-too-short"], &["IP_INHDR", "UNHANDLED_PROTO"]),
    (&["outer-bad-ip-checksum"], &["IP_CSUM"]),
    (&["outer-bad-checksum", "outer-zero-checksum"], &["UDP_CSUM"]),
    (&["too-big"], &["PKT_TOO_BIG", "NOT_SPECIFIED"]),
];

/// What is wrong with a step, if anything.
fn difference(case: &Case<'_>) -> Option<String> {
    match (case.kernel, case.ours) {
        (Seen::Rx { delivered: kernel, .. }, Seen::Rx { delivered: ours, .. }) if kernel != ours => {
            Some(format!("kernel {}, ours {}", frames(case.kernel, kernel), frames(case.ours, ours)))
        }
        (Seen::Tx { sent: kernel, .. }, Seen::Tx { sent: ours, .. }) if kernel != ours => {
            Some(packets_differ(kernel, ours, drop_of(case.kernel), drop_of(case.ours)))
        }
        (Seen::Command { done: kernel, said }, Seen::Command { done: ours, said: error }) if kernel != ours => {
            Some(format!("kernel {kernel} {said}, ours {ours} {error}"))
        }
        (kernel, ours) if !delivered(kernel) => reasons_differ(drop_of(kernel), drop_of(ours)),
        _ => None,
    }
}

/// The fields in which sent packets differ.
fn packets_differ(kernel: &[Sent], ours: &[Sent], kernel_drop: Option<&str>, our_drop: Option<&str>) -> String {
    if kernel.len() != ours.len() {
        let to = |sent: &[Sent]| sent.iter().map(|packet| packet.dst).collect::<Vec<_>>();
        return format!("kernel to {:?} {kernel_drop:?}, ours to {:?} {our_drop:?}", to(kernel), to(ours));
    }
    let mut text = String::new();
    for (number, (kernel, ours)) in kernel.iter().zip(ours).enumerate().filter(|(_, (kernel, ours))| kernel != ours) {
        let (kernel, ours) = (kernel.fields(), ours.fields());
        for ((name, kernel), (_, ours)) in kernel.iter().zip(&ours).filter(|(kernel, ours)| kernel != ours) {
            let _ = write!(text, "copy {number}: {name} kernel {kernel}, ours {ours}; ");
        }
    }
    text
}

fn frames(seen: &Seen, frames: &[Vec<u8>]) -> String {
    let frames: Vec<String> = frames.iter().map(|frame| hex(frame)).collect();
    format!("[{}] {}", frames.join(", "), drop_of(seen).unwrap_or(""))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Two reasons for one drop; `None` of the kernel where it was not recorded.
fn reasons_differ(kernel: Option<&str>, ours: Option<&str>) -> Option<String> {
    let (Some(kernel), Some(ours)) = (kernel, ours) else { return None };
    let name = kernel.split(' ').next().unwrap_or(kernel);
    // What is not for a tunnel's port is the host's, whether it likes it or not.
    let same = ours == "punt: not-tunnel"
        || REASONS.iter().any(|(engine, linux)| engine.contains(&ours) && linux.contains(&name));
    if same { None } else { Some(format!("dropped as {kernel} by the kernel, as {ours} here")) }
}

/// What came of a comparison.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) cases: u64,
    pub(crate) agreed: u64,
    pub(crate) drops: u64,
    pub(crate) reasons: u64,
    /// Packets sent of flows that were seen before.
    pub(crate) flows: u64,
    /// Runs of the kernel in which drop reasons were not recorded.
    pub(crate) unrecorded: u64,
    pub(crate) meant: BTreeMap<&'static str, u64>,
    /// What is not explained, with its step; the end for the FDB.
    pub(crate) faults: Vec<(usize, String)>,
}

/// Compares two runs of a scenario.
pub(crate) fn compare(scenario: &Scenario, kernel: &Run, ours: &Run) -> Outcome {
    let mut outcome = Outcome { unrecorded: u64::from(!kernel.reasons), ..Outcome::default() };
    // Stations that only one side has heard of, for a reason that is meant.
    let mut excused = BTreeSet::new();
    for (number, op) in scenario.ops.iter().enumerate() {
        let (kernel_seen, ours_seen) = (&kernel.seen[number], &ours.seen[number]);
        let case = Case { device: &scenario.device, op, kernel: kernel_seen, ours: ours_seen };
        if matches!(op, Op::Rx(_) | Op::Tx(_)) {
            outcome.cases += 1;
        }
        let Some(fault) = difference(&case) else {
            if matches!(op, Op::Rx(_) | Op::Tx(_)) {
                outcome.agreed += 1;
                if !delivered(case.kernel) {
                    outcome.drops += 1;
                    outcome.reasons += u64::from(drop_of(case.kernel).is_some());
                }
            }
            continue;
        };
        match MEANT.iter().find(|meant| (meant.covers)(&case)) {
            Some(meant) => {
                *outcome.meant.entry(meant.name).or_default() += 1;
                excused.extend(station(&case).filter(|_| meant.teaches));
            }
            None => outcome.faults.push((number, fault)),
        }
    }
    for (run, side) in [(kernel, "kernel"), (ours, "ours")] {
        let (faults, again) = entropy::faults(scenario, run, side);
        outcome.faults.extend(faults);
        outcome.flows += again;
    }
    let macs: BTreeSet<&String> = kernel.fdb.keys().chain(ours.fdb.keys()).collect();
    for mac in macs {
        let (left, right) = (kernel.fdb.get(mac), ours.fdb.get(mac));
        if left != right && !excused.contains(mac) {
            outcome.faults.push((scenario.ops.len(), format!("FDB {mac}: kernel {left:?}, ours {right:?}")));
        }
    }
    outcome
}

/// The sum of all comparisons of this process.
static TOTAL: Mutex<Option<Outcome>> = Mutex::new(None);

pub(crate) fn add_up(outcome: Outcome) {
    let mut total = TOTAL.lock().unwrap();
    let total = total.get_or_insert_default();
    total.cases += outcome.cases;
    total.agreed += outcome.agreed;
    total.drops += outcome.drops;
    total.reasons += outcome.reasons;
    total.flows += outcome.flows;
    total.unrecorded += outcome.unrecorded;
    for (name, count) in outcome.meant {
        *total.meant.entry(name).or_default() += count;
    }
    total.faults.extend(outcome.faults);
}

/// Runs of a scenario that the machine disturbed, and that were repeated.
static REPEATED: AtomicU64 = AtomicU64::new(0);

pub(crate) fn repeated() {
    REPEATED.fetch_add(1, Ordering::Relaxed);
}

/// Prints the sum, if there is any.
pub(crate) fn report() {
    let total = TOTAL.lock().unwrap();
    let Some(total) = &*total else { return };
    println!("\nThe kernel as oracle: {} cases", total.cases);
    println!(
        "{:>9} agree; {} of them are drops, {} with a reason that agrees",
        total.agreed, total.drops, total.reasons
    );
    println!("{:>9} packets sent of a flow seen before, on either side, from the same source port", total.flows);
    if total.unrecorded > 0 {
        println!("{:>9} scenarios without the kernel's drop reasons: no tracefs", total.unrecorded);
    }
    let repeated = REPEATED.load(Ordering::Relaxed);
    if repeated > 0 {
        println!("{repeated:>9} runs that the machine disturbed, repeated");
    }
    for meant in MEANT {
        let count = total.meant.get(meant.name).unwrap_or(&0);
        println!("{count:>9} meant: {}: {}", meant.name, meant.why);
    }
    println!("{:>9} unexplained", total.faults.len());
}
