//! Flood lists: to whom a frame without a known unicast destination is copied.
//!
//! A list is a chain of members in a pool that all lists share, in the order they were appended: that order is the order
//! of the copies. A multicast underlay group is a list with one member, an endpoint whose address is the group's.

use super::cuckoo::{Bucket, Cuckoo};
use super::{EndpointId, GroupId};

/// One list.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    used: bool,
    head: Option<u16>,
    tail: Option<u16>,
    len: u16,
    horizon: Horizon,
}

impl Group {
    /// An unused record.
    pub const EMPTY: Self = Self { used: false, head: None, tail: None, len: 0, horizon: Horizon::Empty };
}

/// The split-horizon groups of a list's members, as far as flooding must know them without walking the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Horizon {
    /// There are no members.
    Empty,
    /// All members are of this group.
    All(u8),
    /// There are members of at least two groups.
    Mixed,
}

impl Horizon {
    /// With one more member.
    pub(crate) const fn with(self, group: u8) -> Self {
        match self {
            Self::Empty => Self::All(group),
            Self::All(same) if same == group => self,
            _ => Self::Mixed,
        }
    }
}

/// One member of some list, or a free place.
#[derive(Clone, Copy, Debug)]
pub struct Member {
    endpoint: Option<EndpointId>,
    next: Option<u16>,
    previous: Option<u16>,
    at: u64,
}

impl Member {
    /// A free place.
    pub const EMPTY: Self = Self { endpoint: None, next: None, previous: None, at: 0 };
}

/// Why a list was not changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum FloodError {
    /// No such list.
    NoSuchGroup = 0,
    /// The endpoint is on the list already.
    Exists = 1,
    /// The endpoint is not on the list.
    NotFound = 2,
    /// No free list, no free member, or no place in the membership map.
    Full = 3,
}

/// All flood lists, in memory lent by the caller.
#[derive(Debug)]
pub struct FloodLists<'a> {
    groups: &'a mut [Group],
    members: &'a mut [Member],
    /// (list, endpoint) to the member's place, and (list, where an endpoint is) to the endpoint.
    memberships: Cuckoo<'a>,
    /// Members from this index on are free and were never used.
    fresh: u16,
    free: Option<u16>,
}

impl<'a> FloodLists<'a> {
    /// Empty lists. Slices are used up to 65,535 records; `memberships` wants a bucket for every member.
    pub fn new(
        groups: &'a mut [Group],
        members: &'a mut [Member],
        memberships: &'a mut [Bucket],
        seed: [u64; 2],
    ) -> Self {
        groups.fill(Group::EMPTY);
        members.fill(Member::EMPTY);
        Self { groups, members, memberships: Cuckoo::new(memberships, seed), fresh: 0, free: None }
    }

    /// Takes an unused list. Cost: linear in the number of lists.
    ///
    /// # Errors
    /// [`FloodError::Full`] if all are taken.
    pub fn create(&mut self) -> Result<GroupId, FloodError> {
        let mut groups = (0..=u16::MAX).zip(self.groups.iter_mut());
        let (id, group) = groups.find(|(_, g)| !g.used).ok_or(FloodError::Full)?;
        *group = Group { used: true, ..Group::EMPTY };
        Ok(GroupId(id))
    }

    /// Gives a list back, and all its members. Cost: linear in its length.
    ///
    /// # Errors
    /// [`FloodError::NoSuchGroup`].
    pub fn destroy(&mut self, group: GroupId) -> Result<(), FloodError> {
        while let Some((endpoint, _)) = self.first(group).and_then(|place| self.member(place)) {
            self.remove(group, endpoint)?;
        }
        *self.group_mut(group)? = Group::EMPTY;
        Ok(())
    }

