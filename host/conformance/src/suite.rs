//! The table of cases, and what they have in common.

use std::pin::Pin;
use std::time::{Duration, Instant};

use bytes::Bytes;
use whimbrel_model::{Collection, Failure, Kind, Limits};
use whimbrel_sandbox::{Destination, Item, Plugin, Source};
use whimbrel_wire::Blob;

use crate::listing::walk;
use crate::specification::{self, Level};
use crate::{CaseReport, Content, Known, KnownItem, Outcome, Report, SourceSubject, Subject};
use crate::{altering, bodies, cursors, describe, failing, listing, naming, putting, reading, tidings};

/// No case takes longer; a connector that hangs fails.
const TIME: Duration = Duration::from_secs(180);

/// Collections that are learnt, and items of each at most.
const MOST_LEARNT: usize = 20;
const MOST_ITEMS_LEARNT: usize = 200;

/// The largest body that the suite compares.
pub const LARGEST: usize = 64 * 1024 * 1024;

/// Why a case ended before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop {
    /// The connector broke the contract.
    Failed(String),
    /// It makes no sense here.
    Skipped(String),
    /// It cannot be tried, for want of a hook.
    Unable(String),
}

/// What a case gives.
pub type Verdict<T = ()> = Result<T, Stop>;

/// Ends the case as failed unless the condition holds.
macro_rules! check {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::suite::Stop::Failed(format!($($text)+)));
        }
    };
}

/// Ends the case as skipped unless the condition holds.
macro_rules! need {
    ($condition:expr, $($text:tt)+) => {
        if !$condition {
            return Err($crate::suite::Stop::Skipped(format!($($text)+)));
        }
    };
}

pub(crate) use {check, need};

/// Turns a failure of a call into a failed case.
pub trait During<T> {
    /// The call that failed, for the report.
    fn during(self, call: &str) -> Verdict<T>;
}

impl<T> During<T> for Result<T, Failure> {
    fn during(self, call: &str) -> Verdict<T> {
        self.map_err(|failure| Stop::Failed(format!("`{call}` failed: {failure}")))
    }
}

/// What a case works with.
pub struct Suite<'a> {
    pub plugin: &'a Plugin,
    pub subject: &'a Subject,
    /// What the source holds, where nobody said so.
    learnt: Content,
    /// Why no account can be opened, once that is known.
    closed: [Option<String>; 2],
}

impl<'a> Suite<'a> {
    /// The account to read.
    pub fn known(&self) -> Verdict<&'a SourceSubject> {
        self.subject
            .source
            .as_ref()
            .ok_or_else(|| Stop::Skipped("no source account was given".into()))
    }

    /// What the account to read holds: as it was said, or learnt.
    pub fn content(&self) -> Verdict<&Content> {
        let said = &self.known()?.content;
        Ok(if said.is_empty() { &self.learnt } else { said })
    }

    /// A newly opened source account.
    pub async fn source(&mut self) -> Verdict<Source> {
        let spec = &self.known()?.spec;
        if let Some(failure) = &self.closed[0] {
            return Err(Stop::Skipped(format!("the source cannot be opened: {failure}")));
        }
        match self.plugin.source(spec).await {
            Ok(source) => Ok(source),
            Err(failure) => {
                self.closed[0] = Some(failure.to_string());
                Err(Stop::Failed(format!("opening the source failed: {failure}")))
            }
        }
    }

    /// A newly opened destination account.
    pub async fn destination(&mut self) -> Verdict<Destination> {
        need!(self.plugin.can_write(), "the connector only reads");
        need!(
            self.kind() != Kind::Note,
            "the suite writes messages, events, tasks, contacts and filters only"
        );
        let spec = self.subject.destination.as_ref();
        let spec = spec.ok_or_else(|| Stop::Skipped("no destination account was given".into()))?;
        if let Some(failure) = &self.closed[1] {
            return Err(Stop::Skipped(format!("the destination cannot be opened: {failure}")));
        }
        match self.plugin.destination(spec).await {
            Ok(destination) => Ok(destination),
            Err(failure) => {
                self.closed[1] = Some(failure.to_string());
                Err(Stop::Failed(format!("opening the destination failed: {failure}")))
            }
        }
    }

    /// What the connector moves first and foremost.
    pub fn kind(&self) -> Kind {
        self.plugin
            .description()
            .kinds
            .first()
            .copied()
            .unwrap_or(Kind::Message)
    }

    /// Ends a case that makes sense for messages alone.
    pub fn messages_only(&self) -> Verdict {
        need!(self.kind() == Kind::Message, "it is about messages");
        Ok(())
    }

    /// Ends a case that makes sense where there are as many collections as anybody wants.
    pub fn many_collections(&self) -> Verdict {
        need!(
            self.kind() != Kind::Filter,
            "filters lie in one collection, whatever name is asked for"
        );
        Ok(())
    }

    /// A collection that is wanted at the destination.
    pub fn wanted(&self, path: &[&str]) -> Collection {
        Collection {
            kind: self.kind(),
            ..wanted(path)
        }
    }

    /// A newly opened destination account, what it can do, and an empty collection in it.
    pub async fn fresh(&mut self, name: &str) -> Verdict<(Destination, Limits, Collection)> {
        let mut destination = self.destination().await?;
        let limits = destination.limits(self.kind()).await.during("limits")?;
        let made = destination
            .ensure(&self.wanted(&[&format!("conformance-{name}")]))
            .await
            .during("ensure")?;
        if self.kind() == Kind::Filter {
            empty(&mut destination, &made).await?;
        }
        Ok((destination, limits, made))
    }
}

