//! Whole scripts: good ones, broken ones, hostile ones; the words of messages.

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;
use whimbrel_rules::lint::{Level, lint_file};

use super::{found, in_message, options, shown};
use crate::support::{folder, scripts};

#[test]
fn the_words_are_plain() {
    let script = "import \"std/spam\" as spam;\nfn message(m) {\n    if m.role == \"spam\" {\n        m.move_too(m.sbject);\n    }\n    m.seen\n}\n";
    let findings = found(script);
    let golden = "\
Warning unused-import rules.rhai:1:1: nothing of spam is used (Some(\"leave the import out\"))
Warning never-equal rules.rhai:3:8: no folder has the role \"spam\" (Some(\"did you mean \\\"junk\\\"?\"))
Error unknown-method rules.rhai:4:11: a message has no move_too() (Some(\"did you mean move_to?\"))
Error unknown-property rules.rhai:4:22: a message has no sbject (Some(\"did you mean subject?\"))
Error hook-returns-value rules.rhai:6:5: message(m) would return true or false, and a hook returns nothing (Some(\"a function returns its last value, even with a semicolon behind it: write return; in a line below\"))
";
    assert_eq!(shown(&findings), golden);
    let written = serde_json::to_value(&findings[2]).unwrap();
    assert_eq!(
        written,
        serde_json::json!({
            "level": "error",
            "code": "unknown-method",
            "problem": {
                "file": "rules.rhai", "line": 4, "column": 11, "source": "        m.move_too(m.sbject);",
                "message": "a message has no move_too()", "hint": "did you mean move_to?",
            },
        })
    );
}

#[test]
fn a_script_that_does_not_compile_is_looked_at_as_far_as_it_goes() {
    let findings = found("fn message(m) {\n    if m.seen {\n");
    assert_eq!(findings.len(), 1, "{}", shown(&findings));
    assert_eq!((findings[0].code, findings[0].level), ("compile", Level::Error));
    let findings = found("fn message(m) {\n    m.note(nothing);\n    m.skipp(\"x\");\n}");
    let codes: Vec<_> = findings.iter().map(|one| (one.problem.line, one.code)).collect();
    assert_eq!(codes, [(2, "compile"), (3, "unknown-method")], "{}", shown(&findings));
    let missing = lint_file(std::path::Path::new("/nowhere/rules.rhai"), &options());
    assert_eq!(missing.len(), 1);
    assert_eq!(missing[0].code, "compile");
}

#[test]
fn the_examples_are_clean() {
    let mut count = 0;
    for entry in fs::read_dir(scripts().join("examples")).unwrap() {
        let script = entry.unwrap().path().join("rules.rhai");
        let findings = lint_file(&script, &options());
        assert!(findings.is_empty(), "{}\n{}", script.display(), shown(&findings));
        count += 1;
    }
    assert!(count >= 12);
}

/// As modules beside a script, since the library itself is not looked at.
#[test]
fn the_library_is_clean() {
    let copy = folder(&[("rules.rhai", "")]);
    let mut imports = String::new();
    let mut waiting = vec![scripts().join("std")];
    let mut names = BTreeSet::new();
    while let Some(next) = waiting.pop() {
        for entry in fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(scripts().join("std")).unwrap().with_extension("");
            if path.is_dir() {
                waiting.push(path);
            } else if !path.to_string_lossy().ends_with(".test.rhai") {
                let to = copy.path().join("own").join(&name).with_extension("rhai");
                fs::create_dir_all(to.parent().unwrap()).unwrap();
                fs::copy(&path, to).unwrap();
                names.insert(name.to_string_lossy().into_owned());
            }
        }
    }
    assert!(names.len() >= 15, "{names:?}");
    for name in &names {
        imports += &format!("import \"own/{name}\" as {};\n", name.replace('/', "_"));
    }
    fs::write(copy.path().join("rules.rhai"), imports + "fn message(m) { }").unwrap();
    let mut findings = lint_file(&copy.path().join("rules.rhai"), &options());
    // The script itself uses none of them.
    findings.retain(|one| one.code != "unused-import" || one.problem.file != "rules.rhai");
    assert!(findings.is_empty(), "{}", shown(&findings));
}

#[test]
fn findings_are_sorted_and_told_once() {
    let modules = folder(&[
        (
            "rules.rhai",
            "import \"b\" as b;\nimport \"a\" as a;\nfn message(m) { m.foo(); b::x(m); a::x(m); m.bar(); a::x(m); }",
        ),
        ("a.rhai", "fn x(m) { m.keep(); m.foo; m.keep(); }"),
        ("b.rhai", "fn x(m) { for i in 0..3 { for k in 0..3 { m.foo(); } } }"),
    ]);
    let findings = lint_file(&modules.path().join("rules.rhai"), &options());
    let places: Vec<_> = findings
        .iter()
        .map(|one| (one.problem.file.clone(), one.problem.line, one.problem.column, one.code))
        .collect();
    assert!(places.is_sorted(), "{places:?}");
    assert_eq!(places.iter().collect::<BTreeSet<_>>().len(), places.len());
    let files: Vec<_> = places.iter().map(|place| place.0.as_str()).collect();
    assert_eq!(
        files.iter().filter(|file| **file == "b.rhai").count(),
        1,
        "{}",
        shown(&findings)
    );
    assert!(files.contains(&"a.rhai") && files.contains(&"rules.rhai"));
}

#[test]
fn hostile_scripts_end() {
    let many = |text: &str, count: usize| text.repeat(count);
    let calls: String = (0..1000)
        .map(|n| {
            format!(
                "fn f{n}(m) {{ f{}(m); f{}(m.from); }}\n",
                (n + 1) % 1000,
                (n * 7) % 1000
            )
        })
        .collect();
    for script in [
        format!("fn message(m) {{ let x = {}1{}; }}", many("(", 5000), many(")", 5000)),
        format!("fn message(m) {{ {} {} }}", many("if true {", 5000), many("}", 5000)),
        format!("fn message(m) {{ m{}; }}", many(".from", 20_000)),
        format!("fn message(m) {{ m{}; }}", many("[0]", 20_000)),
        format!("fn message(m) {{ let x = 1{}; }}", many(" + 1", 20_000)),
        format!(
            "fn message(m) {{ if m.seen {{ }} {} }}",
            many("else if m.seen { } ", 5000)
        ),
        format!("{calls}fn message(m) {{ f0(m); }}"),
        format!("fn message(m) {{ {} }}", many("m.foo(); ", 100_000)),
        format!(
            "fn message(m) {{ {} }}",
            many("if m.role == \"spam\" { m.move_to(5); }\n", 25_000)
        ),
        format!(
            "fn message(m) {{ switch m.role {{ {} }} }}",
            many("\"spam\" => 1,", 20_000)
        ),
        format!("fn message(m) {{ m.note(\"{}\"); }}", many("x", 1 << 20)),
        "fn message(m) { message(m); one(m); }\nfn one(m) { two([m]); }\nfn two(m) { one([m]); }".to_owned(),
        "fn message(m) { one([]); }\nfn one(m) { one([m]); }".to_owned(),
        many("/*", 100_000),
        many("`${", 10_000),
        "fn message(m) { let f = |f| f.call(f); f.call(f); }".to_owned(),
    ] {
        let findings = found(&script);
        assert!(findings.len() <= 1001, "{}", findings.len());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_brings_it_down(parts in prop::collection::vec(prop::sample::select(vec![
        "fn message(m) {", "}", "{", "(", ")", "[", "]", "#{", "if ", "else ", "m", ".", "role", "from", "to", "skip", "\"x\"",
        "5", "==", "=>", "|a| ", "||", ";", ",", "let x = ", "return ", "switch ", "_", "for a in ", "x", "a", "+", "=", "!",
        "const A = ", "import \"std/spam\" as s;", "s::", "true", "try ", "catch ", "loop ", "break;", "`${", "`", "\n", "'c'",
    ]), 0..60)) {
        let _ = found(&parts.concat());
    }

    #[test]
    fn no_body_brings_it_down(parts in prop::collection::vec(prop::sample::select(vec![
        "m.skip(\"x\");", "m.move_to(m.to);", "if m.seen {", "}", "else {", "let x = m.to;", "for a in m.to {", "x = 5;", "a.name;",
        "return;", "m.attachments.filter(|a| a.size > 5);", "switch m.role {", "\"sent\" => 1,", "_ => { ", "x.push(m);",
        "loop {", "break;", "let f = |a, b| a + b;", "f.call(1, 2);", "try {", "} catch (e) {", "m.from.foo;", "x[0].y = 3;",
    ]), 0..30)) {
        let script = in_message(&parts.concat());
        let first = found(&script);
        prop_assert_eq!(first, found(&script));
    }
}
