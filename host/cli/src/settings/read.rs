//! Reads a parsed settings file against its table of keys, and collects every problem at once.

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys::{Form, Key};
use super::units;
use crate::problem::{Place, Problem, Shown};

/// The file's problems so far.
pub struct Findings {
    /// The file with secrets blanked out.
    pub shown: Shown,
    /// What is wrong.
    pub problems: Vec<Problem>,
    /// What is unwise.
    pub warnings: Vec<Problem>,
}

impl Findings {
    /// A place in the file.
    pub fn place(&self, span: Range<usize>, label: impl Into<String>) -> Place {
        self.shown.place(span, label)
    }

    /// Something that is wrong there.
    pub fn wrong(&mut self, message: String, span: Range<usize>, label: &str, help: impl Into<String>) {
        let place = self.place(span, label);
        self.problems.push(Problem::settings(message).at(place).help(help));
    }
}

/// The name that was meant, if one is near.
pub fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let name = name.to_lowercase();
    known
        .into_iter()
        .map(|known| (strsim::jaro_winkler(&name, &known.to_lowercase()), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, known)| known)
}

/// Checks names, presence and forms in `table`, which is called `name` in messages (empty for the whole file).
pub fn check(findings: &mut Findings, name: &str, table: &Spanned<DeTable<'_>>, keys: &[Key]) {
    let place = if name.is_empty() {
        "at the top of the file".to_owned()
    } else {
        format!("in `{name}`")
    };
    for (key, value) in table.get_ref() {
        let word = key.get_ref();
        let Some(known) = keys.iter().find(|known| known.name == word.as_ref()) else {
            unknown(findings, word, key.span(), &place, keys);
            continue;
        };
        let full = if name.is_empty() {
            word.to_string()
        } else {
            format!("{name}.{word}")
        };
        form(findings, &full, value, known.form);
    }
    for key in keys
        .iter()
        .filter(|key| key.required && !table.get_ref().contains_key(key.name))
    {
        let (message, help) = match key.form {
            Form::Table(_) => (
                format!("the section `[{}]` is missing", key.name),
                format!("add a section [{}]", key.name),
            ),
            _ => (
                format!("`{}` is missing {place}", key.name),
                format!("add {} = … : {}", key.name, plain(key.help)),
            ),
        };
        let span = table.span();
        // A section's span is its header; the whole file's would be everything.
        let span = if name.is_empty() { 0..0 } else { span };
        findings.wrong(message, span, &format!("`{}` belongs here", key.name), help);
    }
}

fn unknown(findings: &mut Findings, word: &str, span: Range<usize>, place: &str, keys: &[Key]) {
    let names = keys.iter().map(|key| key.name);
    let help = match nearest(word, names.clone()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("known here: {}", names.collect::<Vec<_>>().join(", ")),
    };
    findings.wrong(
        format!("there is no setting `{word}` {place}"),
        span,
        "not known here",
        help,
    );
}

