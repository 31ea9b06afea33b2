//! What the bridge knows, and what it does with a frame.

use std::collections::{BTreeMap, HashMap};

use vtep::engine::{DropReason, Event, Place, Profile, PuntReason, Switches};
use vtep::table::{
    Ageing, BridgeConfig, BridgeId, EndpointAddress, EndpointConfig, FloodSwitches, Owner, PortConfig, PortId,
    UnderlayConfig, VlanEncap,
};
use vtep::wire::{Df, Label, MacAddr};

use super::guard::Guard;
use super::packet::{Inner, IpState};

/// Everything there is to know.
pub(crate) struct Model {
    pub(crate) switches: Switches,
    /// Milliseconds.
    pub(crate) now: u64,
    pub(crate) underlays: BTreeMap<u8, UnderlayConfig>,
    pub(crate) bridges: BTreeMap<u16, Bridge>,
    pub(crate) ports: BTreeMap<u16, PortConfig>,
    /// Endpoints that a command has configured.
    pub(crate) configured: HashMap<EndpointAddress, EndpointConfig>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    pub(crate) packets: u64,
    pub(crate) events: Vec<Event>,
}

pub(crate) struct Bridge {
    pub(crate) config: BridgeConfig,
    /// In the order they were added.
    pub(crate) ports: Vec<u16>,
    /// The flood list, once there was one.
    pub(crate) list: Option<Vec<EndpointAddress>>,
    /// Flood lists of group addresses.
    pub(crate) groups: HashMap<MacAddr, Vec<EndpointAddress>>,
    pub(crate) fdb: HashMap<MacAddr, Entry>,
    pub(crate) counts: BTreeMap<&'static str, u64>,
    /// Bytes from ports and from tunnels.
    pub(crate) bytes: [u64; 2],
    pub(crate) guard: Guard,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) to: To,
    pub(crate) owner: Owner,
    pub(crate) sticky: bool,
    /// When it was last refreshed, in units of 256 ms.
    pub(crate) stamp: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum To {
    Port(u16),
    Remote(EndpointAddress),
    Host,
    Drop,
}

impl core::convert::From<To> for Place {
    fn from(to: To) -> Self {
        match to {
            To::Port(port) => Self::Port(PortId(port)),
            To::Remote(address) => Self::Remote(address.into()),
            To::Host => Self::Host,
            To::Drop => Self::Blackhole,
        }
    }
}

/// What is to become of a packet.
#[derive(Clone, Debug)]
pub(crate) enum Expected {
    Drop(DropReason),
    Punt(PuntReason),
    /// These bytes for the host, edits included.
    Packet(PuntReason, Vec<u8>),
    One(Copy),
    /// In this order; the number of copies that are too big; whether the host gets one.
    Flood(Vec<Copy>, u64, bool),
}

/// A frame that leaves.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub(crate) to: To,
    /// The VNI it is sent in.
    pub(crate) vni: u32,
    pub(crate) frame: Inner,
    /// TOS, TTL and DF for an outer header that inherits them.
    pub(crate) inherited: (u8, u8, bool),
}

/// Where a frame came from.
#[derive(Clone, Copy, Debug)]
pub(crate) enum From {
    Port(u16),
    /// The endpoint it is for this bridge, and the one it would be if nobody had named it.
    Remote(EndpointAddress, EndpointAddress),
}

/// A packet on its way: what is counted, and what is learned if it is not dropped.
pub(crate) struct Passage {
    pub(crate) expected: Expected,
    pub(crate) bridge: Option<u16>,
    pub(crate) bytes: usize,
    pub(crate) learn: Option<(MacAddr, From)>,
    pub(crate) miss: Option<MacAddr>,
    /// Whom the frame is for.
    pub(crate) dst: MacAddr,
}

impl Passage {
    pub(crate) fn outside(expected: Expected) -> Self {
        Self { expected, bridge: None, bytes: 0, learn: None, miss: None, dst: MacAddr::ZERO }
    }

