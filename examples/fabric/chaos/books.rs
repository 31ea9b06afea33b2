//! What the simulator knows of a VTEP without asking its engine: what commands have made of it, and what its events say.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use vtep::engine::{Engine, Event, Place};
use vtep::table::{BridgeId, Owner, PortId};
use vtep::wire::MacAddr;

use super::scenario::{DuplicatesShape, RuleShape};
use super::storm::Storm;
use super::twin::Twin;
use super::violation::{Held, Promise};

/// An entry's key.
pub type Key = (u16, MacAddr);

#[derive(Clone, Debug)]
pub struct Books {
    /// The underlay address.
    pub address: IpAddr,
    /// By bridge index.
    pub bridges: Vec<Option<BridgeBook>>,
    /// By port index.
    pub ports: Vec<Option<PortBook>>,
    /// Entries that are not dynamic.
    pub pins: BTreeMap<Key, Pin>,
    /// Dynamic entries, as far as events tell.
    pub learned: BTreeMap<Key, Known>,
    /// Whether all events were read, so that `learned` has to be right.
    pub sure: bool,
    /// Whether events are read at all; a copy of the table for each of many VTEPs would be too much.
    pub tracks: bool,
    /// Whether data packets from tunnels may move entries of the control plane.
    pub data_moves_control: bool,
    /// MACs of which was told that they are duplicates and stay, and nothing else since.
    pub frozen: BTreeSet<Key>,
    /// When MACs have moved since the last command, on the engine's clock.
    moves: BTreeMap<Key, Vec<u64>>,
    /// How often it was told that a MAC is a duplicate.
    pub duplicates: u64,
    pub steps: u64,
    pub copies: u64,
    lost: u64,
}

#[derive(Clone, Debug)]
pub struct BridgeBook {
    pub tenant: usize,
    /// The addresses flooded to.
    pub list: Vec<IpAddr>,
    /// Packets that count for it.
    pub packets: u64,
    pub limit: Option<u32>,
    /// Dynamic entries it may have: more than the limit where it had more when that was set.
    pub allowed: usize,
    pub rules: Vec<RuleShape>,
    pub storm: Option<Storm>,
    pub duplicates: Option<DuplicatesShape>,
}

#[derive(Clone, Debug)]
pub struct PortBook {
    pub bridge: u16,
    pub tenant: usize,
    pub tag: Option<u16>,
    /// Different for each port that ever was.
    pub instance: u32,
    /// The hosts behind it.
    pub hosts: Vec<usize>,
    pub shared: bool,
    /// The security group of who is behind it.
    pub group: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pin {
    pub place: Place,
    pub owner: Owner,
    pub sticky: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    pub place: Place,
    pub sticky: bool,
}

impl Pin {
    /// Whether stations that move may take it along.
    fn is_controlled(&self) -> bool {
        matches!(self.owner, Owner::Evpn | Owner::Controller) && !self.sticky
    }
}

impl Books {
    pub fn new(address: IpAddr, bridges: usize, ports: usize, data_moves_control: bool) -> Self {
        Self {
            address,
            bridges: vec![None; bridges],
            ports: vec![None; ports],
            pins: BTreeMap::new(),
            learned: BTreeMap::new(),
            sure: true,
            tracks: true,
            data_moves_control,
            frozen: BTreeSet::new(),
            moves: BTreeMap::new(),
            duplicates: 0,
            steps: 0,
            copies: 0,
            lost: 0,
        }
    }

    pub fn bridge(&self, id: u16) -> Option<&BridgeBook> {
        self.bridges.get(usize::from(id))?.as_ref()
    }

    pub fn port(&self, id: PortId) -> Option<&PortBook> {
        self.ports.get(usize::from(id.0))?.as_ref()
    }

    /// The bridge of a tenant.
    pub fn bridge_of(&self, tenant: usize) -> Option<u16> {
        let found = self.bridges.iter().position(|book| book.as_ref().is_some_and(|book| book.tenant == tenant));
        found.map(|index| index as u16)
    }

    /// Whatever pointed somewhere is gone without a word.
    pub fn forget(&mut self, gone: impl Fn(Key, &Place) -> bool, pins_too: bool) {
        self.learned.retain(|key, known| !gone(*key, &known.place));
        if pins_too {
            self.pins.retain(|key, pin| !gone(*key, &pin.place));
        }
    }

