//! Frames in static memory. Each belongs to one place at a time: the pool, a ring of a NIC, or the code at work.

use core::ops::Range;

use heapless::Vec;
use static_cell::ConstStaticCell;

/// Frames there are: both receive rings full, both transmit rings full.
pub const FRAMES: usize = 4 * crate::nic::QUEUE;
/// In front of a received frame: outer Ethernet, IPv4, UDP and Geneve (50 bytes), and the NIC's own header (12).
const ROOM: usize = 128;
/// Of room and frame: an underlay with 1,500 bytes of MTU fits.
const SIZE: usize = 2048;

/// A frame and the room in front of it.
pub struct Frame {
    bytes: [u8; SIZE],
    start: usize,
    end: usize,
}

/// A frame that nobody else has.
pub type Owned = &'static mut Frame;

impl Frame {
    const EMPTY: Self = Self { bytes: [0; SIZE], start: 0, end: 0 };

    /// The frame.
    pub fn frame(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Where the frame lies in the buffer.
    pub fn range(&self) -> Range<usize> {
        self.start..self.end
    }

    /// All of the buffer.
    pub fn buffer(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Says where the frame lies; what is not in the buffer is left out.
    pub fn set_range(&mut self, range: Range<usize>) {
        self.end = range.end.min(SIZE);
        self.start = range.start.min(self.end);
    }

    /// Room for a new frame of up to `len` bytes.
    pub fn fresh(&mut self, len: usize) -> &mut [u8] {
        self.set_range(ROOM..ROOM.saturating_add(len));
        &mut self.bytes[self.start..self.end]
    }

    /// The frame with `header` bytes in front of it.
    pub fn with_header(&mut self, header: usize) -> &mut [u8] {
        &mut self.bytes[self.start.saturating_sub(header)..self.end]
    }

    /// What a NIC may write to: `header` bytes in front of where the frame will lie, and all behind.
    pub fn landing(&mut self, header: usize) -> &mut [u8] {
        self.set_range(ROOM..SIZE);
        self.with_header(header)
    }
}

/// Frames that are free.
pub struct Pool {
    free: Vec<Owned, FRAMES>,
    /// How often one was wanted and there was none.
    pub exhausted: u32,
}

impl Pool {
    /// All frames. A second pool would be empty: there is none.
    pub fn new() -> Self {
        static MEMORY: ConstStaticCell<[Frame; FRAMES]> = ConstStaticCell::new([Frame::EMPTY; FRAMES]);
        Self { free: MEMORY.try_take().into_iter().flatten().collect(), exhausted: 0 }
    }

    /// A free frame.
    pub fn take(&mut self) -> Option<Owned> {
        let frame = self.free.pop();
        self.exhausted += u32::from(frame.is_none());
        frame
    }

    /// Gives a frame back.
    pub fn put(&mut self, frame: Owned) {
        // There is a place for every frame.
        let _ = self.free.push(frame);
    }
}
