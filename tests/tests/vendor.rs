//! What vendors and admins do with connectors from the command line: build, test, try, publish, install, remove.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use whimbrel_tests::run::{Job, Outcome, Running, local_side, mailbox, plugin, program, target_folder};
use whimbrel_tests::scratch;
use whimbrel_tests::servers::{PASSWORD, Registry};

/// A folder in which the program is run.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        Self(scratch::folder("vendor"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(words)
            .current_dir(self.0.path())
            .env("XDG_DATA_HOME", self.path("home"))
            .env_remove("WHIMBREL_PLUGINS");
        command
    }

    #[track_caller]
    fn run(&self, words: &[&str], code: i32) -> Outcome {
        let mut command = self.command(&[]);
        if code != 0 {
            // A problem as one text: for people it is broken into lines.
            command.arg("--json");
        }
        let outcome = Running::start(command.args(words)).wait(Duration::from_secs(120));
        outcome.expect(code);
        outcome
    }

    /// A copy of a connector, changed.
    fn connector(&self, name: &str, change: impl Fn(&mut Vec<u8>)) -> String {
        let mut bytes = fs::read(plugin("memory")).unwrap();
        change(&mut bytes);
        fs::write(self.path(name), bytes).unwrap();
        name.to_owned()
    }

    fn lock(&self, folder: &str) -> String {
        fs::read_to_string(self.path(folder).join("connectors.lock")).unwrap()
    }

    /// Where `memory` is tried on made-up mail.
    fn project(&self) {
        let text = "[source]\n[source.settings]\nmessages = 3\nmailboxes = 1\n[destination]\n[destination.settings]\n";
        fs::write(self.path("connector.toml"), text).unwrap();
    }
}

/// Puts other bytes of the same length in the place of all that are these, and not behind an `@`.
fn replace(bytes: &mut [u8], from: &[u8], to: &[u8]) {
    let mut found = 0;
    for at in 1..bytes.len() - from.len() {
        if &bytes[at..at + from.len()] == from && bytes[at - 1] != b'@' {
            bytes[at..at + from.len()].copy_from_slice(to);
            found += 1;
        }
    }
    assert!(found > 0, "{} is nowhere", String::from_utf8_lossy(from));
}

/// The next release.
fn next(bytes: &mut [u8]) {
    replace(bytes, b"0.1.0", b"0.1.1");
}

/// For another version of the contract.
fn contract(version: &'static [u8]) -> impl Fn(&mut Vec<u8>) {
    move |bytes| {
        for at in 0..bytes.len() - 6 {
            if &bytes[at..at + 6] == b"@0.1.0" {
                bytes[at + 1..at + 6].copy_from_slice(version);
            }
        }
    }
}

/// A custom section at the end, which means nothing.
fn mark(bytes: &mut Vec<u8>) {
    bytes.extend([0, 6, 4, b'm', b'a', b'r', b'k', b'1']);
}

