use vtep::wire::WireError;
use vtep::wire::geneve::{OptionView, TypedOption, Writer};
use vtep::wire::label::{ClassOption, GroupOption};

use crate::opaque::{any, bytes, sink, with_buffer};

#[inline(never)]
pub fn every_call() {
    let found: Result<Option<&GroupOption>, WireError> = TypedOption::find(bytes());
    sink(found);
    sink(OptionView::read::<ClassOption>(&any()));
    with_buffer(|buffer| {
        let mut writer = Writer::new(buffer);
        while any() {
            sink(Writer::push_typed(&mut writer, &GroupOption { group: any::<u32>().into() }));
        }
    });
}
