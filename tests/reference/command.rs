//! What commands do to the bridge.

use std::collections::{BTreeMap, HashMap};

use vtep::engine::{Command, CommandError, Flush, Place, Remote};
use vtep::table::fdb::Owners;
use vtep::table::{
    Ageing, BridgeConfig, BridgeId, Duration, EndpointAddress, EndpointConfig, Owner, PortConfig, VlanDecap, VlanEncap,
};
use vtep::wire::{Label, MacAddr};

use super::bridge::{Bridge, Entry, Model, To, coarse, limit};
use super::guard::Guard;

/// How a command ends: as it must, or in one of two ways, for endpoints that are kept for later or not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Must(Result<(), CommandError>),
    /// Done, or [`CommandError::NoSuchEndpoint`]; the effect is the same.
    MayLackEndpoint,
}

type Outcome = Result<(), CommandError>;

impl Model {
    pub(crate) fn command(&mut self, command: &Command) -> Ending {
        Ending::Must(match *command {
            Command::SetUnderlay { id, config } => {
                self.underlays.insert(id.0, config);
                Ok(())
            }
            Command::AddBridge { id, config } => self.add_bridge(id, config),
            Command::SetBridge { id, config } => self.set_bridge(id, config),
            Command::RemoveBridge { id } => self.remove_bridge(id),
            Command::AddPort { id, config } => self.add_port(id.0, config),
            Command::RemovePort { id } => self.remove_port(id.0),
            Command::SetEndpoint { address, config } => self.set_endpoint(address, config),
            Command::RemoveEndpoint { address } => return self.remove_endpoint(address),
            Command::FloodAdd { bridge, remote } => self.flood_add(bridge, &remote),
            Command::FloodRemove { bridge, remote } => self.flood_remove(bridge, &remote),
            Command::FdbAdd { bridge, mac, place, owner, sticky, label: Label::NONE } => {
                self.fdb_set(bridge, mac, &place, owner, sticky, false)
            }
            Command::FdbReplace { bridge, mac, place, owner, sticky, label: Label::NONE } => {
                self.fdb_set(bridge, mac, &place, owner, sticky, true)
            }
            Command::FdbAppend { bridge, mac, remote } => self.fdb_append(bridge, mac, &remote),
            Command::FdbDelete { bridge, mac, remote } => self.fdb_delete(bridge, mac, remote.as_ref()),
            Command::Learn { bridge, mac, place, label: Label::NONE } => self.learn_command(bridge, mac, &place),
            Command::Flush(flush) => return self.flush(&flush),
            Command::SetStormControl { bridge, config } => self.set_storm_control(bridge, config),
            Command::SetDuplicateDetection { bridge, config } => self.set_duplicates(bridge, config),
            Command::ClearDuplicate { bridge, mac } => self.clear_duplicate(bridge, mac),
            _ => panic!("a command that this model does not know"),
        })
    }

    fn bridge(&self, id: BridgeId) -> Result<&Bridge, CommandError> {
        self.bridges.get(&id.0).ok_or(CommandError::NoSuchBridge)
    }

    fn bridge_mut(&mut self, id: BridgeId) -> Result<&mut Bridge, CommandError> {
        self.bridges.get_mut(&id.0).ok_or(CommandError::NoSuchBridge)
    }

    fn check_bridge(&self, config: &BridgeConfig, but: Option<u16>) -> Outcome {
        let vids = [
            if let VlanEncap::Map(vid) = config.vlan_encap { vid } else { 1 },
            if let VlanDecap::Map(vid) = config.vlan_decap { vid } else { 1 },
        ];
        let bad_age = matches!(config.ageing, Ageing::After(time) if time == Duration::ZERO || time > Ageing::MAX);
        if vids.iter().any(|vid| !(1..=4094).contains(vid)) || bad_age {
            return Err(CommandError::BadValue);
        }
        let others = || self.bridges.iter().filter(|(id, _)| Some(**id) != but).map(|(_, b)| &b.config);
        if others().any(|o| (o.udp_port, o.vni, o.encapsulation) == (config.udp_port, config.vni, config.encapsulation))
        {
            return Err(CommandError::VniTaken);
        }
        if others().any(|o| o.udp_port == config.udp_port && o.encapsulation != config.encapsulation) {
            return Err(CommandError::PortConflict);
        }
        Ok(())
    }

