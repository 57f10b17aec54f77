//! An account: one set of scripts, of which one filters, or none.

use std::collections::HashMap;

use whimbrel_folders::{Body, Fetched};
use whimbrel_plugin::{Collection, Failure, ItemMeta, Kind, Outcome, Page, Pager, Placement, Remark, Result};

use crate::cursor::{Cursor, Listing};
use crate::names::{allowed, normal, numbered, plain, shown};
use crate::reply::Attempt;
use crate::require::{HEAD, required};
use crate::session::{Script, Session, Slot};
use crate::settings::Settings;
use crate::wire::{Net, Wire};

/// Id of the only collection.
pub const SCRIPTS: &str = "scripts";
/// Its name.
pub const NAME: &str = "Filters";
/// The keyword of the script that filters.
pub const ACTIVE: &str = "$active";
/// Something else filters at the destination: this script was stored and not switched on.
const KEPT_INACTIVE: &str = "kept-inactive";
/// The script has another name at the destination.
const RENAMED: &str = "renamed";
/// The server changed the script when it stored it.
const REWRITTEN: &str = "rewritten";
/// What every server knows and none has to name (RFC 5228, 2.7.3).
const ALWAYS: [&str; 2] = ["comparator-i;octet", "comparator-i;ascii-casemap"];
/// Other names for a script, where the first one is taken.
const NAMES: u32 = 20;
/// Bytes up to which scripts are compared beyond their hashes.
const COMPARED: u64 = 8 << 20;

/// The scripts behind a connection.
#[derive(Debug)]
pub struct Account<N: Net> {
    net: N,
    settings: Settings,
    slot: Slot<N::Wire>,
    /// The listing that pages are taken from.
    listed: Option<Vec<Script>>,
}

/// A script.
pub type Content<N> = <<N as Net>::Wire as Wire>::Body;

/// A script that is to be stored.
#[derive(Debug)]
pub struct Incoming<B> {
    /// What it is called elsewhere.
    pub name: String,
    /// It filters there.
    pub active: bool,
    pub content: B,
}

impl<N: Net> Account<N> {
    /// Logs in.
    ///
    /// # Errors
    /// What connecting failed with, or what the server's refusal means.
    pub fn open(net: N, settings: Settings) -> Result<Self> {
        let mut account = Self {
            slot: net.slot(),
            net,
            settings,
            listed: None,
        };
        account.with(|_| Ok(()))?;
        Ok(account)
    }

    /// Does something in a session; one in which it failed is not used any more.
    fn with<T>(&mut self, work: impl FnOnce(&mut Session<N::Wire>) -> Result<T>) -> Result<T> {
        let idle = self.slot.take();
        let mut session = match idle {
            Some(session) => session,
            None => Session::open(&self.net, &self.settings)?,
        };
        let done = work(&mut session)?;
        self.slot.replace(Some(session));
        Ok(done)
    }

    fn collection(items: Option<u64>, extensions: &[String]) -> Collection {
        let offers: Vec<&str> = extensions.iter().map(String::as_str).chain(ALWAYS).collect();
        Collection::new(SCRIPTS, [NAME])
            .kind(Kind::Filter)
            .subscribed(true)
            .claims(items, None)
            .attribute("offers", offers.join(" "))
    }

    /// See `source.collections`.
    ///
    /// # Errors
    /// What the server failed with.
    pub fn collections(&mut self) -> Result<Vec<Collection>> {
        self.with(|session| {
            let count = session.list()?.len() as u64;
            Ok(vec![Self::collection(Some(count), session.extensions())])
        })
    }

