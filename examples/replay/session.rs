//! A recorded session, run through an engine of its own.

use std::io::BufRead;

use vtep::engine::{Cursor, Input, Verdict};

use super::node::{HEADER_LINES, Journal, Line, Node, Summary, Tables, read_header, read_line};

/// How a replay ended.
pub struct Outcome {
    /// The state then.
    pub summary: Summary,
    /// The digests in the record that were not the engine's: its, and the record's.
    pub unmet: Vec<(u64, u64)>,
    /// How many digests the record has.
    pub digests: usize,
}

/// Runs a record through a fresh engine.
pub fn replay(mut file: impl BufRead) -> Result<Outcome, String> {
    let mut header = [const { String::new() }; HEADER_LINES];
    for line in &mut header {
        *line = next_line(&mut file)?.ok_or("the record ends in its header")?;
    }
    let header = read_header(&header)?;
    let mut tables = Tables::new(header.sizes);
    let mut node = Node::new(&mut tables, &header.config, Journal::nowhere());
    let (mut unmet, mut digests) = (Vec::new(), 0);
    let mut number = HEADER_LINES;
    while let Some(line) = next_line(&mut file)? {
        number += 1;
        if let Some(recorded) = follow(&mut node, &line).map_err(|error| format!("line {number}: {error}"))? {
            let here = node.engine().digest();
            digests += 1;
            if here != recorded {
                unmet.push((here, recorded));
            }
        }
    }
    Ok(Outcome { summary: node.summary(), unmet, digests })
}

/// Carries out one line; the digest where it has one.
fn follow(node: &mut Node<'_>, line: &str) -> Result<Option<u64>, String> {
    let (now, line) = read_line(line)?;
    match line {
        // A command that was refused then is refused now.
        Line::Command(command) => drop(node.command(now, &command)),
        Line::Tick => node.tick(now),
        Line::Packet(ingress, bytes) => {
            let verdict = node.step(now, &Input { ingress, bytes: &bytes });
            count_copies(node, &verdict);
        }
        Line::End(digest) => return Ok(Some(digest)),
    }
    while node.poll_event().is_some() {}
    Ok(None)
}

/// A line without its end, or `None` where there is none or it was cut off while it was written.
fn next_line(file: &mut impl BufRead) -> Result<Option<String>, String> {
    let mut line = String::new();
    file.read_line(&mut line).map_err(|error| error.to_string())?;
    Ok(line.strip_suffix('\n').map(str::to_owned))
}

/// The daemon took every copy of a flood, and copies are counted.
fn count_copies(node: &Node<'_>, verdict: &Verdict) {
    if let Verdict::Flood(flood) = verdict {
        let mut cursor = Cursor::new();
        while node.engine().next_copy(flood, &mut cursor).is_some() {}
    }
}