    fn add_bridge(&mut self, id: BridgeId, config: BridgeConfig) -> Outcome {
        if id.0 >= 3 {
            return Err(CommandError::OutOfRange);
        }
        if self.bridges.contains_key(&id.0) {
            return Err(CommandError::Exists);
        }
        self.check_bridge(&config, None)?;
        let bridge = Bridge {
            config,
            ports: Vec::new(),
            list: None,
            groups: HashMap::new(),
            fdb: HashMap::new(),
            counts: BTreeMap::new(),
            bytes: [0; 2],
            guard: Guard::default(),
        };
        self.bridges.insert(id.0, bridge);
        Ok(())
    }

    fn set_bridge(&mut self, id: BridgeId, config: BridgeConfig) -> Outcome {
        self.bridge(id)?;
        self.check_bridge(&config, Some(id.0))?;
        let now = coarse(self.now);
        let bridge = self.bridge_mut(id)?;
        let (old, new) = (limit(bridge.config.ageing), limit(config.ageing));
        if config.ageing == Ageing::NoLearn {
            bridge.fdb.retain(|_, entry| entry.owner != Owner::Dynamic);
        }
        if old.is_none() && new.is_some() {
            bridge.fdb.values_mut().for_each(|entry| entry.stamp = now);
        }
        bridge.config = config;
        // A shorter time is up sooner.
        self.advance(self.now);
        Ok(())
    }

    fn remove_bridge(&mut self, id: BridgeId) -> Outcome {
        let bridge = self.bridges.remove(&id.0).ok_or(CommandError::NoSuchBridge)?;
        self.ports.retain(|port, _| !bridge.ports.contains(port));
        Ok(())
    }

    fn add_port(&mut self, id: u16, config: PortConfig) -> Outcome {
        if config.vlan.is_some_and(|vid| !(1..=4094).contains(&vid)) {
            return Err(CommandError::BadValue);
        }
        self.bridge(config.bridge)?;
        if id >= 6 {
            return Err(CommandError::OutOfRange);
        }
        if self.ports.contains_key(&id) {
            return Err(CommandError::Exists);
        }
        self.ports.insert(id, config);
        self.bridge_mut(config.bridge)?.ports.push(id);
        Ok(())
    }

    fn remove_port(&mut self, id: u16) -> Outcome {
        let port = self.ports.remove(&id).ok_or(CommandError::NoSuchPort)?;
        let bridge = self.bridge_mut(port.bridge)?;
        bridge.ports.retain(|other| *other != id);
        bridge.fdb.retain(|_, entry| entry.to != To::Port(id));
        Ok(())
    }

    /// Whether packets can be sent to an address.
    pub(crate) fn check_address(&self, address: &EndpointAddress) -> Outcome {
        let underlay = self.underlays.get(&address.underlay.0).ok_or(CommandError::NoSuchUnderlay)?;
        let ip = address.address;
        let ours = match ip {
            core::net::IpAddr::V4(_) => underlay.ipv4.map(core::net::IpAddr::V4),
            core::net::IpAddr::V6(_) => underlay.ipv6.map(core::net::IpAddr::V6),
        };
        let ours = ours.ok_or(CommandError::NoLocalAddress)?;
        let broadcast = ip == core::net::IpAddr::V4(core::net::Ipv4Addr::BROADCAST);
        if ip == ours || ip.is_unspecified() || ip.is_loopback() || broadcast {
            return Err(CommandError::BadAddress);
        }
        if address.port == 0 { Err(CommandError::BadValue) } else { Ok(()) }
    }

    fn set_endpoint(&mut self, address: EndpointAddress, config: EndpointConfig) -> Outcome {
        self.check_address(&address)?;
        self.configured.insert(address, config);
        Ok(())
    }

