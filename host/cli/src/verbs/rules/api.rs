//! `whimbrel rules api`.

use serde_json::json;
use whimbrel_rules::reference;
use whimbrel_rules::registry::Entry;

use crate::exit::Exit;
use crate::output::Output;
use crate::output::table::Rows;

/// Shows what scripts can use.
pub fn run(word: Option<&str>, definitions: bool, output: Output) -> Exit {
    if definitions && !output.is_json() {
        output.say(reference::definitions().trim_end());
        return Exit::Ok;
    }
    let entries: Vec<&Entry> = reference::entries().iter().filter(|entry| fits(entry, word)).collect();
    output.document(json!({ "entries": entries }), Exit::Ok);
    match entries.as_slice() {
        [] => output.say("Nothing fits. `whimbrel rules api` shows everything."),
        entries => {
            let mut rows = Rows::new(&["on", "written as", "what it means"]);
            for entry in entries {
                rows.add([entry.on, entry.signature, entry.doc]);
            }
            output.say(rows.render());
        }
    }
    Exit::Ok
}

fn fits(entry: &Entry, word: Option<&str>) -> bool {
    word.is_none_or(|word| {
        let word = word.to_lowercase();
        let texts = [entry.on, entry.signature, entry.doc];
        texts.iter().any(|text| text.to_lowercase().contains(&word))
    })
}
