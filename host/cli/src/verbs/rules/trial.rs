//! `whimbrel rules try`: what the rules would do. Reads the source, and writes nothing but the list that is asked for.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use serde_json::{Value, json};
use whimbrel_engine::{Previewed, Scope, Stop, preview};
use whimbrel_model::{ItemMeta, Role};
use whimbrel_rules::compare::{Difference, Effect, Summary, effect};
use whimbrel_rules::{FolderFacts, MailboxFacts, MessageFacts, Rules};

use super::{effects, no_script, settings};
use crate::args::{Global, RulesTry};
use crate::exit::Exit;
use crate::failures;
use crate::interrupt;
use crate::output::Output;
use crate::output::progress::Looking;
use crate::output::table::{Rows, count, plural};
use crate::problem::{Problem, Result};
use crate::rules;
use crate::session::{self, Aim, Session};
use crate::settings::{RuleSettings, Settings};

/// Messages that change and are shown, and examples of each kind of difference.
const MOST_SHOWN: usize = 20;

/// What came of it so far, over all mailboxes.
struct Tried {
    summary: Summary,
    difference: Option<Difference>,
    /// The first of those that do not stay as they are.
    shown: Vec<Effect>,
    list: Option<io::Result<BufWriter<File>>>,
}

impl Tried {
    /// `list` is a new file for all effects.
    fn new(compares: bool, list: Option<&Path>) -> Result<Self> {
        let open = |path: &Path| {
            let problem =
                |error: io::Error| Box::new(Problem::io("make the list", path, &error).exit_with(Exit::Usage));
            File::create_new(path).map(BufWriter::new).map_err(problem)
        };
        Ok(Self {
            summary: Summary::default(),
            difference: compares.then(|| Difference::new(MOST_SHOWN)),
            shown: Vec::new(),
            list: list.map(open).transpose()?.map(Ok),
        })
    }

    /// One effect for each version of the rules, the present one last.
    fn add(&mut self, mut versions: Vec<Effect>) {
        let Some(now) = versions.pop() else { return };
        let before = versions.pop();
        if let (Some(difference), Some(before)) = (&mut self.difference, &before) {
            difference.add(before, &now);
        }
        self.summary.add(&now);
        if let Some(Ok(list)) = &mut self.list {
            let line = match &before {
                Some(before) => json!({ "now": now, "before": before }),
                None => json!({ "now": now }),
            };
            if let Err(error) = writeln!(list, "{line}") {
                self.list = Some(Err(error));
            }
        }
        if self.shown.len() < MOST_SHOWN && !now.changes_nothing() {
            self.shown.push(now);
        }
    }

    /// The list lies in its file.
    fn finish(&mut self, path: Option<&Path>) -> Result<()> {
        self.summary.sort();
        let written = match self.list.take() {
            None => Ok(()),
            Some(list) => list.and_then(|mut list| list.flush()),
        };
        match (written, path) {
            (Err(error), Some(path)) => Err(Box::new(Problem::io("write the list", path, &error))),
            _ => Ok(()),
        }
    }

    fn exit(&self) -> Exit {
        if self.summary.errors > 0 {
            Exit::Partial
        } else {
            Exit::Ok
        }
    }

    fn json(&self) -> Value {
        json!({ "summary": self.summary, "difference": self.difference, "messages": self.shown })
    }
}

/// The script with its settings: as the command line says, else as the settings do.
fn chosen(global: &Global, wanted: &RulesTry, settings: Option<&Settings>) -> Result<RuleSettings> {
    let given = settings.and_then(|settings| settings.rules.clone());
    match (&wanted.script, given) {
        (None, Some(rules)) => Ok(rules),
        (Some(script), Some(rules)) => Ok(rules.with_script(script)),
        (Some(script), None) => Ok(RuleSettings::plain(script)),
        (None, None) => Err(no_script(global)),
    }
}

/// The rules themselves; the older ones first, where there are such.
fn versions(wanted: &RulesTry, now: &RuleSettings, started: i64) -> Result<Vec<Arc<Rules>>> {
    let older = wanted.against.iter().map(|script| now.with_script(script));
    let all = older.chain([now.clone()]);
    all.map(|settings| rules::load_at(&settings, started).map(Arc::new))
        .collect()
}

