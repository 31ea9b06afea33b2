//! What goes into a step.

use crate::table::{PortId, UnderlayId};
use crate::wire::{Datagram, FrameKind};

/// One packet and where it came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Input<'a> {
    /// Where it came from, and what its first byte is.
    pub ingress: Ingress,
    /// The packet, without FCS.
    pub bytes: &'a [u8],
}

/// Where a packet came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum Ingress {
    /// A local station's side.
    Port {
        /// The port.
        port: PortId,
        /// What the bytes begin with. IP packets are to be routed, which this version does not do: it drops them by name.
        payload: FrameKind,
    },
    /// The tunnels' side.
    Underlay {
        /// The underlay.
        underlay: UnderlayId,
        /// What the bytes begin with.
        form: Form,
    },
}

/// What a packet from the underlay begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum Form {
    /// The outer Ethernet header.
    Frame,
    /// The outer IP header.
    Packet,
    /// The tunnel header: a UDP socket has taken off the rest, and says what it was.
    Datagram(Datagram),
}

impl<'a> Input<'a> {
    /// An Ethernet frame from a local port.
    #[must_use]
    pub const fn from_port(port: PortId, frame: &'a [u8]) -> Self {
        Self { ingress: Ingress::Port { port, payload: FrameKind::Ethernet }, bytes: frame }
    }

    /// An Ethernet frame from an underlay.
    #[must_use]
    pub const fn from_underlay(underlay: UnderlayId, frame: &'a [u8]) -> Self {
        Self { ingress: Ingress::Underlay { underlay, form: Form::Frame }, bytes: frame }
    }

    /// An IP packet from an underlay.
    #[must_use]
    pub const fn from_underlay_ip(underlay: UnderlayId, packet: &'a [u8]) -> Self {
        Self { ingress: Ingress::Underlay { underlay, form: Form::Packet }, bytes: packet }
    }

    /// A UDP payload from a socket on an underlay.
    #[must_use]
    pub const fn from_socket(underlay: UnderlayId, datagram: Datagram, payload: &'a [u8]) -> Self {
        Self { ingress: Ingress::Underlay { underlay, form: Form::Datagram(datagram) }, bytes: payload }
    }
}