    /// Appends `endpoint`, which is at `at`: a number by which [`FloodLists::find`] finds it. Cost: constant.
    ///
    /// # Errors
    /// [`FloodError::Exists`], [`FloodError::Full`] or [`FloodError::NoSuchGroup`]; nothing changes.
    pub fn append(&mut self, group: GroupId, endpoint: EndpointId, at: u64) -> Result<(), FloodError> {
        let tail = self.group(group)?.tail;
        if self.contains(group, endpoint) {
            return Err(FloodError::Exists);
        }
        let place = self.next_place().ok_or(FloodError::Full)?;
        self.memberships.insert(key(group, endpoint), u64::from(place)).map_err(|_| FloodError::Full)?;
        let place_key = place_key(group, at);
        if self.memberships.get(place_key).is_none()
            && self.memberships.insert(place_key, place_value(group, endpoint)).is_err()
        {
            self.memberships.remove(key(group, endpoint));
            return Err(FloodError::Full);
        }
        self.take(place);
        if let Some(member) = self.members.get_mut(usize::from(place)) {
            *member = Member { endpoint: Some(endpoint), next: None, previous: tail, at };
        }
        if let Some(last) = tail.and_then(|t| self.members.get_mut(usize::from(t))) {
            last.next = Some(place);
        }
        let record = self.group_mut(group)?;
        record.tail = Some(place);
        record.head = record.head.or(Some(place));
        record.len = record.len.saturating_add(1);
        Ok(())
    }

    /// Removes `endpoint`. Cost: constant; linear in the list's length if others are at the same place.
    ///
    /// # Errors
    /// [`FloodError::NotFound`] or [`FloodError::NoSuchGroup`].
    pub fn remove(&mut self, group: GroupId, endpoint: EndpointId) -> Result<(), FloodError> {
        self.group(group)?;
        let place = self.place(group, endpoint).ok_or(FloodError::NotFound)?;
        let member = self.members.get(usize::from(place)).copied().unwrap_or(Member::EMPTY);
        if let Some(previous) = member.previous.and_then(|p| self.members.get_mut(usize::from(p))) {
            previous.next = member.next;
        }
        if let Some(next) = member.next.and_then(|n| self.members.get_mut(usize::from(n))) {
            next.previous = member.previous;
        }
        let record = self.group_mut(group)?;
        if record.head == Some(place) {
            record.head = member.next;
        }
        if record.tail == Some(place) {
            record.tail = member.previous;
        }
        record.len = record.len.saturating_sub(1);
        self.memberships.remove(key(group, endpoint));
        self.give_back(place);
        let place_key = place_key(group, member.at);
        if self.memberships.get(place_key) == Some(place_value(group, endpoint)) {
            self.memberships.remove(place_key);
            let heir = self.places(group).find(|p| self.is_at(*p, member.at));
            if let Some((heir, _)) = heir.and_then(|heir| self.member(heir)) {
                // A slot was just freed under this very key: this cannot fail.
                let _ = self.memberships.insert(place_key, place_value(group, heir));
            }
        }
        Ok(())
    }

    /// The first member that is at `at`. Cost: two cache lines.
    ///
    /// Numbers meet by chance: compare what they stand for.
    #[must_use]
    #[inline(always)]
    pub fn find(&self, group: GroupId, at: u64) -> Option<EndpointId> {
        let key = place_key(group, at);
        let value = self.memberships.get_or_zero(key, self.memberships.hash(key));
        u16::try_from(value ^ place_value(group, EndpointId(0))).ok().map(EndpointId)
    }

    /// The place of the first member.
    #[must_use]
    #[inline]
    pub fn first(&self, group: GroupId) -> Option<u16> {
        self.groups.get(usize::from(group.0)).and_then(|g| g.head)
    }

    /// The member at a place: its endpoint and the next place.
    #[must_use]
    #[inline]
    pub fn member(&self, place: u16) -> Option<(EndpointId, Option<u16>)> {
        let member = self.members.get(usize::from(place))?;
        Some((member.endpoint?, member.next))
    }

    /// How many members a list has; 0 for no list.
    #[must_use]
    #[inline]
    pub fn len(&self, group: GroupId) -> u16 {
        self.groups.get(usize::from(group.0)).map_or(0, |g| g.len)
    }

    /// Whether a list has no members.
    #[must_use]
    #[inline]
    pub fn is_empty(&self, group: GroupId) -> bool {
        self.len(group) == 0
    }

