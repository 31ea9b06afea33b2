//! Known frames in, known verdicts and bytes out. The build script plays it on the host, the image on the device.

use core::net::{IpAddr, Ipv4Addr};

use vtep::engine::{Command, Cursor, Engine, Input, Remote, Storage, Verdict};
use vtep::table::{Ageing, BridgeConfig, BridgeId, Duration, Instant, PortConfig, PortId, UnderlayConfig, UnderlayId};
use vtep::wire::{Depth, Encapsulation, MacAddr, Vni};

/// The device's tables: 256 MACs, two bridges, two ports, 16 endpoints.
pub type Tables = Storage<64, 2, 2, 16, 16, 16>;

/// The key of the hashes. A device takes it from its random source; a test that compares digests may not.
pub const SEED: [u64; 2] = [0x0123_4567_89ab_cdef, 0xfedc_ba98_7654_3210];

const VXLAN: BridgeId = BridgeId(0);
const GENEVE: BridgeId = BridgeId(1);
const POD: PortId = PortId(0);
const OTHER_POD: PortId = PortId(1);
const UNDERLAY: UnderlayId = UnderlayId(0);
const HERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const POD_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xaa]);
const REMOTE_MAC: MacAddr = MacAddr([0x02, 0, 0, 0, 0, 0xbb]);

/// A broadcast from the pod: Ethernet, and four bytes.
const BROADCAST: [u8; 18] =
    [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 0xaa, 0x88, 0xb5, b'v', b't', b'e', b'p'];
/// The same from the pod to the station behind the tunnel, and back.
const TO_REMOTE: [u8; 18] = [0x02, 0, 0, 0, 0, 0xbb, 0x02, 0, 0, 0, 0, 0xaa, 0x88, 0xb5, b'v', b't', b'e', b'p'];
const TO_POD: [u8; 18] = [0x02, 0, 0, 0, 0, 0xaa, 0x02, 0, 0, 0, 0, 0xbb, 0x88, 0xb5, b'v', b't', b'e', b'p'];
/// From the far end, VXLAN: IPv4 without checksum offence, UDP without checksum, VNI 5000.
pub const VXLAN_IN: [u8; 54] = outer(54, 4789, [0x08, 0, 0, 0, 0, 0x13, 0x88, 0], TO_POD);
/// From the far end, Geneve: VNI 6000, no options.
pub const GENEVE_IN: [u8; 54] = outer(54, 6081, [0, 0, 0x65, 0x58, 0, 0x17, 0x70, 0], TO_POD);

