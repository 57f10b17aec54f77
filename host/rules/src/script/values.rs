//! Values that scripts give: folders, roles, flags, headers, reasons.

use rhai::{Dynamic, ImmutableString};
use whimbrel_model::{Role, display_path};

use super::{Answer, refuse};
use crate::decision::Wanted;
use crate::suggest::closest;

/// Bytes of a reason or a note.
const MOST_TEXT: usize = 1000;

/// Segments of a path.
const MOST_SEGMENTS: usize = 100;

/// All roles with their names.
pub(crate) const ROLES: [(&str, Role); 12] = [
    ("inbox", Role::Inbox),
    ("archive", Role::Archive),
    ("drafts", Role::Drafts),
    ("sent", Role::Sent),
    ("junk", Role::Junk),
    ("trash", Role::Trash),
    ("all", Role::All),
    ("flagged", Role::Flagged),
    ("important", Role::Important),
    ("templates", Role::Templates),
    ("outbox", Role::Outbox),
    ("memos", Role::Memos),
];

/// The name of a role; empty for none.
pub(crate) fn role_name(role: Option<Role>) -> &'static str {
    let found = ROLES.iter().find(|(_, known)| Some(*known) == role);
    found.map_or("", |(name, _)| name)
}

/// The role with a name.
pub(crate) fn role(name: &str) -> Answer<Role> {
    if let Some((_, role)) = ROLES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
        return Ok(*role);
    }
    let names = ROLES.iter().map(|(known, _)| *known);
    match closest(name, names.clone()) {
        Some(near) => refuse(format!(
            "there is no role \"{}\"; did you mean \"{near}\"?",
            short(name)
        )),
        None => refuse(format!(
            "there is no role \"{}\"; the roles are {}",
            short(name),
            names.collect::<Vec<_>>().join(", ")
        )),
    }
}

/// A folder from `"A/B"` or `["A", "B"]`.
pub(crate) fn path(value: &Dynamic) -> Answer<Vec<String>> {
    let segments: Vec<String> = if let Ok(text) = value.as_immutable_string_ref() {
        text.split('/').map(str::to_owned).collect()
    } else if let Ok(array) = value.as_array_ref() {
        let mut segments = Vec::with_capacity(array.len());
        for item in array.iter() {
            match item.as_immutable_string_ref() {
                Ok(text) => segments.push(text.to_string()),
                Err(found) => return refuse(format!("the names of a folder's path are strings, not {found}")),
            }
        }
        segments
    } else {
        return refuse(format!(
            "a folder is a string as \"Archive/2019\" or an array of names, not {}",
            value.type_name()
        ));
    };
    if segments.iter().all(String::is_empty) {
        return refuse("the name of the folder is empty");
    }
    if segments.iter().any(String::is_empty) {
        return refuse(format!(
            "\"{}\" is no folder: a name before, after or between slashes is missing",
            short(&display_path(&segments))
        ));
    }
    if segments.len() > MOST_SEGMENTS || segments.iter().any(|segment| segment.chars().any(char::is_control)) {
        return refuse(format!("\"{}\" cannot be a folder", short(&display_path(&segments))));
    }
    Ok(segments)
}

/// A destination as people read it.
pub(crate) fn wanted_text(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Path(path) => short(&display_path(path)),
        Wanted::Role(role) => format!("role {role}"),
    }
}

/// A flag or keyword in IMAP's spelling (RFC 9051, 9: `flag`, `flag-keyword` is an atom).
pub(crate) fn flag(name: &str) -> Answer<String> {
    let bare = name.strip_prefix('\\').unwrap_or(name);
    if bare.eq_ignore_ascii_case("recent") {
        return refuse("\\Recent belongs to the server: it cannot be set or cleared");
    }
    if let Some(known) = system_flag(bare) {
        return Ok(known.to_owned());
    }
    if !is_atom(bare) {
        return refuse(format!(
            "\"{}\" cannot be a flag: flags hold no blanks, quotes, brackets, control or non-ASCII characters, and none of ( ) {{ % * \\",
            short(name)
        ));
    }
    Ok(name.to_owned())
}

/// A keyword: a flag without a backslash.
pub(crate) fn keyword(name: &str) -> Answer<String> {
    if name.starts_with('\\') {
        return refuse(format!(
            "\"{}\" is a flag, not a keyword: use set_flag and clear_flag",
            short(name)
        ));
    }
    if !is_atom(name) {
        return refuse(format!(
            "\"{}\" cannot be a keyword: keywords hold no blanks, quotes, brackets, control or non-ASCII characters, and none of ( ) {{ % * \\",
            short(name)
        ));
    }
    Ok(name.to_owned())
}

/// The system flag with a name, written without the backslash.
pub(crate) fn system_flag(bare: &str) -> Option<&'static str> {
    ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"]
        .into_iter()
        .find(|flag| {
            flag.strip_prefix('\\')
                .is_some_and(|known| known.eq_ignore_ascii_case(bare))
        })
}

/// RFC 9051, 9: `atom`.
fn is_atom(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte);
    !text.is_empty() && text.len() <= 200 && text.bytes().all(fits)
}

/// A label: any text in one line.
pub(crate) fn label(name: &str) -> Answer<String> {
    if name.is_empty() || name.len() > MOST_TEXT || name.chars().any(char::is_control) {
        return refuse(format!("\"{}\" cannot be a label", short(name)));
    }
    Ok(name.to_owned())
}

/// A reason or a note: one line that is not empty, shortened where it is long.
pub(crate) fn line(what: &str, text: &str) -> Answer<String> {
    let text = text.trim();
    if text.is_empty() {
        return refuse(format!("{what} needs a text"));
    }
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    Ok(cut(&clean, MOST_TEXT))
}

/// A text for messages and steps: one line, and not too long.
pub(crate) fn short(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    cut(&clean, 120)
}

fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let end = (0..=most).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

/// Strings as a script's array.
pub(crate) fn strings<S: AsRef<str>>(texts: impl IntoIterator<Item = S>) -> rhai::Array {
    texts
        .into_iter()
        .map(|text| Dynamic::from(ImmutableString::from(text.as_ref())))
        .collect()
}

/// An unsigned number as a script's integer, the largest where it does not fit.
pub(crate) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
