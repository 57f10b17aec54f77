//! An account: a spool, or a folder of spools, read.

use whimbrel_folders::disk::{is_path, join};
use whimbrel_folders::{Body, Disk, Fetched, roles};
use whimbrel_plugin::{Change, Collection, Failure, ItemMeta, Page, Pager, Result, Timestamp};

use crate::cursor::{ALWAYS_HASHED, Cursor, Mark, hash, tail};
use crate::names::{self, Spelling};
use crate::pending;
use whimbrel_folders::lines::Lines;
use whimbrel_spool::scan::{Format, Message, Rules, is_mboxcl2, next_message};
use whimbrel_spool::{content, from_line};

/// Directories within directories are followed so far.
const DEPTH: usize = 64;
/// Bytes that one page reads through at most.
const PAGE_BYTES: u64 = 256 << 20;

/// Spools.
#[derive(Debug)]
pub struct Account<D> {
    /// The folder that holds them.
    pub disk: D,
    /// The one that counts; none for all.
    pub only: Option<String>,
    /// The format, where the settings say it.
    pub format: Option<Format>,
    /// How folder names are written.
    pub spelling: Spelling,
    keep_store_fields: bool,
}

/// Where a listing goes on.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// Of the next message.
    at: u64,
    /// It began at the beginning of the spool.
    complete: bool,
    /// What lies before this offset was listed before.
    known: u64,
}

/// What the settings say.
#[derive(Debug, Clone, Default)]
pub struct Choices {
    /// The one spool that counts.
    pub only: Option<String>,
    /// Format of the spools.
    pub format: Option<Format>,
    /// Spelling of folder names.
    pub spelling: Option<Spelling>,
    /// Leave the store's header fields in the content.
    pub keep_store_fields: bool,
}

impl<D: Disk> Account<D> {
    /// Opens it. The spelling is found out where it is not given.
    ///
    /// # Errors
    /// What the folder failed with.
    pub fn open(disk: D, choices: Choices) -> Result<Self> {
        let Choices {
            only,
            format,
            spelling,
            keep_store_fields,
        } = choices;
        let mut account = Self {
            disk,
            only,
            format,
            spelling: Spelling::Utf8,
            keep_store_fields,
        };
        account.spelling = match spelling {
            Some(spelling) => spelling,
            None => {
                let spools = account.spools()?;
                names::detect_spelling(spools.iter().flat_map(|spool| spool.split('/')))
            }
        };
        Ok(account)
    }

    /// Every spool's path.
    fn spools(&self) -> Result<Vec<String>> {
        if let Some(only) = &self.only {
            let there = self.disk.stat(only)?.is_some_and(|entry| !entry.directory);
            return Ok(if there { vec![only.clone()] } else { Vec::new() });
        }
        let mut found = Vec::new();
        walk(&self.disk, "", 0, &mut found)?;
        Ok(found)
    }

    /// The folder's path of the spool at this path. `Name.mbox/mbox` is what Apple Mail exports.
    pub fn path_of(&self, spool: &str) -> Vec<String> {
        if self.only.as_deref() == Some(spool) {
            return vec!["INBOX".to_owned()];
        }
        let mut parts: Vec<&str> = spool.split('/').collect();
        if let [.., parent, "mbox"] = parts[..]
            && parent.ends_with(names::SPOOL)
        {
            parts.pop();
        }
        parts
            .into_iter()
            .map(|part| names::segment(part, self.spelling))
            .collect()
    }

    /// See `source.collections`.
    ///
    /// # Errors
    /// What the folder failed with.
    pub fn collections(&self) -> Result<Vec<Collection>> {
        let mut folders: Vec<(Vec<String>, String, bool)> = Vec::new();
        let spools = self.spools()?;
        for spool in &spools {
            folders.push((self.path_of(spool), spool.clone(), true));
        }
        for spool in &spools {
            let path = self.path_of(spool);
            for (at, _) in spool.match_indices('/') {
                let directory = &spool[..at];
                let depth = directory.split('/').count();
                let parent = path.get(..depth).unwrap_or_default();
                let known = depth >= path.len() || folders.iter().any(|(known, ..)| known == parent);
                if !known {
                    folders.push((parent.to_vec(), directory.to_owned(), false));
                }
            }
        }
        let is_inbox = |path: &[String]| matches!(path, [name] if name.eq_ignore_ascii_case("INBOX"));
        folders.sort_by(|a, b| (!is_inbox(&a.0), &a.0, &a.1).cmp(&(!is_inbox(&b.0), &b.0, &b.1)));
        Ok(folders
            .into_iter()
            .map(|(path, id, selectable)| {
                let role = roles::role_of(&path).filter(|_| selectable);
                Collection::new(id, path)
                    .role(role)
                    .selectable(selectable)
                    .subscribed(true)
            })
            .collect())
    }

