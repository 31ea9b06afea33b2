//! Control: everything that changes an engine but packets and time.

use core::net::IpAddr;

use crate::table::fdb::Owners;
use crate::table::{
    BridgeConfig, BridgeId, DuplicateDetection, EndpointAddress, EndpointConfig, GroupMatch, Owner, PortConfig, PortId,
    Rule, StormControl, TrafficMap, TrafficMapId, UnderlayConfig, UnderlayId,
};
use crate::wire::{Encapsulation, Label, MacAddr, Vni};

use super::EndpointHandle;

/// Where a MAC is, as a controller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum Place {
    /// Behind a local port.
    Port(PortId),
    /// Behind a remote endpoint.
    Remote(Remote),
    /// The host itself.
    Host,
    /// Nowhere: packets to it are dropped.
    Blackhole,
}

/// A remote endpoint, as `bridge fdb` names one: what is left out is the bridge's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Remote {
    /// The underlay it is reached over.
    pub underlay: UnderlayId,
    /// Its IP address, or an underlay multicast group.
    pub address: IpAddr,
    /// The tunnel header, if not the bridge's.
    pub encapsulation: Option<Encapsulation>,
    /// The UDP port, if not the bridge's.
    pub port: Option<u16>,
    /// The VNI, if not the bridge's.
    pub vni: Option<Vni>,
}

impl Remote {
    /// The endpoint at `address` on underlay 0, with the bridge's encapsulation, port and VNI.
    #[must_use]
    pub const fn at(address: IpAddr) -> Self {
        Self { underlay: UnderlayId(0), address, encapsulation: None, port: None, vni: None }
    }

    /// The full address, seen from a bridge.
    #[must_use]
    pub fn resolve(&self, bridge: &BridgeConfig) -> EndpointAddress {
        EndpointAddress {
            underlay: self.underlay,
            address: self.address,
            encapsulation: self.encapsulation.unwrap_or(bridge.encapsulation),
            port: self.port.unwrap_or(bridge.udp_port),
            vni: self.vni.filter(|vni| *vni != bridge.vni),
        }
    }
}

impl From<EndpointAddress> for Remote {
    fn from(a: EndpointAddress) -> Self {
        Self {
            underlay: a.underlay,
            address: a.address,
            encapsulation: Some(a.encapsulation),
            port: Some(a.port),
            vni: a.vni,
        }
    }
}

