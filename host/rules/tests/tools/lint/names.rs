//! Names, types and values.

use std::collections::BTreeMap;

use whimbrel_rules::lint::{Level, lint, lint_file};
use whimbrel_rules::{Options, SetValue};

use super::{clean, fails_when_it_runs, finds, found, in_message, level_of, options, shown, silent};
use crate::support::folder;

#[test]
fn names_that_are_not_there() {
    for (line, code, hint) in [
        ("m.note(m.sbject);", "unknown-property", "did you mean subject?"),
        ("m.note(m.from.adress);", "unknown-property", "did you mean address?"),
        (
            "for a in m.to { m.note(a.domian); }",
            "unknown-property",
            "did you mean domain?",
        ),
        (
            "let a = m.attachments; m.note(a[0].nmae);",
            "unknown-property",
            "did you mean name?",
        ),
        (
            "if m.attachments.some(|a| a.szie > 5) { m.keep(); }",
            "unknown-property",
            "did you mean size?",
        ),
        ("m.note(m.mailbox.nam);", "unknown-property", "did you mean name?"),
        (
            "m.note(`${m.received.yaer}`);",
            "unknown-property",
            "did you mean year?",
        ),
        ("m.note(m.subject.lenth);", "unknown-property", "did you mean len?"),
        ("m.move_too(\"A\");", "unknown-method", "did you mean move_to?"),
        (
            "m.subscribe(true);",
            "unknown-method",
            "that is for a folder: f.subscribe(bool)",
        ),
        ("m.retry();", "unknown-method", "that is for a failure: e.retry()"),
        (
            "m.note(m.subject.to_lowr());",
            "unknown-method",
            "did you mean to_lower?",
        ),
        (
            "if strats_with(m.subject, \"A\") { m.keep(); }",
            "unknown-function",
            "did you mean starts_with?",
        ),
        ("has_flagg(m);", "unknown-function", "did you mean"),
        ("move_to_roles();", "unknown-function", "did you mean move_to_role?"),
        (
            "if m.subject() == \"\" { m.keep(); }",
            "property-with-brackets",
            "write .subject",
        ),
        (
            "if m.is_from { m.keep(); }",
            "method-without-brackets",
            "write it as m.is_from(text)",
        ),
        (
            "m.note(m.subject.to_lower);",
            "method-without-brackets",
            "write to_lower( )",
        ),
    ] {
        finds(&in_message(line), code, 2, hint);
        assert_eq!(level_of(&in_message(line)), Level::Error, "{line}");
        fails_when_it_runs(&in_message(line));
    }
    finds(
        "fn mailbox(b) { b.note(b.nmae); }",
        "unknown-property",
        1,
        "did you mean name?",
    );
    finds(
        "fn folder(f) { f.note(f.segmnets[0]); }",
        "unknown-property",
        1,
        "did you mean segments?",
    );
    finds(
        "fn failure(e) { if e.attemps > 3 { e.retry(); } }",
        "unknown-property",
        1,
        "did you mean attempts?",
    );
    finds(
        "fn folder(f) { f.add_label(\"x\"); }",
        "unknown-method",
        1,
        "that is for a message",
    );
}

#[test]
fn types_go_through_functions() {
    finds(
        "fn message(m) { rule(m); }\nfn rule(x) { deeper(x.mailbox, x); }\nfn deeper(b, y) { y.note(b.name + y.sbject); }",
        "unknown-property",
        3,
        "did you mean subject?",
    );
    let two = "fn message(m) { rule(m); }\nfn folder(f) { rule(f); }\nfn rule(x) { x.note(x.segments[0]); }";
    silent(two);
    silent("fn message(m) { let x = m; x = m.from; x.note(x.anything); }");
    clean("fn message(m) { let all = []; all.push(m); for x in all { x.note(x.subject); } }");
    clean("fn message(m) { let f = |x| x.whatever; m.note(f.call(#{ whatever: \"a\" })); }");
    silent("fn message(m) { let x = #{ a: |t| t }; m.note(x.anything.goes); x.a(5); }");
    finds(
        "fn message(m) { if of(m) == 5 { m.keep(); } }\nfn of(m) { m.subject }",
        "never-equal",
        1,
        "",
    );
    let modules = folder(&[
        (
            "rules.rhai",
            "import \"own/one\" as one;\nfn message(m) { one::rule(m); }",
        ),
        ("own/one.rhai", "fn rule(m) {\n    m.skipp(\"x\");\n}"),
    ]);
    let findings = lint_file(&modules.path().join("rules.rhai"), &options());
    assert_eq!(findings.len(), 1, "{}", shown(&findings));
    assert_eq!(
        findings[0].problem.to_string(),
        "own/one.rhai:2:7: a message has no skipp()"
    );
}

