//! Carrying out commands on rules and traffic maps.

use super::{CommandError, Done, Engine};
use crate::table::{BridgeId, GroupMatch, Rule, TrafficMap, TrafficMapId};

impl Engine<'_> {
    pub(super) fn set_rule(&mut self, rule: &Rule) -> Result<Done, CommandError> {
        self.bridge(rule.bridge).ok_or(CommandError::NoSuchBridge)?;
        self.policy.set(rule).map_err(|_| CommandError::RulesFull)?;
        Ok(Done::Ok)
    }

    pub(super) fn remove_rule(
        &mut self,
        bridge: BridgeId,
        from: GroupMatch,
        to: GroupMatch,
    ) -> Result<Done, CommandError> {
        self.bridge(bridge).ok_or(CommandError::NoSuchBridge)?;
        if self.policy.remove(bridge, from, to) { Ok(Done::Ok) } else { Err(CommandError::NotFound) }
    }

    pub(super) fn set_traffic_map(&mut self, id: TrafficMapId, map: &TrafficMap) -> Result<Done, CommandError> {
        let values = map.dscp.iter().all(|dscp| *dscp < 64) && map.pcp.iter().all(|pcp| *pcp < 8);
        let slot = self.traffic.get_mut(usize::from(id.0)).ok_or(CommandError::OutOfRange)?;
        if !values {
            return Err(CommandError::BadValue);
        }
        *slot = *map;
        Ok(Done::Ok)
    }
}
