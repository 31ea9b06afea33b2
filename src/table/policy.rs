//! Which security groups may exchange frames: rules in memory lent by the caller.
//!
//! A rule belongs to a bridge and names a source group, a destination group, or any for either. The most specific rule
//! decides: first that of both groups; then, of those that name one group, a denial before an allowance; then that of
//! any to any; then the bridge's default. A look-up touches at most eight cache lines, however many rules there are.

use core::cell::Cell;

use super::BridgeId;
use super::cuckoo::{Bucket, Cuckoo};
use crate::wire::SecurityGroup;

bitflags::bitflags! {
    /// Where a bridge judges frames by their groups.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
    pub struct Enforce: u8 {
        /// Where a frame from a port enters the tunnels: by the destination's group, as far as it is known here.
        const INGRESS = 1 << 0;
        /// Where a frame leaves the tunnels for a port or the host.
        const EGRESS = 1 << 1;
    }
}

crate::macros::flag_traits!(Enforce, u8);

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Action {
    /// It is dropped.
    #[default]
    Deny = 0,
    /// It is forwarded.
    Allow = 1,
}

/// How a bridge enforces its rules.
///
/// [`Enforce::EGRESS`] is exact: the frame says its source's group, and the destination's is configured here. Frames
/// between two ports of one engine are judged once, under either.
///
/// [`Enforce::INGRESS`] alone judges remote destinations by what is known of them. Learned knowledge may be old, and a
/// flood's remote receivers are not known at all: such frames count as sent to an unlabelled station. It suits
/// fabrics whose control plane names every station. Together with `EGRESS`, what cannot be judged here is left to the
/// far side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Enforcement {
    /// Where frames are judged.
    pub at: Enforce,
    /// What becomes of frames that no rule speaks of.
    pub default: Action,
    /// The group of frames and stations without one; [`SecurityGroup::NONE`]: they are denied whatever the rules say.
    pub unlabelled: SecurityGroup,
    /// The group of the host, where its FDB entry names none.
    pub host: SecurityGroup,
}

impl Enforcement {
    /// Fails closed: judged where frames leave the tunnels, denied without a rule or without a group.
    pub const DEFAULT: Self =
        Self { at: Enforce::EGRESS, default: Action::Deny, unlabelled: SecurityGroup::NONE, host: SecurityGroup::NONE };
}

impl Default for Enforcement {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Which groups a rule speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum GroupMatch {
    /// All of them.
    #[default]
    Any,
    /// This one; [`SecurityGroup::NONE`] is never met.
    Is(SecurityGroup),
}

impl GroupMatch {
    /// 24 bits; those of no group are free for all of them.
    const fn bits(self) -> u64 {
        match self {
            Self::Any => 0xff_ffff,
            Self::Is(group) => group.get() as u64,
        }
    }

    const fn from_bits(bits: u64) -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "24 bits")]
        match SecurityGroup::new((bits & 0xff_ffff) as u32) {
            Some(group) => Self::Is(group),
            None => Self::Any,
        }
    }
}

/// A rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Rule {
    /// Frames of this bridge,
    pub bridge: BridgeId,
    /// from a station of this group
    pub from: GroupMatch,
    /// to one of this group
    pub to: GroupMatch,
    /// are treated so.
    pub action: Action,
}

impl Rule {
    /// Never 0, which no map takes: there is no bridge 65,535.
    const fn key(bridge: BridgeId, from: GroupMatch, to: GroupMatch) -> u64 {
        !((bridge.0 as u64) << 48 | from.bits() << 24 | to.bits())
    }
}

/// Which of the rules; valid until one is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RuleId(pub u16);

/// A place for a rule.
#[derive(Clone, Debug)]
pub struct RuleSlot {
    /// Its key, or 0 where the place is free.
    key: u64,
    /// Frames and copies it has decided about.
    hits: Cell<u64>,
    action: Action,
}

