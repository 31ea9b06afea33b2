//! The differences that are meant, each with its reason.

use core::net::IpAddr;

use crate::common::world::internet_checksum;
use crate::lab::hex_mac;
use crate::scenario::{DEVICE_MAC, Device, Op, Verb, address};
use crate::seen::{Seen, Sent};

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
    /// Whether only one side may have learned from the packet.
    pub(crate) teaches: bool,
    pub(crate) covers: fn(&Case<'_>) -> bool,
}

/// All of them. Whatever differs and stands not here is a fault, of the engine or of this test.
pub(crate) const MEANT: &[Meant] = &[
    Meant {
        name: "fragments",
        teaches: true,
        why: "the kernel's IP layer reassembles before the device sees a packet; the engine drops fragments by name",
        covers: |case| received(case) && ours_drops(case, &["outer-fragment"]),
    },
    Meant {
        name: "UDP length 0 over IPv6",
        teaches: true,
        why: "it stands for a jumbogram's (RFC 2675), and the kernel takes it in any packet; the engine wants a length",
        covers: |case| received(case) && case.device.v6 && ours_drops(case, &["outer-zero-length"]),
    },
    Meant {
        name: "IPv6 options",
        teaches: true,
        why: "the kernel reads what is in extension headers and drops what it does not like there; the engine steps over them",
        covers: |case| received(case) && has_extensions(case) && !delivered(case.kernel) && delivered(case.ours),
    },
    Meant {
        name: "IPv6 sources",
        teaches: true,
        why: "the kernel's IPv6 takes packets from the unspecified address and from its own; its IPv4 does not, nor the engine",
        covers: |case| {
            received(case)
                && case.device.v6
                && ours_drops(case, &["outer-source-invalid", "outer-source-own"])
                && delivered(case.kernel)
        },
    },
    Meant {
        name: "the machine's addresses",
        teaches: true,
        why: "which addresses are the machine's and which its subnet's broadcast, its IP layer knows, before the device; the \
              engine knows one address a family and in profile Linux takes packets to any other",
        covers: |case| received(case) && !delivered(case.kernel) && delivered(case.ours) && addresses_are_odd(case),
    },
    Meant {
        name: "two faults at once",
        teaches: true,
        why: "of two faults in the outer headers the kernel may name another one than the engine, as it checks in another order",
        covers: |case| {
            let neither = received(case) && !delivered(case.kernel) && !delivered(case.ours);
            neither && (addresses_are_odd(case) || dropped_as(case, "IP_CSUM") && ipv4_sum_is_bad(case))
        },
    },
    Meant {
        name: "behind a tunnel",
        teaches: false,
        why: "the device hands every frame up; the engine is device and bridge in one, and sends nothing back into tunnels",
        covers: |case| received(case) && ours_drops(case, &["split-horizon", "reflected"]) && delivered(case.kernel),
    },
    Meant {
        name: "to itself",
        teaches: false,
        why: "the device sends out whatever it is given; the engine knows that its own MAC is not behind a tunnel",
        covers: |case| matches!(case.op, Op::Tx(frame) if frame[..6] == DEVICE_MAC) && ours_drops(case, &["reflected"]),
    },
    Meant {
        name: "fragmenting",
        teaches: false,
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
        name: "more than three tags",
        teaches: false,
        why: "the kernel looks for the IP header behind up to eight tags, the engine behind three",
        covers: |case| match (case.op, case.kernel, case.ours) {
            (Op::Tx(frame), Seen::Tx { sent: kernel, .. }, Seen::Tx { sent: ours, .. }) => {
                let rest = |sent: &[Sent]| sent.iter().map(Sent::without_inherited).collect::<Vec<_>>();
                tags(frame) > 3 && (rest(kernel) == rest(ours) || dropped_as(case, "PKT_TOO_SMALL"))
            }
            _ => false,
        },
    },
    Meant {
        name: "malformed inner IP",
        teaches: false,
        why: "a header of another version or length than its EtherType says: the kernel goes by the EtherType, reads TOS \
              and DF and writes ECN there; the engine leaves alone what is no IP header",
        covers: |case| match (case.kernel, case.ours) {
            (Seen::Rx { .. }, Seen::Rx { delivered, .. }) => {
                let ecn = |frames: &[Vec<u8>]| frames.iter().map(|frame| without_ecn(frame)).collect::<Vec<_>>();
                let same = matches!(case.kernel, Seen::Rx { delivered: kernel, .. } if ecn(kernel) == ecn(delivered));
                inner(case).is_some_and(is_malformed) && (same || dropped_as(case, "IP_TUNNEL_ECN"))
            }
            (Seen::Tx { sent: kernel, .. }, Seen::Tx { sent: ours, .. }) => {
                let rest = |sent: &[Sent]| sent.iter().map(Sent::without_inherited).collect::<Vec<_>>();
                ours.first().is_some_and(|sent| is_malformed(&sent.inner)) && rest(kernel) == rest(ours)
            }
            _ => false,
        },
    },
    Meant {
        name: "cut tag",
        teaches: false,
        why: "the device hands up a frame that ends within two bytes of its VLAN tag; the kernel's VLAN layer above drops \
              it, before it can be captured",
        covers: |case| received(case) && place_of_drop(case) == Some("skb_vlan_untag"),
    },
    Meant {
        name: "commands that do nothing",
        teaches: false,
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

/// Whether something stands between the outer IPv6 header and UDP.
fn has_extensions(case: &Case<'_>) -> bool {
    let Op::Rx(frames) = case.op else { return false };
    case.device.v6 && frames.iter().any(|frame| frame.get(20).is_some_and(|next_header| *next_header != 17))
}

/// The station that a packet is from.
pub(crate) fn station(case: &Case<'_>) -> Option<String> {
    Some(hex_mac(inner(case)?.get(6..12)?.try_into().ok()?))
}

/// What was in a packet: as it was delivered, or from where it should be.
fn inner<'c>(case: &Case<'c>) -> Option<&'c [u8]> {
    let Op::Rx(frames) = case.op else { return None };
    for seen in [case.ours, case.kernel] {
        if let Seen::Rx { delivered, .. } = seen {
            if let Some(frame) = delivered.first() {
                return Some(frame);
            }
        }
    }
    let frame = frames.first()?;
    let ip = if case.device.v6 { 40 } else { usize::from(frame.get(14)? & 15) * 4 };
    frame.get(14 + ip + 16..)
}

