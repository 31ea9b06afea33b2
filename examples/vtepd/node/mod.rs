//! An engine with the memory it works in and the record of what it was told.
//!
//! This folder knows no sockets: `examples/replay` runs on it too.

mod guard;
mod label_text;
mod record;
mod summary;
mod tables;
#[cfg(test)]
mod tests;
mod text;

pub use label_text::option_id;
pub use record::{HEADER_LINES, Header, Journal, Line, read_header, read_line};
pub use summary::Summary;
pub use tables::{Sizes, Tables};
pub use text::mac_address;

use vtep::engine::{Command, CommandError, Config, Done, Engine, Input, Verdict};
use vtep::table::Instant;

/// An engine that writes down every call that changes it.
pub struct Node<'a> {
    engine: Engine<'a>,
    journal: Journal,
    sizes: Sizes,
}

impl<'a> Node<'a> {
    /// An empty engine in `tables`, whose record starts with what is needed to make another one like it.
    pub fn new(tables: &'a mut Tables, config: &Config, mut journal: Journal) -> Self {
        let sizes = tables.sizes();
        journal.header(&Header { sizes, config: *config });
        let (memory, labels) = tables.memory();
        Self { engine: Engine::new(memory, config).with_labels(labels), journal, sizes }
    }

    /// The engine, to look at and to rewrite with.
    pub fn engine(&self) -> &Engine<'a> {
        &self.engine
    }

    /// The record.
    pub fn journal(&mut self) -> &mut Journal {
        &mut self.journal
    }

    /// The state in numbers.
    pub fn summary(&self) -> Summary {
        Summary::new(&self.engine, self.sizes.bridges)
    }

    /// [`Engine::step`].
    #[inline]
    pub fn step(&mut self, now: Instant, input: &Input<'_>) -> Verdict {
        self.journal.packet(now, input);
        self.engine.step(now, input)
    }

    /// [`Engine::command`].
    pub fn command(&mut self, now: Instant, command: &Command) -> Result<Done, CommandError> {
        self.journal.command(now, command);
        self.engine.command(now, command)
    }

    /// [`Engine::tick`].
    pub fn tick(&mut self, now: Instant) {
        self.journal.tick(now);
        self.engine.tick(now);
    }

    /// [`Engine::poll_event`]; reading events changes nothing that a record has to know.
    pub fn poll_event(&mut self) -> Option<vtep::engine::Event> {
        self.engine.poll_event()
    }
}
