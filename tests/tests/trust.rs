//! Which connectors are used: pinned on first use, granted by the admin, signed by a trusted key; and no other.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use whimbrel_tests::run::{Job, Outcome, local_side, mailbox, plugin};
use whimbrel_tests::scratch;

/// A migration of made-up mail whose source connector is a copy that can be tampered with.
struct Bench {
    job: Job,
    _out: TempDir,
}

impl Bench {
    fn new(connector: &str, more: &str) -> Self {
        let out = scratch::folder("out");
        let sections = Self::sections(out.path(), more);
        let bench = Self {
            job: Job::new(&sections),
            _out: out,
        };
        bench.install(connector);
        bench
    }

    fn sections(out: &Path, more: &str) -> Vec<String> {
        vec![
            more.to_owned(),
            local_side("source", "./own.wasm", ""),
            local_side("destination", "maildir", &format!("root = \"{}\"", out.display())),
            mailbox("alice", "{}", "{ user = \"alice\" }"),
        ]
    }

    /// The settings anew, with these lines besides.
    fn rewrite(&self, more: &str) {
        self.job.rewrite(&Self::sections(self._out.path(), more));
    }

    fn component(&self) -> PathBuf {
        self.job.folder().join("own.wasm")
    }

    fn signature(&self) -> PathBuf {
        self.job.folder().join("own.wasm.sig")
    }

    /// Another connector in its place.
    fn install(&self, connector: &str) {
        fs::copy(plugin(connector), self.component()).unwrap();
    }

    /// The same connector in other bytes: a custom section at the end, which means nothing.
    fn alter(&self, mark: u8) {
        let mut bytes = fs::read(self.component()).unwrap();
        bytes.extend([0, 6, 4, b'm', b'a', b'r', b'k', mark]);
        fs::write(self.component(), bytes).unwrap();
    }

    fn grants(&self) -> String {
        fs::read_to_string(self.job.folder().join("whimbrel.grants.toml")).unwrap_or_default()
    }

    fn run(&self, words: &[&str], code: i32) -> Outcome {
        let outcome = self.job.run(words);
        outcome.expect(code);
        outcome
    }

    /// A new key; gives its public digits.
    fn keygen(&self, name: &str) -> String {
        let made = self.run(&["plugin", "keygen", name], 0);
        made.json()["key"].as_str().unwrap().to_owned()
    }

    fn sign(&self, key: &str) {
        let key = format!("{key}.key");
        self.run(&["plugin", "sign", "own.wasm", "--key", &key], 0);
    }

    fn trust_of(&self) -> serde_json::Value {
        let about = self.run(&["plugin", "inspect", "./own.wasm"], 0).json();
        about["connector"].clone()
    }
}

#[test]
fn a_connector_that_asks_for_no_more_than_the_settings_name_is_pinned_on_first_use() {
    let bench = Bench::new("memory", "");
    assert_eq!(bench.trust_of()["trust"]["state"], "pinned-on-first-use");
    let first = bench.run(&["migrate"], 0);
    first.says(&["is used for the first time here", "whimbrel.grants.toml"]);
    let grants = bench.grants();
    for part in [
        "connector = \"./own.wasm\"",
        "connector = \"maildir\"",
        "how = \"first-use\"",
        "files(root, write)",
    ] {
        assert!(grants.contains(part), "{part:?} is missing in\n{grants}");
    }
    let second = bench.run(&["migrate"], 0);
    assert!(!second.text().contains("first time"), "{second}");
    assert_eq!(bench.grants(), grants);
    let about = bench.trust_of();
    assert_eq!(about["trust"]["state"], "granted");
    assert_eq!(about["trust"]["grant"]["blake3"], about["blake3"]);
    assert_eq!(about["signature"]["state"], "none");
}