/// A change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum Command {
    /// Adds an underlay, or changes one: its endpoints' headers are made anew.
    SetUnderlay {
        /// The underlay.
        id: UnderlayId,
        /// How it is.
        config: UnderlayConfig,
    },
    /// Adds a bridge.
    AddBridge {
        /// Its index, chosen by the caller.
        id: BridgeId,
        /// How it behaves.
        config: BridgeConfig,
    },
    /// Changes a bridge's behaviour; its ports, flood list and FDB stay.
    SetBridge {
        /// The bridge.
        id: BridgeId,
        /// How it behaves from now on.
        config: BridgeConfig,
    },
    /// Removes a bridge, its ports, its flood list and its FDB entries.
    RemoveBridge {
        /// The bridge.
        id: BridgeId,
    },
    /// Adds a port to a bridge.
    AddPort {
        /// Its index, chosen by the caller.
        id: PortId,
        /// How it is attached.
        config: PortConfig,
    },
    /// Removes a port and the FDB entries that point to it.
    RemovePort {
        /// The port.
        id: PortId,
    },
    /// Adds an endpoint, or changes how one is treated. Flood lists and FDB entries add theirs by themselves.
    SetEndpoint {
        /// Its address.
        address: EndpointAddress,
        /// How it is treated.
        config: EndpointConfig,
    },
    /// Removes an endpoint that no flood list and no static FDB entry names, and what was learned from it.
    RemoveEndpoint {
        /// Its address.
        address: EndpointAddress,
    },
    /// Appends an endpoint (or an underlay multicast group) to a bridge's flood list.
    FloodAdd {
        /// The bridge.
        bridge: BridgeId,
        /// Who gets copies.
        remote: Remote,
    },
    /// Takes an endpoint off a bridge's flood list.
    FloodRemove {
        /// The bridge.
        bridge: BridgeId,
        /// Who gets none any more.
        remote: Remote,
    },
    /// Adds an FDB entry; it must not exist yet.
    FdbAdd {
        /// The bridge.
        bridge: BridgeId,
        /// A station's MAC. For a group address or zero see [`Command::FdbAppend`].
        mac: MacAddr,
        /// Where it is.
        place: Place,
        /// Who answers for the entry; [`Owner::Dynamic`] ages, [`Owner::Local`] is not remote.
        owner: Owner,
        /// Whether data packets may never move it.
        sticky: bool,
        /// Its security group and traffic class. The group must not differ from that of the port it is behind.
        label: Label,
    },
    /// Adds an FDB entry, or replaces one.
    FdbReplace {
        /// The bridge.
        bridge: BridgeId,
        /// A station's MAC.
        mac: MacAddr,
        /// Where it is.
        place: Place,
        /// Who answers for the entry.
        owner: Owner,
        /// Whether data packets may never move it.
        sticky: bool,
        /// Its security group and traffic class. The group must not differ from that of the port it is behind.
        label: Label,
    },
    /// Appends a destination to a group address's own flood list, or, for zero, to the bridge's.
    FdbAppend {
        /// The bridge.
        bridge: BridgeId,
        /// A group address, or zero.
        mac: MacAddr,
        /// Who gets copies.
        remote: Remote,
    },
    /// Removes an FDB entry.
    FdbDelete {
        /// The bridge.
        bridge: BridgeId,
        /// A station's MAC, a group address, or zero.
        mac: MacAddr,
        /// Only if this is the destination; for a group address or zero, only this one of them. `None`: whatever it is.
        remote: Option<Remote>,
    },
    /// Takes over what another core has learned: dynamic, and no event is raised.
    Learn {
        /// The bridge.
        bridge: BridgeId,
        /// The MAC.
        mac: MacAddr,
        /// Where it is.
        place: Place,
        /// Its security group and traffic class.
        label: Label,
    },
    /// Removes FDB entries.
    Flush(Flush),
    /// Changes a port's VLAN, learning and quota; entries beyond a smaller quota stay.
    SetPort {
        /// The port.
        id: PortId,
        /// How it is attached from now on; the bridge is the one it has.
        config: PortConfig,
    },
    /// Limits how much a bridge floods. A kind of frames that had no limit begins with its full burst, which is not 0.
    SetStormControl {
        /// The bridge.
        bridge: BridgeId,
        /// The limits.
        config: StormControl,
    },
    /// Sets when a MAC that moves is a duplicate; with `None`, moves are neither counted nor held up any more.
    SetDuplicateDetection {
        /// The bridge.
        bridge: BridgeId,
        /// From how many moves on, and what follows.
        config: Option<DuplicateDetection>,
    },
    /// Lets a MAC move again that was found to be a duplicate, or all of a bridge; answers how many there were. Adding,
    /// replacing or deleting a MAC's FDB entry does so too.
    ClearDuplicate {
        /// The bridge.
        bridge: BridgeId,
        /// The MAC; `None` for all.
        mac: Option<MacAddr>,
    },
    /// Adds a rule about which groups may exchange frames, or changes what one says.
    SetRule {
        /// The rule.
        rule: Rule,
    },
    /// Removes a rule.
    RemoveRule {
        /// The bridge.
        bridge: BridgeId,
        /// The source group it names.
        from: GroupMatch,
        /// The destination group it names.
        to: GroupMatch,
    },
    /// Changes a traffic map.
    SetTrafficMap {
        /// Its index.
        id: TrafficMapId,
        /// How it is.
        map: TrafficMap,
    },
}

