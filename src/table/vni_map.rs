//! From (tunnel header, UDP port, VNI) to a tenant network.

use super::BridgeId;
use super::cuckoo::{Bucket, Cuckoo};
use crate::wire::{Encapsulation, Vni};

/// Which bridge a tunnel packet belongs to, in memory lent by the caller.
///
/// The value carries a tag beside the index, so that a VNI can lead to a routing table too.
#[derive(Debug)]
pub struct VniMap<'a> {
    map: Cuckoo<'a>,
}

/// The value's tag for a bridge; a routing table will have another.
const BRIDGE: u64 = 1 << 32;

impl<'a> VniMap<'a> {
    /// An empty map.
    pub fn new(buckets: &'a mut [Bucket], seed: [u64; 2]) -> Self {
        Self { map: Cuckoo::new(buckets, seed) }
    }

    /// The bridge of a VNI. Cost: two cache lines.
    #[must_use]
    #[inline(always)]
    pub fn bridge(&self, encapsulation: Encapsulation, port: u16, vni: Vni) -> Option<BridgeId> {
        let key = key(encapsulation, port, vni);
        // Without the tag it is none.
        let value = self.map.get_or_zero(key, self.map.hash(key));
        u16::try_from(value ^ BRIDGE).ok().map(BridgeId)
    }

    /// Adds or changes a VNI's bridge.
    ///
    /// # Errors
    /// `false` if there is no place; nothing changes.
    pub fn insert(&mut self, encapsulation: Encapsulation, port: u16, vni: Vni, bridge: BridgeId) -> bool {
        self.map.insert(key(encapsulation, port, vni), BRIDGE | u64::from(bridge.0)).is_ok()
    }

    /// Keys and values in the order of their slots, for a digest.
    pub(crate) fn words(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.map.iter()
    }

    /// Forgets a VNI.
    pub fn remove(&mut self, encapsulation: Encapsulation, port: u16, vni: Vni) {
        self.map.remove(key(encapsulation, port, vni));
    }
}

/// The top bit keeps the key of VXLAN's VNI 0 on port 0 from being the empty slot's.
#[inline]
fn key(encapsulation: Encapsulation, port: u16, vni: Vni) -> u64 {
    1 << 63 | u64::from(encapsulation as u8) << 40 | u64::from(port) << 24 | u64::from(vni.get())
}
