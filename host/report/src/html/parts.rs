//! Small pieces that many parts of the page are made of.

use maud::{Markup, html};
use whimbrel_engine::Counts;

use crate::figures::{bytes, count};
use crate::report::{Level, Mailbox, State};

/// Characters of a name that are shown.
const MOST_NAME: usize = 160;

/// A name of somebody's choosing, not longer than anybody reads.
pub fn name(text: &str) -> String {
    match text.char_indices().nth(MOST_NAME) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The same where there may be little room: lines break behind `@` and `/` rather than within a word.
pub fn label(text: &str) -> Markup {
    let text = name(text);
    let mut pieces = text.split_inclusive(['@', '/']);
    html! {
        (pieces.next().unwrap_or_default())
        @for piece in pieces { wbr; (piece) }
    }
}

/// A sentence of ours, in which code stands between backticks.
pub fn prose(text: &str) -> Markup {
    html! {
        @for (at, piece) in text.split('`').enumerate() {
            @if at % 2 == 1 { code { (piece) } } @else { (piece) }
        }
    }
}

/// A column of counts: its heading, and which count it shows.
type CountColumn = (&'static str, fn(&Counts) -> u64);

/// What can become of messages besides being moved.
const OTHERS: [CountColumn; 6] = [
    ("merged", |counts| counts.merged),
    ("filtered", |counts| counts.filtered),
    ("oversize", |counts| counts.oversize),
    ("failed", |counts| counts.failed),
    ("pending", |counts| counts.pending),
    ("unexplained", |counts| counts.unexplained),
];

/// Columns of a table of counts with these totals: those where every row would have 0 are left out, and said.
pub struct CountColumns {
    shown: Vec<CountColumn>,
    empty: Vec<&'static str>,
}

impl CountColumns {
    pub fn of(totals: &Counts) -> Self {
        let (shown, empty): (Vec<_>, Vec<_>) = OTHERS.into_iter().partition(|(_, of)| of(totals) > 0);
        let always: [CountColumn; 2] = [("found", |counts| counts.found), ("moved", |counts| counts.moved)];
        Self {
            shown: always.into_iter().chain(shown).collect(),
            empty: empty.into_iter().map(|(heading, _)| heading).collect(),
        }
    }

    pub fn headings(&self) -> Markup {
        html! { @for (heading, _) in &self.shown { th.num scope="col" { (heading) } } }
    }

    pub fn cells(&self, counts: &Counts) -> Markup {
        html! { @for (_, of) in &self.shown { (number(of(counts))) } }
    }

    /// Which columns are not there.
    pub fn note(&self) -> Markup {
        html! {
            @if let Some((last, others)) = self.empty.split_last() {
                p.soft.small {
                    "Nothing is "
                    @if !others.is_empty() { (others.join(", ")) " or " }
                    (last) " here."
                }
            }
        }
    }
}

/// A cell with a count; nothing to see is hardly seen.
pub fn number(number: u64) -> Markup {
    html! { td.num.zero[number == 0] { (count(number)) } }
}

/// A cell with a size.
pub fn size(size: u64) -> Markup {
    html! { td.num.zero[size == 0] { (bytes(size)) } }
}

/// A cell with a size that may not be known.
pub fn maybe_size(size: Option<u64>) -> Markup {
    html! { td.num { (size.map_or_else(|| "not known".to_owned(), bytes)) } }
}

/// A table that can be scrolled sideways where the screen is narrow.
pub fn scroll(label: &str, table: &Markup) -> Markup {
    html! { div.scroll role="region" tabindex="0" aria-label=(label) { (table) } }
}

/// How well it stands, as a sign: its form says it too, not only its colour.
pub fn sign(level: Option<Level>) -> Markup {
    html! {
        svg viewBox="0 0 20 20" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round" {
            @match level {
                Some(Level::Good) => {
                    circle cx="10" cy="10" r="8.6" {}
                    path d="M6.2 10.4l2.6 2.6 5-5.6" {}
                }
                Some(Level::Open) => {
                    path d="M10 2.2L18.4 17H1.6z" {}
                    path d="M10 8v3.6M10 14.3v.1" {}
                }
                Some(Level::Bad) => {
                    path d="M6.4 1.4h7.2l5 5v7.2l-5 5H6.4l-5-5V6.4z" {}
                    path d="M7.2 7.2l5.6 5.6M12.8 7.2l-5.6 5.6" {}
                }
                None => {
                    circle cx="10" cy="10" r="8.2" stroke-dasharray="2.6 3.2" {}
                }
            }
        }
    }
}

/// A class for the colour.
pub fn class(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Good) => "good",
        Some(Level::Open) => "open",
        Some(Level::Bad) => "bad",
        None => "none",
    }
}

/// A sign with a word.
pub fn tag(level: Option<Level>, word: &str) -> Markup {
    html! { span.tag.(class(level)) { (sign(level)) (word) } }
}

/// How far a mailbox is.
pub fn state(state: State) -> Markup {
    let level = match state {
        State::Complete => Some(Level::Good),
        State::NotStarted => None,
        State::Unfinished => Some(Level::Open),
        State::Problems | State::FailedItems | State::Unexplained => Some(Level::Bad),
    };
    tag(level, state.words())
}

/// The grade of a mailbox.
pub fn grade(mailbox: &Mailbox) -> Markup {
    match &mailbox.verified {
        None => tag(None, "not verified"),
        Some(verified) => {
            match verified.outdated {
                // Something came or changed since.
                true => tag(
                    Some(level_of(&verified.grade).max(Level::Open)),
                    &format!("{}, outdated", verified.grade),
                ),
                false => tag(Some(level_of(&verified.grade)), &verified.grade),
            }
        }
    }
}

/// How well a grade is.
pub fn level_of(grade: &str) -> Level {
    match grade {
        "perfect" | "good" => Level::Good,
        "investigate" => Level::Open,
        _ => Level::Bad,
    }
}

/// What a list leaves out, and where it is; nothing where it is whole.
pub fn left_out(number: u64, what: &str, place: &str) -> Markup {
    html! {
        @if number > 0 {
            p.soft.small { "… and " (count(number)) " more " (what) ": " (place) "." }
        }
    }
}
