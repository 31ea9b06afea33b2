//! The page: its words stand in a template, its figures in the results.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::cases::overlay::Plan;
use crate::codec::PARSERS;
use crate::matrix::Answer;
use crate::measure::{CALIBRATION, Group, REFERENCE_COPY, Spread};
use crate::results::Results;
use crate::shows::{self, macs};
use crate::tail::{SWEEPS, Sweep};

/// Fills in the template: `{{name}}` is replaced by what has that name here; a line `{{reason TOPIC}} text` is what is said
/// of the shows of that topic that are not met.
pub fn render(template: &str, results: &Results, tuned: Option<&Results>) -> String {
    let mut reasons = BTreeMap::new();
    let mut words = String::new();
    for line in template.lines() {
        match line.strip_prefix("{{reason ").and_then(|rest| rest.split_once("}} ")) {
            Some((topic, reason)) => _ = reasons.insert(topic, reason),
            None => _ = writeln!(words, "{line}"),
        }
    }
    let parts: [(&str, String); 16] = [
        ("machine", machine(results)),
        ("commit", results.machine.commit.clone()),
        ("rounds", results.rounds.to_string()),
        ("scale", scale(results)),
        ("shows", shows_table(results, tuned, &reasons)),
        ("engine", engine_table(results)),
        ("engine-others", engine_others(results)),
        ("metadata", metadata(results)),
        ("tables", tables(results)),
        ("changes", changes(results)),
        ("bytes", bytes(results)),
        ("parse", parse_table(results)),
        ("write", write_table(results)),
        ("matrix", matrix(results)),
        ("flood", flood(results)),
        ("tails", tails(results)),
    ];
    parts.iter().fold(words, |page, (name, text)| page.replace(&format!("{{{{{name}}}}}"), text.trim_end()))
}

