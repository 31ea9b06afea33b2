//! Values that no optimiser can see through.

use core::hint::black_box;

unsafe extern "C" {
    static opaque_register: u32;
    static mut bss_start: u64;
    static mut bss_end: u64;
    static mut data_start: u64;
    static mut data_end: u64;
    static data_load: u64;
}

/// A value the compiler must take to be any value of the type.
pub fn any<T: Any>() -> T {
    T::any()
}

/// One of `choices`, or `otherwise`.
pub fn pick<T: Copy>(choices: &[T], otherwise: T) -> T {
    choices.get(any::<usize>()).copied().unwrap_or(otherwise)
}

/// Bytes of any content and any length from 0 to 2048.
pub fn bytes() -> &'static [u8] {
    static BYTES: [u8; 2048] = [0; 2048];
    black_box(&BYTES).get(..any()).unwrap_or(black_box(&[]))
}

/// Runs `call` on a buffer of any content and any length from 0 to 2048.
pub fn with_buffer<R>(call: impl FnOnce(&mut [u8]) -> R) -> R {
    let mut buffer = [0; 2048];
    let buffer = black_box(&mut buffer);
    let len = any::<usize>().min(buffer.len());
    call(buffer.get_mut(..len).unwrap_or_default())
}

/// The value is used, for all the optimiser knows.
pub fn sink<T>(value: T) {
    black_box(&value);
}

/// Takes what `Display` writes.
pub struct Characters;

impl core::fmt::Write for Characters {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        sink(text);
        if any() { Ok(()) } else { Err(core::fmt::Error) }
    }
}

/// The first so many of `items`, nobody knows how many.
pub fn some<T>(items: &mut [T]) -> &mut [T] {
    items.get_mut(..any()).unwrap_or_default()
}

/// The same value, of which the optimiser no longer knows where it came from.
pub fn hidden<T>(value: T) -> T {
    black_box(value)
}

/// What start-up code does: zeroes `.bss` and copies `.data` from flash.
pub fn prepare_memory() {
    // SAFETY: the linker script aligns the symbols that bound the sections, which nothing uses before this.
    unsafe {
        let mut word = &raw mut bss_start;
        while word < &raw mut bss_end {
            word.write_volatile(0);
            word = word.add(1);
        }
        let (mut word, mut load) = (&raw mut data_start, &raw const data_load);
        while word < &raw mut data_end {
            word.write_volatile(load.read_volatile());
            (word, load) = (word.add(1), load.add(1));
        }
    }
}

/// Types of which [`any`] makes a value.
pub trait Any: Sized {
    fn any() -> Self;
}

impl Any for u32 {
    fn any() -> Self {
        // SAFETY: the linker script places the register at an aligned address of the device.
        unsafe { (&raw const opaque_register).read_volatile() }
    }
}

macro_rules! cast_from_u32 {
    ($($type:ty),*) => { $(impl Any for $type { fn any() -> Self { u32::any() as $type } })* };
}
cast_from_u32!(u8, u16, usize, i32);

impl Any for u64 {
    fn any() -> Self {
        u64::from(u32::any()) << 32 | u64::from(u32::any())
    }
}

impl Any for u128 {
    fn any() -> Self {
        u128::from(u64::any()) << 64 | u128::from(u64::any())
    }
}

impl Any for bool {
    fn any() -> Self {
        u32::any() & 1 != 0
    }
}

impl<T: Any, const N: usize> Any for [T; N] {
    fn any() -> Self {
        core::array::from_fn(|_| T::any())
    }
}

impl<T: Any> Any for Option<T> {
    fn any() -> Self {
        if bool::any() { Some(T::any()) } else { None }
    }
}

impl<A: Any, B: Any> Any for (A, B) {
    fn any() -> Self {
        (A::any(), B::any())
    }
}

impl Any for core::net::Ipv4Addr {
    fn any() -> Self {
        Self::from_bits(u32::any())
    }
}

impl Any for core::net::Ipv6Addr {
    fn any() -> Self {
        Self::from_bits(u128::any())
    }
}

impl Any for core::net::IpAddr {
    fn any() -> Self {
        if bool::any() { Self::V4(any()) } else { Self::V6(any()) }
    }
}
