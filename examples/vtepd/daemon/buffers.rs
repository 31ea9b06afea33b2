//! Packet buffers, each with room in front of the frame for the outer headers.

use std::io::IoSliceMut;
use std::ops::Range;

use vtep::engine::HEADROOM;

/// Packets handled in one go.
pub const BATCH: usize = 64;
/// Where a frame starts: the outer headers and a VLAN tag fit in front.
const FRONT: usize = (HEADROOM + 4).next_multiple_of(64);
/// The longest IP packet, and the frame around it.
const LONGEST: usize = 65_536 + 64;
/// No power of two, so that the buffers' beginnings do not compete for the same cache lines.
const STRIDE: usize = FRONT + LONGEST;
const _: () = assert!(STRIDE % 128 == 64);

/// As many buffers as a batch has packets, and one aside.
pub struct Buffers(Vec<Vec<u8>>);

impl Buffers {
    pub fn new() -> Self {
        Self(vec![vec![0; STRIDE]; BATCH + 1])
    }

    /// A buffer, headroom included.
    pub fn slot(&mut self, index: usize) -> &mut [u8] {
        &mut self.0[index]
    }

    /// A part of a buffer.
    pub fn get(&self, index: usize, range: Range<usize>) -> &[u8] {
        &self.0[index][range]
    }

    /// Where to read a frame to that has `prefix` bytes in front, which are none of its own.
    pub fn room(&mut self, index: usize, prefix: usize) -> &mut [u8] {
        &mut self.0[index][FRONT - prefix..]
    }

    /// Where to read a frame to, of every buffer.
    pub fn rooms(&mut self) -> impl Iterator<Item = [IoSliceMut<'_>; 1]> {
        self.0[..BATCH].iter_mut().map(|slot| [IoSliceMut::new(&mut slot[FRONT..])])
    }

    /// What was read, as a range of its buffer.
    pub const fn filled(len: usize) -> Range<usize> {
        FRONT..FRONT + len
    }

    /// Puts what was read to a buffer aside; the buffer is then free.
    pub fn set_aside(&mut self, index: usize) {
        self.0.swap(index, BATCH);
    }

    /// What was put aside.
    pub fn aside(&self) -> &[u8] {
        &self.0[BATCH][FRONT..]
    }

    /// Fills a buffer with a head and a part of what was put aside. The range of both.
    pub fn fill(&mut self, index: usize, head: &[u8], part: Range<usize>) -> Range<usize> {
        let (slots, aside) = self.0.split_at_mut(BATCH);
        let whole = Self::filled(head.len() + part.len());
        let (front, back) = slots[index][whole.clone()].split_at_mut(head.len());
        front.copy_from_slice(head);
        back.copy_from_slice(&aside[0][FRONT..][part]);
        whole
    }
}
