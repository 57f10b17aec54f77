//! The files that Takeout gave, wherever they lie: in folders, or in archives beside them.

use whimbrel_folders::Disk;
use whimbrel_folders::disk::join;
use whimbrel_folders::hash::Fnv;
use whimbrel_plugin::{Failure, Result};
use whimbrel_vobject::Form;

use crate::zip::{self, Member};

/// Folders within folders are followed so far.
const DEPTH: usize = 32;
/// Files that are wanted at most.
const MOST: usize = 20_000;

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// Mail, in an mbox spool.
    Mail,
    /// Calendars or contacts.
    Objects(FormOrder),
}

/// Calendars before contacts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FormOrder {
    /// iCalendar.
    Calendar,
    /// vCard.
    Card,
}

impl FormOrder {
    /// The form.
    pub fn form(self) -> Form {
        match self {
            Self::Calendar => Form::Calendar,
            Self::Card => Form::Card,
        }
    }
}

/// What a file of this name holds. Names of folders are in the account's language; those of files end the same everywhere.
pub fn sort_of(name: &str) -> Option<Sort> {
    let name = name.rsplit('/').next().unwrap_or(name);
    if name.starts_with('.') {
        return None;
    }
    let is_mbox = name.len() > 5
        && name
            .get(name.len() - 5..)
            .is_some_and(|end| end.eq_ignore_ascii_case(".mbox"));
    match Form::of_name(name) {
        _ if is_mbox => Some(Sort::Mail),
        Some(Form::Calendar) => Some(Sort::Objects(FormOrder::Calendar)),
        Some(Form::Card) => Some(Sort::Objects(FormOrder::Card)),
        None => None,
    }
}

/// A file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its path, as Takeout gave it: the same in an archive and unpacked.
    pub path: String,
    /// What it holds.
    pub sort: Sort,
    /// Its bytes.
    pub bytes: u64,
    /// Tells whether it is another one now.
    pub mark: u64,
    /// The archive that holds it, and where in it.
    packed: Option<(String, Member)>,
}

/// All files that are wanted, by path. What lies there twice is taken once.
///
/// # Errors
/// What the folder failed with; `rejected` for an archive that is damaged or encrypted.
pub fn files<D: Disk>(disk: &D) -> Result<Vec<File>> {
    let mut found = Vec::new();
    let mut archives = Vec::new();
    walk(disk, "", 0, &mut found, &mut archives)?;
    for (archive, mark) in archives {
        let body = disk.read(&archive, 0, None)?;
        let named = |failure: Failure| failure.within(&format!("`{archive}`"));
        zip::members(&body, |member| {
            if let Some(sort) = sort_of(&member.name) {
                add(
                    &mut found,
                    File {
                        path: member.name.clone(),
                        sort,
                        bytes: member.bytes,
                        mark,
                        packed: Some((archive.clone(), member)),
                    },
                )?;
            }
            Ok(())
        })
        .map_err(named)?;
    }
    // The top folder may be missing where somebody moved its content.
    let plain = |path: &str| path.strip_prefix("Takeout/").unwrap_or(path).to_owned();
    found.sort_by_key(|file| (file.sort, plain(&file.path), file.packed.is_some()));
    found.dedup_by_key(|file| (file.sort, plain(&file.path)));
    Ok(found)
}

fn add(found: &mut Vec<File>, file: File) -> Result<()> {
    if found.len() >= MOST {
        return Err(Failure::unsupported(format!(
            "there are more than {MOST} files of mail, calendars and contacts: let `root` name a part of them"
        )));
    }
    found.push(file);
    Ok(())
}

fn walk<D: Disk>(
    disk: &D,
    directory: &str,
    depth: usize,
    found: &mut Vec<File>,
    archives: &mut Vec<(String, u64)>,
) -> Result<()> {
    if depth >= DEPTH {
        return Ok(());
    }
    let mut below = Vec::new();
    disk.each_entry(directory, |entry| {
        let path = join(directory, &entry.name);
        if entry.name.starts_with('.') {
            return Ok(());
        }
        if entry.directory {
            below.push(path);
            return Ok(());
        }
        let mut mark = Fnv::default();
        mark.update(&entry.bytes.to_be_bytes());
        mark.update(&entry.modified.unix_ms.to_be_bytes());
        let mark = mark.finish();
        if depth == 0 && entry.name.to_ascii_lowercase().ends_with(".zip") {
            archives.push((path, mark));
        } else if let Some(sort) = sort_of(&entry.name) {
            add(
                found,
                File {
                    path,
                    sort,
                    bytes: entry.bytes,
                    mark,
                    packed: None,
                },
            )?;
        }
        Ok(())
    })?;
    for path in below {
        walk(disk, &path, depth + 1, found, archives)?;
    }
    Ok(())
}

/// The content of a file. What is compressed is unpacked on the host, not in memory.
///
/// # Errors
/// `not-found` where it is gone; see [`zip::open`].
pub fn open<D: Disk>(disk: &D, file: &File) -> Result<D::Body> {
    match &file.packed {
        None => disk.read(&file.path, 0, Some(file.bytes)),
        Some((archive, member)) => {
            let body = disk.read(archive, 0, None)?;
            zip::open(&body, member).map_err(|failure| failure.within(&format!("`{archive}`")))
        }
    }
}