impl RuleSlot {
    /// A free place.
    #[must_use]
    pub const fn new() -> Self {
        Self { key: 0, hits: Cell::new(0), action: Action::Deny }
    }

    const fn rule(&self) -> Rule {
        let bits = !self.key;
        #[allow(clippy::cast_possible_truncation, reason = "16 bits are left")]
        let bridge = BridgeId((bits >> 48) as u16);
        let (from, to) = (GroupMatch::from_bits(bits >> 24), GroupMatch::from_bits(bits));
        Rule { bridge, from, to, action: self.action }
    }
}

impl Default for RuleSlot {
    fn default() -> Self {
        Self::new()
    }
}

/// No place for another rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct RulesFull;

/// All rules of all bridges.
#[derive(Debug)]
pub struct Policy<'a> {
    slots: &'a mut [RuleSlot],
    map: Cuckoo<'a>,
    used: u16,
    /// How many rules name no source, and no destination: look-ups that could find nothing are left out.
    any_source: u16,
    any_destination: u16,
    /// What was decided of late, each pair of groups in the one place that its key allows. Forgotten when a rule changes.
    recent: [Cell<Recent>; RECENT],
}

/// Decisions that are remembered; a power of two.
const RECENT: usize = 8;

/// What was decided about two groups.
#[derive(Clone, Copy, Debug)]
struct Recent {
    /// As a rule's; 0 for nothing.
    key: u64,
    decision: Option<(RuleId, Action)>,
}

impl Recent {
    const NOTHING: Self = Self { key: 0, decision: None };
    /// Nothing decided yet.
    const fn none() -> [Cell<Self>; RECENT] {
        [const { Cell::new(Self::NOTHING) }; RECENT]
    }

    /// Both groups have a part in it, and one after the other is another place than the other way round.
    #[inline]
    const fn place(key: u64) -> usize {
        #[allow(clippy::cast_possible_truncation, reason = "three bits")]
        {
            (key ^ key >> 23 ^ key >> 48) as usize & RECENT.wrapping_sub(1)
        }
    }
}

impl<'a> Policy<'a> {
    /// No rules. `map` needs a bucket for every three places to be sure of all of them; at most 65,535 are used.
    #[must_use]
    pub fn new(slots: &'a mut [RuleSlot], map: &'a mut [Bucket], seed: [u64; 2]) -> Self {
        let len = slots.len().min(usize::from(u16::MAX));
        let slots = slots.split_at_mut_checked(len).map_or(&mut [][..], |(used, _)| used);
        slots.fill(RuleSlot::new());
        Self { slots, map: Cuckoo::new(map, seed), used: 0, any_source: 0, any_destination: 0, recent: Recent::none() }
    }

    /// The rule that decides about frames of a bridge from one group to another, or `None`: the default does.
    ///
    /// Cost: two cache lines of the map and one for the rule; four times that where rules name any group; one in all for a
    /// pair that was asked for of late.
    #[must_use]
    #[inline]
    pub fn decide(&self, bridge: BridgeId, from: SecurityGroup, to: SecurityGroup) -> Option<(RuleId, Action)> {
        let (from, to) = (GroupMatch::Is(from), GroupMatch::Is(to));
        let key = Rule::key(bridge, from, to);
        match self.recent.get(Recent::place(key)).map(Cell::get) {
            Some(recent) if recent.key == key => recent.decision,
            _ => self.decide_anew(bridge, from, to),
        }
    }

    #[inline(never)]
    fn decide_anew(&self, bridge: BridgeId, from: GroupMatch, to: GroupMatch) -> Option<(RuleId, Action)> {
        let decision = self.most_specific(bridge, from, to);
        let key = Rule::key(bridge, from, to);
        if let Some(recent) = self.recent.get(Recent::place(key)) {
            recent.set(Recent { key, decision });
        }
        decision
    }

