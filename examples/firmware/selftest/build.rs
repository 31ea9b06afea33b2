//! Turns a recorded session into constants, and plays both of the image's parts on the host: the image has to end with the
//! same digests.

use std::fmt::Write as _;
use std::path::Path;

use vtep::engine::{Command, Config, Engine, Form, Ingress, Place, Profile, Remote};
use vtep::table::{Ageing, BridgeConfig, Owner, PortConfig, UnderlayConfig};
use vtep::wire::Label;

#[allow(dead_code, unused_imports)]
#[path = "../../vtepd/node/mod.rs"]
mod node;
#[path = "src/replay.rs"]
mod replay;
#[path = "src/scenario.rs"]
mod scenario;

use replay::Call;
use scenario::Tables;

const RECORD: &str = "../../../tests/data/session.record";

fn main() {
    let here = std::env::var("CARGO_MANIFEST_DIR").expect("cargo says so");
    println!("cargo::rustc-link-search={here}");
    for argument in ["-Tlink.x", "-Tdefmt.x", "--nmagic"] {
        println!("cargo::rustc-link-arg-bins={argument}");
    }
    for file in ["memory.x", "src", "../../vtepd/node", RECORD] {
        println!("cargo::rerun-if-changed={file}");
    }

    let record = std::fs::read_to_string(Path::new(&here).join(RECORD)).expect(RECORD);
    let lines: Vec<&str> = record.lines().collect();
    let head: [String; node::HEADER_LINES] = std::array::from_fn(|at| lines[at].to_owned());
    let header = node::read_header(&head).expect("the record's header");
    let Config { seed, sweep, .. } = header.config;
    assert_eq!(header.config, Config { sweep, ..Config::new(Profile::Rfc, seed) }, "write down what is new in Config");

    let mut source =
        format!("pub const CONFIG: Config = Config {{ sweep: {sweep}, ..Config::new(Profile::Rfc, {seed:?}) }};\n");
    source += "pub static LOG: &[(u64, Call)] = &[\n";
    let (mut log, mut recorded) = (Vec::new(), None);
    for line in &lines[node::HEADER_LINES..] {
        let (at, line) = node::read_line(line).expect(line);
        let at = at.as_millis();
        let call = match line {
            node::Line::Tick => Call::Tick,
            node::Line::Command(command) => Call::Command(command),
            node::Line::Packet(Ingress::Port { port, .. }, bytes) => Call::Port(port, bytes.leak()),
            node::Line::Packet(Ingress::Underlay { underlay, form: Form::Datagram(datagram) }, bytes) => {
                Call::Datagram(underlay, datagram, bytes.leak())
            }
            node::Line::Packet(..) => panic!("a packet that the log has no words for"),
            node::Line::End(digest) => {
                recorded = Some(digest);
                continue;
            }
        };
        writeln!(source, "    ({at}, {}),", call_text(&call)).expect("a string");
        log.push((at, call));
    }
    source += "];\n";

    // With the tables it had then, the log ends as it did then.
    let mut tables = node::Tables::new(header.sizes);
    let (memory, labels) = tables.memory();
    let mut engine = Engine::new(memory, &header.config).with_labels(labels);
    assert_eq!(Some(replay::replay(&mut engine, &log)), recorded, "the log does not end as recorded");

    let mut tables = Box::new(Tables::new());
    let replayed = replay::replay(&mut Engine::new(tables.memory(), &header.config), &log);
    let config = Config::new(Profile::Rfc, scenario::SEED);
    let played = scenario::play(&mut Engine::new(tables.memory(), &config)).expect("the scenario on the host");
    writeln!(source, "pub const REPLAYED: u64 = {replayed:#x};\npub const PLAYED: u64 = {played:#x};")
        .expect("a string");

    let out = std::env::var("OUT_DIR").expect("cargo says so");
    std::fs::write(Path::new(&out).join("log.rs"), source).expect("a file in OUT_DIR");
}

fn call_text(call: &Call) -> String {
    match call {
        Call::Tick => "Call::Tick".to_owned(),
        Call::Command(command) => format!("Call::Command({})", command_text(command)),
        Call::Port(port, bytes) => format!("Call::Port({port:?}, &{bytes:?})"),
        Call::Datagram(underlay, d, bytes) => {
            let (src, dst) = (address_text(d.src), address_text(d.dst));
            let vtep::wire::Datagram { src_port, dst_port, tos, ttl, checksum, .. } = d;
            format!(
                "Call::Datagram({underlay:?}, Datagram {{ src: {src}, dst: {dst}, src_port: {src_port}, \
                 dst_port: {dst_port}, tos: {tos}, ttl: {ttl}, checksum: UdpChecksum::{checksum:?} }}, &{bytes:?})"
            )
        }
    }
}

/// A command as the source text of an expression; whatever the text would leave out has to have its default.
fn command_text(command: &Command) -> String {
    match command {
        Command::SetUnderlay { id, config } => {
            let ip = std::net::IpAddr::V4(config.ipv4.expect("an IPv4 underlay"));
            assert_eq!(*config, UnderlayConfig::new(ip));
            format!("Command::SetUnderlay {{ id: {id:?}, config: UnderlayConfig::new({}) }}", address_text(ip))
        }
        Command::AddBridge { id, config } => {
            let BridgeConfig { encapsulation, vni, l2miss, .. } = *config;
            let Ageing::After(ageing) = config.ageing else { panic!("a bridge that ages") };
            let expected = BridgeConfig { ageing: config.ageing, l2miss, ..BridgeConfig::new(encapsulation, vni) };
            assert_eq!(*config, expected);
            let (ageing, vni) = (ageing.as_millis(), vni.get());
            format!(
                "Command::AddBridge {{ id: {id:?}, config: BridgeConfig {{ \
                 ageing: Ageing::After(Duration::from_millis({ageing})), l2miss: {l2miss}, \
                 ..BridgeConfig::new(Encapsulation::{encapsulation:?}, vni({vni})) }} }}"
            )
        }
        Command::AddPort { id, config } => {
            assert_eq!(*config, PortConfig::new(config.bridge));
            format!("Command::AddPort {{ id: {id:?}, config: PortConfig::new({:?}) }}", config.bridge)
        }
        Command::FloodAdd { bridge, remote } => {
            format!("Command::FloodAdd {{ bridge: {bridge:?}, remote: {} }}", remote_text(remote))
        }
        Command::FdbAdd {
            bridge,
            mac,
            place: Place::Remote(remote),
            owner: Owner::Static,
            sticky,
            label: Label::NONE,
        } => format!(
            "Command::FdbAdd {{ bridge: {bridge:?}, mac: MacAddr({:?}), place: Place::Remote({}), \
             owner: Owner::Static, sticky: {sticky}, label: Label::NONE }}",
            mac.0,
            remote_text(remote)
        ),
        other => panic!("a command that the log has no words for: {other:?}"),
    }
}

fn remote_text(remote: &Remote) -> String {
    assert_eq!(*remote, Remote::at(remote.address));
    format!("Remote::at({})", address_text(remote.address))
}

fn address_text(address: std::net::IpAddr) -> String {
    let std::net::IpAddr::V4(v4) = address else { panic!("the log has IPv4 addresses only") };
    format!("IpAddr::V4(Ipv4Addr::from_bits({:#x}))", v4.to_bits())
}
