//! The forwarding database against a plain map, through every operation and any clock.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::panic
)]

mod model;

use model::{Op, Setup, run};
use proptest::collection::vec;
use proptest::prelude::*;
use vtep::table::fdb::{Add, Filter, LearnPolicy, Owners, WhenFull, Yield};
use vtep::table::{Ageing, BridgeId, Destination, Duration, EndpointId, FdbConfig, GroupId, Meta, Owner, PortId};
use vtep::wire::MacAddr;

fn bridge() -> impl Strategy<Value = BridgeId> + Clone {
    prop_oneof![20 => (0u16..4).prop_map(BridgeId), 1 => any::<u16>().prop_map(BridgeId)]
}

fn mac() -> impl Strategy<Value = MacAddr> + Clone {
    prop_oneof![
        40 => (0u64..40).prop_map(|n| MacAddr::from_u64(0x0200_0000_0000 + n)),
        1 => Just(MacAddr::ZERO),
        1 => Just(MacAddr::BROADCAST),
        1 => Just(MacAddr([1, 0, 0x5e, 0, 0, 1])),
    ]
}

fn destination() -> impl Strategy<Value = Destination> + Clone {
    prop_oneof![
        8 => (0u16..4).prop_map(|n| Destination::Port(PortId(n))),
        8 => (0u16..4).prop_map(|n| Destination::Endpoint(EndpointId(n))),
        2 => (0u16..3).prop_map(|n| Destination::Group(GroupId(n))),
        1 => Just(Destination::Host),
        1 => Just(Destination::Drop),
        1 => any::<u16>().prop_map(|n| Destination::Endpoint(EndpointId(n))),
    ]
}

fn meta() -> impl Strategy<Value = Meta> + Clone {
    prop_oneof![4 => Just(Meta::NONE), 1 => any::<u16>().prop_map(Meta::truncating)]
}

fn add() -> impl Strategy<Value = Add> + Clone {
    let owner = proptest::sample::select(Owner::ALL.to_vec());
    (destination(), meta(), owner, any::<bool>()).prop_map(|(destination, meta, owner, sticky)| Add {
        destination,
        meta,
        owner,
        sticky,
    })
}

fn ageing() -> impl Strategy<Value = Ageing> + Clone {
    prop_oneof![
        1 => Just(Ageing::Never),
        1 => Just(Ageing::NoLearn),
        6 => (0u64..2_000).prop_map(|ms| Ageing::After(Duration::from_millis(ms))),
        2 => (0u64..=4 * 3600).prop_map(|s| Ageing::After(Duration::from_secs(s))),
        1 => any::<u64>().prop_map(|ms| Ageing::After(Duration::from_millis(ms))),
    ]
}

fn policy() -> impl Strategy<Value = LearnPolicy> + Clone {
    let one = proptest::sample::select(vec![Yield::Never, Yield::Never, Yield::Move, Yield::TakeOver]);
    let hold = proptest::bool::weighted(0.2);
    (one.clone(), one, hold).prop_map(|(statics, controlled, hold)| LearnPolicy { statics, controlled, hold })
}

fn filter() -> impl Strategy<Value = Filter> + Clone {
    (
        proptest::option::of(bridge()),
        proptest::option::of(destination()),
        proptest::option::weighted(0.1, meta()),
        any::<u8>(),
        proptest::option::weighted(0.2, any::<bool>()),
    )
        .prop_map(|(bridge, destination, meta, owners, sticky)| Filter {
            bridge,
            destination,
            meta,
            owners: Owners::from_bits_truncate(owners),
            sticky,
        })
}

fn op() -> impl Strategy<Value = Op> + Clone {
    prop_oneof![
        40 => (bridge(), mac(), destination(), meta(), policy()).prop_map(|(b, m, d, t, p)| Op::Learn(b, m, d, t, p)),
        12 => (bridge(), mac()).prop_map(|(b, m)| Op::Lookup(b, m)),
        6 => (bridge(), mac(), add()).prop_map(|(b, m, a)| Op::Add(b, m, a)),
        4 => (bridge(), mac(), add()).prop_map(|(b, m, a)| Op::Replace(b, m, a)),
        3 => (bridge(), mac()).prop_map(|(b, m)| Op::Delete(b, m)),
        2 => filter().prop_map(Op::Flush),
        3 => bridge().prop_map(Op::FlushBridge),
        3 => destination().prop_map(Op::FlushDestination),
        3 => (bridge(), ageing()).prop_map(|(b, a)| Op::SetAgeing(b, a)),
        2 => (bridge(), proptest::option::of(0u32..12)).prop_map(|(b, l)| Op::BridgeLimit(b, l)),
        2 => (destination(), proptest::option::of(0u32..12)).prop_map(|(d, l)| Op::DestinationLimit(d, l)),
        6 => prop_oneof![0usize..20, Just(usize::MAX)].prop_map(Op::Sweep),
    ]
}

/// Milliseconds from one operation to the next: mostly little, sometimes backwards or far.
fn pause() -> impl Strategy<Value = i64> + Clone {
    prop_oneof![
        10 => 0i64..300,
        4 => 0i64..5_000,
        2 => -3_000i64..0,
        1 => 0i64..6 * 3_600_000,
        1 => Just(i64::MAX / 4),
        1 => 16_000_000i64..17_500_000,
    ]
}

fn setup() -> impl Strategy<Value = Setup> {
    let config = (any::<[u64; 2]>(), any::<bool>(), ageing()).prop_map(|(seed, evict, ageing)| FdbConfig {
        seed,
        when_full: if evict { WhenFull::Evict } else { WhenFull::Refuse },
        ageing,
    });
    (0usize..14, 0usize..5, 0usize..5, 0usize..5, 0usize..4, config).prop_map(
        |(buckets, bridges, ports, endpoints, groups, config)| Setup {
            buckets,
            bridges,
            ports,
            endpoints,
            groups,
            config,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn agrees_with_a_map(
        setup in setup(),
        start in prop_oneof![Just(0u64), any::<u32>().prop_map(u64::from), any::<u64>().prop_map(|n| n >> 1)],
        ops in vec((pause(), op()), 1..250),
    ) {
        run(setup, start, &ops);
    }

    /// A table of one size, kept full, with no clock jumps: evictions, quotas and flushes meet more often.
    #[test]
    fn agrees_with_a_map_under_pressure(
        seed in any::<[u64; 2]>(),
        evict in any::<bool>(),
        ops in vec((0i64..20, op()), 100..600),
    ) {
        let when_full = if evict { WhenFull::Evict } else { WhenFull::Refuse };
        let ageing = Ageing::After(Duration::from_millis(3_000));
        let config = FdbConfig { seed, when_full, ageing };
        run(Setup { buckets: 5, bridges: 2, ports: 3, endpoints: 4, groups: 2, config }, 0, &ops);
    }
}
