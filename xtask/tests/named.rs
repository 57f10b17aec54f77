//! What documents say is shown by tests that are there.
#![allow(clippy::unwrap_used, clippy::panic)] // Helpers of tests may give up, as tests may.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The back-quoted words of the last column of every table line.
fn named(text: &str) -> Vec<(usize, String)> {
    let mut names = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let Some(row) = line.trim().strip_prefix('|').and_then(|row| row.strip_suffix('|')) else {
            continue;
        };
        let last = row.rsplit('|').next().unwrap_or_default();
        let words = last.split('`').skip(1).step_by(2);
        names.extend(words.map(|word| (number + 1, word.to_owned())));
    }
    names
}

/// Names of all functions under a `#[test]` or `#[tokio::test]`, and in `proptest!`, below a folder.
fn tests_below(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if !path.ends_with("target") {
                tests_below(&path, names);
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            names.extend(tests_in(&fs::read_to_string(&path).unwrap()));
        }
    }
}

fn tests_in(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if line.starts_with("#[test]") || line.starts_with("#[tokio::test") {
            marked = true;
        } else if line.starts_with("#[") || line.starts_with("//") {
            continue;
        } else {
            let function = line.strip_prefix("async ").unwrap_or(line).strip_prefix("fn ");
            if let (Some(function), true) = (function, marked) {
                found.extend(function.split('(').next().map(str::to_owned));
            }
            marked = false;
        }
    }
    found
}

#[test]
fn every_test_that_is_named_exists() {
    // Where it runs, which need not be where it was built.
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap();
    let root = PathBuf::from(package).parent().unwrap().to_owned();
    let mut known = BTreeSet::new();
    for folder in ["host", "tests", "plugins", "plugin-sdk", "xtask"] {
        tests_below(&root.join(folder), &mut known);
    }
    assert!(known.len() > 500, "{} tests were found", known.len());
    for document in ["SECURITY.md", "docs/cases.md"] {
        let named = named(&fs::read_to_string(root.join(document)).unwrap());
        assert!(named.len() > 20, "{document} names {} tests", named.len());
        let missing: Vec<String> = named
            .into_iter()
            .filter(|(_, name)| match name.contains('/') {
                true => !root.join(name).exists(),
                false => !known.contains(name),
            })
            .map(|(line, name)| format!("line {line}: {name}"))
            .collect();
        assert!(
            missing.is_empty(),
            "{document} names what is not there:\n{}",
            missing.join("\n")
        );
    }
}

#[test]
fn only_the_last_column_counts_and_only_tests_are_tests() {
    let table = "| `a` | `b`, `c/d.rs` |\nnot `e`\n";
    assert_eq!(named(table), [(1, "b".to_owned()), (1, "c/d.rs".to_owned())]);
    let code =
        "#[test]\n// why\n#[ignore]\nfn one() {}\nfn helper() {}\n#[tokio::test(flavor = \"x\")]\nasync fn two() {}\n";
    assert_eq!(tests_in(code), ["one", "two"]);
}
