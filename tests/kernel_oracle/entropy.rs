//! What every sender chooses for itself: its range and its stability are looked at, on both sides.

use std::collections::HashMap;

use crate::meant::network;
use crate::scenario::{Op, Scenario};
use crate::seen::{Run, Seen};

/// Of one side, packets whose source port or identification is not as it has to be, and their steps; and how many packets
/// were of a flow that had been seen before.
pub(crate) fn faults(scenario: &Scenario, run: &Run, side: &str) -> (Vec<(usize, String)>, u64) {
    let range = scenario.device.source_ports.unwrap_or((32768, 60999));
    let mut faults = Vec::new();
    let (mut ports, mut idents, mut again) = (HashMap::new(), HashMap::new(), 0);
    for (number, (op, seen)) in scenario.ops.iter().zip(&run.seen).enumerate() {
        let (Op::Tx(frame), Seen::Tx { sent, .. }) = (op, seen) else { continue };
        for sent in sent {
            let port = sent.entropy.source_port;
            if port < range.0 || port > range.1 {
                faults.push((number, format!("{side}: source port {port} outside {range:?}")));
            }
            // The kernel (6.18) hashes a tagged frame's first IP word as if it were a tag, with TOS and length.
            let whole = side == "kernel" && network(frame).1.len() + 14 != frame.len();
            let flow = if whole { frame.clone() } else { flow(frame) };
            let before = *ports.entry(flow).and_modify(|_| again += 1).or_insert(port);
            if before != port {
                faults.push((number, format!("{side}: source port {port}, before {before} for the same flow")));
            }
            let Some(ident) = sent.entropy.ident else { continue };
            if idents.insert(sent.dst, ident) == Some(ident) {
                faults.push((number, format!("{side}: identification {ident} twice in a row to {}", sent.dst)));
            }
        }
    }
    (faults, again)
}

/// The flow of a frame: tags, addresses and ports of UDP in IP that is no fragment; all of any other frame.
fn flow(frame: &[u8]) -> Vec<u8> {
    let (ethertype, packet) = network(frame);
    let of_udp = match (ethertype, packet) {
        (0x0800, [0x45, _, _, _, _, _, flags, offset, _, 17, ..]) if flags & 0x3f == 0 && *offset == 0 => {
            Some((12, 24))
        }
        (0x86dd, [first, second, 0, 0, _, _, 17, ..]) if first >> 4 == 6 && second & 15 == 0 => Some((8, 44)),
        _ => None,
    };
    match of_udp.and_then(|(start, end)| packet.get(start..end)) {
        Some(addresses) => [&frame[12..frame.len() - packet.len()], addresses].concat(),
        None => frame.to_vec(),
    }
}