#[test]
fn one_that_asks_for_hosts_of_its_own_choice_needs_the_admins_word() {
    let bench = Bench::new("misbehaving", "");
    for verb in ["check", "assess", "plan", "migrate"] {
        let refused = bench.run(&[verb], 2);
        refused.says(&[
            "hosts of its own choice: allowed.invalid",
            "endpoint(allowed.invalid): source nothing",
            "whimbrel plugin trust ./own.wasm",
        ]);
    }
    assert!(!bench.grants().contains("own.wasm"), "{}", bench.grants());
    // Nobody sits at a terminal here.
    bench.run(&["plugin", "trust", "./own.wasm"], 2).says(&["--yes"]);
    let word = bench.run(&["plugin", "trust", "./own.wasm", "--yes"], 0);
    assert_eq!(word.json()["grant"]["how"], "admin");
    bench.run(&["migrate"], 0);
    // A name that the settings do not use is not granted.
    bench
        .run(&["plugin", "trust", "imap", "--yes"], 2)
        .says(&["uses no connector `imap`"]);
}

#[test]
fn another_connector_in_its_place_is_refused_with_what_changed() {
    let bench = Bench::new("memory", "");
    bench.run(&["migrate"], 0);
    let before = bench.trust_of()["blake3"].as_str().unwrap().to_owned();
    bench.alter(b'1');
    let about = bench.trust_of();
    let after = about["blake3"].as_str().unwrap().to_owned();
    assert_eq!(about["trust"]["state"], "changed");
    let refused = bench.run(&["migrate"], 2);
    refused.says(&[
        "is not the one that was granted",
        &before,
        &after,
        "it asks for the same as before",
        "whimbrel plugin trust ./own.wasm",
    ]);
    // One that wants more, and calls itself otherwise.
    bench.install("mbox");
    let refused = bench.run(&["migrate"], 2);
    refused.says(&[
        "it called itself `memory` then",
        "it now asks for files(root, write) too",
        &before,
    ]);
    assert!(bench.grants().contains(&before), "what was granted stays");
    bench.install("memory");
    bench.run(&["migrate"], 0);
    bench.alter(b'2');
    bench.job.trust("./own.wasm");
    bench.run(&["migrate"], 0);
}

#[test]
fn an_update_by_the_same_trusted_key_is_used_without_a_question() {
    let bench = Bench::new("memory", "");
    let key = bench.keygen("vendor");
    bench.rewrite(&format!("[plugins]\ntrusted_keys = {{ acme = \"{key}\" }}\n"));
    bench.sign("vendor");
    bench.run(&["migrate"], 0);
    assert!(
        bench.grants().contains(&format!("signed_by = \"{key}\"")),
        "{}",
        bench.grants()
    );
    bench.alter(b'1');
    bench
        .run(&["migrate"], 2)
        .says(&["the component is not what was signed"]);
    bench.sign("vendor");
    let about = bench.trust_of();
    assert_eq!(about["trust"]["state"], "signed-update");
    assert_eq!(about["signature"]["key_name"], "acme");
    bench
        .run(&["migrate"], 0)
        .says(&["signed by the key that signed it before"]);
    assert_eq!(bench.trust_of()["trust"]["state"], "granted");
    // Unsigned, it is another one again.
    bench.alter(b'2');
    fs::remove_file(bench.signature()).unwrap();
    bench.run(&["migrate"], 2).says(&["is not the one that was granted"]);
}

#[test]
fn every_way_in_which_a_signature_is_wrong_has_its_own_error() {
    let bench = Bench::new("memory", "");
    let (own, other) = (bench.keygen("own"), bench.keygen("other"));
    let verify = |key: &str, code| bench.run(&["plugin", "verify", "own.wasm", "--key", key], code);
    verify(&own, 4).says(&["there is no signature"]);
    bench
        .run(&["plugin", "verify", "own.wasm"], 2)
        .says(&["no key to check with"]);
    bench.sign("own");
    assert_eq!(verify(&own, 0).json()["name"], "memory");
    verify("own.pem", 0);
    verify(&other, 4).says(&["is not among the trusted ones", &own]);
    // Two keys may both be trusted.
    bench.run(&["plugin", "verify", "own.wasm", "--key", &other, "--key", &own], 0);

    let good = fs::read_to_string(bench.signature()).unwrap();
    fs::write(bench.signature(), good.replace(&own, &other)).unwrap();
    verify(&other, 4).says(&["was not made by the key that it names"]);
    fs::write(bench.signature(), good.replace("version", "Version")).unwrap();
    verify(&own, 4).says(&["line 4 of the signature"]);

    bench.install("mbox");
    bench.sign("own");
    let swapped = fs::read_to_string(bench.signature()).unwrap();
    bench.install("memory");
    verify(&own, 4).says(&["of another connector: `mbox`"]);
    // A run refuses what does not hold, whether or not signatures are required.
    assert_eq!(fs::read_to_string(bench.signature()).unwrap(), swapped);
    bench.run(&["migrate"], 2).says(&["of another connector: `mbox`"]);

    fs::write(bench.signature(), &good).unwrap();
    verify(&own, 0);
    bench.alter(b'1');
    verify(&own, 4).says(&["the component is not what was signed"]);
}

