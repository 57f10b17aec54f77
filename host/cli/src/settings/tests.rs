use std::path::Path;

use serde_json::json;
use whimbrel_wire::Credentials;

use super::*;

const GOOD: &str = r#"
[migration]
name = "acme"

[source]
connector = "imap"
settings = { host = "mail.old.example", port = 993, tls = "implicit" }
allow = ["api.example.org"]
ca = "ca.pem"

[destination]
connector = "./maildir.wasm"
settings = { root = "out" }

[limits]
mailboxes = 2
memory = "64MiB"
cpu = "1m"
max_item = 50_000_000

[folders]
map = { "Gesendet" = "Sent" }
exclude = ["Spam"]

[[mailbox]]
name = "alice"
source = { user = "alice@old.example", password = { file = "alice.txt" } }
destination = { user = "alice" }
"#;

fn parse(text: &str) -> Result<Settings> {
    Settings::parse(Path::new("/etc/w/whimbrel.toml"), text)
}

fn refused(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(problem) => problem.render(),
    }
}

/// Good settings with one line instead of another.
fn with(line: &str, instead: &str) -> String {
    assert!(GOOD.contains(line), "{line}");
    GOOD.replace(line, instead)
}

#[test]
fn everything_arrives_where_it_belongs() {
    let settings = parse(GOOD).unwrap();
    assert_eq!(settings.name, "acme");
    assert_eq!(settings.state, Path::new("/etc/w/state"));
    assert_eq!(settings.source.connector, "imap");
    assert_eq!(
        Value::from(settings.source.settings),
        json!({ "host": "mail.old.example", "port": 993, "tls": "implicit" })
    );
    assert_eq!(settings.source.allow, ["api.example.org"]);
    assert_eq!(settings.source.ca.as_deref(), Some(Path::new("/etc/w/ca.pem")));
    assert_eq!(settings.destination.connector, "./maildir.wasm");
    let limits = Limits {
        mailboxes: 2,
        memory: 64 << 20,
        cpu: Duration::from_secs(60),
        max_item: Some(50_000_000),
        ..Limits::default()
    };
    assert_eq!(settings.limits, limits);
    assert_eq!(settings.folders.map["Gesendet"], "Sent");
    assert_eq!(settings.folders.exclude, ["Spam"]);
    assert_eq!(settings.mailboxes.len(), 1);
    assert_eq!(settings.mailboxes[0].source.values["user"], "alice@old.example");
    assert!(settings.mailboxes[0].source.values.get("password").is_none());
    assert!(settings.warnings.is_empty());
}

#[test]
fn the_defaults_are_those_that_the_docs_state() {
    let limits = Limits::default();
    for key in keys::LIMITS {
        let stated = match key.name {
            "mailboxes" => limits.mailboxes.to_string(),
            "connections" => limits.connections.to_string(),
            "memory" => format!("{}MiB", limits.memory >> 20),
            "cpu" => format!("{}s", limits.cpu.as_secs()),
            "plugin_memory" => format!("{}MiB", limits.plugin_memory >> 20),
            "max_item" => String::new(),
            "retries" => limits.retries.to_string(),
            "quiet" => format!("{}s", limits.quiet.as_secs()),
            other => panic!("{other} is not looked at here"),
        };
        assert_eq!(key.default, stated, "{}", key.name);
    }
    let text = keys::document();
    assert!(
        text.contains("### `[[mailbox]]`") && text.contains("| `memory` | size"),
        "{text}"
    );
}

