//! The step: one packet in, one verdict out.

use super::decision::{Decision, Learn, Source};
use super::state::raise_removed;
use super::{DropReason, Engine, Event, Ingress, Input, Place, Switches, Verdict};
use crate::table::fdb::{LearnPolicy, Learned, Refusal, Yield};
use crate::table::{BridgeId, Destination, EndpointAddress, EndpointConfig, EndpointId, Instant, Meta, Origin};
use crate::wire::MacAddr;

impl Engine<'_> {
    /// Decides about one packet, and learns from it.
    ///
    /// `now` may stand still; where it goes backwards, the latest time seen counts. The packet is counted once, under
    /// its verdict or drop reason. In profile `Rfc`, a packet that is dropped changes no table.
    ///
    /// Cost: bounded. At most four FDB cache lines, two of the VNI map, two of the endpoint map; learning a new MAC into
    /// a crowded table visits up to [`MAX_VISITS`](crate::table::cuckoo::MAX_VISITS) more.
    pub fn step(&mut self, now: Instant, input: &Input<'_>) -> Verdict {
        let now = self.advance(now);
        let mut decision = match input.ingress {
            Ingress::Port { port, payload } => self.decide_from_port(now, port, payload, input.bytes),
            Ingress::Underlay { underlay, form } => self.decide_from_underlay(now, underlay, form, input.bytes),
        };
        self.ident = self.ident.wrapping_add(1);
        if let (Some(learn), Some(bridge)) = (decision.learn, decision.bridge) {
            let dropped = matches!(decision.verdict, Verdict::Drop(_));
            if !dropped || self.switches.contains(Switches::LEARN_BEFORE_VALIDATE) {
                if let Err(reason) = self.learn(now, bridge, learn) {
                    decision.verdict = Verdict::Drop(reason);
                }
            }
        }
        self.conclude(&decision);
        decision.verdict
    }

    /// Counts a decision and raises its miss event.
    fn conclude(&mut self, decision: &Decision) {
        let code = decision.verdict.code();
        self.counters.count(code);
        let Some(bridge) = decision.bridge else { return };
        if let Some(counters) = self.bridge_counters.get_mut(usize::from(bridge.0)) {
            counters.count(code, decision.from_port, decision.bytes);
        }
        if let Some(mac) = decision.miss {
            self.events.push(Event::Miss { bridge, mac });
        }
    }

    /// Learns a source. An error is a reason to drop the packet after all; a full table is none.
    fn learn(&mut self, now: Instant, bridge: BridgeId, learn: Learn) -> Result<(), DropReason> {
        let mac = learn.mac;
        let (destination, fresh) = match learn.source {
            Source::Port(port) => (Destination::Port(port), None),
            Source::Endpoint { id, address, .. } => match self.source_endpoint(now, bridge, mac, id, address) {
                Some((id, fresh)) => (Destination::Endpoint(id), fresh.then_some(id)),
                None => {
                    let place = Place::Remote(address.into());
                    self.events.push(Event::TableFull { bridge, mac, place });
                    return Ok(());
                }
            },
        };
        let learned = self.fdb.learn(now, bridge, mac, destination, Meta::NONE, self.learn_policy(&learn.source));
        let result = self.report(bridge, mac, destination, learned);
        if let (Some(id), Learned::Refused(_)) = (fresh, learned) {
            self.endpoints.remove(id);
        }
        result
    }

    /// Raises the events of a learned MAC, and says whether the packet is to be dropped for it.
    fn report(
        &mut self,
        bridge: BridgeId,
        mac: MacAddr,
        destination: Destination,
        learned: Learned,
    ) -> Result<(), DropReason> {
        if matches!(learned, Learned::Refreshed | Learned::Updated { .. }) {
            return Ok(());
        }
        let Some(place) = self.place(destination) else { return Ok(()) };
        match learned {
            Learned::Refreshed | Learned::Updated { .. } => {}
            Learned::New { removed } => {
                if let Some(removed) = removed {
                    raise_removed(&self.endpoints, &mut self.events, &removed);
                }
                self.events.push(Event::Learned { bridge, mac, place });
            }
            Learned::Moved { from } => {
                if let Some(from) = self.place(from) {
                    self.events.push(Event::Moved { bridge, mac, from, to: place });
                }
            }
            Learned::Refused(refusal) => match refusal {
                Refusal::Local => return Err(DropReason::SourceMacOwn),
                Refusal::Static | Refusal::Sticky => {
                    self.events.push(Event::MoveRefused { bridge, mac, place });
                    return Err(DropReason::SourceMacStatic);
                }
                Refusal::Owned => self.events.push(Event::MoveRefused { bridge, mac, place }),
                Refusal::TableFull | Refusal::BridgeLimit | Refusal::DestinationLimit => {
                    self.events.push(Event::TableFull { bridge, mac, place });
                }
                Refusal::BadMac | Refusal::BadBridge | Refusal::BadDestination | Refusal::NoLearn => {}
            },
        }
        Ok(())
    }

    /// A local port may take a MAC from the control plane: that is how it learns of a station that moved here. A tunnel
    /// may not, unless the profile says so.
    fn learn_policy(&self, source: &Source) -> LearnPolicy {
        let controlled = match source {
            Source::Port(_) => Yield::TakeOver,
            Source::Endpoint { .. } if self.switches.contains(Switches::DATA_MOVES_CONTROL) => Yield::Move,
            Source::Endpoint { .. } => Yield::Never,
        };
        LearnPolicy { statics: Yield::Never, controlled }
    }

    /// The endpoint a MAC is learned at, and whether it had to be added; `None` where no more fit.
    fn source_endpoint(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        id: Option<EndpointId>,
        address: EndpointAddress,
    ) -> Option<(EndpointId, bool)> {
        if !self.switches.contains(Switches::MOVE_IP_ONLY) {
            return match id {
                Some(id) => Some((id, false)),
                None => self.add_endpoint(address).map(|id| (id, true)),
            };
        }
        // Linux keeps the UDP port and VNI of the entry that moves.
        let address = match self.fdb.lookup(now, bridge, mac).map(|entry| entry.destination()) {
            Some(Destination::Endpoint(old)) => match self.endpoints.get(old) {
                Some(old) => EndpointAddress { address: address.address, ..old.address },
                None => address,
            },
            _ => address,
        };
        match self.endpoints.find(&address) {
            Some(id) => Some((id, false)),
            None => self.add_endpoint(address).map(|id| (id, true)),
        }
    }

    /// Adds a learned endpoint, in place of one that nothing points to any more if need be.
    pub(super) fn add_endpoint(&mut self, address: EndpointAddress) -> Option<EndpointId> {
        let record = self.make_endpoint(address, EndpointConfig::default(), Origin::Learned).ok()?;
        let id = match self.endpoints.insert(record) {
            Ok(id) => id,
            Err(_) => {
                self.recycle_endpoints(Self::RECYCLE_AT_ONCE);
                self.endpoints.insert(record).ok()?
            }
        };
        // Whoever had the index before may have had a limit. An index without a record can't be learned at anyway.
        let _ = self.fdb.set_destination_limit(Destination::Endpoint(id), None);
        Some(id)
    }
}
