//! The program as a shell sees it: exit codes, error texts, JSON. Needs no server and, the demo apart, no connector.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers of tests may give up, as tests may.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// A small migration that has nothing wrong with it but its connectors, which are not there.
const SETTINGS: &str = r#"
[migration]
name = "small"
[source]
connector = "nowhere"
[destination]
connector = "nowhere"
[[mailbox]]
name = "alice"
"#;

/// Runs it in `folder` with plugin folders that hold nothing.
fn whimbrel(folder: &Path, words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_whimbrel"))
        .args(words)
        .current_dir(folder)
        .env_remove("WHIMBREL_PLUGINS")
        .env_remove("WHIMBREL_LOG")
        .env("XDG_CACHE_HOME", folder.join("cache"))
        .output()
        .unwrap()
}

fn with_settings(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("whimbrel.toml"), text).unwrap();
    folder
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[track_caller]
fn fails(folder: &Path, words: &[&str], code: i32, parts: &[&str]) {
    let output = whimbrel(folder, words);
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{words:?}\n{text}");
    for part in parts {
        assert!(text.contains(part), "{words:?}: {part:?} is missing in\n{text}");
    }
    assert!(output.stdout.is_empty(), "{output:?}");
}

#[test]
fn bad_usage_and_bad_settings_exit_with_two() {
    let empty = tempfile::tempdir().unwrap();
    fails(empty.path(), &["fly"], 2, &["unrecognized subcommand 'fly'"]);
    fails(
        empty.path(),
        &["migrate"],
        2,
        &["cannot read the settings file `whimbrel.toml`", "-c FILE"],
    );

    let bad = with_settings(&SETTINGS.replace("connector = \"nowhere\"\n[dest", "conector = \"nowhere\"\n[dest"));
    fails(
        bad.path(),
        &["migrate"],
        2,
        &["whimbrel.toml:5:1", "conector = ", "did you mean `connector`?"],
    );

    let good = with_settings(SETTINGS);
    fails(
        good.path(),
        &["migrate", "--only", "alise"],
        2,
        &["no mailbox `alise`", "did you mean `alice`?"],
    );
    fails(
        good.path(),
        &["retry", "--reason", "overquota"],
        2,
        &["did you mean `over-quota`?"],
    );
}

#[test]
fn a_missing_connector_says_where_was_looked() {
    let folder = with_settings(SETTINGS);
    for verb in ["migrate", "plan", "assess"] {
        fails(
            folder.path(),
            &[verb, "--plugins", "mine"],
            2,
            &["there is no connector `nowhere`", "mine (not there)"],
        );
    }
    assert!(
        !folder.path().join("state").exists(),
        "nothing is made before everything is in order"
    );
}

