//! The `dissect` example as a command: what it prints, what it writes, how it ends.
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

use std::collections::BTreeSet;

use common::dissect::{file, line, lines, pcap, run};
use common::packet::{arp, ethernet, frame, geneve, ipv4, ipv6, tag, udp, vxlan, with_checksum};
use serde_json::Value;
use vtep::wire::{Layer, Reason};

#[test]
fn vxlan_with_group_policy() {
    let header = [0x88, 0x48, 0, 100, 0x2d, 0xc6, 0xc1, 0];
    let expected = r#"{"frame":1,"tunnels":[{"kind":"vxlan","src":"192.0.2.1","dst":"192.0.2.2","sport":50000,"dport":4789,"vni":3000001,"flags":"IGDA","policy":100}],"inner":{"src":"02:00:00:00:00:bb","dst":"02:00:00:00:00:aa","vlans":[100,200],"ethertype":"0x86dd"}}"#;
    assert_eq!(line("gbp", &frame(4789, &[&header[..], &tagged()].concat()), &[]), expected);
}

#[test]
fn geneve_with_options_over_ipv6() {
    let area = [0xff, 0x00, 0x80, 0x01, 0xde, 0xad, 0xbe, 0xef, 0x01, 0x02, 0x03, 0x00];
    let datagram = udp(50_000, 6081, &geneve(0xc0, 0x0800, 0xff_ffff, &area, &ipv4(6, 0, &[0; 20])));
    let expected = r#"{"frame":1,"tunnels":[{"kind":"geneve","src":"2001:db8::1","dst":"2001:db8::2","sport":50000,"dport":6081,"vni":16777215,"flags":"OC","protocol":"0x0800","options":[{"class":65280,"type":128,"critical":true,"data":"deadbeef","name":"security-group","value":3735928559},{"class":258,"type":3,"critical":false,"data":""}]}],"inner":{"ethertype":"0x0800"}}"#;
    assert_eq!(line("geneve", &ethernet(0x86dd, &ipv6(17, &datagram)), &[]), expected);
}

