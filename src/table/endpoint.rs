//! Tunnel endpoints: the remote VTEPs, each with the outer header of its packets ready made.
//!
//! An endpoint is what packets are sent to: an address, a UDP port, a tunnel header and, where the remote side counts its
//! VNIs for itself, a VNI. Some are configured; others come with a flood list, an FDB entry or a packet, and are recycled when
//! nothing needs them any more.

use core::net::IpAddr;

use super::cuckoo::{Bucket, Cuckoo};
use super::{EndpointId, UnderlayId};
use crate::wire::{Encapsulation, MacAddr, Template, Vni, fold};

/// What identifies an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct EndpointAddress {
    /// The underlay it is reached over.
    pub underlay: UnderlayId,
    /// Its IP address; a multicast address for an underlay group.
    pub address: IpAddr,
    /// Its tunnel header.
    pub encapsulation: Encapsulation,
    /// The UDP port it listens on.
    pub port: u16,
    /// The VNI it wants, or `None` for the bridge's own.
    pub vni: Option<Vni>,
}

/// How an endpoint is treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct EndpointConfig {
    /// Split-horizon group: members of one non-zero group never exchange frames through us. 1 unless told otherwise.
    pub split_horizon: u8,
    /// The underlay's next hop towards it; needed for outer Ethernet headers only, derived for multicast.
    pub next_hop: Option<MacAddr>,
    /// Most dynamic FDB entries, or `None` for as many as fit.
    pub max_macs: Option<u32>,
}

impl EndpointConfig {
    /// The split-horizon group of endpoints that were not told otherwise.
    pub const DEFAULT_GROUP: u8 = 1;
}

impl Default for EndpointConfig {
    fn default() -> Self {
        Self { split_horizon: Self::DEFAULT_GROUP, next_hop: None, max_macs: None }
    }
}

/// Why an endpoint exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A packet came from it, or a flood list or FDB entry named it: it goes when the last of them does.
    Automatic,
    /// A command added it: it stays until a command removes it.
    Configured,
}

/// One endpoint as the engine keeps it.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    pub(crate) template: Template,
    pub(crate) address: EndpointAddress,
    pub(crate) config: EndpointConfig,
    pub(crate) origin: Origin,
    /// Flood-list memberships.
    pub(crate) memberships: u16,
    /// Largest frame that fits the underlay's MTU, bytes.
    pub(crate) max_frame: u32,
    pub(crate) fragments: Fragments,
    /// Given by [`Endpoints::insert`].
    pub(crate) generation: u16,
}

/// Whether packets that pass the MTU may be sent nevertheless.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fragments {
    Never,
    /// Where the inner packet may be fragmented.
    AsInner,
    Always,
}

impl Endpoint {
    /// Whether a packet that passes the MTU may be sent, because somebody behind us fragments it.
    #[inline]
    pub(crate) const fn may_fragment(&self, inner_df: bool) -> bool {
        match self.fragments {
            Fragments::Never => false,
            Fragments::AsInner => !inner_df,
            Fragments::Always => true,
        }
    }

    /// The address.
    #[must_use]
    pub const fn address(&self) -> &EndpointAddress {
        &self.address
    }

    /// How it is treated.
    #[must_use]
    pub const fn config(&self) -> &EndpointConfig {
        &self.config
    }

    /// Whether it is here for the sake of FDB entries only: it was neither configured, nor is it on a flood list.
    #[must_use]
    pub const fn is_learned(&self) -> bool {
        matches!(self.origin, Origin::Automatic) && self.memberships == 0
    }

    /// The outer header of packets to it.
    #[must_use]
    pub const fn template(&self) -> &Template {
        &self.template
    }
}

/// A place for an endpoint; the generation outlives the endpoint.
#[derive(Clone, Copy, Debug)]
pub struct EndpointSlot(Occupancy);

/// In a layout of its own, as [`Slot`](super::Slot)'s: a free place is all zero bits. What is not the endpoint stands
/// in front of it, where its alignment leaves room.
#[derive(Clone, Copy, Debug)]
#[repr(u8)]
enum Occupancy {
    Free {
        generation: u16,
    } = 0,
    Taken {
        /// The next endpoint at the same IP address.
        sibling: Option<EndpointId>,
        endpoint: Endpoint,
    } = 1,
}

impl EndpointSlot {
    /// A free place; all bits zero.
    pub const EMPTY: Self = Self(Occupancy::Free { generation: 0 });

    #[inline]
    const fn endpoint(&self) -> Option<&Endpoint> {
        match &self.0 {
            Occupancy::Taken { endpoint, .. } => Some(endpoint),
            Occupancy::Free { .. } => None,
        }
    }

