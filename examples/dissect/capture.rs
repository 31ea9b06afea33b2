//! Reading pcap (both byte orders, micro- and nanoseconds) and pcapng files, record by record.
//!
//! A capture that is damaged gives all records before the damage and then one [`Broken`].

use std::io::{self, BufRead, Read};

/// More bytes than any capture tool puts into one record: a length above it is damage, not data.
const MAX_BLOCK: u32 = 64 << 20;

/// One captured frame.
pub struct Record {
    /// Link type as <https://www.tcpdump.org/linktypes.html> numbers them.
    pub link: u32,
    /// Nanoseconds since 1970.
    pub nanos: u64,
    /// Bytes the frame had on the wire.
    pub orig_len: u32,
    /// The bytes that were captured.
    pub data: Vec<u8>,
}

/// Why a file cannot be read on.
#[derive(Debug)]
pub enum Broken {
    /// Reading failed.
    Io(io::Error),
    /// It is no capture, or not one of a kind that is read here.
    NotACapture(&'static str),
    /// The record or block that starts at byte `at` is wrong.
    Damaged { at: u64, what: &'static str },
}

impl std::fmt::Display for Broken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Io(error) => write!(f, "cannot be read: {error}"),
            Self::NotACapture(what) => write!(f, "not a capture that can be read: {what}"),
            Self::Damaged { at, what } => write!(f, "broken at byte {at}: {what}"),
        }
    }
}

/// A capture that is being read.
pub struct Capture<R> {
    input: R,
    /// Bytes consumed so far.
    at: u64,
    big_endian: bool,
    format: Format,
}

enum Format {
    Pcap { link: u32, nanos: bool },
    PcapNg { interfaces: Vec<Interface> },
}

struct Interface {
    link: u32,
    /// 0: no limit.
    snap_len: u32,
    /// Timestamp units in a second.
    units: u64,
    offset_seconds: u64,
}

const SECTION_HEADER: u32 = 0x0a0d_0d0a;

impl<R: BufRead> Capture<R> {
    /// Reads the file header.
    pub fn open(input: R) -> Result<Self, Broken> {
        let mut capture = Self { input, at: 0, big_endian: false, format: Format::PcapNg { interfaces: Vec::new() } };
        let Some(magic) = capture.word()? else {
            return Err(Broken::NotACapture("the file is empty"));
        };
        let (big_endian, nanos) = match magic {
            [0xa1, 0xb2, 0xc3, 0xd4] => (true, false),
            [0xd4, 0xc3, 0xb2, 0xa1] => (false, false),
            [0xa1, 0xb2, 0x3c, 0x4d] => (true, true),
            [0x4d, 0x3c, 0xb2, 0xa1] => (false, true),
            _ if u32::from_be_bytes(magic) == SECTION_HEADER => {
                capture.section_header(0)?;
                return Ok(capture);
            }
            _ => return Err(Broken::NotACapture("neither pcap nor pcapng by its first four bytes")),
        };
        capture.big_endian = big_endian;
        let header = capture.bytes(20, 0, "the file header is cut off")?;
        if capture.u16(&header, 0) != 2 {
            return Err(Broken::NotACapture("a pcap version other than 2"));
        }
        // The upper bits tell of a frame check sequence, which is padding to us.
        let link = capture.u32(&header, 16) & 0x03ff_ffff;
        capture.format = Format::Pcap { link, nanos };
        Ok(capture)
    }

    /// The next frame; `Ok(None)` at the end of a sound file.
    pub fn next(&mut self) -> Result<Option<Record>, Broken> {
        match self.format {
            Format::Pcap { link, nanos } => self.next_pcap(link, nanos),
            Format::PcapNg { .. } => self.next_block(),
        }
    }

