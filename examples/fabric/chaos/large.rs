//! The large scenario: a thousand VTEPs with a thousand MACs each.
//!
//! VTEPs stand in groups of ten that share five tenants; one more tenant, with a host at each VTEP, spans them all. Every
//! FDB is sized for the MACs that are active around it, not for the whole fabric. What is measured is told phase by phase.

use std::time::Instant;

use super::random::Random;
use super::scenario::{HostShape, Scenario, Shape, TenantShape, VtepShape, Weather};
use super::tally::Tally;
use super::violation::{Held, Promise, Violation};
use super::world::World;

/// VTEPs that share tenants.
pub const SPAN: usize = 10;
/// Tenants of each group of VTEPs.
pub const TENANTS: usize = 5;
/// Frames sent from a host to another.
const CONVERSATIONS: usize = 200_000;

/// What one phase took.
#[derive(Clone, Debug)]
pub struct Phase {
    pub name: &'static str,
    /// What was counted in it.
    pub tally: Tally,
    pub seconds: f64,
    /// What was found.
    pub note: String,
}

/// `size` VTEPs with `size` MACs each, and one more.
pub fn scenario(seed: u64, size: usize) -> Scenario {
    let groups = size.div_ceil(SPAN);
    let mut tenants = vec![tenant(0, false, Vec::new())];
    for group in 0..groups {
        let vteps: Vec<u16> = (group * SPAN..((group + 1) * SPAN).min(size)).map(|vtep| vtep as u16).collect();
        for nth in 0..TENANTS {
            let number = (1 + group * TENANTS + nth) as u32;
            tenants.push(tenant(number, nth % 2 == 1, vteps.clone()));
        }
    }
    let mut hosts = Vec::with_capacity(size * (size + 1));
    for vtep in 0..size {
        let host = |tenant, number, tag| HostShape { tenant, number, vtep: vtep as u16, tag, shares: true, group: 0 };
        hosts.push(host(0, vtep as u32 + 1, None));
        for nth in 0..size {
            let tenant = 1 + vtep / SPAN * TENANTS + nth % TENANTS;
            let number = (vtep % SPAN * size + nth) as u32 + 1;
            hosts.push(host(tenant as u16, number, if nth / TENANTS % 2 == 0 { None } else { Some(1) }));
        }
    }
    // A MAC for each host that may be heard, with a sixth to spare; an endpoint for each VTEP, and more.
    let heard = SPAN.min(size) * size + size;
    let vtep = VtepShape {
        linux: false,
        buckets: (heard + heard / 6).div_ceil(4),
        // Those of restarted VTEPs' old addresses stay until what was learned there has aged.
        endpoints: size + size / 25 + 3 * SPAN,
        events: 64,
        sweep: 64,
        packets: false,
        clock: 0,
        batches: false,
        labels: false,
    };
    let shape = Shape {
        vteps: vec![vtep; size],
        tenants,
        hosts,
        ipv6: false,
        mtu: 1500,
        zero_checksum: false,
        loops: false,
        spills: false,
        shared_group: false,
    };
    Scenario { seed, shape, events: Vec::new() }
}

/// Every other tenant in Geneve; floods of one in two of a group's go to a multicast group.
fn tenant(number: u32, multicast: bool, vteps: Vec<u16>) -> TenantShape {
    let geneve = number % 2 == 1;
    let (policy, storm, duplicates) = (None, None, None);
    TenantShape {
        vni: 10_000 + number,
        geneve,
        multicast,
        ageing: 3600,
        admission: 0,
        vteps,
        policy,
        storm,
        duplicates,
    }
}

/// Plays it; `tell` is told of each phase.
///
/// # Errors
/// The promise that was broken.
pub fn play(world: &mut World<'_>, tell: &mut dyn FnMut(&Phase)) -> Held {
    let size = world.nodes.len();
    let hosts = world.hosts.len();
    world.nodes.iter_mut().for_each(|node| node.books.tracks = false);
    // Looking at all of them is what costs.
    world.tick_every = 100_000;
    let flat: Vec<usize> = (0..hosts).filter(|host| world.hosts[*host].tenant == 0).collect();
    let mut phase = |world: &mut World<'_>, name, work: &mut dyn FnMut(&mut World<'_>) -> Result<String, Violation>| {
        let (before, start) = (world.tally, Instant::now());
        let note = work(world)?;
        let seconds = start.elapsed().as_secs_f64();
        tell(&Phase { name, tally: world.tally.since(&before), seconds, note });
        Ok(())
    };
    phase(world, "all hosts announce themselves", &mut |world| {
        // Group after group, so that what the machine has in its caches is of use.
        let mut order = world.shuffled(hosts);
        order.sort_by_key(|host| world.hosts[*host].vtep / SPAN);
        order.retain(|host| world.hosts[*host].tenant != 0);
        order.into_iter().try_for_each(|host| speak(world, host))?;
        Ok(String::new())
    })?;
    phase(world, "every VTEP knows every host of its tenants", &mut check_all)?;
    phase(world, "hosts talk to hosts they know", &mut |world| converse(world, CONVERSATIONS.min(hosts * 2)))?;
    phase(world, "the tenant that spans all: one broadcast from each VTEP", &mut |world| {
        flat.iter().try_for_each(|host| speak(world, *host))?;
        Ok(String::new())
    })?;
    phase(world, "one host in a hundred moves and says so", &mut |world| {
        for host in 0..hosts {
            if host % 100 == 7 && world.hosts[host].tenant != 0 {
                world.unplug(host, false)?;
                let group = world.hosts[host].vtep / SPAN * SPAN;
                let to = group + (world.hosts[host].vtep + 1 - group) % SPAN.min(size - group);
                world.move_to(host, to);
                world.plug(host)?;
                speak(world, host)?;
            }
        }
        Ok(String::new())
    })?;
    phase(world, "one VTEP in fifty restarts; its hosts speak to hosts they knew", &mut |world| {
        restart_some(world, size)
    })?;
    phase(
        world,
        "hosts around restarted VTEPs announce themselves, 2 % of packets lost, doubled, damaged",
        &mut |world| {
            world.net.weather = Weather { lose: 200, duplicate: 200, corrupt: 200, late: 0, mark: 0 };
            // Of those only who announce themselves again: what damage does to tables without a checksum would stay.
            for host in 0..hosts {
                if world.hosts[host].tenant != 0 && near_restart(world.hosts[host].vtep) {
                    speak(world, host)?;
                }
            }
            world.net.weather = Weather::CALM;
            Ok(String::new())
        },
    )?;
    phase(
        world,
        "healed: hosts around restarted VTEPs, and one at each VTEP, announce themselves again",
        &mut |world| {
            for host in 0..hosts {
                // A damaged packet may have taught anything of anybody in its reach, also where its VNI was changed.
                if world.hosts[host].tenant == 0 || near_restart(world.hosts[host].vtep) {
                    speak(world, host)?;
                }
            }
            Ok(String::new())
        },
    )?;
    phase(world, "every VTEP knows every host of its tenants", &mut check_all)
}