/// Removes what earlier cases left: most providers have one set of filters, whatever name is asked for.
async fn empty(destination: &mut Destination, collection: &Collection) -> Verdict {
    let listing = walk(destination, &collection.id, None, 1000).await?;
    let ids: Vec<String> = listing.upserted.into_iter().map(|meta| meta.id).collect();
    let answers = destination.remove(&collection.id, &ids).await.during("remove")?;
    let left = answers.iter().filter(|answer| answer.is_err()).count();
    check!(left == 0, "{left} of {} filters could not be removed", ids.len());
    Ok(())
}

/// A collection of messages that is wanted at the destination.
pub fn wanted(path: &[&str]) -> Collection {
    Collection {
        id: String::new(),
        path: path.iter().map(|segment| (*segment).to_owned()).collect(),
        kind: Kind::Message,
        role: None,
        selectable: true,
        subscribed: true,
        items: None,
        bytes: None,
        generation: None,
        attributes: Vec::new(),
    }
}

/// The bytes of a body.
pub async fn bytes(content: &Blob) -> Verdict<Bytes> {
    let read = content.to_bytes(LARGEST).await;
    read.map_err(|error| Stop::Failed(format!("a body cannot be read: {error}")))
}

/// The only answer of a call that was asked for one.
pub fn only<T>(mut answers: Vec<T>, call: &str) -> Verdict<T> {
    check!(
        answers.len() == 1,
        "`{call}` was asked for one answer and gave {}",
        answers.len()
    );
    answers
        .pop()
        .ok_or_else(|| Stop::Failed(format!("`{call}` gave no answer")))
}

/// An item that has to be there.
pub fn there(answer: Result<Item, Failure>, id: &str) -> Verdict<Item> {
    answer.map_err(|failure| Stop::Failed(format!("`fetch` of the listed item {id:?} failed: {failure}")))
}

type Task<'a> = Pin<Box<dyn Future<Output = Verdict> + Send + 'a>>;

/// A case: its id, what has to hold, and how that is found out.
pub struct Case {
    pub id: &'static str,
    pub what: &'static str,
    pub run: for<'s, 'a> fn(&'s mut Suite<'a>) -> Task<'s>,
}

/// A line of a table of cases.
macro_rules! case {
    ($id:literal, $run:path, $what:literal) => {
        $crate::suite::Case {
            id: $id,
            what: $what,
            run: |suite| Box::pin($run(suite)),
        }
    };
}

pub(crate) use case;

/// Cases that change the source come after those that compare it with what is known.
const TABLES: [&[Case]; 10] = [
    describe::CASES,
    listing::CASES,
    cursors::CASES,
    reading::CASES,
    tidings::CASES,
    failing::CASES,
    naming::CASES,
    putting::CASES,
    bodies::CASES,
    altering::CASES,
];

/// Id and meaning of every case, in the order in which they run.
pub fn cases() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLES.into_iter().flatten().map(|case| (case.id, case.what))
}

/// Runs the whole suite. Takes from a second for accounts on disk to a few minutes for slow servers.
pub async fn run(plugin: &Plugin, subject: &Subject) -> Report {
    run_where(plugin, subject, |_| true).await
}

