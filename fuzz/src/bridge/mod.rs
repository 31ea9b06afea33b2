//! The whole engine against a plain bridge: networks, commands, frames and clock jumps, made of the fuzzer's bytes.

mod scene;
mod traffic;

use super::draw::Draw;
use super::reference::tables::Sizes;
use super::reference::{Rig, Tables, promises};

/// An input beyond this teaches nothing that a shorter one does not.
const MOST_OPS: usize = 100;

pub fn run(bytes: &[u8]) {
    let mut draw = Draw::new(bytes);
    let scene = draw.scene();
    let mut tables = Tables::new(&Sizes::AMPLE);
    let mut rig = Rig::new(&mut tables, &scene);
    let mut left = MOST_OPS;
    while !draw.is_empty() && left > 0 {
        left -= 1;
        let op = rig.aim(&draw.event(scene.profile));
        if let Some(handled) = rig.apply(&op) {
            promises::check(&rig.engine, &op, &handled);
        }
        rig.check();
    }
}
