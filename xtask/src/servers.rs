//! The servers that the tests run against: Debian's packages, installed where that is allowed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::house::{House, Result, run};

/// What the tests need; see `tests/servers.txt`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Packages {
    /// To be installed.
    pub install: Vec<String>,
    /// To be unpacked into a folder of their own.
    pub unpack: Vec<String>,
}

impl Packages {
    /// Reads the list. Lines that begin with `#` are comments; `[install]` and `[unpack]` are the sections.
    pub fn parse(text: &str) -> Result<Self> {
        let mut packages = Self::default();
        let mut section = None;
        for (number, line) in text.lines().enumerate() {
            match line.trim() {
                "" => {}
                comment if comment.starts_with('#') => {}
                "[install]" => section = Some(&mut packages.install),
                "[unpack]" => section = Some(&mut packages.unpack),
                name if is_package_name(name) => match &mut section {
                    Some(list) => list.push(name.to_owned()),
                    None => {
                        return Err(format!("tests/servers.txt:{}: `{name}` stands in no section", number + 1).into());
                    }
                },
                other => return Err(format!("tests/servers.txt:{}: `{other}` is no package name", number + 1).into()),
            }
        }
        Ok(packages)
    }
}

/// Debian Policy, 5.6.1.
fn is_package_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && name
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || "+-.".contains(c))
}

/// Makes sure that every server is there: installs what is missing on Debian as root, unpacks the rest, or names the
/// line that does it.
pub fn ensure(house: &House) -> Result<()> {
    let list = house.root.join("tests/servers.txt");
    let text = fs::read_to_string(&list).map_err(|error| format!("cannot read {}: {error}", list.display()))?;
    let packages = Packages::parse(&text)?;
    let missing: Vec<&str> = packages
        .install
        .iter()
        .map(String::as_str)
        .filter(|name| !installed(name))
        .collect();
    let folder = house.target.join("servers");
    let packed: Vec<&str> = packages
        .unpack
        .iter()
        .map(String::as_str)
        .filter(|name| !folder.join(name).is_dir())
        .collect();
    if missing.is_empty() && packed.is_empty() {
        return Ok(());
    }
    if !Path::new("/etc/debian_version").exists() {
        let names = [&missing[..], &packed[..]].concat().join(", ");
        return Err(format!(
            "the tests need these servers, by their Debian names: {names}\n\
             install them with this system's package manager, or run the tests on Debian (in a container, say)"
        )
        .into());
    }
    if !missing.is_empty() {
        install(&missing)?;
    } else if is_root() {
        run(apt().arg("update"))?;
    }
    packed.iter().try_for_each(|name| unpack(&folder, name))
}

/// Installs Debian packages where that is allowed, or names the line that does it.
pub fn install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let line = format!("apt-get install --no-install-recommends --yes {}", packages.join(" "));
    if !is_root() || !Path::new("/etc/debian_version").exists() {
        return Err(format!("what the tests need is missing; as root, run\n  apt-get update && {line}").into());
    }
    let _quiet = NoStarts::begin(Path::new("/usr/sbin/policy-rc.d"))?;
    run(apt().arg("update"))?;
    run(apt()
        .args(["install", "--no-install-recommends", "--yes"])
        .args(packages))
    .map_err(|error| format!("{error}\ninstall it by hand: {line}"))?;
    Ok(())
}

fn apt() -> Command {
    let mut command = Command::new("apt-get");
    command.arg("--quiet=2").env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["--show", "--showformat=${db:Status-Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success() && output.stdout == b"installed")
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout.trim_ascii() == b"0")
}

/// Into `<folder>/<package>`, whole or not at all.
fn unpack(folder: &Path, package: &str) -> Result<()> {
    fs::create_dir_all(folder)?;
    let scratch = tempfile::tempdir_in(folder)?;
    run(apt().args(["download", package]).current_dir(scratch.path())).map_err(|error| {
        format!("{error}\nwith no package lists on this machine, `apt-get update` as root comes first")
    })?;
    let archive = fs::read_dir(scratch.path())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
        .ok_or_else(|| format!("`apt-get download {package}` left no archive"))?;
    let tree = scratch.path().join("tree");
    run(Command::new("dpkg-deb").arg("-x").arg(archive).arg(&tree))?;
    fs::rename(&tree, folder.join(package))?;
    Ok(())
}

/// While it lives, package scripts start no services (Debian's `policy-rc.d`); then what was there before is there again.
struct NoStarts {
    policy: PathBuf,
    saved: PathBuf,
}

/// Known again after a run that was killed.
const POLICY: &str =
    "#!/bin/sh\n# Written by `cargo xtask test` while it installs servers; may be removed.\nexit 101\n";

impl NoStarts {
    fn begin(policy: &Path) -> Result<Self> {
        let mut saved = policy.as_os_str().to_owned();
        saved.push(".before-whimbrel");
        let this = Self {
            policy: policy.to_owned(),
            saved: PathBuf::from(saved),
        };
        let ours = fs::read_to_string(policy).is_ok_and(|text| text == POLICY);
        if !ours && !this.saved.exists() {
            ignore_missing(fs::rename(policy, &this.saved))?;
        }
        fs::write(policy, POLICY).map_err(|error| format!("cannot write {}: {error}", policy.display()))?;
        make_executable(policy)?;
        Ok(this)
    }
}

impl Drop for NoStarts {
    fn drop(&mut self) {
        let restored = if self.saved.exists() {
            fs::rename(&self.saved, &self.policy)
        } else {
            fs::remove_file(&self.policy)
        };
        if let Err(error) = ignore_missing(restored) {
            eprintln!(
                "warning: {} is still there, remove it by hand: {error}",
                self.policy.display()
            );
        }
    }
}

fn ignore_missing(result: io::Result<()>) -> io::Result<()> {
    result.or_else(|error| {
        if error.kind() == io::ErrorKind::NotFound {
            Ok(())
        } else {
            Err(error)
        }
    })
}

#[cfg(unix)]
fn make_executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
fn make_executable(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_has_two_sections() {
        let packages = Packages::parse("# x\n\n[install]\ndovecot-core\n[unpack]\ncyrus-imapd\n").unwrap();
        assert_eq!(packages.install, ["dovecot-core"]);
        assert_eq!(packages.unpack, ["cyrus-imapd"]);
        for (text, problem) in [
            ("dovecot-core", "stands in no section"),
            ("[install]\n--yes", "is no package name"),
            ("[x]", "`[x]`"),
        ] {
            let message = Packages::parse(text).unwrap_err().to_string();
            assert!(
                message.contains(problem) && message.contains("tests/servers.txt:"),
                "{message}"
            );
        }
    }

    #[test]
    fn the_shipped_list_is_valid() {
        Packages::parse(include_str!("../../tests/servers.txt")).unwrap();
    }

    #[test]
    fn the_policy_is_put_back() {
        let folder = tempfile::tempdir().unwrap();
        let policy = folder.path().join("policy-rc.d");
        let names = || fs::read_dir(folder.path()).unwrap().count();
        drop(NoStarts::begin(&policy).unwrap());
        assert_eq!(names(), 0);

        fs::write(&policy, "theirs").unwrap();
        let quiet = NoStarts::begin(&policy).unwrap();
        assert_eq!(fs::read_to_string(&policy).unwrap(), POLICY);
        // Killed here, and run again.
        std::mem::forget(quiet);
        drop(NoStarts::begin(&policy).unwrap());
        assert_eq!(fs::read_to_string(&policy).unwrap(), "theirs");
        assert_eq!(names(), 1);
    }
}
