//! A ledger from JSON lines: made beside its place, checked line by line, and moved there when it is whole.

use std::{
    collections::{BTreeMap, HashSet},
    fs,
    io::{self, BufRead, Read},
    path::Path,
};

use whimbrel_model::{Fingerprint, Kind as ItemKind};

use crate::{
    CollectionId, Fate, Intent, IntentItem, Ledger, LedgerError, LedgerOptions, MailboxId, Result, Totals,
    commit::check_id,
    events::canonical,
    keys::{self, Key, Kind, VOID},
    lines::{CollectionLine, EXPORT, EXPORT_WITHOUT_CR, Header, ItemLine, Line},
    record::{Behind, StoredEvent, encode},
    store::{Lock, Store, There, look, sync_folder},
    tree::Changes,
};

/// Where an import is made, within the state folder.
const IMPORTING: &str = "ledger.importing";

/// Lines that are written in one go.
const STEP: usize = 1000;

/// The longest line that is read, in bytes.
const LONGEST_LINE: u64 = 64 << 20;

/// What is wrong with a line.
type Checked<T> = std::result::Result<T, String>;

impl Ledger {
    /// Makes the ledger of a state folder from an export. There must be none yet, or one without records. A failed
    /// import leaves nothing behind.
    pub fn import(folder: &Path, from: &mut dyn BufRead) -> Result<()> {
        let place = Store::path(folder);
        let io = |doing| {
            move |source| LedgerError::Io {
                doing,
                path: folder.to_owned(),
                source,
            }
        };
        if look(&place)? == There::Store {
            let options = LedgerOptions {
                create: false,
                ..LedgerOptions::default()
            };
            match Store::open(folder, &options) {
                Ok(store) if !store.is_unused()? => {
                    return Err(LedgerError::NotEmpty {
                        folder: folder.to_owned(),
                    });
                }
                Ok(_) | Err(LedgerError::Missing { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let made = !folder.exists();
        let temporary = folder.join(IMPORTING);
        let result = remove(folder, &temporary)
            .and_then(|()| fill(folder, &temporary, from))
            .and_then(|()| {
                if place.exists() {
                    fs::remove_dir_all(&place).map_err(io("making room for the ledger in"))?;
                }
                fs::rename(&temporary, &place).map_err(io("putting the ledger into"))?;
                sync_folder(folder)
            });
        if let Err(error) = &result
            && !matches!(error, LedgerError::Locked { .. })
        {
            let _ = fs::remove_dir_all(&temporary);
            if made {
                let _ = fs::remove_dir(folder);
            }
        }
        result
    }
}

/// Removes what an import that was killed left behind.
fn remove(folder: &Path, temporary: &Path) -> Result<()> {
    if look(temporary)? == There::Store {
        drop(Lock::take(folder, temporary)?);
    }
    match fs::remove_dir_all(temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(LedgerError::Io {
            doing: "removing",
            path: temporary.to_owned(),
            source: error,
        }),
        _ => Ok(()),
    }
}

fn fill(folder: &Path, path: &Path, from: &mut dyn BufRead) -> Result<()> {
    let store = Store::open_at(folder, path, &LedgerOptions::default())?;
    let mut import = Import::new(&store);
    let mut line = Vec::new();
    let mut number = 0;
    loop {
        number += 1;
        let broken = |problem: String| LedgerError::Import { line: number, problem };
        line.clear();
        let read = from
            .take(LONGEST_LINE)
            .read_until(b'\n', &mut line)
            .map_err(|error| broken(error.to_string()))?;
        if read == 0 {
            import.end().map_err(broken)?;
            break;
        }
        if line.pop_if(|last| *last == b'\n').is_none() {
            return Err(broken(
                if read as u64 == LONGEST_LINE {
                    "it is too long"
                } else {
                    "it is cut short"
                }
                .to_owned(),
            ));
        }
        import.line(number, &line).map_err(broken)?;
        if import.batch.len() >= STEP {
            import.write()?;
        }
    }
    import.write()?;
    store.flush()
}

struct Import<'a> {
    store: &'a Store,
    batch: Changes,
    mailboxes: HashSet<MailboxId>,
    collections: BTreeMap<(MailboxId, CollectionId), Sums>,
    records: u64,
    /// The transport hashes of texts are of a form that nobody takes any more.
    without_cr: bool,
    ended: bool,
}

struct Sums {
    declared: Totals,
    counted: Totals,
    epoch: u32,
    kind: ItemKind,
}

impl<'a> Import<'a> {
    fn new(store: &'a Store) -> Self {
        Self {
            store,
            batch: Changes::default(),
            mailboxes: HashSet::new(),
            collections: BTreeMap::new(),
            records: 0,
            without_cr: false,
            ended: false,
        }
    }

    fn write(&mut self) -> Result<()> {
        self.store.apply(&std::mem::take(&mut self.batch))
    }

    fn line(&mut self, number: u64, line: &[u8]) -> Checked<()> {
        if number == 1 {
            let header: Header =
                serde_json::from_slice(line).map_err(|_| "it is not the header of a ledger's export".to_owned())?;
            return match header.schema {
                EXPORT => Ok(()),
                EXPORT_WITHOUT_CR => {
                    self.without_cr = true;
                    Ok(())
                }
                newer if newer > EXPORT => Err(format!(
                    "it has schema {newer}, this whimbrel knows up to {EXPORT}: import it with the newer one"
                )),
                other => Err(format!("there never was a schema {other}")),
            };
        }
        if self.ended {
            return Err("it comes after the last one".to_owned());
        }
        // The error may hold a piece of the line, but a line holds no subject, address or content.
        match serde_json::from_slice(line).map_err(|error| format!("it is no record: {error}"))? {
            Line::End { records } if records == self.records => {
                self.ended = true;
                return Ok(());
            }
            Line::End { records } => {
                return Err(format!("{records} records should come before it, {} did", self.records));
            }
            Line::Note { key, value } => {
                limit("the key", &key)?;
                self.put(Key::meta(&key), encode(&value)?)?;
            }
            Line::Mailbox { id, name } => {
                check_id(&name, "mailbox").map_err(|error| error.to_string())?;
                self.put(Key::mailbox(id), encode(&name)?)?;
                self.put(Key::mailbox_name(&name), encode(&id)?)?;
                self.mailboxes.insert(id);
            }
            Line::Collection(collection) => self.collection(*collection)?,
            Line::Item(item) => self.item(*item)?,
            Line::Route {
                mailbox,
                account,
                wanted,
                target,
            } => {
                self.known(mailbox)?;
                limit("the route", &wanted)?;
                self.put(Key::route(mailbox, account, &wanted), encode(&target)?)?;
            }
            Line::Intent {
                mailbox,
                id,
                account,
                target,
                watermark,
                items,
            } => {
                self.known(mailbox)?;
                let mut items: Vec<IntentItem> = items.into_iter().map(Into::into).collect();
                for item in &mut items {
                    let kind = self.collections.get(&(mailbox, item.collection)).map(|it| it.kind);
                    let prints = [Some(&mut item.fingerprint), item.put.as_mut()];
                    self.renew(kind.unwrap_or(ItemKind::Message), prints);
                }
                self.put(
                    Key::intent(mailbox, id),
                    encode(&Intent {
                        mailbox: account,
                        target,
                        watermark,
                        items,
                    })?,
                )?;
            }
            Line::Event {
                sequence,
                unix_ms,
                mailbox,
                kind,
                fields,
            } => {
                let event = StoredEvent {
                    unix_ms,
                    mailbox,
                    kind,
                    fields: canonical(&fields),
                };
                self.put(Key::event(sequence), encode(&event)?)?;
            }
        }
        self.records += 1;
        Ok(())
    }

    fn end(&self) -> Checked<()> {
        if !self.ended {
            return Err("the file ends before its last record".to_owned());
        }
        for ((mailbox, collection), sums) in &self.collections {
            if sums.declared != sums.counted || !sums.counted.balanced() {
                return Err(format!(
                    "the items of collection {collection} of mailbox {mailbox} do not add up to its totals ({:?}, not {:?})",
                    sums.counted, sums.declared
                ));
            }
        }
        Ok(())
    }

    fn collection(&mut self, line: CollectionLine) -> Checked<()> {
        let (mailbox, id, declared) = (line.mailbox, line.id, line.totals);
        self.known(mailbox)?;
        check_id(&line.source.id, "collection").map_err(|error| error.to_string())?;
        self.put(Key::collection_source(mailbox, &line.source.id), encode(&id)?)?;
        let data = line.data();
        self.collections.insert(
            (mailbox, id),
            Sums {
                declared,
                counted: Totals::default(),
                epoch: data.epoch,
                kind: data.source.kind,
            },
        );
        self.put(Key::collection(Kind::Collection, mailbox, id), encode(&data)?)?;
        if declared != Totals::default() {
            self.put(Key::collection(Kind::Totals, mailbox, id), encode(&declared)?)?;
        }
        Ok(())
    }

    fn item(&mut self, line: ItemLine) -> Checked<()> {
        let (mailbox, collection) = (line.mailbox, line.collection);
        let mut item = line.item();
        if let Some(kind) = self.collections.get(&(mailbox, collection)).map(|it| it.kind) {
            self.renew(kind, [item.record.fingerprint.as_mut(), item.record.put.as_mut()]);
        }
        let id = item.record.meta.id.as_str();
        let sums = self.collections.get_mut(&(mailbox, collection));
        let sums = sums.ok_or_else(|| format!("there is no collection {collection} of mailbox {mailbox} before it"))?;
        let placed = matches!(item.record.fate, Fate::Placed { .. });
        match id
            .strip_prefix(VOID)
            .map(|rest| rest.split_once(VOID).and_then(|(epoch, _)| epoch.parse::<u32>().ok()))
        {
            None => check_id(id, "item").map_err(|error| error.to_string())?,
            // While ids are becoming void, some are so already.
            Some(Some(epoch)) if epoch <= sums.epoch && item.is_orphan() => limit("the id", id)?,
            Some(_) => return Err("its id is void, but it is no orphan".to_owned()),
        }
        if let Fate::Placed { collection, id, .. } = &item.record.fate {
            limit("the destination collection", collection)?;
            limit("the destination id", id.as_deref().unwrap_or_default())?;
        }
        for copy in &item.record.copies {
            limit("the destination collection", &copy.collection)?;
            limit("the destination id", copy.id.as_deref().unwrap_or_default())?;
        }
        // Only what is placed may have vanished and still count, and only that can be marked.
        let gone = item.record.fate == Fate::Gone;
        if !placed && (item.behind != Behind::No || item.record.live == gone) {
            return Err(format!("an item that is {} cannot be so", item.record.fate.code()));
        }
        sums.counted = sums.counted + item.contribution();
        for (key, value) in item.index(mailbox, collection) {
            self.put(key, value.to_vec())?;
        }
        self.put(Key::item(Kind::Item, mailbox, collection, id), item.encode()?)
    }

    /// A text whose transport hash can no longer be compared is known by its bytes, which are the form that is hashed now for
    /// most mail. Calendar objects and vCards have that of their normal form, which stays.
    fn renew(&self, kind: ItemKind, prints: [Option<&mut Fingerprint>; 2]) {
        let is_text = !matches!(kind, ItemKind::Event | ItemKind::Task | ItemKind::Contact);
        if self.without_cr && is_text {
            for print in prints.into_iter().flatten() {
                print.transport = print.exact;
            }
        }
    }

    fn known(&self, mailbox: MailboxId) -> Checked<()> {
        if self.mailboxes.contains(&mailbox) {
            Ok(())
        } else {
            Err(format!("there is no mailbox {mailbox} before it"))
        }
    }

    fn put(&mut self, key: Key, value: Vec<u8>) -> Checked<()> {
        let twice = self.batch.holds(&key) || self.store.get(&key).map_err(|error| error.to_string())?.is_some();
        if twice {
            return Err("what it tells was told before".to_owned());
        }
        self.batch.insert(key, value);
        Ok(())
    }
}

fn limit(what: &str, string: &str) -> Checked<()> {
    if string.len() > keys::LONGEST {
        Err(format!("{what} is longer than {} bytes", keys::LONGEST))
    } else {
        Ok(())
    }
}
