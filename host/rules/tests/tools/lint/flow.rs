//! Conditions, statements that do nothing, and what nobody uses.

use whimbrel_rules::lint::{Level, lint_file};

use super::{clean, fails_when_it_runs, finds, found, in_message, level_of, options, run, shown};
use crate::support::folder;

#[test]
fn what_stands_at_both_ends_of_a_chain() {
    for line in [
        "if m.to.some(|a| a.name == m.subject) { m.keep(); }",
        "let l = [1]; if l.some(|a| l.len() > a) { m.keep(); }",
    ] {
        finds(&in_message(line), "used-twice", 2, "keep what is needed first");
        fails_when_it_runs(&in_message(line));
        assert!(
            run(&in_message(line))
                .unwrap_err()
                .contains("is used in the brackets as well"),
            "{line}"
        );
    }
    clean(&in_message(
        "let s = m.subject; if m.to.some(|a| a.name == s) { m.keep(); }",
    ));
    clean("const L = [1];\nfn message(m) { if L.some(|a| L.len() > a) { m.keep(); } }");
    let line = "let f = |x| x + 1; if f(1) > 2 { m.keep(); }";
    finds(&in_message(line), "unknown-function", 2, "f.call( … )");
    fails_when_it_runs(&in_message(line));
}

#[test]
fn code_that_is_never_reached() {
    for line in [
        "return; m.keep();",
        "throw \"x\"; m.keep();",
        "for a in m.to { break; m.keep(); }",
        "for a in m.to { continue; m.keep(); }",
        "if m.seen { return; } else { throw 1; } m.keep();",
        "switch m.size { 1 => return, _ => { return; } } m.keep();",
        "loop { m.note(\"x\"); } m.keep();",
        "{ return; } m.keep();",
        "try { return; } catch { throw 1; } m.keep();",
    ] {
        finds(&in_message(line), "unreachable", 2, "put it before");
        assert_eq!(level_of(&in_message(line)), Level::Warning, "{line}");
    }
    for line in [
        "if m.seen { return; } m.keep();",
        "loop { if !m.seen { break; } } m.keep();",
        "switch m.size { 1 => return, 2 => return } m.keep();",
        "try { return; } catch { } m.keep();",
        "while m.seen { return; } m.keep();",
    ] {
        clean(&in_message(line));
    }
}

