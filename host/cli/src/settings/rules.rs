//! `[rules]`: the script, and what it is given.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use whimbrel_engine::{AttachmentFolder, OnError};
use whimbrel_rules::{Limits, Options, SetValue};

use super::read::{self, Findings};
use crate::problem::{Place, Shown};

/// The highest `depth`: each call takes stack, and that of a thread is no setting.
const DEEPEST: u64 = 128;

/// `[rules]`.
#[derive(Clone)]
pub struct RuleSettings {
    /// The script.
    pub script: PathBuf,
    /// Where the file names it.
    pub place: Place,
    /// What follows where it fails on a message.
    pub on_error: OnError,
    /// Values in the place of its constants.
    pub set: BTreeMap<String, SetValue>,
    /// What it may cost.
    pub limits: Limits,
    /// Where detached attachments go.
    pub attachments: Option<AttachmentFolder>,
}

impl RuleSettings {
    /// A script without any settings. Attachments may be detached as far as trying goes: nothing is written.
    pub fn plain(script: &Path) -> Self {
        Self {
            script: script.to_owned(),
            place: Shown::new(script, "").place(0..0, "this script"),
            on_error: OnError::default(),
            set: BTreeMap::new(),
            limits: Limits::default(),
            attachments: Some(AttachmentFolder {
                folder: PathBuf::from("attachments"),
                link: None,
            }),
        }
    }

    /// The same settings for another script.
    pub fn with_script(&self, script: &Path) -> Self {
        Self {
            script: script.to_owned(),
            place: Shown::new(script, "").place(0..0, "this script"),
            ..self.clone()
        }
    }

    /// How the script is compiled. When the migration began is not known to the settings.
    pub fn options(&self) -> Options {
        Options {
            limits: self.limits.clone(),
            set: self.set.clone(),
            attachments: self.attachments.is_some(),
            started: None,
        }
    }
}

/// From a table whose structure was checked.
pub fn read(findings: &mut Findings, base: &Path, table: &DeTable<'_>) -> Option<RuleSettings> {
    let script = table.get("script")?;
    let mut set = BTreeMap::new();
    for (name, given) in inner(table, "set").into_iter().flatten() {
        match value(given) {
            Ok(value) => drop(set.insert(name.get_ref().to_string(), value)),
            Err(at) => {
                let message = format!("`rules.set.{}` holds a number that scripts cannot hold", name.get_ref());
                findings.wrong(message, at, "too large", "write a number between -2^63 and 2^63 - 1");
            }
        }
    }
    if let Some(depth) = inner(table, "limits").and_then(|limits| limits.get("depth"))
        && read::integer(depth.get_ref()).is_some_and(|depth| depth > DEEPEST)
    {
        let help = format!("write a whole number from 1 to {DEEPEST}");
        findings.wrong(
            "`rules.limits.depth` is out of range".into(),
            depth.span(),
            "out of range",
            help,
        );
    }
    let attachments = inner(table, "attachments").and_then(|table| {
        Some(AttachmentFolder {
            folder: base.join(read::text(table, "folder")?),
            link: read::text(table, "link").map(str::to_owned),
        })
    });
    Some(RuleSettings {
        script: base.join(script.get_ref().as_str()?),
        place: findings.place(script.span(), "this script"),
        on_error: match read::text(table, "on_error") {
            Some("stop") => OnError::Stop,
            _ => OnError::Quarantine,
        },
        set,
        limits: limits(inner(table, "limits")),
        attachments,
    })
}

fn inner<'t, 'i>(table: &'t DeTable<'i>, name: &str) -> Option<&'t DeTable<'i>> {
    table.get(name)?.get_ref().as_table()
}

fn limits(table: Option<&DeTable<'_>>) -> Limits {
    let mut limits = Limits::default();
    let Some(table) = table else { return limits };
    let bytes = |key: &str| read::size(table, key).map(|size| usize::try_from(size).unwrap_or(usize::MAX));
    limits.operations = read::count(table, "operations").map_or(limits.operations, |count| count as u64);
    limits.depth = read::count(table, "depth").unwrap_or(limits.depth);
    limits.string_bytes = bytes("string").unwrap_or(limits.string_bytes);
    limits.time = read::time(table, "time").unwrap_or(limits.time);
    limits.text_bytes = bytes("text").unwrap_or(limits.text_bytes);
    limits
}

/// As a script gets it; the place of a number that does not fit.
fn value(given: &Spanned<DeValue<'_>>) -> Result<SetValue, std::ops::Range<usize>> {
    Ok(match given.get_ref() {
        DeValue::String(text) => SetValue::Text(text.to_string()),
        DeValue::Integer(number) => {
            let digits = number.as_str().replace('_', "");
            SetValue::Int(i64::from_str_radix(&digits, number.radix()).map_err(|_| given.span())?)
        }
        DeValue::Float(number) => {
            let number = number.as_str().replace('_', "").parse().map_err(|_| given.span())?;
            SetValue::Float(number)
        }
        DeValue::Boolean(truth) => SetValue::Bool(*truth),
        DeValue::Datetime(time) => SetValue::Text(time.to_string()),
        DeValue::Array(array) => SetValue::List(array.iter().map(value).collect::<Result<_, _>>()?),
        DeValue::Table(table) => SetValue::Map(
            table
                .iter()
                .map(|(key, given)| value(given).map(|value| (key.get_ref().to_string(), value)))
                .collect::<Result<_, _>>()?,
        ),
    })
}