    /// Whether `endpoint` is on the list. Cost: two cache lines.
    #[must_use]
    #[inline]
    pub fn contains(&self, group: GroupId, endpoint: EndpointId) -> bool {
        self.place(group, endpoint).is_some()
    }

    /// The members in order.
    pub fn iter(&self, group: GroupId) -> impl Iterator<Item = EndpointId> + '_ {
        let mut at = self.first(group);
        core::iter::from_fn(move || {
            let (endpoint, next) = self.member(at?)?;
            at = next;
            Some(endpoint)
        })
    }

    /// The places of a list's members, in order.
    fn places(&self, group: GroupId) -> impl Iterator<Item = u16> + '_ {
        let next = |place: &u16| self.members.get(usize::from(*place))?.next;
        core::iter::successors(self.first(group), next)
    }

    fn is_at(&self, place: u16, at: u64) -> bool {
        self.members.get(usize::from(place)).is_some_and(|m| m.at == at)
    }

    /// How many lists there is memory for.
    pub(crate) fn capacity(&self) -> u16 {
        u16::try_from(self.groups.len()).unwrap_or(u16::MAX)
    }

    #[inline]
    pub(crate) fn horizon(&self, group: GroupId) -> Horizon {
        self.groups.get(usize::from(group.0)).map_or(Horizon::Empty, |g| g.horizon)
    }

    pub(crate) fn set_horizon(&mut self, group: GroupId, horizon: Horizon) {
        if let Ok(record) = self.group_mut(group) {
            record.horizon = horizon;
        }
    }

    #[inline]
    fn place(&self, group: GroupId, endpoint: EndpointId) -> Option<u16> {
        u16::try_from(self.memberships.get(key(group, endpoint))?).ok()
    }

    fn group(&self, group: GroupId) -> Result<&Group, FloodError> {
        self.groups.get(usize::from(group.0)).filter(|g| g.used).ok_or(FloodError::NoSuchGroup)
    }

    fn group_mut(&mut self, group: GroupId) -> Result<&mut Group, FloodError> {
        self.groups.get_mut(usize::from(group.0)).filter(|g| g.used).ok_or(FloodError::NoSuchGroup)
    }

    fn next_place(&self) -> Option<u16> {
        let fresh = self.fresh != u16::MAX && usize::from(self.fresh) < self.members.len();
        self.free.or(fresh.then_some(self.fresh))
    }

    fn take(&mut self, place: u16) {
        if self.free == Some(place) {
            self.free = self.members.get(usize::from(place)).and_then(|m| m.next);
        } else {
            self.fresh = place.saturating_add(1);
        }
    }

    fn give_back(&mut self, place: u16) {
        if let Some(member) = self.members.get_mut(usize::from(place)) {
            *member = Member { next: self.free, ..Member::EMPTY };
            self.free = Some(place);
        }
    }
}

/// The top bit keeps it from being the empty slot's.
#[inline]
fn key(group: GroupId, endpoint: EndpointId) -> u64 {
    1 << 63 | u64::from(group.0) << 16 | u64::from(endpoint.0)
}

