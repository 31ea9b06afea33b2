//! What comes out of a step: what to do with a packet, as a small value.
//!
//! A verdict names its destinations by handle: an index and the generation it had. A command that removes or replaces the
//! object makes the handle stale, and whoever acts on the verdict afterwards gets
//! [`RewriteError::StaleHandle`](super::RewriteError::StaleHandle) instead of a packet to the wrong place. So does an
//! endpoint that was learned, when packets bring others that need its index.
//!
//! A generation has 16 bits and goes up by two for each object that gets the index: a verdict is to be carried out before
//! 32,768 of them have had it, and so before as many packets were stepped.

use core::net::IpAddr;

use super::{DropReason, PuntReason};
use crate::table::{BridgeId, EndpointId, GroupId, PortId};
use crate::wire::{Edit, EtherType, Label, Span, TunnelFlags, Vni};

macro_rules! handle {
    ($(#[$doc:meta])* $name:ident, $id:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
        pub struct $name {
            /// The index.
            pub id: $id,
            /// The generation it had when the handle was made.
            pub generation: u16,
        }
    };
}

handle! {
    /// A port, as long as it is the same one.
    PortHandle, PortId
}
handle! {
    /// An endpoint, as long as it is the same one.
    EndpointHandle, EndpointId
}
handle! {
    /// A bridge, as long as it is the same one and has lost no port and no member of a flood list.
    BridgeHandle, BridgeId
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(u8)]
#[non_exhaustive]
pub enum Verdict {
    /// Give the frame to a port.
    Deliver(Deliver) = 1,
    /// Send the frame to an endpoint.
    Encapsulate(Encapsulate) = 2,
    /// Copy the frame to several ports and endpoints: [`Engine::next_copy`](super::Engine::next_copy) tells which,
    /// and [`Engine::replicate`](super::Engine::replicate) writes them.
    Flood(Flood) = 3,
    /// Answer the sender in the destination's place (ARP and ND suppression). Not produced by this version.
    Reply(Reply) = 4,
    /// Forward the packet by its IP header (routed overlays). Not produced by this version.
    Route(Route) = 5,
    /// Hand the packet to the host, and to nobody else.
    Punt(Punt) = 6,
    /// Nothing.
    Drop(DropReason) = 7,
}

/// The stable number of a [`Verdict`]'s kind; the index of its counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
#[non_exhaustive]
pub enum VerdictKind {
    /// [`Verdict::Deliver`].
    Deliver = 1,
    /// [`Verdict::Encapsulate`].
    Encapsulate = 2,
    /// [`Verdict::Flood`].
    Flood = 3,
    /// [`Verdict::Reply`].
    Reply = 4,
    /// [`Verdict::Route`].
    Route = 5,
    /// [`Verdict::Punt`].
    Punt = 6,
    /// [`Verdict::Drop`].
    Drop = 7,
}

impl VerdictKind {
    /// The kinds whose packets go somewhere, in the order of their numbers.
    pub const FORWARDED: [Self; 6] =
        [Self::Deliver, Self::Encapsulate, Self::Flood, Self::Reply, Self::Route, Self::Punt];

    /// The stable kebab-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deliver => "deliver",
            Self::Encapsulate => "encapsulate",
            Self::Flood => "flood",
            Self::Reply => "reply",
            Self::Route => "route",
            Self::Punt => "punt",
            Self::Drop => "drop",
        }
    }
}

impl Verdict {
    /// A verdict that means nothing: something to fill an array with before
    /// [`Engine::step_batch`](super::Engine::step_batch) writes over it.
    pub const NOTHING: Self = Self::Drop(DropReason::OuterOther);

    /// The kind.
    #[must_use]
    #[inline]
    pub const fn kind(&self) -> VerdictKind {
        match self {
            Self::Deliver(_) => VerdictKind::Deliver,
            Self::Encapsulate(_) => VerdictKind::Encapsulate,
            Self::Flood(_) => VerdictKind::Flood,
            Self::Reply(_) => VerdictKind::Reply,
            Self::Route(_) => VerdictKind::Route,
            Self::Punt(_) => VerdictKind::Punt,
            Self::Drop(_) => VerdictKind::Drop,
        }
    }

    /// The number of the counter this verdict is counted under: the kind's, or the drop reason's.
    #[must_use]
    #[inline]
    pub const fn code(&self) -> u8 {
        match self {
            Self::Drop(reason) => *reason as u8,
            other => other.kind() as u8,
        }
    }

    /// Why the host gets the packet too (or alone), if it does.
    #[must_use]
    pub const fn punt(&self) -> Option<PuntReason> {
        match self {
            Self::Punt(punt) => Some(punt.reason),
            Self::Flood(flood) => flood.punt,
            _ => None,
        }
    }
}

