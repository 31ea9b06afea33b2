//! `dissect` against tshark, frame by frame, over captures that others made; `docs/dissect.md` has the result.
//!
//! The folder of captures comes from `VTEP_CAPTURES`; without it, or without tshark, the tests count as
//! ignored. Both programs are given the same ports. Of every frame that tshark finds well-formed, VNI,
//! ports, addresses, options, inner addresses, tags and EtherType must be the same; every malformed one
//! must have its fault named. What is meant to differ stands in [`DIFFERENCES`], and only that may differ.
#![allow(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::std_instead_of_core, clippy::string_slice)]

mod common;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::process::Command;

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

use common::DISSECT;

/// Tunnels on other ports than IANA's.
const PORTS: &[(&str, &[(u16, &str)])] = &[
    ("tcpdump__vxlan_port_8472.pcap", &[(8472, "vxlan")]),
    ("tcpdump__esp_truncated.pcap", &[(8472, "vxlan")]),
    ("arkime__arkime_synthetic.pcap", &[(40_000, "gpe")]),
];

/// Frames that tshark finds malformed in a tunnel or in what is around it, and what is wrong with them.
const FAULTS: &[Fault] = &[
    // Headers without what they announce: templates that a switch puts in front of packets.
    ("ovs-tests__geneve-push-pop.pcap", 3..=10, "ipv4", "length-too-long", None),
    ("ovs-tests__vxlan-push-pop.pcap", 12..=19, "ipv4", "length-too-long", None),
    // Longer than a length field can say, and therefore read to the end of the frame all the same.
    ("tcpdump__bigtcp-ipv4-geneve-ipv4.pcap", 1..=1, "ipv4", "zero-length", Some(5001)),
    ("tcpdump__bigtcp-ipv4-geneve-ipv6.pcap", 1..=1, "ipv4", "zero-length", Some(5001)),
    ("tcpdump__bigtcp-ipv4-vxlan-ipv4.pcap", 1..=1, "ipv4", "zero-length", Some(5001)),
    ("tcpdump__bigtcp-ipv4-vxlan-ipv6.pcap", 1..=1, "ipv4", "zero-length", Some(5001)),
    ("tcpdump__bigtcp-ipv6-geneve-ipv4.pcap", 1..=1, "ipv6", "zero-length", Some(5001)),
    ("tcpdump__bigtcp-ipv6-geneve-ipv6.pcap", 1..=1, "ipv6", "zero-length", Some(5001)),
    ("tcpdump__bigtcp-ipv6-vxlan-ipv4.pcap", 1..=1, "ipv6", "zero-length", Some(5001)),
    ("tcpdump__bigtcp-ipv6-vxlan-ipv6.pcap", 1..=1, "ipv6", "zero-length", Some(5001)),
];

/// Frames on which the two are meant to disagree.
const DIFFERENCES: &[Difference] = &[
    Difference {
        file: "arkime__arkime_synthetic.pcap",
        frames: 618..=619,
        error: Some(("gpe", "unknown-next-protocol")),
        why: "tshark follows GPE's next protocol with P clear; the draft wants it zero then",
    },
    Difference {
        file: "arkime__arkime_synthetic.pcap",
        frames: 623..=623,
        error: None,
        why: "tshark takes the source port 6081 for a sign of Geneve; only the destination port selects",
    },
    Difference {
        file: "arkime__gre-erspan-vxlan.pcap",
        frames: 1..=7,
        error: None,
        why: "tshark looks into GRE and ERSPAN, and takes the source port 4789 for a sign of VXLAN",
    },
    Difference {
        file: "tcpdump__esp_truncated.pcap",
        frames: 1..=1,
        error: Some(("ipv4", "fragment")),
        why: "tshark takes the source port 4500 for a sign of IPsec; it is a first fragment to a VXLAN port",
    },
];