#[test]
fn each_mistake_has_its_place_and_remedy() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "connector = \"imap\"",
            "conector = \"imap\"",
            &[
                "no setting `conector` in `source`",
                ":6:1",
                "did you mean `connector`?",
                "`connector` is missing in `source`",
            ],
        ),
        (
            "connector = \"imap\"",
            "connector = 7",
            &[
                "`source.connector` must be a text, not an integer",
                ":6:13",
                "put it in quotes",
            ],
        ),
        (
            "connector = \"imap\"",
            "connector = \" \"",
            &["`source.connector` is empty"],
        ),
        (
            "mailboxes = 2",
            "mailboxes = 0",
            &["`limits.mailboxes` is out of range", ":16:13", "whole number from 1"],
        ),
        (
            "memory = \"64MiB\"",
            "memory = \"lots\"",
            &["`lots` is not a size", "e.g. \"256MiB\""],
        ),
        ("cpu = \"1m\"", "cpu = \"soon\"", &["`soon` is not a time"]),
        (
            "allow = [\"api.example.org\"]",
            "allow = \"api.example.org\"",
            &[
                "`source.allow` must be a list of texts, not a text",
                "write allow = [\"…\"]",
            ],
        ),
        (
            "exclude = [\"Spam\"]",
            "skip = [\"Spam\"]",
            &["no setting `skip` in `folders`", "known here: map, exclude"],
        ),
        (
            "map = { \"Gesendet\" = \"Sent\" }",
            "map = { \"Gesendet\" = 1 }",
            &["`folders.map` must be a table"],
        ),
        (
            "[limits]",
            "[limit]",
            &["no setting `limit` at the top", "did you mean `limits`?"],
        ),
        (
            "[limits]",
            "[rules]\nscript = \"rules.rhai\"\n[limits]",
            &["does not run rule scripts", "remove the section"],
        ),
        ("name = \"acme\"", "name = \"acme", &["not valid TOML", ":3:"]),
        (
            "{ file = \"alice.txt\" }",
            "{ fil = \"alice.txt\" }",
            &["no setting `fil` in `source.password`", "did you mean `file`?"],
        ),
        (
            "{ file = \"alice.txt\" }",
            "{ }",
            &["`source.password` does not say where it lies", "{ env = \"VARIABLE\" }"],
        ),
        (
            "{ file = \"alice.txt\" }",
            "{ file = \"a\", env = \"B\" }",
            &["both env and file"],
        ),
        ("{ file = \"alice.txt\" }", "7", &["`source.password` must be a table"]),
        (
            "{ file = \"alice.txt\" }",
            "{ env = \"A\" }, token = { env = \"B\" }",
            &["both a password and a token"],
        ),
        (
            "settings = { root = \"out\" }",
            "settings = { root = \"out\", password = \"x\" }",
            &["must not hold a `password`", "[[mailbox]]"],
        ),
        (
            "[[mailbox]]\n",
            "[[mailbox]]\nname = \"alice\"\n[[mailbox]]\n",
            &["two mailboxes are called `alice`", "the first is at"],
        ),
        ("name = \"alice\"", "name = \"a\\u0007b\"", &["control characters"]),
    ];
    for (line, instead, parts) in cases {
        let text = refused(&with(line, instead));
        for part in *parts {
            assert!(text.contains(part), "{part:?} is missing for {instead:?} in\n{text}");
        }
        assert!(text.contains("/etc/w/whimbrel.toml"), "{text}");
    }
}

#[test]
fn what_is_missing_is_asked_for() {
    let text = refused("");
    for part in [
        "`[migration]` is missing",
        "`[source]` is missing",
        "`[destination]` is missing",
        "has 3 problems",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let (head, _) = GOOD.split_once("[[mailbox]]").unwrap();
    let text = refused(head);
    assert!(
        text.contains("no mailbox is named") && text.contains("[[mailbox]]"),
        "{text}"
    );
}

#[test]
fn several_mistakes_are_told_at_once() {
    let text = refused(&with("connector = \"imap\"", "connector = 7").replace("mailboxes = 2", "mailbox = 2"));
    assert!(text.contains("has 2 problems"), "{text}");
}

#[test]
fn a_literal_secret_is_accepted_with_a_warning_and_never_shown() {
    let text = with("{ file = \"alice.txt\" }", "\"hunter2\"");
    let settings = parse(&text).unwrap();
    let Credentials::Password { user, password } = settings.mailboxes[0].source.credentials("alice").unwrap() else {
        panic!("not a password")
    };
    assert_eq!((user.as_str(), password.expose()), ("alice@old.example", "hunter2"));
    let warning = settings.warnings[0].render();
    assert!(
        warning.contains("stands in the settings file") && !warning.contains("hunter2"),
        "{warning}"
    );

    // Nor in an error about the same line.
    let text = refused(&text.replace("user = \"alice@old.example\"", "user = nan"));
    assert!(text.contains("cannot be used") && !text.contains("hunter2"), "{text}");
}

#[test]
fn a_secret_needs_a_user() {
    let settings = parse(&with("user = \"alice@old.example\", ", "")).unwrap();
    let problem = settings.mailboxes[0]
        .source
        .credentials("mailbox `alice` at the source")
        .unwrap_err();
    assert!(
        problem
            .render()
            .contains("mailbox `alice` at the source has a password but no `user`")
    );
}

#[test]
fn a_settings_file_that_cannot_be_read_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let missing = Settings::load(&folder.path().join("no.toml")).err().unwrap().render();
    assert!(
        missing.contains("cannot read the settings file") && missing.contains("-c FILE"),
        "{missing}"
    );
    let odd = folder.path().join("odd.toml");
    std::fs::write(&odd, b"a = 1\nb = \"\xff\"\n").unwrap();
    let text = Settings::load(&odd).err().unwrap().render();
    assert!(text.contains("is not UTF-8 (line 2)"), "{text}");
    assert!(Settings::load(folder.path()).is_err());
}