/// Runs the cases whose id `chosen` says yes to.
pub async fn run_where(plugin: &Plugin, subject: &Subject, chosen: impl Fn(&str) -> bool + Send) -> Report {
    let mut suite = Suite {
        plugin,
        subject,
        learnt: Content::new(),
        closed: [None, None],
    };
    if subject.source.as_ref().is_some_and(|source| source.content.is_empty()) {
        // A connector that cannot even be listed has its cases for that.
        suite.learnt = learnt(&mut suite).await.unwrap_or_default();
    }
    let requirements = specification::requirements();
    let mut reports = Vec::new();
    for case in TABLES.into_iter().flatten().filter(|case| chosen(case.id)) {
        let begun = Instant::now();
        let verdict = match tokio::time::timeout(TIME, (case.run)(&mut suite)).await {
            Ok(verdict) => verdict,
            Err(_) => Err(Stop::Failed(format!("no end in sight after {} s", TIME.as_secs()))),
        };
        let (cited, level) = specification::of_case(&requirements, case.id);
        reports.push(CaseReport {
            id: case.id.to_owned(),
            what: case.what.to_owned(),
            requirements: cited,
            must: level == Level::Must,
            outcome: outcome(verdict, case.id, &subject.excused),
            millis: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }
    let description = plugin.description();
    Report {
        connector: description.name.clone(),
        version: description.version.clone(),
        cases: reports,
    }
}

/// What the source gives of its smaller collections: cases check that it stays so.
async fn learnt(suite: &mut Suite<'_>) -> Verdict<Content> {
    let mut source = suite.source().await?;
    let mut content = Content::new();
    for collection in source.collections().await.during("collections")? {
        if !collection.selectable || content.len() >= MOST_LEARNT {
            continue;
        }
        let listing = walk(&mut source, &collection.id, None, 1000).await?;
        let ids: Vec<String> = listing.upserted.into_iter().map(|meta| meta.id).collect();
        if ids.len() > MOST_ITEMS_LEARNT {
            continue;
        }
        let mut items = Vec::new();
        for (id, answer) in ids
            .iter()
            .zip(source.fetch(&collection.id, &ids).await.during("fetch")?)
        {
            let item = there(answer, id)?;
            items.push(KnownItem {
                content: bytes(&item.content).await?,
                flags: Some(item.meta.flags),
                received: item.meta.received,
            });
        }
        content.push(Known {
            path: collection.path,
            role: collection.role,
            items,
        });
    }
    Ok(content)
}

fn outcome(verdict: Verdict, id: &str, excused: &[(String, String)]) -> Outcome {
    match verdict {
        Ok(()) => Outcome::Passed,
        Err(Stop::Skipped(reason)) => Outcome::Skipped(reason),
        Err(Stop::Unable(reason)) => Outcome::Unable(reason),
        Err(Stop::Failed(text)) => match excused.iter().find(|(excused, _)| excused == id) {
            Some((_, reason)) => Outcome::Skipped(format!("excused: {reason} ({text})")),
            None => Outcome::Failed(text),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_tell_their_theme() {
        let mut seen = HashSet::new();
        for (id, what) in cases() {
            assert!(seen.insert(id), "{id} twice");
            assert!(
                id.split_once('/')
                    .is_some_and(|(theme, name)| !theme.is_empty() && !name.is_empty()),
                "{id}"
            );
            assert!(
                id.chars()
                    .all(|letter| letter.is_ascii_lowercase() || "/-".contains(letter)),
                "{id}"
            );
            assert!(!what.is_empty() && !what.ends_with('.'), "{id}: {what}");
        }
    }

    #[test]
    fn an_excuse_turns_a_failure_into_a_skip_that_shows_both() {
        let excused = [("put/nul".to_owned(), "the server takes no NUL".to_owned())];
        let failed = || Err(Stop::Failed("it differs".to_owned()));
        let text = "excused: the server takes no NUL (it differs)".to_owned();
        assert_eq!(outcome(failed(), "put/nul", &excused), Outcome::Skipped(text));
        assert_eq!(
            outcome(failed(), "put/order", &excused),
            Outcome::Failed("it differs".to_owned())
        );
        assert_eq!(outcome(Ok(()), "put/nul", &excused), Outcome::Passed);
    }

    #[test]
    fn the_only_answer_is_the_only_one() {
        assert_eq!(only(vec![1], "put"), Ok(1));
        assert!(matches!(only(vec![1, 2], "put"), Err(Stop::Failed(_))));
        assert!(matches!(only(Vec::<u8>::new(), "put"), Err(Stop::Failed(_))));
    }
}
