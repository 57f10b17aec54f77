//! Folder names and the directories they live in.
//!
//! A name that some system's directories cannot bear is escaped with `%` and two hexadecimal digits for each byte, so
//! that the tree can be copied anywhere: `\ / : * ? " < > | %` and control characters, a dot or a blank at an end, and
//! the names of Windows' devices.

use whimbrel_folders::portable::{self, NAME_BYTES};
use whimbrel_plugin::Failure;

use crate::files::has_ending;

/// Bytes of a whole path: an id is no longer.
const PATH_BYTES: usize = 1000;
/// Ending of the directory in which Apple Mail keeps a mailbox; no part of its name.
const BUNDLE: &str = ".mbox";

/// Whether a directory of this name is a mailbox of Apple Mail, with its messages somewhere below it.
pub fn is_bundle(name: &str) -> bool {
    has_ending(name, BUNDLE)
}

/// The directory for the folder at this path, relative to the root.
///
/// # Errors
/// `rejected` for a name that no directory can bear.
pub fn directory(path: &[String]) -> Result<String, Failure> {
    if path.is_empty() || path.iter().any(String::is_empty) {
        return Err(Failure::rejected("a folder name cannot be empty"));
    }
    let segments: Vec<String> = path.iter().map(|segment| escape(segment)).collect();
    if let Some(longest) = segments
        .iter()
        .map(String::len)
        .max()
        .filter(|&bytes| bytes > NAME_BYTES)
    {
        return Err(Failure::rejected(format!(
            "the folder's directory would have a name of {longest} bytes, and {NAME_BYTES} is the most: shorten the name"
        )));
    }
    let directory = segments.join("/");
    if directory.len() > PATH_BYTES {
        return Err(Failure::rejected(format!(
            "the folder's directory would have a path of {} bytes, and {PATH_BYTES} is the most: shorten the names",
            directory.len()
        )));
    }
    Ok(directory)
}

/// The folder name that a directory bears.
pub fn segment(name: &str) -> String {
    let bare = if is_bundle(name) {
        &name[..name.len() - BUNDLE.len()]
    } else {
        name
    };
    // What merely holds a `%` is no escape.
    portable::unescape(bare)
        .filter(|text| escape(text) == bare)
        .unwrap_or_else(|| bare.to_owned())
}

fn escape(segment: &str) -> String {
    let ending = is_bundle(segment).then(|| segment.len() - BUNDLE.len());
    portable::escape(segment, |at, _| Some(at) == ending)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(segments: &[&str]) -> Result<String, Failure> {
        directory(&segments.iter().map(|segment| (*segment).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn names_that_some_system_cannot_bear_are_escaped() {
        for (name, directory) in [
            ("Work", "Work"),
            ("a.b c", "a.b c"),
            ("a/b", "a%2Fb"),
            ("100%", "100%25"),
            (".", "%2E"),
            ("..", "%2E%2E"),
            (" x. ", "%20x.%20"),
            ("x.", "x%2E"),
            ("Work.mbox", "Work%2Embox"),
            (".mbox", "%2Embox"),
            ("con", "%63on"),
            ("Com1.txt", "%43om1.txt"),
            ("com", "com"),
            ("context", "context"),
            ("nul1", "nul1"),
            ("Entwürfe", "Entwürfe"),
            ("a:b*c", "a%3Ab%2Ac"),
            ("\u{85}", "%C2%85"),
        ] {
            assert_eq!(of(&[name]).unwrap(), directory);
            assert_eq!(segment(directory), name);
        }
        assert_eq!(of(&["a", "b/c"]).unwrap(), "a/b%2Fc");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(of(&[]).is_err() && of(&["a", ""]).is_err());
        assert!(of(&[&"x".repeat(256)]).is_err() && of(&[&"?".repeat(86)]).is_err());
        assert!(of(&[&"x".repeat(255)]).is_ok());
        assert!(of(&["x".repeat(200).as_str(); 5]).is_err());
    }

    #[test]
    fn foreign_names_stay_as_they_are() {
        for name in ["100%", "%zz", "a%2fb", "%FF", "%41", "%"] {
            assert_eq!(segment(name), name);
        }
        assert_eq!(segment("Sent Messages.mbox"), "Sent Messages");
        assert_eq!(segment("INBOX.MBOX"), "INBOX");
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "[^\u{0}]{1,20}|[.%: /a-f0-9]{1,8}|(con|aux|lpt[0-9])(\\.[a-z]{0,3})?|\\PC{0,4}\\.(mbox|MBOX)") {
            let directory = of(&[&name]).unwrap();
            prop_assert!(!directory.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|']));
            prop_assert!(!directory.starts_with(['.', ' ']) && !directory.ends_with(['.', ' ']) && !is_bundle(&directory));
            prop_assert_eq!(segment(&directory), name);
        }

        #[test]
        fn every_directory_has_a_name(name in "\\PC{1,20}|[%A-F0-9.]{1,9}") {
            prop_assert!(!segment(&name).is_empty());
        }
    }
}
