//! What a tunnel says of a frame beside where it belongs: its sender's security group and its traffic class.

use zerocopy::network_endian::U32;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use super::geneve_option::OptionId;
use super::typed_option::TypedOption;

/// A security group: what a station is to a policy. 24 bits; 0 is no group.
///
/// VXLAN's Group Policy ID has 16 of them; a Geneve option has room for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct SecurityGroup(u32);

impl SecurityGroup {
    /// No group: the frame, or the station, is not labelled.
    pub const NONE: Self = Self(0);
    /// The largest group, 16,777,214.
    pub const MAX: Self = Self(0xff_fffe);

    /// `value`, or `None` above [`SecurityGroup::MAX`].
    #[must_use]
    #[inline]
    pub const fn new(value: u32) -> Option<Self> {
        if value <= Self::MAX.0 { Some(Self(value)) } else { None }
    }

    /// The group of a 16-bit Group Policy ID.
    #[must_use]
    #[inline]
    pub const fn from_policy_id(id: u16) -> Self {
        Self(id as u32)
    }

    /// As a Group Policy ID, or `None` above 16 bits.
    #[must_use]
    #[inline]
    pub const fn policy_id(self) -> Option<u16> {
        #[allow(clippy::cast_possible_truncation, reason = "compared before")]
        if self.0 <= u16::MAX as u32 { Some(self.0 as u16) } else { None }
    }

    /// The number.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Whether it is no group.
    #[must_use]
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }
}

impl core::fmt::Display for SecurityGroup {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for SecurityGroup {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        u.int_in_range(0..=Self::MAX.0).map(Self)
    }
}

/// A traffic class, 0 to 7: as many as a VLAN tag's priority and the class selectors of RFC 2474 tell apart. 0 is best
/// effort.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[repr(transparent)]
pub struct TrafficClass(u8);

impl TrafficClass {
    /// Class 0.
    pub const BEST_EFFORT: Self = Self(0);
    /// Class 7.
    pub const MAX: Self = Self(7);
    /// How many there are.
    pub const COUNT: usize = 8;

    /// `value`, or `None` above 7.
    #[must_use]
    #[inline]
    pub const fn new(value: u8) -> Option<Self> {
        if value <= Self::MAX.0 { Some(Self(value)) } else { None }
    }

    /// The number.
    #[must_use]
    #[inline]
    pub const fn get(self) -> u8 {
        self.0
    }
}

impl core::fmt::Display for TrafficClass {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        core::fmt::Display::fmt(&self.0, f)
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for TrafficClass {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        u.int_in_range(0..=Self::MAX.0).map(Self)
    }
}

/// A security group and a traffic class, in 4 bytes. All zero is no group, best effort: [`Label::NONE`].
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Label(u32);

impl Label {
    /// No group, best effort.
    pub const NONE: Self = Self(0);

    /// The two together.
    #[must_use]
    #[inline]
    pub const fn new(group: SecurityGroup, class: TrafficClass) -> Self {
        Self(group.0 << 8 | class.0 as u32)
    }

    /// A group, best effort.
    #[must_use]
    #[inline]
    pub const fn of_group(group: SecurityGroup) -> Self {
        Self::new(group, TrafficClass::BEST_EFFORT)
    }

    /// The group.
    #[must_use]
    #[inline]
    pub const fn group(self) -> SecurityGroup {
        SecurityGroup(self.0 >> 8)
    }

    /// The class.
    #[must_use]
    #[inline]
    pub const fn class(self) -> TrafficClass {
        #[allow(clippy::cast_possible_truncation, reason = "masked")]
        TrafficClass((self.0 & 7) as u8)
    }

    /// This label with another class.
    #[must_use]
    #[inline]
    pub const fn with_class(self, class: TrafficClass) -> Self {
        Self::new(self.group(), class)
    }

    /// Whether it says nothing.
    #[must_use]
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// As one number, for tables and digests; never equal for two labels.
    #[must_use]
    #[inline]
    pub(crate) const fn bits(self) -> u32 {
        self.0
    }
}

impl core::fmt::Debug for Label {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Label({}, {})", self.group(), self.class())
    }
}

#[cfg(feature = "defmt")]
impl defmt::Format for Label {
    fn format(&self, f: defmt::Formatter<'_>) {
        defmt::write!(f, "Label({=u32}, {=u8})", self.group().get(), self.class().get());
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for Label {
    fn arbitrary(u: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        Ok(Self::new(u.arbitrary()?, u.arbitrary()?))
    }
}

/// The data of the option that carries a security group: a 32-bit number in network byte order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct GroupOption {
    /// The group; above [`SecurityGroup::MAX`] it is none that a table can hold.
    pub group: U32,
}

impl TypedOption for GroupOption {
    /// Type 0x80 of the first experimental class. It is critical: a receiver that does not know it must drop the
    /// packet, instead of delivering it past a policy.
    const ID: OptionId = OptionId::new(super::option_class::EXPERIMENTAL, 0x80);
}

/// The data of the option that carries a traffic class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(C)]
pub struct ClassOption {
    /// The class; above 7 it is none.
    pub class: u8,
    /// Zero on transmit, ignored on receive.
    pub reserved: [u8; 3],
}

impl TypedOption for ClassOption {
    /// Type 0x01 of the first experimental class. It is not critical: who does not know it treats the packet as best
    /// effort.
    const ID: OptionId = OptionId::new(super::option_class::EXPERIMENTAL, 0x01);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        assert_eq!(SecurityGroup::new(0xff_fffe), Some(SecurityGroup::MAX));
        assert_eq!(SecurityGroup::new(0xff_ffff), None);
        assert_eq!(SecurityGroup::new(u32::MAX), None);
        assert_eq!(TrafficClass::new(8), None);
        assert_eq!(SecurityGroup::new(67_890).unwrap().policy_id(), None);
        assert_eq!(SecurityGroup::new(12_345).unwrap().policy_id(), Some(12_345));
        assert_eq!(SecurityGroup::from_policy_id(65_535).get(), 65_535);
    }

    #[test]
    fn labels_keep_both() {
        for group in [0, 1, 0xffff, 0xff_fffe] {
            for class in 0..8 {
                let (group, class) = (SecurityGroup::new(group).unwrap(), TrafficClass::new(class).unwrap());
                let label = Label::new(group, class);
                assert_eq!((label.group(), label.class()), (group, class));
                assert_eq!(label.with_class(TrafficClass::MAX).group(), group);
                assert_eq!(label.is_none(), group.is_none() && class == TrafficClass::BEST_EFFORT);
            }
        }
        assert_eq!(size_of::<Label>(), 4);
    }
}
