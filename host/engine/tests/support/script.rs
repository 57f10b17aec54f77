//! Random scripts, and what has to become of a message under them: a second, simple reading of the same rules.

use std::{collections::BTreeSet, fmt::Write as _};

use proptest::prelude::*;

/// Whom a clause concerns.
#[derive(Debug, Clone)]
pub enum When {
    Always,
    In(&'static str),
    Number(usize, usize),
    Seen,
    Larger(usize),
}

/// What it does.
#[derive(Debug, Clone)]
pub enum Do {
    Skip,
    Keep,
    MoveTo(&'static str),
    MoveToArchive,
    CopyTo(&'static str),
    SendTo(&'static str),
    SendInto(&'static str, &'static str),
    Set(&'static str),
    Clear(&'static str),
    SetHeader(&'static str),
    AddHeader(&'static str),
    RemoveHeader,
    NewDomain,
    Note,
    Throw,
    WrongType,
    Endless,
    Recursion,
    TooLong,
}

/// A script: one clause a line, from the second on.
#[derive(Debug, Clone)]
pub struct Script(pub Vec<(When, Do)>);

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    Filtered(String),
    Failed,
    Placed(Goal),
}

/// Where it lies, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Goal {
    pub account: String,
    pub folder: String,
    /// In the mailbox's own account.
    pub copies: BTreeSet<String>,
    pub flags: Vec<String>,
    /// As [`canonical`] has it.
    pub content: Content,
}

/// The values of `X-Rule`, sorted, and all else.
pub type Content = (Vec<String>, String);

/// A decision: line and what it did.
pub type Said = (u32, String);

pub fn folder() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["INBOX", "Work", "Work/2020"])
}

fn place() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["INBOX", "Work", "Archive", "New/Place"])
}

fn keyword() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["\\Seen", "\\Flagged", "Moved", "Old"])
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![
        1 => Just(When::Always),
        2 => folder().prop_map(When::In),
        4 => (2usize..4, 0usize..4).prop_map(|(by, rest)| When::Number(by, rest % by)),
        1 => Just(When::Seen),
        2 => (60usize..220).prop_map(When::Larger),
    ]
}

fn deed() -> impl Strategy<Value = Do> {
    let value = || prop::sample::select(vec!["one", "two", "three"]);
    prop_oneof![
        2 => Just(Do::Skip),
        1 => Just(Do::Keep),
        4 => place().prop_map(Do::MoveTo),
        2 => Just(Do::MoveToArchive),
        4 => place().prop_map(Do::CopyTo),
        3 => prop::sample::select(vec!["alice", "bob", "nobody"]).prop_map(Do::SendTo),
        2 => (prop::sample::select(vec!["alice", "bob"]), place()).prop_map(|(name, place)| Do::SendInto(name, place)),
        3 => keyword().prop_map(Do::Set),
        2 => keyword().prop_map(Do::Clear),
        3 => value().prop_map(Do::SetHeader),
        2 => value().prop_map(Do::AddHeader),
        1 => Just(Do::RemoveHeader),
        2 => Just(Do::NewDomain),
        1 => Just(Do::Note),
        1 => prop::sample::select(vec![Do::Throw, Do::WrongType, Do::Endless, Do::Recursion, Do::TooLong]),
    ]
}

pub fn script() -> impl Strategy<Value = Script> {
    prop::collection::vec((when(), deed()), 0..8).prop_map(Script)
}

/// Decisions that do not depend on where a message lies, nor on its flags, and copies only to where no source folder
/// leads: what moved at the source has to come to the same as what always lay there.
pub fn steady_script() -> impl Strategy<Value = Script> {
    let steady = |clause: &(When, Do)| {
        !matches!(clause.0, When::In(_) | When::Seen) && !matches!(clause.1, Do::CopyTo("INBOX" | "Work"))
    };
    prop::collection::vec((when(), deed()).prop_filter("steady", steady), 0..8).prop_map(Script)
}

/// The message of this number, as the source has it.
pub fn body(number: usize) -> Vec<u8> {
    let mut text = format!("Subject: {number}\r\nFrom: a@old.example\r\nX-N: {number}\r\n");
    if number.is_multiple_of(4) {
        text.push_str("X-Rule: first\r\n");
    }
    let _ = write!(text, "\r\nbody {number}{}\r\n", " and so on".repeat(number % 5 * 3));
    text.into_bytes()
}

/// So that the place of a header does not count.
pub fn canonical(bytes: &[u8]) -> Content {
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let (mut values, mut rest) = (Vec::new(), String::new());
    for line in text.split_inclusive("\r\n") {
        match line.strip_prefix("X-Rule: ") {
            Some(value) => values.push(value.trim_end().to_owned()),
            None => rest.push_str(line),
        }
    }
    values.sort();
    (values, rest)
}

