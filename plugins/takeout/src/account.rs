//! An account: mail, calendars and contacts of one export.
//!
//! Ids of collections say what they are: `mail/` and the label, `file/` and the path of a calendar or address book.

use whimbrel_folders::hash::Fnv;
use whimbrel_folders::lines::Lines;
use whimbrel_folders::{Body, Disk, Fetched, roles};
use whimbrel_plugin::{
    Change, Collection, Failure, ItemMeta, Kind, Page, Pager, Result, Role, cursor_body, next_field,
};
use whimbrel_vobject::{Form, Objects};

use crate::archive::{self, File, FormOrder, Sort};
use crate::mail::Mail;

/// Version of the cursors.
const CURSOR: u32 = 1;
/// Messages that one page looks at.
const LOOKED_AT: usize = 50_000;
/// Bytes of an id.
const ID_BYTES: usize = 1024;

/// An export.
#[derive(Debug)]
pub struct Account<D: Disk> {
    disk: D,
    files: Vec<File>,
    mail: Option<Mail>,
    /// The spool that was read last.
    spool: Option<(u32, D::Body)>,
    /// The calendar or address book that was read last, by path.
    objects: Option<(String, Objects<D::Body>)>,
}

/// What a collection is.
enum Place {
    Mail(Vec<String>),
    Objects(File, FormOrder),
}

