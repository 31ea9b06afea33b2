//! A userspace VTEP that joins VXLAN and Geneve overlays beside the Linux kernel and Open vSwitch.
//!
//!     vtepd --id 5000 --local 192.168.1.10 --tap tap0 --remote 192.168.1.20 --ctl /run/vtepd.sock
//!     vtepd ctl --ctl /run/vtepd.sock fdb show
//!
//! It is how to drive the engine from a dataplane of one's own. [`daemon`] is the event loop: look there first, then at
//! [`daemon::forward`], where packets meet the engine. The rest is the world: TAP devices, sockets, a control socket.
//!
//! Exit code 0: ended by SIGINT or SIGTERM; 1: something the machine refused; 2: a command line that makes no sense.

#![allow(
    unreachable_pub,
    missing_docs,
    unnameable_types,
    clippy::arithmetic_side_effects,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    clippy::cast_sign_loss,
    clippy::indexing_slicing,
    clippy::std_instead_of_core,
    clippy::string_slice,
    reason = "the library's rules are for code without std that must not panic"
)]

#[cfg(target_os = "linux")]
mod args;
#[cfg(target_os = "linux")]
mod ctl;
#[cfg(target_os = "linux")]
mod daemon;
#[cfg(target_os = "linux")]
mod guard;
#[cfg(target_os = "linux")]
#[allow(dead_code, unused_imports, reason = "examples/replay reads what this writes")]
mod node;
#[cfg(target_os = "linux")]
mod policy;
#[cfg(target_os = "linux")]
mod request;
#[cfg(target_os = "linux")]
mod rows;
#[cfg(target_os = "linux")]
mod setup;
#[cfg(target_os = "linux")]
mod traffic;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    use clap::Parser;

    let cli = args::Cli::parse();
    match cli.command {
        Some(args::Role::Ctl(ctl)) => ctl::run(&ctl),
        None => daemon::run(&cli.daemon),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    println!("vtepd needs Linux: it works on TAP devices and raw sockets");
}
