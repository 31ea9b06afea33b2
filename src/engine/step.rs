//! The step: one packet in, one verdict out.

use super::decision::{Decision, set};
use super::fast_path::Ready;
use super::packet::{End, Origin, Packet};
use super::{DropReason, Engine, Event, Input, Punt, Switches, Verdict, VerdictKind};
use crate::table::Instant;
use crate::table::fdb::Probe;
use crate::wire::Edit;

/// Packets that are read before the first of them is decided about.
const BATCH: usize = 32;

impl Engine<'_> {
    /// Decides about one packet, and learns from it.
    ///
    /// `now` may stand still; where it goes backwards, the latest time seen counts. The packet is counted once, under
    /// its verdict or drop reason. In profile `Rfc`, a packet that is dropped changes no table.
    ///
    /// Cost: bounded. At most four FDB cache lines, two of the VNI map, two of the endpoint map; learning a new MAC into
    /// a crowded table visits up to [`MAX_VISITS`](crate::table::cuckoo::MAX_VISITS) more.
    #[inline(never)]
    pub fn step(&mut self, now: Instant, input: &Input<'_>) -> Verdict {
        let now = self.advance(now);
        if let Some(verdict) = self.step_on(now, input) {
            return verdict;
        }
        let mut ready = Ready::NOT;
        self.make_ready(input, &mut ready);
        if let Some(verdict) = self.decide_plain(now, &ready) {
            self.note_step(&ready, &verdict, input);
            return verdict;
        }
        self.train.stop();
        let mut verdict = Verdict::NOTHING;
        if self.decide_labelled(now, &ready, self.endpoints.version(), &mut verdict).is_none() {
            self.decide_slowly(now, &ready, input, &mut verdict);
        }
        verdict
    }

    /// Decides about packets one after another, as [`Engine::step`] would at one `now`: what one of them teaches the tables
    /// holds for those behind it. The verdict of each goes to its place in `verdicts`; returns how many there are, which
    /// is the length of the shorter slice.
    ///
    /// Any number is welcome; 32 of them and more are read before the first is decided about, so that the memory
    /// fetches what all of them need at the same time. Cost: that of the steps, and 2 KiB of stack more, for
    /// what has been read of 32 packets.
    pub fn step_batch(&mut self, now: Instant, inputs: &[Input<'_>], verdicts: &mut [Verdict]) -> usize {
        let count = inputs.len().min(verdicts.len());
        if count == 0 {
            return 0;
        }
        let now = self.advance(now);
        self.train.stop();
        for (inputs, verdicts) in inputs.chunks(BATCH).zip(verdicts.chunks_mut(BATCH)) {
            let mut batch = [Ready::NOT; BATCH];
            self.read_batch(inputs, &mut batch);
            core::hint::black_box(batch.iter().fold(0, |sum, ready| sum ^ self.touch(ready)));
            let version = self.endpoints.version();
            let mut at = 0usize;
            while let (Some(input), Some(rest), Some(places)) =
                (inputs.get(at), batch.get(at..), verdicts.get_mut(at..))
            {
                let alike = self.decide_alike(now, rest, version, places);
                at = at.wrapping_add(alike.max(1));
                if let (0, Some(ready), Some(verdict)) = (alike, rest.first(), places.first_mut()) {
                    self.decide_slowly(now, ready, input, verdict);
                }
            }
        }
        count
    }

    /// Reads packets into their places.
    #[inline(always)]
    fn read_batch(&mut self, inputs: &[Input<'_>], batch: &mut [Ready]) {
        let mut at = 0usize;
        let mut last = Probe::NOWHERE;
        while let (Some(input), Some(ready)) = (inputs.get(at), batch.get_mut(at)) {
            self.make_ready(input, ready);
            at = at.wrapping_add(1);
            // The second packet to a station may lead a train.
            if ready.dst.is_for_same(core::mem::replace(&mut last, ready.dst)) {
                at = at.wrapping_add(self.follow(inputs, batch, at));
            }
        }
    }

    /// Decides about a packet that is not, or no longer, one between known stations.
    #[inline(always)]
    fn decide_slowly(&mut self, now: Instant, ready: &Ready, input: &Input<'_>, verdict: &mut Verdict) {
        if self.decide_flood(now, ready, verdict).is_none() {
            self.step_whole(now, input, verdict);
        }
    }

    /// The step for packets of every kind.
    #[inline(never)]
    fn step_whole(&mut self, now: Instant, input: &Input<'_>, verdict: &mut Verdict) {
        let packet = self.read(input);
        self.settle(now, &packet, input.bytes, verdict);
    }

    /// Decides about a packet that has been read, and acts on it: the only lines in which a packet changes state.
    #[inline(always)]
    fn settle(&mut self, now: Instant, packet: &Packet, bytes: &[u8], verdict: &mut Verdict) {
        let (bridge, from_port) = match packet.origin {
            Origin::Port(bridge, _) => (Some(bridge), true),
            Origin::Tunnel(bridge, _) | Origin::Payload(bridge, ..) => (Some(bridge), false),
            Origin::Ended { bridge, from_port, .. } => (bridge, from_port),
        };
        let mut decision = self.decide(now, packet, bytes, verdict);
        let idents = if decision.code == VerdictKind::Flood as u8 || decision.code == VerdictKind::Punt as u8 {
            decision = self.control_storm(now, bridge, packet.inner.dst(), decision, verdict);
            self.idents(verdict)
        } else {
            1
        };
        self.ident = self.ident.wrapping_add(u32::from(idents));
        if let (Some(learn), Some(bridge)) = (decision.learn, bridge) {
            let dropped = decision.code >= DropReason::FIRST;
            if !dropped || self.switches.contains(Switches::LEARN_BEFORE_VALIDATE) {
                if let Err(reason) = self.learn(now, bridge, learn, packet) {
                    decision = decision.drop(verdict, reason);
                }
            }
        }
        if let Some(rule) = decision.judged.and_then(|judged| judged.rule) {
            self.policy.hit(rule);
        }
        self.counters.count(decision.code);
        let Some(bridge) = bridge else { return };
        if let Some(counters) = self.bridge_counters.get_mut(usize::from(bridge.0)) {
            counters.count(decision.code, from_port, packet.frame.len);
        }
        if decision.miss {
            self.events.push(Event::Miss { bridge, mac: packet.inner.dst() });
        }
    }

    /// Decides about a packet that has been read, and changes nothing.
    #[inline(always)]
    pub(super) fn decide(&self, now: Instant, packet: &Packet, bytes: &[u8], verdict: &mut Verdict) -> Decision {
        match packet.origin {
            Origin::Port(bridge, port) => self.decide_from_port(now, (bridge, port), packet, bytes, verdict),
            Origin::Tunnel(bridge, carrier) => {
                self.decide_from_underlay(now, (bridge, carrier), packet, bytes, verdict)
            }
            Origin::Payload(bridge, carrier, reason) => self.decide_payload((bridge, carrier, reason), packet, verdict),
            Origin::Ended { bridge, end, .. } => {
                let end = match end {
                    End::Drop(reason) => Verdict::Drop(reason),
                    End::Punt(reason, sender) => {
                        Verdict::Punt(Punt { reason, bridge, sender, frame: packet.frame, edit: Edit::NONE })
                    }
                };
                Decision { code: set(verdict, end), ..Decision::NONE }
            }
        }
    }

    /// How many IPv4 identifications the copies of a flood need.
    #[cold]
    fn idents(&self, verdict: &Verdict) -> u16 {
        match verdict {
            Verdict::Flood(flood) => flood.group.map_or(1, |group| self.flood_lists.len(group).max(1)),
            _ => 1,
        }
    }
}