    pub(crate) fn drop(self, reason: DropReason) -> Self {
        Self { expected: Expected::Drop(reason), ..self }
    }
}

/// Time in units of 256 ms, which is what ages are counted in.
pub(crate) const fn coarse(millis: u64) -> u64 {
    millis >> 8
}

impl Model {
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            switches: profile.switches(),
            now: 0,
            underlays: BTreeMap::new(),
            bridges: BTreeMap::new(),
            ports: BTreeMap::new(),
            configured: HashMap::new(),
            counts: BTreeMap::new(),
            packets: 0,
            events: Vec::new(),
        }
    }

    pub(crate) fn has(&self, switch: Switches) -> bool {
        self.switches.contains(switch)
    }

    /// Lets time pass, and forgets what is too old.
    pub(crate) fn advance(&mut self, now: u64) {
        self.now = self.now.max(now);
        let now = coarse(self.now);
        for bridge in self.bridges.values_mut() {
            let limit = limit(bridge.config.ageing);
            bridge.fdb.retain(|_, entry| {
                entry.owner != Owner::Dynamic || limit.is_none_or(|limit| now - entry.stamp <= limit)
            });
        }
    }

    /// A frame from a port.
    pub(crate) fn from_port(&mut self, port: u16, frame: &Inner) -> Expected {
        let passage = self.through_port(port, frame);
        self.conclude(passage, true)
    }

    fn through_port(&self, id: u16, frame: &Inner) -> Passage {
        let Some(port) = self.ports.get(&id) else {
            return Passage::outside(Expected::Drop(DropReason::UnknownPort));
        };
        let bridge = port.bridge.0;
        let passage = Passage {
            expected: Expected::Drop(DropReason::NoFloodTarget),
            bridge: Some(bridge),
            bytes: frame.bytes().len(),
            learn: None,
            miss: None,
            dst: frame.dst,
        };
        if !frame.is_whole() {
            return passage.drop(DropReason::InnerTruncated);
        }
        if !frame.src.is_station() && !self.has(Switches::SEND_ANY_SOURCE) {
            return passage.drop(DropReason::SourceMacInvalid);
        }
        let inside = match port.vlan {
            None => frame.clone(),
            Some(vid) if frame.vid() == Some(vid) => frame.clone().popped(1),
            Some(_) => return passage.drop(DropReason::VlanMismatch),
        };
        let learns = port.learning && self.bridges[&bridge].config.ageing != Ageing::NoLearn;
        let mut passage = passage;
        if learns && frame.src.is_station() {
            passage.learn = Some((frame.src, From::Port(id)));
        } else if self.is_own(bridge, frame.src, Some(id)) {
            return passage.drop(DropReason::SourceMacOwn);
        }
        self.forward(bridge, From::Port(id), frame, inside, passage)
    }

    pub(crate) fn is_own(&self, bridge: u16, mac: MacAddr, port: Option<u16>) -> bool {
        let entry = self.bridges[&bridge].fdb.get(&mac);
        entry.is_some_and(|e| e.owner == Owner::Local && port.is_none_or(|port| e.to != To::Port(port)))
    }

    /// Where a frame goes. `whole` is as it came, `inside` as the bridge sees it.
    pub(crate) fn forward(&self, id: u16, from: From, whole: &Inner, inside: Inner, mut passage: Passage) -> Passage {
        let bridge = &self.bridges[&id];
        let dst = inside.dst;
        if dst.is_reserved() && !self.has(Switches::FORWARD_RESERVED_MULTICAST) {
            return passage.drop(DropReason::ReservedMulticast);
        }
        passage.expected = match bridge.fdb.get(&dst).map(|entry| entry.to) {
            Some(To::Host) => Expected::Punt(PuntReason::HostDestination),
            Some(To::Drop) => Expected::Drop(DropReason::Blackhole),
            Some(To::Port(port)) => match from {
                From::Port(same) if same == port => Expected::Drop(DropReason::Reflected),
                _ => Expected::One(self.to_port(port, &inside)),
            },
            Some(To::Remote(address)) => self.to_remote(bridge, from, address, whole, &inside),
            None => {
                let (switch, off) = if dst.is_broadcast() {
                    (FloodSwitches::BROADCAST, DropReason::BroadcastOff)
                } else if dst.is_multicast() {
                    (FloodSwitches::MULTICAST, DropReason::MulticastOff)
                } else {
                    (FloodSwitches::UNKNOWN_UNICAST, DropReason::UnknownUnicastOff)
                };
                if bridge.config.l2miss && switch == FloodSwitches::UNKNOWN_UNICAST {
                    passage.miss = Some(dst);
                }
                let own = bridge.groups.get(&dst);
                if own.is_none() && !bridge.config.flood.contains(switch) {
                    return passage.drop(off);
                }
                let list = own.or(bridge.list.as_ref()).map_or(&[][..], Vec::as_slice);
                self.flood(bridge, from, list, whole, &inside)
            }
        };
        passage
    }

    fn to_port(&self, port: u16, inside: &Inner) -> Copy {
        let frame = match self.ports[&port].vlan {
            None => inside.clone(),
            Some(vid) => inside.clone().pushed(vid),
        };
        Copy { to: To::Port(port), vni: 0, frame, inherited: (0, 0, false) }
    }

    fn to_remote(
        &self,
        bridge: &Bridge,
        from: From,
        address: EndpointAddress,
        whole: &Inner,
        inside: &Inner,
    ) -> Expected {
        if let From::Remote(sender, _) = from {
            if sender == address {
                return Expected::Drop(DropReason::Reflected);
            }
            if !self.may_pass(sender, address) {
                return Expected::Drop(DropReason::SplitHorizon);
            }
        }
        match into_tunnel(bridge, whole, inside) {
            None => Expected::Drop(DropReason::VlanTagged),
            Some(frame) if self.is_too_big(address, whole, &frame) => Expected::Drop(DropReason::TooBig),
            Some(frame) => Expected::One(copy_to(bridge, address, frame, inherited(whole, inside))),
        }
    }

    fn flood(&self, bridge: &Bridge, from: From, list: &[EndpointAddress], whole: &Inner, inside: &Inner) -> Expected {
        let ports = bridge.ports.iter().filter(|port| !matches!(from, From::Port(same) if same == **port));
        let mut copies: Vec<Copy> = ports.map(|port| self.to_port(*port, inside)).collect();
        let mut remotes: Vec<EndpointAddress> = list.to_vec();
        if self.has(Switches::FIRST_COPY_LAST) && !remotes.is_empty() {
            remotes.rotate_left(1);
        }
        if let From::Remote(sender, _) = from {
            remotes.retain(|remote| *remote != sender && self.may_pass(sender, *remote));
        }
        let mut refused = DropReason::NoFloodTarget;
        let mut too_big = 0;
        let has_remotes = !remotes.is_empty();
        let mut has_target = !copies.is_empty();
        match into_tunnel(bridge, whole, inside) {
            None if has_remotes => refused = DropReason::VlanTagged,
            None => {}
            Some(frame) => {
                has_target |= has_remotes;
                for remote in remotes {
                    if self.is_too_big(remote, whole, &frame) {
                        too_big += 1;
                    } else {
                        copies.push(copy_to(bridge, remote, frame.clone(), inherited(whole, inside)));
                    }
                }
            }
        }
        match (has_target, bridge.config.host) {
            (true, host) => Expected::Flood(copies, too_big, host),
            (false, true) => Expected::Punt(PuntReason::HostCopy),
            (false, false) => Expected::Drop(refused),
        }
    }

    pub(crate) fn group_of(&self, address: EndpointAddress) -> u8 {
        self.configured.get(&address).map_or(EndpointConfig::DEFAULT_GROUP, |config| config.split_horizon)
    }

    /// Whether one endpoint's frames may reach another.
    fn may_pass(&self, from: EndpointAddress, to: EndpointAddress) -> bool {
        self.group_of(from) == 0 || self.group_of(from) != self.group_of(to)
    }

    fn is_too_big(&self, to: EndpointAddress, whole: &Inner, frame: &Inner) -> bool {
        let underlay = &self.underlays[&to.underlay.0];
        let overhead = if to.address.is_ipv6() { 40 } else { 20 } + 8 + 8;
        let (_, _, df) = whole.inherited();
        let fragments = to.address.is_ipv4()
            && self.has(Switches::UNDERLAY_FRAGMENTS)
            && match underlay.df {
                Df::Set => false,
                Df::Unset => true,
                Df::Inherit => !df,
            };
        frame.bytes().len() + overhead > usize::from(underlay.mtu) && !fragments
    }

    /// Learns and counts.
    pub(crate) fn conclude(&mut self, passage: Passage, from_port: bool) -> Expected {
        let Passage { mut expected, bridge, bytes, learn, mut miss, dst } = passage;
        if bridge.is_some_and(|bridge| self.control_storm(bridge, dst, &mut expected)) {
            miss = None;
        }
        let dropped = matches!(expected, Expected::Drop(_));
        if let (Some((mac, from)), Some(bridge)) = (learn, bridge) {
            if !dropped || self.has(Switches::LEARN_BEFORE_VALIDATE) {
                if let Err(reason) = self.learn(bridge, mac, from) {
                    expected = Expected::Drop(reason);
                }
            }
        }
        let name = match &expected {
            Expected::Drop(reason) => reason.name(),
            Expected::Punt(_) | Expected::Packet(..) => "punt",
            Expected::One(Copy { to: To::Port(_), .. }) => "deliver",
            Expected::One(_) => "encapsulate",
            Expected::Flood(..) => "flood",
        };
        self.packets += 1;
        *self.counts.entry(name).or_default() += 1;
        if let Some(id) = bridge {
            let bridge = self.bridges.get_mut(&id).unwrap();
            *bridge.counts.entry(name).or_default() += 1;
            bridge.bytes[usize::from(!from_port)] += bytes as u64;
            if let Some(mac) = miss {
                self.events.push(Event::Miss { bridge: BridgeId(id), mac });
            }
        }
        expected
    }

    fn learn(&mut self, id: u16, mac: MacAddr, from: From) -> Result<(), DropReason> {
        let (bridge, stamp) = (BridgeId(id), coarse(self.now));
        let old = self.bridges[&id].fdb.get(&mac).copied();
        let to = self.learned_at(from, old);
        let place = to.into();
        let stays = old.is_some_and(|entry| entry.to == to);
        if !stays {
            if let Some(old) = old {
                if let Err(drop) = self.may_move(old, from) {
                    return match drop {
                        Some(DropReason::SourceMacOwn) => Err(DropReason::SourceMacOwn),
                        other => {
                            self.events.push(Event::MoveRefused { bridge, mac, place });
                            other.map_or(Ok(()), Err)
                        }
                    };
                }
            }
            if let To::Remote(address) = to {
                if self.check_address(&address).is_err() {
                    // Before an endpoint is added in vain.
                    if let Some(held) = old.and_then(|_| self.is_held(id, mac)) {
                        return held;
                    }
                    self.events.push(Event::TableFull { bridge, mac, place });
                    return Ok(());
                }
            }
        }
        if let Some(held) = old.filter(|_| !stays).and_then(|old| self.hold(id, mac, old.to, to)) {
            return held;
        }
        let fdb = &mut self.bridges.get_mut(&id).unwrap().fdb;
        match fdb.get_mut(&mac) {
            None => {
                fdb.insert(mac, Entry { to, owner: Owner::Dynamic, sticky: false, stamp });
                self.events.push(Event::Learned { bridge, mac, place, label: Label::NONE });
            }
            Some(entry) if stays => entry.stamp = stamp,
            Some(entry) => {
                let takes_over = matches!(from, From::Port(_));
                let owner = if takes_over { Owner::Dynamic } else { entry.owner };
                let moved = Event::Moved { bridge, mac, from: entry.to.into(), to: place, label: Label::NONE };
                *entry = Entry { to, owner, sticky: false, stamp };
                self.events.push(moved);
            }
        }
        Ok(())
    }

    /// Where a MAC is learned that stood somewhere else, or there, before.
    fn learned_at(&self, from: From, old: Option<Entry>) -> To {
        let (sender, plain) = match from {
            From::Port(port) => return To::Port(port),
            From::Remote(sender, plain) => (sender, plain),
        };
        let ip_only = self.has(Switches::MOVE_IP_ONLY);
        let old_address = match old {
            Some(Entry { to: To::Remote(address), .. }) => Some(address),
            _ => None,
        };
        if let (Some(entry), Some(address)) = (old, old_address) {
            let same = (address.underlay, address.address) == (plain.underlay, plain.address);
            if same && (ip_only || entry.sticky || entry.owner != Owner::Dynamic) {
                return entry.to;
            }
        }
        match old_address {
            Some(old) if ip_only => {
                let EndpointAddress { underlay, address, .. } = plain;
                To::Remote(EndpointAddress { underlay, address, ..old })
            }
            _ if ip_only => To::Remote(plain),
            _ => To::Remote(sender),
        }
    }

    /// Whether a frame may move an entry; if not, why it is dropped for it, if it is.
    fn may_move(&self, old: Entry, from: From) -> Result<(), Option<DropReason>> {
        match old.owner {
            Owner::Local => Err(Some(DropReason::SourceMacOwn)),
            _ if old.sticky => Err(Some(DropReason::SourceMacStatic)),
            Owner::Dynamic => Ok(()),
            Owner::Static => Err(Some(DropReason::SourceMacStatic)),
            _ if matches!(from, From::Port(_)) || self.has(Switches::DATA_MOVES_CONTROL) => Ok(()),
            _ => Err(None),
        }
    }
}