    fn next_pcap(&mut self, link: u32, nanos: bool) -> Result<Option<Record>, Broken> {
        let at = self.at;
        let Some(seconds) = self.word()? else { return Ok(None) };
        let rest = self.bytes(12, at, "the record header is cut off")?;
        let (fraction, len, orig_len) = (self.u32(&rest, 0), self.u32(&rest, 4), self.u32(&rest, 8));
        if len > MAX_BLOCK {
            return Err(Broken::Damaged { at, what: "the record claims more than 64 MiB" });
        }
        let data = self.bytes(len, at, "the record is cut off")?;
        let seconds = self.u32(&seconds, 0);
        let nanos = u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * if nanos { 1 } else { 1000 };
        Ok(Some(Record { link, nanos, orig_len, data }))
    }

    fn next_block(&mut self) -> Result<Option<Record>, Broken> {
        loop {
            let at = self.at;
            let Some(kind) = self.word()? else { return Ok(None) };
            if u32::from_be_bytes(kind) == SECTION_HEADER {
                self.section_header(at)?;
                continue;
            }
            let len = self.bytes(4, at, "the block header is cut off")?;
            let body = self.block_body(self.u32(&len, 0), 8, at)?;
            let record = match self.u32(&kind, 0) {
                1 => self.interface(&body, at)?,
                2 => self.packet(&body, at, true)?,
                3 => self.simple_packet(&body, at)?,
                6 => self.packet(&body, at, false)?,
                _ => None,
            };
            if record.is_some() {
                return Ok(record);
            }
        }
    }

    /// A section header, whose type was read: from here on its byte order holds, and interfaces are new.
    fn section_header(&mut self, at: u64) -> Result<(), Broken> {
        let start = self.bytes(8, at, "the section header is cut off")?;
        self.big_endian = match start[4..] {
            [0x1a, 0x2b, 0x3c, 0x4d] => true,
            [0x4d, 0x3c, 0x2b, 0x1a] => false,
            _ => return Err(Broken::Damaged { at, what: "a section header without byte-order magic" }),
        };
        let body = self.block_body(self.u32(&start, 0), 12, at)?;
        if body.len() < 12 || self.u16(&body, 0) != 1 {
            return Err(Broken::Damaged { at, what: "a section header of a version other than 1" });
        }
        self.format = Format::PcapNg { interfaces: Vec::new() };
        Ok(())
    }

    /// What is left of a block of `len` bytes when `head` of them are read, without the length at its end.
    fn block_body(&mut self, len: u32, head: u32, at: u64) -> Result<Vec<u8>, Broken> {
        if len < head + 4 || len & 3 != 0 || len > MAX_BLOCK {
            return Err(Broken::Damaged { at, what: "a block length that cannot be" });
        }
        let mut body = self.bytes(len - head, at, "the block is cut off")?;
        let end = body.split_off(body.len() - 4);
        if self.u32(&end, 0) != len {
            return Err(Broken::Damaged { at, what: "the block's two lengths differ" });
        }
        Ok(body)
    }

    fn interface(&mut self, body: &[u8], at: u64) -> Result<Option<Record>, Broken> {
        if body.len() < 8 {
            return Err(Broken::Damaged { at, what: "an interface description that is too short" });
        }
        let mut interface = Interface {
            link: self.u16(body, 0).into(),
            snap_len: self.u32(body, 4),
            units: 1_000_000,
            offset_seconds: 0,
        };
        let mut options = &body[8..];
        while options.len() >= 4 {
            let (code, len) = (self.u16(options, 0), usize::from(self.u16(options, 2)));
            let Some(value) = options.get(4..4 + len) else { break };
            match (code, value) {
                (0, _) => break,
                (9, &[resolution]) => interface.units = units(resolution),
                (14, value) if len == 8 => interface.offset_seconds = self.u64(value, 0),
                _ => {}
            }
            options = options.get(4 + len.next_multiple_of(4)..).unwrap_or_default();
        }
        if let Format::PcapNg { interfaces } = &mut self.format {
            interfaces.push(interface);
        }
        Ok(None)
    }

