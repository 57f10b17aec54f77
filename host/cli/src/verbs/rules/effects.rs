//! What rules do to messages, for people.

use whimbrel_rules::compare::{Count, Difference, Effect, Move, RuleCount, Summary};

use crate::output::safe;
use crate::output::table::{Rows, count, plural};
use crate::settings::units::show_bytes;

/// Rows of a table that are shown.
const MOST_ROWS: usize = 60;

/// One message in full; the values of header fields are content, and shown on demand only.
pub fn full(effect: &Effect, values: bool) -> String {
    let mut lines = vec![format!(
        "message {} of {}, mailbox {}",
        effect.id, effect.from, effect.mailbox
    )];
    lines.extend(outcome(effect).into_iter().map(|line| format!("  {line}")));
    let diff = effect.diff(values);
    lines.extend(diff.lines().map(|line| format!("    {line}")));
    lines.extend(effect.notes.iter().map(|note| format!("  note: {note}")));
    for step in &effect.steps {
        lines.push(format!("  by {}, {}:{}: {}", step.rule, step.file, step.line, step.did));
    }
    safe(&lines.join("\n"))
}

/// One message in a line.
pub fn brief(effect: &Effect) -> String {
    outcome(effect).join("; ")
}

/// What becomes of a message, in a few words each; never empty.
fn outcome(effect: &Effect) -> Vec<String> {
    if let Some(problem) = &effect.error {
        return vec![format!("the rules fail: {problem}")];
    }
    if let Some(reason) = &effect.skip {
        return vec![format!("left out: {reason}")];
    }
    let mut out = Vec::new();
    match &effect.to_mailbox {
        Some(mailbox) => out.push(format!("goes to {} of the mailbox {mailbox}", effect.to)),
        None if effect.to != effect.from => out.push(format!("goes to {}", effect.to)),
        None => {}
    }
    if !effect.copies.is_empty() {
        out.push(format!("copies go to {}", effect.copies.join(", ")));
    }
    out.extend(marks("flags", &effect.flags_before, &effect.flags_after));
    out.extend(marks("labels", &effect.labels_before, &effect.labels_after));
    if let Some(detach) = effect.detach {
        out.push(format!(
            "attachments of {} and more go to files",
            show_bytes(detach.over)
        ));
    }
    let mut names: Vec<&str> = effect.headers.iter().map(|line| line.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    if !names.is_empty() {
        out.push(format!("other headers: {}", names.join(", ")));
    }
    if !effect.content.is_empty() {
        out.push(format!("changes in it: {}", effect.content.join(", ")));
    }
    if effect.broke_dkim {
        out.push("its DKIM signature no longer fits".to_owned());
    }
    if effect.left_signed {
        out.push("addresses stay: it is signed".to_owned());
    }
    if out.is_empty() {
        out.push("stays as it is".to_owned());
    }
    out
}

/// `flags +Old -\Seen`.
fn marks(what: &str, before: &[String], after: &[String]) -> Option<String> {
    let added = after
        .iter()
        .filter(|name| !before.contains(name))
        .map(|name| format!("+{name}"));
    let gone = before
        .iter()
        .filter(|name| !after.contains(name))
        .map(|name| format!("-{name}"));
    let all: Vec<String> = added.chain(gone).collect();
    (!all.is_empty()).then(|| format!("{what} {}", all.join(" ")))
}

/// Where messages go, and by which rules.
pub fn summary(summary: &Summary) -> String {
    let mut out = String::new();
    if !summary.moves.is_empty() {
        let mut rows = Rows::new(&["from", "to", ">messages"]);
        for one in summary.moves.iter().take(MOST_ROWS) {
            rows.add([&one.from, &target(one), &count(one.messages)]);
        }
        out += &format!("{}{}\n", rows.render(), more(summary.moves.len()));
    }
    if !summary.rules.is_empty() {
        let mut rows = Rows::new(&["rule", "line", "what it did", ">messages"]);
        for RuleCount {
            rule,
            file,
            line,
            verb,
            messages,
        } in summary.rules.iter().take(MOST_ROWS)
        {
            rows.add([rule, &format!("{file}:{line}"), verb, &count(*messages)]);
        }
        out += &format!("\n{}{}\n", rows.render(), more(summary.rules.len()));
    }
    out
}

fn target(one: &Move) -> String {
    match (&one.to, &one.mailbox) {
        (None, _) => "left out".to_owned(),
        (Some(to), Some(mailbox)) => format!("{to} of {mailbox}"),
        (Some(to), None) if *to == one.from => "(stays)".to_owned(),
        (Some(to), None) => to.clone(),
    }
}

/// What the new version does otherwise than the old one.
pub fn difference(difference: &Difference, old: &str) -> String {
    if difference.differing == 0 {
        return format!("Compared with {old}: no message is treated otherwise.\n");
    }
    let sentences = difference.sentences();
    let mut out = format!("Compared with {old}: {}.\n", sentences.join("; "));
    let mut rows = Rows::new(&["change", "mailbox", "folder", "id", "old", "new"]);
    for Count { change, examples, .. } in &difference.counts {
        for example in examples {
            let change = serde_json::to_value(change).unwrap_or_default();
            rows.add([
                change.as_str().unwrap_or_default(),
                &example.mailbox,
                &example.folder,
                &example.id,
                &example.old,
                &example.new,
            ]);
        }
    }
    out += &format!(
        "\n{}\n{} of {} are treated otherwise; these are examples.\n",
        rows.render(),
        count(difference.differing),
        plural(difference.messages, "message")
    );
    out
}

fn more(rows: usize) -> String {
    match rows.saturating_sub(MOST_ROWS) {
        0 => String::new(),
        more => format!("\n… and {more} more lines; --json has them all"),
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_rules::Step;
    use whimbrel_rules::compare::HeaderChange;

    use super::*;

    fn moved() -> Effect {
        Effect {
            mailbox: "alice".into(),
            id: "7".into(),
            from: "INBOX".into(),
            to: "Archive/2019".into(),
            flags_before: vec!["\\Seen".into()],
            flags_after: vec!["Old".into()],
            headers: vec![HeaderChange {
                added: true,
                name: "X-Moved".into(),
                value: "secret".into(),
            }],
            steps: vec![Step {
                rule: "old_mail".into(),
                file: "rules.rhai".into(),
                line: 4,
                did: "move_to Archive/2019".into(),
            }],
            ..Effect::default()
        }
    }

    #[test]
    fn a_message_is_shown_with_its_rules_and_content_on_demand_only() {
        let text = full(&moved(), false);
        for part in [
            "message 7 of INBOX, mailbox alice",
            "goes to Archive/2019",
            "flags +Old -\\Seen",
            "other headers: X-Moved",
            "+X-Moved",
            "by old_mail, rules.rhai:4: move_to Archive/2019",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert!(!text.contains("secret") && full(&moved(), true).contains("+X-Moved: secret"));
    }

    #[test]
    fn what_nothing_happens_to_stays() {
        assert_eq!(brief(&Effect::default()), "stays as it is");
        let out = Effect {
            skip: Some("spam".into()),
            ..moved()
        };
        assert_eq!(brief(&out), "left out: spam");
    }

    #[test]
    fn tables_tell_where_messages_go_and_why() {
        let mut sum = Summary::default();
        sum.add(&moved());
        sum.add(&Effect {
            skip: Some("spam".into()),
            ..moved()
        });
        sum.sort();
        let text = summary(&sum);
        for part in ["Archive/2019", "left out", "old_mail", "rules.rhai:4", "move_to"] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        let mut diff = Difference::new(2);
        diff.add(
            &Effect {
                to: "INBOX".into(),
                ..moved()
            },
            &moved(),
        );
        let text = difference(&diff, "old.rhai");
        for part in [
            "this change re-routes 1 message",
            "rerouted",
            "to Archive/2019",
            "1 of 1 message",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert!(difference(&Difference::new(2), "old.rhai").contains("no message"));
    }
}
