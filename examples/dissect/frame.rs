//! One captured frame, taken apart: the JSON shape, and the walk from tunnel to tunnel.

use std::mem;
use std::net::IpAddr;
use std::ops::Range;

use serde::Serialize;
use serde_json::json;
use vtep::wire::geneve::{OptionView, Options};
use vtep::wire::label::{ClassOption, GroupOption};
use vtep::wire::option_class::option_name;
use vtep::wire::outer::{self, Checks, Checksums, Outer, Tunnel, TunnelPorts};
use vtep::wire::{Encapsulation, EtherType, Layer, Reason, TunnelFlags, WireError, ethernet, ipv4, ipv6, udp, vlan};

use super::link::{self, Payload};

/// Tunnels in tunnels that are followed; a frame may nest deeper, but then it is no longer looked into.
const MAX_TUNNELS: usize = 8;

/// What a frame holds, in the shape that is printed.
#[derive(Default, Serialize)]
pub struct Report {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tunnels: Vec<TunnelReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inner: Option<InnerReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Fault>,
    /// Where the innermost Ethernet frame is.
    #[serde(skip)]
    pub innermost: Option<Range<usize>>,
}

/// One tunnel. Where its header is faulty, only the keys up to `dport`.
#[derive(Serialize)]
pub struct TunnelReport {
    kind: &'static str,
    src: IpAddr,
    dst: IpAddr,
    sport: u16,
    dport: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    vni: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    flags: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_protocol: Option<u8>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    options: Vec<OptionReport>,
}

#[derive(Serialize)]
struct OptionReport {
    class: u16,
    #[serde(rename = "type")]
    kind: u8,
    critical: bool,
    data: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<serde_json::Value>,
}

impl OptionReport {
    fn new(option: &OptionView<'_>) -> Self {
        let OptionView { class, kind, data } = *option;
        let group = option.read::<GroupOption>().ok().flatten().map(|o| ("security-group", json!(o.group.get())));
        let of_class = option.read::<ClassOption>().ok().flatten().map(|o| ("traffic-class", json!(o.class)));
        let ours = group.or(of_class);
        let name = ours.as_ref().map(|(name, _)| *name).or_else(|| option_name(option.id()));
        Self {
            class,
            kind,
            critical: option.critical(),
            data: data.iter().map(|byte| format!("{byte:02x}")).collect(),
            name,
            value: ours.map(|(_, value)| value).or_else(|| name.and_then(|name| value(name, data))),
        }
    }
}

/// What the data of an option with a name says.
fn value(name: &str, data: &[u8]) -> Option<serde_json::Value> {
    match (name, data) {
        // OVN: one reserved bit, 15 bits of ingress port, 16 bits of egress port.
        ("ovn-ports", &[a, b, c, d]) => {
            let (ingress, egress) = (u16::from_be_bytes([a & 0x7f, b]), u16::from_be_bytes([c, d]));
            Some(json!({ "ingress": ingress, "egress": egress }))
        }
        ("gwlb-flow-cookie", &[a, b, c, d]) => Some(json!(u32::from_be_bytes([a, b, c, d]))),
        ("gwlb-endpoint" | "gwlb-attachment", bytes) => {
            bytes.try_into().ok().map(|bytes| json!(format!("{:#018x}", u64::from_be_bytes(bytes))))
        }
        _ => None,
    }
}

/// The innermost Ethernet header, or the type of what a tunnel carries instead of Ethernet.
#[derive(Default, Serialize)]
pub struct InnerReport {
    #[serde(skip_serializing_if = "Option::is_none")]
    src: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dst: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    vlans: Vec<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ethertype: Option<String>,
}

/// What is wrong with the frame, and where.
#[derive(Serialize)]
pub struct Fault {
    layer: &'static str,
    reason: &'static str,
    /// Bytes from the frame's start.
    offset: u32,
}

impl Fault {
    fn new(layer: &'static str, reason: Reason, offset: usize) -> Self {
        Self { layer, reason: reason.name(), offset: u32::try_from(offset).unwrap_or(u32::MAX) }
    }

