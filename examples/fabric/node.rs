//! One VTEP: an engine, its tables, and what carries out its verdicts.

use core::net::IpAddr;

use vtep::engine::{
    Command, Config, Egress, Engine, Event, Input, LabelStorage, Output, Profile, Remote, RewriteError, Storage,
    Verdict,
};
use vtep::table::{BridgeConfig, BridgeId, Instant, PortConfig, PortId, UnderlayConfig, UnderlayId, UnderlayLink};
use vtep::wire::{Depth, Label, MacAddr};

use crate::args::{Arguments, Flood, ROUTER, StoryKind, VNI};
use crate::groups;
use crate::world::Micros;

/// The memory of one VTEP: 2,048 MACs, 1 bridge, 32 ports, 64 endpoints, 32 places on flood lists, 128 events.
type Memory = Storage<512, 1, 32, 64, 32, 128>;

/// With it, what security groups need: 32 labels, 16 rules.
pub struct Tables {
    memory: Memory,
    labels: LabelStorage<32, 16, 0>,
}

impl Tables {
    pub const fn new() -> Self {
        Self { memory: Memory::new(), labels: LabelStorage::new() }
    }
}

/// The only bridge.
pub const BRIDGE: BridgeId = BridgeId(0);
/// The only underlay.
pub const UNDERLAY: UnderlayId = UnderlayId(0);
/// The largest frame an underlay with 1,500 bytes MTU carries.
const MAX_FRAME: usize = 1514;

pub struct Vtep<'a> {
    pub name: String,
    pub address: IpAddr,
    pub mac: MacAddr,
    pub engine: Engine<'a>,
    /// Calls of `step`, counted here to compare with the engine's counters.
    pub steps: u64,
}

/// A frame that leaves a VTEP.
pub enum Leaving {
    Port(PortId, Vec<u8>),
    Underlay(Vec<u8>),
}

impl<'a> Vtep<'a> {
    /// The VTEP with that number, from 0: with an underlay, a bridge and whom to flood to, and no ports yet.
    pub fn new(args: &Arguments, number: usize, tables: &'a mut Tables) -> Result<Self, String> {
        // A VTEP in the world takes its key from a random source; here one seed means one story.
        let key = [args.seed, args.seed.rotate_left(32) ^ number as u64];
        let mut vtep = Self {
            name: format!("vtep{}", number + 1),
            address: args.vtep_address(number),
            mac: args.vtep_mac(number),
            engine: Engine::new(tables.memory.memory(), &Config::new(Profile::Rfc, key))
                .with_labels(tables.labels.memory()),
            steps: 0,
        };
        let link = UnderlayLink { mac: vtep.mac, vlan: None, gateway: Some(ROUTER) };
        let config = UnderlayConfig { link: Some(link), ..UnderlayConfig::new(vtep.address) };
        vtep.command(0, &Command::SetUnderlay { id: UNDERLAY, config })?;
        let mut config = BridgeConfig::new(args.encapsulation(), VNI);
        if args.story == StoryKind::SecurityGroups {
            groups::guard(&mut config);
        }
        vtep.command(0, &Command::AddBridge { id: BRIDGE, config })?;
        let peers = match args.flood {
            Flood::Her => {
                (0..args.vteps()).filter(|peer| *peer != number).map(|peer| args.vtep_address(peer)).collect()
            }
            Flood::Multicast => vec![args.group()],
        };
        for peer in peers {
            vtep.command(0, &Command::FloodAdd { bridge: BRIDGE, remote: Remote::at(peer) })?;
        }
        Ok(vtep)
    }

    pub fn add_port(&mut self, now: Micros, id: PortId, label: Label) -> Result<(), String> {
        let class = (!label.is_none()).then_some(label.class());
        let config = PortConfig { group: label.group(), class, ..PortConfig::new(BRIDGE) };
        self.command(now, &Command::AddPort { id, config })
    }

    pub fn remove_port(&mut self, now: Micros, id: PortId) -> Result<(), String> {
        self.command(now, &Command::RemovePort { id })
    }

    pub fn command(&mut self, now: Micros, command: &Command) -> Result<(), String> {
        match self.engine.command(instant(now), command) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("{} refused {command:?}: {error}", self.name)),
        }
    }

    /// One packet in: the verdict, and all that leaves because of it.
    pub fn step(&mut self, now: Micros, input: &Input<'_>) -> Result<(Verdict, Vec<Leaving>), String> {
        self.steps += 1;
        let verdict = self.engine.step(instant(now), input);
        let mut leaving = Vec::new();
        match &verdict {
            Verdict::Deliver(_) | Verdict::Encapsulate(_) => leaving.push(self.carry_out(&verdict, input.bytes)?),
            Verdict::Flood(flood) => {
                let mut copies = self.engine.replicate(flood, Depth::Ethernet, input.bytes);
                // Old bytes everywhere: what is not set would show.
                let mut out = vec![0xa5; MAX_FRAME];
                while let Some(output) = copies.next_into(&mut out) {
                    leaving.push(left(&out, output.map_err(unwritten)?));
                    out.fill(0xa5);
                }
            }
            _ => {}
        }
        Ok((verdict, leaving))
    }

    fn carry_out(&self, verdict: &Verdict, input: &[u8]) -> Result<Leaving, String> {
        // Old bytes everywhere: what rewrite does not set would show.
        let mut out = vec![0xa5; MAX_FRAME];
        let output = self.engine.rewrite_into(verdict, Depth::Ethernet, input, &mut out).map_err(unwritten)?;
        Ok(left(&out, output))
    }

    /// When it wants to look for aged MACs next.
    pub fn next_tick(&self) -> Option<Micros> {
        self.engine.next_deadline().map(|at| at.as_millis().saturating_mul(1000))
    }

    pub fn tick(&mut self, now: Micros) {
        self.engine.tick(instant(now));
    }

    pub fn events(&mut self) -> Vec<Event> {
        core::iter::from_fn(|| self.engine.poll_event()).collect()
    }
}

fn left(written: &[u8], output: Output) -> Leaving {
    let bytes = written[output.bytes].to_vec();
    match output.to {
        Egress::Port(port) => Leaving::Port(port, bytes),
        Egress::Underlay { .. } => Leaving::Underlay(bytes),
    }
}

fn unwritten(error: RewriteError) -> String {
    format!("a verdict could not be carried out: {}", error.name())
}

/// Engines count milliseconds.
pub fn instant(time: Micros) -> Instant {
    Instant::from_millis(time / 1000)
}
