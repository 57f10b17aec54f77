//! Proofs: made of a verification, checked by this program and by one that shares nothing with it, and refused once a
//! byte of them is another one.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use whimbrel_tests::run::{Job, Outcome, account, imap_side, mailbox, server_to_server};
use whimbrel_tests::servers::{Dovecot, Server};
use whimbrel_tests::{corpus, ruled, writers};

/// The checker that `docs/proof.md` prints, word by word.
fn script(folder: &Path) -> PathBuf {
    let document = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/proof.md");
    let text = fs::read_to_string(document).unwrap();
    let code = text.split("```python\n").nth(1).expect("a script");
    let file = folder.join("check.py");
    fs::write(&file, code.split("```").next().unwrap()).unwrap();
    file
}

/// What the script says: its output, or the last line of its complaint.
fn independent(script: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("python3")
        .arg(script)
        .args(arguments)
        .output()
        .expect("python3 is not there; on Debian: apt-get install python3");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&output.stderr).lines().last().unwrap_or_default().to_owned()),
    }
}

fn lines(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[track_caller]
fn proves_nothing(outcome: &Outcome, word: &str) {
    outcome.expect(4);
    let error = outcome.json()["error"].clone();
    assert_eq!(error["code"], "proof", "{outcome}");
    assert!(error["message"].as_str().unwrap().contains(word), "{outcome}");
    assert!(error["help"].is_string(), "{outcome}");
}

#[test]
fn a_proof_holds_for_whoever_checks_it_until_a_byte_is_changed() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &corpus::ordinary(301, 37));
    let job = Job::new(&server_to_server(&from, &to));
    job.migrate();
    let proofs = job.folder().join("proofs");
    // Nothing was verified yet.
    let early = job.run(&["proof", "write", path(&proofs)]);
    early.expect(3);
    early.says(&["whimbrel verify --deep"]);
    job.run(&["verify", "--deep"]).expect(0);
    let written = job.run(&["proof", "write", path(&proofs)]);
    written.expect(0);
    let json = written.json();
    let key = json["key"].as_str().unwrap();
    let pem = proofs.join("public-key.pem");
    assert_eq!(json["key_file"], path(&pem));
    let whole = proofs.join("alice.proof");
    let statement = &json["proofs"][0]["statement"];
    assert_eq!(
        (
            &statement["mailbox"],
            &statement["grade"],
            &statement["depth"],
            &statement["messages"]
        ),
        (&"alice".into(), &"perfect".into(), &"deep".into(), &37.into())
    );

    // Every message is in it, with the hash of its bytes, and where it lies.
    let parts = lines(&whole);
    assert_eq!(parts.len(), 1 + 37 + 1);
    assert_eq!(&parts[0], statement);
    for message in &parts[1..38] {
        assert_eq!((&message["fate"], &message["how"]), (&"moved".into(), &"bytes".into()));
        for hash in ["exact", "content"] {
            assert_eq!(message[hash].as_str().map(str::len), Some(64), "{message}");
        }
        assert!(message["place"]["id"].is_string(), "{message}");
    }

    // It holds: for the program, with and without the key, and for a stranger.
    let script = script(job.folder());
    for arguments in [&[][..], &["--key", key], &["--key", path(&pem)]] {
        let checked = job.run(&[&["proof", "check", path(&whole)][..], arguments].concat());
        checked.expect(0);
        assert_eq!(checked.json()["kind"], "mailbox");
        assert_eq!(checked.json()["key_given"], !arguments.is_empty());
    }
    assert_eq!(
        independent(&script, &[path(&whole), key]).as_deref(),
        Ok("it holds: alice perfect")
    );

    // One message, by its place and by its hash.
    let chosen = &parts[20];
    let text = |field: &str| chosen[field].as_str().unwrap();
    let one = job.folder().join("one.proof");
    let by_place = ["--folder", text("collection"), "--id", text("id")];
    let taken = job.run(&[&["proof", "message", path(&whole), path(&one)][..], &by_place].concat());
    taken.expect(0);
    assert_eq!(&taken.json()["message"], chosen);
    let same = job.folder().join("same.proof");
    job.run(&["proof", "message", path(&whole), path(&same), "--hash", text("exact")])
        .expect(0);
    assert_eq!(fs::read(&one).unwrap(), fs::read(&same).unwrap());
    assert_eq!(lines(&one).len(), 4);
    let checked = job.run(&["proof", "check", path(&one), "--key", key]);
    checked.expect(0);
    assert_eq!(
        (&checked.json()["kind"], &checked.json()["message"]),
        (&"message".into(), chosen)
    );
    assert!(independent(&script, &[path(&one), key]).is_ok());
    // It needs no settings and tells of no other message.
    fs::rename(job.settings(), job.folder().join("away.toml")).unwrap();
    job.run(&["proof", "check", path(&one)]).expect(0);
    fs::rename(job.folder().join("away.toml"), job.settings()).unwrap();
    let other = parts[21]["exact"].as_str().unwrap();
    assert!(!fs::read_to_string(&one).unwrap().contains(other));
    for (arguments, word) in [
        (["--id", "999999"], "no message"),
        (["--folder", "INBOX"], "messages are described so"),
    ] {
        let outcome = job.run(
            &[
                &["proof", "message", path(&whole), path(&job.folder().join("none"))][..],
                &arguments,
            ]
            .concat(),
        );
        outcome.expect(2);
        outcome.says(&[word]);
    }
    // Nothing is overwritten.
    job.run(&["proof", "write", path(&proofs)]).expect(2);
    job.run(&[&["proof", "message", path(&whole), path(&one)][..], &by_place].concat())
        .expect(2);

    // Changed by a digit, cut short, signed by somebody else: neither believes it.
    for file in [&whole, &one] {
        let good = fs::read_to_string(file).unwrap();
        let bad = job.folder().join("bad.proof");
        let moved = good.replacen("\"fate\":\"moved\"", "\"fate\":\"merged\"", 1);
        let graded = good.replacen("\"deep\"", "\"list\"", 1);
        let all: Vec<&str> = good.lines().collect();
        let short = [&all[..1], &all[2..]].concat().join("\n") + "\n";
        for (text, word) in [
            (&moved, "do not lead to the root"),
            (&graded, "signature"),
            (&short, ""),
        ] {
            assert_ne!(text, &good);
            fs::write(&bad, text).unwrap();
            proves_nothing(&job.run(&["proof", "check", path(&bad)]), word);
            let complaint = independent(&script, &[path(&bad)]).unwrap_err();
            assert!(complaint.contains("Error"), "{complaint}");
        }
        let stranger = "11".repeat(32);
        proves_nothing(
            &job.run(&["proof", "check", path(file), "--key", &stranger]),
            "it is signed with the key",
        );
    }
}