fn number(value: f64) -> String {
    match value {
        _ if value >= 100.0 => format!("{value:.0}"),
        _ if value >= 10.0 => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

fn spread(Spread { low, median, high }: Spread) -> String {
    if low == high { number(median) } else { format!("{} ({}–{})", number(median), number(low), number(high)) }
}

fn optional(value: Option<Spread>) -> String {
    value.map_or("—".into(), spread)
}

fn machine(results: &Results) -> String {
    let machine = &results.machine;
    let dpdk = machine.dpdk.as_ref().map_or("no DPDK".into(), |version| format!("DPDK {version}"));
    format!(
        "{}, {} cores in a virtual machine, TSC {:.3} GHz; {}; transparent huge pages: {}; load average before the run \
         {}; {}; {dpdk}; {}.",
        machine.cpu,
        machine.cores,
        machine.ghz,
        machine.kernel,
        machine.huge_pages,
        machine.load,
        machine.rustc,
        machine.date
    )
}

fn scale(results: &Results) -> String {
    let copies: Vec<f64> =
        results.groups.iter().filter_map(|group| group.cases.get(CALIBRATION)).flatten().copied().collect();
    let copy = Spread::of(copies);
    format!(
        "{} TSC cycles, {} ns, here; {} cycles on the reference machine: figures called *scaled* are multiplied by {} in \
         the median, each by its own round's copy",
        spread(copy),
        number(copy.median / results.machine.ghz),
        number(REFERENCE_COPY),
        number(REFERENCE_COPY / copy.median)
    )
}

fn shows_table(results: &Results, tuned: Option<&Results>, reasons: &BTreeMap<&str, &str>) -> String {
    let mut out = "| what | target, at most | measured | met | compiled for AVX2 | met | why not |\n\
                   |---|---|---|---|---|---|---|\n"
        .to_string();
    let met = |show: &shows::Show| match show.met() {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "not measured",
    };
    let tuned: Vec<_> = tuned.map(shows::all).unwrap_or_default();
    for show in shows::all(results) {
        let same = tuned.iter().find(|other| other.what == show.what);
        let (also, also_met) = same.map_or(("—".into(), "not measured"), |show| (optional(show.measured), met(show)));
        let why = match (show.met(), same.and_then(shows::Show::met)) {
            (None, _) => "what it is compared with was not there",
            (Some(true), None | Some(true)) => "",
            _ => reasons.get(show.topic).copied().unwrap_or("not known"),
        };
        let (target, unit, measured) = (number(show.target), show.unit, optional(show.measured));
        _ = writeln!(
            out,
            "| {} | {target} {unit} | {measured} | {} | {also} | {also_met} | {why} |",
            show.what,
            met(&show)
        );
    }
    out
}

/// Rows that others measured on the reference machine: work, and scaled cycles by size.
const QUOTED: [(&str, [&str; 4]); 8] = [
    ("VPP, VXLAN encapsulation (quoted)", ["140", "224", "458", "—"]),
    ("VPP, VXLAN decapsulation (quoted)", ["149", "267", "555", "—"]),
    ("VPP, Geneve encapsulation (quoted)", ["—", "332", "—", "—"]),
    ("VPP, Geneve decapsulation, options unread (quoted)", ["—", "596", "—", "—"]),
    ("OVS-DPDK, VXLAN encapsulation / decapsulation (quoted)", ["270 / 440", "1689 / 2118", "—", "—"]),
    ("OPTE, Geneve, flow-table hit, out / in (quoted)", ["610 / 660", "—", "—", "—"]),
    ("Linux, encapsulation with bridge / decapsulation (quoted)", ["8078 / 7000", "10406 / 6748", "—", "—"]),
    ("a throw-away floor by hand: AVX2, CRC32, prefetch, no checks (quoted)", ["34 / 33", "43 / 45", "65 / 89", "—"]),
];

const SIZES: [&str; 4] = ["1", "10k", "100k", "1M"];

fn engine_table(results: &Results) -> String {
    let mut out = format!("| scaled TSC cycles a packet | {} |\n|---|---|---|---|---|\n", SIZES.map(macs).join(" | "));
    let mut row = |title: &str, cell: &dyn Fn(&Group, &str) -> Option<String>| {
        let cells = SIZES.map(|size| {
            let group = results.group(&format!("engine/{size}"));
            group.and_then(|group| cell(group, size)).unwrap_or("—".into())
        });
        _ = writeln!(out, "| {title} | {} |", cells.join(" | "));
    };
    for (way, title) in [("encap", "encapsulation"), ("decap", "decapsulation with learning")] {
        for (how, hows) in [("batch", "batches of 32"), ("single", "one by one")] {
            let name = move |size: &str| format!("{way}/vxlan/v4/{size}/{how}");
            row(&format!("VXLAN, {title}, {hows}"), &|group, size| group.scaled(&name(size)).map(spread));
        }
        let batch = move |size: &str| format!("{way}/vxlan/v4/{size}/batch");
        row("… here: TSC cycles, ns, million a second a core", &|group, size| {
            let cycles = group.get(&batch(size))?.median;
            let ns = cycles / results.machine.ghz;
            Some(format!("{}, {}, {}", number(cycles), number(ns), number(1e3 / ns)))
        });
        let part = move |size: &str| format!("{way}/vxlan/v4/{size}/step/batch");
        row("… the step alone, batches", &|group, size| group.scaled(&part(size)).map(spread));
        let part = move |size: &str| format!("{way}/vxlan/v4/{size}/rewrite");
        row("… the rewrite alone", &|group, size| group.scaled(&part(size)).map(spread));
    }
    row("floor: its four table lines touched, independent", &|group, _| {
        group.scaled("floor-lines/independent").map(spread)
    });
    row("floor: the same, each packet's after the one's before", &|group, _| {
        group.scaled("floor-lines/dependent").map(spread)
    });
    row("floor: 50 bytes copied", &|group, _| group.scaled(CALIBRATION).map(|copy| number(copy.median)));
    for (title, cells) in QUOTED {
        _ = writeln!(out, "| {title} | {} |", cells.join(" | "));
    }
    out
}

fn engine_others(results: &Results) -> String {
    let mut out =
        "| scaled TSC cycles a packet, batches of 32 | encapsulation | decapsulation with learning | over VXLAN's \
                   of that size, decapsulation | million a second a core, here |\n|---|---|---|---|---|\n"
            .to_string();
    for plan in crate::cases::engine::plans() {
        let size = crate::cases::short(plan.macs);
        let Some(group) = results.group(&format!("engine/{size}")) else { continue };
        let name = plan.name();
        let [encap, decap] = ["encap", "decap"].map(|way| format!("{way}/{name}/batch"));
        let rate = |case: &str| group.get(case).map_or("—".into(), |s| number(1e3 * results.machine.ghz / s.median));
        _ = writeln!(
            out,
            "| {} | {} | {} | {} | {}, {} |",
            name.replace('/', ", "),
            optional(group.scaled(&encap)),
            optional(group.scaled(&decap)),
            optional(group.ratio(&decap, &format!("decap/vxlan/v4/{size}/batch"))),
            rate(&encap),
            rate(&decap),
        );
    }
    out
}

/// What options, labels and policies cost a step, over the same step without.
fn metadata(results: &Results) -> String {
    let plain = Plan::GENEVE;
    let labels = Plan { options: 1, labels: true, ..plain };
    let rows = [
        ("no option", plain),
        ("1 option, unread", Plan { options: 1, ..plain }),
        ("3 options, unread", Plan { options: 3, ..plain }),
        ("16 options, unread", Plan { options: 16, ..plain }),
        ("the security group, read and learned; sent as an option", labels),
        ("the same, and a policy judges", Plan { policy: true, ..labels }),
    ];
    let size = crate::cases::short(plain.macs);
    let Some(group) = results.group(&format!("engine/{size}")) else { return String::new() };
    let mut out = "| Geneve, 10k + 10k MACs: over the same without | encapsulation: step, batches | one by one | with \
                   rewrite, batches | decapsulation: step, batches | one by one | with rewrite, batches |\n\
                   |---|---|---|---|---|---|---|\n"
        .to_string();
    for (title, plan) in rows {
        let cells = ["encap", "decap"].into_iter().flat_map(|way| {
            ["step/batch", "step/single", "batch"].map(|how| {
                let of = |plan: Plan| format!("{way}/{}/{how}", plan.name());
                optional(group.ratio(&of(plan), &of(plain)))
            })
        });
        _ = writeln!(out, "| {title} | {} |", cells.collect::<Vec<_>>().join(" | "));
    }
    out
}

const SLOTS: [&str; 4] = ["1k", "16k", "128k", "1M"];

/// One row for each contender of each of some questions: nanoseconds, and times what vtep takes.
fn table_rows(results: &Results, questions: &[(&str, &str)], contenders: &[&str]) -> String {
    let mut out = format!("| ns, and ours over it | {} |\n|---|---|---|---|---|\n", SLOTS.join(" | "));
    for (question, title) in questions {
        for contender in contenders {
            let mut known = false;
            let cells = SLOTS.map(|size| {
                let Some(group) = results.group(&format!("fdb/{size}")) else { return "—".into() };
                let (ours, theirs) =
                    (format!("fdb/{size}/{question}/vtep"), format!("fdb/{size}/{question}/{contender}"));
                let Some(cycles) = group.get(&theirs) else { return "—".into() };
                known = true;
                let ghz = results.machine.ghz;
                let ns = Spread { low: cycles.low / ghz, median: cycles.median / ghz, high: cycles.high / ghz };
                let ratio = group.ratio(&ours, &theirs).filter(|_| *contender != "vtep");
                ratio.map_or(spread(ns), |ratio| format!("{}; {}", spread(ns), spread(ratio)))
            });
            if known {
                _ = writeln!(out, "| {title}: {contender} | {} |", cells.join(" | "));
            }
        }
    }
    out
}

fn tables(results: &Results) -> String {
    let questions = [
        ("hit", "hit"),
        ("hit-bulk", "hit, bulk of 32"),
        ("hit-dependent", "hit, each after the answer before"),
        ("miss", "miss"),
    ];
    let mut out = table_rows(results, &questions, &["vtep", "hashbrown", "std", "heapless", "rte_hash"]);
    for (how, hows) in [("independent", "at once"), ("dependent", "one after another")] {
        let cells = SLOTS.map(|size| {
            let cycles =
                results.group(&format!("fdb/{size}")).and_then(|g| g.get(&format!("fdb/{size}/floor-line/{how}")));
            cycles.map_or("—".into(), |cycles| number(cycles.median / results.machine.ghz))
        });
        _ = writeln!(out, "| floor: one cache line touched, {hows} | {} |", cells.join(" | "));
    }
    let cells = SLOTS.map(|size| {
        let cycles = results.group(&format!("fdb/{size}")).and_then(|g| g.get(&format!("fdb/{size}/probe/vtep")));
        cycles.map_or("—".into(), |cycles| number(cycles.median / results.machine.ghz))
    });
    _ = writeln!(out, "| floor: a MAC hashed, and no line touched: vtep | {} |", cells.join(" | "));
    out
}

fn changes(results: &Results) -> String {
    let questions = [
        ("learn-new", "learn a new MAC, 90 % full"),
        ("refresh-again", "refresh, coarse time as before"),
        ("refresh", "refresh, coarse time changed"),
        ("move", "move to another endpoint"),
        ("evict", "learn into a full table, one is evicted"),
        ("sweep", "sweep, a slot, 64 a call"),
    ];
    table_rows(results, &questions, &["vtep", "hashbrown", "std", "heapless", "rte_hash"])
}

fn bytes(results: &Results) -> String {
    let contenders = ["vtep", "hashbrown", "std", "heapless", "rte_hash"];
    let mut out = format!("| bytes a live entry | {} |\n|---|---|---|---|---|\n", SLOTS.join(" | "));
    for contender in contenders {
        let cells = SLOTS.map(|size| {
            results.bytes.get(&format!("fdb/{size}/{contender}")).map_or("—".into(), |bytes| format!("{bytes:.1}"))
        });
        _ = writeln!(out, "| {contender} | {} |", cells.join(" | "));
    }
    out
}

fn parse_table(results: &Results) -> String {
    let Some(group) = results.group("codec") else { return String::new() };
    let mut out = "| packet | parser | ns here | vtep's over it | not checked |\n|---|---|---|---|---|\n".to_string();
    for shape in &crate::cases::codec::SHAPES {
        let ours = format!("parse/{}/vtep", shape.name);
        for parser in &PARSERS {
            let name = format!("parse/{}/{}", shape.name, parser.name);
            let Some(cycles) = group.get(&name) else { continue };
            let ratio = group.ratio(&ours, &name).filter(|_| parser.name != "vtep");
            let unchecked = if shape.name == "vxlan/v4" { parser.unchecked } else { "" };
            let ns = nanoseconds(results, cycles);
            _ = writeln!(out, "| {} | {} | {ns} | {} | {unchecked} |", shape.name, parser.name, optional(ratio));
        }
        let floor = format!("parse/{}/floor-touch", shape.name);
        let ns = group.get(&floor).map_or("—".into(), |cycles| nanoseconds(results, cycles));
        let what = if shape.checksum { "every line of the packet touched" } else { "the header's lines touched" };
        _ = writeln!(out, "| {} | floor: {what} | {ns} | {} | |", shape.name, optional(group.ratio(&ours, &floor)));
    }
    out
}

fn nanoseconds(results: &Results, cycles: Spread) -> String {
    let ghz = results.machine.ghz;
    spread(Spread { low: cycles.low / ghz, median: cycles.median / ghz, high: cycles.high / ghz })
}

fn write_table(results: &Results) -> String {
    let Some(group) = results.group("codec") else { return String::new() };
    let mut out = "| header | writer | ns here | over the copy of 50 bytes |\n|---|---|---|---|\n".to_string();
    for name in group.cases.keys().filter(|name| name.starts_with("write/")) {
        let Some(cycles) = group.get(name) else { continue };
        let ratio = group.ratio(name, CALIBRATION);
        let (header, writer) = name.trim_start_matches("write/").rsplit_once('/').unwrap_or((name, ""));
        _ = writeln!(out, "| {header} | {writer} | {} | {} |", nanoseconds(results, cycles), optional(ratio));
    }
    for (name, what) in [
        (CALIBRATION, "50 bytes copied, the length known at run time"),
        ("copy/58", "58 bytes"),
        ("copy/74", "74 bytes"),
        ("copy/50-fixed", "50 bytes, the length known to the compiler"),
    ] {
        let Some(cycles) = group.get(name) else { continue };
        _ = writeln!(
            out,
            "| floor: {what} | copy | {} | {} |",
            nanoseconds(results, cycles),
            optional(group.ratio(name, CALIBRATION).filter(|_| name != CALIBRATION))
        );
    }
    out
}

fn matrix(results: &Results) -> String {
    let names = PARSERS.iter().map(|parser| parser.name).collect::<Vec<_>>();
    let mut out = format!("| packet | right | {} |\n|---|---|{}\n", names.join(" | "), "---|".repeat(names.len()));
    for row in &results.matrix {
        let cells: Vec<String> = row
            .answers
            .iter()
            .map(|answer| {
                let word = word(*answer);
                if *answer == row.right || *answer == Answer::Unread { word.into() } else { format!("**{word}**") }
            })
            .collect();
        _ = writeln!(out, "| {} | {} | {} |", row.packet, word(row.right), cells.join(" | "));
    }
    out
}

fn word(answer: Answer) -> &'static str {
    match answer {
        Answer::Accepts => "accepts",
        Answer::Refuses => "refuses",
        Answer::Panics => "panics",
        Answer::Unread => "—",
    }
}

fn flood(results: &Results) -> String {
    let Some(group) = results.group("flood") else { return String::new() };
    let mut out =
        "| endpoints | whole copy, scaled cycles | of which the bytes' copy | header only, for gathering output | \
                   whole, a verdict for each | million copies a second a core, here |\n|---|---|---|---|---|---|\n"
            .to_string();
    for endpoints in crate::cases::flood::ENDPOINTS {
        let name = |what: &str| format!("flood/{endpoints}/{what}");
        let rate = group.get(&name("whole")).map_or("—".into(), |s| number(1e3 * results.machine.ghz / s.median));
        _ = writeln!(
            out,
            "| {endpoints} | {} | {} | {} | {} | {rate} |",
            optional(group.scaled(&name("whole"))),
            optional(group.scaled(&name("floor-copy"))),
            optional(group.scaled(&name("head"))),
            optional(group.scaled(&name("verdicts"))),
        );
    }
    _ = writeln!(out, "| VPP, unknown unicast, a copy (quoted) | 203–259 | — | — | — | — |");
    out
}

fn tails(results: &Results) -> String {
    let ageing = &results.ageing;
    let mut out = format!(
        "| a step among {} entries, TSC cycles here | p50 | p99 | p99.9 | p99.9 over not swept |\n|---|---|---|---|---|\n",
        ageing.entries
    );
    for sweep in SWEEPS {
        let title = match sweep {
            Sweep::None => "never swept",
            Sweep::Due => "swept when due; the time is the next step's",
            Sweep::Always => "64 slots swept before each batch of 32; the time is not the step's",
        };
        _ = writeln!(
            out,
            "| {title} | {} | {} | {} | {} |",
            spread(ageing.spread(sweep, |tail| tail.p50)),
            spread(ageing.spread(sweep, |tail| tail.p99)),
            spread(ageing.spread(sweep, |tail| tail.p999)),
            spread(ageing.ratio(sweep)),
        );
    }
    _ = writeln!(out, "\nA sweep of 64 slots takes {} cycles in the median.\n", number(ageing.tick));
    out += "| full table, every frame from a new station: a step, TSC cycles here | slots | median | p99 | p99.9 | worst |\n\
            |---|---|---|---|---|---|\n";
    for pressure in &results.pressure {
        let tail = pressure.tail;
        let [p50, p99, p999, worst] = [tail.p50, tail.p99, tail.p999, tail.worst].map(number);
        _ = writeln!(out, "| {} | {} | {p50} | {p99} | {p999} | {worst} |", pressure.name, pressure.slots);
    }
    out
}
