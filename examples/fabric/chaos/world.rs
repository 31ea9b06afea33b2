//! The world: VTEPs, hosts, what is between them, and time.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use vtep::engine::{Cursor, DropReason, RewriteError, Verdict, VerdictKind};
use vtep::table::PortId;
use vtep::wire::MacAddr;

use super::check::{self, Facts, Ingress, Record};
use super::frame::{self, Draft};
use super::network::{Flying, Happening, Network};
use super::node::{From, Leaving, Node, Waiting};
use super::packet::{self, LINK, Sums};
use super::random::Trace;
use super::sabotage::{self, Sabotage};
use super::scenario::{Body, Micros, Scenario, VtepShape};
use super::tables::{Sizes, Tables};
use super::tally::Tally;
use super::twin::Way;
use super::violation::{Held, Promise, Violation};
use super::wires::Wires;

/// Between a frame's arrival at a host and the answer.
const THINK: Micros = 15;
/// Between two looks at whether a VTEP wants to tick.
const TICK: Micros = 2000;
/// With more VTEPs than this, only those of a tenant are looked at for who has joined its group.
const MANY: usize = 64;
/// Room for any packet.
const ROOM: usize = 2048;
/// Verdicts that may wait at one VTEP.
const WAITING: usize = 24;

pub struct World<'a> {
    pub scenario: &'a Scenario,
    pub now: Micros,
    pub wires: Wires,
    pub nodes: Vec<Node<'a>>,
    pub hosts: Vec<Host>,
    /// The hosts at each VTEP, plugged in or not.
    pub residents: Vec<BTreeSet<usize>>,
    pub net: Network,
    pub trace: Trace,
    pub tally: Tally,
    pub sabotage: Option<Sabotage>,
    /// Every underlay packet, when it was sent; where that is asked for.
    pub captured: Option<Vec<(Micros, Vec<u8>)>>,
    pub(super) frames: BTreeMap<u32, Record>,
    pub(super) instances: u32,
    /// Where the frame sent last was handed to, in a calm network.
    pub(super) watched: Option<u32>,
    /// Whether nobody should say anything.
    pub(super) quiet: bool,
    ticked: Micros,
    /// Between two looks at whether a VTEP wants to tick.
    pub(super) tick_every: Micros,
    frame: u32,
    out: Vec<u8>,
    /// Who has which underlay address.
    addresses: BTreeMap<IpAddr, usize>,
}

pub struct Host {
    pub tenant: usize,
    pub number: u32,
    pub mac: MacAddr,
    /// The VTEP it is at.
    pub vtep: usize,
    /// The port it is behind, if it is plugged in.
    pub port: Option<PortId>,
    pub tag: Option<u16>,
    pub shares: bool,
    pub group: u32,
}

impl<'a> World<'a> {
    /// The world as it is in the beginning: bridges, ports, flood lists.
    pub fn new(scenario: &'a Scenario, arena: &'a mut [Vec<Tables>]) -> Result<Self, Violation> {
        let shape = &scenario.shape;
        let wires = Wires::new(shape);
        let mut nodes = Vec::new();
        for ((number, memory), sizes) in arena.iter_mut().enumerate().zip(sizes(scenario)) {
            nodes.push(Node::new(number, scenario, &wires, sizes, memory)?);
        }
        let hosts = shape.hosts.iter().map(|host| Host {
            tenant: usize::from(host.tenant),
            number: host.number,
            mac: frame::mac(host.number),
            vtep: usize::from(host.vtep) % nodes.len(),
            port: None,
            tag: host.tag,
            shares: host.shares,
            group: host.group,
        });
        let hosts: Vec<Host> = hosts.collect();
        let mut residents = vec![BTreeSet::new(); nodes.len()];
        for (number, host) in hosts.iter().enumerate() {
            residents[host.vtep].insert(number);
        }
        let mut world = Self {
            scenario,
            now: 0,
            wires,
            nodes,
            hosts,
            residents,
            net: Network::new(scenario.seed),
            trace: Trace::START,
            tally: Tally::default(),
            sabotage: None,
            captured: None,
            frames: BTreeMap::new(),
            instances: 0,
            watched: None,
            quiet: false,
            ticked: 0,
            tick_every: TICK,
            frame: 0,
            out: vec![0xa5; ROOM],
            addresses: BTreeMap::new(),
        };
        world.note_addresses();
        (0..world.nodes.len()).try_for_each(|vtep| world.set_up(vtep))?;
        Ok(world)
    }

