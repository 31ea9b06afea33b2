//! What happens in a network.

use vtep::engine::Profile;

use super::super::common::world::build::Checksum;
use super::super::draw::Draw;
use super::super::reference::ops::{GROUPS, ODD, ODD_MACS, OWN, OWN_ELSEWHERE, OWN6, REMOTES, VIDS, VNIS};
use super::super::reference::{Body, Form, Header, Inner, Op, Tunnelled};

impl Draw<'_> {
    pub(super) fn event(&mut self, profile: Profile) -> Op {
        match self.up_to(16) {
            0..=4 => Op::Aimed(self.byte(), Box::new(Op::Port(0, self.inner()))),
            5..=9 => Op::Aimed(self.byte(), Box::new(Op::Underlay(self.tunnelled()))),
            10 => Op::Port(self.port_id().0, self.inner()),
            11 => Op::Underlay(self.tunnelled()),
            12..=13 => Op::Command(self.command(profile)),
            14 => Op::Clock(self.step()),
            _ => Op::Tick,
        }
    }

    /// Milliseconds: mostly little, sometimes backwards or far.
    fn step(&mut self) -> i64 {
        let byte = i64::from(self.byte());
        match byte {
            0..=99 => byte * 6,
            100..=199 => (byte - 99) * 256,
            200..=239 => (byte - 199) * 17_500,
            240..=247 => (239 - byte) * 12_500,
            248..=254 => (byte - 247) * 4_000_000,
            _ => i64::MAX / 1024,
        }
    }

    fn inner(&mut self) -> Inner {
        let dst = self.station();
        let dst = if self.chance(3) { self.one(&ODD_MACS) } else { dst };
        let src = self.any_mac();
        let tags = match self.up_to(9) {
            0..=3 => 0,
            4..=7 => 1,
            _ => 2 + self.up_to(3),
        };
        let tags = (0..tags).map(|_| {
            let (tpid, vid) = (self.one(&[0x8100, 0x88a8]), self.one(&VIDS));
            (tpid, (self.up_to(8) as u16) << 13 | vid)
        });
        let tags = tags.collect();
        let tos = if self.chance(2) { self.byte() } else { self.up_to(4) as u8 };
        let ttl = 1 + self.up_to(254) as u8;
        let data = if self.chance(5) { 1150 + self.up_to(350) } else { self.up_to(80) };
        let body = match self.up_to(11) {
            0..=5 => Body::V4 { tos, ttl, df: self.chance(2), data },
            6..=7 => Body::V6 { tos, ttl, data },
            8..=9 => Body::Arp,
            _ => Body::NotV4,
        };
        let missing = if self.chance(11) { self.up_to(70) } else { 0 };
        Inner { dst, src, tags, body, missing }
    }

    fn tunnelled(&mut self) -> Tunnelled {
        let src = match self.up_to(12) {
            0..=9 => self.one(&REMOTES),
            10 => self.one(&ODD),
            _ => self.one(&[OWN, OWN6]),
        };
        let underlay = self.seldom(5, &[0], &[1, 2]);
        let own = match (src.is_ipv6(), underlay) {
            (true, _) => OWN6,
            (false, 1) => OWN_ELSEWHERE,
            (false, _) => OWN,
        };
        let dst = match self.up_to(13) {
            0..=9 => own,
            10..=11 => self.one(&GROUPS),
            _ => self.one(&[REMOTES[0], REMOTES[4], OWN_ELSEWHERE]),
        };
        let header = match self.up_to(20) {
            0..=11 => Header::Plain,
            12..=13 => Header::Policy { dont_learn: self.chance(2) },
            14..=15 => Header::Option { critical: self.chance(2), announced: self.chance(2) },
            _ => self.one(&[Header::Unusable, Header::Reserved, Header::Control, Header::Routed, Header::Overlong]),
        };
        let tos = self.up_to(4) as u8;
        let dst_port = self.seldom(3, &[4789, 6081], &[8472, 4790, 6082, 53]);
        Tunnelled {
            underlay,
            form: self.one(&[Form::Frame, Form::Packet, Form::Socket]),
            src,
            // Both addresses are of one family.
            dst: if dst.is_ipv6() == src.is_ipv6() { dst } else { own },
            src_port: if self.chance(4) { dst_port } else { 50_000 },
            dst_port,
            tos,
            checksum: self.seldom(10, &[Checksum::Right, Checksum::Right, Checksum::Zero], &[Checksum::Wrong]),
            vni: self.seldom(4, &[5000], &VNIS),
            header,
            inner: self.inner(),
        }
    }
}
