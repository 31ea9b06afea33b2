//! A packet that has been read, before any table was asked that packets change.
//!
//! What reading finds depends on the bytes and on what commands have set up; deciding about it asks the tables that packets
//! change.

use core::net::IpAddr;

use super::senders::Tracks;
use super::{DropReason, Engine, Ingress, Input, PuntReason};
use crate::table::fdb::Probe;
use crate::table::{BridgeId, PortId};
use crate::wire::geneve::Found;
use crate::wire::{Inner, Outer, Span, TunnelFlags};

/// A packet that has been read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Packet {
    pub(super) inner: Inner,
    /// Where the FDB has the source MAC, if it has it.
    pub(super) src: Probe,
    /// Where the FDB has the destination MAC, if it has it.
    pub(super) dst: Probe,
    /// The frame's bytes within the input.
    pub(super) frame: Span,
    pub(super) origin: Origin,
}

/// Where a packet came from, or why it gets no further.
#[derive(Clone, Copy, Debug)]
pub(super) enum Origin {
    /// A frame from a port of a bridge.
    Port(BridgeId, PortId),
    /// A tunnel packet for a bridge.
    Tunnel(BridgeId, Carrier),
    /// A tunnel packet that carries no Ethernet frame, and what the host is told of it.
    Payload(BridgeId, Carrier, PuntReason),
    /// It has come to an end already, before or in a bridge.
    Ended { bridge: Option<BridgeId>, from_port: bool, end: End },
}

/// How a packet ends that is not forwarded.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Drop(DropReason),
    /// With the sender, where there is a tunnel.
    Punt(PuntReason, Option<IpAddr>),
}

/// What is needed later of the headers around a frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Carrier {
    pub(super) tracks: Tracks,
    pub(super) flags: TunnelFlags,
    pub(super) tos: u8,
    /// Bytes of Geneve options, right in front of the frame.
    pub(super) options: u8,
    /// The sender's security group and traffic class, where the bridge reads them.
    pub(super) found: Found,
}

impl Carrier {
    #[inline(always)]
    pub(super) fn new(tracks: Tracks, outer: &Outer, found: Found) -> Self {
        Self {
            tracks,
            flags: outer.tunnel.flags,
            tos: outer.tos,
            options: u8::try_from(outer.tunnel.options.len).unwrap_or(0),
            found,
        }
    }
}

impl Packet {
    /// A packet that goes no further.
    #[cold]
    pub(super) const fn ended(bridge: Option<BridgeId>, from_port: bool, frame: Span, end: End) -> Self {
        let origin = Origin::Ended { bridge, from_port, end };
        Self { inner: Inner::NOTHING, src: Probe::NOWHERE, dst: Probe::NOWHERE, frame, origin }
    }

    /// A packet that is dropped before its bridge is known.
    #[cold]
    pub(super) const fn refused(reason: DropReason) -> Self {
        Self::ended(None, false, Span::new(0, 0), End::Drop(reason))
    }
}

impl Engine<'_> {
    /// Reads a packet.
    #[inline(always)]
    pub(super) fn read(&self, input: &Input<'_>) -> Packet {
        match input.ingress {
            Ingress::Port { port, payload } => self.read_from_port(port, payload, input.bytes),
            Ingress::Underlay { underlay, form } => self.read_from_underlay(underlay, form, input.bytes),
        }
    }

    /// A frame of a bridge.
    #[inline(always)]
    pub(super) fn frame_of(&self, bridge: BridgeId, inner: Inner, frame: Span, origin: Origin) -> Packet {
        let (src, dst) = (self.fdb.probe(bridge, inner.src()), self.fdb.probe(bridge, inner.dst()));
        Packet { inner, src, dst, frame, origin }
    }
}
