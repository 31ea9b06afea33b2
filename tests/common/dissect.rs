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
    let mut section = Section::new(big_endian);
    section.interface(link, 0, &[(1, b"\xff\xfe\xfd"), (9, &[0x80 | 20])]);
    section.block(5, &[0; 12]);
    for (second, frame) in (1..).zip(frames) {
        section.enhanced(0, second << 20, frame);
    }
    section.bytes
}

/// A section of a pcapng file.
pub(crate) struct Section {
    big_endian: bool,
    pub bytes: Vec<u8>,
}

impl Section {
    /// The header only.
    pub(crate) fn new(big_endian: bool) -> Self {
        let mut section = Self { big_endian, bytes: Vec::new() };
        let body = [&section.u32(0x1a2b_3c4d)[..], &section.u16(1), &section.u16(0), &[0xff; 8]].concat();
        section.block(0x0a0d_0d0a, &body);
        section
    }

    pub(crate) fn u16(&self, value: u16) -> [u8; 2] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub(crate) fn u32(&self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub(crate) fn block(&mut self, kind: u32, body: &[u8]) {
        let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
        let len = self.u32((12 + body.len() + padding.len()) as u32);
        self.bytes.extend([&self.u32(kind)[..], &len, body, &padding, &len].concat());
    }

    /// An interface description with options: codes and values.
    pub(crate) fn interface(&mut self, link: u16, snap_len: u32, options: &[(u16, &[u8])]) {
        let mut body = [&self.u16(link)[..], &self.u16(0), &self.u32(snap_len)].concat();
        for (code, value) in options {
            body.extend([&self.u16(*code)[..], &self.u16(value.len() as u16), value].concat());
            body.resize(body.len().next_multiple_of(4), 0);
        }
        self.block(1, &body);
    }

    pub(crate) fn enhanced(&mut self, interface: u32, ticks: u64, frame: &[u8]) {
        let words = [interface, (ticks >> 32) as u32, ticks as u32, frame.len() as u32, frame.len() as u32];
        let head = words.map(|word| self.u32(word)).concat();
        self.block(6, &[&head[..], frame].concat());
    }
}