#[test]
fn values_in_brackets() {
    for (line, code, hint) in [
        ("m.skip(3);", "wrong-argument-type", "write it as m.skip(reason)"),
        ("m.skip(m.size);", "wrong-argument-type", "write it as m.skip(reason)"),
        (
            "m.set_flag(true);",
            "wrong-argument-type",
            "write it as m.set_flag(name)",
        ),
        ("m.move_to(5);", "bad-folder", ""),
        ("m.skip();", "wrong-argument-count", "write it as m.skip(reason)"),
        (
            "m.skip(\"a\", \"b\");",
            "wrong-argument-count",
            "write it as m.skip(reason)",
        ),
        ("m.keep(true);", "wrong-argument-count", "write it as m.keep()"),
        (
            "m.note(last_segment());",
            "wrong-argument-count",
            "write it as last_segment(path)",
        ),
        (
            "m.note(m.subject.sub_string());",
            "wrong-argument-count",
            "it takes 1 or 2",
        ),
        ("if 5 in m.size { m.keep(); }", "wrong-argument-type", ""),
        ("m.move_to_role(\"snet\");", "bad-role", "did you mean \"sent\"?"),
        ("m.set_flag(\"a b\");", "bad-flag", ""),
        ("m.set_flag(\"\\\\Recent\");", "bad-flag", ""),
        ("m.add_keyword(\"\\\\Seen\");", "bad-keyword", ""),
        ("m.move_to(\"A//B\");", "bad-folder", ""),
        ("m.copy_to([\"A\", \"\"]);", "bad-folder", ""),
        ("m.send_to(\" \");", "bad-folder", ""),
        ("m.skip(\" \");", "bad-value", ""),
        ("m.set_header(\"A B\", \"x\");", "bad-header", ""),
        (
            "m.rewrite_domain(\"a.example\", \"b.example\", #{ sgined: true });",
            "bad-address",
            "did you mean \"signed\"?",
        ),
        ("m.detach(-1);", "bad-value", ""),
        ("if m.subject.like(\"[\") { m.keep(); }", "bad-pattern", ""),
        ("if like(m.subject, \"(\") { m.keep(); }", "bad-pattern", ""),
        ("if m.received < date(\"2020-13-01\") { m.keep(); }", "bad-date", ""),
        ("if m.size > 9223372036854775807.kb() { m.keep(); }", "bad-value", ""),
    ] {
        // What is tried by running tells what to do in the message itself.
        let script = in_message(line);
        let findings = found(&script);
        assert_eq!(findings.len(), 1, "{line}\n{}", shown(&findings));
        assert_eq!(
            (findings[0].code, findings[0].level),
            (code, Level::Error),
            "{line}\n{}",
            shown(&findings)
        );
        assert!(
            findings[0].problem.hint.as_deref().unwrap_or_default().contains(hint),
            "{line}"
        );
        fails_when_it_runs(&script);
    }
    clean(&in_message(
        "m.move_to([\"A\", m.subject]); m.set_header(\"X-A\", m.subject); m.detach(5.mb());",
    ));
    finds(
        "fn message(m) { rule(m, 5); }\nfn rule(m) { m.keep(); }",
        "wrong-argument-count",
        1,
        "",
    );
    finds(
        "import \"std/sizes\" as sizes;\nfn message(m) { sizes::leave_out_over(m); }",
        "wrong-argument-count",
        2,
        "",
    );
    finds(
        "import \"std/sizes\" as sizes;\nfn message(m) { sizes::leave_out_ovr(m, 5); }",
        "unknown-function",
        2,
        "did you mean sizes::leave_out_over?",
    );
    finds(
        "import \"std/sizes\" as sizes;\nfn message(m) { m.note(sizes::in_tenths(5, 6)); }",
        "unknown-function",
        2,
        "private",
    );
}

#[test]
fn constants_are_tried_with_the_values_of_the_settings() {
    let script = "const ROLE = \"sent\";\nfn message(m) { m.move_to_role(ROLE); }";
    clean(script);
    silent(
        "const A = \"snet\";\nfn message(m) { for A in m.keywords { let f = || m.move_to_role(A); f.call(); } }\nfn folder(f) { f.note(A); }",
    );
    let options = Options {
        set: BTreeMap::from([("ROLE".to_owned(), SetValue::Text("snet".to_owned()))]),
        ..options()
    };
    let findings = lint("rules.rhai", script, &options);
    assert_eq!(findings.len(), 1, "{}", shown(&findings));
    assert_eq!(findings[0].code, "bad-role");
}

#[test]
fn what_belongs_elsewhere() {
    for line in ["m.mailbox.skip(\"x\");", "let b = m.mailbox; b.note(\"x\");"] {
        finds(&in_message(line), "wrong-hook", 2, "put it into fn mailbox(b)");
        fails_when_it_runs(&in_message(line));
    }
    clean("fn mailbox(b) { rule(b); }\nfn rule(b) { b.skip(\"x\"); }");
    for (line, hint) in [
        ("m.size = 5;", ""),
        ("m.subject = \"x\";", "use set_header(\"Subject\", …)"),
        ("m.flagged = true;", "use set_flag(…) or clear_flag(…)"),
    ] {
        finds(&in_message(line), "assigned-property", 2, hint);
        fails_when_it_runs(&in_message(line));
    }
    finds(
        "fn folder(f) { f.name = \"x\"; }",
        "assigned-property",
        1,
        "use move_to(…)",
    );
    let script = in_message("m.detach(m.size);");
    clean(&script);
    let findings = lint("rules.rhai", &script, &Options::default());
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].code, "detach-without-attachments");
    finds(
        &in_message("m.labels.push(\"x\");"),
        "changes-a-copy",
        2,
        "use add_label(…)",
    );
    finds(
        &in_message("m.subject.replace(\"a\", \"b\");"),
        "changes-a-copy",
        2,
        "use set_header(",
    );
    clean(&in_message("let s = m.subject; s.replace(\"a\", \"b\"); m.note(s);"));
}
