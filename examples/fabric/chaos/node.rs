//! One VTEP: the engine, its clock, and what carries out its verdicts.

use core::net::IpAddr;
use core::slice;
use std::collections::BTreeSet;

use vtep::engine::{
    Command, CommandError, Config, Cursor, Done, Egress, Engine, Profile, RewriteError, Switches, Verdict,
};
use vtep::table::{BridgeConfig, Instant, PortId, UnderlayConfig, UnderlayId, UnderlayLink};
use vtep::wire::{Depth, MacAddr};

use super::books::Books;
use super::packet::LINK;
use super::scenario::{Micros, Scenario, VtepShape};
use super::tables::{Sizes, Tables};
use super::twin::{Twin, Way};
use super::violation::{Held, Promise, Violation};
use super::wires::Wires;

pub const UNDERLAY: UnderlayId = UnderlayId(0);
/// The next hop of all.
const ROUTER: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xfe]);

pub struct Node<'a> {
    pub number: usize,
    pub engine: Engine<'a>,
    pub books: Books,
    pub shape: VtepShape,
    pub running: bool,
    /// Whether ticks come.
    pub ticks: bool,
    /// Which of its addresses it has: its own number and a row.
    pub place: (usize, u8),
    /// Verdicts that wait to be carried out.
    pub held: Option<Vec<Waiting>>,
    /// Endpoints that commands have configured: of which tenant, and their address.
    pub configured: BTreeSet<(usize, IpAddr)>,
    /// How far its clock is ahead, milliseconds.
    pub ahead: i64,
    /// A second engine that takes the packets in batches.
    pub twin: Option<Twin<'a>>,
    memory: slice::IterMut<'a, Tables>,
    sizes: Sizes,
    seed: u64,
}

/// A verdict not yet carried out.
pub struct Waiting {
    pub verdict: Verdict,
    pub cursor: Cursor,
    pub input: Vec<u8>,
    pub frame: u32,
    pub from: From,
    pub intact: bool,
    /// The group it is from, where it came in, if that is known.
    pub group: Option<u32>,
}

/// Where a packet came from, as the simulator knows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum From {
    /// A port of that index and instance.
    Port(PortId, u32),
    Tunnel,
}

/// A frame that leaves a VTEP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leaving {
    Port(PortId, Vec<u8>),
    Underlay(Vec<u8>),
}

impl<'a> Node<'a> {
    pub fn new(
        number: usize,
        scenario: &Scenario,
        wires: &Wires,
        sizes: Sizes,
        memory: &'a mut [Tables],
    ) -> Result<Self, Violation> {
        let shape = scenario.shape.vteps[number].clone();
        let mut memory = memory.iter_mut();
        let place = (number, 0);
        let address = wires.address(place);
        let seed = scenario.seed ^ number as u64;
        let engine = engine(&shape, seed, &sizes, &mut memory)?;
        let twin = twin(&shape, seed, &sizes, &mut memory)?;
        let switches = profile(&shape).switches();
        let books = Books::new(address, sizes.bridges, sizes.ports, switches.contains(Switches::DATA_MOVES_CONTROL));
        let mut node = Self {
            number,
            engine,
            books,
            shape,
            running: true,
            ticks: true,
            place,
            held: None,
            configured: BTreeSet::new(),
            ahead: 0,
            twin,
            memory,
            sizes,
            seed,
        };
        node.set_underlay(0, address, wires)?;
        Ok(node)
    }

    /// Starts anew, with empty tables and that address.
    pub fn restart(&mut self, now: Micros, place: (usize, u8), wires: &Wires) -> Held {
        // Another boot, another key.
        self.seed = self.seed.wrapping_add(0x1_0000);
        self.engine = engine(&self.shape, self.seed, &self.sizes, &mut self.memory)?;
        self.twin = twin(&self.shape, self.seed, &self.sizes, &mut self.memory)?;
        let Books { bridges, ports, tracks, data_moves_control, .. } = &self.books;
        let mut fresh = Books::new(wires.address(place), bridges.len(), ports.len(), *data_moves_control);
        fresh.tracks = *tracks;
        self.books = fresh;
        (self.running, self.place, self.held) = (true, place, None);
        self.configured.clear();
        self.set_underlay(now, wires.address(place), wires)
    }

