use std::io::Read;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use vtep::engine::{Command, Config, Cursor, Flush, Form, Ingress, Input, Place, Profile, Remote, Verdict};
use vtep::table::fdb::Owners;
use vtep::table::{
    Admission, Ageing, BridgeConfig, BridgeId, DuplicateAction, DuplicateDetection, Duration, Instant, Owner,
    PortConfig, PortId, Rate, StormControl, UnderlayConfig, UnderlayId, VlanDecap, VlanEncap,
};
use vtep::wire::{Datagram, Df, Encapsulation, FrameKind, Label, MacAddr, Tos, Ttl, UdpChecksum, Vni};

use super::*;

const MAC: MacAddr = MacAddr([2, 0, 0, 0, 0, 0xaa]);
const PEER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

fn commands() -> Vec<Command> {
    let (id, bridge, port) = (UnderlayId(0), BridgeId(0), PortId(0));
    let v6 = IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 1));
    let elsewhere = Remote {
        underlay: id,
        address: v6,
        encapsulation: Some(Encapsulation::Geneve),
        port: Some(8472),
        vni: Vni::new(77),
    };
    let plain = BridgeConfig::new(Encapsulation::Vxlan, Vni::new(5000).unwrap());
    let odd = BridgeConfig {
        ageing: Ageing::Never,
        vlan_encap: VlanEncap::Map(7),
        vlan_decap: VlanDecap::Keep,
        admission: Admission::Configured,
        gbp: true,
        max_macs: Some(9),
        ..plain
    };
    let underlay = UnderlayConfig::new(IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)));
    let inherit =
        UnderlayConfig { ttl: Ttl::Inherit, tos: Tos::Inherit, df: Df::Inherit, ..Profile::Linux.underlay(v6) };
    let rate = Rate { per_second: 100, burst: 20 };
    let recovering = DuplicateDetection {
        action: DuplicateAction::Alert,
        recover: Some(Duration::from_secs(9)),
        ..DuplicateDetection::RFC
    };
    vec![
        Command::SetUnderlay { id, config: inherit },
        Command::SetUnderlay { id, config: underlay },
        Command::AddBridge { id: bridge, config: odd },
        Command::SetBridge { id: bridge, config: BridgeConfig { ageing: Ageing::NoLearn, ..odd } },
        Command::RemoveBridge { id: bridge },
        Command::AddBridge { id: bridge, config: plain },
        Command::AddPort { id: port, config: PortConfig { max_macs: Some(3), ..PortConfig::new(bridge) } },
        Command::FloodAdd { bridge, remote: Remote::at(PEER) },
        Command::FloodAdd { bridge, remote: elsewhere },
        Command::FloodRemove { bridge, remote: elsewhere },
        Command::FdbAdd {
            bridge,
            mac: MAC,
            place: Place::Port(port),
            owner: Owner::Static,
            sticky: true,
            label: Label::NONE,
        },
        Command::FdbReplace {
            bridge,
            mac: MAC,
            place: Place::Blackhole,
            owner: Owner::Controller,
            sticky: false,
            label: Label::NONE,
        },
        Command::FdbReplace {
            bridge,
            mac: MAC,
            place: Place::Host,
            owner: Owner::Static,
            sticky: false,
            label: Label::NONE,
        },
        Command::FdbReplace {
            bridge,
            mac: MAC,
            place: Place::Remote(elsewhere),
            owner: Owner::Evpn,
            sticky: false,
            label: Label::NONE,
        },
        Command::FdbDelete { bridge, mac: MAC, remote: None },
        Command::FdbAppend { bridge, mac: MacAddr([1, 0, 0x5e, 0, 0, 1]), remote: Remote::at(PEER) },
        Command::FdbDelete { bridge, mac: MacAddr([1, 0, 0x5e, 0, 0, 1]), remote: Some(Remote::at(PEER)) },
        Command::Learn { bridge, mac: MAC, place: Place::Remote(Remote::at(PEER)), label: Label::NONE },
        Command::Flush(Flush { bridge: Some(bridge), place: Some(Place::Port(port)), owners: Owners::all() }),
        Command::Flush(Flush::dynamic()),
        Command::SetPort { id: port, config: PortConfig { max_macs: Some(4), ..PortConfig::new(bridge) } },
        Command::SetStormControl { bridge, config: StormControl { multicast: None, ..StormControl::each(rate) } },
        Command::SetStormControl { bridge, config: StormControl::OFF },
        Command::SetDuplicateDetection { bridge, config: Some(DuplicateDetection::RFC) },
        Command::SetDuplicateDetection { bridge, config: Some(recovering) },
        Command::ClearDuplicate { bridge, mac: None },
        Command::ClearDuplicate { bridge, mac: Some(MAC) },
        Command::SetDuplicateDetection { bridge, config: None },
    ]
}

