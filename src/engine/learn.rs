//! Learning: what a packet teaches the FDB and the endpoints.

use super::decision::{Learn, Source};
use super::packet::{Origin, Packet};
use super::state::raise_removed;
use super::{DropReason, Engine, Event, Place, Switches};
use crate::table::fdb::{LearnPolicy, Learned, Refusal, Yield};
use crate::table::{BridgeId, Destination, EndpointAddress, Instant, Meta, Owner};
use crate::wire::MacAddr;

impl Engine<'_> {
    /// Learns a source. An error is a reason to drop the packet after all; a full table is none.
    #[inline(always)]
    pub(super) fn learn(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        learn: Learn,
        packet: &Packet,
    ) -> Result<(), DropReason> {
        let destination = match learn.source {
            Source::Port(port) => Some(Destination::Port(port)),
            Source::Endpoint { id, .. } => id.map(Destination::Endpoint),
        };
        let Ok(meta) = self.fdb.intern(learn.label) else {
            self.refuse_label(bridge, learn, packet);
            return Ok(());
        };
        // Nearly every packet, in both profiles: an entry at the sender's own endpoint stays there.
        if destination.is_some_and(|destination| self.fdb.refresh(now, packet.src, destination, meta)) {
            return Ok(());
        }
        self.learn_slowly(now, bridge, (learn.source, meta), packet.inner.src(), packet.origin)
    }

    /// There is no room for the source's label: it is not learned, nor moved, and that is told.
    #[cold]
    #[inline(never)]
    fn refuse_label(&mut self, bridge: BridgeId, learn: Learn, packet: &Packet) {
        let place = match (learn.source, packet.origin, self.network(bridge)) {
            (Source::Port(port), ..) => Place::Port(port),
            (_, Origin::Tunnel(_, carrier), Some(network)) => {
                Place::Remote(carrier.tracks.address(network.config).into())
            }
            _ => return,
        };
        self.events.push(Event::LabelsFull { bridge, mac: packet.inner.src(), place, label: learn.label });
    }

    #[inline(never)]
    fn learn_slowly(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        (source, meta): (Source, Meta),
        mac: MacAddr,
        origin: Origin,
    ) -> Result<(), DropReason> {
        let policy = self.learn_policy(&source);
        let destination = match source {
            Source::Port(port) => Destination::Port(port),
            Source::Endpoint { id: Some(id), .. } if !self.switches.contains(Switches::MOVE_IP_ONLY) => {
                Destination::Endpoint(id)
            }
            Source::Endpoint { .. } => {
                let (Origin::Tunnel(_, carrier), Some(network)) = (origin, self.network(bridge)) else { return Ok(()) };
                let address = carrier.tracks.address(network.config);
                return self.learn_at(now, bridge, mac, address, meta, policy);
            }
        };
        let learned = self.learn_or_hold(now, bridge, mac, destination, meta, policy);
        if learned == Learned::Refreshed {
            return Ok(());
        }
        match (self.place(destination), learned) {
            // It may stand there with another UDP port or VNI, which is no move.
            (Some(Place::Remote(_)), Learned::Refused(Refusal::Static | Refusal::Sticky | Refusal::Owned)) => {
                let endpoint = self.endpoint_of(destination).map(|endpoint| endpoint.address);
                endpoint.map_or(Ok(()), |address| self.learn_at(now, bridge, mac, address, meta, policy))
            }
            (Some(place), learned) => self.report(bridge, mac, place, meta, learned),
            (None, _) => Ok(()),
        }
    }

    /// Learns a MAC at a sender's address: by Linux's rule, or where that endpoint is not known or the MAC may not move
    /// to it.
    fn learn_at(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        mut address: EndpointAddress,
        meta: Meta,
        policy: LearnPolicy,
    ) -> Result<(), DropReason> {
        if let Some(entry) = self.fdb.lookup(now, bridge, mac) {
            let ip_only = self.switches.contains(Switches::MOVE_IP_ONLY);
            if let Some(known) = self.endpoint_of(entry.destination()).map(|endpoint| endpoint.address) {
                let stays = (known.underlay, known.address) == (address.underlay, address.address);
                if stays && (ip_only || entry.sticky() || entry.owner() != Owner::Dynamic) {
                    self.fdb.learn(now, bridge, mac, entry.destination(), meta, policy);
                    return Ok(());
                }
                if ip_only {
                    // The underlay is part of where the IP address is.
                    address = EndpointAddress { underlay: address.underlay, address: address.address, ..known };
                }
            }
            // Before an endpoint is added in vain.
            if let Err(refusal) = policy.permits(entry) {
                return self.report(bridge, mac, Place::Remote(address.into()), meta, Learned::Refused(refusal));
            }
            if policy.hold && self.endpoints.find(&address).is_none() && self.is_held(now, bridge, mac) {
                return self.judge_held(bridge);
            }
        }
        let place = Place::Remote(address.into());
        let known = self.endpoints.find(&address);
        let Some(id) = known.or_else(|| self.add_endpoint(address, Self::RECYCLE_AT_ONCE).ok()) else {
            return self.report(bridge, mac, place, meta, Learned::Refused(Refusal::TableFull));
        };
        let learned = self.learn_or_hold(now, bridge, mac, Destination::Endpoint(id), meta, policy);
        if let (None, Learned::Refused(_)) = (known, learned) {
            self.endpoints.remove(id);
        }
        self.report(bridge, mac, place, meta, learned)
    }

    /// Raises the events of a learned MAC, and says whether the packet is to be dropped for it.
    fn report(
        &mut self,
        bridge: BridgeId,
        mac: MacAddr,
        place: Place,
        meta: Meta,
        learned: Learned,
    ) -> Result<(), DropReason> {
        let label = self.fdb.labels().get(meta);
        match learned {
            Learned::Refreshed => {}
            Learned::Updated { .. } => self.events.push(Event::Relabelled { bridge, mac, place, label }),
            Learned::New { removed } => {
                if let Some(removed) = removed {
                    raise_removed(&self.endpoints, &mut self.events, &removed);
                }
                self.events.push(Event::Learned { bridge, mac, place, label });
            }
            Learned::Moved { from } => {
                // An entry of a control plane may have named the endpoint that it has left.
                self.endpoints.outdate();
                if let Some(from) = self.place(from) {
                    // One that a control plane has given stays.
                    let label = self.lookup(bridge, mac).map_or(label, |entry| self.label(entry));
                    self.events.push(Event::Moved { bridge, mac, from, to: place, label });
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
                Refusal::Held => return self.judge_held(bridge),
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
        LearnPolicy { statics: Yield::Never, controlled, hold: !self.moves.is_off() }
    }
}
