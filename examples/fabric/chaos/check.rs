//! What must hold of everything that leaves a VTEP. These see facts and no engine, so that forged ones can be shown to
//! them.

use core::net::IpAddr;

use vtep::engine::{PuntReason, Verdict};
use vtep::table::PortId;

use super::books::Books;
use super::frame;
use super::node::{From, Leaving};
use super::packet::{self, LINK, Packet, Sums};
use super::violation::{Held, Promise};
use super::wires::Wires;

/// A frame that a host has sent, or somebody in the underlay.
#[derive(Clone, Debug)]
pub struct Record {
    /// The sender's; of a stranger's frame none.
    pub tenant: Option<usize>,
    /// Where it came in, and the address that VTEP had.
    pub ingress: Option<Ingress>,
    /// The security group of the port it came in.
    pub group: u32,
    pub bytes: Vec<u8>,
    pub draft: Option<frame::Draft>,
    /// Where it was sent.
    pub sent: Vec<IpAddr>,
    /// To whom it was handed: VTEP and port instance.
    pub delivered: Vec<(usize, u32)>,
    /// Packets that arrived where.
    pub arrived: Vec<usize>,
    /// Copies under way and verdicts that wait.
    pub open: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ingress {
    pub vtep: usize,
    pub port: PortId,
    pub instance: u32,
    pub address: IpAddr,
}

/// The circumstances in which frames leave a VTEP.
pub struct Facts<'s> {
    pub vtep: usize,
    pub books: &'s Books,
    pub wires: &'s Wires,
    pub record: &'s Record,
    pub from: From,
    /// Whose it is: by the port, or by the tunnel header as it arrived.
    pub tenant: Option<usize>,
    /// Whether it is as it was sent.
    pub intact: bool,
    /// The group it is from, by the port or the tunnel header; none if nobody is to judge it.
    pub group: Option<u32>,
}

/// Everything that leaves because of one packet.
///
/// # Errors
/// The promise that is broken.
pub fn leaving(facts: &Facts<'_>, all: &[Leaving]) -> Held {
    for (at, leaving) in all.iter().enumerate() {
        match leaving {
            Leaving::Port(id, bytes) => {
                let again = all[..at].iter().any(|other| matches!(other, Leaving::Port(same, _) if same == id));
                Promise::Once.that(!again, || format!("twice to {id:?} of VTEP {}", facts.vtep))?;
                to_port(facts, *id, bytes)?;
            }
            Leaving::Underlay(bytes) => {
                let dst = |bytes: &[u8]| packet::read(&bytes[LINK..]).map(|packet| packet.dst);
                let is_again = |other: &Leaving| matches!(other, Leaving::Underlay(same) if dst(same) == dst(bytes));
                let again = all[..at].iter().any(is_again);
                Promise::Once.that(!again, || format!("twice to {:?} from VTEP {}", dst(bytes), facts.vtep))?;
                into_tunnel(facts, bytes)?;
            }
        }
    }
    Ok(())
}

fn to_port(facts: &Facts<'_>, id: PortId, bytes: &[u8]) -> Held {
    let Facts { vtep, books, record, from, tenant, intact, group, .. } = *facts;
    let port = books.port(id);
    let what = || format!("VTEP {vtep} gave a frame of tenant {tenant:?}, {from:?}, to {id:?}, {port:?}");
    Promise::TenantsApart.that(port.is_some_and(|port| Some(port.tenant) == tenant), what)?;
    let Some(port) = port else { return Ok(()) };
    Promise::NotBack.that(from != From::Port(id, port.instance), what)?;
    let policy = tenant.and_then(|tenant| facts.wires.tenants[tenant].policy.as_ref());
    if let (Some(policy), Some(book)) = (policy, books.bridge(port.bridge)) {
        // By what the packet says, and by where it came from.
        let sender = record.ingress.filter(|_| intact).map(|_| record.group);
        let denied = [group, sender].into_iter().flatten().find(|from| !policy.allows(&book.rules, *from, port.group));
        Promise::DeniedApart
            .that(denied.is_none(), || format!("{}, of group {denied:?}: {policy:?}, {:?}", what(), book.rules))?;
    }
    if !intact {
        return Ok(());
    }
    Promise::TenantsApart.that(tenant == record.tenant || record.tenant.is_none(), what)?;
    if let Some(ingress) = record.ingress.filter(|ingress| ingress.vtep == vtep && ingress.address == books.address) {
        Promise::NotBack.that(ingress.instance != port.instance, what)?;
    }
    let before = record.delivered.iter().filter(|other| **other == (vtep, port.instance)).count();
    let entered = usize::from(record.ingress.is_some_and(|ingress| ingress.vtep == vtep));
    let arrivals = record.arrived.iter().filter(|other| **other == vtep).count();
    Promise::Once.that(before < arrivals + entered, || format!("{}, for the {}th time", what(), before + 1))?;
    Promise::Intact
        .that(frame::same(bytes, &record.bytes), || format!("{}: {bytes:?}, not {:?}", what(), record.bytes))?;
    let tag = frame::outer_tag(bytes);
    Promise::Intact.that(port.tag.is_none_or(|vid| tag == Some(vid)), || format!("{}: with tag {tag:?}", what()))
}

fn into_tunnel(facts: &Facts<'_>, bytes: &[u8]) -> Held {
    let Facts { vtep, books, wires, record, from, tenant, .. } = *facts;
    let packet = packet::read(&bytes[LINK..]);
    let what = || format!("VTEP {vtep} sent a frame of tenant {tenant:?}, {from:?}, as {packet:?}");
    Promise::NoTransit.that(from != From::Tunnel, what)?;
    let Some(packet) = packet else { return Err(Promise::Intact.broken(what())) };
    Promise::Intact.that(packet.sums != Sums::Bad && LINK + packet.len == bytes.len(), what)?;
    Promise::TenantsApart.that(wires.tenant_of(&packet) == tenant && tenant.is_some(), what)?;
    Promise::NotBack.that(packet.dst != books.address, what)?;
    let labelled = tenant.is_some_and(|tenant| wires.tenants[tenant].policy.is_some());
    let group = facts.group.filter(|_| labelled).unwrap_or(0);
    Promise::DeniedApart.that(packet.group == group && !packet.applied, || format!("{}, of group {group}", what()))?;
    Promise::Intact.that(packet.src == books.address, || format!("{}, not from {}", what(), books.address))?;
    Promise::Once.that(!record.sent.contains(&packet.dst), || format!("{}, again", what()))?;
    Promise::Obeys.that(packet.len <= usize::from(wires.mtu) || !packet.df, || format!("{}: too big", what()))?;
    let inner = &bytes[LINK + packet.inner..];
    Promise::Intact.that(frame::same(inner, &record.bytes), || format!("{}: {inner:?}, not {:?}", what(), record.bytes))
}

/// Whether a plain reader and an engine agree on what a packet from the underlay may do.
///
/// # Errors
/// The promise that is broken.
pub fn arrival(seen: Option<&Packet>, verdict: &Verdict) -> Held {
    let sound = seen.is_some_and(|packet| packet.sums != Sums::Bad);
    let stopped = match verdict {
        Verdict::Drop(_) => true,
        Verdict::Punt(punt) => punt.reason == PuntReason::NotTunnel,
        _ => false,
    };
    Promise::DamageDropped.that(sound || stopped, || format!("{verdict:?} for {seen:?}"))
}

/// Whether a packet counts for a bridge.
pub const fn has_bridge(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Drop(reason) => reason.has_vni(),
        Verdict::Punt(punt) => punt.bridge.is_some(),
        _ => true,
    }
}
