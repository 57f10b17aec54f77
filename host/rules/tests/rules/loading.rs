//! From files to rules.

use std::collections::BTreeMap;
use std::fs;

use whimbrel_rules::{Options, Rules, SetValue};

use crate::support::{MESSAGE, compile, compile_with, content, facts, refused};

fn noted(rules: &Rules) -> Vec<String> {
    rules
        .item(&facts(), content(MESSAGE))
        .unwrap_or_else(|error| panic!("{error}"))
        .notes
}

fn set(values: &[(&str, SetValue)]) -> Options {
    Options {
        set: values
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.clone()))
            .collect(),
        ..Options::default()
    }
}

#[test]
fn constants_are_seen_in_every_function_and_closure() {
    let rules = compile(
        "const A = 1; const B = A + 1; const L = [A, B];
         fn twice(x) { x * B }
         const C = twice(21);
         fn message(m) { m.note(`${A} ${B} ${C} ${twice(A)} ${L.map(|x| x + C)} ${L.filter(|x| L.contains(x)).len()}`); }",
    );
    assert_eq!(noted(&rules), ["1 2 42 2 [43, 44] 2"]);
    // Nearer names win.
    let rules = compile(
        "const A = 1; fn f(A) { A } fn message(m) { let x = f(2); let A = 3; let g = || A; m.note(`${x} ${A} ${g.call()}`); }",
    );
    assert_eq!(noted(&rules), ["2 3 3"]);
}

#[test]
fn settings_take_the_place_of_constants() {
    let script = "const DAYS = 30; const RATE = 0.5; const NAMES = [\"a\"]; const OLD = DAYS * 2; const M = #{ a: 1 };
        fn message(m) { m.note(`${DAYS} ${RATE} ${NAMES} ${OLD} ${M}`); }";
    let options = set(&[
        ("DAYS", SetValue::Int(7)),
        ("RATE", SetValue::Int(2)),
        ("NAMES", SetValue::List(vec![SetValue::Text("b".to_owned())])),
        (
            "M",
            SetValue::Map(BTreeMap::from([("x".to_owned(), SetValue::Bool(true))])),
        ),
    ]);
    assert_eq!(
        noted(&compile_with(script, &options)),
        ["7 2.0 [\"b\"] 14 #{\"x\": true}"]
    );
    let error = Rules::compile("r", script, &set(&[("DAYS", SetValue::Text("7".to_owned()))])).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("the settings give DAYS a string, but it is a whole number"),
        "{error}"
    );
    let error = Rules::compile("r", script, &set(&[("DAY", SetValue::Int(7))])).unwrap_err();
    assert_eq!(error.problems[0].hint.as_deref(), Some("did you mean DAYS?"));
}

#[test]
fn the_hash_is_that_of_what_decides() {
    let script = "const A = 1; fn message(m) { }";
    let hash = compile(script).hash();
    assert_eq!(
        hash,
        Rules::compile("other", script, &Options::default()).unwrap().hash()
    );
    assert_ne!(hash, compile("const A = 2; fn message(m) { }").hash());
    assert_ne!(hash, compile_with(script, &set(&[("A", SetValue::Int(1))])).hash());
}

#[test]
fn modules_come_from_the_folder_and_keep_to_themselves() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    write(
        "rules.rhai",
        "import \"sub/people\" as people;\nconst WHO = \"main\";\nfn message(m) {\n  people::greet(m);\n  m.note(WHO);\n  people::each(m, |x| m.note(`${x} ${WHO}`));\n}\n",
    );
    write(
        "sub/people.rhai",
        "import \"sub/words\" as words;\nconst WHO = \"module\";\nprivate fn hidden(m) { m.note(words::polite(WHO)); }\nfn greet(m) {\n  hidden(m);\n}\nfn each(m, f) { f.call(1); [2].map(|x| m.note(`${x} ${WHO}`)); () }\n",
    );
    write(
        "sub/words.rhai",
        "const HI = \"dear \";\nfn polite(name) { HI + name }\n",
    );
    let rules =
        Rules::load(&folder.path().join("rules.rhai"), &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    // Nothing is read any more.
    fs::remove_dir_all(folder.path().join("sub")).unwrap();
    let decision = rules
        .item(&facts(), content(MESSAGE))
        .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(decision.notes, ["dear module", "main", "1 main", "2 module"]);
    let names: Vec<_> = rules.sources().iter().map(|source| source.name.as_str()).collect();
    assert_eq!(names, ["rules.rhai", "sub/people.rhai", "sub/words.rhai"]);
    let steps: Vec<_> = decision
        .steps
        .iter()
        .map(|s| (s.rule.as_str(), s.file.as_str(), s.line))
        .collect();
    assert_eq!(steps[0], ("hidden", "sub/people.rhai", 3));
    assert_eq!(steps[1], ("message", "rules.rhai", 5));
    assert_eq!(steps[3], ("each", "sub/people.rhai", 7));
}

