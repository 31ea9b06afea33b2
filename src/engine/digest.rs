//! One number for the whole state.

use core::net::IpAddr;

use super::Engine;

/// A running hash over 64-bit words, the same on every target.
struct Digest(u64);

impl Digest {
    fn add(&mut self, word: u64) {
        // FNV-1a's prime over words, with a shift so that high bits reach low ones.
        let mixed = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 = mixed ^ (mixed >> 29);
    }
}

impl Engine<'_> {
    /// A number that two engines share if the same calls brought them where they are, on whatever target.
    ///
    /// It covers the FDB slot by slot, endpoints, flood lists, bridges, ports, the VNI map, packet counters and time;
    /// not the counters of copies and rewrites, which do not bear on what a step does. Cost: linear in the memory lent.
    #[must_use]
    pub fn digest(&self) -> u64 {
        let mut digest = Digest(0xcbf2_9ce4_8422_2325);
        digest.add(self.now().as_millis());
        digest.add(u64::from(self.ident));
        digest.add(u64::from(self.switches.bits()));
        for (key, value) in self.fdb.words().chain(self.vnis.words()) {
            digest.add(key);
            digest.add(value);
        }
        for (id, endpoint) in self.endpoints.iter() {
            digest.add(u64::from(id.0) << 32 | u64::from(endpoint.generation) << 16 | u64::from(endpoint.memberships));
            let address = match endpoint.address.address {
                IpAddr::V4(a) => a.to_ipv6_mapped(),
                IpAddr::V6(a) => a,
            };
            for group in address.segments() {
                digest.add(u64::from(group));
            }
            let vni = endpoint.address.vni.map_or(1 << 24, |vni| u64::from(vni.get()));
            digest.add(vni << 32 | u64::from(endpoint.address.port));
        }
        for (index, bridge) in (0..u64::MAX).zip(self.bridges.iter()).filter(|(_, b)| b.config.is_some()) {
            digest.add(index << 32 | u64::from(bridge.generation) << 16 | u64::from(bridge.ports));
            if let Some(list) = bridge.flood_list {
                self.flood_lists.iter(list).for_each(|id| digest.add(u64::from(id.0)));
            }
        }
        for (index, port) in (0..u64::MAX).zip(self.ports.iter()) {
            if let Some(config) = &port.config {
                let vlan = u64::from(config.vlan.unwrap_or(0));
                digest.add(index << 48 | u64::from(port.generation) << 32 | u64::from(config.bridge.0) << 16 | vlan);
            }
        }
        self.counters.codes().iter().for_each(|count| digest.add(*count));
        digest.0
    }
}
