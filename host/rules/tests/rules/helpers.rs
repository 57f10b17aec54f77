//! Dates, sizes, texts.

use whimbrel_rules::Options;

use crate::support::{compile, compile_with, content, facts, holds, try_decide, value};

#[test]
fn dates_are_compared_and_computed_with() {
    holds(&[
        r#"date("2020-01-31") < date("2020-02-01") && date("2020-01-31T12:00:00Z") > date("2020-01-31")"#,
        r#"date("2020-01-31T10:00:00+02:00") == date("2020-01-31T08:00:00Z")"#,
        r#"date("2020-01-31T10:00:00+02:00").hour == 10"#,
        r#"date("2020-03-01") - days(1) == date("2020-02-29")"#,
        r#"date("2020-02-29") - years(1) == date("2019-02-28")"#,
        r#"date("2020-02-29") + days(1) >= date("2020-03-01")"#,
        r#"date("2020-01-01").days_before(date("2020-01-31")) == 30"#,
        r#"date("2020-01-31").days_before(date("2020-01-01")) == -30"#,
        r#"date("2020-01-27").weekday == 1 && date("2020-01-27").unix == 1580083200"#,
        r#"date("1970-01-02").month == 1 && date("1970-01-02").day == 2 && date("1970-01-02").minute == 0"#,
        r#"date("2020-01-31").to_string() == "2020-01-31T00:00:00Z""#,
        r#"!(date("2020-01-31") < ()) && !(() < date("2020-01-31")) && !(date("2020-01-31") == ())"#,
        r#"date("2020-01-31") != () && !(() >= date("2020-01-31"))"#,
    ]);
    for wrong in [
        r#"date("31.1.2020")"#,
        r#"date("")"#,
        "date(\"2020-01-01\") + years(1000000)",
        "date(\"2020-01-01\") - days(9223372036854775807)",
    ] {
        let error = try_decide(&format!("let d = {wrong};")).unwrap_err();
        assert!(error.to_string().contains("date"), "{wrong}: {error}");
    }
}

#[test]
fn the_beginning_is_known_only_where_it_is_told() {
    let script = "fn message(m) { m.note(`${started()}`); }";
    let error = compile(script).item(&facts(), content("")).unwrap_err();
    assert!(error.to_string().contains("not known here"), "{error}");
    let options = Options {
        started: Some(0),
        ..Options::default()
    };
    let mut rules = compile_with(script, &options);
    assert_eq!(
        rules.item(&facts(), content("")).unwrap().notes,
        ["1970-01-01T00:00:00Z"]
    );
    rules.set_started(86_400);
    assert_eq!(
        rules.item(&facts(), content("")).unwrap().notes,
        ["1970-01-02T00:00:00Z"]
    );
}

#[test]
fn sizes_and_texts() {
    holds(&[
        "kb(2) == 2048 && 5.mb() == mb(5) && gb(1) == 1073741824 && 1.5.kb() == 1536",
        r#""Report.PDF".matches("*.pdf") && !"a.pdfx".matches("*.pdf") && "abc".matches("a?c") && "a.c".matches("A.C")"#,
        r#"!"abc".matches("a.c") && "a\nb".matches("a*")"#,
        r#""Re: x".like("(?i)^re:") && !"x".like("^y")"#,
        r#""ÄB".same_as("äb") && !"a".same_as("b")"#,
        r#"["a", "b"].join() == "a/b" && ["a", "b"].join(", ") == "a, b" && [].join() == """#,
        r#"last_segment("a/b/c") == "c" && parent_of("a/b/c") == "a/b" && parent_of("a") == "" && last_segment("a") == "a""#,
    ]);
    assert_eq!(value(r#"m.path.join(".")"#), "Archive.2019");
    for (wrong, says) in [
        ("gb(9223372036854775807)", "too large a number"),
        (r#""a".like("(")"#, "no regular expression"),
        (r#""a".like("a{1000}{1000}{1000}")"#, "no regular expression"),
        ("[1].join()", "puts strings together"),
    ] {
        let error = try_decide(&format!("let x = {wrong};")).unwrap_err();
        assert!(error.to_string().contains(says), "{wrong}: {error}");
    }
}

#[test]
fn printing_harms_nobody() {
    try_decide(r#"let x = "ä"; x.pad(5000, "ä"); print(x); debug(x); print(m.from); debug(m.received);"#).unwrap();
}
