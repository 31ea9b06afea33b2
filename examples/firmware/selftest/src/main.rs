//! The engine on a Cortex-M4 with 64 KiB of RAM and 128 KiB of flash.
//!
//! It plays known frames and compares verdicts and bytes, replays a recorded session, compares both digests with those of
//! the host that built it, measures how much stack the engine's calls take, and says all that through `defmt`. QEMU ends
//! with status 0 if everything held.
#![no_std]
#![no_main]

mod log;
mod replay;
mod scenario;
mod stack;

use cortex_m_rt::entry;
use cortex_m_semihosting::debug;
use defmt_semihosting as _;
use static_cell::ConstStaticCell;
use vtep::engine::{Budget, Config, Engine, Profile};

use scenario::Tables;

/// The tables, in `.bss`: all-zero memory is an empty engine's.
static TABLES: ConstStaticCell<Tables> = ConstStaticCell::new(Tables::new());

#[entry]
fn main() -> ! {
    let status = match run() {
        Ok(()) => debug::EXIT_SUCCESS,
        Err(why) => {
            defmt::error!("failed: {=str}", why);
            debug::EXIT_FAILURE
        }
    };
    loop {
        debug::exit(status);
    }
}

fn run() -> Result<(), &'static str> {
    let tables = TABLES.try_take().ok_or("started twice")?;
    let mut engine = Engine::new(tables.memory(), &Config::new(Profile::Rfc, scenario::SEED));
    let digest = scenario::play(&mut engine)?;
    defmt::println!("scenario: digest {=u64:016x}, host {=u64:016x}", digest, log::PLAYED);
    same(digest, log::PLAYED)?;

    let mut engine = Engine::new(tables.memory(), &log::CONFIG);
    let digest = replay::replay(&mut engine, log::LOG);
    defmt::println!(
        "replay: {=usize} calls, digest {=u64:016x}, host {=u64:016x}",
        log::LOG.len(),
        digest,
        log::REPLAYED
    );
    same(digest, log::REPLAYED)?;

    stack::measure(tables)?;
    defmt::println!(
        "memory: tables {=usize}, static {=usize} of 65536 bytes of RAM",
        size_of::<Tables>(),
        stack::statics()
    );
    for (what, bytes) in [
        ("an engine", Budget::ENGINE),
        ("a bucket of four MACs", Budget::BUCKET),
        ("a bridge", Budget::BRIDGE),
        ("a port", Budget::PORT),
        ("an endpoint", Budget::ENDPOINT),
        ("a place on a flood list", Budget::MEMBER),
        ("a waiting event", Budget::EVENT),
    ] {
        defmt::println!("memory of {=str}: {=usize} bytes", what, bytes);
    }
    defmt::println!("passed");
    Ok(())
}

fn same(here: u64, host: u64) -> Result<(), &'static str> {
    if here == host { Ok(()) } else { Err("the digest is not the host's") }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    defmt::error!("panic");
    loop {
        debug::exit(debug::EXIT_FAILURE);
    }
}
