//! Storm control and duplicate MACs, in the plainest form.

use std::collections::HashMap;

use vtep::engine::{CommandError, DropReason, Event, PuntReason};
use vtep::table::{BridgeId, DuplicateAction, DuplicateDetection, Rate, StormControl};
use vtep::wire::MacAddr;

use super::bridge::{Expected, Model, To};

/// From here on, milliseconds are for ever, as [`DuplicateDetection`] says.
const NEVER: u64 = (1 << 48) - 1;

#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    storm: StormControl,
    /// Thousandths of a frame that are missing, and since when: of broadcast, multicast and unknown unicast.
    missing: [(u64, u64); 3],
    duplicates: Option<DuplicateDetection>,
    /// MACs that have moved.
    moves: HashMap<MacAddr, Moves>,
}

#[derive(Clone, Copy, Debug)]
struct Moves {
    count: u16,
    duplicate: bool,
    /// Milliseconds; none for ever.
    until: Option<u64>,
}

impl Moves {
    fn is_over(&self, now: u64) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

impl Guard {
    fn may_flood(&mut self, now: u64, dst: MacAddr) -> bool {
        let (kind, rate) = match dst {
            dst if dst.is_broadcast() => (0, self.storm.broadcast),
            dst if dst.is_multicast() => (1, self.storm.multicast),
            _ => (2, self.storm.unknown_unicast),
        };
        let Some(Rate { per_second, burst }) = rate else { return true };
        let (missing, since) = &mut self.missing[kind];
        let back = u128::from(now - *since) * u128::from(per_second);
        *missing = u64::try_from(u128::from(*missing).saturating_sub(back)).unwrap();
        *since = now;
        let room = u64::from(burst) * 1000;
        let passes = *missing + 1000 <= room;
        *missing += if passes { 1000 } else { 0 };
        passes
    }

    /// Its entry was made anew by a command.
    pub(crate) fn forget(&mut self, mac: MacAddr) -> bool {
        self.moves.remove(&mac).is_some()
    }
}

impl Model {
    /// What becomes of a flood; whether it was held back.
    pub(crate) fn control_storm(&mut self, id: u16, dst: MacAddr, expected: &mut Expected) -> bool {
        let floods = matches!(expected, Expected::Flood(..) | Expected::Punt(PuntReason::HostCopy));
        let now = self.now;
        if !floods || self.bridges.get_mut(&id).unwrap().guard.may_flood(now, dst) {
            return false;
        }
        *expected = Expected::Drop(DropReason::StormControl);
        true
    }

    /// Whether a MAC that is about to move stays; and if so, why its frame is dropped, if it is.
    pub(crate) fn hold(&mut self, id: u16, mac: MacAddr, known: To, heard: To) -> Option<Result<(), DropReason>> {
        let now = self.now;
        let guard = &mut self.bridges.get_mut(&id).unwrap().guard;
        let detection = guard.duplicates?;
        let before = guard.moves.get(&mac).copied().filter(|moves| !moves.is_over(now));
        let again = before.is_some_and(|moves| moves.duplicate);
        if !again {
            let count = before.map_or(0, |moves| moves.count) + 1;
            let duplicate = count >= detection.max_moves;
            let after =
                |time: vtep::table::Duration| Some(now.saturating_add(time.as_millis())).filter(|at| *at < NEVER);
            let until = match (duplicate, before) {
                (true, _) => detection.recover.and_then(after),
                (false, Some(moves)) => moves.until,
                (false, None) => after(detection.window),
            };
            guard.moves.insert(mac, Moves { count, duplicate, until });
            if !duplicate {
                return None;
            }
            let (place, other) = (known.into(), heard.into());
            self.events.push(Event::Duplicate { bridge: BridgeId(id), mac, place, other });
        }
        Self::held(&detection)
    }

    /// Whether a MAC is a duplicate that stays where it is.
    pub(crate) fn is_held(&self, id: u16, mac: MacAddr) -> Option<Result<(), DropReason>> {
        let guard = &self.bridges[&id].guard;
        let moves = guard.moves.get(&mac).filter(|moves| moves.duplicate && !moves.is_over(self.now));
        moves.and(guard.duplicates.as_ref()).and_then(Self::held)
    }

    fn held(detection: &DuplicateDetection) -> Option<Result<(), DropReason>> {
        match detection.action {
            DuplicateAction::Alert => None,
            DuplicateAction::Freeze => Some(Ok(())),
            DuplicateAction::Drop => Some(Err(DropReason::SourceMacDuplicate)),
        }
    }

    fn guard(&mut self, id: BridgeId) -> Result<&mut Guard, CommandError> {
        self.bridges.get_mut(&id.0).map(|bridge| &mut bridge.guard).ok_or(CommandError::NoSuchBridge)
    }

    pub(crate) fn set_storm_control(&mut self, id: BridgeId, config: StormControl) -> Result<(), CommandError> {
        let rates = [config.broadcast, config.multicast, config.unknown_unicast];
        if rates.into_iter().flatten().any(|rate| rate.burst == 0) {
            return Err(CommandError::BadValue);
        }
        let guard = self.guard(id)?;
        guard.storm = config;
        if config == StormControl::OFF {
            guard.missing = [(0, 0); 3];
        }
        Ok(())
    }

    pub(crate) fn set_duplicates(
        &mut self,
        id: BridgeId,
        config: Option<DuplicateDetection>,
    ) -> Result<(), CommandError> {
        if config.is_some_and(|config| !(1..=DuplicateDetection::MAX_MOVES).contains(&config.max_moves)) {
            return Err(CommandError::BadValue);
        }
        let guard = self.guard(id)?;
        guard.duplicates = config;
        if config.is_none() {
            guard.moves.clear();
        }
        Ok(())
    }

    pub(crate) fn clear_duplicate(&mut self, id: BridgeId, mac: Option<MacAddr>) -> Result<(), CommandError> {
        let now = self.now;
        let guard = self.guard(id)?;
        let Some(mac) = mac else {
            guard.moves.clear();
            return Ok(());
        };
        let moves = guard.moves.remove(&mac);
        let was_one = moves.is_some_and(|moves| moves.duplicate && !moves.is_over(now));
        if was_one { Ok(()) } else { Err(CommandError::NotFound) }
    }
}
