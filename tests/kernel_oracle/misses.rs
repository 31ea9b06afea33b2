//! `l2miss`: which stations are asked for.

use std::io::{BufRead, BufReader, Error, Result};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use libtest_mimic::Failed;

use crate::common::world::{A, BROADCAST, Frame, MULTICAST, NOBODY, R, S};
use crate::compare::{add_up, compare};
use crate::lab::{Lab, hex_mac, run};
use crate::scenario::{Device, Fdb, Kind, Op, Scenario, Verb, address, packet};
use crate::{kernel, ours};

/// `ip monitor neigh`, ended when dropped.
struct Monitor {
    child: Child,
    lines: Receiver<String>,
    namespace: String,
    underlay: String,
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Monitor {
    fn new(lab: &Lab) -> Result<Self> {
        let mut command = Command::new("ip");
        command.args(["-n", &lab.near, "monitor", "neigh"]).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let output = child.stdout.take().ok_or_else(|| Error::other("no output"))?;
        let (sender, lines) = channel();
        thread::spawn(move || {
            BufReader::new(output).lines().map_while(Result::ok).all(|line| sender.send(line).is_ok())
        });
        let monitor = Self { child, lines, namespace: lab.near.clone(), underlay: lab.underlay.clone() };
        monitor.until_now()?;
        Ok(monitor)
    }

    /// All lines up to a change of a neighbour that is made here.
    fn until_now(&self) -> Result<Vec<String>> {
        let mut before = Vec::new();
        for octet in 0..100 {
            let mac = format!("02:00:00:ff:ff:{octet:02x}");
            let dev = ["dev", &self.underlay, "nud", "permanent"];
            let replace = ["-n", &self.namespace, "neigh", "replace", "192.0.2.200", "lladdr", &mac];
            run("ip", &[&replace[..], &dev].concat())?;
            while let Ok(line) = self.lines.recv_timeout(Duration::from_millis(200)) {
                if line.contains(&mac) {
                    return Ok(before);
                }
                before.push(line);
            }
        }
        Err(Error::other("ip monitor says nothing"))
    }

    /// The stations asked for.
    fn misses(&self) -> Result<Vec<String>> {
        let misses = self.until_now()?.into_iter().filter(|line| line.starts_with("miss "));
        // Zero is left out.
        let mac = |line: String| match line.split_once("lladdr ") {
            Some((_, mac)) => mac.split(' ').next().unwrap_or_default().to_owned(),
            None => hex_mac([0; 6]),
        };
        Ok(misses.map(mac).collect())
    }
}

/// Without and with a list for zero, of stations known and unknown, and groups; also from the tunnel.
pub(crate) fn test() -> core::result::Result<(), Failed> {
    let mut lab = Lab::new()?;
    let monitor = Monitor::new(&lab)?;
    for v6 in [false, true] {
        for l2miss in [true, false] {
            let device = Device { l2miss, v6, ..Device::DEFAULT };
            let everybody = [NOBODY, R, S, BROADCAST, MULTICAST, NOBODY, [0; 6]];
            let send = |ops: &mut Vec<Op>| ops.extend(everybody.map(|dst| Op::Tx(Frame::new(dst, A).bytes())));
            let fdb = |verb, mac, peer| Op::Fdb(Fdb::new(verb, mac, address(v6, peer), Kind::Permanent));
            let mut ops = Vec::new();
            send(&mut ops);
            ops.push(Op::Rx(vec![packet(&device, 2, &Frame::new(NOBODY, R).bytes()).bytes()]));
            ops.push(fdb(Verb::Add, S, 3));
            send(&mut ops);
            ops.push(fdb(Verb::Append, [0; 6], 4));
            send(&mut ops);
            ops.push(fdb(Verb::Del, [0; 6], 4));
            send(&mut ops);
            let scenario = Scenario { device, ops };
            let kernel = kernel::run(&mut lab, &scenario)?;
            let asked = monitor.misses()?;
            let ours = ours::run(&scenario);
            let events: Vec<String> = ours.misses.iter().map(|mac| hex_mac(*mac)).collect();
            let outcome = compare(&scenario, &kernel, &ours);
            if asked != events || !outcome.faults.is_empty() {
                return Err(format!("the kernel asks for {asked:?}, we for {events:?}; {:?}", outcome.faults).into());
            }
            if asked.is_empty() == l2miss {
                return Err(format!("with l2miss {l2miss}: {asked:?}").into());
            }
            add_up(outcome);
        }
    }
    Ok(())
}
