//! The engine between two cards: a frame comes in, a verdict comes out, the frame goes on.

use core::net::{IpAddr, Ipv4Addr};

use vtep::engine::{
    Command, CommandError, Cursor, Egress, Engine, Event, Flood, Input, Place, Profile, Punt, PuntReason, Remote,
    Storage, Verdict,
};
use vtep::table::{
    Ageing, BridgeConfig, BridgeId, EndpointAddress, EndpointConfig, Instant, PortConfig, PortId, UnderlayConfig,
    UnderlayId, UnderlayLink,
};
use vtep::wire::{Depth, MacAddr};

use crate::buffer::{Frame, Owned, Pool};
use crate::config::Config;
use crate::host::Host;
use crate::neighbour::{Neighbours, REQUEST_LEN};
use crate::nic::Nic;

/// 256 buckets of four MACs, one bridge, one port, 64 remote VTEPs, 16 places on flood lists, 64 events: 46 KiB.
pub type Tables = Storage<256, 1, 1, 64, 16, 64>;

/// The tenant's network, port and underlay: one of each.
pub const BRIDGE: BridgeId = BridgeId(0);
const TENANT: PortId = PortId(0);
const UNDERLAY: UnderlayId = UnderlayId(0);

/// Frames taken from one card before the other has its turn.
const BURST: usize = 32;

/// All of it.
pub struct Gateway {
    pub engine: Engine<'static>,
    pub tenant: &'static mut Nic,
    pub underlay: &'static mut Nic,
    pub pool: Pool,
    config: Config,
    host: Host,
    neighbours: Neighbours,
}

impl Gateway {
    /// Sets the engine up as the command line says.
    pub fn new(
        now: Instant,
        tables: &'static mut Tables,
        config: Config,
        seed: [u64; 2],
        (tenant, underlay): (&'static mut Nic, &'static mut Nic),
        pool: Pool,
    ) -> Result<Self, CommandError> {
        let mut engine = Engine::new(tables.memory(), &vtep::engine::Config::new(Profile::Rfc, seed));
        let mac = underlay.mac();
        let link = UnderlayLink { mac, vlan: None, gateway: None };
        let bridge = BridgeConfig {
            ageing: Ageing::After(config.ageing),
            ..BridgeConfig::new(config.encapsulation, config.vni)
        };
        let underlay_config = UnderlayConfig { link: Some(link), ..UnderlayConfig::new(config.local.into()) };
        engine.command(now, &Command::SetUnderlay { id: UNDERLAY, config: underlay_config })?;
        engine.command(now, &Command::AddBridge { id: BRIDGE, config: bridge })?;
        engine.command(now, &Command::AddPort { id: TENANT, config: PortConfig::new(BRIDGE) })?;
        let mut neighbours = Neighbours::default();
        for remote in &config.remotes {
            let remote = IpAddr::V4(*remote);
            engine.command(now, &Command::FloodAdd { bridge: BRIDGE, remote: Remote::at(remote) })?;
        }
        for remote in &config.remotes {
            if let Some(next_hop) = config.next_hop(*remote) {
                neighbours.want(next_hop);
            }
        }
        let host = Host::new(now, mac, config.local, config.prefix, config.gateway);
        Ok(Self { engine, tenant, underlay, pool, config, host, neighbours })
    }

    /// One turn: frames from both cards, what has aged, questions that are due. Whether there was a frame.
    pub fn turn(&mut self, now: Instant) -> bool {
        let mut busy = false;
        self.tenant.reclaim(&mut self.pool);
        self.underlay.reclaim(&mut self.pool);
        for _ in 0..BURST {
            let Some(frame) = self.tenant.receive(&mut self.pool) else { break };
            busy = true;
            let verdict = self.engine.step(now, &Input::from_port(TENANT, frame.frame()));
            self.carry_out(&verdict, frame);
        }
        for _ in 0..BURST {
            let Some(frame) = self.underlay.receive(&mut self.pool) else { break };
            busy = true;
            let verdict = self.engine.step(now, &Input::from_underlay(UNDERLAY, frame.frame()));
            if matches!(verdict, Verdict::Punt(Punt { reason: PuntReason::NotTunnel, .. })) {
                self.for_host(now, frame);
            } else {
                self.carry_out(&verdict, frame);
            }
        }
        if self.engine.next_deadline().is_some_and(|at| at <= now) {
            self.engine.tick(now);
        }
        self.ask(now);
        while let Some(answer) = self.host.transmit() {
            self.send(Egress::Underlay(UNDERLAY), answer);
        }
        busy
    }

