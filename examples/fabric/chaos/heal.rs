//! The end of all troubles, and what must be so then.

use vtep::engine::{Command, Place};
use vtep::table::{BridgeId, Owner};

use super::sabotage;
use super::scenario::{Flush, Micros, Spot, Weather};
use super::violation::{Held, Promise, Violation};
use super::world::World;

/// Happenings in which everything under way must come to rest.
const REST: usize = 10_000_000;
/// Conversations held after healing.
const CONVERSATIONS: usize = 24;
/// Causes of what the healing itself sends begin here.
const CAUSE: u64 = 1 << 20;

impl World<'_> {
    /// Ends all troubles and checks what everybody knows; `wait` for what is wrong to age first.
    pub fn heal(&mut self, wait: bool) -> Held {
        self.tally.healings += 1;
        self.net.weather = Weather::CALM;
        self.net.sides.clear();
        self.rest()?;
        for vtep in 0..self.nodes.len() {
            (self.nodes[vtep].running, self.nodes[vtep].ticks) = (true, true);
            self.nodes[vtep].mend_clock(self.now);
            self.release(vtep)?;
        }
        self.rest()?;
        (0..self.hosts.len()).for_each(|host| self.hosts[host].mac = super::frame::mac(self.hosts[host].number));
        (0..self.nodes.len()).try_for_each(|vtep| self.mend(vtep))?;
        (0..self.nodes.len()).try_for_each(|vtep| self.mend_pins(vtep))?;
        if wait {
            self.age()?;
        }
        let known: Vec<bool> = (0..self.nodes.len()).map(|vtep| self.has_room(vtep)).collect();
        for (nth, host) in self.shuffled(self.hosts.len()).into_iter().enumerate() {
            self.net.because_of((CAUSE + self.tally.healings) << 20 | nth as u64);
            self.announce(host)?;
            self.rest()?;
        }
        sabotage::after_announcing(self)?;
        (0..self.nodes.len()).try_for_each(|vtep| self.check_learned(vtep, known[vtep]))?;
        self.hold_conversations(&known)?;
        for vtep in 0..self.nodes.len() {
            self.tenants_of(vtep).into_iter().try_for_each(|tenant| self.set_storm(vtep, tenant, true))?;
        }
        Ok(())
    }

    /// Lets everything happen that has been caused.
    pub fn rest(&mut self) -> Held {
        for _ in 0..REST {
            let Some(at) = self.net.next_at() else { return Ok(()) };
            self.pass(at)?;
        }
        Err(Promise::Silence.broken("packets go round and round"))
    }

    /// A VTEP gets the bridges, ports and lists it should have.
    fn mend(&mut self, vtep: usize) -> Held {
        let node = &mut self.nodes[vtep];
        node.books.resync(&node.engine);
        for tenant in self.tenants_of(vtep) {
            if self.nodes[vtep].books.bridge_of(tenant).is_none() {
                self.add_bridge(vtep, tenant, tenant)?;
            }
            self.set_bridge(vtep, tenant, |_| {})?;
            self.set_rules(vtep, tenant)?;
            self.set_storm(vtep, tenant, false)?;
            self.set_duplicates(vtep, tenant)?;
        }
        let configured: Vec<_> = self.nodes[vtep].configured.iter().copied().collect();
        for (tenant, address) in configured {
            self.remove_endpoint(vtep, tenant, address)?;
            if self.nodes[vtep].configured.contains(&(tenant, address)) {
                self.set_endpoint(vtep, tenant, address, None)?;
            }
        }
        if !self.reconcile(vtep)? {
            // Endpoints of dynamic entries stand in the way, or of static ones.
            self.flush(vtep, Flush::Dynamic)?;
            while !self.nodes[vtep].books.pins.is_empty() {
                self.unpin(vtep, 0)?;
            }
            let complete = self.reconcile(vtep)?;
            Promise::Obeys.that(complete, || format!("VTEP {vtep} has no room for its flood lists"))?;
        }
        for host in 0..self.hosts.len() {
            if self.hosts[host].vtep == vtep && self.hosts[host].port.is_none() {
                self.plug(host)?;
            }
        }
        Ok(())
    }

    /// Static and sticky entries that say what is not so are taken away.
    fn mend_pins(&mut self, vtep: usize) -> Held {
        let books = &self.nodes[vtep].books;
        let pins = books.pins.iter().map(|(key, pin)| (*key, pin.place));
        let sticky = books.learned.iter().filter(|(_, known)| known.sticky).map(|(key, known)| (*key, known.place));
        for ((bridge, mac), place) in pins.chain(sticky).collect::<Vec<_>>() {
            let Some(tenant) = self.nodes[vtep].books.bridge(bridge).map(|book| book.tenant) else { continue };
            let host = self.hosts.iter().position(|host| host.tenant == tenant && host.mac == mac);
            if host.is_none_or(|host| self.home(vtep, host) == Some(place)) {
                continue;
            }
            let node = &mut self.nodes[vtep];
            // A sticky dynamic entry may have aged.
            let done = node.command(self.now, &Command::FdbDelete { bridge: BridgeId(bridge), mac, remote: None })?;
            let pinned = node.books.pins.remove(&(bridge, mac)).is_some();
            Promise::Obeys.that(done.is_ok() || !pinned, || format!("VTEP {vtep} did not delete {mac}: {done:?}"))?;
            if done.is_ok() {
                node.books.learned.remove(&(bridge, mac));
            }
        }
        Ok(())
    }

    /// Where a VTEP should know a host to be.
    fn home(&self, vtep: usize, host: usize) -> Option<Place> {
        let at = self.hosts[host].vtep;
        let spot = if at == vtep { Spot::Host(host as u32) } else { Spot::Vtep(at as u16) };
        self.place(vtep, self.hosts[host].tenant, spot)
    }

    /// Whether a VTEP's tables take all that is to come for certain.
    fn has_room(&self, vtep: usize) -> bool {
        let node = &self.nodes[vtep];
        let live = node.engine.fdb().count();
        let here = self.hosts.iter().filter(|host| node.books.bridge_of(host.tenant).is_some()).count();
        let endpoints = node.engine.endpoints();
        let slots = node.engine.table().capacity();
        // In a handful of buckets, some MACs have too many neighbours by mere chance.
        slots >= 128 && (live + here) * 2 <= slots && endpoints.len() + self.nodes.len() <= endpoints.capacity()
    }

    /// Whether a VTEP knows where a host is; `None` if it does not know it at all.
    pub fn knows(&self, vtep: usize, host: usize) -> Option<bool> {
        let node = &self.nodes[vtep];
        let bridge = node.books.bridge_of(self.hosts[host].tenant)?;
        let entry = node.engine.lookup(BridgeId(bridge), self.hosts[host].mac)?;
        Some(node.engine.place(entry.destination()) == self.home(vtep, host))
    }

    /// A VTEP knows where every host is that has spoken.
    fn check_learned(&mut self, vtep: usize, certain: bool) -> Held {
        for host in 0..self.hosts.len() {
            let (tenant, mac) = (self.hosts[host].tenant, self.hosts[host].mac);
            let node = &self.nodes[vtep];
            let Some(bridge) = node.books.bridge_of(tenant) else { continue };
            // Where nobody listens, floods are dropped and teach nothing.
            let local = node.books.ports.iter().flatten().any(|port| port.bridge == bridge);
            if !local || self.hosts[host].port.is_none() {
                continue;
            }
            let entry = node.engine.lookup(BridgeId(bridge), mac);
            let place = entry.and_then(|entry| node.engine.place(entry.destination()));
            let home = self.home(vtep, host);
            let right = place == home || place.is_none() && !certain;
            Promise::Learned
                .that(right, || format!("VTEP {vtep} has {mac} of tenant {tenant} at {place:?}; it is at {home:?}"))?;
            let group = self.hosts[host].group;
            let learned = entry.filter(|entry| entry.owner() == Owner::Dynamic && !entry.sticky());
            let keeps = node.engine.table().labels().capacity() != 0;
            if let (Some(entry), Some(Place::Remote(_)), true) = (learned, place, keeps) {
                let label = node.engine.label(entry).group().get();
                Promise::Learned.that(label == group, || {
                    format!("VTEP {vtep} has {mac} of tenant {tenant} in group {label}; it is in {group}")
                })?;
            }
        }
        let node = &mut self.nodes[vtep];
        node.books.check_table(&node.engine)
    }

    /// Some hosts talk to some others: each frame arrives once, and nowhere else where everybody is known.
    fn hold_conversations(&mut self, known: &[bool]) -> Held {
        let mut random = self.net.draw();
        for _ in 0..CONVERSATIONS.min(self.hosts.len() * 2) {
            let (from, to) = (random.index(self.hosts.len()), random.index(self.hosts.len()));
            let certain = known[self.hosts[from].vtep] && known[self.hosts[to].vtep];
            self.converse(from, to, certain)?;
        }
        Ok(())
    }

    /// One host talks to another, if it can; where everybody is known for `certain`, in one underlay packet at most.
    pub fn converse(&mut self, from: usize, to: usize, certain: bool) -> Result<bool, Violation> {
        let (a, b) = (&self.hosts[from], &self.hosts[to]);
        let (Some(port), Some(_)) = (b.port, a.port) else { return Ok(false) };
        if a.tenant != b.tenant || (a.vtep, a.port) == (b.vtep, b.port) {
            return Ok(false);
        }
        let (at_a, at_b, frame) = (a.vtep, b.vtep, self.next_frame());
        let policy = self.wires.tenants[a.tenant].policy.as_ref();
        let denied = policy.is_some_and(|policy| !policy.allows(&policy.rules, a.group, b.group));
        self.watched = Some(frame);
        self.tell(from, to)?;
        self.rest()?;
        self.watched = None;
        let record = self.frames.remove(&frame);
        let (delivered, sent) = record.map(|record| (record.delivered, record.sent)).unwrap_or_default();
        let instance = self.nodes[at_b].books.port(port).map_or(0, |port| port.instance);
        let hits = delivered.iter().filter(|other| **other == (at_b, instance)).count();
        let expected = usize::from(!denied);
        let alone = delivered.len() == expected && sent.len() <= 1;
        Promise::Learned.that(hits == expected && (alone || !certain), || {
            format!("host {from} at VTEP {at_a} to {to} at VTEP {at_b}: sent to {sent:?}, handed to {delivered:?}")
        })?;
        Ok(true)
    }

    /// Time passes in which all that is dynamic ages, and everybody ticks.
    fn age(&mut self) -> Held {
        let until = self.now + (self.longest_ageing() + 1000) * 1000;
        let before = self.tally;
        self.quiet = true;
        let step: Micros = (until - self.now) / 4 + 1;
        while self.now < until {
            self.pass(self.now + step)?;
        }
        for vtep in 0..self.nodes.len() {
            let node = &self.nodes[vtep];
            let sweeping = node.engine.table().capacity() / usize::from(node.shape.sweep) + 2;
            let recycling = node.engine.endpoints().capacity() / 8 + 2;
            for _ in 0..sweeping + recycling {
                self.nodes[vtep].tick(self.now)?;
                sabotage::after_tick(self, vtep)?;
            }
        }
        self.rest()?;
        self.quiet = false;
        let after = self.tally;
        Promise::Silence.that(before == after, || format!("while nobody spoke: {after:?}, {before:?} before"))
    }

    /// No host speaks any more: nothing is sent, and what was learned is forgotten.
    pub fn fall_silent(&mut self) -> Held {
        for vtep in 0..self.nodes.len() {
            self.release(vtep)?;
        }
        self.rest()?;
        for vtep in 0..self.nodes.len() {
            (self.nodes[vtep].running, self.nodes[vtep].ticks) = (true, true);
            self.nodes[vtep].mend_clock(self.now);
            for tenant in self.tenants_of(vtep) {
                self.set_bridge(vtep, tenant, |_| {})?;
            }
            let node = &mut self.nodes[vtep];
            node.catch_up()?;
            node.books.resync(&node.engine);
        }
        self.age()?;
        for vtep in 0..self.nodes.len() {
            let ages = |book: &super::books::BridgeBook| self.wires.tenants[book.tenant].ageing > 0;
            let node = &self.nodes[vtep];
            if !node.books.bridges.iter().flatten().all(ages) {
                continue;
            }
            let dynamic = node.engine.fdb().find(|(_, _, entry)| entry.owner() == Owner::Dynamic);
            Promise::Silence.that(dynamic.is_none(), || format!("VTEP {vtep} still knows {dynamic:?}"))?;
            let (slots, pins) = (node.engine.table().len(), node.books.pins.len());
            Promise::Silence.that(slots == pins, || format!("VTEP {vtep} has {slots} slots in use for {pins} pins"))?;
            let learned = &node.books.learned;
            Promise::EventsTell.that(learned.is_empty() || !node.books.sure, || {
                format!("VTEP {vtep} never said that it forgot {learned:?}")
            })?;
            let needless = node.engine.endpoints().iter().find(|(_, endpoint)| {
                let place = Place::Remote((*endpoint.address()).into());
                endpoint.is_learned() && !node.books.pins.values().any(|pin| pin.place == place)
            });
            Promise::Silence.that(needless.is_none(), || {
                format!("VTEP {vtep} keeps an endpoint that nothing needs: {:?}", needless.map(|(_, e)| e.address()))
            })?;
        }
        for vtep in 0..self.nodes.len() {
            let node = &mut self.nodes[vtep];
            node.books.check_table(&node.engine)?;
            self.trace.add(self.nodes[vtep].engine.digest());
            let node = &self.nodes[vtep];
            self.tally.events_lost += node.engine.lost_events();
            self.tally.duplicates += node.books.duplicates;
            self.tally.batched += node.twin.as_ref().map_or(0, |twin| twin.batched);
        }
        Ok(())
    }
}
