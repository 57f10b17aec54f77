//! `mailboxes.csv`: a fleet, one mailbox a line.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde_json::Value;
use whimbrel_wire::Secret;

use super::Part;
use super::account::LoginRef;
use super::parts::{Own, Whole};
use super::read::{Findings, nearest};
use super::secrets::{SecretFrom, SecretKind, SecretRef};
use crate::problem::{Problem, Shown};

/// Describes the file, for `docs/settings.md`.
pub fn document() -> String {
    "The first line names the columns, in any order. Lines that begin with `#` and empty cells are passed over.\n\n\
     | column | what it is |\n|---|---|\n\
     | `name` | The mailbox's name, as in `[[mailbox]]`. Required. |\n\
     | `source.user` | The user at the source. |\n\
     | `source.password_env`, `source.token_env` | The environment variable that holds the secret. |\n\
     | `source.password_file`, `source.token_file` | The file that holds the secret, relative to the settings file. |\n\
     | `source.password_secret`, `source.token_secret` | The secret's name in the vault. |\n\
     | `source.oauth` | The name of a section `[oauth.NAME]`, which gives the tokens. |\n\
     | `source.password`, `source.token` | The secret itself; accepted with a warning. |\n\
     | `source.ANYTHING` | A text that the connector asks for by the name ANYTHING. |\n\
     | `destination.…` | The same for the destination. |\n\
     | `PART.source.…`, `PART.destination.…` | The same for a part of the mailbox, `[part.PART]`. |\n\
     | `PART.skip` | `true` where the mailbox has no such part. |\n\
     | `ANYTHING`, `attribute.ANYTHING` | What rules are told about the mailbox: `b.get(\"ANYTHING\")` in a script. A name \
     that looks like a misspelt column is refused without `attribute.`. |\n"
        .to_owned()
}

/// What a column holds.
enum Column {
    Name,
    Attribute(String),
    Skip(usize),
    Value(Which, String),
    Secret(Which, SecretKind, Form),
    Login(Which),
}

/// An account: of which part of the settings, and at which side.
#[derive(Clone, Copy)]
struct Which {
    part: usize,
    source: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Literal,
    Env,
    File,
    Vault,
}

/// Reads `path`, which the settings name at `span`, and adds its mailboxes.
pub fn read(
    findings: &mut Findings,
    base: &Path,
    path: &Path,
    span: Range<usize>,
    parts: &[Part],
    boxes: &mut Vec<Whole>,
) {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) => {
            let message = format!("cannot read the mailboxes in `{}`: {error}", path.display());
            findings.wrong(message, span, "this file", "the path is relative to the settings file");
            return;
        }
    };
    let mut refuse = |message: String, help: String| findings.problems.push(Problem::settings(message).help(help));
    let shown = path.display();
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new()
        .comment(Some(b'#'))
        .trim(csv::Trim::Headers)
        .flexible(false)
        .from_reader(bytes);
    let columns = match reader.headers() {
        Ok(headers) => headers
            .iter()
            .map(|header| column(header, parts))
            .collect::<Result<Vec<_>, _>>(),
        Err(error) => Err((error.to_string(), "save it as UTF-8, with commas".to_owned())),
    };
    let columns = match columns {
        Ok(columns) if columns.iter().any(|column| matches!(column, Column::Name)) => columns,
        Ok(_) => {
            let help = "the first line names the columns, e.g. name,source.user,source.password_env,destination.user";
            return refuse(format!("{shown}:1: there is no column `name`"), help.to_owned());
        }
        Err((message, help)) => return refuse(format!("{shown}:1: {message}"), help),
    };
    let mut literal = false;
    for record in reader.records() {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                let line = error.position().map_or(0, csv::Position::line);
                let (message, help) = csv_problem(&error);
                refuse(format!("{shown}:{line}: {message}"), help);
                continue;
            }
        };
        let line = record.position().map_or(0, csv::Position::line);
        match mailbox(base, path, line, &columns, &record, parts.len()) {
            Ok((mailbox, has_literal)) => {
                literal |= has_literal;
                boxes.push(mailbox);
            }
            Err((message, help)) => refuse(format!("{shown}:{line}: {message}"), help),
        }
    }
    if literal {
        let problem = Problem::settings(format!("secrets stand in `{shown}`")).warning();
        findings.warnings.push(
            problem.help("use the columns password_env or password_file, or keep the file to yourself (chmod 600)"),
        );
    }
}

fn csv_problem(error: &csv::Error) -> (String, String) {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => (
            format!("{len} cells, but {expected_len} columns"),
            "give every line as many cells as the first; put cells with commas in double quotes".to_owned(),
        ),
        csv::ErrorKind::Utf8 { .. } => ("not UTF-8".to_owned(), "save it as UTF-8".to_owned()),
        _ => (
            "cannot be read as CSV".to_owned(),
            "put cells with commas or quotes in double quotes".to_owned(),
        ),
    }
}

/// Columns that are often meant.
const KNOWN: [&str; 5] = [
    "name",
    "source.user",
    "source.password_env",
    "destination.user",
    "destination.password_env",
];

/// What belongs to a side.
const SIDELESS: [&str; 12] = [
    "user",
    "password",
    "password_env",
    "password_file",
    "password_secret",
    "token",
    "token_env",
    "token_file",
    "token_secret",
    "oauth",
    "source",
    "destination",
];

