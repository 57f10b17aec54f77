//! `[destination]`: what is tried with messages that are refused as they are.

use toml::de::DeTable;
use whimbrel_engine::{RepairKind, RepairOptions};

use super::read::{self, Findings, nearest};

/// From a table whose structure was checked. Repairs are tried in the order that changes least first, whatever theirs in
/// the file.
pub fn read(findings: &mut Findings, table: Option<&DeTable<'_>>) -> RepairOptions {
    let Some(table) = table else {
        return RepairOptions::default();
    };
    let wanted = read::texts(table, "repairs");
    let span = table.get("repairs").map_or(0..0, toml::Spanned::span);
    for name in wanted.iter().filter(|name| RepairKind::named(name).is_none()) {
        let names = || RepairKind::all().map(RepairKind::name);
        let help = match nearest(name, names()) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("there are: {}", names().collect::<Vec<_>>().join(", ")),
        };
        let message = format!("`destination.repairs` names `{name}`, which is no repair");
        findings.wrong(message, span.clone(), "here", help);
    }
    RepairOptions {
        kinds: RepairKind::all()
            .filter(|kind| wanted.iter().any(|name| name == kind.name()))
            .collect(),
        keep_original: read::switch(table, "repairs_keep_original").unwrap_or(false),
    }
}
