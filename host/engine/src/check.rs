//! Whether a mailbox could be moved: connections, credentials, capabilities, of both sides at once.

use serde::Serialize;
use whimbrel_model::{Abilities, Failure};
use whimbrel_sandbox::Connection;

use crate::{Mailbox, Provider, remedy};

/// What was found out about one side of a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The admin's name for the mailbox.
    pub mailbox: String,
    /// "source" or "destination".
    pub side: &'static str,
    /// Whether it can be used.
    pub ok: bool,
    /// What was seen, or what is wrong.
    pub text: String,
    /// What to do, where something is wrong.
    pub remedy: Option<String>,
    /// What it was connected to, and how that is protected.
    pub connections: Vec<Connection>,
}

/// Opens both sides of a mailbox and looks around.
pub async fn check(mailbox: &Mailbox) -> Vec<Finding> {
    let (source, destination) = futures::join!(source(mailbox), destination(mailbox));
    [
        ("source", &mailbox.source, source),
        ("destination", &mailbox.destination, destination),
    ]
    .into_iter()
    .map(|(side, provider, result)| {
        let (ok, text, remedy) = match result {
            Ok(text) => (true, text, None),
            Err(failure) => (false, failure.to_string(), Some(remedy(&failure).to_owned())),
        };
        Finding {
            mailbox: mailbox.name.clone(),
            side,
            ok,
            text,
            remedy,
            connections: provider.connections(),
        }
    })
    .collect()
}

async fn source(mailbox: &Mailbox) -> Result<String, Failure> {
    let mut account = mailbox.source.source().await?;
    let collections = account.collections().await?;
    let items: u64 = collections.iter().filter_map(|collection| collection.items).sum();
    Ok(format!(
        "{}: {} folders, {items} messages",
        opened(mailbox.source.as_ref()),
        collections.len()
    ))
}

async fn destination(mailbox: &Mailbox) -> Result<String, Failure> {
    let mut account = mailbox.destination.destination().await?;
    let collections = account.collections().await?;
    let limits = account.limits(mailbox.destination.kind()).await?;
    let mut text = format!(
        "{}: {} folders",
        opened(mailbox.destination.as_ref()),
        collections.len()
    );
    if let Some(limit) = limits.max_item_bytes {
        text.push_str(&format!(", messages up to {limit} bytes"));
    }
    if let Some(room) = limits.quota_free_bytes {
        text.push_str(&format!(", {room} bytes free"));
    }
    for missing in missing(&limits.abilities) {
        text.push_str(&format!("; {missing}"));
    }
    Ok(text)
}

/// "imap opened", and over what.
fn opened(provider: &dyn Provider) -> String {
    let mut ways: Vec<String> = provider.connections().iter().map(Connection::protection).collect();
    ways.dedup();
    match ways.is_empty() {
        true => format!("{} opened", provider.name()),
        false => format!("{} opened over {}", provider.name(), ways.join(", ")),
    }
}

/// What an admin may want to know that a destination cannot do.
fn missing(abilities: &Abilities) -> Vec<&'static str> {
    [
        (
            abilities.returns_ids,
            "does not tell the ids of new messages, they are looked up",
        ),
        (abilities.keeps_received, "does not keep the date of receipt"),
        (abilities.keeps_flags, "does not keep changes of flags"),
        (
            abilities.server_side_move,
            "cannot move messages itself, messages moved at the source are copied",
        ),
    ]
    .into_iter()
    .filter_map(|(able, text)| (!able).then_some(text))
    .collect()
}
