//! Breaking each promise on purpose, to see that it is noticed: a dataplane that cheats behind the simulator's back.

use vtep::engine::{Command, Event, Flush, Place, Remote};
use vtep::table::{BridgeId, Owner, UnderlayConfig};
use vtep::wire::{Checksums, Label};

use super::node::{From, Leaving, UNDERLAY, Waiting};
use super::storm::Storm;
use super::twin::Way;
use super::violation::{Held, Promise};
use super::world::World;

/// A promise that is going to be broken, once the chance is there, and whether it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sabotage {
    pub promise: Promise,
    pub done: bool,
}

impl Sabotage {
    pub const fn of(promise: Promise) -> Self {
        Self { promise, done: false }
    }
}

/// The promise to be broken, if it has not been.
fn wanted(world: &World<'_>) -> Option<Promise> {
    world.sabotage.filter(|sabotage| !sabotage.done).map(|sabotage| sabotage.promise)
}

fn done(world: &mut World<'_>) {
    if let Some(sabotage) = &mut world.sabotage {
        sabotage.done = true;
    }
}

/// Between a verdict and its effect.
pub fn before_leaving(world: &mut World<'_>, vtep: usize, waiting: &Waiting, leaving: &mut Vec<Leaving>) -> Held {
    let Some(promise) = wanted(world) else { return Ok(()) };
    let at_port = leaving.iter().position(|one| matches!(one, Leaving::Port(..)));
    let (ports, record) = (&world.nodes[vtep].books.ports, world.frames.get(&waiting.frame));
    let tenant = record.and_then(|record| record.tenant);
    match (promise, at_port, waiting.from) {
        (Promise::TenantsApart, Some(at), _) if waiting.intact => {
            let strange =
                |port: &&Option<super::books::PortBook>| port.as_ref().is_some_and(|p| Some(p.tenant) != tenant);
            let Some(other) = ports.iter().position(|port| strange(&port)) else { return Ok(()) };
            if let Leaving::Port(port, _) = &mut leaving[at] {
                port.0 = other as u16;
            }
        }
        (Promise::DeniedApart, Some(at), _) => {
            let (Some(tenant), Some(from)) = (tenant, waiting.group) else { return Ok(()) };
            let Some(policy) = &world.wires.tenants[tenant].policy else { return Ok(()) };
            let books = &world.nodes[vtep].books;
            let rules = books.bridge_of(tenant).and_then(|id| books.bridge(id)).map_or(&[][..], |book| &book.rules);
            let denied = |port: &super::books::PortBook| {
                port.tenant == tenant && !policy.allows(rules, from, port.group) && !is_from(waiting, port.instance)
            };
            let Some(other) = ports.iter().position(|port| port.as_ref().is_some_and(denied)) else { return Ok(()) };
            if let Leaving::Port(port, _) = &mut leaving[at] {
                port.0 = other as u16;
            }
            leaving.swap(0, at);
            leaving.truncate(1);
        }
        (Promise::Once, Some(at), _) => {
            let again = leaving[at].clone();
            leaving.push(again);
        }
        (Promise::NotBack, _, From::Port(port, _)) => leaving.push(Leaving::Port(port, waiting.input.clone())),
        (Promise::NoTransit, _, From::Tunnel) if !world.nodes[vtep].shape.packets => {
            leaving.push(Leaving::Underlay(waiting.input.clone()));
        }
        (Promise::Intact, Some(at), _) if waiting.intact => {
            if let Leaving::Port(_, bytes) = &mut leaving[at] {
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
            }
        }
        _ => return Ok(()),
    }
    done(world);
    Ok(())
}

fn is_from(waiting: &Waiting, instance: u32) -> bool {
    matches!(waiting.from, From::Port(_, same) if same == instance)
}

