//! Why the kernel dropped a packet, from a tracing instance of our own.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Result};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use nix::libc;

/// A tracing instance that records which packets came in at our interfaces, and what was freed as dropped.
///
/// What is dropped is recorded for the whole CPU, whoever dropped it: a busy machine fills the kernel's buffer in
/// seconds. [`Tracer::collect`] takes out what is there, often enough.
pub(crate) struct Tracer {
    instance: PathBuf,
    received: String,
    queued: String,
    pipe: File,
    /// A line that has not come out whole yet.
    rest: Vec<u8>,
    /// Whose packet stands at an address: whether it was received, and its number.
    packets: HashMap<String, (bool, usize)>,
    drops: Drops,
    lost: bool,
}

/// Why each packet was dropped, in the order in which they entered; `None` where it was not.
#[derive(Debug, Default)]
pub(crate) struct Drops {
    pub(crate) received: Vec<Option<String>>,
    pub(crate) queued: Vec<Option<String>>,
}

impl Tracer {
    /// `tracefs` is where it is mounted, `name` the instance's; events are of packets received at `underlay` and
    /// queued to `device`, on this CPU.
    pub(crate) fn open(tracefs: &str, name: &str, cpu: usize, underlay: &str, device: &str) -> Result<Self> {
        let instance = PathBuf::from(tracefs).join("instances").join(name);
        fs::create_dir(&instance)?;
        let open = || {
            let write = |file: &str, text: &str| fs::write(instance.join(file), text);
            write("tracing_cpumask", &format!("{:x}", 1_u64 << cpu))?;
            write(&format!("per_cpu/cpu{cpu}/buffer_size_kb"), "16384")?;
            write("events/net/netif_receive_skb/filter", &format!("name == \"{underlay}\""))?;
            write("events/net/net_dev_queue/filter", &format!("name == \"{device}\""))?;
            for event in ["net/netif_receive_skb", "net/net_dev_queue", "skb/kfree_skb"] {
                write(&format!("events/{event}/enable"), "1")?;
            }
            let path = instance.join(format!("per_cpu/cpu{cpu}/trace_pipe"));
            OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)
        };
        let pipe = open().inspect_err(|_| drop(fs::remove_dir(&instance)))?;
        Ok(Self {
            instance,
            received: format!(": dev={underlay} "),
            queued: format!(": dev={device} "),
            pipe,
            rest: Vec::new(),
            packets: HashMap::new(),
            drops: Drops::default(),
            lost: false,
        })
    }

    /// Forgets what was recorded.
    pub(crate) fn clear(&mut self) -> Result<()> {
        self.collect()?;
        self.packets.clear();
        (self.drops, self.lost) = (Drops::default(), false);
        Ok(())
    }

    /// What was recorded since [`Tracer::clear`]; `None` where events were lost.
    pub(crate) fn drops(&mut self) -> Result<Option<Drops>> {
        self.collect()?;
        self.packets.clear();
        let drops = std::mem::take(&mut self.drops);
        Ok((!self.lost).then_some(drops))
    }

    /// Takes out what was recorded so far.
    pub(crate) fn collect(&mut self) -> Result<()> {
        let mut piece = [0; 1 << 16];
        loop {
            match self.pipe.read(&mut piece) {
                Ok(0) => break,
                Ok(len) => self.rest.extend_from_slice(&piece[..len]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let whole = self.rest.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        let lines: Vec<u8> = self.rest.drain(..whole).collect();
        String::from_utf8_lossy(&lines).lines().for_each(|line| self.event(line));
        Ok(())
    }

    fn event(&mut self, line: &str) {
        if line.contains("LOST") && line.contains("EVENTS") {
            self.lost = true;
        }
        let Some(address) = word(line, "skbaddr=") else { return };
        let Self { packets, drops, .. } = self;
        if line.contains(&self.received) && line.contains("netif_receive_skb:") {
            packets.insert(address.to_owned(), (true, drops.received.len()));
            drops.received.push(None);
        } else if line.contains(&self.queued) && line.contains("net_dev_queue:") {
            packets.insert(address.to_owned(), (false, drops.queued.len()));
            drops.queued.push(None);
        } else if let Some(reason) = word(line, "reason: ") {
            if let Some((received, number)) = packets.remove(address) {
                let list = if received { &mut drops.received } else { &mut drops.queued };
                let place = word(line, "location=").and_then(|text| text.split('+').next()).unwrap_or("?");
                list[number] = Some(format!("{reason} in {place}"));
            }
        }
    }
}

/// What follows `key` up to a blank.
fn word<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    line.split_once(key)?.1.split_whitespace().next()
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = fs::write(self.instance.join("events/enable"), "0");
        // The instance is in use as long as its pipe is open.
        if let Ok(other) = File::open("/dev/null") {
            self.pipe = other;
        }
        // A program that another thread is starting at this moment holds on to it, up to its first instruction.
        for _ in 0..100 {
            match fs::remove_dir(&self.instance) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => thread::sleep(Duration::from_millis(10)),
                _ => return,
            }
        }
    }
}
