#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| readdress_fuzz::link::run(data));
