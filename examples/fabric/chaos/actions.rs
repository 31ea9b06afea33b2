//! Carrying out what a scenario says happens to VTEPs and hosts, and keeping the books about it.

use core::net::IpAddr;

use vtep::engine::{Command, CommandError, Place, Remote};
use vtep::table::fdb::Owners;
use vtep::table::{Ageing, BridgeConfig, BridgeId, Duration, EndpointConfig, FloodSwitches, Owner, PortConfig, PortId};

use vtep::wire::Label;

use super::books::{BridgeBook, Known, Pin, PortBook};
use super::frame;
use super::policy;
use super::scenario::{self, Flush, Member, Spot};
use super::violation::{Held, Promise, Violation};
use super::world::World;

/// An entry to be made by command.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub number: u32,
    pub spot: Spot,
    pub owner: u8,
    pub sticky: bool,
}

impl World<'_> {
    /// A VTEP's bridges, flood lists and ports, on empty tables.
    pub fn set_up(&mut self, vtep: usize) -> Held {
        for tenant in self.tenants_of(vtep) {
            let (count, turn) = (self.nodes[vtep].books.bridges.len(), vtep + self.nodes[vtep].place.0);
            self.add_bridge(vtep, tenant, (tenant + turn) % count)?;
        }
        self.reconcile(vtep)?;
        Ok(())
    }

    pub fn tenants_of(&self, vtep: usize) -> Vec<usize> {
        let tenants = self.wires.tenants.iter().enumerate();
        let here = tenants.filter(|(_, shape)| shape.vteps.is_empty() || shape.vteps.contains(&(vtep as u16)));
        here.map(|(tenant, _)| tenant).collect()
    }

    /// Adds a tenant's bridge at the `nth` free index, unless there is one already.
    pub fn add_bridge(&mut self, vtep: usize, tenant: usize, nth: usize) -> Held {
        let node = &mut self.nodes[vtep];
        let count = node.books.bridges.len();
        let free = (0..count).map(|at| (at + nth) % count).find(|id| node.books.bridges[*id].is_none());
        let Some(id) = free else { return Ok(()) };
        let config = node.bridge_config(&self.wires, tenant);
        let command = Command::AddBridge { id: BridgeId(id as u16), config };
        if node.books.bridge_of(tenant).is_some() {
            let done = node.command(self.now, &command)?;
            return Promise::Obeys
                .that(done == Err(CommandError::VniTaken), || format!("a tenant's second bridge: {done:?}"));
        }
        node.must(self.now, &command)?;
        let (list, limit) = (Vec::new(), config.max_macs);
        let (rules, storm, duplicates) = (Vec::new(), None, None);
        let book = BridgeBook { tenant, list, packets: 0, limit, allowed: 0, rules, storm, duplicates };
        node.books.bridges[id] = Some(book);
        self.set_rules(vtep, tenant)?;
        self.set_storm(vtep, tenant, true)?;
        self.set_duplicates(vtep, tenant)?;
        let missing = |host: &&usize| self.hosts[**host].port.is_none() && self.hosts[**host].tenant == tenant;
        let hosts: Vec<usize> = self.residents[vtep].iter().filter(missing).copied().collect();
        hosts.into_iter().try_for_each(|host| self.plug(host))
    }

    pub fn remove_bridge(&mut self, vtep: usize, tenant: usize) -> Held {
        let node = &mut self.nodes[vtep];
        let Some(id) = node.books.bridge_of(tenant) else { return Ok(()) };
        node.must(self.now, &Command::RemoveBridge { id: BridgeId(id) })?;
        node.books.bridges[usize::from(id)] = None;
        node.books.forget(|(bridge, _), _| bridge == id, true);
        for port in &mut node.books.ports {
            if let Some(gone) = port.take_if(|port| port.bridge == id) {
                gone.hosts.iter().for_each(|host| self.hosts[*host].port = None);
            }
        }
        Ok(())
    }

    /// A host is plugged into the VTEP it is at: into a port that is there, or into a new one.
    pub fn plug(&mut self, host: usize) -> Held {
        let super::world::Host { tenant, vtep, tag, shares, port, group, .. } = self.hosts[host];
        let node = &mut self.nodes[vtep];
        let Some(bridge) = node.books.bridge_of(tenant).filter(|_| port.is_none()) else { return Ok(()) };
        let fits = |book: &PortBook| book.shared && (book.bridge, book.tag, book.group) == (bridge, tag, group);
        if let Some(id) = node.books.ports.iter().position(|book| shares && book.as_ref().is_some_and(fits)) {
            if let Some(book) = &mut node.books.ports[id] {
                book.hosts.push(host);
            }
            self.hosts[host].port = Some(PortId(id as u16));
            return Ok(());
        }
        let free = node.books.ports.iter().position(Option::is_none);
        let idle = || node.books.ports.iter().position(|book| book.as_ref().is_some_and(|book| book.hosts.is_empty()));
        let Some(id) = free.or_else(idle) else { return Ok(()) };
        if node.books.ports[id].is_some() {
            self.remove_port(vtep, PortId(id as u16))?;
        }
        let node = &mut self.nodes[vtep];
        let config = PortConfig { vlan: tag, group: policy::group(group), ..PortConfig::new(BridgeId(bridge)) };
        node.must(self.now, &Command::AddPort { id: PortId(id as u16), config })?;
        self.instances += 1;
        let (instance, hosts, shared) = (self.instances, vec![host], shares);
        node.books.ports[id] = Some(PortBook { bridge, tenant, tag, instance, hosts, shared, group });
        self.hosts[host].port = Some(PortId(id as u16));
        Ok(())
    }

    /// A host that is not plugged in is at another VTEP from now on.
    pub fn move_to(&mut self, host: usize, vtep: usize) {
        self.residents[self.hosts[host].vtep].remove(&host);
        self.residents[vtep].insert(host);
        self.hosts[host].vtep = vtep;
    }

    /// A host is pulled out; its port goes too if `clean` and nobody else is behind it.
    pub fn unplug(&mut self, host: usize, clean: bool) -> Held {
        let Some(id) = self.hosts[host].port.take() else { return Ok(()) };
        let vtep = self.hosts[host].vtep;
        let Some(book) = &mut self.nodes[vtep].books.ports[usize::from(id.0)] else { return Ok(()) };
        book.hosts.retain(|other| *other != host);
        if clean && book.hosts.is_empty() { self.remove_port(vtep, id) } else { Ok(()) }
    }

    fn remove_port(&mut self, vtep: usize, id: PortId) -> Held {
        let node = &mut self.nodes[vtep];
        node.must(self.now, &Command::RemovePort { id })?;
        node.books.ports[usize::from(id.0)] = None;
        node.books.forget(|_, place| *place == Place::Port(id), true);
        Ok(())
    }

    /// A VTEP starts anew at an address.
    pub fn restart(&mut self, vtep: usize, place: (usize, u8)) -> Held {
        for waiting in self.nodes[vtep].held.take().into_iter().flatten() {
            self.close(waiting.frame)?;
        }
        for host in &self.residents[vtep] {
            self.hosts[*host].port = None;
        }
        self.nodes[vtep].restart(self.now, place, &self.wires)?;
        self.note_addresses();
        self.set_up(vtep)
    }

    /// Makes the flood lists what they should be; whether there was room for all.
    pub fn reconcile(&mut self, vtep: usize) -> Result<bool, Violation> {
        let mut complete = true;
        for tenant in self.tenants_of(vtep) {
            let Some(id) = self.nodes[vtep].books.bridge_of(tenant) else { continue };
            let wanted = self.wanted_list(vtep, tenant);
            let list = self.nodes[vtep].books.bridge(id).map(|book| book.list.clone()).unwrap_or_default();
            for address in list.iter().filter(|address| !wanted.contains(address)) {
                self.flood_remove(vtep, tenant, *address)?;
            }
            for address in wanted.into_iter().filter(|address| !list.contains(address)) {
                complete &= self.flood_add(vtep, tenant, address)?;
            }
        }
        Ok(complete)
    }

    pub fn wanted_list(&self, vtep: usize, tenant: usize) -> Vec<IpAddr> {
        let shape = &self.wires.tenants[tenant];
        if shape.multicast {
            return vec![self.wires.group(tenant)];
        }
        let members = self.wires.vteps(tenant, self.nodes.len());
        members.filter(|member| *member != vtep).map(|member| self.nodes[member].books.address).collect()
    }

    /// Adds to a flood list, where the answer has to be the right one; whether it is on it now.
    pub fn flood_add(&mut self, vtep: usize, tenant: usize, address: IpAddr) -> Result<bool, Violation> {
        let node = &mut self.nodes[vtep];
        let Some(id) = node.books.bridge_of(tenant) else { return Ok(false) };
        let command = Command::FloodAdd { bridge: BridgeId(id), remote: Remote::at(address) };
        let done = node.command(self.now, &command)?;
        let own = address == node.books.address;
        let Some(book) = &mut node.books.bridges[usize::from(id)] else { return Ok(false) };
        let listed = book.list.contains(&address);
        let right = match done {
            Ok(_) => !listed && !own,
            Err(CommandError::Exists) => listed,
            Err(CommandError::BadAddress) => own,
            Err(CommandError::EndpointsFull | CommandError::FloodListsFull) => true,
            Err(_) => false,
        };
        Promise::Obeys.that(right, || format!("VTEP {vtep}: {command:?}: {done:?}, on the list: {listed}"))?;
        if done.is_ok() {
            book.list.push(address);
        }
        Ok(done.is_ok() || listed)
    }

    pub fn flood_remove(&mut self, vtep: usize, tenant: usize, address: IpAddr) -> Held {
        let node = &mut self.nodes[vtep];
        let Some(id) = node.books.bridge_of(tenant) else { return Ok(()) };
        let command = Command::FloodRemove { bridge: BridgeId(id), remote: Remote::at(address) };
        let done = node.command(self.now, &command)?;
        let Some(book) = &mut node.books.bridges[usize::from(id)] else { return Ok(()) };
        let listed = book.list.contains(&address);
        let right = if listed { done.is_ok() } else { done == Err(CommandError::NotFound) };
        Promise::Obeys.that(right, || format!("VTEP {vtep}: {command:?}: {done:?}, on the list: {listed}"))?;
        book.list.retain(|other| *other != address);
        Ok(())
    }

    pub fn member(&self, vtep: usize, tenant: usize, member: Member) -> Option<IpAddr> {
        let own = self.nodes[vtep].books.address;
        match member {
            Member::Vtep(other) => Some(self.nodes.get(usize::from(other))?.books.address),
            other => Some(self.wires.member(tenant, other, own)),
        }
    }

    /// What an engine calls a place, seen from a tenant's bridge.
    pub fn place(&self, vtep: usize, tenant: usize, spot: Spot) -> Option<Place> {
        let config = self.nodes[vtep].bridge_config(&self.wires, tenant);
        let remote = |address| Place::Remote(Remote::at(address).resolve(&config).into());
        Some(match spot {
            Spot::Host(host) => {
                let host = self.hosts.get(host as usize).filter(|host| host.vtep == vtep)?;
                Place::Port(host.port?)
            }
            Spot::Vtep(other) => remote(self.nodes.get(usize::from(other))?.books.address),
            Spot::Nobody(number) => remote(self.wires.nobody(number)),
            Spot::Here => Place::Host,
            Spot::Blackhole => Place::Blackhole,
        })
    }

    /// An entry by command.
    pub fn pin(&mut self, vtep: usize, tenant: usize, entry: Entry, replace: bool) -> Held {
        let Entry { number, spot, owner, sticky } = entry;
        let Some(place) = self.place(vtep, tenant, spot) else { return Ok(()) };
        let node = &mut self.nodes[vtep];
        let Some(id) = node.books.bridge_of(tenant) else { return Ok(()) };
        let (bridge, mac) = (BridgeId(id), frame::mac(number));
        let owner = Owner::ALL[usize::from(owner) % Owner::ALL.len()];
        // In VXLAN a frame that was judged by an entry's group is not judged again: not by entries that err.
        let config = node.bridge_config(&self.wires, tenant);
        let group = if config.options { self.wires.group_of(tenant, number) } else { 0 };
        let label = Label::of_group(policy::group(group));
        let node = &mut self.nodes[vtep];
        let command = match replace {
            true => Command::FdbReplace { bridge, mac, place, owner, sticky, label },
            false => Command::FdbAdd { bridge, mac, place, owner, sticky, label },
        };
        let there = node.engine.table().lookup(node.clock(self.now).max(node.engine.now()), bridge, mac).is_some();
        let done = node.command(self.now, &command)?;
        let books = &mut node.books;
        let elsewhere = matches!(place, Place::Port(port) if books.port(port).is_none_or(|port| port.bridge != id));
        let own = matches!(place, Place::Remote(remote) if remote.address == books.address);
        let right = match done {
            Ok(_) => (replace || !there) && !elsewhere && !own,
            Err(CommandError::Exists) => there && !replace,
            Err(CommandError::NoSuchPort) => elsewhere,
            Err(CommandError::BadAddress) => own,
            // Local entries are not remote; dynamic ones point to where frames can come from.
            Err(CommandError::BadValue) => match place {
                Place::Remote(_) => owner == Owner::Local,
                Place::Host | Place::Blackhole => owner == Owner::Dynamic,
                _ => false,
            },
            Err(CommandError::LabelsFull) => group != 0,
            Err(CommandError::GroupConflict) => {
                matches!(place, Place::Port(port) if group != 0 && books.port(port).is_some_and(|p| p.group != group))
            }
            Err(CommandError::EndpointsFull | CommandError::FdbFull) => true,
            Err(_) => false,
        };
        Promise::Obeys.that(right, || format!("VTEP {vtep}: {command:?}: {done:?}, there: {there}"))?;
        if done.is_ok() {
            books.pins.remove(&(id, mac));
            books.learned.remove(&(id, mac));
            if owner == Owner::Dynamic {
                books.learned.insert((id, mac), Known { place, sticky });
            } else {
                books.pins.insert((id, mac), Pin { place, owner, sticky });
            }
        }
        Ok(())
    }

    pub fn unpin(&mut self, vtep: usize, nth: usize) -> Held {
        let node = &mut self.nodes[vtep];
        let Some(&(bridge, mac)) = node.books.pins.keys().nth(nth) else { return Ok(()) };
        node.must(self.now, &Command::FdbDelete { bridge: BridgeId(bridge), mac, remote: None })?;
        node.books.pins.remove(&(bridge, mac));
        Ok(())
    }

    /// What another core has learned.
    pub fn learn(&mut self, vtep: usize, tenant: usize, number: u32, spot: Spot) -> Held {
        let Some(place) = self.place(vtep, tenant, spot) else { return Ok(()) };
        let node = &mut self.nodes[vtep];
        let Some(id) = node.books.bridge_of(tenant) else { return Ok(()) };
        let mac = frame::mac(number);
        let done = node.command(self.now, &Command::Learn { bridge: BridgeId(id), mac, place, label: Label::NONE })?;
        let books = &mut node.books;
        if done.is_ok() && !books.pins.contains_key(&(id, mac)) {
            let before = books.learned.get(&(id, mac)).copied();
            // Where events were lost, it may have aged in between.
            let moved = before.is_some_and(|known| known.place != place) && books.sure;
            Promise::PinsStay.that(!(moved && before.is_some_and(|known| known.sticky)), || {
                format!("VTEP {vtep}: sticky {mac} moved to {place:?} from {before:?} by another core")
            })?;
            let sticky = before.is_some_and(|known| known.sticky);
            books.learned.insert((id, mac), Known { place, sticky });
        }
        let moved = done.is_ok() && books.pins.get(&(id, mac)).is_some_and(|pin| pin.place != place);
        Promise::PinsStay.that(!moved, || format!("VTEP {vtep}: pinned {mac} moved to {place:?} by another core"))
    }

    pub fn set_bridge(&mut self, vtep: usize, tenant: usize, change: impl Fn(&mut BridgeConfig)) -> Held {
        let node = &mut self.nodes[vtep];
        let Some(id) = node.books.bridge_of(tenant) else { return Ok(()) };
        let mut config = node.bridge_config(&self.wires, tenant);
        change(&mut config);
        node.must(self.now, &Command::SetBridge { id: BridgeId(id), config })?;
        let dynamic = node.engine.fdb().filter(|(b, _, e)| b.0 == id && e.owner() == Owner::Dynamic).count();
        if let Some(book) = &mut node.books.bridges[usize::from(id)] {
            (book.limit, book.allowed) = (config.max_macs, dynamic);
        }
        if config.ageing == Ageing::NoLearn {
            node.books.learned.retain(|(bridge, _), _| *bridge != id);
        }
        Ok(())
    }

    pub fn flush(&mut self, vtep: usize, flush: Flush) -> Held {
        let (mut bridge, mut place, mut owners) = (None, None, Owners::DYNAMIC);
        let books = &self.nodes[vtep].books;
        match flush {
            Flush::Tenant(tenant) => bridge = books.bridge_of(usize::from(tenant)),
            Flush::Host(host) => place = self.place(vtep, 0, Spot::Host(host)),
            Flush::Vtep(tenant, other) => {
                bridge = books.bridge_of(usize::from(tenant));
                place = self.place(vtep, usize::from(tenant), Spot::Vtep(other));
            }
            Flush::Dynamic => {}
            Flush::All(tenant) => (bridge, owners) = (books.bridge_of(usize::from(tenant)), Owners::all()),
        }
        if bridge.is_none() && place.is_none() && flush != Flush::Dynamic {
            return Ok(());
        }
        let command = vtep::engine::Flush { bridge: bridge.map(BridgeId), place, owners };
        let node = &mut self.nodes[vtep];
        let done = node.command(self.now, &Command::Flush(command))?;
        let gone = matches!(done, Err(CommandError::NoSuchEndpoint)) && matches!(place, Some(Place::Remote(_)));
        Promise::Obeys.that(done.is_ok() || gone, || format!("VTEP {vtep}: {command:?}: {done:?}"))?;
        if done.is_ok() {
            let meant = |(id, _): super::books::Key, at: &Place| {
                bridge.is_none_or(|bridge| bridge == id) && place.is_none_or(|place| place == *at)
            };
            node.books.forget(meant, owners == Owners::all());
        }
        Ok(())
    }

    pub fn set_endpoint(&mut self, vtep: usize, tenant: usize, address: IpAddr, limit: Option<u32>) -> Held {
        let node = &mut self.nodes[vtep];
        let bridge = node.bridge_config(&self.wires, tenant);
        let address = Remote::at(address).resolve(&bridge);
        let config = EndpointConfig { max_macs: limit, ..EndpointConfig::default() };
        let done = node.command(self.now, &Command::SetEndpoint { address, config })?;
        let own = address.address == node.books.address;
        let right = match done {
            Ok(_) => !own,
            Err(CommandError::BadAddress) => own,
            Err(CommandError::EndpointsFull) => true,
            Err(_) => false,
        };
        Promise::Obeys.that(right, || format!("VTEP {vtep}: {address:?}: {done:?}"))?;
        if done.is_ok() {
            node.configured.insert((tenant, address.address));
        }
        Ok(())
    }

    pub fn remove_endpoint(&mut self, vtep: usize, tenant: usize, at: IpAddr) -> Held {
        let node = &mut self.nodes[vtep];
        let address = Remote::at(at).resolve(&node.bridge_config(&self.wires, tenant));
        let place = Place::Remote(address.into());
        let named = node.books.pins.values().any(|pin| pin.place == place);
        let listed = node
            .books
            .bridges
            .iter()
            .flatten()
            .any(|book| book.list.contains(&at) && self.wires.encapsulation(book.tenant) == address.encapsulation);
        let done = node.command(self.now, &Command::RemoveEndpoint { address })?;
        let right = match done {
            Ok(_) => !named && !listed,
            Err(CommandError::InUse) => named || listed,
            Err(CommandError::NoSuchEndpoint) => !named && !listed,
            Err(_) => false,
        };
        Promise::Obeys.that(right, || format!("VTEP {vtep}: removing {address:?}: {done:?}, {named}, {listed}"))?;
        if done.is_ok() {
            node.books.forget(|_, at| *at == place, false);
            node.configured.remove(&(tenant, at));
        }
        Ok(())
    }
}

/// A bridge's ageing as a scenario has it.
pub fn ageing(usual: Ageing, ageing: scenario::Ageing) -> Ageing {
    match ageing {
        scenario::Ageing::AsUsual => usual,
        scenario::Ageing::Never => Ageing::Never,
        scenario::Ageing::NoLearn => Ageing::NoLearn,
        scenario::Ageing::Millis(millis) => Ageing::After(Duration::from_millis(millis.into())),
    }
}

pub fn flood_switches(bits: u8) -> FloodSwitches {
    FloodSwitches::from_bits_truncate(bits)
}