/// How old an entry may grow, in units of 256 ms.
pub(crate) fn limit(ageing: Ageing) -> Option<u64> {
    match ageing {
        Ageing::After(time) => Some(time.as_millis().div_ceil(256)),
        Ageing::Never | Ageing::NoLearn => None,
    }
}

/// A frame as a bridge puts it into tunnels; `None` where it does not. Of the frame as it came, three tags are looked at.
fn into_tunnel(bridge: &Bridge, whole: &Inner, inside: &Inner) -> Option<Inner> {
    let frame = inside.clone();
    let tags = whole.tag_count() - (whole.tags.len() - inside.tags.len());
    match bridge.config.vlan_encap {
        VlanEncap::Strip => Some(frame.popped(tags)),
        VlanEncap::Keep => Some(frame),
        VlanEncap::Drop if tags > 0 => None,
        VlanEncap::Drop => Some(frame),
        VlanEncap::Map(vid) if tags > 0 => Some(frame.renumbered(vid)),
        VlanEncap::Map(vid) => Some(frame.pushed(vid)),
        _ => panic!("a policy that this model does not know"),
    }
}

fn copy_to(bridge: &Bridge, address: EndpointAddress, frame: Inner, inherited: (u8, u8, bool)) -> Copy {
    Copy { to: To::Remote(address), vni: address.vni.unwrap_or(bridge.config.vni).get(), frame, inherited }
}

/// What an outer header inherits from a frame with all its tags, after what decapsulation has done to it.
fn inherited(whole: &Inner, inside: &Inner) -> (u8, u8, bool) {
    if whole.ip() == IpState::Sound { inside.inherited() } else { (0, 0, false) }
}
