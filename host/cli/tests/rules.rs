//! `whimbrel rules` as a shell sees it, on scripts and messages in files. Needs no server and no connector.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // Helpers of tests may give up, as tests may.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const SCRIPT: &str = r#"
const YEAR = 2015;

fn message(m) {
    old(m);
    moved(m);
}

fn old(m) {
    if m.date < date(`${YEAR}-01-01`) {
        m.move_to(["Archive", m.date.year.to_string()]);
    }
}

fn moved(m) {
    m.set_header("X-Moved", "yes");
    m.rewrite_domain("old.example", "new.example");
}
"#;

const TESTS: &str = r#"
fn mail(year) {
    message(#{ headers: #{ "Date": `Mon, 2 Jan ${year} 10:00:00 +0000`, "From": "a@old.example" } })
}

fn test_old_mail_moves() {
    let d = run(mail(2006));
    assert_eq(d.place, "Archive/2006");
    assert_eq(d.header("From"), "a@new.example");
}

fn test_new_mail_stays() {
    assert_eq(run(mail(2023)).place, ());
}
"#;

const LETTER: &str = "From: Bo <bo@old.example>\r\nTo: alice@old.example\r\nSubject: Secret plan\r\n\
                      Date: Tue, 14 Nov 2006 08:00:00 +0100\r\n\r\nBody.\r\n";

/// A folder with a script, its tests and a letter.
fn house() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("rules.rhai", SCRIPT),
        ("rules.test.rhai", TESTS),
        ("letter.eml", LETTER),
    ] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn command(folder: &Path, words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_whimbrel"));
    command
        .arg("rules")
        .args(words)
        .current_dir(folder)
        .env_remove("WHIMBREL_PLUGINS")
        .env_remove("WHIMBREL_LOG")
        .env("XDG_CACHE_HOME", folder.join("cache"));
    command
}

fn rules(folder: &Path, words: &[&str]) -> Output {
    command(folder, words).output().unwrap()
}

/// What it wrote; fails unless it ended with this code and said all of these.
#[track_caller]
fn says(folder: &Path, words: &[&str], code: i32, parts: &[&str]) -> String {
    let output = rules(folder, words);
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(code), "{words:?}\n{text}");
    for part in parts {
        assert!(text.contains(part), "{words:?}: {part:?} is missing in\n{text}");
    }
    text
}

