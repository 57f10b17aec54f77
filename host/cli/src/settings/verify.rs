//! `[verify]`: how verification grades.

use toml::de::DeTable;
use whimbrel_engine::{GradeRules, REASONS};

use super::read::{self, Findings, nearest};

/// From a table whose structure was checked; the defaults where it is not there.
pub fn read(findings: &mut Findings, table: Option<&DeTable<'_>>) -> GradeRules {
    let mut rules = GradeRules::default();
    let Some(table) = table else { return rules };
    let limit = |key: &str, default: f64| read::share(table, key).unwrap_or(default);
    let [serious, slight] = rules.good;
    rules.good = [limit("good_serious", serious), limit("good_slight", slight)];
    let [serious, slight] = rules.investigate;
    rules.investigate = [
        limit("investigate_serious", serious),
        limit("investigate_slight", slight),
    ];
    if let Some(value) = table.get("serious") {
        let names = read::texts(table, "serious");
        for name in names.iter().filter(|name| !REASONS.contains(&name.as_str())) {
            let help = match nearest(name, REASONS) {
                Some(meant) => format!("did you mean \"{meant}\"?"),
                None => format!("there are: {}", REASONS.join(", ")),
            };
            let message = format!("`verify.serious` names `{name}`, which nothing is");
            findings.wrong(message, value.span(), "here", help);
        }
        rules.serious = names.into_iter().collect();
    }
    rules
}
