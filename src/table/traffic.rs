//! Traffic classes and the fields that carry them: outer DSCP, inner DSCP, inner VLAN priority (RFC 2983).

use crate::wire::TrafficClass;

/// How the DSCP of a tunnel packet and that of the packet inside belong together (RFC 2983 section 3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum DiffServ {
    /// They are two things: the outer one comes from the class, and the inner one passes unchanged.
    #[default]
    Pipe = 0,
    /// They are one: the inner one is copied out on the way in, and the outer one is copied in on the way out.
    Uniform = 1,
}

/// Where the class of a frame from a port comes from, if its port or its source's entry names none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum ClassFrom {
    /// Nowhere: it is best effort. Tenants' marks are not believed.
    #[default]
    Nothing = 0,
    /// The IP header's DSCP; best effort for frames without one.
    Dscp = 1,
    /// The outermost VLAN tag's priority; best effort for frames without a tag.
    Pcp = 2,
    /// The VLAN tag's priority, or the DSCP of a frame without a tag.
    PcpOrDscp = 3,
}

/// The maps of one or more VNIs between classes and the fields that carry them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct TrafficMap {
    /// How inner and outer DSCP belong together.
    pub model: DiffServ,
    /// Where the class of a frame from a port comes from.
    pub from: ClassFrom,
    /// Whether frames that leave for a port with a VLAN tag get the class's priority in it.
    pub write_pcp: bool,
    /// Whether IP packets that leave for a port get the class's DSCP; with [`DiffServ::Uniform`] the outer one is
    /// written instead.
    pub write_dscp: bool,
    /// The DSCP of each class, 6 bits.
    pub dscp: [u8; TrafficClass::COUNT],
    /// The VLAN priority of each class, 3 bits.
    pub pcp: [u8; TrafficClass::COUNT],
    /// The class of each DSCP.
    pub class_of_dscp: [TrafficClass; 64],
    /// The class of each VLAN priority.
    pub class_of_pcp: [TrafficClass; 8],
}

impl TrafficMap {
    /// Class selectors: class n is DSCP 8n (RFC 2474 section 4.2.2) and VLAN priority n, and a DSCP's class is its upper
    /// three bits. Pipe model; nothing is believed and nothing written inside.
    pub const CLASS_SELECTORS: Self = {
        let mut map = Self {
            model: DiffServ::Pipe,
            from: ClassFrom::Nothing,
            write_pcp: false,
            write_dscp: false,
            dscp: [0, 8, 16, 24, 32, 40, 48, 56],
            pcp: [0, 1, 2, 3, 4, 5, 6, 7],
            class_of_dscp: [TrafficClass::BEST_EFFORT; 64],
            class_of_pcp: [TrafficClass::BEST_EFFORT; 8],
        };
        let mut rest: &mut [TrafficClass] = &mut map.class_of_dscp;
        let mut dscp = 0_u8;
        while let [first, tail @ ..] = rest {
            if let Some(class) = TrafficClass::new(dscp >> 3) {
                *first = class;
            }
            dscp = dscp.wrapping_add(1);
            rest = tail;
        }
        let mut rest: &mut [TrafficClass] = &mut map.class_of_pcp;
        let mut pcp = 0_u8;
        while let [first, tail @ ..] = rest {
            if let Some(class) = TrafficClass::new(pcp) {
                *first = class;
            }
            pcp = pcp.wrapping_add(1);
            rest = tail;
        }
        map
    };

    /// All bits zero: every class and every mark is best effort.
    pub const ZERO: Self = Self {
        dscp: [0; TrafficClass::COUNT],
        pcp: [0; TrafficClass::COUNT],
        class_of_dscp: [TrafficClass::BEST_EFFORT; 64],
        class_of_pcp: [TrafficClass::BEST_EFFORT; 8],
        ..Self::CLASS_SELECTORS
    };

    /// The DSCP of a class, 0 to 63.
    #[must_use]
    #[inline]
    pub fn dscp(&self, class: TrafficClass) -> u8 {
        self.dscp.get(usize::from(class.get())).map_or(0, |dscp| dscp & 0x3f)
    }

