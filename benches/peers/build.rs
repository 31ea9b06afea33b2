//! DPDK's hash table, where Debian's `libdpdk-dev` is installed.

use std::process::Command;

fn main() {
    let rustc = std::env::var("RUSTC").unwrap_or("rustc".into());
    let version = Command::new(rustc).arg("-V").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_string()).unwrap_or_default();
    println!("cargo::rustc-env=RUSTC_VERSION={version}");
    dpdk();
}

fn dpdk() {
    println!("cargo::rustc-check-cfg=cfg(dpdk)");
    println!("cargo::rerun-if-changed=dpdk/shim.c");
    println!("cargo::rerun-if-env-changed=VTEP_NO_DPDK");
    if std::env::var_os("VTEP_NO_DPDK").is_some() {
        return;
    }
    let found = pkg_config::Config::new().cargo_metadata(false).probe("libdpdk");
    let Ok(library) = found else {
        println!("cargo::warning=no libdpdk (Debian: libdpdk-dev): rte_hash is left out");
        return;
    };
    let mut build = cc::Build::new();
    build.file("dpdk/shim.c").includes(&library.include_paths).opt_level(3).warnings(false);
    // What DPDK's headers are written for, and its default hash function uses.
    build.flag_if_supported("-march=corei7").flag_if_supported("-include").flag_if_supported("rte_config.h");
    if let Err(error) = build.try_compile("shim") {
        println!("cargo::warning=libdpdk does not compile, rte_hash is left out: {error}");
        return;
    }
    for path in &library.link_paths {
        println!("cargo::rustc-link-search=native={}", path.display());
    }
    for name in ["rte_hash", "rte_eal"] {
        println!("cargo::rustc-link-lib=dylib={name}");
    }
    println!("cargo::rustc-cfg=dpdk");
    println!("cargo::rustc-env=DPDK_VERSION={}", library.version);
}
