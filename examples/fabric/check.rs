//! Expectations, compared with what happened. A failure is a line that says which.

use core::fmt::Debug;

use vtep::engine::{RewriteError, VerdictKind};

use crate::model::{Expected, Model};
use crate::node::BRIDGE;
use crate::print;
use crate::world::{Trace, World};

/// Fails with `what` unless `holds`.
pub fn that(holds: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(what()) }
}

/// Fails unless the two are the same.
pub fn same<T: PartialEq + Debug>(what: impl FnOnce() -> String, got: &T, expected: &T) -> Result<(), String> {
    that(got == expected, || format!("{}: expected {expected:?}, got {got:?}", what()))
}

/// A frame went where it should, once, and nowhere else.
pub fn trace(world: &World<'_>, trace: &Trace, expected: &Expected) -> Result<(), String> {
    let frame = trace.content;
    same(|| format!("{frame}: verdict where it entered"), &trace.verdict, &Some(expected.verdict))?;
    same(|| format!("{frame}: underlay frames"), &trace.sent, &expected.sent)?;
    let vteps = |list: &[usize]| sorted(list.iter().map(|vtep| world.vteps[*vtep].name.clone()));
    same(|| format!("{frame}: VTEPs that got it"), &vteps(&trace.received), &vteps(&expected.received))?;
    let pods = |list: &[usize]| sorted(list.iter().map(|pod| world.pods[*pod].ip));
    same(|| format!("{frame}: pods that got it"), &pods(&trace.delivered), &pods(&expected.delivered))?;
    let sender = &world.pods[trace.from];
    that(!trace.delivered.contains(&trace.from), || format!("{frame}: came back to {}", sender.ip))?;
    that(!trace.received.contains(&sender.vtep), || format!("{frame}: came back to {}", world.vteps[sender.vtep].name))
}

/// What the VTEPs have reported as learned since the last look is what they should have learned.
pub fn learning(world: &mut World<'_>, model: &mut Model<'_>) -> Result<(), String> {
    let (got, expected) = (core::mem::take(&mut world.events), core::mem::take(&mut model.events));
    difference(world, "learned", got, expected)
}

/// Every VTEP knows what it should know, and nothing else.
pub fn tables(world: &World<'_>, model: &mut Model<'_>) -> Result<(), String> {
    for (number, vtep) in world.vteps.iter().enumerate() {
        let known = model.known(world.now, number);
        let name = |what: &str| format!("FDB of {}: {what}", vtep.name);
        same(|| name("entries"), &vtep.engine.fdb().count(), &known.len())?;
        for (mac, place) in known {
            let entry = vtep.engine.lookup(BRIDGE, mac);
            let found = entry.and_then(|entry| vtep.engine.place(entry.destination()));
            same(|| name(&mac.to_string()), &found.map(|place| print::name(&place)), &Some(place))?;
        }
    }
    Ok(())
}

/// What has aged was reported, each once.
pub fn ageing(world: &mut World<'_>, model: &mut Model<'_>) -> Result<(), String> {
    let (got, expected) = (core::mem::take(&mut world.aged), core::mem::take(&mut model.aged));
    difference(world, "forgotten", got, expected)
}

/// Fails with the first event that is on one list only.
fn difference(
    world: &World<'_>,
    what: &str,
    got: Vec<(usize, String)>,
    expected: Vec<(usize, String)>,
) -> Result<(), String> {
    let (got, expected) = (sorted(got), sorted(expected));
    let at = got.iter().zip(&expected).take_while(|(a, b)| a == b).count();
    let (problem, (vtep, event)) = match (got.get(at), expected.get(at)) {
        (None, None) => return Ok(()),
        (Some(extra), None) => ("unexpected", extra),
        (Some(extra), Some(missing)) if extra < missing => ("unexpected", extra),
        (_, Some(missing)) => ("missing", missing),
    };
    Err(format!("what {} has {what}: {problem}: {event}", world.vteps[*vtep].name))
}

/// Packets in = sum of verdict counters, and each counter is what the story makes it.
pub fn counters(world: &World<'_>, model: &Model<'_>) -> Result<(), String> {
    for (number, vtep) in world.vteps.iter().enumerate() {
        let counters = vtep.engine.counters();
        let name = |what: &str| format!("{}: {what}", vtep.name);
        same(|| name("packets counted"), &counters.packets(), &vtep.steps)?;
        let sum: u64 = counters.iter().map(|(_, count)| count).sum();
        same(|| name("sum of verdict counters"), &sum, &vtep.steps)?;
        let bridge = vtep.engine.bridge_counters(BRIDGE).map_or(0, |counters| counters.packets());
        same(|| name("packets of VNI 5000"), &bridge, &vtep.steps)?;
        for kind in VerdictKind::FORWARDED.into_iter().chain([VerdictKind::Drop]) {
            let expected = model.verdicts[number].get(&kind).copied().unwrap_or(0);
            same(|| name(kind.name()), &counters.verdicts(kind), &expected)?;
        }
        same(|| name("copies of floods"), &counters.copies(), &model.copies[number])?;
        let left_out = counters.copies_too_big() + counters.copies_refused();
        same(|| name("copies left out"), &left_out, &0)?;
        for error in RewriteError::ALL {
            same(|| name(error.name()), &counters.rewrite_errors(*error), &0)?;
        }
        same(|| name("events lost"), &vtep.engine.lost_events(), &0)?;
    }
    Ok(())
}

fn sorted<T: Ord>(items: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut items: Vec<T> = items.into_iter().collect();
    items.sort();
    items
}