impl Script {
    /// As Rhai.
    pub fn text(&self) -> String {
        let mut text = "fn message(m) {\n".to_owned();
        for (when, deed) in &self.0 {
            let when = match when {
                When::Always => "true".to_owned(),
                When::In(folder) => format!("m.folder == \"{folder}\""),
                When::Number(by, rest) => format!("parse_int(m.header(\"X-N\")) % {by} == {rest}"),
                When::Seen => "m.seen".to_owned(),
                When::Larger(size) => format!("m.size > {size}"),
            };
            let deed = match deed {
                Do::Skip => "m.skip(\"left out\")".to_owned(),
                Do::Keep => "m.keep()".to_owned(),
                Do::MoveTo(place) => format!("m.move_to(\"{place}\")"),
                Do::MoveToArchive => "m.move_to_role(\"archive\")".to_owned(),
                Do::CopyTo(place) => format!("m.copy_to(\"{place}\")"),
                Do::SendTo(name) => format!("m.send_to(\"{name}\")"),
                Do::SendInto(name, place) => format!("m.send_to(\"{name}\", \"{place}\")"),
                Do::Set(flag) => format!("m.set_flag(\"{}\")", flag.replace('\\', "\\\\")),
                Do::Clear(flag) => format!("m.clear_flag(\"{}\")", flag.replace('\\', "\\\\")),
                Do::SetHeader(value) => format!("m.set_header(\"X-Rule\", \"{value}\")"),
                Do::AddHeader(value) => format!("m.add_header(\"X-Rule\", \"{value}\")"),
                Do::RemoveHeader => "m.remove_header(\"X-Rule\")".to_owned(),
                Do::NewDomain => "m.rewrite_domain(\"old.example\", \"new.example\")".to_owned(),
                Do::Note => "m.note(\"looked at\")".to_owned(),
                Do::Throw => "throw \"no\"".to_owned(),
                Do::WrongType => "return 42".to_owned(),
                Do::Endless => "let x = 0; loop { x += 1; }".to_owned(),
                Do::Recursion => "deeper(1)".to_owned(),
                Do::TooLong => "let s = \"xxxxxxxx\"; loop { s += s; }".to_owned(),
            };
            let _ = writeln!(text, "    if {when} {{ {deed}; }}");
        }
        text.push_str("}\nfn deeper(n) { deeper(n + 1) }\n");
        text
    }

    /// What has to become of a message, what is said of it, and how often the trail gets a note.
    pub fn decide(&self, mailbox: &str, folder: &str, number: usize, flags: &[String]) -> (Outcome, Vec<Said>, usize) {
        let source = body(number);
        let (mut values, mut rest) = canonical(&source);
        let (mut skip, mut said, mut notes) = (false, Vec::new(), 0);
        let (mut account, mut place) = (mailbox, folder);
        let (mut copies, mut set, mut clear) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for (line, (when, deed)) in (2..).zip(&self.0) {
            let concerns = match when {
                When::Always => true,
                When::In(wanted) => folder == *wanted,
                When::Number(by, wanted) => number % by == *wanted,
                When::Seen => flags.iter().any(|flag| flag == "\\Seen"),
                When::Larger(size) => source.len() > *size,
            };
            if !concerns {
                continue;
            }
            let did = match deed {
                Do::Skip => {
                    skip = true;
                    "skip".to_owned()
                }
                Do::Keep => {
                    skip = false;
                    "keep".to_owned()
                }
                Do::MoveTo(wanted) => {
                    place = wanted;
                    format!("move_to {wanted}")
                }
                Do::MoveToArchive => {
                    place = "Archive";
                    "move_to_role archive".to_owned()
                }
                Do::CopyTo(wanted) => {
                    copies.insert((*wanted).to_owned());
                    format!("copy_to {wanted}")
                }
                Do::SendTo(name) => {
                    account = name;
                    format!("send_to {name}")
                }
                Do::SendInto(name, wanted) => {
                    (account, place) = (name, wanted);
                    format!("send_to {name}, {wanted}")
                }
                Do::Set(flag) => {
                    clear.remove(flag);
                    set.insert(*flag);
                    format!("set_flag {flag}")
                }
                Do::Clear(flag) => {
                    set.remove(flag);
                    clear.insert(*flag);
                    format!("clear_flag {flag}")
                }
                Do::SetHeader(value) => {
                    values = vec![(*value).to_owned()];
                    "set_header X-Rule".to_owned()
                }
                Do::AddHeader(value) => {
                    values.push((*value).to_owned());
                    "add_header X-Rule".to_owned()
                }
                Do::RemoveHeader => {
                    values.clear();
                    "remove_header X-Rule".to_owned()
                }
                Do::NewDomain => {
                    rest = rest.replace("old.example", "new.example");
                    "rewrite_domain old.example new.example".to_owned()
                }
                Do::Note => {
                    notes += 1;
                    "note".to_owned()
                }
                Do::Throw | Do::WrongType | Do::Endless | Do::Recursion | Do::TooLong => {
                    return (Outcome::Failed, Vec::new(), 0);
                }
            };
            said.push((line, did));
        }
        if skip {
            return (Outcome::Filtered("left out".to_owned()), said, notes);
        }
        if account == "nobody" {
            return (Outcome::Failed, Vec::new(), 0);
        }
        if account == mailbox {
            copies.remove(place);
        }
        let kept = flags.iter().map(String::as_str).filter(|flag| !clear.contains(flag));
        let flags: BTreeSet<&str> = kept.chain(set.iter().copied()).collect();
        values.sort();
        let goal = Goal {
            account: account.to_owned(),
            folder: place.to_owned(),
            copies,
            flags: flags.into_iter().map(str::to_owned).collect(),
            content: (values, rest),
        };
        (Outcome::Placed(goal), said, notes)
    }
}
