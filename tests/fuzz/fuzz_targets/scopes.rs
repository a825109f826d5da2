//! Bytes into [`wardroom_fuzz::scopes`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardroom_fuzz::scopes(bytes));
