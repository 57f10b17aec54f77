//! What people see of a verification.

use std::time::Duration;

use whimbrel_engine::{Class, Depth, MailboxVerified, Sample, Verdict, Verification, Verified};

use crate::output::safe;
use crate::output::table::{Rows, count, plural};
use crate::settings::units::{show_bytes, show_time};

/// Above so many mailboxes, only those that are not perfect are shown.
const MOST_ROWS: usize = 50;
/// Differences, problems and notes of one mailbox that are shown.
const MOST_LINES: usize = 20;

/// The table, the differences, and what to think of it.
pub fn report(verification: &Verification, depth: Depth) -> String {
    let mut rows = Rows::new(&[
        "mailbox",
        ">found",
        ">compared",
        ">read",
        ">missing",
        ">altered",
        ">moved away",
        ">extra",
        ">other",
        ">not migrated yet",
        "verdict",
    ]);
    let perfect =
        |mailbox: &&MailboxVerified| mailbox.outcome.verdict.reasons.is_empty() && mailbox.problems.is_empty();
    let few = verification.mailboxes.len() <= MOST_ROWS;
    for mailbox in verification.mailboxes.iter().filter(|mailbox| few || !perfect(mailbox)) {
        let state = if mailbox.problems.is_empty() {
            grade(&mailbox.outcome.verdict)
        } else {
            "not verified"
        };
        rows.add(cells(&mailbox.name, &mailbox.outcome, state));
    }
    if verification.mailboxes.len() != 1 {
        rows.add(cells("all", &verification.total, grade(&verification.total.verdict)));
    }
    let mut out = rows.render();
    for mailbox in &verification.mailboxes {
        out += &details(mailbox);
    }
    out += &closing(verification, depth);
    out
}

fn grade(verdict: &Verdict) -> &'static str {
    verdict.grade.code()
}

fn cells(name: &str, outcome: &Verified, grade: &str) -> [String; 11] {
    let of = |classes: &[Class]| classes.iter().map(|class| outcome.differences.of(*class)).sum::<u64>();
    [
        name.to_owned(),
        count(outcome.counts.found),
        count(outcome.looked.compared),
        count(outcome.looked.read),
        count(of(&[Class::Missing])),
        count(of(&[Class::AlteredContent])),
        count(of(&[Class::Placement])),
        count(of(&[Class::Extra])),
        count(of(&[Class::AlteredTransport, Class::Date, Class::Flags])),
        count(outcome.counts.pending + outcome.since.marked),
        grade.to_owned(),
    ]
}

fn details(mailbox: &MailboxVerified) -> String {
    let name = safe(&mailbox.name);
    let mut out = String::new();
    for problem in mailbox.problems.iter().take(MOST_LINES) {
        let place = problem
            .collection
            .as_ref()
            .map(|path| format!(", {path}"))
            .unwrap_or_default();
        out += &format!(
            "\n✗ {name}{}: {}\n  → {}",
            safe(&place),
            safe(&problem.text),
            problem.remedy
        );
    }
    let mut told: Vec<Class> = Vec::new();
    for difference in mailbox.found_different.iter().take(MOST_LINES) {
        let from = match (&difference.collection, &difference.id) {
            (Some(path), Some(id)) => format!("{path}, message {id}"),
            _ => difference.place.as_ref().map_or_else(String::new, |place| {
                format!(
                    "{}, message {} there",
                    place.collection,
                    place.id.as_deref().unwrap_or("?")
                )
            }),
        };
        let detail = match (&difference.expected, &difference.found) {
            (Some(expected), Some(found)) => format!(": `{expected}` expected, `{found}` there"),
            (_, Some(found)) => format!(": {found}"),
            _ => String::new(),
        };
        out += &format!(
            "\n≠ {name}, {}: {}{}",
            safe(&from),
            difference.class.code(),
            safe(&detail)
        );
        if !told.contains(&difference.class) {
            told.push(difference.class);
            out += &format!("\n  likely {}\n  → {}", difference.cause, difference.remedy);
        }
    }
    let more = mailbox
        .outcome
        .differences
        .total()
        .saturating_sub(MOST_LINES.min(mailbox.found_different.len()) as u64);
    if more > 0 {
        out += &format!("\n  … and {} more; --differences DIR writes all of them", count(more));
    }
    for text in mailbox
        .outcome
        .verdict
        .remainder
        .iter()
        .chain(&mailbox.notes)
        .take(MOST_LINES)
    {
        out += &format!("\n• {name}: {}", safe(text));
    }
    out
}

fn closing(verification: &Verification, depth: Depth) -> String {
    let total = &verification.total;
    let time = show_time(Duration::try_from_secs_f64(total.counts.seconds).unwrap_or_default());
    let mut out = format!(
        "\n\n{} compared, {} read ({}) in {time}.",
        plural(total.looked.compared, "message"),
        count(total.looked.read),
        show_bytes(total.looked.bytes)
    );
    if total.looked.own > 0 {
        out += &format!(
            " The destination has {} of its own.",
            plural(total.looked.own, "message")
        );
    }
    if let (Some(estimate), Depth::Sample(Sample { seed, .. })) = (total.estimate, depth) {
        out += &format!(
            "\n{} of {} chosen bodies differ: with 95 % confidence at most {:.3} % of all {} do (seed {seed}).",
            count(estimate.different),
            count(estimate.read),
            estimate.at_most_percent,
            plural(estimate.of, "message"),
        );
    }
    let since = &total.since;
    for (number, text) in [
        (since.new, "new at the source"),
        (since.marked, "marked otherwise at the source"),
        (since.gone, "gone at the source, and kept at the destination"),
    ] {
        if number > 0 {
            out += &format!("\n{} {text} since the last run.", plural(number, "message"));
        }
    }
    out += &match verification.interrupted {
        true => "\nInterrupted: not everything was looked at.".to_owned(),
        false => format!("\nVerdict: {}.{}", grade(&total.verdict), reasons(&total.verdict)),
    };
    out
}

/// Why it is not perfect.
fn reasons(verdict: &Verdict) -> String {
    let reasons: Vec<String> = verdict
        .reasons
        .iter()
        .map(|reason| format!("{} {}", count(reason.count), reason.what))
        .collect();
    match reasons.is_empty() {
        true => String::new(),
        false => format!(" Not perfect: {}.", reasons.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_engine::SampleSize;

    use super::super::tests::sample;
    use super::*;

    #[test]
    fn people_see_what_is_different_and_what_to_do() {
        let depth = Depth::Sample(Sample {
            size: SampleSize::Items(10),
            seed: 7,
        });
        let text = report(&sample(), depth);
        for part in [
            "not migrated yet",
            "≠ alice, INBOX, message 7: missing",
            "→ if nobody deleted it",
            "• alice: folder `Old`",
            "The destination has 5 messages of its own.",
            "0 of 10 chosen bodies differ: with 95 % confidence at most 25.887 % of all 998 messages do (seed 7).",
            "1 message new at the source since the last run.",
            "Verdict: investigate. Not perfect: 1 missing, 1 pending.",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }
}
