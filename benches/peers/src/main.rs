//! vtep beside others: the same frames and keys, interleaved round by round in one process.
//!
//! `run` in this package's folder measures, and writes the page and its picture.

mod clock;
mod codec;
#[cfg(dpdk)]
mod dpdk;
mod matrix;
mod measure;
mod memory;
mod page;
mod picture;
mod results;
mod shows;
mod tables;
mod tail;

#[path = "../../cases/mod.rs"]
mod cases;

use std::error::Error;
use std::fs;

#[global_allocator]
static MEMORY: memory::HugePages = memory::HugePages;

const USAGE: &str = "usage: vtep-peers measure RESULTS.json [ROUNDS]
       vtep-peers time GROUP FILTER [ROUNDS]    cycles here of some cases, e.g. engine/10k decap/vxlan
       vtep-peers page RESULTS.json TUNED.json TEMPLATE.md PAGE.md PICTURE.svg";

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["measure", results] => measure(results, 31),
        ["measure", results, rounds] => measure(results, rounds.parse()?),
        ["time", group, filter] => time(group, filter, 15),
        ["time", group, filter, rounds] => time(group, filter, rounds.parse()?),
        ["page", results, tuned, template, page, picture] => {
            let results = serde_json::from_str(&fs::read_to_string(results)?)?;
            // None where the processor could not run what is compiled for others.
            let tuned = fs::read_to_string(tuned).ok().map(|tuned| serde_json::from_str(&tuned)).transpose()?;
            picture::draw(&results, picture)?;
            Ok(fs::write(page, page::render(&fs::read_to_string(template)?, &results, tuned.as_ref()))?)
        }
        _ => Err(USAGE.into()),
    }
}

fn measure(path: &str, rounds: usize) -> Result<(), Box<dyn Error>> {
    if rounds < 15 {
        eprintln!("{rounds} rounds are too few for a figure that is to be quoted");
    }
    #[cfg(dpdk)]
    dpdk::init()?;
    let results = results::measure(rounds);
    Ok(fs::write(path, serde_json::to_string(&results)?)?)
}

fn time(group: &str, filter: &str, rounds: usize) -> Result<(), Box<dyn Error>> {
    #[cfg(dpdk)]
    dpdk::init()?;
    results::time(group, filter, rounds);
    Ok(())
}

fn dpdk_version() -> Option<&'static str> {
    #[cfg(dpdk)]
    return Some(dpdk::VERSION);
    #[cfg(not(dpdk))]
    None
}