#[test]
fn gpe() {
    let expected = r#"{"frame":1,"tunnels":[{"kind":"gpe","src":"192.0.2.1","dst":"192.0.2.2","sport":50000,"dport":4790,"vni":1,"flags":"IPBO","next_protocol":4}],"inner":{"ethertype":"0x894f"}}"#;
    assert_eq!(line("gpe", &frame(4790, &[0x0f, 0, 0, 4, 0, 0, 1, 0]), &[]), expected);
    let unknown = line("gpe-unknown", &frame(4790, &[0x0c, 0, 0, 99, 0, 0, 1, 0, 1, 2, 3]), &[]);
    assert!(
        unknown
            .contains(r#""next_protocol":99}],"error":{"layer":"gpe","reason":"unknown-next-protocol","offset":45}"#)
    );
}

#[test]
fn an_inner_ieee_802_3_frame_has_no_ethertype() {
    let line = line("llc", &frame(4789, &vxlan(1, &ethernet(38, &[0x42; 38]))), &[]);
    assert!(line.ends_with(r#""inner":{"src":"02:00:00:00:00:bb","dst":"02:00:00:00:00:aa"}}"#), "{line}");
}

#[test]
fn frames_without_a_tunnel_have_a_number_only() {
    let mut other_port = frame(53, &vxlan(1, &arp()));
    other_port[34..36].copy_from_slice(&4789_u16.to_be_bytes());
    let tcp = ethernet(0x0800, &ipv4(6, 0, &[0; 20]));
    let frames = [&arp()[..], &tcp, &other_port];
    let expected = [r#"{"frame":1}"#, r#"{"frame":2}"#, r#"{"frame":3}"#];
    assert_eq!(lines("none", &pcap(1, &frames), &[]), expected);
    let line = line("port", &other_port, &["--port", "53=vxlan", "--port=54=geneve"]);
    assert!(line.contains(r#""sport":4789,"dport":53,"vni":1"#), "{line}");
}

#[test]
fn tunnels_in_tunnels_outermost_first_up_to_a_bound() {
    let mut packet = ethernet(0x0800, &ipv4(17, 0, &udp(1, 6081, &geneve(0, 0x0800, 3, &[], &ipv4(6, 0, &[0; 20])))));
    packet = frame(4789, &vxlan(2, &packet));
    let nested = line("nested", &frame(4789, &vxlan(1, &packet)), &[]);
    let vnis: Vec<_> = nested.match_indices("\"vni\":").map(|(at, _)| &nested[at + 6..at + 7]).collect();
    assert_eq!(vnis, ["1", "2", "3"]);
    assert!(nested.ends_with(r#""inner":{"ethertype":"0x0800"}}"#), "{nested}");

    let mut packet = arp();
    for vni in 0..10 {
        packet = frame(4789, &vxlan(vni, &packet));
    }
    let line = line("deep", &packet, &[]);
    assert_eq!(line.matches("\"kind\"").count(), 8);
    assert!(line.ends_with(r#""ethertype":"0x0800"}}"#), "{line}");
}

#[test]
fn faults_are_named_where_they_are() {
    let cut = |len: usize| frame(4789, &vxlan(1, &arp()[..len]));
    let bad_option = geneve(0, 0x6558, 9, &[0, 1, 2, 0, 0, 1, 3, 2], &arp());
    let mut tags = tag(0, 0x0800, &ipv4(6, 0, &[]));
    for vid in 1..4 {
        tags = tag(vid, 0x8100, &tags);
    }
    let mut total = frame(4789, &vxlan(1, &arp()));
    total[16] = 0xff;
    let cases: &[(&str, Vec<u8>, &str)] = &[
        ("no-vni", frame(4789, &[0; 8]), r#""dport":4789}],"error":{"layer":"vxlan","reason":"no-vni","offset":42}"#),
        ("short", frame(4789, &[8; 7]), r#""dport":4789}],"error":{"layer":"vxlan","reason":"truncated","offset":42}"#),
        ("version", frame(6081, &[0x40; 8]), r#""error":{"layer":"geneve","reason":"unknown-version","offset":42}"#),
        (
            "area",
            frame(6081, &[1, 0, 0, 0, 0, 0, 0, 0]),
            r#""layer":"geneve","reason":"option-area-too-long","offset":42"#,
        ),
        (
            "option",
            frame(6081, &bad_option),
            r#""vni":9,"protocol":"0x6558","options":[{"class":1,"type":2,"critical":false,"data":""}]}],"error":{"layer":"geneve-option","reason":"option-too-long","offset":54}"#,
        ),
        ("inner", cut(13), r#""vni":1,"flags":"I"}],"error":{"layer":"inner","reason":"truncated","offset":50}"#),
        ("inner-ip", cut(0), r#""error":{"layer":"inner","reason":"truncated","offset":50}"#),
        (
            "tags",
            frame(4789, &vxlan(1, &ethernet(0x8100, &tags))),
            r#""vlans":[3,2,1,0],"ethertype":"0x0800"},"error":{"layer":"vlan","reason":"too-many-tags","offset":74}"#,
        ),
        ("total", total, r#"{"frame":1,"error":{"layer":"ipv4","reason":"length-too-long","offset":16}}"#),
        (
            "inner-total",
            frame(4789, &vxlan(1, &ethernet(0x0800, &ipv4(6, 0, &[0; 20])[..30]))),
            r#""ethertype":"0x0800"},"error":{"layer":"ipv4","reason":"length-too-long","offset":66}"#,
        ),
        (
            "inner-version",
            frame(6081, &geneve(0, 0x86dd, 1, &[], &ipv4(6, 0, &[]))),
            r#""inner":{"ethertype":"0x86dd"},"error":{"layer":"ipv6","reason":"unknown-version","offset":50}"#,
        ),
        (
            "fragment",
            ethernet(0x0800, &ipv4(17, 0x2000, &udp(1, 4789, &vxlan(1, &arp())))),
            r#"{"frame":1,"error":{"layer":"ipv4","reason":"fragment","offset":20}}"#,
        ),
    ];
    for (name, frame, expected) in cases {
        let line = line(name, frame, &[]);
        assert!(line.contains(expected), "{name}: {line}");
    }
}

#[test]
fn a_fragment_inside_a_tunnel_is_no_fault() {
    let inner = ethernet(0x0800, &ipv4(17, 0x2001, &udp(1, 4789, &[0; 100])));
    let line = line("inner-fragment", &frame(4789, &vxlan(1, &inner)), &[]);
    assert!(line.contains("\"inner\"") && !line.contains("\"error\""), "{line}");
}

#[test]
fn a_super_frame_is_read_to_its_end_and_its_length_named() {
    let mut packet = frame(4789, &vxlan(5001, &arp()));
    packet[16..18].fill(0);
    packet[38..40].fill(0);
    let line = line("superframe", &packet, &[]);
    assert!(line.contains(r#""vni":5001"#) && line.contains(r#""ethertype":"0x0806""#), "{line}");
    assert!(line.ends_with(r#""error":{"layer":"ipv4","reason":"zero-length","offset":16}}"#), "{line}");
}

#[test]
fn checksums_are_judged_with_verify_only() {
    let good = with_checksum(udp(1, 4789, &vxlan(1, &arp())), true);
    let mut bad = good.clone();
    bad[6] ^= 1;
    let zero = udp(1, 4789, &vxlan(1, &arp()));
    let frames = [good, bad, zero].map(|datagram| ethernet(0x86dd, &ipv6(17, &datagram)));
    let mut header = frame(4789, &vxlan(1, &arp()));
    header[24] ^= 1;
    let capture = pcap(1, &[&frames[0], &frames[1], &frames[2], &header]);
    let unjudged = lines("unjudged", &capture, &[]);
    assert!(unjudged.iter().all(|line| line.contains("\"vni\":1") && !line.contains("\"error\"")));
    let judged = lines("judged", &capture, &["--verify"]);
    assert_eq!(judged[0], unjudged[0]);
    for (line, error) in judged[1..].iter().zip([
        r#""layer":"udp","reason":"bad-checksum","offset":60"#,
        r#""layer":"udp","reason":"zero-checksum","offset":60"#,
        r#""layer":"ipv4","reason":"bad-ip-checksum","offset":24"#,
    ]) {
        assert!(line.contains(error), "{line}");
    }
}

/// The first `len` bytes of a frame, captured with a limit.
fn snapped(frame: &[u8], len: usize) -> Vec<u8> {
    let mut capture = pcap(1, &[&frame[..len]]);
    capture[36..40].copy_from_slice(&(frame.len() as u32).to_le_bytes());
    capture
}

#[test]
fn a_snapped_frame_shows_what_was_captured() {
    let whole = frame(4789, &vxlan(5000, &ethernet(0x0800, &ipv4(6, 0, &[0; 1000]))));
    let expected = line("whole", &whole, &[]).replace(r#"{"frame":1,"#, r#"{"frame":1,"truncated":true,"#);
    for len in 64..whole.len() {
        assert_eq!(lines("snapped", &snapped(&whole, len), &[]), [&*expected], "{len} bytes");
    }
    for (len, end) in [
        (63, r#""vni":5000,"flags":"I"}],"error":{"layer":"inner","reason":"truncated","offset":50}}"#),
        (50, r#""vni":5000,"flags":"I"}],"error":{"layer":"inner","reason":"truncated","offset":50}}"#),
        (49, r#""dport":4789}],"error":{"layer":"vxlan","reason":"truncated","offset":42}}"#),
        (33, r#"{"frame":1,"truncated":true}"#),
        (13, r#"{"frame":1,"truncated":true}"#),
    ] {
        let lines = lines("snapped", &snapped(&whole, len), &[]);
        assert!(lines[0].ends_with(end), "{len} bytes: {}", lines[0]);
    }
}

#[test]
fn decap_writes_the_innermost_frames_with_their_times() {
    let nested = frame(4789, &vxlan(2, &arp()));
    let inner_ip = frame(6081, &geneve(0, 0x0800, 1, &[], &ipv4(6, 0, &[0; 20])));
    let frames = [&frame(4789, &vxlan(1, &nested))[..], &arp(), &inner_ip, &frame(4789, &vxlan(1, &arp()))];
    let input = file("decap-in", &pcap(1, &frames));
    let output = file("decap-out", &[]);
    let result = run(&["--decap", output.to_str().unwrap()], &[&input]);
    assert!(result.status.success());
    assert!(String::from_utf8(result.stderr).unwrap().contains("1 tunnelled packets without Ethernet header"));

    let mut expected = Vec::new();
    for word in [0xa1b2_3c4d, 2 | 4 << 16, 0, 0, 0x4_0000, 1_u32] {
        expected.extend(word.to_le_bytes());
    }
    for second in [1, 4_u32] {
        for word in [second, 7000, 42, 42] {
            expected.extend(word.to_le_bytes());
        }
        expected.extend(arp());
    }
    assert_eq!(std::fs::read(&output).unwrap(), expected);

    // Never over what is still to be read.
    let result = run(&["--decap", input.to_str().unwrap()], &[&input]);
    assert_eq!(result.status.code(), Some(2));
    assert_eq!(std::fs::read(&input).unwrap(), pcap(1, &frames));
    std::fs::remove_file(input).unwrap();
    std::fs::remove_file(output).unwrap();
}

#[test]
fn several_files_are_named() {
    let [first, second] = ["first", "second"].map(|name| file(name, &pcap(1, &[&arp()])));
    let output = run(&[], &[&first, &second]);
    let expected = [&first, &second].map(|path| format!("{{\"frame\":1,\"file\":\"{}\"}}\n", path.display()));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected.concat());
    for path in [first, second] {
        std::fs::remove_file(path).unwrap();
    }
}

#[test]
fn any_bytes_end_with_0() {
    let area = [0xff, 0x00, 0x80, 0x01, 0xde, 0xad, 0xbe, 0xef];
    let inner = frame(4789, &vxlan(1, &ethernet(0x8100, &tag(5, 0x86dd, &ipv6(59, &[])))));
    let seed = frame(6081, &geneve(0, 0x6558, 1, &area, &inner));
    let mut state = 1_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mutated: Vec<Vec<u8>> = (0..5000)
        .map(|_| {
            let mut frame = seed.clone();
            for _ in 0..=random(4) {
                let at = random(frame.len());
                frame[at] = random(256) as u8;
            }
            frame.truncate(random(frame.len() + 1).max(random(frame.len() + 1)));
            frame
        })
        .collect();
    let frames: Vec<_> = mutated.iter().map(Vec::as_slice).collect();
    for link in [1, 101, 113, 276] {
        assert_eq!(lines("mutated", &pcap(link, &frames), &["--verify"]).len(), 5000);
    }
}

#[test]
fn help_lists_every_layer_and_reason() {
    let output = run(&["--help"], &[]);
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let words: Vec<_> = text.split([' ', ',', '\n']).collect();
    assert!(Reason::ALL.iter().all(|reason| words.contains(&reason.name())));
    assert!(Layer::ALL.iter().all(|layer| words.contains(&layer.name())));
}

#[test]
fn the_documentation_has_every_key_and_a_true_example() {
    fn keys(value: &Value, found: &mut BTreeSet<String>) {
        let inside: Vec<_> = match value {
            Value::Array(values) => values.iter().collect(),
            Value::Object(map) => map.values().collect(),
            _ => Vec::new(),
        };
        found.extend(value.as_object().into_iter().flat_map(|map| map.keys().cloned()));
        inside.into_iter().for_each(|value| keys(value, found));
    }
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dissect.md")).unwrap();
    let policy = frame(4789, &[&[0x88, 0x48, 0, 100, 0x2d, 0xc6, 0xc1, 0][..], &tagged()].concat());
    let example = line("example", &policy, &[]);
    assert!(text.contains(&format!("```json\n{example}\n```")), "{example}");

    let options = frame(6081, &geneve(0, 0x6558, 9, &[0, 1, 2, 0], &[]));
    let next = frame(4790, &[0x0c, 0, 0, 4, 0, 0, 1, 0]);
    let paths = [("cut", snapped(&policy, 90)), ("whole", pcap(1, &[&options, &next]))];
    let paths = paths.map(|(name, capture)| file(&format!("keys-{name}"), &capture));
    let output = run(&[], &paths.each_ref());
    let mut found = BTreeSet::new();
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        keys(&serde_json::from_slice(line).unwrap(), &mut found);
    }
    assert_eq!(found.len(), 26, "{found:?}");
    for key in found {
        assert!(text.contains(&format!("`{key}`")), "{key}");
    }
    for path in paths {
        std::fs::remove_file(path).unwrap();
    }
}

/// An inner frame with two tags.
fn tagged() -> Vec<u8> {
    ethernet(0x88a8, &tag(0x6064, 0x8100, &tag(200, 0x86dd, &ipv6(59, &[]))))
}

#[test]
fn arguments_that_make_no_sense() {
    for port in ["--port=vxlan", "--port=0=vxlan", "--port=65536=vxlan", "--port=1=gre"] {
        let output = run(&[port, "-"], &[]);
        assert_eq!(output.status.code(), Some(2), "{port}");
    }
    assert_eq!(run(&[], &[]).status.code(), Some(2));
}
