//! What was to be shown: targets, what was measured, and whether that is enough.

use crate::cases::overlay::Plan;
use crate::measure::{Group, Spread};
use crate::results::Results;
use crate::tail::Sweep;

pub struct Show {
    pub what: String,
    pub target: f64,
    pub measured: Option<Spread>,
    pub unit: &'static str,
    /// The key of the reason in the page's template, where there is one.
    pub topic: &'static str,
}

impl Show {
    pub fn met(&self) -> Option<bool> {
        self.measured.map(|spread| spread.median <= self.target)
    }
}

pub fn all(results: &Results) -> Vec<Show> {
    let mut shows = Vec::new();
    traffic(results, &mut shows);
    tables(results, &mut shows);
    codec(results, &mut shows);
    tails(results, &mut shows);
    shows
}

fn traffic(results: &Results, shows: &mut Vec<Show>) {
    for (size, target) in [("1", 60.0), ("10k", 70.0), ("100k", 95.0), ("1M", 170.0)] {
        let Some(group) = results.group(&format!("engine/{size}")) else { continue };
        for (way, ways) in [("encap", "encapsulation"), ("decap", "decapsulation")] {
            shows.push(Show {
                what: format!("{ways} with learning, VXLAN, {}, batches of 32", macs(size)),
                target,
                measured: group.scaled(&format!("{way}/vxlan/v4/{size}/batch")),
                unit: "cycles",
                topic: way,
            });
        }
    }
    for size in ["1", "10k"] {
        let Some(group) = results.group(&format!("engine/{size}")) else { continue };
        for (way, ways) in [("encap", "encapsulation"), ("decap", "decapsulation")] {
            let name = |how| format!("{way}/vxlan/v4/{size}/{how}");
            shows.push(Show {
                what: format!("{ways}, {}, one by one over batches", macs(size)),
                target: 1.3,
                measured: group.ratio(&name("single"), &name("batch")),
                unit: "times",
                topic: "single",
            });
        }
    }
}

pub fn macs(size: &str) -> String {
    if size == "1" { "1 MAC a side".into() } else { format!("{size} + {size} MACs") }
}

fn tables(results: &Results, shows: &mut Vec<Show>) {
    let limits = [
        ("hit", "hit", "hashbrown", [1.4, 1.2, 1.1, 1.0], "hashbrown"),
        ("hit", "hit", "rte_hash", [0.15, 0.15, 0.2, 0.15], "rte_hash"),
        ("hit-bulk", "hit-bulk", "rte_hash", [0.25, 0.25, 0.35, 0.35], "rte_bulk"),
    ];
    for (ours, theirs, peer, targets, topic) in limits {
        for (size, target) in ["1k", "16k", "128k", "1M"].into_iter().zip(targets) {
            let Some(group) = results.group(&format!("fdb/{size}")) else { continue };
            let name = |what: &str, who: &str| format!("fdb/{size}/{what}/{who}");
            let how = if ours == "hit" { "single hits" } else { "hits in bulks of 32" };
            shows.push(Show {
                what: format!("table of {size}, {how}, over {peer}"),
                target,
                measured: group.ratio(&name(ours, "vtep"), &name(theirs, peer)),
                unit: "times",
                topic,
            });
        }
    }
    let bytes = results.bytes.get("fdb/1M/vtep").copied();
    shows.push(Show {
        what: "table of 1M, bytes a live entry at 90 % load (capacity is any multiple of 4)".into(),
        target: 18.0,
        measured: bytes.map(exact),
        unit: "bytes",
        topic: "bytes",
    });
}

fn exact(value: f64) -> Spread {
    Spread { low: value, median: value, high: value }
}

fn codec(results: &Results, shows: &mut Vec<Show>) {
    let group = results.group("codec");
    let ratio = |group: Option<&Group>, a: &str, b: &str| group.and_then(|group| group.ratio(a, b));
    let mut show = |what: &str, target, measured, topic| {
        shows.push(Show { what: what.into(), target, measured, unit: "times", topic });
    };
    show(
        "VXLAN parse with all checks, over smoltcp with the same checks",
        0.7,
        ratio(group, "parse/vxlan/v4/vtep", "parse/vxlan/v4/smoltcp, same checks"),
        "parse",
    );
    show(
        "the same with a UDP checksum over 72 bytes",
        0.7,
        ratio(group, "parse/vxlan/v4/checksum/vtep", "parse/vxlan/v4/checksum/smoltcp, same checks"),
        "parse",
    );
    show(
        "header rewrite (the template's), over a copy of 50 bytes",
        1.8,
        ratio(group, "write/vxlan/v4/vtep", crate::measure::CALIBRATION),
        "write",
    );
    let engine = results.group("engine/10k");
    show(
        "decapsulation with one Geneve option, over VXLAN's, 10k + 10k MACs, batches",
        1.1,
        ratio(engine, "decap/geneve/v4/options-1/10k/batch", "decap/vxlan/v4/10k/batch"),
        "geneve",
    );
    let plain = Plan::GENEVE;
    let labels = Plan { options: 1, labels: true, ..plain };
    for (what, plan, way, target) in [
        (
            "a step out of the tunnel with one Geneve option, over one without",
            Plan { options: 1, ..plain },
            "decap",
            1.1,
        ),
        ("the same with the group read, learned and judged", Plan { policy: true, ..labels }, "decap", 1.25),
        (
            "a step into the tunnel with a group and a policy, over one without",
            Plan { policy: true, ..labels },
            "encap",
            1.25,
        ),
    ] {
        let of = |plan: Plan| format!("{way}/{}/step/batch", plan.name());
        show(what, target, ratio(engine, &of(plan), &of(plain)), "metadata");
    }
    let flood = results.group("flood");
    for endpoints in ["16", "64", "1000"] {
        let (whole, floor) = (format!("flood/{endpoints}/whole"), format!("flood/{endpoints}/floor-copy"));
        let measured = flood.and_then(|group| {
            let scale = crate::measure::REFERENCE_COPY;
            let rounds = group.cases.get(&whole)?.iter().zip(group.cases.get(&floor)?);
            let rounds = rounds.zip(group.cases.get(crate::measure::CALIBRATION)?);
            Some(Spread::of(rounds.map(|((whole, floor), copy)| (whole - floor) / copy * scale).collect()))
        });
        shows.push(Show {
            what: format!("head-end replication to {endpoints}, a copy beyond the copy of its bytes"),
            target: 20.0,
            measured,
            unit: "cycles",
            topic: "flood",
        });
    }
}

fn tails(results: &Results, shows: &mut Vec<Show>) {
    shows.push(Show {
        what: "p99.9 of a step, a million entries swept when due, over not swept".into(),
        target: 1.05,
        measured: Some(results.ageing.ratio(Sweep::Due)),
        unit: "times",
        topic: "ageing",
    });
    for pressure in &results.pressure {
        shows.push(Show {
            what: format!(
                "full table of {} under newcomers ({}), worst step over median",
                pressure.slots, pressure.name
            ),
            target: 4.0,
            measured: Some(exact(pressure.tail.worst / pressure.tail.p50)),
            unit: "times",
            topic: "pressure",
        });
    }
}
