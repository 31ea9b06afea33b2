//! Counters: each packet once, at `step`; copies and rewrite errors beside them.

use core::cell::Cell;

use super::{DropReason, RewriteError, VerdictKind};

/// Codes counted globally.
const CODES: usize = 128;
/// Codes counted per VNI.
const BRIDGE_CODES: usize = 64;

/// The whole engine's counters.
///
/// Packets in = the sum over [`Self::iter`], always.
#[derive(Clone, Debug)]
pub struct Counters {
    by_code: [u64; CODES],
    /// Copies that [`Engine::next_copy`](super::Engine::next_copy) has handed out.
    copies: Cell<u64>,
    /// Copies it left out because they would pass the underlay's MTU.
    copies_too_big: Cell<u64>,
    /// Copies it left out because their port is gone.
    copies_refused: Cell<u64>,
    /// Copies it left out because a policy denies them.
    copies_denied: Cell<u64>,
    rewrite_errors: [Cell<u64>; RewriteError::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        Self::new()
    }
}

impl Counters {
    /// All zero.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            by_code: [0; CODES],
            copies: Cell::new(0),
            copies_too_big: Cell::new(0),
            copies_refused: Cell::new(0),
            copies_denied: Cell::new(0),
            rewrite_errors: [const { Cell::new(0) }; RewriteError::ALL.len()],
        }
    }

    /// Packets that ended with a verdict of this kind; drops of every reason for [`VerdictKind::Drop`].
    #[must_use]
    pub fn verdicts(&self, kind: VerdictKind) -> u64 {
        match kind {
            VerdictKind::Drop => self.by_code.iter().skip(16).fold(0, |sum, n| sum.wrapping_add(*n)),
            other => at(&self.by_code, other as u8),
        }
    }

    /// Packets dropped for this reason.
    #[must_use]
    pub fn drops(&self, reason: DropReason) -> u64 {
        at(&self.by_code, reason as u8)
    }

    /// All packets that were given to `step`.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.by_code.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// Names and values of the counters that are not zero, in the order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        named(&self.by_code)
    }

    /// Copies of floods handed out.
    #[must_use]
    pub fn copies(&self) -> u64 {
        self.copies.get()
    }

    /// Copies of floods left out because they would pass the underlay's MTU.
    #[must_use]
    pub fn copies_too_big(&self) -> u64 {
        self.copies_too_big.get()
    }

    /// Copies of floods left out because their port is gone.
    #[must_use]
    pub fn copies_refused(&self) -> u64 {
        self.copies_refused.get()
    }

    /// Copies of floods left out because the bridge's policy denies them, or because the group has more bits than the
    /// tunnel header's field.
    #[must_use]
    pub fn copies_denied(&self) -> u64 {
        self.copies_denied.get()
    }

    /// Rewrites that failed for this reason.
    #[must_use]
    pub fn rewrite_errors(&self, error: RewriteError) -> u64 {
        self.rewrite_errors.get(usize::from(error as u8)).map_or(0, Cell::get)
    }

    #[inline]
    pub(super) fn count(&mut self, code: u8) {
        bump(&mut self.by_code, code);
    }

    pub(super) fn count_copy(&self) {
        self.copies.set(self.copies.get().wrapping_add(1));
    }

    pub(super) fn count_copy_too_big(&self) {
        self.copies_too_big.set(self.copies_too_big.get().wrapping_add(1));
    }

    pub(super) fn count_copy_refused(&self) {
        self.copies_refused.set(self.copies_refused.get().wrapping_add(1));
    }

    pub(super) fn count_copy_denied(&self) {
        self.copies_denied.set(self.copies_denied.get().wrapping_add(1));
    }

    pub(super) fn count_rewrite_error(&self, error: RewriteError) {
        if let Some(cell) = self.rewrite_errors.get(usize::from(error as u8)) {
            cell.set(cell.get().wrapping_add(1));
        }
    }

    pub(super) fn codes(&self) -> &[u64] {
        &self.by_code
    }
}

/// One bridge's counters.
#[derive(Clone, Copy, Debug)]
pub struct BridgeCounters {
    by_code: [u64; BRIDGE_CODES],
    bytes_from_ports: u64,
    bytes_from_tunnels: u64,
}

impl Default for BridgeCounters {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl BridgeCounters {
    /// All zero.
    pub const EMPTY: Self = Self { by_code: [0; BRIDGE_CODES], bytes_from_ports: 0, bytes_from_tunnels: 0 };

    /// Packets of this bridge that ended with a verdict of this kind.
    #[must_use]
    pub fn verdicts(&self, kind: VerdictKind) -> u64 {
        match kind {
            VerdictKind::Drop => self.by_code.iter().skip(16).fold(0, |sum, n| sum.wrapping_add(*n)),
            other => at(&self.by_code, other as u8),
        }
    }

    /// Packets of this bridge dropped for this reason; 0 for reasons that are counted globally only.
    #[must_use]
    pub fn drops(&self, reason: DropReason) -> u64 {
        at(&self.by_code, reason as u8)
    }

    /// All packets of this bridge.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.by_code.iter().fold(0, |sum, n| sum.wrapping_add(*n))
    }

    /// Bytes of frames from ports, before any edit.
    #[must_use]
    pub fn bytes_from_ports(&self) -> u64 {
        self.bytes_from_ports
    }

    /// Bytes of inner frames from tunnels, before any edit.
    #[must_use]
    pub fn bytes_from_tunnels(&self) -> u64 {
        self.bytes_from_tunnels
    }

    /// Names and values of the counters that are not zero, in the order of their codes.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> + '_ {
        named(&self.by_code)
    }

    #[inline]
    pub(super) fn count(&mut self, code: u8, from_port: bool, bytes: u32) {
        bump(&mut self.by_code, code);
        let total = if from_port { &mut self.bytes_from_ports } else { &mut self.bytes_from_tunnels };
        *total = total.wrapping_add(u64::from(bytes));
    }
}

#[inline]
fn bump(counters: &mut [u64], code: u8) {
    if let Some(counter) = counters.get_mut(usize::from(code)) {
        *counter = counter.wrapping_add(1);
    }
}

fn at(counters: &[u64], code: u8) -> u64 {
    counters.get(usize::from(code)).copied().unwrap_or(0)
}

fn named(counters: &[u64]) -> impl Iterator<Item = (&'static str, u64)> + '_ {
    let kinds = VerdictKind::FORWARDED.into_iter().map(|k| (k as u8, k.name()));
    let drops = DropReason::ALL.iter().map(|r| (*r as u8, r.name()));
    kinds.chain(drops).map(|(code, name)| (name, at(counters, code))).filter(|(_, n)| *n != 0)
}
