//! The vendor's kit: projects from the templates, and the examples, build and pass the suite through the program.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use whimbrel_tests::account::Account;
use whimbrel_tests::kit::{Project, succeeded};
use whimbrel_tests::run::{Job, account, imap_side, local_side, mailbox};
use whimbrel_tests::servers::{Dovecot, Server};

/// Cases of the suite that each template passes, at least.
const CASES: usize = 80;

#[test]
fn a_rust_project_builds_and_passes() {
    let project = Project::new("acme-rust", "rust");
    // Builds the stand-in as well.
    succeeded("cargo test", &project.run("cargo", &["test", "--quiet"]));
    project.passes_the_suite(&project.build(), CASES);
}

#[test]
fn a_python_project_builds_and_passes() {
    let project = Project::new("acme-python", "python");
    let bindings = ["-d", "wit", "-w", "connector", "bindings", "build/bindings"];
    succeeded(
        "the bindings",
        &project.run("build/venv/bin/componentize-py", &bindings),
    );
    succeeded(
        "its tests",
        &project.run("python3", &["-m", "unittest", "discover", "tests"]),
    );
    project.passes_the_suite(&project.build(), CASES);
}

#[test]
fn a_javascript_project_builds_and_passes() {
    let project = Project::new("acme-javascript", "javascript");
    succeeded("its tests", &project.run("npm", &["test"]));
    project.passes_the_suite(&project.build(), CASES);
}

#[test]
fn the_example_in_javascript_builds_and_passes() {
    let project = Project::example("postbox");
    succeeded("its tests", &project.run("npm", &["test"]));
    project.passes_the_suite(&project.build(), 30);
}

#[test]
fn the_example_in_python_builds_and_passes() {
    let project = Project::example("groupdesk");
    let bindings = ["-d", "wit", "-w", "reader", "bindings", "build/bindings"];
    succeeded(
        "the bindings",
        &project.run("build/venv/bin/componentize-py", &bindings),
    );
    succeeded(
        "its tests",
        &project.run("python3", &["-m", "unittest", "discover", "tests"]),
    );
    project.passes_the_suite(&project.build(), 28);
}

#[test]
fn the_example_in_rust_builds_and_passes() {
    let project = Project::example("telepost");
    succeeded("cargo test", &project.run("cargo", &["test", "--quiet"]));
    project.passes_the_suite(&project.build(), 28);
}

/// A connector in Python is one as any other: rules, ledger, catching up, verification.
#[test]
fn from_a_python_connector_to_dovecot_with_rules() {
    let project = Project::new("acme-python", "python");
    let component = project.build();
    let stand_in = project.stand_in(&["python3", "stand_in.py"]);
    let to = Dovecot::plain();
    let job = Job::new(&[
        "[rules]\nscript = \"rules.rhai\"\n".to_owned(),
        local_side(
            "source",
            component.to_str().unwrap(),
            &format!("url = \"{}\", tls = \"insecure\"", stand_in.url),
        ),
        imap_side("destination", &to),
        mailbox("alice", &account("alice"), &account("alice")),
    ]);
    let script = r#"
fn message(m) {
    if m.folder == "Sent" { m.skip("not wanted"); return; }
    if m.received < date("2000-01-02") { m.move_to("Old"); }
    if m.folder == "INBOX" { m.add_header("X-Moved-By", "rules"); }
}
"#;
    std::fs::write(job.folder().join("rules.rhai"), script).unwrap();
    let first = job.migrate();
    first.adds_up();
    assert_eq!(first.worked("copied"), 32, "{first}");
    let again = job.migrate();
    assert_eq!((again.worked("copied"), again.worked("marked")), (0, 0), "{again}");
    job.run(&["verify"]).expect(0);
    let there = Account::read(&mut to.imap("alice"));
    let count = |path: &[&str]| there.folder(path).messages.len();
    assert_eq!(
        (count(&["INBOX"]), count(&["Old"]), count(&["Work", "a_b & ü"])),
        (30, 1, 1)
    );
    let inbox = &there.folder(&["INBOX"]).messages;
    assert!(
        inbox
            .iter()
            .all(|message| message.bytes().windows(10).any(|bytes| bytes == b"X-Moved-By"))
    );
}
