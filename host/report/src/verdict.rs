//! What to think of it, and what to do next.

use whimbrel_engine::{Class, Counts, GradeRules};

use crate::figures::{age, count, plural};
use crate::report::{Advice, Level, Mailbox, Overall, Reason, Side, State, Tallied};
use crate::verified;

/// The verdict on all mailboxes.
pub fn overall(mailboxes: &[Mailbox], total: &Counts, grades: &GradeRules, now: i64) -> Overall {
    let verified = || mailboxes.iter().filter_map(|mailbox| mailbox.verified.as_ref());
    let together = verified::together(verified(), grades);
    let number = |of: &dyn Fn(&Mailbox) -> bool| mailboxes.iter().filter(|mailbox| of(mailbox)).count() as u64;
    let began: Vec<i64> = verified().map(|one| one.began).collect();
    let differences = together.as_ref().map(|(_, differences)| {
        let all = Class::ALL.map(|class| (class.code(), differences.of(class)));
        let found = all.into_iter().filter(|(_, count)| *count > 0);
        found
            .map(|(what, count)| Tallied {
                what: what.to_owned(),
                count,
            })
            .collect()
    });
    let mut overall = Overall {
        level: Level::Open,
        headline: String::new(),
        sentences: Vec::new(),
        balanced: balanced(total),
        grade: together.as_ref().map(|(verdict, _)| verdict.grade.code()),
        verified: began.len() as u64,
        outdated: verified().filter(|one| one.outdated).count() as u64,
        oldest: began.iter().min().copied(),
        newest: began.iter().max().copied(),
        compared: verified().map(|one| one.looked.compared).sum(),
        read: verified().map(|one| one.looked.read).sum(),
        differences: differences.unwrap_or_default(),
        complete: number(&|mailbox| mailbox.state == State::Complete),
        not_started: number(&|mailbox| mailbox.state == State::NotStarted),
    };
    let (level, headline) = headline(&overall, total, mailboxes);
    (overall.level, overall.headline) = (level, headline.to_owned());
    overall.sentences = sentences(&overall, total, mailboxes.len() as u64, now);
    overall
}

fn balanced(total: &Counts) -> bool {
    let parts = [
        total.moved,
        total.merged,
        total.filtered,
        total.oversize,
        total.failed,
        total.pending,
    ];
    parts.iter().sum::<u64>() == total.found
}

fn headline(overall: &Overall, total: &Counts, mailboxes: &[Mailbox]) -> (Level, &'static str) {
    let all = mailboxes.len() as u64;
    let problems = mailboxes.iter().any(|mailbox| mailbox.state == State::Problems);
    match () {
        () if !overall.balanced => (Level::Bad, "The counts do not add up"),
        () if overall.not_started == all => (Level::Open, "Nothing was moved yet"),
        () if total.pending > 0 || overall.not_started > 0 || problems => (Level::Open, "Not finished yet"),
        () if total.unexplained > 0 => (Level::Bad, "Some messages are unexplained"),
        () if total.failed > 0 => (Level::Bad, "Some messages failed"),
        () if overall.grade == Some("poor") => (Level::Bad, "Both sides differ"),
        () if overall.grade == Some("investigate") => (Level::Open, "Some differences need a look"),
        () if overall.verified == 0 => (Level::Open, "Everything is accounted for, and not verified yet"),
        () if overall.verified < all || overall.outdated > 0 => {
            (Level::Open, "Everything is accounted for, and verified in part")
        }
        () if overall.grade == Some("good") => (Level::Good, "Everything is there, with slight differences"),
        () => (Level::Good, "Everything is there"),
    }
}

fn sentences(overall: &Overall, total: &Counts, all: u64, now: i64) -> Vec<String> {
    let mut said = Vec::new();
    let mut say = |text: String| said.push(text);
    if overall.not_started > 0 {
        say(format!("{} not been started.", has(overall.not_started, "mailbox")));
    }
    if total.pending > 0 {
        say(format!("{} for a further run.", waits(total.pending)));
    }
    if total.unexplained > 0 {
        say(format!(
            "The source claims {} that it does not list.",
            plural(total.unexplained, "message")
        ));
    }
    if total.failed > 0 {
        let are = if total.failed == 1 { "it is" } else { "they are" };
        say(format!(
            "{} could not be moved; {are} listed below with the cause.",
            plural(total.failed, "message")
        ));
    }
    if total.oversize > 0 {
        say(format!("{} left out as too large.", was(total.oversize, "message")));
    }
    if total.filtered > 0 {
        say(format!("{} left out by a rule.", was(total.filtered, "message")));
    }
    match overall.grade {
        None if overall.not_started < all => say("Nothing was verified yet.".to_owned()),
        None => {}
        Some(grade) => say(verification(overall, grade, all, now)),
    }
    if overall.outdated > 0 {
        say(format!(
            "{} changed by a run after that.",
            was(overall.outdated, "mailbox")
        ));
    }
    if overall.balanced && total.found > 0 && total.pending == 0 && total.unexplained == 0 {
        said.insert(
            0,
            match total.failed {
                0 => format!("All {} found are accounted for.", plural(total.found, "message")),
                _ => format!("All {} found have a known fate.", plural(total.found, "message")),
            },
        );
    }
    said
}

