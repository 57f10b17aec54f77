//! Folder names and the files they live in.

use whimbrel_folders::escape::{escape, unescape};
use whimbrel_folders::utf7;
use whimbrel_plugin::Failure;

/// Bytes that a file name has at most; that of the directory of children is longer by its ending.
const NAME_BYTES: usize = 255 - CHILDREN.len();
/// Ending of the directory with the children of a folder, as Thunderbird has it.
pub const CHILDREN: &str = ".sbd";
/// Ending that Takeout and others give to spools; no part of the folder's name.
pub const SPOOL: &str = ".mbox";
/// Endings of files that lie beside spools and are none.
const OTHERS: [&str; 12] = [
    ".msf", ".dat", ".html", ".json", ".txt", ".log", ".lock", ".sqlite", ".csv", ".xml", ".eml", ".zip",
];

/// How names beyond ASCII are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// Modified UTF-7 (RFC 3501, 5.1.3), as IMAP servers write them.
    Utf7,
    /// As they are.
    Utf8,
}

/// Whether a file of this name may be a spool.
pub fn may_be_spool(file: &str) -> bool {
    !file.starts_with('.') && !OTHERS.iter().any(|ending| has_ending(file, ending))
}

fn has_ending(name: &str, ending: &str) -> bool {
    name.len() >= ending.len()
        && name.is_char_boundary(name.len() - ending.len())
        && name[name.len() - ending.len()..].eq_ignore_ascii_case(ending)
}

/// The folder name that a file or directory bears.
pub fn segment(name: &str, spelling: Spelling) -> String {
    let bare = [CHILDREN, SPOOL]
        .iter()
        .find(|ending| has_ending(name, ending) && name.len() > ending.len());
    let name = bare.map_or(name, |ending| &name[..name.len() - ending.len()]);
    match spelling {
        Spelling::Utf7 => unescape(&utf7::decode(name).unwrap_or_else(|| name.to_owned())),
        Spelling::Utf8 => unescape(name),
    }
}

/// The file name for a folder name.
///
/// # Errors
/// `rejected` for a name that no file can bear.
pub fn file_name(segment: &str, spelling: Spelling) -> Result<String, Failure> {
    if segment.is_empty() {
        return Err(Failure::rejected("a folder name cannot be empty"));
    }
    // An ending that means something is escaped at its dot.
    let ending = [CHILDREN, SPOOL]
        .iter()
        .chain(&OTHERS)
        .find(|ending| has_ending(segment, ending));
    let dot = ending.map(|ending| segment.len() - ending.len());
    let escaped = escape(segment, |at, c| {
        c == '/' || Some(at) == dot || (at == 0 && matches!(c, '.' | '~'))
    });
    let name = match spelling {
        Spelling::Utf7 => utf7::encode(&escaped),
        // Nobody is to take it for modified UTF-7.
        Spelling::Utf8 if utf7::decode(&escaped).is_some_and(|text| !text.is_ascii()) => escaped.replace('&', "\\26"),
        Spelling::Utf8 => escaped,
    };
    if name.len() > NAME_BYTES {
        return Err(Failure::rejected(format!(
            "the folder's file would have a name of {} bytes, and {NAME_BYTES} is the most: shorten the name",
            name.len()
        )));
    }
    Ok(name)
}

/// How names are written, as far as these tell: modified UTF-7 where one of them can be nothing else, and none is
/// beyond ASCII.
pub fn detect_spelling<'a>(names: impl Iterator<Item = &'a str>) -> Spelling {
    let mut spelling = Spelling::Utf8;
    for name in names {
        if !name.is_ascii() {
            return Spelling::Utf8;
        }
        if utf7::decode(name).is_some_and(|text| !text.is_ascii()) {
            spelling = Spelling::Utf7;
        }
    }
    spelling
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endings_are_no_part_of_the_name() {
        assert_eq!(
            segment("All mail Including Spam and Trash.mbox", Spelling::Utf8),
            "All mail Including Spam and Trash"
        );
        assert_eq!(segment("Work.sbd", Spelling::Utf8), "Work");
        assert_eq!(segment("Entw&APw-rfe", Spelling::Utf7), "Entwürfe");
        assert_eq!(segment(".mbox", Spelling::Utf8), ".mbox");
        assert!(may_be_spool("Inbox") && !may_be_spool("Inbox.msf") && !may_be_spool(".subscriptions"));
    }

    #[test]
    fn names_that_mean_something_are_escaped() {
        for (name, file) in [
            ("a/b", "a\\2fb"),
            (".x", "\\2ex"),
            ("Work.sbd", "Work\\2esbd"),
            ("notes.TXT", "notes\\2eTXT"),
            (".mbox", "\\2embox"),
        ] {
            assert_eq!(file_name(name, Spelling::Utf8).unwrap(), file);
        }
        assert!(file_name("", Spelling::Utf8).is_err());
        assert!(file_name(&"x".repeat(252), Spelling::Utf8).is_err());
    }

    #[test]
    fn the_spelling_is_found_out() {
        assert_eq!(file_name("&AOQ-", Spelling::Utf8).unwrap(), "\\26AOQ-");
        assert_eq!(detect_spelling(["Sent", "R&-D"].into_iter()), Spelling::Utf8);
        assert_eq!(detect_spelling(["Sent", "Entw&APw-rfe"].into_iter()), Spelling::Utf7);
        assert_eq!(
            detect_spelling(["Entwürfe", "Entw&APw-rfe"].into_iter()),
            Spelling::Utf8
        );
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "[^\u{0}]{1,20}|[.~/\\\\&a-z]{0,6}\\.(sbd|mbox|MSF|txt)", utf7: bool) {
            let spelling = if utf7 { Spelling::Utf7 } else { Spelling::Utf8 };
            if let Ok(file) = file_name(&name, spelling) {
                prop_assert!(may_be_spool(&file) && !file.contains('/'));
                prop_assert_eq!(segment(&file, spelling), name.clone());
                prop_assert_eq!(segment(&format!("{file}.sbd"), spelling), name);
            }
        }
    }
}
