use super::*;

const fn known(class: u16, kind: u8, len: Option<u8>, duplicates: Duplicates) -> Definition {
    Definition { class, kind, len, duplicates }
}

const EMPTY: [u8; 4] = [0x01, 0x02, 0x03, 0x00];
const CRITICAL: [u8; 8] = [0xff, 0xff, 0x80, 0x01, 1, 2, 3, 4];

fn area<'a>(buffer: &'a mut [u8; 252], parts: &[&[u8]]) -> &'a [u8] {
    let mut writer = Writer::new(buffer);
    for part in parts {
        writer.copy(part).unwrap();
    }
    writer.finish()
}

fn reason(result: Result<Summary, WireError>) -> (Reason, u32) {
    let error = result.unwrap_err();
    assert_eq!(error.layer, Layer::GeneveOption);
    (error.reason, error.offset)
}

#[test]
fn deconstruct() {
    let mut buffer = [0xa5; 252];
    let area = area(&mut buffer, &[&EMPTY, &CRITICAL]);
    let mut options = Options::new(area);
    assert_eq!(options.next(), Some(Ok(OptionView { class: 0x0102, kind: 3, data: &[] })));
    assert_eq!(options.offset(), 4);
    assert_eq!(options.as_bytes(), CRITICAL);
    let option = options.next().unwrap().unwrap();
    assert_eq!(option, OptionView { class: 0xffff, kind: 0x80, data: &[1, 2, 3, 4] });
    assert!(option.critical());
    assert_eq!((options.next(), options.offset()), (None, 12));
}

#[test]
fn construct_sets_every_byte() {
    let mut buffer = [0xa5; 16];
    let mut writer = Writer::new(&mut buffer);
    assert!(writer.is_empty());
    writer.push(&OptionView { class: 0x0102, kind: 3, data: &[] }).unwrap();
    assert!(!writer.critical());
    writer.push(&OptionView { class: 0xffff, kind: 0x80, data: &[1, 2, 3, 4] }).unwrap();
    assert!(writer.critical());
    assert_eq!((writer.len(), writer.as_bytes().len()), (12, 12));
    let area = writer.finish();
    assert_eq!(area[..4], EMPTY);
    assert_eq!(area[4..], CRITICAL);
    assert_eq!(buffer[12..], [0xa5; 4]);
}

#[test]
fn data_lengths() {
    let data = [7; 256];
    for len in 0..=256 {
        let mut buffer = [0xa5; 252];
        let option = OptionView { class: 1, kind: 2, data: &data[..len] };
        let mut writer = Writer::new(&mut buffer);
        let pushed = writer.push(&option);
        if len % 4 == 0 && len <= 124 {
            assert_eq!(pushed, Ok(()));
            assert_eq!(Options::new(writer.finish()).next(), Some(Ok(option)));
        } else {
            assert_eq!(pushed.unwrap_err().reason, Reason::Unrepresentable);
            assert_eq!(buffer, [0xa5; 252]);
        }
    }
}

#[test]
fn the_area_ends_at_252_bytes() {
    let mut buffer = [0xa5; 300];
    let mut writer = Writer::new(&mut buffer);
    let largest = OptionView { class: 1, kind: 2, data: &[9; 124] };
    writer.push(&largest).unwrap();
    assert_eq!(writer.push(&largest).unwrap_err().reason, Reason::Unrepresentable);
    writer.push(&OptionView { data: &[9; 120], ..largest }).unwrap();
    assert_eq!(writer.len(), 252);
    assert_eq!(writer.push(&OptionView { data: &[], ..largest }).unwrap_err().reason, Reason::Unrepresentable);
    assert_eq!(writer.copy(&EMPTY).unwrap_err().reason, Reason::Unrepresentable);
    assert_eq!(writer.copy(&[]), Ok(()));
    assert_eq!(buffer[252..], [0xa5; 48]);
}

#[test]
fn a_small_buffer_stays_as_it_was() {
    for len in 0..8 {
        let mut buffer = [0xa5; 8];
        let mut writer = Writer::new(&mut buffer[..len]);
        let error = writer.push(&OptionView { class: 1, kind: 0x80, data: &[1, 2, 3, 4] }).unwrap_err();
        assert_eq!((error.reason, error.needed), (Reason::BufferTooSmall, 8));
        assert_eq!(writer.copy(&CRITICAL).unwrap_err().reason, Reason::BufferTooSmall);
        assert!(writer.is_empty() && !writer.critical());
        assert_eq!(buffer, [0xa5; 8]);
    }
}

#[test]
fn copy_is_verbatim_reserved_bits_included() {
    let odd = [0xab, 0xcd, 0x7f, 0xe1, 1, 2, 3, 4, 0xab, 0xcd, 0x7f, 0x20];
    let mut buffer = [0xa5; 12];
    let mut writer = Writer::new(&mut buffer);
    writer.copy(&odd).unwrap();
    assert_eq!(writer.finish(), odd);
    let mut writer = Writer::new(&mut buffer);
    assert_eq!(writer.copy(&odd[..11]).unwrap_err().reason, Reason::OptionHeaderTruncated);
    assert!(writer.is_empty());
}

#[test]
fn every_truncation() {
    let whole = CRITICAL;
    for len in 1..8 {
        let mut options = Options::new(&whole[..len]);
        let error = options.next().unwrap().unwrap_err();
        let expected = if len < 4 { (Reason::OptionHeaderTruncated, 4) } else { (Reason::OptionTooLong, 8) };
        assert_eq!((error.reason, error.needed), expected);
        assert_eq!((options.next(), options.next()), (None, None));
    }
}

