//! Any bytes as an inner frame: summary, flow hash and edit agree with one another.

use arbitrary::{Arbitrary, Unstructured};
use vtep::wire::{Edit, FrameKind, Inner, flow_hash};

/// The first byte holds what the frame starts with, and whether an edit comes before it; the rest is the frame.
pub fn run(bytes: &[u8]) {
    let Some((bits, rest)) = bytes.split_first() else { return };
    let mut u = Unstructured::new(rest);
    let kind = if bits & 1 == 0 { FrameKind::Ethernet } else { FrameKind::Ip };
    let edit = if bits & 2 == 0 { Ok(Edit::NONE) } else { Edit::arbitrary(&mut u) };
    check(u.take_rest(), kind, edit.unwrap_or(Edit::NONE), u64::from(*bits) << 56);
}

fn check(frame: &[u8], kind: FrameKind, edit: Edit, seed: u64) {
    let mut scratch = [0xa5; Edit::MAX_PREFIX];
    let Ok(inner) = Inner::parse(kind, frame) else {
        assert!(edit == Edit::NONE || edit.apply(frame, kind, &mut scratch).is_err());
        return;
    };
    assert!(usize::from(inner.l3()) <= frame.len());
    assert_eq!(flow_hash(seed, &inner, frame), flow_hash(seed, &inner, frame));

    let edited = edit.apply(frame, kind, &mut scratch).expect("what can be summarised can be edited");
    assert!(edited.head <= scratch.len() && edited.skip <= frame.len());
    let whole = [&scratch[..edited.head], &frame[edited.skip..]].concat();
    if inner.ethertype().is_tag() {
        return; // A fourth tag was not looked at; it is once another is gone.
    }
    let again = Inner::parse(kind, &whole).expect("an edit leaves a frame");
    if !again.ethertype().is_tag() {
        assert_eq!(again.ip(), inner.ip());
    }
    if kind == FrameKind::Ethernet {
        assert_eq!((again.dst(), again.src()), (inner.dst(), inner.src()));
    }
}
