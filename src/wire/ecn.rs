//! Explicit congestion notification across a tunnel (RFC 6040).
//!
//! The two low bits of the IPv4 TOS octet and of the IPv6 traffic class. On encapsulation the outer field
//! is made from the inner one (section 4.1), on decapsulation the inner field from both (section 4.2). The
//! inner packet itself is never changed on the way in.

/// The ECN field of an IP header (RFC 3168 section 5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Ecn {
    /// The transport does not understand ECN.
    #[default]
    NotEct = 0,
    /// ECN-capable transport, codepoint 1.
    Ect1 = 1,
    /// ECN-capable transport, codepoint 0.
    Ect0 = 2,
    /// Congestion experienced.
    Ce = 3,
}

impl Ecn {
    /// The four codepoints, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::NotEct, Self::Ect1, Self::Ect0, Self::Ce];

    /// The low two bits of a TOS octet or traffic class; the upper six are ignored.
    #[inline]
    #[must_use]
    pub const fn from_tos(tos: u8) -> Self {
        match tos & 3 {
            0 => Self::NotEct,
            1 => Self::Ect1,
            2 => Self::Ect0,
            _ => Self::Ce,
        }
    }

    /// `tos` with this as its low two bits.
    #[inline]
    #[must_use]
    pub const fn in_tos(self, tos: u8) -> u8 {
        (tos & 0xfc) | self as u8
    }
}

/// How the outer ECN field is made on encapsulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum EcnMode {
    /// Copy it (RFC 6040 section 4.1, normal mode).
    #[default]
    Normal = 0,
    /// Always Not-ECT (section 4.1, compatibility mode): for a far end that does not read the outer field.
    Compat = 1,
    /// Copy it, but send congestion experienced as ECT(0) (RFC 3168 section 9.1.1, full functionality): what
    /// Linux and Open vSwitch send.
    Legacy3168 = 2,
}

/// The packet must be dropped: congestion was marked, and its transport understands only loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct MustDrop;

/// How suspicious a pair of inner and outer fields is on decapsulation (RFC 6040 figure 4).
///
/// No tunnel specification produces such a pair. Section 4.2: SHOULD be logged, MAY raise an alarm;
/// alarms SHOULD be rate-limited and MUST be suppressible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Alarm {
    /// In use.
    None = 0,
    /// Unused and possibly dangerous: `(!)`.
    Possible = 1,
    /// Unused and always potentially dangerous: `(!!!)`.
    Dangerous = 2,
}

/// The outer ECN field for a packet with this inner one (RFC 6040 section 4.1, figure 3).
#[inline]
#[must_use]
pub const fn encapsulate(inner: Ecn, mode: EcnMode) -> Ecn {
    match (mode, inner) {
        (EcnMode::Compat, _) => Ecn::NotEct,
        (EcnMode::Legacy3168, Ecn::Ce) => Ecn::Ect0,
        _ => inner,
    }
}

/// The mode in which [`encapsulate`] answers this for [`Ecn::Ce`].
pub(super) const fn mode(outer: Ecn) -> EcnMode {
    match outer {
        Ecn::NotEct => EcnMode::Compat,
        Ecn::Ect1 | Ecn::Ect0 => EcnMode::Legacy3168,
        Ecn::Ce => EcnMode::Normal,
    }
}

/// The inner ECN field after decapsulation (RFC 6040 section 4.2, figure 4).
///
/// # Errors
///
/// [`MustDrop`] for inner Not-ECT under outer CE.
#[inline]
pub const fn decapsulate(inner: Ecn, outer: Ecn) -> Result<Ecn, MustDrop> {
    // A byte for each inner codepoint, in it two bits for each outer one, Not-ECT lowest.
    const TABLE: u32 = u32::from_le_bytes([0b00_00_00_00, 0b11_01_01_01, 0b11_10_01_10, 0b11_11_11_11]);
    match (inner, outer) {
        (Ecn::NotEct, Ecn::Ce) => Err(MustDrop),
        _ => Ok(Ecn::from_tos((TABLE >> (pair(inner, outer) << 1) & 3) as u8)),
    }
}

