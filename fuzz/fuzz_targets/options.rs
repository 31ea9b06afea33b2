#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| vtep_fuzz::options::run(bytes));
