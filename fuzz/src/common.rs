//! Packets that the library had no part in.

#[path = "../../tests/common/world/mod.rs"]
pub(crate) mod world;
