//! Which Geneve options carry a security group and a traffic class, and how an option area is judged.

use super::geneve_option::{Definition, Duplicates, OffloadRole, OptionId, OptionView, Rules};
use super::label::{ClassOption, GroupOption, Label, SecurityGroup, TrafficClass};
use super::typed_option::TypedOption;
use super::{Reason, WireError};

/// Which options carry what, and how much of an option area a receiver looks at.
///
/// By default the group's option is [`GroupOption::ID`], which is critical, and the class's is [`ClassOption::ID`],
/// which is not; both are of the experimental range. Any other numbers will do, with these caveats:
///
/// * A group under a type below 0x80 **fails open**: a receiver that does not know it ignores it (RFC 8926 section
///   3.5.1) and delivers past the policy.
/// * Class 0x0100 is Linux's, not a free one, and its type 0x01 is a hint of the kernel's own to its receive offload.
///   [`Schema::VENDOR_0100`] has these numbers nevertheless, for whoever has equipment that uses them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Schema {
    /// The option whose data is a [`GroupOption`].
    pub group: Option<OptionId>,
    /// The option whose data is a [`ClassOption`]; another one than the group's.
    pub class: Option<OptionId>,
    /// What a second option of either kind means.
    pub duplicates: Duplicates,
    /// Most options looked at; a packet with more is dropped.
    pub max_options: u8,
    /// Most bytes of options; a packet with more is dropped.
    pub max_len: u8,
    /// Whether a critical option under a header whose C bit is clear drops the packet even where it is known.
    pub check_critical_bit: bool,
    /// Whether unknown critical options are for us to judge.
    pub role: OffloadRole,
}

impl Default for Schema {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What an option area says of its frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Found {
    /// The sender's group; [`SecurityGroup::NONE`] where no option says so.
    pub group: SecurityGroup,
    /// The class, where an option says so.
    pub class: Option<TrafficClass>,
}

impl Schema {
    /// The value of [`Schema::default`], for constants.
    pub const DEFAULT: Self = Self { group: Some(GroupOption::ID), class: Some(ClassOption::ID), ..Self::NONE };

    /// Knows neither option; everything else as in [`Schema::DEFAULT`].
    pub const NONE: Self = Self {
        group: None,
        class: None,
        duplicates: Duplicates::Reject,
        max_options: Rules::NONE.max_options,
        max_len: Rules::NONE.max_len,
        check_critical_bit: false,
        role: OffloadRole::Endpoint,
    };

    /// The group in type 0x01 of Linux's class 0x0100: not critical, and in use for something else.
    pub const VENDOR_0100: Self =
        Self { group: Some(OptionId::new(super::option_class::LINUX, 0x01)), class: None, ..Self::NONE };

    /// Most bytes that [`Schema::write`] writes: two options of one word each.
    pub const MAX_WRITTEN: usize = 16;

    /// Judges `area` under a header whose C bit is `header_critical`, and reads what it says, in one walk.
    ///
    /// `known` are further options, as [`Rules::known`]. Cost: linear in the area, times one pass over `known` for each
    /// option that is neither the group's nor the class's.
    ///
    /// # Errors
    ///
    /// As [`Rules::validate`]; [`Reason::GroupOutOfRange`] and [`Reason::ClassOutOfRange`] for numbers that are none.
    #[inline(always)]
    pub fn read(&self, known: &[Definition], area: &[u8], header_critical: bool) -> Result<Found, WireError> {
        match Quick::new(self, known).read(area) {
            Some(found) => Ok(found),
            None => self.read_any(known, area, header_critical),
        }
    }

    /// [`Schema::read`], option by option.
    #[inline(never)]
    pub(crate) fn read_any(
        &self,
        known: &[Definition],
        area: &[u8],
        header_critical: bool,
    ) -> Result<Found, WireError> {
        let Self { max_options, max_len, check_critical_bit, role, .. } = *self;
        let rules = Rules { known, max_options, max_len, check_critical_bit, role };
        let (mut group, mut class) = (None, None);
        rules.judge(area, header_critical, |option| {
            let id = Some(option.id());
            if id == self.group {
                let data = data_of::<GroupOption>(option)?;
                let value = SecurityGroup::new(data.group.get()).ok_or(Reason::GroupOutOfRange)?;
                self.note(&mut group, value)
            } else if id == self.class {
                let data = data_of::<ClassOption>(option)?;
                self.note(&mut class, TrafficClass::new(data.class).ok_or(Reason::ClassOutOfRange)?)
            } else {
                Ok(false)
            }
        })?;
        Ok(Found { group: group.unwrap_or(SecurityGroup::NONE), class })
    }