    /// Size and modification time of a spool, as far as it counts.
    ///
    /// # Errors
    /// `not-found` where there is none.
    pub fn look(&self, spool: &str) -> Result<(u64, i64)> {
        let found = if is_path(spool) { self.disk.stat(spool)? } else { None };
        match found {
            Some(entry) if !entry.directory => Ok((
                pending::visible(&self.disk, spool, entry.bytes)?,
                entry.modified.unix_ms,
            )),
            _ => Err(Failure::not_found(format!("there is no spool `{spool}`"))),
        }
    }

    /// The format of this spool: what the settings say, else what its first message shows.
    pub fn format_of(&self, body: &D::Body) -> Format {
        self.format.unwrap_or_else(|| {
            if is_mboxcl2(&mut Lines::new(body, body.size())) {
                Format::Mboxcl2
            } else {
                Format::Mboxrd
            }
        })
    }

    /// Whether the store's header fields are left in the content.
    pub fn keeps_store_fields(&self) -> bool {
        self.keep_store_fields
    }

    fn rules(&self, body: &D::Body) -> Rules {
        Rules {
            format: self.format_of(body),
            keep_store_fields: self.keep_store_fields,
        }
    }

    /// See `source.changes`.
    ///
    /// # Errors
    /// `generation-changed` where offsets became void: the spool was written anew, not only appended to.
    pub fn changes(&mut self, spool: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        let (size, modified) = self.look(spool)?;
        let known = |cursor| Cursor::parse(cursor).ok_or(Failure::GenerationChanged);
        match cursor.map(known).transpose()? {
            None => {
                let mark = Mark::of(&self.disk, spool, size, modified)?;
                self.list(
                    spool,
                    Place {
                        at: 0,
                        complete: true,
                        known: 0,
                    },
                    mark,
                    limit,
                )
            }
            Some(Cursor::From(at)) if at <= size => {
                let mark = Mark::of(&self.disk, spool, size, modified)?;
                self.list(
                    spool,
                    Place {
                        at,
                        complete: false,
                        known: 0,
                    },
                    mark,
                    limit,
                )
            }
            Some(Cursor::From(_)) => Err(Failure::GenerationChanged),
            Some(Cursor::Listing {
                at,
                complete,
                known,
                mark,
            }) => {
                let same =
                    size >= mark.size && tail(&self.disk.read(spool, 0, Some(mark.size))?, mark.size) == mark.tail;
                if same {
                    self.list(spool, Place { at, complete, known }, mark, limit)
                } else {
                    Err(Failure::GenerationChanged)
                }
            }
            Some(Cursor::Idle(mark)) => self.go_on(spool, mark, size, modified, limit),
        }
    }

    /// What changed since the spool looked like `mark`.
    fn go_on(&mut self, spool: &str, mark: Mark, size: u64, modified: i64, limit: u32) -> Result<Page> {
        if size < mark.size {
            return Err(Failure::GenerationChanged);
        }
        let before = self.disk.read(spool, 0, Some(mark.size))?;
        if tail(&before, mark.size) != mark.tail {
            return Err(Failure::GenerationChanged);
        }
        let untouched = size == mark.size && modified == mark.modified;
        if untouched && (mark.whole.is_none() || size > ALWAYS_HASHED) {
            return Ok(Page::new(Vec::new(), Cursor::Idle(mark).to_string()));
        }
        let same = match &mark.whole {
            Some(whole) => hash(&before) == *whole,
            // Too large to be sure: what is appended to is taken to be unchanged before.
            None => size > mark.size,
        };
        if !same {
            // Offsets hold, as the end shows: marks were changed in place. All of them are looked at.
            let known = mark.size;
            let mark = Mark::of(&self.disk, spool, size, modified)?;
            return self.list(
                spool,
                Place {
                    at: 0,
                    complete: true,
                    known,
                },
                mark,
                limit,
            );
        }
        if size == mark.size {
            return Ok(Page::new(
                Vec::new(),
                Cursor::Idle(Mark { modified, ..mark }).to_string(),
            ));
        }
        // A last message that was not whole yet has grown: it is another one now.
        let body = self.disk.read(spool, 0, Some(size))?;
        let mut lines = Lines::new(&body, size);
        lines.seek(mark.size);
        let fresh = loop {
            match lines.next() {
                Some(line) if line.is_blank() => {}
                Some(line) => break from_line::date(line.text()).is_some(),
                None => break true,
            }
        };
        if !fresh {
            return Err(Failure::GenerationChanged);
        }
        let at = mark.size;
        let mark = Mark::of(&self.disk, spool, size, modified)?;
        self.list(
            spool,
            Place {
                at,
                complete: false,
                known: at,
            },
            mark,
            limit,
        )
    }