    fn most_specific(&self, bridge: BridgeId, from: GroupMatch, to: GroupMatch) -> Option<(RuleId, Action)> {
        if let Some(exact) = self.find(bridge, from, to) {
            return Some(exact);
        }
        let by_source = (self.any_destination != 0).then(|| self.find(bridge, from, GroupMatch::Any)).flatten();
        if self.any_source == 0 || matches!(by_source, Some((_, Action::Deny))) {
            return by_source;
        }
        let by_destination = self.find(bridge, GroupMatch::Any, to);
        match (by_source, by_destination) {
            (_, Some((_, Action::Deny))) => by_destination,
            (Some(_), _) => by_source,
            (None, Some(_)) => by_destination,
            (None, None) => self.find(bridge, GroupMatch::Any, GroupMatch::Any),
        }
    }

    /// The rule with exactly these terms.
    #[must_use]
    pub fn find(&self, bridge: BridgeId, from: GroupMatch, to: GroupMatch) -> Option<(RuleId, Action)> {
        let id = u16::try_from(self.map.get(Rule::key(bridge, from, to))?).ok()?;
        Some((RuleId(id), self.slots.get(usize::from(id))?.action))
    }

    /// Adds a rule, or changes what one says; it then counts from 0 again. Cost: linear in the places for a new one.
    ///
    /// # Errors
    ///
    /// [`RulesFull`]; nothing changes.
    pub fn set(&mut self, rule: &Rule) -> Result<RuleId, RulesFull> {
        self.recent = Recent::none();
        let key = Rule::key(rule.bridge, rule.from, rule.to);
        let known = self.find(rule.bridge, rule.from, rule.to).map(|(id, _)| id);
        let id = match known {
            Some(id) => id,
            None => {
                let free = (0..u16::MAX).zip(self.slots.iter()).find(|(_, slot)| slot.key == 0);
                let id = free.map(|(at, _)| RuleId(at)).ok_or(RulesFull)?;
                self.map.insert(key, u64::from(id.0)).map_err(|_| RulesFull)?;
                self.count(rule, 1);
                id
            }
        };
        if let Some(slot) = self.slots.get_mut(usize::from(id.0)) {
            *slot = RuleSlot { key, hits: Cell::new(0), action: rule.action };
        }
        Ok(id)
    }

    /// Takes a rule out; `false` where there is none.
    pub fn remove(&mut self, bridge: BridgeId, from: GroupMatch, to: GroupMatch) -> bool {
        let Some((id, action)) = self.find(bridge, from, to) else { return false };
        self.recent = Recent::none();
        self.map.remove(Rule::key(bridge, from, to));
        if let Some(slot) = self.slots.get_mut(usize::from(id.0)) {
            *slot = RuleSlot::new();
        }
        self.count(&Rule { bridge, from, to, action }, -1);
        true
    }

    /// Takes out all rules of a bridge. Cost: linear in the places.
    pub fn remove_bridge(&mut self, bridge: BridgeId) {
        for at in 0..self.slots.len() {
            let rule = self.slots.get(at).filter(|slot| slot.key != 0).map(RuleSlot::rule);
            if let Some(rule) = rule.filter(|rule| rule.bridge == bridge) {
                self.remove(bridge, rule.from, rule.to);
            }
        }
    }

    fn count(&mut self, rule: &Rule, change: i16) {
        self.used = self.used.saturating_add_signed(change);
        if rule.from == GroupMatch::Any {
            self.any_source = self.any_source.saturating_add_signed(change);
        }
        if rule.to == GroupMatch::Any {
            self.any_destination = self.any_destination.saturating_add_signed(change);
        }
    }

    /// Counts a frame or a copy that a rule has decided about.
    #[inline]
    pub fn hit(&self, id: RuleId) {
        if let Some(slot) = self.slots.get(usize::from(id.0)) {
            slot.hits.set(slot.hits.get().wrapping_add(1));
        }
    }