    fn of(error: WireError, base: usize) -> Self {
        Self::new(error.layer.name(), error.reason, base + error.offset as usize)
    }
}

/// How frames are taken apart.
pub struct Dissector {
    ports: TunnelPorts,
    verify: bool,
    /// Room for snapped frames: zeros between two of them, so that a short one costs no more than its bytes.
    padded: Vec<u8>,
}

impl Dissector {
    pub fn new(ports: TunnelPorts, verify: bool) -> Self {
        Self { ports, verify, padded: Vec::new() }
    }

    /// Takes a frame apart, of which `orig_len` bytes were on the wire.
    pub fn dissect(&mut self, link_type: u32, captured: &[u8], orig_len: u32) -> Report {
        // Lengths of a snapped frame are judged against the length that it had on the wire, so it is given
        // that length; what follows from bytes that were not captured is left out again.
        let orig_len = (orig_len as usize).min(captured.len() + (1 << 20));
        if orig_len <= captured.len() {
            return self.walk(link_type, captured, captured);
        }
        let mut padded = mem::take(&mut self.padded);
        padded.resize(padded.len().max(orig_len), 0);
        padded[..captured.len()].copy_from_slice(captured);
        let report = self.walk(link_type, captured, &padded[..orig_len]);
        padded[..captured.len()].fill(0);
        self.padded = padded;
        report
    }

    /// `bytes` are what was captured and perhaps more.
    fn walk(&self, link_type: u32, captured: &[u8], bytes: &[u8]) -> Report {
        let mut walk = Walk { dissector: self, bytes, captured: captured.len(), report: Report::default() };
        match link::payload(link_type, captured) {
            Ok(Some((payload, at))) => walk.run(payload, at),
            Ok(None) => {}
            Err(offset) => walk.report.error = Some(Fault::new("link", Reason::Truncated, offset)),
        }
        walk.report
    }
}

struct Walk<'a> {
    dissector: &'a Dissector,
    bytes: &'a [u8],
    captured: usize,
    report: Report,
}