    /// Reads what the engine has to tell.
    pub fn note(&mut self, engine: &mut Engine<'_>, twin: Option<&mut Twin<'_>>) -> Held {
        let lost = engine.lost_events();
        let has_lost = lost != self.lost;
        if has_lost {
            self.lost = lost;
            self.sure = false;
        }
        let mut heard = Vec::new();
        while let Some(event) = engine.poll_event() {
            heard.extend(twin.is_some().then_some(event));
            if self.tracks {
                let sure_of_moves = engine.moves().forgotten() == 0;
                self.note_event(engine.now().as_millis(), sure_of_moves, &event)?;
            }
        }
        if let Some(twin) = twin {
            twin.heard.extend(heard);
            twin.deaf |= has_lost;
        }
        Ok(())
    }

    /// A command may let MACs move again.
    pub fn note_command(&mut self) {
        self.frozen.clear();
        self.moves.clear();
    }

    pub fn note_event(&mut self, now: u64, sure_of_moves: bool, event: &Event) -> Held {
        match *event {
            Event::Learned { bridge, mac, place, .. } => {
                let before = self.learned.insert((bridge.0, mac), Known { place, sticky: false });
                Promise::EventsTell.that(before.is_none() || !self.sure, || {
                    format!("{mac} of bridge {} learned at {place:?}, but it stood at {before:?}", bridge.0)
                })?;
                let pinned = self.pins.get(&(bridge.0, mac));
                Promise::PinsStay.that(pinned.is_none(), || format!("{mac} learned at {place:?} over {pinned:?}"))
            }
            Event::Moved { bridge, mac, from, to, .. } => {
                if sure_of_moves {
                    self.count_move(now, (bridge.0, mac))?;
                }
                self.note_move(bridge, mac, from, to)
            }
            Event::Duplicate { bridge, mac, .. } => {
                self.duplicates += 1;
                let shape = self.bridge(bridge.0).and_then(|book| book.duplicates);
                if shape.is_some_and(|shape| shape.action > 0) {
                    self.frozen.insert((bridge.0, mac));
                }
                Promise::DuplicatesStay.that(shape.is_some(), || format!("{mac} told as a duplicate"))
            }
            Event::DuplicateCleared { bridge, mac } => {
                self.frozen.remove(&(bridge.0, mac));
                self.moves.remove(&(bridge.0, mac));
                Ok(())
            }
            Event::Aged { bridge, mac, place } | Event::Evicted { bridge, mac, place } => {
                let before = self.learned.remove(&(bridge.0, mac));
                let same = before.is_some_and(|known| known.place == place);
                let kept =
                    before.is_some_and(|known| known.sticky) && matches!(event, Event::Evicted { .. }) && self.sure;
                Promise::PinsStay.that(!kept, || format!("sticky {mac} was evicted"))?;
                Promise::EventsTell.that(same || !self.sure, || format!("{event:?}, but it stood at {before:?}"))
            }
            _ => Ok(()),
        }
    }

    /// No more moves than are allowed, in one window and a second that begins in it.
    fn count_move(&mut self, now: u64, key: Key) -> Held {
        let Some(shape) = self.bridge(key.0).and_then(|book| book.duplicates).filter(|shape| shape.action > 0) else {
            return Ok(());
        };
        let frozen = self.frozen.contains(&key) && self.sure;
        Promise::DuplicatesStay.that(!frozen, || format!("{} moved, which is a duplicate", key.1))?;
        let moves = self.moves.entry(key).or_default();
        moves.push(now);
        moves.retain(|at| now - at < u64::from(shape.window) * 1000);
        let most = 2 * (usize::from(shape.moves) - 1);
        Promise::DuplicatesStay.that(moves.len() <= most, || format!("{} moved at {moves:?}, {shape:?}", key.1))
    }

    fn note_move(&mut self, bridge: BridgeId, mac: MacAddr, from: Place, to: Place) -> Held {
        let key = (bridge.0, mac);
        if let Some(pin) = self.pins.get_mut(&key) {
            let taken = matches!(to, Place::Port(_));
            Promise::PinsStay.that(pin.is_controlled() && (taken || self.data_moves_control), || {
                format!("{mac} of bridge {} moved to {to:?}, though {pin:?}", bridge.0)
            })?;
            if taken {
                // A local station takes its MAC over from the control plane.
                self.pins.remove(&key);
                self.learned.insert(key, Known { place: to, sticky: false });
            } else {
                pin.place = to;
            }
            return Ok(());
        }
        let before = self.learned.insert(key, Known { place: to, sticky: false });
        let stuck = before.is_some_and(|known| known.sticky) && self.sure;
        Promise::PinsStay.that(!stuck, || format!("sticky {mac} moved to {to:?}"))?;
        let same = before.is_some_and(|known| known.place == from);
        Promise::EventsTell
            .that(same || !self.sure, || format!("{mac} moved from {from:?}, but it stood at {before:?}"))
    }