/// File, frames, layer, reason, and the VNI that is reported all the same.
type Fault = (&'static str, RangeInclusive<u64>, &'static str, &'static str, Option<u64>);

/// Frames on which `dissect` says something else than tshark, and why.
struct Difference {
    file: &'static str,
    frames: RangeInclusive<u64>,
    /// The layer and reason of `dissect`'s error, if it has one.
    error: Option<(&'static str, &'static str)>,
    why: &'static str,
}

fn main() {
    let arguments = Arguments::from_args();
    let mut trials = match captures() {
        Ok(files) => files.into_iter().map(|file| Trial::test(name(&file), move || compare(&file))).collect(),
        Err(missing) => {
            let trial = Trial::test(format!("captures agree with tshark ({missing})"), move || Err(missing.into()));
            vec![trial.with_ignored_flag(true)]
        }
    };
    trials.push(Trial::test("docs/dissect.md has what is meant to differ", documented));
    libtest_mimic::run(&arguments, trials).exit();
}

/// Whether the tables of the documentation are those above.
fn documented() -> Result<(), Failed> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/dissect.md"))?;
    let mut differences = String::from("| capture | frames | fault named by `dissect` | why |\n|---|---|---|---|\n");
    for Difference { file, frames, error, why } in DIFFERENCES {
        let error = error.map_or("none".into(), |(layer, reason)| format!("`{layer}`, `{reason}`"));
        differences += &format!("| {file} | {} | {error} | {why} |\n", numbers(frames));
    }
    let mut faults = String::from("| capture | frames | layer | reason | VNI |\n|---|---|---|---|---|\n");
    for (file, frames, layer, reason, vni) in FAULTS {
        let vni = vni.map_or("not reached".into(), |vni| vni.to_string());
        faults += &format!("| {file} | {} | `{layer}` | `{reason}` | {vni} |\n", numbers(frames));
    }
    for (name, table) in [("differences", differences), ("faults", faults)] {
        let told = text.split_once(&format!("<!-- {name}:begin -->\n"));
        let told = told.and_then(|(_, rest)| rest.split_once(&format!("<!-- {name}:end -->")));
        if told.is_none_or(|(told, _)| told != table) {
            return Err(format!("put this between the markers of {name} in docs/dissect.md:\n\n{table}").into());
        }
    }
    Ok(())
}

fn numbers(frames: &RangeInclusive<u64>) -> String {
    if frames.start() == frames.end() {
        frames.start().to_string()
    } else {
        format!("{frames:?}").replace("..=", " to ")
    }
}

/// The captures to read, or what is missing to read them.
fn captures() -> Result<Vec<PathBuf>, &'static str> {
    let folder = std::env::var_os("VTEP_CAPTURES").ok_or("VTEP_CAPTURES is not set")?;
    if Command::new("tshark").arg("--version").output().is_err() {
        return Err("tshark is not installed");
    }
    let entries = std::fs::read_dir(folder).map_err(|_| "the folder in VTEP_CAPTURES cannot be read")?;
    let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<_> =
        files.filter(|path| path.extension().is_some_and(|e| e == "pcap" || e == "pcapng")).collect();
    files.sort();
    if files.is_empty() { Err("no capture in VTEP_CAPTURES") } else { Ok(files) }
}

