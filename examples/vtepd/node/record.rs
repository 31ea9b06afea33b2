//! The record: one line for each call that changes an engine, as text.
//!
//! ```text
//! vtep-record 1
//! sizes buckets=16384 bridges=1 ports=1 endpoints=4096 groups=257 members=8192 events=4096
//! config switches=0 seed=1,2 source-ports=49152,65535 when-full=evict sweep=64
//! 0 add-port id=0 bridge=0 vlan=- learning=1 max=-
//! 1203 port 0 ffffffffffff020000000001…
//! 1204 udp 0 10.0.0.2 10.0.0.1 51234 4789 0 64 1 0800000000138800…
//! 3000 tick
//! 5120 end 0123456789abcdef
//! ```
//!
//! A line starts with the time in milliseconds. `udp` is followed by underlay, source and destination address, source and
//! destination port, TOS, TTL and the checksum's state; `end` by the state's digest. A record that was cut off anywhere
//! replays up to there.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Cursor, Read, Write};
use std::path::{Path, PathBuf};

use vtep::engine::{Command, Config, Form, Ingress, Input};
use vtep::table::{Instant, PortId, UnderlayId};
use vtep::wire::{Datagram, FrameKind, UdpChecksum};

use super::tables::Sizes;
use super::text::{self, Fields};

/// The first line of every record.
const MAGIC: &str = "vtep-record 1";
/// Bytes kept in memory where there is no file.
const KEPT: usize = 16 << 20;

/// What is needed to make an engine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Header {
    pub sizes: Sizes,
    pub config: Config,
}

/// One call, read back.
#[derive(Clone, Debug, PartialEq)]
pub enum Line {
    Command(Command),
    Packet(Ingress, Vec<u8>),
    Tick,
    /// The digest of the state so far.
    End(u64),
}

/// Where a record goes.
pub struct Journal {
    sink: Sink,
    line: Vec<u8>,
}

enum Sink {
    /// The beginning is kept.
    Memory {
        bytes: Vec<u8>,
        full: bool,
    },
    File {
        path: PathBuf,
        file: BufWriter<File>,
        broken: Option<String>,
    },
}

impl Journal {
    /// Keeps the first 16 MiB in memory.
    pub fn in_memory() -> Self {
        Self { sink: Sink::Memory { bytes: Vec::new(), full: false }, line: Vec::new() }
    }

    /// Writes everything to a file. A new one is for this user only: it holds what the pods said, and the seed.
    pub fn to_file(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = BufWriter::with_capacity(1 << 20, options.open(path)?);
        Ok(Self { sink: Sink::File { path: path.to_owned(), file, broken: None }, line: Vec::new() })
    }

    /// Keeps nothing.
    pub fn nowhere() -> Self {
        Self { sink: Sink::Memory { bytes: Vec::new(), full: true }, line: Vec::new() }
    }

    /// Why the record ends before now, if it does.
    pub fn incomplete(&self) -> Option<String> {
        match &self.sink {
            Sink::Memory { full: false, .. } => None,
            Sink::Memory { .. } => Some("only the first 16 MiB are kept in memory; --record FILE keeps all".to_owned()),
            Sink::File { broken, .. } => broken.clone(),
        }
    }

    /// What has been written so far, followed by an `end` line if nothing is missing.
    pub fn copy(&mut self, now: Instant, digest: u64) -> io::Result<Box<dyn Read>> {
        let end = if self.incomplete().is_none() { end_line(now, digest) } else { Vec::new() };
        Ok(match &mut self.sink {
            Sink::Memory { bytes, .. } => Box::new(Cursor::new(bytes.clone()).chain(Cursor::new(end))),
            Sink::File { path, file, .. } => {
                file.flush()?;
                let so_far = file.get_ref().metadata()?.len();
                Box::new(File::open(path)?.take(so_far).chain(Cursor::new(end)))
            }
        })
    }

    /// Writes the last line, and what is still in memory to the file.
    pub fn finish(&mut self, now: Instant, digest: u64) -> io::Result<()> {
        self.line.extend_from_slice(&end_line(now, digest));
        self.put();
        match &mut self.sink {
            Sink::File { file, broken: None, .. } => file.flush(),
            _ => Ok(()),
        }
    }

    pub(super) fn header(&mut self, header: &Header) {
        self.line.extend_from_slice(header_text(header).as_bytes());
        self.put();
    }

    pub(super) fn command(&mut self, now: Instant, command: &Command) {
        match text::command(command) {
            Some(text) => self.write(format_args!("{} {text}\n", now.as_millis())),
            None => self.give_up("a command that records have no words for"),
        }
    }

    pub(super) fn tick(&mut self, now: Instant) {
        self.write(format_args!("{} tick\n", now.as_millis()));
    }

    #[inline]
    pub(super) fn packet(&mut self, now: Instant, input: &Input<'_>) {
        if !matches!(self.sink, Sink::Memory { full: true, .. }) {
            self.put_packet(now, input);
        }
    }

