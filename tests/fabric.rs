//! The `fabric` example as a command: the story in all its combinations, what it writes, and that it notices what goes
//! wrong.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]

mod common;

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use common::FABRIC;
use pcap_file::DataLink;
use pcap_file::pcap::PcapReader;
use vtep::wire::outer::{self, Checks, Outer, TunnelPorts};
use vtep::wire::{Encapsulation, EtherType, Inner, UdpChecksum};

/// A play of the story: what it printed, how it ended, and its capture.
struct Play {
    output: Output,
    capture: Vec<u8>,
    frames: Vec<(Duration, Vec<u8>)>,
}

impl Play {
    fn stdout(&self) -> &str {
        std::str::from_utf8(&self.output.stdout).unwrap()
    }

    fn stderr(&self) -> &str {
        std::str::from_utf8(&self.output.stderr).unwrap()
    }

    /// The underlay frames of each step, as printed.
    fn counts(&self) -> Vec<usize> {
        let of_step = |line: &str| line.split_once("underlay frames: ")?.1.split_once(';')?.0.parse().ok();
        self.stdout().lines().filter_map(of_step).collect()
    }

    #[track_caller]
    fn went_well(self) -> Self {
        assert_eq!((self.output.status.code(), self.stderr()), (Some(0), ""), "{}", self.stdout());
        assert!(self.stdout().contains("The story went as told."));
        self
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fabric-{}-{name}.pcap", std::process::id()))
}

fn play(name: &str, arguments: &[&str]) -> Play {
    let path = path(name);
    let output = Command::new(&*FABRIC).args(arguments).arg("--pcap").arg(&path).output().unwrap();
    let capture = fs::read(&path).unwrap();
    let mut reader = PcapReader::new(File::open(&path).unwrap()).unwrap();
    assert_eq!(reader.header().datalink, DataLink::ETHERNET);
    let mut frames = Vec::new();
    while let Some(packet) = reader.next_packet() {
        let packet = packet.unwrap();
        assert_eq!(packet.orig_len as usize, packet.data.len());
        frames.push((packet.timestamp, packet.data.into_owned()));
    }
    fs::remove_file(path).unwrap();
    Play { output, capture, frames }
}

fn outer(frame: &[u8]) -> Outer {
    outer::parse(frame, &TunnelPorts::default(), &Checks::default()).unwrap().unwrap()
}

#[test]
fn every_combination_plays_and_its_capture_is_sound() {
    for (encap, kind) in [("vxlan", Encapsulation::Vxlan), ("geneve", Encapsulation::Geneve)] {
        for (flood, counts) in [("her", [5, 35, 4, 1, 5, 7]), ("multicast", [4, 25, 3, 1, 4, 6])] {
            for underlay in ["v4", "v6"] {
                let name = format!("{encap}-{flood}-{underlay}");
                let play = play(&name, &["--encap", encap, "--flood", flood, "--underlay", underlay]).went_well();
                // An ARP request or an unknown destination is a copy for each of the two other VTEPs, or one for the
                // group. Step 1: request, reply, two echoes. Step 2: five announcements, five times what step 1 was.
                // Step 3: two echoes and one request. Step 4: one datagram. Step 5: a flooded echo, and three not.
                // Step 6: a datagram, an announcement, four echoes.
                assert_eq!(play.counts(), counts, "{name}");
                assert_eq!(play.frames.len(), counts.iter().sum(), "{name}");
                assert!(play.frames.is_sorted_by_key(|(time, _)| *time), "{name}");
                let mut to_group = 0;
                for (_, frame) in &play.frames {
                    let outer = outer(frame);
                    assert_eq!((outer.tunnel.encap, outer.tunnel.vni.get()), (kind, 5000), "{name}");
                    assert_eq!(outer.dst.is_ipv6(), underlay == "v6", "{name}");
                    // As it was sent: the router has not seen it.
                    assert_eq!(outer.ttl, 64, "{name}");
                    let none = kind == Encapsulation::Vxlan && underlay == "v4";
                    let checksum = if none { UdpChecksum::Zero } else { UdpChecksum::Good };
                    assert_eq!(outer.checksum, checksum, "{name}");
                    let inner = Inner::parse_ethernet(outer.tunnel.inner.of(frame).unwrap()).unwrap();
                    assert!(matches!(inner.ethertype(), EtherType::ARP | EtherType::IPV4), "{name}");
                    to_group += usize::from(outer.dst.is_multicast());
                }
                // 14 frames are flooded: 12 ARP requests and announcements of the steps 1 to 3, an echo, an announcement.
                assert_eq!(to_group, if flood == "multicast" { 14 } else { 0 }, "{name}");
            }
        }
    }
}

#[test]
fn fabrics_of_other_sizes_play() {
    for (vteps, pods) in [("2", "1"), ("2", "3"), ("3", "1"), ("7", "2"), ("32", "1"), ("2", "16")] {
        for flood in ["her", "multicast"] {
            let play = play(&format!("{vteps}-{pods}"), &["--vteps", vteps, "--pods", pods, "--flood", flood]);
            assert!(!play.went_well().frames.is_empty());
        }
    }
}

const GROUPS: [&str; 2] = ["--story", "security-groups"];

#[test]
fn security_groups_are_carried_learned_and_enforced() {
    for (encap, web, db) in [("geneve", "12345", "67890"), ("vxlan", "12345", "6789")] {
        for flood in ["her", "multicast"] {
            for underlay in ["v4", "v6"] {
                let name = format!("groups-{encap}-{flood}-{underlay}");
                let play =
                    play(&name, &[&GROUPS[..], &["--encap", encap, "--flood", flood, "--underlay", underlay]].concat())
                        .went_well();
                // By VTEP: the web server, the database, the test machine; the guest is known where it is.
                let row = |cells: &str| cells.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
                let lines = play.stdout().lines().filter(|line| line.starts_with("5000 ")).map(row);
                let table: Vec<Vec<String>> = lines.map(|mut cells| cells.split_off(3)).collect();
                // Where the station is, its class is the port's; elsewhere it is what the tunnel carries.
                let (high, low) = if encap == "geneve" { (5, 1) } else { (0, 0) };
                let near = [(web, 5, high), (db, 1, low), ("20001", 0, 0)];
                let mut expected = Vec::new();
                for vtep in 0..3 {
                    for (home, (group, at_home, elsewhere)) in near.iter().enumerate() {
                        let class = if vtep == home { at_home } else { elsewhere };
                        expected.push(vec![format!("sg-{group}"), class.to_string()]);
                    }
                }
                expected.push(vec!["-".to_owned(), "0".to_owned()]);
                assert_eq!(table, expected, "{name}");
                for line in [
                    "dropped, policy-denied",
                    "dropped, source-group-missing",
                    "policy       web to db: a rule says allow: allowed",
                    "policy       test to db: no rule speaks of them: policy-denied",
                    "vtep2  allow db web: 0; allow web db: 3; 2 copies of floods denied",
                ] {
                    assert!(play.stdout().contains(line), "{name}: {line}");
                }
                for (_, frame) in &play.frames {
                    let tunnel = outer(frame).tunnel;
                    let options = tunnel.options.of(frame).unwrap();
                    let guest = tunnel.inner.of(frame).unwrap()[6..12] == [2, 0x42, 10, 1, 1, 31];
                    let says = match tunnel.encap {
                        Encapsulation::Vxlan => tunnel.policy != 0,
                        _ => options.starts_with(&[0xff, 0x00, 0x80, 0x01, 0x00]),
                    };
                    assert_eq!(says, !guest, "{name}: {frame:02x?}");
                }
            }
        }
    }
}

#[test]
fn a_lost_or_doubled_frame_with_a_group_is_noticed() {
    let frames = play("groups-sound", &GROUPS).went_well().frames.len();
    for fault in ["--lose", "--duplicate"] {
        for number in 1..=frames + 1 {
            let play = play("groups-faulty", &[&GROUPS[..], &[fault, &number.to_string()]].concat());
            assert_eq!(play.output.status.code(), Some(1), "{fault} {number}: {}", play.stdout());
            assert!(play.stderr().starts_with("FAILED: ") && play.stderr().lines().count() == 1);
        }
    }
    let other = play("groups-other", &[&GROUPS[..], &["--pods", "3"]].concat());
    assert!(other.stderr().contains("three VTEPs with two pods each"), "{}", other.stderr());
}

#[test]
fn one_seed_is_one_story() {
    let mut captures = Vec::new();
    for seed in ["0", "1", "2", "18446744073709551615"] {
        let [first, second] = [(); 2].map(|()| play(&format!("seed-{seed}"), &["--seed", seed]).went_well());
        assert_eq!(first.stdout(), second.stdout());
        assert_eq!(first.capture, second.capture);
        assert!(!captures.contains(&first.capture), "seed {seed}");
        captures.push(first.capture);
    }
}

#[test]
fn every_lost_and_every_doubled_frame_is_noticed() {
    for flood in ["her", "multicast"] {
        let sizes = ["--pods", "1", "--flood", flood];
        let frames = play("sound", &sizes).went_well().frames.len();
        for fault in ["--lose", "--duplicate"] {
            for number in 1..=frames {
                let number = number.to_string();
                let play = play("faulty", &[&sizes[..], &[fault, &number]].concat());
                let what = format!("{flood} {fault} {number}: {}", play.stderr());
                assert_eq!(play.output.status.code(), Some(1), "{what}");
                assert!(play.stderr().starts_with("FAILED: ") && play.stderr().lines().count() == 1, "{what}");
                assert!(!play.stdout().contains("went as told"), "{what}");
            }
            let beyond = play("beyond", &[&sizes[..], &[fault, &(frames + 1).to_string()]].concat());
            assert_eq!(beyond.output.status.code(), Some(1), "{}", beyond.stdout());
        }
    }
}

#[test]
fn forwarding_databases_are_printed_in_columns() {
    let play = play("tables", &[]).went_well();
    let table: Vec<Vec<&str>> = play
        .stdout()
        .lines()
        .filter(|line| line.starts_with("5000 "))
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(play.stdout().contains("VNI   Inner MAC         Remote VTEP IP   Port  Age   Flags\n"));
    let (a, b) = ("02:42:0a:01:01:0a", "02:42:0a:01:01:14");
    let row = |mac, remote, port| vec!["5000", mac, remote, port, "59s", "dynamic"];
    assert_eq!(
        table,
        [
            row(a, "LOCAL", "-"),
            row(b, "192.168.1.30", "4789"),
            row(a, "192.168.1.10", "4789"),
            row(b, "192.168.1.30", "4789"),
            row(a, "192.168.1.10", "4789"),
            row(b, "LOCAL", "-"),
        ]
    );
}

#[test]
fn printed_counters_add_up() {
    // With one pod a host, the old host has nobody left for what arrives: a drop.
    let play = play("counters", &["--pods", "1"]).went_well();
    let mut lines = 0;
    for line in play.stdout().lines() {
        let Some((vtep, rest)) = line.split_once(" packets in = ") else { continue };
        let total: u64 = vtep.split_whitespace().last().unwrap().parse().unwrap();
        let parts = rest.split(';').next().unwrap();
        let sum: u64 = parts.split(" + ").map(|part| part.split(' ').next().unwrap().parse::<u64>().unwrap()).sum();
        assert_eq!(total, sum, "{line}");
        assert_eq!(parts.contains("no-flood-target"), line.starts_with("vtep2"), "{line}");
        lines += 1;
    }
    assert_eq!(lines, 3);
}

#[test]
fn bad_arguments_and_an_unwritable_capture_are_told_apart_from_failures() {
    let missing = path("missing").join("fabric.pcap");
    let missing = missing.to_str().unwrap();
    for arguments in [&["--vteps", "1"][..], &["--pods", "0"], &["--encap", "gre"], &["--pcap", missing]] {
        let output = Command::new(&*FABRIC).args(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}
