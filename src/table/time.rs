//! Time as numbers: milliseconds from the caller, and the coarse unit that ages are kept in.

/// A point in time: milliseconds since an epoch of the caller's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(transparent)]
pub struct Instant(u64);

impl Instant {
    /// The caller's epoch.
    pub const ZERO: Self = Self(0);

    /// `millis` milliseconds after the epoch.
    #[must_use]
    #[inline]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    #[inline]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// `self + duration`, or `None` past the end of time.
    #[must_use]
    #[inline]
    pub const fn checked_add(self, duration: Duration) -> Option<Self> {
        match self.0.checked_add(duration.0) {
            Some(millis) => Some(Self(millis)),
            None => None,
        }
    }

    /// `self + duration`, at most the end of time.
    #[must_use]
    #[inline]
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration.0))
    }

    /// The time since `earlier`; zero where `earlier` is later.
    #[must_use]
    #[inline]
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }

    /// The number of whole coarse units since the epoch.
    pub(crate) const fn coarse(self) -> u64 {
        self.0 >> COARSE_SHIFT
    }
}

/// A span of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(transparent)]
pub struct Duration(u64);

impl Duration {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// `millis` milliseconds.
    #[must_use]
    #[inline]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// `secs` seconds, at most 2^64 - 1 milliseconds.
    #[must_use]
    #[inline]
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// In milliseconds.
    #[must_use]
    #[inline]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// In whole seconds.
    #[must_use]
    #[inline]
    pub const fn as_secs(self) -> u64 {
        self.0 / 1000
    }

    /// `units` coarse units.
    pub(crate) const fn from_coarse(units: u64) -> Self {
        Self(units << COARSE_SHIFT)
    }
}

/// log2 of the milliseconds in a coarse unit: ages are kept in steps of 256 ms.
const COARSE_SHIFT: u32 = 8;

/// How long a dynamic entry lives after its last refresh.
///
/// There is no zero that means something else: `After(Duration::ZERO)` expires at once (within two
/// coarse units of 256 ms).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Ageing {
    /// Dynamic entries live until they are flushed or evicted.
    Never,
    /// Nothing is learned, and what was learned is forgotten: every unicast floods.
    NoLearn,
    /// Dynamic entries live at least this long, and at most 512 ms longer; up to [`Ageing::MAX`].
    After(Duration),
}

impl Ageing {
    /// The longest ageing time: 4 hours.
    pub const MAX: Duration = Duration::from_secs(4 * 3600);
    /// [`Ageing::MAX`] in coarse units.
    pub(crate) const MAX_UNITS: u16 = 56_250;
    /// What bridges use unless told otherwise: 300 seconds, as IEEE 802.1Q recommends.
    pub const DEFAULT: Self = Self::After(Duration::from_secs(300));

    /// The largest age at which an entry still lives, in coarse units; `None` where entries never age.
    ///
    /// # Errors
    ///
    /// [`AgeingTooLong`] beyond [`Ageing::MAX`].
    pub(crate) fn limit(self) -> Result<Option<u16>, AgeingTooLong> {
        match self {
            Self::Never | Self::NoLearn => Ok(None),
            Self::After(duration) if duration > Self::MAX => Err(AgeingTooLong),
            // Rounded up: an age of `n` units means that more than `n - 1` of them have passed.
            Self::After(duration) => {
                u16::try_from(duration.0.div_ceil(1 << COARSE_SHIFT)).map(Some).map_err(|_| AgeingTooLong)
            }
        }
    }

    /// Whether the value is in range.
    ///
    /// # Errors
    ///
    /// [`AgeingTooLong`] for `After` more than [`Ageing::MAX`].
    pub fn validate(self) -> Result<Self, AgeingTooLong> {
        self.limit().map(|_| self)
    }
}

impl Default for Ageing {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// An ageing time beyond [`Ageing::MAX`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct AgeingTooLong;

impl core::fmt::Display for AgeingTooLong {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("ageing time beyond 4 hours")
    }
}

impl core::error::Error for AgeingTooLong {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        let end = Instant::from_millis(u64::MAX);
        assert_eq!(end.saturating_add(Duration::from_secs(1)), end);
        assert_eq!(end.checked_add(Duration::from_millis(1)), None);
        assert_eq!(Instant::ZERO.checked_add(Duration::from_millis(7)), Some(Instant::from_millis(7)));
        assert_eq!(Instant::ZERO.saturating_since(end), Duration::ZERO);
        assert_eq!(end.saturating_since(Instant::ZERO).as_millis(), u64::MAX);
        assert_eq!(Duration::from_secs(u64::MAX).as_millis(), u64::MAX);
        assert_eq!(Duration::from_millis(1999).as_secs(), 1);
    }

    #[test]
    fn limits_round_up() {
        let limit = |ms| Ageing::After(Duration::from_millis(ms)).limit();
        assert_eq!(limit(0), Ok(Some(0)));
        assert_eq!(limit(1), Ok(Some(1)));
        assert_eq!(limit(256), Ok(Some(1)));
        assert_eq!(limit(257), Ok(Some(2)));
        assert_eq!(limit(Ageing::MAX.as_millis()), Ok(Some(Ageing::MAX_UNITS)));
        assert_eq!(limit(Ageing::MAX.as_millis() + 1), Err(AgeingTooLong));
        assert_eq!(limit(u64::MAX), Err(AgeingTooLong));
        assert_eq!(Ageing::Never.limit(), Ok(None));
        assert_eq!(Ageing::NoLearn.validate(), Ok(Ageing::NoLearn));
        assert_eq!(Ageing::default().validate(), Ok(Ageing::DEFAULT));
    }

    #[test]
    fn coarse_unit_is_256_ms() {
        assert_eq!(Instant::from_millis(255).coarse(), 0);
        assert_eq!(Instant::from_millis(256).coarse(), 1);
        assert_eq!(Duration::from_coarse(2), Duration::from_millis(512));
    }
}
