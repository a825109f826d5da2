//! Bytes into [`wardroom_fuzz::component`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardroom_fuzz::component(bytes));