/// IPv4 and UDP by hand: from THERE to HERE.
const fn outer(len: u8, port: u16, tunnel: [u8; 8], frame: [u8; 18]) -> [u8; 54] {
    let mut out = [0; 54];
    let [high, low] = port.to_be_bytes();
    let head = [
        0x45,
        0,
        0,
        len,
        0,
        0,
        0x40,
        0,
        64,
        17,
        0,
        0,
        192,
        0,
        2,
        2,
        192,
        0,
        2,
        1,
        0xc0,
        0,
        high,
        low,
        0,
        len - 20,
        0,
        0,
    ];
    let mut sum: u32 = 0;
    let mut at = 0;
    while at < 20 {
        sum += ((head[at] as u32) << 8) | head[at + 1] as u32;
        at += 2;
    }
    sum = (sum & 0xffff) + (sum >> 16);
    let [check_high, check_low] = (!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes();
    at = 0;
    while at < 54 {
        out[at] = match at {
            10 => check_high,
            11 => check_low,
            0..28 => head[at],
            28..36 => tunnel[at - 28],
            _ => frame[at - 36],
        };
        at += 1;
    }
    out
}

/// Plays it; the digest in the end, or what went wrong.
pub fn play(engine: &mut Engine<'_>) -> Result<u64, &'static str> {
    set_up(engine)?;
    let mut now = Instant::from_millis(1000);

    // Nobody is known: a broadcast goes to the far end, and the pod's address is learned.
    let Verdict::Flood(flood) = engine.step(now, &Input::from_port(POD, &BROADCAST)) else {
        return Err("a broadcast is flooded");
    };
    let mut cursor = Cursor::new();
    let Some(Ok(copy)) = engine.next_copy(&flood, &mut cursor) else { return Err("there is a copy") };
    check(engine.next_copy(&flood, &mut cursor).is_none(), "there is one copy")?;
    let mut out = [0xa5; 80];
    let written = engine.rewrite_into(&copy, Depth::Ip, &BROADCAST, &mut out).map_err(|_| "the copy is written")?;
    check(written.bytes == (0..54), "a copy of 54 bytes")?;
    check(out[54..] == [0xa5; 26], "nothing is written behind it")?;
    check(out[12..20] == [192, 0, 2, 1, 192, 0, 2, 2], "from here to there")?;
    check(out[22..24] == 4789_u16.to_be_bytes() && out[26..28] == [0, 0], "VXLAN's port, no UDP checksum")?;
    check(out[28..36] == [0x08, 0, 0, 0, 0, 0x13, 0x88, 0], "VXLAN with VNI 5000")?;
    check(out[36..54] == BROADCAST, "the frame as it was")?;

    // The far end answers: delivered to the pod, and learned.
    let answer = engine.step(now, &Input::from_underlay_ip(UNDERLAY, &VXLAN_IN));
    let Verdict::Deliver(deliver) = answer else { return Err("the answer is delivered") };
    check(deliver.port.id == POD, "to the pod that was learned")?;
    check((deliver.frame.start, deliver.frame.len) == (36, 18), "without the outer headers")?;
    check(engine.lookup(VXLAN, REMOTE_MAC).is_some(), "the far station is learned")?;

    // Now the pod's frame goes to one place, written in place.
    let mut buffer = [0; 36 + 18];
    buffer[36..].copy_from_slice(&TO_REMOTE);
    let verdict = engine.step(now, &Input::from_port(POD, &buffer[36..]));
    check(matches!(verdict, Verdict::Encapsulate(_)), "a known station is sent to")?;
    let written = engine.rewrite(&verdict, Depth::Ip, &mut buffer, 36..54).map_err(|_| "it is written in place")?;
    check(written.bytes == (0..54) && buffer[36..] == TO_REMOTE, "with headers in front, and the frame unchanged")?;

    // The other tenant has the same addresses, and never sees the first one's.
    let other = engine.step(now, &Input::from_underlay_ip(UNDERLAY, &GENEVE_IN));
    check(matches!(other, Verdict::Flood(_)), "nobody is known to the other tenant")?;
    check(
        engine.lookup(GENEVE, REMOTE_MAC).is_some() && engine.lookup(GENEVE, POD_MAC).is_none(),
        "tenants are apart",
    )?;
    let mut foreign = GENEVE_IN;
    foreign[32 + 2] ^= 1;
    let drop = engine.step(now, &Input::from_underlay_ip(UNDERLAY, &foreign));
    check(matches!(drop, Verdict::Drop(_)), "a VNI of nobody is dropped")?;

    // Silence: everything is forgotten, and frames flood again.
    now = now.saturating_add(Duration::from_secs(11));
    check(engine.lookup(VXLAN, REMOTE_MAC).is_some(), "nothing is forgotten before its time is told")?;
    for _ in 0..64 {
        engine.tick(now);
    }
    check(engine.lookup(VXLAN, REMOTE_MAC).is_none(), "a silent station is forgotten")?;
    let verdict = engine.step(now, &Input::from_port(POD, &TO_REMOTE));
    check(matches!(verdict, Verdict::Flood(_)), "and flooded to")?;
    while engine.poll_event().is_some() {}
    Ok(engine.digest())
}

/// Two tenants, a pod each: one over VXLAN, one over Geneve, to the same far end.
pub fn set_up(engine: &mut Engine<'_>) -> Result<(), &'static str> {
    let bridge = |encapsulation, vni| {
        let vni = Vni::new(vni).ok_or("a VNI")?;
        Ok(BridgeConfig { ageing: Ageing::After(Duration::from_secs(10)), ..BridgeConfig::new(encapsulation, vni) })
    };
    let remote = Remote::at(IpAddr::V4(THERE));
    for command in [
        Command::SetUnderlay { id: UNDERLAY, config: UnderlayConfig::new(IpAddr::V4(HERE)) },
        Command::AddBridge { id: VXLAN, config: bridge(Encapsulation::Vxlan, 5000)? },
        Command::AddBridge { id: GENEVE, config: bridge(Encapsulation::Geneve, 6000)? },
        Command::AddPort { id: POD, config: PortConfig::new(VXLAN) },
        Command::AddPort { id: OTHER_POD, config: PortConfig::new(GENEVE) },
        Command::FloodAdd { bridge: VXLAN, remote },
        Command::FloodAdd { bridge: GENEVE, remote },
    ] {
        engine.command(Instant::ZERO, &command).map_err(|_| "a command is refused")?;
    }
    Ok(())
}

fn check(holds: bool, what: &'static str) -> Result<(), &'static str> {
    if holds { Ok(()) } else { Err(what) }
}
