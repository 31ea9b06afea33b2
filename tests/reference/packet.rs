//! Descriptions of packets, and the bytes they stand for.

use core::net::IpAddr;

use vtep::engine::Input;
use vtep::table::UnderlayId;
use vtep::wire::{Datagram, Ecn, Encapsulation, MacAddr, UdpChecksum};

use super::super::common::world::build::{self, Checksum, Frame, Ip};

/// A frame of a station.
#[derive(Clone, Debug)]
pub(crate) struct Inner {
    pub(crate) dst: MacAddr,
    pub(crate) src: MacAddr,
    /// TPID and TCI, outermost first; up to four.
    pub(crate) tags: Vec<(u16, u16)>,
    pub(crate) body: Body,
    /// Bytes missing at the end.
    pub(crate) missing: usize,
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Arp,
    V4 {
        tos: u8,
        ttl: u8,
        df: bool,
        data: usize,
    },
    V6 {
        tos: u8,
        ttl: u8,
        data: usize,
    },
    /// Announced as IPv4, and no such thing.
    NotV4,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum IpState {
    None,
    Sound,
    Short,
    Malformed,
}

impl Inner {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (v4, v6): ([IpAddr; 2], [IpAddr; 2]) = (
            ["10.0.0.1".parse().unwrap(), "10.0.0.2".parse().unwrap()],
            ["fd00::1".parse().unwrap(), "fd00::2".parse().unwrap()],
        );
        let (dst, src) = (self.dst.0, self.src.0);
        let ip = |[from, to]: [IpAddr; 2], tos, ttl, df, data| {
            let payload = build::udp(from, to, 4000, 5000, Checksum::Right, &vec![0x5a; data]);
            Frame::ip(dst, src, &Ip { tos, ttl, df, ..Ip::new(from, to, 17, payload) })
        };
        let frame = match self.body {
            Body::Arp => Frame::arp(dst, src),
            Body::V4 { tos, ttl, df, data } => ip(v4, tos, ttl, df, data),
            Body::V6 { tos, ttl, data } => ip(v6, tos, ttl, false, data),
            Body::NotV4 => Frame { ethertype: 0x0800, body: vec![0x35; 40], ..Frame::arp(dst, src) },
        };
        let mut bytes = Frame { tags: self.tags.clone(), ..frame }.bytes();
        bytes.truncate(bytes.len().saturating_sub(self.missing));
        bytes
    }

    /// The type of what it carries.
    pub(crate) fn ethertype(&self) -> u16 {
        match self.body {
            Body::Arp => 0x0806,
            Body::V4 { .. } | Body::NotV4 => 0x0800,
            Body::V6 { .. } => 0x86dd,
        }
    }

    /// What it carries, without Ethernet and tags.
    pub(crate) fn packet(&self) -> Vec<u8> {
        self.bytes().split_off((14 + 4 * self.tags.len()).min(self.bytes().len()))
    }

    /// Tags that a bridge looks at.
    pub(crate) fn tag_count(&self) -> usize {
        self.tags.len().min(3)
    }

    pub(crate) fn vid(&self) -> Option<u16> {
        self.tags.first().map(|(_, tci)| tci & 0xfff)
    }

    /// Whether the Ethernet header and the tags looked at are there.
    pub(crate) fn is_whole(&self) -> bool {
        self.bytes().len() >= 14 + 4 * self.tag_count()
    }

    pub(crate) fn ip(&self) -> IpState {
        let len = self.bytes().len().saturating_sub(14 + 4 * self.tag_count());
        match self.body {
            _ if self.tags.len() > 3 => IpState::None,
            Body::Arp => IpState::None,
            Body::V4 { .. } | Body::NotV4 if len < 20 => IpState::Short,
            Body::V6 { .. } if len < 40 => IpState::Short,
            Body::NotV4 => IpState::Malformed,
            Body::V4 { .. } | Body::V6 { .. } => IpState::Sound,
        }
    }

    /// TOS, TTL and DF as the outer header inherits them.
    pub(crate) fn inherited(&self) -> (u8, u8, bool) {
        match self.body {
            _ if self.ip() != IpState::Sound => (0, 0, false),
            Body::V4 { tos, ttl, df, .. } => (tos, ttl, df),
            Body::V6 { tos, ttl, .. } => (tos, ttl, true),
            Body::Arp | Body::NotV4 => (0, 0, false),
        }
    }

    pub(crate) fn with_ecn(mut self, ecn: Ecn) -> Self {
        if self.ip() == IpState::Sound {
            if let Body::V4 { tos, .. } | Body::V6 { tos, .. } = &mut self.body {
                *tos = *tos & 0xfc | ecn as u8;
            }
        }
        self
    }

    /// Without its outermost `count` tags.
    pub(crate) fn popped(mut self, count: usize) -> Self {
        self.tags.drain(..count);
        self
    }

    pub(crate) fn pushed(mut self, vid: u16) -> Self {
        self.tags.insert(0, (0x8100, vid));
        self
    }

    /// With another VLAN ID in its outermost tag.
    pub(crate) fn renumbered(mut self, vid: u16) -> Self {
        self.tags[0].1 = self.tags[0].1 & 0xf000 | vid;
        self
    }
}

