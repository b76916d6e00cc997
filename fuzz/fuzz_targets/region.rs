#![no_main]

#[allow(dead_code)]
#[path = "../../tests/fuzz/cases.rs"]
mod cases;

libfuzzer_sys::fuzz_target!(|data: &[u8]| cases::region(cases::Choices::Read(data)));
