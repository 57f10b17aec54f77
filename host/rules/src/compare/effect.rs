//! What rules do to one message.

use std::sync::Arc;

use serde::Serialize;
use whimbrel_mail::{Content, Head};
use whimbrel_model::{Hash, display_path};

use crate::decision::{Decision, Detach, Step, Wanted};
use crate::facts::MessageFacts;
use crate::problem::Problem;
use crate::rules::Rules;

/// One line of the head that comes or goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HeaderChange {
    /// It comes; otherwise it goes.
    pub added: bool,
    /// Its name.
    pub name: String,
    /// Its value as it stands, unfolded. This is content of the message: show it where it was asked for only.
    #[serde(skip)]
    pub value: String,
}

/// What rules do to one message: what it is without them, and what it becomes.
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Effect {
    /// The mailbox it lies in.
    pub mailbox: String,
    /// Its id at the source.
    pub id: String,
    /// The path of its folder at the source, joined by `/`.
    pub from: String,
    /// Where it goes: a path, or `role:sent`. The same as `from` where no rule says otherwise.
    pub to: String,
    /// The mailbox it is sent to instead of its own.
    pub to_mailbox: Option<String>,
    /// Where copies go, as `to`.
    pub copies: Vec<String>,
    /// It is left out, for this reason.
    pub skip: Option<String>,
    /// Flags and keywords at the source.
    pub flags_before: Vec<String>,
    /// Flags and keywords at the destination.
    pub flags_after: Vec<String>,
    /// Labels at the source.
    pub labels_before: Vec<String>,
    /// Labels at the destination.
    pub labels_after: Vec<String>,
    /// Lines of the head that go and come, in the order of the head.
    pub headers: Vec<HeaderChange>,
    /// What changes in a calendar object, a contact or a filter: `rewrote ATTENDEE (2)`.
    pub content: Vec<String>,
    /// Of the item after these changes, where there are any.
    #[serde(skip)]
    pub content_hash: Option<Hash>,
    /// A DKIM signature no longer fits.
    pub broke_dkim: bool,
    /// Addresses were left as they are, since the message is signed.
    pub left_signed: bool,
    /// Attachments that go to files.
    pub detach: Option<Detach>,
    /// What the rules want noted.
    pub notes: Vec<String>,
    /// One for each deciding call: of the mailbox, the folder, the message.
    pub steps: Vec<Step>,
    /// The rules failed; nothing else is said then.
    pub error: Option<Problem>,
}

impl Effect {
    /// Whether the rules leave the message as it is, where it is.
    pub fn changes_nothing(&self) -> bool {
        self.error.is_none()
            && self.skip.is_none()
            && self.to == self.from
            && self.to_mailbox.is_none()
            && self.copies.is_empty()
            && self.flags_before == self.flags_after
            && self.labels_before == self.labels_after
            && self.headers.is_empty()
            && self.content.is_empty()
            && self.detach.is_none()
    }

    /// The changes to the head as a little diff, a line each: `-Subject: …` or, without values, `-Subject`.
    pub fn diff(&self, values: bool) -> String {
        let mut out = String::new();
        for change in &self.headers {
            out.push(if change.added { '+' } else { '-' });
            out.push_str(&change.name);
            if values {
                out.push_str(": ");
                out.push_str(&change.value);
            }
            out.push('\n');
        }
        out
    }
}

/// A destination as text: a path, or `role:sent`.
pub(crate) fn place_text(wanted: &Wanted) -> String {
    match wanted {
        Wanted::Path(path) => display_path(path),
        Wanted::Role(role) => format!("role:{role}"),
    }
}

/// What the rules do to a message. All hooks that say something about it are asked: mailbox, folder and message. The
/// content is read as far as they need it.
pub fn effect(rules: &Rules, facts: &MessageFacts, content: Arc<dyn Content>) -> Effect {
    // With content the answer is never None.
    asked(rules, facts, Some(content)).unwrap_or_default()
}

/// The same from the listing alone; None where the content is needed to decide, or to show what changes in it.
pub fn effect_by_facts(rules: &Rules, facts: &MessageFacts) -> Option<Effect> {
    asked(rules, facts, None)
}

fn asked(rules: &Rules, facts: &MessageFacts, content: Option<Arc<dyn Content>>) -> Option<Effect> {
    let meta = &facts.meta;
    let from = display_path(&facts.folder.path);
    let mut effect = Effect {
        mailbox: facts.folder.mailbox.name.clone(),
        id: meta.id.clone(),
        to: from.clone(),
        from,
        flags_before: meta.flags.clone(),
        flags_after: meta.flags.clone(),
        labels_before: meta.labels.clone(),
        labels_after: meta.labels.clone(),
        ..Effect::default()
    };
    match decide(rules, facts, content, &mut effect) {
        Ok(true) => {}
        Ok(false) => return None,
        Err(problem) => effect.error = Some(problem),
    }
    Some(effect)
}

