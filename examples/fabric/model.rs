//! A plain bridge for each VTEP: what the engines are expected to do, said in the simplest way.

use core::net::IpAddr;
use std::collections::BTreeMap;

use vtep::engine::VerdictKind;
use vtep::wire::MacAddr;

use crate::args::{Arguments, Flood};
use crate::pods::Pod;
use crate::print;
use crate::world::Micros;

/// How long a MAC is known after the last frame from it.
const AGEING: Micros = 300_000_000;

pub struct Model<'a> {
    args: &'a Arguments,
    tables: Vec<BTreeMap<MacAddr, Known>>,
    /// Per VTEP: how many packets ended how.
    pub verdicts: Vec<BTreeMap<VerdictKind, u64>>,
    /// Per VTEP: copies of floods.
    pub copies: Vec<u64>,
    /// What was learned, as the world notes it.
    pub events: Vec<(usize, String)>,
    /// What was forgotten.
    pub aged: Vec<(usize, String)>,
}

struct Known {
    place: Place,
    /// What the VTEP calls the place.
    name: String,
    heard: Micros,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Pod(usize),
    Vtep(usize),
}

/// What one frame of a pod is expected to do.
pub struct Expected {
    pub verdict: VerdictKind,
    pub sent: Vec<IpAddr>,
    pub received: Vec<usize>,
    pub delivered: Vec<usize>,
}

impl<'a> Model<'a> {
    pub fn new(args: &'a Arguments) -> Self {
        Self {
            args,
            tables: (0..args.vteps()).map(|_| BTreeMap::new()).collect(),
            verdicts: vec![BTreeMap::new(); args.vteps()],
            copies: vec![0; args.vteps()],
            events: Vec::new(),
            aged: Vec::new(),
        }
    }

    /// A pod sends a frame.
    pub fn send(&mut self, now: Micros, pods: &[Pod], from: usize, dst: MacAddr) -> Expected {
        self.expire(now);
        let sender = &pods[from];
        let host = sender.vtep;
        let locals: Vec<usize> = (0..pods.len()).filter(|pod| *pod != from && pods[*pod].vtep == host).collect();
        let others: Vec<usize> = (0..self.tables.len()).filter(|vtep| *vtep != host).collect();
        let (verdict, delivered, receivers, sent) = match self.tables[host].get(&dst).map(|known| known.place) {
            Some(Place::Pod(pod)) => (VerdictKind::Deliver, vec![pod], vec![], vec![]),
            Some(Place::Vtep(vtep)) => {
                (VerdictKind::Encapsulate, vec![], vec![vtep], vec![self.args.vtep_address(vtep)])
            }
            None => {
                let sent: Vec<IpAddr> = match self.args.flood {
                    Flood::Her => others.iter().map(|vtep| self.args.vtep_address(*vtep)).collect(),
                    Flood::Multicast => vec![self.args.group()],
                };
                self.copies[host] += (locals.len() + sent.len()) as u64;
                (VerdictKind::Flood, locals, others, sent)
            }
        };
        self.count(host, verdict);
        self.learn(now, host, sender.mac, Place::Pod(from), print::port_name(sender.port.0));
        let mut expected = Expected { verdict, sent, received: receivers.clone(), delivered };
        for receiver in receivers {
            expected.delivered.extend(self.receive(now, pods, receiver, host, sender.mac, dst));
        }
        expected
    }

    /// A VTEP gets a frame from another: the pods it gives it to.
    fn receive(
        &mut self,
        now: Micros,
        pods: &[Pod],
        vtep: usize,
        from: usize,
        src: MacAddr,
        dst: MacAddr,
    ) -> Vec<usize> {
        let locals: Vec<usize> = (0..pods.len()).filter(|pod| pods[*pod].vtep == vtep).collect();
        let (verdict, delivered) = match self.tables[vtep].get(&dst).map(|known| known.place) {
            Some(Place::Pod(pod)) => (VerdictKind::Deliver, vec![pod]),
            // What comes out of a tunnel never goes into one.
            Some(Place::Vtep(_)) => (VerdictKind::Drop, vec![]),
            None if locals.is_empty() => (VerdictKind::Drop, vec![]),
            None => {
                self.copies[vtep] += locals.len() as u64;
                (VerdictKind::Flood, locals)
            }
        };
        self.count(vtep, verdict);
        // Nothing is learned from what is dropped.
        if verdict != VerdictKind::Drop {
            self.learn(now, vtep, src, Place::Vtep(from), self.args.vtep_address(from).to_string());
        }
        delivered
    }

    fn learn(&mut self, now: Micros, vtep: usize, mac: MacAddr, place: Place, name: String) {
        match self.tables[vtep].get(&mac) {
            Some(known) if known.place == place => {}
            Some(known) => self.events.push((vtep, print::moved(mac, &known.name, &name))),
            None => self.events.push((vtep, print::learned(mac, &name))),
        }
        self.tables[vtep].insert(mac, Known { place, name, heard: now });
    }

    fn count(&mut self, vtep: usize, verdict: VerdictKind) {
        *self.verdicts[vtep].entry(verdict).or_default() += 1;
    }

    /// A pod's port goes away, and what was learned there.
    pub fn leave(&mut self, vtep: usize, mac: MacAddr) {
        self.tables[vtep].remove(&mac);
    }

    /// What is known, by VTEP and MAC, at a time.
    pub fn known(&mut self, now: Micros, vtep: usize) -> BTreeMap<MacAddr, String> {
        self.expire(now);
        self.tables[vtep].iter().map(|(mac, known)| (*mac, known.name.clone())).collect()
    }

    fn expire(&mut self, now: Micros) {
        let Self { tables, aged, .. } = self;
        for (vtep, table) in tables.iter_mut().enumerate() {
            table.retain(|mac, known| {
                let lives = known.heard + AGEING >= now;
                if !lives {
                    aged.push((vtep, print::aged(*mac, &known.name)));
                }
                lives
            });
        }
    }
}