    /// Lets both cards raise their interrupts anew.
    pub fn acknowledge(&mut self) {
        self.tenant.acknowledge();
        self.underlay.acknowledge();
    }

    /// The next event. A remote that has just been met gets its next hop looked up.
    pub fn event(&mut self) -> Option<Event> {
        let event = self.engine.poll_event()?;
        if let Event::Learned { place: Place::Remote(remote), .. } | Event::Moved { to: Place::Remote(remote), .. } =
            event
            && let IpAddr::V4(address) = remote.address
            && let Some(next_hop) = self.config.next_hop(address)
        {
            self.neighbours.want(next_hop);
            if let Some(mac) = self.neighbours.mac(next_hop) {
                self.set_next_hop(self.engine.now(), next_hop, mac);
            }
        }
        Some(event)
    }

    /// Forwards a frame, or forgets it.
    fn carry_out(&mut self, verdict: &Verdict, frame: Owned) {
        match verdict {
            Verdict::Flood(flood) => {
                self.flood(flood, frame);
                self.pool.put(frame);
            }
            Verdict::Deliver(_) | Verdict::Encapsulate(_) => {
                let range = frame.range();
                match self.engine.rewrite(verdict, Depth::Ethernet, frame.buffer(), range) {
                    Ok(output) => {
                        frame.set_range(output.bytes);
                        self.send(output.to, frame);
                    }
                    // Counted by the engine.
                    Err(_) => self.pool.put(frame),
                }
            }
            _ => self.pool.put(frame),
        }
    }

    /// Sends the copies of a frame, each in a frame of its own.
    fn flood(&mut self, flood: &Flood, frame: &Frame) {
        let mut cursor = Cursor::new();
        while let Some(Ok(copy)) = self.engine.next_copy(flood, &mut cursor) {
            let Some(room) = self.pool.take() else { return };
            let out = room.fresh(usize::MAX);
            match self.engine.rewrite_into(&copy, Depth::Ethernet, frame.frame(), out) {
                Ok(output) => {
                    let start = room.range().start;
                    room.set_range(start + output.bytes.start..start + output.bytes.end);
                    self.send(output.to, room);
                }
                Err(_) => self.pool.put(room),
            }
        }
    }

    /// A frame from the underlay that is no tunnel packet.
    fn for_host(&mut self, now: Instant, frame: Owned) {
        if let Some((address, mac)) = self.neighbours.hear(frame.frame()) {
            self.set_next_hop(now, address, mac);
        }
        self.host.receive(now, frame, &mut self.pool);
        self.pool.put(frame);
    }

    fn send(&mut self, to: Egress, frame: Owned) {
        let card = match to {
            Egress::Port(_) => &mut *self.tenant,
            Egress::Underlay(_) => &mut *self.underlay,
        };
        if let Err(frame) = card.send(frame) {
            self.pool.put(frame);
        }
    }

    /// Sends the ARP requests that are due.
    fn ask(&mut self, now: Instant) {
        let mut request = [0; REQUEST_LEN];
        while self.neighbours.ask(now, self.underlay.mac(), self.config.local, &mut request) {
            let Some(frame) = self.pool.take() else { return };
            frame.fresh(REQUEST_LEN).copy_from_slice(&request);
            self.send(Egress::Underlay(UNDERLAY), frame);
        }
    }

    /// Tells the engine the MAC address of a next hop: all endpoints behind it get it into their headers.
    fn set_next_hop(&mut self, now: Instant, next_hop: Ipv4Addr, mac: MacAddr) {
        let mut at: Option<u16> = None;
        // One by one: changing an endpoint ends the walk.
        loop {
            let found = self.engine.endpoints().iter().find(|(id, endpoint)| {
                let IpAddr::V4(address) = endpoint.address().address else { return false };
                at.is_none_or(|at| id.0 > at) && self.config.next_hop(address) == Some(next_hop)
            });
            let Some((id, endpoint)) = found else { return };
            at = Some(id.0);
            let address: EndpointAddress = *endpoint.address();
            let config = EndpointConfig { next_hop: Some(mac), ..*endpoint.config() };
            if endpoint.config().next_hop != Some(mac) {
                // It is there: this cannot fail.
                let _ = self.engine.command(now, &Command::SetEndpoint { address, config });
            }
        }
    }
}
