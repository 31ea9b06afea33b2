//! Why the kernel dropped a packet, from a tracing instance of our own.

use std::collections::HashMap;
use std::fs;
use std::io::Result;
use std::path::PathBuf;

/// A tracing instance that records which packets came in at our interfaces, and what was freed as dropped.
pub(crate) struct Tracer {
    instance: PathBuf,
    received: String,
    queued: String,
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
        let tracer = Self { instance, received: format!(": dev={underlay} "), queued: format!(": dev={device} ") };
        tracer.write("tracing_cpumask", &format!("{:x}", 1_u64 << cpu))?;
        tracer.write(&format!("per_cpu/cpu{cpu}/buffer_size_kb"), "16384")?;
        tracer.write("events/net/netif_receive_skb/filter", &format!("name == \"{underlay}\""))?;
        tracer.write("events/net/net_dev_queue/filter", &format!("name == \"{device}\""))?;
        for event in ["net/netif_receive_skb", "net/net_dev_queue", "skb/kfree_skb"] {
            tracer.write(&format!("events/{event}/enable"), "1")?;
        }
        Ok(tracer)
    }

    fn write(&self, file: &str, text: &str) -> Result<()> {
        fs::write(self.instance.join(file), text)
    }

    pub(crate) fn clear(&self) -> Result<()> {
        self.write("trace", "\n")
    }

    /// What was recorded since [`Tracer::clear`]; `None` where events were lost.
    pub(crate) fn drops(&self) -> Result<Option<Drops>> {
        let text = fs::read_to_string(self.instance.join("trace"))?;
        let mut drops = Drops::default();
        // Whose packet stands at an address: whether it was received, and its number.
        let mut packets: HashMap<&str, (bool, usize)> = HashMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if line.contains("LOST") && line.contains("EVENTS") {
                return Ok(None);
            }
            let Some(address) = word(line, "skbaddr=") else { continue };
            if line.contains(&self.received) && line.contains("netif_receive_skb:") {
                packets.insert(address, (true, drops.received.len()));
                drops.received.push(None);
            } else if line.contains(&self.queued) && line.contains("net_dev_queue:") {
                packets.insert(address, (false, drops.queued.len()));
                drops.queued.push(None);
            } else if let Some(reason) = word(line, "reason: ") {
                if let Some((received, number)) = packets.remove(address) {
                    let list = if received { &mut drops.received } else { &mut drops.queued };
                    let place = word(line, "location=").and_then(|text| text.split('+').next()).unwrap_or("?");
                    list[number] = Some(format!("{reason} in {place}"));
                }
            }
        }
        Ok(Some(drops))
    }
}

/// What follows `key` up to a blank.
fn word<'l>(line: &'l str, key: &str) -> Option<&'l str> {
    line.split_once(key)?.1.split_whitespace().next()
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _ = self.write("events/enable", "0");
        let _ = fs::remove_dir(&self.instance);
    }
}
