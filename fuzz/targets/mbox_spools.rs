//! A spool, listed and fetched.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| whimbrel_mbox::fuzzing::spool(bytes));
