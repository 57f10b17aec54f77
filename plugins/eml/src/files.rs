//! Names of message files: those that others give, and the ones that this connector gives.
//!
//! Its own are `<received>.W<sequence>.<hash>,<letters>.eml`, at most 103 bytes of letters, digits, dots and one comma,
//! so that every file system can hold them: the moment of reception in UTC, a number that rises from one delivery into
//! a folder to the next, the beginning of the content's hash, and the flags as letters of Maildir.

use whimbrel_folders::dates;

/// What stands for a moment that nobody knows.
const UNKNOWN: &str = "00000000T000000Z";

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// `.eml`: nothing but the message.
    Eml,
    /// `.emlx`: the message, with what Apple Mail knows of it.
    Emlx,
    /// `.partial.emlx`: a message whose attachments Apple Mail keeps elsewhere, or has not fetched.
    Partial,
}

/// What the file of this name holds; none where it is no message.
pub fn form(name: &str) -> Option<Form> {
    if name.starts_with('.') {
        return None;
    }
    [
        (".partial.emlx", Form::Partial),
        (".emlx", Form::Emlx),
        (".eml", Form::Eml),
    ]
    .into_iter()
    .find(|(ending, _)| has_ending(name, ending))
    .map(|(_, form)| form)
}

/// Whether the name ends so, in whatever case, with something before it.
pub fn has_ending(name: &str, ending: &str) -> bool {
    name.len() > ending.len()
        && name.is_char_boundary(name.len() - ending.len())
        && name[name.len() - ending.len()..].eq_ignore_ascii_case(ending)
}

/// A name that this connector gave, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Own<'a> {
    /// All before the comma: it stays when flags change, and is the id.
    pub base: &'a str,
    /// Of the delivery.
    pub sequence: u64,
    /// The flags, as letters.
    pub letters: &'a str,
    /// When the message was received, in seconds since 1970, where it was known.
    pub received: Option<i64>,
}

/// The name's parts; none where it is not of this connector.
pub fn own(name: &str) -> Option<Own<'_>> {
    let (base, letters) = name.strip_suffix(".eml")?.rsplit_once(',')?;
    if !letters.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let (sequence, received) = base_parts(base)?;
    Some(Own {
        base,
        sequence,
        letters,
        received,
    })
}

/// Whether this is the id of a file of this connector.
pub fn is_base(id: &str) -> bool {
    base_parts(id).is_some()
}

fn base_parts(base: &str) -> Option<(u64, Option<i64>)> {
    let mut parts = base.split('.');
    let (received, sequence, hash) = (parts.next()?, parts.next()?, parts.next()?);
    let digits = sequence.strip_prefix('W')?;
    let (hash, again) = hash.split_once('x').unwrap_or((hash, "0"));
    let number = |text: &str| {
        let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u64>().ok()).flatten()
    };
    let lower_hex = hash.len() == 16 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if parts.next().is_some() || !lower_hex || number(again).is_none() {
        return None;
    }
    let received = match received {
        UNKNOWN => None,
        text => Some(dates::from_compact(text)?),
    };
    Some((number(digits)?, received))
}

/// The base of a new name. `again` counts where a name was taken already.
pub fn base(received: Option<i64>, sequence: u64, hash: u64, again: u32) -> String {
    let received = received.map_or_else(|| UNKNOWN.to_owned(), dates::compact);
    let again = if again == 0 { String::new() } else { format!("x{again}") };
    format!("{received}.W{sequence:08}.{hash:016x}{again}")
}

/// The name with these letters.
pub fn with_letters(base: &str, letters: &str) -> String {
    format!("{base},{letters}.eml")
}

/// The id of a file that another program wrote and might write anew under the same name: with its size and time.
pub fn foreign_id(path: &str, bytes: u64, modified: i64) -> String {
    format!("{path}@{bytes}.{modified}")
}

/// Path, size and time of such an id.
pub fn of_foreign_id(id: &str) -> Option<(&str, u64, i64)> {
    let (path, rest) = id.rsplit_once('@')?;
    let (bytes, modified) = rest.split_once('.')?;
    Some((path, bytes.parse().ok()?, modified.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn endings_tell_what_a_file_is() {
        for (name, expected) in [
            ("a.eml", Some(Form::Eml)),
            ("A.EML", Some(Form::Eml)),
            ("12.emlx", Some(Form::Emlx)),
            ("12.partial.emlx", Some(Form::Partial)),
            ("partial.emlx", Some(Form::Emlx)),
            ("ü.Eml", Some(Form::Eml)),
            (".eml", None),
            (".hidden.eml", None),
            ("._a.eml", None),
            ("a.eml.bak", None),
            ("eml", None),
            ("a.msg", None),
            ("é", None),
        ] {
            assert_eq!(form(name), expected, "{name}");
        }
    }

    #[test]
    fn only_our_own_names_have_letters() {
        for foreign in [
            "20240229T123456Z.W00000001.0123456789abcdef.eml",
            "20240229T123456Z.W00000001.0123456789abcdef,S.EML",
            "20240229T123456Z.W00000001.0123456789abcdef,1.eml",
            "20240229T123456Z.W1.0123456789abcde,S.eml",
            "20240229T123456Z.W.0123456789abcdef,S.eml",
            "20240229T123456Z.W+1.0123456789abcdef,S.eml",
            "20240229T123456Z.00000001.0123456789abcdef,S.eml",
            "2024-02-29.W00000001.0123456789abcdef,S.eml",
            "20240229T123456Z.W00000001.0123456789abcdef.x,S.eml",
            "20240229T123456Z.W00000001.0123456789abcdefx,S.eml",
            "Re: hello, S.eml",
        ] {
            assert_eq!(own(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_moment_that_nobody_knows_stays_unknown() {
        let name = with_letters(&base(None, 7, 0, 0), "");
        assert_eq!(own(&name).unwrap().received, None);
        assert_eq!(own(&name).unwrap().sequence, 7);
    }

    proptest! {
        #[test]
        fn own_names_come_apart(unix in -62_000_000_000i64..250_000_000_000, sequence: u64, hash: u64, again: u32, letters in "[A-Za-z]{0,32}") {
            let base = base(Some(unix), sequence, hash, again);
            prop_assert!(base.len() <= 66 && is_base(&base));
            let name = with_letters(&base, &letters);
            prop_assert!(name.len() <= 103 && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b',')));
            prop_assert_eq!(form(&name), Some(Form::Eml));
            let expected = Own { base: &base, sequence, letters: &letters, received: Some(unix) };
            prop_assert_eq!(own(&name), Some(expected));
        }

        #[test]
        fn foreign_ids_come_apart(path in "[^\u{0}]{1,40}", bytes: u64, modified: i64) {
            let id = foreign_id(&path, bytes, modified);
            prop_assert_eq!(of_foreign_id(&id), Some((path.as_str(), bytes, modified)));
            prop_assert!(!is_base(&id));
        }

        #[test]
        fn no_name_makes_it_fail(name in "\\PC{0,30}|[0-9TZWx.,a-f]{0,60}(,[A-Z]{0,3})?(\\.eml)?") {
            let _ = (form(&name), own(&name), is_base(&name), of_foreign_id(&name));
        }
    }
}