fn form(findings: &mut Findings, name: &str, value: &Spanned<DeValue<'_>>, wanted: Form) {
    let at = value.span();
    match (wanted, value.get_ref()) {
        (Form::Text, DeValue::String(text)) => {
            if text.trim().is_empty() {
                findings.wrong(
                    format!("`{name}` is empty"),
                    at,
                    "nothing in it",
                    "write a text, or remove the key",
                );
            }
        }
        (Form::Switch, DeValue::Boolean(_)) => {}
        (Form::Word(words), DeValue::String(text)) => {
            if !words.contains(&text.as_ref()) {
                let help = match nearest(text, words.iter().copied()) {
                    Some(meant) => format!("did you mean \"{meant}\"?"),
                    None => format!("write one of \"{}\"", words.join("\", \"")),
                };
                findings.wrong(format!("`{name}` cannot be `{text}`"), at, "not known here", help);
            }
        }
        (Form::Texts | Form::OneOrMore, DeValue::Array(array))
            if array.iter().all(|value| value.get_ref().is_str()) => {}
        (Form::OneOrMore, DeValue::String(_)) => {}
        (Form::Names, DeValue::Table(table)) if table.values().all(|value| value.get_ref().is_str()) => {}
        (Form::Free, DeValue::Table(_)) => {}
        // Read, and judged, where it is used.
        (Form::Secret(_), DeValue::Table(_) | DeValue::String(_)) => {}
        (Form::Count | Form::Size | Form::Time, DeValue::Integer(_)) => {
            let least = u64::from(wanted != Form::Size);
            if integer(value.get_ref()).is_none_or(|number| number < least) {
                let help = format!("write a whole number from {least}");
                findings.wrong(format!("`{name}` is out of range"), at, "out of range", help);
            }
        }
        (Form::Size, DeValue::String(text)) => {
            if let Err(problem) = units::size(text) {
                findings.wrong(
                    format!("`{name}`: {problem}"),
                    at,
                    "not a size",
                    "write e.g. \"256MiB\"",
                );
            }
        }
        (Form::Time, DeValue::String(text)) => {
            if let Err(problem) = units::time(text) {
                findings.wrong(format!("`{name}`: {problem}"), at, "not a time", "write e.g. \"90s\"");
            }
        }
        (Form::Share, DeValue::String(text)) => {
            if let Err(problem) = units::share(text) {
                findings.wrong(format!("`{name}`: {problem}"), at, "not a share", "write e.g. \"0.5%\"");
            }
        }
        (Form::Moment, DeValue::String(text)) => {
            if let Err(problem) = units::moment(text) {
                findings.wrong(format!("`{name}`: {problem}"), at, "not a moment", MOMENT.to_owned());
            }
        }
        (Form::Moment, DeValue::Datetime(moment)) => {
            if let Err(problem) = units::moment(&moment.to_string()) {
                findings.wrong(format!("`{name}`: {problem}"), at, "not a moment", MOMENT.to_owned());
            }
        }
        (Form::Table(keys), DeValue::Table(table)) => check(findings, name, &Spanned::new(at, table.clone()), keys),
        (Form::Named(keys), DeValue::Table(tables)) => {
            for (word, entry) in tables {
                let name = format!("{name}.{}", word.get_ref());
                match entry.get_ref() {
                    DeValue::Table(table) => check(findings, &name, &Spanned::new(entry.span(), table.clone()), keys),
                    other => wrong_form(findings, &name, Form::Table(keys), other, entry.span()),
                }
            }
        }
        (Form::Tables(keys), DeValue::Array(array)) => {
            for entry in array {
                match entry.get_ref() {
                    DeValue::Table(table) => check(findings, name, &Spanned::new(entry.span(), table.clone()), keys),
                    other => wrong_form(findings, name, wanted, other, entry.span()),
                }
            }
        }
        (_, other) => wrong_form(findings, name, wanted, other, at),
    }
}

fn wrong_form(findings: &mut Findings, name: &str, wanted: Form, found: &DeValue<'_>, span: Range<usize>) {
    let message = format!(
        "`{name}` must be a {}, not {}",
        match wanted {
            Form::Secret(_) => "table that says where the secret lies",
            other => other.describe(),
        },
        article(found.type_str())
    );
    let help = match wanted {
        Form::Text => format!("put it in quotes: {} = \"…\"", last(name)),
        Form::Switch => format!("write {} = true or {0} = false", last(name)),
        Form::Word(words) => format!("write {} = \"{}\"", last(name), words.join("\" or \"")),
        Form::Count => format!("write {} = 4", last(name)),
        Form::Size => format!("write {} = \"256MiB\"", last(name)),
        Form::Time => format!("write {} = \"90s\"", last(name)),
        Form::Share => format!("write {} = \"0.5%\"", last(name)),
        Form::Moment => MOMENT.to_owned(),
        Form::Texts => format!("write {} = [\"…\"]", last(name)),
        Form::OneOrMore => format!("write {} = \"…\" or {0} = [\"…\", \"…\"]", last(name)),
        Form::Free | Form::Names => format!("write {} = {{ … }}", last(name)),
        Form::Secret(_) => format!("write {} = {{ env = \"VARIABLE\" }}", last(name)),
        Form::Table(_) => format!("write a section [{name}]"),
        Form::Named(_) => format!("write a section [{name}.NAME], once for each"),
        Form::Tables(_) => format!("write a section [[{name}]], once for each"),
    };
    findings.wrong(message, span, "this", help);
}