    #[inline]
    const fn sibling(&self) -> Option<EndpointId> {
        match self.0 {
            Occupancy::Taken { sibling, .. } => sibling,
            Occupancy::Free { .. } => None,
        }
    }

    const fn generation(&self) -> u16 {
        match &self.0 {
            Occupancy::Taken { endpoint, .. } => endpoint.generation,
            Occupancy::Free { generation } => *generation,
        }
    }

    const fn set_sibling(&mut self, next: Option<EndpointId>) {
        if let Occupancy::Taken { sibling, .. } = &mut self.0 {
            *sibling = next;
        }
    }
}

/// Why an endpoint was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum EndpointError {
    /// No free place, or no place in the address map.
    Full = 0,
    /// It exists already.
    Exists = 1,
}

/// All endpoints, in memory lent by the caller, found by address in at most two cache lines.
#[derive(Debug)]
pub struct Endpoints<'a> {
    slots: &'a mut [EndpointSlot],
    map: Cuckoo<'a>,
    seed: [u64; 2],
    /// Where the search for a free place starts.
    cursor: u16,
    used: u16,
    /// Goes up whenever an answer to who is where might be another than before.
    version: u64,
}

impl<'a> Endpoints<'a> {
    /// No endpoints yet. `map` needs a bucket for every two endpoints to be sure of a place (two keys each).
    pub fn new(slots: &'a mut [EndpointSlot], map: &'a mut [Bucket], seed: [u64; 2]) -> Self {
        slots.fill(EndpointSlot::EMPTY);
        Self { slots, map: Cuckoo::new(map, seed), seed, cursor: 0, used: 0, version: 1 }
    }

    /// The endpoint at an index.
    #[must_use]
    #[inline]
    pub fn get(&self, id: EndpointId) -> Option<&Endpoint> {
        self.slots.get(usize::from(id.0))?.endpoint()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, id: EndpointId) -> Option<&mut Endpoint> {
        match &mut self.slots.get_mut(usize::from(id.0))?.0 {
            Occupancy::Taken { endpoint, .. } => Some(endpoint),
            Occupancy::Free { .. } => None,
        }
    }

    /// A number that stays the same as long as the answers do, and what commands and control planes say of endpoints;
    /// never 0.
    #[inline]
    pub(crate) const fn version(&self) -> u64 {
        self.version
    }

    /// Makes whatever was concluded from earlier answers outdated.
    pub(crate) const fn outdate(&mut self) {
        self.version = self.version.wrapping_add(1);
    }

    /// The endpoint with exactly this address. Cost: at most two cache lines of the map and the endpoint's own.
    #[must_use]
    #[inline]
    pub fn find(&self, address: &EndpointAddress) -> Option<EndpointId> {
        let id = self.mapped(self.key(address))?;
        (self.get(id)?.address == *address).then_some(id)
    }