    fn remove_endpoint(&mut self, address: EndpointAddress) -> Ending {
        let configured = self.configured.remove(&address);
        if self.named().any(|e| e == address) {
            self.configured.extend(configured.map(|config| (address, config)));
            return Ending::Must(Err(CommandError::InUse));
        }
        let mut removed = 0;
        for bridge in self.bridges.values_mut() {
            let before = bridge.fdb.len();
            bridge.fdb.retain(|_, entry| entry.to != To::Remote(address));
            removed += before - bridge.fdb.len();
        }
        if configured.is_some() || removed > 0 { Ending::Must(Ok(())) } else { Ending::MayLackEndpoint }
    }

    fn append(&self, list: &[EndpointAddress], address: EndpointAddress) -> Outcome {
        self.check_address(&address)?;
        if list.contains(&address) { Err(CommandError::Exists) } else { Ok(()) }
    }

    fn flood_add(&mut self, id: BridgeId, remote: &Remote) -> Outcome {
        let bridge = self.bridge(id)?;
        let address = remote.resolve(&bridge.config);
        self.append(bridge.list.as_deref().unwrap_or(&[]), address)?;
        self.bridge_mut(id)?.list.get_or_insert_default().push(address);
        Ok(())
    }

    fn flood_remove(&mut self, id: BridgeId, remote: &Remote) -> Outcome {
        let bridge = self.bridge_mut(id)?;
        let address = remote.resolve(&bridge.config);
        let list = bridge.list.as_mut().ok_or(CommandError::NotFound)?;
        let at = list.iter().position(|e| *e == address).ok_or(CommandError::NotFound)?;
        list.remove(at);
        Ok(())
    }

    fn resolve(&self, id: BridgeId, place: &Place) -> Result<To, CommandError> {
        let config = &self.bridge(id)?.config;
        match place {
            Place::Port(port) => match self.ports.get(&port.0) {
                Some(config) if config.bridge == id => Ok(To::Port(port.0)),
                _ => Err(CommandError::NoSuchPort),
            },
            Place::Remote(remote) => {
                let address = remote.resolve(config);
                self.check_address(&address).map(|()| To::Remote(address))
            }
            Place::Host => Ok(To::Host),
            Place::Blackhole => Ok(To::Drop),
            _ => panic!("a place that this model does not know"),
        }
    }

    fn fdb_set(
        &mut self,
        id: BridgeId,
        mac: MacAddr,
        place: &Place,
        owner: Owner,
        sticky: bool,
        replace: bool,
    ) -> Outcome {
        if !mac.is_station() {
            return Err(CommandError::BadMac);
        }
        if owner == Owner::Local && matches!(place, Place::Remote(_)) {
            return Err(CommandError::BadValue);
        }
        if !replace && self.bridge(id).is_ok_and(|b| b.fdb.contains_key(&mac)) {
            return Err(CommandError::Exists);
        }
        let to = self.resolve(id, place)?;
        if owner == Owner::Dynamic && matches!(to, To::Host | To::Drop) {
            return Err(CommandError::BadValue);
        }
        let stamp = coarse(self.now);
        let bridge = self.bridge_mut(id)?;
        bridge.fdb.insert(mac, Entry { to, owner, sticky, stamp });
        bridge.guard.forget(mac);
        Ok(())
    }

    fn fdb_append(&mut self, id: BridgeId, mac: MacAddr, remote: &Remote) -> Outcome {
        if mac == MacAddr::ZERO {
            return self.flood_add(id, remote);
        }
        if !mac.is_multicast() {
            return Err(CommandError::BadMac);
        }
        let bridge = self.bridge(id)?;
        let address = remote.resolve(&bridge.config);
        self.append(bridge.groups.get(&mac).map_or(&[], Vec::as_slice), address)?;
        self.bridge_mut(id)?.groups.entry(mac).or_default().push(address);
        Ok(())
    }

