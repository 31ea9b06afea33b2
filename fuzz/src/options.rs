//! Any option area under any schema and any options known besides: reading is held against a plain walk, what is read is
//! written again, and options as structs are what a walk finds.

use arbitrary::{Arbitrary, Unstructured};
use vtep::wire::geneve::{
    Definition, Duplicates, Found, MAX_OPTIONS_LEN, OffloadRole, OptionId, OptionView, Options, Rules, Schema, Summary,
    TypedOption, Writer,
};
use vtep::wire::{Label, Reason, SecurityGroup, TrafficClass};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

pub fn run(bytes: &[u8]) {
    let mut u = Unstructured::new(bytes);
    let Ok(case) = Case::arbitrary(&mut u) else { return };
    let area = case.area(&mut u);
    case.check(&area);
}

#[derive(Arbitrary, Debug)]
struct Case {
    schema: Schema,
    known: Vec<Definition>,
    announced: bool,
    label: Label,
}

/// An option as it stands in the area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plain<'a> {
    offset: usize,
    id: OptionId,
    data: &'a [u8],
}

/// The options of an area, and whether they fill it.
fn walk(area: &[u8]) -> (Vec<Plain<'_>>, Option<(usize, Reason)>) {
    let mut options = Vec::new();
    let mut offset = 0;
    while offset < area.len() {
        let left = &area[offset..];
        if left.len() < 4 {
            return (options, Some((offset, Reason::OptionHeaderTruncated)));
        }
        let len = 4 * usize::from(left[3] % 32);
        if left.len() < 4 + len {
            return (options, Some((offset, Reason::OptionTooLong)));
        }
        let id = OptionId { class: 256 * u16::from(left[0]) + u16::from(left[1]), kind: left[2] };
        options.push(Plain { offset, id, data: &left[4..4 + len] });
        offset += 4 + len;
    }
    (options, None)
}

impl Case {
    /// Options mostly of kinds that somebody knows, and what the fuzzer puts behind them.
    fn area(&self, u: &mut Unstructured<'_>) -> Vec<u8> {
        let ids = [self.schema.group, self.schema.class, Some(Word::<0>::ID), Some(Bytes::<124>::ID)];
        let known = self.known.iter().map(|known| OptionId::new(known.class, known.kind));
        let ids = ids.into_iter().flatten().chain(known).collect::<Vec<_>>();
        let mut area = Vec::new();
        for _ in 0..u.int_in_range(0..=20_u8).unwrap_or(0) {
            let id = u.choose(&ids).copied().unwrap_or(OptionId::new(0, 0));
            let Ok([words, fill]) = u.arbitrary::<[u8; 2]>() else { break };
            // One word is what most kinds have.
            let words = if words < 0xc0 { 1 } else { words % 32 };
            area.extend([id.class.to_be_bytes()[0], id.class.to_be_bytes()[1], id.kind, words | fill & 0xe0]);
            for word in 0..words {
                let value = u32::from(if word == 0 { fill } else { word });
                area.extend(if fill & 1 == 0 { value.to_be_bytes() } else { value.to_le_bytes() });
            }
        }
        area.extend(u.bytes(u.len()).unwrap_or(&[]));
        area
    }

    fn check(&self, area: &[u8]) {
        let (options, end) = walk(area);
        let walked = Options::new(area).map_while(Result::ok);
        assert!(walked.map(|o| (o.id(), o.data)).eq(options.iter().map(|o| (o.id, o.data))));
        assert!(options.len() <= area.len() / 4, "a step for every four bytes at most");

        self.check_schema(area, &options, end);
        self.check_rules(area, &options, end);
        for known in &self.known {
            let mut of_kind = options.iter().filter(|o| o.id == OptionId::new(known.class, known.kind));
            let found = if known.duplicates == Duplicates::Last { of_kind.next_back() } else { of_kind.next() };
            assert_eq!(known.find(area).map(|o| o.data), found.map(|o| o.data));
        }
        check_typed::<Word<0>>(area, &options, end);
        check_typed::<Word<1>>(area, &options, end);
        check_typed::<Word<2>>(area, &options, end);
        check_typed::<Bytes<0>>(area, &options, end);
        check_typed::<Bytes<124>>(area, &options, end);
        self.check_written();
    }