    fn set_underlay(&mut self, now: Micros, address: IpAddr, wires: &Wires) -> Held {
        let config = self.underlay(address, wires);
        self.must(now, &Command::SetUnderlay { id: UNDERLAY, config }).map(drop)
    }

    /// Another address of its own; refused where an endpoint has it.
    pub fn renumber(&mut self, now: Micros, place: (usize, u8), wires: &Wires) -> Held {
        let address = wires.address(place);
        let taken = self.engine.endpoints().iter().any(|(_, endpoint)| endpoint.address().address == address);
        let config = self.underlay(address, wires);
        let done = self.command(now, &Command::SetUnderlay { id: UNDERLAY, config })?;
        Promise::Obeys.that(done.is_ok() != taken, || format!("renumbered to {address}: {done:?}, taken: {taken}"))?;
        if done.is_ok() {
            (self.place, self.books.address) = (place, address);
        }
        Ok(())
    }

    fn underlay(&self, address: IpAddr, wires: &Wires) -> UnderlayConfig {
        let link = UnderlayLink {
            mac: MacAddr([2, 0, 0, 1, (self.number >> 8) as u8, self.number as u8]),
            vlan: None,
            gateway: Some(ROUTER),
        };
        UnderlayConfig {
            link: Some(link),
            mtu: wires.mtu,
            checksum_v6: !wires.zero_checksum,
            zero_checksum_v6: wires.zero_checksum,
            ..profile(&self.shape).underlay(address)
        }
    }

    pub fn profile(&self) -> Profile {
        profile(&self.shape)
    }

    /// A bridge as its profile has it.
    pub fn bridge_config(&self, wires: &Wires, tenant: usize) -> BridgeConfig {
        wires.bridge_config(self.profile(), tenant)
    }

    /// Its clock, which may have gone back.
    pub fn clock(&self, now: Micros) -> Instant {
        Instant::from_millis((self.shape.clock + now / 1000).saturating_add_signed(self.ahead))
    }

    /// Carries out a command that cannot be refused.
    pub fn must(&mut self, now: Micros, command: &Command) -> Result<Done, Violation> {
        let done = self.command(now, command)?;
        done.map_err(|error| Promise::Obeys.broken(format!("VTEP {} refused {command:?}: {error}", self.number)))
    }

    pub fn command(&mut self, now: Micros, command: &Command) -> Result<Result<Done, CommandError>, Violation> {
        self.catch_up()?;
        let clock = self.clock(now);
        let done = self.engine.command(clock, command);
        if let Some(twin) = &mut self.twin {
            let others = twin.engine.command(clock, command);
            Promise::BatchesAgree.that(others == done, || format!("{command:?}: {others:?}, not {done:?}"))?;
        }
        self.books.note_command();
        self.note()?;
        Ok(done)
    }

    /// Reads what the engine has to tell.
    pub fn note(&mut self) -> Held {
        self.books.note(&mut self.engine, self.twin.as_mut())
    }

    /// The second engine takes the packets that it has not seen.
    pub fn catch_up(&mut self) -> Held {
        self.twin.as_mut().map_or(Ok(()), |twin| twin.catch_up(&self.engine))
    }

    /// It has no second engine any more.
    pub fn forget_twin(&mut self) {
        self.shape.batches = false;
        self.twin = None;
    }

    /// One packet in.
    pub fn step(&mut self, now: Micros, way: Way, bytes: &[u8]) -> Result<Verdict, Violation> {
        let clock = self.clock(now);
        if self.twin.as_ref().is_some_and(|twin| twin.is_due(clock)) {
            self.catch_up()?;
        }
        self.books.steps += 1;
        let verdict = self.engine.step(clock, &way.input(bytes));
        if let Some(twin) = &mut self.twin {
            twin.wait(clock, way, bytes, verdict);
        }
        Ok(verdict)
    }