fn verification(overall: &Overall, grade: &str, all: u64, now: i64) -> String {
    let of = match overall.verified {
        verified if verified == all => "Verification".to_owned(),
        verified => format!("Verification of {} of {}", count(verified), plural(all, "mailbox")),
    };
    let when = overall.newest.map_or_else(String::new, |newest| {
        let since = age(newest, now);
        match overall.oldest {
            Some(oldest) if newest.saturating_sub(oldest) > 86_400 => {
                format!(", the oldest {} ago and the newest {since} ago", age(oldest, now))
            }
            _ => format!(", {since} ago"),
        }
    });
    let read = match overall.read {
        0 => "by their listings".to_owned(),
        read => format!("and {} read", plural(read, "body")),
    };
    let found: u64 = overall.differences.iter().map(|one| one.count).sum();
    let found = match found {
        0 => "no difference".to_owned(),
        found => plural(found, "difference"),
    };
    format!(
        "{of}{when}: {grade}. {} compared {read}, {found} found.",
        plural(overall.compared, "message")
    )
}

fn has(number: u64, one: &str) -> String {
    format!("{} {}", plural(number, one), if number == 1 { "has" } else { "have" })
}

fn was(number: u64, one: &str) -> String {
    format!("{} {}", plural(number, one), if number == 1 { "was" } else { "were" })
}

fn waits(number: u64) -> String {
    format!(
        "{} {}",
        plural(number, "message"),
        if number == 1 { "waits" } else { "wait" }
    )
}

/// What to do next, the first thing first; `sides` are source and destination.
pub fn advice(
    mailboxes: &[Mailbox],
    total: &Counts,
    overall: &Overall,
    reasons: &[Reason],
    sides: [&Side; 2],
) -> Vec<Advice> {
    let mut next = Vec::new();
    let mut add = |text: String, command: Option<String>| next.push(Advice { text, command });
    if sides.iter().any(|side| !side.refused.is_empty()) {
        add(
            "Ask who made the connector why it tried what it may not (see there), before it runs again".to_owned(),
            Some("whimbrel events".to_owned()),
        );
    }
    let migrate = || Some("whimbrel migrate".to_owned());
    let in_trouble = mailboxes
        .iter()
        .filter(|mailbox| mailbox.state == State::Problems)
        .count() as u64;
    if in_trouble > 0 {
        add(
            format!(
                "Remove what kept {} from being finished (see there), then run again",
                plural(in_trouble, "mailbox")
            ),
            migrate(),
        );
    }
    let waiting = total.pending > 0 || overall.not_started > 0;
    if waiting && in_trouble == 0 {
        add("Move what waits".to_owned(), migrate());
    }
    for reason in reasons {
        add(
            format!(
                "{}, {}: {}",
                reason.code,
                plural(reason.count, "message"),
                reason.remedy
            ),
            Some(format!("whimbrel retry --reason {}", reason.code)),
        );
    }
    if total.unexplained > 0 {
        add(
            "Ask the provider of the source about the folders that claim more than they list (see there), then run again"
                .to_owned(),
            migrate(),
        );
    }
    let all = mailboxes.len() as u64;
    let started = overall.not_started < all;
    let different = mailboxes
        .iter()
        .filter_map(|mailbox| mailbox.verified.as_ref())
        .any(|one| one.different() > 0);
    if different {
        add(
            "Look at the differences that verification found (see there); this writes all of them to files".to_owned(),
            Some("whimbrel verify --differences DIR".to_owned()),
        );
    }
    if started && (overall.verified < all || overall.outdated > 0) {
        let what = match (overall.verified, overall.outdated) {
            (0, _) => "Verify what was moved, before the old server goes",
            _ => "Verify again: not all that was moved has been verified since",
        };
        add(what.to_owned(), Some("whimbrel verify --sample 5%".to_owned()));
    } else if started && overall.level != Level::Bad && overall.read == 0 {
        add(
            "Verify a sample of the bodies too, before the old server goes".to_owned(),
            Some("whimbrel verify --sample 5%".to_owned()),
        );
    }
    if overall.level == Level::Good {
        add(
            "Hand out what anybody can check: a signed proof of every mailbox".to_owned(),
            Some("whimbrel proof write FOLDER".to_owned()),
        );
        add("Catch up once more before the old server goes".to_owned(), migrate());
    }
    next
}
