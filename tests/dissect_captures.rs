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

use std::path::PathBuf;

use common::dissect::{file, line, lines, pcap, pcapng, run};
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
        let data = &whole[..whole.len().min(limit as usize)];
        let padded = data.len().next_multiple_of(4);
        let len = (16 + padded as u32).to_le_bytes();
        let words = [3_u32.to_le_bytes(), len, (whole.len() as u32).to_le_bytes()].concat();
        capture.extend([&words[..], data, &vec![0xa5; padded - data.len()], &len].concat());
        capture
    };
    let expected = line("simple", &whole, &[]);
    assert_eq!(lines("simple", &capture(65_535), &[]), [&*expected]);
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
    for (name, bytes, message) in [
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
