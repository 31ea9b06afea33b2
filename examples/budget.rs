//! What an engine's memory takes on this machine.
//!
//!     cargo run --example budget -- --macs 1000 --vnis 16 --endpoints 64

use clap::Parser;
use vtep::engine::Budget;

/// What an engine's memory takes on this machine.
#[derive(Parser)]
#[command(name = "budget")]
struct Arguments {
    /// MACs that are sure to find a place
    #[arg(long, default_value_t = 1000)]
    macs: usize,
    /// VNIs, a bridge each
    #[arg(long, default_value_t = 16)]
    vnis: usize,
    /// Ports
    #[arg(long, default_value_t = 16)]
    ports: usize,
    /// Remote VTEPs
    #[arg(long, default_value_t = 64)]
    endpoints: usize,
    /// Places on flood lists [default: as many as endpoints]
    #[arg(long)]
    members: Option<usize>,
    /// Events that wait
    #[arg(long, default_value_t = 64)]
    events: usize,
    /// MACs whose moves are remembered
    #[arg(long, default_value_t = 0)]
    moves: usize,
}

fn main() {
    let args = Arguments::parse();
    let Arguments { macs, vnis: bridges, ports, endpoints, events, moves, .. } = args;
    let budget = Budget { macs, bridges, ports, endpoints, members: args.members.unwrap_or(endpoints), events, moves };
    let nothing = Budget::default();
    let part = |part: Budget| part.bytes().saturating_sub(nothing.bytes());
    let rows = [
        (1, "engine and counters", nothing.bytes()),
        (macs, "MACs", part(Budget { macs, ..nothing })),
        (bridges, "bridges", part(Budget { bridges, ..nothing })),
        (ports, "ports", part(Budget { ports, ..nothing })),
        (endpoints, "endpoints", part(Budget { endpoints, ..nothing })),
        (budget.members, "places on flood lists", part(Budget { members: budget.members, ..nothing })),
        (events, "waiting events", part(Budget { events, ..nothing })),
        (moves, "remembered moves", part(Budget { moves, ..nothing })),
    ];
    for (count, what, bytes) in rows {
        println!("{count:>9} {what:<24} {bytes:>12} bytes");
    }
    println!("{:>9} {:<24} {:>12} bytes", "", "together", budget.bytes());
    println!(
        "Storage::<{}, {bridges}, {ports}, {endpoints}, {}, {events}, {}>",
        Budget::buckets(macs),
        budget.members,
        moves.div_ceil(4)
    );
}
