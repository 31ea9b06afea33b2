//! A scripted day in the life of an engine ends in the same state on every target: both byte orders, 32 and 64 bits.
//!
//! `.ci/target` runs this under emulation. Where a change of the engine changes the digests on purpose,
//! `VTEP_BLESS=1 cargo test --test digest` writes them anew.
#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unwrap_used
)]

mod common;

use common::world::{
    A, B, BROADCAST, Checksum, Frame, GROUP, MULTICAST, NOBODY, OTHER_VNI, PROFILES, Packet, R, REMOTE, REMOTE6, S,
    THIRD, VNI, Vtep, geneve, geneve_option, ip_frame, vxlan,
};
use vtep::engine::{Command, Flush, Remote};
use vtep::table::{BridgeId, Duration};
use vtep::wire::{Encapsulation, Vni};

const ENCAPSULATIONS: [Encapsulation; 3] = [Encapsulation::Vxlan, Encapsulation::Geneve, Encapsulation::Gpe];

/// Numbers that look random and are the same everywhere.
struct Script(u64);

impl Script {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) as usize % end
    }

    fn one<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }

    fn station(&mut self) -> [u8; 6] {
        let known = self.one(&[A, B, R, S, NOBODY]);
        // Enough of them to fill a table of 64.
        if self.below(3) == 0 { [2, 0, 0, 0, 7, self.below(90) as u8] } else { known }
    }

    fn frame(&mut self) -> Frame {
        let (src, dst) = (self.station(), self.station());
        let dst = if self.below(4) == 0 { self.one(&[BROADCAST, MULTICAST]) } else { dst };
        let (v6, tos) = (self.below(2) == 1, self.below(256) as u8);
        match self.below(8) {
            0 => Frame::arp(dst, src),
            1 => ip_frame(dst, src, v6, tos).vlan(self.below(8) as u16),
            2 => Frame::of_len(dst, src, 60 + self.below(1450)),
            _ => ip_frame(dst, src, v6, tos),
        }
    }

    fn packet(&mut self, encapsulation: Encapsulation) -> Packet {
        let vni = self.one(&[VNI, VNI, VNI, OTHER_VNI, 7]);
        let [_, a, b, c] = vni.to_be_bytes();
        let option = geneve_option(0x0102, self.one(&[1, 0x81]), &[1, 2, 3, 4]);
        let (port, header) = match encapsulation {
            Encapsulation::Vxlan => (4789, self.one(&[vxlan(vni), vec![0x88, 0x40, 0, 9, a, b, c, 0]])),
            Encapsulation::Geneve => (6081, self.one(&[geneve(vni, false, &[]), geneve(vni, true, &option)])),
            Encapsulation::Gpe => (4790, vec![0x0c, 0, 0, self.one(&[3, 3, 1]), a, b, c, 0]),
        };
        let packet = Packet::new(port, header, &self.frame().bytes());
        let checksum = self.one(&[Checksum::Right, Checksum::Right, Checksum::Zero, Checksum::Wrong]);
        let packet = Packet { src: self.one(&[REMOTE, THIRD]), tos: self.below(4) as u8, checksum, ..packet };
        if self.below(3) == 0 { packet.over_v6() } else { packet }
    }

    fn command(&mut self) -> Command {
        let bridge = BridgeId(0);
        let remote = Remote { vni: self.one(&[None, Vni::new(9)]), ..Remote::at(self.one(&[REMOTE, REMOTE6, GROUP])) };
        match self.below(4) {
            0 => Command::FloodRemove { bridge, remote },
            1 => Command::Flush(Flush::dynamic()),
            _ => Command::FloodAdd { bridge, remote },
        }
    }
}

/// What an engine and all that it sent come to.
fn day(vtep: &mut Vtep, encapsulation: Encapsulation, seed: u64) -> (u64, u64) {
    let mut script = Script(seed);
    let mut sent = 0xcbf2_9ce4_8422_2325_u64;
    for _ in 0..3000 {
        match script.below(20) {
            0 => drop(vtep.try_command(script.command())),
            1 => {
                let pause = script.one(&[100, 3_000, 60_000, 400_000]);
                vtep.now = vtep.now.saturating_add(Duration::from_millis(pause));
                vtep.engine.tick(vtep.now);
            }
            n => {
                let (verdict, bytes) = if n < 11 {
                    let frame = script.frame().bytes();
                    (vtep.on_port(script.below(2) as u16, &frame), frame)
                } else {
                    let packet = script.packet(encapsulation).bytes();
                    (vtep.on_underlay(&packet), packet)
                };
                for (_, copy) in vtep.copies(&verdict, &bytes) {
                    copy.iter().for_each(|byte| sent = (sent ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3));
                }
            }
        }
    }
    (vtep.engine.digest(), sent)
}

#[test]
fn a_day_ends_alike_on_every_target() {
    let mut found = String::new();
    for profile in PROFILES {
        for encapsulation in ENCAPSULATIONS {
            let (state, sent) = day(&mut Vtep::new(profile, encapsulation), encapsulation, 20_261_124);
            found += &format!("{profile:?} {encapsulation:?}: state {state:016x}, sent {sent:016x}\n");
        }
    }
    print!("{found}");
    if std::env::var_os("VTEP_BLESS").is_some() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/digests.txt");
        std::fs::write(path, found).expect("tests/data/digests.txt");
        return;
    }
    assert_eq!(found, include_str!("data/digests.txt"));
}

#[test]
fn a_day_with_another_script_ends_otherwise() {
    let of = |seed| day(&mut Vtep::vxlan(PROFILES[0]), Encapsulation::Vxlan, seed);
    let (one, other) = (of(1), of(2));
    assert!(one.0 != other.0 && one.1 != other.1);
    assert_eq!(one, of(1));
}
