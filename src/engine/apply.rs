//! Carrying out commands on underlays, bridges, ports and endpoints.

use core::net::IpAddr;

use super::apply_fdb::Told;
use super::fast_flood::fast_floods;
use super::fast_path::is_fast;
use super::labelled::is_labelled;
use super::state::raise_removed;
use super::{Command, CommandError, Done, Engine};
use crate::table::fdb::Filter;
use crate::table::{
    Ageing, Bridge, BridgeConfig, BridgeId, Destination, Duration, Endpoint, EndpointId, FloodSwitches, GroupId, Guard,
    Instant, Pace, Port, PortConfig, PortId, Slot, UnderlayConfig, UnderlayId, VlanDecap, VlanEncap,
};
use crate::wire::{Encapsulation, Ttl, TunnelPorts};

impl Engine<'_> {
    /// Carries out a command.
    ///
    /// # Errors
    /// [`CommandError`]; nothing has changed.
    pub fn command(&mut self, now: Instant, command: &Command) -> Result<Done, CommandError> {
        let now = self.advance(now);
        self.endpoints.outdate();
        self.train.stop();
        match *command {
            Command::SetUnderlay { id, config } => self.set_underlay(id, &config),
            Command::AddBridge { id, config } => self.add_bridge(id, &config),
            Command::SetBridge { id, config } => self.set_bridge(id, &config),
            Command::RemoveBridge { id } => self.remove_bridge(id),
            Command::AddPort { id, config } => self.add_port(id, &config),
            Command::RemovePort { id } => self.remove_port(id),
            Command::SetEndpoint { address, config } => self.set_endpoint(address, config),
            Command::RemoveEndpoint { address } => self.remove_endpoint(&address),
            Command::FloodAdd { bridge, remote } => self.flood_add(bridge, &remote),
            Command::FloodRemove { bridge, remote } => self.flood_remove(bridge, &remote),
            Command::FdbAdd { bridge, mac, place, owner, sticky, label } => {
                self.fdb_set(now, bridge, mac, &place, &Told { owner, sticky, label }, false)
            }
            Command::FdbReplace { bridge, mac, place, owner, sticky, label } => {
                self.fdb_set(now, bridge, mac, &place, &Told { owner, sticky, label }, true)
            }
            Command::FdbAppend { bridge, mac, remote } => self.fdb_append(now, bridge, mac, &remote),
            Command::FdbDelete { bridge, mac, remote } => self.fdb_delete(now, bridge, mac, remote.as_ref()),
            Command::Learn { bridge, mac, place, label } => self.fdb_learn(now, bridge, mac, &place, label),
            Command::Flush(flush) => self.flush(now, &flush),
            Command::SetPort { id, config } => self.set_port(id, &config),
            Command::SetStormControl { bridge, config } => self.set_storm_control(bridge, config),
            Command::SetDuplicateDetection { bridge, config } => self.set_duplicate_detection(bridge, config),
            Command::ClearDuplicate { bridge, mac } => self.clear_duplicate(bridge, mac),
            Command::SetRule { rule } => self.set_rule(&rule),
            Command::RemoveRule { bridge, from, to } => self.remove_rule(bridge, from, to),
            Command::SetTrafficMap { id, map } => self.set_traffic_map(id, &map),
        }
    }

    fn set_underlay(&mut self, id: UnderlayId, config: &UnderlayConfig) -> Result<Done, CommandError> {
        if usize::from(id.0) >= self.underlays.len() {
            return Err(CommandError::OutOfRange);
        }
        let vlan_is_bad = config.link.and_then(|l| l.vlan).is_some_and(|vid| !is_vid(vid));
        // 68 and 1280 bytes are the least that IPv4 and IPv6 links carry (RFC 791, RFC 8200 section 5).
        let mtu_is_bad = config.mtu < if config.ipv6.is_some() { 1280 } else { 68 };
        let ttl_is_bad = config.ttl == Ttl::Fixed(0) || config.group_ttl == Some(0);
        if vlan_is_bad || mtu_is_bad || ttl_is_bad {
            return Err(CommandError::BadValue);
        }
        let usable = |a: IpAddr| is_unicast(a);
        if !config.ipv4.map(IpAddr::V4).is_none_or(usable) || !config.ipv6.map(IpAddr::V6).is_none_or(usable) {
            return Err(CommandError::BadAddress);
        }
        let mine = |e: &Endpoint| e.address.underlay == id;
        if self.endpoints.iter().any(|(_, e)| mine(e) && config.local_for(e.address.address).is_none()) {
            return Err(CommandError::InUse);
        }
        if self.endpoints.iter().any(|(_, e)| mine(e) && config.is_local(e.address.address)) {
            return Err(CommandError::BadAddress);
        }
        if let Some(slot) = self.underlays.get_mut(usize::from(id.0)) {
            slot.config = Slot::Taken(*config);
        }
        for index in 0..=u16::MAX {
            let id = EndpointId(index);
            let Some(old) = self.endpoints.get(id).copied().filter(mine) else {
                if usize::from(index) >= self.endpoints.capacity() {
                    break;
                }
                continue;
            };
            let new = self.make_endpoint(old.address, old.config, old.origin);
            if let (Ok(new), Some(endpoint)) = (new, self.endpoints.get_mut(id)) {
                *endpoint = Endpoint { memberships: old.memberships, generation: old.generation, ..new };
            }
        }
        Ok(Done::Ok)
    }

    fn add_bridge(&mut self, id: BridgeId, config: &BridgeConfig) -> Result<Done, CommandError> {
        let record = self.bridges.get(usize::from(id.0)).ok_or(CommandError::OutOfRange)?;
        if !record.config.is_empty() {
            return Err(CommandError::Exists);
        }
        let generation = record.generation.wrapping_add(1);
        let udp_ports = self.check_bridge(config, None)?;
        // The FDB comes last: it cannot take an ageing time back.
        self.fdb.bridge_counts(id).ok_or(CommandError::OutOfRange)?;
        if !self.vnis.insert(config.encapsulation, config.udp_port, config.vni, id) {
            return Err(CommandError::VnisFull);
        }
        self.set_fdb_bridge(id, config)?;
        self.udp_ports = udp_ports;
        if let Some(record) = self.bridges.get_mut(usize::from(id.0)) {
            *record = Bridge { config: Slot::Taken(*config), generation, ..Bridge::EMPTY };
        }
        self.reset_guard(id);
        self.refresh_fast(id);
        self.refresh_pass();
        if let Some(counters) = self.bridge_counters.get_mut(usize::from(id.0)) {
            *counters = super::BridgeCounters::EMPTY;
        }
        Ok(Done::Ok)
    }

    fn set_bridge(&mut self, id: BridgeId, config: &BridgeConfig) -> Result<Done, CommandError> {
        let old = *self.bridge_config(id).ok_or(CommandError::NoSuchBridge)?;
        let udp_ports = self.check_bridge(config, Some(id))?;
        let key = |c: &BridgeConfig| (c.encapsulation, c.udp_port, c.vni);
        if key(&old) != key(config) {
            // The old key goes first: in a full map its place may be the only one.
            self.vnis.remove(old.encapsulation, old.udp_port, old.vni);
            if !self.vnis.insert(config.encapsulation, config.udp_port, config.vni, id) {
                self.vnis.insert(old.encapsulation, old.udp_port, old.vni, id);
                return Err(CommandError::VnisFull);
            }
        }
        self.set_fdb_bridge(id, config)?;
        self.udp_ports = udp_ports;
        if let Some(record) = self.bridges.get_mut(usize::from(id.0)) {
            record.config = Slot::Taken(*config);
        }
        self.refresh_fast(id);
        self.refresh_pass();
        Ok(Done::Ok)
    }

    /// Works out again what a bridge leaves to the fast path.
    pub(super) fn refresh_fast(&mut self, id: BridgeId) {
        let guarded = self.guards.get(id.index()).is_some_and(Guard::limits_floods);
        let Some(record) = self.bridges.get_mut(id.index()) else { return };
        let Some(config) = record.config.as_ref() else { return };
        let (labelled, fast) = (is_labelled(config), is_fast(config));
        let floods = if labelled || guarded || !fast { FloodSwitches::empty() } else { fast_floods(config) };
        let pace = match (fast, labelled) {
            (false, _) => Pace::Whole,
            (true, false) => Pace::Fast,
            (true, true) => Pace::Labelled,
        };
        (record.labelled, record.pace, record.fast_floods) = (labelled, pace, floods);
        for port in self.ports.iter_mut() {
            let Some(config) = port.config.as_ref().filter(|config| config.bridge == id) else { continue };
            port.pace = if config.learning && config.vlan.is_none() { pace } else { Pace::Whole };
        }
    }

    /// Checks a bridge's values against each other and against other bridges; the UDP ports to listen on with it.
    fn check_bridge(&self, config: &BridgeConfig, but: Option<BridgeId>) -> Result<TunnelPorts, CommandError> {
        let encap_vid = match config.vlan_encap {
            VlanEncap::Map(vid) => Some(vid),
            _ => None,
        };
        let decap_vid = match config.vlan_decap {
            VlanDecap::Map(vid) => Some(vid),
            _ => None,
        };
        if [encap_vid, decap_vid].into_iter().flatten().any(|vid| !is_vid(vid)) || config.udp_port == 0 {
            return Err(CommandError::BadValue);
        }
        if config.traffic.is_some_and(|id| self.traffic_map(id).is_none()) {
            return Err(CommandError::OutOfRange);
        }
        config.ageing.validate().map_err(|_| CommandError::BadValue)?;
        if config.ageing == Ageing::After(Duration::ZERO) {
            return Err(CommandError::BadValue);
        }
        let holder = self.vnis.bridge(config.encapsulation, config.udp_port, config.vni);
        if holder.is_some() && holder != but {
            return Err(CommandError::VniTaken);
        }
        let mut ports = TunnelPorts::NONE;
        let others = (0..=u16::MAX).zip(self.bridges.iter()).filter(|(id, _)| Some(BridgeId(*id)) != but);
        let configs = others.filter_map(|(_, bridge)| bridge.config.as_ref());
        for other in configs.chain(core::iter::once(config)) {
            add_port(&mut ports, other.udp_port, other.encapsulation)?;
        }
        Ok(ports)
    }

    /// Hands a bridge's ageing and limit to the FDB.
    fn set_fdb_bridge(&mut self, id: BridgeId, config: &BridgeConfig) -> Result<(), CommandError> {
        let now = self.now();
        let Self { fdb, endpoints, events, .. } = self;
        fdb.set_ageing(now, id, config.ageing, |removed| raise_removed(endpoints, events, &removed))
            .and_then(|()| fdb.set_bridge_limit(id, config.max_macs))
            .map_err(|_| CommandError::OutOfRange)
    }

    fn remove_bridge(&mut self, id: BridgeId) -> Result<Done, CommandError> {
        let bridge = *self.bridge(id).ok_or(CommandError::NoSuchBridge)?;
        let mut next = bridge.first_port;
        while let Some(port) = next {
            next = self.ports.get(usize::from(port.0)).and_then(|p| p.next);
            self.free_port(port);
        }
        // Entries of group addresses first, one at a time: each has a flood list to give back.
        while let Some(list) = self.group_entry(id) {
            self.fdb.flush(self.now(), &Filter { destination: Some(Destination::Group(list)), ..Filter::ALL }, |_| {});
            self.drop_group(list);
        }
        self.fdb.flush(self.now(), &Filter { bridge: Some(id), ..Filter::ALL }, |_| {});
        if let Some(group) = bridge.flood_list {
            self.drop_group(group);
        }
        if let Some(config) = bridge.config.as_ref() {
            self.vnis.remove(config.encapsulation, config.udp_port, config.vni);
        }
        if let Some(record) = self.bridges.get_mut(usize::from(id.0)) {
            *record = Bridge { generation: bridge.generation.wrapping_add(1), ..Bridge::EMPTY };
        }
        self.reset_guard(id);
        self.policy.remove_bridge(id);
        self.refresh_udp_ports();
        self.refresh_pass();
        Ok(Done::Ok)
    }

    /// Some flood list behind an FDB entry of a bridge.
    fn group_entry(&self, id: BridgeId) -> Option<GroupId> {
        self.fdb.iter(self.now()).find_map(|(bridge, _, entry)| match entry.destination() {
            Destination::Group(list) if bridge == id => Some(list),
            _ => None,
        })
    }

    fn refresh_udp_ports(&mut self) {
        let mut ports = TunnelPorts::NONE;
        for config in self.bridges.iter().filter_map(|b| b.config.as_ref()) {
            // They were all together in the list before.
            let _ = add_port(&mut ports, config.udp_port, config.encapsulation);
        }
        self.udp_ports = ports;
    }

    fn add_port(&mut self, id: PortId, config: &PortConfig) -> Result<Done, CommandError> {
        if config.vlan.is_some_and(|vid| !is_vid(vid)) {
            return Err(CommandError::BadValue);
        }
        let last = self.last_port(config.bridge)?;
        let record = self.ports.get(usize::from(id.0)).ok_or(CommandError::OutOfRange)?;
        if !record.config.is_empty() {
            return Err(CommandError::Exists);
        }
        let generation = record.generation.wrapping_add(1);
        self.fdb.set_destination_limit(Destination::Port(id), config.max_macs).map_err(|_| CommandError::OutOfRange)?;
        if let Some(port) = self.ports.get_mut(usize::from(id.0)) {
            *port = Port { config: Slot::Taken(*config), generation, ..Port::EMPTY };
        }
        match last.and_then(|last| self.ports.get_mut(usize::from(last.0))) {
            Some(last) => last.next = Some(id),
            None => {
                if let Some(bridge) = self.bridges.get_mut(usize::from(config.bridge.0)) {
                    bridge.first_port = Some(id);
                }
            }
        }
        if let Some(bridge) = self.bridges.get_mut(usize::from(config.bridge.0)) {
            bridge.ports = bridge.ports.saturating_add(1);
        }
        self.refresh_fast(config.bridge);
        Ok(Done::Ok)
    }

    fn set_port(&mut self, id: PortId, config: &PortConfig) -> Result<Done, CommandError> {
        let old = self.port(id).ok_or(CommandError::NoSuchPort)?;
        if config.vlan.is_some_and(|vid| !is_vid(vid)) || config.bridge != old.bridge {
            return Err(CommandError::BadValue);
        }
        self.fdb.set_destination_limit(Destination::Port(id), config.max_macs).map_err(|_| CommandError::OutOfRange)?;
        if let Some(port) = self.ports.get_mut(usize::from(id.0)) {
            port.config = Slot::Taken(*config);
        }
        self.refresh_fast(config.bridge);
        Ok(Done::Ok)
    }

    /// The last port of a bridge, `None` if it has none.
    fn last_port(&self, bridge: BridgeId) -> Result<Option<PortId>, CommandError> {
        let mut last = None;
        let mut next = self.bridge(bridge).ok_or(CommandError::NoSuchBridge)?.first_port;
        while let Some(port) = next {
            last = next;
            next = self.ports.get(usize::from(port.0)).and_then(|p| p.next);
        }
        Ok(last)
    }

    fn remove_port(&mut self, id: PortId) -> Result<Done, CommandError> {
        let bridge_id = self.port(id).ok_or(CommandError::NoSuchPort)?.bridge;
        let after = self.ports.get(usize::from(id.0)).and_then(|p| p.next);
        self.outdate(bridge_id);
        if let Some(bridge) = self.bridges.get_mut(usize::from(bridge_id.0)) {
            bridge.ports = bridge.ports.saturating_sub(1);
            if bridge.first_port == Some(id) {
                bridge.first_port = after;
            }
        }
        if let Some(before) = self.ports.iter_mut().find(|p| !p.config.is_empty() && p.next == Some(id)) {
            before.next = after;
        }
        self.free_port(id);
        Ok(Done::Ok)
    }

    /// Makes floods of a bridge stale that were begun: a port or list member they stand at is gone, and its place may be
    /// another bridge's next.
    pub(super) fn outdate(&mut self, id: BridgeId) {
        if let Some(bridge) = self.bridges.get_mut(usize::from(id.0)) {
            bridge.generation = bridge.generation.wrapping_add(1);
        }
    }

    /// Gives a port's record back, whose bridge does not know it any more.
    fn free_port(&mut self, id: PortId) {
        let destination = Destination::Port(id);
        self.fdb.flush_destination(destination);
        if self.pinned(destination) > 0 {
            self.fdb.flush(self.now(), &Filter { destination: Some(destination), ..Filter::ALL }, |_| {});
        }
        if let Some(port) = self.ports.get_mut(usize::from(id.0)) {
            *port = Port { generation: port.generation.wrapping_add(1), ..Port::EMPTY };
        }
    }
}

fn add_port(ports: &mut TunnelPorts, port: u16, encapsulation: Encapsulation) -> Result<(), CommandError> {
    match ports.get(port) {
        Some(same) if same == encapsulation => Ok(()),
        Some(_) => Err(CommandError::PortConflict),
        None => {
            *ports = ports.with(port, encapsulation).ok_or(CommandError::PortConflict)?;
            Ok(())
        }
    }
}

const fn is_vid(vid: u16) -> bool {
    matches!(vid, 1..=4094)
}

fn is_unicast(address: IpAddr) -> bool {
    is_destination(address) && !address.is_multicast()
}

/// Whether packets can be sent there at all.
pub(super) fn is_destination(address: IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(a) if a.is_broadcast());
    !address.is_unspecified() && !address.is_loopback() && !broadcast
}
