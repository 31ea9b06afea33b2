//! From packet to verdict and rewrite, nothing is allocated.
#![allow(clippy::arithmetic_side_effects, clippy::expect_used, clippy::indexing_slicing)]
#![allow(clippy::panic, clippy::unwrap_used)]

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use allocation_counter::measure;
use vtep::engine::{Command, Config, Cursor, Engine, Event, HEADROOM, Input, Profile, Remote, Storage, Verdict};
use vtep::table::{BridgeConfig, BridgeId, Duration, Instant, PortConfig, PortId, UnderlayConfig, UnderlayId};
use vtep::wire::{Depth, Encapsulation, Vni};

const FRAME_LEN: usize = 60;

#[test]
fn the_counter_counts() {
    assert_eq!(measure(|| drop(core::hint::black_box(vec![0_u8; 16]))).count_total, 1);
}

#[test]
fn a_conversation_allocates_nothing() {
    let v4 = |last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last));
    let v6 = |last| IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last));
    for encapsulation in [Encapsulation::Vxlan, Encapsulation::Gpe, Encapsulation::Geneve] {
        for profile in [Profile::Rfc, Profile::Linux] {
            conversation(encapsulation, profile, [v4(1), v4(2)]);
            conversation(encapsulation, profile, [v6(1), v6(2)]);
        }
    }
}

#[test]
fn malformed_packets_allocate_nothing() {
    let [local, peer] = [1, 2].map(|last| IpAddr::V4(Ipv4Addr::new(192, 0, 2, last)));
    let mut storage = Box::new(Storage::<16, 1, 1, 4, 4, 8>::new());
    let mut engine = Engine::new(storage.memory(), &Config::new(Profile::Rfc, [1, 2]));
    set_up(&mut engine, Encapsulation::Geneve, [local, peer]);
    let inner = frame([0xff; 6], [2, 0, 0, 0, 0, 1]);
    let Verdict::Flood(flood) = engine.step(Instant::ZERO, &Input::from_port(PortId(0), &inner)) else {
        panic!("a broadcast is flooded")
    };
    let copy = engine.next_copy(&flood, &mut Cursor::new()).expect("one copy").expect("no stale handle");
    let mut buffer = [0; HEADROOM + FRAME_LEN];
    let len = engine.rewrite_into(&copy, Depth::Ip, &inner, &mut buffer).expect("there is room").bytes.len();
    let packet = &mut buffer[..len];

    let info = measure(|| {
        for at in 0..len {
            for input in
                [Input::from_underlay_ip(UnderlayId(0), &packet[..at]), Input::from_port(PortId(0), &packet[..at])]
            {
                let _ = engine.step(Instant::ZERO, &input);
            }
            packet[at] ^= 0xff;
            let _ = engine.step(Instant::ZERO, &Input::from_underlay_ip(UnderlayId(0), packet));
            packet[at] ^= 0xff;
        }
    });
    assert_eq!(info.count_total, 0);
}

/// Broadcast, flood, learning, the answer, unicast, ageing, and the commands around them, on two endpoints.
fn conversation(encapsulation: Encapsulation, profile: Profile, addresses: [IpAddr; 2]) {
    let mut storages = [(); 2].map(|()| Box::new(Storage::<16, 1, 1, 4, 4, 8>::new()));
    let [left, right] = &mut storages;
    let info = measure(|| {
        let config = Config::new(profile, [1, 2]);
        let mut left = Engine::new(left.memory(), &config);
        let mut right = Engine::new(right.memory(), &config);
        set_up(&mut left, encapsulation, addresses);
        set_up(&mut right, encapsulation, [addresses[1], addresses[0]]);

        let broadcast = frame([0xff; 6], [2, 0, 0, 0, 0, 1]);
        let answer = frame([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]);
        assert_eq!(across(&mut left, &mut right, &broadcast), "flood");
        assert_eq!(across(&mut right, &mut left, &answer), "encapsulate");
        let inputs = [Input::from_port(PortId(0), &broadcast); 40];
        let mut verdicts = [Verdict::NOTHING; 40];
        assert_eq!(left.step_batch(Instant::ZERO, &inputs, &mut verdicts), 40);
        assert!(verdicts.iter().all(|verdict| matches!(verdict, Verdict::Flood(_))));
        for engine in [&mut left, &mut right] {
            assert!(matches!(engine.poll_event(), Some(Event::Learned { .. })));
            engine.tick(Instant::ZERO.saturating_add(Duration::from_secs(3600)));
            while engine.poll_event().is_some() {}
            assert_eq!(engine.fdb().count(), 0);
            let _ = engine.digest();
        }
    });
    assert_eq!(info.count_total, 0, "{encapsulation:?}, {profile:?}, {addresses:?}");
}

fn set_up(engine: &mut Engine<'_>, encapsulation: Encapsulation, [local, peer]: [IpAddr; 2]) {
    let bridge = BridgeId(0);
    for command in [
        Command::SetUnderlay { id: UnderlayId(0), config: UnderlayConfig::new(local) },
        Command::AddBridge { id: bridge, config: BridgeConfig::new(encapsulation, Vni::MAX) },
        Command::AddPort { id: PortId(0), config: PortConfig::new(bridge) },
        Command::FloodAdd { bridge, remote: Remote::at(peer) },
    ] {
        engine.command(Instant::ZERO, &command).unwrap();
    }
}

/// Sends `frame` from the port of one endpoint to that of the other; how it was sent.
fn across(from: &mut Engine<'_>, to: &mut Engine<'_>, frame: &[u8; FRAME_LEN]) -> &'static str {
    let verdict = from.step(Instant::ZERO, &Input::from_port(PortId(0), frame));
    let mut copies = 0;
    let mut receive = |copy: &Verdict| {
        let mut buffer = [0; HEADROOM + FRAME_LEN];
        let packet = from.rewrite_into(copy, Depth::Ip, frame, &mut buffer).unwrap();
        let packet = &buffer[packet.bytes];
        let verdict = to.step(Instant::ZERO, &Input::from_underlay_ip(UnderlayId(0), packet));
        assert!(matches!(verdict, Verdict::Deliver(_) | Verdict::Flood(_)), "{verdict:?}");
        let mut out = [0; FRAME_LEN];
        let mut deliver = |copy: &Verdict| {
            let delivered = to.rewrite_into(copy, Depth::Ip, packet, &mut out).unwrap();
            assert_eq!(out[delivered.bytes], frame[..]);
            copies += 1;
        };
        match verdict {
            Verdict::Flood(flood) => {
                let mut cursor = Cursor::new();
                while let Some(copy) = to.next_copy(&flood, &mut cursor) {
                    deliver(&copy.unwrap());
                }
            }
            verdict => deliver(&verdict),
        }
    };
    match verdict {
        Verdict::Flood(flood) => {
            let mut cursor = Cursor::new();
            while let Some(copy) = from.next_copy(&flood, &mut cursor) {
                receive(&copy.unwrap());
            }
        }
        verdict => receive(&verdict),
    }
    assert_eq!(copies, 1);
    verdict.kind().name()
}

fn frame(dst: [u8; 6], src: [u8; 6]) -> [u8; FRAME_LEN] {
    let mut frame = [0x5a; FRAME_LEN];
    frame[..6].copy_from_slice(&dst);
    frame[6..12].copy_from_slice(&src);
    frame[12..14].copy_from_slice(&[0x88, 0xb5]);
    frame
}