#[test]
fn errors_in_modules_tell_the_module() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("rules.rhai");
    fs::write(&main, "import \"a\" as a;\nfn message(m) {\n  a::f(m);\n}").unwrap();
    let file = folder.path().join("a.rhai");
    fs::write(&file, "fn f(m) {\n  throw \"x\";\n}").unwrap();
    let rules = Rules::load(&main, &Options::default()).unwrap();
    let error = rules.item(&facts(), content(MESSAGE)).unwrap_err();
    assert_eq!(error.to_string(), "a.rhai:2:3: the script gave up: x");
    assert_eq!(error.problem.source.as_deref(), Some("  throw \"x\";"));
    fs::write(&file, "fn f(m) {\n  let = 5;\n}").unwrap();
    let error = Rules::load(&main, &Options::default()).unwrap_err();
    assert_eq!(
        (error.problems[0].file.as_str(), error.problems[0].line),
        ("a.rhai", 2),
        "{error}"
    );
    fs::write(&file, "import \"a\" as a; fn f(m) { }").unwrap();
    let error = Rules::load(&main, &Options::default()).unwrap_err();
    assert!(error.to_string().contains("imports itself"), "{error}");
    fs::remove_file(&file).unwrap();
    let error = Rules::load(&main, &Options::default()).unwrap_err();
    assert!(
        error.to_string().contains("rules.rhai:1:8: there is no module \"a\""),
        "{error}"
    );
    assert!(Rules::load(&folder.path().join("none.rhai"), &Options::default()).is_err());
}

#[cfg(unix)]
#[test]
fn a_link_out_of_the_folder_leads_nowhere() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret.rhai"), "fn f() { 1 }").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("rules.rhai");
    std::os::unix::fs::symlink(outside.path(), folder.path().join("out")).unwrap();
    std::os::unix::fs::symlink(outside.path().join("secret.rhai"), folder.path().join("file.rhai")).unwrap();
    for name in ["out/secret", "file"] {
        fs::write(&main, format!("import \"{name}\" as x; fn message(m) {{ }}")).unwrap();
        let error = Rules::load(&main, &Options::default()).unwrap_err();
        assert!(error.to_string().contains("leads out of the folder"), "{error}");
    }
}

#[test]
fn what_cannot_be_used_says_why() {
    for (script, line, says) in [
        ("let x = 1;\nfn message(m) { }", 1, "variable outside the functions"),
        ("print(\"x\");", 1, "outside the functions"),
        ("fn message(m, n) { }", 1, "2 parameters"),
        ("fn message() { }", 1, "0 parameters"),
        ("const A = 1;\nconst A = 2;", 2, "twice"),
        (
            "const LIMIT = 1;\nfn message(m) { if m.size > LIMT { } }",
            2,
            "LIMT is not known here",
        ),
        ("fn message(m) { global::A }", 1, "without global::"),
        ("fn message(m) { nothing::f(); }", 1, "nothing is imported as nothing"),
        ("fn message(m) {\n  m.skip(\"a\")\n  m.keep();\n}", 3, "semicolon"),
        ("fn message(m) { m.skip(\"a);\n}", 1, "does not end"),
        ("fn message(m) {", 1, "} is missing here"),
        ("const A = 1 / 0;", 1, "cannot be computed"),
        ("const A = [1, 2].nothing();", 1, "nothing"),
        ("import \"x\";", 1, "no name"),
        ("fn a() {} fn a() {}", 1, "twice"),
    ] {
        let error = refused(script);
        assert!(error.to_string().contains(says), "{script}: {error}");
        assert_eq!(error.problems[0].line, line, "{script}: {error}");
    }
    let error = refused("const LIMIT = 1;\nfn message(m) { if m.size > LIMT { } }");
    assert_eq!(error.problems[0].hint.as_deref(), Some("did you mean LIMIT?"));
    // Several at once.
    assert_eq!(refused("let x = 1;\nprint(x);").problems.len(), 2);
}

#[test]
fn a_script_of_a_newer_version_is_refused_before_anything_else() {
    let script = |version: &str| format!("const RULES_API = {version};\nfn message(m) {{}}\n");
    Rules::compile("rules.rhai", &script("1"), &Options::default()).unwrap();
    let newer = refused(&script("2"));
    assert_eq!((newer.problems.len(), newer.problems[0].line), (1, 1), "{newer}");
    assert_eq!(
        newer.problems[0].message,
        "the script is written for version 2 of the rules, and this program knows 1"
    );
    assert!(newer.problems[0].hint.as_deref().unwrap().contains("newer whimbrel"));
    for other in ["0", "-1", "\"1\"", "1.5"] {
        let wrong = refused(&script(other));
        assert!(
            wrong.to_string().contains("RULES_API is not a version"),
            "{other}: {wrong}"
        );
    }
}