    /// A rule by its number.
    #[must_use]
    pub fn get(&self, id: RuleId) -> Option<Rule> {
        self.slots.get(usize::from(id.0)).filter(|slot| slot.key != 0).map(RuleSlot::rule)
    }

    /// The rules, and how many frames and copies each has decided about.
    pub fn iter(&self) -> impl Iterator<Item = (Rule, u64)> + '_ {
        self.slots.iter().filter(|slot| slot.key != 0).map(|slot| (slot.rule(), slot.hits.get()))
    }

    /// How many rules there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.used)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Most rules that fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.len()
    }

    /// The rules, for a digest; not what they have counted.
    pub(crate) fn words(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.slots.iter().map(|slot| (slot.key, slot.action as u64))
    }
}

#[cfg(test)]
#[allow(clippy::cast_possible_truncation)]
mod tests {
    use super::*;

    fn is(group: u32) -> GroupMatch {
        GroupMatch::Is(SecurityGroup::new(group).unwrap())
    }

    fn rule(from: GroupMatch, to: GroupMatch, action: Action) -> Rule {
        Rule { bridge: BridgeId(0), from, to, action }
    }

    fn decide(policy: &Policy<'_>, from: u32, to: u32) -> Option<Action> {
        let group = |n| SecurityGroup::new(n).unwrap();
        policy.decide(BridgeId(0), group(from), group(to)).map(|(_, action)| action)
    }

