//! What the machine itself takes: bytes merely copied, cache lines merely touched.

use core::hint::black_box;

use super::{Case, Random};

/// One cache line.
#[derive(Clone, Copy)]
#[repr(align(64))]
pub struct Line(pub [u64; 8]);

pub const PACKETS: usize = 256;
const ROOM: usize = 192;

#[repr(align(64))]
#[derive(Clone, Copy)]
struct Room([u8; ROOM]);

/// Places to copy from and to, each in lines of its own.
///
/// Where both are is part of what a copy takes: up to twice as much if lines are crossed, or if a load's address equals
/// that of a store in flight in its lower 12 bits. So it is the same in every run, and neither happens.
#[repr(C, align(4096))]
struct Places {
    from: [Room; PACKETS],
    apart: [u8; 2048],
    to: [Room; PACKETS],
}

impl Places {
    fn new() -> Box<Self> {
        Box::new(Self { from: [Room([7; ROOM]); PACKETS], apart: [0; 2048], to: [Room([0; ROOM]); PACKETS] })
    }

    fn pairs(&mut self) -> impl Iterator<Item = (&[u8; ROOM], &mut [u8; ROOM])> {
        let Self { from, to, .. } = black_box(self);
        from.iter().zip(to).map(|(from, to)| (&from.0, &mut to.0))
    }
}

/// A copy of `bytes` for each of 256 packets, each from and to a place of its own; the compiler does not know how many
/// bytes, as it would not know a stored header's length.
pub fn copy(name: impl Into<String>, bytes: usize) -> Case {
    copy_by::<0>(name, bytes)
}

/// The same copy by seven loops, whose code stands in seven places: that, too, is part of what it takes.
pub fn copies(name: &str, bytes: usize) -> [Case; 7] {
    [
        copy_by::<0>(name, bytes),
        copy_by::<1>(name, bytes),
        copy_by::<2>(name, bytes),
        copy_by::<3>(name, bytes),
        copy_by::<4>(name, bytes),
        copy_by::<5>(name, bytes),
        copy_by::<6>(name, bytes),
    ]
}

fn copy_by<const LOOP: usize>(name: impl Into<String>, bytes: usize) -> Case {
    let mut places = Places::new();
    Case::new(name, PACKETS, move || copy_all::<LOOP>(&mut places, bytes))
}

#[inline(never)]
fn copy_all<const LOOP: usize>(places: &mut Places, bytes: usize) -> u64 {
    for (from, to) in places.pairs() {
        let at = ROOM - black_box(bytes);
        to[at..].copy_from_slice(&from[at..]);
    }
    black_box(LOOP as u64)
}

/// The same where the compiler knows how many: a few wide loads and stores.
pub fn copy_fixed<const N: usize>(name: impl Into<String>) -> Case {
    let mut places = Places::new();
    Case::new(name, PACKETS, move || {
        for (from, to) in places.pairs() {
            if let (Some(from), Some(to)) = (from.last_chunk::<N>(), to.last_chunk_mut::<N>()) {
                *to = *from;
            }
        }
        black_box(&places).apart.len() as u64
    })
}

/// `each` random ones of `lines` cache lines touched for each operation: all loads at once, or, if `dependent`, each
/// operation's addresses known only when the one before it has its answers.
pub fn touch(name: impl Into<String>, lines: usize, each: usize, ops: usize, dependent: bool) -> Case {
    let memory = vec![Line([0; 8]); lines.max(1)];
    let mut random = Random(3);
    let order: Vec<u32> = (0..order_len(lines, each, ops)).map(|_| random.below(memory.len()) as u32).collect();
    let mut at = 0;
    Case::new(name, ops, move || {
        let chunk = &order[at..at + ops * each];
        at = if at + 2 * ops * each > order.len() { 0 } else { at + ops * each };
        if dependent {
            let mut last = 0;
            for indices in chunk.chunks_exact(each) {
                last = indices.iter().fold(0, |sum, index| sum ^ memory[*index as usize ^ last as usize].0[0]);
            }
            last
        } else {
            chunk.iter().fold(0, |sum, index| sum ^ memory[*index as usize].0[0])
        }
    })
}

/// Enough that a pass over the order touches every line several times.
fn order_len(lines: usize, each: usize, ops: usize) -> usize {
    (lines * 2).next_multiple_of(ops * each).max(ops * each)
}
