//! A scenario on the kernel's side.

use std::collections::BTreeMap;
use std::io::{Error, Result};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::common::world::VNI;
use crate::compare::repeated;
use crate::lab::{Lab, hex_mac};
use crate::scenario::{
    Device, Fdb, Kind, Op, SENTINEL_HOST, SENTINEL_MAC, Scenario, Verb, address, sentinel_in, sentinel_number,
    sentinel_out,
};
use crate::seen::{Row, Run, Seen, Sent, Table, finish_checksum};
use crate::socket::{Captured, Tap};
use crate::trace::Drops;

/// Which way the packets of a stretch go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

struct Stretch<'l> {
    lab: &'l mut Lab,
    device: &'l Device,
    tap: Tap,
    way: Way,
    /// What came out since the last sentinel.
    current: Vec<Captured>,
    /// What came out for each step.
    outputs: Vec<Vec<Captured>>,
    /// The sentinel waited for, and those that went through before.
    sent: Option<usize>,
    arrived: Option<usize>,
    /// Packets since all that went in had come out.
    on_the_way: usize,
    /// Steps of the packets that went in, both ways, in order; `None` for sentinels.
    went_in: Vec<Option<usize>>,
    went_out: Vec<Option<usize>>,
}

/// How often a scenario is run anew that the machine disturbed.
const ATTEMPTS: usize = 5;
/// By how much a wait may be longer than asked for.
const LATE: Duration = Duration::from_millis(500);
/// Packets that may be on the way: the queue that they share with all others of the CPU holds a thousand.
const ON_THE_WAY: usize = 200;
/// How the kernel names a packet that was one too many there.
const QUEUE_FULL: &str = "CPU_BACKLOG";

/// Why a run cannot be compared: the machine did something that the scenario does not speak of.
#[derive(Debug)]
struct Disturbed(String);

impl std::fmt::Display for Disturbed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Disturbed {}

/// An error that says that the run has to be repeated.
fn disturbed<T>(why: String) -> Result<T> {
    Err(Error::other(Disturbed(why)))
}

/// Runs a scenario on a new device; again where the machine was too slow for it, or lost some of what it recorded.
pub(crate) fn run(lab: &mut Lab, scenario: &Scenario) -> Result<Run> {
    let mut attempt = 1;
    loop {
        match attempt_at(lab, scenario) {
            Err(error) if attempt < ATTEMPTS && error.get_ref().is_some_and(|inner| inner.is::<Disturbed>()) => {
                println!("once more: {error}");
                repeated();
                attempt += 1;
            }
            outcome => return outcome,
        }
    }
}

fn attempt_at(lab: &mut Lab, scenario: &Scenario) -> Result<Run> {
    let tap = lab.set_up(&scenario.device)?;
    let (underlay, name) = (lab.underlay.clone(), lab.device.clone());
    let v6 = scenario.device.v6;
    let sentinel = Fdb::new(Verb::Add, SENTINEL_MAC, address(v6, SENTINEL_HOST), Kind::Permanent);
    lab.fdb(&sentinel.arguments(&name, &underlay))?;
    while lab.wire.receive()?.is_some() {}
    if let Some(tracer) = &mut lab.tracer {
        tracer.clear()?;
    }
    let mut stretch = Stretch {
        lab,
        device: &scenario.device,
        tap,
        way: Way::In,
        current: Vec::new(),
        outputs: vec![Vec::new(); scenario.ops.len()],
        sent: None,
        arrived: None,
        on_the_way: 0,
        went_in: Vec::new(),
        went_out: Vec::new(),
    };
    let mut seen = vec![Seen::Nothing; scenario.ops.len()];
    for (number, op) in scenario.ops.iter().enumerate() {
        match op {
            Op::Rx(frames) => stretch.packets(Way::In, number, frames)?,
            Op::Tx(frame) => stretch.packets(Way::Out, number, std::slice::from_ref(frame))?,
            Op::Fdb(command) => {
                stretch.settle()?;
                let result = stretch.lab.fdb(&command.arguments(&name, &underlay));
                let said = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
                seen[number] = Seen::Command { done: result.is_ok(), said };
            }
            Op::Wait(seconds) => {
                stretch.settle()?;
                stretch.sleep(Duration::from_secs(*seconds))?;
            }
        }
    }
    stretch.settle()?;
    let Stretch { lab, outputs, went_in, went_out, .. } = stretch;
    let drops = match &mut lab.tracer {
        Some(tracer) => match tracer.drops()? {
            None => return disturbed("the kernel recorded more than its buffer holds".to_owned()),
            drops => drops,
        },
        None => None,
    };
    let reasons = drops.is_some();
    let mut drops = assign(drops.unwrap_or_default(), &went_in, &went_out, reasons)?;
    for (number, (op, output)) in scenario.ops.iter().zip(outputs).enumerate() {
        let drop = drops.remove(&number).filter(|_| output.is_empty());
        match op {
            Op::Rx(_) => {
                seen[number] = Seen::Rx { delivered: output.into_iter().map(|frame| frame.bytes).collect(), drop };
            }
            Op::Tx(_) => seen[number] = Seen::Tx { sent: packets(output)?, drop },
            Op::Fdb(_) | Op::Wait(_) => {}
        }
    }
    let fdb = table(&lab.fdb_show()?)?;
    Ok(Run { seen, fdb, misses: Vec::new(), reasons })
}