fn misspelt(header: &str, meant: Option<&str>) -> (String, String) {
    let help = match meant {
        Some(meant) => format!("did you mean `{meant}`? What rules are told is called `attribute.{header}` then"),
        None => "columns are `name`, `source.…`, `destination.…` and `attribute.…`; before the sides, the name of a part may stand, as in `calendars.source.user`".to_owned(),
    };
    (format!("there is no column `{header}`"), help)
}

fn column(header: &str, parts: &[Part]) -> Result<Column, (String, String)> {
    if header == "name" {
        return Ok(Column::Name);
    }
    let of_part = header.split_once('.').and_then(|(word, rest)| {
        let part = parts.iter().position(|part| part.name.as_deref() == Some(word))?;
        Some((part, rest))
    });
    let (part, of_mailbox) = match of_part {
        Some((part, "skip")) => return Ok(Column::Skip(part)),
        Some((part, rest)) => (part, rest),
        None => (0, header),
    };
    let (source, key) = match of_mailbox.split_once('.') {
        Some(("source", key)) if !key.is_empty() => (true, key),
        Some(("destination", key)) if !key.is_empty() => (false, key),
        Some(("attribute", key)) if part == 0 && !key.is_empty() => return Ok(Column::Attribute(key.to_owned())),
        _ if part > 0 => return Err(misspelt(header, None)),
        Some(_) => return Err(misspelt(header, nearest(header, KNOWN))),
        None if SIDELESS.contains(&header) => {
            let help = format!("write `source.{header}` or `destination.{header}`");
            return Err((format!("the column `{header}` does not say which side it is for"), help));
        }
        None => {
            return match nearest(header, KNOWN.into_iter().chain(SIDELESS)) {
                None if !header.is_empty() => Ok(Column::Attribute(header.to_owned())),
                meant => Err(misspelt(header, meant)),
            };
        }
    };
    let which = Which { part, source };
    if key == "oauth" {
        return Ok(Column::Login(which));
    }
    let secrets = [("password", SecretKind::Password), ("token", SecretKind::Token)];
    for (word, kind) in secrets {
        for (ending, form) in [
            ("", Form::Literal),
            ("_env", Form::Env),
            ("_file", Form::File),
            ("_secret", Form::Vault),
        ] {
            if key.strip_prefix(word) == Some(ending) {
                return Ok(Column::Secret(which, kind, form));
            }
        }
    }
    Ok(Column::Value(which, key.to_owned()))
}

fn twice() -> (String, String) {
    (
        "more than one of password, token and oauth for one side".to_owned(),
        "leave all cells but one empty".to_owned(),
    )
}

fn mailbox(
    base: &Path,
    path: &Path,
    line: u64,
    columns: &[Column],
    record: &csv::StringRecord,
    parts: usize,
) -> Result<(Whole, bool), (String, String)> {
    let (mut name, mut literal) = (String::new(), false);
    let mut parts = vec![Own::default(); parts];
    let mut attributes = BTreeMap::new();
    for (column, cell) in columns.iter().zip(record) {
        let which = match column {
            Column::Name => {
                cell.trim().clone_into(&mut name);
                continue;
            }
            Column::Attribute(key) => {
                if !cell.trim().is_empty() {
                    attributes.insert(key.clone(), cell.trim().to_owned());
                }
                continue;
            }
            Column::Skip(part) => {
                parts[*part].skip = match cell.trim() {
                    "true" => true,
                    "" | "false" => false,
                    _ => {
                        return Err((
                            "`skip` is neither true nor false".into(),
                            "write true, or nothing".into(),
                        ));
                    }
                };
                continue;
            }
            Column::Value(which, _) | Column::Secret(which, ..) | Column::Login(which) => which,
        };
        let own = &mut parts[which.part];
        let account = match which.source {
            true => &mut own.source,
            false => &mut own.destination,
        };
        match column {
            Column::Value(_, key) if !cell.trim().is_empty() => {
                account
                    .values
                    .insert(key.clone(), Value::String(cell.trim().to_owned()));
            }
            Column::Secret(_, kind, form) if !cell.is_empty() => {
                if account.way_in().is_some() {
                    return Err(twice());
                }
                let from = match form {
                    Form::Literal => SecretFrom::Literal(Secret::new(cell.to_owned())),
                    Form::Env => SecretFrom::Env(cell.trim().to_owned()),
                    Form::File => SecretFrom::File(base.join(cell.trim())),
                    Form::Vault => SecretFrom::Vault(cell.trim().to_owned()),
                };
                literal |= *form == Form::Literal;
                account.secret = Some(SecretRef {
                    kind: *kind,
                    from,
                    place: None,
                });
            }
            Column::Login(_) if !cell.trim().is_empty() => {
                if account.way_in().is_some() {
                    return Err(twice());
                }
                account.login = Some(LoginRef {
                    name: cell.trim().to_owned(),
                    place: None,
                });
            }
            _ => {}
        }
    }
    if name.is_empty() {
        return Err(("the name is empty".into(), "give every mailbox a name".into()));
    }
    // Lines may hold secrets: the place shows the name only.
    let place = Shown::line(path, line, &name).place(0..name.len(), "this mailbox");
    Ok((
        Whole {
            name,
            attributes,
            place,
            parts,
        },
        literal,
    ))
}
