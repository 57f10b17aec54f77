//! A message, through everything that looks at one.
#![no_main]

use bytes::Bytes;
use whimbrel_mail::{Head, Limits, parts, text};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let content = Bytes::copy_from_slice(bytes);
    let head = Head::parse(content.clone());
    for field in head.fields() {
        let _ = (field.text(), field.addresses(), field.date());
    }
    let structure = parts(&content, &Limits::default()).expect("bytes in memory can be read");
    assert!(text(&content, &structure, 100).expect("likewise").len() <= 100);
});
