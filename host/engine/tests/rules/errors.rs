//! Scripts that fail: one item's error is that item's.

use std::time::Duration;

use whimbrel_engine::{EngineError, OnError};
use whimbrel_ledger::Fate;

use crate::support::{Bench, Store, book_with, script::body};

/// Each fails on message 3, by what it says after the colon.
const FAILING: [(&str, &str); 7] = [
    ("throw \"I will not\"", "I will not"),
    ("return 42", "returned"),
    ("let x = 0; loop { x += 1; }", ""),
    ("deeper(1)", ""),
    ("let s = \"xxxxxxxx\"; loop { s += s; }", ""),
    ("m.move_to(\"\")", "folder"),
    ("m.send_to(\"nobody\")", "nobody"),
];

fn failing(deed: &str) -> String {
    format!("fn message(m) {{\n  if m.subject == \"3\" {{\n    {deed};\n  }}\n}}\nfn deeper(n) {{ deeper(n + 1) }}\n")
}

#[tokio::test]
async fn an_error_keeps_its_item_aside_with_its_bytes_and_the_others_move() {
    for (deed, says) in FAILING {
        let (source, destination) = (Store::default(), Store::default());
        for number in 0..10 {
            source.add(["INBOX", "Work"][number % 2], &body(number), &[]);
        }
        let mut bench = Bench::new();
        bench.rules(&failing(deed));
        let mailboxes = [Bench::mailbox(&source, &destination)];
        let report = bench.run(&mailboxes).await;
        let counts = report.total;
        assert_eq!(
            (counts.found, counts.moved, counts.failed, counts.pending),
            (10, 9, 1, 0),
            "{deed}"
        );
        let items = bench.items("alice").into_iter().map(|(_, item)| item);
        let failed: Vec<_> = items.filter(|item| matches!(item.fate, Fate::Failed { .. })).collect();
        let [item] = &failed[..] else {
            panic!("{deed}: {failed:?}")
        };
        let Fate::Failed {
            failure, quarantine, ..
        } = &item.fate
        else {
            panic!()
        };
        assert_eq!(failure.code(), "rules", "{deed}");
        let text = failure.to_string();
        assert!(text.contains(says), "{deed}: {text}");
        assert!(
            text.contains("rules.rhai:") || deed.contains("nobody"),
            "{deed}: {text}"
        );
        let kept = bench
            .folder
            .path()
            .join("quarantine")
            .join(quarantine.as_ref().unwrap());
        assert_eq!(std::fs::read(kept).unwrap(), body(3), "{deed}");
        assert!(
            !String::from_utf8(destination.contents().concat_bytes())
                .unwrap()
                .contains("X-N: 3\r\n")
        );

        // The script is mended.
        bench.rules("fn message(m) {}");
        let report = bench.run(&mailboxes).await;
        assert_eq!(report.total.failed, 1, "not without being asked for");
        let ledger = bench.ledger();
        assert_eq!(
            whimbrel_engine::requeue(&ledger, "alice", &["rules".to_owned()]).unwrap(),
            1
        );
        let report = bench.run(&mailboxes).await;
        assert!(report.complete(), "{deed}: {report:?}");
        assert_eq!(source.contents(), destination.contents(), "{deed}");
    }
}

trait ConcatBytes {
    fn concat_bytes(self) -> Vec<u8>;
}

impl ConcatBytes for Vec<(String, Vec<u8>, Vec<String>)> {
    fn concat_bytes(self) -> Vec<u8> {
        self.into_iter().flat_map(|(_, bytes, _)| bytes).collect()
    }
}

#[tokio::test]
async fn an_error_can_stop_the_run_and_nothing_is_lost_by_that() {
    for (deed, _) in FAILING.iter().filter(|(deed, _)| !deed.contains("nobody")) {
        let (source, destination) = (Store::default(), Store::default());
        for number in 0..10 {
            source.add("INBOX", &body(number), &[]);
        }
        let mut bench = Bench::new();
        let book = book_with(&failing(deed), |book| book.on_error = OnError::Stop);
        bench.options.rules = Some(std::sync::Arc::new(book));
        let mailboxes = [Bench::mailbox(&source, &destination)];
        let error = bench.try_run(&mailboxes).await.unwrap_err();
        let EngineError::Rules(error) = error else {
            panic!("{deed}: {error}")
        };
        assert_eq!(error.problem.file, "rules.rhai", "{deed}");
        assert!(error.problem.line > 0, "{deed}: {error}");
        let items = bench.items("alice");
        assert_eq!(items.len(), 10);
        assert!(
            items
                .iter()
                .all(|(_, item)| matches!(item.fate, Fate::Pending | Fate::Placed { .. })),
            "{deed}"
        );
        bench.rules("fn message(m) {}");
        let report = bench.run(&mailboxes).await;
        assert!(report.complete(), "{deed}: {report:?}");
        assert_eq!(source.contents(), destination.contents(), "{deed}");
    }
}

#[tokio::test]
async fn what_is_not_there_is_empty_and_no_error() {
    let (source, destination) = (Store::default(), Store::default());
    source.add("INBOX", b"\r\nno head at all\r\n", &[]);
    source.add("INBOX", b"", &[]);
    source.add("INBOX", &[0xff; 300], &[]);
    let mut bench = Bench::new();
    bench.rules(
        r#"
        fn message(m) {
            if m.header("X-None") != "" || m.header_all("X-None").len() > 0 || m.has_header("X-None") { throw "there"; }
            if m.subject != "" || m.from.address != "" || m.to.len() > 0 || m.sent != () { throw "there"; }
            if m.list_id != "" || m.signed || m.attachments.len() > 0 { throw "there"; }
            m.remove_header("X-None");
            m.rewrite_domain("a.example", "b.example");
        }
        "#,
    );
    let report = bench.run(&[Bench::mailbox(&source, &destination)]).await;
    assert!(report.complete(), "{report:?}");
    assert_eq!(source.contents(), destination.contents());
}

#[tokio::test]
async fn time_ends_a_script_that_counts_nothing() {
    let (source, destination) = (Store::default(), Store::default());
    source.add("INBOX", &body(1), &[]);
    source.add("INBOX", &body(3), &[]);
    let mut bench = Bench::new();
    let options = whimbrel_rules::Options {
        limits: whimbrel_rules::Limits {
            operations: 0,
            time: Duration::from_millis(30),
            ..Default::default()
        },
        ..Default::default()
    };
    let rules = whimbrel_rules::Rules::compile("rules.rhai", &failing("loop {}"), &options).unwrap();
    let book = book_with("", |book| book.rules = std::sync::Arc::new(rules));
    bench.options.rules = Some(std::sync::Arc::new(book));
    let report = bench.run(&[Bench::mailbox(&source, &destination)]).await;
    assert_eq!((report.total.moved, report.total.failed), (1, 1));
}