    /// The endpoints at an IP address, whatever their ports, tunnel headers and VNIs; the newest first.
    pub fn at(&self, underlay: UnderlayId, address: IpAddr) -> impl Iterator<Item = (EndpointId, &Endpoint)> + '_ {
        let mut next = self.mapped(self.place(underlay, address));
        let chain = core::iter::from_fn(move || {
            let id = next?;
            next = self.slots.get(usize::from(id.0))?.sibling();
            Some((id, self.get(id)?))
        });
        chain.filter(move |(_, e)| e.address.underlay == underlay && e.address.address == address)
    }

    /// Whether an endpoint is the only one at its IP address. Cost: at most two cache lines of the map and the endpoint's own.
    #[must_use]
    pub(crate) fn is_alone(&self, id: EndpointId) -> bool {
        let Some(Occupancy::Taken { sibling: None, endpoint }) = self.slots.get(usize::from(id.0)).map(|slot| &slot.0)
        else {
            return false;
        };
        self.mapped(self.place(endpoint.address.underlay, endpoint.address.address)) == Some(id)
    }

    /// A number for an IP address of an underlay: not quite unique, so whoever finds something by it compares.
    #[must_use]
    #[inline]
    pub(crate) fn place(&self, underlay: UnderlayId, address: IpAddr) -> u64 {
        self.digest(address, 1 << 60 | u64::from(underlay.0))
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.used)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Most that fit.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.slots.len().min(usize::from(u16::MAX))
    }

    /// All endpoints, by index.
    pub fn iter(&self) -> impl Iterator<Item = (EndpointId, &Endpoint)> {
        (0..=u16::MAX).zip(self.slots.iter()).filter_map(|(i, s)| Some((EndpointId(i), s.endpoint()?)))
    }

    /// Adds an endpoint. Cost: a bounded search of the map; for the place, linear in the worst case.
    ///
    /// # Errors
    /// [`EndpointError`]; nothing changes.
    pub(crate) fn insert(&mut self, endpoint: Endpoint) -> Result<EndpointId, EndpointError> {
        self.outdate();
        let id = self.free_place().ok_or(EndpointError::Full)?;
        let address = endpoint.address;
        let key = self.key(&address);
        if self.map.get(key).is_some() {
            return Err(EndpointError::Exists);
        }
        self.map.insert(key, u64::from(id.0)).map_err(|_| EndpointError::Full)?;
        let Ok(sibling) = self.map.insert(self.place(address.underlay, address.address), u64::from(id.0)) else {
            self.map.remove(key);
            return Err(EndpointError::Full);
        };
        if let Some(slot) = self.slots.get_mut(usize::from(id.0)) {
            let endpoint = Endpoint { generation: slot.generation().wrapping_add(1), ..endpoint };
            let sibling = sibling.and_then(|s| u16::try_from(s).ok()).map(EndpointId);
            slot.0 = Occupancy::Taken { sibling, endpoint };
            self.used = self.used.saturating_add(1);
        }
        self.cursor = id.0;
        Ok(id)
    }

    /// Removes an endpoint; handles to it become stale. Cost: linear in the endpoints at the same IP address.
    pub(crate) fn remove(&mut self, id: EndpointId) {
        self.outdate();
        let Some(slot) = self.slots.get_mut(usize::from(id.0)) else { return };
        let Occupancy::Taken { sibling: after, endpoint: Endpoint { address, generation, .. } } = slot.0 else {
            return;
        };
        slot.0 = Occupancy::Free { generation: generation.wrapping_add(1) };
        self.used = self.used.saturating_sub(1);
        self.map.remove(self.key(&address));
        let place = self.place(address.underlay, address.address);
        let Some(mut before) = self.mapped(place) else { return };
        if before == id {
            match after {
                // The key is there: this changes its value, which cannot fail.
                Some(after) => drop(self.map.insert(place, u64::from(after.0))),
                None => drop(self.map.remove(place)),
            }
            return;
        }
        while let Some(slot) = self.slots.get_mut(usize::from(before.0)) {
            match slot.sibling() {
                Some(next) if next == id => {
                    slot.set_sibling(after);
                    return;
                }
                Some(next) => before = next,
                None => return,
            }
        }
    }

    fn free_place(&self) -> Option<EndpointId> {
        if usize::from(self.used) >= self.capacity() {
            return None;
        }
        let free = |start: u16| {
            let slots = self.slots.iter().skip(usize::from(start));
            (start..u16::MAX).zip(slots).find(|(_, s)| s.endpoint().is_none())
        };
        free(self.cursor).or_else(|| free(0)).map(|(index, _)| EndpointId(index))
    }

    #[inline]
    fn mapped(&self, key: u64) -> Option<EndpointId> {
        u16::try_from(self.map.get(key)?).ok().map(EndpointId)
    }

    /// A 64-bit key for an address, which may be 128 bits: whoever finds one compares the address itself.
    #[inline]
    fn key(&self, a: &EndpointAddress) -> u64 {
        let vni = a.vni.map_or(0, |v| u64::from(v.get()) | 1 << 24);
        let rest =
            vni << 32 | u64::from(a.port) << 16 | u64::from(a.encapsulation as u8) << 8 | u64::from(a.underlay.0);
        self.digest(a.address, rest)
    }

    #[inline]
    fn digest(&self, address: IpAddr, rest: u64) -> u64 {
        let [a, b] = self.seed;
        let mixed = match address {
            IpAddr::V4(v4) => fold(u64::from(v4.to_bits()) ^ a, rest ^ b ^ 0x9e37_79b9_7f4a_7c15),
            IpAddr::V6(v6) => {
                let [a0, a1, a2, a3, a4, a5, a6, a7, b0, b1, b2, b3, b4, b5, b6, b7] = v6.octets();
                let high = u64::from_be_bytes([a0, a1, a2, a3, a4, a5, a6, a7]);
                let low = u64::from_be_bytes([b0, b1, b2, b3, b4, b5, b6, b7]);
                fold(fold(high ^ a, low ^ b) ^ a, rest ^ b ^ 0x9e37_79b9_7f4a_7c15)
            }
        };
        mixed | 1
    }
}
