//! A storm of frames that everybody gets.

use crate::common::world::*;
use vtep::engine::{Command, CommandError, DropReason, Event, Input, Profile, PuntReason, Verdict};
use vtep::table::{BridgeId, Instant, PortId, Rate, StormControl};
use vtep::wire::Encapsulation;

const BRIDGE: BridgeId = BridgeId(0);
const RATE: Rate = Rate { per_second: 10, burst: 4 };

fn vtep(profile: Profile, config: StormControl) -> Vtep {
    let mut vtep = Vtep::vxlan(profile);
    vtep.command(Command::SetStormControl { bridge: BRIDGE, config });
    vtep.flood_to(REMOTE);
    vtep.now = Instant::from_millis(1_000_000);
    vtep
}

/// How many of `count` frames from port 0 are flooded.
fn flooded(vtep: &mut Vtep, to: [u8; 6], count: usize) -> usize {
    let flooded = |vtep: &mut Vtep| match vtep.on_port(0, &Frame::new(to, A).bytes()) {
        Verdict::Flood(_) => true,
        Verdict::Drop(DropReason::StormControl) => false,
        other => panic!("{other:?}"),
    };
    (0..count).filter(|_| flooded(vtep)).count()
}

#[test]
fn each_kind_floods_its_burst_and_then_its_rate() {
    for profile in PROFILES {
        let mut vtep = vtep(profile, StormControl::each(RATE));
        for to in [BROADCAST, MULTICAST, NOBODY] {
            assert_eq!(flooded(&mut vtep, to, 100), 4);
        }
        let counted = vtep.engine.counters().drops(DropReason::StormControl);
        assert_eq!(counted, 3 * 96);
        assert_eq!(vtep.engine.bridge_counters(BRIDGE).unwrap().drops(DropReason::StormControl), counted);
        // A second later, ten more would have passed, but no more than four at once.
        vtep.now = Instant::from_millis(1_001_000);
        assert_eq!(flooded(&mut vtep, BROADCAST, 100), 4);
        let steadily: usize = (1..=10)
            .map(|n| {
                vtep.now = Instant::from_millis(1_001_000 + n * 100);
                flooded(&mut vtep, BROADCAST, 10)
            })
            .sum();
        assert_eq!(steadily, 10);
    }
}

#[test]
fn what_is_known_and_who_lives_elsewhere_notice_nothing() {
    for profile in PROFILES {
        let mut vtep = vtep(profile, StormControl::each(RATE));
        vtep.on_port(1, &Frame::new(BROADCAST, B).bytes());
        vtep.on_underlay(&Packet::from_r_to_a().bytes());
        flooded(&mut vtep, BROADCAST, 1000);
        flooded(&mut vtep, NOBODY, 1000);
        for _ in 0..1000 {
            assert!(matches!(vtep.on_port(1, &Frame::new(R, B).bytes()), Verdict::Encapsulate(_)));
            assert!(matches!(vtep.on_port(1, &Frame::new(A, B).bytes()), Verdict::Deliver(_)));
            // The other network has no limit of its own, and none of its neighbour's.
            let other = Packet::new(4789, vxlan(OTHER_VNI), &Frame::new(BROADCAST, S).bytes());
            assert!(matches!(vtep.on_underlay(&other.bytes()), Verdict::Flood(_)));
        }
    }
}

#[test]
fn tunnels_and_ports_share_a_bucket() {
    let mut vtep = vtep(Profile::Rfc, StormControl { broadcast: Some(RATE), ..StormControl::OFF });
    let storm = Packet::vxlan(&Frame::new(BROADCAST, R).bytes()).bytes();
    assert_eq!((0..9).filter(|_| matches!(vtep.on_underlay(&storm), Verdict::Flood(_))).count(), 4);
    assert_eq!(flooded(&mut vtep, BROADCAST, 9), 0);
    // Kinds without a limit have none.
    assert_eq!(flooded(&mut vtep, MULTICAST, 99), 99);
    assert_eq!(flooded(&mut vtep, NOBODY, 99), 99);
}

#[test]
fn a_frame_that_is_dropped_teaches_nothing_and_tells_nobody() {
    let mut vtep = Vtep::with(Profile::Rfc, Encapsulation::Vxlan, |setup| setup.bridge.l2miss = true);
    vtep.command(Command::SetStormControl { bridge: BRIDGE, config: StormControl::each(RATE) });
    flooded(&mut vtep, NOBODY, 4);
    flooded(&mut vtep, BROADCAST, 4);
    let misses = vtep.events().iter().filter(|event| matches!(event, Event::Miss { .. })).count();
    assert_eq!(misses, 4);
    for to in [NOBODY, BROADCAST] {
        let storm = Frame::new(to, S).bytes();
        // No time to pass: it would fill the bucket.
        let (state, events) = (vtep.state(), vtep.events());
        vtep.drops(&Input::from_port(PortId(0), &storm), DropReason::StormControl);
        assert_eq!((vtep.state(), vtep.events()), (state, events));
    }
    assert_eq!(vtep.place_of(S), None);
}

#[test]
fn the_host_alone_is_protected_too() {
    let mut vtep = Vtep::with(Profile::Rfc, Encapsulation::Vxlan, |setup| setup.bridge.host = true);
    vtep.command(Command::RemovePort { id: PortId(1) });
    vtep.command(Command::SetStormControl { bridge: BRIDGE, config: StormControl::each(RATE) });
    let verdicts: Vec<Verdict> = (0..9).map(|_| vtep.on_port(0, &Frame::new(BROADCAST, A).bytes())).collect();
    let punted = |v: &Verdict| matches!(v, Verdict::Punt(punt) if punt.reason == PuntReason::HostCopy);
    assert_eq!(verdicts.iter().filter(|v| punted(v)).count(), 4);
    assert_eq!(verdicts[8], Verdict::Drop(DropReason::StormControl));
}

#[test]
fn a_clock_that_jumps_back_gives_nothing_away() {
    let mut vtep = vtep(Profile::Rfc, StormControl::each(RATE));
    assert_eq!(flooded(&mut vtep, BROADCAST, 9), 4);
    for millis in [0, 1_000_000, 5, 999_999] {
        vtep.now = Instant::from_millis(millis);
        assert_eq!(flooded(&mut vtep, BROADCAST, 9), 0);
    }
}

#[test]
fn commands_change_it() {
    let mut vtep = vtep(Profile::Rfc, StormControl::each(RATE));
    let set = |bridge, config| Command::SetStormControl { bridge: BridgeId(bridge), config };
    let none = StormControl::each(Rate { per_second: 10, burst: 0 });
    assert_eq!(vtep.try_command(set(0, none)), Err(CommandError::BadValue));
    assert_eq!(vtep.try_command(set(3, StormControl::OFF)), Err(CommandError::NoSuchBridge));
    assert_eq!(vtep.engine.guard(BRIDGE).unwrap().storm(), StormControl::each(RATE));
    vtep.command(set(0, StormControl::OFF));
    assert_eq!(flooded(&mut vtep, BROADCAST, 99), 99);
    // A bridge that is made anew has no limits of the one before.
    vtep.command(set(0, StormControl::each(RATE)));
    let config = *vtep.engine.bridge_config(BRIDGE).unwrap();
    vtep.command(Command::RemoveBridge { id: BRIDGE });
    vtep.command(Command::AddBridge { id: BRIDGE, config });
    assert_eq!(vtep.engine.guard(BRIDGE).unwrap().storm(), StormControl::OFF);
}
