//! What rules change in a message: the head is written anew, the rest stays as it lies. In a calendar object, a contact or a
//! filter: the lines that they mean.

use std::io;

use whimbrel_mail::{Detached, Edits, Head, Slice};
use whimbrel_model::Fingerprint;
use whimbrel_pim::Format;
use whimbrel_rules::{Decision, Detach};
use whimbrel_sandbox::Item;
use whimbrel_wire::Blob;

use crate::{
    context::Context,
    print::{LARGEST, fingerprint},
};

use super::{AttachmentFolder, decide::BlobContent, detach};

/// A message after the rules.
pub struct Transformed {
    /// What is put, and its fingerprint, where it is not what the source gave.
    pub put: Option<(Blob, Fingerprint)>,
    /// What was changed or left, by name.
    pub changes: Vec<String>,
}

/// Why a message could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum TransformError {
    /// It could not be read, or an attachment could not be written.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The change itself cannot be made.
    #[error("{0}")]
    Edit(String),
}

/// Makes the changes that the rules decided; none where they decided none, or left signed mail alone.
pub async fn transform(
    context: &Context,
    decision: &Decision,
    item: &Item,
) -> Result<Option<Transformed>, TransformError> {
    if !decision.changes.is_empty() {
        return change_lines(decision, item).await;
    }
    let content = &item.content;
    if decision.edits.is_empty() && decision.detach.is_none() {
        return Ok(None);
    }
    let attachments = context
        .options
        .rules
        .as_ref()
        .and_then(|book| book.attachments.clone())
        .zip(decision.detach);
    let (edits, mailbox, body) = (decision.edits.clone(), context.mailbox.name.clone(), content.clone());
    let changed = tokio::task::spawn_blocking(move || change(edits, attachments, &mailbox, &body));
    let (body, changes) = match changed.await {
        Ok(changed) => changed?,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    if !changes.iter().any(|change| change != LEFT_SIGNED) {
        return Ok((!changes.is_empty()).then_some(Transformed { put: None, changes }));
    }
    let print = body.fingerprint().await?;
    Ok(Some(Transformed {
        put: Some((body, print)),
        changes,
    }))
}

/// The changes in a calendar object, a contact or a filter.
async fn change_lines(decision: &Decision, item: &Item) -> Result<Option<Transformed>, TransformError> {
    let Some(format) = Format::of(&item.media_type) else {
        let what = format!("rules cannot change items of the type {}", item.media_type);
        return Err(TransformError::Edit(what));
    };
    if item.content.size() > LARGEST as u64 {
        return Err(TransformError::Edit(format!(
            "rules change items of at most {LARGEST} bytes, and this one has {}",
            item.content.size()
        )));
    }
    let (bytes, edits) = (item.content.to_bytes(LARGEST).await?, decision.changes.clone());
    let edited = tokio::task::spawn_blocking(move || whimbrel_pim::apply(format, &bytes, &edits));
    let edited = match edited.await {
        Ok(edited) => edited.map_err(|error| TransformError::Edit(error.to_string()))?,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    };
    let Some(edited) = edited else { return Ok(None) };
    let put = Item {
        content: Blob::from_bytes(edited.bytes),
        ..item.clone()
    };
    let print = fingerprint(&put).await?;
    Ok(Some(Transformed {
        put: Some((put.content, print)),
        changes: edited.changes.iter().map(ToString::to_string).collect(),
    }))
}

/// The message after all changes, and their names.
fn change(
    mut edits: Edits,
    attachments: Option<(AttachmentFolder, Detach)>,
    mailbox: &str,
    body: &Blob,
) -> Result<(Blob, Vec<String>), TransformError> {
    let content = BlobContent(body.clone());
    let head = Head::read(&content)?;
    let mut changes = Vec::new();
    let mut detached = Detached::default();
    if let Some((folder, wish)) = attachments {
        if head.is_encrypted() || head.is_signed() && !wish.signed {
            changes.push(LEFT_SIGNED.to_owned());
        } else {
            detached = detach::detach(&folder, mailbox, wish.over, &content, &mut changes)?;
            if head.is_dkim_signed() && !detached.detached.is_empty() {
                changes.push(DKIM_BROKEN.to_owned());
            }
        }
    }
    edits.extend(detached.edits.iter().cloned());
    let applied = head
        .apply(&edits)
        .map_err(|error| TransformError::Edit(error.to_string()))?;
    changes.extend(
        applied
            .changes
            .iter()
            .map(|change| format!("{} {} ({})", change.what, change.header, change.count)),
    );
    if applied.broke_dkim && !changes.iter().any(|change| change == DKIM_BROKEN) {
        changes.push(DKIM_BROKEN.to_owned());
    }
    if applied.left_signed && !changes.iter().any(|change| change == LEFT_SIGNED) {
        changes.push(LEFT_SIGNED.to_owned());
    }
    let mut pieces = vec![Blob::from_bytes(applied.head)];
    pieces.extend(
        detached
            .slices(head.len() as u64, body.size())
            .into_iter()
            .map(|slice| match slice {
                Slice::Kept(range) => body.slice(range.start, range.end - range.start),
                Slice::New(bytes) => Blob::from_bytes(bytes),
            }),
    );
    Ok((Blob::concat(&pieces)?, changes))
}

/// Recorded where a change broke a DKIM signature (RFC 6376).
pub const DKIM_BROKEN: &str = "dkim-broken";
/// Recorded where signed mail was left as it was.
pub const LEFT_SIGNED: &str = "left-signed";