fn packets() -> Vec<(Ingress, Vec<u8>)> {
    let datagram = Datagram {
        src: PEER,
        dst: IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)),
        src_port: 50_000,
        dst_port: 4789,
        tos: 2,
        ttl: 64,
        checksum: UdpChecksum::Good,
    };
    let mut frame = vec![0xff; 6];
    frame.extend_from_slice(&[2, 0, 0, 0, 0, 1, 0x88, 0xb5, 1, 2, 3]);
    let mut tunnel = vec![8, 0, 0, 0, 0, 0x13, 0x88, 0];
    tunnel.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 2, 0x88, 0xb5, 0x5a]);
    let underlay = Ingress::Underlay { underlay: UnderlayId(0), form: Form::Datagram(datagram) };
    let port = Ingress::Port { port: PortId(0), payload: FrameKind::Ethernet };
    vec![(port, frame), (underlay, tunnel), (port, Vec::new()), (underlay, vec![0xa5; 3])]
}

/// Runs everything there is, and hands out the record and the state.
fn live(journal: Journal) -> (String, Summary) {
    let mut tables =
        Tables::new(Sizes { buckets: 16, endpoints: 8, groups: 4, members: 8, events: 8, ..Sizes::new(1, 1) });
    let mut node = Node::new(&mut tables, &Config::new(Profile::Rfc, [1, 2]), journal);
    for (at, command) in (0..).zip(commands()) {
        let _ = node.command(Instant::from_millis(at), &command);
    }
    for (at, (ingress, bytes)) in (100..).zip(packets()) {
        let verdict = node.step(Instant::from_millis(at), &Input { ingress, bytes: &bytes });
        if let Verdict::Flood(flood) = verdict {
            let mut cursor = Cursor::new();
            while node.engine().next_copy(&flood, &mut cursor).is_some() {}
        }
    }
    node.tick(Instant::from_millis(5000));
    let digest = node.engine().digest();
    let mut record = String::new();
    node.journal().copy(Instant::from_millis(5000), digest).unwrap().read_to_string(&mut record).unwrap();
    (record, node.summary())
}

fn lines(record: &str) -> (Header, Vec<(Instant, Line)>) {
    let mut lines = record.lines().map(str::to_owned);
    let header = read_header(&[(); HEADER_LINES].map(|()| lines.next().unwrap())).unwrap();
    (header, lines.map(|line| read_line(&line).unwrap()).collect())
}

#[test]
fn a_record_says_what_was_done() {
    let (record, summary) = live(Journal::in_memory());
    let (header, lines) = lines(&record);
    assert_eq!(header.config, Config::new(Profile::Rfc, [1, 2]));
    assert_eq!((header.sizes.buckets, header.sizes.bridges), (16, 1));
    let mut expected: Vec<Line> = commands().into_iter().map(Line::Command).collect();
    expected.extend(packets().into_iter().map(|(ingress, bytes)| Line::Packet(ingress, bytes)));
    expected.extend([Line::Tick, Line::End(summary.digest)]);
    assert_eq!(lines.iter().map(|(_, line)| line.clone()).collect::<Vec<_>>(), expected);
    assert_eq!(lines[commands().len()].0, Instant::from_millis(100));
}