fn name(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn compare(file: &Path) -> Result<(), Failed> {
    let name = name(file);
    let mut ports = BTreeMap::from([(4789, "vxlan"), (4790, "gpe"), (6081, "geneve")]);
    ports.extend(PORTS.iter().filter(|(file, _)| *file == name).flat_map(|(_, ports)| *ports).copied());
    let ours = dissect(file, &ports)?;
    let theirs = tshark(file, &ports)?;
    if ours.len() != theirs.len() {
        return Err(format!("{} frames, but tshark sees {}", ours.len(), theirs.len()).into());
    }
    let mut complaints = Vec::new();
    for (frame, (ours, theirs)) in (1..).zip(ours.iter().zip(&theirs)) {
        if let Err(complaint) = judge(&name, frame, ours, theirs, &ports) {
            complaints.push(format!("frame {frame}: {complaint}\n  dissect: {ours}"));
        }
    }
    if complaints.is_empty() { Ok(()) } else { Err(complaints.join("\n").into()) }
}

/// Whether the two agree on a frame as they should.
fn judge(name: &str, frame: u64, ours: &Value, theirs: &Value, ports: &BTreeMap<u16, &str>) -> Result<(), String> {
    let error = ours.get("error").map(|error| (text(&error["layer"]), text(&error["reason"])));
    let expected = View::of_tshark(theirs, ports);
    let malformed = expected.malformed;
    let seen = View::of_dissect(ours);
    let here = |file: &str, frames: &RangeInclusive<u64>| file == name && frames.contains(&frame);

    if let Some((.., layer, reason, vni)) = FAULTS.iter().find(|(file, frames, ..)| here(file, frames)) {
        let named = error == Some((layer, reason)) && ours["tunnels"][0]["vni"].as_u64() == *vni;
        let expected = format!("expected {layer}, {reason}, VNI {vni:?}");
        return if named && malformed { Ok(()) } else { Err(format!("{expected}; tshark: malformed {malformed}")) };
    }
    if let Some(meant) = DIFFERENCES.iter().find(|meant| here(meant.file, &meant.frames)) {
        if error != meant.error {
            return Err(format!("expected the error {:?}", meant.error));
        }
        let differs = expected != seen || error.is_some();
        return if differs { Ok(()) } else { Err(format!("no longer differs, although {}", meant.why)) };
    }
    // A frame whose fault is in a protocol above ours is well-formed as far as we look.
    if let Some(error) = error {
        return Err(format!("an error that nobody expects: {error:?}"));
    }
    if malformed && !expected.tunnels.is_empty() {
        return Err("tshark finds it malformed".into());
    }
    if expected != seen { Err(format!("\n  tshark says {expected:?}\n  dissect says {seen:?}")) } else { Ok(()) }
}

/// What both say about a frame, in common terms.
#[derive(Debug, Default)]
struct View {
    malformed: bool,
    /// Kind, source, destination, ports, VNI.
    tunnels: Vec<Tunnel>,
    /// Class, type and data, of all tunnels together.
    options: Vec<(u64, u64, String)>,
    /// Source, destination and VLANs of the innermost Ethernet frame.
    inner: Option<(String, String, Vec<u64>)>,
    ethertype: Option<u64>,
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        (&self.tunnels, &self.options, &self.inner, self.ethertype)
            == (&other.tunnels, &other.options, &other.inner, other.ethertype)
    }
}

impl View {
    fn of_dissect(frame: &Value) -> Self {
        let mut view = Self::default();
        for tunnel in list(&frame["tunnels"]) {
            view.tunnels.push((
                text(&tunnel["kind"]).into(),
                text(&tunnel["src"]).into(),
                text(&tunnel["dst"]).into(),
                number(&tunnel["sport"]),
                number(&tunnel["dport"]),
                number(&tunnel["vni"]),
            ));
            for option in list(&tunnel["options"]) {
                view.options.push((number(&option["class"]), number(&option["type"]), text(&option["data"]).into()));
            }
        }
        let inner = &frame["inner"];
        if inner["src"].is_string() {
            let vlans = list(&inner["vlans"]).iter().map(|vlan| number(vlan)).collect();
            view.inner = Some((text(&inner["src"]).into(), text(&inner["dst"]).into(), vlans));
        }
        view.ethertype = inner.get("ethertype").map(number);
        view
    }

