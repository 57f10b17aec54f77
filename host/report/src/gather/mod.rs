//! Adding up: once over the audit trail, once over the items.

mod items;
mod trail;

use std::collections::HashSet;

use whimbrel_engine::{Counts, GradeRules};
use whimbrel_ledger::{CollectionRecord, Ledger, MailboxId, Result};

use crate::report::{Folder, Lists, Mailbox, Migration, Report, State};
use crate::verdict;
use crate::verified::Verified;
use items::{Items, Listed, Subjects};
use trail::{Told, Trail};

/// Up to so many mailboxes, all their folders are listed.
const FEW: usize = 20;
/// Folders that are listed, of one mailbox and of all.
const MOST_FOLDERS: [usize; 2] = [200, 10_000];

/// What a report is to be about, and what is known besides the ledger.
pub struct Request<'a> {
    /// `migration.name` of the settings.
    pub name: &'a str,
    /// The mailboxes, in the order of the settings.
    pub mailboxes: &'a [String],
    /// How the settings name the connectors.
    pub connectors: SideNames<'a>,
    /// When the migration began, in seconds since 1970, if it did.
    pub began: Option<i64>,
    /// Now.
    pub now: i64,
    /// The version of the program.
    pub version: &'a str,
    /// How grades are given.
    pub grades: &'a GradeRules,
    /// What the last verification of a mailbox said.
    pub verified: &'a dyn Fn(&str) -> Option<Verified>,
    /// The subject of a message in the quarantine, by its path there; none where subjects are to be hidden.
    pub subjects: Option<Subjects<'a>>,
}

/// Names for each side.
#[derive(Debug, Clone)]
pub struct SideNames<'a> {
    /// Of the sources.
    pub source: Vec<&'a str>,
    /// Of the destinations.
    pub destination: Vec<&'a str>,
}

/// Adds up what the ledger holds of these mailboxes; without a ledger, nothing has run. Holds what is in the report and
/// nothing that grows with the number of messages.
pub fn gather(ledger: Option<&Ledger>, request: &Request<'_>) -> Result<Report> {
    let mut trail = Trail::default();
    let wanted: HashSet<&str> = request.mailboxes.iter().map(String::as_str).collect();
    if let Some(ledger) = ledger {
        for event in ledger.events(None) {
            let event = event?;
            if event.mailbox.as_deref().is_none_or(|name| wanted.contains(name)) {
                trail.add(&event);
            }
        }
    }
    let names = &request.connectors;
    let mut told = trail.finish([&names.source, &names.destination]);
    let mut left_out = Lists {
        runs: told.runs.count.saturating_sub(told.runs.list.len() as u64),
        ..Lists::default()
    };
    let mut walk = Walk {
        items: Items::new(request.subjects),
        all_folders: request.mailboxes.len() <= FEW,
        folders: 0,
    };
    let mut mailboxes = Vec::with_capacity(request.mailboxes.len());
    for name in request.mailboxes {
        let known = match ledger {
            Some(ledger) => ledger.find_mailbox(name)?.map(|id| (ledger, id)),
            None => None,
        };
        let mut mailbox = walk.mailbox(name, known)?;
        mailbox.problems = told.problems.remove(name).unwrap_or_default();
        mailbox.state = state(&mailbox, known.is_some());
        mailbox.verified = (request.verified)(name).map(|verified| Verified {
            outdated: told
                .changed
                .get(name)
                .is_some_and(|changed| changed.div_euclid(1000) > verified.began),
            ..verified
        });
        left_out.folders += mailbox.folders_left_out;
        left_out.failed += mailbox.failed_left_out;
        left_out.oversize += mailbox.oversize_left_out;
        mailboxes.push(mailbox);
    }
    Ok(report(request, told, walk.items, mailboxes, left_out))
}