/// Whether a packet's ECN field stays as it is on decapsulation, from the TOS of both headers: what [`decapsulate`] says.
#[inline(always)]
pub(crate) const fn is_kept(inner: u8, outer: u8) -> bool {
    /// A bit for each pair, the outer codepoint in the upper two bits of its number.
    const KEPT: u16 = {
        let (mut kept, mut pair) = (0, 0_u8);
        while pair < 16 {
            let before = Ecn::from_tos(pair);
            if let Ok(after) = decapsulate(before, Ecn::from_tos(pair >> 2)) {
                kept |= ((after as u8 == before as u8) as u16) << pair;
            }
            pair = pair.wrapping_add(1);
        }
        kept
    };
    KEPT >> (inner & 3 | (outer & 3) << 2) & 1 != 0
}

/// Whether RFC 6040 section 4.2 wants this pair logged; decapsulation is the same with or without.
///
/// ```
/// # use vtep::wire::ecn::{Alarm, Ecn, alarm};
/// assert_eq!(alarm(Ecn::NotEct, Ecn::Ce), Alarm::Dangerous);
/// assert_eq!(alarm(Ecn::Ect0, Ecn::Ce), Alarm::None);
/// ```
#[inline]
#[must_use]
pub const fn alarm(inner: Ecn, outer: Ecn) -> Alarm {
    const DANGEROUS: u16 = 1 << pair(Ecn::NotEct, Ecn::Ect0)
        | 1 << pair(Ecn::NotEct, Ecn::Ect1)
        | 1 << pair(Ecn::NotEct, Ecn::Ce)
        | 1 << pair(Ecn::Ce, Ecn::Ect1);
    const POSSIBLE: u16 = 1 << pair(Ecn::Ect1, Ecn::Ect0);
    let bit = 1_u16 << pair(inner, outer);
    if DANGEROUS & bit != 0 {
        Alarm::Dangerous
    } else if POSSIBLE & bit != 0 {
        Alarm::Possible
    } else {
        Alarm::None
    }
}

/// The pair as a number from 0 to 15.
#[inline]
const fn pair(inner: Ecn, outer: Ecn) -> u8 {
    (inner as u8) << 2 | outer as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use Ecn::{Ce, Ect0, Ect1, NotEct};

    #[test]
    fn codepoints_are_the_low_bits() {
        for (number, ecn) in (0_u8..).zip(Ecn::ALL) {
            assert_eq!(ecn as u8, number);
            for tos in 0..=255 {
                assert_eq!(ecn.in_tos(tos), tos & 0xfc | number);
                assert_eq!(Ecn::from_tos(ecn.in_tos(tos)), ecn);
            }
        }
    }

    #[test]
    fn encapsulates_by_figure_3() {
        for ecn in Ecn::ALL {
            assert_eq!(encapsulate(ecn, EcnMode::Normal), ecn);
            assert_eq!(encapsulate(ecn, EcnMode::Compat), NotEct);
            assert_eq!(encapsulate(ecn, EcnMode::Legacy3168), if ecn == Ce { Ect0 } else { ecn });
        }
    }

    #[test]
    fn decapsulates_by_figure_4() {
        // Rows and columns in the figure's order.
        let order = [NotEct, Ect0, Ect1, Ce];
        let figure = [
            [Ok(NotEct), Ok(NotEct), Ok(NotEct), Err(MustDrop)],
            [Ok(Ect0), Ok(Ect0), Ok(Ect1), Ok(Ce)],
            [Ok(Ect1), Ok(Ect1), Ok(Ect1), Ok(Ce)],
            [Ok(Ce), Ok(Ce), Ok(Ce), Ok(Ce)],
        ];
        for (inner, row) in order.into_iter().zip(figure) {
            for (outer, cell) in order.into_iter().zip(row) {
                assert_eq!(decapsulate(inner, outer), cell, "inner {inner:?}, outer {outer:?}");
            }
        }
    }

    #[test]
    fn alarms_by_figure_4() {
        for inner in Ecn::ALL {
            for outer in Ecn::ALL {
                let marked = match (inner, outer) {
                    (NotEct, Ect0 | Ect1 | Ce) | (Ce, Ect1) => Alarm::Dangerous,
                    (Ect1, Ect0) => Alarm::Possible,
                    _ => Alarm::None,
                };
                assert_eq!(alarm(inner, outer), marked, "inner {inner:?}, outer {outer:?}");
            }
        }
    }

    #[test]
    fn what_is_encapsulated_comes_out_unharmed() {
        for mode in [EcnMode::Normal, EcnMode::Compat] {
            for ecn in Ecn::ALL {
                assert_eq!(decapsulate(ecn, encapsulate(ecn, mode)), Ok(ecn));
                assert_eq!(alarm(ecn, encapsulate(ecn, mode)), Alarm::None);
            }
        }
    }
}
