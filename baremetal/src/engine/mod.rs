//! Calls into `vtep::engine`: an engine in a static, and one that works in pieces of its memory.

mod command;
mod counters;
mod drop;
mod input;
mod profile;
mod verdict;

use vtep::engine::{
    Budget, Config, Cursor, Engine, Events, LabelMemory, LabelStorage, Memory, Replication, Storage, Verdict,
};

use crate::opaque::{any, bytes, hidden, sink, some, with_buffer};
use crate::table::{endpoint, fdb, guard, policy};

#[inline(never)]
pub fn every_call() {
    command::every_call();
    drop::every_call();
    verdict::every_call();
    sink(Storage::<1, 1, 1, 1, 1, 1>::default());
    let budget = Budget { macs: any(), bridges: any(), ports: any(), ..Budget::default() };
    sink((Budget::bytes(&budget), Budget::buckets(any())));
    let mut ring = hidden([None; 4]);
    let events = hidden(Events::new(some(&mut ring)));
    sink((Events::len(&events), Events::is_empty(&events), Events::lost(&events)));

    static mut TABLES: Storage<16, 2, 4, 4, 8, 4, 2> = Storage::new();
    // SAFETY: the only place that names it, and the caller of this function is gone when it is called again.
    let tables = unsafe { &mut *&raw mut TABLES };
    let mut memory = hidden(Storage::memory(tables));
    if any() {
        memory = parts_of(memory);
    }
    static mut LABELS: LabelStorage<8, 8, 2> = LabelStorage::new();
    // SAFETY: as above.
    let labels = unsafe { &mut *&raw mut LABELS };
    let mut labels = hidden(LabelStorage::memory(labels));
    if any() {
        labels = LabelMemory {
            labels: some(labels.labels),
            label_map: some(labels.label_map),
            rules: some(labels.rules),
            rule_map: some(labels.rule_map),
            traffic: some(labels.traffic),
            known: labels.known,
        };
    }
    sink(LabelStorage::<1, 1, 1>::default());
    use_engine(&mut hidden(Engine::with_labels(Engine::new(memory, &any()), labels)));
}

/// Capacities of any size, zero included.
fn parts_of(memory: Memory<'_>) -> Memory<'_> {
    Memory {
        macs: some(memory.macs),
        bridges: some(memory.bridges),
        bridge_records: some(memory.bridge_records),
        bridge_counters: some(memory.bridge_counters),
        vnis: some(memory.vnis),
        ports: some(memory.ports),
        port_records: some(memory.port_records),
        endpoints: some(memory.endpoints),
        endpoint_records: some(memory.endpoint_records),
        addresses: some(memory.addresses),
        groups: some(memory.groups),
        group_records: some(memory.group_records),
        members: some(memory.members),
        memberships: some(memory.memberships),
        underlays: some(memory.underlays),
        events: some(memory.events),
        counters: memory.counters,
        guards: some(memory.guards),
        moves: some(memory.moves),
    }
}

fn use_engine(engine: &mut Engine<'_>) {
    while any() {
        sink(Engine::command(engine, any(), &any()));
        let verdict = hidden(Engine::step(engine, any(), &any()));
        carry_out(engine, &verdict);
        let mut verdicts = [hidden(Verdict::NOTHING), any()];
        sink(Engine::step_batch(engine, any(), &[any(), any(), any()], &mut verdicts));
        sink(verdicts);
        // Verdicts may be kept, changed and made up.
        carry_out(engine, &any());
        Engine::tick(engine, any());
        sink((Engine::poll_event(engine), Engine::lost_events(engine)));
        look(engine);
    }
}

#[inline(never)]
fn carry_out(engine: &Engine<'_>, verdict: &Verdict) {
    with_buffer(|buffer| sink(Engine::rewrite(engine, verdict, any(), buffer, any()..any())));
    with_buffer(|out| sink(Engine::rewrite_into(engine, verdict, any(), bytes(), out)));
    with_buffer(|head| sink(Engine::rewrite_head(engine, verdict, any(), bytes(), head)));
    sink(Engine::sent(engine, verdict));
    sink(Engine::explain(engine, any(), &any()));
    if let Verdict::Flood(flood) = verdict {
        for copy in Engine::explain_copies(engine, flood) {
            sink(copy);
        }
        let mut cursor = hidden(Cursor::new());
        while let Some(copy) = Engine::next_copy(engine, flood, &mut cursor) {
            sink(copy);
        }
        let mut copies = hidden(Engine::replicate(engine, flood, any(), bytes()));
        while let Some(copy) = with_buffer(|out| Replication::next_into(&mut copies, out)) {
            sink((copy, Replication::cursor(&copies)));
        }
        let mut copies = hidden(Engine::replicate(engine, flood, any(), bytes()));
        while let Some(copy) = with_buffer(|head| Replication::next_head(&mut copies, head)) {
            sink(copy);
        }
    }
}

#[inline(never)]
fn look(engine: &Engine<'_>) {
    sink((Engine::now(engine), Engine::next_deadline(engine), Engine::digest(engine)));
    counters::look(Engine::counters(engine));
    if let Some(counters) = Engine::bridge_counters(engine, any()) {
        counters::look_at_bridge(counters);
    }
    sink((Engine::bridge_config(engine, any()), Engine::port_config(engine, any())));
    sink(Engine::underlay_config(engine, any()));
    endpoint::look(Engine::endpoints(engine));
    fdb::look(Engine::table(engine));
    if let Some(guard) = Engine::guard(engine, any()) {
        guard::look(guard);
    }
    sink(Engine::moves(engine).len());
    sink((Engine::lookup(engine, any(), any()), Engine::place(engine, any())));
    if let Some(entry) = Engine::lookup(engine, any(), any()) {
        sink(Engine::label(engine, entry));
    }
    sink((Engine::traffic_map(engine, any()), Engine::schema(engine)));
    policy::look(Engine::policy(engine));
    for member in Engine::flood_list(engine, any()) {
        sink(member);
    }
    for member in Engine::group(engine, any()) {
        sink(member);
    }
    for entry in Engine::fdb(engine) {
        sink(entry);
    }
}

impl crate::opaque::Any for Config {
    fn any() -> Self {
        let mut config = hidden(Config::new(any(), any()));
        config.switches = any();
        config.source_ports = any();
        config.when_full = any();
        config.sweep = any();
        config.endpoint_macs = any();
        config.schema = any();
        config
    }
}
