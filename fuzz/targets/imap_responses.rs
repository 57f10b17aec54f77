//! What an IMAP server says, through every reader.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| whimbrel_wire::fuzzing::response(bytes));
