//! The standard scenario: what a seed makes of it.

use super::protection;
use super::random::Random;
use super::scenario::{
    Ageing, Body, Event, Flush, HostShape, Member, Scenario, Shape, Source, Spot, TenantShape, To, VtepShape, Weather,
    What,
};

/// MAC numbers of nobody's begin here.
pub const NOBODY: u32 = 1 << 16;

/// A few VTEPs, two or three tenants with overlapping MACs and addresses, and a thousand or more mishaps.
pub fn standard(seed: u64) -> Scenario {
    let mut random = Random::of(seed, 1);
    let mut shape = shape(&mut random);
    // From a stream of its own, so that what was there before stays as it was.
    let mut guards = protection::Draw::new(Random::of(seed, 2));
    guards.protect(&mut shape);
    let mut draw = Draw { random, hosts: shape.hosts.len(), vteps: shape.vteps.len(), tenants: shape.tenants.len() };
    let count = draw.random.within(900, 2200) as u32;
    let healing = [count / 3, 2 * count / 3, count - 1];
    let mut events = Vec::with_capacity(count as usize);
    let mut at = 1000;
    for id in 0..count {
        at += draw.pause();
        let what = match healing.contains(&id) {
            true => What::Heal { wait: draw.random.chance(5000) },
            false => draw.what(),
        };
        events.push(Event { id, at, what });
    }
    guards.insert_rules(&shape, &mut events);
    Scenario { seed, shape, events }
}

fn shape(random: &mut Random) -> Shape {
    let vteps = random.within(4, 8);
    let tenants = random.within(2, 3);
    let roomy = random.chance(7000);
    let linux = random.pick(&[0, 0, 10_000, 4000]);
    let vnis = random.pick(&[[5000, 5001, 5002], [0, 1, 0xff_ffff], [0x01_0000, 0x01, 0x10_0000], [77, 77, 78]]);
    let mut tenant = |number: usize| {
        let multicast = random.chance(4000);
        TenantShape {
            vni: vnis[number],
            // The same VNI twice is two tenants by their tunnel headers.
            geneve: if vnis[0] == vnis[1] && number < 2 { number == 0 } else { random.chance(5000) },
            multicast,
            ageing: random.pick(&[2, 5, 20, 60, 300]),
            // Who gets floods by a group knows no single VTEP beforehand.
            admission: if multicast { 0 } else { random.pick(&[0, 0, 1, 2]) },
            vteps: Vec::new(),
            policy: None,
            storm: None,
            duplicates: None,
        }
    };
    let tenants: Vec<TenantShape> = (0..tenants as usize).map(&mut tenant).collect();
    let vteps: Vec<VtepShape> = (0..vteps).map(|_| vtep(random, roomy, linux)).collect();
    let mut hosts = Vec::new();
    for tenant in 0..tenants.len() as u16 {
        for number in 1..=random.within(3, 9) as u32 {
            hosts.push(HostShape {
                tenant,
                number,
                vtep: random.index(vteps.len()) as u16,
                tag: if random.chance(2000) { Some(random.within(1, 3) as u16) } else { None },
                shares: random.chance(2500),
                group: 0,
            });
        }
    }
    let ipv6 = random.chance(4000);
    // Without a checksum only configured senders are heard (RFC 8926 section 4.3.1), which floods by a group are not.
    let listed = tenants.iter().all(|tenant| !tenant.multicast);
    let zero_checksum = ipv6 && random.chance(5000) && listed;
    Shape {
        vteps,
        tenants,
        hosts,
        ipv6,
        mtu: random.pick(&[1500, 1500, 1600, 1450]),
        zero_checksum,
        loops: random.chance(3000),
        spills: random.chance(3000),
        shared_group: random.chance(3000),
    }
}

fn vtep(random: &mut Random, roomy: bool, linux: u16) -> VtepShape {
    VtepShape {
        linux: random.chance(linux),
        buckets: if roomy { random.pick(&[32, 64, 128]) } else { random.pick(&[1, 2, 4, 8, 32]) },
        endpoints: if roomy { 64 } else { random.pick(&[20, 24, 40]) },
        events: if roomy { 512 } else { random.pick(&[0, 1, 4, 512]) },
        sweep: random.pick(&[4, 16, 64]),
        packets: random.chance(3000),
        clock: random.pick(&[0, 0, 1_700_000_000_000, 0xffff_ff00, (1 << 24) - 700]),
        batches: false,
        labels: false,
    }
}

