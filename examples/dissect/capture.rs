//! Reading captures frame by frame: pcap and pcapng, in either byte order.
//!
//! `pcap-parser` knows the formats and keeps the buffer. What it leaves to its callers is here: which
//! interface a packet belongs to, when it was seen, and what to say of a file that cannot be read on.

use std::io::{Cursor, Read};
use std::time::Duration;

use pcap_parser::nom::{self, Needed};
use pcap_parser::pcap::{PcapHeader, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified};
use pcap_parser::pcapng::{self, Block, EPB_MAGIC, IDB_MAGIC, InterfaceDescriptionBlock, SHB_MAGIC, SPB_MAGIC};
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{PcapBlockOwned, PcapError, create_reader};

/// Bytes that are read at once; a larger record makes the buffer grow.
const BUFFER: usize = 1 << 17;

/// More bytes than any capture tool puts into one record: a length above it is damage, not data.
const MAX_RECORD: usize = 64 << 20;

/// The obsolete packet block, the one with packets that `pcap-parser` does not know.
const OPB_MAGIC: u32 = 2;

/// One captured frame.
pub struct Record {
    /// Link type as <https://www.tcpdump.org/linktypes.html> numbers them.
    pub link: u32,
    /// Since 1970; 0 where the capture does not say.
    pub time: Duration,
    /// Bytes the frame had on the wire.
    pub orig_len: u32,
    /// The bytes that were captured.
    pub data: Vec<u8>,
}

/// A capture that is being read. A damaged one gives all frames before the damage, and then says what it is.
pub struct Capture {
    reader: Box<dyn PcapReaderIterator>,
    format: Format,
}

enum Format {
    Pcap(PcapHeader),
    PcapNg(Section),
}

/// What is wrong with the bytes, or how many are missing.
type Stop = nom::Err<&'static str>;

impl Capture {
    /// Reads the file header.
    pub fn open(mut input: impl Read + Send + 'static) -> Result<Self, String> {
        // The readers want the header in what they read first, and of a pipe that may be less.
        let mut head = Vec::new();
        let read = input.by_ref().take(BUFFER as u64).read_to_end(&mut head);
        read.map_err(|error| format!("cannot be read: {error}"))?;
        if head.is_empty() {
            return Err("not a capture: the file is empty".into());
        }
        let is_section = head.starts_with(&SHB_MAGIC.to_le_bytes());
        let reader = create_reader(BUFFER, Cursor::new(head).chain(input));
        let mut reader = reader.map_err(|error| match error {
            _ if is_section => "broken at byte 0: a section header that is cut off or cannot be",
            PcapError::Incomplete(_) => "broken at byte 0: the file header is cut off",
            _ => "not a capture: neither pcap nor pcapng by its first four bytes",
        })?;
        if is_section {
            return Ok(Self { reader, format: Format::PcapNg(Section::default()) });
        }
        match reader.next() {
            Ok((len, PcapBlockOwned::LegacyHeader(header))) if header.version_major == 2 => {
                reader.consume(len);
                Ok(Self { reader, format: Format::Pcap(header) })
            }
            _ => Err("not a capture that can be read: a pcap version other than 2".into()),
        }
    }

    /// The next frame; `Ok(None)` at the end of a sound file.
    pub fn next(&mut self) -> Result<Option<Record>, String> {
        loop {
            let data = self.reader.data();
            let have = data.len();
            let parsed = match &mut self.format {
                Format::Pcap(header) => record(header, data),
                Format::PcapNg(section) => section.block(data),
            };
            let missing = match parsed {
                Ok((len, record)) => {
                    self.reader.consume(len);
                    if record.is_some() {
                        return Ok(record);
                    }
                    continue;
                }
                Err(nom::Err::Incomplete(Needed::Size(missing))) => missing.get(),
                Err(nom::Err::Incomplete(Needed::Unknown)) => 1,
                Err(nom::Err::Error(what) | nom::Err::Failure(what)) => return Err(self.broken(what)),
            };
            if have + missing > MAX_RECORD {
                return Err(self.broken("what starts here claims more than 64 MiB"));
            }
            self.reader.grow(have + missing);
            self.reader.refill().map_err(|_| "cannot be read to its end")?;
            match self.reader.data().len() {
                0 => return Ok(None),
                now if now == have => return Err(self.broken("the file ends inside of what starts here")),
                _ => {}
            }
        }
    }

    fn broken(&self, what: &str) -> String {
        format!("broken at byte {}: {what}", self.reader.consumed())
    }
}

/// A pcap record, and how many bytes it has.
fn record(header: &PcapHeader, data: &[u8]) -> Result<(usize, Option<Record>), Stop> {
    let parse = match header {
        header if header.is_modified_format() => parse_pcap_frame_modified,
        header if header.is_bigendian() => parse_pcap_frame_be,
        _ => parse_pcap_frame,
    };
    let (rest, frame) = parse(data).map_err(|error| error.map(|_| "a record that cannot be"))?;
    let unit = if header.is_nanosecond_precision() { 1 } else { 1000 };
    let record = Record {
        // The upper bits tell of a frame check sequence, which is padding to us.
        link: (header.network.0 & 0x03ff_ffff).unsigned_abs(),
        time: Duration::from_secs(frame.ts_sec.into()) + Duration::from_nanos(u64::from(frame.ts_usec) * unit),
        orig_len: frame.origlen,
        data: frame.data.to_vec(),
    };
    Ok((data.len() - rest.len(), Some(record)))
}

/// What holds in a section of a pcapng file.
#[derive(Default)]
struct Section {
    big_endian: bool,
    interfaces: Vec<Interface>,
}

