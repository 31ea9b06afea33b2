//! A log of calls, made again. The build script does so on the host, the image on the device.

use vtep::engine::{Command, Cursor, Engine, Form, Ingress, Input, Verdict};
use vtep::table::{Instant, PortId, UnderlayId};
use vtep::wire::{Datagram, FrameKind};

/// One call.
pub enum Call {
    Command(Command),
    Tick,
    Port(PortId, &'static [u8]),
    Datagram(UnderlayId, Datagram, &'static [u8]),
}

/// Makes all calls, each with its time in milliseconds; the digest in the end.
pub fn replay(engine: &mut Engine<'_>, log: &[(u64, Call)]) -> u64 {
    for (at, call) in log {
        let now = Instant::from_millis(*at);
        match call {
            // What was refused then is refused now.
            Call::Command(command) => drop(engine.command(now, command)),
            Call::Tick => engine.tick(now),
            Call::Port(port, bytes) => {
                step(engine, now, Ingress::Port { port: *port, payload: FrameKind::Ethernet }, bytes);
            }
            Call::Datagram(underlay, datagram, bytes) => {
                step(engine, now, Ingress::Underlay { underlay: *underlay, form: Form::Datagram(*datagram) }, bytes);
            }
        }
        while engine.poll_event().is_some() {}
    }
    engine.digest()
}

fn step(engine: &mut Engine<'_>, now: Instant, ingress: Ingress, bytes: &[u8]) {
    if let Verdict::Flood(flood) = engine.step(now, &Input { ingress, bytes }) {
        let mut cursor = Cursor::new();
        while engine.next_copy(&flood, &mut cursor).is_some() {}
    }
}