/// Behind a step's back.
pub fn after_step(world: &mut World<'_>, vtep: usize) -> Held {
    let Some(promise) = wanted(world) else { return Ok(()) };
    let ahead = world.nodes[vtep].clock(world.now);
    let node = &mut world.nodes[vtep];
    match promise {
        Promise::PinsStay => {
            let Some((&(bridge, mac), pin)) = node.books.pins.iter().next() else { return Ok(()) };
            let place = if pin.place == Place::Blackhole { Place::Host } else { Place::Blackhole };
            let (bridge, owner, label) = (BridgeId(bridge), Owner::Static, Label::NONE);
            let command = Command::FdbReplace { bridge, mac, place, owner, sticky: false, label };
            let _ = node.engine.command(ahead, &command);
        }
        Promise::Capacity => {
            // More than the limit that the books know of.
            let Some(book) = node.books.bridges.iter_mut().flatten().next() else { return Ok(()) };
            (book.limit, book.allowed) = (Some(0), 0);
            if node.books.learned.len() < 4 {
                return Ok(());
            }
        }
        Promise::CountersSum => {
            node.engine.step(ahead, &Way::Frame.input(&[0; 60]));
        }
        Promise::EventsTell => {
            if node.engine.poll_event().is_none() {
                return Ok(());
            }
        }
        Promise::DamageDropped => {
            // Checksums are no longer looked at.
            let Some(config) = node.engine.underlay_config(UNDERLAY).copied() else { return Ok(()) };
            let config = UnderlayConfig { verify: Checksums::Trust, ..config };
            let _ = node.engine.command(ahead, &Command::SetUnderlay { id: UNDERLAY, config });
            world.net.weather.corrupt = 3000;
            // Everywhere, and again after restarts.
            return Ok(());
        }
        Promise::StormsEnd => {
            let storms = node.books.bridges.iter_mut().flatten().filter_map(|book| book.storm.as_mut());
            storms.for_each(Storm::empty);
            // Again after the next healing, until somebody floods.
            return Ok(());
        }
        Promise::DuplicatesStay => {
            let Some(&(bridge, mac)) = node.books.frozen.first() else { return Ok(()) };
            let Some(known) = node.books.learned.get(&(bridge, mac)) else { return Ok(()) };
            let (from, to, label) = (known.place, Place::Blackhole, Label::NONE);
            let moved = Event::Moved { bridge: BridgeId(bridge), mac, from, to, label };
            node.books.note_event(ahead.as_millis(), true, &moved)?;
        }
        Promise::BatchesAgree => {
            let Some(twin) = &mut node.twin else { return Ok(()) };
            twin.engine.step(ahead, &Way::Frame.input(&[0; 60]));
        }
        Promise::Obeys => {
            // A flood list of which the books know nothing.
            let Some(id) = node.books.bridge_of(0) else { return Ok(()) };
            let remote = Remote::at(world.wires.nobody(77));
            let _ = node.engine.command(ahead, &Command::FloodAdd { bridge: BridgeId(id), remote });
            if let Some(book) = &mut node.books.bridges[usize::from(id)] {
                book.list.clear();
            }
        }
        _ => return Ok(()),
    }
    done(world);
    Ok(())
}

/// While nobody speaks.
pub fn after_tick(world: &mut World<'_>, vtep: usize) -> Held {
    if wanted(world) == Some(Promise::Silence) && world.quiet {
        let from = world.nodes[vtep].books.address;
        let to = (vtep + 1) % world.nodes.len();
        let bytes = super::forge::packet(&world.wires, 0, from, world.nodes[to].books.address, 2, 0);
        world.inject(to, bytes);
        done(world);
    }
    Ok(())
}

/// After everybody was heard.
pub fn after_announcing(world: &mut World<'_>) -> Held {
    if wanted(world) == Some(Promise::Learned) {
        let now = world.now;
        for node in &mut world.nodes {
            let _ = node.command(now, &Command::Flush(Flush::dynamic()))?;
            node.books.learned.clear();
        }
        done(world);
    }
    Ok(())
}
