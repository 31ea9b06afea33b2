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
/// An odd number of cache lines, so that the buffers' beginnings do not compete for the same ones.
const STRIDE: usize = FRONT + LONGEST;
const _: () = assert!(STRIDE % 128 == 64);

/// As many buffers as a batch has packets.
pub struct Buffers(Vec<u8>);

impl Buffers {
    pub fn new() -> Self {
        Self(vec![0; STRIDE * BATCH])
    }

    /// A buffer, headroom included.
    pub fn slot(&mut self, index: usize) -> &mut [u8] {
        &mut self.0[index * STRIDE..][..STRIDE]
    }

    /// A part of a buffer.
    pub fn get(&self, index: usize, range: Range<usize>) -> &[u8] {
        &self.0[index * STRIDE..][..STRIDE][range]
    }

    /// Where to read a frame to.
    pub fn room(&mut self, index: usize) -> &mut [u8] {
        &mut self.slot(index)[FRONT..]
    }

    /// [`Self::room`] of every buffer.
    pub fn rooms(&mut self) -> impl Iterator<Item = [IoSliceMut<'_>; 1]> {
        self.0.chunks_exact_mut(STRIDE).map(|slot| [IoSliceMut::new(&mut slot[FRONT..])])
    }

    /// What was read, as a range of its buffer.
    pub const fn filled(len: usize) -> Range<usize> {
        FRONT..FRONT + len
    }
}
