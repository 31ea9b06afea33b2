//! A network namespace, and commands in it.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use super::Ground;
use super::process::Process;

/// A namespace with `lo` up and IPv6 off on everything else; gone when dropped.
pub(crate) struct Namespace {
    name: String,
    pub(crate) ground: Arc<Ground>,
}

impl Namespace {
    pub(crate) fn new(ground: &Arc<Ground>, label: &str) -> Self {
        let name = format!("{}-{label}", ground.name);
        let made = Command::new("ip").args(["netns", "add", &name]).output().expect("ip runs");
        assert!(made.status.success(), "ip netns add {name}: {}", String::from_utf8_lossy(&made.stderr));
        let namespace = Self { name, ground: Arc::clone(ground) };
        // Hosts that look for routers, and announce themselves, would be in everyone's counts.
        namespace.set("net/ipv6/conf/all/disable_ipv6", "1");
        namespace.set("net/ipv6/conf/default/disable_ipv6", "1");
        namespace.run("ip link set lo up");
        namespace
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Runs a command line to its end and returns what it printed. It must succeed.
    #[track_caller]
    pub(crate) fn run(&self, line: &str) -> String {
        self.run_for(super::PATIENCE, line)
    }

    /// Runs a command line that may take longer than others.
    #[track_caller]
    pub(crate) fn run_for(&self, limit: Duration, line: &str) -> String {
        let mut process = self.start(line);
        let success = process.wait(limit);
        assert!(success, "{process}");
        process.printed()
    }

    /// Runs a command line that may fail; what it printed, and what it complained about then.
    #[track_caller]
    pub(crate) fn try_run(&self, line: &str) -> Result<String, String> {
        let mut process = self.start(line);
        if process.wait(super::PATIENCE) { Ok(process.printed()) } else { Err(process.complained()) }
    }

    /// Starts a command line, which ends at the latest when the process is dropped. Words are split at spaces.
    pub(crate) fn start(&self, line: &str) -> Process {
        let words: Vec<&str> = line.split_whitespace().collect();
        self.start_words(&words)
    }

    /// Starts a program with arguments.
    pub(crate) fn start_words(&self, words: &[&str]) -> Process {
        let label = Path::new(words[0]).file_name().expect("a program").to_string_lossy();
        let mut command = Command::new("ip");
        // `ip` becomes the program: its process id is the program's.
        command.args(["netns", "exec", &self.name]).args(words);
        Process::start(command, words.join(" "), &self.ground.file(&label))
    }

    /// Sets a value of `/proc/sys`.
    #[track_caller]
    pub(crate) fn set(&self, path: &str, value: &str) {
        let script = format!("echo {value} > /proc/sys/{path}");
        let mut process = self.start_words(&["sh", "-c", &script]);
        assert!(process.wait(super::PATIENCE), "{process}");
    }

    /// The content of a file as the namespace's processes see it.
    #[track_caller]
    pub(crate) fn read(&self, path: &str) -> String {
        self.run(&format!("cat {path}"))
    }

    /// The MTU of a device.
    #[track_caller]
    pub(crate) fn mtu(&self, device: &str) -> u32 {
        self.read(&format!("/sys/class/net/{device}/mtu")).trim().parse().expect("a number")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}