/// Which FDB entries a flush removes: those that meet every condition given.
///
/// With exactly one of `bridge` and `place` given and only dynamic entries asked for, the cost is that of
/// [`Fdb::flush_bridge`](crate::table::Fdb::flush_bridge), and linear in the number of endpoints for a remote place;
/// otherwise it is linear in the table's capacity. Without `bridge`, what a remote place leaves out is any.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Flush {
    /// Only this bridge's.
    pub bridge: Option<BridgeId>,
    /// Only those behind this port or endpoint.
    pub place: Option<Place>,
    /// Only those of these owners.
    pub owners: Owners,
}

impl Flush {
    /// All learned entries.
    #[must_use]
    pub const fn dynamic() -> Self {
        Self { bridge: None, place: None, owners: Owners::DYNAMIC }
    }
}

/// What a command did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum Done {
    /// It is done.
    Ok,
    /// It is done, to this endpoint.
    Endpoint(EndpointHandle),
    /// It removed so many entries.
    Removed(u32),
}

/// Why a command was refused; nothing has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
#[non_exhaustive]
pub enum CommandError {
    /// The index is beyond the memory lent for such objects.
    OutOfRange = 0,
    /// There is no such bridge.
    NoSuchBridge = 1,
    /// There is no such port.
    NoSuchPort = 2,
    /// There is no such underlay.
    NoSuchUnderlay = 3,
    /// There is no such endpoint.
    NoSuchEndpoint = 4,
    /// There is no such entry.
    NotFound = 5,
    /// It exists already.
    Exists = 6,
    /// Another bridge has this VNI on this UDP port.
    VniTaken = 7,
    /// This UDP port is used with another tunnel header, or too many UDP ports are in use.
    PortConflict = 8,
    /// The underlay has no address of that family.
    NoLocalAddress = 9,
    /// The address is not one packets can be sent to: unspecified, broadcast, loopback or our own.
    BadAddress = 10,
    /// A group address or zero where a station's MAC is needed, or the reverse.
    BadMac = 11,
    /// A value is outside its range: a VLAN ID, an ageing time, an MTU.
    BadValue = 12,
    /// The object is still in use by static entries or flood lists.
    InUse = 13,
    /// The forwarding database has no place for it.
    FdbFull = 14,
    /// The endpoint table or its address map is full.
    EndpointsFull = 15,
    /// The flood lists are full.
    FloodListsFull = 16,
    /// The VNI map is full.
    VnisFull = 17,
    /// An entry of another owner stands in the way.
    Owned = 18,
    /// There is no room for another pair of security group and traffic class.
    LabelsFull = 19,
    /// There is no room for another rule.
    RulesFull = 20,
    /// The port has another security group.
    GroupConflict = 21,
}

impl core::fmt::Display for CommandError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::OutOfRange => "index beyond the memory lent",
            Self::NoSuchBridge => "no such bridge",
            Self::NoSuchPort => "no such port",
            Self::NoSuchUnderlay => "no such underlay",
            Self::NoSuchEndpoint => "no such endpoint",
            Self::NotFound => "no such entry",
            Self::Exists => "exists already",
            Self::VniTaken => "another bridge has this VNI on this UDP port",
            Self::PortConflict => "UDP port in use with another tunnel header, or too many UDP ports",
            Self::NoLocalAddress => "the underlay has no address of that family",
            Self::BadAddress => "not an address packets can be sent to",
            Self::BadMac => "not a MAC of the kind needed",
            Self::BadValue => "value out of range",
            Self::InUse => "still in use",
            Self::FdbFull => "forwarding database full",
            Self::EndpointsFull => "endpoint table full",
            Self::FloodListsFull => "flood lists full",
            Self::VnisFull => "VNI map full",
            Self::Owned => "the entry belongs to another owner",
            Self::LabelsFull => "no room for another security group and traffic class",
            Self::RulesFull => "no room for another rule",
            Self::GroupConflict => "the port has another security group",
        })
    }
}

impl core::error::Error for CommandError {}
