//! What became of mailboxes, for people.

use std::collections::BTreeMap;

use serde_json::json;
use whimbrel_engine::{ConnectorReport, Counts, MailboxReport, Report};
use whimbrel_model::Kind;

use super::safe;
use super::table::{Rows, count, plural};
use crate::settings::units::{show_bytes, show_moment, show_time};

/// Above so many mailboxes, only those that are not complete are shown.
const MOST_ROWS: usize = 50;
/// Problems and notes of one mailbox that are shown.
const MOST_LINES: usize = 20;
/// Attempts of one connector that are shown.
const MOST_ATTEMPTS: usize = 5;
/// Lines about rules that are shown.
const MOST_RULES: usize = 60;

const HEADINGS: [&str; 11] = [
    "mailbox",
    ">found",
    ">moved",
    ">merged",
    ">filtered",
    ">oversize",
    ">failed",
    ">pending",
    ">unexplained",
    ">size",
    "state",
];

/// The table of a run or of a status, the problems with their remedies, and the notes.
pub fn report(report: &Report) -> String {
    let few = report.mailboxes.len() <= MOST_ROWS;
    let mut rows = Rows::new(&HEADINGS);
    for mailbox in report.mailboxes.iter().filter(|mailbox| few || !mailbox.complete()) {
        rows.add(cells(
            &mailbox.name,
            &mailbox.counts,
            state(mailbox, report.interrupted),
        ));
    }
    if report.mailboxes.len() != 1 {
        let complete = report.mailboxes.iter().filter(|mailbox| mailbox.complete()).count();
        rows.add(cells(
            "all",
            &report.total,
            &format!("{complete} of {} complete", report.mailboxes.len()),
        ));
    }
    let mut out = rows.render();
    for mailbox in &report.mailboxes {
        out += &details(mailbox);
    }
    let rules = rules(&report.mailboxes);
    if !rules.is_empty() {
        out += &format!("\n{rules}");
    }
    out
}

/// What each rule did, in the order of the script; empty where none did anything.
pub fn rules<'a>(mailboxes: impl IntoIterator<Item = &'a MailboxReport>) -> String {
    let mut sums: BTreeMap<(&str, u32, &str, &str), u64> = BTreeMap::new();
    for one in mailboxes.into_iter().flat_map(|mailbox| &mailbox.rules) {
        *sums.entry((&one.file, one.line, &one.rule, &one.did)).or_default() += one.count;
    }
    if sums.is_empty() {
        return String::new();
    }
    let mut rows = Rows::new(&["rule", "line", "what it did", ">count"]);
    for ((file, line, rule, did), sum) in sums.iter().take(MOST_RULES) {
        rows.add([rule, format!("{file}:{line}").as_str(), did, &count(*sum)]);
    }
    let more = match sums.len().saturating_sub(MOST_RULES) {
        0 => String::new(),
        more => format!("\n… and {more} more lines; --json has them all"),
    };
    format!("\nWhat the rules did:\n{}{more}", rows.render())
}

/// What the items of a report are called, one of them.
pub fn noun(report: &Report) -> &'static str {
    match report.mailboxes.iter().all(|mailbox| mailbox.kind == Kind::Message) {
        true => "message",
        false => "item",
    }
}

/// What this run did, in a sentence.
pub fn worked(report: &Report) -> String {
    let sum = |of: fn(&MailboxReport) -> u64| report.mailboxes.iter().map(of).sum::<u64>();
    let one = noun(report);
    let mut parts = Vec::new();
    for (number, what, verb) in [
        (sum(|it| it.worked.copied), one, "copied"),
        (sum(|it| it.worked.merged), one, "merged with equal ones"),
        (sum(|it| it.worked.marked), one, "marked anew"),
        (sum(|it| it.worked.replaced), "item", "replaced by what they are now"),
        (sum(|it| it.worked.relocated), one, "moved on the server"),
        (sum(|it| it.worked.adopted), one, "known again under new ids"),
        (sum(|it| it.worked.settled), one, "found in place after an interruption"),
        (sum(|it| it.worked.vanished), one, "gone at the source"),
        (sum(|it| it.worked.trashed), one, "moved to the trash"),
    ] {
        if number > 0 {
            parts.push(format!("{} {verb}", plural(number, what)));
        }
    }
    let bytes = sum(|it| it.worked.bytes);
    let time = show_time(std::time::Duration::try_from_secs_f64(report.total.seconds).unwrap_or_default());
    match parts.is_empty() {
        true if !report.complete() => format!("Nothing was copied. This took {time}."),
        true => format!("Nothing was new. This took {time}."),
        false => format!("{}; {} in {time}.", parts.join(", "), show_bytes(bytes)),
    }
}