    /// Time passes: packets arrive, hosts answer.
    pub fn pass(&mut self, until: Micros) -> Held {
        while let Some((at, happening)) = self.net.next(until) {
            self.now = self.now.max(at);
            match happening {
                Happening::Arrives(flying) => self.arrive(flying)?,
                Happening::Answers { host, draft } => self.send(host, draft)?,
            }
        }
        self.now = self.now.max(until);
        if self.now < self.ticked + self.tick_every {
            return Ok(());
        }
        self.ticked = self.now;
        (0..self.nodes.len()).try_for_each(|vtep| {
            self.nodes[vtep].tick_if_due(self.now)?;
            sabotage::after_tick(self, vtep)
        })
    }

    /// A host sends a frame, if it is plugged in.
    pub fn send(&mut self, host: usize, mut draft: Draft) -> Held {
        let Host { vtep, port: Some(port), tag, tenant, .. } = self.hosts[host] else { return Ok(()) };
        let node = &mut self.nodes[vtep];
        let Some(book) = node.books.port(port).filter(|_| node.running) else { return Ok(()) };
        let (instance, bridge, group) = (book.instance, book.bridge, book.group);
        self.frame += 1;
        draft.id = self.frame;
        draft.port_tag = tag;
        let bytes = draft.bytes();
        let ingress = Ingress { vtep, port, instance, address: node.books.address };
        let record = Record {
            tenant: Some(tenant),
            ingress: Some(ingress),
            group,
            bytes: bytes.clone(),
            draft: Some(draft),
            sent: Vec::new(),
            delivered: Vec::new(),
            arrived: Vec::new(),
            open: 1,
        };
        self.frames.insert(self.frame, record);
        self.tally.frames += 1;
        let verdict = node.step(self.now, Way::Port(port), &bytes)?;
        let waiting = Waiting {
            verdict,
            cursor: Cursor::new(),
            input: bytes,
            frame: self.frame,
            from: From::Port(port, instance),
            intact: true,
            group: Some(group),
        };
        self.stepped(vtep, Some(bridge), waiting)
    }

    fn arrive(&mut self, flying: Flying) -> Held {
        let Flying { to, address, frame, cause, bytes, seen, damaged } = flying;
        self.net.because_of(cause);
        let node = &mut self.nodes[to];
        if !node.running {
            return self.close(frame);
        }
        self.tally.arrivals += 1;
        self.tally.damaged += u64::from(damaged);
        // Whoever has the address now gets what was sent to it; and then it was not meant.
        let intact = !damaged && (address.is_multicast() || address == node.books.address);
        if let Some(record) = self.frames.get_mut(&frame) {
            record.arrived.push(to);
        }
        let sound = seen.is_some_and(|packet| packet.sums != Sums::Bad);
        let before = (!sound).then(|| table_state(node, self.now));
        let (way, input) = node.tunnel_way(&bytes);
        let verdict = node.step(self.now, way, input)?;
        check::arrival(seen.as_ref(), &verdict)?;
        if let Some(before) = before {
            let after = table_state(node, self.now);
            Promise::DamageDropped
                .that(before == after, || format!("a damaged packet changed a table of VTEP {to}"))?;
        }
        let bytes = if node.shape.packets { bytes[LINK..].to_vec() } else { bytes };
        let tenant = seen.and_then(|packet| self.wires.tenant_of(&packet));
        let bridge = tenant.and_then(|tenant| node.books.bridge_of(tenant));
        let group = seen.filter(|packet| !packet.applied).map(|packet| packet.group);
        let from = From::Tunnel;
        let waiting = Waiting { verdict, cursor: Cursor::new(), input: bytes, frame, from, intact, group };
        self.stepped(to, bridge, waiting)
    }

