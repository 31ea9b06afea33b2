//! Prints the tunnels in packet captures, one JSON object a frame.
//!
//!     cargo run --example dissect -- --port 8472=vxlan trace.pcap
//!
//! Nothing here knows a header: captures come in, `vtep::wire` takes them apart, JSON goes out.

#![allow(
    unreachable_pub,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    reason = "the library's rules are for code without std that must not panic"
)]

mod capture;
mod frame;
mod link;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{CommandFactory, FromArgMatches, Parser};
use pcap_file::pcap::{PcapHeader, PcapPacket, PcapWriter};
use pcap_file::{Endianness, PcapError, TsResolution};
use serde::Serialize;
use vtep::wire::outer::TunnelPorts;
use vtep::wire::{Encapsulation, Layer, Reason};

use capture::{Capture, Record};
use frame::{Dissector, Report};

/// Print the tunnels in packet captures, one JSON object a frame.
#[derive(Parser)]
#[command(name = "dissect")]
struct Arguments {
    /// UDP destination port of a tunnel; repeatable. 4789=vxlan, 4790=gpe and 6081=geneve are there already
    #[arg(long = "port", value_name = "N=vxlan|gpe|geneve", value_parser = port)]
    ports: Vec<(u16, Encapsulation)>,
    /// Judge IP and UDP checksums, and refuse a zero UDP checksum over IPv6
    #[arg(long)]
    verify: bool,
    /// Write the innermost Ethernet frame of every frame that has one to a capture
    #[arg(long, value_name = "OUT.pcap")]
    decap: Option<PathBuf>,
    /// Captures to read: pcap or pcapng; Ethernet, Linux cooked (1 and 2) or raw IP
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

fn main() -> ExitCode {
    let names = |names: Vec<&str>| names.join(", ");
    let help = format!(
        "Malformed frames carry an `error` with its layer, its reason and its offset from the frame's start, and end\n\
         with exit code 0. A capture that cannot be read to its end ends with exit code 2.\n\n\
         Layers: link, {}\n\nReasons: {}",
        names(Layer::ALL.iter().map(|layer| layer.name()).collect()),
        names(Reason::ALL.iter().map(|reason| reason.name()).collect()),
    );
    let matches = Arguments::command().after_help(help).get_matches();
    let result = Arguments::from_arg_matches(&matches).map_err(|error| error.exit()).and_then(run);
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        // Whoever read our output has seen enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("dissect: {error}");
            ExitCode::from(2)
        }
    }
}

/// Whether all files were read to their ends; an error where output cannot be written.
fn run(arguments: Arguments) -> io::Result<bool> {
    let mut ports = TunnelPorts::default();
    for (port, encap) in arguments.ports {
        ports = ports.with(port, encap).ok_or_else(|| {
            io::Error::other(format!("--port {port}: at most {} ports can be told apart", TunnelPorts::CAPACITY))
        })?;
    }
    let mut program = Program {
        dissector: Dissector::new(ports, arguments.verify),
        output: BufWriter::new(io::stdout().lock()),
        decap: arguments.decap.map(|path| Decap::create(&path, &arguments.files)).transpose()?,
        name_files: arguments.files.len() > 1,
    };
    let mut sound = true;
    for file in &arguments.files {
        sound &= program.file(file)?;
    }
    program.output.flush()?;
    if let Some(decap) = program.decap {
        decap.finish()?;
    }
    Ok(sound)
}

struct Program {
    dissector: Dissector,
    output: BufWriter<io::StdoutLock<'static>>,
    decap: Option<Decap>,
    name_files: bool,
}

/// What is printed of a frame, in this order.
#[derive(Serialize)]
struct Line<'a> {
    frame: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
    #[serde(flatten)]
    report: &'a Report,
}

