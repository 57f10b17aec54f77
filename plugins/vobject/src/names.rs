//! Names of collections and of files.

use whimbrel_folders::portable::{self, NAME_BYTES};
use whimbrel_plugin::{Failure, Result};

use crate::form::Form;

/// Bytes of a whole path: the id of an item begins with it.
const PATH_BYTES: usize = 1000;
/// Longer names of files are made of a hash.
const STEM: usize = 100;

/// The name of the collection in a directory or file of this name, its ending taken off.
pub fn shown(name: &str) -> String {
    // What merely holds a `%` is no escape.
    portable::unescape(name)
        .filter(|text| portable::escape(text, |_, _| false) == name)
        .unwrap_or_else(|| name.to_owned())
}

/// The directory, or with an ending the file, for a collection of this name.
///
/// # Errors
/// `rejected` for a name that none can bear.
pub fn file_name(name: &str, ending: &str) -> Result<String> {
    if name.is_empty() {
        return Err(Failure::rejected("the name of a collection cannot be empty"));
    }
    let escaped = portable::escape(name, |_, _| false);
    let bytes = escaped.len() + ending.len();
    if bytes > NAME_BYTES {
        return Err(Failure::rejected(format!(
            "the collection's file would have a name of {bytes} bytes, and {NAME_BYTES} is the most: shorten the name"
        )));
    }
    Ok(format!("{escaped}{ending}"))
}

/// Whether a path is short enough.
///
/// # Errors
/// `rejected` where it is not.
pub fn fits(path: &str) -> Result<()> {
    if path.len() > PATH_BYTES {
        return Err(Failure::rejected(format!(
            "the collection would lie at a path of {} bytes, and {PATH_BYTES} is the most: shorten the names",
            path.len()
        )));
    }
    Ok(())
}

/// The name of the file for an object with this UID or, without a plain one, with this hash, without its ending: the same
/// on every try. `again` counts where a name is taken by another object.
pub fn stem(uid: Option<&str>, hash: &[u8], again: u32) -> String {
    let plain = |uid: &&str| {
        let usual = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'@' | b'+' | b'=');
        (1..=STEM).contains(&uid.len()) && uid.bytes().all(usual) && portable::escape(uid, |_, _| false) == **uid
    };
    let stem = match uid.filter(plain) {
        Some(uid) => uid.to_owned(),
        None => hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect(),
    };
    if again == 0 {
        stem
    } else {
        format!("{stem}-{}", again + 1)
    }
}

/// The name of a file of this form, without its ending.
pub fn stem_of(form: Form, name: &str) -> String {
    shown(form.stem(name).unwrap_or(name))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn objects_get_names_that_any_system_bears() {
        let hash = [0xab; 32];
        assert_eq!(stem(Some("a-b@c.example"), &hash, 0), "a-b@c.example");
        assert_eq!(stem(Some("a"), &hash, 2), "a-3");
        for odd in ["", "../x", ".x", "x.", "a b", "ü", "con", &"x".repeat(101)] {
            assert_eq!(stem(Some(odd), &hash, 0), "ab".repeat(16), "{odd}");
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back(name in "[^\u{0}]{1,20}|[.%: /a-f0-9]{1,8}") {
            prop_assert_eq!(&stem_of(Form::Calendar, &file_name(&name, ".ics").unwrap()), &name);
            prop_assert_eq!(shown(&file_name(&name, "").unwrap()), name);
        }
    }
}