/// What comes before a tunnel packet's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Frame,
    Packet,
    Socket,
}

/// A packet on an underlay.
#[derive(Clone, Debug)]
pub(crate) struct Tunnelled {
    pub(crate) underlay: u8,
    pub(crate) form: Form,
    pub(crate) src: IpAddr,
    pub(crate) dst: IpAddr,
    pub(crate) src_port: u16,
    pub(crate) dst_port: u16,
    pub(crate) tos: u8,
    pub(crate) checksum: Checksum,
    pub(crate) vni: u32,
    pub(crate) header: Header,
    pub(crate) inner: Inner,
}

/// What is special about a tunnel header. Where a header has no such thing, it is plain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Header {
    Plain,
    /// VXLAN without the I flag, GPE and Geneve of a version that is not known.
    Unusable,
    /// A reserved bit is set.
    Reserved,
    /// VXLAN's Group Policy extension.
    Policy {
        dont_learn: bool,
    },
    /// GPE's and Geneve's O bit.
    Control,
    /// GPE or Geneve with what the frame carries inside, and no Ethernet.
    Routed,
    /// A Geneve option, critical or not, under a header that says so or not.
    Option {
        critical: bool,
        announced: bool,
    },
    /// A Geneve option that passes the option area.
    Overlong,
}

impl Header {
    /// `ethertype` is that of what the frame carries.
    fn bytes(self, encapsulation: Encapsulation, vni: u32, ethertype: u16) -> Vec<u8> {
        let [_, v0, v1, v2] = vni.to_be_bytes();
        let reserved = u8::from(self == Self::Reserved);
        let control = self == Self::Control;
        match encapsulation {
            Encapsulation::Vxlan => match self {
                Self::Unusable => vec![0, 0, 0, 0, v0, v1, v2, 0],
                Self::Policy { dont_learn } => vec![0x88, u8::from(dont_learn) << 6, 0, 5, v0, v1, v2, 0],
                _ => vec![8, 0, 0, 0, v0, v1, v2, reserved],
            },
            Encapsulation::Gpe => {
                let flags = if self == Self::Unusable { 0x1c } else { 0x0c | u8::from(control) };
                let next = match ethertype {
                    _ if self != Self::Routed => 3,
                    0x0800 => 1,
                    0x86dd => 2,
                    _ => 6,
                };
                vec![flags, 0, 0, next, v0, v1, v2, reserved]
            }
            Encapsulation::Geneve => {
                let (critical, options) = match self {
                    Self::Option { critical, announced } => {
                        (announced, vec![0xff, 0x00, u8::from(critical) << 7 | 1, 1, 1, 2, 3, 4])
                    }
                    Self::Overlong => (false, vec![0xff, 0x00, 1, 3, 1, 2, 3, 4]),
                    _ => (false, Vec::new()),
                };
                let version = u8::from(self == Self::Unusable) << 6;
                let words = u8::try_from(options.len() / 4).unwrap();
                let flags = u8::from(control) << 7 | u8::from(critical) << 6;
                let protocol = if self == Self::Routed { ethertype.to_be_bytes() } else { [0x65, 0x58] };
                [&[version | words, flags][..], &protocol, &[v0, v1, v2, reserved], &options].concat()
            }
        }
    }
}

/// Bytes on an underlay, and how they got here.
pub(crate) struct Carrier {
    pub(crate) underlay: UnderlayId,
    pub(crate) datagram: Option<Datagram>,
    pub(crate) form: Form,
    pub(crate) bytes: Vec<u8>,
}

impl Carrier {
    pub(crate) fn input(&self) -> Input<'_> {
        match (self.form, self.datagram) {
            (Form::Socket, Some(datagram)) => Input::from_socket(self.underlay, datagram, &self.bytes),
            (Form::Packet, _) => Input::from_underlay_ip(self.underlay, &self.bytes),
            _ => Input::from_underlay(self.underlay, &self.bytes),
        }
    }
}

impl Tunnelled {
    /// The bytes, with the tunnel header that the receiver expects on this port.
    pub(crate) fn bytes(&self, encapsulation: Encapsulation) -> Carrier {
        let header = self.header.bytes(encapsulation, self.vni, self.inner.ethertype());
        let routed = self.header == Header::Routed && encapsulation != Encapsulation::Vxlan;
        let inside = if routed { self.inner.packet() } else { self.inner.bytes() };
        let payload = [header, inside].concat();
        let (src, dst) = (self.src, self.dst);
        let udp = || build::udp(src, dst, self.src_port, self.dst_port, self.checksum, &payload);
        let ip = || Ip { tos: self.tos, ..Ip::new(src, dst, 17, udp()) };
        let bytes = match self.form {
            Form::Frame => build::in_ethernet(&ip()),
            Form::Packet => ip().bytes(),
            Form::Socket => payload.clone(),
        };
        let datagram = Datagram {
            src,
            dst,
            src_port: self.src_port,
            dst_port: self.dst_port,
            tos: self.tos,
            ttl: 64,
            checksum: if self.checksum == Checksum::Zero { UdpChecksum::Zero } else { UdpChecksum::Good },
        };
        Carrier { underlay: UnderlayId(self.underlay), datagram: Some(datagram), form: self.form, bytes }
    }
}
