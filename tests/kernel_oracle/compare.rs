//! Which differences there are, and which of them are meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Mutex;

use crate::scenario::{Device, Op, Scenario};
use crate::seen::{Run, Seen};

/// One step, seen from both sides.
pub(crate) struct Case<'c> {
    pub(crate) device: &'c Device,
    pub(crate) op: &'c Op,
    pub(crate) kernel: &'c Seen,
    pub(crate) ours: &'c Seen,
}

/// A difference that is meant.
pub(crate) struct Meant {
    pub(crate) name: &'static str,
    pub(crate) why: &'static str,
    covers: fn(&Case<'_>) -> bool,
}

/// All of them. Whatever differs and stands not here is a fault, of the engine or of this test.
pub(crate) const MEANT: &[Meant] = &[
    Meant {
        name: "behind a tunnel",
        why: "the device hands every frame up; the engine is device and bridge in one, and sends nothing back into tunnels",
        covers: |case| ours_drops(case, &["split-horizon", "reflected"]) && delivered(case.kernel),
    },
    Meant {
        name: "fragments",
        why: "the kernel's IP layer reassembles before the device sees a packet; the engine drops fragments by name",
        covers: |case| matches!(case.op, Op::Rx(_)) && ours_drops(case, &["outer-fragment"]),
    },
];

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
    (&["outer-source-invalid"], &["IP_INVALID_SOURCE"]),
    (&["outer-source-own"], &["IP_LOCAL_SOURCE"]),
    (
        &["outer-truncated", "outer-length-too-short", "outer-length-too-long", "outer-zero-length"],
        &["PKT_TOO_SMALL", "HDR_TRUNC"],
    ),
    (&["outer-unknown-version", "outer-header-length-too-short"], &["IP_INHDR"]),
    (&["outer-bad-ip-checksum"], &["IP_CSUM"]),
    (&["outer-bad-checksum", "outer-zero-checksum"], &["UDP_CSUM"]),
    (&["punt: not-tunnel"], &["NO_SOCKET"]),
];

fn ours_drops(case: &Case<'_>, reasons: &[&str]) -> bool {
    drop_of(case.ours).is_some_and(|drop| reasons.contains(&drop))
}

fn drop_of(seen: &Seen) -> Option<&str> {
    match seen {
        Seen::Rx { drop, .. } | Seen::Tx { drop, .. } => drop.as_deref(),
        Seen::Command { .. } | Seen::Nothing => None,
    }
}

fn delivered(seen: &Seen) -> bool {
    match seen {
        Seen::Rx { delivered, .. } => !delivered.is_empty(),
        Seen::Tx { sent, .. } => !sent.is_empty(),
        Seen::Command { .. } | Seen::Nothing => false,
    }
}

/// What is wrong with a step, if anything.
fn difference(case: &Case<'_>) -> Option<String> {
    match (case.kernel, case.ours) {
        (Seen::Rx { delivered: kernel, .. }, Seen::Rx { delivered: ours, .. }) if kernel != ours => {
            Some(format!("kernel {}, ours {}", frames(case.kernel, kernel), frames(case.ours, ours)))
        }
        (Seen::Tx { sent: kernel, .. }, Seen::Tx { sent: ours, .. }) if kernel != ours => {
            Some(format!("kernel {:?} {kernel:x?}, ours {:?} {ours:x?}", drop_of(case.kernel), drop_of(case.ours)))
        }
        (Seen::Command { done: kernel, said }, Seen::Command { done: ours, said: error }) if kernel != ours => {
            Some(format!("kernel {kernel} {said}, ours {ours} {error}"))
        }
        (kernel, ours) if !delivered(kernel) => reasons_differ(drop_of(kernel), drop_of(ours)),
        _ => None,
    }
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
    let same = REASONS.iter().any(|(engine, linux)| engine.contains(&ours) && linux.contains(&name));
    if same { None } else { Some(format!("dropped as {kernel} by the kernel, as {ours} here")) }
}

/// What came of a comparison.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) cases: u64,
    pub(crate) agreed: u64,
    pub(crate) drops: u64,
    pub(crate) reasons: u64,
    pub(crate) meant: BTreeMap<&'static str, u64>,
    /// What is not explained, with its step; the end for the FDB.
    pub(crate) faults: Vec<(usize, String)>,
}

/// Compares two runs of a scenario.
pub(crate) fn compare(scenario: &Scenario, kernel: &Run, ours: &Run) -> Outcome {
    let mut outcome = Outcome::default();
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
            Some(meant) => *outcome.meant.entry(meant.name).or_default() += 1,
            None => outcome.faults.push((number, fault)),
        }
    }
    let macs: BTreeSet<&String> = kernel.fdb.keys().chain(ours.fdb.keys()).collect();
    for mac in macs {
        let (left, right) = (kernel.fdb.get(mac), ours.fdb.get(mac));
        let group = right.is_some_and(Vec::is_empty) && left.is_some_and(|rows| !rows.is_empty());
        if left != right && !group {
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
    for (name, count) in outcome.meant {
        *total.meant.entry(name).or_default() += count;
    }
    total.faults.extend(outcome.faults);
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
    for meant in MEANT {
        let count = total.meant.get(meant.name).unwrap_or(&0);
        println!("{count:>9} meant: {}: {}", meant.name, meant.why);
    }
    println!("{:>9} unexplained", total.faults.len());
}