    /// Keeps the value that counts of several.
    #[inline]
    fn note<T>(&self, place: &mut Option<T>, value: T) -> Result<bool, Reason> {
        match (&*place, self.duplicates) {
            (Some(_), Duplicates::Reject) => return Err(Reason::DuplicateOption),
            (Some(_), Duplicates::First) => {}
            _ => *place = Some(value),
        }
        Ok(true)
    }

    /// Writes the options that carry `label` and returns how many bytes they take: 0, 8 or 16. What is
    /// [`SecurityGroup::NONE`] or [`TrafficClass::BEST_EFFORT`] takes no option.
    #[must_use]
    pub fn write(&self, label: Label, out: &mut [u8; Self::MAX_WRITTEN]) -> usize {
        let options = self.written(label);
        let len = usize::from(options.len);
        let bytes = options.bytes();
        let options = bytes.get(bytes.len().saturating_sub(len)..).unwrap_or_default();
        for (place, byte) in out.iter_mut().zip(options) {
            *place = *byte;
        }
        len
    }

    /// What [`Schema::write`] writes.
    #[inline(always)]
    pub(crate) fn written(&self, label: Label) -> Written {
        let (group, class) = (label.group(), label.class());
        let mut options = Written::NONE;
        if let Some(id) = self.class.filter(|_| class != TrafficClass::BEST_EFFORT) {
            options = options.behind(id, u32::from(class.get()) << 24);
        }
        if let Some(id) = self.group.filter(|_| !group.is_none()) {
            options = options.behind(id, group.get());
        }
        options
    }

    /// How many bytes [`Schema::write`] writes for `label`.
    #[must_use]
    #[inline]
    pub const fn written_len(&self, label: Label) -> u8 {
        let group = self.group.is_some() && !label.group().is_none();
        let class = self.class.is_some() && label.class().get() != 0;
        match (group, class) {
            (false, false) => 0,
            (true, true) => 16,
            _ => 8,
        }
    }
}

/// What a [`Schema`] makes of option areas that are as nearly all are: sound, each of its options there at most once, and
/// no other one critical. What does not hang on the area is worked out when this is made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quick {
    /// The longest area that cannot break a limit; 0 where every option is to be looked at closely.
    max_len: u8,
    group: u32,
    class: u32,
}

impl Quick {
    #[inline]
    pub(crate) const fn new(schema: &Schema, known: &[Definition]) -> Self {
        let options_len = schema.max_options.saturating_mul(4);
        let max_len = if options_len < schema.max_len { options_len } else { schema.max_len };
        let closely = !known.is_empty() || schema.check_critical_bit;
        let (group, class) = (number(schema.group), number(schema.class));
        // An option that is to be both is the group's.
        let class = if class == group { number(None) } else { class };
        Self { max_len: if closely { 0 } else { max_len }, group, class }
    }

    /// What the options say; `None` where [`Schema::read_any`] is to be asked.
    #[inline(always)]
    pub(crate) fn read(&self, area: &[u8]) -> Option<Found> {
        if area.len() > usize::from(self.max_len) {
            return None;
        }
        let (mut group, mut class) = (None, None);
        let mut rest = area;
        while let Some((header, after)) = rest.split_first_chunk::<4>() {
            let word = u32::from_be_bytes(*header);
            let (data, after) = after.split_at_checked(data_len(word))?;
            rest = after;
            let id = word >> 8;
            if id == self.group && group.is_none() {
                let data = *<&[u8; 4]>::try_from(data).ok()?;
                group = Some(SecurityGroup::new(u32::from_be_bytes(data))?);
            } else if id == self.class && class.is_none() {
                let [value, ..] = *<&[u8; 4]>::try_from(data).ok()?;
                class = Some(TrafficClass::new(value)?);
            } else if word & CRITICAL != 0 || id == self.group || id == self.class {
                return None;
            }
        }
        rest.is_empty().then_some(Found { group: group.unwrap_or(SecurityGroup::NONE), class })
    }

    /// Whether somebody who knows none of the options, though bound by the same limits, has nothing against them; false
    /// where [`Schema::read_any`] is to be asked.
    #[inline(always)]
    pub(crate) fn passes(&self, area: &[u8]) -> bool {
        if area.len() > usize::from(self.max_len) {
            return false;
        }
        let mut rest = area;
        while let Some((header, after)) = rest.split_first_chunk::<4>() {
            let word = u32::from_be_bytes(*header);
            match after.get(data_len(word)..) {
                Some(next) if word & CRITICAL == 0 => rest = next,
                _ => return false,
            }
        }
        rest.is_empty()
    }
}

/// The critical bit of an option's first four bytes.
const CRITICAL: u32 = 0x8000;

/// Bytes of data behind an option's first four bytes.
#[inline(always)]
const fn data_len(word: u32) -> usize {
    (word as usize & 0x1f) << 2
}

