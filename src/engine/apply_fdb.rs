//! Carrying out commands on FDB entries and flood lists.

use super::state::raise_removed;
use super::{CommandError, Done, Engine, Flush, Place, Remote};
use crate::table::fdb::{Add, FdbError, Filter, LearnPolicy, Learned, Owners, Refusal, Removed};
use crate::table::{
    Ageing, BridgeConfig, BridgeId, Destination, Endpoint, EndpointAddress, EndpointId, FloodError, GroupId, Instant,
    Meta, Owner,
};
use crate::wire::{Label, MacAddr, SecurityGroup};

/// What a command says of an entry besides where it is.
pub(super) struct Told {
    pub(super) owner: Owner,
    pub(super) sticky: bool,
    pub(super) label: Label,
}

impl Engine<'_> {
    pub(super) fn flood_add(&mut self, bridge: BridgeId, remote: &Remote) -> Result<Done, CommandError> {
        let config = *self.bridge_config(bridge).ok_or(CommandError::NoSuchBridge)?;
        let list = self.bridge(bridge).and_then(|b| b.flood_list);
        let (list, fresh) = match list {
            Some(list) => (list, false),
            None => (self.flood_lists.create().map_err(flood_error)?, true),
        };
        let (id, _) = self.append(list, &config, remote).inspect_err(|_| {
            if fresh {
                self.drop_group(list);
            }
        })?;
        if let Some(bridge) = self.bridges.get_mut(usize::from(bridge.0)) {
            bridge.flood_list = Some(list);
        }
        self.handle(id).map(Done::Endpoint)
    }

    pub(super) fn flood_remove(&mut self, bridge: BridgeId, remote: &Remote) -> Result<Done, CommandError> {
        let config = *self.bridge_config(bridge).ok_or(CommandError::NoSuchBridge)?;
        let list = self.bridge(bridge).and_then(|b| b.flood_list).ok_or(CommandError::NotFound)?;
        self.detach(list, &config, remote)?;
        self.outdate(bridge);
        Ok(Done::Ok)
    }

    pub(super) fn fdb_set(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        place: &Place,
        told: &Told,
        replace: bool,
    ) -> Result<Done, CommandError> {
        let Told { owner, sticky, label } = *told;
        if !mac.is_station() {
            return Err(CommandError::BadMac);
        }
        if owner == Owner::Local && matches!(place, Place::Remote(_)) {
            return Err(CommandError::BadValue);
        }
        let before = self.fdb.lookup(now, bridge, mac);
        if before.is_some() && !replace {
            return Err(CommandError::Exists);
        }
        let meta = self.label_at(place, label)?;
        let (destination, fresh) = self.resolve(bridge, place)?;
        let entry = Add { destination, meta, owner, sticky };
        let result = match replace {
            true => self.fdb.replace(now, bridge, mac, &entry),
            false => self.fdb.add(now, bridge, mac, &entry),
        };
        let removed = result.map_err(|error| {
            self.undo(fresh);
            fdb_error(error)
        })?;
        self.raise(removed);
        self.moves.clear(now, bridge, mac);
        match fresh {
            Some(id) => self.handle(id).map(Done::Endpoint),
            None => Ok(Done::Ok),
        }
    }

    /// For zero: the bridge's flood list. For a group address: a list of its own, behind an entry of the FDB.
    pub(super) fn fdb_append(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        remote: &Remote,
    ) -> Result<Done, CommandError> {
        if mac == MacAddr::ZERO {
            return self.flood_add(bridge, remote);
        }
        if !mac.is_multicast() {
            return Err(CommandError::BadMac);
        }
        let config = *self.bridge_config(bridge).ok_or(CommandError::NoSuchBridge)?;
        if let Some(Destination::Group(list)) = self.fdb.lookup(now, bridge, mac).map(|entry| entry.destination()) {
            let (id, _) = self.append(list, &config, remote)?;
            return self.handle(id).map(Done::Endpoint);
        }
        let list = self.flood_lists.create().map_err(flood_error)?;
        let (id, fresh) = self.append(list, &config, remote).inspect_err(|_| self.drop_group(list))?;
        let entry =
            Add { destination: Destination::Group(list), meta: Meta::NONE, owner: Owner::Static, sticky: false };
        let removed = self.fdb.add(now, bridge, mac, &entry).map_err(|error| {
            self.drop_group(list);
            self.undo(fresh);
            fdb_error(error)
        })?;
        self.raise(removed);
        self.handle(id).map(Done::Endpoint)
    }

    pub(super) fn fdb_delete(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        remote: Option<&Remote>,
    ) -> Result<Done, CommandError> {
        let config = *self.bridge_config(bridge).ok_or(CommandError::NoSuchBridge)?;
        if mac == MacAddr::ZERO {
            return match remote {
                Some(remote) => self.flood_remove(bridge, remote),
                None => self.flood_clear(bridge),
            };
        }
        let entry = self.fdb.lookup(now, bridge, mac).ok_or(CommandError::NotFound)?;
        if let (Destination::Group(list), Some(remote)) = (entry.destination(), remote) {
            self.detach(list, &config, remote)?;
            self.outdate(bridge);
            if !self.flood_lists.is_empty(list) {
                return Ok(Done::Ok);
            }
        }
        if let (false, Some(remote)) = (matches!(entry.destination(), Destination::Group(_)), remote) {
            let named = self.endpoints.find(&remote.resolve(&config)).map(Destination::Endpoint);
            if named != Some(entry.destination()) {
                return Err(CommandError::NotFound);
            }
        }
        self.fdb.delete(now, bridge, mac).ok_or(CommandError::NotFound)?;
        self.moves.clear(now, bridge, mac);
        if let Destination::Group(list) = entry.destination() {
            self.drop_group(list);
            self.outdate(bridge);
        }
        Ok(Done::Ok)
    }

    pub(super) fn fdb_learn(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        place: &Place,
        label: Label,
    ) -> Result<Done, CommandError> {
        if !mac.is_station() {
            return Err(CommandError::BadMac);
        }
        let config = *self.bridge_config(bridge).ok_or(CommandError::NoSuchBridge)?;
        if matches!(place, Place::Host | Place::Blackhole) || config.ageing == Ageing::NoLearn {
            return Err(CommandError::BadValue);
        }
        let meta = self.label_at(place, label)?;
        let (destination, fresh) = self.resolve(bridge, place)?;
        let policy = LearnPolicy { hold: self.is_held(now, bridge, mac), ..LearnPolicy::default() };
        match self.fdb.learn(now, bridge, mac, destination, meta, policy) {
            Learned::Refused(refusal) => {
                self.undo(fresh);
                Err(match refusal {
                    Refusal::TableFull | Refusal::BridgeLimit | Refusal::DestinationLimit => CommandError::FdbFull,
                    _ => CommandError::Owned,
                })
            }
            Learned::New { removed } => {
                self.raise(removed);
                Ok(Done::Ok)
            }
            Learned::Refreshed | Learned::Updated { .. } | Learned::Moved { .. } => Ok(Done::Ok),
        }
    }

    /// Raises the event of an entry whose slot a command took.
    fn raise(&mut self, removed: Option<Removed>) {
        if let Some(removed) = removed {
            raise_removed(&self.endpoints, &mut self.events, &removed);
        }
    }

    pub(super) fn flush(&mut self, now: Instant, flush: &Flush) -> Result<Done, CommandError> {
        if flush.bridge.is_some_and(|id| self.bridge(id).is_none()) {
            return Err(CommandError::NoSuchBridge);
        }
        let removed = match &flush.place {
            None => self.flush_at(now, flush, None),
            Some(Place::Port(port)) => self.flush_at(now, flush, Some(Destination::Port(*port))),
            Some(Place::Host) => self.flush_at(now, flush, Some(Destination::Host)),
            Some(Place::Blackhole) => self.flush_at(now, flush, Some(Destination::Drop)),
            Some(Place::Remote(remote)) => self.flush_remote(now, flush, remote)?,
        };
        self.drop_orphans();
        Ok(Done::Removed(removed))
    }

    /// Flushes one endpoint of a bridge; or, without a bridge, all that are as `remote` says.
    fn flush_remote(&mut self, now: Instant, flush: &Flush, remote: &Remote) -> Result<u32, CommandError> {
        if let Some(config) = flush.bridge.and_then(|id| self.bridge_config(id)) {
            let id = self.endpoints.find(&remote.resolve(config)).ok_or(CommandError::NoSuchEndpoint)?;
            return Ok(self.flush_at(now, flush, Some(Destination::Endpoint(id))));
        }
        let is_meant = |endpoint: &Endpoint| {
            let EndpointAddress { underlay, address, encapsulation, port, vni } = endpoint.address;
            (underlay, address) == (remote.underlay, remote.address)
                && remote.encapsulation.is_none_or(|wanted| wanted == encapsulation)
                && remote.port.is_none_or(|wanted| wanted == port)
                && (remote.vni.is_none() || remote.vni == vni)
        };
        let mut removed: Result<u32, _> = Err(CommandError::NoSuchEndpoint);
        for id in (0..=u16::MAX).take(self.endpoints.capacity()).map(EndpointId) {
            if self.endpoints.get(id).is_some_and(is_meant) {
                let here = self.flush_at(now, flush, Some(Destination::Endpoint(id)));
                removed = Ok(removed.unwrap_or(0).saturating_add(here));
            }
        }
        removed
    }

    fn flush_at(&mut self, now: Instant, flush: &Flush, destination: Option<Destination>) -> u32 {
        match (flush.owners, flush.bridge, destination) {
            (Owners::DYNAMIC, Some(bridge), None) => self.fdb.flush_bridge(bridge),
            (Owners::DYNAMIC, None, Some(destination)) => self.fdb.flush_destination(destination),
            (owners, bridge, destination) => {
                let Self { fdb, endpoints, events, .. } = self;
                let filter = Filter { bridge, destination, owners, ..Filter::DYNAMIC };
                let removed = fdb.flush(now, &filter, |removed| raise_removed(endpoints, events, &removed));
                u32::try_from(removed).unwrap_or(u32::MAX)
            }
        }
    }

    fn flood_clear(&mut self, bridge: BridgeId) -> Result<Done, CommandError> {
        let list = self.bridge(bridge).and_then(|b| b.flood_list).ok_or(CommandError::NotFound)?;
        self.drop_group(list);
        self.outdate(bridge);
        if let Some(bridge) = self.bridges.get_mut(usize::from(bridge.0)) {
            bridge.flood_list = None;
        }
        Ok(Done::Ok)
    }

    /// The number of a label for an entry at a place.
    fn label_at(&mut self, place: &Place, label: Label) -> Result<Meta, CommandError> {
        if let Place::Port(port) = place {
            let group = self.port(*port).map_or(SecurityGroup::NONE, |port| port.group);
            if !group.is_none() && !label.group().is_none() && group != label.group() {
                return Err(CommandError::GroupConflict);
            }
        }
        self.fdb.intern(label).map_err(|_| CommandError::LabelsFull)
    }

    /// What a place is inside, and the endpoint that had to be added for it.
    fn resolve(&mut self, bridge: BridgeId, place: &Place) -> Result<(Destination, Option<EndpointId>), CommandError> {
        let config = *self.bridge_config(bridge).ok_or(CommandError::NoSuchBridge)?;
        match place {
            Place::Port(port) => match self.port(*port) {
                Some(attached) if attached.bridge == bridge => Ok((Destination::Port(*port), None)),
                _ => Err(CommandError::NoSuchPort),
            },
            Place::Remote(remote) => {
                let (id, fresh) = self.endpoint_at(remote.resolve(&config))?;
                Ok((Destination::Endpoint(id), fresh))
            }
            Place::Host => Ok((Destination::Host, None)),
            Place::Blackhole => Ok((Destination::Drop, None)),
        }
    }

    /// The endpoint at an address, and the same again if it had to be added.
    fn endpoint_at(&mut self, address: EndpointAddress) -> Result<(EndpointId, Option<EndpointId>), CommandError> {
        match self.endpoints.find(&address) {
            Some(id) => Ok((id, None)),
            None => self.add_endpoint(address, u16::MAX).map(|id| (id, Some(id))),
        }
    }

    fn undo(&mut self, fresh: Option<EndpointId>) {
        if let Some(id) = fresh {
            self.forget_endpoint(id);
        }
    }

    /// Appends to a list; the endpoint, and the same again if it had to be added.
    fn append(
        &mut self,
        list: GroupId,
        config: &BridgeConfig,
        remote: &Remote,
    ) -> Result<(EndpointId, Option<EndpointId>), CommandError> {
        let address = remote.resolve(config);
        let (id, fresh) = self.endpoint_at(address)?;
        if let Err(error) = self.flood_lists.append(list, id, self.endpoints.place(address.underlay, address.address)) {
            self.undo(fresh);
            return Err(flood_error(error));
        }
        if let Some(endpoint) = self.endpoints.get_mut(id) {
            endpoint.memberships = endpoint.memberships.saturating_add(1);
            let horizon = self.flood_lists.horizon(list).with(endpoint.config.split_horizon);
            self.flood_lists.set_horizon(list, horizon);
        }
        Ok((id, fresh))
    }

    fn detach(&mut self, list: GroupId, config: &BridgeConfig, remote: &Remote) -> Result<(), CommandError> {
        let id = self.endpoints.find(&remote.resolve(config)).ok_or(CommandError::NotFound)?;
        self.flood_lists.remove(list, id).map_err(flood_error)?;
        self.release(id);
        self.refresh_horizon(list);
        Ok(())
    }

    /// One membership less.
    fn release(&mut self, id: EndpointId) {
        if let Some(endpoint) = self.endpoints.get_mut(id) {
            endpoint.memberships = endpoint.memberships.saturating_sub(1);
        }
    }

    /// Gives a list back, with its memberships.
    pub(super) fn drop_group(&mut self, list: GroupId) {
        while let Some((id, _)) = self.flood_lists.first(list).and_then(|place| self.flood_lists.member(place)) {
            if self.flood_lists.remove(list, id).is_err() {
                break;
            }
            self.release(id);
        }
        // It is known to exist, and empty: there is nothing to fail.
        let _ = self.flood_lists.destroy(list);
    }

    /// Gives back the lists of group addresses whose FDB entry is gone.
    fn drop_orphans(&mut self) {
        let mut dropped = false;
        for index in 0..self.flood_lists.capacity() {
            let list = GroupId(index);
            let in_use = self.bridges.iter().any(|b| b.flood_list == Some(list));
            if !self.flood_lists.is_empty(list) && !in_use && self.is_unused(Destination::Group(list)) {
                self.drop_group(list);
                dropped = true;
            }
        }
        if dropped {
            // Whose they were is no longer known.
            (0..=u16::MAX).take(self.bridges.len()).for_each(|index| self.outdate(BridgeId(index)));
        }
    }
}

fn flood_error(error: FloodError) -> CommandError {
    match error {
        FloodError::NoSuchGroup | FloodError::NotFound => CommandError::NotFound,
        FloodError::Exists => CommandError::Exists,
        FloodError::Full => CommandError::FloodListsFull,
    }
}

fn fdb_error(error: FdbError) -> CommandError {
    match error {
        FdbError::Exists => CommandError::Exists,
        FdbError::BadMac => CommandError::BadMac,
        FdbError::BadBridge => CommandError::NoSuchBridge,
        FdbError::BadDestination => CommandError::BadValue,
        FdbError::BridgeLimit | FdbError::DestinationLimit | FdbError::TableFull => CommandError::FdbFull,
        FdbError::AgeingTooLong => CommandError::BadValue,
    }
}
