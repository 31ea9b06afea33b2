//! Processes that end with the scenario.

use std::fmt;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A process of ours, killed when dropped. What it prints goes to files; a failing scenario shows what was complained.
pub(crate) struct Process {
    child: Child,
    line: String,
    out: PathBuf,
    err: PathBuf,
    status: Option<ExitStatus>,
}

impl Process {
    /// Starts it; `path` is the start of its files' names.
    pub(crate) fn start(mut command: Command, line: String, path: &Path) -> Self {
        let (out, err) = (path.with_extension("out"), path.with_extension("err"));
        let file = |path: &Path| File::create(path).expect("a file for what a process prints");
        command.stdin(Stdio::null()).stdout(file(&out)).stderr(file(&err));
        let child = command.spawn().unwrap_or_else(|error| panic!("{line}: {error}"));
        Self { child, line, out, err, status: None }
    }

    /// Waits for its end; whether it succeeded. One that takes too long is killed, and did not.
    pub(crate) fn wait(&mut self, limit: Duration) -> bool {
        let start = Instant::now();
        let mut pause = Duration::from_micros(200);
        while self.is_running() {
            if start.elapsed() > limit {
                self.kill();
                eprintln!("killed after {limit:?}: {}", self.line);
                return false;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_millis(10));
        }
        self.status.is_some_and(|status| status.success())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        if self.status.is_none() {
            self.status = self.child.try_wait().expect("a child of ours");
        }
        self.status.is_none()
    }

    /// Asks it to end, as from the keyboard, and waits; whether it succeeded.
    pub(crate) fn interrupt(&mut self) -> bool {
        self.signal(Signal::SIGINT);
        self.wait(super::PATIENCE)
    }

    /// Asks it to end, and waits; whether it succeeded.
    pub(crate) fn terminate(&mut self) -> bool {
        self.signal(Signal::SIGTERM);
        self.wait(super::PATIENCE)
    }

    /// Ends it without asking.
    pub(crate) fn kill(&mut self) {
        if self.is_running() {
            let _ = self.child.kill();
            self.status = self.child.wait().ok();
        }
    }

    fn signal(&mut self, what: Signal) {
        if self.is_running() {
            signal(self.child.id(), what);
        }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it printed so far.
    pub(crate) fn printed(&self) -> String {
        read(&self.out)
    }

    /// What it complained about (or logged) so far.
    pub(crate) fn complained(&self) -> String {
        read(&self.err)
    }
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}{}", self.line, self.printed(), self.complained())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("--- {self}");
        }
        self.kill();
    }
}

/// Sends a signal to a process that this test, or an earlier run of it, started.
pub(crate) fn signal(pid: u32, what: Signal) {
    if let Ok(pid) = i32::try_from(pid) {
        let _ = kill(Pid::from_raw(pid), what);
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&std::fs::read(path).unwrap_or_default()).into_owned()
}