#[test]
fn conditions_that_are_known_before() {
    for (line, code, hint) in [
        ("if true { m.keep(); }", "constant-condition", "say what it depends on"),
        (
            "while false { m.keep(); }",
            "constant-condition",
            "say what it depends on",
        ),
        (
            "if m.seen && false { m.keep(); }",
            "constant-condition",
            "say what it depends on",
        ),
        (
            "if 1 == 2 { m.keep(); }",
            "constant-condition",
            "compare with something",
        ),
        (
            "if m.subject == m.subject { m.keep(); }",
            "constant-condition",
            "compare with something",
        ),
        (
            "if m.has_keyword(\"\\\\Seen\") { m.keep(); }",
            "constant-condition",
            "use has_flag",
        ),
        (
            "if m.role == \"spam\" { m.keep(); }",
            "never-equal",
            "did you mean \"junk\"?",
        ),
        (
            "if m.role == \"Sent\" { m.keep(); }",
            "never-equal",
            "did you mean \"sent\"?",
        ),
        (
            "if \"snet\" != m.role { m.keep(); }",
            "never-equal",
            "did you mean \"sent\"?",
        ),
        (
            "let r = m.role; if r == \"bin\" { m.keep(); }",
            "never-equal",
            "did you mean \"trash\"?",
        ),
        (
            "if m.role in [\"junk\", \"spam\"] { m.keep(); }",
            "never-equal",
            "did you mean \"junk\"?",
        ),
        (
            "switch m.role { \"junk\" => m.keep(), \"spam\" => m.keep() }",
            "never-equal",
            "did you mean \"junk\"?",
        ),
        (
            "if m.folder == \"A\\\\B\" { m.keep(); }",
            "never-equal",
            "write \"A/B\"",
        ),
        (
            "if m.in_folder(\"A\\\\B\") { m.keep(); }",
            "never-equal",
            "write \"A/B\"",
        ),
        ("if m.folder == \"/A\" { m.keep(); }", "never-equal", "write \"A\""),
        ("if m.folder == \"\" { m.keep(); }", "never-equal", "leave this out"),
        (
            "if m.from.domain == \"Example.org\" { m.keep(); }",
            "never-equal",
            "write \"example.org\"",
        ),
        (
            "if m.from.domain == \"@example.org\" { m.keep(); }",
            "never-equal",
            "write \"example.org\"",
        ),
        (
            "if m.content_type == \"Text/Plain\" { m.keep(); }",
            "never-equal",
            "write \"text/plain\"",
        ),
        (
            "if m.list_id == \"<a.b>\" { m.keep(); }",
            "never-equal",
            "write \"a.b\"",
        ),
        ("if m.received.month == 13 { m.keep(); }", "never-equal", "from 1 to 12"),
        ("if m.size == \"5\" { m.keep(); }", "never-equal", "without quotes"),
        ("if m.from == 3 { m.keep(); }", "never-equal", "an address in quotes"),
        ("if m.seen == \"yes\" { m.keep(); }", "never-equal", "true or false"),
        (
            "if m.received > \"2020-01-01\" { m.keep(); }",
            "never-equal",
            "write date(",
        ),
        (
            "if m.subject == () { m.keep(); }",
            "never-equal",
            "a text that is missing is \"\"",
        ),
        ("if m.labels == \"Work\" { m.keep(); }", "never-equal", "in …"),
        ("switch m.size { \"5\" => m.keep() }", "never-equal", ""),
        (
            "if m.seen { m.keep(); } else if m.seen { m.note(\"x\"); }",
            "repeated-condition",
            "correct the condition",
        ),
        (
            "if m.is_from(\"a\") { m.keep(); } else { if m.is_from(\"a\") { m.note(\"x\"); } }",
            "repeated-condition",
            "correct the condition",
        ),
        (
            "switch m.role { \"sent\" => m.keep(), \"junk\" | \"sent\" => m.note(\"x\") }",
            "repeated-case",
            "leave one",
        ),
        (
            "switch m.size { 1 => { m.keep(); } 1 if m.seen => m.note(\"x\") }",
            "repeated-case",
            "leave one",
        ),
    ] {
        finds(&in_message(line), code, 2, hint);
        assert_eq!(level_of(&in_message(line)), Level::Warning, "{line}");
        let decided = run(&in_message(line));
        assert!(decided.is_ok_and(|decided| decided.steps.len() <= 1), "{line}");
    }
    finds(
        "fn failure(e) { if e.side == \"target\" { e.retry(); } }",
        "never-equal",
        1,
        "\"source\" or \"destination\"",
    );
    for line in [
        "if m.role == \"\" || m.role == \"junk\" { m.keep(); }",
        "if m.from == \"a@b.example\" || m.received == () || m.received == m.sent { m.keep(); }",
        "if m.spam_score > 5 && m.size > 1.5 { m.keep(); }",
        "if m.seen { m.keep(); } else if !m.seen { m.note(\"x\"); }",
        "switch m.role { \"a\" if m.seen => m.keep(), _ => m.note(\"x\") }"
            .replace("\"a\"", "\"sent\"")
            .as_str(),
        "switch m.role { \"sent\" if m.seen => m.keep(), \"sent\" => m.note(\"x\"), _ => () }",
        "if m.subject[0] == \"a\" { m.keep(); }",
        "while true { break; }",
        "if m.mailbox.get(\"a\") == \"Spam\" { m.keep(); }",
    ] {
        clean(&in_message(line));
    }
}

#[test]
fn conditions_and_loops_need_the_right_values() {
    for (line, code, hint) in [
        ("if m.size { m.keep(); }", "not-a-condition", "… > 0"),
        ("if m.subject && m.seen { m.keep(); }", "not-a-condition", "!= \"\""),
        ("if !m.from { m.keep(); }", "not-a-condition", "true or false"),
        ("for x in m.size { m.keep(); }", "not-iterable", ""),
        ("for x in m.mailbox.attributes { m.keep(); }", "not-iterable", ".keys()"),
    ] {
        finds(&in_message(line), code, 2, hint);
        fails_when_it_runs(&in_message(line));
    }
}

#[test]
fn answers_that_nobody_hears() {
    for line in [
        "m.has_flag(\"x\"); m.keep();",
        "m.subject; m.keep();",
        "m.subject == \"x\"; m.keep();",
        "let s = m.subject; s.to_lower(); m.note(s);",
        "if m.seen { m.is_from(\"x\"); m.keep(); }",
        "`${m.subject}`; m.keep();",
        "m.to.len(); m.keep();",
    ] {
        finds(&in_message(line), "unused-result", 2, "use it in a condition");
    }
    for line in [
        "let s = m.subject; s.make_lower(); s.trim(); m.note(s);",
        "let a = [1]; a.pop(); a.sort(); m.note(`${a}`);",
        "print(\"x\"); m.keep();",
        "let all = m.to; all.for_each(|| m.note(\"x\")); m.keep();",
        "let all = m.to; all.map(|a| m.note(a.address)); m.keep();",
    ] {
        clean(&in_message(line));
    }
    for (script, line) in [
        ("fn message(m) {\n    m.has_flag(\"x\");\n}", 2),
        ("fn message(m) {\n    if m.seen { m.subject }\n}", 2),
        ("fn message(m) {\n    return m.size;\n}", 2),
        ("fn message(m) {\n    asks(m);\n}\nfn asks(m) { m.seen }", 2),
        ("fn message(m) {\n    switch m.size { 1 => true, _ => m.keep() }\n}", 2),
    ] {
        finds(script, "hook-returns-value", line, "write return; in a line below");
        assert_eq!(level_of(script), Level::Error);
    }
    clean("fn message(m) { m.keep(); }\nfn folder(f) { if f.depth > 1 { f.keep() } else { f.note(\"x\"); } }");
}

