//! The calls that can be made by hand.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Parser, Subcommand};
use whimbrel_model::{Collection, ItemMeta, Kind, Remark};
use whimbrel_sandbox::Item;
use whimbrel_wire::Blob;

use super::{Answer, Hand, refused, show};
use crate::problem::{Problem, Result};
use crate::verbs::cannot;

/// The largest body that is shown or saved, in bytes.
const MOST: usize = 256 << 20;

/// What stands at the prompt, or behind `plugin try FILE`.
#[derive(Debug, Parser)]
#[command(
    no_binary_name = true,
    name = "",
    disable_help_flag = true,
    help_template = "{subcommands}"
)]
pub struct Line {
    #[command(subcommand)]
    pub call: Call,
}

/// A function of the contract.
#[derive(Debug, Subcommand)]
#[command(help_template = "{usage}\n\n{about}\n\n{all-args}")]
pub enum Call {
    /// What it says of itself.
    Describe,
    /// The collections of the source; with --written, those of the destination.
    Collections {
        #[arg(long)]
        written: bool,
    },
    /// A page of changes: of all, or after a cursor.
    Changes {
        /// The id of a collection.
        collection: String,
        /// What an earlier page gave.
        cursor: Option<String>,
        /// The most that a page may hold.
        #[arg(long, default_value_t = 100)]
        limit: u32,
        /// Of the destination.
        #[arg(long)]
        written: bool,
    },
    /// Items by their ids: what is known of them, and the beginning of each.
    Fetch {
        /// The id of a collection.
        collection: String,
        /// Ids of items.
        #[arg(required = true)]
        ids: Vec<String>,
        /// Save the whole of each into this folder.
        #[arg(long, value_name = "DIR")]
        save: Option<PathBuf>,
        /// Of the destination.
        #[arg(long)]
        written: bool,
    },
    /// Waits until something changes at the source.
    Wait {
        /// Seconds.
        #[arg(default_value_t = 10)]
        seconds: u64,
    },
    /// What the destination can take.
    Limits {
        /// message, event, task, contact, note or filter; the connector's first where nothing is said.
        kind: Option<String>,
    },
    /// Finds or makes a collection at the destination.
    Ensure {
        /// Its name, with those of its parents before it.
        #[arg(required = true)]
        path: Vec<String>,
    },
    /// A cursor that lists what is put from now on.
    Watermark {
        /// The id of a collection of the destination.
        collection: String,
    },
    /// Stores files as items.
    Put {
        /// The id of a collection of the destination.
        collection: String,
        /// Files, an item each.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Flags and keywords of all of them.
        #[arg(long, num_args = 1.., value_delimiter = ',')]
        flags: Vec<String>,
    },
    /// Places an item of the destination into another collection as well.
    Copy { origin: String, id: String, target: String },
    /// Places an item of the destination into another collection instead.
    Relocate { origin: String, id: String, target: String },
    /// Gives an item of the destination other content.
    Replace {
        collection: String,
        id: String,
        file: PathBuf,
        /// The revision that it was last seen with.
        #[arg(long)]
        revision: Option<String>,
    },
    /// Sets all flags and keywords of an item of the destination.
    Mark {
        collection: String,
        id: String,
        flags: Vec<String>,
    },
    /// Removes items of the destination.
    Remove {
        collection: String,
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// The end of the prompt.
    Quit,
}

impl Hand {
    /// Makes the call.
    pub(super) async fn call(&mut self, call: Call) -> Result<Answer> {
        match call {
            Call::Describe => Ok(show::description(self.plugin.description(), self.plugin.can_write())),
            Call::Collections { written } => {
                let found = match written {
                    true => self.destination().await?.collections().await,
                    false => self.source().await?.collections().await,
                };
                Ok(show::collections(&answered("collections", found)?))
            }
            Call::Changes {
                collection,
                cursor,
                limit,
                written,
            } => {
                let cursor = cursor.as_deref();
                let page = match written {
                    true => self.destination().await?.changes(&collection, cursor, limit).await,
                    false => self.source().await?.changes(&collection, cursor, limit).await,
                };
                Ok(show::page(&answered("changes", page)?))
            }
            Call::Fetch {
                collection,
                ids,
                save,
                written,
            } => {
                let answers = match written {
                    true => self.destination().await?.fetch(&collection, &ids).await,
                    false => self.source().await?.fetch(&collection, &ids).await,
                };
                fetched(&ids, answered("fetch", answers)?, save.as_deref()).await
            }
            Call::Wait { seconds } => {
                let changed = self.source().await?.wait(Duration::from_secs(seconds)).await;
                Ok(show::ids(&answered("wait", changed)?, "nothing changed"))
            }
            Call::Limits { kind } => {
                let kind = self.kind(kind.as_deref())?;
                let limits = self.destination().await?.limits(kind).await;
                Ok(show::limits(&answered("limits", limits)?))
            }
            Call::Ensure { path } => {
                let wanted = wanted(path, self.kind(None)?);
                let made = self.destination().await?.ensure(&wanted).await;
                Ok(show::collections(&[answered("ensure", made)?]))
            }
            Call::Watermark { collection } => {
                let cursor = self.destination().await?.watermark(&collection).await;
                Ok(show::ids(&[answered("watermark", cursor)?], ""))
            }
            Call::Put {
                collection,
                files,
                flags,
            } => {
                let kind = self.kind(None)?;
                let items = files
                    .iter()
                    .map(|file| item(file, kind, &flags))
                    .collect::<Result<Vec<_>>>()?;
                let placed = self.destination().await?.put(&collection, items).await;
                let names: Vec<String> = files.iter().map(|file| file.display().to_string()).collect();
                Ok(show::placements(&names, &answered("put", placed)?))
            }
            Call::Copy { origin, id, target } => {
                let placed = self.destination().await?.copy(&origin, &id, &target).await;
                Ok(show::placements(&[id], &[Ok(answered("copy", placed)?)]))
            }
            Call::Relocate { origin, id, target } => {
                let placed = self.destination().await?.relocate(&origin, &id, &target).await;
                Ok(show::placements(&[id], &[Ok(answered("relocate", placed)?)]))
            }
            Call::Replace {
                collection,
                id,
                file,
                revision,
            } => {
                let item = item(&file, self.kind(None)?, &[])?;
                let destination = self.destination().await?;
                let placed = destination.replace(&collection, &id, revision.as_deref(), item).await;
                Ok(show::placements(&[id], &[Ok(answered("replace", placed)?)]))
            }
            Call::Mark { collection, id, flags } => {
                let remark = Remark {
                    id: id.clone(),
                    flags,
                    labels: Vec::new(),
                };
                let answers = self.destination().await?.mark(&collection, &[remark]).await;
                Ok(show::done(&[id], &answered("mark", answers)?))
            }
            Call::Remove { collection, ids } => {
                let answers = self.destination().await?.remove(&collection, &ids).await;
                Ok(show::done(&ids, &answered("remove", answers)?))
            }
            Call::Quit => Ok(show::ids(&[], "")),
        }
    }

