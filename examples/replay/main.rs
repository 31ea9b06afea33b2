//! Runs a record of `vtepd` through a fresh engine, and ends with the digest and the counters it had there.
//!
//!     vtepd … --record trace.txt
//!     cargo run --release --example replay trace.txt
//!
//! Exit code 0: every digest in the record was met; 1: one was not; 2: the record could not be read.

#![allow(
    unreachable_pub,
    missing_docs,
    dead_code,
    unused_imports,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    reason = "the library's rules are for code without std that must not panic; the daemon uses more of this module"
)]

#[path = "../vtepd/node/mod.rs"]
mod node;

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;
use vtep::engine::{Cursor, Input, Verdict};

use node::{HEADER_LINES, Journal, Line, Node, Tables, read_header, read_line};

/// Run a record of vtepd through a fresh engine.
#[derive(Parser)]
#[command(name = "replay")]
struct Arguments {
    /// What `vtepd --record` or `vtepd ctl log` wrote; `-` for standard input
    #[arg(value_name = "FILE")]
    record: PathBuf,
    /// Print the digest and the counters as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let args = Arguments::parse();
    match open(&args.record).and_then(|file| replay(file, args.json)) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("{}: {error}", args.record.display());
            ExitCode::from(2)
        }
    }
}

fn open(path: &Path) -> Result<Box<dyn BufRead>, String> {
    Ok(match path.to_str() {
        Some("-") => Box::new(io::stdin().lock()),
        _ => Box::new(BufReader::new(File::open(path).map_err(|error| error.to_string())?)),
    })
}

/// Whether every digest in the record was met.
fn replay(mut file: Box<dyn BufRead>, json: bool) -> Result<bool, String> {
    let mut header = [const { String::new() }; HEADER_LINES];
    for line in &mut header {
        *line = next_line(&mut file)?.ok_or("the record ends in its header")?;
    }
    let header = read_header(&header)?;
    let mut tables = Tables::new(header.sizes);
    let mut node = Node::new(&mut tables, &header.config, Journal::nowhere());
    let mut met = true;
    let mut number = HEADER_LINES;
    while let Some(line) = next_line(&mut file)? {
        number += 1;
        met &= follow(&mut node, &line).map_err(|error| format!("line {number}: {error}"))?;
    }
    let summary = node.summary();
    let mut out = io::stdout();
    let written = if json { writeln!(out, "{}", summary.json()) } else { write!(out, "{summary}") };
    written.map(|()| met).map_err(|error| error.to_string())
}

/// Carries out one line; `false` where it has a digest that is not the one here.
fn follow(node: &mut Node<'_>, line: &str) -> Result<bool, String> {
    let (now, line) = read_line(line)?;
    match line {
        // A command that was refused then is refused now.
        Line::Command(command) => drop(node.command(now, &command)),
        Line::Tick => node.tick(now),
        Line::Packet(ingress, bytes) => {
            let verdict = node.step(now, &Input { ingress, bytes: &bytes });
            count_copies(node, &verdict);
        }
        Line::End(digest) => {
            let here = node.engine().digest();
            if here != digest {
                eprintln!("the digest is {here:016x}, and was {digest:016x}");
                return Ok(false);
            }
        }
    }
    while node.poll_event().is_some() {}
    Ok(true)
}

/// A line without its end, or `None` where there is none or it was cut off while it was written.
fn next_line(file: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut line = String::new();
    file.read_line(&mut line).map_err(|error| error.to_string())?;
    Ok(line.strip_suffix('\n').map(str::to_owned))
}

/// The daemon took every copy of a flood, and copies are counted.
fn count_copies(node: &Node<'_>, verdict: &Verdict) {
    if let Verdict::Flood(flood) = verdict {
        let mut cursor = Cursor::new();
        while node.engine().next_copy(flood, &mut cursor).is_some() {}
    }
}
