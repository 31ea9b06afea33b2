//! A frame from a local port: what is done with it, without changing anything yet.

use super::decision::{Decision, Learn, Source};
use super::forward::Frame;
use super::packet::{End, Origin, Packet};
use super::{DropReason, Engine, Switches, Verdict};
use crate::table::{Ageing, BridgeId, Instant, PortId, VlanEncap};
use crate::wire::{FrameKind, Label, Span};

impl Engine<'_> {
    #[inline(always)]
    pub(super) fn read_from_port(&self, id: PortId, payload: FrameKind, bytes: &[u8]) -> Packet {
        let Some(port) = self.port(id) else { return Packet::refused(DropReason::UnknownPort) };
        let Some(network) = self.network(port.bridge) else { return Packet::refused(DropReason::UnknownPort) };
        let frame = Span::new(0, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
        let ended = |reason| Packet::ended(Some(port.bridge), true, frame, End::Drop(reason));
        if payload != FrameKind::Ethernet {
            return ended(DropReason::UnsupportedPayload);
        }
        let keep = port.vlan.is_none() && network.config.vlan_encap == VlanEncap::Keep;
        match self.parse_inner(bytes, keep) {
            Ok(inner) => self.frame_of(port.bridge, inner, frame, Origin::Port(port.bridge, id)),
            Err(_) => ended(DropReason::InnerTruncated),
        }
    }

    #[inline(always)]
    pub(super) fn decide_from_port(
        &self,
        now: Instant,
        (bridge, id): (BridgeId, PortId),
        packet: &Packet,
        bytes: &[u8],
        verdict: &mut Verdict,
    ) -> Decision {
        let mut decision = Decision::NONE;
        let (Some(port), Some(network)) = (self.port(id), self.network(bridge)) else {
            return decision.drop(verdict, DropReason::UnknownPort);
        };
        let inner = packet.inner;
        let station = inner.src().is_station();
        if !station && !self.switches.contains(Switches::SEND_ANY_SOURCE) {
            return decision.drop(verdict, DropReason::SourceMacInvalid);
        }
        let popped = match port.vlan {
            None => 0,
            Some(vid) if inner.vid() == Some(vid) => 1,
            Some(_) => return decision.drop(verdict, DropReason::VlanMismatch),
        };
        let learns = port.learning && network.config.ageing != Ageing::NoLearn;
        if station && learns {
            decision.learn = Some(Learn { source: Source::Port(id), label: Label::NONE });
        } else if self.is_own(now, packet.src, Some(id)) {
            return decision.drop(verdict, DropReason::SourceMacOwn);
        }
        let mut frame = Frame::new(inner, popped, packet.frame);
        if network.bridge.labelled {
            let (labelled, learned) = self.label_from_port(now, network, (id, port), packet.src, &inner);
            frame.labelled = labelled;
            decision.learn = decision.learn.map(|learn| Learn { label: learned, ..learn });
        }
        self.forward(now, network, Source::Port(id), frame, packet.dst, bytes, decision, verdict)
    }
}
