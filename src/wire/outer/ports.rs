//! Which UDP destination port carries which tunnel.

use crate::wire::Encapsulation;

/// Up to eight UDP destination ports and the tunnel behind each; [`TunnelPorts::default`] has IANA's three.
///
/// The destination port alone selects: a source port says nothing about what a packet carries, even where
/// it has one of these numbers.
///
/// ```
/// # use vtep::wire::{Encapsulation, outer::TunnelPorts};
/// const PORTS: TunnelPorts = match TunnelPorts::DEFAULT.with(8472, Encapsulation::Vxlan) {
///     Some(ports) => ports,
///     None => TunnelPorts::DEFAULT,
/// };
/// assert_eq!(PORTS.get(8472), Some(Encapsulation::Vxlan));
/// assert_eq!(PORTS.get(6081), Some(Encapsulation::Geneve));
/// assert_eq!(PORTS.get(53), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct TunnelPorts {
    /// Used entries first, in the order they were added. Port 0 is never used.
    list: [Entry; Self::CAPACITY],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
struct Entry {
    port: u16,
    encap: Option<Encapsulation>,
}

const UNUSED: Entry = Entry { port: 0, encap: None };

impl TunnelPorts {
    /// Ports that fit.
    pub const CAPACITY: usize = 8;
    /// No port at all.
    pub const NONE: Self = Self { list: [UNUSED; Self::CAPACITY] };
    /// 4789 VXLAN, 4790 GPE, 6081 Geneve.
    pub const DEFAULT: Self = {
        const fn entry(encap: Encapsulation) -> Entry {
            Entry { port: encap.default_port(), encap: Some(encap) }
        }
        let [_, _, _, rest @ ..] = Self::NONE.list;
        let [a, b, c, d, e] = rest;
        let [vxlan, geneve, gpe] =
            [entry(Encapsulation::Vxlan), entry(Encapsulation::Geneve), entry(Encapsulation::Gpe)];
        Self { list: [vxlan, geneve, gpe, a, b, c, d, e] }
    };

    /// These ports and `port`, which carries `encap`; what it carried before is forgotten. `None` for port
    /// 0, and for a ninth port.
    #[must_use]
    pub const fn with(mut self, port: u16, encap: Encapsulation) -> Option<Self> {
        if port == 0 {
            return None;
        }
        let mut rest: &mut [Entry] = &mut self.list;
        while let [entry, tail @ ..] = rest {
            if entry.encap.is_none() || entry.port == port {
                *entry = Entry { port, encap: Some(encap) };
                return Some(self);
            }
            rest = tail;
        }
        None
    }

    /// The tunnel that destination port `port` carries.
    ///
    /// Cost: one comparison for each port in front of it, in the order they were added; eight at most.
    #[inline]
    #[must_use]
    pub const fn get(&self, port: u16) -> Option<Encapsulation> {
        let mut rest: &[Entry] = &self.list;
        while let [entry, tail @ ..] = rest {
            // Port 0 finds an unused entry, which carries nothing.
            if entry.port == port {
                return entry.encap;
            }
            rest = tail;
        }
        None
    }

    /// The ports and what they carry, in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (u16, Encapsulation)> + '_ {
        self.list.iter().filter_map(|entry| Some((entry.port, entry.encap?)))
    }
}

impl Default for TunnelPorts {
    fn default() -> Self {
        Self::DEFAULT
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for TunnelPorts {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut ports = if u.arbitrary()? { Self::DEFAULT } else { Self::NONE };
        for _ in 0..u.int_in_range(0..=Self::CAPACITY)? {
            ports = ports.with(u.arbitrary()?, u.arbitrary()?).unwrap_or(ports);
        }
        Ok(ports)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_ianas() {
        let ports = TunnelPorts::default();
        for encap in [Encapsulation::Vxlan, Encapsulation::Gpe, Encapsulation::Geneve] {
            assert_eq!(ports.get(encap.default_port()), Some(encap));
        }
        assert_eq!(ports.iter().count(), 3);
        for port in [0, 1, 53, 4788, 4791, 8472, 65_535] {
            assert_eq!(ports.get(port), None);
        }
    }

    #[test]
    fn ports_are_added_and_replaced_until_full() {
        assert_eq!(TunnelPorts::NONE.get(0), None);
        assert_eq!(TunnelPorts::NONE.with(0, Encapsulation::Vxlan), None);
        let mut ports = TunnelPorts::NONE;
        for port in 1..=8 {
            ports = ports.with(port, Encapsulation::Gpe).unwrap();
        }
        assert_eq!(ports.with(9, Encapsulation::Vxlan), None);
        let ports = ports.with(8, Encapsulation::Vxlan).unwrap();
        assert_eq!(ports.get(8), Some(Encapsulation::Vxlan));
        assert_eq!(ports.get(7), Some(Encapsulation::Gpe));
        assert_eq!((ports.get(0), ports.get(9)), (None, None));
        assert!(ports.iter().map(|(port, _)| port).eq(1..=8));
    }
}