    /// After a step: what it counts for, what it told, and what becomes of the verdict.
    fn stepped(&mut self, vtep: usize, bridge: Option<u16>, mut waiting: Waiting) -> Held {
        let verdict = waiting.verdict;
        self.trace.add((vtep as u64) << 8 | u64::from(verdict.code()));
        self.tally.steps += 1;
        self.tally.flooded += u64::from(verdict.kind() == VerdictKind::Flood);
        self.tally.dropped += u64::from(verdict.kind() == VerdictKind::Drop);
        match verdict {
            Verdict::Drop(
                DropReason::PolicyDenied | DropReason::SourceGroupMissing | DropReason::DestinationGroupMissing,
            ) => self.tally.denied += 1,
            Verdict::Drop(DropReason::StormControl) => self.tally.held_back += 1,
            _ => {}
        }
        sabotage::after_step(self, vtep)?;
        let node = &mut self.nodes[vtep];
        let bridge = bridge.filter(|_| check::has_bridge(&verdict));
        Promise::CountersSum.that(bridge.is_some() || !check::has_bridge(&verdict), || {
            format!("{verdict:?} at VTEP {vtep} for a bridge that is not there")
        })?;
        if let Some(book) = bridge.and_then(|bridge| node.books.bridges[usize::from(bridge)].as_mut()) {
            book.packets += 1;
        }
        if let Some(book) = bridge.and_then(|bridge| node.books.bridges[usize::from(bridge)].as_mut()) {
            let dst = destination(&waiting, node.shape.packets);
            if let (Some(storm), Some(dst)) = (&mut book.storm, dst) {
                storm.note(node.engine.now().as_millis(), dst, &verdict)?;
            }
        }
        node.note()?;
        node.books.check_counters(&node.engine, bridge)?;
        node.books.check_pins(&node.engine)?;
        let tenant = bridge.and_then(|bridge| node.books.bridge(bridge)).map(|book| book.tenant);
        if let Some(held) = &mut node.held {
            if held.len() >= WAITING {
                return self.close(waiting.frame);
            }
            // Half of it now, the rest later.
            let most = self.net.draw().index(4);
            let frame = waiting.frame;
            if most > 0 {
                self.carry_out(vtep, tenant, &mut waiting, most)?;
            }
            if matches!(verdict, Verdict::Flood(_)) || most == 0 {
                if let Some(held) = &mut self.nodes[vtep].held {
                    held.push(waiting);
                    return Ok(());
                }
            }
            return self.close(frame);
        }
        self.carry_out(vtep, tenant, &mut waiting, usize::MAX)?;
        self.close(waiting.frame)
    }

    /// What waited is carried out; what a command has made stale is not.
    pub fn release(&mut self, vtep: usize) -> Held {
        for mut waiting in self.nodes[vtep].held.take().into_iter().flatten() {
            // Whose it is now does not matter: whose it was does.
            let tenant = self.frames.get(&waiting.frame).and_then(|record| record.tenant);
            if waiting.intact && tenant.is_some() {
                self.carry_out(vtep, tenant, &mut waiting, usize::MAX)?;
            }
            self.close(waiting.frame)?;
        }
        Ok(())
    }

    fn carry_out(&mut self, vtep: usize, tenant: Option<usize>, waiting: &mut Waiting, most: usize) -> Held {
        let leaving = self.nodes[vtep].carry_out(waiting, most, &mut self.out);
        let mut leaving = match leaving {
            Ok(leaving) => leaving,
            Err(RewriteError::StaleHandle) => {
                self.tally.stale += 1;
                return Ok(());
            }
            Err(error) => return Err(Promise::Obeys.broken(format!("{:?}: {}", waiting.verdict, error.name()))),
        };
        sabotage::before_leaving(self, vtep, waiting, &mut leaving)?;
        let Some(record) = self.frames.get(&waiting.frame) else { return Ok(()) };
        let facts = Facts {
            vtep,
            books: &self.nodes[vtep].books,
            wires: &self.wires,
            record,
            from: waiting.from,
            tenant,
            intact: waiting.intact,
            group: waiting.group,
        };
        check::leaving(&facts, &leaving)?;
        for leaving in leaving {
            match leaving {
                Leaving::Port(port, bytes) => self.deliver(vtep, port, waiting, &bytes),
                Leaving::Underlay(bytes) => self.transmit(vtep, waiting.frame, bytes),
            }
        }
        Ok(())
    }

