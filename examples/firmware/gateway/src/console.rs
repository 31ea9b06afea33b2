//! The serial line: what has happened, and what there is to see.

use core::fmt::{self, Write};
use core::ptr::NonNull;

use arm_pl011_uart::{PL011Registers, Uart, UniqueMmioPointer};
use vtep::engine::{Event, Place};
use vtep::table::{Destination, Instant};

use crate::gateway::{BRIDGE, Gateway};

/// Where the virt machine has its first UART.
const UART: *mut PL011Registers = 0x0900_0000 as _;

/// The console.
pub struct Console {
    uart: Uart<'static>,
}

impl Console {
    /// The machine's console.
    ///
    /// # Safety
    ///
    /// Nobody else uses it at the same time.
    pub unsafe fn new() -> Option<Self> {
        // SAFETY: the UART is there and mapped, and it is only ours.
        Some(Self { uart: Uart::new(unsafe { UniqueMmioPointer::new(NonNull::new(UART)?) }) })
    }

    /// A key that was pressed.
    pub fn key(&mut self) -> Option<u8> {
        self.uart.read_word().ok().flatten()
    }

    /// Writes a line.
    pub fn line(&mut self, line: fmt::Arguments<'_>) {
        // A UART takes everything.
        let _ = self.uart.write_fmt(line);
        let _ = self.uart.write_str("\r\n");
    }

    /// Writes down an event.
    pub fn event(&mut self, event: &Event) {
        match event {
            Event::Learned { mac, place, .. } => self.line(format_args!("learned {mac} {}", Shown(place))),
            Event::Moved { mac, to, .. } => self.line(format_args!("moved {mac} {}", Shown(to))),
            Event::Aged { mac, place, .. } => self.line(format_args!("aged {mac} {}", Shown(place))),
            Event::Evicted { mac, .. } => self.line(format_args!("evicted {mac}")),
            Event::TableFull { mac, .. } => self.line(format_args!("no room for {mac}")),
            _ => {}
        }
    }

    /// Writes down everything there is to see.
    pub fn report(&mut self, now: Instant, gateway: &Gateway) {
        let engine = &gateway.engine;
        self.line(format_args!("--- {}.{:03} s", now.as_millis() / 1000, now.as_millis() % 1000));
        for (_, mac, entry) in engine.fdb() {
            match entry.destination() {
                Destination::Endpoint(id) => {
                    let address = engine.endpoints().get(id).map(|endpoint| endpoint.address().address);
                    let next_hop = engine.endpoints().get(id).and_then(|endpoint| endpoint.config().next_hop);
                    if let (Some(address), Some(next_hop)) = (address, next_hop) {
                        self.line(format_args!("fdb {mac} dst {address} via {next_hop}"));
                    }
                }
                _ => self.line(format_args!("fdb {mac} tenant")),
            }
        }
        for (name, count) in engine.counters().iter().filter(|(_, count)| *count > 0) {
            self.line(format_args!("counter {name} {count}"));
        }
        if let Some(bridge) = engine.bridge_counters(BRIDGE) {
            self.line(format_args!(
                "bytes from tenant {}, from tunnels {}",
                bridge.bytes_from_ports(),
                bridge.bytes_from_tunnels()
            ));
        }
        self.line(format_args!(
            "ring full: tenant {}, underlay {}; no free frame {}",
            gateway.tenant.overrun, gateway.underlay.overrun, gateway.pool.exhausted
        ));
        let (used, of) = crate::stack_used();
        self.line(format_args!("stack {used} of {of} bytes used"));
        self.line(format_args!("digest {:016x}", engine.digest()));
    }
}

struct Shown<'p>(&'p Place);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Place::Remote(remote) => write!(f, "dst {}", remote.address),
            _ => f.write_str("tenant"),
        }
    }
}
