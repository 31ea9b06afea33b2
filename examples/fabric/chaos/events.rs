//! What a scenario's events do.

use vtep::table::Ageing;
use vtep::wire::MacAddr;

use super::actions::{ageing, flood_switches};
use super::forge;
use super::frame::{self, Draft};
use super::generate::NOBODY;
use super::random::Random;
use super::scenario::{Body, Event, Member, Source, Spot, To, What};
use super::violation::Held;
use super::world::World;

impl World<'_> {
    /// Carries out an event, at its time.
    ///
    /// # Errors
    /// A promise that is broken by it, or was on the way to it.
    pub fn happen(&mut self, event: &Event) -> Held {
        self.pass(event.at.max(self.now))?;
        self.net.because_of(u64::from(event.id) + 1);
        self.apply(event)?;
        // One after the other, the VTEPs' whole tables are looked at.
        let turn = event.id as usize % self.nodes.len();
        let node = &mut self.nodes[turn];
        node.books.check_table(&node.engine)
    }

    fn vtep(&self, number: u16) -> usize {
        usize::from(number) % self.nodes.len()
    }

    fn host(&self, number: u32) -> usize {
        number as usize % self.hosts.len()
    }

    fn apply(&mut self, event: &Event) -> Held {
        match event.what {
            What::Send { host, to, from, body, size } => {
                let draft = self.draft(self.host(host), to, from, body, size);
                self.send(self.host(host), draft)
            }
            What::MacFlood { host, count, salt } => (0..u32::from(count)).try_for_each(|n| {
                let source = Source::Nobody(salt + n);
                let draft = self.draft(self.host(host), To::Everyone, source, Body::Other, 60);
                self.send(self.host(host), draft)
            }),
            What::Move { host, vtep, clean, announce } => {
                let host = self.host(host);
                self.unplug(host, clean)?;
                self.move_to(host, self.vtep(vtep));
                self.plug(host)?;
                if announce { self.announce(host) } else { Ok(()) }
            }
            What::Clone { host, of } => {
                let (host, of) = (self.host(host), self.host(of));
                self.hosts[host].mac = self.hosts[of].mac;
                Ok(())
            }
            What::Unplug { host } => self.unplug(self.host(host), true),
            What::Plug { host } => self.plug(self.host(host)),
            What::Restart { .. }
            | What::Swap { .. }
            | What::Renumber { .. }
            | What::Stop { .. }
            | What::Start { .. }
            | What::Reconcile { .. }
            | What::Clock { .. }
            | What::Ticks { .. }
            | What::Hold { .. } => self.apply_to_vtep(&event.what),
            What::Partition { ref sides } => {
                self.net.sides.clone_from(sides);
                Ok(())
            }
            What::Weather(weather) => {
                self.net.weather = weather;
                Ok(())
            }
            What::Rogue { vtep, tenant, from, number, odd } => {
                let (vtep, tenant) = (self.vtep(vtep), usize::from(tenant));
                let Some(src) = self.member(vtep, tenant, from).filter(|_| from != Member::Group) else {
                    return Ok(());
                };
                let bytes = forge::packet(&self.wires, tenant, src, self.nodes[vtep].books.address, number, odd);
                self.inject(vtep, bytes);
                Ok(())
            }
            What::Rule { vtep, tenant, rule, remove } => {
                let tenant = usize::from(tenant) % self.wires.tenants.len();
                self.tally.commands += 1;
                self.set_rule(self.vtep(vtep), tenant, rule, remove)
            }
            What::Heal { wait } => self.heal(wait),
            ref command => self.apply_command(command),
        }
    }

    fn apply_to_vtep(&mut self, what: &What) -> Held {
        match *what {
            What::Restart { vtep, address } => {
                let vtep = self.vtep(vtep);
                self.restart(vtep, (self.nodes[vtep].place.0, address))
            }
            What::Swap { a, b } => {
                let (a, b) = (self.vtep(a), self.vtep(b));
                let (at_a, at_b) = (self.nodes[a].place, self.nodes[b].place);
                self.restart(a, at_b)?;
                if a == b { Ok(()) } else { self.restart(b, at_a) }
            }
            What::Renumber { vtep, address } => {
                let vtep = self.vtep(vtep);
                let place = (self.nodes[vtep].place.0, address);
                self.nodes[vtep].renumber(self.now, place, &self.wires)?;
                self.note_addresses();
                Ok(())
            }
            What::Stop { vtep } => {
                let vtep = self.vtep(vtep);
                self.nodes[vtep].running = false;
                Ok(())
            }
            What::Start { vtep } => {
                let vtep = self.vtep(vtep);
                self.nodes[vtep].running = true;
                Ok(())
            }
            What::Reconcile { vtep } => self.reconcile(self.vtep(vtep)).map(drop),
            What::Clock { vtep, by } => {
                let vtep = self.vtep(vtep);
                let node = &mut self.nodes[vtep];
                node.ahead = node.ahead.saturating_add(by);
                Ok(())
            }
            What::Ticks { vtep, on } => {
                let vtep = self.vtep(vtep);
                self.nodes[vtep].ticks = on;
                Ok(())
            }
            What::Hold { vtep, on: true } => {
                let vtep = self.vtep(vtep);
                self.nodes[vtep].held.get_or_insert_default();
                Ok(())
            }
            What::Hold { vtep, on: false } => self.release(self.vtep(vtep)),
            _ => Ok(()),
        }
    }

    fn apply_command(&mut self, what: &What) -> Held {
        self.tally.commands += 1;
        match *what {
            What::FloodAdd { vtep, tenant, member } => {
                let (vtep, tenant) = (self.vtep(vtep), usize::from(tenant));
                let Some(address) = self.member(vtep, tenant, member) else { return Ok(()) };
                self.flood_add(vtep, tenant, address).map(drop)
            }
            What::FloodRemove { vtep, tenant, member } => {
                let (vtep, tenant) = (self.vtep(vtep), usize::from(tenant));
                let Some(address) = self.member(vtep, tenant, member) else { return Ok(()) };
                self.flood_remove(vtep, tenant, address)
            }
            What::Pin { vtep, tenant, number, place, owner, sticky, replace } => {
                let entry = super::actions::Entry { number, spot: place, owner, sticky };
                self.pin(self.vtep(vtep), usize::from(tenant), entry, replace)
            }
            What::Unpin { vtep, nth } => self.unpin(self.vtep(vtep), usize::from(nth)),
            What::Learn { vtep, tenant, number, place } => {
                if matches!(place, Spot::Here | Spot::Blackhole) {
                    return Ok(());
                }
                self.learn(self.vtep(vtep), usize::from(tenant), number, place)
            }
            What::RemoveBridge { vtep, tenant } => self.remove_bridge(self.vtep(vtep), usize::from(tenant)),
            What::AddBridge { vtep, tenant, nth } => {
                self.add_bridge(self.vtep(vtep), usize::from(tenant), usize::from(nth))
            }
            What::SetBridge { vtep, tenant, limit, ageing: changed, flood } => {
                self.set_bridge(self.vtep(vtep), usize::from(tenant), |config| {
                    config.max_macs = limit;
                    config.ageing = ageing(config.ageing, changed);
                    config.flood = flood_switches(flood);
                })
            }
            What::Flush { vtep, flush, times } => (0..times).try_for_each(|_| self.flush(self.vtep(vtep), flush)),
            What::SetEndpoint { vtep, tenant, member, limit } => {
                let (vtep, tenant) = (self.vtep(vtep), usize::from(tenant));
                let Some(address) = self.member(vtep, tenant, member) else { return Ok(()) };
                self.set_endpoint(vtep, tenant, address, limit)
            }
            What::RemoveEndpoint { vtep, tenant, member } => {
                let (vtep, tenant) = (self.vtep(vtep), usize::from(tenant));
                let Some(address) = self.member(vtep, tenant, member) else { return Ok(()) };
                self.remove_endpoint(vtep, tenant, address)
            }
            _ => Ok(()),
        }
    }

    /// What a host is told to send.
    fn draft(&self, host: usize, to: To, from: Source, body: Body, size: u16) -> Draft {
        let sender = &self.hosts[host];
        let target = match to {
            To::Host(number) => self.hosts[self.host(number)].number,
            _ => 0,
        };
        let dst = match to {
            To::Host(number) => self.hosts[self.host(number)].mac,
            To::Everyone => MacAddr::BROADCAST,
            To::Group(number) => MacAddr([1, 0, 0x5e, 1, 0, number]),
            To::Reserved(number) => MacAddr([1, 0x80, 0xc2, 0, 0, number]),
            To::Nobody(number) => frame::mac(NOBODY + number),
            To::Zero => MacAddr::ZERO,
        };
        let src = match from {
            Source::Own => sender.mac,
            Source::Host(number) => self.hosts[self.host(number)].mac,
            Source::Nobody(number) => frame::mac(NOBODY + number),
            Source::Zero => MacAddr::ZERO,
            Source::Group => MacAddr([1, 0, 0x5e, 9, 9, 9]),
            Source::Broadcast => MacAddr::BROADCAST,
        };
        let body = if let Body::Ask(wanted) = body { Body::Ask(self.host(wanted) as u32) } else { body };
        let numbers = (sender.number, target);
        Draft { dst, src, body, numbers, id: 0, size: usize::from(size), port_tag: None }
    }

    /// A host tells everybody where it is.
    pub fn announce(&mut self, host: usize) -> Held {
        let draft = self.draft(host, To::Everyone, Source::Own, Body::Announce, 60);
        self.send(host, draft)
    }

    /// A host says something to another.
    pub fn tell(&mut self, from: usize, to: usize) -> Held {
        let draft = self.draft(from, To::Host(to as u32), Source::Own, Body::V4(0), 80);
        self.send(from, draft)
    }

    /// The longest ageing time in use, milliseconds.
    pub fn longest_ageing(&self) -> u64 {
        let each = self.nodes.iter().flat_map(|node| {
            let ids = (0..node.books.bridges.len() as u16).map(vtep::table::BridgeId);
            ids.filter_map(|id| node.engine.bridge_config(id)).map(|config| match config.ageing {
                Ageing::After(time) => time.as_millis(),
                _ => 0,
            })
        });
        each.max().unwrap_or(0)
    }

    /// Numbers in an order of chance.
    pub fn shuffled(&mut self, count: usize) -> Vec<usize> {
        let mut random: Random = self.net.draw();
        let mut order: Vec<usize> = (0..count).collect();
        (1..count).for_each(|at| order.swap(at, random.index(at + 1)));
        order
    }
}