fn ours_drops(case: &Case<'_>, reasons: &[&str]) -> bool {
    drop_of(case.ours).is_some_and(|drop| reasons.contains(&drop))
}

pub(crate) fn drop_of(seen: &Seen) -> Option<&str> {
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

/// The outer addresses of what was received.
fn outer_addresses(case: &Case<'_>) -> Option<(IpAddr, IpAddr)> {
    let Op::Rx(frames) = case.op else { return None };
    let packet = frames.first()?.get(14..)?;
    let octets = |at, len| packet.get(at..at + len);
    Some(if case.device.v6 {
        let address = |at| octets(at, 16).and_then(|octets| <[u8; 16]>::try_from(octets).ok());
        (address(8)?.into(), address(24)?.into())
    } else {
        let address = |at| octets(at, 4).and_then(|octets| <[u8; 4]>::try_from(octets).ok());
        (address(12)?.into(), address(16)?.into())
    })
}

/// Whether the outer destination is not the machine's, or the outer source is no single other machine's.
fn addresses_are_odd(case: &Case<'_>) -> bool {
    let Some((src, dst)) = outer_addresses(case) else { return false };
    let ours = [1, 9].map(|host| address(case.device.v6, host));
    let nobody = match src {
        IpAddr::V4(src) => {
            let subnet = src.octets()[..3] == [192, 0, 2] && matches!(src.octets()[3], 0 | 255);
            subnet || src.is_broadcast() || src.is_multicast() || src.is_loopback() || src.octets()[0] == 0
        }
        IpAddr::V6(src) => src.is_unspecified() || src.is_multicast() || src.is_loopback(),
    };
    nobody || ours.contains(&src) || !ours.contains(&dst)
}

fn ipv4_sum_is_bad(case: &Case<'_>) -> bool {
    let Op::Rx(frames) = case.op else { return false };
    let Some(packet) = frames.first().and_then(|frame| frame.get(14..)) else { return false };
    let header = packet.first().and_then(|first| packet.get(..usize::from(first & 15) * 4));
    header.is_some_and(|header| internet_checksum(&[header]) != 0)
}

/// How many tags a frame begins with.
fn tags(frame: &[u8]) -> usize {
    (0..).take_while(|tag| matches!(frame.get(12 + tag * 4..14 + tag * 4), Some([0x81, 0x00] | [0x88, 0xa8]))).count()
}

/// Where the network header of a frame is, and its EtherType; behind up to eight tags.
pub(crate) fn network(frame: &[u8]) -> (u16, &[u8]) {
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

pub(crate) fn delivered(seen: &Seen) -> bool {
    match seen {
        Seen::Rx { delivered, .. } => !delivered.is_empty(),
        Seen::Tx { sent, .. } => !sent.is_empty(),
        Seen::Command { .. } | Seen::Nothing => false,
    }
}
