use std::path::Path;

use serde_json::json;
use whimbrel_wire::Credentials;

use super::*;
use crate::secrets::Keeper;

pub(super) const GOOD: &str = r#"
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

pub(super) fn parse(text: &str) -> Result<Settings> {
    Settings::parse(Path::new("/etc/w/whimbrel.toml"), text)
}

pub(super) fn refused(text: &str) -> String {
    match parse(text) {
        Ok(_) => panic!("accepted:\n{text}"),
        Err(problem) => problem.render(),
    }
}

/// Good settings with one line instead of another.
pub(super) fn with(line: &str, instead: &str) -> String {
    assert!(GOOD.contains(line), "{line}");
    GOOD.replace(line, instead)
}

#[test]
fn everything_arrives_where_it_belongs() {
    let settings = parse(GOOD).unwrap();
    assert_eq!(settings.name, "acme");
    assert_eq!(settings.state, Path::new("/etc/w/state"));
    assert_eq!(settings.parts[0].source.connector, "imap");
    assert_eq!(
        Value::from(settings.parts[0].source.settings.clone()),
        json!({ "host": "mail.old.example", "port": 993, "tls": "implicit" })
    );
    assert_eq!(settings.parts[0].source.allow, ["api.example.org"]);
    assert_eq!(settings.parts[0].source.ca.as_deref(), Some(Path::new("/etc/w/ca.pem")));
    assert_eq!(settings.parts[0].destination.connector, "./maildir.wasm");
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
            "plugin_disk" => format!("{}GiB", limits.plugin_disk >> 30),
            "max_item" => String::new(),
            "retries" => limits.retries.to_string(),
            "wait" => format!("{}m", limits.wait.as_secs() / 60),
            "max_backoff" => format!("{}h", limits.max_backoff.as_secs() / 3600),
            "quiet" => format!("{}s", limits.quiet.as_secs()),
            other => panic!("{other} is not looked at here"),
        };
        assert_eq!(key.default, stated, "{}", key.name);
    }
    let limits = whimbrel_rules::Limits::default();
    for key in keys::RULES_LIMITS {
        let stated = match key.name {
            "operations" => limits.operations.to_string(),
            "depth" => limits.depth.to_string(),
            "string" => format!("{}MiB", limits.string_bytes >> 20),
            "time" => format!("{}s", limits.time.as_secs()),
            "text" => format!("{}KiB", limits.text_bytes >> 10),
            other => panic!("{other} is not looked at here"),
        };
        assert_eq!(key.default, stated, "{}", key.name);
    }
    let text = keys::document();
    for part in [
        "### `[rules.attachments]`",
        "| `on_error` | `quarantine` or `stop` | `quarantine` |",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    assert!(
        text.contains("### `[[mailbox]]`") && text.contains("| `memory` | size"),
        "{text}"
    );
}

#[test]
fn rules_and_what_they_are_told_arrive() {
    let rules = "[rules]\nscript = \"r/rules.rhai\"\non_error = \"stop\"\n\
                 set = { YEARS = 1_0, RATIO = 0.5, NAMES = [\"a\", \"b\"], MAP = { x = true }, DAY = 2020-01-31 }\n\
                 [rules.limits]\noperations = 500\ntime = \"250ms\"\ntext = \"1MiB\"\n\
                 [rules.attachments]\nfolder = \"files\"\n[limits]";
    let text = with("[limits]", rules).replace(
        "name = \"alice\"\n",
        "name = \"alice\"\nattributes = { department = \"sales\" }\n",
    );
    let settings = parse(&text).unwrap();
    let rules = settings.rules.unwrap();
    assert_eq!(rules.script, Path::new("/etc/w/r/rules.rhai"));
    assert_eq!(rules.on_error, whimbrel_engine::OnError::Stop);
    assert_eq!(
        json!(rules.set),
        json!({ "DAY": "2020-01-31", "MAP": { "x": true }, "NAMES": ["a", "b"], "RATIO": 0.5, "YEARS": 10 })
    );
    let limits = whimbrel_rules::Limits {
        operations: 500,
        time: Duration::from_millis(250),
        text_bytes: 1 << 20,
        ..whimbrel_rules::Limits::default()
    };
    assert_eq!(rules.limits, limits);
    let attachments = rules.attachments.clone().unwrap();
    assert_eq!(
        (attachments.folder.as_path(), attachments.link),
        (Path::new("/etc/w/files"), None)
    );
    assert!(rules.options().attachments);
    assert_eq!(settings.mailboxes[0].attributes["department"], "sales");

    let plain = parse(&with("[limits]", "[rules]\nscript = \"r.rhai\"\n[limits]"))
        .unwrap()
        .rules
        .unwrap();
    assert_eq!(plain.on_error, whimbrel_engine::OnError::Quarantine);
    assert!(plain.attachments.is_none() && !plain.options().attachments && plain.set.is_empty());
    assert_eq!(plain.limits, whimbrel_rules::Limits::default());
    assert!(parse(GOOD).unwrap().rules.is_none());
}