impl Stretch<'_> {
    /// Sends a step's packets, and a sentinel behind them.
    fn packets(&mut self, way: Way, number: usize, frames: &[Vec<u8>]) -> Result<()> {
        if self.way != way {
            self.settle()?;
            self.way = way;
        }
        let (tap, went) = match way {
            Way::In => (&self.lab.wire, &mut self.went_in),
            Way::Out => (&self.tap, &mut self.went_out),
        };
        for frame in frames {
            tap.send(frame)?;
            went.push(Some(number));
        }
        match way {
            Way::In => tap.send(&sentinel_in(self.device, number))?,
            Way::Out => tap.send(&sentinel_out(number))?,
        }
        went.push(None);
        self.on_the_way += frames.len() + 1;
        self.sent = Some(number);
        if self.on_the_way > ON_THE_WAY { self.settle() } else { self.collect() }
    }

    /// Lets time pass.
    fn sleep(&mut self, time: Duration) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < time {
            std::thread::sleep(time.saturating_sub(start.elapsed()).min(Duration::from_millis(100)));
            if let Some(tracer) = &mut self.lab.tracer {
                tracer.collect()?;
            }
        }
        match start.elapsed() {
            passed if passed > time + LATE => disturbed(format!("{passed:?} went by instead of {time:?}")),
            _ => Ok(()),
        }
    }

    /// Takes what has come out so far.
    fn collect(&mut self) -> Result<()> {
        let tap = match self.way {
            Way::In => &mut self.tap,
            Way::Out => &mut self.lab.wire,
        };
        while let Some(frame) = tap.receive()? {
            let inner = match self.way {
                Way::In => &frame.bytes[..],
                Way::Out => match tunnelled(&frame.bytes) {
                    Some(inner) => inner,
                    None => continue,
                },
            };
            match sentinel_number(inner) {
                Some(number) => {
                    self.outputs[number] = std::mem::take(&mut self.current);
                    self.arrived = Some(number);
                }
                None => self.current.push(frame),
            }
        }
        Ok(())
    }

    /// Waits until all that went in has come out, or has not.
    fn settle(&mut self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        while self.arrived != self.sent {
            self.collect()?;
            if self.arrived == self.sent {
                break;
            }
            let tap = match self.way {
                Way::In => &self.tap,
                Way::Out => &self.lab.wire,
            };
            tap.wait(100)?;
            if Instant::now() > deadline {
                return disturbed(format!("the sentinel behind step {:?} is lost", self.sent));
            }
        }
        (self.sent, self.arrived, self.on_the_way) = (None, None, 0);
        if let Some(tracer) = &mut self.lab.tracer {
            tracer.collect()?;
        }
        Ok(())
    }
}

/// The inner frame of what might be one of ours, empty for a later fragment; `None` for what the far end has nothing to
/// do with (ICMP, MLD).
fn tunnelled(frame: &[u8]) -> Option<&[u8]> {
    let (protocol, udp) = match frame.get(12..14)? {
        [0x08, 0x00] if u16::from_be_bytes([*frame.get(20)?, *frame.get(21)?]) & 0x1fff != 0 => (44, 0),
        [0x08, 0x00] => (*frame.get(23)?, 34),
        [0x86, 0xdd] => (*frame.get(20)?, 54),
        _ => return None,
    };
    match protocol {
        17 => frame.get(udp + 16..),
        // A fragment.
        44 => Some(&[]),
        _ => None,
    }
}

