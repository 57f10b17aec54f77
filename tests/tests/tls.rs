//! Encryption: what is agreed on is shown, and what is not as it should be is refused, each with its own words.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::path::Path;
use std::process::Command;

use whimbrel_tests::account::Account;
use whimbrel_tests::authority::Certificate;
use whimbrel_tests::compare::{Allow, assert_same};
use whimbrel_tests::corpus;
use whimbrel_tests::run::{Job, Outcome, account, imap_side, mailbox};
use whimbrel_tests::servers::{Dovecot, Options, Server};
use whimbrel_tests::writers;

fn source(options: &Options) -> Dovecot {
    let server = Dovecot::start(options);
    writers::imap(&mut server.imap("alice"), '/', &corpus::ordinary(7, 12));
    server
}

fn with(certificate: Certificate) -> Dovecot {
    source(&Options {
        certificate,
        ..Options::default()
    })
}

/// The source side without its authority, with these lines instead.
fn side(server: &Dovecot, lines: &str) -> String {
    let text = imap_side("source", server);
    let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("ca =")).collect();
    format!("{}\n{lines}\n", kept.join("\n"))
}

/// SHA-256 of a certificate, as OpenSSL shows it.
fn openssl(arguments: &[&str], certificate: &Path) -> String {
    let output = Command::new("openssl")
        .args(arguments)
        .arg(certificate)
        .output()
        .expect("openssl");
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn fingerprint(server: &Dovecot) -> String {
    let text = openssl(
        &["x509", "-noout", "-fingerprint", "-sha256", "-in"],
        server.certificate(),
    );
    let (_, digits) = text.trim().split_once('=').expect("digits");
    format!("sha256:{}", digits.replace(':', "").to_lowercase())
}

fn run(source: &str, to: &Dovecot, verb: &str) -> Outcome {
    let sections = [
        source.to_owned(),
        imap_side("destination", to),
        mailbox("alice", &account("alice"), &account("alice")),
        "[limits]\nretries = 1\n".to_owned(),
    ];
    Job::new(&sections).run(&[verb])
}

#[test]
fn what_was_agreed_on_is_shown_by_check_and_by_migrate() {
    let (from, to) = (source(&Options::default()), Dovecot::plain());
    let checked = run(&imap_side("source", &from), &to, "check");
    checked.expect(0);
    let findings = checked.json()["findings"].clone();
    for (at, server) in [(0, &from), (1, &to)] {
        let connection = &findings[at]["connections"][0];
        assert_eq!(connection["tls"], "TLS 1.3", "{checked}");
        assert_eq!(connection["fingerprint"], fingerprint(server), "{checked}");
        let cipher = connection["cipher"].as_str().unwrap();
        let text = findings[at]["text"].as_str().unwrap();
        assert!(text.contains(&format!("opened over TLS 1.3 ({cipher})")), "{checked}");
    }
    let moved = run(&imap_side("source", &from), &to, "migrate");
    moved.expect(0);
    for side in ["source", "destination"] {
        let connections = &moved.mailbox("alice")["connections"][side];
        assert_eq!(connections.as_array().map(Vec::len), Some(1), "{moved}");
        assert_eq!(connections[0]["tls"], "TLS 1.3", "{moved}");
        assert!(
            connections[0]["cipher"].as_str().unwrap().starts_with("TLS13_"),
            "{moved}"
        );
    }
    let old = source(&Options {
        newest_tls: Some("TLSv1.2"),
        ..Options::default()
    });
    let checked = run(&imap_side("source", &old), &to, "check");
    checked.expect(0);
    assert_eq!(
        checked.json()["findings"][0]["connections"][0]["tls"],
        "TLS 1.2",
        "{checked}"
    );
}

#[test]
fn every_fault_of_a_certificate_has_its_own_words_shows_the_fingerprint_and_moves_nothing() {
    let to = Dovecot::plain();
    for (kind, trusted, words) in [
        (
            Certificate::Good,
            false,
            &["signed by an unknown authority", "`ca = "][..],
        ),
        (
            Certificate::SelfSigned,
            false,
            &["signed by an unknown authority", "`ca = "],
        ),
        (Certificate::Expired, true, &["has expired", "must renew it"]),
        (
            Certificate::OtherName,
            true,
            &["is not for the name `localhost`", "it is for", "mail.other.example"],
        ),
    ] {
        let from = with(kind);
        let ca = format!("ca = \"{}\"", from.ca().display());
        let outcome = run(&side(&from, if trusted { &ca } else { "" }), &to, "migrate");
        outcome.expect(3);
        outcome.says(words);
        outcome.says(&[&format!("pin = \\\"{}\\\"", fingerprint(&from))]);
        assert_eq!(Account::read(&mut to.imap("alice")).count(), 0, "{kind:?}");
    }
}

#[test]
fn a_pinned_certificate_or_key_is_enough_and_any_other_is_refused() {
    for kind in [Certificate::SelfSigned, Certificate::Expired, Certificate::OtherName] {
        let (from, to) = (with(kind), Dovecot::plain());
        let outcome = run(
            &side(&from, &format!("pin = \"{}\"", fingerprint(&from))),
            &to,
            "migrate",
        );
        outcome.expect(0);
        assert_same(
            &Account::read(&mut from.imap("alice")),
            &Account::read(&mut to.imap("alice")),
            &Allow::default(),
        );
    }
    // By its key, as a renewed certificate would be known, and as one of several.
    let (from, to) = (with(Certificate::Good), Dovecot::plain());
    let public = openssl(&["x509", "-noout", "-pubkey", "-in"], from.certificate());
    let pem = from.certificate().with_file_name("public.pem");
    std::fs::write(&pem, public).unwrap();
    let der = pem.with_extension("der");
    let der_name = der.to_str().unwrap().to_owned();
    openssl(&["pkey", "-pubin", "-outform", "DER", "-out", &der_name, "-in"], &pem);
    let sum = openssl(&["dgst", "-sha256", "-r"], &der);
    let key = format!("sha256:{}", sum.split_whitespace().next().unwrap());
    let other = format!("sha256:{}", "0".repeat(64));
    run(&side(&from, &format!("pin = [\"{other}\", \"{key}\"]")), &to, "migrate").expect(0);
    // An authority does not outweigh a pin.
    let wrong = format!("pin = \"{other}\"\nca = \"{}\"", from.ca().display());
    let outcome = run(&side(&from, &wrong), &Dovecot::plain(), "migrate");
    outcome.expect(3);
    outcome.says(&[
        "is not the one that `pin` in the settings names",
        &fingerprint(&from),
        &key,
    ]);
}

#[test]
fn a_server_without_tls_1_2_is_refused_in_so_many_words() {
    let from = source(&Options {
        newest_tls: Some("TLSv1.1"),
        ..Options::default()
    });
    let old = Command::new("openssl")
        .args(["s_client", "-tls1_1", "-cipher", "ALL:@SECLEVEL=0", "-connect"])
        .arg(format!("localhost:{}", from.tls_port().unwrap()))
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&old.stdout).into_owned();
    assert!(said.contains("TLSv1.1"), "the server does speak TLS 1.1: {said}");
    let outcome = run(&imap_side("source", &from), &Dovecot::plain(), "check");
    outcome.expect(3);
    outcome.says(&[
        "speaks neither TLS 1.3 nor TLS 1.2",
        "its operator must switch on TLS 1.2 or higher",
    ]);
}
