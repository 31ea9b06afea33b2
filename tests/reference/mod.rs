//! A plain bridge to hold the engine against: maps, vectors and no cleverness. It never sees a byte that the library
//! has read: packets are descriptions here, and bytes are made of them for the engine.
#![allow(dead_code, unused_imports, reason = "not every test that shares this uses all of it")]

pub(crate) mod bridge;
pub(crate) mod command;
pub(crate) mod guard;
pub(crate) mod ops;
pub(crate) mod packet;
pub(crate) mod promises;
pub(crate) mod rig;
pub(crate) mod tables;
pub(crate) mod underlay;

pub(crate) use bridge::{Copy, Entry, Expected, Model, To};
pub(crate) use ops::{Op, Scene};
pub(crate) use packet::{Body, Carrier, Form, Header, Inner, Tunnelled};
pub(crate) use rig::{Handled, Rig};
pub(crate) use tables::Tables;
