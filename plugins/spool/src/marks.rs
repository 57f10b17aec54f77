//! What a store writes among a message's header fields: flags, keywords, labels.

/// Header fields that are the store's, not the message's, in lower case.
const STORE_FIELDS: [&str; 10] = [
    "status",
    "x-status",
    "x-keywords",
    "x-uid",
    "x-uidl",
    "x-imap",
    "x-imapbase",
    "x-mozilla-status",
    "x-mozilla-status2",
    "x-mozilla-keys",
];

/// What is put before the name of a field of the message's own that every reader of a spool would take for the store's.
pub const MASK: &[u8] = b"X-Whimbrel-";

/// Whether a line of a message's own header has to be masked.
pub fn needs_mask(line: &[u8]) -> bool {
    line.starts_with(MASK) || matches!(field(line), Some((Field::Store(_) | Field::ContentLength, _)))
}

/// A header field by which this connector knows something of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// One of the store's fields.
    Store(&'static str),
    /// `Content-Length`: the store's in mboxcl2.
    ContentLength,
    /// `X-Gmail-Labels`, which stays in the message.
    GmailLabels,
    /// `Subject`.
    Subject,
}

/// The field that this line begins, and its value.
pub fn field(line: &[u8]) -> Option<(Field, &[u8])> {
    let colon = line.iter().take(64).position(|&byte| byte == b':')?;
    let (name, value) = (&line[..colon], &line[colon + 1..]);
    let is = |known: &str| name.trim_ascii_end().eq_ignore_ascii_case(known.as_bytes());
    let field = match STORE_FIELDS.iter().find(|known| is(known)) {
        Some(known) => Field::Store(known),
        None if is("content-length") => Field::ContentLength,
        None if is("x-gmail-labels") => Field::GmailLabels,
        None if is("subject") => Field::Subject,
        None => return None,
    };
    Some((field, value))
}

/// Flags and labels as they add up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    /// In IMAP's spelling.
    pub flags: Vec<String>,
    /// Of the provider.
    pub labels: Vec<String>,
    /// All that `X-Gmail-Labels` names, as it is written there.
    pub gmail: Vec<String>,
}

impl Marks {
    /// Adds what one of the store's fields, unfolded, tells.
    pub fn add_store(&mut self, name: &str, value: &[u8]) {
        let text = String::from_utf8_lossy(value);
        match name {
            "status" => self.letters(&text, &[('R', "\\Seen")]),
            "x-status" => self.letters(
                &text,
                &[
                    ('A', "\\Answered"),
                    ('F', "\\Flagged"),
                    ('T', "\\Draft"),
                    ('D', "\\Deleted"),
                ],
            ),
            "x-keywords" | "x-mozilla-keys" => text.split_ascii_whitespace().for_each(|keyword| self.flag(keyword)),
            "x-mozilla-status" => {
                let bits = u32::from_str_radix(text.trim(), 16).unwrap_or(0);
                let known = [
                    (1, "\\Seen"),
                    (2, "\\Answered"),
                    (4, "\\Flagged"),
                    (8, "\\Deleted"),
                    (0x1000, "$Forwarded"),
                ];
                for (_, flag) in known.iter().filter(|(bit, _)| bits & bit != 0) {
                    self.flag(flag);
                }
            }
            _ => {}
        }
    }

    fn letters(&mut self, text: &str, known: &[(char, &str)]) {
        for (_, flag) in known.iter().filter(|(letter, _)| text.contains(*letter)) {
            self.flag(flag);
        }
    }

    fn flag(&mut self, flag: &str) {
        if !flag.eq_ignore_ascii_case("\\Recent") && !self.flags.iter().any(|known| known.eq_ignore_ascii_case(flag)) {
            self.flags.push(flag.to_owned());
        }
    }

    /// Adds what `X-Gmail-Labels` tells, as Google Takeout writes it: labels set apart by commas, those of them that
    /// are states becoming flags. A message without `Unread` has been seen.
    pub fn add_gmail(&mut self, value: &[u8]) {
        let labels = split_labels(&decode_words(&String::from_utf8_lossy(value)));
        if !labels.iter().any(|label| label.eq_ignore_ascii_case("Unread")) {
            self.flag("\\Seen");
        }
        self.gmail.extend(labels.iter().cloned());
        for label in labels {
            match label.to_ascii_lowercase().as_str() {
                "unread" | "opened" => {}
                "starred" => self.flag("\\Flagged"),
                name => {
                    if matches!(name, "draft" | "drafts") {
                        self.flag("\\Draft");
                    }
                    if !self.labels.contains(&label) {
                        self.labels.push(label);
                    }
                }
            }
        }
    }
}