#[test]
fn further_columns_are_what_rules_are_told() {
    let csv = "name,department,attribute.name,source.user,attribute.hold\nalice,sales,Alice A.,a,\nbob,,,b, 7 \n";
    let settings = fleet(csv.as_bytes()).unwrap();
    let told = |at: usize| json!(settings.mailboxes[at].attributes);
    assert_eq!(told(0), json!({ "department": "sales", "name": "Alice A." }));
    assert_eq!(told(1), json!({ "hold": "7" }));
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
            "[rules]\nscrip = \"rules.rhai\"\n[limits]",
            &[
                "no setting `scrip` in `rules`",
                "did you mean `script`?",
                "`script` is missing in `rules`",
            ],
        ),
        (
            "[limits]",
            "[rules]\nscript = \"rules.rhai\"\non_error = \"stopp\"\n[limits]",
            &["`rules.on_error` cannot be `stopp`", ":17:12", "did you mean \"stop\"?"],
        ),
        (
            "[limits]",
            "[rules]\nscript = \"rules.rhai\"\non_error = true\n[limits]",
            &[
                "`rules.on_error` must be a word, not true or false",
                "on_error = \"quarantine\" or \"stop\"",
            ],
        ),
        (
            "[limits]",
            "[rules]\nscript = \"rules.rhai\"\nset = { MOST = 9223372036854775808 }\n[limits]",
            &["`rules.set.MOST` holds a number", ":17:16"],
        ),
        (
            "[limits]",
            "[rules]\nscript = \"rules.rhai\"\n[rules.limits]\ndepth = 1000\ntime = \"soon\"\n[limits]",
            &["`soon` is not a time"],
        ),
        (
            "[limits]",
            "[rules]\nscript = \"rules.rhai\"\n[rules.limits]\ndepth = 1000\n[limits]",
            &["`rules.limits.depth` is out of range", "from 1 to 128"],
        ),
        (
            "[limits]",
            "[rules]\nscript = \"rules.rhai\"\n[rules.attachments]\nlink = \"https://x.example/\"\n[limits]",
            &["`folder` is missing in `rules.attachments`"],
        ),
        (
            "name = \"alice\"",
            "name = \"alice\"\nattributes = { age = 7 }",
            &["`mailbox.attributes` must be a table"],
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
            &["more than one of password, token and oauth"],
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

/// What an account logs in with, where there is no vault yet.
pub(super) fn credentials(settings: &Settings, account: &Account) -> Result<Credentials> {
    let whose = Whose {
        mailbox: "alice",
        side: "source",
    };
    account.credentials(whose, &Keeper::new(settings))
}

#[test]
fn a_literal_secret_is_accepted_with_a_warning_and_never_shown() {
    let text = with("{ file = \"alice.txt\" }", "\"hunter2\"");
    let settings = parse(&text).unwrap();
    let Credentials::Password { user, password } = credentials(&settings, &settings.mailboxes[0].source).unwrap()
    else {
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
    let problem = credentials(&settings, &settings.mailboxes[0].source).unwrap_err();
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
    settings.only(&["alice".into()]).unwrap();
    assert_eq!((settings.mailboxes.len(), settings.others.len()), (1, 0));
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
    let Credentials::Password { password, .. } = credentials(&settings, &settings.mailboxes[0].destination).unwrap()
    else {
        panic!("not a password")
    };
    assert_eq!(password.expose(), "se,cret ");
    assert!(matches!(
        credentials(&settings, &settings.mailboxes[1].source).unwrap(),
        Credentials::None
    ));
    assert_eq!(settings.mailboxes[1].destination.values["port"], "1143");
    assert_eq!(settings.warnings.len(), 1, "of the literal secret");
}

#[test]
fn each_mistake_in_csv_has_its_line_and_remedy() {
    let cases: &[(&[u8], &[&str])] = &[
        (
            b"user\nx\n",
            &[
                "boxes.csv:1:",
                "the column `user` does not say which side",
                "`source.user`",
            ],
        ),
        (b"name,atribute.x\na,y\n", &["no column `atribute.x`", "`attribute.…`"]),
        (
            b"name,soruce.user\na,y\n",
            &["no column `soruce.user`", "did you mean `source.user`?"],
        ),
        (b"name,nane\na,y\n", &["no column `nane`", "`attribute.nane`"]),
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
            &["boxes.csv:2: more than one of password, token and oauth"],
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

#[test]
fn a_pin_is_one_fingerprint_or_several() {
    let pin = format!("sha256:{}", "6b".repeat(32));
    let one = parse(&with("ca = \"ca.pem\"", &format!("pin = \"{pin}\""))).unwrap();
    assert_eq!(
        one.parts[0]
            .source
            .pins
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        [pin.as_str()]
    );
    assert!(one.parts[0].destination.pins.is_empty());
    let two = parse(&with("ca = \"ca.pem\"", &format!("pin = [\"{pin}\", \"{pin}\"]"))).unwrap();
    assert_eq!(two.parts[0].source.pins.len(), 2);
    for (line, words) in [
        (
            "pin = \"6b6b\"",
            &["`source.pin` cannot be used", "64 hexadecimal digits", "openssl"][..],
        ),
        ("pin = []", &["`source.pin` is empty"]),
        (
            "pin = 7",
            &["`source.pin` must be a text or list of texts, not an integer"],
        ),
    ] {
        let text = refused(&with("ca = \"ca.pem\"", line));
        assert!(words.iter().all(|word| text.contains(word)), "{text}");
    }
}

#[test]
fn compression_is_left_to_the_program_or_said() {
    assert_eq!(parse(GOOD).unwrap().parts[0].source.compress, None);
    for said in [true, false] {
        let settings = parse(&with("ca = \"ca.pem\"", &format!("compress = {said}"))).unwrap();
        assert_eq!(
            (
                settings.parts[0].source.compress,
                settings.parts[0].destination.compress
            ),
            (Some(said), None)
        );
    }
    let text = refused(&with("ca = \"ca.pem\"", "compress = \"yes\""));
    for words in [
        "`source.compress` must be a switch, true or false, not a text",
        "write compress = true or compress = false",
    ] {
        assert!(text.contains(words), "{text}");
    }
}

/// Lines of settings, to be put together in any way.
const LINES: [&str; 20] = [
    "[migration]",
    "name = \"x\"",
    "state = 7",
    "[source]",
    "connector = \"imap\"",
    "settings = { host = \"a\", port = 993, password = \"hunter2\" }",
    "allow = [\"*.example.org\", 3]",
    "pin = \"sha256:00\"",
    "[destination]",
    "[limits]",
    "memory = \"99999999999999999999GiB\"",
    "cpu = \"-1s\"",
    "max_item = 0x_f",
    "[plugins]",
    "trusted_keys = { a = \"../nowhere\", \"b c\" = \"00\" }",
    "require_signature = true",
    "[[mailbox]]",
    "name = \"\\u0000ü\"",
    "source = { user = \"u\", password = { env = \"\" } }",
    "[verify]\nserious = [\"nothing\"]\ngood_slight = \"101%\"",
];

proptest::proptest! {
    /// Whatever is written: settings, or problems that can be shown.
    #[test]
    fn no_settings_panic(
        picked in proptest::collection::vec((0..LINES.len(), proptest::prelude::any::<u8>(), ".{0,3}"), 0..25),
    ) {
        let mut text = String::new();
        for (line, how, more) in picked {
            text += LINES[line];
            if how < 30 {
                for _ in 0..how % 7 {
                    text.pop();
                }
                text += &more;
            }
            text.push('\n');
        }
        if let Err(problem) = Settings::parse(Path::new("nowhere/whimbrel.toml"), &text) {
            let shown = problem.render();
            proptest::prop_assert!(!shown.is_empty());
            let _ = problem.json().to_string();
        }
    }
}

#[test]
fn what_may_be_moved_in_a_day_and_how_long_to_wait_arrive() {
    let text =
        with("ca = \"ca.pem\"", "daily = \"2GiB\"").replace("mailboxes = 2", "wait = \"2h\"\nmax_backoff = \"10m\"");
    let settings = parse(&text).unwrap();
    assert_eq!(
        (settings.parts[0].source.daily, settings.parts[0].destination.daily),
        (Some(2 << 30), None)
    );
    assert_eq!(settings.limits.wait, Duration::from_secs(7200));
    assert_eq!(settings.limits.max_backoff, Duration::from_secs(600));
}

#[test]
fn repairs_are_named_and_belong_to_the_destination() {
    let line = "settings = { root = \"out\" }";
    let with_repairs = |text: &str| with(line, &format!("{line}\n{text}"));
    let settings = parse(&with_repairs("repairs = [\"long-lines\", \"nul\"]")).unwrap();
    let names: Vec<&str> = settings.repairs.kinds.iter().map(|kind| kind.name()).collect();
    assert_eq!(names, ["nul", "long-lines"], "what changes least first");
    assert!(!settings.repairs.keep_original);
    assert!(parse(GOOD).unwrap().repairs.kinds.is_empty());
    let text = refused(&with_repairs("repairs = [\"null\"]"));
    assert!(text.contains("did you mean \"nul\"?"), "{text}");
    let text = refused(&with("ca = \"ca.pem\"", "repairs = [\"nul\"]"));
    assert!(text.contains("there is no setting `repairs`"), "{text}");
}