    /// After events were lost: what a controller does then, it reads the table.
    pub fn resync(&mut self, engine: &Engine<'_>) {
        if self.sure {
            return;
        }
        self.learned.clear();
        for (bridge, mac, entry) in engine.fdb().filter(|(_, _, entry)| entry.owner() == Owner::Dynamic) {
            if let Some(place) = engine.place(entry.destination()) {
                self.learned.insert((bridge.0, mac), Known { place, sticky: entry.sticky() });
            }
        }
    }

    /// Pins are where they were put. Where events were lost, what may have moved is read anew.
    pub fn check_pins(&mut self, engine: &Engine<'_>) -> Held {
        let mut moved = Vec::new();
        for (&(bridge, mac), pin) in &self.pins {
            let entry = engine.lookup(BridgeId(bridge), mac);
            let found = entry.and_then(|entry| {
                Some(Pin { place: engine.place(entry.destination())?, owner: entry.owner(), sticky: entry.sticky() })
            });
            if found == Some(*pin) {
                continue;
            }
            let taken = found.is_none_or(|found| found.owner == Owner::Dynamic);
            let kept = found.is_some_and(|found| found.owner == pin.owner && self.data_moves_control);
            Promise::PinsStay.that(!self.sure && pin.is_controlled() && (taken || kept), || {
                format!("{mac} of bridge {bridge} was put at {pin:?} and is at {found:?}")
            })?;
            moved.push(((bridge, mac), found.filter(|_| kept)));
        }
        for (key, found) in moved {
            match found {
                Some(found) => self.pins.insert(key, found),
                None => self.pins.remove(&key),
            };
        }
        Ok(())
    }

    /// Packets in are the sum of the counters; and of one bridge's.
    pub fn check_counters(&self, engine: &Engine<'_>, bridge: Option<u16>) -> Held {
        let counters = engine.counters();
        let (packets, copies) = (counters.packets(), counters.copies());
        Promise::CountersSum
            .that(packets == self.steps, || format!("{} packets went in, {packets} were counted", self.steps))?;
        Promise::CountersSum
            .that(copies == self.copies, || format!("{} copies were made, {copies} were counted", self.copies))?;
        let Some((id, book)) = bridge.and_then(|id| Some((id, self.bridge(id)?))) else { return Ok(()) };
        let counted = engine.bridge_counters(BridgeId(id)).map_or(0, |counters| counters.packets());
        Promise::CountersSum.that(counted == book.packets, || {
            format!("{} packets went in for bridge {id}, {counted} were counted", book.packets)
        })
    }

    /// The whole table is what it should be.
    pub fn check_table(&mut self, engine: &Engine<'_>) -> Held {
        let (mut pins, mut dynamic) = (0, vec![0; self.bridges.len()]);
        for (bridge, mac, entry) in engine.fdb() {
            let what = || format!("{mac} of bridge {}: {entry:?}", bridge.0);
            let place = engine.place(entry.destination());
            let at_port = match place {
                Some(Place::Port(id)) => self.port(id).is_some_and(|port| port.bridge == bridge.0),
                Some(Place::Remote(remote)) => remote.address != self.address,
                Some(_) => true,
                None => false,
            };
            Promise::TenantsApart.that(at_port && self.bridge(bridge.0).is_some(), what)?;
            if entry.owner() != Owner::Dynamic {
                pins += 1;
                continue;
            }
            dynamic[usize::from(bridge.0)] += 1;
            let known = self.learned.get(&(bridge.0, mac));
            let told = known.is_some_and(|known| Some(known.place) == place && known.sticky == entry.sticky());
            Promise::EventsTell
                .that(told || !self.sure || !self.tracks, || format!("{} at {place:?}, told {known:?}", what()))?;
        }
        self.check_pins(engine)?;
        Promise::PinsStay.that(pins == self.pins.len(), || format!("{pins} pins instead of {}", self.pins.len()))?;
        for (book, dynamic) in self.bridges.iter_mut().zip(dynamic) {
            let Some(book) = book else { continue };
            let limit = book.limit.map_or(usize::MAX, |limit| limit as usize);
            Promise::Capacity.that(dynamic <= book.allowed.max(limit), || {
                format!("{dynamic} MACs of tenant {}, limit {limit}, {} before", book.tenant, book.allowed)
            })?;
            book.allowed = book.allowed.min(dynamic.max(limit));
        }
        let (table, endpoints) = (engine.table(), engine.endpoints());
        Promise::Capacity.that(table.len() <= table.capacity() && endpoints.len() <= endpoints.capacity(), || {
            format!("{} of {} MACs, {} endpoints", table.len(), table.capacity(), endpoints.len())
        })?;
        (0..self.bridges.len() as u16).try_for_each(|id| self.check_counters(engine, Some(id)))
    }
}
