//! Everything that one run found out: what the page and the picture are made from.

use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::cases::{self, Case, fdb, flood, floor};
use crate::matrix::{self, Row};
use crate::measure::{self, Group};
use crate::tables::{self, Bytes};
use crate::tail::{self, Ageing, Pressure};
use crate::{clock, codec};

#[derive(Serialize, Deserialize)]
pub struct Results {
    pub machine: Machine,
    pub rounds: usize,
    pub groups: Vec<Group>,
    pub bytes: Bytes,
    pub ageing: Ageing,
    pub pressure: Vec<Pressure>,
    pub matrix: Vec<Row>,
}

/// Where and what of.
#[derive(Serialize, Deserialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub kernel: String,
    pub load: String,
    pub huge_pages: String,
    /// TSC cycles a nanosecond.
    pub ghz: f64,
    pub rustc: String,
    pub commit: String,
    pub date: String,
    pub dpdk: Option<String>,
}

/// Measures everything.
pub fn measure(rounds: usize) -> Results {
    let machine = Machine::here();
    let mut bytes = Bytes::new();
    let mut groups = Vec::new();
    for (name, cases) in all() {
        let began = std::time::Instant::now();
        let cases = cases(&mut bytes);
        eprint!("{name}: {} cases ... ", cases.len());
        groups.push(measure::group(&name, rounds, cases));
        eprintln!("{:.1} s", began.elapsed().as_secs_f64());
    }
    let began = std::time::Instant::now();
    eprint!("single steps ... ");
    let (ageing, pressure) = (tail::ageing(rounds), tail::pressure());
    eprintln!("{:.1} s", began.elapsed().as_secs_f64());
    Results { machine, rounds, groups, bytes, ageing, pressure, matrix: matrix::rows() }
}

/// Prints what the cases take that have `filter` in their names, of those groups that have `group` in theirs.
pub fn time(group: &str, filter: &str, rounds: usize) {
    for (name, cases) in all().into_iter().filter(|(name, _)| name.contains(group)) {
        let mut cases = cases(&mut Bytes::new());
        cases.retain(|case| case.name.contains(filter));
        let group = measure::group(&name, rounds, cases);
        for case in group.cases.keys() {
            if let (Some(here), Some(scaled)) = (group.get(case), group.scaled(case)) {
                println!(
                    "{:8.2} ({:.2} to {:.2}), scaled {:8.2}: {case}",
                    here.median, here.low, here.high, scaled.median
                );
            }
        }
    }
}

type Make = Box<dyn FnOnce(&mut Bytes) -> Vec<Case>>;

/// Every group: its name, and how to make its cases.
fn all() -> Vec<(String, Make)> {
    let mut all: Vec<(String, Make)> = Vec::new();
    let mut group = |name: String, make: Make| all.push((name, make));
    group("codec".into(), Box::new(|_| codec::parses().into_iter().chain(codec::writes()).collect()));
    for slots in fdb::SIZES {
        let make = move |bytes: &mut Bytes| tables::peers(slots, bytes);
        group(format!("fdb/{}", fdb::short_slots(slots)), Box::new(make));
    }
    for macs in [1, 10_000, 100_000, 1_000_000] {
        group(format!("engine/{}", cases::short(macs)), Box::new(move |_| traffic(macs)));
    }
    group("flood".into(), Box::new(|_| flood::ENDPOINTS.into_iter().flat_map(flood::replication).collect()));
    all
}

/// All overlays of one size, and the lines of their tables merely touched.
fn traffic(macs: usize) -> Vec<Case> {
    let plans = cases::engine::plans().into_iter().filter(|plan| plan.macs == macs);
    let mut all: Vec<Case> = plans.flat_map(cases::engine::traffic).collect();
    // Two look-ups, each of two lines.
    let lines = (macs * 2 * 10).div_ceil(9 * 4).max(4);
    for (dependent, how) in [(false, "independent"), (true, "dependent")] {
        all.push(floor::touch(format!("floor-lines/{how}"), lines, 4, floor::PACKETS, dependent));
    }
    all
}

impl Results {
    pub fn group(&self, name: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.name == name)
    }
}

impl Machine {
    fn here() -> Self {
        let file = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let cpuinfo = file("/proc/cpuinfo");
        let model = |field: &str| {
            let line = cpuinfo.lines().find(|line| line.starts_with(field));
            line.and_then(|line| line.split_once(": ")).map_or("?", |(_, value)| value).to_string()
        };
        let cpu = format!("{}, family {}, model {}", model("model name"), model("cpu family"), model("model\t"));
        let chosen = file("/sys/kernel/mm/transparent_hugepage/enabled");
        let chosen = chosen.split(['[', ']']).nth(1).unwrap_or("none");
        let load = file("/proc/loadavg").split(' ').take(1).collect::<String>();
        Self {
            cpu,
            // DPDK has bound this process to one of them.
            cores: cpuinfo.lines().filter(|line| line.starts_with("processor")).count(),
            kernel: output("uname", &["-sr"]),
            load,
            huge_pages: chosen.into(),
            ghz: clock::frequency(),
            rustc: env!("RUSTC_VERSION").into(),
            commit: output(
                "git",
                &["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--exclude=*"],
            ),
            date: output("date", &["-u", "+%Y-%m-%d"]),
            dpdk: crate::dpdk_version().map(Into::into),
        }
    }
}

fn output(command: &str, arguments: &[&str]) -> String {
    let output = Command::new(command).args(arguments).output();
    output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string()).unwrap_or_default()
}
