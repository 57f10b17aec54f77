//! `cargo xtask docs`: the parts of documents that come from the code.
//!
//! A part stands between `<!-- generated: NAME -->` and `<!-- end of NAME -->`, each on a line of its own; some files are
//! generated as a whole. What belongs there is what `whimbrel document NAME` prints, or an interface of the contract.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::contract::{self, Contract};
use crate::house::{House, Result, output};

/// Files that are one part as a whole, by its name.
const WHOLE: [(&str, &str); 1] = [("scripts/rules.d.rhai", "rules-definitions")];

/// Writes every generated part; with `check`, writes nothing and fails where one is not current.
pub fn run(house: &House, check: bool) -> Result<()> {
    let files = documents(&house.root)?;
    let mut texts = Vec::new();
    let mut parts: HashMap<String, String> = HashMap::new();
    for (_, name) in WHOLE {
        parts.insert(name.to_owned(), String::new());
    }
    for file in files {
        let text = fs::read_to_string(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        for name in names(&text) {
            parts.insert(name.to_owned(), String::new());
        }
        texts.push((file, text));
    }
    if !parts.is_empty() {
        if parts.keys().any(|name| name.starts_with("connector:")) {
            crate::build_plugins(house)?;
        }
        let contract = Contract::read(&house.root)?;
        let program = house.whimbrel()?;
        for (name, part) in &mut parts {
            if let Some(interface) = name.strip_prefix(contract::PART) {
                *part = contract.interface(interface)?;
                continue;
            }
            let mut command = Command::new(&program);
            command
                .args(["document", name, "--plugins"])
                .arg(house.target.join("plugins"));
            *part = output(command.env("COLUMNS", "100").env_remove("WHIMBREL_PLUGINS"))?;
        }
    }
    let mut fresh = Vec::new();
    for (file, text) in texts {
        let filled = fill(&text, &parts).map_err(|problem| format!("{}: {problem}", file.display()))?;
        fresh.push((file, text, filled));
    }
    for (file, name) in WHOLE {
        let file = house.root.join(file);
        let text = fs::read_to_string(&file).unwrap_or_default();
        let part = parts.get(name).map_or("", String::as_str);
        fresh.push((file, text, format!("{}\n", part.trim_end())));
    }
    let mut stale = Vec::new();
    for (file, text, fresh) in &fresh {
        if fresh == text {
            continue;
        }
        if !check {
            fs::write(file, fresh).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
            println!("wrote {}", file.display());
        }
        stale.push(file.display().to_string());
    }
    match (check, stale.is_empty()) {
        (true, false) => Err(format!("not current: {}\nrun `cargo xtask docs`", stale.join(", ")).into()),
        (_, true) => {
            println!("{} generated parts are current", parts.len());
            Ok(())
        }
        (false, false) => Ok(()),
    }
}

/// Every Markdown file at the top, below `docs` and beside a crate.
fn documents(root: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = vec![root.to_owned(), root.join("docs"), root.join("plugin-sdk")];
    for parent in ["host", "plugins", "docs"] {
        let Ok(entries) = fs::read_dir(root.join(parent)) else {
            continue;
        };
        folders.extend(
            entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| path.is_dir()),
        );
    }
    let mut files = Vec::new();
    for folder in folders {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        files.extend(paths.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    }
    files.sort();
    files.dedup();
    Ok(files)
}

fn opening(line: &str) -> Option<&str> {
    line.trim().strip_prefix("<!-- generated: ")?.strip_suffix(" -->")
}

fn names(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(opening)
}

/// The text with every part as it should be.
fn fill(text: &str, parts: &HashMap<String, String>) -> Result<String> {
    let mut out = String::with_capacity(text.len());
    let mut lines = text.lines().enumerate();
    while let Some((number, line)) = lines.next() {
        out += line;
        out.push('\n');
        let Some(name) = opening(line) else { continue };
        let part = parts
            .get(name)
            .ok_or_else(|| format!("line {}: there is no part `{name}`", number + 1))?;
        let end = format!("<!-- end of {name} -->");
        if !lines.any(|(_, line)| line.trim() == end) {
            return Err(format!("line {}: `{end}` is missing", number + 1).into());
        }
        out += &format!("\n{}\n\n{end}\n", part.trim());
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> HashMap<String, String> {
        HashMap::from([("a".to_owned(), "new\n".to_owned())])
    }

    #[test]
    fn parts_are_replaced_and_the_rest_stays() {
        let text = "before\n<!-- generated: a -->\nold\n<!-- end of a -->\nafter\n";
        let fresh = fill(text, &parts()).unwrap();
        assert_eq!(
            fresh,
            "before\n<!-- generated: a -->\n\nnew\n\n<!-- end of a -->\nafter\n"
        );
        assert_eq!(fill(&fresh, &parts()).unwrap(), fresh);
    }

    #[test]
    fn a_part_that_is_not_closed_or_not_known_is_refused() {
        assert!(
            fill("<!-- generated: a -->\n", &parts())
                .unwrap_err()
                .to_string()
                .contains("end of a")
        );
        assert!(
            fill("x\n<!-- generated: b -->\n<!-- end of b -->\n", &parts())
                .unwrap_err()
                .to_string()
                .contains("line 2")
        );
    }
}
