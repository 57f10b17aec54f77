//! Where messages go: into one collection from several lanes and mailboxes, copies, and attachments that go to files.

use std::{collections::BTreeMap, fs, path::Path};

use proptest::prelude::*;

use crate::{
    block_on, cases,
    support::{Bench, Character, Life, Store, script::body},
};

fn many(store: &Store) -> BTreeMap<(String, Vec<u8>), usize> {
    let mut counts = BTreeMap::new();
    for (folder, bytes, _) in store.contents() {
        *counts.entry((folder, bytes)).or_default() += 1;
    }
    counts
}

/// Two folders lead into one that holds such messages already: each of those stands for one message, not for two.
#[tokio::test]
async fn what_lay_there_before_is_merged_with_once() {
    for _ in 0..8 {
        let (source, destination) = (Store::default(), Store::default());
        for number in 0..14 {
            source.add("A", &body(number), &[]);
            source.add("B", &body(number), &[]);
            destination.add("A", &body(number), &["Mine"]);
        }
        let mut bench = Bench::new();
        bench.rules("fn message(m) { m.move_to(\"A\"); }");
        let report = bench.run(&[Bench::mailbox(&source, &destination)]).await;
        assert!(report.complete(), "{report:?}");
        assert_eq!((report.total.merged, report.total.moved), (14, 14));
        let there = many(&destination);
        assert!(
            there.len() == 14 && there.values().all(|count| *count == 2),
            "{there:?}"
        );
    }
}

proptest! {
    #![proptest_config(cases())]

    /// Alice and Carol send into a mailbox that they share, at the same time, over lines that break and through kills.
    #[test]
    fn two_mailboxes_fill_one_that_they_share(
        numbers in prop::collection::vec((0usize..2, 0usize..8), 1..40),
        before in prop::collection::vec(0usize..8, 0..4),
        tells_ids: bool,
        breaks in prop::collection::vec(0u32..12, 0..8),
        kills in prop::collection::vec((0u32..50, 0u8..3), 0..3),
    ) {
        block_on(async {
            let sources = [Store::default(), Store::default()];
            let destinations = [Store::default(), Store::default()];
            let shared = Store::new(Character { tells_ids, ..Character::default() });
            let mut wanted: BTreeMap<(String, Vec<u8>), usize> = BTreeMap::new();
            for (mailbox, number) in &numbers {
                sources[*mailbox].add("INBOX", &body(*number), &[]);
                *wanted.entry(("Team/Mail".to_owned(), body(*number))).or_default() += 1;
            }
            let mut there: BTreeMap<(String, Vec<u8>), usize> = BTreeMap::new();
            for number in before {
                shared.add("Team/Mail", &body(number), &[]);
                *there.entry(("Team/Mail".to_owned(), body(number))).or_default() += 1;
            }
            for (key, count) in there {
                let wanted = wanted.entry(key).or_default();
                *wanted = count.max(*wanted);
            }
            let mut bench = Bench::new();
            bench.options.retries = 2;
            bench.rules_to("fn message(m) { m.send_to(\"team\", \"Team/Mail\"); }", &[("team", &shared)]);
            shared.state().breaks = breaks;
            let names = ["alice", "carol"];
            let all: Vec<_> = (0..2).map(|at| (names[at], &sources[at], &destinations[at])).collect();
            for (calls, end) in kills {
                bench.run_killed(&all, &[("team", &shared)], &Life::new(calls, end)).await;
            }
            let mailboxes: Vec<_> = all.iter().map(|(name, from, to)| Bench::named(name, from, to)).collect();
            bench.run_out(&mailboxes).await;
            shared.state().breaks.clear();
            let report = bench.run_out(&mailboxes).await;
            prop_assert!(report.complete(), "{:?}", report);
            prop_assert_eq!(report.total.moved + report.total.merged, numbers.len() as u64);
            prop_assert_eq!(many(&shared), wanted);
            prop_assert_eq!(many(&destinations[0]).len() + many(&destinations[1]).len(), 0);
            Ok(())
        })?;
    }
}

/// A message with an attachment of some kilobytes, made from its number.
fn attached(number: usize) -> Vec<u8> {
    let line = format!("{number:04} ").repeat(14);
    let data = format!("{line}\r\n").repeat(60);
    format!(
        "Subject: {number}\r\nX-N: {number}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n\
         --b\r\nContent-Type: text/plain\r\n\r\nsee there\r\n\
         --b\r\nContent-Type: text/csv; name=\"data {number}.csv\"\r\nContent-Disposition: attachment; \
         filename=\"data {number}.csv\"\r\n\r\n{data}\r\n--b--\r\n"
    )
    .into_bytes()
}

fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                out.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    out
}

/// Killed at any call: each attachment is one file with its content, and each message is there once with the link to it.
#[tokio::test]
async fn detached_attachments_are_written_once_and_linked_to_through_kills() {
    for kill in 0..24u32 {
        let source = Store::default();
        let destination = Store::new(Character {
            tells_ids: kill % 2 == 0,
            ..Character::default()
        });
        for number in 0..9 {
            // One of them twice.
            source.add("INBOX", &attached(number % 8), &[]);
        }
        source.add("INBOX", &body(1), &[]);
        let mut bench = Bench::new();
        bench.rules("fn message(m) {\n  m.detach(kb(2));\n  m.copy_to(\"Copies\");\n}");
        let folder = bench.attachments();
        for again in 0..3 {
            let life = Life::new((kill + again * 5) % 30, u8::try_from(kill % 3).unwrap());
            bench.run_killed(&[("alice", &source, &destination)], &[], &life).await;
        }
        let report = bench.run_out(&[Bench::mailbox(&source, &destination)]).await;
        assert!(report.complete(), "{kill}: {report:?}");
        let files = files(&folder);
        assert_eq!(files.len(), 8, "{kill}: {:?}", files.keys());
        for (name, content) in &files {
            assert!(name.starts_with("alice/") && name.ends_with(".csv"), "{name}");
            let number = &content[..4];
            assert!(content.len() > 4000 && content.chunks(5).filter(|piece| piece.starts_with(number)).count() > 10);
        }
        let there = destination.contents();
        assert_eq!(there.len(), 20, "{kill}");
        for (_, bytes, _) in there.iter().filter(|(_, bytes, _)| bytes.len() > 400) {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let link = text
                .split("https://files.example/")
                .nth(1)
                .unwrap_or_else(|| panic!("{text}"));
            let link: String = link
                .chars()
                .take_while(|char| !char.is_whitespace() && *char != '"')
                .collect();
            let name = link.replace("%20", " ");
            let content = String::from_utf8(files[name.trim_end_matches(['>', '.'])].clone()).unwrap();
            let number: usize = text
                .split("X-N: ")
                .nth(1)
                .unwrap()
                .lines()
                .next()
                .unwrap()
                .parse()
                .unwrap();
            assert!(
                content.starts_with(&format!("{number:04} ")),
                "{kill}: the link leads to another file"
            );
        }
        for (_, item) in bench
            .items("alice")
            .into_iter()
            .filter(|(_, item)| item.meta.size > Some(1000))
        {
            assert!(
                item.repairs.iter().any(|repair| repair.starts_with("detached alice/")),
                "{:?}",
                item.repairs
            );
        }
    }
}
