//! The small names that tables use for each other's rows.

macro_rules! index {
    ($(#[$meta:meta])* $name:ident) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[cfg_attr(feature = "defmt", derive(defmt::Format))]
        #[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
        #[repr(transparent)]
        pub struct $name(pub u16);

        impl $name {
            /// The row in its table.
            #[must_use]
            #[inline]
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }
    };
}

index! {
    /// A bridge: one broadcast domain, usually one VNI.
    BridgeId
}
index! {
    /// A port: where a bridge meets hosts.
    PortId
}
index! {
    /// A tunnel endpoint: a remote VTEP.
    EndpointId
}
index! {
    /// A flood list.
    GroupId
}

/// An underlay.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(transparent)]
pub struct UnderlayId(pub u8);

/// 12 bits that an FDB entry carries for its user: usually the row of a table of metadata.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct Meta(u16);

impl Meta {
    /// No metadata.
    pub const NONE: Self = Self(0);
    /// The largest value, 4095.
    pub const MAX: Self = Self(0xfff);

    /// `value`, or `None` above 12 bits.
    #[must_use]
    #[inline]
    pub const fn new(value: u16) -> Option<Self> {
        if value <= Self::MAX.0 { Some(Self(value)) } else { None }
    }

    /// The low 12 bits of `value`.
    #[must_use]
    #[inline]
    pub const fn truncating(value: u16) -> Self {
        Self(value & Self::MAX.0)
    }

    /// The number.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u16 {
        self.0
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Meta {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self::truncating(u.arbitrary()?))
    }
}

/// Where frames for a MAC go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Destination {
    /// Out of a port.
    Port(PortId),
    /// Through a tunnel.
    Endpoint(EndpointId),
    /// To the members of a flood list.
    Group(GroupId),
    /// To this system itself.
    Host,
    /// Nowhere: a black hole.
    Drop,
}

impl Destination {
    /// As 20 bits: a tag of 4 and an index of 16.
    #[inline]
    pub(crate) const fn to_bits(self) -> u32 {
        match self {
            Self::Port(id) => Self::PORT | id.0 as u32,
            Self::Endpoint(id) => Self::ENDPOINT | id.0 as u32,
            Self::Group(id) => Self::GROUP | id.0 as u32,
            Self::Host => Self::HOST,
            Self::Drop => Self::DROP,
        }
    }

    /// The inverse of [`Destination::to_bits`]; unknown tags are black holes.
    #[inline]
    pub(crate) const fn from_bits(bits: u32) -> Self {
        let index = (bits & 0xffff) as u16;
        match bits & !0xffff {
            Self::PORT => Self::Port(PortId(index)),
            Self::ENDPOINT => Self::Endpoint(EndpointId(index)),
            Self::GROUP => Self::Group(GroupId(index)),
            Self::HOST => Self::Host,
            _ => Self::Drop,
        }
    }

    const PORT: u32 = 0 << 16;
    const ENDPOINT: u32 = 1 << 16;
    const GROUP: u32 = 2 << 16;
    const HOST: u32 = 3 << 16;
    const DROP: u32 = 4 << 16;
}

/// Who put an entry into the table, and so who may change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
#[non_exhaustive]
pub enum Owner {
    /// Learned from frames; the only kind that ages, moves by itself and is evicted.
    Dynamic = 0,
    /// Configured by an operator.
    Static = 1,
    /// From a BGP EVPN route.
    Evpn = 2,
    /// From a controller (`extern_learn` in Linux).
    Controller = 3,
    /// An address of this system.
    Local = 4,
}

impl Owner {
    /// Every value, in the order of their numbers.
    pub const ALL: &'static [Self] = &[Self::Dynamic, Self::Static, Self::Evpn, Self::Controller, Self::Local];

    /// The stable lower-case name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dynamic => "dynamic",
            Self::Static => "static",
            Self::Evpn => "evpn",
            Self::Controller => "controller",
            Self::Local => "local",
        }
    }

    /// From 3 bits; numbers that mean nothing are local, the owner that nobody overrules.
    #[inline]
    pub(crate) const fn from_bits(bits: u8) -> Self {
        match bits {
            0 => Self::Dynamic,
            1 => Self::Static,
            2 => Self::Evpn,
            3 => Self::Controller,
            _ => Self::Local,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_survive_their_bits() {
        for index in [0, 1, 0x8000, 0xffff] {
            for destination in [
                Destination::Port(PortId(index)),
                Destination::Endpoint(EndpointId(index)),
                Destination::Group(GroupId(index)),
                Destination::Host,
                Destination::Drop,
            ] {
                assert!(destination.to_bits() < 1 << 20);
                assert_eq!(Destination::from_bits(destination.to_bits()), destination);
            }
        }
        assert_eq!(Destination::from_bits(0xf_1234), Destination::Drop);
    }

    #[test]
    fn owners_survive_their_bits() {
        for (number, &owner) in Owner::ALL.iter().enumerate() {
            assert_eq!(owner as usize, number);
            assert_eq!(Owner::from_bits(owner as u8), owner);
        }
        assert_eq!(Owner::from_bits(7), Owner::Local);
    }

    #[test]
    fn meta_has_12_bits() {
        assert_eq!(Meta::new(4095), Some(Meta::MAX));
        assert_eq!(Meta::new(4096), None);
        assert_eq!(Meta::truncating(0x1001).get(), 1);
    }
}
