//! Secrets in the vault, and logins by OAuth whose tokens end long before the run does.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use whimbrel_tests::account::{Account, Folder};
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus;
use whimbrel_tests::provider::{CLIENT_SECRET, Provider, USER};
use whimbrel_tests::proxy::{Fault, Plan, Proxy};
use whimbrel_tests::run::{Job, Outcome, account, imap_side, imap_side_at, mailbox};
use whimbrel_tests::scratch::{self, Random};
use whimbrel_tests::servers::{Dovecot, Options, PASSWORD, Server};
use whimbrel_tests::writers;

/// The variable that the vault's passphrase comes from.
const PASSPHRASE: &str = "WHIMBREL_TEST_PASSPHRASE";

const BY_PASSPHRASE: &str = "[secrets]\npassphrase = { env = \"WHIMBREL_TEST_PASSPHRASE\" }\n";

const BY_KEY: &str = "[secrets]\nkey_file = \"vault.key\"\n";

fn from_vault(user: &str, name: &str) -> String {
    format!("{{ user = \"{user}\", password = {{ secret = \"{name}\" }} }}")
}

/// A server with mail of `alice`.
fn filled(seed: u64) -> Dovecot {
    let server = Dovecot::plain();
    writers::imap(&mut server.imap("alice"), '/', &corpus::ordinary(seed, 30));
    server
}

/// Runs it with this passphrase, and with this on its standard input.
fn with_passphrase(job: &Job, arguments: &[&str], passphrase: &str) -> Outcome {
    let mut command = job.command(arguments);
    command.env(PASSPHRASE, passphrase);
    whimbrel_tests::run::Running::start(&mut command).wait(Duration::from_secs(120))
}

/// Sets secrets in the vault.
fn keep(job: &Job, secrets: &[(&str, &str)]) {
    for (name, value) in secrets {
        job.run_with(&["secrets", "set", name], &format!("{value}\n")).expect(0);
    }
}

fn same(from: &Dovecot, to: &Dovecot, user: &str) {
    assert_same(
        &Account::read(&mut from.imap(user)),
        &Account::read(&mut to.imap(user)),
        &Allow::default(),
    );
}