/// Joins what was recorded with the steps it belongs to.
fn assign(
    drops: Drops,
    went_in: &[Option<usize>],
    went_out: &[Option<usize>],
    known: bool,
) -> Result<BTreeMap<usize, String>> {
    let mut of_step = BTreeMap::new();
    if !known {
        return Ok(of_step);
    }
    for (reasons, went, what) in [(drops.received, went_in, "received"), (drops.queued, went_out, "queued")] {
        if reasons.len() != went.len() {
            return disturbed(format!("{} packets {what}, {} traced", went.len(), reasons.len()));
        }
        for (reason, step) in reasons.into_iter().zip(went) {
            if reason.as_ref().is_some_and(|reason| reason.starts_with(QUEUE_FULL)) {
                return disturbed("a queue of the CPU was full".to_owned());
            }
            if let (Some(reason), Some(step)) = (reason, step) {
                of_step.insert(*step, reason);
            }
        }
    }
    Ok(of_step)
}

/// What left on the underlay, put together again where it left in fragments.
fn packets(frames: Vec<Captured>) -> Result<Vec<Sent>> {
    let mut sent = Vec::new();
    let mut parts: Vec<Vec<u8>> = Vec::new();
    for frame in frames {
        let mut packet = frame.bytes[14..].to_vec();
        let (start, more) = match packet[0] >> 4 {
            4 => (20, packet[6] & 0x20 != 0),
            _ if packet[6] == 44 => (48, packet[43] & 1 != 0),
            _ => (40, false),
        };
        if parts.is_empty() && !more {
            if frame.checksum_left_to_card {
                finish_checksum(&mut packet);
            }
            sent.push(Sent::new(&packet, 1));
            continue;
        }
        parts.push(packet);
        if !more {
            let payload: Vec<u8> = parts.iter().flat_map(|part| part[start..].to_vec()).collect();
            let whole = reassembled(&parts[0], &payload)?;
            sent.push(Sent::new(&whole, parts.len()));
            parts.clear();
        }
    }
    if parts.is_empty() { Ok(sent) } else { Err(Error::other("a fragment is missing")) }
}

fn reassembled(first: &[u8], payload: &[u8]) -> Result<Vec<u8>> {
    let len = |extra: usize| u16::try_from(payload.len() + extra).map_err(Error::other);
    let mut header = if first[0] >> 4 == 4 { first[..20].to_vec() } else { first[..40].to_vec() };
    if header.len() == 20 {
        header[2..4].copy_from_slice(&len(20)?.to_be_bytes());
        header[6..8].fill(0);
        header[10..12].fill(0);
        let sum = crate::common::world::internet_checksum(&[&header]);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
    } else {
        header[4..6].copy_from_slice(&len(0)?.to_be_bytes());
        header[6] = first[40];
    }
    header.extend(payload);
    Ok(header)
}

/// The device's FDB without what is there for the test's sake.
fn table(json: &Value) -> Result<Table> {
    let mut table = Table::new();
    for row in json.as_array().ok_or_else(|| Error::other("no array"))? {
        let text = |key: &str| row[key].as_str().unwrap_or_default();
        if text("mac") == hex_mac(SENTINEL_MAC) {
            continue;
        }
        let number = |key: &str| row[key].as_u64().and_then(|n| u32::try_from(n).ok());
        let flags = row["flags"].as_array().into_iter().flatten();
        let external = flags.into_iter().any(|flag| flag == "extern_learn");
        let kind = match text("state") {
            // Neither ages nor moves; the engine has one kind for both.
            "permanent" | "static" => Kind::Static,
            _ if external => Kind::External,
            _ => Kind::Dynamic,
        };
        let port = number("port").map_or(Ok(4789), u16::try_from).map_err(Error::other)?;
        let dst = text("dst").parse().map_err(Error::other)?;
        let row = Row { dst, port, vni: number("vni").unwrap_or(VNI), kind };
        table.entry(text("mac").to_owned()).or_default().push(row);
    }
    Ok(table)
}