#[test]
fn a_proof_tells_what_rules_and_people_did() {
    let (from, to) = (Dovecot::plain(), Dovecot::plain());
    writers::imap(&mut from.imap("alice"), '/', &ruled::mail(302, 60));
    let job = Job::new(&[
        imap_side("source", &from),
        imap_side("destination", &to),
        ruled::section(),
        mailbox("alice", &account("alice"), &account("alice")),
        mailbox("team", &account("team"), &account("team")),
    ]);
    fs::write(job.folder().join("rules.rhai"), ruled::SCRIPT).unwrap();
    let migrated = job.migrate();
    let mut imap = to.imap("team");
    imap.select("From Alice");
    imap.remove("1");
    job.run(&["verify"]).expect(4);
    let proofs = job.folder().join("proofs");
    job.run(&["proof", "write", path(&proofs), "--only", "alice"]).expect(0);
    let whole = proofs.join("alice.proof");
    let parts = lines(&whole);
    let mut fates: BTreeMap<String, u64> = BTreeMap::new();
    for message in &parts[1..parts.len() - 1] {
        *fates.entry(message["fate"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    let counts = migrated.mailbox("alice");
    for fate in ["moved", "filtered"] {
        assert_eq!(fates.get(fate).copied(), counts[fate].as_u64(), "{fate}: {parts:?}");
        assert_eq!(parts[0]["counts"][fate], counts[fate]);
    }
    assert_eq!(fates.values().sum::<u64>(), counts["found"].as_u64().unwrap());
    assert_ne!(parts[0]["grade"], "perfect");
    let missing: Vec<&Value> = parts
        .iter()
        .filter(|part| part["classes"] == serde_json::json!(["missing"]))
        .collect();
    assert_eq!(missing.len(), 1, "{parts:?}");
    assert_eq!(missing[0]["place"]["mailbox"], "team");
    assert!(independent(&script(job.folder()), &[path(&whole)]).is_ok());

    // Each verification has a proof of its own, and all have one key.
    job.run(&["verify", "--sample", "50%"]).expect(4);
    let again = job.folder().join("again");
    let written = job.run(&["proof", "write", path(&again)]);
    written.expect(0);
    assert_eq!(written.json()["proofs"].as_array().map(Vec::len), Some(2));
    let of = |file: &Path| lines(file)[0].clone();
    let (first, second) = (of(&whole), of(&again.join("alice.proof")));
    assert_eq!(
        (&first["depth"], &second["depth"]),
        (&"listing".into(), &"sample".into())
    );
    assert_eq!(first["key"], second["key"]);
}
