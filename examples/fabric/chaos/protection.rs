//! What a seed makes of groups, rules, storm control, duplicate detection and batches.

use super::random::Random;
use super::scenario::{DuplicatesShape, Event, PolicyShape, RuleShape, Shape, What};

pub struct Draw {
    random: Random,
    /// The groups of each tenant; none where it has no policy.
    groups: Vec<Vec<u32>>,
}

impl Draw {
    pub const fn new(random: Random) -> Self {
        Self { random, groups: Vec::new() }
    }

    /// Adds to a shape what protects it.
    pub fn protect(&mut self, shape: &mut Shape) {
        for tenant in &mut shape.tenants {
            let groups = match tenant.geneve {
                // A group policy ID has 16 bits.
                false => self.random.pick(&[[1, 2, 3], [0xffff, 0x100, 1]]),
                true => self.random.pick(&[[1, 2, 3], [0xff_fffe, 0x01_0000, 1]]),
            };
            let groups = if self.random.chance(4000) { groups.to_vec() } else { Vec::new() };
            if !groups.is_empty() {
                let mut rules = Vec::new();
                (0..self.random.below(7)).for_each(|_| self.rule(&groups).put(&mut rules));
                tenant.policy = Some(PolicyShape {
                    allow: self.random.chance(5000),
                    unlabelled: if self.random.chance(2000) { groups[0] } else { 0 },
                    ingress: self.random.chance(3000),
                    rules,
                });
            }
            self.groups.push(groups);
            if self.random.chance(2500) {
                tenant.storm = Some((self.random.pick(&[0, 1, 20]), self.random.pick(&[1, 3, 12])));
            }
            if self.random.chance(2500) {
                tenant.duplicates = Some(DuplicatesShape {
                    moves: self.random.within(2, 5) as u16,
                    window: self.random.pick(&[1, 10, 180]),
                    action: self.random.below(3) as u8,
                    recover: self.random.pick(&[0, 0, 1, 30]),
                });
            }
        }
        for host in &mut shape.hosts {
            let groups = &self.groups[usize::from(host.tenant)];
            if !groups.is_empty() {
                host.group = self.random.pick(groups);
            }
        }
        for vtep in &mut shape.vteps {
            vtep.batches = self.random.chance(3000);
            vtep.labels = self.random.chance(8500);
        }
    }

    fn rule(&mut self, groups: &[u32]) -> RuleShape {
        let mut group = || if self.random.chance(2500) { 0 } else { self.random.pick(groups) };
        RuleShape { from: group(), to: group(), allow: self.random.chance(5000) }
    }

    /// Changes of rules, in between and in front of the last event, which heals.
    pub fn insert_rules(&mut self, shape: &Shape, events: &mut Vec<Event>) {
        let with_policy: Vec<usize> = (0..self.groups.len()).filter(|at| !self.groups[*at].is_empty()).collect();
        if with_policy.is_empty() {
            return;
        }
        let count = events.len();
        for nth in 0..self.random.within(5, 30) {
            let tenant = with_policy[self.random.index(with_policy.len())];
            let groups = self.groups[tenant].clone();
            let vtep = self.random.index(shape.vteps.len()) as u16;
            let rule = self.rule(&groups);
            let remove = self.random.chance(3000);
            let what = What::Rule { vtep, tenant: tenant as u16, rule, remove };
            let place = self.random.index(events.len());
            let at = events[place].at;
            events.insert(place, Event { id: (count as u64 + nth) as u32, at, what });
        }
    }
}