    /// How a packet from the underlay comes in, and what comes of its bytes.
    pub fn tunnel_way<'b>(&self, bytes: &'b [u8]) -> (Way, &'b [u8]) {
        if self.shape.packets { (Way::Packet, &bytes[LINK..]) } else { (Way::Frame, bytes) }
    }

    /// Carries out a verdict, or goes on with one; at most so many copies.
    pub fn carry_out(
        &mut self,
        waiting: &mut Waiting,
        most: usize,
        out: &mut [u8],
    ) -> Result<Vec<Leaving>, RewriteError> {
        let mut leaving = Vec::new();
        match &waiting.verdict {
            Verdict::Deliver(_) | Verdict::Encapsulate(_) => {
                leaving.push(write(&self.engine, &waiting.verdict, &waiting.input, out)?);
            }
            Verdict::Flood(flood) => {
                while leaving.len() < most {
                    let Some(copy) = self.engine.next_copy(flood, &mut waiting.cursor) else { break };
                    let copy = copy?;
                    self.books.copies += 1;
                    leaving.push(write(&self.engine, &copy, &waiting.input, out)?);
                }
            }
            _ => {}
        }
        Ok(leaving)
    }

    pub fn tick(&mut self, now: Micros) -> Held {
        self.catch_up()?;
        let clock = self.clock(now);
        self.engine.tick(clock);
        if let Some(twin) = &mut self.twin {
            twin.engine.tick(clock);
        }
        self.note()
    }

    /// Ticks, if the engine wants to.
    pub fn tick_if_due(&mut self, now: Micros) -> Held {
        let clock = self.clock(now);
        match self.engine.next_deadline() {
            Some(deadline) if deadline <= clock && self.ticks && self.running => self.tick(now),
            _ => Ok(()),
        }
    }

    /// The clock goes right again: not behind what the engine has seen.
    pub fn mend_clock(&mut self, now: Micros) {
        let (seen, right) = (self.engine.now().as_millis(), self.shape.clock + now / 1000);
        let least = 0_i64.saturating_add_unsigned(seen).saturating_sub_unsigned(right);
        self.ahead = self.ahead.max(least);
    }
}

fn write(engine: &Engine<'_>, verdict: &Verdict, input: &[u8], out: &mut [u8]) -> Result<Leaving, RewriteError> {
    let output = engine.rewrite_into(verdict, Depth::Ethernet, input, out)?;
    let bytes = out[output.bytes].to_vec();
    Ok(match output.to {
        Egress::Port(port) => Leaving::Port(port, bytes),
        Egress::Underlay(_) => Leaving::Underlay(bytes),
    })
}

fn profile(shape: &VtepShape) -> Profile {
    if shape.linux { Profile::Linux } else { Profile::Rfc }
}

fn engine<'a>(
    shape: &VtepShape,
    seed: u64,
    sizes: &Sizes,
    memory: &mut slice::IterMut<'a, Tables>,
) -> Result<Engine<'a>, Violation> {
    let tables = memory.next().ok_or_else(|| Promise::Obeys.broken("more restarts than memory was made for"))?;
    let config = Config { sweep: shape.sweep, ..Config::new(profile(shape), [seed, seed.rotate_left(32)]) };
    let (memory, labels) = tables.lend(sizes);
    Ok(Engine::new(memory, &config).with_labels(labels))
}

fn twin<'a>(
    shape: &VtepShape,
    seed: u64,
    sizes: &Sizes,
    memory: &mut slice::IterMut<'a, Tables>,
) -> Result<Option<Twin<'a>>, Violation> {
    if !shape.batches {
        return Ok(None);
    }
    // It tells a whole batch at once.
    let sizes = Sizes { events: 512, ..*sizes };
    engine(shape, seed, &sizes, memory).map(|engine| Some(Twin::new(engine, seed)))
}
