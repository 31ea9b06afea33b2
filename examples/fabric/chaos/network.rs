//! The underlay: what becomes of a packet on its way, decided by the seed and by what caused the packet.

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::frame::Draft;
use super::packet::{self, LINK, Packet};
use super::random::Random;
use super::scenario::{Micros, Weather};

pub struct Network {
    pub weather: Weather,
    /// Each VTEP's side of a partition; none if empty.
    pub sides: Vec<u8>,
    queue: BTreeMap<(Micros, u64), Happening>,
    order: u64,
    seed: u64,
    /// What the present packets are because of, and how many draws there were for it.
    cause: (u64, u64),
}

pub enum Happening {
    Arrives(Flying),
    /// A host answers.
    Answers {
        host: usize,
        draft: Draft,
    },
}

/// A packet under way.
pub struct Flying {
    pub to: usize,
    /// The address it was sent to.
    pub address: IpAddr,
    pub frame: u32,
    pub cause: u64,
    pub bytes: Vec<u8>,
    /// What a plain reader makes of it as it arrives.
    pub seen: Option<Packet>,
    /// Whether the way has changed it.
    pub damaged: bool,
}

impl Network {
    pub fn new(seed: u64) -> Self {
        Self { weather: Weather::CALM, sides: Vec::new(), queue: BTreeMap::new(), order: 0, seed, cause: (0, 0) }
    }

    /// All that happens from here on is because of that.
    pub fn because_of(&mut self, cause: u64) {
        if self.cause.0 != cause {
            self.cause = (cause, 0);
        }
    }

    pub fn cause(&self) -> u64 {
        self.cause.0
    }

    pub fn draw(&mut self) -> Random {
        self.cause.1 += 1;
        Random::of(self.seed ^ self.cause.1 << 32, self.cause.0)
    }

    pub fn schedule(&mut self, at: Micros, happening: Happening) {
        self.order += 1;
        self.queue.insert((at, self.order), happening);
    }

    /// What happens next, if it does before `until`.
    pub fn next(&mut self, until: Micros) -> Option<(Micros, Happening)> {
        let first = self.queue.first_entry().filter(|entry| entry.key().0 <= until)?;
        let ((at, _), happening) = first.remove_entry();
        Some((at, happening))
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Micros> {
        self.queue.first_key_value().map(|((at, _), _)| *at)
    }

    /// Whether packets get from one VTEP to another.
    fn connected(&self, from: usize, to: usize) -> bool {
        self.sides.get(from) == self.sides.get(to)
    }

    /// Sends a packet to one of its receivers: lost, once or more often, whole or not. How many copies are under way.
    pub fn send(&mut self, now: Micros, from: Option<usize>, flying: &Flying) -> u32 {
        let mut random = self.draw();
        let Weather { lose, duplicate, corrupt, late, mark } = self.weather;
        if from.is_some_and(|from| !self.connected(from, flying.to)) || random.chance(lose) {
            return 0;
        }
        let mut copies = 0;
        loop {
            copies += 1;
            let delay = random.within(20, 200) + if random.chance(late) { random.within(500, 2_000_000) } else { 0 };
            let mut bytes = flying.bytes.clone();
            let mut damaged = flying.damaged;
            if random.chance(mark) {
                congest(&mut bytes[LINK..]);
            }
            if random.chance(corrupt) {
                damage(&mut random, &mut bytes);
                damaged = true;
            }
            let seen = if damaged { packet::read(&bytes[LINK..]) } else { flying.seen };
            let Flying { to, address, frame, .. } = *flying;
            let arrival = Flying { to, address, frame, cause: self.cause.0, bytes, seen, damaged };
            self.schedule(now + delay, Happening::Arrives(arrival));
            if copies > 3 || !random.chance(duplicate) {
                return copies;
            }
        }
    }
}

/// Marks a packet that knows ECN as having met congestion; a router keeps the IP checksum right.
fn congest(ip: &mut [u8]) {
    match ip[0] >> 4 {
        4 if ip[1] & 3 != 0 => {
            ip[1] |= 3;
            packet::mend(ip);
        }
        6 if ip[1] & 0x30 != 0 => ip[1] |= 0x30,
        _ => {}
    }
}

/// Behind the last link's check: a bit, a cut or some more.
fn damage(random: &mut Random, bytes: &mut Vec<u8>) {
    match random.below(10) {
        0 => bytes.truncate(LINK + random.index(bytes.len() - LINK + 1)),
        1 => bytes.extend((0..random.within(1, 40)).map(|n| n as u8)),
        _ => {
            let at = match random.below(3) {
                // Most of what matters is in front.
                0 => LINK + random.index(bytes.len() - LINK),
                _ => LINK + random.index((bytes.len() - LINK).min(70)),
            };
            bytes[at] ^= 1 << random.below(8);
        }
    }
}
