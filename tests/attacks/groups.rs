//! Security groups: what a member can say of them, and what that costs others.

use super::common::world::{A, BROADCAST, Frame, LABELS, Packet, R, REMOTE, S, THIRD, VNI, Vtep, mac};
use core::net::IpAddr;
use vtep::engine::{Command, DropReason, Event, Place, Profile, Remote, Verdict};
use vtep::table::{
    Action, Admission, BridgeId, EndpointAddress, EndpointConfig, Enforcement, GroupMatch, Owner, PortConfig, PortId,
    Rule, UnderlayId,
};
use vtep::wire::{Encapsulation, Label, SecurityGroup};

const BRIDGE: BridgeId = BridgeId(0);
/// Of the station at port 0.
const HERE: u32 = 5;
/// The only one that may reach it.
const FRIEND: u32 = 7;

fn group(number: u32) -> SecurityGroup {
    SecurityGroup::new(number).unwrap()
}

/// A bridge whose port 0 has a group, and a rule.
fn guarded(admission: Admission) -> Vtep {
    let mut vtep = Vtep::with(Profile::Rfc, Encapsulation::Vxlan, |setup| {
        setup.bridge.gbp = true;
        setup.bridge.admission = admission;
        setup.bridge.policy = Some(Enforcement::DEFAULT);
    });
    let config = PortConfig { group: group(HERE), ..PortConfig::new(BRIDGE) };
    vtep.command(Command::SetPort { id: PortId(0), config });
    let (from, to) = (GroupMatch::Is(group(FRIEND)), GroupMatch::Is(group(HERE)));
    vtep.command(Command::SetRule { rule: Rule { bridge: BRIDGE, from, to, action: Action::Allow } });
    // The station is known.
    vtep.on_port(0, &Frame::new(BROADCAST, A).bytes());
    vtep
}

/// With the flags of the second byte: D is 0x40, A is 0x08.
fn labelled(src: IpAddr, flags: u8, group: u16, frame: &Frame) -> Vec<u8> {
    let ([high, low], [_, v0, v1, v2]) = (group.to_be_bytes(), VNI.to_be_bytes());
    let header = vec![0x88, flags, high, low, v0, v1, v2, 0];
    Packet { src, ..Packet::new(4789, header, &frame.bytes()) }.bytes()
}

/// A member's word is taken: for its group, and for having judged already. A stranger's is not, where members are known.
#[test]
fn who_is_admitted_says_of_which_group_a_frame_is_and_whether_it_was_judged() {
    let frame = Frame::new(A, R);
    let cases = [(0, 9), (0, 0), (0, FRIEND as u16), (0x08, 9), (0x08, 0)];
    let verdicts = |vtep: &mut Vtep| {
        cases.map(|(flags, group)| match vtep.on_underlay(&labelled(REMOTE, flags, group, &frame)) {
            Verdict::Deliver(_) => None,
            Verdict::Drop(reason) => Some(reason),
            other => panic!("{other:?}"),
        })
    };
    let mut open = guarded(Admission::Anyone);
    let (denied, missing) = (Some(DropReason::PolicyDenied), Some(DropReason::SourceGroupMissing));
    assert_eq!(verdicts(&mut open), [denied, missing, None, None, None]);
    let mut closed = guarded(Admission::Configured);
    assert_eq!(verdicts(&mut closed), [Some(DropReason::UnknownEndpoint); 5]);
    closed.flood_to(REMOTE);
    assert_eq!(verdicts(&mut closed), [denied, missing, None, None, None]);
}

/// Nothing that a denied sender sends is learned, so that it cannot take a friend's MAC.
#[test]
fn a_denied_sender_moves_nobody() {
    let mut vtep = guarded(Admission::Anyone);
    vtep.on_underlay(&labelled(REMOTE, 0, FRIEND as u16, &Frame::new(A, R)));
    let before = vtep.engine.lookup(BRIDGE, mac(R)).unwrap();
    for group in [0, 9] {
        let verdict = vtep.on_underlay(&labelled(THIRD, 0, group, &Frame::new(A, R)));
        assert!(matches!(verdict, Verdict::Drop(_)), "{verdict:?}");
    }
    let after = vtep.engine.lookup(BRIDGE, mac(R)).unwrap();
    assert_eq!((after.destination(), after.meta()), (before.destination(), before.meta()));
}

