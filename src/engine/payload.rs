//! Tunnel packets that carry no Ethernet frame: IP and NSH in VXLAN-GPE (draft-ietf-nvo3-vxlan-gpe-13 section 3.2) and in
//! Geneve (RFC 8926 section 3.4, protocol type).
//!
//! There is no MAC to be learned or looked for, so no bridge forwards them: they go to the host, under a name of their own.
//! What a frame from a tunnel has to pass, they have to pass too: admission, policy, the inner IP header, ECN.

use zerocopy::FromBytes;

use super::decision::{Decision, set};
use super::forward::Frame;
use super::packet::{Carrier, End, Origin, Packet};
use super::senders::Tracks;
use super::{DropReason, Engine, Punt, PuntReason, Switches, Verdict};
use crate::table::fdb::Probe;
use crate::table::{BridgeId, Enforce};
use crate::wire::geneve::Found;
use crate::wire::{Ecn, Encapsulation, EtherType, Inner, IpKind, Outer, ecn, ipv4, ipv6};

/// Bytes that every network service header has: base header and service path header (RFC 8300 section 2.1).
const NSH_HEADER_LEN: usize = 8;

impl Engine<'_> {
    /// The second half of reading a packet without Ethernet.
    #[cold]
    #[inline(never)]
    pub(super) fn read_payload(
        &self,
        bridge: BridgeId,
        (tracks, outer, found): (Tracks, &Outer, Found),
        bytes: &[u8],
    ) -> Packet {
        let tunnel = &outer.tunnel;
        let ended = |reason| Packet::ended(Some(bridge), false, tunnel.inner, End::Drop(reason));
        let reason = match tunnel.protocol {
            _ if tunnel.encap == Encapsulation::Geneve && self.switches.contains(Switches::GENEVE_ETHERNET_ONLY) => {
                return ended(DropReason::UnsupportedPayload);
            }
            EtherType::IPV4 => PuntReason::InnerIpv4,
            EtherType::IPV6 => PuntReason::InnerIpv6,
            EtherType::NSH => PuntReason::InnerNsh,
            EtherType(0) if tunnel.encap == Encapsulation::Gpe => {
                return Packet::refused(DropReason::UnknownNextProtocol);
            }
            _ => return ended(DropReason::UnsupportedPayload),
        };
        match check(reason, tunnel.inner.of(bytes).unwrap_or(&[])) {
            Ok(inner) => {
                let carrier = Carrier::new(tracks, outer, found);
                let origin = Origin::Payload(bridge, carrier, reason);
                Packet { inner, src: Probe::NOWHERE, dst: Probe::NOWHERE, frame: tunnel.inner, origin }
            }
            Err(reason) => ended(reason),
        }
    }

    /// What becomes of a packet without Ethernet.
    #[cold]
    #[inline(never)]
    pub(super) fn decide_payload(
        &self,
        (bridge, carrier, reason): (BridgeId, Carrier, PuntReason),
        packet: &Packet,
        verdict: &mut Verdict,
    ) -> Decision {
        let mut decision = Decision::NONE;
        let Some(network) = self.network(bridge) else {
            return decision.drop(verdict, DropReason::UnknownVni);
        };
        let tracks = &carrier.tracks;
        if let Err(reason) = self.admit(network, &tracks.address(network.config), tracks.checksum) {
            return decision.drop(verdict, reason);
        }
        let mut frame = Frame::new(packet.inner, 0, packet.frame);
        if network.bridge.labelled {
            frame.labelled = self.label_from_tunnel(network.config, &carrier).0;
            frame.labelled.marks = self.marks(network.config, &frame);
            decision.label = frame.labelled.label;
            let policy = network.config.policy.filter(|policy| policy.at.contains(Enforce::EGRESS));
            if let Some(policy) = policy.filter(|_| !frame.labelled.applied) {
                let judged = self.judge(bridge, &policy, decision.label.group(), policy.host);
                decision.judged = Some(judged);
                if let Some(reason) = judged.denied {
                    return decision.drop(verdict, reason);
                }
            }
        }
        if let IpKind::V4 | IpKind::V6 = packet.inner.ip() {
            match ecn::decapsulate(Ecn::from_tos(packet.inner.tos()), Ecn::from_tos(carrier.tos)) {
                Ok(after) if after == Ecn::from_tos(packet.inner.tos()) => {}
                Ok(after) => frame.set_ecn(after),
                Err(_) => return decision.drop(verdict, DropReason::EcnConflict),
            }
        }
        let (bridge, sender) = (Some(bridge), Some(tracks.src));
        let punt = Punt { reason, bridge, sender, frame: packet.frame, edit: frame.port_edit() };
        Decision { code: set(verdict, Verdict::Punt(punt)), ..decision }
    }
}

/// Whether a payload is what it is announced as: all of its first header, and an IP packet as long as it says. Extension
/// headers and checksums are the host's to look at.
fn check(announced: PuntReason, payload: &[u8]) -> Result<Inner, DropReason> {
    let (kind, header_len) = match announced {
        PuntReason::InnerIpv4 => (IpKind::V4, ipv4::HEADER_LEN),
        PuntReason::InnerIpv6 => (IpKind::V6, ipv6::HEADER_LEN),
        _ if payload.len() < NSH_HEADER_LEN => return Err(DropReason::InnerTruncated),
        _ => return Ok(Inner::NOTHING),
    };
    if payload.len() < header_len {
        return Err(DropReason::InnerShortIp);
    }
    let inner = Inner::parse_ip(payload).map_err(|_| DropReason::InnerMalformedIp)?;
    let whole = match kind {
        IpKind::V4 => ipv4::Packet::parse(payload, false).is_ok(),
        // Not `ipv6::Packet`: it walks the extension headers.
        _ => ipv6::Header::ref_from_prefix(payload)
            .is_ok_and(|(header, rest)| usize::from(header.payload_len()) <= rest.len()),
    };
    if inner.ip() == kind && whole { Ok(inner) } else { Err(DropReason::InnerMalformedIp) }
}
