//! Firmware that calls every public function of `vtep` on values nobody can know before it runs.
//!
//! It is there to be linked, not flashed: what the linker keeps is what an embedder gets. If any call can
//! panic for any argument, a symbol of `core::panicking` is in the binary, and `.ci/bare-metal` says so.
//!
//! Calls are written `Type::function(...)` or `module::function(...)`, never `value.function()`: the same
//! script reads them here, by that name, and reports public functions that are missing.
#![no_std]
#![no_main]

mod engine;
mod opaque;
mod table;
mod wire;

/// The vector table behind the stack pointer: only the reset handler.
#[used]
#[unsafe(link_section = ".vectors")]
static VECTORS: [extern "C" fn() -> !; 1] = [reset];

#[unsafe(no_mangle)]
extern "C" fn reset() -> ! {
    opaque::prepare_memory();
    loop {
        wire::every_call();
        table::every_call();
        engine::every_call();
        #[cfg(feature = "plant-panic")]
        planted();
    }
}

/// What the check must find: an index that may be out of bounds.
#[cfg(feature = "plant-panic")]
fn planted() {
    let bytes = opaque::bytes();
    opaque::sink(bytes[opaque::any::<usize>()]);
}

/// The compiler wants one. The check fails if the linker kept it.
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        opaque::sink(0xdead_u32);
    }
}
