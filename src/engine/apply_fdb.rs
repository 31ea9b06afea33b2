//! Carrying out commands on FDB entries and flood lists.

use super::{CommandError, Done, Engine, Flush, Place, Remote};
use crate::table::fdb::{Add, FdbError, Filter, LearnPolicy, Learned, Owners, Refusal};
use crate::table::{
    BridgeConfig, BridgeId, Destination, EndpointId, FloodError, GroupId, Instant, Meta, Origin, Owner,
};
use crate::wire::MacAddr;

impl Engine<'_> {
    pub(super) fn flood_add(&mut self, bridge: BridgeId, remote: &Remote) -> Result<Done, CommandError> {
        let config = *self.bridge_config(bridge).ok_or(CommandError::NoSuchBridge)?;
        let list = self.bridge(bridge).and_then(|b| b.flood_list);
        let (list, fresh) = match list {
            Some(list) => (list, false),
            None => (self.flood_lists.create().map_err(flood_error)?, true),
        };
        let done = self.append(list, &config, remote).inspect_err(|_| {
            if fresh {
                self.drop_group(list);
            }
        });
        let record = self.bridges.get_mut(usize::from(bridge.0));
        if let (Ok(_), Some(bridge)) = (done, record) {
            bridge.flood_list = Some(list);
        }
        done
    }

    pub(super) fn flood_remove(&mut self, bridge: BridgeId, remote: &Remote) -> Result<Done, CommandError> {
        let config = *self.bridge_config(bridge).ok_or(CommandError::NoSuchBridge)?;
        let list = self.bridge(bridge).and_then(|b| b.flood_list).ok_or(CommandError::NotFound)?;
        self.detach(list, &config, remote)?;
        self.outdate(bridge);
        Ok(Done::Ok)
    }

    #[allow(clippy::too_many_arguments, reason = "the fields of one command")]
    pub(super) fn fdb_set(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        place: &Place,
        owner: Owner,
        sticky: bool,
        replace: bool,
    ) -> Result<Done, CommandError> {
        if !mac.is_station() {
            return Err(CommandError::BadMac);
        }
        let before = self.fdb.lookup(now, bridge, mac);
        if before.is_some() && !replace {
            return Err(CommandError::Exists);
        }
        let (destination, fresh) = self.resolve(bridge, place)?;
        let entry = Add { destination, meta: Meta::NONE, owner, sticky };
        let result = match replace {
            true => self.fdb.replace(now, bridge, mac, &entry),
            false => self.fdb.add(now, bridge, mac, &entry),
        };
        if let Err(error) = result {
            self.undo(fresh);
            return Err(fdb_error(error));
        }
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
            return self.append(list, &config, remote);
        }
        let list = self.flood_lists.create().map_err(flood_error)?;
        let done = self.append(list, &config, remote).inspect_err(|_| self.drop_group(list))?;
        let entry =
            Add { destination: Destination::Group(list), meta: Meta::NONE, owner: Owner::Static, sticky: false };
        match self.fdb.add(now, bridge, mac, &entry) {
            Ok(_) => Ok(done),
            Err(error) => {
                self.drop_group(list);
                Err(fdb_error(error))
            }
        }
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
        if let (Destination::Endpoint(id), Some(remote)) = (entry.destination(), remote) {
            if self.endpoints.find(&remote.resolve(&config)) != Some(id) {
                return Err(CommandError::NotFound);
            }
        }
        self.fdb.delete(now, bridge, mac).ok_or(CommandError::NotFound)?;
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
    ) -> Result<Done, CommandError> {
        if !mac.is_station() {
            return Err(CommandError::BadMac);
        }
        let config = *self.bridge_config(bridge).ok_or(CommandError::NoSuchBridge)?;
        let destination = match place {
            Place::Port(_) => self.resolve(bridge, place)?.0,
            Place::Remote(remote) => {
                let address = remote.resolve(&config);
                let id = self.endpoints.find(&address).or_else(|| self.add_endpoint(address));
                Destination::Endpoint(id.ok_or(CommandError::EndpointsFull)?)
            }
            Place::Host | Place::Blackhole => return Err(CommandError::BadValue),
        };
        match self.fdb.learn(now, bridge, mac, destination, Meta::NONE, LearnPolicy::default()) {
            Learned::Refused(Refusal::TableFull | Refusal::BridgeLimit | Refusal::DestinationLimit) => {
                Err(CommandError::FdbFull)
            }
            Learned::Refused(_) => Err(CommandError::Owned),
            _ => Ok(Done::Ok),
        }
    }

    pub(super) fn flush(&mut self, now: Instant, flush: &Flush) -> Result<Done, CommandError> {
        let destination = match (&flush.place, flush.bridge) {
            (None, _) => None,
            (Some(Place::Port(port)), _) => Some(Destination::Port(*port)),
            (Some(Place::Host), _) => Some(Destination::Host),
            (Some(Place::Blackhole), _) => Some(Destination::Drop),
            (Some(Place::Remote(remote)), bridge) => {
                let id = match bridge.and_then(|id| self.bridge_config(id)) {
                    Some(config) => self.endpoints.find(&remote.resolve(config)),
                    None => self.endpoints.at(remote.underlay, remote.address).map(|(id, _)| id).next(),
                };
                Some(Destination::Endpoint(id.ok_or(CommandError::NoSuchEndpoint)?))
            }
        };
        if flush.bridge.is_some_and(|id| self.bridge(id).is_none()) {
            return Err(CommandError::NoSuchBridge);
        }
        let removed = match (flush.owners, flush.bridge, destination) {
            (Owners::DYNAMIC, Some(bridge), None) => self.fdb.flush_bridge(bridge),
            (Owners::DYNAMIC, None, Some(destination)) => self.fdb.flush_destination(destination),
            (owners, bridge, destination) => {
                let filter = Filter { bridge, destination, owners, ..Filter::DYNAMIC };
                u32::try_from(self.fdb.flush(now, &filter, |_| {})).unwrap_or(u32::MAX)
            }
        };
        self.drop_orphans();
        Ok(Done::Removed(removed))
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

    /// What a place is inside, and the endpoint that had to be added for it.
    fn resolve(&mut self, bridge: BridgeId, place: &Place) -> Result<(Destination, Option<EndpointId>), CommandError> {
        let config = *self.bridge_config(bridge).ok_or(CommandError::NoSuchBridge)?;
        match place {
            Place::Port(port) => match self.port(*port) {
                Some(attached) if attached.bridge == bridge => Ok((Destination::Port(*port), None)),
                _ => Err(CommandError::NoSuchPort),
            },
            Place::Remote(remote) => {
                let address = remote.resolve(&config);
                let known = self.endpoints.find(&address);
                let id = self.configured_endpoint(address, None)?;
                Ok((Destination::Endpoint(id), known.is_none().then_some(id)))
            }
            Place::Host => Ok((Destination::Host, None)),
            Place::Blackhole => Ok((Destination::Drop, None)),
        }
    }

    fn undo(&mut self, fresh: Option<EndpointId>) {
        if let Some(id) = fresh {
            self.forget_endpoint(id);
        }
    }

    fn append(&mut self, list: GroupId, config: &BridgeConfig, remote: &Remote) -> Result<Done, CommandError> {
        let address = remote.resolve(config);
        let fresh = self.endpoints.find(&address).is_none();
        let id = self.configured_endpoint(address, None)?;
        if let Err(error) = self.flood_lists.append(list, id, self.endpoints.place(address.underlay, address.address)) {
            self.undo(fresh.then_some(id));
            return Err(flood_error(error));
        }
        if let Some(endpoint) = self.endpoints.get_mut(id) {
            endpoint.memberships = endpoint.memberships.saturating_add(1);
        }
        self.refresh_horizons();
        self.handle(id).map(Done::Endpoint)
    }

    fn detach(&mut self, list: GroupId, config: &BridgeConfig, remote: &Remote) -> Result<(), CommandError> {
        let id = self.endpoints.find(&remote.resolve(config)).ok_or(CommandError::NotFound)?;
        self.flood_lists.remove(list, id).map_err(flood_error)?;
        self.release(id);
        self.refresh_horizons();
        Ok(())
    }

    /// One membership less. An endpoint that nothing names any more is as one that was learned: it goes when its last
    /// entry does.
    fn release(&mut self, id: EndpointId) {
        let pinned = self.pinned(Destination::Endpoint(id));
        if let Some(endpoint) = self.endpoints.get_mut(id) {
            endpoint.memberships = endpoint.memberships.saturating_sub(1);
            if endpoint.memberships == 0 && pinned == 0 {
                endpoint.origin = Origin::Learned;
            }
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
