//! Which differences there are, and which of them are meant.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::Mutex;

use crate::lab::hex_mac;
use crate::scenario::{DEVICE_MAC, Device, Op, Scenario, Verb};
use crate::seen::{Run, Seen, Sent};

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
        covers: |case| received(case) && ours_drops(case, &["split-horizon", "reflected"]) && delivered(case.kernel),
    },
    Meant {
        name: "to itself",
        why: "the device sends out whatever it is given; the engine knows that its own MAC is not behind a tunnel",
        covers: |case| {
            matches!(case.op, Op::Tx(frame) if frame[..6] == DEVICE_MAC) && ours_drops(case, &["reflected"])
        },
    },
    Meant {
        name: "fragments",
        why: "the kernel's IP layer reassembles before the device sees a packet; the engine drops fragments by name",
        covers: |case| received(case) && ours_drops(case, &["outer-fragment"]),
    },
    Meant {
        name: "fragmenting",
        why: "what passes the MTU leaves the kernel in fragments; the engine hands it to the IP layer that makes them",
        covers: |case| match (case.kernel, case.ours) {
            (Seen::Tx { sent: kernel, .. }, Seen::Tx { sent: ours, .. }) => {
                let whole: Vec<Sent> = kernel.iter().map(|sent| Sent { fragments: 1, ..sent.clone() }).collect();
                kernel.iter().any(|sent| sent.fragments > 1) && whole == *ours
            }
            _ => false,
        },
    },
    Meant {
        name: "malformed inner IP",
        why: "a header of another version or length than its EtherType says: the kernel goes by the EtherType, reads TOS \
              and DF and writes ECN there; the engine leaves alone what is no IP header",
        covers: |case| match (case.kernel, case.ours) {
            (Seen::Rx { .. }, Seen::Rx { delivered, .. }) => {
                let ecn = |frames: &[Vec<u8>]| frames.iter().map(|frame| without_ecn(frame)).collect::<Vec<_>>();
                let same = matches!(case.kernel, Seen::Rx { delivered: kernel, .. } if ecn(kernel) == ecn(delivered));
                delivered.first().is_some_and(|frame| is_malformed(frame))
                    && (same || dropped_as(case, "IP_TUNNEL_ECN"))
            }
            (Seen::Tx { sent: kernel, .. }, Seen::Tx { sent: ours, .. }) => {
                let rest = |sent: &[Sent]| {
                    sent.iter().map(|sent| Sent { tos: 0, ttl: 0, df: false, ..sent.clone() }).collect::<Vec<_>>()
                };
                ours.first().is_some_and(|sent| is_malformed(&sent.inner)) && rest(kernel) == rest(ours)
            }
            _ => false,
        },
    },
    Meant {
        name: "cut tag",
        why: "the device hands up a frame that ends within two bytes of its VLAN tag; the kernel's VLAN layer above drops \
              it, before it can be captured",
        covers: |case| received(case) && place_of_drop(case) == Some("skb_vlan_untag"),
    },
    Meant {
        name: "UDP length 0 over IPv6",
        why: "it stands for a jumbogram's (RFC 2675), and the kernel takes it in any packet; the engine wants a length",
        covers: |case| received(case) && case.device.v6 && ours_drops(case, &["outer-zero-length"]),
    },
    Meant {
        name: "IPv6 sources",
        why: "the kernel's IPv6 takes packets from the unspecified address and from its own; its IPv4 does not, nor the engine",
        covers: |case| {
            received(case)
                && case.device.v6
                && ours_drops(case, &["outer-source-invalid", "outer-source-own"])
                && delivered(case.kernel)
        },
    },
    Meant {
        name: "commands that do nothing",
        why: "`bridge fdb del` of another destination and `append` of one that is there are done without effect; the engine says so",
        covers: |case| match (case.op, case.ours) {
            (Op::Fdb(command), Seen::Command { said, .. }) => {
                let nothing = matches!((command.verb, &said[..]), (Verb::Del, "NotFound") | (Verb::Append, "Exists"));
                nothing && matches!(case.kernel, Seen::Command { done: true, .. })
            }
            _ => false,
        },
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
    (&["outer-source-invalid"], &["IP_INVALID_SOURCE", "IP_LOCALNET", "IP_INHDR"]),
    (&["outer-source-own"], &["IP_LOCAL_SOURCE"]),
    (
        &["outer-truncated", "outer-length-too-short", "outer-length-too-long", "outer-zero-length"],
        &["PKT_TOO_SMALL", "HDR_TRUNC", "IP_INHDR"],
    ),
    (&["outer-unknown-version", "outer-header-length-too-short"], &["IP_INHDR"]),
    (&["outer-bad-ip-checksum"], &["IP_CSUM"]),
    (&["outer-bad-checksum", "outer-zero-checksum"], &["UDP_CSUM"]),
    (&["too-big"], &["PKT_TOO_BIG", "NOT_SPECIFIED"]),
    // What is not for a tunnel's port is the host's, whether it likes it or not.
    (&["punt: not-tunnel"], &["NO_SOCKET", "UDP_CSUM", "PKT_TOO_SMALL"]),
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

fn received(case: &Case<'_>) -> bool {
    matches!(case.op, Op::Rx(_))
}

fn dropped_as(case: &Case<'_>, reason: &str) -> bool {
    drop_of(case.kernel).is_some_and(|drop| drop.split(' ').next() == Some(reason))
}

/// The kernel's function that dropped a packet.
fn place_of_drop<'c>(case: &Case<'c>) -> Option<&'c str> {
    drop_of(case.kernel)?.split(" in ").nth(1)
}