    #[test]
    fn what_was_decided_is_forgotten_with_the_rules() {
        let (mut slots, mut map) = ([const { RuleSlot::new() }; 4], [Bucket::EMPTY; 4]);
        let mut policy = Policy::new(&mut slots, &mut map, [1, 2]);
        let bridge = BridgeId(0);
        let group = |n| SecurityGroup::new(n).unwrap();
        let action =
            |policy: &Policy<'_>, from, to| policy.decide(bridge, group(from), group(to)).map(|(_, action)| action);
        let rule = |from, to, action| Rule { bridge, from, to, action };
        let is = |n| GroupMatch::Is(group(n));
        // Twice each, so that the second answer is a remembered one; pairs share places.
        let all = |policy: &Policy<'_>, expected: &dyn Fn(u32, u32) -> Option<Action>| {
            for _ in 0..2 {
                for from in 1..20 {
                    for to in 1..20 {
                        assert_eq!(action(policy, from, to), expected(from, to), "{from} to {to}");
                        assert_eq!(action(policy, from, to), expected(from, to), "{from} to {to}, again");
                    }
                }
            }
        };
        all(&policy, &|_, _| None);
        policy.set(&rule(is(1), is(2), Action::Allow)).unwrap();
        all(&policy, &|from, to| (from == 1 && to == 2).then_some(Action::Allow));
        policy.set(&rule(is(1), is(2), Action::Deny)).unwrap();
        all(&policy, &|from, to| (from == 1 && to == 2).then_some(Action::Deny));
        policy.set(&rule(GroupMatch::Any, is(3), Action::Allow)).unwrap();
        let both = |from, to| match (from, to) {
            (1, 2) => Some(Action::Deny),
            (_, 3) => Some(Action::Allow),
            _ => None,
        };
        all(&policy, &both);
        assert!(policy.remove(bridge, is(1), is(2)));
        all(&policy, &|_, to| (to == 3).then_some(Action::Allow));
        policy.remove_bridge(bridge);
        all(&policy, &|_, _| None);
    }

    #[test]
    fn the_most_specific_rule_decides() {
        let (mut slots, mut map) = ([const { RuleSlot::new() }; 8], [Bucket::EMPTY; 4]);
        let mut policy = Policy::new(&mut slots, &mut map, [1, 2]);
        assert_eq!(decide(&policy, 1, 2), None);
        policy.set(&rule(GroupMatch::Any, GroupMatch::Any, Action::Allow)).unwrap();
        assert_eq!(decide(&policy, 1, 2), Some(Action::Allow));
        policy.set(&rule(is(1), GroupMatch::Any, Action::Deny)).unwrap();
        assert_eq!((decide(&policy, 1, 2), decide(&policy, 2, 1)), (Some(Action::Deny), Some(Action::Allow)));
        policy.set(&rule(GroupMatch::Any, is(2), Action::Allow)).unwrap();
        assert_eq!(decide(&policy, 1, 2), Some(Action::Deny));
        policy.set(&rule(is(1), is(2), Action::Allow)).unwrap();
        assert_eq!(decide(&policy, 1, 2), Some(Action::Allow));
        // Of two that name one group each, the denial counts, whichever it is.
        policy.set(&rule(is(3), GroupMatch::Any, Action::Allow)).unwrap();
        policy.set(&rule(GroupMatch::Any, is(4), Action::Deny)).unwrap();
        assert_eq!((decide(&policy, 3, 4), decide(&policy, 3, 5)), (Some(Action::Deny), Some(Action::Allow)));
        assert!(policy.remove(BridgeId(0), GroupMatch::Any, is(4)));
        assert!(!policy.remove(BridgeId(0), GroupMatch::Any, is(4)));
        assert_eq!(decide(&policy, 3, 4), Some(Action::Allow));
        assert_eq!(policy.decide(BridgeId(1), SecurityGroup::MAX, SecurityGroup::MAX), None);
    }

    #[test]
    fn every_combination_against_the_words() {
        // All subsets of the four rules that can speak of 1 -> 2, with both actions each.
        for subset in 0..3_u32.pow(4) {
            let (mut slots, mut map) = ([const { RuleSlot::new() }; 4], [Bucket::EMPTY; 2]);
            let mut policy = Policy::new(&mut slots, &mut map, [7, subset.into()]);
            let mut given = [None; 4];
            let terms = [
                (is(1), is(2)),
                (is(1), GroupMatch::Any),
                (GroupMatch::Any, is(2)),
                (GroupMatch::Any, GroupMatch::Any),
            ];
            for (n, (from, to)) in terms.into_iter().enumerate() {
                given[n] = match subset / 3_u32.pow(n as u32) % 3 {
                    0 => None,
                    1 => Some(Action::Allow),
                    _ => Some(Action::Deny),
                };
                if let Some(action) = given[n] {
                    policy.set(&rule(from, to, action)).unwrap();
                }
            }
            let one_sided = match (given[1], given[2]) {
                (Some(Action::Deny), _) | (_, Some(Action::Deny)) => Some(Action::Deny),
                (a, b) => a.or(b),
            };
            assert_eq!(decide(&policy, 1, 2), given[0].or(one_sided).or(given[3]), "{given:?}");
        }
    }

    #[test]
    fn rules_come_back_as_given_and_count() {
        let (mut slots, mut map) = ([const { RuleSlot::new() }; 2], [Bucket::EMPTY; 1]);
        let mut policy = Policy::new(&mut slots, &mut map, [1, 2]);
        let first = Rule { bridge: BridgeId(65_534), from: GroupMatch::Any, to: is(0xff_fffe), action: Action::Allow };
        let id = policy.set(&first).unwrap();
        policy.hit(id);
        policy.hit(id);
        policy.set(&rule(is(0), is(0), Action::Deny)).unwrap();
        assert_eq!(policy.set(&rule(is(1), is(0), Action::Deny)), Err(RulesFull));
        assert!(policy.iter().eq([(first, 2), (rule(is(0), is(0), Action::Deny), 0)]));
        assert_eq!(policy.get(id), Some(first));
        policy.set(&Rule { action: Action::Deny, ..first }).unwrap();
        assert_eq!(policy.iter().next().unwrap().1, 0);
        policy.remove_bridge(BridgeId(65_534));
        assert_eq!((policy.len(), policy.get(id)), (1, None));
        assert!(Policy::new(&mut [], &mut [], [0; 2]).set(&first).is_err());
    }
}
