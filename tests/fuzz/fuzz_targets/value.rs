//! Bytes into [`wardroom_fuzz::value`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardroom_fuzz::value(bytes));
