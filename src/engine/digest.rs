//! One number for the whole state.

use core::hash::{Hash, Hasher};

use super::Engine;
use crate::table::{GroupId, Origin};

/// A running hash over 64-bit words, the same on every target.
#[derive(Clone, Copy)]
struct Digest(u64);

impl Digest {
    const START: Self = Self(0xcbf2_9ce4_8422_2325);

    fn add(&mut self, word: u64) {
        // FNV-1a's prime over words, with a shift so that high bits reach low ones.
        let mixed = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 = mixed ^ (mixed >> 29);
    }
}

/// For configurations. Every width goes through [`Digest::add`]: what `Hasher` does by itself depends on the target.
impl Hasher for Digest {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.add(u64::from(*byte)));
    }

    fn write_u16(&mut self, value: u16) {
        self.add(u64::from(value));
    }

    fn write_u32(&mut self, value: u32) {
        self.add(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        self.add(value);
    }

    fn write_usize(&mut self, value: usize) {
        self.add(value as u64);
    }

    fn write_isize(&mut self, value: isize) {
        // The number of a variant: never negative.
        self.add(u64::try_from(value).unwrap_or(u64::MAX));
    }
}

impl Engine<'_> {
    /// A number that two engines share if the same calls brought them where they are, on whatever target.
    ///
    /// It covers the FDB slot by slot, flood lists, configurations, the VNI map, packet counters and time, and the
    /// endpoints that something needs; not the counters of copies and rewrites, nor events, which do not bear on what a
    /// step does. Cost: linear in the memory lent.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut digest = Digest::START;
        digest.add(self.now().as_millis());
        digest.add(u64::from(self.ident));
        digest.add(u64::from(self.switches.bits()));
        for (key, value) in self.fdb.words() {
            digest.add(key);
            digest.add(value);
        }
        // Where in the map a VNI lies does not matter.
        let vnis = self.vnis.words().fold(0_u64, |sum, (key, value)| {
            let mut word = Digest::START;
            word.add(key);
            word.add(value);
            sum.wrapping_add(word.0)
        });
        digest.add(vnis);
        // Nor do endpoints that may go at any time.
        for (id, endpoint) in self.endpoints.iter().filter(|(id, e)| !self.is_idle(*id, e)) {
            digest.add(u64::from(id.0) << 32 | u64::from(endpoint.generation) << 16 | u64::from(endpoint.memberships));
            digest.add(u64::from(endpoint.origin == Origin::Configured));
            (endpoint.address, endpoint.config).hash(&mut digest);
        }
        for list in (0..self.flood_lists.capacity()).map(GroupId) {
            digest.add(u64::from(list.0) << 16 | u64::from(self.flood_lists.len(list)));
            self.flood_lists.iter(list).for_each(|id| digest.add(u64::from(id.0)));
        }
        for (index, bridge) in (0..u64::MAX).zip(self.bridges.iter()) {
            if let Some(config) = &bridge.config {
                digest.add(index << 32 | u64::from(bridge.generation) << 16 | u64::from(bridge.ports));
                (config, bridge.flood_list).hash(&mut digest);
            }
        }
        for (index, port) in (0..u64::MAX).zip(self.ports.iter()) {
            if let Some(config) = &port.config {
                digest.add(index << 32 | u64::from(port.generation));
                (config, port.next).hash(&mut digest);
            }
        }
        for (index, underlay) in (0..u64::MAX).zip(self.underlays.iter()) {
            digest.add(index);
            underlay.config.hash(&mut digest);
        }
        self.counters.codes().iter().for_each(|count| digest.add(*count));
        digest.0
    }
}