    /// tshark lists the layers of one protocol together; `frame.protocols` has their order.
    fn of_tshark(layers: &Value, ports: &BTreeMap<u16, &str>) -> Self {
        let mut view = Self { malformed: layers.to_string().contains("\"_ws.malformed\""), ..Self::default() };
        let mut next = BTreeMap::<&str, usize>::new();
        let mut take = |protocol: &'static str| {
            let index = next.entry(protocol).or_default();
            let layer = list(&layers[protocol]).get(*index).copied().unwrap_or(&Value::Null);
            *index += 1;
            layer
        };
        let (mut src, mut dst, mut sport, mut dport) = ("", "", 0, 0);
        let mut in_tunnel = false;
        for protocol in text(&layers["frame"]["frame.protocols"]).split(':') {
            let after_tunnel = std::mem::take(&mut in_tunnel);
            match protocol {
                "ip" => {
                    let ip = take("ip");
                    (src, dst) = (text(&ip["ip.src"]), text(&ip["ip.dst"]));
                }
                "ipv6" => {
                    let ip = take("ipv6");
                    (src, dst) = (text(&ip["ipv6.src"]), text(&ip["ipv6.dst"]));
                }
                "eth" => {
                    let eth = take("eth");
                    if after_tunnel {
                        let addresses = (text(&eth["eth.src"]).into(), text(&eth["eth.dst"]).into(), Vec::new());
                        view.inner = Some(addresses);
                        view.ethertype = eth.get("eth.type").map(number);
                    }
                }
                "vlan" | "ieee8021ad" => {
                    let (tag, id, next) = match protocol {
                        "vlan" => (take("vlan"), "vlan.id", "vlan.etype"),
                        _ => (take("ieee8021ad"), "ieee8021ad.id", "ieee8021ah.etype"),
                    };
                    if let Some((.., vlans)) = &mut view.inner {
                        vlans.push(number(&tag[id]));
                        view.ethertype = tag.get(next).map(number);
                    }
                }
                "udp" => {
                    let udp = take("udp");
                    (sport, dport) = (number(&udp["udp.srcport"]), number(&udp["udp.dstport"]));
                    // GPE alone is not among the protocols of a frame, and its header counts as VXLAN's.
                    if u16::try_from(dport).ok().and_then(|dport| ports.get(&dport)) == Some(&"gpe") {
                        let gpe = take("vxlan");
                        view.tunnels.push(tunnel("gpe", src, dst, sport, dport, &gpe["vxlan.vni"]));
                        view.enter(gpe.get("vxlan.next_proto").map(|next| match number(next) {
                            1 => 0x0800,
                            2 => 0x86dd,
                            3 => 0x6558,
                            4 => 0x894f,
                            _ => 0,
                        }));
                        in_tunnel = true;
                    }
                }
                "vxlan" => {
                    let vxlan = take("vxlan");
                    view.tunnels.push(tunnel("vxlan", src, dst, sport, dport, &vxlan["vxlan.vni"]));
                    view.enter(Some(0x6558));
                    in_tunnel = true;
                }
                "geneve" => {
                    let geneve = take("geneve");
                    view.tunnels.push(tunnel("geneve", src, dst, sport, dport, &geneve["geneve.vni"]));
                    view.options.extend(options(&geneve["geneve.options_tree"]));
                    view.enter(Some(number(&geneve["geneve.proto_type"])));
                    in_tunnel = true;
                }
                _ => {}
            }
        }
        view
    }

    /// A tunnel that carries `protocol` begins: what was inside the one before is not innermost.
    fn enter(&mut self, protocol: Option<u64>) {
        self.inner = None;
        self.ethertype = protocol.filter(|protocol| *protocol != 0x6558);
    }
}

type Tunnel = (String, String, String, u64, u64, u64);

fn tunnel(kind: &str, src: &str, dst: &str, sport: u64, dport: u64, vni: &Value) -> Tunnel {
    (kind.into(), src.into(), dst.into(), sport, dport, number(vni))
}

/// The options that tshark shows, from their bytes.
fn options(tree: &Value) -> Vec<(u64, u64, String)> {
    let options = list(&tree["geneve.option"]);
    let options = options.iter().map(|option| text(option).replace(':', ""));
    let parse = |hex: &str| u64::from_str_radix(hex, 16).unwrap_or(u64::MAX);
    options.map(|hex| (parse(&hex[..4]), parse(&hex[4..6]), hex[8..].to_owned())).collect()
}

/// What `dissect` prints, a value a frame.
fn dissect(file: &Path, ports: &BTreeMap<u16, &str>) -> Result<Vec<Value>, Failed> {
    let mut command = Command::new(&*DISSECT);
    command.args(ports.iter().map(|(port, kind)| format!("--port={port}={kind}")));
    let output = command.arg(file).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    Ok(String::from_utf8(output.stdout)?.lines().map(serde_json::from_str).collect::<Result<_, _>>()?)
}

/// The layers of every frame, as tshark sees them.
fn tshark(file: &Path, ports: &BTreeMap<u16, &str>) -> Result<Vec<Value>, Failed> {
    let mut command = Command::new("tshark");
    command.args(["-T", "json", "--no-duplicate-keys", "-r"]).arg(file);
    for (port, kind) in ports {
        let protocol = if *kind == "gpe" { "vxlan_gpe" } else { kind };
        command.arg(format!("-dudp.port=={port},{protocol}"));
    }
    let output = command.output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into());
    }
    let frames: Vec<Value> = serde_json::from_slice(&output.stdout)?;
    Ok(frames.into_iter().map(|mut frame| frame["_source"]["layers"].take()).collect())
}

/// A value, or the values of an array: what occurs once is no array.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(values) => values.iter().collect(),
        value => vec![value],
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// A JSON number, or a string that holds one: decimal, `0x` and hexadecimal.
fn number(value: &Value) -> u64 {
    match value {
        Value::String(text) => match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).unwrap_or(u64::MAX),
            None => text.parse().unwrap_or(u64::MAX),
        },
        value => value.as_u64().unwrap_or(u64::MAX),
    }
}
