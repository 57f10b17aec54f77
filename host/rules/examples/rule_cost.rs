//! What a rule costs an item: `cargo run --release -p whimbrel-rules --example rule_cost`.
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use whimbrel_mail::Content;
use whimbrel_model::ItemMeta;
use whimbrel_rules::{FolderFacts, MailboxFacts, MessageFacts, Options, Rules};

const BY_FACTS: &str = r#"
fn message(m) {
    if m.size > 50000000 && m.in_folder("Archive") { m.skip("large"); }
}"#;

const BY_HEADERS: &str = r#"
fn message(m) {
    if m.has_header("List-Unsubscribe") && m.header("Precedence") == "bulk" && m.subject == "Offer" { m.skip("news"); }
}"#;

const DECIDING: &str = r#"
const DAYS = 30;
fn large(m) { if m.size > DAYS { m.move_to("Large/Old"); } }
fn message(m) { large(m); m.add_keyword("Moved"); }"#;

fn main() {
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" };
    println!("profile: {profile}");
    let mut head =
        String::from("List-Unsubscribe: <mailto:x@list.example>\r\nPrecedence: bulk\r\nSubject: Offer of the day\r\n");
    while head.len() < 2048 {
        head.push_str("Received: from a.example by b.example with ESMTP id 123; Thu, 2 Jan 2020 10:00:00 +0000\r\n");
    }
    head.push_str("\r\n");
    head.push_str(&"x".repeat(4096 - head.len()));
    let body = Bytes::from(head);
    let facts = MessageFacts {
        folder: Arc::new(FolderFacts {
            mailbox: Arc::new(MailboxFacts::default()),
            path: vec!["INBOX".to_owned()],
            ..FolderFacts::default()
        }),
        meta: Arc::new(ItemMeta {
            size: Some(4096),
            ..ItemMeta::default()
        }),
    };
    let copy = time(|| {
        black_box(body.to_vec());
    });
    println!("copying the message: {copy:?}");
    for (name, script) in [
        ("nothing", "fn message(m) { }"),
        ("size and folder", BY_FACTS),
        ("two decisions, a constant, a function", DECIDING),
    ] {
        let rules = Rules::compile("measure.rhai", script, &Options::default()).unwrap();
        let each = time(|| {
            black_box(rules.item_by_facts(black_box(&facts)).unwrap());
        });
        report(name, each, copy);
    }
    let rules = Rules::compile("measure.rhai", BY_HEADERS, &Options::default()).unwrap();
    let each = time(|| {
        let content: Arc<dyn Content> = Arc::new(body.clone());
        black_box(rules.item(black_box(&facts), content).unwrap());
    });
    report("three headers of 4 KiB", each, copy);
}

fn report(name: &str, each: Duration, copy: Duration) {
    println!(
        "{name}: {each:?}, {:.0} copies",
        each.as_secs_f64() / copy.as_secs_f64()
    );
}

/// The median of ten rounds.
fn time(mut work: impl FnMut()) -> Duration {
    const TIMES: u32 = 20_000;
    let mut rounds: Vec<Duration> = (0..10)
        .map(|_| {
            let began = Instant::now();
            for _ in 0..TIMES {
                work();
            }
            began.elapsed() / TIMES
        })
        .collect();
    rounds.sort();
    rounds[5]
}