    /// An enhanced packet block, or its obsolete ancestor, which has 16-bit interfaces and counts drops.
    fn packet(&mut self, body: &[u8], at: u64, obsolete: bool) -> Result<Option<Record>, Broken> {
        if body.len() < 20 {
            return Err(Broken::Damaged { at, what: "a packet block that is too short" });
        }
        let id = if obsolete { self.u16(body, 0).into() } else { self.u32(body, 0) };
        let interface = self.find(id, at)?;
        let ticks = u64::from(self.u32(body, 4)) << 32 | u64::from(self.u32(body, 8));
        let nanos = u128::from(ticks) * 1_000_000_000 / u128::from(interface.units)
            + u128::from(interface.offset_seconds) * 1_000_000_000;
        let (len, orig_len) = (self.u32(body, 12) as usize, self.u32(body, 16));
        let Some(data) = body[20..].get(..len) else {
            return Err(Broken::Damaged { at, what: "a packet that is longer than its block" });
        };
        Ok(Some(Record { link: interface.link, nanos: nanos as u64, orig_len, data: data.to_vec() }))
    }

    /// A simple packet block: of the first interface, without a time, and its length is to be inferred.
    fn simple_packet(&mut self, body: &[u8], at: u64) -> Result<Option<Record>, Broken> {
        let interface = self.find(0, at)?;
        let Some((head, rest)) = body.split_at_checked(4) else {
            return Err(Broken::Damaged { at, what: "a packet block that is too short" });
        };
        let orig_len = self.u32(head, 0);
        let limit = if interface.snap_len == 0 { u32::MAX } else { interface.snap_len };
        let len = orig_len.min(limit) as usize;
        let Some(data) = rest.get(..len) else {
            return Err(Broken::Damaged { at, what: "a packet that is longer than its block" });
        };
        Ok(Some(Record { link: interface.link, nanos: 0, orig_len, data: data.to_vec() }))
    }

    fn find(&self, id: u32, at: u64) -> Result<&Interface, Broken> {
        let Format::PcapNg { interfaces } = &self.format else {
            return Err(Broken::NotACapture("a pcapng block in a pcap file"));
        };
        interfaces
            .get(id as usize)
            .ok_or(Broken::Damaged { at, what: "a packet of an interface that is not described" })
    }

    /// Four bytes, or `None` at the end of the file.
    fn word(&mut self) -> Result<Option<[u8; 4]>, Broken> {
        if self.input.fill_buf().map_err(Broken::Io)?.is_empty() {
            return Ok(None);
        }
        let at = self.at;
        let bytes = self.bytes(4, at, "the file ends inside a header")?;
        Ok(bytes.try_into().ok())
    }

    /// The next `len` bytes, which belong to what starts at byte `at`. What is not there is not allocated.
    fn bytes(&mut self, len: u32, at: u64, what: &'static str) -> Result<Vec<u8>, Broken> {
        let mut bytes = Vec::new();
        let read = self.input.by_ref().take(len.into()).read_to_end(&mut bytes).map_err(Broken::Io)?;
        self.at += read as u64;
        if read < len as usize { Err(Broken::Damaged { at, what }) } else { Ok(bytes) }
    }

    fn u16(&self, bytes: &[u8], at: usize) -> u16 {
        let bytes = [bytes[at], bytes[at + 1]];
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u32(&self, bytes: &[u8], at: usize) -> u32 {
        let (first, second) = (self.u16(bytes, at).into(), self.u16(bytes, at + 2).into());
        let (high, low): (u32, u32) = if self.big_endian { (first, second) } else { (second, first) };
        high << 16 | low
    }

    fn u64(&self, bytes: &[u8], at: usize) -> u64 {
        let (first, second) = (self.u32(bytes, at).into(), self.u32(bytes, at + 4).into());
        let (high, low): (u64, u64) = if self.big_endian { (first, second) } else { (second, first) };
        high << 32 | low
    }
}

/// Units in a second, from `if_tsresol`: a negative power of 2 (top bit set) or of 10.
fn units(resolution: u8) -> u64 {
    let power = u32::from(resolution & 0x7f);
    let base: u64 = if resolution & 0x80 == 0 { 10 } else { 2 };
    base.checked_pow(power).unwrap_or(1_000_000)
}
