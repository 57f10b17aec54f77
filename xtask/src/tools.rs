//! The tools that connectors in Python and JavaScript are built with, for the tests: set up once, below the target folder.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::house::{House, Result, run};
use crate::servers;

/// What has to be on the machine: a command that shows it, and the Debian package that brings it.
const NEEDED: [(&[&str], &str); 3] = [
    (&["python3", "-c", "import venv, ensurepip"], "python3-venv"),
    (&["node", "--version"], "nodejs"),
    (&["npm", "--version"], "npm"),
];

/// Sets up `<target>/kit/venv` and `<target>/kit/node_modules`, with the versions that the templates pin; and beside them what
/// pip and npm need to do the same in a project without a network (`wheels`, `npm`).
pub fn ensure(house: &House) -> Result<()> {
    let missing: Vec<&str> = NEEDED
        .iter()
        .filter(|(command, _)| !works(command))
        .map(|(_, package)| *package)
        .collect();
    servers::install(&missing)?;
    let kit = house.target.join("kit");
    fs::create_dir_all(&kit)?;
    let templates = house.root.join("plugin-sdk/templates");
    set_up(&kit, &templates.join("python/requirements.txt"), "python", |pinned| {
        let venv = kit.join("venv");
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let mut pip = Command::new(venv.join("bin/pip"));
        run(pip
            .args(["install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(pinned))?;
        let mut pip = Command::new(venv.join("bin/pip"));
        pip.args(["download", "--quiet", "--disable-pip-version-check", "--requirement"]);
        run(pip.arg(pinned).arg("--dest").arg(kit.join("wheels")))
    })?;
    set_up(
        &kit,
        &templates.join("javascript/package-lock.json.tmpl"),
        "javascript",
        |pinned| {
            for (from, to) in [
                (pinned, "package-lock.json"),
                (&templates.join("javascript/package.json.tmpl"), "package.json"),
            ] {
                fs::write(kit.join(to), fs::read_to_string(from)?.replace("{{name}}", "kit"))?;
            }
            let mut npm = Command::new("npm");
            npm.args(["ci", "--silent", "--no-audit", "--no-fund", "--cache"])
                .arg(kit.join("npm"));
            run(npm.current_dir(&kit))
        },
    )
}

/// Does `work` unless it was done with this file as it is.
fn set_up(kit: &Path, pinned: &Path, name: &str, work: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let wanted = fs::read_to_string(pinned).map_err(|error| format!("cannot read {}: {error}", pinned.display()))?;
    let done = kit.join(format!("{name}.done"));
    if fs::read_to_string(&done).is_ok_and(|had| had == wanted) {
        return Ok(());
    }
    work(pinned)?;
    fs::write(done, wanted)?;
    Ok(())
}

fn works(command: &[&str]) -> bool {
    let [program, words @ ..] = command else {
        return false;
    };
    let mut command = Command::new(program);
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_done_again_only_where_it_changed() {
        let temp = tempfile::tempdir().unwrap();
        let pinned = temp.path().join("pinned");
        let mut times = 0;
        for (text, wanted) in [("one", 1), ("one", 1), ("two", 2)] {
            fs::write(&pinned, text).unwrap();
            set_up(temp.path(), &pinned, "it", |_| {
                times += 1;
                Ok(())
            })
            .unwrap();
            assert_eq!(times, wanted);
        }
        assert!(set_up(temp.path(), &temp.path().join("nothing"), "it", |_| Ok(())).is_err());
    }

    #[test]
    fn what_is_not_there_does_not_work() {
        assert!(!works(&["no-such-program-is-here"]) && !works(&["false"]) && !works(&[]) && works(&["true"]));
    }
}
