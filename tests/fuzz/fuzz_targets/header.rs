//! Bytes into [`wardroom_fuzz::header`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardroom_fuzz::header(bytes));