    fn fdb_delete(&mut self, id: BridgeId, mac: MacAddr, remote: Option<&Remote>) -> Outcome {
        let bridge = self.bridge_mut(id)?;
        if mac == MacAddr::ZERO {
            return match remote {
                Some(remote) => self.flood_remove(id, remote),
                None => bridge.list.take().map(|_| ()).ok_or(CommandError::NotFound),
            };
        }
        let address = remote.map(|remote| remote.resolve(&bridge.config));
        if let Some(list) = bridge.groups.get_mut(&mac) {
            match address {
                None => list.clear(),
                Some(address) => {
                    let at = list.iter().position(|e| *e == address).ok_or(CommandError::NotFound)?;
                    list.remove(at);
                }
            }
            if list.is_empty() {
                bridge.groups.remove(&mac);
            }
            return Ok(());
        }
        let entry = bridge.fdb.get(&mac).ok_or(CommandError::NotFound)?;
        if address.is_some_and(|address| entry.to != To::Remote(address)) {
            return Err(CommandError::NotFound);
        }
        bridge.fdb.remove(&mac);
        bridge.guard.forget(mac);
        Ok(())
    }

    fn learn_command(&mut self, id: BridgeId, mac: MacAddr, place: &Place) -> Outcome {
        if !mac.is_station() {
            return Err(CommandError::BadMac);
        }
        let no_learn = self.bridge(id)?.config.ageing == Ageing::NoLearn;
        if matches!(place, Place::Host | Place::Blackhole) || no_learn {
            return Err(CommandError::BadValue);
        }
        let to = self.resolve(id, place)?;
        let stamp = coarse(self.now);
        let held = self.is_held(id.0, mac).is_some();
        let fdb = &mut self.bridge_mut(id)?.fdb;
        match fdb.get_mut(&mac) {
            Some(entry) if entry.to == to => entry.stamp = stamp,
            // A duplicate stays where it is, whoever says that it was heard elsewhere.
            Some(entry) if held || entry.sticky || entry.owner != Owner::Dynamic => return Err(CommandError::Owned),
            _ => {
                fdb.insert(mac, Entry { to, owner: Owner::Dynamic, sticky: false, stamp });
            }
        }
        Ok(())
    }

    fn flush(&mut self, flush: &Flush) -> Ending {
        if let Some(Err(error)) = flush.bridge.map(|id| self.bridge(id).map(|_| ())) {
            return Ending::Must(Err(error));
        }
        let remote = match &flush.place {
            Some(Place::Remote(remote)) => Some(*remote),
            _ => None,
        };
        let exact = flush.bridge.and_then(|id| Some(remote?.resolve(&self.bridge(id).ok()?.config)));
        let is_meant = |e: EndpointAddress| match (exact, remote) {
            (Some(exact), _) => e == exact,
            (None, Some(r)) => {
                (e.underlay, e.address) == (r.underlay, r.address)
                    && r.encapsulation.is_none_or(|wanted| wanted == e.encapsulation)
                    && r.port.is_none_or(|wanted| wanted == e.port)
                    && (r.vni.is_none() || r.vni == e.vni)
            }
            (None, None) => false,
        };
        let covers = |entry: &Entry| {
            let place = match flush.place {
                None => true,
                Some(Place::Port(port)) => entry.to == To::Port(port.0),
                Some(Place::Host) => entry.to == To::Host,
                Some(Place::Blackhole) => entry.to == To::Drop,
                Some(_) => matches!(entry.to, To::Remote(address) if is_meant(address)),
            };
            place && flush.owners.contains(Owners::from(entry.owner))
        };
        let is_known = self.named().any(is_meant)
            || self.bridges.values().flat_map(|b| b.fdb.values()).any(|entry| match entry.to {
                To::Remote(address) => is_meant(address),
                _ => false,
            });
        for (id, bridge) in &mut self.bridges {
            if flush.bridge.is_some_and(|only| only.0 != *id) {
                continue;
            }
            bridge.fdb.retain(|_, entry| !covers(entry));
            if flush.place.is_none() && flush.owners.contains(Owners::STATIC) {
                bridge.groups.clear();
            }
        }
        if remote.is_some() && !is_known { Ending::MayLackEndpoint } else { Ending::Must(Ok(())) }
    }
}
