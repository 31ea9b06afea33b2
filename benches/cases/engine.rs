//! Steps, and what they lead to.

use core::cell::RefCell;
use std::rc::Rc;

use vtep::engine::Verdict;

use super::floor::PACKETS;
use super::overlay::{Overlay, Plan, Pool, Way};
use super::{Case, Random, Work};

type Shared = Rc<RefCell<Overlay>>;

/// What is measured of a packet.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Step,
    /// Step and rewrite.
    Both,
    Rewrite,
}

/// Packets between stations drawn anew for each run.
struct Traffic {
    overlay: Shared,
    pool: Pool,
    random: Random,
    part: Part,
    batch: bool,
    verdicts: Vec<Verdict>,
}

impl Work for Traffic {
    fn prepare(&mut self) {
        let Plan { macs, vnis, train, flows, .. } = self.overlay.borrow().plan;
        let random = &mut self.random;
        let mut draw = || {
            let (vni, each) = (random.below(vnis.min(macs)), macs.div_ceil(vnis));
            let mut station = || (vni + vnis * random.below(each)) % macs.next_multiple_of(vnis).max(1);
            (station().min(macs - 1), station().min(macs - 1))
        };
        self.pool.aim((0..PACKETS.div_ceil(train)).flat_map(|_| core::iter::repeat_n(draw(), train)));
        if flows {
            self.pool.draw_flows(random);
        }
        if self.part == Part::Rewrite {
            self.verdicts = self.overlay.borrow_mut().verdicts(&self.pool);
        }
    }

    fn run(&mut self) -> u64 {
        let mut overlay = self.overlay.borrow_mut();
        match self.part {
            Part::Step => overlay.step_only(&mut self.pool, self.batch),
            Part::Both => overlay.carry(&mut self.pool, self.batch),
            Part::Rewrite => overlay.rewrite(&mut self.pool, &self.verdicts),
        }
    }
}

/// Both ways through one engine, one by one and in batches of 32.
pub fn traffic(plan: Plan) -> Vec<Case> {
    let overlay = Rc::new(RefCell::new(Overlay::new(plan)));
    let mut cases = Vec::new();
    for (way, ways) in [(Way::Encap, "encap"), (Way::Decap, "decap")] {
        for (part, parts) in [(Part::Both, ""), (Part::Step, "/step"), (Part::Rewrite, "/rewrite")] {
            for (batch, how) in [(true, "batch"), (false, "single")] {
                if part == Part::Rewrite && batch {
                    continue;
                }
                let traffic = Traffic {
                    overlay: overlay.clone(),
                    pool: Pool::new(plan, way),
                    random: Random(way as u64),
                    part,
                    batch,
                    verdicts: Vec::new(),
                };
                let how = if part == Part::Rewrite { String::new() } else { format!("/{how}") };
                cases.push(Case::new(format!("{ways}/{}{parts}{how}", plan.name()), PACKETS, traffic));
            }
        }
    }
    cases
}

/// The overlays that are measured, the smaller ones first.
pub fn plans() -> Vec<Plan> {
    let sizes = [1, 10_000, 100_000, 1_000_000].map(|macs| Plan { macs, ..Plan::VXLAN });
    let (vxlan, geneve) = (Plan::VXLAN, Plan::GENEVE);
    let others = [
        Plan { macs: 1, flows: true, ..vxlan },
        Plan { train: 8, ..vxlan },
        Plan { train: 8, flows: true, ..vxlan },
        Plan { checksum: true, ..vxlan },
        Plan { ipv6: true, checksum: true, ..vxlan },
        Plan { vnis: 1_000, ..vxlan },
        Plan { vnis: 1_000, macs: 100_000, ..vxlan },
        geneve,
        Plan { options: 1, ..geneve },
        Plan { options: 3, ..geneve },
        Plan { options: 16, ..geneve },
        Plan { options: 1, labels: true, ..geneve },
        Plan { options: 1, labels: true, policy: true, ..geneve },
        Plan { options: 1, checksum: true, ..geneve },
        Plan { options: 1, ipv6: true, checksum: true, ..geneve },
        Plan { options: 1, macs: 100_000, ..geneve },
    ];
    sizes.into_iter().chain(others).collect()
}