    /// See `source.changes`.
    ///
    /// # Errors
    /// `not-found` for any other collection; what the server failed with.
    pub fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        known(collection)?;
        let Cursor {
            before,
            active,
            listing,
        } = Cursor::read(cursor)?;
        let scripts = match self.listed.take().filter(|_| listing.is_some()) {
            Some(scripts) => scripts,
            None => self.with(Session::list)?,
        };
        let mut listing = listing.unwrap_or_else(|| Listing::begin(filtering(&scripts).map(str::to_owned)));
        let from = match &listing.last {
            Some(last) => scripts.partition_point(|script| script.name <= *last),
            None => 0,
        };
        let mut pager = Pager::new(limit);
        let page: Vec<Script> = scripts.iter().skip(from).take(pager.room()).cloned().collect();
        let names: Vec<&str> = page.iter().map(|script| script.name.as_str()).collect();
        let contents = self.with(|session| session.get(&names))?;
        for (script, content) in page.iter().zip(contents) {
            let content = match content {
                Ok(content) => content,
                // Somebody removed it just now.
                Err(Failure::NotFound(_)) => continue,
                Err(failure) => return Err(failure),
            };
            let meta = meta(script, &content);
            listing.name(&script.name, &meta.revision);
            let known = before
                .as_ref()
                .is_some_and(|marks| marks.has(&script.name, &meta.revision));
            if !known {
                pager.upserted(meta);
            } else if script.active != (active.as_deref() == Some(script.name.as_str())) {
                pager.marked(meta);
            } else {
                pager.present(&script.name);
            }
        }
        if from + page.len() < scripts.len() {
            listing.last = page.last().map(|script| script.name.clone()).or(listing.last);
            self.listed = Some(scripts);
            let cursor = Cursor {
                before,
                active,
                listing: Some(listing),
            };
            return Ok(pager.page(cursor.write()?, true).complete(true));
        }
        Ok(pager.page(listing.end().write()?, false).complete(true))
    }

    /// See `source.fetch`: what is known of each script, and its content.
    ///
    /// # Errors
    /// `not-found` for any other collection; what ended the connection.
    pub fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Fetched<Content<N>>>> {
        known(collection)?;
        let names: Vec<&str> = ids.iter().map(String::as_str).collect();
        let (scripts, contents) = self.with(|session| Ok((session.list()?, session.get(&names)?)))?;
        let active = filtering(&scripts);
        Ok(ids
            .iter()
            .zip(contents)
            .map(|(id, content)| {
                if !scripts.iter().any(|script| script.name == *id) {
                    return Err(gone(id));
                }
                let content = content?;
                let script = Script {
                    name: id.clone(),
                    active: active == Some(id.as_str()),
                };
                Ok((meta(&script, &content), content))
            })
            .collect())
    }

    /// See `destination.ensure`. There is one set of scripts, whatever it is called elsewhere.
    ///
    /// # Errors
    /// `rejected` for anything else than filters.
    pub fn ensure(&mut self, wanted: &Collection) -> Result<Collection> {
        match wanted.kind {
            Kind::Filter => self.with(|session| Ok(Self::collection(None, session.extensions()))),
            _ => Err(Failure::rejected("a ManageSieve server holds filters and nothing else")),
        }
    }

    /// See `destination.watermark`.
    ///
    /// # Errors
    /// `not-found` for any other collection; what the server failed with.
    pub fn watermark(&mut self, collection: &str) -> Result<String> {
        let mut cursor: Option<String> = None;
        loop {
            let page = self.changes(collection, cursor.as_deref(), u32::MAX)?;
            if !page.more {
                return Ok(page.cursor);
            }
            cursor = Some(page.cursor);
        }
    }

    /// See `destination.put`.
    ///
    /// # Errors
    /// `not-found` for any other collection; what ended the connection.
    pub fn put(&mut self, collection: &str, items: Vec<Incoming<Content<N>>>) -> Result<Vec<Result<Placement>>> {
        known(collection)?;
        self.listed = None;
        self.with(|session| {
            let mut there = session.list()?;
            items
                .into_iter()
                .map(|item| put_one(session, &mut there, &item))
                .collect()
        })
    }

    /// See `destination.replace`.
    ///
    /// # Errors
    /// `rejected` where the script is another by now, `not-found` where it is gone; what the server failed with.
    pub fn replace(
        &mut self,
        collection: &str,
        id: &str,
        revision: Option<&str>,
        content: &Content<N>,
    ) -> Result<Placement> {
        known(collection)?;
        self.listed = None;
        let replaced = |there: &Content<N>| {
            let placement = Placement::created(Some(id.to_owned())).outcome(Outcome::Replaced);
            rewritten(placement.revision(revision_of(there)), there, content)
        };
        self.with(|session| {
            if !session.list()?.iter().any(|script| script.name == id) {
                return Ok(Err(gone(id)));
            }
            let there = match session.get(&[id])?.pop() {
                Some(Ok(there)) => there,
                Some(Err(failure)) => return Ok(Err(failure)),
                None => return Err(Failure::internal("no answer")),
            };
            if same(&there, content) {
                return Ok(Ok(replaced(&there)));
            }
            let expected = revision.filter(|revision| !revision.is_empty());
            if expected.is_some_and(|revision| revision != revision_of(&there)) {
                return Ok(Err(Failure::rejected(
                    "the script was changed at the destination meanwhile: it is left as it is",
                )));
            }
            Ok(match session.put(id, content)? {
                Ok(now) => Ok(replaced(now.as_ref().unwrap_or(content))),
                Err(said) => Err(said.failure(Attempt::Script("PUTSCRIPT"))),
            })
        })?
    }

    /// See `destination.mark`. What filters at the destination goes on filtering, unless the remarks themselves take it
    /// out of use.
    ///
    /// # Errors
    /// `not-found` for any other collection; what ended the connection.
    pub fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Vec<Result<()>>> {
        known(collection)?;
        self.listed = None;
        self.with(|session| {
            let scripts = session.list()?;
            let wants = |remark: &Remark| is_active(&remark.flags);
            let is_there = |id: &str| scripts.iter().any(|script| script.name == id);
            let now = filtering(&scripts);
            let given_up = now.is_some_and(|now| remarks.iter().any(|remark| remark.id == now && !wants(remark)));
            let wanted = remarks
                .iter()
                .filter(|remark| wants(remark) && is_there(&remark.id))
                .map(|remark| remark.id.as_str())
                .find(|id| now.is_none_or(|now| given_up || now == *id));
            let mut changed = Ok(());
            if wanted != now && (wanted.is_some() || given_up) {
                changed = session.activate(wanted)?;
            }
            let answer = |remark: &Remark| {
                let id = remark.id.as_str();
                if !is_there(id) {
                    Err(gone(id))
                } else if wants(remark) && wanted != Some(id) {
                    Err(taken(wanted.or(now)))
                } else if wants(remark) || now == Some(id) {
                    changed.clone()
                } else {
                    Ok(())
                }
            };
            Ok(remarks.iter().map(answer).collect())
        })
    }

    /// See `destination.remove`. The script that filters stays.
    ///
    /// # Errors
    /// `not-found` for any other collection; what ended the connection.
    pub fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<()>>> {
        known(collection)?;
        self.listed = None;
        self.with(|session| {
            let scripts = session.list()?;
            let mut answers = Vec::with_capacity(ids.len());
            for id in ids {
                answers.push(if filtering(&scripts) == Some(id.as_str()) {
                    Err(Failure::rejected(format!("the script `{id}` filters: it stays")))
                } else if !scripts.iter().any(|script| script.name == *id) {
                    Ok(())
                } else {
                    match session.delete(id)? {
                        Err(Failure::NotFound(_)) => Ok(()),
                        other => other,
                    }
                });
            }
            Ok(answers)
        })
    }
}

