//! How much stack the engine's calls take: the stack below is painted, calls are made, and the paint is looked at.

use core::hint::black_box;
use core::ops::Range;

use cortex_m::register::msp;
use vtep::engine::{Config, Cursor, DropReason, Engine, Input, Profile, Verdict};
use vtep::table::{Instant, PortId, UnderlayId};
use vtep::wire::Depth;

use crate::scenario::{self, Tables};

const PAINT: u32 = 0xacce_55ed;
/// Packets of each kind.
const PACKETS: u32 = 4_000;
/// Packets in a batch.
const BATCH: usize = 32;
/// Outer headers, and an inner frame with an IPv4 header.
const LEN: usize = 96;

/// Measures and says what each call takes at most.
pub fn measure(tables: &mut Tables) -> Result<(), &'static str> {
    let mut engine = Engine::new(tables.memory(), &Config::new(Profile::Rfc, scenario::SEED));
    let mut setting_up = Ok(());
    let command = deepest(&mut || setting_up = scenario::set_up(&mut engine));
    setting_up?;
    let mut random = Random(1);
    let mut kinds = [false; 8];

    // Random sources fill the FDB, random far ends the endpoint table; some packets are cut off or damaged.
    let mut step = 0;
    for at in 0..PACKETS {
        let (packet, range) = packet(&mut random);
        let input = input(&packet, range, at);
        let mut verdict = Verdict::Drop(DropReason::UnknownVni);
        step = step.max(deepest(&mut || verdict = engine.step(Instant::from_millis(at.into()), &input)));
        kinds[usize::from(verdict.kind() as u8)] = true;
    }
    if !(kinds[1] && kinds[2] && kinds[3] && kinds[7]) {
        return Err("the packets do not reach deliver, encapsulate, flood and drop");
    }
    let mut batch = 0;
    for at in 0..PACKETS / BATCH as u32 {
        let packets: [_; BATCH] = core::array::from_fn(|_| packet(&mut random));
        let inputs: [Input<'_>; BATCH] =
            core::array::from_fn(|i| input(&packets[i].0, packets[i].1.clone(), at + i as u32));
        let mut verdicts = [Verdict::Drop(DropReason::UnknownVni); BATCH];
        let now = engine.now();
        batch = batch.max(deepest(&mut || {
            black_box(engine.step_batch(now, &inputs, &mut verdicts));
        }));
    }
    let mut frame = [0xff; 64];
    frame[6..12].copy_from_slice(&[0x02, 0, 0, 0, 0, 0xaa]);
    let Verdict::Flood(flood) = engine.step(engine.now(), &Input::from_port(PortId(0), &frame)) else {
        return Err("a broadcast is flooded");
    };
    let mut out = [0; 128];
    let rewrite = deepest(&mut || {
        let mut cursor = Cursor::new();
        while let Some(Ok(copy)) = engine.next_copy(&flood, &mut cursor) {
            black_box(engine.rewrite_into(&copy, Depth::Ip, &frame, &mut out).is_ok());
        }
    });
    let tick = deepest(&mut || engine.tick(Instant::from_millis(1_000_000)));
    let digest = deepest(&mut || {
        black_box(engine.digest());
    });
    defmt::println!("stack: step {=usize} bytes", step);
    defmt::println!("stack: step_batch {=usize} bytes", batch);
    defmt::println!("stack: next_copy and rewrite_into {=usize} bytes", rewrite);
    defmt::println!("stack: command {=usize} bytes", command);
    defmt::println!("stack: tick {=usize} bytes", tick);
    defmt::println!("stack: digest {=usize} bytes", digest);
    Ok(())
}

/// Bytes of `.data` and `.bss`, which stand below the stack.
pub fn statics() -> usize {
    (&raw const __sheap).addr() - RAM
}

const RAM: usize = 0x2000_0000;

unsafe extern "C" {
    /// Where the linker's memory ends and the stack's begins.
    static mut __sheap: u32;
}

/// Bytes of stack below here that `calls` uses: what it calls is not inlined here.
#[inline(never)]
fn deepest(calls: &mut dyn FnMut()) -> usize {
    let top = msp::read() as usize;
    paint();
    black_box(calls)();
    let mut at = (&raw mut __sheap).cast::<u32>();
    // SAFETY: between the statics and here there is only stack, and it is ours.
    while at.addr() < top && unsafe { at.read_volatile() } == PAINT {
        at = at.wrapping_add(1);
    }
    top.saturating_sub(at.addr())
}

/// Paints what is below its own frame.
#[inline(never)]
fn paint() {
    // The compiler may read it before it has saved registers there.
    let end = (msp::read() as usize).saturating_sub(64);
    let mut at = (&raw mut __sheap).cast::<u32>();
    while at.addr() < end {
        // SAFETY: below the stack pointer nothing lives.
        unsafe { at.write_volatile(PAINT) };
        at = at.wrapping_add(1);
    }
}

/// From the pod, or from the underlay.
fn input(packet: &[u8; LEN], range: Range<usize>, at: u32) -> Input<'_> {
    let bytes = packet.get(range).unwrap_or(&[]);
    match at % 4 {
        0 => Input::from_port(PortId(0), packet.get(36..).unwrap_or(&[])),
        1 => Input::from_port(PortId(1), packet.get(36..).unwrap_or(&[])),
        _ => Input::from_underlay_ip(UnderlayId(0), bytes),
    }
}

/// A tunnel packet around a frame with an IPv4 header, from one of 64 far ends, with one of 1,024 sources; which part of it
/// there is.
fn packet(random: &mut Random) -> ([u8; LEN], Range<usize>) {
    let mut packet = [0; LEN];
    let geneve = random.below(2) == 1;
    let head = if geneve { &scenario::GENEVE_IN } else { &scenario::VXLAN_IN };
    packet[..36].copy_from_slice(&head[..36]);
    packet[2..4].copy_from_slice(&(LEN as u16).to_be_bytes());
    packet[24..26].copy_from_slice(&(LEN as u16 - 20).to_be_bytes());
    packet[15] = 2 + random.below(64) as u8;
    if random.below(2) == 1 {
        packet[36..42].copy_from_slice(&[0x02, 0, 0, 0, random.below(4) as u8, random.below(256) as u8]);
    } else {
        packet[36..42].fill(0xff);
    }
    packet[42..48].copy_from_slice(&[0x02, 0, 0, 0, random.below(4) as u8, random.below(256) as u8]);
    packet[48..50].copy_from_slice(&[0x08, 0x00]);
    packet[50..70].copy_from_slice(&head[..20]);
    packet[52..54].copy_from_slice(&(LEN as u16 - 50).to_be_bytes());
    if random.below(16) == 0 {
        packet[random.below(LEN as u32) as usize] ^= 0xff;
    }
    let mut sum = 0;
    packet[10..12].fill(0);
    for pair in packet[..20].chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair[1]);
    }
    sum = (sum & 0xffff) + (sum >> 16);
    packet[10..12].copy_from_slice(&(!((sum & 0xffff) + (sum >> 16)) as u16).to_be_bytes());
    let end = if random.below(16) == 0 { random.below(LEN as u32) as usize } else { LEN };
    (packet, 0..end)
}

/// Xorshift.
struct Random(u32);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        (self.0 >> 8) % bound
    }
}
