//! What the machine has to have.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use libtest_mimic::Trial;

/// Programs and the Debian packages that have them, one pair a line. `.ci/run` and the README take the packages from the
/// same file.
const PACKAGES: &str = include_str!("../packages.txt");

/// A test of the live lab.
#[derive(Clone, Copy)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) run: fn(),
    /// Programs beyond those of `packages.txt`, and their packages.
    pub(crate) needs: &'static [(&'static str, &'static str)],
}

impl Scenario {
    pub(crate) const fn new(name: &'static str, run: fn()) -> Self {
        Self { name, run, needs: &[] }
    }

    /// A test that runs; or that is ignored for a reason, and fails for it where `VTEP_LIVE=1` says that it must run.
    pub(crate) fn trial(self) -> Trial {
        let Some(reason) = MISSING.clone().or_else(|| missing(self.needs)) else {
            return Trial::test(self.name, move || {
                (self.run)();
                Ok(())
            });
        };
        let must_run = std::env::var("VTEP_LIVE").is_ok_and(|value| value == "1");
        let name = format!("{} ({reason})", self.name);
        Trial::test(name, move || Err(reason.into())).with_ignored_flag(!must_run)
    }
}

/// Why no scenario can run here.
static MISSING: LazyLock<Option<String>> = LazyLock::new(|| {
    if std::env::var("VTEP_LIVE").is_ok_and(|value| value == "0") {
        return Some("switched off by VTEP_LIVE=0".to_owned());
    }
    if std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() != 0) {
        return Some("needs root".to_owned());
    }
    if !Path::new("/dev/net/tun").exists() {
        return Some("needs /dev/net/tun".to_owned());
    }
    let pairs: Vec<_> = PACKAGES.lines().filter_map(|line| line.split_once(' ')).collect();
    missing(&pairs).or_else(no_tunnels)
});

fn missing(programs: &[(&str, &str)]) -> Option<String> {
    let mut packages: Vec<&str> =
        programs.iter().filter(|(program, _)| !is_there(program)).map(|(_, package)| *package).collect();
    packages.dedup();
    (!packages.is_empty()).then(|| format!("needs the packages {}", packages.join(", ")))
}

fn is_there(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default();
    std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]).any(|folder| folder.join(program).exists())
}

/// Tries for itself whether the kernel lets us have a VXLAN device in a namespace.
fn no_tunnels() -> Option<String> {
    let name = format!("vtep-live-{}-probe", std::process::id());
    let ip = |words: &[&str]| Command::new("ip").args(words).output().is_ok_and(|output| output.status.success());
    if !ip(&["netns", "add", &name]) {
        return Some("needs network namespaces".to_owned());
    }
    let made = ip(&["-n", &name, "link", "add", "vx0", "type", "vxlan", "id", "1", "dstport", "4789"]);
    ip(&["netns", "del", &name]);
    (!made).then(|| "needs the kernel's VXLAN device".to_owned())
}
