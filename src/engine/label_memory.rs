//! The memory that security groups and traffic classes need, beside [`Memory`](super::Memory).

use crate::table::{Bucket, LabelSlot, RuleSlot, TrafficMap};
use crate::wire::geneve::Definition;

/// What [`Engine::with_labels`](super::Engine::with_labels) is lent. Any slice may be empty: there is then no room for
/// such things.
#[derive(Debug, Default)]
pub struct LabelMemory<'a> {
    /// Pairs of group and class that FDB entries have; at most 4095 are used. With none at all, entries have neither;
    /// else what finds no place here is not learned.
    pub labels: &'a mut [LabelSlot],
    /// Label to number; a bucket for every three labels is enough.
    pub label_map: &'a mut [Bucket],
    /// Rules of all bridges.
    pub rules: &'a mut [RuleSlot],
    /// Groups to rule; a bucket for every three rules is enough.
    pub rule_map: &'a mut [Bucket],
    /// Traffic maps, which bridges name by index; at most 256 are used. Each is
    /// [`TrafficMap::CLASS_SELECTORS`] until a command says otherwise.
    pub traffic: &'a mut [TrafficMap],
    /// Geneve options that the caller knows besides the schema's, so that they may be critical.
    pub known: &'a [Definition],
}

/// [`LabelMemory`] of a size fixed at compile time: so many labels, rules and traffic maps.
///
/// Keep it in a `static`, or build it where it is to stay.
#[derive(Debug)]
pub struct LabelStorage<const LABELS: usize, const RULES: usize, const MAPS: usize> {
    labels: [LabelSlot; LABELS],
    label_map: [Bucket; LABELS],
    rules: [RuleSlot; RULES],
    rule_map: [Bucket; RULES],
    traffic: [TrafficMap; MAPS],
}

impl<const LABELS: usize, const RULES: usize, const MAPS: usize> Default for LabelStorage<LABELS, RULES, MAPS> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const LABELS: usize, const RULES: usize, const MAPS: usize> LabelStorage<LABELS, RULES, MAPS> {
    /// Empty tables; all bits zero.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            labels: [LabelSlot::EMPTY; LABELS],
            label_map: [Bucket::EMPTY; LABELS],
            rules: [const { RuleSlot::new() }; RULES],
            rule_map: [Bucket::EMPTY; RULES],
            traffic: [TrafficMap::ZERO; MAPS],
        }
    }

    /// The tables, to be lent to an engine. [`LabelMemory::known`] is empty.
    pub fn memory(&mut self) -> LabelMemory<'_> {
        LabelMemory {
            labels: &mut self.labels,
            label_map: &mut self.label_map,
            rules: &mut self.rules,
            rule_map: &mut self.rule_map,
            traffic: &mut self.traffic,
            known: &[],
        }
    }
}
