//! An export: a ledger, or an error that leaves nothing behind.
#![no_main]

use whimbrel_ledger::Ledger;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let temp = tempfile::tempdir().expect("a folder");
    let folder = temp.path().join("state");
    if Ledger::import(&folder, &mut &*bytes).is_err() {
        assert!(!folder.exists(), "something was left");
    }
});
