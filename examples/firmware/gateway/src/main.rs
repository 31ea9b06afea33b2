//! A VTEP as firmware: no operating system, no heap, two network cards.
//!
//! For QEMU's `virt` machine: the first virtio card (by address) is the tenant's, the second is the underlay's. The kernel
//! command line says the rest; `config.rs` lists its words. Events go to the serial line; `d` on it shows tables and
//! counters, `q` turns the machine off.
#![no_std]
#![no_main]

mod buffer;
mod config;
mod console;
mod gateway;
mod host;
mod idle;
mod neighbour;
mod nic;

use aarch64_cpu::registers::{CNTFRQ_EL0, CNTVCT_EL0, ELR_EL1, ESR_EL1, FAR_EL1, Readable};
use aarch64_paging::descriptor::El1Attributes as Attributes;
use aarch64_rt::{ExceptionHandlers, InitialPagetable, RegisterStateRef, entry, exception_handlers, initial_pagetable};
use dtoolkit::fdt::Fdt;
use dtoolkit::{Node, Property};
use smccc::{Hvc, psci};
use static_cell::ConstStaticCell;
use vtep::table::Instant;

use buffer::Pool;
use config::{BadWord, Config};
use console::Console;
use gateway::{Gateway, Tables};
use idle::Idle;
use nic::Nic;

/// Where QEMU puts the device tree: at the start of RAM.
const DEVICE_TREE: *const u8 = 0x4000_0000 as _;

/// The tables, in `.bss`: all-zero memory is an empty engine's.
static TABLES: ConstStaticCell<Tables> = ConstStaticCell::new(Tables::new());

const DEVICE: Attributes =
    Attributes::VALID.union(Attributes::ATTRIBUTE_INDEX_0).union(Attributes::ACCESSED).union(Attributes::UXN);
const RAM: Attributes = Attributes::VALID
    .union(Attributes::ATTRIBUTE_INDEX_1)
    .union(Attributes::INNER_SHAREABLE)
    .union(Attributes::ACCESSED)
    .union(Attributes::NON_GLOBAL);

// Addresses are what they are: 1 GiB of devices, 1 GiB of RAM.
initial_pagetable!({
    let mut map = [0; 512];
    map[0] = DEVICE.bits();
    map[1] = RAM.bits() | 0x4000_0000;
    InitialPagetable(map)
});
exception_handlers!(Exceptions);
// `stack_used` tells how much of it is needed.
entry!(main, STACK_PAGES);
const STACK_PAGES: usize = 16;

fn main(tree: u64, _: u64, _: u64, _: u64) -> ! {
    // SAFETY: the first user, and the only one unless it panics.
    if let Some(mut console) = unsafe { Console::new() } {
        // A boot loader hands the tree over in x0; QEMU leaves x0 alone for an ELF image.
        let tree = if tree == 0 { DEVICE_TREE } else { tree as _ };
        if let Err(why) = run(tree, &mut console) {
            console.line(format_args!("vtep-gateway: {why}"));
        }
    }
    power_off()
}

/// Forwards until somebody presses `q`, or says why it cannot.
fn run(tree: *const u8, console: &mut Console) -> Result<(), &'static str> {
    // SAFETY: whoever started us has put one there.
    let tree = unsafe { Fdt::from_raw(tree) }.map_err(|_| "no device tree")?;
    let chosen = tree.chosen().ok_or("no /chosen in the device tree")?;
    let line = chosen.bootargs().ok().flatten().unwrap_or("");
    let config = Config::parse(line).map_err(|BadWord(word)| {
        console.line(format_args!("vtep-gateway: {line}: {word}"));
        "the command line has a bad value, or no local=ADDRESS/PREFIX"
    })?;
    let seed = chosen.property("rng-seed").and_then(|seed| seed_of(seed.value())).ok_or("no rng-seed in /chosen")?;
    let mut pool = Pool::new();
    let mut cards = nic::cards(&tree);
    let mut card = |missing| {
        let (transport, interrupt) = cards.next().ok_or(missing)?;
        Ok((Nic::start(transport, &mut pool)?, interrupt))
    };
    let (tenant, tenant_interrupt) = card("no network card")?;
    let (underlay, underlay_interrupt) = card("no second network card")?;
    // SAFETY: the first user, and the only one.
    let mut idle = unsafe { Idle::new(&[tenant_interrupt, underlay_interrupt]) };
    let tables = TABLES.try_take().ok_or("started twice")?;
    console.line(format_args!("vtep-gateway: {line}"));
    console.line(format_args!("tenant {}, underlay {} {}", tenant.mac(), underlay.mac(), config.local));
    let mut gateway = Gateway::new(now(), tables, config, seed, (tenant, underlay), pool)
        .map_err(|_| "the engine refuses the configuration")?;
    loop {
        let busy = gateway.turn(now());
        while let Some(event) = gateway.event() {
            console.event(&event);
        }
        match console.key() {
            Some(b'd') => console.report(now(), &gateway),
            Some(b'q') => {
                console.report(now(), &gateway);
                return Ok(());
            }
            _ => {}
        }
        if !busy {
            idle.sleep();
            gateway.acknowledge();
        }
    }
}

/// The time since power-on, by the generic timer.
fn now() -> Instant {
    let ticks = u128::from(CNTVCT_EL0.get());
    let millis = ticks * 1000 / u128::from(CNTFRQ_EL0.get().max(1));
    Instant::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
}

/// The key of the engine's hashes, from the random bytes that the machine hands over.
fn seed_of(bytes: &[u8]) -> Option<[u64; 2]> {
    let (a, rest) = bytes.split_first_chunk()?;
    Some([u64::from_le_bytes(*a), u64::from_le_bytes(*rest.first_chunk()?)])
}

/// Bytes of the stack that were ever used, and how many there are. Memory nobody has written to is zero.
pub fn stack_used() -> (usize, usize) {
    unsafe extern "C" {
        static boot_stack_begin: [u64; STACK_PAGES * 512];
    }
    // SAFETY: the linker puts the stack there. Below the stack pointer nobody writes meanwhile, and the walk ends there.
    let words = unsafe { &boot_stack_begin };
    let untouched = words.iter().take_while(|word| **word == 0).count();
    ((words.len() - untouched) * 8, words.len() * 8)
}

fn power_off() -> ! {
    let _ = psci::system_off::<Hvc>();
    loop {
        aarch64_cpu::asm::wfe();
    }
}

struct Exceptions;

impl ExceptionHandlers for Exceptions {
    extern "C" fn sync_current(_: RegisterStateRef<'_>) {
        let (what, at, address) = (ESR_EL1.get(), ELR_EL1.get(), FAR_EL1.get());
        panic!("exception: ESR {what:#x} at {at:#x}, address {address:#x}");
    }
}

#[panic_handler]
fn panic(panic: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: whoever else used it has panicked.
    if let Some(mut console) = unsafe { Console::new() } {
        console.line(format_args!("{panic}"));
    }
    power_off()
}