fn report(request: &Request<'_>, told: Told, items: Items<'_>, mailboxes: Vec<Mailbox>, mut left_out: Lists) -> Report {
    let sums = items.finish(&mut left_out);
    let total = mailboxes
        .iter()
        .fold(Counts::default(), |sum, mailbox| sum.plus(mailbox.counts));
    let migration = Migration {
        name: request.name.to_owned(),
        began: request.began,
        reported: request.now,
        version: request.version.to_owned(),
    };
    let verdict = verdict::overall(&mailboxes, &total, request.grades, request.now);
    let next = verdict::advice(
        &mailboxes,
        &total,
        &verdict,
        &sums.reasons,
        [&told.source, &told.destination],
    );
    Report {
        migration,
        source: told.source,
        destination: told.destination,
        runs: told.runs,
        verdict,
        total,
        bytes_found: mailboxes.iter().map(|mailbox| mailbox.bytes_found).sum(),
        mailboxes,
        reasons: sums.reasons,
        done: sums.done,
        sizes: sums.sizes,
        unsized_messages: sums.unsized_messages,
        largest: sums.largest,
        received: sums.received,
        undated: sums.undated,
        rate: told.rate,
        next,
        left_out,
    }
}

struct Walk<'a> {
    items: Items<'a>,
    all_folders: bool,
    /// Listed so far.
    folders: usize,
}

impl Walk<'_> {
    /// A mailbox with all of its items; problems, state and verification are not known here.
    fn mailbox(&mut self, name: &str, known: Option<(&Ledger, MailboxId)>) -> Result<Mailbox> {
        let mut listed = Listed::default();
        let (mut folders, mut folders_left_out) = (Vec::new(), 0);
        let mut collections = Vec::new();
        if let Some((ledger, id)) = known {
            collections = ledger.collections(id)?;
            collections.sort_by(|a, b| a.source.path.cmp(&b.source.path));
            for collection in &collections {
                let path = collection.source.display_path();
                for item in ledger.items(id, collection.id) {
                    self.items.add(&path, &item?, &mut listed);
                }
                let folder = folder(path, collection);
                if !(self.all_folders || worth_telling(&folder)) {
                    continue;
                }
                if folders.len() < MOST_FOLDERS[0] && self.folders < MOST_FOLDERS[1] {
                    self.folders += 1;
                    folders.push(folder);
                } else {
                    folders_left_out += 1;
                }
            }
        }
        Ok(Mailbox {
            name: name.to_owned(),
            counts: Counts::of(&collections, 0.0),
            bytes_found: collections.iter().map(|collection| collection.totals.bytes_found).sum(),
            state: State::NotStarted,
            verified: None,
            problems: Vec::new(),
            folders,
            folders_left_out,
            failed_items: listed.failed,
            failed_left_out: listed.failed_left_out,
            oversize_items: listed.oversize,
            oversize_left_out: listed.oversize_left_out,
        })
    }
}

fn folder(path: String, collection: &CollectionRecord) -> Folder {
    Folder {
        path,
        target: collection
            .target
            .as_ref()
            .map(|target| whimbrel_model::display_path(&target.path)),
        counts: Counts::of(std::slice::from_ref(collection), 0.0),
        bytes_found: collection.totals.bytes_found,
        capped: collection.capped.as_deref().map(items::cut),
    }
}

/// Whether not all of a folder's messages were simply moved.
fn worth_telling(folder: &Folder) -> bool {
    let counts = &folder.counts;
    !counts.complete() || counts.filtered + counts.oversize > 0 || folder.capped.is_some()
}

/// As `status` puts it.
fn state(mailbox: &Mailbox, known: bool) -> State {
    let counts = &mailbox.counts;
    match () {
        () if !known => State::NotStarted,
        () if !mailbox.problems.is_empty() => State::Problems,
        () if counts.failed > 0 => State::FailedItems,
        () if counts.unexplained > 0 => State::Unexplained,
        () if counts.pending > 0 => State::Unfinished,
        () => State::Complete,
    }
}
