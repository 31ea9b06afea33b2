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
mod session;

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use session::Outcome;

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
    match open(&args.record).and_then(|file| report(file, args.json)) {
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
fn report(record: Box<dyn BufRead>, json: bool) -> Result<bool, String> {
    let Outcome { summary, unmet, .. } = session::replay(record)?;
    for (here, recorded) in &unmet {
        eprintln!("the digest is {here:016x}, and was {recorded:016x}");
    }
    if json {
        println!("{}", summary.json());
    } else {
        print!("{summary}");
    }
    Ok(unmet.is_empty())
}
