//! `docs/tutorial.md`, word for word: its commands in their order, each language by itself, and what they are said to say.

#![allow(clippy::print_stdout)] // How long each step took, shown with --nocapture.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use whimbrel_tests::workshop::Workshop;

const LANGUAGES: [&str; 3] = ["python", "javascript", "rust"];

/// A fenced block that bears a mark: `sh tested:python`, `text said:all`.
#[derive(Debug, PartialEq, Eq)]
struct Block<'a> {
    /// The section that it stands in.
    section: &'a str,
    what: &'a str,
    language: &'a str,
    lines: Vec<&'a str>,
}

/// The marked blocks of a document.
fn blocks(document: &str) -> Vec<Block<'_>> {
    let mut blocks: Vec<Block> = Vec::new();
    let (mut section, mut within, mut marked) = ("", false, false);
    for line in document.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            within = !within;
            marked = false;
            if within && let Some((_, mark)) = fence.split_once(' ') {
                let (what, language) = mark.split_once(':').expect("`tested:` or `said:` and a language");
                assert!(["tested", "said"].contains(&what), "{fence}");
                assert!(language == "all" || LANGUAGES.contains(&language), "{fence}");
                marked = true;
                let lines = Vec::new();
                blocks.push(Block {
                    section,
                    what,
                    language,
                    lines,
                });
            }
        } else if within && marked {
            blocks.last_mut().expect("one was begun").lines.push(line);
        } else if !within && let Some(heading) = line.strip_prefix("## ") {
            section = heading;
        }
    }
    assert!(!within, "a block has no end");
    blocks
}

/// Goes through it in one language; every line that is shown has to be said, in this order.
#[track_caller]
fn holds_in(language: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/tutorial.md");
    let document = fs::read_to_string(path).unwrap();
    let blocks = blocks(&document);
    let ours = blocks
        .iter()
        .filter(|block| block.language == "all" || block.language == language);
    let (mut script, mut section) = (String::from("exec 2>&1\n"), "");
    let mut said: Vec<&str> = Vec::new();
    for block in ours {
        if block.what == "said" {
            said.extend(block.lines.iter().copied().filter(|line| !line.starts_with('…')));
            continue;
        }
        if block.section != section {
            section = block.section;
            writeln!(script, "echo \"== $(date +%s) {section}\"").unwrap();
        }
        script.push_str(&block.lines.join("\n"));
        script.push('\n');
    }
    writeln!(script, "echo \"== $(date +%s) the end\"").unwrap();
    assert!(said.len() > 5 && script.lines().count() > 20, "{script}");
    let outcome = Workshop::new().run(&script);
    // How long each section took, for whoever looks (`--nocapture`).
    for line in outcome.stdout.lines().filter(|line| line.starts_with("== ")) {
        println!("{language} {line}");
    }
    let mut rest = outcome.stdout.as_str();
    for line in said {
        let at = rest.find(line);
        let at = at.unwrap_or_else(|| panic!("`{line}` is not said, or not in its place:\n{outcome}"));
        rest = &rest[at + line.len()..];
    }
}

#[test]
fn the_tutorial_holds_in_python() {
    holds_in("python");
}

#[test]
fn the_tutorial_holds_in_javascript() {
    holds_in("javascript");
}

#[test]
fn the_tutorial_holds_in_rust() {
    holds_in("rust");
}

#[test]
fn marked_blocks_are_found_and_others_are_not() {
    let text = "## 1. One\n\n```sh tested:rust\na\n\nb\n```\n```toml\n## no heading\n```\n## 2. Two\n```text said:all\nc\n```\n";
    let found = blocks(text);
    let seen: Vec<_> = found
        .iter()
        .map(|block| (block.section, block.what, block.language, block.lines.join("|")))
        .collect();
    let wanted = [
        ("1. One", "tested", "rust", "a||b".to_owned()),
        ("2. Two", "said", "all", "c".to_owned()),
    ];
    assert_eq!(seen, wanted);
}
