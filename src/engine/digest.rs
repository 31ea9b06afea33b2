//! One number for the whole state.

use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Engine;
use crate::table::{EndpointAddress, GroupId, Origin, UnderlayConfig};

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

    /// Addresses go by their numbers: std hashes their octets as an integer of the target's byte order.
    fn add_ipv4(&mut self, address: Option<Ipv4Addr>) {
        address.map(Ipv4Addr::to_bits).hash(self);
    }

    fn add_ipv6(&mut self, address: Option<Ipv6Addr>) {
        address.map(Ipv6Addr::to_bits).hash(self);
    }

    fn add_endpoint(&mut self, endpoint: &EndpointAddress) {
        let EndpointAddress { underlay, address, encapsulation, port, vni } = endpoint;
        match *address {
            IpAddr::V4(address) => self.add_ipv4(Some(address)),
            IpAddr::V6(address) => self.add_ipv6(Some(address)),
        }
        (address.is_ipv6(), underlay, encapsulation, port, vni).hash(self);
    }

    fn add_underlay(&mut self, config: &UnderlayConfig) {
        self.add_ipv4(config.ipv4);
        self.add_ipv6(config.ipv6);
        UnderlayConfig { ipv4: None, ipv6: None, ..*config }.hash(self);
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

    fn write_u128(&mut self, value: u128) {
        let [high, low] = zerocopy::transmute!(value.to_be_bytes());
        self.add(u64::from_be_bytes(high));
        self.add(u64::from_be_bytes(low));
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
        digest.add(u64::from(self.ident()));
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
            digest.add_endpoint(&endpoint.address);
            endpoint.config.hash(&mut digest);
        }
        for list in (0..self.flood_lists.capacity()).map(GroupId) {
            digest.add(u64::from(list.0) << 16 | u64::from(self.flood_lists.len(list)));
            self.flood_lists.iter(list).for_each(|id| digest.add(u64::from(id.0)));
        }
        for (index, bridge) in (0..u64::MAX).zip(self.bridges.iter()) {
            if let Some(config) = bridge.config.as_ref() {
                digest.add(index << 32 | u64::from(bridge.generation) << 16 | u64::from(bridge.ports));
                (config, bridge.flood_list).hash(&mut digest);
            }
        }
        for (index, port) in (0..u64::MAX).zip(self.ports.iter()) {
            if let Some(config) = port.config.as_ref() {
                digest.add(index << 32 | u64::from(port.generation));
                (config, port.next).hash(&mut digest);
            }
        }
        for (index, underlay) in (0..u64::MAX).zip(self.underlays.iter()) {
            digest.add(index);
            if let Some(config) = underlay.config.as_ref() {
                digest.add_underlay(config);
            }
        }
        for (index, guard) in (0..u64::MAX).zip(self.guards.iter()).filter(|(_, guard)| !guard.is_off()) {
            digest.add(index);
            (guard.storm(), guard.duplicates()).hash(&mut digest);
            guard.words().for_each(|word| digest.add(word));
        }
        for (key, value) in self.moves.words() {
            digest.add(key);
            digest.add(value);
        }
        self.policy.words().for_each(|(key, action)| {
            digest.add(key);
            digest.add(action);
        });
        self.traffic.iter().for_each(|map| map.hash(&mut digest));
        self.counters.codes().iter().for_each(|count| digest.add(*count));
        digest.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(words: &[u64]) -> u64 {
        let mut digest = Digest::START;
        words.iter().for_each(|word| digest.add(*word));
        digest.0
    }

    fn hashed(add: impl FnOnce(&mut Digest)) -> u64 {
        let mut digest = Digest::START;
        add(&mut digest);
        digest.0
    }

    #[test]
    fn addresses_count_as_numbers_on_every_target() {
        let (v4, v6) = (Ipv4Addr::new(1, 2, 3, 4), Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 9));
        assert_eq!(hashed(|d| d.add_ipv4(Some(v4))), of(&[1, 0x0102_0304]));
        assert_eq!(hashed(|d| d.add_ipv6(Some(v6))), of(&[1, 0xfd00 << 48, 9]));
        assert_eq!(hashed(|d| d.add_ipv4(None)), of(&[0]));
    }

    #[test]
    fn an_underlays_addresses_are_part_of_it() {
        let digest = |address: Ipv4Addr| hashed(|d| d.add_underlay(&UnderlayConfig::new(IpAddr::V4(address))));
        assert_ne!(digest(Ipv4Addr::new(10, 0, 0, 1)), digest(Ipv4Addr::new(10, 0, 0, 2)));
    }
}
