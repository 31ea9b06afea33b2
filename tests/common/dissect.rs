//! The `dissect` example as a command, and captures to give to it.
#![allow(clippy::cast_possible_truncation, clippy::unwrap_used)]

use std::path::PathBuf;
use std::process::{Command, Output};

use super::DISSECT;

/// A capture file of this test.
pub(crate) fn file(name: &str, bytes: &[u8]) -> PathBuf {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("dissect-{}-{name}", std::process::id()));
    std::fs::write(&path, bytes).unwrap();
    path
}

pub(crate) fn run(arguments: &[&str], files: &[&PathBuf]) -> Output {
    Command::new(&*DISSECT).args(arguments).args(files).output().unwrap()
}

/// What is printed of one capture, line by line; it must be sound.
#[track_caller]
pub(crate) fn lines(name: &str, capture: &[u8], arguments: &[&str]) -> Vec<String> {
    let path = file(name, capture);
    let output = run(arguments, &[&path]);
    std::fs::remove_file(path).unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// What is printed of one Ethernet frame.
#[track_caller]
pub(crate) fn line(name: &str, frame: &[u8], arguments: &[&str]) -> String {
    let lines = lines(name, &pcap(1, &[frame]), arguments);
    assert_eq!(lines.len(), 1);
    lines[0].clone()
}

/// A little-endian pcap with microseconds; frame n is captured n seconds and 7 microseconds after 1970.
pub(crate) fn pcap(link: u32, frames: &[&[u8]]) -> Vec<u8> {
    let mut capture = Vec::new();
    for word in [0xa1b2_c3d4, 2 | 4 << 16, 0, 0, 65_535, link] {
        capture.extend(word.to_le_bytes());
    }
    for (second, frame) in (1_u32..).zip(frames) {
        for word in [second, 7, frame.len() as u32, frame.len() as u32] {
            capture.extend(word.to_le_bytes());
        }
        capture.extend(*frame);
    }
    capture
}

/// A pcapng with a section, an interface (times in 2^-20 s), a block of no use, and enhanced packets.
pub(crate) fn pcapng(big_endian: bool, link: u16, frames: &[&[u8]]) -> Vec<u8> {
    let u16 = |value: u16| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let u32 = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
    let block = |kind: u32, body: &[u8]| {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let len = u32((12 + body.len() + padding.len()) as u32);
        [&u32(kind)[..], &len, body, &padding, &len].concat()
    };
    let mut capture = block(0x0a0d_0d0a, &[&u32(0x1a2b_3c4d)[..], &u16(1), &u16(0), &[0xff; 8]].concat());
    let comment = [&u16(1)[..], &u16(3), b"\xff\xfe\xfd\0"].concat();
    let resolution = [&u16(9)[..], &u16(1), &[0x80 | 20, 0, 0, 0]].concat();
    capture.extend(block(1, &[&u16(link)[..], &u16(0), &u32(0), &comment, &resolution].concat()));
    capture.extend(block(5, &[0; 12]));
    for (second, frame) in (1_u32..).zip(frames) {
        let len = u32(frame.len() as u32);
        let head = [u32(0), u32(0), u32(second << 20), len, len].concat();
        capture.extend(block(6, &[&head[..], frame].concat()));
    }
    capture
}
