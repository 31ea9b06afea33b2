//! One MAC in two places: RFC 7432 section 15.1.

use crate::common::world::*;
use vtep::engine::{Command, CommandError, Done, DropReason, Event, Place, Profile, Remote, Verdict};
use vtep::table::{BridgeId, DuplicateAction, DuplicateDetection, Duration, Instant, Owner, PortId};
use vtep::wire::{Encapsulation, Label};

const BRIDGE: BridgeId = BridgeId(0);

/// A VTEP where station A has been heard behind port 0, and R behind [`REMOTE`].
fn vtep(profile: Profile, config: DuplicateDetection) -> Vtep {
    let mut vtep = Vtep::vxlan(profile);
    vtep.command(Command::SetDuplicateDetection { bridge: BRIDGE, config: Some(config) });
    vtep.flood_to(REMOTE);
    vtep.flood_to(THIRD);
    vtep.on_port(0, &Frame::new(BROADCAST, A).bytes());
    vtep.on_underlay(&Packet::from_r_to_a().bytes());
    vtep.events();
    vtep
}

/// The attacker's frame: A's address, from behind [`THIRD`], to R.
fn spoofed() -> Vec<u8> {
    Packet { src: THIRD, ..Packet::vxlan(&Frame::new(BROADCAST, A).bytes()) }.bytes()
}

fn own() -> Vec<u8> {
    Frame::new(BROADCAST, A).bytes()
}

/// The attacker and A speak in turn, up to the move that is one too many.
fn flap(vtep: &mut Vtep) {
    for _ in 0..2 {
        assert!(matches!(vtep.on_underlay(&spoofed()), Verdict::Flood(_)));
        assert_eq!(vtep.remote_of(A), Some(THIRD));
        assert!(matches!(vtep.on_port(0, &own()), Verdict::Flood(_)));
    }
    let moved = |event: &Event| matches!(event, Event::Moved { .. });
    assert!(vtep.events().iter().all(moved));
}

fn duplicates(vtep: &Vtep) -> usize {
    vtep.engine.moves().duplicates(vtep.now).count()
}

#[test]
fn the_fifth_move_freezes_the_entry_where_it_is_and_tells() {
    for profile in PROFILES {
        for action in [DuplicateAction::Freeze, DuplicateAction::Drop] {
            let mut vtep = vtep(profile, DuplicateDetection { action, ..DuplicateDetection::RFC });
            flap(&mut vtep);
            let verdict = vtep.on_underlay(&spoofed());
            let events = vtep.events();
            let [Event::Duplicate { bridge: BRIDGE, mac: who, place, other }] = events[..] else {
                panic!("{events:?}");
            };
            assert_eq!((who, place), (mac(A), Place::Port(PortId(0))));
            assert!(matches!(other, Place::Remote(Remote { address: THIRD, .. })), "{other:?}");
            let dropped = verdict == Verdict::Drop(DropReason::SourceMacDuplicate);
            assert_eq!(dropped, action == DuplicateAction::Drop, "{verdict:?}");

            // From now on nothing moves it, for a year, and nobody is told again.
            for days in 0..365 {
                vtep.now = Instant::from_millis(days * 86_400_000);
                assert!(matches!(vtep.on_port(0, &own()), Verdict::Flood(_)));
                vtep.on_underlay(&spoofed());
                assert_eq!(vtep.place_of(A), Some(Place::Port(PortId(0))));
                let told = |event: &Event| matches!(event, Event::Duplicate { .. } | Event::Moved { .. });
                assert!(!vtep.events().iter().any(told));
            }
            // Frames for it go where it is, and others' entries never noticed.
            assert!(matches!(vtep.on_underlay(&Packet::from_r_to_a().bytes()), Verdict::Deliver(_)));
            assert_eq!(vtep.remote_of(R), Some(REMOTE));
        }
    }
}

#[test]
fn dropping_changes_nothing_but_the_counter() {
    for profile in PROFILES {
        let mut vtep = vtep(profile, DuplicateDetection { action: DuplicateAction::Drop, ..DuplicateDetection::RFC });
        flap(&mut vtep);
        vtep.on_underlay(&spoofed());
        vtep.on_port(0, &own());
        vtep.refuses(&spoofed(), DropReason::SourceMacDuplicate);
        // A sender nobody knows leaves no endpoint behind either.
        let unknown = Packet { src: "192.0.2.99".parse().unwrap(), ..Packet::vxlan(&own()) };
        vtep.refuses(&unknown.bytes(), DropReason::SourceMacDuplicate);
    }
}

