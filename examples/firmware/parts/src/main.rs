//! One part of the library, called on values that the compiler knows nothing about. It is linked, and never run.
#![no_std]
#![no_main]
#![allow(dead_code, reason = "each feature uses its own part")]

use core::hint::black_box;

use cortex_m_rt::entry;

#[entry]
fn main() -> ! {
    loop {
        #[cfg(feature = "codec")]
        codec();
        #[cfg(feature = "fdb")]
        fdb();
        #[cfg(feature = "step")]
        engine();
        black_box(());
    }
}

static BYTES: [u8; 256] = [0; 256];

fn packet() -> &'static [u8] {
    black_box(&BYTES[..])
}

/// The outer stack taken apart in one pass, and an outer header written.
#[cfg(feature = "codec")]
fn codec() {
    use core::net::{IpAddr, Ipv4Addr};
    use vtep::wire::{
        Checks, Depth, Encapsulation, Payload, PerPacket, Template, TemplateConfig, TunnelPorts, Vni, outer,
    };

    black_box(outer::parse(packet(), black_box(&TunnelPorts::NONE), black_box(&Checks::DEFAULT))).ok();
    let Some(vni) = Vni::new(black_box(5000)) else { return };
    let address = black_box(IpAddr::V4(Ipv4Addr::LOCALHOST));
    if let Ok(template) = Template::new(black_box(&TemplateConfig::new(Encapsulation::Vxlan, address, address))) {
        let mut out = [0; 64];
        let payload = Payload { head: packet(), rest: packet() };
        black_box(template.write(black_box(Depth::Ip), black_box(&PerPacket::new(vni, 1)), &mut out, payload)).ok();
    }
}

/// Learning, looking up and ageing.
#[cfg(feature = "fdb")]
fn fdb() {
    use vtep::table::fdb::{BridgeRecord, DestinationRecord, FdbMemory, LearnPolicy, Yield};
    use vtep::table::{Ageing, BridgeId, Bucket, Destination, Fdb, FdbConfig, Instant, Meta, PortId};
    use vtep::wire::MacAddr;

    let mut buckets = [Bucket::EMPTY; 4];
    let (mut bridges, mut ports) = ([BridgeRecord::EMPTY; 1], [DestinationRecord::EMPTY; 1]);
    let memory = FdbMemory {
        buckets: &mut buckets,
        bridges: &mut bridges,
        ports: &mut ports,
        endpoints: &mut [],
        groups: &mut [],
    };
    let mut fdb = Fdb::new(memory, black_box(&FdbConfig::default()));
    let (now, bridge, mac) = black_box((Instant::ZERO, BridgeId(0), MacAddr::ZERO));
    fdb.set_ageing(now, bridge, black_box(Ageing::DEFAULT), |removed| {
        black_box(removed);
    })
    .ok();
    let policy = black_box(LearnPolicy { statics: Yield::Never, controlled: Yield::Never, hold: false });
    black_box(fdb.learn(now, bridge, mac, black_box(Destination::Port(PortId(0))), Meta::NONE, policy));
    black_box(fdb.lookup(now, bridge, mac));
    fdb.sweep(now, black_box(4), |removed| {
        black_box(removed);
    });
}

/// `step` alone; with feature `engine` all that a gateway calls, and with `labels` security groups and traffic classes too.
#[cfg(feature = "step")]
fn engine() {
    use vtep::engine::{Config, Engine, Input, Profile, Storage};
    use vtep::table::{Instant, PortId, UnderlayId};

    let mut storage = Storage::<4, 1, 1, 1, 1, 1>::new();
    let config = black_box(Config::new(Profile::Rfc, [1, 2]));
    let engine = Engine::new(storage.memory(), &config);
    #[cfg(feature = "labels")]
    let mut labels = vtep::engine::LabelStorage::<4, 4, 1>::new();
    #[cfg(feature = "labels")]
    let engine = engine.with_labels(labels.memory());
    let mut engine = engine;
    let now = black_box(Instant::ZERO);
    for input in [Input::from_port(PortId(0), packet()), Input::from_underlay(UnderlayId(0), packet())] {
        let verdict = black_box(engine.step(now, black_box(&input)));
        #[cfg(feature = "engine")]
        forward(&mut engine, &verdict);
        #[cfg(not(feature = "engine"))]
        black_box(verdict);
    }
}

#[cfg(feature = "engine")]
fn forward(engine: &mut vtep::engine::Engine<'_>, verdict: &vtep::engine::Verdict) {
    use vtep::engine::{Command, Cursor, Flush, Verdict};
    use vtep::wire::Depth;

    let now = engine.now();
    engine.command(now, black_box(&Command::Flush(Flush::dynamic()))).ok();
    engine.tick(now);
    black_box(engine.next_deadline());
    let mut out = [0; 256];
    if let Verdict::Flood(flood) = verdict {
        let mut cursor = Cursor::new();
        while let Some(Ok(copy)) = engine.next_copy(flood, &mut cursor) {
            black_box(engine.rewrite_into(&copy, black_box(Depth::Ethernet), packet(), &mut out)).ok();
        }
    }
    black_box(engine.rewrite(verdict, black_box(Depth::Ethernet), &mut out, black_box(64..128))).ok();
    while let Some(event) = engine.poll_event() {
        black_box(event);
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        black_box(());
    }
}
