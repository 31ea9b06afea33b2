//! The scenarios, each with a file of its own for its kind.

mod ageing;
mod classes;
mod extensions;
mod group;
mod groups;
mod mesh;
mod ovs;
mod survival;
mod unicast;

use crate::lab::needs::Scenario;

/// All of them, in the order they run.
pub(crate) fn all() -> Vec<Scenario> {
    let kinds = [
        unicast::SCENARIOS,
        group::SCENARIOS,
        extensions::SCENARIOS,
        ovs::SCENARIOS,
        groups::SCENARIOS,
        classes::SCENARIOS,
        mesh::SCENARIOS,
        ageing::SCENARIOS,
        survival::SCENARIOS,
    ];
    kinds.into_iter().flatten().copied().collect()
}