struct Draw {
    random: Random,
    hosts: usize,
    vteps: usize,
    tenants: usize,
}

impl Draw {
    /// Time to the next event: mostly little, so that packets of several are under way together.
    fn pause(&mut self) -> u64 {
        match self.random.below(100) {
            0..50 => self.random.within(1, 300),
            50..80 => self.random.within(1000, 50_000),
            80..98 => self.random.within(50_000, 800_000),
            _ => self.random.within(1_000_000, 30_000_000),
        }
    }

    fn host(&mut self) -> u32 {
        self.random.index(self.hosts) as u32
    }

    fn vtep(&mut self) -> u16 {
        self.random.index(self.vteps) as u16
    }

    fn tenant(&mut self) -> u16 {
        self.random.index(self.tenants) as u16
    }

    /// A MAC that somebody has, or one of few that nobody has.
    fn number(&mut self) -> u32 {
        let some = self.random.within(1, 9) as u32;
        if self.random.chance(7000) { some } else { NOBODY + some }
    }

    fn member(&mut self) -> Member {
        match self.random.below(10) {
            0..6 => Member::Vtep(self.vtep()),
            6 => Member::Own,
            7 => Member::Group,
            _ => Member::Nobody(self.random.below(4) as u8),
        }
    }

    fn spot(&mut self) -> Spot {
        match self.random.below(10) {
            0..3 => Spot::Host(self.host()),
            3..6 => Spot::Vtep(self.vtep()),
            6 => Spot::Nobody(self.random.below(4) as u8),
            7..9 => Spot::Here,
            _ => Spot::Blackhole,
        }
    }

    fn weather(&mut self) -> Weather {
        let bad = [0, 0, 100, 500, 2000];
        Weather {
            lose: self.random.pick(&bad),
            duplicate: self.random.pick(&bad),
            corrupt: self.random.pick(&bad),
            late: self.random.pick(&bad),
            mark: self.random.pick(&bad),
        }
    }

    fn what(&mut self) -> What {
        match self.random.below(1000) {
            0..720 => self.send(),
            720..780 => {
                let (clean, announce) = (self.random.chance(5000), self.random.chance(7000));
                What::Move { host: self.host(), vtep: self.vtep(), clean, announce }
            }
            780..800 => self.trouble(),
            800..830 => What::Weather(self.weather()),
            830..900 => self.table(),
            900..940 => self.bridge(),
            _ => self.vtep_event(),
        }
    }

    fn send(&mut self) -> What {
        let host = self.host();
        let to = match self.random.below(100) {
            0..55 => To::Host(self.host()),
            55..80 => To::Everyone,
            80..90 => To::Group(self.random.below(4) as u8),
            90..92 => To::Reserved(self.random.below(17) as u8),
            92..99 => To::Nobody(self.random.below(8) as u32),
            _ => To::Zero,
        };
        let from = match self.random.below(100) {
            0..93 => Source::Own,
            93..95 => Source::Host(self.host()),
            95..97 => Source::Nobody(self.random.below(64) as u32),
            97 => Source::Zero,
            98 => Source::Group,
            _ => Source::Broadcast,
        };
        let body = match self.random.below(100) {
            0..30 => Body::Ask(self.host()),
            30..40 => Body::Announce,
            40..65 => Body::V4(self.random.below(4) as u8),
            65..80 => Body::V6(self.random.below(4) as u8),
            80..88 => Body::Other,
            88..90 => Body::Short,
            90..94 => Body::Nested,
            94..99 => Body::Tagged(self.random.below(4) as u16),
            _ => Body::Runt,
        };
        let size = match self.random.below(20) {
            0 => self.random.within(1350, 1520) as u16,
            _ => self.random.within(60, 200) as u16,
        };
        What::Send { host, to, from, body, size }
    }