#[track_caller]
fn json(folder: &Path, words: &[&str]) -> Value {
    let output = rules(folder, &[words, &["--json"]].concat());
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

#[test]
fn check_tells_what_is_wrong_and_where() {
    let folder = house();
    says(
        folder.path(),
        &["check", "rules.rhai"],
        0,
        &["All well: 1 script checked."],
    );
    let wrong = "fn message(m) {\n    if m.sbject == \"x\" { m.skip(3); }\n}\n";
    std::fs::write(folder.path().join("wrong.rhai"), wrong).unwrap();
    let parts = ["wrong.rhai:2:", "sbject", "did you mean subject?", "1 script checked: "];
    says(folder.path(), &["check", "wrong.rhai"], 2, &parts);
    let document = json(folder.path(), &["check", "wrong.rhai"]);
    assert_eq!((&document["ok"], &document["exit"]), (&false.into(), &2.into()));
    assert_eq!(document["problems"][0]["line"], 2);
    let broken = "fn message(m) {\n    m.skip(\"x\"\n}\n";
    std::fs::write(folder.path().join("broken.rhai"), broken).unwrap();
    says(
        folder.path(),
        &["check", "broken.rhai"],
        2,
        &["broken.rhai:3:1", "a comma or a closing bracket is missing here"],
    );
    says(
        folder.path(),
        &["check", "nowhere.rhai"],
        2,
        &["the script cannot be read"],
    );
    says(folder.path(), &["check"], 2, &["no script was named"]);
}

#[test]
fn what_looks_wrong_counts_with_strict() {
    let folder = house();
    let odd = "const UNUSED = 1;\nfn message(m) { m.keep(); }\n";
    std::fs::write(folder.path().join("odd.rhai"), odd).unwrap();
    says(
        folder.path(),
        &["check", "odd.rhai"],
        0,
        &["UNUSED", "0 problems and 1 warning"],
    );
    says(folder.path(), &["check", "--strict", "odd.rhai"], 2, &["UNUSED"]);
}

#[test]
fn tests_run_and_lines_that_none_reaches_are_named() {
    let folder = house();
    let text = says(
        folder.path(),
        &["test"],
        0,
        &["✓ test_old_mail_moves", "✓ test_new_mail_stays", "2 passed, 0 failed"],
    );
    assert!(
        text.contains("lines of rules.rhai ran") && !text.contains("never line"),
        "{text}"
    );
    let filtered = ["test", "--filter", "new_mail", "rules.test.rhai"];
    says(
        folder.path(),
        &filtered,
        0,
        &["1 test in 1 file: 1 passed, 0 failed", "never line 11"],
    );

    let failing = format!("{TESTS}\nfn test_wrong() {{\n    assert_eq(run(mail(2006)).place, \"Elsewhere\");\n}}\n");
    std::fs::write(folder.path().join("rules.test.rhai"), failing).unwrap();
    let parts = [
        "✗ test_wrong",
        "rules.test.rhai:17:",
        "\"Elsewhere\" is expected here",
        "2 passed, 1 failed",
    ];
    says(folder.path(), &["test", "--junit", "out.xml"], 3, &parts);
    let xml = std::fs::read_to_string(folder.path().join("out.xml")).unwrap();
    assert!(
        xml.contains("<testsuites tests=\"3\" failures=\"1\" errors=\"0\""),
        "{xml}"
    );
    let document = json(folder.path(), &["test"]);
    assert_eq!(
        (&document["passed"], &document["failed"], &document["exit"]),
        (&2.into(), &1.into(), &3.into())
    );
}

#[test]
fn a_folder_without_tests_is_no_success() {
    let folder = tempfile::tempdir().unwrap();
    says(
        folder.path(),
        &["test"],
        2,
        &["there are no tests in .", "NAME.test.rhai"],
    );
    says(folder.path(), &["test", "missing.test.rhai"], 2, &["missing.test.rhai"]);
}

#[test]
fn try_shows_a_letter_without_its_content() {
    let folder = house();
    let words = ["try", "--script", "rules.rhai", "--eml", "letter.eml"];
    let parts = [
        "message letter.eml of INBOX",
        "goes to Archive/2006",
        "+X-Moved",
        "-From",
        "by old, rules.rhai:11: move_to Archive/2006",
        "by moved, rules.rhai:17: rewrite_domain",
    ];
    let text = says(folder.path(), &words, 0, &parts);
    assert!(!text.contains("Secret plan") && !text.contains("bo@"), "{text}");
    let shown = says(
        folder.path(),
        &[&words[..], &["--values"]].concat(),
        0,
        &["+From: Bo <bo@new.example>"],
    );
    assert!(
        !shown.contains("Secret plan"),
        "what does not change is not shown:\n{shown}"
    );
}

#[test]
fn two_versions_of_a_script_are_compared() {
    let folder = house();
    std::fs::write(folder.path().join("old.rhai"), SCRIPT.replace("Archive", "Old")).unwrap();
    let words = [
        "try",
        "--script",
        "rules.rhai",
        "--against",
        "old.rhai",
        "--eml",
        "letter.eml",
        "--list",
        "list.jsonl",
    ];
    says(
        folder.path(),
        &words,
        0,
        &["this change re-routes 1 message", "to Old/2006", "to Archive/2006"],
    );
    let line: Value =
        serde_json::from_str(&std::fs::read_to_string(folder.path().join("list.jsonl")).unwrap()).unwrap();
    assert_eq!(
        (&line["before"]["to"], &line["now"]["to"]),
        (&"Old/2006".into(), &"Archive/2006".into())
    );
    says(folder.path(), &words, 2, &["list.jsonl"]);
}

#[test]
fn a_rule_that_fails_on_a_letter_is_told() {
    let folder = house();
    std::fs::write(
        folder.path().join("bad.rhai"),
        "fn message(m) {\n    throw \"no idea\";\n}\n",
    )
    .unwrap();
    let words = ["try", "--script", "bad.rhai", "--eml", "letter.eml"];
    says(folder.path(), &words, 3, &["the rules fail: bad.rhai:2:", "no idea"]);
    says(
        folder.path(),
        &["try", "--script", "rules.rhai", "--eml", "none.eml"],
        2,
        &["none.eml"],
    );
}

#[test]
fn the_reference_can_be_searched_and_written_for_editors() {
    let folder = house();
    says(
        folder.path(),
        &["api", "rewrite_domain"],
        0,
        &["m.rewrite_domain(old, new)"],
    );
    says(folder.path(), &["api", "nothinglikethis"], 0, &["Nothing fits"]);
    says(
        folder.path(),
        &["api", "--definitions"],
        0,
        &["module static;", "fn get subject(this: Message)"],
    );
    let document = json(folder.path(), &["api"]);
    assert!(document["entries"].as_array().unwrap().len() > 100);
}

/// Types these lines; what was answered.
fn typed(folder: &Path, words: &[&str], lines: &str) -> String {
    let mut child = command(folder, words)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn typed_lines_are_answered() {
    let folder = house();
    let lines = "m.subject\nlet n = 20;\nfn double(x) {\n    x * 2\n}\ndouble(n) + YEAR\nm.move_to(\"Old\")\nold(m)\n:try\n\
                 m.sbject\n:load nowhere.eml\n:folder Work/2024\nm.folder\n:unknown\n:quit\nm.id\n";
    let text = typed(folder.path(), &["repl", "rules.rhai", "--eml", "letter.eml"], lines);
    for part in [
        "\"Secret plan\"",
        "2055",
        "→ move_to Old",
        "→ move_to Archive/2006",
        "by old, rules.rhai:11",
        "did you mean subject?",
        "nowhere.eml",
        "\"Work/2024\"",
        "there is no :unknown",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    assert!(!text.contains("letter.eml\""), "nothing after :quit:\n{text}");
    let bare = typed(folder.path(), &["repl"], "m.list_id\nm.labels\nf\n");
    assert!(
        bare.contains("flock.old.example") && bare.contains("a folder"),
        "{bare}"
    );
    let looping = typed(folder.path(), &["repl"], "while true { }\nm.id\n");
    assert!(
        looping.contains("did not come to an end") && looping.contains("\"1\""),
        "{looping}"
    );
}