#[test]
fn only_named_mailboxes_stay() {
    let mut settings = parse(GOOD).unwrap();
    settings.only(&[]).unwrap();
    assert_eq!(settings.mailboxes.len(), 1);
    let text = settings.only(&["alise".into()]).unwrap_err().render();
    assert!(
        text.contains("there is no mailbox `alise`") && text.contains("did you mean `alice`?"),
        "{text}"
    );
    let text = settings.only(&["zzz".into()]).unwrap_err().render();
    assert!(text.contains("the mailboxes here: alice"), "{text}");
}

/// Settings with a CSV file of this content instead of a mailbox.
fn fleet(csv: &[u8]) -> Result<Settings> {
    let folder = tempfile::tempdir().unwrap();
    let (head, _) = GOOD.split_once("[[mailbox]]").unwrap();
    std::fs::write(folder.path().join("boxes.csv"), csv).unwrap();
    Settings::parse(
        &folder.path().join("whimbrel.toml"),
        &format!("{head}[mailboxes]\nfile = \"boxes.csv\"\n"),
    )
}

#[test]
fn a_fleet_comes_from_csv() {
    let csv = "\u{feff}name,source.user,source.password_env,destination.user,destination.password,destination.port\n\
               # gone: zed,,,,,\n\
               alice,alice@old,ALICE_OLD,alice,\"se,cret \",\n\
               \"bob\",bob@old,,bob,,1143\n";
    let settings = fleet(csv.as_bytes()).unwrap();
    let names: Vec<&str> = settings.mailboxes.iter().map(|mailbox| mailbox.name.as_str()).collect();
    assert_eq!(names, ["alice", "bob"]);
    let Credentials::Password { password, .. } = settings.mailboxes[0].destination.credentials("x").unwrap() else {
        panic!("not a password")
    };
    assert_eq!(password.expose(), "se,cret ");
    assert!(matches!(
        settings.mailboxes[1].source.credentials("x").unwrap(),
        Credentials::None
    ));
    assert_eq!(settings.mailboxes[1].destination.values["port"], "1143");
    assert_eq!(settings.warnings.len(), 1, "of the literal secret");
}

#[test]
fn each_mistake_in_csv_has_its_line_and_remedy() {
    let cases: &[(&[u8], &[&str])] = &[
        (b"user\nx\n", &["boxes.csv:1:", "no column `user`"]),
        (b"nam,source.user\nx,y\n", &["no column `nam`", "did you mean `name`?"]),
        (b"source.user\nx\n", &["no column `name`", "name,source.user"]),
        (b"name,source.user\na\n", &["boxes.csv:2: 1 cells, but 2 columns"]),
        (b"name,source.user\n,x\n", &["boxes.csv:2: the name is empty"]),
        (
            b"name\na\nb\na\n",
            &["two mailboxes are called `a`", "boxes.csv:4", "boxes.csv:2"],
        ),
        (
            b"name,source.password,source.token\na,hunter2,hunter3\n",
            &["boxes.csv:2: more than one password or token"],
        ),
        (b"name\n\xff\n", &["boxes.csv:2: not UTF-8"]),
        (b"name\n", &["no mailbox is named"]),
    ];
    for (csv, parts) in cases {
        let text = fleet(csv).err().unwrap_or_else(|| panic!("accepted: {csv:?}")).render();
        for part in *parts {
            assert!(text.replace('\n', " ").contains(part), "{part:?} is missing in\n{text}");
        }
        assert!(!text.contains("hunter"), "{text}");
    }
    let (head, _) = GOOD.split_once("[[mailbox]]").unwrap();
    let text = refused(&format!("{head}[mailboxes]\nfile = \"no.csv\"\n"));
    assert!(
        text.contains("cannot read the mailboxes in") && text.contains("relative to the settings file"),
        "{text}"
    );
}
