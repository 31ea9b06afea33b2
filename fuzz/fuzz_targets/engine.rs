//! Any commands, packets and times in any order: each packet counts once, and the same log gives the same state.
#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use vtep::engine::{Command, Config, Cursor, Engine, Input, Profile, Storage, Verdict};
use vtep::table::{Duration, Instant, PortId, UnderlayId};
use vtep::wire::{Datagram, Depth, Payload, PerPacket, Template, TemplateConfig, TunnelFlags};

const PORTS: usize = 3;
const MEMBERS: usize = 6;

#[derive(Arbitrary, Debug)]
enum Action<'a> {
    Command(Command),
    Port(u8, &'a [u8]),
    Frame(&'a [u8]),
    Packet(&'a [u8]),
    Datagram(Datagram, &'a [u8]),
    /// A packet with sound outer headers.
    Tunnel(TemplateConfig, PerPacket<'a>, &'a [u8]),
    Wait(u16),
    Tick,
}

fuzz_target!(|input: (Profile, Vec<Action<'_>>)| {
    let (profile, log) = input;
    assert_eq!(play(profile, &log), play(profile, &log));
});

/// The digest after the log.
fn play(profile: Profile, log: &[Action<'_>]) -> u64 {
    let mut storage = Box::new(Storage::<2, 2, PORTS, 3, MEMBERS, 2>::new());
    let mut engine = Engine::new(storage.memory(), &Config::new(profile, [1, 2]));
    let mut now = Instant::ZERO;
    let mut packets = 0;
    for action in log {
        let mut buffer = [0xa5; 2048];
        let input = match action {
            Action::Command(command) => {
                let _ = engine.command(now, command);
                continue;
            }
            Action::Wait(seconds) => {
                now = now.saturating_add(Duration::from_secs(u64::from(*seconds)));
                continue;
            }
            Action::Tick => {
                engine.tick(now);
                while engine.poll_event().is_some() {}
                continue;
            }
            Action::Port(port, frame) => Input::from_port(PortId(u16::from(*port)), frame),
            Action::Frame(frame) => Input::from_underlay(UnderlayId(0), frame),
            Action::Packet(packet) => Input::from_underlay_ip(UnderlayId(0), packet),
            Action::Datagram(datagram, payload) => Input::from_socket(UnderlayId(0), *datagram, payload),
            Action::Tunnel(config, packet, inner) => match encapsulate(config, packet, inner, &mut buffer) {
                Some(packet) => Input::from_underlay_ip(UnderlayId(0), packet),
                None => continue,
            },
        };
        let verdict = engine.step(now, &input);
        packets += 1;
        assert_eq!(engine.counters().packets(), packets);
        carry_out(&engine, &verdict, input.bytes);
    }
    engine.digest()
}

fn encapsulate<'b>(
    config: &TemplateConfig,
    packet: &PerPacket<'_>,
    inner: &[u8],
    buffer: &'b mut [u8; 2048],
) -> Option<&'b [u8]> {
    let template = Template::new(config).ok()?;
    let (headroom, rest) = buffer.split_at_mut(1024);
    let body = rest.get_mut(..inner.len())?;
    body.copy_from_slice(inner);
    let packet = PerPacket { flags: packet.flags | TunnelFlags::I, ..*packet };
    let written = template.write(Depth::Ip, &packet, headroom, Payload::whole(inner)).ok()?;
    Some(&buffer[1024 - written..1024 + inner.len()])
}

fn carry_out(engine: &Engine<'_>, verdict: &Verdict, input: &[u8]) {
    let mut copies = 0;
    let send = |verdict: &Verdict| {
        let mut out = [0xa5; 4096];
        for depth in [Depth::Ethernet, Depth::Ip, Depth::Tunnel] {
            let written = engine.rewrite_into(verdict, depth, input, &mut out);
            let mut head = [0xa5; 1024];
            let gathered = engine.rewrite_head(verdict, depth, input, &mut head);
            assert_eq!(written.is_ok(), gathered.is_ok(), "{written:?} {gathered:?}");
            if let (Ok(written), Ok(gathered)) = (written, gathered) {
                assert_eq!(out[written.bytes], [&head[..gathered.head], &input[gathered.rest]].concat());
            }
        }
    };
    match verdict {
        Verdict::Deliver(_) | Verdict::Encapsulate(_) => send(verdict),
        Verdict::Flood(flood) => {
            let mut cursor = Cursor::new();
            while let Some(copy) = engine.next_copy(flood, &mut cursor) {
                send(&copy.expect("no command came between"));
                copies += 1;
            }
        }
        _ => {}
    }
    assert!(copies <= PORTS + MEMBERS);
}
