//! What rules do to many messages.

use serde::Serialize;

use super::effect::Effect;

/// What one line of a script did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleCount {
    /// The script function.
    pub rule: String,
    /// Its file.
    pub file: String,
    /// The line of the deciding call.
    pub line: u32,
    /// The verb, as `move_to`.
    pub verb: String,
    /// For how many messages.
    pub messages: u64,
}

/// Messages that go from one folder to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// The folder at the source.
    pub from: String,
    /// Where they go; None where they are left out.
    pub to: Option<String>,
    /// The mailbox they are sent to instead of their own.
    pub mailbox: Option<String>,
    /// How many.
    pub messages: u64,
}

/// Counts of effects.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Summary {
    /// All messages.
    pub messages: u64,
    /// Left as they are, where they are.
    pub unchanged: u64,
    /// Left out.
    pub skipped: u64,
    /// The rules failed on them.
    pub errors: u64,
    /// For each deciding line, in the order of files and lines.
    pub rules: Vec<RuleCount>,
    /// For each pair of folders, the largest first once [`Summary::sort`] was called.
    pub moves: Vec<Move>,
}

impl Summary {
    /// Counts one message.
    pub fn add(&mut self, effect: &Effect) {
        self.messages += 1;
        self.unchanged += u64::from(effect.changes_nothing());
        self.skipped += u64::from(effect.skip.is_some());
        if effect.error.is_some() {
            self.errors += 1;
            return;
        }
        let mut seen: Vec<(&str, u32, &str)> = Vec::new();
        for step in &effect.steps {
            let verb = step.did.split(' ').next().unwrap_or_default();
            let place = (step.file.as_str(), step.line, verb);
            // A line in a loop decides several times about one message.
            if seen.contains(&place) {
                continue;
            }
            seen.push(place);
            let key = |count: &RuleCount| (count.file.clone(), count.line, count.verb.clone());
            let wanted = (step.file.clone(), step.line, verb.to_owned());
            match self.rules.binary_search_by_key(&wanted, key) {
                Ok(at) => self.rules[at].messages += 1,
                Err(at) => self.rules.insert(
                    at,
                    RuleCount {
                        rule: step.rule.clone(),
                        file: step.file.clone(),
                        line: step.line,
                        verb: verb.to_owned(),
                        messages: 1,
                    },
                ),
            }
        }
        let to = effect.skip.is_none().then_some(&effect.to);
        let known = self
            .moves
            .iter_mut()
            .find(|known| known.from == effect.from && known.to.as_ref() == to && known.mailbox == effect.to_mailbox);
        match known {
            Some(known) => known.messages += 1,
            None => self.moves.push(Move {
                from: effect.from.clone(),
                to: to.cloned(),
                mailbox: effect.to_mailbox.clone(),
                messages: 1,
            }),
        }
    }

    /// Puts the largest moves first; equal ones by their folders.
    pub fn sort(&mut self) {
        self.moves.sort_by(|a, b| {
            let names = |one: &Move| (one.from.clone(), one.to.clone(), one.mailbox.clone());
            b.messages.cmp(&a.messages).then_with(|| names(a).cmp(&names(b)))
        });
    }
}