/// Stores a script. What lies there under its name stays: where it says the same, it is that script; else the new one lies
/// beside it.
fn put_one<W: Wire>(
    session: &mut Session<W>,
    there: &mut Vec<Script>,
    item: &Incoming<W::Body>,
) -> Result<Result<Placement>> {
    let mut stem = allowed(&item.name);
    let mut known: HashMap<String, W::Body> = HashMap::new();
    let (mut number, mut tries) = (1, 0);
    let (name, mut placement) = loop {
        tries += 1;
        if tries > NAMES {
            return Ok(Err(Failure::rejected(
                "other scripts lie at the destination under all the names that it could have",
            )));
        }
        let name = numbered(&stem, number);
        number += 1;
        if let Some(script) = there.iter().find(|script| shown(&script.name) == name).cloned() {
            if !known.contains_key(&script.name)
                && let Some(Ok(content)) = session.get(&[&script.name])?.pop()
            {
                known.insert(script.name.clone(), content);
            }
            match known.get(&script.name) {
                Some(content) if same(content, &item.content) => {
                    let placement = Placement::created(Some(script.name.clone()))
                        .outcome(Outcome::MergedWithExisting)
                        .revision(revision_of(content));
                    break (script.name, rewritten(placement, content, &item.content));
                }
                _ => continue,
            }
        }
        match session.put(&name, &item.content)? {
            Ok(now) => {
                let (name, now) = match now {
                    Some(now) => (name, Some(now)),
                    // It may be kept under the same name written otherwise; or somebody was very fast.
                    None => found(session, &name)?,
                };
                let placement = Placement::created(now.is_some().then(|| name.clone()));
                let placement = match &now {
                    Some(now) => rewritten(placement.revision(revision_of(now)), now, &item.content),
                    None => placement,
                };
                there.push(Script {
                    name: name.clone(),
                    active: false,
                });
                break (name, placement);
            }
            // It may be the name that is not taken, which no server says with a code.
            Err(said) if said.refuses_content() && plain(&stem) != stem => {
                stem = plain(&stem);
                number = 1;
            }
            Err(said) => return Ok(Err(said.failure(Attempt::Script("PUTSCRIPT")))),
        }
    };
    if shown(&name) != normal(&item.name) {
        placement = placement.altered(RENAMED);
    }
    if item.active {
        let on = match filtering(there) {
            Some(active) => active == name,
            None => session.activate(Some(&name))?.is_ok(),
        };
        for script in there.iter_mut().filter(|script| script.name == name) {
            script.active = on;
        }
        if !on {
            placement = placement.altered(KEPT_INACTIVE);
        }
    }
    Ok(Ok(placement))
}

