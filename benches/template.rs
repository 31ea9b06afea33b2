//! Writing the outer header from a template, next to a copy of as many bytes.
//!
//! `cargo bench --bench template` first prints ratios: each round measures every case once, so that a machine
//! that changes its pace changes all of them. Criterion's own figures, of batches of 64, follow.

#![allow(
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::expect_used,
    clippy::indexing_slicing
)]

use core::hint::black_box;
use core::time::Duration;
use std::time::Instant;

use criterion::{Criterion, Throughput};
use vtep::wire::{Depth, Encapsulation, Link, MacAddr, Payload, PerPacket, Template, TemplateConfig, Vni, checksum};

const ROUNDS: usize = 301;
const BATCHES: u32 = 50;
const BATCH: usize = 64;
const ROOM: usize = 128;
type Room = [u8; ROOM];

/// One option with four bytes of data, three times.
const OPTIONS: [u8; 24] = [1, 2, 3, 1, 9, 9, 9, 9, 1, 2, 3, 1, 9, 9, 9, 9, 1, 2, 3, 1, 9, 9, 9, 9];
const FRAME: [u8; 1500] = [0x5a; 1500];

/// Something with a name that can be run on `n` batches.
struct Case {
    name: &'static str,
    /// Bytes written, for the copy to compare with; 0 where nothing is written.
    bytes: usize,
    run: Box<dyn FnMut(u32) -> Duration>,
}

fn main() {
    let mut cases = cases();
    ratios(&mut cases);
    let mut criterion = Criterion::default().configure_from_args();
    let mut group = criterion.benchmark_group("template");
    group.throughput(Throughput::Elements(BATCH as u64));
    for mut case in cases {
        group.bench_function(case.name, |bencher| {
            bencher.iter_custom(|n| (case.run)(u32::try_from(n).unwrap_or(u32::MAX)));
        });
    }
    group.finish();
    criterion.final_summary();
}

fn cases() -> Vec<Case> {
    use Encapsulation::{Geneve, Vxlan};
    let mut cases = vec![copy("copy 50 bytes", 50), copy("copy 58 bytes", 58), copy("copy 70 bytes", 70)];
    cases.push(copy_fixed::<50>("copy 50 bytes, fixed size"));
    cases.push(copy_fixed::<58>("copy 58 bytes, fixed size"));
    cases.push(copy_fixed::<70>("copy 70 bytes, fixed size"));
    cases.push(write("VXLAN, IPv4", template(Vxlan, false, false), 0, 64));
    cases.push(write("VXLAN, IPv6, no checksum", template(Vxlan, true, false), 0, 64));
    cases.push(write("Geneve, IPv4", template(Geneve, false, false), 0, 64));
    cases.push(write("Geneve, IPv4, 1 option", template(Geneve, false, false), 8, 64));
    cases.push(write("Geneve, IPv4, 3 options", template(Geneve, false, false), 24, 64));
    cases.push(write("VXLAN, IPv4, checksum over 64", template(Vxlan, false, true), 0, 64));
    cases.push(write("VXLAN, IPv6, checksum over 1500", template(Vxlan, true, true), 0, 1500));
    cases.extend([sum("sum 20 bytes", 20), sum("sum 64 bytes", 64), sum("sum 1500 bytes", 1500)]);
    cases
}

fn template(encap: Encapsulation, ipv6: bool, udp_checksum: bool) -> Template {
    let [src, dst] = if ipv6 { ["2001:db8::1", "2001:db8::2"] } else { ["192.0.2.1", "192.0.2.2"] }
        .map(|address| address.parse().expect("an address"));
    let link = Link { dst: MacAddr([2, 0, 0, 0, 0, 2]), src: MacAddr([2, 0, 0, 0, 0, 1]), vlan: None };
    let config = TemplateConfig { link: Some(link), udp_checksum, ..TemplateConfig::new(encap, src, dst) };
    Template::new(&config).expect("a template")
}