/// A key that differs from all of [`key`]'s in the bit below.
#[inline]
const fn place_key(group: GroupId, at: u64) -> u64 {
    3 << 62 | (at ^ (group.0 as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// A member, and the list it is on: two lists may have the same [`place_key`] by chance. Never 0.
#[inline]
const fn place_value(group: GroupId, endpoint: EndpointId) -> u64 {
    1 << 32 | (group.0 as u64) << 16 | endpoint.0 as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    extern crate std;
    use std::vec::Vec;

    const AT: u64 = 7;

    fn list(lists: &FloodLists<'_>, group: GroupId) -> Vec<u16> {
        lists.iter(group).map(|e| e.0).collect()
    }

    #[test]
    fn members_keep_their_order_and_places_are_reused() {
        let (mut groups, mut members) = ([Group::EMPTY; 2], [Member::EMPTY; 4]);
        let mut map = [Bucket::EMPTY; 4];
        let mut lists = FloodLists::new(&mut groups, &mut members, &mut map, [1, 2]);
        let (a, b) = (lists.create().unwrap(), lists.create().unwrap());
        assert_eq!(lists.create(), Err(FloodError::Full));
        for e in [1, 2, 3] {
            lists.append(a, EndpointId(e), AT).unwrap();
        }
        lists.append(b, EndpointId(2), AT).unwrap();
        assert_eq!(lists.append(a, EndpointId(2), AT), Err(FloodError::Exists));
        assert_eq!(lists.append(b, EndpointId(9), AT), Err(FloodError::Full));
        lists.remove(a, EndpointId(2)).unwrap();
        assert_eq!(lists.remove(a, EndpointId(2)), Err(FloodError::NotFound));
        lists.append(b, EndpointId(9), AT).unwrap();
        assert_eq!((list(&lists, a), list(&lists, b)), ([1, 3].to_vec(), [2, 9].to_vec()));
        lists.remove(a, EndpointId(3)).unwrap();
        lists.append(a, EndpointId(4), AT).unwrap();
        assert_eq!(list(&lists, a), [1, 4]);
        lists.destroy(a).unwrap();
        assert_eq!((lists.len(a), lists.len(b)), (0, 2));
        assert_eq!(lists.append(a, EndpointId(1), AT), Err(FloodError::NoSuchGroup));
    }

    #[test]
    fn the_first_at_a_place_is_found() {
        let (mut groups, mut members) = ([Group::EMPTY; 2], [Member::EMPTY; 8]);
        let mut map = [Bucket::EMPTY; 8];
        let mut lists = FloodLists::new(&mut groups, &mut members, &mut map, [1, 2]);
        let (a, b) = (lists.create().unwrap(), lists.create().unwrap());
        for (e, at) in [(1, 70), (2, 71), (3, 70), (4, 70)] {
            lists.append(a, EndpointId(e), at).unwrap();
        }
        assert_eq!((lists.find(a, 70), lists.find(a, 71)), (Some(EndpointId(1)), Some(EndpointId(2))));
        assert_eq!((lists.find(a, 72), lists.find(b, 70)), (None, None));
        for (gone, heir) in [(3, Some(1)), (1, Some(4)), (4, None)] {
            lists.remove(a, EndpointId(gone)).unwrap();
            assert_eq!(lists.find(a, 70), heir.map(EndpointId));
        }
        lists.append(b, EndpointId(1), 70).unwrap();
        lists.destroy(a).unwrap();
        assert_eq!((lists.find(a, 71), lists.find(b, 70)), (None, Some(EndpointId(1))));
    }

    #[test]
    fn a_full_map_changes_nothing() {
        let (mut groups, mut members) = ([Group::EMPTY; 1], [Member::EMPTY; 8]);
        let mut map = [Bucket::EMPTY; 1];
        let mut lists = FloodLists::new(&mut groups, &mut members, &mut map, [1, 2]);
        let a = lists.create().unwrap();
        // Four slots: two keys for one, one more for another at the same place, and one slot for the last's two keys.
        lists.append(a, EndpointId(1), 70).unwrap();
        lists.append(a, EndpointId(2), 70).unwrap();
        assert_eq!(lists.append(a, EndpointId(3), 71), Err(FloodError::Full));
        assert_eq!((list(&lists, a), lists.find(a, 71)), ([1, 2].to_vec(), None));
        lists.append(a, EndpointId(4), 70).unwrap();
        assert_eq!(list(&lists, a), [1, 2, 4]);
    }

    #[test]
    fn nothing_lent_is_nothing_to_take() {
        let mut lists = FloodLists::new(&mut [], &mut [], &mut [], [1, 2]);
        assert_eq!(lists.create(), Err(FloodError::Full));
        assert_eq!(lists.append(GroupId(0), EndpointId(0), AT), Err(FloodError::NoSuchGroup));
        assert!(lists.is_empty(GroupId(0)) && lists.first(GroupId(7)).is_none());
    }
}