#[test]
fn versions_are_installed_side_by_side_and_the_newest_is_meant() {
    let place = Place::new();
    let first = place.connector("first.wasm", |_| {});
    let second = place.connector("second.wasm", |bytes| next(bytes));
    place
        .run(&["plugin", "install", &first, "--into", "p"], 0)
        .says(&["memory 0.1.0: p/memory@0.1.0.wasm"]);
    place
        .run(&["plugin", "install", &first, "--into", "p"], 0)
        .says(&["is installed already"]);
    place.run(&["plugin", "install", &second, "--into", "p"], 0);
    let lock = place.lock("p");
    for part in [
        "file = \"memory@0.1.0.wasm\"",
        "version = \"0.1.1\"",
        "asks = []",
        "second.wasm",
    ] {
        assert!(lock.contains(part), "{part} in\n{lock}");
    }
    let version = |connector: &str| {
        let about = place
            .run(&["plugin", "inspect", connector, "--plugins", "p", "--json"], 0)
            .json();
        about["connector"]["version"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        (version("memory").as_str(), version("memory@0.1.0").as_str()),
        ("0.1.1", "0.1.0")
    );
    place
        .run(&["plugin", "remove", "memory", "--into", "p"], 2)
        .says(&["several versions", "memory@0.1.1"]);
    place.run(&["plugin", "remove", "memory@0.1.1", "--into", "p"], 0);
    assert_eq!(version("memory"), "0.1.0");
    place.run(&["plugin", "remove", "memory", "--into", "p"], 0);
    place
        .run(&["plugin", "remove", "memory", "--into", "p"], 2)
        .says(&["no connector `memory` was installed"]);
    let left: Vec<_> = fs::read_dir(place.path("p"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(left, ["connectors.lock"]);
    // Where nothing is said, it is the user's own folder, and connectors are found there.
    fs::create_dir(place.path("all")).unwrap();
    fs::copy(place.path("first.wasm"), place.path("all/a.wasm")).unwrap();
    fs::copy(place.path("second.wasm"), place.path("all/b.wasm")).unwrap();
    place.run(&["plugin", "install", "all"], 0);
    assert_eq!(version("memory@0.1.1"), "0.1.1");
    assert!(place.path("home/whimbrel/plugins/memory@0.1.0.wasm").is_file());
}

#[test]
fn what_is_not_as_it_was_agreed_to_is_refused_each_with_its_own_message() {
    let place = Place::new();
    let own = place.connector("own.wasm", |_| {});
    place.run(&["plugin", "keygen", "own"], 0);
    place.run(&["plugin", "keygen", "other"], 0);
    place.run(&["plugin", "sign", &own, "--key", "own.key"], 0);
    // An unknown key.
    let install = ["plugin", "install", "own.wasm", "--into", "p", "--key"];
    place
        .run(&[&install[..], &["other.pem"]].concat(), 4)
        .says(&["is not among the trusted ones", "--key"]);
    place
        .run(&["plugin", "install", "own.wasm", "--into", "p"], 4)
        .says(&["is not among the trusted ones"]);
    // A changed byte in what is signed.
    let good = fs::read(place.path("own.wasm")).unwrap();
    let mut bad = good.clone();
    mark(&mut bad);
    fs::write(place.path("own.wasm"), bad).unwrap();
    place
        .run(&[&install[..], &["own.pem"]].concat(), 4)
        .says(&["the component is not what was signed"]);
    fs::write(place.path("own.wasm"), &good).unwrap();
    place.run(&[&install[..], &["own.pem"]].concat(), 0);
    // No signature, where a key is named.
    let plain = place.connector("plain.wasm", |bytes| next(bytes));
    place
        .run(&["plugin", "install", &plain, "--into", "p", "--key", "own.pem"], 4)
        .says(&["has no signature"]);
    // A changed byte in what is installed, and no signature to tell.
    let installed = place.path("p/memory@0.1.0.wasm");
    fs::remove_file(place.path("p/memory@0.1.0.wasm.sig")).unwrap();
    let mut bad = good.clone();
    mark(&mut bad);
    fs::write(&installed, bad).unwrap();
    place
        .run(&["plugin", "list", "--plugins", "p"], 3)
        .says(&["is not the one that was installed: its bytes are not those"]);
    // Another one under the same version.
    fs::write(&installed, &good).unwrap();
    let twin = place.connector("twin.wasm", mark);
    place
        .run(&["plugin", "install", &twin, "--into", "p"], 2)
        .says(&["is installed already, with other bytes"]);
    // An older and a newer contract.
    let older = place.connector("older.wasm", contract(b"0.0.9"));
    let newer = place.connector("newer.wasm", contract(b"0.2.0"));
    place
        .run(&["plugin", "install", &older, "--into", "p"], 2)
        .says(&["was built for contract 0.0.9", "Take a newer release of the connector"]);
    place
        .run(&["plugin", "install", &newer, "--into", "p"], 2)
        .says(&["was built for contract 0.2.0", "Update Whimbrel"]);
}

#[test]
fn a_widened_permission_needs_the_admins_word() {
    let place = Place::new();
    let greedy = plugin("imap");
    let greedy = greedy.to_str().unwrap();
    place.run(&["plugin", "install", greedy, "--into", "p"], 2).says(&[
        "imap 0.1.0 is new here",
        "connections to the host and port",
        "--yes",
    ]);
    place.run(&["plugin", "install", greedy, "--into", "p", "--yes"], 0);
    // As if an earlier release had asked for nothing.
    let lock = place.lock("p").replace("asks = [\"network(host, port)\"]", "asks = []");
    let path = place.path("p/connectors.lock");
    fs::write(&path, &lock).unwrap();
    place
        .run(&["plugin", "list", "--plugins", "p"], 3)
        .says(&["it asks for network(host, port), and nothing was agreed to"]);
    let lock = lock.replace("0.1.0", "0.0.9");
    fs::write(&path, lock).unwrap();
    place
        .run(&["plugin", "install", greedy, "--into", "p"], 2)
        .says(&["imap 0.1.0 asks for more than 0.0.9, which is installed: network(host, port)"]);
    place.run(&["plugin", "install", greedy, "--into", "p", "--yes"], 0);
}

#[test]
fn a_migration_uses_what_is_installed_and_nothing_else_in_its_place() {
    let place = Place::new();
    let greedy = plugin("misbehaving");
    place.run(
        &["plugin", "install", greedy.to_str().unwrap(), "--into", "p", "--yes"],
        0,
    );
    let job = Job::new(&[
        local_side("source", "misbehaving", "mode = \"good\""),
        local_side("destination", "maildir", "root = \"out\""),
        mailbox("alice", "{}", "{ user = \"alice\" }"),
    ]);
    let folder = place.path("p");
    let migrate = |code| {
        let mut command = job.command(&["migrate"]);
        let outcome = Running::start(command.arg("--plugins").arg(&folder)).wait(Duration::from_secs(60));
        outcome.expect(code);
        outcome
    };
    // It asks for hosts of its own choice; whoever installed it was asked.
    migrate(0);
    let grants = fs::read_to_string(job.folder().join("whimbrel.grants.toml")).unwrap();
    assert!(grants.contains("how = \"installed\""), "{grants}");
    let file = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
    let file = file
        .into_iter()
        .find(|path| path.extension().is_some_and(|it| it == "wasm"))
        .unwrap();
    let mut bytes = fs::read(&file).unwrap();
    mark(&mut bytes);
    fs::write(&file, bytes).unwrap();
    migrate(2).says(&["is not the one that was installed", "Install it anew"]);
}

#[test]
fn connectors_go_through_a_registry() {
    let registry = Registry::start();
    let place = Place::new();
    let own = place.connector("own.wasm", |_| {});
    place.run(&["plugin", "keygen", "own"], 0);
    place.run(&["plugin", "sign", &own, "--key", "own.key"], 0);
    let address = registry.address("acme/memory:0.1.0");
    let run = |words: &[&str], password: Option<&str>, code| {
        let mut command = place.command(&[]);
        if code != 0 {
            command.arg("--json");
        }
        command.args(words);
        if let Some(password) = password {
            command
                .env("WHIMBREL_REGISTRY_USER", "alice")
                .env("WHIMBREL_REGISTRY_PASSWORD", password);
        }
        let outcome = Running::start(&mut command).wait(Duration::from_secs(60));
        outcome.expect(code);
        assert!(!outcome.text().contains(PASSWORD), "{outcome}");
        outcome
    };
    run(&["plugin", "publish", &own, &address], None, 1).says(&["WHIMBREL_REGISTRY_USER"]);
    run(&["plugin", "publish", &own, &address], Some("wrong"), 1).says(&["WHIMBREL_REGISTRY_PASSWORD"]);
    run(&["plugin", "publish", &own, &address], Some(PASSWORD), 0).says(&["with its signature", "@sha256:"]);
    let install = ["plugin", "install", &address, "--into", "p"];
    run(&install, Some(PASSWORD), 4).says(&["is not among the trusted ones", "oci://"]);
    run(&[&install[..], &["--key", "own.pem"]].concat(), Some(PASSWORD), 0);
    assert_eq!(
        fs::read(place.path("p/memory@0.1.0.wasm")).unwrap(),
        fs::read(place.path("own.wasm")).unwrap()
    );
    assert!(place.path("p/memory@0.1.0.wasm.sig").is_file());
    let lock = place.lock("p");
    assert!(
        lock.contains("acme/memory@sha256:") && lock.contains("signed_by"),
        "{lock}"
    );
    let nothing = registry.address("acme/memory:9.9.9");
    run(&["plugin", "install", &nothing, "--into", "p"], Some(PASSWORD), 1).says(&["check the name and the tag"]);
    drop(registry);
    run(&["plugin", "install", &address, "--into", "q"], Some(PASSWORD), 1).says(&["cannot read", "refused"]);
}

#[test]
fn a_core_module_and_a_component_are_built_into_the_same() {
    let place = Place::new();
    let module = target_folder().join("plugins-wasm/wasm32-unknown-unknown/release/whimbrel_memory.wasm");
    let built = place
        .run(
            &[
                "plugin",
                "build",
                module.to_str().unwrap(),
                "--output",
                "a.wasm",
                "--json",
            ],
            0,
        )
        .json();
    assert_eq!(built["name"], "memory");
    assert_eq!(built["remarks"], Value::Array(Vec::new()), "{built}");
    place.run(&["plugin", "build", "a.wasm", "--output", "b.wasm"], 0);
    assert_eq!(
        fs::read(place.path("a.wasm")).unwrap(),
        fs::read(place.path("b.wasm")).unwrap()
    );
    fs::write(place.path("c.wasm"), "nonsense").unwrap();
    place
        .run(&["plugin", "build", "c.wasm"], 2)
        .says(&["it is not WebAssembly"]);
    fs::create_dir(place.path("empty")).unwrap();
    place
        .run(&["plugin", "build", "empty"], 2)
        .says(&["no connector's project", "plugin new"]);
    // What is no connector leaves the good one where it is.
    let before = fs::read(place.path("a.wasm")).unwrap();
    fs::write(place.path("d.wasm"), b"\0asm\x0d\0\x01\0").unwrap();
    place
        .run(&["plugin", "build", "d.wasm", "--output", "a.wasm"], 2)
        .says(&["is a component, but no connector"]);
    assert_eq!(fs::read(place.path("a.wasm")).unwrap(), before);
}

#[test]
fn the_suite_runs_from_the_command_line() {
    let place = Place::new();
    place.project();
    let own = place.connector("own.wasm", |_| {});
    let only = ["plugin", "test", &own, "--only", "describe/,changes/,fetch/,reading/"];
    place
        .run(&only, 0)
        .says(&["0 failed", "1 could not be tried", "no hook `digest` was given"]);
    place.run(&[&only[..], &["--strict"]].concat(), 4);
    let outcome = place
        .run(&[&only[..], &["--json", "--junit", "out.xml"]].concat(), 0)
        .json();
    assert_eq!(outcome["report"]["connector"], "memory");
    assert_eq!(outcome["report"]["cases"][0]["requirements"][0], "DESC-1");
    let junit = fs::read_to_string(place.path("out.xml")).unwrap();
    assert!(
        junit.contains("<testcase classname=\"changes\" name=\"paging\""),
        "{junit}"
    );
    place
        .run(&["plugin", "test", &own, "--only", "nonsense"], 2)
        .says(&["no case begins with nonsense"]);
    fs::write(place.path("bad.toml"), "[sorce]\n").unwrap();
    place
        .run(&["plugin", "test", &own, "--config", "bad.toml"], 2)
        .says(&["bad.toml", "sorce"]);
}

#[test]
fn calls_are_made_by_hand() {
    let place = Place::new();
    place.project();
    let own = place.connector("own.wasm", |_| {});
    let call = |words: &[&str], code| place.run(&[&["plugin", "try", &own, "--"], words].concat(), code);
    let made = place
        .run(&["plugin", "try", &own, "--json", "--", "collections"], 0)
        .json();
    let id = made["answer"][0]["id"].as_str().unwrap().to_owned();
    let page = place
        .run(&["plugin", "try", &own, "--json", "--", "changes", &id], 0)
        .json();
    assert_eq!(page["answer"]["changes"].as_array().unwrap().len(), 3, "{page}");
    let item = page["answer"]["changes"][0]["id"].as_str().unwrap();
    call(&["fetch", &id, item], 0).says(&["message/rfc822", "BLAKE3", "| "]);
    call(&["fetch", &id, "nowhere"], 0).says(&["not found"]);
    call(&["fetch", &id, item, "--save", "saved"], 0).says(&["saved as saved/1.eml"]);
    assert!(fs::read(place.path("saved/1.eml")).unwrap().len() > 10);
    call(&["changes", "nowhere"], 4).says(&["`changes`", "not found"]);
    call(&["limits"], 0).says(&["bytes of a put"]);
    call(&["nonsense"], 2).says(&["nonsense"]);
    call(&["help"], 0).says(&["collections", "watermark"]);
    let traced = place.run(&["plugin", "try", &own, "--trace", "--", "fetch", &id, item], 0);
    traced.says(&[" ms  blobs."]);
}

#[test]
fn a_connector_that_is_built_anew_is_loaded_anew_at_the_prompt() {
    let place = Place::new();
    place.project();
    let own = place.connector("own.wasm", |_| {});
    let mut child = place
        .command(&["plugin", "try", &own])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut until = |part: &str| {
        lines
            .find(|line| line.contains(part))
            .unwrap_or_else(|| panic!("no {part}"))
    };
    writeln!(input, "describe").unwrap();
    until("memory 0.1.0");
    // A broken one in between is told, and the good one stays.
    let draft = place.path("draft");
    let swap = |bytes: &[u8]| {
        fs::write(&draft, bytes).unwrap();
        fs::rename(&draft, place.path("own.wasm")).unwrap();
    };
    swap(b"nonsense");
    writeln!(input, "describe").unwrap();
    until("memory 0.1.0");
    let mut newer = fs::read(plugin("memory")).unwrap();
    next(&mut newer);
    swap(&newer);
    writeln!(input, "describe").unwrap();
    until("was built anew");
    until("memory 0.1.1");
    writeln!(input, "quit").unwrap();
    assert!(child.wait().unwrap().success());
}

#[test]
fn a_trap_is_shown_with_the_connectors_own_stack() {
    let place = Place::new();
    fs::write(
        place.path("connector.toml"),
        "[source]\n[source.settings]\nmode = \"trap\"\n",
    )
    .unwrap();
    fs::copy(plugin("misbehaving"), place.path("own.wasm")).unwrap();
    let ask = |words: &[&str]| {
        let answer = place.run(&[&["plugin", "try", "own.wasm", "--json", "--"], words].concat(), 0);
        answer.json()["answer"].clone()
    };
    let collection = ask(&["collections"])[0]["id"].as_str().unwrap().to_owned();
    let item = ask(&["changes", &collection])["changes"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let trapped = place
        .run(&["plugin", "try", "own.wasm", "--", "fetch", &collection, &item], 4)
        .text();
    assert!(trapped.contains("`fetch` ended: it gave up"), "{trapped}");
    assert!(trapped.contains("\n    in "), "{trapped}");
}