/// Labels of a list: `a,"b, c",d`. A quote within quotes is doubled or has a `\` before it.
pub fn split_labels(text: &str) -> Vec<String> {
    let (mut labels, mut label, mut quoted) = (Vec::new(), String::new(), false);
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' if quoted && matches!(characters.peek(), Some('"' | '\\')) => label.extend(characters.next()),
            '"' if quoted && characters.peek() == Some(&'"') => label.extend(characters.next()),
            '"' if quoted || label.trim().is_empty() => quoted = !quoted,
            ',' if !quoted => labels.push(std::mem::take(&mut label)),
            _ => label.push(character),
        }
    }
    labels.push(label);
    labels
        .into_iter()
        .map(|label| label.trim().to_owned())
        .filter(|label| !label.is_empty())
        .collect()
}

/// Encoded words (RFC 2047) as text; what cannot be decoded stays as it is.
pub fn decode_words(text: &str) -> String {
    let mut out: Vec<u8> = Vec::new();
    let mut rest = text;
    let mut after_word = false;
    while let Some(at) = rest.find("=?") {
        let between = &rest[..at];
        match encoded_word(&rest[at..]) {
            Some((bytes, used)) => {
                if !(after_word && between.trim_ascii().is_empty()) {
                    out.extend_from_slice(between.as_bytes());
                }
                out.extend(bytes);
                rest = &rest[at + used..];
                after_word = true;
            }
            None => {
                out.extend_from_slice(&rest.as_bytes()[..at + 2]);
                rest = &rest[at + 2..];
                after_word = false;
            }
        }
    }
    out.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&out).into_owned()
}

/// The UTF-8 of the encoded word at the beginning, and its length.
fn encoded_word(text: &str) -> Option<(Vec<u8>, usize)> {
    let inner = text.strip_prefix("=?")?;
    let (charset, rest) = inner.split_once('?')?;
    let (encoding, rest) = rest.split_once('?')?;
    let (content, _) = rest.split_once("?=")?;
    let used = "=?".len() + charset.len() + 1 + encoding.len() + 1 + content.len() + "?=".len();
    let bytes = match encoding {
        "Q" | "q" => quoted(content),
        "B" | "b" => base64(content)?,
        _ => return None,
    };
    let charset = charset.split('*').next().unwrap_or_default().to_ascii_lowercase();
    match charset.as_str() {
        "utf-8" | "utf8" | "us-ascii" => Some((bytes, used)),
        "iso-8859-1" | "latin1" | "windows-1252" => {
            Some((bytes.into_iter().map(char::from).collect::<String>().into_bytes(), used))
        }
        _ => None,
    }
}

fn quoted(content: &str) -> Vec<u8> {
    let bytes = content.as_bytes();
    let hex = |at: usize| {
        bytes
            .get(at)
            .and_then(|&byte| char::from(byte).to_digit(16))
            .and_then(|value| u8::try_from(value).ok())
    };
    let (mut out, mut at) = (Vec::with_capacity(bytes.len()), 0);
    while at < bytes.len() {
        match (bytes[at], hex(at + 1), hex(at + 2)) {
            (b'=', Some(high), Some(low)) => {
                out.push(high << 4 | low);
                at += 2;
            }
            (b'_', ..) => out.push(b' '),
            (byte, ..) => out.push(byte),
        }
        at += 1;
    }
    out
}

fn base64(content: &str) -> Option<Vec<u8>> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut count) = (Vec::with_capacity(content.len()), 0u32, 0);
    for byte in content.trim_end_matches('=').bytes() {
        let value = LETTERS.iter().position(|&letter| letter == byte)?;
        bits = bits << 6 | u32::try_from(value).ok()?;
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push(u8::try_from(bits >> count & 0xff).ok()?);
        }
    }
    Some(out)
}

/// The block of fields with which this connector begins a message, one line each, always these and in this order, but
/// for `base` (see [`base`]), which only the first message of a spool has. By
/// it the connector knows its own messages, in which no other field is the store's.
pub fn block(flags: &[String], content_length: Option<u64>, base: &str) -> (String, bool) {
    let has = |wanted: &str| flags.iter().any(|flag| flag.eq_ignore_ascii_case(wanted));
    let mut out = String::new();
    if let Some(length) = content_length {
        out.push_str(&format!("Content-Length: {length}\n"));
    }
    out.push_str(base);
    out.push_str(if has("\\Seen") { "Status: RO\n" } else { "Status: O\n" });
    out.push_str("X-Status: ");
    let letters = [
        ('A', "\\Answered"),
        ('F', "\\Flagged"),
        ('T', "\\Draft"),
        ('D', "\\Deleted"),
    ];
    out.extend(letters.iter().filter(|(_, flag)| has(flag)).map(|(letter, _)| letter));
    out.push_str("\nX-Keywords:");
    let mut dropped = false;
    for flag in flags {
        let known = ["\\Seen", "\\Recent"]
            .iter()
            .chain(letters.iter().map(|(_, flag)| flag));
        if known.into_iter().any(|known| known.eq_ignore_ascii_case(flag)) {
            continue;
        }
        if is_keyword(flag) {
            out.push(' ');
            out.push_str(flag);
        } else {
            dropped = true;
        }
    }
    out.push('\n');
    (out, dropped)
}

