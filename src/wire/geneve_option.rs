//! Geneve options: walking, judging and writing the option area (RFC 8926 section 3.5).

use super::geneve::{MAX_OPTION_DATA_LEN, MAX_OPTIONS_LEN, OPTION_HEADER_LEN};
use super::{Layer, Reason, WireError};

/// The options of an area, in order.
///
/// Each step consumes at least 4 bytes and costs the same, so a walk ends after at most 63 steps on an
/// area of legal size. After an error it yields nothing more. `offset` in errors counts from the area's
/// start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Options<'a> {
    rest: &'a [u8],
    offset: u32,
}

impl<'a> Options<'a> {
    /// A walk over `area`, the bytes between the fixed header and the payload.
    #[must_use]
    #[inline]
    pub const fn new(area: &'a [u8]) -> Self {
        Self { rest: area, offset: 0 }
    }

    /// Where the next option starts, in bytes from the area's start.
    #[must_use]
    #[inline]
    pub const fn offset(&self) -> u32 {
        self.offset
    }

    /// The bytes that were not walked yet.
    #[must_use]
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.rest
    }

    fn fail(&mut self, reason: Reason, needed: u32) -> WireError {
        self.rest = &[];
        WireError { layer: Layer::GeneveOption, reason, offset: self.offset, needed }
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = Result<OptionView<'a>, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let Some((&[c0, c1, kind, last], tail)) = self.rest.split_first_chunk::<OPTION_HEADER_LEN>() else {
            return Some(Err(self.fail(Reason::OptionHeaderTruncated, 4)));
        };
        let len = (last & 0x1f) << 2;
        let whole = u32::from(len).saturating_add(4);
        let Some((data, rest)) = tail.split_at_checked(usize::from(len)) else {
            return Some(Err(self.fail(Reason::OptionTooLong, whole)));
        };
        self.rest = rest;
        self.offset = self.offset.saturating_add(whole);
        Some(Ok(OptionView { class: u16::from_be_bytes([c0, c1]), kind, data }))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (usize::from(!self.rest.is_empty()), Some(self.rest.len().div_ceil(OPTION_HEADER_LEN)))
    }
}

impl core::iter::FusedIterator for Options<'_> {}

/// One option, borrowed from the packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct OptionView<'a> {
    /// The namespace of `kind`.
    pub class: u16,
    /// The whole type octet, critical bit included.
    pub kind: u8,
    /// The data: a multiple of 4 bytes, 0 to 124.
    pub data: &'a [u8],
}

impl OptionView<'_> {
    /// Class and type.
    #[must_use]
    #[inline]
    pub const fn id(&self) -> OptionId {
        OptionId { class: self.class, kind: self.kind }
    }

    /// Whether a receiver that does not know the option must drop the packet.
    #[must_use]
    #[inline]
    pub const fn critical(&self) -> bool {
        self.kind & 0x80 != 0
    }
}

/// What an option is: its class and its type.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct OptionId {
    /// The namespace of `kind`: see [`OPTION_CLASSES`](super::option_class::OPTION_CLASSES).
    pub class: u16,
    /// The whole type octet, critical bit included.
    pub kind: u8,
}

impl OptionId {
    /// Type `kind` of class `class`.
    #[must_use]
    #[inline]
    pub const fn new(class: u16, kind: u8) -> Self {
        Self { class, kind }
    }

    /// Whether a receiver that does not know the option must drop the packet.
    #[must_use]
    #[inline]
    pub const fn critical(self) -> bool {
        self.kind & 0x80 != 0
    }
}

impl core::fmt::Display for OptionId {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:#06x}:{:#04x}", self.class, self.kind)
    }
}

/// An option that the receiver knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Definition {
    /// The namespace of `kind`.
    pub class: u16,
    /// The whole type octet, critical bit included.
    pub kind: u8,
    /// Bytes of data, or `None` where the definition leaves them open. A fixed length never changes
    /// (RFC 8926 section 3.5.1), so any other one is an error.
    pub len: Option<u8>,
    /// What a second option of this kind means.
    pub duplicates: Duplicates,
}

impl Definition {
    #[inline]
    fn matches(&self, option: &OptionView<'_>) -> bool {
        self.class == option.class && self.kind == option.kind
    }