impl Walk<'_> {
    fn run(&mut self, mut payload: Payload, at: usize) {
        let mut range = at..self.bytes.len();
        for depth in 0..MAX_TUNNELS {
            let base = range.start;
            let outer = match self.parse(payload, range.clone()) {
                Ok(Some(outer)) => outer,
                Ok(None) => return,
                Err(error) => return self.fault(payload, range, error, depth),
            };
            let tunnel = outer.tunnel;
            if base + tunnel.header.end() as usize > self.captured {
                self.report.tunnels.push(TunnelReport::addresses(&outer));
                let header = base + tunnel.header.start as usize;
                return self.fail(Fault::new(layer(tunnel.encap), Reason::Truncated, header));
            }
            let (entry, fault) = TunnelReport::new(&outer, &self.bytes[range], base);
            self.report.tunnels.push(entry);
            if let Some(fault) = fault {
                return self.fail(fault);
            }
            let start = base + tunnel.inner.start as usize;
            range = start..start + tunnel.inner.len as usize;
            let Some(next) = self.inner(&tunnel, range.clone()) else { return };
            payload = next;
        }
    }

    /// The outer stack in `range`. A length of 0 is a fault on the wire and all right in a super-frame,
    /// which only a capture on the sending host sees: it is named, and the frame read as one.
    fn parse(&mut self, payload: Payload, range: Range<usize>) -> Result<Option<Outer>, WireError> {
        let (bytes, base) = (&self.bytes[range.clone()], range.start);
        let snapped = self.captured < self.bytes.len();
        let judge = |yes| if yes { Checksums::Verify } else { Checksums::Trust };
        let mut checks = Checks {
            ip_checksum: judge(self.dissector.verify),
            udp_checksum: judge(self.dissector.verify && !snapped),
            zero_udp6: !self.dissector.verify,
            ..Checks::default()
        };
        let parse = |checks: &Checks| match payload {
            Payload::Ethernet => outer::parse(bytes, &self.dissector.ports, checks),
            Payload::Ip => outer::parse_ip(bytes, &self.dissector.ports, checks),
        };
        match parse(&checks) {
            Err(error) if error.reason == Reason::ZeroLength => {
                checks.superframes = true;
                let result = parse(&checks);
                let fault = Fault::of(error, base);
                if !self.is_guess(&fault) {
                    self.fail(fault);
                }
                result
            }
            result => result,
        }
    }

    /// Reports what is inside a tunnel, and says how to read it on.
    fn inner(&mut self, tunnel: &Tunnel, range: Range<usize>) -> Option<Payload> {
        let payload = match tunnel.protocol {
            EtherType::ETHERNET => {
                self.report.innermost = None;
                self.report.inner = None;
                return self.frame(range);
            }
            EtherType(0) if tunnel.encap == Encapsulation::Gpe => {
                self.fail(Fault::new(Layer::Gpe.name(), Reason::UnknownNextProtocol, range.start - 5));
                return None;
            }
            EtherType::IPV4 | EtherType::IPV6 => Some(Payload::Ip),
            _ => None,
        };
        let ethertype = Some(hex(tunnel.protocol));
        self.report.innermost = None;
        self.report.inner = Some(InnerReport { ethertype, ..InnerReport::default() });
        let version = self.bytes[..self.captured.min(range.end)].get(range.start).map(|byte| byte >> 4);
        let (layer, expected) = if tunnel.protocol == EtherType::IPV4 { (Layer::Ipv4, 4) } else { (Layer::Ipv6, 6) };
        if payload.is_some() && version.is_some_and(|version| version != expected) {
            self.fail(Fault::new(layer.name(), Reason::UnknownVersion, range.start));
            return None;
        }
        payload
    }

    /// Reports the Ethernet header in `range`, with all its tags.
    fn frame(&mut self, range: Range<usize>) -> Option<Payload> {
        let end = range.end.min(self.captured).max(range.start);
        let Ok((header, mut rest)) = ethernet::Header::parse(&self.bytes[range.start..end]) else {
            self.fail(Fault::new(Layer::Inner.name(), Reason::Truncated, range.start));
            return None;
        };
        let mut inner = InnerReport {
            src: Some(header.src().to_string()),
            dst: Some(header.dst().to_string()),
            ..InnerReport::default()
        };
        let mut ethertype = Some(header.ethertype());
        while let Some(tpid) = ethertype.filter(|ethertype| ethertype.is_tag()) {
            let Some((&[a, b, c, d], after)) = rest.split_first_chunk() else {
                ethertype = None;
                break;
            };
            inner.vlans.push(vlan::Tag { tpid, tci: u16::from_be_bytes([a, b]) }.vid());
            ethertype = Some(EtherType(u16::from_be_bytes([c, d])));
            rest = after;
        }
        // Below 0x0600 the field is an IEEE 802.3 length.
        inner.ethertype = ethertype.filter(|ethertype| ethertype.0 >= 0x0600).map(hex);
        self.report.inner = Some(inner);
        self.report.innermost = Some(range);
        Some(Payload::Ethernet)
    }

    /// Reports a fault of the stack in `range`, unless it says nothing about this frame.
    fn fault(&mut self, payload: Payload, range: Range<usize>, error: WireError, depth: usize) {
        // What a tunnel carries may well be a fragment; only the outermost packet should have been whole.
        let fragment = error.reason == Reason::Fragment && depth > 0;
        let fault = Fault::of(error, range.start);
        let guess = self.is_guess(&fault);
        if matches!(error.layer, Layer::Vxlan | Layer::Gpe | Layer::Geneve) {
            self.report.tunnels.extend(datagram(payload, &self.bytes[range], &self.dissector.ports));
        } else if fragment || guess {
            return;
        }
        let reason = if guess { Reason::Truncated.name() } else { fault.reason };
        self.fail(Fault { reason, ..fault });
    }

    /// Whether the field at fault (two bytes long, if not one) was not captured, and therefore read as 0.
    fn is_guess(&self, fault: &Fault) -> bool {
        self.captured < self.bytes.len() && fault.offset as usize + 2 > self.captured
    }

    /// Keeps the first fault.
    fn fail(&mut self, fault: Fault) {
        self.report.error.get_or_insert(fault);
    }
}