#[test]
fn errors_are_documents_with_json() {
    let folder = with_settings(SETTINGS);
    let output = whimbrel(folder.path(), &["migrate", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let document = json(&output);
    assert_eq!(
        (&document["format"], &document["verb"], &document["exit"]),
        (&1.into(), &"migrate".into(), &2.into())
    );
    assert_eq!(document["error"]["problems"].as_array().map(Vec::len), Some(2));
    let problem = &document["error"]["problems"][0];
    assert_eq!(
        (&problem["code"], &problem["line"], &problem["column"]),
        (&"settings".into(), &5.into(), &13.into())
    );
    assert!(problem["help"].as_str().is_some_and(|help| help.contains("looked in")));
}

#[test]
fn check_tells_every_problem_at_once() {
    let folder = with_settings(&SETTINGS.replace("[destination]", "ca = \"no.pem\"\n[destination]"));
    let output = whimbrel(folder.path(), &["check", "--json"]);
    assert_eq!(output.status.code(), Some(2));
    let document = json(&output);
    assert_eq!(document["ok"], false);
    assert_eq!(document["problems"].as_array().map(Vec::len), Some(3), "{document:#}");
    assert_eq!(document["findings"], Value::Array(Vec::new()));
}

#[test]
fn status_before_the_first_run_knows_what_waits() {
    let folder = with_settings(SETTINGS);
    let output = whimbrel(folder.path(), &["status", "--json"]);
    assert_eq!(output.status.code(), Some(3));
    let document = json(&output);
    assert_eq!(
        (&document["not_started"], &document["mailboxes"][0]["found"]),
        (&1.into(), &0.into())
    );
    assert!(!folder.path().join("state").exists());
    fails(
        folder.path(),
        &["events"],
        1,
        &["there is no ledger in", "run `whimbrel migrate` first"],
    );
}

#[test]
fn a_literal_secret_is_never_shown() {
    let text = SETTINGS.replace(
        "name = \"alice\"",
        "name = \"alice\"\nsource = { usr = nan, password = \"hunter2\" }",
    );
    let folder = with_settings(&text);
    for words in [&["migrate"][..], &["check"], &["migrate", "--json", "-vvv"]] {
        let output = whimbrel(folder.path(), words);
        assert_eq!(output.status.code(), Some(2));
        let all = format!("{}{}", stderr(&output), String::from_utf8_lossy(&output.stdout));
        assert!(!all.contains("hunter2"), "{all}");
    }
}

#[test]
fn a_file_that_is_no_connector_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("mine")).unwrap();
    std::fs::write(folder.path().join("mine/broken.wasm"), "no wasm").unwrap();
    let output = whimbrel(folder.path(), &["plugin", "inspect", "--plugins", "mine", "broken"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("is not WebAssembly"), "{}", stderr(&output));
}

/// The whole way, twice, on this machine alone.
#[test]
fn the_demo_loses_nothing_and_doubles_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let output = whimbrel(folder.path(), &["demo", "out", "--json"]);
    assert!(
        !stderr(&output).contains("there is no connector"),
        "the connectors are not built: run `cargo xtask plugins`\n{}",
        stderr(&output)
    );
    let document = json(&output);
    assert_eq!(output.status.code(), Some(0), "{document:#}");
    let compared = &document["compared"];
    assert_eq!(
        (&compared["missing"], &compared["surplus"]),
        (&0.into(), &0.into()),
        "{document:#}"
    );
    let count = |name: &str| compared[name].as_u64().unwrap();
    assert_eq!(count("equal") + count("changed"), count("expected"), "{document:#}");
    assert_eq!(
        (count("changed"), count("left_out")),
        (1, 1),
        "as the rules say: {document:#}"
    );
    let rules: Vec<&str> = document["runs"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|run| run["report"]["mailboxes"][0]["rules"].as_array().unwrap())
        .map(|rule| rule["rule"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["old_mail", "flagged", "flagged", "unsent", "deleted"]);
    for run in document["runs"].as_array().unwrap() {
        let second = run["run"] == "second";
        let copied = run["report"]["mailboxes"][0]["worked"]["copied"].as_u64().unwrap();
        assert_eq!(copied == 0, second, "{run:#}");
    }

    // What it leaves is a migration like any other.
    let status = whimbrel(folder.path(), &["status", "--json", "-c", "out/spool.toml"]);
    assert_eq!(status.status.code(), Some(0), "{status:?}");
    let export = whimbrel(
        folder.path(),
        &["ledger", "export", "-c", "out/maildir.toml", "ledger.jsonl"],
    );
    assert_eq!(export.status.code(), Some(0), "{export:?}");
    let again = whimbrel(
        folder.path(),
        &["ledger", "export", "-c", "out/maildir.toml", "ledger.jsonl"],
    );
    assert!(
        again.status.code() == Some(1) && stderr(&again).contains("overwrites nothing"),
        "{again:?}"
    );
    let events = whimbrel(folder.path(), &["events", "--json", "-c", "out/maildir.toml"]);
    assert!(
        events
            .stdout
            .split(|&byte| byte == b'\n')
            .filter(|line| !line.is_empty())
            .all(|line| { serde_json::from_slice::<Value>(line).is_ok_and(|event| event["sequence"].is_u64()) })
    );
    // And the folder is not taken for another's.
    assert_eq!(whimbrel(folder.path(), &["demo", "."]).status.code(), Some(2));
}
