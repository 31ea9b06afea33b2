//! What nftables sets and counts of packets on a device of the kernel's.

use serde_json::Value;

use super::host::Host;
use super::namespace::Namespace;

/// Counts the packets that come in by a device and fit `words`, under a name.
#[track_caller]
pub(crate) fn watch(at: &Namespace, device: &str, name: &str, words: &str) {
    load(
        at,
        name,
        &format!(
            "table netdev {name} {{
                counter seen {{ }}
                chain in {{
                    type filter hook ingress device \"{device}\" priority 0;
                    {words} counter name \"seen\"
                }}
            }}\n"
        ),
    );
}

/// How many of them there were.
#[track_caller]
pub(crate) fn seen(at: &Namespace, name: &str) -> u64 {
    count(at, name, "seen")
}

/// What a device's packets are marked with, and which marks it lets in. A VXLAN device with `gbp` sends the mark as the
/// group policy ID, and marks what it receives with that.
pub(crate) struct Marks<'h> {
    host: &'h Host,
    device: &'static str,
}

impl<'h> Marks<'h> {
    /// Lets in what has the mark `accepted`, and ARP; counts what it lets in, what it keeps out, and what is sent.
    #[track_caller]
    pub(crate) fn new(host: &'h Host, device: &'static str, accepted: u32) -> Self {
        let marks = Self { host, device };
        marks.load(&format!(
            "table netdev marks {{
                counter accepted {{ }}
                counter refused {{ }}
                counter sent {{ }}
                chain in {{
                    type filter hook ingress device \"{device}\" priority 0;
                    meta mark {accepted} counter name \"accepted\" accept
                    counter name \"refused\" drop
                }}
                chain out {{
                    type filter hook egress device \"{device}\" priority 0;
                }}
            }}\n"
        ));
        marks
    }

    /// Marks everything that is sent from here on; 0 for no mark.
    #[track_caller]
    pub(crate) fn send_as(&self, mark: u32) {
        self.load(&format!(
            "flush chain netdev marks out\nadd rule netdev marks out counter name \"sent\" meta mark set {mark}\n"
        ));
    }

    /// Packets that a counter has seen: `accepted`, `refused` or `sent`.
    #[track_caller]
    pub(crate) fn count(&self, name: &str) -> u64 {
        count(self.host, "marks", name)
    }

    #[track_caller]
    fn load(&self, text: &str) {
        load(self.host, self.device, text);
    }
}

#[track_caller]
fn load(at: &Namespace, name: &str, text: &str) {
    let file = at.ground.file(&format!("{name}.nft"));
    std::fs::write(&file, text).expect("a file of rules");
    at.run(&format!("nft -f {}", file.display()));
}

#[track_caller]
fn count(at: &Namespace, table: &str, counter: &str) -> u64 {
    let text = at.run(&format!("nft -j list counter netdev {table} {counter}"));
    let json: Value = serde_json::from_str(&text).expect("nft prints JSON");
    let all = json["nftables"].as_array().expect("a list");
    all.iter().find_map(|part| part["counter"]["packets"].as_u64()).expect("a counter")
}