fn cells(name: &str, counts: &Counts, state: &str) -> [String; 11] {
    [
        name.to_owned(),
        count(counts.found),
        count(counts.moved),
        count(counts.merged),
        count(counts.filtered),
        count(counts.oversize),
        count(counts.failed),
        count(counts.pending),
        count(counts.unexplained),
        show_bytes(counts.bytes),
        state.to_owned(),
    ]
}

/// One word for how far it is.
fn state(mailbox: &MailboxReport, interrupted: bool) -> &'static str {
    let counts = &mailbox.counts;
    match () {
        () if mailbox.parked.is_some() => "parked",
        () if !mailbox.problems.is_empty() => "problems",
        () if counts.failed > 0 => "failed items",
        () if counts.unexplained > 0 => "unexplained",
        () if counts.pending > 0 && interrupted => "interrupted",
        () if counts.pending > 0 => "unfinished",
        () => "complete",
    }
}

fn details(mailbox: &MailboxReport) -> String {
    let mut out = String::new();
    if let Some(parked) = &mailbox.parked {
        out += &format!(
            "\n‖ {}: parked ({}): {}\n  → run it again from {} on",
            safe(&mailbox.name),
            safe(&parked.class),
            safe(&parked.text),
            show_moment(parked.until_unix_ms)
        );
    }
    for problem in mailbox.problems.iter().take(MOST_LINES) {
        let place = problem
            .collection
            .as_ref()
            .map(|collection| format!(", {collection}"))
            .unwrap_or_default();
        out += &format!(
            "\n✗ {}{}: {}\n  → {}",
            safe(&mailbox.name),
            safe(&place),
            safe(&problem.text),
            problem.remedy
        );
    }
    out += &more(mailbox.problems.len());
    for note in mailbox.notes.iter().take(MOST_LINES) {
        out += &format!("\n• {}: {}", safe(&mailbox.name), safe(note));
    }
    out += &more(mailbox.notes.len());
    for connector in &mailbox.connectors {
        out += &tried(&mailbox.name, connector);
    }
    if mailbox.counts.failed > 0 {
        let one = if mailbox.kind == Kind::Message {
            "message"
        } else {
            "item"
        };
        let failed = plural(mailbox.counts.failed, one);
        let name = safe(&mailbox.name);
        out += &format!(
            "\n• {name}: {failed} failed; `whimbrel events --only {name}` tells why, `whimbrel retry` tries again"
        );
    }
    out
}

/// What a connector tried and may not; nothing where it tried nothing.
fn tried(mailbox: &str, connector: &ConnectorReport) -> String {
    let usage = &connector.usage;
    let attempts = usage.attempts();
    if attempts == 0 {
        return String::new();
    }
    let name = safe(mailbox);
    let mut shown: Vec<String> = usage
        .refused
        .iter()
        .take(MOST_ATTEMPTS)
        .map(|refusal| {
            let sort = json!(refusal.attempt);
            format!("{} ({})", safe(&refusal.what), sort.as_str().unwrap_or_default())
        })
        .collect();
    if usage.refused.len() > MOST_ATTEMPTS || usage.refused_more > 0 {
        shown.push("…".to_owned());
    }
    format!(
        "\n! {name}, {}: the connector `{}` {} was refused {}: {}\n  → `whimbrel events --only {name}` has them; ask its \
         vendor why, and do not use it before you know",
        connector.side,
        safe(&connector.connector),
        safe(&connector.version),
        plural(attempts, "attempt"),
        shown.join(", ")
    )
}