#[test]
fn passwords_from_a_vault_with_a_key_file_move_a_mailbox() {
    let (from, to) = (filled(901), Dovecot::plain());
    let job = Job::new(&[
        BY_KEY.to_owned(),
        imap_side("source", &from),
        imap_side("destination", &to),
        mailbox("alice", &from_vault("alice", "old"), &from_vault("alice", "new")),
    ]);
    // Before there is a vault, one problem says what makes one, and not one for each account.
    let early = job.run(&["check"]);
    early.expect(2);
    early.says(&["whimbrel secrets init"]);
    assert_eq!(early.json()["problems"].as_array().map(Vec::len), Some(1), "{early}");

    let made = job.run(&["secrets", "init"]);
    made.expect(0);
    assert_eq!(made.json()["key_made"], true, "{made}");
    for file in ["vault.key", "state/secrets.age"] {
        let mode = fs::metadata(job.folder().join(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file}");
    }
    let again = job.run(&["secrets", "init"]);
    again.expect(2);
    again.says(&["there is a vault", "nothing is overwritten"]);

    // Every secret that is missing is named, with the line that sets it.
    let missing = job.run(&["check"]);
    missing.expect(2);
    missing.says(&["no secret `old`", "no secret `new`", "whimbrel secrets set new"]);
    keep(&job, &[("old", PASSWORD), ("new", PASSWORD)]);
    job.run(&["check"]).expect(0);
    job.migrate().adds_up();
    same(&from, &to, "alice");

    let listed = job.run(&["secrets", "list"]);
    listed.expect(0);
    let secrets = listed.json()["secrets"].as_array().cloned().unwrap();
    let names: Vec<_> = secrets
        .iter()
        .map(|secret| (&secret["name"], &secret["kind"]))
        .collect();
    assert_eq!(
        format!("{names:?}"),
        r#"[(String("new"), String("text")), (String("old"), String("text"))]"#
    );
    assert!(secrets[0]["set"].as_str().unwrap().ends_with('Z'), "{listed}");
    assert!(!listed.text().contains(&format!("\"{PASSWORD}\"")), "{listed}");

    // One that is gone is missed before anything is done, also in the middle of a migration.
    job.run(&["secrets", "remove", "new"]).expect(0);
    let gone = job.run(&["migrate"]);
    gone.expect(2);
    gone.says(&["no secret `new`", "whimbrel secrets set new"]);
    let unknown = job.run(&["secrets", "remove", "oldd"]);
    unknown.expect(2);
    unknown.says(&["no secret `oldd`", "did you mean `old`?"]);

    // Another key takes the place of the first.
    job.run(&["secrets", "rekey", "--key-file", "other.key"]).expect(0);
    let refused = job.run(&["secrets", "list"]);
    refused.expect(2);
    refused.says(&["the key file does not open the vault"]);
    fs::rename(job.folder().join("other.key"), job.folder().join("vault.key")).unwrap();
    keep(&job, &[("new", PASSWORD)]);
    job.migrate();
}

#[test]
fn a_wrong_passphrase_and_a_broken_vault_are_told_apart_and_move_nothing() {
    let (from, to) = (filled(902), Dovecot::plain());
    let job = Job::new(&[
        BY_PASSPHRASE.to_owned(),
        imap_side("source", &from),
        imap_side("destination", &to),
        mailbox("alice", &from_vault("alice", "alice"), &from_vault("alice", "alice")),
    ]);
    let right = "correct horse";
    with_passphrase(&job, &["secrets", "init"], right).expect(0);
    let unset = job.run(&["secrets", "list"]);
    unset.expect(2);
    unset.says(&[PASSPHRASE, "is not set"]);
    {
        let mut command = job.command(&["secrets", "set", "alice"]);
        command.env(PASSPHRASE, right).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        std::io::Write::write_all(&mut child.stdin.take().unwrap(), PASSWORD.as_bytes()).unwrap();
        assert!(child.wait().unwrap().success());
    }
    for verb in ["check", "migrate"] {
        let wrong = with_passphrase(&job, &[verb], "wrong horse");
        wrong.expect(2);
        wrong.says(&["the passphrase does not open the vault", "try again"]);
        assert!(!wrong.text().contains("horse"), "{wrong}");
    }
    let vault = job.folder().join("state/secrets.age");
    let whole = fs::read(&vault).unwrap();
    let mut flipped = whole.clone();
    // Behind the head, whose keys cannot be told from a wrong passphrase.
    let at = whole.len() - 60;
    flipped[at] = if flipped[at] == b'A' { b'B' } else { b'A' };
    for (bytes, words) in [(&whole[..whole.len() / 2], "is cut off"), (&flipped, "is damaged")] {
        fs::write(&vault, bytes).unwrap();
        let broken = with_passphrase(&job, &["migrate"], right);
        assert!(matches!(broken.code, Some(1)), "{broken}");
        broken.says(&[words, "restore it from a backup"]);
    }
    assert_eq!(Account::read(&mut to.imap("alice")).count(), 0);
    fs::write(&vault, whole).unwrap();
    with_passphrase(&job, &["migrate"], right).expect(0);
    same(&from, &to, "alice");
}

/// Two servers that take tokens of the provider, and a job between them whose lines pass through proxies.
struct Tokens {
    provider: Provider,
    from: Dovecot,
    to: Dovecot,
    _folder: tempfile::TempDir,
}

impl Tokens {
    fn new(provider: Provider, messages: u64) -> Self {
        let folder = scratch::folder("oauth");
        let server = |name: &str| {
            Dovecot::start(&Options {
                extra: provider.dovecot(&folder.path().join(name)),
                ..Options::default()
            })
        };
        let (from, to) = (server("from"), server("to"));
        if messages > 0 {
            writers::imap(&mut from.imap(USER), '/', &corpus::ordinary(903, messages));
        }
        Self {
            provider,
            from,
            to,
            _folder: folder,
        }
    }

    /// A line on which the whole account takes about twelve seconds, and which breaks three times on the way.
    fn broken_line(&self) -> Proxy {
        let bytes = Account::read(&mut self.from.imap(USER)).bytes();
        let fault = move |number, _: &mut Random| match number {
            0..=2 => Fault::Cut { after: bytes / 5 },
            _ => Fault::None,
        };
        let plan = Plan {
            rate: Some(bytes / 12),
            fault: Box::new(fault),
            ..Plan::default()
        };
        Proxy::start(self.from.port(), plan)
    }

    /// With the flow, through this port to the source.
    fn job(&self, flow: &str, source: u16) -> Job {
        let login = format!("{{ user = \"{USER}\", oauth = \"work\" }}");
        let job = Job::new(&[
            "[limits]\nconnections = 1\nquiet = \"300ms\"\n".to_owned(),
            BY_KEY.to_owned(),
            self.provider.section(flow, "{ secret = \"client\" }"),
            imap_side_at("source", source, None),
            imap_side_at("destination", self.to.port(), None),
            mailbox("alice", &login, &login),
        ]);
        job.run(&["secrets", "init"]).expect(0);
        keep(&job, &[("client", CLIENT_SECRET)]);
        job
    }

    /// The same, logged in with a refresh token that somebody got elsewhere.
    fn logged_in(&self, source: u16) -> Job {
        let job = self.job("refresh_token", source);
        let token = self.provider.refresh_token();
        let arguments = ["secrets", "set", "work/alice", "--refresh-token"];
        job.run_with(&arguments, &token).expect(0);
        job
    }
}

#[test]
fn a_login_outlasts_its_tokens_in_one_run_over_a_line_that_breaks() {
    let world = Tokens::new(Provider::start(Duration::from_secs(3)), 150);
    let line = world.broken_line();
    let job = world.logged_in(line.port());
    let outcome = job.migrate();
    outcome.adds_up();
    assert!(line.faults() >= 2, "only {} faults: {outcome}", line.faults());
    same(&world.from, &world.to, USER);
    let refreshes = world.provider.refreshes();
    assert!(refreshes >= 3, "only {refreshes} refreshes: {outcome}");
    assert!(
        world.provider.introspections() > 3,
        "the servers do ask whether tokens are good"
    );
    // The refresh token that is good now lies in the vault: the next run goes on with it.
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(job.migrate().worked("copied"), 0);
    assert!(world.provider.refreshes() > refreshes);
}

#[test]
fn a_token_that_is_refused_early_is_replaced_once() {
    let provider = Provider::lying(Duration::from_secs(2), Duration::from_secs(3600));
    let world = Tokens::new(provider, 150);
    let line = world.broken_line();
    let job = world.logged_in(line.port());
    let outcome = job.migrate();
    outcome.adds_up();
    assert!(line.faults() >= 2, "only {} faults: {outcome}", line.faults());
    same(&world.from, &world.to, USER);
    // One at the start, and one for each login with a token that had ended.
    let refreshes = world.provider.refreshes();
    assert!((2..=8).contains(&refreshes), "{refreshes} refreshes: {outcome}");
}

#[test]
fn tokens_that_no_server_takes_end_the_mailbox_and_are_not_asked_for_again_and_again() {
    let provider = Provider::lying(Duration::ZERO, Duration::from_secs(3600));
    let world = Tokens::new(provider, 5);
    let job = world.logged_in(world.from.port());
    let outcome = job.run(&["migrate"]);
    outcome.expect(3);
    assert_eq!(
        outcome.mailbox("alice")["problems"][0]["code"],
        "unauthenticated",
        "{outcome}"
    );
    outcome.says(&["a new token of login `work` was refused too"]);
    let refreshes = world.provider.refreshes();
    assert!(refreshes <= 4, "{refreshes} refreshes: {outcome}");
}

#[test]
fn a_login_that_is_over_says_which_command_renews_it() {
    let world = Tokens::new(Provider::start(Duration::from_secs(60)), 10);
    let job = world.job("device", world.from.port());
    let early = job.run(&["migrate"]);
    early.expect(2);
    early.says(&["is not logged in", "whimbrel secrets login work --only alice"]);
    let login = job.run(&["secrets", "login", "work"]);
    login.expect(0);
    login.says(&["WHIM-BREL", "/activate"]);
    assert_eq!(login.json()["logins"][0]["renews"], true, "{login}");
    job.migrate().adds_up();
    same(&world.from, &world.to, USER);

    // Revoked: the token that is kept ends early, and no other is given.
    let over = Tokens::new(Provider::start(Duration::from_secs(1)), 0);
    let job = over.job("device", over.from.port());
    job.run(&["secrets", "login", "work"]).expect(0);
    over.provider.refuse(Some("invalid_grant"));
    std::thread::sleep(Duration::from_secs(1));
    for (verb, code) in [("migrate", 3), ("check", 3)] {
        let refused = job.run(&[verb]);
        refused.expect(code);
        refused.says(&[
            "invalid_grant",
            "has expired, was revoked",
            "whimbrel secrets login work --only alice",
        ]);
    }
    over.provider.refuse(Some("invalid_client"));
    let refused = job.run(&["migrate"]);
    refused.expect(3);
    refused.says(&[
        "invalid_client",
        "correct `client_id` and `client_secret` in [oauth.work]",
    ]);
    over.provider.refuse(None);
    job.run(&["secrets", "login", "work", "--only", "alice"]).expect(0);
    job.migrate();
}

#[test]
fn a_browser_on_this_machine_logs_in() {
    let world = Tokens::new(Provider::start(Duration::from_secs(60)), 10);
    let job = world.job("code", world.from.port());
    let mut child = job
        .command(&["secrets", "login", "work"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let url = lines
        .by_ref()
        .map_while(Result::ok)
        .find(|line| line.contains("/authorize?"))
        .expect("an address for a browser");
    let page = world.provider.agree(url.trim());
    assert!(
        page.contains("200 OK") && page.contains("You can close this page"),
        "{page}"
    );
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(child.wait().unwrap().success(), "{rest:?}");
    job.migrate().adds_up();
    same(&world.from, &world.to, USER);
}

#[test]
fn the_program_itself_gets_tokens_and_keeps_none() {
    let world = Tokens::new(Provider::start(Duration::from_secs(2)), 150);
    let line = world.broken_line();
    let job = world.job("client_credentials", line.port());
    job.run(&["secrets", "login", "work"]).expect(0);
    job.migrate().adds_up();
    same(&world.from, &world.to, USER);
    assert_eq!(world.provider.refreshes(), 0);
    let listed = job.run(&["secrets", "list"]).json();
    assert_eq!(listed["secrets"].as_array().map(Vec::len), Some(1), "{listed}");
}

/// As it would look anywhere: itself, and in base64 at any place in something longer.
fn looks(secret: &str) -> Vec<String> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut looks = vec![secret.to_owned()];
    for before in 0..3 {
        let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(secret.bytes()).collect();
        let bits: Vec<u8> = bytes
            .iter()
            .flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1))
            .collect();
        let sixes = bits
            .chunks_exact(6)
            .map(|six| six.iter().fold(0, |sum, bit| sum * 2 + usize::from(*bit)));
        let text: String = sixes.map(|six| char::from(LETTERS[six])).collect();
        // The first letters hold bits of what stands before.
        looks.push(text[(before * 8).div_ceil(6)..].to_owned());
    }
    looks
}

