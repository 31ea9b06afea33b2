//! A frame from a local port: what is done with it, without changing anything yet.

use super::decision::{Decision, Learn, Source};
use super::forward::Frame;
use super::{DropReason, Engine, Switches, Verdict};
use crate::table::{Ageing, Instant, PortId, VlanEncap};
use crate::wire::{FrameKind, Span};

impl Engine<'_> {
    pub(super) fn decide_from_port(&self, now: Instant, id: PortId, payload: FrameKind, bytes: &[u8]) -> Decision {
        let Some(port) = self.port(id) else {
            return Decision::without_bridge(Verdict::Drop(DropReason::UnknownPort));
        };
        let Some(network) = self.network(port.bridge) else {
            return Decision::without_bridge(Verdict::Drop(DropReason::UnknownPort));
        };
        let mut decision = Decision::of_bridge(port.bridge, true, bytes.len());
        if payload != FrameKind::Ethernet {
            return decision.drop(DropReason::UnsupportedPayload);
        }
        let keep = port.vlan.is_none() && network.config.vlan_encap == VlanEncap::Keep;
        let Ok(inner) = self.parse_inner(bytes, keep) else {
            return decision.drop(DropReason::InnerTruncated);
        };
        let station = inner.src().is_station();
        if !station && !self.switches.contains(Switches::SEND_ANY_SOURCE) {
            return decision.drop(DropReason::SourceMacInvalid);
        }
        let popped = match port.vlan {
            None => 0,
            Some(vid) if inner.vid() == Some(vid) => 1,
            Some(_) => return decision.drop(DropReason::VlanMismatch),
        };
        let learns = port.learning && network.config.ageing != Ageing::NoLearn;
        if station && learns {
            decision.learn = Some(Learn { mac: inner.src(), source: Source::Port(id) });
        } else if self.is_own(now, port.bridge, inner.src(), Some(id)) {
            return decision.drop(DropReason::SourceMacOwn);
        }
        let frame = Frame::new(inner, popped, Span::new(0, decision.bytes));
        self.forward(now, network, Source::Port(id), &frame, bytes, decision)
    }
}