    fn deliver(&mut self, vtep: usize, port: PortId, waiting: &Waiting, bytes: &[u8]) {
        self.trace.add(u64::from(port.0));
        self.trace.add_bytes(bytes);
        self.tally.delivered += 1;
        let Some(book) = self.nodes[vtep].books.port(port) else { return };
        let Some(record) = self.frames.get_mut(&waiting.frame) else { return };
        if waiting.intact {
            record.delivered.push((vtep, book.instance));
        }
        let Some(draft) = record.draft.filter(|_| waiting.intact) else { return };
        let Body::Ask(wanted) = draft.body else { return };
        let asked = |host: &&usize| **host == wanted as usize && draft.src.is_station();
        if let Some(&host) = book.hosts.iter().find(asked) {
            let Host { mac, number, .. } = self.hosts[host];
            let draft =
                Draft { dst: draft.src, src: mac, body: Body::V4(0), numbers: (number, draft.numbers.0), ..draft };
            self.net.schedule(self.now + THINK, Happening::Answers { host, draft });
        }
    }

    fn transmit(&mut self, vtep: usize, frame: u32, bytes: Vec<u8>) {
        self.trace.add_bytes(&bytes);
        self.tally.underlay += 1;
        if let Some(captured) = &mut self.captured {
            captured.push((self.now, bytes.clone()));
        }
        let seen = packet::read(&bytes[LINK..]);
        let Some(packet) = seen else { return };
        let receivers = self.receivers(vtep, packet.dst);
        let cause = self.net.cause();
        let mut flying = Flying { to: 0, address: packet.dst, frame, cause, bytes, seen, damaged: false };
        let mut open = 0;
        for to in receivers {
            flying.to = to;
            open += self.net.send(self.now, Some(vtep), &flying);
        }
        if let Some(record) = self.frames.get_mut(&frame) {
            record.sent.push(packet.dst);
            record.open += open;
        }
    }

    /// Who gets what is sent to an address.
    fn receivers(&self, from: usize, address: IpAddr) -> Vec<usize> {
        let shape = &self.scenario.shape;
        if !address.is_multicast() {
            return self.addresses.get(&address).copied().into_iter().collect();
        }
        let joined = |vtep: &usize| {
            let mut bridges = self.nodes[*vtep].books.bridges.iter().flatten();
            shape.spills || bridges.any(|bridge| bridge.list.contains(&address))
        };
        let in_reach = |vtep: &usize| *vtep != from || shape.loops;
        if self.nodes.len() <= MANY {
            return (0..self.nodes.len()).filter(in_reach).filter(joined).collect();
        }
        // Only the VTEPs of the tenant whose group it is.
        let of_group = |tenant: &usize| self.wires.tenants[*tenant].multicast && self.wires.group(*tenant) == address;
        let Some(tenant) = (0..self.wires.tenants.len()).find(of_group) else { return Vec::new() };
        self.wires.vteps(tenant, self.nodes.len()).filter(in_reach).collect()
    }

    /// After a VTEP's address has changed.
    pub fn note_addresses(&mut self) {
        self.addresses = self.nodes.iter().map(|node| (node.books.address, node.number)).collect();
    }

