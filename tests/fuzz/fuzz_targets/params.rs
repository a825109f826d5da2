//! Bytes into [`wardroom_fuzz::params`].

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| wardroom_fuzz::params(bytes));