/// Each entry with a group of its own takes a label, of which there are [`LABELS`] here. What finds none is not learned, and told;
/// its frames are judged and delivered all the same. A quota of the member's endpoint keeps room for others.
#[test]
fn a_member_that_uses_up_the_labels_is_held_by_its_quota() {
    for quota in [None, Some(4)] {
        let mut vtep = guarded(Admission::Anyone);
        vtep.command(Command::SetRule {
            rule: Rule { bridge: BRIDGE, from: GroupMatch::Any, to: GroupMatch::Any, action: Action::Allow },
        });
        let address = EndpointAddress {
            underlay: UnderlayId(0),
            address: REMOTE,
            encapsulation: Encapsulation::Vxlan,
            port: 4789,
            vni: None,
        };
        let config = EndpointConfig { max_macs: quota, ..EndpointConfig::default() };
        vtep.command(Command::SetEndpoint { address, config });
        for number in 0..200_u8 {
            let frame = Frame::new(A, [2, 0xbb, 0, 0, 0, number]);
            let verdict = vtep.on_underlay(&labelled(REMOTE, 0, 1000 + u16::from(number), &frame));
            assert!(matches!(verdict, Verdict::Deliver(_)), "{verdict:?}");
        }
        assert_eq!(vtep.engine.table().labels().len(), quota.map_or(LABELS, |quota| quota as usize));
        while vtep.engine.poll_event().is_some() {}

        let verdict = vtep.on_underlay(&labelled(THIRD, 0, 77, &Frame::new(A, S)));
        assert!(matches!(verdict, Verdict::Deliver(_)), "{verdict:?}");
        let entry = vtep.engine.lookup(BRIDGE, mac(S));
        let told = vtep.engine.poll_event();
        if quota.is_some() {
            assert_eq!(vtep.engine.label(entry.unwrap()), Label::of_group(group(77)));
        } else {
            assert!(entry.is_none() && matches!(told, Some(Event::LabelsFull { .. })), "{entry:?}, {told:?}");
        }
    }
}

/// Strangers take turns at the places that nobody needs. A handle's generation has 16 bits and goes up by two for each: a
/// verdict that is held back is stale, unless it waits for 32,768 of them.
#[test]
fn a_handle_to_a_place_that_changes_hands_is_stale() {
    let mut vtep = Vtep::with(Profile::Rfc, Encapsulation::Vxlan, |_| {});
    let stranger = |n: u32| IpAddr::from((0x0a00_0001 + n).to_be_bytes());
    let plain = |src| {
        let packet = Packet::new(4789, super::common::world::vxlan(VNI), &Frame::new(A, R).bytes());
        Packet { src, ..packet }.bytes()
    };
    vtep.on_port(0, &Frame::new(BROADCAST, A).bytes());
    vtep.on_underlay(&plain(stranger(0)));
    let frame = Frame::new(R, A).bytes();
    let Verdict::Encapsulate(first) = vtep.on_port(0, &frame) else { panic!("not learned") };
    let mut places = 0;
    for n in 1..4000 {
        // The MAC moves from one to the next, so that each leaves an endpoint behind that nobody needs.
        vtep.on_underlay(&plain(stranger(n)));
        let Verdict::Encapsulate(now) = vtep.on_port(0, &frame) else { panic!("not learned") };
        if now.endpoint.id == first.endpoint.id {
            places += 1;
            // Two more for each: one that goes, one that comes.
            assert_eq!(now.endpoint.generation, first.endpoint.generation.wrapping_add(2 * places));
            let mut out = [0; 256];
            let sent =
                vtep.engine.rewrite_into(&Verdict::Encapsulate(first), vtep::wire::Depth::Ethernet, &frame, &mut out);
            assert_eq!(sent, Err(vtep::engine::RewriteError::StaleHandle));
        }
    }
    assert!(places > 10, "{places}");
}

/// A controller's entry with a group is judged at once, and marked as judged on the way out; a learned one is not.
#[test]
fn what_was_learned_is_not_marked_as_judged() {
    for owner in [None, Some(Owner::Controller)] {
        let mut vtep = guarded(Admission::Anyone);
        let enforcement = Enforcement { at: vtep::table::Enforce::all(), ..Enforcement::DEFAULT };
        let config = *vtep.engine.bridge_config(BRIDGE).unwrap();
        let config = vtep::table::BridgeConfig { policy: Some(enforcement), ..config };
        vtep.command(Command::SetBridge { id: BRIDGE, config });
        let (from, to) = (GroupMatch::Is(group(HERE)), GroupMatch::Is(group(FRIEND)));
        vtep.command(Command::SetRule { rule: Rule { bridge: BRIDGE, from, to, action: Action::Allow } });
        match owner {
            None => drop(vtep.on_underlay(&labelled(REMOTE, 0, FRIEND as u16, &Frame::new(A, R)))),
            Some(owner) => {
                let place = Place::Remote(Remote::at(REMOTE));
                let (mac, label) = (mac(R), Label::of_group(group(FRIEND)));
                vtep.command(Command::FdbAdd { bridge: BRIDGE, mac, place, owner, sticky: false, label });
            }
        }
        for _ in 0..3 {
            let sent = vtep.sent_one(&Frame::new(R, A).bytes());
            assert_eq!(sent.tunnel[1] & 0x08 != 0, owner.is_some());
        }
    }
}