impl TunnelReport {
    /// One of which no more is known than who sent it to whom.
    fn between(encap: Encapsulation, [src, dst]: [IpAddr; 2], [sport, dport]: [u16; 2]) -> Self {
        Self {
            kind: layer(encap),
            src,
            dst,
            sport,
            dport,
            vni: None,
            flags: String::new(),
            policy: None,
            protocol: None,
            next_protocol: None,
            options: Vec::new(),
        }
    }

    fn addresses(outer: &Outer) -> Self {
        Self::between(outer.tunnel.encap, [outer.src, outer.dst], [outer.src_port, outer.dst_port])
    }

    /// The tunnel in `packet`, which starts at byte `base` of the frame, and what is wrong with its options.
    fn new(outer: &Outer, packet: &[u8], base: usize) -> (Self, Option<Fault>) {
        let Tunnel { encap, flags, next_protocol, policy, protocol, vni, options: area, .. } = outer.tunnel;
        let mut fault = None;
        let mut options = Vec::new();
        for option in Options::new(area.of(packet).unwrap_or_default()) {
            match option {
                Ok(option) => options.push(OptionReport::new(&option)),
                Err(error) => fault = Some(Fault::of(error, base + area.start as usize)),
            }
        }
        let says_next = encap == Encapsulation::Gpe && (flags.contains(TunnelFlags::P) || next_protocol != 0);
        let report = Self {
            vni: Some(vni.get()),
            flags: letters(flags),
            policy: flags.contains(TunnelFlags::G).then_some(policy),
            protocol: (encap == Encapsulation::Geneve).then(|| hex(protocol)),
            next_protocol: says_next.then_some(next_protocol),
            options,
            ..Self::addresses(outer)
        };
        (report, fault)
    }
}

/// Addresses and ports in front of a tunnel header that is faulty.
fn datagram(payload: Payload, bytes: &[u8], ports: &TunnelPorts) -> Option<TunnelReport> {
    let packet = match payload {
        Payload::Ip => bytes,
        Payload::Ethernet => {
            let (header, rest) = ethernet::Header::parse(bytes).ok()?;
            vlan::Tags::parse(header.ethertype(), rest).ok()?.1
        }
    };
    let (src, dst, rest): (IpAddr, IpAddr, _) = if packet.first()? >> 4 == 4 {
        let packet = ipv4::Packet::parse(packet, true).ok()?;
        (packet.header.src().into(), packet.header.dst().into(), packet.payload)
    } else {
        let packet = ipv6::Packet::parse(packet, true).ok()?;
        (packet.header.src().into(), packet.header.dst().into(), packet.payload)
    };
    let (header, _) = udp::Header::parse(rest).ok()?;
    let encap = ports.get(header.dst_port())?;
    Some(TunnelReport::between(encap, [src, dst], [header.src_port(), header.dst_port()]))
}

fn layer(encap: Encapsulation) -> &'static str {
    match encap {
        Encapsulation::Vxlan => Layer::Vxlan.name(),
        Encapsulation::Gpe => Layer::Gpe.name(),
        Encapsulation::Geneve => Layer::Geneve.name(),
    }
}

fn letters(flags: TunnelFlags) -> String {
    let order = [
        (TunnelFlags::I, 'I'),
        (TunnelFlags::G, 'G'),
        (TunnelFlags::D, 'D'),
        (TunnelFlags::A, 'A'),
        (TunnelFlags::P, 'P'),
        (TunnelFlags::B, 'B'),
        (TunnelFlags::O, 'O'),
        (TunnelFlags::C, 'C'),
    ];
    order.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, letter)| letter).collect()
}

fn hex(ethertype: EtherType) -> String {
    format!("0x{:04x}", ethertype.0)
}