/// The frame goes to one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Deliver {
    /// The port.
    pub port: PortHandle,
    /// The frame's bytes within the input.
    pub frame: Span,
    /// What changes in the frame.
    pub edit: Edit,
    /// Whether the frame's bytes are shared with other copies of a flood.
    pub shared: bool,
}

/// The frame goes to one endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Encapsulate {
    /// The endpoint.
    pub endpoint: EndpointHandle,
    /// The VNI that endpoint wants.
    pub vni: Vni,
    /// The frame's bytes within the input.
    pub frame: Span,
    /// What changes in the frame.
    pub edit: Edit,
    /// Outer header fields that come from the frame.
    pub outer: OuterFields,
    /// Whether the frame's bytes are shared with other copies of a flood.
    pub shared: bool,
}

/// What the outer header takes over from the frame it carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(C)]
pub struct OuterFields {
    /// UDP source port: the flow's entropy.
    pub src_port: u16,
    /// IPv4 identification; a flood's first copy has it, the next ones the next.
    pub ident: u16,
    /// The frame's security group and traffic class.
    pub label: Label,
    /// What the tunnel carries.
    pub protocol: EtherType,
    /// Tunnel flags. G: the label's group goes into VXLAN's group policy ID; C: the label goes into Geneve's options.
    pub flags: TunnelFlags,
    /// Bytes of Geneve options, right in front of the frame, that go on as they came; 0 for none.
    pub options: u8,
    /// The outer DSCP, or [`OuterFields::DSCP_OF_TEMPLATE`].
    pub dscp: u8,
    /// The inner TOS or traffic class; 0 where the frame carries no IP.
    pub tos: u8,
    /// The inner TTL or hop limit; 0 where the frame carries no IP.
    pub ttl: u8,
    /// The inner don't-fragment state.
    pub df: bool,
}

impl OuterFields {
    /// No DSCP of the frame's own: the endpoint's template decides.
    pub const DSCP_OF_TEMPLATE: u8 = 0xff;

    /// Whether the tunnel header is that of an Ethernet frame without flags and options, and the DSCP the template's.
    #[inline(always)]
    pub(super) fn is_plain(&self) -> bool {
        let Self { protocol, flags, options, dscp, .. } = *self;
        // They lie side by side: one comparison.
        let fields = |protocol: EtherType, flags: TunnelFlags, options: u8| {
            u32::from(protocol.0) | u32::from(flags.bits()) << 16 | u32::from(options) << 24
        };
        fields(protocol, flags, options) == fields(EtherType::ETHERNET, TunnelFlags::empty(), 0)
            && dscp == Self::DSCP_OF_TEMPLATE
    }
}

/// The frame goes to all members of a bridge but the one it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Flood {
    /// The bridge.
    pub bridge: BridgeHandle,
    /// The endpoints that get a copy, or `None` for no endpoint.
    pub group: Option<GroupId>,
    /// The port it came from, which gets none.
    pub from_port: Option<PortId>,
    /// The split-horizon group it came from, whose endpoints get none; 0 for no such group.
    pub from_group: u8,
    /// The endpoint it came from, which gets none.
    pub from_endpoint: Option<EndpointId>,
    /// The frame's bytes within the input.
    pub frame: Span,
    /// What changes in copies to ports, before the port's own tag.
    pub port_edit: Edit,
    /// What changes in copies to endpoints.
    pub tunnel_edit: Edit,
    /// Bytes of the frame after that.
    pub tunnel_len: u32,
    /// Outer header fields that come from the frame.
    pub outer: OuterFields,
    /// Whether the host gets a copy too.
    pub punt: Option<PuntReason>,
}

/// An answer to the sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Reply {
    /// The port that gets the answer.
    pub port: PortHandle,
    /// The request's bytes within the input.
    pub frame: Span,
}

/// A packet to be forwarded by its IP header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Route {
    /// The routing table.
    pub vrf: u16,
    /// The IP packet's bytes within the input.
    pub packet: Span,
}

/// A packet for the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Punt {
    /// Why.
    pub reason: PuntReason,
    /// The bridge, where there is one.
    pub bridge: Option<BridgeId>,
    /// The outer source address, where the host gets a tunnel packet that is no frame of the bridge: a control packet, IP
    /// or NSH. (The sender of a frame stands in the FDB, if its source was learned.)
    pub sender: Option<IpAddr>,
    /// The bytes within the input: what the tunnel carries, or all of it where there is no tunnel.
    pub frame: Span,
    /// What changes in them before anybody reads on: ECN (RFC 6040 section 4.2), tags, DSCP. For [`Edit::apply`], with
    /// [`PuntReason::frame_kind`].
    pub edit: Edit,
}
