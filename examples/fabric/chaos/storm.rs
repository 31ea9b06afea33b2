//! What a bridge may still flood, counted beside its engine.

use vtep::engine::{DropReason, Verdict};
use vtep::table::{Rate, StormControl};
use vtep::wire::MacAddr;

use super::violation::{Held, Promise};

/// Thousandths of a frame.
const FRAME: u64 = 1000;

#[derive(Clone, Debug)]
pub struct Storm {
    per_second: u32,
    burst: u32,
    /// Of broadcast, multicast and unknown unicast.
    levels: [Level; 3],
}

/// What is left: so much at least, and so much at most. They differ where a frame was dropped for its source: it may have
/// taken a share before.
#[derive(Clone, Copy, Debug)]
struct Level {
    least: u64,
    most: u64,
    /// Milliseconds on the engine's clock.
    at: u64,
}

impl Storm {
    pub const fn new((per_second, burst): (u32, u32)) -> Self {
        let full = burst as u64 * FRAME;
        Self { per_second, burst, levels: [Level { least: full, most: full, at: 0 }; 3] }
    }

    pub const fn control((per_second, burst): (u32, u32)) -> StormControl {
        StormControl::each(Rate { per_second, burst })
    }

    /// Nothing is left, as far as this knows.
    pub fn empty(&mut self) {
        self.levels.iter_mut().for_each(|level| (level.least, level.most) = (0, 0));
        self.per_second = 0;
    }

    /// A packet and what became of it.
    pub fn note(&mut self, now: u64, dst: MacAddr, verdict: &Verdict) -> Held {
        let kind = if dst.is_broadcast() { 0 } else { 1 + usize::from(!dst.is_multicast()) };
        let full = u64::from(self.burst) * FRAME;
        let level = &mut self.levels[kind];
        let back = now.saturating_sub(level.at).saturating_mul(self.per_second.into());
        let refilled = |left: u64| left.saturating_add(back).min(full);
        *level = Level { least: refilled(level.least), most: refilled(level.most), at: now.max(level.at) };
        let before = *level;
        match verdict {
            Verdict::Flood(_) => {
                level.least = level.least.saturating_sub(FRAME);
                level.most = level.most.saturating_sub(FRAME);
                Promise::StormsEnd.that(before.most >= FRAME, || format!("{dst} was flooded, with {before:?}"))
            }
            Verdict::Drop(DropReason::StormControl) => {
                level.most = level.most.min(FRAME - 1);
                Promise::StormsEnd.that(before.least < FRAME, || format!("{dst} was held back, with {before:?}"))
            }
            Verdict::Drop(DropReason::SourceMacStatic | DropReason::SourceMacOwn | DropReason::SourceMacDuplicate) => {
                level.least = level.least.saturating_sub(FRAME);
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