#[test]
fn a_record_replays() {
    let (record, live) = live(Journal::in_memory());
    assert!(live.counters[0].1.contains(&("copies".to_owned(), 2)), "{live}");
    let (header, lines) = lines(&record);
    let mut tables = Tables::new(header.sizes);
    let mut node = Node::new(&mut tables, &header.config, Journal::nowhere());
    for (now, line) in lines {
        match line {
            Line::Command(command) => drop(node.command(now, &command)),
            Line::Packet(ingress, bytes) => {
                if let Verdict::Flood(flood) = node.step(now, &Input { ingress, bytes: &bytes }) {
                    let mut cursor = Cursor::new();
                    while node.engine().next_copy(&flood, &mut cursor).is_some() {}
                }
            }
            Line::Tick => node.tick(now),
            Line::End(digest) => assert_eq!(digest, live.digest),
        }
    }
    assert_eq!(node.summary(), live);
    assert_eq!(node.summary().to_string(), live.to_string());
}

#[test]
fn a_file_holds_the_same_as_memory() {
    let path = std::env::temp_dir().join(format!("vtep-record-{}", std::process::id()));
    let (in_file, _) = live(Journal::to_file(&path).unwrap());
    std::fs::remove_file(&path).unwrap();
    assert_eq!(in_file, live(Journal::in_memory()).0);
}

#[test]
fn a_full_memory_says_so_and_has_no_end() {
    let mut tables = Tables::new(Sizes { buckets: 1, ..Sizes::new(1, 1) });
    let mut node = Node::new(&mut tables, &Config::new(Profile::Rfc, [1, 2]), Journal::in_memory());
    let (ingress, bytes) = (packets()[0].0, vec![0; 1 << 20]);
    for _ in 0..20 {
        node.step(Instant::ZERO, &Input { ingress, bytes: &bytes });
    }
    assert!(node.journal().incomplete().is_some_and(|why| why.contains("--record")));
    let mut record = String::new();
    node.journal().copy(Instant::ZERO, 0).unwrap().read_to_string(&mut record).unwrap();
    assert!(record.len() < 16 << 20 && record.ends_with('\n'));
    assert!(lines(&record).1.iter().all(|(_, line)| matches!(line, Line::Packet(..))));
}

#[test]
fn what_is_no_record_is_refused() {
    for line in [
        "",
        "5",
        "x tick",
        "5 dance",
        "5 port 0",
        "5 port x 00",
        "5 port 0 0",
        "5 port 0 0g",
        "5 udp 0 10.0.0.2",
        "5 udp 0 10.0.0.2 10.0.0.1 1 2 3 4 9 00",
        "5 end zz",
        "5 add-port id=0",
        "5 fdb-add bridge=0 mac=02:00:00:00:00 place=host owner=static sticky=0",
        "5 fdb-add bridge=0 mac=02:00:00:00:00:01 place=attic owner=static sticky=0",
        "5 flood-add bridge=0 remote=0,10.0.0.2,-,-",
        "5 flood-add bridge=0 remote=0,10.0.0.2,-,-,99999999",
        "5 flush bridge=- place=- owners=255",
    ] {
        assert!(read_line(line).is_err(), "{line}");
    }
    assert!(read_header(&["vtep-record 2", "sizes", "config"].map(str::to_owned)).is_err());
}

#[test]
fn macs_are_read() {
    assert_eq!(mac_address("02:00:00:00:00:aa"), Ok(MAC));
    assert_eq!(mac_address("2:0:0:0:0:AA"), Ok(MAC));
    for wrong in ["", "02", "02:00:00:00:00", "02:00:00:00:00:aa:bb", "02:00:00:00:00:1aa", "+2:00:00:00:00:aa"] {
        assert!(mac_address(wrong).is_err(), "{wrong}");
    }
}
