use core::fmt::Write;

use vtep::wire::Edit;
use vtep::wire::edit::VlanEdit;

use crate::opaque::{Any, Characters, any, bytes, hidden, sink};

#[inline(never)]
pub fn every_call() {
    let edit: Edit = any();
    sink((Edit::is_none(edit), Edit::pops(edit), Edit::vlan(edit)));
    sink((Edit::pcp(edit), Edit::dscp(edit), Edit::ecn(edit)));
    sink(Edit::edited_len(edit, any(), any()));
    sink(write!(Characters, "{edit:?}"));

    let mut scratch = hidden([0; Edit::MAX_PREFIX]);
    sink(Edit::apply(edit, bytes(), any(), &mut scratch));
    sink(scratch);
}

impl Any for Edit {
    fn any() -> Self {
        let mut edit = Self::NONE;
        edit = hidden(Edit::with_pop(edit, any()));
        edit = hidden(Edit::with_vlan(edit, any()));
        edit = hidden(Edit::with_pcp(edit, any()));
        edit = hidden(Edit::with_dscp(edit, any()));
        hidden(Edit::with_ecn(edit, any()))
    }
}

impl Any for VlanEdit {
    fn any() -> Self {
        match any::<u8>() {
            0 => Self::None,
            1 => Self::PushVlan(any()),
            2 => Self::PushQinq(any()),
            _ => Self::SetVid(any()),
        }
    }
}