/// At most two options of one word each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Written {
    /// The options at the end, zeros in front of them.
    pub(crate) words: [u64; 2],
    /// Bytes of the options: 0, 8 or 16.
    pub(crate) len: u8,
    /// Whether one of them is critical.
    pub(crate) critical: bool,
}

impl Written {
    /// No options.
    pub(crate) const NONE: Self = Self { words: [0; 2], len: 0, critical: false };

    /// These options behind one with this data.
    #[inline(always)]
    const fn behind(self, id: OptionId, data: u32) -> Self {
        let option = (id.class as u64) << 48 | (id.kind as u64) << 40 | 1 << 32 | data as u64;
        let [_, last] = self.words;
        let words = if self.len == 0 { [0, option] } else { [option, last] };
        Self { words, len: self.len.wrapping_add(8), critical: self.critical || id.critical() }
    }

    /// As sent.
    #[inline(always)]
    pub(crate) fn bytes(&self) -> [u8; Schema::MAX_WRITTEN] {
        zerocopy::transmute!(self.words.map(u64::to_be_bytes))
    }
}

/// An option's class and type in 24 bits, or one that no option has.
#[inline]
const fn number(id: Option<OptionId>) -> u32 {
    match id {
        Some(OptionId { class, kind }) => (class as u32) << 8 | kind as u32,
        None => u32::MAX,
    }
}