/// An item and its content, with its type.
pub type Given<B> = Result<(ItemMeta, B, &'static str)>;

impl<D: Disk> Account<D> {
    /// The export in this folder.
    ///
    /// # Errors
    /// What the folder failed with; `rejected` for an archive that is damaged, `not-found` where nothing of an export is there.
    pub fn open(disk: D) -> Result<Self> {
        let files = archive::files(&disk)?;
        if files.is_empty() {
            return Err(Failure::not_found(
                "there is no mail (.mbox), no calendar (.ics) and no contact (.vcf) in the folder, nor in archives (.zip) right in \
                 it: the setting `path` says where in `root` the export lies",
            ));
        }
        Ok(Self {
            disk,
            files,
            mail: None,
            spool: None,
            objects: None,
        })
    }

    fn spools(&self) -> Vec<File> {
        self.files
            .iter()
            .filter(|file| file.sort == Sort::Mail)
            .cloned()
            .collect()
    }

    /// All of the mail; the spools are read through once.
    fn mail(&mut self) -> Result<&Mail> {
        let mail = match self.mail.take() {
            Some(mail) => mail,
            None => {
                let mut mail = Mail::default();
                for (number, file) in (0..).zip(self.spools()) {
                    let body = archive::open(&self.disk, &file)?;
                    mail.add(number, &body)?;
                    self.spool = Some((number, body));
                }
                mail.settle();
                mail
            }
        };
        Ok(self.mail.insert(mail))
    }

    /// The calendar or address book in this file.
    fn objects(&mut self, file: &File, form: Form) -> Result<&Objects<D::Body>> {
        let held = self.objects.take().filter(|(path, _)| *path == file.path);
        let held = match held {
            Some(held) => held,
            None => {
                let body = archive::open(&self.disk, file)?;
                (file.path.clone(), Objects::read(form, body, true)?)
            }
        };
        Ok(&self.objects.insert(held).1)
    }

    /// See `source.collections`.
    ///
    /// # Errors
    /// What reading the export failed with.
    pub fn collections(&mut self) -> Result<Vec<Collection>> {
        let mut found: Vec<Collection> = Vec::new();
        for path in self.mail()?.folders().to_vec() {
            let role = match path.as_slice() {
                [name] if name == "INBOX" => Some(Role::Inbox),
                path => roles::role_of(path),
            };
            found.push(Collection::new(mail_id(&path), path).role(role).subscribed(true));
        }
        for file in self.files.clone() {
            let Sort::Objects(order) = file.sort else { continue };
            let form = order.form();
            let (about, holds) = match self.objects(&file, form) {
                Ok(objects) => (objects.index.about.clone(), objects.index.holds),
                Err(failure @ Failure::Unavailable(_)) => return Err(failure),
                // It is there, and reading it says what is the matter.
                Err(_) => Default::default(),
            };
            let name = file.path.rsplit('/').next().unwrap_or(&file.path);
            let stem = form.stem(name).unwrap_or(name);
            let mut name = about
                .name
                .filter(|name| !name.chars().any(char::is_control))
                .unwrap_or_else(|| stem.to_owned());
            while found.iter().any(|other| other.path == [name.as_str()]) {
                name.push_str(match form {
                    Form::Calendar => " (calendar)",
                    Form::Card => " (contacts)",
                });
            }
            let kind = if holds.tasks_only() { Kind::Task } else { form.kind() };
            let mut collection = Collection::new(format!("file/{}", file.path), [name])
                .kind(kind)
                .subscribed(true);
            for (name, value) in [("colour", about.colour), ("description", about.description)] {
                if let Some(value) = value {
                    collection = collection.attribute(name, value);
                }
            }
            found.push(collection);
        }
        found.retain(|collection| collection.id.len() <= ID_BYTES);
        found.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(found)
    }

    fn place(&mut self, id: &str) -> Result<Place> {
        let found = match id.split_once('/') {
            Some(("mail", _)) => self
                .mail()?
                .folders()
                .iter()
                .find(|path| mail_id(path) == id)
                .cloned()
                .map(Place::Mail),
            Some(("file", path)) => self
                .files
                .iter()
                .find(|file| file.path == path)
                .and_then(|file| match file.sort {
                    Sort::Objects(order) => Some(Place::Objects(file.clone(), order)),
                    Sort::Mail => None,
                }),
            _ => None,
        };
        found.ok_or_else(|| Failure::not_found(format!("there is no collection `{id}` in this export")))
    }

    /// What the files of a collection look like from outside.
    fn print(&self, place: &Place) -> u64 {
        let mut print = Fnv::default();
        let mut add = |file: &File| {
            print.update(file.path.as_bytes());
            print.update(&file.mark.to_be_bytes());
        };
        match place {
            Place::Mail(_) => self.spools().iter().for_each(add),
            Place::Objects(file, _) => add(file),
        }
        print.finish()
    }

    /// See `source.changes`: where nothing changed nothing is listed, else everything is.
    ///
    /// # Errors
    /// `not-found` where the collection is gone.
    pub fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let place = self.place(collection)?;
        let now = self.print(&place);
        let (print, from) = match cursor.and_then(parse) {
            Some((print, None)) if print == now => return Ok(Page::new(Vec::new(), written(now, None))),
            // In the midst of one of what is there now.
            Some((print, Some(at))) if print == now => (print, at),
            _ => (now, 0),
        };
        let mut pager = Pager::new(limit);
        let count = match &place {
            Place::Mail(_) => self.mail()?.len(),
            Place::Objects(file, order) => self.objects(file, order.form())?.index.len(),
        };
        let mut at = from;
        match &place {
            Place::Mail(folder) => {
                let mail = self.mail()?;
                let mut numbers = Vec::new();
                while at < count && numbers.len() < pager.room() && at - from < LOOKED_AT {
                    if mail.lies_in(at, folder) {
                        numbers.push(at);
                    }
                    at += 1;
                }
                for answer in self.messages(&numbers)? {
                    match answer {
                        Ok((meta, _)) => drop(pager.push(Change::Upserted(meta))),
                        // It went while this was read, and what the files look like tells so.
                        Err(Failure::NotFound(_)) => {}
                        Err(failure) => return Err(failure),
                    }
                }
            }
            Place::Objects(file, order) => {
                let objects = self.objects(file, order.form())?;
                let mut lines = objects.lines();
                while at < count && !pager.is_full() {
                    pager.push(Change::Upserted(objects.meta(&mut lines, "", at)));
                    at += 1;
                }
            }
        }
        let more = at < count;
        Ok(pager.page(written(print, more.then_some(at)), more).complete(true))
    }

    /// What is known of these messages, and their content.
    fn messages(&mut self, numbers: &[usize]) -> Result<Vec<Fetched<D::Body>>> {
        self.mail()?;
        let mut answers = Vec::with_capacity(numbers.len());
        let spool_of = |account: &Self, number: usize| account.mail.as_ref().and_then(|mail| mail.spool_of(number));
        let mut rest = numbers;
        while let Some(&first) = rest.first() {
            let spool = spool_of(self, first).unwrap_or(0);
            let length = rest
                .iter()
                .take_while(|&&number| spool_of(self, number) == Some(spool))
                .count()
                .max(1);
            let (run, behind) = rest.split_at(length);
            rest = behind;
            if self.spool.as_ref().is_none_or(|(held, _)| *held != spool) {
                let files = self.spools();
                let file = files
                    .get(spool as usize)
                    .ok_or_else(|| Failure::not_found("the spool is gone"))?;
                self.spool = Some((spool, archive::open(&self.disk, file)?));
            }
            let (Some(mail), Some((_, body))) = (&self.mail, &self.spool) else {
                return Err(Failure::internal("the mail was not read"));
            };
            let mut lines = Lines::new(body, body.size());
            answers.extend(run.iter().map(|&number| mail.fetch(number, body, &mut lines)));
        }
        Ok(answers)
    }

    /// See `source.fetch`.
    ///
    /// # Errors
    /// `not-found` where the collection is gone.
    pub fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Given<D::Body>>> {
        let place = self.place(collection)?;
        match &place {
            Place::Mail(folder) => {
                let mail = self.mail()?;
                let found = |id: &String| mail.find(id).filter(|&number| mail.lies_in(number, folder));
                let numbers: Vec<Option<usize>> = ids.iter().map(found).collect();
                let there: Vec<usize> = numbers.iter().flatten().copied().collect();
                let mut given = self.messages(&there)?.into_iter();
                let gone = || Failure::not_found("no message of this label has this id");
                Ok(numbers
                    .into_iter()
                    .map(|number| {
                        let answer = number.and_then(|_| given.next()).unwrap_or_else(|| Err(gone()));
                        answer.map(|(meta, content)| (meta, content, "message/rfc822"))
                    })
                    .collect())
            }
            Place::Objects(file, order) => {
                let form = order.form();
                let objects = self.objects(file, form)?;
                let mut lines = objects.lines();
                Ok(ids
                    .iter()
                    .map(|id| {
                        let (meta, content) = objects.fetch(&mut lines, "", id)?;
                        Ok((meta, content, form.media_type()))
                    })
                    .collect())
            }
        }
    }
}

fn mail_id(path: &[String]) -> String {
    format!("mail/{}", path.join("/"))
}

fn written(print: u64, at: Option<usize>) -> String {
    match at {
        None => format!("{CURSOR}:{print} -"),
        Some(at) => format!("{CURSOR}:{print} {at}"),
    }
}

/// What the collection looked like, and where in a listing of it this stands.
fn parse(cursor: &str) -> Option<(u64, Option<usize>)> {
    let mut fields = cursor_body(CURSOR, cursor).ok()?.split(' ');
    let print = next_field(&mut fields, "print").ok()?;
    match fields.next()? {
        "-" => Some((print, None)),
        at => Some((print, Some(at.parse().ok()?))),
    }
}
