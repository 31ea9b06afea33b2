//! A running `vtepd`.

use std::path::PathBuf;

use serde_json::Value;

use super::host::{Host, dst};
use super::process::Process;
use crate::common::VTEPD;

/// The daemon on a host, and its control socket. Killed when dropped.
pub(crate) struct Vtepd<'h> {
    host: &'h Host,
    process: Process,
    socket: PathBuf,
}

impl<'h> Vtepd<'h> {
    #[track_caller]
    pub(crate) fn start(host: &'h Host, arguments: &str) -> Self {
        let socket = host.ground.file("ctl");
        let line = format!("{} {arguments} --ctl {}", VTEPD.display(), socket.display());
        let mut process = host.start(&line);
        super::eventually("vtepd forwards", || {
            assert!(process.is_running(), "{process}");
            socket.exists().then_some(())
        });
        Self { host, process, socket }
    }

    /// Asks it something: `ctl("fdb show")`.
    #[track_caller]
    pub(crate) fn ctl(&self, words: &str) -> String {
        self.host.run(&self.line(words))
    }

    /// Asks for what may be refused: its answer, or its complaint.
    #[track_caller]
    pub(crate) fn try_ctl(&self, words: &str) -> Result<String, String> {
        self.host.try_run(&self.line(words))
    }

    /// The control socket.
    pub(crate) fn socket(&self) -> &std::path::Path {
        &self.socket
    }

    /// Asks for JSON.
    #[track_caller]
    pub(crate) fn ctl_json(&self, words: &str) -> Value {
        serde_json::from_str(&self.ctl(&format!("{words} --json"))).expect("JSON")
    }

    /// Starts to listen to its events.
    pub(crate) fn monitor(&self) -> Process {
        self.host.start(&self.line("monitor"))
    }

    fn line(&self, words: &str) -> String {
        format!("{} ctl --ctl {} {words}", VTEPD.display(), self.socket.display())
    }

    /// Where it has learned a MAC; `local` for one behind its TAP device.
    #[track_caller]
    pub(crate) fn learned(&self, mac: &str) -> Option<String> {
        self.learned_on(None, mac)
    }

    /// The same for one TAP device.
    #[track_caller]
    pub(crate) fn learned_on(&self, tap: Option<&str>, mac: &str) -> Option<String> {
        let fdb = self.ctl(&tap.map_or("fdb show".to_owned(), |tap| format!("fdb show dev {tap}")));
        let known = fdb.lines().any(|line| line.starts_with(mac));
        known.then(|| dst(&fdb, mac).unwrap_or("local".to_owned()))
    }

    /// A counter of `link show -s`: what was dropped for that reason, over all VNIs.
    #[track_caller]
    pub(crate) fn dropped(&self, reason: &str) -> u64 {
        let links = self.ctl_json("link show -s");
        let all = links.as_array().and_then(|links| links.last()).expect("the underlay is last");
        all["all"]["dropped"][reason].as_u64().unwrap_or(0)
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        self.process.complained()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Ends it as an operator does, and expects it to end well.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        assert!(self.process.terminate(), "{}", self.process);
    }

    /// Ends it as a power failure does.
    pub(crate) fn kill(mut self) {
        self.process.kill();
    }
}
