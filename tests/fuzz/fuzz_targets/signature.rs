//! Bytes into [`wardroom_fuzz::signature`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardroom_fuzz::signature(bytes));