    /// Something from nowhere goes to a VTEP.
    pub fn inject(&mut self, to: usize, bytes: Vec<u8>) {
        self.frame += 1;
        let record = Record {
            tenant: None,
            ingress: None,
            group: 0,
            bytes: bytes.clone(),
            draft: None,
            sent: Vec::new(),
            delivered: Vec::new(),
            arrived: Vec::new(),
            open: 0,
        };
        let seen = packet::read(&bytes[LINK..]);
        let address = seen.map_or(self.nodes[to].books.address, |packet| packet.dst);
        let cause = self.net.cause();
        let flying = Flying { to, address, frame: self.frame, cause, bytes, seen, damaged: true };
        let open = self.net.send(self.now, None, &flying);
        self.frames.insert(self.frame, Record { open, ..record });
    }

    /// One copy or verdict less; a frame of which nothing is left is forgotten.
    pub(super) fn close(&mut self, frame: u32) -> Held {
        if let Some(record) = self.frames.get_mut(&frame) {
            record.open = record.open.saturating_sub(1);
            if record.open == 0 && self.watched != Some(frame) {
                self.frames.remove(&frame);
            }
        }
        Ok(())
    }

    /// The number of the next frame that a host sends.
    pub fn next_frame(&self) -> u32 {
        self.frame + 1
    }
}

/// The destination of the frame in a packet.
fn destination(waiting: &Waiting, packets: bool) -> Option<MacAddr> {
    let start = match waiting.from {
        From::Port(..) => 0,
        From::Tunnel => {
            let link = if packets { 0 } else { LINK };
            link + packet::read(waiting.input.get(link..)?)?.inner
        }
    };
    waiting.input.get(start..)?.first_chunk().copied().map(MacAddr)
}

/// What a damaged packet must leave as it is.
fn table_state(node: &Node<'_>, now: Micros) -> (usize, u64) {
    let clock = node.clock(now).max(node.engine.now());
    let mut hash = Trace::START;
    if !node.books.tracks {
        // Too much to be looked through for each packet.
        return (node.engine.endpoints().len(), node.engine.table().len() as u64);
    }
    for (bridge, mac, entry) in node.engine.table().iter(clock) {
        hash.add(u64::from(bridge.0) << 48 | mac.to_u64());
        hash.add_bytes(format!("{:?}", entry.destination()).as_bytes());
        hash.add(entry.age().as_millis());
    }
    (node.engine.endpoints().len(), hash.hash())
}

/// How much memory each VTEP needs for its share of a scenario.
pub fn sizes(scenario: &Scenario) -> Vec<Sizes> {
    let shape = &scenario.shape;
    let count = shape.vteps.len();
    let (mut bridges, mut members, mut hosts) = (vec![1; count], vec![0; count], vec![0; count]);
    for tenant in &shape.tenants {
        let all = if tenant.vteps.is_empty() { count } else { tenant.vteps.len() };
        for vtep in 0..all {
            let vtep = tenant.vteps.get(vtep).map_or(vtep, |vtep| usize::from(*vtep));
            bridges[vtep] += 1;
            members[vtep] += if tenant.multicast { 4 } else { all + 4 };
        }
    }
    for host in &shape.hosts {
        hosts[usize::from(host.vtep)] += 1;
    }
    let few = shape.hosts.len() <= 64;
    let size = |vtep: usize| {
        let VtepShape { buckets, endpoints, events, labels, .. } = shape.vteps[vtep];
        let policy = shape.tenants.iter().any(|tenant| tenant.policy.is_some());
        // One for each entry, and some of which no entry is left.
        let labels = if policy && labels { 4 * buckets + 64 } else { 0 };
        // All pairs of three groups and of any.
        let rules = if policy { 16 * bridges[vtep] } else { 0 };
        let moves = if shape.tenants.iter().any(|tenant| tenant.duplicates.is_some()) { 16 } else { 0 };
        // Room for all hosts that might come, where there are few.
        let ports = if few { shape.hosts.len() + 2 } else { hosts[vtep] + hosts[vtep] / 8 + 8 };
        Sizes {
            buckets,
            bridges: bridges[vtep],
            ports,
            endpoints,
            members: members[vtep],
            events,
            labels,
            rules,
            moves,
        }
    };
    (0..count).map(size).collect()
}
