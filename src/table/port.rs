//! Ports: where a bridge's local stations are attached.

use super::{BridgeId, PortId, Slot};
use crate::wire::{SecurityGroup, TrafficClass};

/// How a port is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct PortConfig {
    /// The bridge it belongs to.
    pub bridge: BridgeId,
    /// `Some(vid)`: frames cross this port with that tag (1 to 4094), which the bridge does not see. `None`: as they are.
    pub vlan: Option<u16>,
    /// Whether source addresses are learned here.
    pub learning: bool,
    /// Most dynamic FDB entries, or `None` for as many as fit.
    pub max_macs: Option<u32>,
    /// The security group of every station here; [`SecurityGroup::NONE`]: each has its FDB entry's.
    pub group: SecurityGroup,
    /// The traffic class of every frame from here; `None`: that of its source's FDB entry, or of its marks.
    pub class: Option<TrafficClass>,
}

impl PortConfig {
    /// An untagged, learning port of `bridge`.
    #[must_use]
    pub const fn new(bridge: BridgeId) -> Self {
        Self { bridge, vlan: None, learning: true, max_macs: None, group: SecurityGroup::NONE, class: None }
    }

    /// The security group of a station here whose FDB entry says `entry`.
    #[inline]
    pub(crate) const fn group_of(&self, entry: SecurityGroup) -> SecurityGroup {
        if self.group.is_none() { entry } else { self.group }
    }
}

/// One port as the engine keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Port {
    /// The configuration; empty for an unused record.
    pub(crate) config: Slot<PortConfig>,
    /// Changes whenever the record is taken or given back.
    pub(crate) generation: u16,
    /// The bridge's next port.
    pub(crate) next: Option<PortId>,
    /// The way of frames from here.
    pub(crate) pace: Pace,
}

/// Which way through the engine packets of a port or a bridge may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Pace {
    /// Only the whole step.
    #[default]
    Whole = 0,
    /// The fast path.
    Fast = 1,
    /// The fast path of bridges that know labels.
    Labelled = 2,
}

impl Port {
    /// An unused record; all bits zero.
    pub const EMPTY: Self = Self { config: Slot::Empty, generation: 0, next: None, pace: Pace::Whole };
}