#[inline]
fn data_of<'a, T: TypedOption>(option: &OptionView<'a>) -> Result<&'a T, Reason> {
    T::ref_from_bytes(option.data).map_err(|_| Reason::OptionLengthMismatch)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::wire::Layer;

    extern crate std;
    use std::vec::Vec;

    const GROUP: [u8; 8] = [0xff, 0x00, 0x80, 0x01, 0x00, 0x00, 0x30, 0x39];
    const CLASS: [u8; 8] = [0xff, 0x00, 0x01, 0x01, 0x05, 0x00, 0x00, 0x00];

    fn label(group: u32, class: u8) -> Label {
        Label::new(SecurityGroup::new(group).unwrap(), TrafficClass::new(class).unwrap())
    }

    fn read(schema: &Schema, parts: &[&[u8]]) -> Result<Found, Reason> {
        let area: Vec<u8> = parts.concat();
        schema
            .read(&[], &area, true)
            .map_err(|error| if error.layer == Layer::GeneveOption { error.reason } else { Reason::Truncated })
    }

    #[test]
    fn writes_what_it_reads() {
        for (group, class, len) in [(0, 0, 0), (12_345, 0, 8), (0, 5, 8), (12_345, 5, 16), (0xff_fffe, 7, 16)] {
            let mut out = [0xa5; 16];
            let label = label(group, class);
            assert_eq!(Schema::DEFAULT.write(label, &mut out), len);
            assert_eq!(usize::from(Schema::DEFAULT.written_len(label)), len);
            assert!(out[len..].iter().all(|byte| *byte == 0xa5));
            let found = read(&Schema::DEFAULT, &[&out[..len]]).unwrap();
            assert_eq!(Label::new(found.group, found.class.unwrap_or_default()), label);
        }
        let mut out = [0; 16];
        assert_eq!(Schema::DEFAULT.write(label(12_345, 5), &mut out), 16);
        assert_eq!((&out[..8], &out[8..]), (&GROUP[..], &CLASS[..]));
        assert_eq!(Schema::NONE.write(label(12_345, 5), &mut out), 0);
    }

    #[test]
    fn the_founding_documents_numbers() {
        let mut out = [0; 16];
        assert_eq!(Schema::VENDOR_0100.write(label(12_345, 5), &mut out), 8);
        assert_eq!(out[..8], [0x01, 0x00, 0x01, 0x01, 0x00, 0x00, 0x30, 0x39]);
        assert!(!Schema::VENDOR_0100.group.unwrap().critical());
        let found = read(&Schema::VENDOR_0100, &[&out[..8]]).unwrap();
        assert_eq!(found, Found { group: SecurityGroup::new(12_345).unwrap(), class: None });
        // Who has another schema passes over it.
        assert_eq!(read(&Schema::DEFAULT, &[&out[..8]]), Ok(Found::default()));
    }

    #[test]
    fn order_does_not_matter_and_unknown_options_pass() {
        let unknown = [0x01, 0x02, 0x03, 0x01, 9, 9, 9, 9];
        let expected = Found { group: SecurityGroup::new(12_345).unwrap(), class: TrafficClass::new(5) };
        for parts in [[&GROUP, &CLASS, &unknown], [&unknown, &CLASS, &GROUP], [&CLASS, &unknown, &GROUP]] {
            assert_eq!(read(&Schema::DEFAULT, &parts.map(|part| &part[..])), Ok(expected));
        }
    }

    #[test]
    fn duplicates() {
        let mut second = GROUP;
        second[7] = 1;
        let with = |duplicates| Schema { duplicates, ..Schema::DEFAULT };
        let group = |schema| read(&schema, &[&GROUP, &second]).map(|found| found.group.get());
        assert_eq!(group(with(Duplicates::Reject)), Err(Reason::DuplicateOption));
        assert_eq!(group(with(Duplicates::First)), Ok(12_345));
        assert_eq!(group(with(Duplicates::Last)), Ok(12_289));
        // What does not count has to be sound all the same.
        second[3] = 0;
        let area = [&GROUP[..], &second[..4]].concat();
        let error = with(Duplicates::First).read(&[], &area, true).unwrap_err();
        assert_eq!((error.reason, error.offset), (Reason::OptionLengthMismatch, 8));
    }

    #[test]
    fn numbers_that_are_none() {
        let mut group = GROUP;
        group[4..].copy_from_slice(&0xff_ffff_u32.to_be_bytes());
        assert_eq!(read(&Schema::DEFAULT, &[&group]), Err(Reason::GroupOutOfRange));
        group[4..].copy_from_slice(&[0xff; 4]);
        assert_eq!(read(&Schema::DEFAULT, &[&group]), Err(Reason::GroupOutOfRange));
        let mut class = CLASS;
        class[4] = 8;
        assert_eq!(read(&Schema::DEFAULT, &[&class]), Err(Reason::ClassOutOfRange));
        class[4] = 7;
        class[5..].fill(0xff);
        assert_eq!(read(&Schema::DEFAULT, &[&class]).unwrap().class, TrafficClass::new(7));
    }

    #[test]
    fn known_options_and_roles() {
        let foreign = [0x01, 0x02, 0x80, 0x00];
        assert_eq!(read(&Schema::DEFAULT, &[&foreign]), Err(Reason::UnknownCriticalOption));
        let offload = Schema { role: OffloadRole::Offload, ..Schema::DEFAULT };
        assert_eq!(read(&offload, &[&foreign, &GROUP]).unwrap().group.get(), 12_345);
        let known = [Definition { class: 0x0102, kind: 0x80, len: Some(0), duplicates: Duplicates::First }];
        assert!(Schema::DEFAULT.read(&known, &foreign, true).is_ok());
        let limited = Schema { max_options: 1, ..Schema::DEFAULT };
        assert_eq!(read(&limited, &[&GROUP, &CLASS]), Err(Reason::TooManyOptions));
        let strict = Schema { check_critical_bit: true, ..Schema::DEFAULT };
        assert_eq!(strict.read(&[], &GROUP, false).unwrap_err().reason, Reason::CriticalBitMismatch);
        assert!(Schema::DEFAULT.read(&[], &GROUP, false).is_ok());
    }

    proptest! {
        #[test]
        fn a_quick_answer_is_the_close_looks(
            parts in prop::collection::vec((0..4_usize, any::<[u8; 4]>(), 0..4_u8, any::<bool>()), 0..6),
            cut in 0..3_usize,
            max_options in 0..6_u8,
            role in prop_oneof![Just(OffloadRole::Endpoint), Just(OffloadRole::Offload)],
            duplicates in prop_oneof![Just(Duplicates::First), Just(Duplicates::Last), Just(Duplicates::Reject)],
        ) {
            let mut area = Vec::new();
            for (which, data, words, small) in parts {
                let [.., low] = data;
                let data = if small { [0, 0, 0, low & 7] } else { data };
                match which {
                    0 => area.extend(GROUP[..4].iter().chain(&data)),
                    1 => area.extend(CLASS[..4].iter().chain(&[data[3], 0, 0, 0])),
                    // Critical or not, of any length.
                    _ => {
                        area.extend([0x01, 0x02, data[0], words]);
                        area.extend(data.iter().cycle().take(usize::from(words) * 4));
                    }
                }
            }
            area.truncate(area.len().saturating_sub(cut));
            let schema = Schema { max_options, role, duplicates, ..Schema::DEFAULT };
            let nothing = Schema { group: None, class: None, ..schema };
            // One option for both is the group's.
            let both = Schema { class: schema.group, ..schema };
            for schema in [schema, nothing, both] {
                if let Some(found) = Quick::new(&schema, &[]).read(&area) {
                    prop_assert_eq!(schema.read_any(&[], &area, true), Ok(found));
                    prop_assert_eq!(schema.read_any(&[], &area, false), Ok(found));
                }
            }
            if Quick::new(&schema, &[]).passes(&area) {
                prop_assert_eq!(nothing.read_any(&[], &area, true), Ok(Found::default()));
                prop_assert_eq!(nothing.read_any(&[], &area, false), Ok(Found::default()));
            }
            let closely = Schema { check_critical_bit: true, ..schema };
            prop_assert!(area.is_empty() || !Quick::new(&closely, &[]).passes(&area));
        }
    }
}
