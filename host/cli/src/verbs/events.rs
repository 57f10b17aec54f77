//! `whimbrel events`: the audit trail.

use serde_json::{Value, json};
use whimbrel_ledger::Event;

use crate::args::Global;
use crate::exit::Exit;
use crate::failures;
use crate::output::{Output, safe};
use crate::problem::Result;
use crate::session::{open_ledger, settings};

/// Prints it, oldest first; with `--json` one object a line.
pub fn run(global: &Global, only: &[String], after: Option<u64>, output: Output) -> Result<Exit> {
    let settings = settings(global, only)?;
    let ledger = open_ledger(&settings, false)?;
    // Each with all of its parts.
    let named = |name: &String| settings.mailboxes.iter().any(|mailbox| mailbox.name == *name);
    let wanted = |event: &Event| only.is_empty() || event.mailbox.as_ref().is_some_and(named);
    for event in ledger.events(after) {
        let event = event.map_err(|error| Box::new(failures::ledger(&error)))?;
        if wanted(&event) {
            output.row(&json!(event), || safe(&line(&event)));
        }
    }
    Ok(Exit::Ok)
}

/// `number  time  mailbox  kind  field=value…`.
fn line(event: &Event) -> String {
    let time = jiff::Timestamp::from_millisecond(event.unix_ms)
        .map_or_else(|_| event.unix_ms.to_string(), |time| format!("{time:.0}"));
    let mut text = format!(
        "{:>6}  {time}  {}  {}",
        event.sequence,
        event.mailbox.as_deref().unwrap_or("-"),
        event.kind
    );
    match &event.fields {
        Value::Object(fields) => {
            for (name, value) in fields
                .iter()
                .filter(|(_, value)| !value.is_null() && **value != json!(0))
            {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                text += &format!("  {name}={value}");
            }
        }
        Value::Null => {}
        other => text += &format!("  {other}"),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Event {
        Event {
            sequence: 7,
            unix_ms: 1_700_000_000_123,
            mailbox: Some("alice".into()),
            kind: "run".into(),
            fields: json!({ "copied": 3, "marked": 0, "collection": null, "code": "rejected" }),
        }
    }

    #[test]
    fn people_read_a_line() {
        assert_eq!(
            line(&sample()),
            "     7  2023-11-14T22:13:20Z  alice  run  copied=3  code=rejected"
        );
    }

    #[test]
    fn the_json_is_the_documented_one() {
        let text = json!(sample()).to_string();
        assert_eq!(
            text,
            r#"{"sequence":7,"unix_ms":1700000000123,"mailbox":"alice","kind":"run","fields":{"copied":3,"marked":0,"collection":null,"code":"rejected"}}"#
        );
    }
}
