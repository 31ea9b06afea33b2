//! What several integration tests need.
#![allow(dead_code, reason = "not every test that shares this uses all of it")]
#![allow(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::std_instead_of_core,
    clippy::unreachable,
    clippy::unwrap_used
)]

pub(crate) mod dissect;
pub(crate) mod packet;
pub(crate) mod world;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;
use std::time::SystemTime;

/// The `dissect` example's executable.
pub(crate) static DISSECT: LazyLock<PathBuf> = LazyLock::new(|| example("dissect"));
/// The `fabric` example's executable.
pub(crate) static FABRIC: LazyLock<PathBuf> = LazyLock::new(|| example("fabric"));
/// The `vtepd` example's executable.
pub(crate) static VTEPD: LazyLock<PathBuf> = LazyLock::new(|| example("vtepd"));

/// The executable of an example.
///
/// `cargo test` builds examples before it runs tests, so it stands beside them. `cargo test --test NAME`
/// does not; where it is missing or older than its sources, it is built here.
fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("tests stand in target/PROFILE/deps");
    let executable = profile.join("examples").join(format!("{name}{}", std::env::consts::EXE_SUFFIX));
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if newest(&executable) < newest(&root.join("src")).max(newest(&root.join("examples").join(name))) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["build", "--quiet", "--example", name]).current_dir(root);
        cargo.arg("--target-dir").arg(profile.parent().expect("target/PROFILE"));
        if profile.ends_with("release") {
            cargo.arg("--release");
        }
        assert!(cargo.status().expect("cargo runs").success(), "cannot build the example");
    }
    executable
}

/// When a file, or the newest below a folder, was modified; long ago where there is none.
fn newest(path: &Path) -> SystemTime {
    let time = std::fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.map(|entry| newest(&entry.path())).fold(time, SystemTime::max)
}
