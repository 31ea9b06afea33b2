//! Outer headers read and written.

use core::hint::black_box;
use core::net::IpAddr;

use vtep::wire::geneve::{Definition, Options, Rules};
use vtep::wire::{
    Checks, Depth, Encapsulation, Link, MacAddr, Payload, PerPacket, Template, TemplateConfig, TunnelPorts, Vni, outer,
};

use super::overlay::frame;
use super::world::build::{Checksum, Packet, geneve, geneve_option, vxlan};
use super::{Case, Random};

/// Packets of one run.
pub const BATCH: usize = 256;
const ROOM: usize = 192;

/// What a packet looks like.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub name: &'static str,
    pub encapsulation: Encapsulation,
    pub ipv6: bool,
    pub options: usize,
    pub checksum: bool,
}

const PLAIN: Shape =
    Shape { name: "vxlan/v4", encapsulation: Encapsulation::Vxlan, ipv6: false, options: 0, checksum: false };
const GENEVE: Shape = Shape { name: "geneve/v4", encapsulation: Encapsulation::Geneve, ..PLAIN };

pub const SHAPES: [Shape; 7] = [
    PLAIN,
    Shape { name: "vxlan/v4/checksum", checksum: true, ..PLAIN },
    Shape { name: "vxlan/v6/checksum", ipv6: true, checksum: true, ..PLAIN },
    GENEVE,
    Shape { name: "geneve/v4/options-1", options: 1, ..GENEVE },
    Shape { name: "geneve/v4/options-3", options: 3, ..GENEVE },
    Shape { name: "geneve/v6/options-1/checksum", ipv6: true, options: 1, checksum: true, ..GENEVE },
];

impl Shape {
    fn options(&self) -> Vec<u8> {
        (0..self.options).flat_map(|n| geneve_option(0x0100, n as u8, &[9; 4])).collect()
    }

    /// A packet with an inner frame of 64 bytes.
    pub fn packet(&self, vni: u32, src_port: u16) -> Vec<u8> {
        let tunnel = match self.encapsulation {
            Encapsulation::Geneve => geneve(vni, false, &self.options()),
            _ => vxlan(vni),
        };
        let checksum = if self.checksum { Checksum::Right } else { Checksum::Zero };
        let packet = Packet::new(self.encapsulation.default_port(), tunnel, &frame());
        let packet = Packet { src_port, checksum, ..packet };
        if self.ipv6 { packet.over_v6() } else { packet }.bytes()
    }

    /// Packets that differ in VNI and source port.
    pub fn packets(&self) -> Vec<Vec<u8>> {
        let mut random = Random(7);
        let mut port = || 49_152 + random.below(16_384) as u16;
        (0..BATCH).map(|n| self.packet(5_000 + n as u32, port())).collect()
    }

    pub fn template(&self) -> Template {
        let [src, dst] = if self.ipv6 { ["2001:db8::1", "2001:db8::2"] } else { ["192.0.2.1", "192.0.2.2"] };
        let [src, dst]: [IpAddr; 2] = [src, dst].map(|address| address.parse().unwrap());
        let link = Link { dst: MacAddr([2, 0, 0, 0, 0, 2]), src: MacAddr([2, 0, 0, 0, 0, 1]), vlan: None };
        let config = TemplateConfig {
            link: Some(link),
            udp_checksum: self.checksum,
            ..TemplateConfig::new(self.encapsulation, src, dst)
        };
        Template::new(&config).unwrap()
    }

    pub fn header_len(&self) -> usize {
        self.template().header_len(Depth::Ethernet, self.options * 8)
    }
}

/// The outer stack with all checks; of Geneve options each one, as the engine looks at them.
#[inline(always)]
pub fn parse(packet: &[u8]) -> Option<(u32, usize)> {
    let outer = outer::parse(packet, &TunnelPorts::DEFAULT, &Checks::DEFAULT).ok()??;
    let tunnel = outer.tunnel;
    if tunnel.options.len > 0 {
        Rules::NONE.validate(tunnel.options.of(packet)?, false).ok()?;
    }
    Some((tunnel.vni.get(), tunnel.inner.start as usize))
}

/// Runs a parser over packets; the answer is the sum of what it found.
pub fn parsing(
    name: impl Into<String>,
    packets: Vec<Vec<u8>>,
    parse: impl Fn(&[u8]) -> Option<(u32, usize)> + 'static,
) -> Case {
    let name = name.into();
    for (packet, vni) in packets.iter().zip(5_000..) {
        assert_eq!(parse(packet), Some((vni, packet.len() - 64)), "{name}");
    }
    Case::new(name, BATCH, move || {
        packets.iter().fold(0, |sum, packet| match parse(black_box(packet)) {
            Some((vni, inner)) => sum + u64::from(vni) + inner as u64,
            None => sum,
        })
    })
}

/// Runs a writer of 50 and more bytes over as many rooms.
pub fn writing(name: impl Into<String>, write: impl Fn(u32, u16, &mut [u8; ROOM]) -> usize + 'static) -> Case {
    let mut rooms = vec![[0_u8; ROOM]; BATCH];
    let mut random = Random(7);
    let fields: Vec<(u32, u16)> =
        (0..BATCH).map(|n| (5_000 + n as u32, 49_152 + random.below(16_384) as u16)).collect();
    Case::new(name, BATCH, move || {
        let mut sum = 0;
        for ((vni, port), room) in black_box(&fields).iter().zip(black_box(&mut rooms)) {
            sum += write(*vni, *port, room);
        }
        black_box(&rooms);
        sum as u64
    })
}

pub fn parses() -> Vec<Case> {
    SHAPES.iter().map(|shape| parsing(format!("parse/{}/vtep", shape.name), shape.packets(), parse)).collect()
}

pub fn writes() -> Vec<Case> {
    let case = |shape: &Shape| {
        let (template, options, frame) = (shape.template(), shape.options(), frame());
        writing(format!("write/{}/vtep", shape.name), move |vni, port, room| {
            let packet = PerPacket {
                ident: port,
                tos: vni as u8,
                options: &options,
                ..PerPacket::new(Vni::truncating(vni), port)
            };
            template.write(Depth::Ethernet, &packet, room, Payload::whole(&frame)).unwrap_or(0)
        })
    };
    SHAPES.iter().map(case).collect()
}