#[test]
fn a_secret_is_found_in_base64_wherever_it_stands() {
    let looks = looks("wh-s3cret");
    // What `base64` makes of "wh-s3cret", "xwh-s3cret!" and "xxwh-s3cret".
    for (text, look) in [("d2gtczNjcmV0", 1), ("eHdoLXMzY3JldCE=", 2), ("eHh3aC1zM2NyZXQ=", 3)] {
        assert!(text.contains(&looks[look]), "{} is not in {text}", looks[look]);
    }
}

/// Everything below a folder, by its path.
fn files(folder: &Path, found: &mut Vec<(String, Vec<u8>)>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files(&path, found),
            false => found.push((path.display().to_string(), fs::read(&path).unwrap())),
        }
    }
}

#[test]
fn no_secret_of_any_kind_is_in_anything_that_is_written() {
    let password = "wh-password-s3cret-Kp3";
    let passphrase = "wh-passphrase-s3cret-Jd8";
    let provider = Provider::start(Duration::from_secs(2));
    let folder = scratch::folder("oauth");
    let extra = provider.dovecot(&folder.path().join("oauth"));
    let from = Dovecot::start(&Options {
        extra: format!("{extra}passdb {{\n  driver = static\n  args = password={password}\n}}\n"),
        ..Options::default()
    });
    let to = Dovecot::plain();
    let users = ["alice", "bob", "carol"];
    for user in users {
        let mail = Account {
            folders: vec![Folder::new(&["INBOX"]).with((0..20).map(corpus::tiny).collect())],
        };
        writers::imap(&mut from.imap(user), '/', &mail);
    }
    let sections = |rules: &str| {
        vec![
            BY_PASSPHRASE.to_owned(),
            rules.to_owned(),
            provider.section("device", "{ secret = \"client\" }"),
            imap_side("source", &from),
            imap_side("destination", &to),
            mailbox("alice", "{ user = \"alice\", oauth = \"work\" }", &account("alice")),
            mailbox("bob", &from_vault("bob", "bob"), &account("bob")),
            mailbox(
                "carol",
                "{ user = \"carol\", token = { secret = \"carol\" } }",
                &account("carol"),
            ),
        ]
    };
    let job = Job::new(&sections("[rules]\nscript = \"rules.rhai\"\n"));
    fs::write(
        job.folder().join("rules.rhai"),
        "fn message(m) { if m.subject.ends_with(\"3\") { throw \"no\"; } }",
    )
    .unwrap();
    let token = provider.access_token("carol");
    let mut written: Vec<(String, Vec<u8>)> = Vec::new();
    let mut run = |arguments: &[&str], input: &str, logged: &str, code: &[i32]| {
        let mut command = job.command(arguments);
        command
            .env(PASSPHRASE, passphrase)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        match logged {
            "everything" => drop(command.env("WHIMBREL_LOG", "trace")),
            _ => drop(command.arg("-vvv")),
        }
        let mut child = command.spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A verb that reads nothing may be gone already.
        let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.code().is_some_and(|got| code.contains(&got)),
            "{arguments:?}: {:?}\n{shown}",
            output.status
        );
        written.push((format!("output of {arguments:?}"), output.stdout));
        written.push((format!("log of {arguments:?}"), output.stderr));
    };
    for logged in ["as -vvv", "everything"] {
        if logged == "as -vvv" {
            run(&["secrets", "init"], "", logged, &[0]);
        }
        run(&["secrets", "set", "client"], CLIENT_SECRET, logged, &[0]);
        run(&["secrets", "set", "bob"], password, logged, &[0]);
        run(&["secrets", "set", "carol"], &token, logged, &[0]);
        run(&["secrets", "login", "work"], "", logged, &[0]);
        run(&["secrets", "list"], "", logged, &[0]);
        run(&["check"], "", logged, &[0]);
        // The rule fails on some messages, which go to the quarantine.
        run(&["migrate"], "", logged, &[3]);
        run(&["verify"], "", logged, &[3]);
        for verb in ["status", "events"] {
            run(&[verb], "", logged, &[0, 3]);
        }
        run(&["ledger", "export"], "", logged, &[0]);
        // Failures of every kind: refused tokens, a wrong client, a wrong password, a wrong token.
        std::thread::sleep(Duration::from_secs(2));
        for code in ["invalid_grant", "invalid_client", "wh-code-s3cret"] {
            provider.refuse(Some(code));
            run(&["migrate"], "", logged, &[3]);
            run(&["check"], "", logged, &[3]);
        }
        provider.refuse(None);
        run(&["secrets", "set", "bob"], "wh-wrong-s3cret-1", logged, &[0]);
        run(&["secrets", "set", "carol"], "wh-wrong-s3cret-2", logged, &[0]);
        run(&["migrate"], "", logged, &[3]);
        run(&["secrets", "remove", "bob", "carol"], "", logged, &[0]);
        run(&["migrate"], "", logged, &[2]);
    }
    files(&job.folder().join("state"), &mut written);
    assert!(
        written.iter().any(|(name, _)| name.contains("quarantine")),
        "nothing went to the quarantine"
    );
    assert!(
        written
            .iter()
            .any(|(_, bytes)| bytes.windows(13).any(|text| text == b"invalid_grant"))
    );

    let mut secrets = provider.secrets();
    assert!(secrets.len() > 6, "{secrets:?}");
    let more = [
        password,
        passphrase,
        "wh-wrong-s3cret-1",
        "wh-wrong-s3cret-2",
        "wh-code-s3cret",
        "wh-description-s3cret",
    ];
    secrets.extend(more.map(str::to_owned));
    // A part is too much as well.
    secrets.push("s3cret".to_owned());
    for secret in &secrets {
        for look in looks(secret) {
            for (name, bytes) in &written {
                assert!(
                    !bytes.windows(look.len()).any(|text| text == look.as_bytes()),
                    "{name} holds {secret}, as {look}"
                );
            }
        }
    }
}
