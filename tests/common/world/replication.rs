//! The two ways to the copies of a flood, which have to agree.

use vtep::engine::{Cursor, Egress, Engine, Flood, Gather, Output, RewriteError};
use vtep::wire::Depth;

const ROOM: usize = 512;

/// What came of one copy: where to, and its bytes.
type Copy = Result<(Egress, Vec<u8>), RewriteError>;

/// How copies are written.
#[derive(Clone, Copy, Debug)]
struct Way<'a> {
    depth: Depth,
    input: &'a [u8],
    /// Bytes of room for each.
    room: usize,
    /// In one piece, or in two.
    whole: bool,
}

/// Writes the copies of a flood by verdicts and by replication, into rooms large and small: the same bytes, errors and
/// counts, at each depth.
pub(crate) fn agrees(engine: &Engine<'_>, flood: &Flood, input: &[u8]) {
    for depth in [Depth::Ethernet, Depth::Ip, Depth::Tunnel] {
        for len in [0, input.len().saturating_sub(1), input.len()] {
            let input = &input[..len];
            for room in [ROOM + len, len + 50, len + 49, 50, 49, 0] {
                for whole in [true, false] {
                    let way = Way { depth, input, room, whole };
                    let verdicts = counting(engine, || by_verdicts(engine, flood, way));
                    let copies = counting(engine, || by_replication(engine, flood, way));
                    assert_eq!(copies, verdicts, "{way:?}, {flood:?}");
                }
            }
        }
        from_one_way_to_the_other(engine, flood, Way { depth, input, room: ROOM + input.len(), whole: true });
    }
}

fn by_verdicts(engine: &Engine<'_>, flood: &Flood, way: Way<'_>) -> Vec<Copy> {
    let Way { depth, input, room, whole } = way;
    let mut cursor = Cursor::new();
    let copies = std::iter::from_fn(|| engine.next_copy(flood, &mut cursor));
    let write = |copy: Result<_, _>| {
        let mut out = vec![0xa5; room];
        if whole {
            let output = copy.and_then(|copy| engine.rewrite_into(&copy, depth, input, &mut out));
            output.map(|output| in_one(&out, output))
        } else {
            let gather = copy.and_then(|copy| engine.rewrite_head(&copy, depth, input, &mut out));
            gather.map(|gather| in_two(&out, gather, input))
        }
    };
    copies.map(write).collect()
}

fn by_replication(engine: &Engine<'_>, flood: &Flood, way: Way<'_>) -> Vec<Copy> {
    let Way { depth, input, room, whole } = way;
    let mut copies = engine.replicate(flood, depth, input);
    let mut written = Vec::new();
    loop {
        let mut out = vec![0xa5; room];
        let copy = if whole {
            copies.next_into(&mut out).map(|output| output.map(|output| in_one(&out, output)))
        } else {
            copies.next_head(&mut out).map(|gather| gather.map(|gather| in_two(&out, gather, input)))
        };
        let Some(copy) = copy else { break };
        if copy == Err(RewriteError::NoRoom) {
            assert!(out.iter().all(|byte| *byte == 0xa5), "changed");
        }
        written.push(copy);
    }
    assert!(copies.next_into(&mut [0; ROOM]).is_none() && copies.next_head(&mut [0; ROOM]).is_none());
    written
}

fn in_one(out: &[u8], output: Output) -> (Egress, Vec<u8>) {
    assert!(out[output.bytes.end..].iter().all(|byte| *byte == 0xa5), "beyond the packet");
    (output.to, out[output.bytes].to_vec())
}

fn in_two(head: &[u8], gather: Gather, input: &[u8]) -> (Egress, Vec<u8>) {
    assert!(head[gather.head..].iter().all(|byte| *byte == 0xa5), "beyond the head");
    (gather.to, [&head[..gather.head], &input[gather.rest]].concat())
}

/// Replication may be left behind any copy, for verdicts.
fn from_one_way_to_the_other(engine: &Engine<'_>, flood: &Flood, way: Way<'_>) {
    let all = by_verdicts(engine, flood, way).len();
    for written in 0..=all {
        let mut copies = engine.replicate(flood, way.depth, way.input);
        for _ in 0..written {
            assert!(copies.next_into(&mut vec![0; way.room]).is_some());
        }
        let mut cursor = copies.cursor();
        assert_eq!(std::iter::from_fn(|| engine.next_copy(flood, &mut cursor)).count(), all - written);
    }
}

/// What a call gives, and what it counts: copies, those too big, refused and denied, and errors.
fn counting<T>(engine: &Engine<'_>, call: impl FnOnce() -> T) -> (T, Vec<u64>) {
    let counters = engine.counters();
    let counts = || {
        let copies =
            [counters.copies(), counters.copies_too_big(), counters.copies_refused(), counters.copies_denied()];
        let errors = RewriteError::ALL.iter().map(|error| counters.rewrite_errors(*error));
        copies.into_iter().chain(errors).collect::<Vec<u64>>()
    };
    let before = counts();
    let result = call();
    (result, counts().iter().zip(before).map(|(after, before)| after - before).collect())
}