    /// The option that this definition describes, of those in `area`, by its rule for duplicates. A walk
    /// that fails ends there: [`Rules::validate`] first.
    #[must_use]
    pub fn find<'a>(&self, area: &'a [u8]) -> Option<OptionView<'a>> {
        let mut found = Options::new(area).map_while(Result::ok).filter(|option| self.matches(option));
        match self.duplicates {
            Duplicates::First | Duplicates::Reject => found.next(),
            Duplicates::Last => found.last(),
        }
    }
}

/// What a second option of a known kind means; RFC 8926 leaves it to the option's definition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum Duplicates {
    /// The packet is dropped.
    #[default]
    Reject = 0,
    /// The first one counts.
    First = 1,
    /// The last one counts.
    Last = 2,
}

/// Whether options are judged by who ends the tunnel, or by a device that helps them (RFC 8926 section 4.6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(u8)]
pub enum OffloadRole {
    /// The tunnel's endpoint: an unknown critical option drops the packet.
    #[default]
    Endpoint = 0,
    /// A device in front of the endpoint, such as a network adapter: unknown options pass, critical ones too.
    Offload = 1,
}

/// How a receiver judges an option area.
///
/// An unknown critical option drops the packet whether or not the header's C bit announces it: a sender
/// that forgot C must not switch off a policy (RFC 8926 section 3.5 puts the demand on the option's bit).
/// Unknown options that are not critical pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rules<'a> {
    /// The options known. Only the first [`Rules::MAX_KNOWN`] count; what comes after them is unknown.
    pub known: &'a [Definition],
    /// Most options looked at; a packet with more is dropped (section 3.5.1).
    pub max_options: u8,
    /// Most bytes of options; a packet with more is dropped (section 3.5.1).
    pub max_len: u8,
    /// Whether a critical option under a header whose C bit is clear drops the packet even where the
    /// option is known. The sender breaks section 3.5 then; receivers are not told to check it.
    pub check_critical_bit: bool,
    /// Whether unknown critical options are for us to judge.
    pub role: OffloadRole,
}

impl Default for Rules<'_> {
    fn default() -> Self {
        Self::NONE
    }
}

impl<'a> Rules<'a> {
    /// Most definitions that are looked at.
    pub const MAX_KNOWN: usize = 64;

    /// Knows no option, has no limits of its own, and does not check the header's C bit.
    pub const NONE: Self =
        Self { known: &[], max_options: 63, max_len: 252, check_critical_bit: false, role: OffloadRole::Endpoint };

    /// Rules that know `known` and are otherwise like [`Rules::NONE`].
    #[must_use]
    pub const fn knowing(known: &'a [Definition]) -> Self {
        Self { known, ..Self::NONE }
    }

    /// Judges `area` under a header whose C bit is `header_critical`, in one walk.
    ///
    /// Costs a pass over `known` for each option, nothing that grows faster than the area.
    ///
    /// # Errors
    ///
    /// `offset` counts from the area's start. The first of these that is met:
    /// [`Reason::TooManyOptions`], what [`Options`] reports where the options do not fill the area exactly
    /// (section 3.5), [`Reason::UnknownCriticalOption`], [`Reason::CriticalBitMismatch`],
    /// [`Reason::OptionLengthMismatch`], [`Reason::DuplicateOption`].
    pub fn validate(&self, area: &[u8], header_critical: bool) -> Result<Summary, WireError> {
        self.judge(area, header_critical, |_| Ok(false))
    }

    /// [`Rules::validate`] with options that are known to `special` and not listed. It is shown every option that is
    /// sound and within the limits, and says whether it is one of its own, or what is wrong with it.
    #[inline]
    pub(super) fn judge<'b>(
        &self,
        area: &'b [u8],
        header_critical: bool,
        mut special: impl FnMut(&OptionView<'b>) -> Result<bool, Reason>,
    ) -> Result<Summary, WireError> {
        let fault = |reason, offset| WireError::new(Layer::GeneveOption, reason, offset);
        if area.len() > usize::from(self.max_len) {
            return Err(fault(Reason::TooManyOptions, 0));
        }
        let mut summary = Summary::default();
        let mut options = Options::new(area);
        loop {
            let offset = options.offset();
            let Some(option) = options.next() else { return Ok(summary) };
            let option = option?;
            if summary.count >= self.max_options {
                return Err(fault(Reason::TooManyOptions, offset));
            }
            summary.count = summary.count.saturating_add(1);
            summary.critical |= option.critical();

            let special = special(&option).map_err(|reason| fault(reason, offset))?;
            let known = self.known.iter().take(Self::MAX_KNOWN).enumerate();
            let known = if special { None } else { known.into_iter().find(|(_, one)| one.matches(&option)) };
            if known.is_none() && !special && option.critical() && self.role == OffloadRole::Endpoint {
                return Err(fault(Reason::UnknownCriticalOption, offset));
            }
            if self.check_critical_bit && option.critical() && !header_critical {
                return Err(fault(Reason::CriticalBitMismatch, offset));
            }
            let Some((index, definition)) = known else { continue };
            if definition.len.is_some_and(|len| usize::from(len) != option.data.len()) {
                return Err(fault(Reason::OptionLengthMismatch, offset));
            }
            let bit = 1_u64 << (index & 63);
            if definition.duplicates == Duplicates::Reject && summary.present & bit != 0 {
                return Err(fault(Reason::DuplicateOption, offset));
            }
            summary.present |= bit;
        }
    }
}

