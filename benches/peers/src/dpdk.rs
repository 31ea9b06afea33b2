//! DPDK's `rte_hash`, through `dpdk/shim.c`.

use core::ffi::{CStr, c_char, c_int, c_void};

pub const VERSION: &str = env!("DPDK_VERSION");

unsafe extern "C" {
    fn shim_init() -> c_int;
    fn shim_create(name: *const c_char, entries: u32, seed: u64) -> *mut c_void;
    fn shim_add(table: *const c_void, key: u64, value: u64) -> c_int;
    fn shim_remove(table: *const c_void, key: u64) -> c_int;
    fn shim_hits(table: *const c_void, keys: *const u64, count: usize) -> u64;
    fn shim_hits_dependent(table: *const c_void, keys: *const u64, count: usize) -> u64;
    fn shim_hits_bulk(table: *const c_void, keys: *const u64, count: usize) -> u64;
    fn shim_memory() -> u64;
}

/// Starts DPDK's environment; once a process.
pub fn init() -> Result<(), String> {
    // SAFETY: called once, from the main thread.
    if unsafe { shim_init() } < 0 { Err("rte_eal_init failed".into()) } else { Ok(()) }
}

/// Lives as long as the process.
#[derive(Clone, Copy)]
pub struct Table(*mut c_void);

// SAFETY (of every call here): the pointer came from `rte_hash_create` and is never freed; slices are as long as said.
impl Table {
    /// A table, and the bytes it took.
    pub fn new(name: &CStr, entries: usize) -> Result<(Self, usize), String> {
        let before = unsafe { shim_memory() };
        let table = unsafe { shim_create(name.as_ptr(), entries as u32, 7) };
        let bytes = unsafe { shim_memory() } - before;
        if table.is_null() {
            Err(format!("rte_hash_create: {entries} entries"))
        } else {
            Ok((Self(table), bytes as usize))
        }
    }

    pub fn add(self, key: u64, value: u64) -> bool {
        unsafe { shim_add(self.0, key, value) == 0 }
    }

    pub fn remove(self, key: u64) -> bool {
        unsafe { shim_remove(self.0, key) >= 0 }
    }

    pub fn hits(self, keys: &[u64]) -> u64 {
        unsafe { shim_hits(self.0, keys.as_ptr(), keys.len()) }
    }

    pub fn hits_dependent(self, keys: &[u64]) -> u64 {
        unsafe { shim_hits_dependent(self.0, keys.as_ptr(), keys.len()) }
    }

    pub fn hits_bulk(self, keys: &[u64]) -> u64 {
        unsafe { shim_hits_bulk(self.0, keys.as_ptr(), keys.len()) }
    }
}
