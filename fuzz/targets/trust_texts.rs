//! Signatures and grants files.
#![no_main]

use whimbrel_trust::{Grants, Signature};

libfuzzer_sys::fuzz_target!(|text: &str| {
    let _ = Signature::parse(text);
    if let Ok(grants) = Grants::parse(text) {
        let written = grants.text().expect("what was read can be written");
        assert_eq!(Grants::parse(&written).as_ref(), Ok(&grants));
    }
});