    /// The VLAN priority of a class, 0 to 7.
    #[must_use]
    #[inline]
    pub fn pcp(&self, class: TrafficClass) -> u8 {
        self.pcp.get(usize::from(class.get())).map_or(0, |pcp| pcp & 7)
    }

    /// The class of a DSCP, whose lower six bits count.
    #[must_use]
    #[inline]
    pub fn class_of_dscp(&self, dscp: u8) -> TrafficClass {
        self.class_of_dscp.get(usize::from(dscp & 0x3f)).copied().unwrap_or_default()
    }

    /// The class of a VLAN priority, whose lower three bits count.
    #[must_use]
    #[inline]
    pub fn class_of_pcp(&self, pcp: u8) -> TrafficClass {
        self.class_of_pcp.get(usize::from(pcp & 7)).copied().unwrap_or_default()
    }

    /// The class of a frame from a port, by its outermost tag's priority and its DSCP, where it has them.
    #[must_use]
    pub fn classify(&self, pcp: Option<u8>, dscp: Option<u8>) -> TrafficClass {
        let by_pcp = || pcp.map(|pcp| self.class_of_pcp(pcp));
        let by_dscp = || dscp.map(|dscp| self.class_of_dscp(dscp));
        let class = match self.from {
            ClassFrom::Nothing => None,
            ClassFrom::Dscp => by_dscp(),
            ClassFrom::Pcp => by_pcp(),
            ClassFrom::PcpOrDscp => by_pcp().or_else(by_dscp),
        };
        class.unwrap_or_default()
    }

    /// The outer DSCP of a packet of a class, whose inner DSCP is `inner` where it is IP.
    #[must_use]
    pub fn outer_dscp(&self, class: TrafficClass, inner: Option<u8>) -> u8 {
        match (self.model, inner) {
            (DiffServ::Uniform, Some(dscp)) => dscp & 0x3f,
            _ => self.dscp(class),
        }
    }
}

impl Default for TrafficMap {
    fn default() -> Self {
        Self::CLASS_SELECTORS
    }
}

/// One of the maps that an engine has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(transparent)]
pub struct TrafficMapId(pub u8);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn class_selectors_are_their_own_inverse() {
        let map = TrafficMap::default();
        for n in 0..8 {
            let class = TrafficClass::new(n).unwrap();
            assert_eq!((map.dscp(class), map.pcp(class)), (n * 8, n));
            assert_eq!((map.class_of_dscp(n * 8 + 7), map.class_of_pcp(n)), (class, class));
        }
        // Bits beyond the fields' widths do not count.
        assert_eq!((map.class_of_dscp(0xff).get(), map.class_of_pcp(0xf9).get()), (7, 1));
    }

    #[test]
    fn where_the_class_comes_from() {
        let map = |from| TrafficMap { from, ..TrafficMap::default() };
        let class = |from, pcp, dscp| map(from).classify(pcp, dscp).get();
        assert_eq!(class(ClassFrom::Nothing, Some(5), Some(46)), 0);
        assert_eq!((class(ClassFrom::Dscp, Some(1), Some(46)), class(ClassFrom::Dscp, Some(1), None)), (5, 0));
        assert_eq!((class(ClassFrom::Pcp, Some(1), Some(46)), class(ClassFrom::Pcp, None, Some(46))), (1, 0));
        assert_eq!(class(ClassFrom::PcpOrDscp, Some(1), Some(46)), 1);
        assert_eq!(class(ClassFrom::PcpOrDscp, None, Some(46)), 5);
    }

    #[test]
    fn pipe_and_uniform() {
        let class = TrafficClass::new(3).unwrap();
        let map = |model| TrafficMap { model, ..TrafficMap::default() };
        assert_eq!(map(DiffServ::Pipe).outer_dscp(class, Some(46)), 24);
        assert_eq!(map(DiffServ::Uniform).outer_dscp(class, Some(46)), 46);
        assert_eq!(map(DiffServ::Uniform).outer_dscp(class, None), 24);
    }
}