#[test]
fn an_alert_alone_stops_nobody() {
    for profile in PROFILES {
        let mut vtep = vtep(profile, DuplicateDetection { action: DuplicateAction::Alert, ..DuplicateDetection::RFC });
        flap(&mut vtep);
        vtep.on_underlay(&spoofed());
        assert_eq!(vtep.remote_of(A), Some(THIRD));
        assert!(matches!(vtep.events()[..], [Event::Duplicate { .. }, Event::Moved { .. }]));
        vtep.on_port(0, &own());
        assert!(matches!(vtep.events()[..], [Event::Moved { .. }]));
    }
}

#[test]
fn time_ends_it() {
    for profile in PROFILES {
        let recover = Some(Duration::from_secs(60));
        let mut vtep = vtep(profile, DuplicateDetection { recover, ..DuplicateDetection::RFC });
        flap(&mut vtep);
        vtep.on_underlay(&spoofed());
        vtep.events();
        vtep.now = Instant::from_millis(59_999);
        vtep.engine.tick(vtep.now);
        vtep.on_underlay(&spoofed());
        assert_eq!((vtep.events(), duplicates(&vtep)), (vec![], 1));
        // Its next move says so, where no tick has.
        let mut ticked = Instant::from_millis(60_000);
        core::mem::swap(&mut vtep.now, &mut ticked);
        vtep.on_underlay(&spoofed());
        let events = vtep.events();
        let cleared = Event::DuplicateCleared { bridge: BRIDGE, mac: mac(A) };
        assert!(events[0] == cleared && matches!(events[1], Event::Moved { .. }), "{events:?}");
        assert_eq!((events.len(), vtep.remote_of(A), duplicates(&vtep)), (2, Some(THIRD), 0));
    }
}

#[test]
fn a_tick_tells_that_it_is_over() {
    let recover = Some(Duration::from_secs(60));
    let mut vtep = vtep(Profile::Rfc, DuplicateDetection { recover, ..DuplicateDetection::RFC });
    flap(&mut vtep);
    vtep.on_underlay(&spoofed());
    vtep.events();
    vtep.now = Instant::from_millis(60_000);
    (0..2).for_each(|_| vtep.engine.tick(vtep.now));
    assert_eq!(vtep.events(), [Event::DuplicateCleared { bridge: BRIDGE, mac: mac(A) }]);
    assert!(vtep.engine.moves().is_empty());
}

#[test]
fn commands_end_it() {
    let clear = |mac| Command::ClearDuplicate { bridge: BRIDGE, mac };
    let (place, owner) = (Place::Remote(Remote::at(THIRD)), Owner::Dynamic);
    let ways = [
        (clear(Some(mac(A))), Done::Removed(1)),
        (clear(None), Done::Removed(1)),
        (Command::SetDuplicateDetection { bridge: BRIDGE, config: None }, Done::Ok),
        (
            Command::FdbReplace { bridge: BRIDGE, mac: mac(A), place, owner, sticky: false, label: Label::NONE },
            Done::Ok,
        ),
        (Command::FdbDelete { bridge: BRIDGE, mac: mac(A), remote: None }, Done::Ok),
    ];
    for (command, done) in ways {
        let mut vtep = vtep(Profile::Rfc, DuplicateDetection::RFC);
        assert_eq!(vtep.try_command(clear(Some(mac(A)))), Err(CommandError::NotFound));
        flap(&mut vtep);
        vtep.on_underlay(&spoofed());
        assert_eq!(duplicates(&vtep), 1);
        assert_eq!(vtep.command(command), done, "{command:?}");
        assert_eq!(duplicates(&vtep), 0);
        vtep.on_underlay(&spoofed());
        assert_eq!(vtep.remote_of(A), Some(THIRD), "{command:?}");
    }
}

