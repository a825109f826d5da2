//! Bytes into [`wardroom_fuzz::texts`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardroom_fuzz::texts(bytes));