/// A host announces itself, and all that comes of it happens.
fn speak(world: &mut World<'_>, host: usize) -> Held {
    world.net.because_of(u64::from(world.next_frame()));
    world.announce(host)?;
    world.rest()
}

/// Every VTEP knows where the hosts of its tenants are, and its books are right.
fn check_all(world: &mut World<'_>) -> Result<String, Violation> {
    let mut by_tenant = vec![Vec::new(); world.wires.tenants.len()];
    for (host, at) in world.hosts.iter().enumerate() {
        by_tenant[at.tenant].push(host);
    }
    let (mut known, mut fullest) = (0_u64, 0_usize);
    for vtep in 0..world.nodes.len() {
        let mut missing = 0;
        for tenant in world.tenants_of(vtep) {
            for &host in &by_tenant[tenant] {
                match world.knows(vtep, host) {
                    Some(true) => known += 1,
                    // Nobody of the tenant that spans all has said anything yet.
                    None if tenant == 0 => {}
                    None => missing += 1,
                    Some(false) => {
                        return Err(Promise::Learned.broken(format!("VTEP {vtep} has host {host} elsewhere")));
                    }
                }
            }
        }
        Promise::Learned.that(missing == 0, || format!("VTEP {vtep} does not know {missing} hosts"))?;
        let node = &mut world.nodes[vtep];
        fullest = fullest.max(node.engine.table().len() * 100 / node.engine.table().capacity());
        node.books.check_table(&node.engine)?;
    }
    Ok(format!("{known} entries right; the fullest FDB at {fullest} %"))
}

/// Hosts send to others of their tenant: each frame arrives once, in one underlay packet at most.
fn converse(world: &mut World<'_>, count: usize) -> Result<String, Violation> {
    let mut random = Random::of(world.scenario.seed, 98);
    let mut held = 0_u64;
    let group = TENANTS * SPAN;
    while held < count as u64 {
        let from = random.index(world.hosts.len());
        let to = (from + random.within(1, group as u64 * 40) as usize) % world.hosts.len();
        if world.hosts[from].tenant != 0 && world.converse(from, to, true)? {
            held += 1;
        }
    }
    Ok(format!("{held} frames, each handed over once"))
}

/// Whether a VTEP is one of those that restart.
const fn restarts(vtep: usize) -> bool {
    vtep % 50 == 3
}

/// Whether one of the VTEPs that share tenants with it restarts.
fn near_restart(vtep: usize) -> bool {
    let group = vtep / SPAN * SPAN;
    (group..group + SPAN).any(restarts)
}

/// Some VTEPs lose their tables; each of their hosts speaks to one that it knew.
fn restart_some(world: &mut World<'_>, size: usize) -> Result<String, Violation> {
    let mut restarted = 0;
    for vtep in (0..size).filter(|vtep| restarts(*vtep)) {
        world.restart(vtep, (vtep, 1))?;
        restarted += 1;
        let group = vtep / SPAN * SPAN;
        for other in group..(group + SPAN).min(size) {
            world.reconcile(other)?;
        }
    }
    for vtep in (0..size).filter(|vtep| restarts(*vtep)) {
        let other = if vtep % SPAN == 0 { vtep + 1 } else { vtep - 1 };
        let residents: Vec<usize> = world.residents[vtep].iter().copied().collect();
        for (nth, from) in residents.into_iter().enumerate() {
            let tenant = world.hosts[from].tenant;
            let peers =
                world.residents[other].iter().filter(|host| world.hosts[**host].tenant == tenant && tenant != 0);
            let peers: Vec<usize> = peers.copied().collect();
            if let Some(to) = peers.get(nth % peers.len().max(1)) {
                world.net.because_of(u64::from(world.next_frame()));
                world.tell(from, *to)?;
                world.rest()?;
            }
        }
    }
    // The tenant that spans all is told of the new addresses as well.
    (0..size).try_for_each(|vtep| world.reconcile(vtep).map(drop))?;
    Ok(format!("{restarted} VTEPs"))
}