#[test]
fn a_walk_ends_and_stays_ended_on_any_bytes() {
    let mut state = 1_u32;
    for len in 0..=252 {
        let mut area = [0; 252];
        for byte in &mut area {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            *byte = state.to_be_bytes()[0];
        }
        let mut options = Options::new(&area[..len]);
        let mut steps = 0;
        while let Some(step) = options.next() {
            steps += 1;
            assert!(steps <= 63);
            if step.is_err() {
                assert_eq!(options.next(), None);
            }
        }
        let (low, high) = Options::new(&area[..len]).size_hint();
        assert!(low <= steps && steps <= high.unwrap());
    }
}

#[test]
fn unknown_options_pass_unless_critical() {
    let mut buffer = [0; 252];
    let options = area(&mut buffer, &[&EMPTY, &EMPTY, &[0xff, 0xff, 0x7f, 0x00]]);
    assert_eq!(Rules::NONE.validate(options, true), Ok(Summary { count: 3, critical: false, present: 0 }));
    assert_eq!(Rules::NONE.validate(&[], false), Ok(Summary::default()));
    let mut buffer = [0; 252];
    let options = area(&mut buffer, &[&EMPTY, &CRITICAL]);
    for header_critical in [false, true] {
        let result = Rules::default().validate(options, header_critical);
        assert_eq!(reason(result), (Reason::UnknownCriticalOption, 4));
    }
}

#[test]
fn a_known_critical_option_passes_unless_the_header_bit_is_checked() {
    let definitions = [known(0x0102, 3, Some(0), Duplicates::Reject), known(0xffff, 0x80, Some(4), Duplicates::Reject)];
    let rules = Rules::knowing(&definitions);
    let mut buffer = [0; 252];
    let options = area(&mut buffer, &[&CRITICAL, &EMPTY]);
    assert_eq!(rules.validate(options, false), Ok(Summary { count: 2, critical: true, present: 0b11 }));
    let strict = Rules { check_critical_bit: true, ..rules };
    assert!(strict.validate(options, true).is_ok());
    assert_eq!(reason(strict.validate(options, false)), (Reason::CriticalBitMismatch, 0));
}

#[test]
fn class_and_whole_type_octet_make_an_option() {
    let definitions = [known(0xffff, 0x00, None, Duplicates::Reject), known(0xfffe, 0x80, None, Duplicates::Reject)];
    let result = Rules::knowing(&definitions).validate(&CRITICAL, true);
    assert_eq!(reason(result), (Reason::UnknownCriticalOption, 0));
}

#[test]
fn a_known_option_of_another_length() {
    for (len, valid) in [(None, true), (Some(4), true), (Some(0), false), (Some(8), false)] {
        let definitions = [known(0xffff, 0x80, len, Duplicates::Reject)];
        let result = Rules::knowing(&definitions).validate(&CRITICAL, true);
        assert_eq!(result.is_ok(), valid);
        if !valid {
            assert_eq!(reason(result), (Reason::OptionLengthMismatch, 0));
        }
    }
}

#[test]
fn duplicates() {
    let mut buffer = [0; 252];
    let options = area(&mut buffer, &[&[0, 1, 0, 1, 1, 1, 1, 1], &EMPTY, &[0, 1, 0, 1, 2, 2, 2, 2]]);
    for (duplicates, found) in [(Duplicates::First, Some(1)), (Duplicates::Last, Some(2)), (Duplicates::Reject, None)] {
        let definition = known(1, 0, Some(4), duplicates);
        let result = Rules::knowing(&[definition]).validate(options, false);
        match found {
            Some(byte) => {
                assert_eq!(result, Ok(Summary { count: 3, critical: false, present: 1 }));
                assert_eq!(definition.find(options).unwrap().data, [byte; 4]);
            }
            None => assert_eq!(reason(result), (Reason::DuplicateOption, 12)),
        }
    }
    assert_eq!(known(1, 1, None, Duplicates::Last).find(options), None);
}

#[test]
fn limits() {
    let mut buffer = [0; 252];
    let options = area(&mut buffer, &[&EMPTY[..]; 5]);
    assert!(Rules { max_options: 5, max_len: 20, ..Rules::NONE }.validate(options, false).is_ok());
    let few = Rules { max_options: 4, ..Rules::NONE };
    assert_eq!(reason(few.validate(options, false)), (Reason::TooManyOptions, 16));
    let short = Rules { max_len: 16, ..Rules::NONE };
    assert_eq!(reason(short.validate(options, false)), (Reason::TooManyOptions, 0));
    assert_eq!(reason(Rules::NONE.validate(&[0; 256], false)), (Reason::TooManyOptions, 0));
}

#[test]
fn options_that_do_not_fill_the_area() {
    assert_eq!(reason(Rules::NONE.validate(&[0, 1, 2, 0, 0, 1], false)), (Reason::OptionHeaderTruncated, 4));
    assert_eq!(reason(Rules::NONE.validate(&[0, 1, 2, 0, 0, 1, 2, 31], false)), (Reason::OptionTooLong, 4));
}

#[test]
fn definitions_beyond_the_limit_are_unknown() {
    let mut definitions = [known(0, 0, None, Duplicates::Reject); 65];
    definitions[63] = known(0xffff, 0x80, None, Duplicates::Reject);
    assert_eq!(Rules::knowing(&definitions).validate(&CRITICAL, true).unwrap().present, 1 << 63);
    definitions.swap(63, 64);
    let result = Rules::knowing(&definitions).validate(&CRITICAL, true);
    assert_eq!(reason(result), (Reason::UnknownCriticalOption, 0));
}
