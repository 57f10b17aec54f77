//! What connectors in Python and JavaScript are built with, fetched once: the tests then set up their projects without a
//! network, by the commands that users type.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::house::{House, Result, run};
use crate::servers;

/// A Debian package, and the commands that show that it, or its like, is there.
const NEEDED: [(&str, &str, &[&str]); 3] = [
    ("python3-venv", "python3", &["-c", "import ensurepip, venv"]),
    ("nodejs", "node", &["--version"]),
    ("npm", "npm", &["--version"]),
];

/// Where what was fetched lies, below the target folder.
const FOLDER: &str = "toolchains";

/// Folders that hold projects, each in a folder of its own.
const PROJECTS: [&str; 2] = ["plugin-sdk/templates", "plugin-sdk/examples"];

/// Makes sure that all of it is there.
pub fn ensure(house: &House) -> Result<()> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(_, program, words)| !works(program, words))
        .map(|(package, ..)| *package)
        .collect();
    servers::install(&missing)?;
    let folder = house.target.join(FOLDER);
    fs::create_dir_all(&folder)?;
    python(house, &folder)?;
    javascript(house, &folder)
}

fn works(program: &str, words: &[&str]) -> bool {
    Command::new(program)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Every file of this name in a project, with its text; the ending `.tmpl` of templates does not count.
fn texts(house: &House, name: &str) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for projects in PROJECTS.map(|projects| house.root.join(projects)) {
        if !projects.is_dir() {
            continue;
        }
        for project in fs::read_dir(projects)? {
            let project = project?.path();
            let file = [project.join(name), project.join(format!("{name}.tmpl"))];
            if let Some(file) = file.iter().find(|file| file.is_file()) {
                texts.push(fs::read_to_string(file)?);
            }
        }
    }
    texts.sort();
    texts.dedup();
    Ok(texts)
}

/// Wheels of what the projects require.
fn python(house: &House, folder: &Path) -> Result<()> {
    let mut lines: Vec<String> = texts(house, "requirements.txt")?
        .iter()
        .flat_map(|text| text.lines())
        .map(str::to_owned)
        .collect();
    lines.sort();
    lines.dedup();
    let text = lines.join("\n");
    once(&folder.join("wheels"), &text, |scratch| {
        let (venv, list) = (scratch.join("venv"), scratch.join("requirements.txt"));
        fs::write(&list, &text)?;
        run(Command::new("python3").args(["-m", "venv"]).arg(&venv))?;
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["download", "--quiet", "--disable-pip-version-check", "--requirement"]);
        let wheels = scratch.join("made");
        run(pip.arg(&list).arg("--dest").arg(&wheels))?;
        Ok(wheels)
    })
}

/// npm's cache, with what the projects' lock files name.
fn javascript(house: &House, folder: &Path) -> Result<()> {
    let locks = texts(house, "package-lock.json")?;
    once(&folder.join("npm"), &locks.join("\n"), |scratch| {
        let cache = scratch.join("made");
        fs::create_dir_all(&cache)?;
        for lock in &locks {
            // It holds the needs of its manifest, too.
            let lock = lock.replace("{{name}}", "project");
            let parsed: serde_json::Value = serde_json::from_str(&lock)?;
            fs::write(scratch.join("package.json"), parsed["packages"][""].to_string())?;
            fs::write(scratch.join("package-lock.json"), &lock)?;
            let mut npm = Command::new("npm");
            npm.args(["ci", "--silent", "--no-audit", "--no-fund", "--cache"])
                .arg(&cache);
            run(npm.current_dir(scratch))?;
        }
        Ok(cache)
    })
}

/// Makes a folder from this text, unless it was made from the same before: whole or not at all.
fn once(place: &Path, text: &str, make: impl FnOnce(&Path) -> Result<PathBuf>) -> Result<()> {
    let stamp = place.with_extension("made-from");
    if place.is_dir() && fs::read_to_string(&stamp).is_ok_and(|made| made == text) {
        return Ok(());
    }
    let parent = place.parent().ok_or("a folder has a folder above it")?;
    let scratch = tempfile::tempdir_in(parent)?;
    let made = make(scratch.path())?;
    if place.exists() {
        fs::remove_dir_all(place)?;
    }
    fs::rename(made, place)?;
    fs::write(stamp, text)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_made_once_from_the_same_and_whole_or_not_at_all() {
        let temp = tempfile::tempdir().unwrap();
        let place = temp.path().join("wheels");
        let make = |name: &'static str| {
            move |scratch: &Path| {
                let made = scratch.join("made");
                fs::create_dir(&made)?;
                fs::write(made.join(name), "")?;
                Ok(made)
            }
        };
        once(&place, "1", make("a")).unwrap();
        once(&place, "1", |_| Err("not again".into())).unwrap();
        assert!(once(&place, "2", |_| Err("no network".into())).is_err());
        assert!(place.join("a").is_file());
        once(&place, "2", make("b")).unwrap();
        assert!(place.join("b").is_file() && !place.join("a").exists());
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 2);
    }

    #[test]
    fn the_templates_pin_what_they_are_built_with() {
        let house = House::find().unwrap();
        for text in texts(&house, "requirements.txt").unwrap() {
            for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
                assert!(line.contains("=="), "{line}");
            }
        }
        assert!(!texts(&house, "package-lock.json").unwrap().is_empty());
    }
}