    fn list(&mut self, spool: &str, place: Place, mark: Mark, limit: u32) -> Result<Page> {
        let Place { at, complete, known } = place;
        let body = self.disk.read(spool, 0, Some(mark.size))?;
        let rules = self.rules(&body);
        let mut lines = Lines::new(&body, mark.size);
        lines.seek(at);
        let mut pager = Pager::new(limit);
        while !pager.is_full() && lines.offset() - at < PAGE_BYTES {
            let Some(message) = next_message(&mut lines, rules, &mut |_| {}) else {
                return Ok(pager.page(Cursor::Idle(mark).to_string(), false).complete(complete));
            };
            if !is_internal(&message) {
                let new = message.start >= known;
                let meta = meta(&message);
                pager.push(if new {
                    Change::Upserted(meta)
                } else {
                    Change::Marked(meta)
                });
            }
        }
        let at = lines.offset();
        let (cursor, more) = if at < mark.size {
            (
                Cursor::Listing {
                    at,
                    complete,
                    known,
                    mark,
                },
                true,
            )
        } else {
            (Cursor::Idle(mark), false)
        };
        Ok(pager.page(cursor.to_string(), more).complete(complete))
    }

    /// See `source.fetch`.
    ///
    /// # Errors
    /// `not-found` where there is no such spool.
    pub fn fetch(&mut self, spool: &str, ids: &[String]) -> Result<Vec<Fetched<D::Body>>> {
        let (size, _) = self.look(spool)?;
        let body = self.disk.read(spool, 0, Some(size))?;
        let rules = self.rules(&body);
        let mut lines = Lines::new(&body, size);
        Ok(ids.iter().map(|id| fetch_one(&body, &mut lines, rules, id)).collect())
    }
}

fn fetch_one<B: Body>(body: &B, lines: &mut Lines<B>, rules: Rules, id: &str) -> Fetched<B> {
    let gone = || Failure::not_found(format!("no message begins at byte {id} of the spool any more"));
    let start: u64 = id.parse().map_err(|_| gone())?;
    if start >= lines.end() {
        return Err(gone());
    }
    // A From_ line begins a line.
    lines.seek(start.saturating_sub(1));
    if start > 0 && lines.next().is_none_or(|line| line.bytes != b"\n") {
        return Err(gone());
    }
    if lines.next().is_none_or(|line| from_line::date(line.text()).is_none()) {
        return Err(gone());
    }
    let (message, content) = content::message(body, lines, rules, start)
        .filter(|(message, _)| !is_internal(message))
        .ok_or_else(gone)?;
    Ok((meta(&message), content))
}

fn is_internal(message: &Message) -> bool {
    message.internal && message.start == 0
}

fn meta(message: &Message) -> ItemMeta {
    // What says 1970 says that nobody knows.
    let known = message.date.unix != 0 || message.date.offset_minutes != 0;
    let received = Timestamp {
        unix_ms: message.date.unix.saturating_mul(1000),
        offset_minutes: message.date.offset_minutes,
    };
    let meta = ItemMeta::new(message.start.to_string())
        .revision(format!("{:016x}", message.revision))
        .size((message.end - message.content).saturating_sub(message.cut))
        .received(known.then_some(received))
        .flags(&message.marks.flags)
        .labels(&message.marks.labels);
    if message.altered {
        meta.attribute("altered", "status-headers")
    } else {
        meta
    }
}

fn walk(disk: &impl Disk, directory: &str, depth: usize, found: &mut Vec<String>) -> Result<()> {
    if depth >= DEPTH {
        return Ok(());
    }
    let mut below = Vec::new();
    disk.each_entry(directory, |entry| {
        let path = join(directory, &entry.name);
        if entry.directory {
            if !entry.name.starts_with('.') {
                below.push(path);
            }
        } else if names::may_be_spool(&entry.name) && (entry.bytes == 0 || is_spool(disk, &path)?) {
            found.push(path);
        }
        Ok(())
    })?;
    below
        .into_iter()
        .try_for_each(|path| walk(disk, &path, depth + 1, found))
}

/// Whether the file begins with a From_ line, blank lines before it apart.
fn is_spool(disk: &impl Disk, path: &str) -> Result<bool> {
    let body = match disk.read(path, 0, None) {
        Ok(body) => body,
        // Something that is no regular file, or is gone already.
        Err(Failure::NotFound(_) | Failure::Rejected(_)) => return Ok(false),
        Err(failure) => return Err(failure),
    };
    let beginning = body.read(0, 4096);
    let text = beginning
        .iter()
        .position(|byte| !matches!(byte, b'\r' | b'\n'))
        .map_or(&[][..], |at| &beginning[at..]);
    Ok(text.starts_with(b"From "))
}