    /// By its name, or what the connector moves first and foremost.
    fn kind(&self, name: Option<&str>) -> Result<Kind> {
        let kinds = &self.plugin.description().kinds;
        match name {
            None => Ok(kinds.first().copied().unwrap_or(Kind::Message)),
            Some(name) => kinds
                .iter()
                .copied()
                .find(|kind| kind.to_string() == name)
                .ok_or_else(|| {
                    let known: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                    let problem = Problem::usage(format!("the connector moves no items of the kind `{name}`"));
                    Box::new(problem.help(format!("it moves: {}", known.join(", "))))
                }),
        }
    }
}

fn answered<T>(call: &str, answer: std::result::Result<T, whimbrel_model::Failure>) -> Result<T> {
    answer.map_err(|failure| refused(call, &failure))
}

fn wanted(path: Vec<String>, kind: Kind) -> Collection {
    Collection {
        id: String::new(),
        path,
        kind,
        role: None,
        selectable: true,
        subscribed: true,
        items: None,
        bytes: None,
        generation: None,
        attributes: Vec::new(),
    }
}

/// A file as an item.
fn item(file: &Path, kind: Kind, flags: &[String]) -> Result<Item> {
    let bytes = fs::read(file).map_err(|error| cannot("read", file, &error))?;
    let media_type = match kind {
        Kind::Event | Kind::Task => "text/calendar",
        Kind::Contact => "text/vcard",
        Kind::Filter => "application/sieve",
        Kind::Message | Kind::Note => "message/rfc822",
    };
    // A filter is known by its name.
    let name = file.file_stem().map(|stem| stem.to_string_lossy().into_owned());
    Ok(Item {
        meta: ItemMeta {
            size: Some(bytes.len() as u64),
            flags: flags.to_vec(),
            identity: name.filter(|_| kind == Kind::Filter),
            ..ItemMeta::default()
        },
        media_type: media_type.to_owned(),
        content: Blob::from_bytes(bytes),
    })
}

/// Shows what was fetched, and saves it where that is wanted.
async fn fetched(
    ids: &[String],
    answers: Vec<std::result::Result<Item, whimbrel_model::Failure>>,
    save: Option<&Path>,
) -> Result<Answer> {
    let mut shown = Vec::new();
    for (number, (id, answer)) in ids.iter().zip(answers).enumerate() {
        let item = match answer {
            Ok(item) => item,
            Err(failure) => {
                shown.push(show::missing(id, &failure));
                continue;
            }
        };
        let content = item.content.to_bytes(MOST).await;
        let content =
            content.map_err(|error| Box::new(Problem::failed(format!("the item `{id}` cannot be read: {error}"))))?;
        let saved = match save {
            None => None,
            Some(folder) => {
                let path = folder.join(format!("{}{}", number + 1, ending(&item.media_type)));
                fs::create_dir_all(folder).map_err(|error| cannot("make", folder, &error))?;
                fs::write(&path, &content).map_err(|error| cannot("write", &path, &error))?;
                Some(path)
            }
        };
        shown.push(show::item(&item, &content, saved.as_deref()));
    }
    Ok(show::together(shown))
}

fn ending(media_type: &str) -> &'static str {
    match media_type {
        "message/rfc822" => ".eml",
        "text/calendar" => ".ics",
        "text/vcard" => ".vcf",
        "application/sieve" => ".sieve",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_calls_are_well_defined() {
        Line::command().debug_assert();
        let line = Line::try_parse_from(["changes", "INBOX", "cursor", "--limit", "3"]).unwrap();
        assert!(matches!(
            line.call,
            Call::Changes {
                limit: 3,
                cursor: Some(_),
                ..
            }
        ));
        assert!(Line::try_parse_from(["fetch", "INBOX"]).is_err(), "an id is needed");
    }

    #[test]
    fn help_lists_every_call() {
        let help = Line::try_parse_from(["help"]).unwrap_err().to_string();
        for call in ["collections", "changes", "fetch", "put", "watermark", "quit"] {
            assert!(help.contains(call), "{call} in {help}");
        }
    }
}