/// Tries the rules on whole mailboxes, on a folder of them, or on one message.
pub async fn mailboxes(global: &Global, wanted: &RulesTry, output: Output) -> Result<Exit> {
    let mut settings = session::settings(global, &wanted.only.only)?;
    let now = chosen(global, wanted, Some(&settings))?;
    settings.rules = Some(now.clone());
    let mut session = Session::open_with(global, settings, Aim::Look).await?;
    output.warnings(&session.warnings);
    let ledger = session::find_ledger(&session.settings)?;
    let started = session.began(ledger.as_ref())?;
    drop(ledger);
    let versions = versions(wanted, &now, started)?;
    let scope = Scope {
        folder: wanted.folder.clone(),
        id: wanted.id.clone(),
        most: wanted.most,
    };
    let tried = Arc::new(Mutex::new(Tried::new(versions.len() > 1, wanted.list.as_deref())?));
    let looking = Arc::new(Looking::new(output.has_terminal()));
    let stop = Stop::new();
    let watch = interrupt::watch(stop.clone());
    let options = session.options();
    let mailboxes = std::mem::take(&mut session.mailboxes);
    let results: Vec<Result<Previewed>> = super::super::each(mailboxes, options.mailboxes, |mailbox| {
        let (options, versions, scope, stop) = (options.clone(), versions.clone(), scope.clone(), stop.clone());
        let (tried, looking) = (Arc::clone(&tried), Arc::clone(&looking));
        async move {
            let mut add = |effects| {
                hold(&tried).add(effects);
                looking.one_more();
            };
            let seen = preview(&mailbox, &options, &versions, &scope, &stop, &mut add).await;
            seen.map_err(|failure| Box::new(failures::side(&mailbox.name, "source", &failure)))
        }
    })
    .await;
    drop(watch);
    looking.finish();
    let mut tried = hold(&tried);
    tried.finish(wanted.list.as_deref())?;
    let mut seen = Previewed::default();
    let mut problems = Vec::new();
    for result in results {
        match result {
            Ok(one) => {
                seen.folders += one.folders;
                seen.messages += one.messages;
                seen.unread += one.unread;
            }
            Err(problem) => problems.push(problem),
        }
    }
    if let Some(problem) = nothing_there(wanted, seen).filter(|_| problems.is_empty() && !stop.stopped()) {
        return Err(Box::new(problem));
    }
    let mut exit = problems
        .iter()
        .fold(tried.exit(), |exit, problem| exit.and(problem.exit()));
    if seen.unread > 0 {
        exit = exit.and(Exit::Partial);
    }
    if stop.stopped() {
        exit = Exit::Interrupted;
    }
    let mut document = tried.json();
    if let Some(object) = document.as_object_mut() {
        let looked_at = json!({ "folders": seen.folders, "messages": seen.messages, "unread": seen.unread });
        object.insert("looked_at".into(), looked_at);
        object.insert(
            "problems".into(),
            problems.iter().map(|problem| problem.json()).collect(),
        );
    }
    output.document(document, exit);
    if !output.is_json() {
        problems.iter().for_each(|problem| output.warn(problem));
        show(&tried, wanted, output);
        output.say(conclusion(seen, stop.stopped()));
    }
    Ok(exit)
}

fn hold<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn nothing_there(wanted: &RulesTry, seen: Previewed) -> Option<Problem> {
    let folder = wanted.folder.as_ref()?;
    if seen.folders == 0 {
        let message = format!("there is no folder `{folder}` that would be moved");
        return Some(
            Problem::usage(message).help("`whimbrel plan` shows all folders; write a path as it does: Work/2024"),
        );
    }
    let id = wanted.id.as_ref().filter(|_| seen.messages + seen.unread == 0)?;
    let message = format!("there is no message with the id `{id}` in `{folder}`");
    Some(Problem::usage(message).help("`whimbrel rules try --list FILE` names the id of every message"))
}

fn conclusion(seen: Previewed, stopped: bool) -> String {
    let mut out = format!(
        "{} in {} looked at; nothing was changed.",
        plural(seen.messages, "message"),
        plural(seen.folders, "folder")
    );
    if seen.unread > 0 {
        out += &format!(" {} could not be read.", plural(seen.unread, "message"));
    }
    if stopped {
        out += " Interrupted: the rest was not looked at.";
    }
    out
}

