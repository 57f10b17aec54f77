//! One field of a head, and what its value says.

use std::ops::Range;

use mail_parser::{HeaderValue, parsers::MessageStream};

use crate::{
    addresses::{Address, addresses},
    content_type::ContentType,
    head::Head,
    words::decode_text,
};

/// One field: its name, its value and the bytes of both as they stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    raw: &'a [u8],
    name: &'a [u8],
    value: &'a [u8],
}

/// A moment, and the offset from UTC that was written with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    /// Seconds since 1970-01-01T00:00:00Z.
    pub unix: i64,
    /// Minutes east of UTC.
    pub offset_minutes: i32,
}

impl<'a> Field<'a> {
    pub(crate) fn new(raw: &'a [u8], name: usize, value: Range<usize>) -> Field<'a> {
        Field {
            raw,
            name: &raw[..name],
            value: &raw[value],
        }
    }

    /// The name as written, without blanks before the colon. It has no blanks and no control characters; it may have
    /// bytes beyond ASCII.
    pub fn name(&self) -> &'a [u8] {
        self.name
    }

    /// The name as text.
    pub fn name_text(&self) -> String {
        String::from_utf8_lossy(self.name).into_owned()
    }

    /// Whether the field has this name, whatever its case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// What stands behind the colon, folded as it is, without the final line end.
    pub fn value(&self) -> &'a [u8] {
        self.value
    }

    /// The whole field, with its final line end where it has one.
    pub fn raw(&self) -> &'a [u8] {
        self.raw
    }

    /// The value as text: unfolded, without blanks at both ends, encoded words decoded (RFC 2047); bytes beyond ASCII
    /// are UTF-8 where they can be, else Latin-1.
    pub fn text(&self) -> String {
        decode_text(self.value)
    }

    /// The addresses that the value lists (RFC 5322 section 3.4).
    pub fn addresses(&self) -> Vec<Address> {
        addresses(self.value)
    }

    /// The date that a trace field ends with, behind its last semicolon (RFC 5321 section 4.4).
    pub fn trace_date(&self) -> Option<Date> {
        let at = self.value.iter().rposition(|byte| *byte == b';')?;
        Field {
            value: &self.value[at + 1..],
            ..*self
        }
        .date()
    }

    /// The date that the value names (RFC 5322 section 3.3, with the obsolete zones).
    pub fn date(&self) -> Option<Date> {
        // The parser wants a line end, and reads `-` as the beginning of a zone.
        let mut value: Vec<u8> = self
            .value
            .iter()
            .copied()
            .filter(|&byte| !matches!(byte, b'\r' | b'\n'))
            .take(200)
            .collect();
        value.push(b'\n');
        let HeaderValue::DateTime(date) = MessageStream::new(&value).parse_date() else {
            return None;
        };
        let leap = date.second == 60;
        let plain = mail_parser::DateTime {
            second: if leap { 59 } else { date.second },
            ..date
        };
        if !plain.is_valid() || date.day > days(date.year, date.month) {
            return None;
        }
        let minutes = i32::from(date.tz_hour) * 60 + i32::from(date.tz_minute);
        Some(Date {
            unix: plain.to_timestamp() + i64::from(leap),
            offset_minutes: if date.tz_before_gmt { -minutes } else { minutes },
        })
    }
}

fn days(year: u16, month: u8) -> u8 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 31,
    }
}

impl Head {
    /// The first field of this name as text, if there is one.
    pub fn text(&self, name: &str) -> Option<String> {
        self.first(name).map(|field| field.text())
    }

    /// The addresses of all fields of this name.
    pub fn addresses(&self, name: &str) -> Vec<Address> {
        self.all(name).flat_map(|field| field.addresses()).collect()
    }

    /// The date of the first field of this name, if it can be read.
    pub fn date(&self, name: &str) -> Option<Date> {
        self.first(name)?.date()
    }

    /// The id of the mailing list, without angle brackets (RFC 2919).
    pub fn list_id(&self) -> Option<String> {
        let text = self.text("List-Id")?;
        let id = match (text.rfind('<'), text.rfind('>')) {
            (Some(open), Some(close)) if open < close => text[open + 1..close].trim(),
            _ => text.trim(),
        };
        (!id.is_empty()).then(|| id.to_owned())
    }

    /// The id of the message, without angle brackets (RFC 5322 section 3.6.4).
    pub fn message_id(&self) -> Option<String> {
        let text = self.text("Message-ID")?;
        let id = match text.split_once('<') {
            Some((_, rest)) => rest.split('>').next().unwrap_or(rest),
            None => text.split_whitespace().next().unwrap_or_default(),
        };
        let id = id.trim();
        (!id.is_empty()).then(|| id.to_owned())
    }

    /// The type of the content; `text/plain` where none is written or none can be read (RFC 2045 section 5.2).
    pub fn content_type(&self) -> ContentType {
        self.first("Content-Type")
            .map_or_else(ContentType::plain, |field| ContentType::parse(field.value()))
    }
}
