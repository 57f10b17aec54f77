//! Scripts that are broken, greedy or hostile: each ends with an error that says so, and none gets out.

use std::time::{Duration, Instant};

use whimbrel_rules::{Decision, Limits, Options, RuleError, RuleErrorKind};

use crate::support::{MESSAGE, compile, compile_with, content, facts, refused, try_decide};

fn ends(body: &str, kind: RuleErrorKind, says: &str) -> RuleError {
    let error = try_decide(body).expect_err(body);
    assert!(error.to_string().contains(says), "{body}: {error}");
    assert_eq!(error.kind, kind, "{body}: {error}");
    error
}

#[test]
fn loops_for_ever() {
    let error = ends("loop { }", RuleErrorKind::Limit, "within 1,000,000 steps");
    assert_eq!(error.problem.line, 2);
    ends(
        "let n = 0; while true { n += 1; }",
        RuleErrorKind::Limit,
        "within 1,000,000 steps",
    );
    ends(
        "try { loop { } } catch { } loop { }",
        RuleErrorKind::Limit,
        "within 1,000,000 steps",
    );
}

#[test]
fn the_line_that_does_not_end_is_told() {
    for (script, line, says) in [
        (
            "fn message(m) {\n    m.keep();\n    looping(m);\n}\n\nfn looping(m) {\n    let n = 0;\n    loop {\n        n += 1;\n    }\n}\n",
            9,
            "did not come to an end",
        ),
        ("fn message(m) {\n    loop { }\n}", 2, "did not come to an end"),
        (
            "fn message(m) {\n    let s = \"x\";\n    for i in 0..40 {\n        s += s;\n    }\n}",
            4,
            "a string became too large",
        ),
        (
            "fn again(n) {\n    again(n + 1);\n}\nfn message(m) {\n    again(1);\n}",
            2,
            "calls itself without end",
        ),
        (
            "fn message(m) {\n    m.keep();\n    loop {\n        m.note(\"x\");\n    }\n}",
            4,
            "more than 100 decisions",
        ),
    ] {
        let rules = compile(script);
        for _ in 0..2 {
            let error = rules.item(&facts(), content(MESSAGE)).unwrap_err();
            assert!(error.to_string().contains(says), "{script}: {error}");
            assert_eq!(error.problem.line, line, "{script}: {error}");
            assert_eq!(
                error.problem.source.as_deref(),
                script.lines().nth(line as usize - 1),
                "{error}"
            );
        }
    }
}

#[test]
fn takes_too_long() {
    let options = Options {
        limits: Limits {
            operations: 0,
            time: Duration::from_millis(50),
            ..Limits::default()
        },
        ..Options::default()
    };
    for script in [
        "fn message(m) { loop { } }",
        "fn message(m) { try { [1].for_each(|x| { loop { } }); } catch { m.skip(\"went on\"); } m.note(\"went on\"); }",
    ] {
        let began = Instant::now();
        let error = compile_with(script, &options)
            .item(&facts(), content(MESSAGE))
            .unwrap_err();
        assert_eq!(error.kind, RuleErrorKind::Time, "{error}");
        assert!(error.to_string().contains("within 0.05 s"), "{error}");
        assert!(began.elapsed() < Duration::from_secs(5));
    }
}

#[test]
fn recurses() {
    for script in [
        "fn again(m) { again(m); }\nfn message(m) { again(m); }",
        "fn one(m) { 1 + two(m) } fn two(m) { 1 + one(m) }\nfn message(m) { let x = one(m); }",
        "fn message(m) { message(m); }",
        "fn message(m) { let f = |f| f.call(f); f.call(f); }",
    ] {
        // The stack of a thread of the runtime.
        let script = script.to_owned();
        let run = move || compile(&script).item(&facts(), content(MESSAGE)).unwrap_err();
        let thread = std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap();
        let error = thread.join().unwrap();
        assert_eq!(error.kind, RuleErrorKind::Limit, "{error}");
        assert!(error.to_string().contains("calls itself without end"), "{error}");
    }
}

