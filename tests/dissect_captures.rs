//! The `dissect` example and the captures it reads: formats, times, damage.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::string_slice,
    clippy::unwrap_used
)]

mod common;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use common::DISSECT;
use common::dissect::{Section, file, line, lines, pcap, pcapng, run};
use common::packet::{arp, ethernet, frame, ipv4, ipv6, tag, udp, vxlan};

#[test]
fn every_kind_of_capture_reads_alike() {
    let packet = ipv4(17, 0, &udp(50_000, 4789, &vxlan(5000, &arp())));
    let frame = ethernet(0x0800, &packet);
    let little = pcap(1, &[&frame]);
    let expected = lines("little", &little, &[]);
    assert!(expected[0].contains("\"vni\":5000") && expected[0].contains("\"inner\""));

    let swap = |capture: &[u8], magic: u32| {
        let mut capture = capture.to_vec();
        capture[..4].copy_from_slice(&magic.to_be_bytes());
        capture[4..6].reverse();
        capture[6..8].reverse();
        capture[8..40].chunks_exact_mut(4).for_each(<[u8]>::reverse);
        capture
    };
    let mut nanos = little.clone();
    nanos[..4].copy_from_slice(&0xa1b2_3c4d_u32.to_le_bytes());
    assert_eq!(lines("nanos", &nanos, &[]), expected);
    assert_eq!(lines("big", &swap(&little, 0xa1b2_c3d4), &[]), expected);
    assert_eq!(lines("big-nanos", &swap(&little, 0xa1b2_3c4d), &[]), expected);
    assert_eq!(lines("ng-little", &pcapng(false, 1, &[&frame]), &[]), expected);
    assert_eq!(lines("ng-big", &pcapng(true, 1, &[&frame]), &[]), expected);
    // One file may be several of them.
    let sections = [pcapng(false, 1, &[&frame]), pcapng(true, 1, &[&frame])].concat();
    assert_eq!(lines("ng-both", &sections, &[])[1], expected[0].replace("\"frame\":1", "\"frame\":2"));

    let mut cooked = vec![0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 0xbb, 0, 0, 0x08, 0x00];
    cooked.extend(&packet);
    assert_eq!(lines("sll", &pcap(113, &[&cooked]), &[]), expected);
    let mut cooked = vec![0x81, 0x00, 0, 0, 0, 0, 0, 3, 0, 1, 0, 6, 2, 0, 0, 0, 0, 0xbb, 0, 0];
    cooked.extend(tag(7, 0x0800, &packet));
    assert_eq!(lines("sll2", &pcap(276, &[&cooked]), &[]), expected);
    for link in [12, 14, 101, 228] {
        assert_eq!(lines("raw", &pcap(link, &[&packet]), &[]), expected);
    }
    let packet = ipv6(17, &udp(50_000, 4789, &vxlan(5000, &arp())));
    let lines = lines("raw6", &pcap(229, &[&packet]), &[]);
    assert!(lines[0].contains(r#""src":"2001:db8::1""#) && lines[0].contains("\"inner\""));
}

#[test]
fn times_of_pcapng_are_in_the_units_of_their_interface() {
    let frame = frame(4789, &vxlan(1, &arp()));
    for big_endian in [false, true] {
        let input = file("times-in", &pcapng(big_endian, 1, &[&frame, &frame]));
        let output = file("times-out", &[]);
        assert!(run(&["--decap", output.to_str().unwrap()], &[&input]).status.success());
        let written = std::fs::read(&output).unwrap();
        let record = |second: u8| [second, 0, 0, 0, 0, 0, 0, 0, 42, 0, 0, 0];
        assert_eq!((written[24..36].to_vec(), written[82..94].to_vec()), (record(1).into(), record(2).into()));
        std::fs::remove_file(input).unwrap();
        std::fs::remove_file(output).unwrap();
    }
}

#[test]
fn pcapng_packets_without_a_length_of_their_own_end_at_the_limit_or_before_the_padding() {
    let whole = frame(4789, &vxlan(1, &[&arp()[..], &[0]].concat()));
    assert_eq!(whole.len() % 4, 1);
    let capture = |limit: u32| {
        let mut capture = pcapng(false, 1, &[]);
        // The interface description is the second block, behind a section header of 28 bytes.
        capture[28 + 12..28 + 16].copy_from_slice(&limit.to_le_bytes());
        let data = &whole[..if limit == 0 { whole.len() } else { whole.len().min(limit as usize) }];
        let padded = data.len().next_multiple_of(4);
        let len = (16 + padded as u32).to_le_bytes();
        let words = [3_u32.to_le_bytes(), len, (whole.len() as u32).to_le_bytes()].concat();
        capture.extend([&words[..], data, &vec![0xa5; padded - data.len()], &len].concat());
        capture
    };
    let expected = line("simple", &whole, &[]);
    assert_eq!(lines("simple", &capture(65_535), &[]), [&*expected]);
    assert_eq!(lines("simple-unlimited", &capture(0), &[]), [&*expected]);
    let truncated = expected.replace(r#"{"frame":1,"#, r#"{"frame":1,"truncated":true,"#);
    assert_eq!(lines("simple-snapped", &capture(66), &[]), [truncated]);
}

#[test]
fn a_broken_capture_prints_what_was_readable_and_ends_with_2() {
    let frame = frame(4789, &vxlan(5000, &arp()));
    for (name, capture, header) in [
        ("cut.pcap", pcap(1, &[&frame, &frame]), 24),
        ("cut.pcapng", pcapng(false, 1, &[&frame, &frame]), 28),
        ("cut-big.pcapng", pcapng(true, 1, &[&frame, &frame]), 28),
    ] {
        let whole = lines(name, &capture, &[]);
        let mut most = 0;
        for len in 0..capture.len() {
            let path = file(name, &capture[..len]);
            let output = run(&[], &[&path]);
            let text = String::from_utf8(output.stdout).unwrap();
            let printed: Vec<_> = text.lines().collect();
            assert!(printed.len() >= most && printed.len() < 2 && whole[..printed.len()] == printed);
            most = printed.len();
            // A capture may end between two records, but not before its header is complete.
            let message = String::from_utf8(output.stderr).unwrap();
            match output.status.code() {
                Some(0) => assert!(len >= header && message.is_empty(), "{name}, {len} bytes"),
                Some(2) => assert!(message.contains(name), "{name}, {len} bytes: {message}"),
                code => panic!("{name}, {len} bytes: {code:?} {message}"),
            }
            std::fs::remove_file(path).unwrap();
        }
        assert_eq!(most, 1);
    }
}

#[test]
fn what_is_no_capture_is_said_so() {
    let mut huge = pcap(1, &[&arp()]);
    huge[32..36].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut trailer = pcapng(false, 1, &[&arp()]);
    let end = trailer.len() - 4;
    trailer[end] ^= 4;
    let odd = [&Section::new(false).bytes[..], &[99, 0, 0, 0, 13, 0, 0, 0, 0xa5, 13, 0, 0, 0]].concat();
    let with_version = |mut capture: Vec<u8>, at: usize| {
        capture[at] = 9;
        capture
    };
    for (name, bytes, message) in [
        ("old", with_version(pcap(1, &[]), 4), "version other than 2"),
        ("ng-new", with_version(pcapng(false, 1, &[]), 12), "version other than 1"),
        ("odd", odd, "block length that cannot be"),
        ("text", b"hello, world: this is no capture".to_vec(), "neither pcap nor pcapng"),
        ("empty", Vec::new(), "the file is empty"),
        ("huge", huge, "claims more than 64 MiB"),
        ("trailer", trailer, "two lengths differ"),
        ("radio", pcap(105, &[&arp()]), "link type 105"),
    ] {
        let path = file(name, &bytes);
        let output = run(&[], &[&path]);
        assert_eq!(output.status.code(), Some(2), "{name}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(message) && text.contains(name), "{text}");
        std::fs::remove_file(path).unwrap();
    }
    let output = run(&[], &[&PathBuf::from("no-such-file.pcap")]);
    assert_eq!(output.status.code(), Some(2));
}

/// Seconds and nanoseconds of the frames that `--decap` writes; all are as long as [`arp`].
fn times(name: &str, capture: &[u8]) -> Vec<(u32, u32)> {
    let [input, output] = [("in", capture), ("out", &[])].map(|(end, bytes)| file(&format!("{name}-{end}"), bytes));
    assert!(run(&["--decap", output.to_str().unwrap()], &[&input]).status.success(), "{name}");
    let written = std::fs::read(&output).unwrap();
    for path in [input, output] {
        std::fs::remove_file(path).unwrap();
    }
    let word = |record: &[u8], at| u32::from_le_bytes(record[at..at + 4].try_into().unwrap());
    written[24..].chunks(16 + arp().len()).map(|record| (word(record, 0), word(record, 4))).collect()
}

#[test]
fn a_modified_pcap_has_eight_bytes_more_a_record() {
    let frame = frame(4789, &vxlan(5000, &arp()));
    let mut capture = pcap(1, &[&frame]);
    let expected = lines("plain", &capture, &[]);
    capture[..4].copy_from_slice(&0xa1b2_cd34_u32.to_le_bytes());
    capture.splice(40..40, [2, 0, 0, 0, 0, 8, 0, 0]);
    assert_eq!(lines("modified", &capture, &[]), expected);
}

#[test]
fn nanoseconds_and_a_frame_check_sequence_are_told_by_the_header() {
    let frame = frame(4789, &vxlan(5000, &arp()));
    for big_endian in [false, true] {
        let word = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        for (magic, nanos) in [(0xa1b2_c3d4, 7000), (0xa1b2_3c4d, 7)] {
            let len = frame.len() as u32;
            let mut capture = [word(magic), [0; 4], word(0), word(0), word(0), word(0xf400_0001)].concat();
            capture[if big_endian { 5 } else { 4 }] = 2;
            capture.extend([word(1), word(7), word(len), word(len)].concat());
            capture.extend(&frame);
            assert_eq!(times("header", &capture), [(1, nanos)]);
        }
    }
}

#[test]
fn each_interface_has_its_link_type_and_its_clock() {
    let packet = ipv4(17, 0, &udp(50_000, 4789, &vxlan(5000, &arp())));
    let frame = ethernet(0x0800, &packet);
    let expected = line("alone", &frame, &[]);
    for big_endian in [false, true] {
        let offset = |seconds: i64| if big_endian { seconds.to_be_bytes() } else { seconds.to_le_bytes() };
        let mut section = Section::new(big_endian);
        section.interface(1, 0, &[]);
        section.interface(101, 0, &[(9, &[9]), (14, &offset(1000))]);
        section.interface(1, 0, &[(9, &[3]), (14, &offset(-10))]);
        section.interface(1, 0, &[(9, &[0x80 | 63])]);
        section.enhanced(1, 5_000_000_007, &packet);
        section.enhanced(0, 3_000_001, &frame);
        section.enhanced(2, 12_345, &frame);
        section.enhanced(2, 9_999, &frame);
        section.enhanced(3, 3 << 62, &frame);
        section.enhanced(1, u64::MAX, &packet);
        let latest = (u32::MAX, 0);
        let expected_times = [(1005, 7), (3, 1000), (2, 345_000_000), (0, 0), (1, 500_000_000), latest];
        assert_eq!(times("clocks", &section.bytes), expected_times, "big-endian: {big_endian}");
        let numbered = |number: usize| expected.replace("\"frame\":1", &format!("\"frame\":{number}"));
        assert_eq!(lines("interfaces", &section.bytes, &[]), (1..=6).map(numbered).collect::<Vec<_>>());
    }
}

#[test]
fn an_obsolete_packet_block_is_read_like_an_enhanced_one() {
    let frame = frame(4789, &vxlan(5000, &arp()));
    let expected = line("enhanced", &frame, &[]);
    for big_endian in [false, true] {
        let mut section = Section::new(big_endian);
        section.interface(105, 0, &[]);
        section.interface(1, 0, &[(9, &[0])]);
        let mut body = [section.u16(1), section.u16(0xffff)].concat();
        for word in [0, 9, frame.len() as u32, frame.len() as u32 + 1] {
            body.extend(section.u32(word));
        }
        section.block(2, &[&body, &frame[..]].concat());
        let truncated = expected.replace(r#"{"frame":1,"#, r#"{"frame":1,"truncated":true,"#);
        assert_eq!(lines("obsolete", &section.bytes, &[]), [truncated]);
        assert_eq!(times("obsolete", &section.bytes), [(9, 0)]);
    }
}

#[test]
fn interfaces_end_with_their_section() {
    let frame = frame(4789, &vxlan(5000, &arp()));
    let mut second = Section::new(true);
    second.enhanced(0, 0, &frame);
    let path = file("sections", &[pcapng(false, 1, &[&frame]), second.bytes].concat());
    let output = run(&[], &[&path]);
    std::fs::remove_file(path).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout.split(|byte| *byte == b'\n').count(), 2, "one line");
    assert!(String::from_utf8(output.stderr).unwrap().contains("interface that is not described"));
}

#[test]
fn blocks_that_are_wrong_inside() {
    let frame = frame(4789, &vxlan(5000, &arp()));
    for big_endian in [false, true] {
        // Of no use here: cut-off records of names, and a process without the number it should have.
        let mut capture = pcapng(big_endian, 1, &[&frame]);
        let mut section = Section::new(big_endian);
        section.block(4, &[0xff; 8]);
        section.block(0x8000_0001, &[]);
        capture.splice(28..28, section.bytes.split_off(28));
        assert_eq!(lines("useless", &capture, &[]).len(), 1);

        let long = capture.len() - 4 - frame.len().next_multiple_of(4) - 8;
        let short = capture.len();
        for (at, word, message) in [
            (long, frame.len() as u32 + 4, "a block that is too short for what it says"),
            (long, u32::MAX, "a block that is too short for what it says"),
            (long - 12, 1, "interface that is not described"),
            (short, 0x0a0d_0d0a, "without byte-order magic"),
            (short, 1, "a block length that cannot be"),
            (short, 0x8000_0001, "a block length that cannot be"),
        ] {
            let mut broken = [&capture[..], &[8; 28]].concat();
            broken[at..at + 4].copy_from_slice(&section.u32(word));
            if at == short && word != 0x0a0d_0d0a {
                broken[at + 4..at + 8].copy_from_slice(&section.u32(8));
            }
            let path = file("inside", &broken);
            let output = run(&[], &[&path]);
            std::fs::remove_file(path).unwrap();
            let text = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{word:x} at {at}: {text}");
            assert!(text.contains(message), "{word:x} at {at}: {text}");
            assert_eq!(output.stdout.is_empty(), at != short);
        }
    }
}

#[test]
fn frames_of_any_length_in_order() {
    let small = frame(4789, &vxlan(5000, &arp()));
    let mut large = small.clone();
    large.resize(1 << 20, 0);
    let frames: Vec<_> = (0..100).map(|number| if number % 40 == 39 { &large[..] } else { &small }).collect();
    let expected = line("small", &small, &[]);
    let numbered = |number: usize| expected.replace("\"frame\":1", &format!("\"frame\":{number}"));
    let expected: Vec<_> = (1..=100).map(numbered).collect();
    assert_eq!(lines("lengths", &pcap(1, &frames), &[]), expected);
    assert_eq!(lines("ng-lengths", &pcapng(true, 1, &frames), &[]), expected);
}

#[test]
fn decap_cuts_what_no_reader_would_take() {
    let mut inner = arp();
    inner.resize(300_000, 0);
    let mut packet = frame(4789, &vxlan(1, &[]));
    packet[16..18].fill(0);
    packet[38..40].fill(0);
    let input = file("jumbo-in", &pcap(1, &[&[&packet[..], &inner].concat()]));
    let output = file("jumbo-out", &[]);
    assert!(run(&["--decap", output.to_str().unwrap()], &[&input]).status.success());
    let written = std::fs::read(&output).unwrap();
    assert_eq!(written.len(), 24 + 16 + 0x4_0000);
    assert_eq!(written[32..40], [0x4_0000_u32.to_le_bytes(), 300_000_u32.to_le_bytes()].concat());
    for path in [input, output] {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
#[cfg(unix)]
fn a_pipe_that_gives_little_at_once() {
    let frame = frame(4789, &vxlan(5000, &arp()));
    let expected = line("file", &frame, &[]);
    for capture in [pcap(1, &[&frame]), pcapng(true, 1, &[&frame])] {
        let mut command = Command::new(&*DISSECT);
        let mut child = command.arg("/dev/stdin").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut pipe = child.stdin.take().unwrap();
        for piece in capture.chunks(capture.len().div_ceil(20)) {
            pipe.write_all(piece).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
        drop(pipe);
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), format!("{expected}\n"));
        assert!(output.status.success());
    }
}

#[test]
fn any_capture_ends_with_0_or_2() {
    let frame = frame(4789, &vxlan(5000, &arp()));
    let mut seeds = [false, true].map(|big_endian| pcapng(big_endian, 1, &[&frame])).to_vec();
    seeds.push(pcap(1, &[&frame]));
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for round in 0..300 {
        let mut capture = seeds[round % 3].clone();
        for _ in 0..=random(3) {
            let at = random(capture.len());
            capture[at] = [0, 1, 8, 0x80, 0xff, random(256) as u8][random(6)];
        }
        let path = file("any", &capture);
        let output = run(&[], &[&path]);
        std::fs::remove_file(path).unwrap();
        assert!(matches!(output.status.code(), Some(0 | 2)), "{capture:x?}: {output:?}");
    }
}