    /// Reading a label.
    fn check_schema(&self, area: &[u8], options: &[Plain<'_>], end: Option<(usize, Reason)>) {
        let schema = &self.schema;
        let limits = (schema.max_options, schema.max_len, schema.check_critical_bit, schema.role);
        let read = schema.read(&self.known, area, self.announced);
        let faults = self.first_faults(limits, schema.group, schema.class, area, options, end);
        let Ok(found) = read else {
            let error = read.unwrap_err();
            assert!(faults.contains(&(error.offset as usize, error.reason)), "{error:?}, expected one of {faults:?}");
            return;
        };
        assert_eq!(faults, [], "accepted");
        let value = |id: Option<OptionId>, but: Option<OptionId>| {
            let mut of_kind = options.iter().filter(|o| Some(o.id) == id && id != but);
            let option = if schema.duplicates == Duplicates::Last { of_kind.next_back() } else { of_kind.next() };
            option.map(|option| u32::from_be_bytes(option.data.try_into().unwrap()))
        };
        let group = value(schema.group, None).map_or(SecurityGroup::NONE, |group| SecurityGroup::new(group).unwrap());
        let class = value(schema.class, schema.group).map(|class| TrafficClass::new((class >> 24) as u8).unwrap());
        assert_eq!(found, Found { group, class });

        // What was read is written, and read back, by the same schema.
        let mut out = [0xa5; Schema::MAX_WRITTEN];
        let label = Label::new(found.group, found.class.unwrap_or_default());
        let len = schema.write(label, &mut out);
        assert!(len <= area.len());
        let again = schema.read(&[], &out[..len], true).unwrap();
        assert_eq!(Label::new(again.group, again.class.unwrap_or_default()), label);
    }

    /// Judging the options known besides, without a schema.
    fn check_rules(&self, area: &[u8], options: &[Plain<'_>], end: Option<(usize, Reason)>) {
        let limits = (63, 252, self.schema.check_critical_bit, self.schema.role);
        let (max_options, max_len, check_critical_bit, role) = limits;
        let rules = Rules { known: &self.known, max_options, max_len, check_critical_bit, role };
        let faults = self.first_faults(limits, None, None, area, options, end);
        match rules.validate(area, self.announced) {
            Err(error) => assert!(faults.contains(&(error.offset as usize, error.reason)), "{error:?}: {faults:?}"),
            Ok(Summary { count, critical, present }) => {
                assert_eq!(faults, [], "accepted");
                assert_eq!((usize::from(count), critical), (options.len(), options.iter().any(|o| o.id.critical())));
                for (at, _) in self.known.iter().enumerate().take(Rules::MAX_KNOWN) {
                    // The first definition of an option is the one that counts.
                    let there = options.iter().any(|o| self.definition(o.id).is_some_and(|(first, _)| first == at));
                    assert_eq!(present >> at & 1 == 1, there);
                }
            }
        }
    }

    fn definition(&self, id: OptionId) -> Option<(usize, &Definition)> {
        let known = self.known.iter().take(Rules::MAX_KNOWN).enumerate();
        known.into_iter().find(|(_, known)| OptionId::new(known.class, known.kind) == id)
    }

    /// All that is wrong at the first place where anything is.
    fn first_faults(
        &self,
        (max_options, max_len, check_critical_bit, role): (u8, u8, bool, OffloadRole),
        group: Option<OptionId>,
        class: Option<OptionId>,
        area: &[u8],
        options: &[Plain<'_>],
        end: Option<(usize, Reason)>,
    ) -> Vec<(usize, Reason)> {
        if area.len() > usize::from(max_len) {
            return vec![(0, Reason::TooManyOptions)];
        }
        for (at, option) in options.iter().enumerate() {
            let before = |id| options[..at].iter().any(|o| o.id == id);
            let mut faults = Vec::new();
            let mut fault = |reason, is: bool| faults.extend(is.then_some((option.offset, reason)));
            fault(Reason::TooManyOptions, at >= usize::from(max_options));
            let is_labels = [group, class].contains(&Some(option.id));
            if is_labels {
                let reject = self.schema.duplicates == Duplicates::Reject;
                let value = option.data.first_chunk().map_or(0, |data| u32::from_be_bytes(*data));
                let is_group = group == Some(option.id);
                fault(Reason::OptionLengthMismatch, option.data.len() != 4);
                fault(Reason::GroupOutOfRange, is_group && value > 0xff_fffe);
                fault(Reason::ClassOutOfRange, !is_group && value >> 24 > 7);
                fault(Reason::DuplicateOption, reject && before(option.id));
            } else if let Some((_, known)) = self.definition(option.id) {
                let other = known.len.is_some_and(|len| usize::from(len) != option.data.len());
                fault(Reason::OptionLengthMismatch, other);
                fault(Reason::DuplicateOption, known.duplicates == Duplicates::Reject && before(option.id));
            } else {
                fault(Reason::UnknownCriticalOption, option.id.critical() && role == OffloadRole::Endpoint);
            }
            fault(Reason::CriticalBitMismatch, check_critical_bit && option.id.critical() && !self.announced);
            if !faults.is_empty() {
                return faults;
            }
        }
        end.into_iter().collect()
    }

    /// Any label, written by this schema and read without limits.
    fn check_written(&self) {
        let mut out = [0xa5; Schema::MAX_WRITTEN];
        let Schema { group, class, .. } = self.schema;
        let len = self.schema.write(self.label, &mut out);
        assert_eq!(len, usize::from(self.schema.written_len(self.label)));
        assert!(out[len..].iter().all(|byte| *byte == 0xa5));
        if group != class {
            let found = Schema { group, class, ..Schema::NONE }.read(&[], &out[..len], true).unwrap();
            let group = if group.is_some() { self.label.group() } else { SecurityGroup::NONE };
            let class = if class.is_some() { self.label.class() } else { TrafficClass::BEST_EFFORT };
            assert_eq!((found.group, found.class.unwrap_or_default()), (group, class));
        }
    }
}

/// An option as a struct, by a plain walk and by the trait.
fn check_typed<T: TypedOption>(area: &[u8], options: &[Plain<'_>], end: Option<(usize, Reason)>) {
    let of_kind = options.iter().filter(|option| option.id == T::ID).collect::<Vec<_>>();
    for option in options {
        let view = OptionView { class: option.id.class, kind: option.id.kind, data: option.data };
        match view.read::<T>() {
            Ok(read) => assert_eq!(read.map(T::as_bytes), (option.id == T::ID).then_some(option.data)),
            Err(error) => {
                assert_eq!(error.reason, Reason::OptionLengthMismatch);
                assert!(option.id == T::ID && option.data.len() != size_of::<T>());
            }
        }
    }
    let sound = |option: &Plain<'_>| option.data.len() == size_of::<T>();
    // Where the first is the one that counts, those behind it are not looked into.
    let looked_at = if T::DUPLICATES == Duplicates::First { 1 } else { of_kind.len() };
    let mut faults =
        of_kind.iter().take(looked_at).filter(|o| !sound(o)).map(|o| (o.offset, Reason::OptionLengthMismatch));
    let second = of_kind.get(1).filter(|_| T::DUPLICATES == Duplicates::Reject);
    let second = second.map(|option| (option.offset, Reason::DuplicateOption));
    let first = faults.next().filter(|fault| second.is_none_or(|second| fault.0 < second.0)).or(second).or(end);
    match T::find(area) {
        Err(error) => assert_eq!(Some((error.offset as usize, error.reason)), first),
        Ok(found) => {
            assert_eq!(first, None);
            let counts = if T::DUPLICATES == Duplicates::Last { of_kind.last() } else { of_kind.first() };
            assert_eq!(found.map(T::as_bytes), counts.map(|option| option.data));
            let Some(found) = found else { return };
            let mut buffer = [0xa5; MAX_OPTIONS_LEN];
            let mut writer = Writer::new(&mut buffer);
            writer.push_typed(found).unwrap();
            assert_eq!(T::find(writer.as_bytes()).unwrap().map(T::as_bytes), Some(found.as_bytes()));
        }
    }
}

/// One word; of two, none, the first or the last counts.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(transparent)]
struct Word<const DUPLICATES: u8>([u8; 4]);

impl<const DUPLICATES: u8> TypedOption for Word<DUPLICATES> {
    const ID: OptionId = OptionId::new(0xff00, 0x80);
    const DUPLICATES: Duplicates = match DUPLICATES {
        0 => Duplicates::Reject,
        1 => Duplicates::First,
        _ => Duplicates::Last,
    };
}

/// The least and the most that there is.
#[derive(FromBytes, IntoBytes, KnownLayout, Immutable, Unaligned)]
#[repr(transparent)]
struct Bytes<const LEN: usize>([u8; LEN]);

impl<const LEN: usize> TypedOption for Bytes<LEN> {
    const ID: OptionId = OptionId::new(0x0102, 0x03);
}
