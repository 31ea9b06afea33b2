use vtep::wire::geneve::{Definition, Schema};

use crate::opaque::{Any, any, bytes, sink};

#[inline(never)]
pub fn every_call() {
    let known: [Definition; 80] = any();
    let schema: Schema = any();
    sink(Schema::read(&schema, known.get(..any()).unwrap_or_default(), bytes(), any()));
    let mut out = [0; Schema::MAX_WRITTEN];
    sink(Schema::write(&schema, any(), &mut out));
    sink((out, Schema::written_len(&schema, any()), Schema::default()));
}

impl Any for Schema {
    fn any() -> Self {
        Self {
            group: any(),
            class: any(),
            duplicates: any(),
            max_options: any(),
            max_len: any(),
            check_critical_bit: any(),
            role: any(),
        }
    }
}
