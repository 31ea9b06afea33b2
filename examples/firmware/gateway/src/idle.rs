//! Sleeping until there is something to do: a card's interrupt, or a timer that goes off in any case.
//!
//! Interrupts stay masked at the CPU. They end its sleep all the same, and nothing ever runs between two lines of the
//! forwarding loop.

use aarch64_cpu::asm::{barrier, wfi};
use aarch64_cpu::registers::{CNTFRQ_EL0, CNTV_CTL_EL0, CNTV_TVAL_EL0, Readable, Writeable};
use arm_gic::gicv2::GicV2;
use arm_gic::{IntId, InterruptGroup, Trigger};

/// Where the virt machine has its interrupt controller: distributor and CPU interface.
const DISTRIBUTOR: usize = 0x0800_0000;
const CPU_INTERFACE: usize = 0x0801_0000;
/// The virtual timer's interrupt.
const TIMER: IntId = IntId::ppi(11);
/// The longest sleep: keys are looked for, and questions become due, this many times a second.
const PER_SECOND: u64 = 100;

/// The interrupt controller.
pub struct Idle {
    gic: GicV2<'static>,
}

impl Idle {
    /// Lets these interrupts end a sleep.
    ///
    /// # Safety
    ///
    /// Nobody else uses the interrupt controller.
    pub unsafe fn new(cards: &[IntId]) -> Self {
        // SAFETY: it is there and mapped, and it is only ours.
        let mut gic = unsafe { GicV2::new(DISTRIBUTOR as _, CPU_INTERFACE as _) };
        gic.setup();
        for card in cards {
            gic.set_trigger(*card, Trigger::Edge);
            let _ = gic.enable_interrupt(*card, true);
        }
        let _ = gic.enable_interrupt(TIMER, true);
        Self { gic }
    }

    /// Sleeps until a card has something, 10 ms at most. What came since the last sleep ends it at once.
    pub fn sleep(&mut self) {
        CNTV_TVAL_EL0.set(CNTFRQ_EL0.get() / PER_SECOND);
        CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::SET);
        barrier::dsb(barrier::SY);
        wfi();
        CNTV_CTL_EL0.write(CNTV_CTL_EL0::ENABLE::CLEAR);
        barrier::isb(barrier::SY);
        let group = InterruptGroup::Group0;
        while let Some(interrupt) = self.gic.get_and_acknowledge_interrupt(group) {
            self.gic.end_interrupt(interrupt, group);
        }
    }
}
