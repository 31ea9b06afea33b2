//! Choices made by the fuzzer's bytes, one byte each as a rule, so that a change of one byte changes one thing. Where the
//! bytes have run out, the first choice is taken.

use arbitrary::Unstructured;

pub struct Draw<'a>(Unstructured<'a>);

impl<'a> Draw<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(Unstructured::new(bytes))
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// One of a list.
    pub fn one<T: Copy>(&mut self, list: &[T]) -> T {
        self.0.choose(list).copied().unwrap_or(list[0])
    }

    /// One of the first list, or in one of `of` cases one of the second.
    pub fn seldom<T: Copy>(&mut self, of: u8, list: &[T], odd: &[T]) -> T {
        if self.chance(of) { self.one(odd) } else { self.one(list) }
    }

    /// Yes in one of `of` cases.
    pub fn chance(&mut self, of: u8) -> bool {
        self.up_to(usize::from(of)) + 1 == usize::from(of)
    }

    /// From 0 to `end` - 1.
    pub fn up_to(&mut self, end: usize) -> usize {
        self.0.int_in_range(0..=end - 1).unwrap_or(0)
    }

    pub fn byte(&mut self) -> u8 {
        self.0.arbitrary().unwrap_or(0)
    }

    pub fn word(&mut self) -> u64 {
        self.0.arbitrary().unwrap_or(0)
    }
}
