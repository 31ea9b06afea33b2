//! A place for one value, made so that an empty one is all zero bits.

/// `Option` in a layout of its own. The compiler gives an `Option`'s `None` any bits that its value cannot have; an empty
/// `Slot` is zeros, so that tables in a `static` stand in `.bss` and cost no flash and no start-up copy.
#[derive(Clone, Copy, Debug, Default)]
#[repr(u8)]
pub(crate) enum Slot<T> {
    /// Nothing.
    #[default]
    Empty = 0,
    /// A value.
    Taken(T) = 1,
}

impl<T> Slot<T> {
    #[inline]
    pub(crate) const fn as_ref(&self) -> Option<&T> {
        match self {
            Self::Taken(value) => Some(value),
            Self::Empty => None,
        }
    }

    #[inline]
    pub(crate) const fn is_empty(&self) -> bool {
        matches!(self, Self::Empty)
    }
}