/// How a moment is written.
const MOMENT: &str = "write a date, or a date with time and offset, e.g. 2027-01-31T22:00:00+01:00";

fn article(name: &str) -> String {
    match name {
        "integer" | "array" => format!("an {name}"),
        "string" => "a text".to_owned(),
        "boolean" => "true or false".to_owned(),
        other => format!("a {other}"),
    }
}

fn last(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Markdown's back-ticks make no sense in a terminal.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

/// A whole number, if it is one from 0 to `u64::MAX`.
pub fn integer(value: &DeValue<'_>) -> Option<u64> {
    let number = value.as_integer()?;
    u64::from_str_radix(&number.as_str().replace('_', ""), number.radix()).ok()
}

/// The text of a key, where it is there and one.
pub fn text<'t>(table: &'t DeTable<'_>, key: &str) -> Option<&'t str> {
    table.get(key)?.get_ref().as_str()
}

/// The texts of a key; empty where it is not there.
pub fn texts(table: &DeTable<'_>, key: &str) -> Vec<String> {
    let array = table.get(key).and_then(|value| value.get_ref().as_array());
    array
        .into_iter()
        .flatten()
        .filter_map(|value| value.get_ref().as_str())
        .map(str::to_owned)
        .collect()
}

/// The texts of a table by their names; empty where it is not there.
pub fn names(table: &DeTable<'_>, key: &str) -> BTreeMap<String, String> {
    let names = table.get(key).and_then(|value| value.get_ref().as_table());
    names
        .into_iter()
        .flatten()
        .filter_map(|(name, text)| Some((name.get_ref().to_string(), text.get_ref().as_str()?.to_owned())))
        .collect()
}

/// A count, where it is there.
pub fn count(table: &DeTable<'_>, key: &str) -> Option<usize> {
    integer(table.get(key)?.get_ref()).map(|number| usize::try_from(number).unwrap_or(usize::MAX))
}

/// `true` or `false`, where it is there.
pub fn switch(table: &DeTable<'_>, key: &str) -> Option<bool> {
    table.get(key)?.get_ref().as_bool()
}

/// Bytes, where they are there.
pub fn size(table: &DeTable<'_>, key: &str) -> Option<u64> {
    match table.get(key)?.get_ref() {
        DeValue::String(text) => units::size(text).ok(),
        other => integer(other),
    }
}

/// A time, where it is there.
pub fn time(table: &DeTable<'_>, key: &str) -> Option<Duration> {
    match table.get(key)?.get_ref() {
        DeValue::String(text) => units::time(text).ok(),
        other => integer(other).map(Duration::from_secs),
    }
}

/// A share from 0 to 1, where it is there.
pub fn share(table: &DeTable<'_>, key: &str) -> Option<f64> {
    units::share(text(table, key)?).ok()
}

/// A moment, in seconds since 1970, where it is there.
pub fn moment(table: &DeTable<'_>, key: &str) -> Option<i64> {
    match table.get(key)?.get_ref() {
        DeValue::String(text) => units::moment(text).ok(),
        DeValue::Datetime(moment) => units::moment(&moment.to_string()).ok(),
        _ => None,
    }
}

/// As JSON, for a connector. None for numbers that JSON cannot hold.
pub fn json(value: &DeValue<'_>) -> Option<Value> {
    Some(match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            i64::from_str_radix(&digits, number.radix())
                .map(Value::from)
                .or_else(|_| u64::from_str_radix(&digits, number.radix()).map(Value::from))
                .ok()?
        }
        DeValue::Float(number) => Value::Number(serde_json::Number::from_f64(
            number.as_str().replace('_', "").parse().ok()?,
        )?),
        DeValue::Boolean(truth) => Value::Bool(*truth),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(array) => array.iter().map(|value| json(value.get_ref())).collect::<Option<_>>()?,
        DeValue::Table(table) => Value::Object(
            table
                .iter()
                .map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref())?)))
                .collect::<Option<_>>()?,
        ),
    })
}