/// Keywords that mail clients give, and that a spool which is written bit by bit may bear later on.
const USUAL: [&str; 11] = [
    "$Forwarded",
    "$Junk",
    "$NotJunk",
    "$MDNSent",
    "Junk",
    "NonJunk",
    "$label1",
    "$label2",
    "$label3",
    "$label4",
    "$label5",
];

/// The line of a spool's first message that lists its keywords: IMAP servers believe no `X-Keywords` with others, and
/// none that stands before the list. What
/// later batches bring cannot be added any more.
pub fn base<'a>(uid_validity: u32, flags: impl Iterator<Item = &'a String>) -> String {
    let mut known: Vec<&str> = USUAL.to_vec();
    for flag in flags.filter(|flag| !flag.starts_with('\\') && is_keyword(flag)) {
        if !known.iter().any(|other| other.eq_ignore_ascii_case(flag)) {
            known.push(flag);
        }
    }
    format!("X-IMAPbase: {} 0000000000 {}\n", uid_validity.max(1), known.join(" "))
}

/// Whether it can stand among others.
fn is_keyword(flag: &str) -> bool {
    !flag.is_empty() && !flag.contains(|c: char| c.is_control() || c.is_whitespace())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn gmail(value: &str) -> (Vec<String>, Vec<String>) {
        let mut marks = Marks::default();
        marks.add_gmail(value.as_bytes());
        (marks.flags, marks.labels)
    }

    fn strings(list: &[&str]) -> Vec<String> {
        list.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn labels_as_takeout_writes_them() {
        assert_eq!(
            gmail(" Inbox,Important,Opened,Category Updates"),
            (
                strings(&["\\Seen"]),
                strings(&["Inbox", "Important", "Category Updates"])
            )
        );
        assert_eq!(
            gmail("Archived,Unread,Starred"),
            (strings(&["\\Flagged"]), strings(&["Archived"]))
        );
        assert_eq!(
            gmail("\"Work, old\",\"a \"\"b\"\"\",Drafts"),
            (
                strings(&["\\Seen", "\\Draft"]),
                strings(&["Work, old", "a \"b\"", "Drafts"])
            )
        );
        assert_eq!(
            gmail("=?UTF-8?Q?Unread,Entw=C3=BCrfe_alt?=\r\n =?UTF-8?B?LMOcYmVy?="),
            (strings(&[]), strings(&["Entwürfe alt", "Über"]))
        );
        assert_eq!(
            gmail("=?utf-8?Q?a=C3?= =?utf-8?Q?=A4?=").1,
            strings(&["aä"]),
            "a character across two words"
        );
        assert_eq!(gmail("=?koi8-r?Q?=FF?=,=?x").1, strings(&["=?koi8-r?Q?=FF?=", "=?x"]));
    }

    #[test]
    fn flags_of_all_stores() {
        let mut marks = Marks::default();
        marks.add_store("status", b" RO");
        marks.add_store("x-status", b" AFTD");
        marks.add_store("x-keywords", b" Work  $Junk work            ");
        assert_eq!(
            marks.flags,
            [
                "\\Seen",
                "\\Answered",
                "\\Flagged",
                "\\Draft",
                "\\Deleted",
                "Work",
                "$Junk"
            ]
        );
        let mut marks = Marks::default();
        marks.add_store("x-mozilla-status", b" 1005");
        marks.add_store("x-mozilla-keys", b" $label1 ");
        assert_eq!(marks.flags, ["\\Seen", "\\Flagged", "$Forwarded", "$label1"]);
    }

    #[test]
    fn fields_are_known_in_any_case() {
        assert_eq!(field(b"STATUS: RO"), Some((Field::Store("status"), &b" RO"[..])));
        assert_eq!(field(b"content-length : 5"), Some((Field::ContentLength, &b" 5"[..])));
        assert_eq!(field(b"X-Status-Other: x"), None);
        assert_eq!(field(b"no colon"), None);
    }

    proptest! {
        #[test]
        fn flags_come_back(flags in proptest::collection::btree_set("\\\\(Seen|Answered|Flagged|Draft|Deleted)|\\$?[a-z]{1,8}", 0..8)) {
            let given: Vec<String> = flags.into_iter().collect();
            let (block, dropped) = block(&given, None, "");
            prop_assert!(!dropped);
            let mut marks = Marks::default();
            for line in block.lines() {
                if let Some((Field::Store(name), value)) = field(line.as_bytes()) {
                    marks.add_store(name, value);
                }
            }
            marks.flags.sort();
            prop_assert_eq!(marks.flags, given);
        }

        #[test]
        fn no_value_makes_it_fail(value in "(=\\?utf-8\\?[QB]\\?[a-zA-Z=,\"_?+/]{0,20}(\\?=)?|[\",\\\\ a-zé]|\\PC){0,8}") {
            gmail(&value);
        }
    }
}