impl Program {
    /// Prints the frames of one capture; `false` where it cannot be read to its end.
    fn file(&mut self, path: &Path) -> io::Result<bool> {
        let name = path.to_string_lossy();
        let opened = File::open(path).map_err(|error| format!("cannot be read: {error}"));
        let mut capture = match opened.and_then(Capture::open) {
            Ok(capture) => capture,
            Err(broken) => return self.broken(&name, &broken),
        };
        let mut sound = true;
        let mut number = 0;
        loop {
            let record = match capture.next() {
                Ok(Some(record)) => record,
                Ok(None) => return Ok(sound),
                Err(broken) => return self.broken(&name, &broken),
            };
            number += 1;
            if !link::is_known(record.link) && sound {
                sound = false;
                self.output.flush()?;
                eprintln!("dissect: {name}: frame {number} has link type {}, which is not looked into", record.link);
            }
            self.record(&name, number, &record)?;
        }
    }

    fn record(&mut self, name: &str, frame: u64, record: &Record) -> io::Result<()> {
        let report = self.dissector.dissect(record.link, &record.data, record.orig_len);
        let line = Line {
            frame,
            file: self.name_files.then_some(name),
            truncated: record.data.len() < record.orig_len as usize,
            report: &report,
        };
        serde_json::to_writer(&mut self.output, &line)?;
        self.output.write_all(b"\n")?;
        match &mut self.decap {
            Some(decap) => decap.write(record, &report),
            None => Ok(()),
        }
    }

    fn broken(&mut self, name: &str, broken: &str) -> io::Result<bool> {
        // What was readable comes first, also where both streams go to one terminal.
        self.output.flush()?;
        eprintln!("dissect: {name}: {broken}");
        Ok(false)
    }
}

/// The capture of innermost frames: Ethernet, nanoseconds.
struct Decap {
    output: PcapWriter<BufWriter<File>>,
    /// Tunnelled packets without an Ethernet header, for which this capture has no place.
    left_out: u64,
}

impl Decap {
    /// The longest frame that is written whole; readers take no more.
    const SNAP_LEN: u32 = 0x4_0000;

    fn create(path: &Path, inputs: &[PathBuf]) -> io::Result<Self> {
        let same =
            |input: &PathBuf| path.canonicalize().is_ok_and(|path| input.canonicalize().is_ok_and(|i| i == path));
        if inputs.iter().any(same) {
            return Err(io::Error::other(format!("--decap {}: this is one of the captures to read", path.display())));
        }
        let file = File::create(path).map_err(|error| io::Error::other(format!("{}: {error}", path.display())))?;
        let header = PcapHeader {
            snaplen: Self::SNAP_LEN,
            ts_resolution: TsResolution::NanoSecond,
            endianness: Endianness::Little,
            ..PcapHeader::default()
        };
        let output = PcapWriter::with_header(BufWriter::new(file), header).map_err(unwritten)?;
        Ok(Self { output, left_out: 0 })
    }

    fn write(&mut self, record: &Record, report: &Report) -> io::Result<()> {
        let Some(range) = &report.innermost else {
            self.left_out += u64::from(report.inner.is_some());
            return Ok(());
        };
        let end = range.end.min(record.data.len()).min(range.start + Self::SNAP_LEN as usize);
        // A pcap file ends in 2106.
        let time = record.time.min(Duration::from_secs(u32::MAX.into()));
        let packet = PcapPacket::new(time, range.len() as u32, &record.data[range.start..end]);
        self.output.write_packet(&packet).map(drop).map_err(unwritten)
    }

    fn finish(self) -> io::Result<()> {
        if self.left_out > 0 {
            eprintln!("dissect: {} tunnelled packets without Ethernet header were not written", self.left_out);
        }
        self.output.into_writer().flush()
    }
}

fn unwritten(error: PcapError) -> io::Error {
    match error {
        PcapError::IoError(error) => error,
        error => io::Error::other(error),
    }
}

/// `N=KIND`, as `--port` takes it.
fn port(argument: &str) -> Result<(u16, Encapsulation), String> {
    let (number, kind) = argument.split_once('=').ok_or("expected N=vxlan, N=gpe or N=geneve")?;
    let encap = match kind {
        "vxlan" => Encapsulation::Vxlan,
        "gpe" => Encapsulation::Gpe,
        "geneve" => Encapsulation::Geneve,
        _ => return Err(format!("`{kind}` is none of vxlan, gpe, geneve")),
    };
    match number.parse() {
        Ok(number) if number != 0 => Ok((number, encap)),
        _ => Err(format!("`{number}` is no port from 1 to 65535")),
    }
}