    fn put_packet(&mut self, now: Instant, input: &Input<'_>) {
        let at = now.as_millis();
        let written = match &input.ingress {
            Ingress::Port { port, payload: FrameKind::Ethernet } => write!(self.line, "{at} port {} ", port.0),
            Ingress::Underlay { underlay, form: Form::Datagram(d) } => write!(
                self.line,
                "{at} udp {} {} {} {} {} {} {} {} ",
                underlay.0, d.src, d.dst, d.src_port, d.dst_port, d.tos, d.ttl, d.checksum as u8
            ),
            _ => return self.give_up("a packet that records have no words for"),
        };
        // Writing to a vector does not fail.
        debug_assert!(written.is_ok());
        text::put_hex(&mut self.line, input.bytes);
        self.line.push(b'\n');
        self.put();
    }

    fn write(&mut self, line: std::fmt::Arguments<'_>) {
        let written = self.line.write_fmt(line);
        debug_assert!(written.is_ok());
        self.put();
    }

    /// Hands the line over, and empties it.
    fn put(&mut self) {
        match &mut self.sink {
            Sink::Memory { bytes, full } => {
                *full |= bytes.len() + self.line.len() > KEPT;
                if !*full {
                    bytes.extend_from_slice(&self.line);
                }
            }
            Sink::File { path, file, broken } => {
                if broken.is_none()
                    && let Err(error) = file.write_all(&self.line)
                {
                    *broken = Some(format!("{} could not be written: {error}", path.display()));
                }
            }
        }
        self.line.clear();
    }

    fn give_up(&mut self, why: &str) {
        self.line.clear();
        match &mut self.sink {
            Sink::Memory { full, .. } => *full = true,
            Sink::File { broken, .. } => *broken = Some(format!("the record ends at {why}")),
        }
    }
}

fn header_text(header: &Header) -> String {
    format!("{MAGIC}\n{}\n{}\n", text::sizes(&header.sizes), text::config(&header.config))
}

fn end_line(now: Instant, digest: u64) -> Vec<u8> {
    format!("{} end {digest:016x}\n", now.as_millis()).into_bytes()
}

/// Lines in front of the first call.
pub const HEADER_LINES: usize = 3;

/// Reads the first lines of a record.
pub fn read_header(lines: &[String; HEADER_LINES]) -> Result<Header, String> {
    let [magic, sizes, config] = lines;
    if magic != MAGIC {
        return Err(format!("not a record: its first line is not \"{MAGIC}\""));
    }
    let fields = |line: &'_ String, name| match line.split_once(' ') {
        Some((word, rest)) if word == name => Ok(rest.to_owned()),
        _ => Err(format!("no line \"{name}\"")),
    };
    Ok(Header {
        sizes: text::read_sizes(&Fields::new(&fields(sizes, "sizes")?))?,
        config: text::read_config(&Fields::new(&fields(config, "config")?))?,
    })
}

/// Reads any further line of a record.
pub fn read_line(line: &str) -> Result<(Instant, Line), String> {
    let (at, rest) = line.split_once(' ').ok_or("no time")?;
    let at = Instant::from_millis(at.parse().map_err(|_| "no time")?);
    let (word, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let line = match word {
        "tick" => Line::Tick,
        "end" => Line::End(u64::from_str_radix(rest, 16).map_err(|_| "no digest")?),
        "port" => {
            let (port, hex) = rest.split_once(' ').ok_or("no port")?;
            let port = PortId(port.parse().map_err(|_| "no port")?);
            Line::Packet(Ingress::Port { port, payload: FrameKind::Ethernet }, text::read_hex(hex)?)
        }
        "udp" => read_datagram(rest)?,
        _ => Line::Command(text::read_command(word, &Fields::new(rest))?),
    };
    Ok((at, line))
}

fn read_datagram(text: &str) -> Result<Line, String> {
    let mut words = text.split(' ');
    let mut next = || words.next().ok_or("a datagram's line is too short");
    fn number<T: std::str::FromStr>(word: &str) -> Result<T, String> {
        word.parse().map_err(|_| format!("\"{word}\" in a datagram's line"))
    }
    let underlay = UnderlayId(number(next()?)?);
    let datagram = Datagram {
        src: number(next()?)?,
        dst: number(next()?)?,
        src_port: number(next()?)?,
        dst_port: number(next()?)?,
        tos: number(next()?)?,
        ttl: number(next()?)?,
        checksum: match next()? {
            "0" => UdpChecksum::Zero,
            "1" => UdpChecksum::Good,
            "2" => UdpChecksum::Unverified,
            other => return Err(format!("\"{other}\" is no checksum state")),
        },
    };
    let bytes = text::read_hex(next().unwrap_or(""))?;
    Ok(Line::Packet(Ingress::Underlay { underlay, form: Form::Datagram(datagram) }, bytes))
}