#[test]
fn builds_what_is_too_large() {
    ends(
        "let s = \"x\"; for i in 0..40 { s += s; }",
        RuleErrorKind::Limit,
        "a string became too large",
    );
    ends(
        "let s = \"x\"; s.pad(1000000000, \"y\");",
        RuleErrorKind::Limit,
        "a string became too large",
    );
    ends(
        "let a = [1]; for i in 0..40 { a += a; }",
        RuleErrorKind::Limit,
        "an array became too large",
    );
    ends(
        "let a = []; a.pad(1000000000, 1);",
        RuleErrorKind::Limit,
        "an array became too large",
    );
    ends(
        "let a = []; for i in 0..100000 { a.push(i); }",
        RuleErrorKind::Limit,
        "an array became too large",
    );
    ends(
        "let a = #{}; for i in 0..200 { let b = #{}; for k in 0..100 { b[`${i} ${k}`] = i; } a += b; }",
        RuleErrorKind::Limit,
        "a map became too large",
    );
    ends(
        "let s = `${m.subject}`; for i in 0..40 { s = `${s}${s}`; }",
        RuleErrorKind::Limit,
        "a string became too large",
    );
    ends(
        "let a = \"x\"; a.replace(\"\", \"y\"); for i in 0..30 { a.replace(\"x\", \"xx\"); }",
        RuleErrorKind::Limit,
        "a string became too large",
    );
}

#[test]
fn decides_without_end() {
    ends(
        "loop { m.note(\"x\"); }",
        RuleErrorKind::Limit,
        "more than 100 decisions",
    );
    ends(
        "try { loop { m.note(\"x\"); } } catch { m.skip(\"caught\"); }",
        RuleErrorKind::Limit,
        "more than 100 decisions",
    );
}

#[test]
fn throws() {
    let error = ends(
        "throw \"no such luck\";",
        RuleErrorKind::Thrown,
        "the script gave up: no such luck",
    );
    assert_eq!(
        (error.problem.line, error.problem.source.as_deref()),
        (2, Some("throw \"no such luck\";"))
    );
    ends("throw;", RuleErrorKind::Thrown, "the script gave up");
    ends("throw #{ a: 1 };", RuleErrorKind::Thrown, "the script gave up");
}

#[test]
fn returns_something() {
    let error = ends(
        "\"skip\"",
        RuleErrorKind::Type,
        "message(m) returned a string; it decides by calling m.skip(…), m.move_to(…) and so on, and returns nothing",
    );
    assert_eq!(error.problem.line, 1);
    ends("return 5;", RuleErrorKind::Type, "returned a whole number");
    ends("m", RuleErrorKind::Type, "returned a message");
}

#[test]
fn looks_for_what_is_not_there() {
    assert_eq!(
        try_decide("if m.header(\"X-None\") == \"yes\" { m.skip(\"x\"); }").unwrap(),
        Decision::default()
    );
    let error = ends("m.note(m.sbject);", RuleErrorKind::Type, "a message has no sbject");
    assert_eq!(error.problem.hint.as_deref(), Some("did you mean subject?"));
    let error = ends("m.move_too(\"A\");", RuleErrorKind::Type, "a message has no move_too()");
    assert_eq!(error.problem.hint.as_deref(), Some("did you mean move_to?"));
    let error = ends(
        "m.skip();",
        RuleErrorKind::Type,
        "skip does not take nothing in its brackets",
    );
    assert_eq!(error.problem.hint.as_deref(), Some("write it as m.skip(reason)"));
    ends("m.skip(5);", RuleErrorKind::Type, "skip does not take a whole number");
    ends("m.subject();", RuleErrorKind::Type, "subject is written without ( )");
    ends("m.size = 5;", RuleErrorKind::Type, "cannot be changed by assignment");
    ends(
        "let a = [1]; m.note(`${a[5]}`);",
        RuleErrorKind::Type,
        "there is no element 5 in an array of 1",
    );
    ends("let a = 1 / 0;", RuleErrorKind::Type, "cannot be computed");
    ends(
        "let a = m.from + 1;",
        RuleErrorKind::Type,
        "does not work between an address and a whole number",
    );
    ends("let n = 5; for x in n { }", RuleErrorKind::Type, "needs an array");
    ends(
        "if m.size { m.keep(); }",
        RuleErrorKind::Type,
        "true or false is needed here",
    );
}

#[test]
fn changes_nothing() {
    for script in [
        "",
        "fn message(m) { }",
        "fn message(m) { let x = m.subject; x += \"y\"; }",
    ] {
        assert_eq!(
            compile(script).item(&facts(), content(MESSAGE)).unwrap(),
            Decision::default()
        );
    }
}

