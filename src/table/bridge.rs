//! Bridges: one tenant network each, reached by one or more VNIs.
//!
//! A bridge knows how its frames are tagged inside the tunnel, whom to flood to and when to forget. Its index is the
//! upper half of every FDB key, so two bridges never see each other's MACs.

use super::{Ageing, Enforcement, GroupId, Pace, PortId, Slot, TrafficMapId};
use crate::wire::{Encapsulation, Vni};

bitflags::bitflags! {
    /// Which traffic without a known destination a bridge replicates.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct FloodSwitches: u8 {
        /// Frames to ff:ff:ff:ff:ff:ff.
        const BROADCAST = 1 << 0;
        /// Unicast frames whose destination is not in the FDB.
        const UNKNOWN_UNICAST = 1 << 1;
        /// Frames to any other group address.
        const MULTICAST = 1 << 2;
    }
}

impl Default for FloodSwitches {
    fn default() -> Self {
        Self::all()
    }
}

crate::macros::flag_traits!(FloodSwitches, u8);

/// What becomes of an inner VLAN tag on the way into a tunnel (RFC 7348 section 6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum VlanEncap {
    /// Tags are removed; the RFC's default.
    #[default]
    Strip,
    /// Tags are carried as they are, as Linux does.
    Keep,
    /// Tagged frames are dropped.
    Drop,
    /// The outermost tag is set to this VLAN ID (1 to 4094), or pushed where there is none.
    Map(u16),
}

/// What becomes of an inner VLAN tag on the way out of a tunnel (RFC 7348 section 6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum VlanDecap {
    /// Tagged frames are dropped; the RFC's default.
    #[default]
    Drop,
    /// Tags are delivered as they are, as Linux does.
    Keep,
    /// Tags are removed.
    Strip,
    /// Only frames tagged with this VLAN ID (1 to 4094) pass, and lose that tag: the reverse of [`VlanEncap::Map`].
    Map(u16),
}

/// Which senders a bridge accepts tunnel packets from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Admission {
    /// Anybody: endpoints are learned from what arrives, as RFC 7348 section 4.1 describes and Linux does.
    #[default]
    Anyone = 0,
    /// Only endpoints that were configured.
    Configured = 1,
    /// Only endpoints on this bridge's flood list.
    FloodList = 2,
}

/// How one bridge behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct BridgeConfig {
    /// The tunnel header of packets to endpoints that do not say otherwise.
    pub encapsulation: Encapsulation,
    /// UDP destination port: what this bridge's VNI is received on, and what is sent to unless an endpoint says otherwise.
    pub udp_port: u16,
    /// The VNI received, and sent unless an endpoint says otherwise.
    pub vni: Vni,
    /// How long a learned MAC is kept, or whether MACs are learned at all.
    pub ageing: Ageing,
    /// Which BUM traffic is flooded.
    pub flood: FloodSwitches,
    /// Inner VLAN tags on encapsulation.
    pub vlan_encap: VlanEncap,
    /// Inner VLAN tags on decapsulation.
    pub vlan_decap: VlanDecap,
    /// Accepted senders.
    pub admission: Admission,
    /// Whether VXLAN packets carry and are read for the Group Policy extension.
    pub gbp: bool,
    /// Whether Geneve packets carry and are read for the engine's [`Schema`](crate::wire::geneve::Schema) of options.
    pub options: bool,
    /// How security groups are enforced; `None`: not at all.
    pub policy: Option<Enforcement>,
    /// How traffic classes are carried in DSCP and VLAN priority; `None`: not at all.
    pub traffic: Option<TrafficMapId>,
    /// Whether a unicast destination that is not in the FDB raises a miss event, as Linux's `l2miss`.
    pub l2miss: bool,
    /// Whether the host takes part: it gets a copy of whatever is flooded.
    pub host: bool,
    /// Most dynamic FDB entries, or `None` for as many as fit; Linux's `maxaddress`.
    pub max_macs: Option<u32>,
}

impl BridgeConfig {
    /// An RFC-conformant bridge: 300 s ageing, everything flooded, tags stripped, anybody admitted.
    #[must_use]
    pub const fn new(encapsulation: Encapsulation, vni: Vni) -> Self {
        Self {
            encapsulation,
            udp_port: encapsulation.default_port(),
            vni,
            ageing: Ageing::DEFAULT,
            flood: FloodSwitches::all(),
            vlan_encap: VlanEncap::Strip,
            vlan_decap: VlanDecap::Drop,
            admission: Admission::Anyone,
            gbp: false,
            options: false,
            policy: None,
            traffic: None,
            l2miss: false,
            host: false,
            max_macs: None,
        }
    }
}

/// One bridge as the engine keeps it; all-zero memory is an unused record.
#[derive(Clone, Copy, Debug)]
pub struct Bridge {
    /// The configuration; empty for an unused record.
    pub(crate) config: Slot<BridgeConfig>,
    /// Changes whenever the record is taken or given back, or loses a port or a member of a flood list, so that a stale
    /// handle is noticed.
    pub(crate) generation: u16,
    /// The first port, in the order they were added.
    pub(crate) first_port: Option<PortId>,
    /// How many ports.
    pub(crate) ports: u16,
    /// The default flood list.
    pub(crate) flood_list: Option<GroupId>,
    /// Whether the configuration speaks of security groups or traffic classes.
    pub(crate) labelled: bool,
    /// The way that the configuration lets common packets take.
    pub(crate) pace: Pace,
    /// What of its ports' floods the fast path may decide about.
    pub(crate) fast_floods: FloodSwitches,
}

impl Bridge {
    /// An unused record; all bits zero.
    pub const EMPTY: Self = Self {
        config: Slot::Empty,
        generation: 0,
        first_port: None,
        ports: 0,
        flood_list: None,
        labelled: false,
        pace: Pace::Whole,
        fast_floods: FloodSwitches::empty(),
    };
}
