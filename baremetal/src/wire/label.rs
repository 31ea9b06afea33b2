use core::fmt::Write;

use vtep::wire::{Label, SecurityGroup, TrafficClass};

use crate::opaque::{Any, Characters, any, sink};

#[inline(never)]
pub fn every_call() {
    let group: SecurityGroup = any();
    sink((SecurityGroup::from_policy_id(any()), SecurityGroup::policy_id(group)));
    sink((SecurityGroup::get(group), SecurityGroup::is_none(group)));
    sink(write!(Characters, "{group}"));
    let class: TrafficClass = any();
    sink(TrafficClass::get(class));
    sink(write!(Characters, "{class}"));
    let label: Label = any();
    sink((Label::group(label), Label::class(label), Label::is_none(label)));
    sink((Label::of_group(group), Label::with_class(label, class)));
    sink(write!(Characters, "{label:?}"));
}

impl Any for SecurityGroup {
    fn any() -> Self {
        SecurityGroup::new(any()).unwrap_or(SecurityGroup::MAX)
    }
}

impl Any for TrafficClass {
    fn any() -> Self {
        TrafficClass::new(any()).unwrap_or(TrafficClass::MAX)
    }
}

impl Any for Label {
    fn any() -> Self {
        Label::new(any(), any())
    }
}