fn show(tried: &Tried, wanted: &RulesTry, output: Output) {
    let summary = &tried.summary;
    let single = summary.messages <= wanted.eml.len().max(1) as u64;
    if single {
        tried
            .shown
            .iter()
            .for_each(|one| output.say(effects::full(one, wanted.values) + "\n"));
        if tried.shown.is_empty() && summary.messages > 0 {
            output.say("The rules leave it as it is.\n");
        }
    } else {
        output.say(effects::summary(summary));
        output.say(changed(tried, wanted.values));
    }
    if let (Some(difference), Some(old)) = (&tried.difference, &wanted.against) {
        output.say(effects::difference(difference, &old.display().to_string()));
    }
}

/// The first messages that do not stay as they are.
fn changed(tried: &Tried, values: bool) -> String {
    let summary = &tried.summary;
    let changing = summary.messages - summary.unchanged;
    if changing == 0 {
        return "The rules leave every message as it is.\n".to_owned();
    }
    let mut out = match tried.shown.len() as u64 {
        all if all == changing => format!("{} change:\n", plural(changing, "message")),
        some => format!(
            "{} change; the first {some} (`--list FILE` writes all):\n",
            plural(changing, "message")
        ),
    };
    let mut rows = Rows::new(&["mailbox", "folder", "id", "what becomes of it"]);
    for one in &tried.shown {
        rows.add([&one.mailbox, &one.from, &one.id, &effects::brief(one)]);
    }
    out += &format!("{}\n", rows.render());
    if values {
        let with_heads = tried.shown.iter().filter(|one| !one.headers.is_empty());
        with_heads.for_each(|one| out += &format!("\n{}\n", effects::full(one, true)));
    }
    if summary.errors > 0 {
        out += &format!(
            "\nThe rules fail on {}: see above.\n",
            plural(summary.errors, "message")
        );
    }
    out
}

/// Tries the rules on messages in files.
pub fn files(global: &Global, wanted: &RulesTry, output: Output) -> Result<Exit> {
    let mut settings = settings(global)?;
    if let Some(settings) = &mut settings {
        settings.only(&wanted.only.only)?;
    }
    let now = chosen(global, wanted, settings.as_ref())?;
    let versions = versions(wanted, &now, jiff::Timestamp::now().as_second())?;
    let folder = folder_of(wanted, settings.as_ref());
    let mut tried = Tried::new(versions.len() > 1, wanted.list.as_deref())?;
    for path in &wanted.eml {
        let (facts, content) = message(&folder, path)?;
        let versions = versions.iter();
        tried.add(
            versions
                .map(|rules| effect(rules, &facts, Arc::new(content.clone())))
                .collect(),
        );
    }
    tried.finish(wanted.list.as_deref())?;
    let exit = tried.exit();
    output.document(tried.json(), exit);
    show(&tried, wanted, output);
    output.say(format!("{} looked at.", files_in_words(wanted.eml.len())));
    Ok(exit)
}

fn files_in_words(number: usize) -> String {
    format!(
        "{} {}",
        count(number as u64),
        if number == 1 { "file" } else { "files" }
    )
}

/// The folder that messages in files are said to lie in; in the first mailbox of the settings.
fn folder_of(wanted: &RulesTry, settings: Option<&Settings>) -> Arc<FolderFacts> {
    let first = settings.and_then(|settings| settings.mailboxes.first());
    let named = wanted.only.only.first().map_or("somebody", String::as_str);
    let mailbox = MailboxFacts {
        name: first.map_or(named, |mailbox| &mailbox.name).to_owned(),
        attributes: first.map(|mailbox| mailbox.attributes.clone()).unwrap_or_default(),
    };
    let path: Vec<String> = match &wanted.folder {
        Some(folder) => folder
            .split('/')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        None => vec!["INBOX".to_owned()],
    };
    let role = matches!(&path[..], [only] if only.eq_ignore_ascii_case("INBOX")).then_some(Role::Inbox);
    Arc::new(FolderFacts {
        mailbox: Arc::new(mailbox),
        path,
        role,
        ..FolderFacts::default()
    })
}

/// A message in a file, as rules see it. A file tells no flags and no date of receipt.
pub fn message(folder: &Arc<FolderFacts>, path: &Path) -> Result<(MessageFacts, Bytes)> {
    let content = fs::read(path).map_err(|error| Box::new(Problem::io("read", path, &error).exit_with(Exit::Usage)))?;
    let id = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let facts = MessageFacts {
        folder: Arc::clone(folder),
        meta: Arc::new(ItemMeta {
            id: id.into_owned(),
            size: Some(content.len() as u64),
            ..ItemMeta::default()
        }),
    };
    Ok((facts, content.into()))
}
