//! The underlay's frames as a pcap file.

use core::time::Duration;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{Endianness, PcapError};

use crate::world::Micros;

/// Writes frames with the simulated time they were sent at. The byte order is fixed: one story, one file.
pub fn write(path: &Path, frames: &[(Micros, Vec<u8>)]) -> Result<(), PcapError> {
    let header = PcapHeader { endianness: Endianness::Little, ..PcapHeader::default() };
    let mut writer = PcapWriter::with_header(BufWriter::new(File::create(path).map_err(PcapError::IoError)?), header)?;
    for (at, frame) in frames {
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        writer.write_packet(&PcapPacket::new(Duration::from_micros(*at), len, frame))?;
    }
    writer.into_writer().flush().map_err(PcapError::IoError)
}
