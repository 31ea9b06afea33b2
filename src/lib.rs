//! VXLAN and Geneve tunnel endpoints as a library.
//!
//! `vtep` never allocates, never panics and never asks what time it is. It is three layers, each of
//! use alone; a layer imports only from the ones before it:
//!
//! | module | knows | never knows |
//! |---|---|---|
//! | [`wire`] | bytes: headers, options, checksums, the prebuilt outer header | state, time |
//! | [`table`] | bounded memory lent by the caller: FDB, endpoints, flood lists | packets' bytes |
//! | [`engine`] | decisions: [`Engine::step`](engine::Engine::step), verdicts, drop reasons, counters | I/O, clocks |
#![no_std]
#![forbid(unsafe_code)]

// The derive of `arbitrary` names `std::thread_local!`; the feature is for fuzzers on a host only.
#[cfg(feature = "arbitrary")]
extern crate std;

pub mod engine;
mod macros;
pub mod table;
pub mod wire;

/// The README's example, compiled.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
