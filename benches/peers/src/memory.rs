//! The same kind of memory for everyone: what is large comes in transparent huge pages, where the system has them.

use std::alloc::{GlobalAlloc, Layout, System};

const HUGE: usize = 2 << 20;

pub struct HugePages;

// SAFETY: memory comes from the system's allocator, with an alignment that is at least what was asked for, and goes back
// to it with the same layout.
unsafe impl GlobalAlloc for HugePages {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let address = unsafe { System.alloc(aligned(layout)) };
        advise(address, layout);
        address
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if layout.size() < HUGE {
            return unsafe { System.alloc_zeroed(layout) };
        }
        let address = unsafe { self.alloc(layout) };
        if !address.is_null() {
            unsafe { address.write_bytes(0, layout.size()) };
        }
        address
    }

    unsafe fn dealloc(&self, address: *mut u8, layout: Layout) {
        unsafe { System.dealloc(address, aligned(layout)) };
    }
}

fn aligned(layout: Layout) -> Layout {
    if layout.size() < HUGE {
        return layout;
    }
    Layout::from_size_align(layout.size().next_multiple_of(HUGE), HUGE).unwrap_or(layout)
}

fn advise(address: *mut u8, layout: Layout) {
    unsafe extern "C" {
        fn madvise(address: *mut u8, len: usize, advice: i32) -> i32;
    }
    const MADV_HUGEPAGE: i32 = 14;
    if layout.size() >= HUGE && !address.is_null() {
        // SAFETY: the range is ours. A refusal only means small pages.
        unsafe { madvise(address, layout.size().next_multiple_of(HUGE), MADV_HUGEPAGE) };
    }
}
