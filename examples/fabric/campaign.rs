//! Playing scenarios of troubles: one, a file, or many seeds.

use core::ops::RangeInclusive;
use core::time::Duration;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use crate::args::{Arguments, Kind};
use crate::capture;
use crate::chaos::{self, Failure, Options, Outcome, Sabotage, Scenario, Tally};

/// Plays what the arguments ask for.
pub fn play(args: &Arguments) -> ExitCode {
    let asked = &args.chaos;
    let options = Options { sabotage: asked.sabotage.map(Sabotage::of), capture: asked.seeds.is_none() };
    if let Some(seeds) = &asked.seeds {
        return many(args, seeds.clone(), &options);
    }
    if asked.scenario == Kind::Large {
        return large(asked.chaos.unwrap_or(args.seed), usize::from(asked.size));
    }
    let scenario = match (&asked.replay, asked.chaos) {
        (Some(path), _) => read(path),
        (None, seed) => Ok(chaos::standard(seed.unwrap_or(args.seed))),
    };
    match scenario {
        Ok(scenario) => one(args, &scenario, &options),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn read(path: &Path) -> Result<Scenario, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Scenario::read(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn one(args: &Arguments, scenario: &Scenario, options: &Options) -> ExitCode {
    let shape = &scenario.shape;
    println!(
        "seed {}: {} VTEPs with tables of {} KiB in all, {} tenants, {} hosts; {} events; {}",
        scenario.seed,
        shape.vteps.len(),
        chaos::table_bytes(scenario) / 1024,
        shape.tenants.len(),
        shape.hosts.len(),
        scenario.events.len(),
        if shape.ipv6 { "IPv6 underlay" } else { "IPv4 underlay" },
    );
    let (result, captured) = chaos::run(scenario, options);
    if let Err(error) = capture::write(&args.pcap, &captured) {
        eprintln!("{}: {error}", args.pcap.display());
        return ExitCode::from(2);
    }
    println!("{} underlay packets are in {}", captured.len(), args.pcap.display());
    match result {
        Ok(outcome) => {
            tell(&outcome.tally);
            println!("{:.1} s of simulated time; all promises held; trace {:016x}", seconds(&outcome), outcome.hash);
            if let Some(path) = &args.chaos.keep {
                return keep(path, scenario);
            }
            ExitCode::SUCCESS
        }
        Err(failure) => failed(args, scenario, &failure, options),
    }
}

/// Plays seed after seed; the first that fails ends it.
fn many(args: &Arguments, seeds: RangeInclusive<u64>, options: &Options) -> ExitCode {
    let start = Instant::now();
    let (mut sum, mut simulated, mut events, mut count) = (Tally::default(), 0.0, 0, 0_u32);
    let mut trace = 0_u64;
    for seed in seeds {
        let scenario = chaos::standard(seed);
        match chaos::run(&scenario, options).0 {
            Ok(outcome) => {
                sum.add(&outcome.tally);
                simulated += seconds(&outcome);
                trace = trace.rotate_left(7) ^ outcome.hash;
            }
            Err(failure) => {
                eprintln!("seed {seed}");
                return failed(args, &scenario, &failure, options);
            }
        }
        events += scenario.events.len();
        count += 1;
        if count % 1000 == 0 {
            println!("{count} seeds, {:.0} s", start.elapsed().as_secs_f64());
        }
    }
    let took = start.elapsed().as_secs_f64();
    println!("{count} seeds, {events} events, {simulated:.0} s of simulated time: all promises held");
    tell(&sum);
    println!("{took:.1} s, {:.2} ms a seed; trace {trace:016x}", took * 1000.0 / f64::from(count.max(1)));
    ExitCode::SUCCESS
}

/// The large scenario, and what it costs.
fn large(seed: u64, size: usize) -> ExitCode {
    let scenario = chaos::large::scenario(seed, size);
    let tables = chaos::table_bytes(&scenario);
    println!(
        "seed {seed}: {size} VTEPs, {} tenants, {} hosts; tables of {} MiB, {} KiB a VTEP",
        scenario.shape.tenants.len(),
        scenario.shape.hosts.len(),
        tables >> 20,
        tables / size / 1024
    );
    for (name, bytes) in chaos::table_parts(&scenario) {
        println!("{bytes:>12} bytes a VTEP for {name}");
    }
    let start = Instant::now();
    let mut tell = |phase: &chaos::large::Phase| {
        println!("\n{}: {:.1} s {}", phase.name, phase.seconds, phase.note);
        phase.tally.rows().iter().filter(|(_, n)| *n > 0).for_each(|(name, n)| println!("{n:>12} {name}"));
    };
    match chaos::run_large(&scenario, &mut tell) {
        Ok(outcome) => {
            println!("\nall promises held; {:.1} s; trace {:016x}", start.elapsed().as_secs_f64(), outcome.hash);
            println!("largest resident set: {}", resident().unwrap_or_else(|| "unknown".into()));
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// The most memory this process has had, where the system tells.
fn resident() -> Option<String> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: u64 = line.trim().split(' ').next()?.parse().ok()?;
    Some(format!("{} MiB", kib >> 10))
}

fn failed(args: &Arguments, scenario: &Scenario, failure: &Failure, options: &Options) -> ExitCode {
    eprintln!("FAILED: {failure}");
    if let Some(path) = &args.chaos.keep {
        let small = chaos::shrink(scenario, failure.violation.promise, options);
        eprintln!("{} of {} events are enough", small.events.len(), scenario.events.len());
        if let (Err(failure), _) = chaos::run(&small, options) {
            eprintln!("there: {failure}");
        }
        keep(path, &small);
    }
    ExitCode::FAILURE
}

fn keep(path: &Path, scenario: &Scenario) -> ExitCode {
    match scenario.write().and_then(|text| fs::write(path, text).map_err(|error| error.to_string())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::from(2)
        }
    }
}

fn seconds(outcome: &Outcome) -> f64 {
    Duration::from_micros(outcome.took).as_secs_f64()
}

fn tell(tally: &Tally) {
    for (name, count) in tally.rows() {
        println!("{count:>12} {name}");
    }
}