fn more(length: usize) -> String {
    if length <= MOST_LINES {
        String::new()
    } else {
        format!("\n  … and {} more, all of them with --json", length - MOST_LINES)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use whimbrel_engine::{Parked, Problem, RuleCount, Worked};
    use whimbrel_model::Failure;
    use whimbrel_sandbox::{Attempt, Refusal, Usage};

    use super::*;

    pub(crate) fn sample() -> Report {
        let counts = Counts {
            found: 10,
            moved: 7,
            merged: 1,
            failed: 2,
            bytes: 2048,
            seconds: 0.5,
            ..Counts::default()
        };
        let problem = Problem::new(Some("Old".into()), "destination", &Failure::OverQuota("full".into()));
        let worked = Worked {
            found: 10,
            copied: 7,
            merged: 1,
            bytes: 2048,
            ..Worked::default()
        };
        let alice = MailboxReport {
            name: "alice".into(),
            counts,
            worked,
            problems: vec![problem],
            notes: vec!["`a/b` is `a_b` there".into()],
            ..MailboxReport::default()
        };
        let moved = Counts {
            found: 1,
            moved: 1,
            ..Counts::default()
        };
        let bob = MailboxReport {
            name: "bob".into(),
            counts: moved,
            ..MailboxReport::default()
        };
        Report::new(vec![alice, bob], 0.5, false)
    }

    #[test]
    fn people_see_counts_problems_and_remedies() {
        let text = report(&sample());
        for part in [
            "unexplained",
            "2.0 KiB",
            "1 of 2 complete",
            "✗ alice, Old: destination: the quota is used up",
            "→ raise the quota",
            "• alice: `a/b`",
            "whimbrel retry",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert_eq!(
            worked(&sample()),
            "7 messages copied, 1 message merged with equal ones; 2.0 KiB in 0.5 s."
        );
        assert!(worked(&Report::new(Vec::new(), 0.1, false)).starts_with("Nothing was new"));
        let mut mixed = sample();
        mixed.mailboxes[1].kind = Kind::Event;
        assert!(worked(&mixed).starts_with("7 items copied"), "{}", worked(&mixed));
    }

    #[test]
    fn what_is_parked_says_why_and_until_when() {
        let mut sample = sample();
        sample.mailboxes[1].parked = Some(Parked {
            class: "over-quota".into(),
            text: "destination: the quota is used up".into(),
            until_unix_ms: 1_795_824_000_000,
        });
        let text = report(&sample);
        for part in [
            "parked",
            "‖ bob: parked (over-quota): destination: the quota is used up",
            "→ run it again from 2026-11-28T00:00:00Z on",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        let value = serde_json::to_value(&sample).unwrap();
        assert_eq!(value["mailboxes"][1]["parked"]["until_unix_ms"], 1_795_824_000_000_i64);
        assert!(value["mailboxes"][0]["parked"].is_null());
    }

    #[test]
    fn the_json_is_the_documented_one() {
        let value = serde_json::to_value(sample()).unwrap();
        let keys = |value: &serde_json::Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        let counts = [
            "found",
            "moved",
            "merged",
            "filtered",
            "oversize",
            "failed",
            "pending",
            "unexplained",
            "bytes",
            "seconds",
        ];
        assert_eq!(keys(&value), ["mailboxes", "total", "interrupted"]);
        assert_eq!(keys(&value["total"]), counts);
        let mailbox = &value["mailboxes"][0];
        assert_eq!(
            keys(mailbox),
            [
                &["name"],
                &counts[..],
                &[
                    "worked",
                    "problems",
                    "notes",
                    "rules",
                    "connections",
                    "connectors",
                    "parked"
                ]
            ]
            .concat()
        );
        assert_eq!(
            keys(&mailbox["worked"]),
            [
                "found",
                "copied",
                "bytes",
                "merged",
                "marked",
                "replaced",
                "relocated",
                "adopted",
                "vanished",
                "trashed",
                "settled"
            ]
        );
        assert_eq!(
            mailbox["problems"][0],
            json!({
                "collection": "Old", "code": "over-quota", "text": "destination: the quota is used up: full",
                "remedy": whimbrel_engine::remedy(&Failure::OverQuota(String::new())),
            })
        );
    }

    #[test]
    fn what_a_connector_tried_is_told_and_nothing_else_of_it() {
        let mut sample = sample();
        let refused = |number: u64| Refusal {
            attempt: Attempt::Connect,
            what: format!("evil{number}.example:993"),
            count: number,
        };
        let connector = |usage| ConnectorReport {
            side: "source",
            connector: "x".into(),
            version: "1.0.0".into(),
            usage,
        };
        sample.mailboxes[1].connectors = vec![connector(Usage::default())];
        assert!(!report(&sample).contains("connector `x`"));
        let usage = Usage {
            refused: (1..=6).map(refused).collect(),
            ..Usage::default()
        };
        sample.mailboxes[1].connectors = vec![connector(usage)];
        let text = report(&sample);
        for part in [
            "! bob, source: the connector `x` 1.0.0 was refused 21 attempts: evil1.example:993 (connect), ",
            ", …",
            "whimbrel events --only bob",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn rules_are_summed_over_mailboxes_in_the_order_of_the_script() {
        let rule = |line, did: &str, count| RuleCount {
            rule: "message".into(),
            file: "rules.rhai".into(),
            line,
            did: did.into(),
            count,
        };
        let mut sample = sample();
        assert!(!report(&sample).contains("What the rules did"));
        sample.mailboxes[0].rules = vec![rule(9, "skip", 1), rule(12, "move_to Archive/2019", 2)];
        sample.mailboxes[1].rules = vec![rule(9, "skip", 40)];
        let text = rules(&sample.mailboxes);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("rules.rhai:")).collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines[0].contains("rules.rhai:9") && lines[0].trim_end().ends_with("41"),
            "{text}"
        );
        assert!(lines[1].contains("move_to Archive/2019"), "{text}");
    }

    #[test]
    fn many_mailboxes_are_summed_up() {
        let one = sample().mailboxes[1].clone();
        let many = Report::new(vec![one; MOST_ROWS + 1], 1.0, false);
        let text = report(&many);
        assert!(!text.contains("bob") && text.contains("51 of 51 complete"), "{text}");
    }
}