/// What a valid option area holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Summary {
    /// Number of options.
    pub count: u8,
    /// Whether one of them is critical.
    pub critical: bool,
    /// Bit n is set where an option of the n-th definition is there.
    pub present: u64,
}

/// Appends options to a buffer, which then is the option area that [`Header::emit`](super::geneve::Header::emit)
/// takes.
///
/// An append that fails leaves the buffer as it was.
#[derive(Debug)]
pub struct Writer<'b> {
    buffer: &'b mut [u8],
    len: usize,
    critical: bool,
}

impl<'b> Writer<'b> {
    /// A writer of at most `buffer.len()` and never more than 252 bytes.
    #[must_use]
    pub const fn new(buffer: &'b mut [u8]) -> Self {
        Self { buffer, len: 0, critical: false }
    }

    /// Appends one option, its reserved bits zero.
    ///
    /// # Errors
    ///
    /// [`Reason::Unrepresentable`] where `data` is no multiple of 4 bytes, longer than 124, or where the
    /// area would pass 252 bytes; [`Reason::BufferTooSmall`] where the buffer ends before.
    pub fn push(&mut self, option: &OptionView<'_>) -> Result<(), WireError> {
        let words = option.data.len() >> 2;
        if option.data.len() & 3 != 0 || option.data.len() > MAX_OPTION_DATA_LEN {
            return Err(self.unrepresentable());
        }
        let [.., words] = words.to_be_bytes();
        let [c0, c1] = option.class.to_be_bytes();
        let out = self.space(option.data.len().saturating_add(OPTION_HEADER_LEN))?;
        if let Some((header, data)) = out.split_first_chunk_mut::<OPTION_HEADER_LEN>() {
            *header = [c0, c1, option.kind, words];
            data.copy_from_slice(option.data);
        }
        self.len = self.len.saturating_add(option.data.len()).saturating_add(OPTION_HEADER_LEN);
        self.critical |= option.critical();
        Ok(())
    }

    /// Appends the options of `area` as they are, in order, known or not, reserved bits included.
    ///
    /// # Errors
    ///
    /// What [`Options`] reports where `area` is no sequence of options; [`Reason::Unrepresentable`] where
    /// the whole would pass 252 bytes; [`Reason::BufferTooSmall`] where the buffer ends before.
    pub fn copy(&mut self, area: &[u8]) -> Result<(), WireError> {
        let mut critical = false;
        for option in Options::new(area) {
            critical |= option?.critical();
        }
        self.space(area.len())?.copy_from_slice(area);
        self.len = self.len.saturating_add(area.len());
        self.critical |= critical;
        Ok(())
    }

    /// Bytes written.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing was written.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether an option is critical: the header's C bit.
    #[must_use]
    pub const fn critical(&self) -> bool {
        self.critical
    }

    /// The area written so far.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// The area, for as long as the buffer lives.
    #[must_use]
    pub fn finish(self) -> &'b [u8] {
        self.buffer.get(..self.len).unwrap_or_default()
    }

    /// The next `len` bytes of the buffer, cut in two steps so that the compiler sees the length.
    fn space(&mut self, len: usize) -> Result<&mut [u8], WireError> {
        let end = self.len.saturating_add(len);
        if end > MAX_OPTIONS_LEN {
            return Err(self.unrepresentable());
        }
        let free = self.buffer.get_mut(self.len..).and_then(|free| free.get_mut(..len));
        free.ok_or_else(|| super::too_small(Layer::GeneveOption, end))
    }

    fn unrepresentable(&self) -> WireError {
        let offset = u32::try_from(self.len).unwrap_or(u32::MAX);
        WireError::new(Layer::GeneveOption, Reason::Unrepresentable, offset)
    }
}

#[cfg(test)]
mod tests;