/// Under which name a script lies that was stored under this one, and its content.
fn found<W: Wire>(session: &mut Session<W>, name: &str) -> Result<(String, Option<W::Body>)> {
    let listed = session.list()?.into_iter().find(|script| shown(&script.name) == name);
    let Some(script) = listed else {
        return Ok((name.to_owned(), None));
    };
    let content = session.get(&[&script.name])?.pop();
    Ok((script.name, content.and_then(Result::ok)))
}

fn gone(id: &str) -> Failure {
    Failure::not_found(format!("there is no script `{id}`"))
}

fn rewritten<B: Body>(placement: Placement, there: &B, given: &B) -> Placement {
    match same(there, given) {
        true => placement,
        false => placement.altered(REWRITTEN),
    }
}

fn taken(active: Option<&str>) -> Failure {
    let active = active.unwrap_or_default();
    Failure::rejected(format!(
        "the script `{active}` filters at the destination and goes on to: to let the other one filter, switch it on there"
    ))
}

/// The script that filters.
fn filtering(scripts: &[Script]) -> Option<&str> {
    scripts
        .iter()
        .find(|script| script.active)
        .map(|script| script.name.as_str())
}

/// Whether the keyword is among these flags.
pub fn is_active(flags: &[String]) -> bool {
    flags.iter().any(|flag| flag.eq_ignore_ascii_case(ACTIVE))
}

fn meta(script: &Script, content: &impl Body) -> ItemMeta {
    let meta = ItemMeta::new(&script.name)
        .revision(revision_of(content))
        .identity(Some(shown(&script.name)))
        .size(content.size())
        .flags(script.active.then_some(ACTIVE));
    match required(&content.read(0, HEAD)).join(" ") {
        none if none.is_empty() => meta,
        names => meta.attribute("requires", names),
    }
}

/// What changes with the content.
fn revision_of(content: &impl Body) -> String {
    let hash = content.hash();
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Whether two scripts are the same, line ends apart.
fn same<B: Body>(one: &B, other: &B) -> bool {
    if one.size() == other.size() && one.hash() == other.hash() {
        return true;
    }
    if one.size().max(other.size()) > COMPARED {
        return false;
    }
    let plain = |body: &B| {
        let mut bytes: Vec<u8> = Vec::new();
        body.pieces(|piece| bytes.extend(piece.iter().filter(|&&byte| byte != b'\r')));
        let length = bytes.iter().rposition(|&byte| byte != b'\n').map_or(0, |last| last + 1);
        bytes.truncate(length);
        bytes
    };
    plain(one) == plain(other)
}

fn known(collection: &str) -> Result<()> {
    if collection == SCRIPTS {
        return Ok(());
    }
    Err(Failure::not_found(format!(
        "there is no collection `{collection}`: ManageSieve knows one set of scripts only"
    )))
}