    fn trouble(&mut self) -> What {
        match self.random.below(5) {
            0 => What::Clone { host: self.host(), of: self.host() },
            1 => What::Unplug { host: self.host() },
            2 => What::Plug { host: self.host() },
            3 => What::MacFlood {
                host: self.host(),
                count: self.random.within(1, 60) as u16,
                salt: self.random.below(1 << 20) as u32,
            },
            _ => {
                let sides = (0..self.vteps).map(|_| self.random.below(2) as u8).collect();
                What::Partition { sides: if self.random.chance(5000) { sides } else { Vec::new() } }
            }
        }
    }

    fn table(&mut self) -> What {
        let (vtep, tenant) = (self.vtep(), self.tenant());
        match self.random.below(10) {
            0..3 => What::Pin {
                vtep,
                tenant,
                number: self.number(),
                place: self.spot(),
                owner: self.random.below(5) as u8,
                sticky: self.random.chance(3000),
                replace: self.random.chance(5000),
            },
            3..5 => What::Unpin { vtep, nth: self.random.below(8) as u8 },
            5..7 => What::Learn { vtep, tenant, number: self.number(), place: self.spot() },
            _ => {
                let times = if self.random.chance(1000) { 70 } else { 1 };
                What::Flush { vtep, flush: self.flush(tenant), times }
            }
        }
    }

    fn flush(&mut self, tenant: u16) -> Flush {
        match self.random.below(10) {
            0..3 => Flush::Tenant(tenant),
            3..6 => Flush::Host(self.host()),
            6..8 => Flush::Vtep(tenant, self.vtep()),
            8 => Flush::Dynamic,
            _ => Flush::All(tenant),
        }
    }

    fn bridge(&mut self) -> What {
        let (vtep, tenant) = (self.vtep(), self.tenant());
        match self.random.below(8) {
            0 => What::RemoveBridge { vtep, tenant },
            1..3 => What::AddBridge { vtep, tenant, nth: self.random.below(4) as u8 },
            3..5 => What::SetBridge {
                vtep,
                tenant,
                limit: if self.random.chance(5000) { Some(self.random.below(12) as u32) } else { None },
                ageing: match self.random.below(8) {
                    0 => Ageing::Never,
                    1 => Ageing::NoLearn,
                    2 => Ageing::Millis(self.random.within(1, 600_000) as u32),
                    _ => Ageing::AsUsual,
                },
                flood: if self.random.chance(3000) { self.random.below(8) as u8 } else { 7 },
            },
            5 => What::FloodAdd { vtep, tenant, member: self.member() },
            6 => What::FloodRemove { vtep, tenant, member: self.member() },
            _ => What::SetEndpoint {
                vtep,
                tenant,
                member: self.member(),
                limit: if self.random.chance(5000) { Some(self.random.below(6) as u32) } else { None },
            },
        }
    }

    fn vtep_event(&mut self) -> What {
        let vtep = self.vtep();
        match self.random.below(20) {
            0 => What::Restart { vtep, address: self.random.below(3) as u8 },
            1 => What::Swap { a: vtep, b: self.vtep() },
            2 => What::Renumber { vtep, address: self.random.below(3) as u8 },
            3 => What::Stop { vtep },
            4..6 => What::Start { vtep },
            6..10 => What::Reconcile { vtep },
            10..12 => What::Clock { vtep, by: self.jump() },
            12..14 => What::Ticks { vtep, on: self.random.chance(5000) },
            14..16 => What::Hold { vtep, on: self.random.chance(5000) },
            16 => What::RemoveEndpoint { vtep, tenant: self.tenant(), member: self.member() },
            _ => What::Rogue {
                vtep,
                tenant: self.tenant(),
                from: self.member(),
                number: self.number(),
                odd: self.random.below(12) as u8,
            },
        }
    }

    fn jump(&mut self) -> i64 {
        let size = match self.random.below(6) {
            0 => 1,
            1 => 300,
            2 => 60_000,
            3 => 16_777_216,
            4 => 20_000_000,
            _ => 86_400_000 * 400,
        };
        if self.random.chance(5000) { size } else { -size }
    }
}
