//! The log of `engine`, once packet by packet and once in batches of any size: verdicts, events, counters and state are
//! the same, and so are the bytes of whoever carries the verdicts out.

use arbitrary::{Arbitrary, Unstructured};
use vtep::engine::{Cursor, Engine, Event, Input, Verdict};
use vtep::table::{BridgeId, Duration, Instant, UnderlayId};
use vtep::wire::Depth;

use super::log::{Action, Log};

#[derive(Arbitrary, Debug)]
struct Batches<'a> {
    /// How many packets a batch has, less one, modulo the most; one after another. With the top bit of the first one, each
    /// packet comes three times in a row, the last time with a byte of its first 256 changed: the last two say which and how.
    lens: [u8; 4],
    log: Log<'a>,
}

/// Twice as many as are read at once, and some.
const MOST: u8 = 70;

pub fn run(bytes: &[u8]) {
    let Ok(Batches { lens, log }) = Batches::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    let change = (lens[0] >= 0x80).then_some((lens[2], lens[3]));
    let packets = log.actions.iter().map(|action| train(action, change)).collect::<Vec<_>>();
    let (mut lent, mut lent_too) = (log.memory(), log.memory());
    let mut twins = Twins {
        single: log.engine(&mut lent),
        batch: log.engine(&mut lent_too),
        now: Instant::ZERO,
        inputs: Vec::new(),
        verdicts: Vec::new(),
    };
    let mut lens = lens.iter().cycle().map(|len| usize::from(len % MOST) + 1);
    let mut len = 1;
    for (action, packets) in log.actions.iter().zip(&packets) {
        for bytes in packets {
            twins.step(input(action, bytes));
        }
        if !packets.is_empty() && twins.inputs.len() < len {
            continue;
        }
        twins.catch_up();
        len = lens.next().unwrap();
        twins.act(action);
    }
    twins.catch_up();
}

/// The packets that an action stands for.
fn train(action: &Action<'_>, change: Option<(u8, u8)>) -> Vec<Vec<u8>> {
    let Some(packet) = action.bytes() else { return Vec::new() };
    let mut packet = packet.into_owned();
    if let Action::Tunnel(..) = action {
        let ethertype: [u8; 2] =
            if packet.first().is_some_and(|first| first >> 4 == 6) { [0x86, 0xdd] } else { [8, 0] };
        packet.splice(..0, [[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2].as_slice(), &ethertype].concat());
    }
    let Some((at, bits)) = change else { return vec![packet] };
    let mut last = packet.clone();
    if let Some(byte) = last.get_mut(usize::from(at)) {
        *byte ^= bits;
    }
    vec![packet.clone(), packet, last]
}

fn input<'b>(action: &Action<'_>, bytes: &'b [u8]) -> Input<'b> {
    match action {
        Action::Tunnel(..) => Input::from_underlay(UnderlayId(0), bytes),
        _ => action.input(bytes),
    }
}

struct Twins<'m, 'p> {
    single: Engine<'m>,
    batch: Engine<'m>,
    now: Instant,
    /// What the second one has not seen yet.
    inputs: Vec<Input<'p>>,
    /// What the first one has said to it.
    verdicts: Vec<Verdict>,
}

impl<'p> Twins<'_, 'p> {
    fn step(&mut self, input: Input<'p>) {
        self.verdicts.push(self.single.step(self.now, &input));
        self.inputs.push(input);
    }

    fn catch_up(&mut self) {
        let mut verdicts = vec![Verdict::NOTHING; self.inputs.len()];
        assert_eq!(self.batch.step_batch(self.now, &self.inputs, &mut verdicts), self.inputs.len());
        assert_eq!(verdicts, self.verdicts);
        for (verdict, input) in verdicts.iter().zip(&self.inputs) {
            assert_eq!(sent(&self.batch, verdict, input.bytes), sent(&self.single, verdict, input.bytes));
        }
        self.inputs.clear();
        self.verdicts.clear();
        self.compare();
    }

    fn act(&mut self, action: &Action<'_>) {
        let now = self.now;
        match action {
            Action::Command(command) => {
                assert_eq!(self.batch.command(now, command), self.single.command(now, command));
            }
            Action::Wait(seconds) => self.now = now.saturating_add(Duration::from_secs(u64::from(*seconds))),
            Action::Clock(millis) => self.now = Instant::from_millis(*millis),
            Action::Tick => {
                self.batch.tick(now);
                self.single.tick(now);
            }
            Action::Events => {
                let events =
                    |engine: &mut Engine<'_>| core::iter::from_fn(|| engine.poll_event()).collect::<Vec<Event>>();
                assert_eq!(events(&mut self.batch), events(&mut self.single));
            }
            _ => {}
        }
    }

    fn compare(&self) {
        let Self { single, batch, .. } = self;
        assert_eq!(batch.digest(), single.digest());
        assert_eq!((batch.now(), batch.lost_events()), (single.now(), single.lost_events()));
        assert!(batch.counters().iter().eq(single.counters().iter()));
        for id in (0..9).map(BridgeId) {
            match (batch.bridge_counters(id), single.bridge_counters(id)) {
                (Some(batch), Some(single)) => {
                    assert!(batch.iter().eq(single.iter()));
                    assert_eq!(batch.bytes_from_ports(), single.bytes_from_ports());
                    assert_eq!(batch.bytes_from_tunnels(), single.bytes_from_tunnels());
                }
                (batch, single) => assert!(batch.is_none() && single.is_none()),
            }
        }
    }
}

/// What leaves, or why not.
fn sent(engine: &Engine<'_>, verdict: &Verdict, input: &[u8]) -> Vec<Vec<u8>> {
    let send = |verdict: &Verdict| {
        let mut out = vec![0xa5; input.len() + 512];
        match engine.rewrite_into(verdict, Depth::Ethernet, input, &mut out) {
            Ok(written) => out[written.bytes].to_vec(),
            Err(error) => format!("{error:?}").into_bytes(),
        }
    };
    match verdict {
        Verdict::Deliver(_) | Verdict::Encapsulate(_) => vec![send(verdict)],
        Verdict::Flood(flood) => {
            let mut cursor = Cursor::new();
            let copies = core::iter::from_fn(|| engine.next_copy(flood, &mut cursor));
            copies.map(|copy| copy.map_or_else(|error| format!("{error:?}").into_bytes(), |copy| send(&copy))).collect()
        }
        _ => Vec::new(),
    }
}