#[test]
fn reaches_for_what_is_not_allowed() {
    let error = refused("fn message(m) { eval(\"1\"); }").to_string();
    assert!(error.contains("eval cannot be used in rules"), "{error}");
    for call in [
        "sleep(1)",
        "timestamp()",
        "exit()",
        "rand()",
        "open_file(\"/etc/passwd\")",
        "read(\"/etc/passwd\")",
    ] {
        ends(&format!("{call};"), RuleErrorKind::Type, "there is no function");
    }
    for name in [
        "../../etc/passwd",
        "/etc/passwd",
        "..",
        "a/../b",
        ".hidden",
        "C:\\x",
        "",
        "a//b",
        "std/../x",
        "std/nothing",
    ] {
        let error = refused(&format!("import {name:?} as x;\nfn message(m) {{ }}"));
        assert_eq!((error.problems.len(), error.problems[0].line), (1, 1), "{error}");
    }
    let error = refused("fn message(m) { let n = \"a\"; import n as x; }");
    assert!(error.to_string().contains("fixed name in quotes"), "{error}");
}

#[test]
fn catching_the_end_of_a_run_does_not_help() {
    let rules = compile(
        "fn message(m) {
            try { let s = m.subject; } catch { m.skip(\"caught\"); }
            try { [1].for_each(|x| { let s = m.subject; }); } catch { m.skip(\"caught\"); }
            m.skip(\"went on\");
        }",
    );
    assert_eq!(rules.item_by_facts(&facts()).unwrap(), None);
    let rules = compile("fn message(m) { try { [1].for_each(|x| { let s = m.subject; }); } catch { } }");
    assert_eq!(rules.item_by_facts(&facts()).unwrap(), None);
}

#[test]
fn nests_deeply() {
    let deep = format!("fn message(m) {{ let x = {}1{}; }}", "(".repeat(5000), ")".repeat(5000));
    assert!(refused(&deep).to_string().contains("nested too deeply"));
    let deep = format!("fn message(m) {{ {} {} }}", "if true {".repeat(5000), "}".repeat(5000));
    assert!(refused(&deep).to_string().contains("nested too deeply"));
    let deep = format!("const A = {}{};", "[".repeat(5000), "]".repeat(5000));
    assert!(refused(&deep).to_string().contains("nested too deeply"));
}

#[test]
fn constants_stay_as_they_are() {
    let declared = "const LIST = [\"a\", \"b\"]; const MAP = #{ a: [1] }; const N = 1; const S = \"s\";\n";
    for change in [
        "LIST.push(\"c\");",
        "LIST[0] = \"x\";",
        "LIST += \"c\";",
        "MAP.b = 1;",
        "MAP[\"b\"] = 1;",
        "MAP.a.push(2);",
        "MAP.a[0] = 2;",
        "N = 2;",
        "N += 1;",
        "S += \"t\";",
        "LIST.clear();",
        "push(LIST, \"c\");",
        "let l = LIST; l.push(\"c\");",
        "let l = MAP.a; l.push(2);",
        "grow(LIST);",
        "MAP.remove(\"a\");",
        "[1].for_each(|x| LIST.push(\"c\"));",
        "let f = || LIST.push(\"c\"); f.call();",
        "LIST.for_each(|| this = \"z\");",
        "for x in LIST { x += \"y\"; }",
        "S.pad(10, \"x\");",
        "LIST.sort(|a, b| 1);",
        "let l = LIST; let g = || l.push(\"c\"); g.call();",
    ] {
        let script = format!(
            "{declared}fn grow(l) {{ l.push(\"c\"); }}\nfn message(m) {{ try {{ {change} }} catch {{ }} }}\nfn folder(f) {{ f.note(`${{LIST}} ${{MAP}} ${{N}} ${{S}}`); }}"
        );
        let Ok(rules) = whimbrel_rules::Rules::compile("rules.rhai", &script, &Options::default()) else {
            continue;
        };
        let folder = crate::support::folder();
        let before = rules.folder(&folder).unwrap().notes;
        for _ in 0..2 {
            rules
                .item(&facts(), content(MESSAGE))
                .unwrap_or_else(|error| panic!("{change}: {error}"));
        }
        assert_eq!(rules.folder(&folder).unwrap().notes, before, "{change}");
    }
    let rules = compile("const N = 1;\nfn message(m) { N = 2; }");
    let error = rules.item(&facts(), content(MESSAGE)).unwrap_err();
    assert!(error.to_string().contains("constant"), "{error}");
}
