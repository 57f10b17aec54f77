//! `whimbrel plugin new`: a connector's project that builds, passes the suite and reads like an example.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::args::Language;
use crate::exit::Exit;
use crate::output::Output;
use crate::problem::{Problem, Result};
use crate::verbs::cannot;

/// The contract, the SDK and the templates, as they were when the program was built.
mod kit {
    include!(concat!(env!("OUT_DIR"), "/kit.rs"));
}

/// Files in a template that would disturb a tool where the template lies bear this ending.
const TEMPLATE: &str = ".tmpl";

/// Makes the project.
pub fn run(name: &str, language: Language, folder: Option<&Path>, output: Output) -> Result<Exit> {
    if !is_name(name) {
        let problem = Problem::usage(format!("`{name}` is no name for a connector"));
        return Err(Box::new(problem.help(
            "lower-case letters, digits and `-`, beginning with a letter, at most 64: `acme-mail`",
        )));
    }
    let folder = folder.map_or_else(|| PathBuf::from(name), Path::to_owned);
    let is_used = fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some());
    if is_used || folder.is_file() {
        let problem = Problem::usage(format!("`{}` is there already", folder.display()));
        return Err(Box::new(problem.help("nothing is overwritten: name another folder")));
    }
    let files = project(name, language);
    for (path, bytes) in &files {
        let path = folder.join(path);
        let parent = path.parent().unwrap_or(&folder);
        fs::create_dir_all(parent).map_err(|error| cannot("make", parent, &error))?;
        fs::write(&path, bytes).map_err(|error| cannot("write", &path, &error))?;
    }
    let shown = folder.display();
    let setting_up = match language {
        Language::Rust => "",
        Language::Python => "python3 -m venv build/venv && build/venv/bin/pip install -r requirements.txt\n  ",
        Language::Javascript => "npm install\n  ",
    };
    let names: Vec<&str> = files.iter().map(|(path, _)| path.as_str()).collect();
    output.document(
        json!({ "folder": folder, "language": language.name(), "files": names }),
        Exit::Ok,
    );
    output.say(format!(
        "`{shown}` is a connector that works, to an invented provider that comes with it. Its README says what is where.\n\n  \
         cd {shown}\n  {setting_up}whimbrel plugin build\n  whimbrel plugin test build/{name}.wasm"
    ));
    Ok(Exit::Ok)
}

/// The files of a project, with their contents.
fn project(name: &str, language: Language) -> Vec<(String, Vec<u8>)> {
    let template: &[(&str, &[u8])] = match language {
        Language::Rust => &kit::RUST,
        Language::Python => &kit::PYTHON,
        Language::Javascript => &kit::JAVASCRIPT,
    };
    // A Rust project has the contract inside the SDK.
    let (beside, shared): (&str, &[(&str, &[u8])]) = match language {
        Language::Rust => ("sdk", &kit::SDK),
        Language::Python | Language::Javascript => ("wit", &kit::CONTRACT),
    };
    let own = template.iter().map(|(path, bytes)| {
        let path = path.strip_suffix(TEMPLATE).unwrap_or(path);
        (filled(path, name), filled_bytes(bytes, name))
    });
    let shared = shared
        .iter()
        .map(|(path, bytes)| (format!("{beside}/{path}"), bytes.to_vec()));
    own.chain(shared).collect()
}

/// `{{name}}`, `{{module}}` (the name as a program's code can have it) and `{{contract}}`.
fn filled(text: &str, name: &str) -> String {
    text.replace("{{name}}", name)
        .replace("{{module}}", &name.replace('-', "_"))
        .replace("{{contract}}", whimbrel_sandbox::CONTRACT)
}

fn filled_bytes(bytes: &[u8], name: &str) -> Vec<u8> {
    match std::str::from_utf8(bytes) {
        Ok(text) => filled(text, name).into_bytes(),
        Err(_) => bytes.to_vec(),
    }
}

fn is_name(name: &str) -> bool {
    let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    name.len() <= 64
        && name.bytes().all(letters)
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANGUAGES: [Language; 3] = [Language::Rust, Language::Python, Language::Javascript];

    #[test]
    fn names() {
        for good in ["acme", "acme-mail", "x400"] {
            assert!(is_name(good), "{good}");
        }
        for bad in ["", "Acme", "4x", "-a", "a-", "a b", "../a", "a/b", "ä", &"a".repeat(65)] {
            assert!(!is_name(bad), "{bad}");
        }
    }

    #[test]
    fn a_project_holds_the_contract_and_says_its_name() {
        for language in LANGUAGES {
            let files = project("acme-mail", language);
            let has = |name: &str| files.iter().any(|(path, _)| path == name);
            assert!(has("connector.toml") && has("README.md"), "{language:?}");
            assert!(has("wit/source.wit") || has("sdk/wit/source.wit"), "{language:?}");
            for (path, bytes) in &files {
                assert!(!path.ends_with(TEMPLATE), "{path}");
                if path.starts_with("sdk/") {
                    continue;
                }
                let text = String::from_utf8_lossy(bytes);
                for place in ["{{name}}", "{{module}}", "{{contract}}"] {
                    assert!(!text.contains(place) && !path.contains(place), "{place} in {path}");
                }
            }
        }
    }

    #[test]
    fn the_sdk_stands_by_itself() {
        let files = project("acme", Language::Rust);
        let (_, manifest) = files.iter().find(|(path, _)| path == "sdk/Cargo.toml").unwrap();
        let manifest = String::from_utf8_lossy(manifest);
        assert!(!manifest.contains("workspace = true"), "{manifest}");
        assert!(
            manifest.contains("[workspace]") && manifest.contains("wit-bindgen"),
            "{manifest}"
        );
    }

    #[test]
    fn nothing_is_overwritten() {
        let temp = tempfile::tempdir().unwrap();
        let folder = temp.path().join("acme");
        let output = Output::new("plugin new", true);
        run("acme", Language::Python, Some(&folder), output).unwrap();
        let problem = run("acme", Language::Python, Some(&folder), output).unwrap_err();
        assert!(problem.has_help() && problem.exit() == Exit::Usage, "{problem}");
        let problem = run("Acme!", Language::Python, None, output).unwrap_err();
        assert!(problem.message().contains("no name"), "{problem}");
    }
}
