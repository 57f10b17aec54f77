//! What the rules say of folders.

use std::{collections::HashMap, sync::Arc};

use whimbrel_ledger::{CollectionId, Durability, Fate, Ruling};
use whimbrel_model::Collection;
use whimbrel_rules::{FolderFacts, Hook, MailboxFacts, Wanted};

use crate::{
    context::{Context, Halt},
    report::Problem,
};

use super::{OnError, failed, steps};

/// Work looked up in the ledger at once.
const AT_ONCE: usize = 1000;

/// What the rules decided of the folders of a mailbox, by the source's id.
#[derive(Debug, Default)]
pub struct FolderRules {
    /// Left out, and why.
    pub skipped: HashMap<String, (String, Ruling)>,
    /// Where they go instead.
    pub placed: HashMap<String, Wanted>,
    /// Whether the user is subscribed to them at the destination.
    pub subscribed: HashMap<String, bool>,
    /// The rules failed on them: they wait.
    pub failed: Vec<String>,
}

impl FolderRules {
    /// Whether its items are copied in this run.
    pub fn moves(&self, id: &str) -> bool {
        !self.skipped.contains_key(id) && !self.failed.iter().any(|failed| failed == id)
    }

    /// The folders with what the rules changed of them.
    pub fn subscribe(&self, collections: &mut [Collection]) {
        for collection in collections {
            if let Some(subscribed) = self.subscribed.get(&collection.id) {
                collection.subscribed = *subscribed;
            }
        }
    }
}

/// What a script sees of a folder.
pub fn facts(mailbox: &Arc<MailboxFacts>, collection: &Collection) -> Arc<FolderFacts> {
    Arc::new(FolderFacts {
        mailbox: mailbox.clone(),
        kind: collection.kind,
        path: collection.path.clone(),
        role: collection.role,
        items: collection.items,
        bytes: collection.bytes,
        subscribed: collection.subscribed,
    })
}

/// Asks the rules about all folders.
pub fn rule_folders(context: &Context, collections: &[Collection]) -> Result<FolderRules, Halt> {
    let mut out = FolderRules::default();
    let Some(book) = context
        .options
        .rules
        .as_ref()
        .filter(|book| book.rules.has(Hook::Folder))
    else {
        return Ok(out);
    };
    for collection in collections {
        let decision = match book.rules.folder(&facts(&context.facts, collection)) {
            Ok(decision) => decision,
            Err(error) if book.on_error == OnError::Stop => return Err(Halt::Rules(error)),
            Err(error) => {
                context.problem(Problem::new(Some(collection.display_path()), "rules", &failed(&error)));
                out.failed.push(collection.id.clone());
                continue;
            }
        };
        for note in decision.notes {
            context.note(format!("folder `{}`: {note}", collection.display_path()));
        }
        context.tally(&decision.steps);
        if let Some(reason) = decision.skip {
            let ruling = Ruling {
                steps: steps(&decision.steps),
                ..Ruling::default()
            };
            out.skipped.insert(collection.id.clone(), (reason, ruling));
        } else {
            out.placed
                .extend(decision.place.map(|wanted| (collection.id.clone(), wanted)));
            out.subscribed
                .extend(decision.subscribe.map(|subscribe| (collection.id.clone(), subscribe)));
        }
    }
    Ok(out)
}

/// Records that everything that waits in a folder is left out.
pub async fn filter_folder(
    context: &Context,
    collection: CollectionId,
    reason: &str,
    ruling: &Ruling,
) -> Result<(), Halt> {
    loop {
        let waiting = context.ledger.todo(context.id, collection, None, AT_ONCE)?;
        if waiting.is_empty() {
            return Ok(());
        }
        let mut batch = context.ledger.batch(context.id);
        for (_, record) in &waiting {
            let id = &record.meta.id;
            if matches!(record.fate, Fate::Placed { .. }) {
                // It came before the rule; its flags are left as they are.
                batch.marked(collection, id);
            } else {
                batch.rule(collection, id, Some(ruling.clone()));
                let reason = reason.to_owned();
                batch.settle(collection, id, Fate::Filtered { reason }, None, Vec::new());
            }
        }
        context.commit(batch, Durability::Flush).await?;
    }
}
