//! Any commands, packets and times in any order, in any memory: each packet counts once, whoever carries out a verdict
//! gets the same bytes, and the same log gives the same state.

use arbitrary::{Arbitrary, Unstructured};
use vtep::engine::{Command, Config, Cursor, Done, Engine, Flush, Input, Profile, Verdict};
use vtep::table::fdb::Owners;
use vtep::table::{BridgeConfig, BridgeId, Duration, Instant, PortConfig, PortId, UnderlayId};
use vtep::wire::{Datagram, Depth, Encapsulation, Payload, PerPacket, Template, TemplateConfig, TunnelFlags, Vni};

use super::reference::tables::{Sizes, Tables};

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
    Clock(u64),
    Tick,
    Events,
}

#[derive(Arbitrary, Debug)]
struct Log<'a> {
    profile: Profile,
    /// Of each kind of memory so much, modulo its most; nothing where there are none.
    sizes: Option<[u8; 18]>,
    /// Whether there is a network to begin with.
    network: bool,
    actions: Vec<Action<'a>>,
}

pub fn run(bytes: &[u8]) {
    let Ok(log) = Log::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    assert_eq!(play(&log), play(&log));
}

impl Log<'_> {
    fn sizes(&self) -> Sizes {
        let mut sizes = Sizes { macs: 4, endpoints: 6, endpoint_records: 6, events: 4, ..Sizes::AMPLE };
        if let Some(given) = self.sizes {
            sizes.each().into_iter().zip(given).for_each(|(size, given)| *size = usize::from(given % 9));
        }
        sizes
    }
}

/// The digest after the log, and the events that were lost.
fn play(log: &Log<'_>) -> (u64, u64) {
    let sizes = log.sizes();
    let mut tables = Tables::new(&sizes);
    let mut engine = Engine::new(tables.memory(), &Config::new(log.profile, [1, 2]));
    let mut now = Instant::ZERO;
    if log.network {
        network(&mut engine, log.profile);
    }
    let mut packets = 0;
    for action in &log.actions {
        let mut buffer = [0xa5; 2048];
        let input = match action {
            Action::Command(command) => {
                // One that does nothing but to bring the clocks along.
                let nothing = Flush { owners: Owners::empty(), ..Flush::dynamic() };
                assert_eq!(engine.command(now, &Command::Flush(nothing)), Ok(Done::Removed(0)));
                let before = engine.digest();
                if engine.command(now, command).is_err() {
                    assert_eq!(engine.digest(), before, "{command:?} was refused, and has changed something");
                }
                continue;
            }
            Action::Wait(seconds) => {
                now = now.saturating_add(Duration::from_secs(u64::from(*seconds)));
                continue;
            }
            Action::Clock(millis) => {
                now = Instant::from_millis(*millis);
                continue;
            }
            Action::Tick => {
                engine.tick(now);
                continue;
            }
            Action::Events => {
                let events = core::iter::from_fn(|| engine.poll_event()).count();
                assert!(events <= sizes.events);
                continue;
            }
            Action::Port(port, frame) => Input::from_port(PortId(u16::from(*port % 8)), frame),
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
        carry_out(&engine, &verdict, input.bytes, sizes.ports + sizes.members);
        assert!(engine.fdb().count() <= 4 * sizes.macs);
    }
    (engine.digest(), engine.lost_events())
}

/// Two bridges with a port each, so that commands at random are not the only way to one. What does not fit is left out.
fn network(engine: &mut Engine<'_>, profile: Profile) {
    let local = core::net::IpAddr::from([192, 0, 2, 1]);
    let mut told = |command| {
        let _ = engine.command(Instant::ZERO, &command);
    };
    told(Command::SetUnderlay { id: UnderlayId(0), config: profile.underlay(local) });
    for (id, encapsulation) in [(0, Encapsulation::Vxlan), (1, Encapsulation::Geneve)] {
        let config = BridgeConfig::new(encapsulation, Vni::truncating(id));
        told(Command::AddBridge { id: BridgeId(id as u16), config });
        told(Command::AddPort { id: PortId(id as u16), config: PortConfig::new(BridgeId(id as u16)) });
    }
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

fn carry_out(engine: &Engine<'_>, verdict: &Verdict, input: &[u8], most_copies: usize) {
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
    assert!(copies <= most_copies);
}
