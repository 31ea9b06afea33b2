//! Any commands, packets and times in any order, in any memory: each packet counts once, whoever carries out a verdict
//! gets the same bytes, and the same log gives the same state.

use arbitrary::{Arbitrary, Unstructured};
use vtep::engine::{Command, Cursor, Done, Engine, Flush, Verdict};
use vtep::table::fdb::Owners;
use vtep::table::{Duration, Instant};
use vtep::wire::Depth;

use super::log::{Action, Log};

pub fn run(bytes: &[u8]) {
    let Ok(log) = Log::arbitrary_take_rest(Unstructured::new(bytes)) else { return };
    assert_eq!(play(&log), play(&log));
}

/// The digest after the log, and the events that were lost.
fn play(log: &Log<'_>) -> (u64, u64) {
    let sizes = log.sizes();
    let mut lent = log.memory();
    let mut engine = log.engine(&mut lent);
    let mut now = Instant::ZERO;
    let mut packets = 0;
    for action in &log.actions {
        match action {
            Action::Command(command) => {
                // One that does nothing but to bring the clocks along.
                let nothing = Flush { owners: Owners::empty(), ..Flush::dynamic() };
                assert_eq!(engine.command(now, &Command::Flush(nothing)), Ok(Done::Removed(0)));
                let before = engine.digest();
                if engine.command(now, command).is_err() {
                    assert_eq!(engine.digest(), before, "{command:?} was refused, and has changed something");
                }
                continue;
            }
            Action::Wait(seconds) => {
                now = now.saturating_add(Duration::from_secs(u64::from(*seconds)));
                continue;
            }
            Action::Clock(millis) => {
                now = Instant::from_millis(*millis);
                continue;
            }
            Action::Tick => {
                engine.tick(now);
                continue;
            }
            Action::Events => {
                let events = core::iter::from_fn(|| engine.poll_event()).count();
                assert!(events <= sizes.events);
                continue;
            }
            _ => {}
        }
        let Some(bytes) = action.bytes() else { continue };
        let input = action.input(&bytes);
        let verdict = engine.step(now, &input);
        packets += 1;
        assert_eq!(engine.counters().packets(), packets);
        carry_out(&engine, &verdict, input.bytes, sizes.ports + sizes.members);
        assert!(engine.fdb().count() <= 4 * sizes.macs);
    }
    (engine.digest(), engine.lost_events())
}

fn carry_out(engine: &Engine<'_>, verdict: &Verdict, input: &[u8], most_copies: usize) {
    let mut copies = 0;
    let send = |verdict: &Verdict| {
        let mut out = [0xa5; 4096];
        for depth in [Depth::Ethernet, Depth::Ip, Depth::Tunnel] {
            let written = engine.rewrite_into(verdict, depth, input, &mut out);
            let mut head = [0xa5; 1024];
            let gathered = engine.rewrite_head(verdict, depth, input, &mut head);
            assert_eq!(written.is_ok(), gathered.is_ok(), "{written:?} {gathered:?}");
            if let (Ok(written), Ok(gathered)) = (written, gathered) {
                assert_eq!(out[written.bytes], [&head[..gathered.head], &input[gathered.rest]].concat());
            }
        }
    };
    match verdict {
        Verdict::Deliver(_) | Verdict::Encapsulate(_) => send(verdict),
        Verdict::Flood(flood) => {
            let mut cursor = Cursor::new();
            while let Some(copy) = engine.next_copy(flood, &mut cursor) {
                send(&copy.expect("no command came between"));
                copies += 1;
            }
        }
        _ => {}
    }
    assert!(copies <= most_copies);
}