/// Fills in what was decided; false where the content is needed and not there.
fn decide(
    rules: &Rules,
    facts: &MessageFacts,
    content: Option<Arc<dyn Content>>,
    effect: &mut Effect,
) -> Result<bool, Problem> {
    let mailbox = rules.mailbox(&facts.folder.mailbox).map_err(|error| error.problem)?;
    effect.steps.extend(mailbox.steps);
    effect.skip = mailbox.skip;
    if effect.skip.is_some() {
        return Ok(true);
    }
    let folder = rules.folder(&facts.folder).map_err(|error| error.problem)?;
    effect.steps.extend(folder.steps);
    effect.skip = folder.skip;
    if effect.skip.is_some() {
        return Ok(true);
    }
    let decision = match &content {
        Some(content) => rules.item(facts, content.clone()).map(Some),
        None => rules.item_by_facts(facts),
    };
    let Some(decision) = decision.map_err(|error| error.problem)? else {
        return Ok(false);
    };
    effect.skip = decision.skip.clone();
    if effect.skip.is_none() {
        if let Some(place) = decision.place.as_ref().or(folder.place.as_ref()) {
            effect.to = place_text(place);
        }
        effect.to_mailbox = decision.mailbox.clone();
        effect.copies = decision.copies.iter().map(place_text).collect();
        mark(&mut effect.flags_after, &decision.set_flags, &decision.clear_flags);
        mark(&mut effect.labels_after, &decision.add_labels, &decision.remove_labels);
        effect.detach = decision.detach;
        if !decision.changes.is_empty() {
            let Some(content) = &content else { return Ok(false) };
            let changed = crate::script::format_of(facts.folder.kind)
                .ok_or_else(|| "a message has no properties".to_owned())
                .and_then(|format| {
                    let length = usize::try_from(content.size()).unwrap_or(usize::MAX);
                    let bytes = content.read_at(0, length).map_err(|error| error.to_string())?;
                    whimbrel_pim::apply(format, &bytes, &decision.changes).map_err(|error| error.to_string())
                });
            let changed = changed.map_err(|message| problem(rules, message))?;
            if let Some(edited) = changed {
                effect.content = edited.changes.iter().map(ToString::to_string).collect();
                effect.content_hash = Some(Hash::of(&edited.bytes));
            }
        }
        if !decision.edits.is_empty() {
            let Some(content) = content else { return Ok(false) };
            head(&decision, &*content, effect).map_err(|message| problem(rules, message))?;
        }
    }
    effect.notes = decision.notes;
    effect.steps.extend(decision.steps);
    Ok(true)
}

/// One that has no line.
fn problem(rules: &Rules, message: String) -> Problem {
    Problem {
        file: rules
            .sources()
            .first()
            .map(|file| file.name.clone())
            .unwrap_or_default(),
        message,
        ..Problem::default()
    }
}

/// Upper and lower case are the same.
fn mark(names: &mut Vec<String>, set: &[String], clear: &[String]) {
    let has = |list: &[String], name: &str| list.iter().any(|known| known.to_lowercase() == name.to_lowercase());
    names.retain(|name| !has(clear, name));
    for name in set {
        if !has(names, name) {
            names.push(name.clone());
        }
    }
}

fn head(decision: &Decision, content: &dyn Content, effect: &mut Effect) -> Result<(), String> {
    let before = Head::read(content).map_err(|error| format!("the message cannot be read: {error}"))?;
    let applied = before.apply(&decision.edits).map_err(|error| error.to_string())?;
    effect.broke_dkim = applied.broke_dkim;
    effect.left_signed = applied.left_signed;
    if !applied.changes.is_empty() {
        effect.headers = diff(&before, &Head::parse(applied.head));
    }
    Ok(())
}

/// The fields that go and come: what stands between their longest common subsequence.
fn diff(before: &Head, after: &Head) -> Vec<HeaderChange> {
    let lines = |head: &Head| -> Vec<(String, String, Vec<u8>)> {
        let line = |field: whimbrel_mail::Field<'_>| {
            let value = String::from_utf8_lossy(field.value());
            let value: Vec<&str> = value.split(['\r', '\n']).filter(|part| !part.is_empty()).collect();
            (
                field.name_text(),
                value.concat().trim().to_owned(),
                field.raw().to_vec(),
            )
        };
        head.fields().map(line).collect()
    };
    let (old, new) = (lines(before), lines(after));
    // The beginning and the end are mostly the same: the table is for what lies between.
    let start = old.iter().zip(&new).take_while(|(a, b)| a.2 == b.2).count();
    let (old, new) = (&old[start..], &new[start..]);
    let end = old
        .iter()
        .rev()
        .zip(new.iter().rev())
        .take_while(|(a, b)| a.2 == b.2)
        .count();
    let (old, new) = (&old[..old.len() - end], &new[..new.len() - end]);
    let change = |added: bool, line: &(String, String, Vec<u8>)| HeaderChange {
        added,
        name: line.0.clone(),
        value: line.1.clone(),
    };
    if old.len().saturating_mul(new.len()) > MOST_COMPARED {
        let gone = old.iter().map(|line| change(false, line));
        return gone.chain(new.iter().map(|line| change(true, line))).collect();
    }
    let mut common = vec![vec![0_u32; new.len() + 1]; old.len() + 1];
    for (i, a) in old.iter().enumerate().rev() {
        for (j, b) in new.iter().enumerate().rev() {
            common[i][j] = if a.2 == b.2 {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i].2 == new[j].2 {
            (i, j) = (i + 1, j + 1);
        } else if i < old.len() && (j == new.len() || common[i + 1][j] >= common[i][j + 1]) {
            out.push(change(false, &old[i]));
            i += 1;
        } else {
            out.push(change(true, &new[j]));
            j += 1;
        }
    }
    out
}

/// Pairs of fields that are compared; beyond it all old ones go and all new ones come.
const MOST_COMPARED: usize = 4_000_000;