impl Section {
    /// A block, and how many bytes it has. It is read as a whole before `pcap-parser` looks into it, which
    /// waits for more bytes where a block is too short for what it says.
    fn block(&mut self, data: &[u8]) -> Result<(usize, Option<Record>), Stop> {
        if data.starts_with(&SHB_MAGIC.to_le_bytes()) {
            return self.header(data);
        }
        let parse = if self.big_endian { pcapng::parse_unknownblock_be } else { pcapng::parse_unknownblock_le };
        let (rest, block) = parse(data).map_err(|error| error.map(|_| IMPOSSIBLE_LENGTH))?;
        lengths(block.block_len1, block.block_len2)?;
        let len = data.len() - rest.len();
        let record = match if self.big_endian { block.block_type.swap_bytes() } else { block.block_type } {
            IDB_MAGIC | SPB_MAGIC | EPB_MAGIC => self.content(&data[..len])?,
            OPB_MAGIC => self.content(&modernized(&data[..len], self.big_endian))?,
            // Of no use here, and therefore not looked into.
            _ => None,
        };
        Ok((len, record))
    }

    /// A section header: from here on its byte order holds, and interfaces are new.
    fn header(&mut self, data: &[u8]) -> Result<(usize, Option<Record>), Stop> {
        let (rest, header) = pcapng::parse_sectionheaderblock(data).map_err(|error| {
            error.map(|error| match error {
                PcapError::HeaderNotRecognized => "a section header without byte-order magic",
                _ => IMPOSSIBLE_LENGTH,
            })
        })?;
        lengths(header.block_len1, header.block_len2)?;
        if header.major_version != 1 {
            return Err(nom::Err::Error("a section header of a version other than 1"));
        }
        *self = Self { big_endian: header.big_endian(), interfaces: Vec::new() };
        Ok((data.len() - rest.len(), None))
    }

    fn content(&mut self, block: &[u8]) -> Result<Option<Record>, Stop> {
        let parse = if self.big_endian { pcapng::parse_block_be } else { pcapng::parse_block_le };
        match parse(block) {
            Ok((_, Block::InterfaceDescription(block))) => {
                self.interfaces.push(Interface::new(&block, self.big_endian));
                Ok(None)
            }
            Ok((_, Block::EnhancedPacket(block))) => {
                let interface = self.interface(block.if_id)?;
                let time = interface.time(u64::from(block.ts_high) << 32 | u64::from(block.ts_low));
                let data = block.packet_data().to_vec();
                Ok(Some(Record { link: interface.link, time, orig_len: block.origlen, data }))
            }
            // Of the first interface, without a time, and its length is to be inferred.
            Ok((_, Block::SimplePacket(block))) => {
                let interface = self.interface(0)?;
                let data = block.data.get(..block.origlen.min(interface.snap_len) as usize).ok_or(TOO_SHORT)?.to_vec();
                Ok(Some(Record { link: interface.link, time: Duration::ZERO, orig_len: block.origlen, data }))
            }
            _ => Err(TOO_SHORT),
        }
    }

    fn interface(&self, id: u32) -> Result<&Interface, Stop> {
        self.interfaces.get(id as usize).ok_or(nom::Err::Error("a packet of an interface that is not described"))
    }
}

/// An obsolete packet block as the enhanced one that it would be today: the interface has 16 bits, and a
/// count of drops stands where the other 16 are now.
fn modernized(block: &[u8], big_endian: bool) -> Vec<u8> {
    let mut block = block.to_vec();
    if big_endian {
        block[..4].copy_from_slice(&EPB_MAGIC.to_be_bytes());
        block.copy_within(8..10, 10);
        block[8..10].fill(0);
    } else {
        block[..4].copy_from_slice(&EPB_MAGIC.to_le_bytes());
        block[10..12].fill(0);
    }
    block
}

const IMPOSSIBLE_LENGTH: &str = "a block length that cannot be";
const TOO_SHORT: Stop = nom::Err::Error("a block that is too short for what it says");

fn lengths(first: u32, last: u32) -> Result<(), Stop> {
    match first {
        _ if first != last => Err(nom::Err::Error("the block's two lengths differ")),
        _ if first % 4 != 0 => Err(nom::Err::Error(IMPOSSIBLE_LENGTH)),
        _ => Ok(()),
    }
}

struct Interface {
    link: u32,
    snap_len: u32,
    /// Timestamp units in a second.
    units: u64,
    offset_seconds: i64,
}

impl Interface {
    /// `pcap-parser` 0.17 gives no resolution that is a power of two, and reads an offset as little-endian
    /// in any section.
    fn new(block: &InterfaceDescriptionBlock<'_>, big_endian: bool) -> Self {
        let units = match block.if_tsresol {
            power @ 0x80.. => 1_u64.checked_shl((power & 0x7f).into()),
            _ => block.ts_resolution(),
        };
        Self {
            link: block.linktype.0.unsigned_abs(),
            // 0 says that there is no limit.
            snap_len: if block.snaplen == 0 { u32::MAX } else { block.snaplen },
            units: units.unwrap_or(1_000_000),
            offset_seconds: if big_endian { block.if_tsoffset.swap_bytes() } else { block.if_tsoffset },
        }
    }

    /// What `ticks` of this interface's clock are; 0 for a time before 1970.
    fn time(&self, ticks: u64) -> Duration {
        let seconds = (ticks / self.units).checked_add_signed(self.offset_seconds);
        let nanos = u128::from(ticks % self.units) * 1_000_000_000 / u128::from(self.units);
        seconds.map_or(Duration::ZERO, |seconds| Duration::new(seconds, nanos as u32))
    }
}
