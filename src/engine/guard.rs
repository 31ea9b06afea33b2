//! Storm control and duplicate MACs: what keeps one station's frames from being everybody's trouble.

use super::decision::Decision;
use super::{CommandError, Done, DropReason, Engine, Event, PuntReason, Verdict};
use crate::table::fdb::{LearnPolicy, Learned, Refusal};
use crate::table::moves::Noted;
use crate::table::{
    BridgeId, Destination, DuplicateAction, DuplicateDetection, Guard, Instant, Meta, Moves, StormControl,
};
use crate::wire::MacAddr;

impl<'a> Engine<'a> {
    /// Buckets of the record of moves that one tick looks at.
    const MOVES_PER_TICK: usize = 8;

    /// Turns a flood into a drop where the bridge has flooded enough of its kind. Nobody is told of a destination that
    /// was looked for in vain: a storm is none of the controller's business either.
    #[inline(never)]
    pub(super) fn control_storm(
        &mut self,
        now: Instant,
        bridge: Option<BridgeId>,
        destination: MacAddr,
        decision: Decision,
        verdict: &mut Verdict,
    ) -> Decision {
        let floods = match verdict {
            Verdict::Flood(_) => true,
            Verdict::Punt(punt) => punt.reason == PuntReason::HostCopy,
            _ => false,
        };
        let guard = bridge.and_then(|bridge| self.guards.get_mut(bridge.index()));
        let guard = guard.filter(|guard| floods && !guard.is_off());
        if guard.is_none_or(|guard| guard.may_flood(now, destination)) {
            return decision;
        }
        Decision { miss: false, ..decision.drop(verdict, DropReason::StormControl) }
    }

    /// [`Fdb::learn`](crate::table::Fdb::learn), but for moves of MACs that are duplicates.
    #[inline]
    pub(super) fn learn_or_hold(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        destination: Destination,
        meta: Meta,
        policy: LearnPolicy,
    ) -> Learned {
        match self.fdb.learn(now, bridge, mac, destination, meta, policy) {
            Learned::Refused(Refusal::Held) => self.learn_held(now, bridge, mac, destination, meta, policy),
            learned => learned,
        }
    }

    /// A MAC is about to move.
    #[cold]
    #[inline(never)]
    fn learn_held(
        &mut self,
        now: Instant,
        bridge: BridgeId,
        mac: MacAddr,
        destination: Destination,
        meta: Meta,
        policy: LearnPolicy,
    ) -> Learned {
        if let Some(detection) = self.duplicate_detection(bridge).copied() {
            let noted = self.moves.note(now, bridge, mac, &detection);
            if noted == Noted::Recovered {
                self.events.push(Event::DuplicateCleared { bridge, mac });
            }
            if noted == Noted::Duplicate {
                self.alert(now, bridge, mac, destination);
            }
            let is_one = matches!(noted, Noted::Duplicate | Noted::Again);
            if is_one && detection.action != DuplicateAction::Alert {
                return Learned::Refused(Refusal::Held);
            }
        }
        self.fdb.learn(now, bridge, mac, destination, meta, LearnPolicy { hold: false, ..policy })
    }

    /// Tells of a duplicate.
    fn alert(&mut self, now: Instant, bridge: BridgeId, mac: MacAddr, heard: Destination) {
        let entry = self.fdb.lookup(now, bridge, mac).map(|entry| entry.destination());
        let places = entry.and_then(|known| Some((self.place(known)?, self.place(heard)?)));
        if let Some((place, other)) = places {
            self.events.push(Event::Duplicate { bridge, mac, place, other });
        }
    }

    /// Whether a MAC stays where it is, whatever frames say.
    pub(super) fn is_held(&self, now: Instant, bridge: BridgeId, mac: MacAddr) -> bool {
        let detection = self.duplicate_detection(bridge);
        detection.is_some_and(|detection| detection.action != DuplicateAction::Alert)
            && self.moves.is_duplicate(now, bridge, mac)
    }

    /// What becomes of a frame whose source stays elsewhere.
    pub(super) fn judge_held(&self, bridge: BridgeId) -> Result<(), DropReason> {
        match self.duplicate_detection(bridge) {
            Some(detection) if detection.action == DuplicateAction::Drop => Err(DropReason::SourceMacDuplicate),
            _ => Ok(()),
        }
    }

    pub(super) fn sweep_moves(&mut self, now: Instant) {
        let Self { moves, events, .. } = self;
        if !moves.is_empty() {
            moves.sweep(now, Self::MOVES_PER_TICK, |bridge, mac| events.push(Event::DuplicateCleared { bridge, mac }));
        }
    }

    pub(super) fn set_storm_control(&mut self, id: BridgeId, config: StormControl) -> Result<Done, CommandError> {
        let rates = [config.broadcast, config.unknown_unicast, config.multicast];
        if rates.into_iter().flatten().any(|rate| rate.burst == 0) {
            return Err(CommandError::BadValue);
        }
        self.guard_mut(id)?.set_storm(config);
        self.refresh_fast(id);
        Ok(Done::Ok)
    }

    pub(super) fn set_duplicate_detection(
        &mut self,
        id: BridgeId,
        config: Option<DuplicateDetection>,
    ) -> Result<Done, CommandError> {
        let allowed = 1..=DuplicateDetection::MAX_MOVES;
        if config.is_some_and(|config| !allowed.contains(&config.max_moves)) {
            return Err(CommandError::BadValue);
        }
        self.guard_mut(id)?;
        if config.is_some() && self.moves.is_off() {
            return Err(CommandError::OutOfRange);
        }
        self.guard_mut(id)?.set_duplicates(config);
        if config.is_none() {
            self.moves.clear_bridge(self.now(), id, |_| {});
        }
        Ok(Done::Ok)
    }

    /// Lets MACs move again that were duplicates.
    pub(super) fn clear_duplicate(&mut self, id: BridgeId, mac: Option<MacAddr>) -> Result<Done, CommandError> {
        self.bridge(id).ok_or(CommandError::NoSuchBridge)?;
        let now = self.now();
        let Some(mac) = mac else {
            let mut cleared = 0_u32;
            self.moves.clear_bridge(now, id, |_| cleared = cleared.saturating_add(1));
            return Ok(Done::Removed(cleared));
        };
        match self.moves.clear(now, id, mac) {
            true => Ok(Done::Removed(1)),
            false => Err(CommandError::NotFound),
        }
    }

    /// Takes all protection from a bridge that is new, or gone.
    pub(super) fn reset_guard(&mut self, id: BridgeId) {
        if let Some(guard) = self.guards.get_mut(id.index()) {
            *guard = Guard::OFF;
        }
        if !self.moves.is_empty() {
            self.moves.clear_bridge(self.now(), id, |_| {});
        }
    }

    fn guard_mut(&mut self, id: BridgeId) -> Result<&mut Guard, CommandError> {
        self.bridge(id).ok_or(CommandError::NoSuchBridge)?;
        self.guards.get_mut(id.index()).ok_or(CommandError::OutOfRange)
    }

    fn duplicate_detection(&self, id: BridgeId) -> Option<&DuplicateDetection> {
        self.guards.get(id.index())?.duplicates()
    }

    /// A bridge's storm control and duplicate detection; `None` where there is no such bridge, or no memory was lent.
    #[must_use]
    pub fn guard(&self, id: BridgeId) -> Option<&Guard> {
        self.bridge(id)?;
        self.guards.get(id.index())
    }

    /// MACs that have moved of late, and those that are duplicates.
    #[must_use]
    pub fn moves(&self) -> &Moves<'a> {
        &self.moves
    }
}
