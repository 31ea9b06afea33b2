//! Any operations of the forwarding database at any time, against a plain map.

#[path = "../../tests/fdb_model/model.rs"]
mod model;

use vtep::table::fdb::{Add, Filter, LearnPolicy, Owners, WhenFull, Yield};
use vtep::table::{Ageing, BridgeId, Destination, Duration, EndpointId, FdbConfig, GroupId, Meta, Owner, PortId};
use vtep::wire::MacAddr;

use super::draw::Draw;
use model::{Op, Setup, run as agree};

const MOST_OPS: usize = 400;

pub fn run(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let setup = draw.setup();
    let start = if draw.chance(4) { draw.word() >> 1 } else { 0 };
    let mut ops = Vec::new();
    while !draw.is_empty() && ops.len() < MOST_OPS {
        ops.push((draw.pause(), draw.op()));
    }
    agree(setup, start, &ops);
}

impl Draw<'_> {
    fn setup(&mut self) -> Setup {
        let when_full = self.one(&[WhenFull::Evict, WhenFull::Refuse]);
        let seed = [self.word(), self.word()];
        Setup {
            buckets: self.up_to(14),
            bridges: self.up_to(5),
            ports: self.up_to(5),
            endpoints: self.up_to(5),
            groups: self.up_to(4),
            config: FdbConfig { seed, when_full, ageing: self.ageing() },
        }
    }

    /// Milliseconds from one operation to the next: mostly little, sometimes backwards or far.
    fn pause(&mut self) -> i64 {
        let byte = i64::from(self.byte());
        match byte {
            0..=199 => byte,
            200..=229 => (byte - 199) * 256,
            230..=239 => (230 - byte) * 300,
            240..=247 => (byte - 239) * 2_700_000,
            248..=253 => 16_000_000 + (byte - 247) * 250_000,
            254 => i64::MAX / 4,
            _ => i64::try_from(self.word() >> 1).unwrap_or(0),
        }
    }

    fn op(&mut self) -> Op {
        match self.up_to(24) {
            0..=8 => Op::Learn(self.bridge_id(), self.mac(), self.destination(), self.meta(), self.policy()),
            9..=10 => Op::Lookup(self.bridge_id(), self.mac()),
            11..=12 => Op::Add(self.bridge_id(), self.mac(), self.add()),
            13..=14 => Op::Replace(self.bridge_id(), self.mac(), self.add()),
            15 => Op::Delete(self.bridge_id(), self.mac()),
            16 => Op::Flush(self.filter()),
            17 => Op::FlushBridge(self.bridge_id()),
            18 => Op::FlushDestination(self.destination()),
            19 => Op::SetAgeing(self.bridge_id(), self.ageing()),
            20 => Op::BridgeLimit(self.bridge_id(), self.limit()),
            21 => Op::DestinationLimit(self.destination(), self.limit()),
            _ => Op::Sweep(if self.chance(8) { usize::MAX } else { self.up_to(20) }),
        }
    }

    fn bridge_id(&mut self) -> BridgeId {
        BridgeId(self.seldom(20, &[0, 1, 2, 3], &[4, 0x7fff, 0xffff]))
    }

    fn mac(&mut self) -> MacAddr {
        match self.up_to(44) {
            station @ 0..40 => MacAddr::from_u64(0x0200_0000_0000 + station as u64),
            40 => MacAddr::ZERO,
            41 => MacAddr::BROADCAST,
            42 => MacAddr([1, 0, 0x5e, 0, 0, 1]),
            _ => MacAddr::from_u64(self.word() & 0xffff_ffff_ffff),
        }
    }

    fn destination(&mut self) -> Destination {
        match self.up_to(18) {
            0..=6 => Destination::Port(PortId(self.up_to(4) as u16)),
            7..=13 => Destination::Endpoint(EndpointId(self.up_to(4) as u16)),
            14 => Destination::Group(GroupId(self.up_to(3) as u16)),
            15 => Destination::Host,
            16 => Destination::Drop,
            _ => Destination::Endpoint(EndpointId(self.word() as u16)),
        }
    }

    fn meta(&mut self) -> Meta {
        if self.chance(5) { Meta::truncating(u16::from(self.byte()) << 4) } else { Meta::NONE }
    }

    fn add(&mut self) -> Add {
        Add { destination: self.destination(), meta: self.meta(), owner: self.one(Owner::ALL), sticky: self.chance(2) }
    }

    fn policy(&mut self) -> LearnPolicy {
        let yields = [Yield::Never, Yield::Never, Yield::Move, Yield::TakeOver];
        LearnPolicy { statics: self.one(&yields), controlled: self.one(&yields), hold: self.chance(5) }
    }

    fn filter(&mut self) -> Filter {
        Filter {
            bridge: self.chance(2).then(|| self.bridge_id()),
            destination: self.chance(2).then(|| self.destination()),
            meta: self.chance(10).then(|| self.meta()),
            owners: Owners::from_bits_truncate(self.byte()),
            sticky: self.chance(5).then(|| self.chance(2)),
        }
    }

    fn ageing(&mut self) -> Ageing {
        match self.up_to(12) {
            0..=5 => Ageing::After(Duration::from_millis(8 * u64::from(self.byte()))),
            6..=7 => Ageing::After(Duration::from_secs(57 * u64::from(self.byte()))),
            8 => Ageing::After(Duration::from_millis(self.word())),
            9 => Ageing::After(Ageing::MAX),
            10 => Ageing::Never,
            _ => Ageing::NoLearn,
        }
    }

    fn limit(&mut self) -> Option<u32> {
        self.chance(2).then(|| self.up_to(12) as u32)
    }
}