/// Where the network header of a frame is, and its EtherType; behind up to eight tags.
fn network(frame: &[u8]) -> (u16, &[u8]) {
    let mut at = 12;
    for _ in 0..9 {
        let Some(&[high, low]) = frame.get(at..at + 2) else { break };
        let ethertype = u16::from_be_bytes([high, low]);
        if !matches!(ethertype, 0x8100 | 0x88a8) {
            return (ethertype, &frame[at + 2..]);
        }
        at += 4;
    }
    (0, &[])
}

/// Whether a frame says that it carries an IP header, which turns out to be none.
fn is_malformed(frame: &[u8]) -> bool {
    let (ethertype, packet) = network(frame);
    let Some(first) = packet.first() else { return false };
    let words = usize::from(first & 15);
    match ethertype {
        0x0800 => first >> 4 != 4 || words < 5 || words * 4 > packet.len(),
        0x86dd => first >> 4 != 6,
        _ => false,
    }
}

/// A frame without ECN and what depends on it.
fn without_ecn(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let fields: &[(usize, u8)] = match frame.get(12..14) {
        Some([0x08, 0x00]) => &[(15, 3), (24, 0xff), (25, 0xff)],
        _ => &[(15, 0x30)],
    };
    for (at, mask) in fields {
        if let Some(byte) = frame.get_mut(*at) {
            *byte &= !mask;
        }
    }
    frame
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
    let same = REASONS.iter().any(|(engine, linux)| engine.contains(&ours) && linux.contains(&name));
    if same { None } else { Some(format!("dropped as {kernel} by the kernel, as {ours} here")) }
}

/// The station that only one side learns about, where only one side takes the packet.
fn teaches(case: &Case<'_>) -> Option<String> {
    let Op::Rx(frames) = case.op else { return None };
    let header = if case.device.v6 { 14 + 40 + 16 } else { 14 + 20 + 16 };
    let inner = match case.kernel {
        Seen::Rx { delivered, .. } if !delivered.is_empty() => &delivered[0][..],
        _ => frames.first()?.get(header..)?,
    };
    let took = |seen| delivered(seen) || drop_of(seen).is_some_and(|drop| drop.contains("skb_vlan_untag"));
    let src = inner.get(6..12)?.try_into().ok()?;
    (took(case.kernel) != took(case.ours)).then(|| hex_mac(src))
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
                excused.extend(teaches(&case));
            }
            None => outcome.faults.push((number, fault)),
        }
    }
    let macs: BTreeSet<&String> = kernel.fdb.keys().chain(ours.fdb.keys()).collect();
    for mac in macs {
        let (left, right) = (kernel.fdb.get(mac), ours.fdb.get(mac));
        let group = right.is_some_and(Vec::is_empty) && left.is_some_and(|rows| !rows.is_empty());
        if left != right && !group && !excused.contains(mac) {
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