fn write(name: &'static str, template: Template, options_len: usize, payload_len: usize) -> Case {
    let packets: [PerPacket<'static>; BATCH] = core::array::from_fn(|n| PerPacket {
        ident: n as u16,
        tos: n as u8,
        options: &OPTIONS[..options_len],
        ..PerPacket::new(Vni::truncating(n as u32 * 77), 49_152 + n as u16)
    });
    let bytes = template.header_len(Depth::Ethernet, options_len);
    let each = move |packet: &PerPacket<'_>, room: &mut Room| {
        template.write(Depth::Ethernet, packet, room, Payload::whole(&FRAME[..payload_len])).unwrap_or(0)
    };
    Case { name, bytes, run: Box::new(move |n| timed(n, &packets, &each)) }
}

/// A copy whose length is known at run time only, as a stored header's would be: a call of `memcpy`.
fn copy(name: &'static str, bytes: usize) -> Case {
    let headers = [[7; ROOM]; BATCH];
    let each = move |header: &Room, room: &mut Room| {
        let start = ROOM - black_box(bytes);
        room[start..].copy_from_slice(&header[start..]);
        bytes
    };
    Case { name, bytes, run: Box::new(move |n| timed(n, &headers, &each)) }
}

/// A copy whose length the compiler knows: a few wide loads and stores.
fn copy_fixed<const N: usize>(name: &'static str) -> Case {
    let headers = [[7; ROOM]; BATCH];
    let each = |header: &Room, room: &mut Room| {
        if let (Some(from), Some(to)) = (header.last_chunk::<N>(), room.last_chunk_mut()) {
            *to = *from;
        }
        N
    };
    Case { name, bytes: N, run: Box::new(move |n| timed(n, &headers, &each)) }
}

fn sum(name: &'static str, len: usize) -> Case {
    let each = move |frame: &&[u8], _: &mut Room| usize::from(checksum::checksum(&frame[..len]));
    Case { name, bytes: 0, run: Box::new(move |n| timed(n, &[&FRAME[..]; BATCH], &each)) }
}

/// Runs `each` on `n` batches of inputs, each with a buffer of its own.
fn timed<T>(n: u32, inputs: &[T; BATCH], each: &impl Fn(&T, &mut Room) -> usize) -> Duration {
    let mut rooms = [[0; ROOM]; BATCH];
    let start = Instant::now();
    for _ in 0..n {
        let mut total = 0_usize;
        for (input, room) in black_box(inputs).iter().zip(black_box(&mut rooms)) {
            total = total.wrapping_add(each(input, room));
        }
        black_box((total, &rooms));
    }
    start.elapsed()
}

fn ratios(cases: &mut [Case]) {
    let mut rounds: Vec<Vec<f64>> = vec![Vec::new(); cases.len()];
    for _ in 0..ROUNDS {
        for (case, times) in cases.iter_mut().zip(&mut rounds) {
            times.push((case.run)(BATCHES).as_secs_f64() * 1e9 / f64::from(BATCHES) / BATCH as f64);
        }
    }
    println!("{:32} {:>8} {:>28} {:>28}", "", "ns", "times the copy (spread)", "the fixed-size copy");
    for (case, times) in cases.iter().zip(&rounds) {
        print!("{:32} {:8.1}", case.name, median(times.clone()));
        for (other, copy) in cases.iter().zip(&rounds) {
            if other.bytes == case.bytes && other.name.starts_with("copy") {
                let mut ratios: Vec<f64> = times.iter().zip(copy).map(|(a, b)| a / b).collect();
                ratios.sort_by(f64::total_cmp);
                let (low, high) = (ratios[ROUNDS / 10], ratios[ROUNDS - 1 - ROUNDS / 10]);
                print!("{:12.2} ({low:5.2} to {high:5.2})", median(ratios));
            }
        }
        println!();
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
