use vtep::table::{Action, Bucket, Enforce, Enforcement, GroupMatch, Policy, Rule, RuleId, RuleSlot};

use crate::opaque::{Any, any, hidden, pick, sink, some};

#[inline(never)]
pub fn every_call() {
    let (mut slots, mut buckets) = (hidden([const { RuleSlot::new() }; 8]), hidden([Bucket::EMPTY; 4]));
    sink(RuleSlot::default());
    let mut policy = hidden(Policy::new(some(&mut slots), some(&mut buckets), any()));
    while any() {
        sink(Policy::set(&mut policy, &any()));
        sink(Policy::remove(&mut policy, any(), any(), any()));
        Policy::remove_bridge(&mut policy, any());
        look(&policy);
    }
    sink(Enforcement::default());
}

pub fn look(policy: &Policy<'_>) {
    sink((Policy::decide(policy, any(), any(), any()), Policy::find(policy, any(), any(), any())));
    sink((Policy::get(policy, RuleId(any())), Policy::len(policy), Policy::is_empty(policy), Policy::capacity(policy)));
    Policy::hit(policy, RuleId(any()));
    for rule in Policy::iter(policy) {
        sink(rule);
    }
}

impl Any for Rule {
    fn any() -> Self {
        Self { bridge: any(), from: any(), to: any(), action: any() }
    }
}

impl Any for GroupMatch {
    fn any() -> Self {
        if any() { Self::Any } else { Self::Is(any()) }
    }
}

impl Any for Action {
    fn any() -> Self {
        pick(&[Self::Deny], Self::Allow)
    }
}

impl Any for Enforcement {
    fn any() -> Self {
        Self { at: Enforce::from_bits_truncate(any()), default: any(), unlabelled: any(), host: any() }
    }
}