#[test]
fn what_nobody_uses() {
    finds(
        "fn message(m) { m.keep(); }\nfn old(m) { older(m); }\nfn older(m) { m.keep(); }"
            .replace("older(m); }\nfn older(m) { m.keep(); }", "m.keep(); }")
            .as_str(),
        "unused-function",
        2,
        "call it from a hook",
    );
    let both = found("fn message(m) { m.keep(); }\nfn one(m) { two(m); }\nfn two(m) { one(m); }");
    assert_eq!(
        both.iter().map(|one| (one.code, one.problem.line)).collect::<Vec<_>>(),
        [("unused-function", 2), ("unused-function", 3)]
    );
    finds(
        "const A = 1;\nfn message(m) { m.keep(); }",
        "unused-constant",
        1,
        "leave it out",
    );
    finds(
        "import \"std/spam\" as spam;\nfn message(m) { m.keep(); }",
        "unused-import",
        1,
        "leave the import out",
    );
    finds(
        &in_message("let x = m.subject;\nm.keep();"),
        "unused-variable",
        2,
        "leave it out",
    );
    finds(
        &in_message("let x = 1;\nx = 2;\nm.keep();"),
        "unused-variable",
        2,
        "leave it out",
    );
    for script in [
        "const A = 1;\nconst B = A + 1;\nfn message(m) { if m.size > B { m.keep(); } }",
        "const A = 1;\nfn message(m) { if m.to.some(|t| t.name.len() > A) { m.keep(); } }",
        "fn message(m) { let x = 1; let f = || x + 1; m.note(`${f.call()}`); }",
        "fn message(m) { let _x = 1; m.keep(); }",
        "fn message(m) { let l = [\"b\", \"a\"]; l.sort(Fn(\"order\")); m.note(l[0]); }\nfn order(a, b) { if a < b { -1 } else { 1 } }",
        "fn message(m) { if m.to.some(\"own\") { m.keep(); } }\nfn own(a) { a.domain == \"a.example\" }",
        "fn message(m) { m.size.decide(m); }\nfn decide(m) { if this > 5 { m.keep(); } }",
    ] {
        clean(script);
    }
    let modules = folder(&[
        ("rules.rhai", "import \"one\" as one;\nfn message(m) { one::rule(m); }"),
        (
            "one.rhai",
            "fn rule(m) { m.keep(); }\nfn for_others(m) { m.keep(); }\nprivate fn mine(m) { m.keep(); }",
        ),
    ]);
    let findings = lint_file(&modules.path().join("rules.rhai"), &options());
    assert_eq!(findings.len(), 1, "{}", shown(&findings));
    assert_eq!((findings[0].code, findings[0].problem.line), ("unused-function", 3));
}

#[test]
fn hooks_that_are_none() {
    finds(
        "fn mesage(m) { m.keep(); }",
        "nearly-a-hook",
        1,
        "did you mean fn message(m)?",
    );
    finds(
        "fn folder(f) { f.keep(); }\nfn Message(m) { m.keep(); }",
        "nearly-a-hook",
        2,
        "did you mean fn message(m)?",
    );
    finds(
        "fn message(m, n) { m.keep(); }",
        "hook-parameters",
        1,
        "write fn message(m)",
    );
    let nothing = found("fn rule(m) { m.keep(); }");
    assert_eq!(nothing.len(), 1, "{}", shown(&nothing));
    assert_eq!((nothing[0].code, nothing[0].problem.line), ("no-hook", 0));
    assert_eq!(found("")[0].code, "no-hook");
}

#[test]
fn decisions_that_do_not_last() {
    for line in [
        "m.move_to(\"A\"); m.move_to(\"B\");",
        "m.move_to(\"A\"); m.note(\"x\"); m.move_to_role(\"sent\");",
        "m.skip(\"a\"); m.keep();",
        "m.move_to(\"A\"); m.send_to(\"bob\", \"B\");",
        "m.set_flag(\"Seen\"); m.clear_flag(\"\\\\seen\");",
        "m.add_label(\"a\"); m.remove_label(\"A\");",
        "m.detach(5); m.detach(6);",
    ] {
        finds(&in_message(line), "overwritten", 2, "the last of such calls counts");
    }
    finds(
        "fn failure(e) { e.retry(); e.stop(\"x\"); }",
        "overwritten",
        1,
        "the last of such calls counts",
    );
    for line in [
        "m.move_to(\"A\"); if m.seen { return; } m.move_to(\"B\");",
        "if m.seen { m.move_to(\"A\"); } else { m.move_to(\"B\"); }",
        "m.copy_to(\"A\"); m.copy_to(\"B\"); m.add_keyword(\"a\"); m.add_keyword(\"b\");",
        "m.send_to(\"bob\", \"B\"); m.send_to(\"ann\");",
        "m.skip(\"a\"); m.move_to(\"B\");",
    ] {
        clean(&in_message(line));
    }
}