#[test]
fn another_cores_learning_does_not_move_it() {
    let mut vtep = vtep(Profile::Rfc, DuplicateDetection::RFC);
    let learn =
        Command::Learn { bridge: BRIDGE, mac: mac(A), place: Place::Remote(Remote::at(THIRD)), label: Label::NONE };
    flap(&mut vtep);
    vtep.on_underlay(&spoofed());
    assert_eq!(vtep.try_command(learn), Err(CommandError::Owned));
    assert_eq!(vtep.place_of(A), Some(Place::Port(PortId(0))));
    vtep.command(Command::ClearDuplicate { bridge: BRIDGE, mac: None });
    vtep.command(learn);
    assert_eq!(vtep.remote_of(A), Some(THIRD));
}

#[test]
fn moves_far_apart_are_only_moves() {
    let mut vtep = vtep(Profile::Rfc, DuplicateDetection::RFC);
    for minute in 1..200 {
        vtep.now = Instant::from_millis(minute * 60_000);
        let moved = if minute % 2 == 1 { vtep.on_underlay(&spoofed()) } else { vtep.on_port(0, &own()) };
        assert!(matches!(moved, Verdict::Flood(_)));
        assert!(vtep.events().iter().any(|event| matches!(event, Event::Moved { .. })), "in minute {minute}");
    }
}

#[test]
fn tenants_have_their_own_duplicates() {
    let mut vtep = vtep(Profile::Rfc, DuplicateDetection::RFC);
    flap(&mut vtep);
    vtep.on_underlay(&spoofed());
    // The same MAC in the other network is nobody's duplicate, and there nobody counts.
    for _ in 0..9 {
        vtep.on_port(2, &own());
        let other = Packet { src: THIRD, ..Packet::new(4789, vxlan(OTHER_VNI), &own()) };
        vtep.on_underlay(&other.bytes());
        let Some(Place::Remote(remote)) = vtep.place_in(1, A) else { panic!("it has moved") };
        assert_eq!(remote.address, THIRD);
    }
    assert_eq!(duplicates(&vtep), 1);
    vtep.command(Command::RemoveBridge { id: BRIDGE });
    assert_eq!(duplicates(&vtep), 0);
}

#[test]
fn what_cannot_be_is_refused() {
    let mut vtep = Vtep::vxlan(Profile::Rfc);
    let set = |bridge, max_moves| Command::SetDuplicateDetection {
        bridge: BridgeId(bridge),
        config: Some(DuplicateDetection { max_moves, ..DuplicateDetection::RFC }),
    };
    assert_eq!(vtep.try_command(set(0, 0)), Err(CommandError::BadValue));
    assert_eq!(vtep.try_command(set(0, 0x8000)), Err(CommandError::BadValue));
    assert_eq!(vtep.try_command(set(3, 5)), Err(CommandError::NoSuchBridge));
    assert_eq!(vtep.try_command(set(99, 5)), Err(CommandError::NoSuchBridge));
    let clear = Command::ClearDuplicate { bridge: BridgeId(3), mac: None };
    assert_eq!(vtep.try_command(clear), Err(CommandError::NoSuchBridge));
    assert_eq!(vtep.command(set(0, 0x7fff)), Done::Ok);
    assert!(vtep.engine.guard(BRIDGE).unwrap().duplicates().is_some());
    assert_eq!(vtep.engine.guard(BridgeId(3)).map(|_| ()), None);

    // Without memory for moves.
    let mut storage = Box::new(vtep::engine::Storage::<4, 1, 1, 1, 1, 1>::new());
    let config = vtep::engine::Config::new(Profile::Rfc, [1, 2]);
    let mut engine = vtep::engine::Engine::new(storage.memory(), &config);
    let bridge = vtep::table::BridgeConfig::new(Encapsulation::Vxlan, vtep::wire::Vni::truncating(VNI));
    engine.command(Instant::ZERO, &Command::AddBridge { id: BRIDGE, config: bridge }).unwrap();
    assert_eq!(engine.command(Instant::ZERO, &set(0, 5)), Err(CommandError::OutOfRange));
    assert_eq!(engine.command(Instant::ZERO, &clear_all()), Ok(Done::Removed(0)));
}

fn clear_all() -> Command {
    Command::ClearDuplicate { bridge: BRIDGE, mac: None }
}