#[test]
fn signatures_can_be_required() {
    let bench = Bench::new("memory", "");
    let (own, other) = (bench.keygen("own"), bench.keygen("other"));
    bench.rewrite("[plugins]\nrequire_signature = true\n");
    bench.run(&["migrate"], 2).says(&["there is no trusted key"]);
    let settings = |key: &str| format!("[plugins]\nrequire_signature = true\ntrusted_keys = {{ own = \"{key}\" }}\n");
    bench.rewrite(&settings(&own));
    let refused = bench.run(&["migrate"], 2);
    refused.says(&[
        "the connector `memory` has no signature",
        "the connector `maildir` has no signature",
    ]);
    bench
        .run(&["plugin", "trust", "./own.wasm", "--yes"], 2)
        .says(&["has no signature"]);
    // The destination must be signed too: a copy of it beside.
    fs::copy(plugin("maildir"), bench.job.folder().join("maildir.wasm")).unwrap();
    bench.sign("own");
    bench.run(&["plugin", "sign", "maildir.wasm", "--key", "own.key"], 0);
    let text = fs::read_to_string(bench.job.settings()).unwrap();
    fs::write(bench.job.settings(), text.replace("\"maildir\"", "\"./maildir.wasm\"")).unwrap();
    bench.run(&["migrate"], 0);
    let text = fs::read_to_string(bench.job.settings()).unwrap();
    fs::write(bench.job.settings(), text.replace(&own, &other)).unwrap();
    bench.run(&["migrate"], 2).says(&["is not among the trusted ones"]);
    bench
        .run(&["plugin", "verify", "own.wasm"], 4)
        .says(&["is not among the trusted ones"]);
}

#[test]
fn a_grants_file_may_lie_elsewhere_and_is_never_guessed_at() {
    let bench = Bench::new("memory", "[plugins]\ngrants = \"deep/grants.toml\"\n");
    bench
        .run(&["migrate"], 2)
        .says(&["grants.toml", "`grants` in [plugins]"]);
    fs::create_dir(bench.job.folder().join("deep")).unwrap();
    bench.run(&["migrate"], 0);
    assert_eq!(bench.grants(), "", "not in the usual place");
    fs::write(bench.job.folder().join("deep/grants.toml"), "grant = 7").unwrap();
    bench.run(&["migrate"], 2).says(&["grants.toml", "cannot be used"]);
}

#[test]
fn the_two_keys_to_every_door_are_shown() {
    let bench = Bench::new("misbehaving", "");
    let text = fs::read_to_string(bench.job.settings()).unwrap();
    let granting = "\"./own.wasm\"\nallow = [\"allowed.invalid\"]\nsettings = { host = \"mail.example\", port = 993, folder = \"in\" }\n#";
    fs::write(bench.job.settings(), text.replacen("\"./own.wasm\"\n", granting, 1)).unwrap();
    let about = bench.trust_of();
    let granted = |ask: &str| {
        let doors = about["doors"].as_array().unwrap();
        let door = doors
            .iter()
            .find(|door| door["ask"] == ask)
            .unwrap_or_else(|| panic!("no {ask}: {about}"));
        door["granted"]["source"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!(granted("network(host, port)"), "mail.example:993");
    assert_eq!(granted("endpoint(allowed.invalid)"), "allowed.invalid");
    assert_eq!(granted("files(folder, write)"), "in to read");
    assert_eq!(about["trust"]["state"], "new");
    assert_eq!(about["describing"]["refused"], serde_json::json!([]));
}
