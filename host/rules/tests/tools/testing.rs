//! The runner of script tests.

use std::fs;

use whimbrel_rules::testing::{FileReport, Outcome, TestFile, discover, junit, run};
use whimbrel_rules::{Limits, Options, Problem, SetValue};

use crate::support::{folder, outcome, run_in, scripts, tested};

/// Decides by a constant and by the date of the migration.
const RULES: &str = "\
const DAYS = 30;
fn message(m) {
    if m.received != () && m.received < started() - days(DAYS) { m.skip(\"old\"); }
    if m.subject == \"boom\" { throw \"no luck\"; }
    m.note(m.subject + \".\");
}
fn folder(f) { if f.role == \"junk\" { f.skip(\"spam\"); } else { f.subscribe(false); } }
fn mailbox(b) { if b.get(\"left\") != \"\" { b.skip(\"left\"); } }
fn failure(e) { if e.attempts > 2 { e.stop(\"enough\"); } else { e.retry(); } }
";

fn failures(report: &FileReport) -> Vec<(&str, &Problem)> {
    let failed = |test| match test {
        &whimbrel_rules::testing::TestReport {
            ref name,
            outcome: Outcome::Failed(ref problem),
            ..
        } => Some((name.as_str(), problem)),
        _ => None,
    };
    report.tests.iter().filter_map(failed).collect()
}

#[track_caller]
fn fails(lines: &str, says: &str) {
    let told = outcome(RULES, lines).unwrap_or_else(|| panic!("passed: {lines}"));
    assert!(told.contains(says), "{lines}\n{told}");
}

#[track_caller]
fn passes(lines: &str) {
    assert_eq!(outcome(RULES, lines), None, "{lines}");
}

#[test]
fn the_shipped_examples_pass_and_reach_every_line() {
    let files = discover(&[scripts()]).unwrap();
    assert!(files.len() >= 12, "{files:?}");
    for file in files {
        let report = run(&file, &Options::default(), None);
        assert!(report.passed(), "{report:#?}");
        assert!(!report.tests.is_empty());
        for covered in &report.coverage {
            assert_eq!(
                covered.missed(),
                Vec::<u32>::new(),
                "{}: {covered:?}",
                file.path.display()
            );
        }
        assert!(!report.coverage.is_empty(), "{}", file.path.display());
    }
}

#[test]
fn assertions_say_what_was_expected_and_what_came() {
    for (lines, says) in [
        ("assert(1 > 2);", "this does not hold"),
        ("assert(false, \"the sky fell\");", "the sky fell"),
        ("assert_eq(1, 2);", "2 is expected here, and this is 1"),
        ("assert_eq(\"a\", \"b\");", "\"b\" is expected here, and this is \"a\""),
        ("assert_eq(1, \"1\");", "\"1\" is expected here, and this is 1"),
        ("assert_eq((), \"a\");", "\"a\" is expected here, and this is ()"),
        ("assert_eq(true, ());", "() is expected here, and this is true"),
        (
            "assert_eq([1, [2]], [1, [3]]);",
            "[1, [3]] is expected here, and this is [1, [2]]",
        ),
        ("assert_eq([1], [1, 2]);", "[1, 2] is expected here, and this is [1]"),
        ("assert_eq(#{ a: 1 }, #{ a: 2 });", "#{\"a\": 2} is expected here"),
        ("assert_eq(#{ a: 1 }, #{ b: 1 });", "is expected here"),
        ("assert_ne(5, 5);", "anything but 5 is expected here"),
        (
            "assert_error(|| 5, \"x\");",
            "an error is expected here with \"x\", and there is none",
        ),
        (
            "assert_error(|| throw \"y\", \"x\");",
            "and this one says: the script gave up: y",
        ),
        (
            "assert_eq(run(message(#{})).notes, [\"b\"]);",
            "[\"b\"] is expected here, and this is [\".\"]",
        ),
    ] {
        fails(lines, says);
    }
    for lines in [
        "assert(1 < 2); assert(true, \"x\"); assert_eq(1, 1); assert_eq((), ()); assert_ne(1, 2); assert_ne(1, \"1\");",
        "assert_eq([1, #{ a: [\"x\"] }], [1, #{ a: [\"x\"] }]); assert_ne([1], [2]); assert_eq([], []);",
        "assert_error(|| throw \"no luck\", \"luck\");",
        "assert_error(|| run(message(#{ headers: #{ Subject: \"boom\" } })), \"no luck\");",
        "assert_eq(date(\"2020-01-31\"), date(\"2020-01-31T00:00:00Z\")); assert_eq(2, 2.0);",
    ] {
        passes(lines);
    }
}

#[test]
fn a_long_value_is_cut() {
    let told = outcome(RULES, "let s = \"\"; s.pad(5000, \"x\"); assert_eq(s, 1);").unwrap();
    assert!(told.chars().count() < 400 && told.contains('…'), "{told}");
}

#[test]
fn decisions_of_all_hooks_can_be_looked_at() {
    passes(
        r#"let d = run(folder(#{ path: ["A", "b/c"], role: "junk" }));
           assert_eq(d.skip, "spam"); assert_eq(d.verb, "skip"); assert_eq(d.rules, ["folder"]);
           assert_eq(run(folder(#{ path: "A" })).subscribe, false);
           assert_eq(run(mailbox(#{ attributes: #{ left: "yes" } })).skip, "left");
           assert_eq(run(mailbox(#{ name: "ann" })).skip, ());
           assert_eq(run(failure(#{ attempts: 3 })).stop, "enough");
           assert_eq(run(failure(#{ code: "too-large", side: "source" })).verb, "retry");"#,
    );
    let rules = r#"fn message(m) {
        m.move_to_role("sent"); m.send_to("bob"); m.copy_to("A/B"); m.set_flag("seen"); m.clear_flag("\\Draft");
        m.add_label("x"); m.remove_label("y"); m.set_header("Subject", "new"); m.add_header("X-A", "1"); m.detach(5);
    }"#;
    let lines = r#"let d = run(message(#{ headers: #{ "Subject": "old", "X-A": "0" }, text: "hello" }));
        assert_eq(d.place, "role:sent"); assert_eq(d.mailbox, "bob"); assert_eq(d.copies, ["A/B"]);
        assert_eq(d.set_flags, ["\\Seen"]); assert_eq(d.clear_flags, ["\\Draft"]); assert_eq(d.add_labels, ["x"]);
        assert_eq(d.remove_labels, ["y"]); assert_eq(d.header("subject"), "new"); assert_eq(d.header_all("X-A"), ["1", "0"]);
        assert_eq(d.detach, 5); assert_eq(d.skip, ()); assert_eq(d.steps.len(), 10);
        assert(d.content().contains("Subject: new\r\n")); assert(d.content().ends_with("\r\n\r\nhello\r\n"));"#;
    assert_eq!(outcome(rules, lines), None);
    assert!(
        outcome(RULES, "run(folder(#{ path: \"A\" })).header(\"x\");")
            .unwrap()
            .contains("only a message has headers")
    );
}

#[test]
fn fixtures_are_checked() {
    for (lines, says) in [
        ("message(#{ sbject: \"x\" });", "a message has no sbject"),
        ("message(#{ flgas: [] });", "did you mean flags?"),
        (
            "message(#{ size: \"x\" });",
            "size of a message is a whole number, not a string",
        ),
        ("message(#{ role: \"snet\" });", "there is no role \"snet\""),
        ("message(#{ received: \"2020-13-01\" });", "is no date"),
        ("message(#{ folder: \"A//B\" });", "is missing"),
        ("message(#{ headers: #{ \"A B\": \"x\" } });", "A B"),
        (
            "message(#{ attachments: [1] });",
            "attachments of a message is an array of maps",
        ),
        ("folder(#{ path: 5 });", "a folder is a string"),
        (
            "mailbox(#{ attributes: #{ a: 1 } });",
            "attribute a of a mailbox is a string",
        ),
        ("failure(#{ side: \"left\" });", "side is \"source\" or \"destination\""),
        ("run(5);", "run"),
    ] {
        fails(lines, says);
    }
    let report = tested(
        "fn message(m) { m.keep(); }",
        "fn test_it() { run(folder(#{ path: \"A\" })); }",
    );
    assert!(
        failures(&report)[0]
            .1
            .message
            .contains("the script has no fn folder(f)")
    );
}

#[test]
fn fixtures_have_the_content_that_tests_say() {
    let rules = r#"fn message(m) {
        for a in m.attachments { m.note(`${a.name} ${a.type} ${a.size} ${a.inline}`); }
        m.note(`${m.text}|${m.size}|${m.role}|${m.folder}|${m.flags}|${m.labels}|${m.mailbox.name}|${m.content_type}`);
    }"#;
    let lines = r#"
        let d = run(message(#{ text: "Grüße", size: 5.mb(), flags: ["\\Seen"], labels: ["a"], mailbox: "ann",
            attachments: [#{ name: "é.pdf", type: "application/pdf", size: 100 }, #{ name: "b.png", type: "image/png", inline: true, size: 1 }] }));
        assert_eq(d.notes[0], "é.pdf application/pdf 100 false");
        assert_eq(d.notes[1], "b.png image/png 1 true");
        assert(d.notes[2].starts_with("Grüße"));
        assert(d.notes[2].ends_with("|5242880|inbox|INBOX|[\"\\\\Seen\"]|[\"a\"]|ann|multipart/mixed"), d.notes[2]);
        assert(run(message(#{ html: "<p>Hi</p>" })).notes[0].starts_with("Hi"));
        assert(run(message(#{ html: "<p>Hi</p>", text: "Ho" })).notes[0].ends_with("multipart/alternative"));
    "#;
    assert_eq!(outcome(rules, lines), None);
}

#[test]
fn a_failing_test_points_at_its_line() {
    let report = tested(
        RULES,
        "// Comment.\nfn test_b() {\n    let d = run(message(#{}));\n    assert_eq(d.skip, \"x\");\n}\n\nfn test_a() { helper(); }\nfn helper() {\n    assert(false);\n}\nfn test_c() {\n    run(message(#{ headers: #{ Subject: \"boom\" } }));\n}\n",
    );
    let names: Vec<_> = report
        .tests
        .iter()
        .map(|test| (test.name.as_str(), test.line))
        .collect();
    assert_eq!(names, [("test_b", 2), ("test_a", 7), ("test_c", 11)]);
    let failed = failures(&report);
    assert_eq!((report.failed(), failed.len()), (3, 3));
    assert!(!report.passed());
    assert_eq!(
        failed[0].1.to_string(),
        "rules.test.rhai:4:5: \"x\" is expected here, and this is ()"
    );
    assert_eq!(failed[0].1.source.as_deref(), Some("    assert_eq(d.skip, \"x\");"));
    assert_eq!(failed[1].1.to_string(), "rules.test.rhai:9:5: this does not hold");
    assert_eq!((failed[2].1.file.as_str(), failed[2].1.line), ("rules.test.rhai", 12));
    assert!(
        failed[2]
            .1
            .message
            .contains("rules.rhai:4:30: the script gave up: no luck"),
        "{}",
        failed[2].1.message
    );
}

#[test]
fn values_and_dates_are_set_for_one_test() {
    let report = tested(
        RULES,
        r#"fn old() { run(message(#{ received: "2025-12-15" })).skip }
           fn test_a() { assert_eq(old(), ()); set("DAYS", 5); assert_eq(old(), "old"); set("DAYS", 40); assert_eq(old(), ()); }
           fn test_b() { assert_eq(old(), ()); set_started("2030-01-01"); assert_eq(old(), "old"); set("DAYS", 4000); assert_eq(old(), ()); }
           fn test_c() { assert_eq(old(), ()); }"#,
    );
    assert!(report.passed(), "{report:#?}");
    assert_eq!(report.tests.len(), 3);
    fails("set(\"DYAS\", 5);", "did you mean DAYS?");
    fails(
        "set(\"DAYS\", \"x\");",
        "a string, but it is a whole number in the script",
    );
    fails("set(\"DAYS\", || 5);", "a setting cannot be a function");
    fails("set_started(\"yesterday\");", "is no date");
}

#[test]
fn the_settings_of_the_run_count() {
    let folder = folder(&[
        ("rules.rhai", RULES),
        (
            "rules.test.rhai",
            "fn test_it() { assert_eq(run(message(#{ received: \"2025-12-15\" })).skip, \"old\"); }",
        ),
    ]);
    let file = TestFile::new(&folder.path().join("rules.test.rhai")).unwrap();
    assert!(!run(&file, &Options::default(), None).passed());
    let options = Options {
        set: [("DAYS".to_owned(), SetValue::Int(3))].into(),
        ..Options::default()
    };
    assert!(run(&file, &options, None).passed());
}

#[test]
fn messages_come_from_files() {
    let folder = folder(&[
        ("rules.rhai", RULES),
        ("mail/a.eml", "Subject: =?utf-8?Q?Gr=C3=BC=C3=9Fe?=\r\n\r\nHello\r\n"),
        (
            "rules.test.rhai",
            "fn test_a() {
                assert_eq(run(eml(\"mail/a.eml\")).notes, [\"Grüße.\"]);
                let d = run(eml(\"mail/a.eml\", #{ received: \"2001-01-01\", folder: \"Old\" }));
                assert_eq(d.skip, \"old\");
                assert(d.content().ends_with(\"Hello\\r\\n\"));
            }
            fn test_missing() { eml(\"mail/b.eml\"); }
            fn test_outside() { eml(\"../../../../../../../../../../etc/hostname\"); }
            fn test_absolute() { eml(\"/etc/hostname\"); }
            fn test_key() { eml(\"mail/a.eml\", #{ headers: #{} }); }",
        ),
    ]);
    fs::write(folder.path().join("outside.txt"), "").unwrap();
    let report = run_in(&folder);
    let failed = failures(&report);
    let names: Vec<_> = failed.iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        ["test_missing", "test_outside", "test_absolute", "test_key"],
        "{report:#?}"
    );
    assert!(
        failed[0].1.message.contains("\"mail/b.eml\" cannot be read"),
        "{}",
        failed[0].1.message
    );
    for (_, problem) in &failed[1..3] {
        let told = &problem.message;
        assert!(
            told.contains("leads out of the folder") || told.contains("cannot be read"),
            "{told}"
        );
        assert!(!told.contains("Subject"), "{told}");
    }
    assert!(
        failed[3].1.message.contains("a file has no headers"),
        "{}",
        failed[3].1.message
    );
}

#[test]
fn a_filter_leaves_out_tests() {
    let folder = folder(&[
        ("rules.rhai", RULES),
        (
            "rules.test.rhai",
            "fn test_one() { } fn test_two() { assert(false); } fn test_only() { }",
        ),
    ]);
    let file = TestFile::new(&folder.path().join("rules.test.rhai")).unwrap();
    let names = |filter| -> Vec<String> {
        let report = run(&file, &Options::default(), Some(filter));
        assert_eq!(report.problems, vec![]);
        report.tests.into_iter().map(|test| test.name).collect()
    };
    assert_eq!(names("on"), ["test_one", "test_only"]);
    assert_eq!(names("two"), ["test_two"]);
    assert_eq!(names("three"), Vec::<String>::new());
}

#[test]
fn files_that_cannot_be_used_say_why() {
    let problem = |rules: &str, tests: &str| -> Problem {
        let report = tested(rules, tests);
        assert_eq!(
            (report.tests.len(), report.problems.len(), report.coverage.len()),
            (0, 1, 0),
            "{report:#?}"
        );
        assert!(!report.passed());
        report.problems[0].clone()
    };
    let without = problem(RULES, "fn helper() { }");
    assert_eq!(without.message, "there is no test here");
    assert!(without.hint.unwrap().contains("test_"));
    let script = problem("fn message(m) {\n  let = 5;\n}", "fn test_it() { }");
    assert_eq!((script.file.as_str(), script.line), ("rules.rhai", 2));
    let tests = problem(RULES, "fn test_it() {\n  let = 5;\n}");
    assert_eq!((tests.file.as_str(), tests.line), ("rules.test.rhai", 2));
    let unknown = problem(RULES, "fn test_it() {\n  assert(nothing);\n}");
    assert_eq!((unknown.file.as_str(), unknown.line), ("rules.test.rhai", 2));
    let parameters = problem(RULES, "fn test_a() { }\nfn test_it(m) { }");
    assert_eq!(
        parameters.to_string(),
        "rules.test.rhai:2: test_it has parameters; nobody would give it any"
    );
    let folder = folder(&[("rules.test.rhai", "fn test_it() { }")]);
    let missing = run_in(&folder);
    assert!(missing.problems[0].to_string().contains("rules.rhai"), "{missing:?}");
}

#[test]
fn what_never_ends_is_ended() {
    let report = tested(
        "fn message(m) { loop { } }",
        "fn test_rule() { run(message(#{})); }
         fn test_itself() { test_itself(); }
         fn test_after() { }",
    );
    let failed = failures(&report);
    let names: Vec<_> = failed.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["test_rule", "test_itself"], "{report:#?}");
    assert!(
        failed[0].1.message.contains("did not come to an end within"),
        "{}",
        failed[0].1.message
    );
    assert!(
        failed[1].1.message.contains("calls itself without end"),
        "{}",
        failed[1].1.message
    );
    assert_eq!(failed[1].1.line, 2, "{}", failed[1].1);
}

#[test]
fn a_test_that_loops_for_ever_is_ended() {
    let report = tested(
        "fn message(m) { m.keep(); }",
        "fn test_loop() {\n    try { loop { } } catch { }\n    loop { }\n}\nfn test_after() { }",
    );
    let failed = failures(&report);
    assert_eq!(failed.len(), 1, "{report:#?}");
    assert_eq!(failed[0].0, "test_loop");
    assert!(
        failed[0].1.message.contains("this test did not come to an end within"),
        "{}",
        failed[0].1.message
    );
    assert!((1..=3).contains(&failed[0].1.line), "{}", failed[0].1);
}

#[test]
fn rules_keep_their_limits_in_tests() {
    let folder = folder(&[
        ("rules.rhai", "fn message(m) { for i in 0..1000 { m.size; } }"),
        ("rules.test.rhai", "fn test_it() { run(message(#{})); }"),
    ]);
    let file = TestFile::new(&folder.path().join("rules.test.rhai")).unwrap();
    assert!(run(&file, &Options::default(), None).passed());
    let options = Options {
        limits: Limits {
            operations: 100,
            ..Limits::default()
        },
        ..Options::default()
    };
    let report = run(&file, &options, None);
    assert!(
        failures(&report)[0].1.message.contains("within 100 steps"),
        "{report:#?}"
    );
}

#[test]
fn build_servers_can_read_the_results() {
    let mut report = tested(
        RULES,
        "fn test_good() { }\nfn test_bad() { assert(false, \"<a> & \\\"b\\\"\\u0001\"); }",
    );
    report.path = "dir & co/rules.test.rhai".into();
    let mut broken = tested("fn message(m) { let = 5; }", "fn test_it() { }");
    broken.path = "broken.test.rhai".into();
    let mut text = junit(&[report, broken]);
    // Times are what they are.
    while let Some(at) = text.find(" time=\"") {
        let end = text[at + 7..].find('"').unwrap();
        text.replace_range(at..at + 7 + end + 1, "");
    }
    let golden = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites tests="3" failures="1" errors="1">
  <testsuite name="dir &amp; co/rules.test.rhai" tests="2" failures="1" errors="0">
    <testcase name="test_good" classname="dir &amp; co/rules.test.rhai" file="dir &amp; co/rules.test.rhai" line="1"/>
    <testcase name="test_bad" classname="dir &amp; co/rules.test.rhai" file="dir &amp; co/rules.test.rhai" line="2">
      <failure message="&lt;a&gt; &amp; &quot;b&quot;�">rules.test.rhai:2:17: &lt;a&gt; &amp; &quot;b&quot;�&#10;fn test_bad() { assert(false, &quot;&lt;a&gt; &amp; \&quot;b\&quot;\u0001&quot;); }</failure>
    </testcase>
  </testsuite>
  <testsuite name="broken.test.rhai" tests="1" failures="0" errors="1">
    <testcase name="load" classname="broken.test.rhai">
      <error message="the name of a variable is missing here">rules.rhai:1:21: the name of a variable is missing here&#10;fn message(m) { let = 5; }</error>
    </testcase>
  </testsuite>
</testsuites>
"#;
    assert_eq!(text, golden);
}

#[test]
fn reports_are_written_down() {
    let report = tested(RULES, "fn test_good() { }\nfn test_bad() { assert(false); }");
    let written = serde_json::to_value(&report).unwrap();
    assert_eq!(written["tests"][0]["name"], "test_good");
    assert_eq!(written["tests"][0]["outcome"], "passed");
    assert_eq!(written["tests"][1]["outcome"], "failed");
    assert_eq!(written["tests"][1]["problem"]["message"], "this does not hold");
    assert!(written["tests"][1]["seconds"].is_number());
}

#[test]
fn test_files_are_found() {
    let folder = folder(&[
        ("b.rhai", ""),
        ("b.test.rhai", ""),
        ("a/a.rhai", ""),
        ("a/a.test.rhai", ""),
        ("a/other.txt", ""),
        (".hidden/c.test.rhai", ""),
        ("alone.rhai", ""),
    ]);
    let at = |name: &str| folder.path().join(name);
    let names = |paths: &[&str]| -> Vec<String> {
        let paths: Vec<_> = paths.iter().map(|name| at(name)).collect();
        let found = discover(&paths).unwrap();
        found
            .into_iter()
            .map(|file| file.path.strip_prefix(folder.path()).unwrap().display().to_string())
            .collect()
    };
    assert_eq!(names(&[""]), ["a/a.test.rhai", "b.test.rhai"]);
    assert_eq!(
        names(&["b.rhai", "b.test.rhai", "a", "a/a.rhai"]),
        ["a/a.test.rhai", "b.test.rhai"]
    );
    assert_eq!(names(&[]), Vec::<String>::new());
    for (name, says) in [
        ("nothing", "nothing: "),
        ("alone.rhai", "there is no"),
        ("a/other.txt", "there is no"),
    ] {
        let error = discover(&[at(name)]).unwrap_err().to_string();
        assert!(error.contains(says) && error.contains(name), "{error}");
    }
    assert_eq!(TestFile::new(&at("b.rhai")), None);
    assert_eq!(TestFile::new(&at("b.test.rhai")).unwrap().script, at("b.rhai"));
}
