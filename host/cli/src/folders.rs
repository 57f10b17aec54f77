//! Where connectors are looked for.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use semver::Version;

use crate::problem::{Problem, Result};
use crate::settings::nearest;

/// The environment variable that names plugin folders, separated as in PATH.
pub const VARIABLE: &str = "WHIMBREL_PLUGINS";

/// The folders that connectors are looked for in, in this order.
#[derive(Debug, Clone, Default)]
pub struct PluginFolders(Vec<PathBuf>);

impl PluginFolders {
    /// `named` by `--plugins`, then those of `variable`, then that of the user, then those that belong to the `executable`:
    /// `plugins` beside it, `plugins` and `lib/whimbrel/plugins` one folder up.
    pub fn new(named: &[PathBuf], variable: Option<&OsStr>, user: Option<&Path>, executable: Option<&Path>) -> Self {
        let mut folders = named.to_vec();
        let variable = variable.map(std::env::split_paths).into_iter().flatten();
        folders.extend(variable.filter(|path| !path.as_os_str().is_empty()));
        folders.extend(user.map(Path::to_owned));
        if let Some(beside) = executable.and_then(Path::parent) {
            folders.push(beside.join("plugins"));
            if let Some(above) = beside.parent() {
                folders.push(above.join("plugins"));
                folders.push(above.join("lib/whimbrel/plugins"));
            }
        }
        let mut seen = Vec::new();
        folders.retain(|folder| {
            !seen.contains(folder) && {
                seen.push(folder.clone());
                true
            }
        });
        Self(folders)
    }

    /// Of this process.
    pub fn of_process(named: &[PathBuf]) -> Self {
        let executable = std::env::current_exe().and_then(std::fs::canonicalize).ok();
        let variable = std::env::var_os(VARIABLE);
        Self::new(named, variable.as_deref(), of_user().as_deref(), executable.as_deref())
    }

    /// Where connectors are installed: the first folder that is named by option or variable, else that of the user.
    pub fn to_install(named: &[PathBuf]) -> Option<PathBuf> {
        let variable = std::env::var_os(VARIABLE);
        let mut folders = Self::new(named, variable.as_deref(), of_user().as_deref(), None)
            .0
            .into_iter();
        folders.next()
    }

    /// The component of this name, or at this path, which may be relative to `base`. `NAME` is the newest version that is
    /// installed, `NAME@VERSION` that one. The error lists where was looked.
    pub fn find(&self, connector: &str, base: &Path) -> Result<PathBuf> {
        if is_path(connector) {
            let path = base.join(connector);
            return match path.is_file() {
                true => Ok(path),
                false => {
                    let message = format!("there is no connector at `{}`", path.display());
                    let help = "the path is relative to the settings file; a name without `/` and `.wasm` is looked for in the plugin folders";
                    Err(Box::new(Problem::settings(message).help(help)))
                }
            };
        }
        let file = format!("{connector}.wasm");
        let in_folder = |folder: &PathBuf| match folder.join(&file) {
            path if path.is_file() => Some(path),
            _ => newest(folder, connector),
        };
        if let Some(path) = self.0.iter().find_map(in_folder) {
            return Ok(path);
        }
        let known = self.list();
        let names: Vec<&str> = known.iter().map(|(name, _)| name.as_str()).collect();
        let mut help = String::new();
        if let Some(meant) = nearest(connector, names.iter().copied()) {
            help += &format!("did you mean `{meant}`?\n");
        } else if !names.is_empty() {
            help += &format!("there are: {}\n", names.join(", "));
        }
        help += "looked in:\n";
        for folder in &self.0 {
            let state = if folder.is_dir() { "" } else { " (not there)" };
            help += &format!("  {}{state}\n", folder.display());
        }
        help += &format!(
            "name another folder with --plugins DIR or {VARIABLE}; `cargo xtask plugins` builds those of this repository"
        );
        Err(Box::new(
            Problem::settings(format!("there is no connector `{connector}` in the plugin folders")).help(help),
        ))
    }

    /// Every component in the folders with its name, sorted; of two with one name, the one that is found first.
    pub fn list(&self) -> Vec<(String, PathBuf)> {
        let mut known: Vec<(String, PathBuf)> = Vec::new();
        for folder in &self.0 {
            let Ok(entries) = std::fs::read_dir(folder) else {
                continue;
            };
            for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
                let is_component = path.extension() == Some(OsStr::new("wasm")) && path.is_file();
                let Some(name) = path.file_stem().and_then(OsStr::to_str).filter(|_| is_component) else {
                    continue;
                };
                if !known.iter().any(|(other, _)| other == name) {
                    known.push((name.to_owned(), path.clone()));
                }
            }
        }
        known.sort();
        known
    }

    /// The folders, in order.
    pub fn paths(&self) -> &[PathBuf] {
        &self.0
    }
}

/// The user's own folder (XDG Base Directory Specification).
fn of_user() -> Option<PathBuf> {
    let named = |name: &str| {
        std::env::var_os(name)
            .map(PathBuf::from)
            .filter(|path| path.is_absolute())
    };
    let data = named("XDG_DATA_HOME").or_else(|| Some(named("HOME")?.join(".local/share")))?;
    Some(data.join("whimbrel/plugins"))
}

/// The newest version of an installed connector in a folder; one before a release only where there is no release.
fn newest(folder: &Path, connector: &str) -> Option<PathBuf> {
    let versions = std::fs::read_dir(folder).ok()?.filter_map(|entry| {
        let path = entry.ok()?.path();
        let stem = path.file_name()?.to_str()?.strip_suffix(".wasm")?;
        let (name, version) = stem.split_once('@')?;
        let version = Version::parse(version).ok().filter(|_| name == connector)?;
        Some((version.pre.is_empty(), version, path))
    });
    versions.max().map(|(_, _, path)| path)
}

fn is_path(connector: &str) -> bool {
    connector.contains(['/', std::path::MAIN_SEPARATOR]) || connector.ends_with(".wasm")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder_with(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        folder
    }

    #[test]
    fn the_order_is_option_variable_executable() {
        let variable = std::env::join_paths(["/b", "/c", "/a"]).unwrap();
        let executable = Path::new("/opt/w/bin/whimbrel");
        let folders = PluginFolders::new(&["/a".into()], Some(&variable), Some(Path::new("/u")), Some(executable));
        let wanted: Vec<&Path> = [
            "/a",
            "/b",
            "/c",
            "/u",
            "/opt/w/bin/plugins",
            "/opt/w/plugins",
            "/opt/w/lib/whimbrel/plugins",
        ]
        .map(Path::new)
        .into();
        assert_eq!(folders.paths(), wanted);
    }

    #[test]
    fn the_first_folder_wins_and_other_files_do_not_count() {
        let (a, b) = (
            folder_with(&["imap.wasm", "readme.txt"]),
            folder_with(&["imap.wasm", "mbox.wasm"]),
        );
        let folders = PluginFolders::new(&[a.path().into(), b.path().into()], None, None, None);
        assert_eq!(
            folders.find("imap", Path::new("/")).unwrap(),
            a.path().join("imap.wasm")
        );
        let names: Vec<String> = folders.list().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["imap", "mbox"]);
    }

    #[test]
    fn of_several_versions_the_newest_is_meant_unless_one_is_named() {
        let folder = folder_with(&[
            "acme@1.9.0.wasm",
            "acme@1.10.0.wasm",
            "acme@2.0.0-rc.1.wasm",
            "acme@x.wasm",
        ]);
        let folders = PluginFolders::new(&[folder.path().into()], None, None, None);
        let found = |connector| folders.find(connector, Path::new("/")).unwrap();
        assert_eq!(found("acme"), folder.path().join("acme@1.10.0.wasm"));
        assert_eq!(found("acme@1.9.0"), folder.path().join("acme@1.9.0.wasm"));
        // One that lies there without a version goes first: whoever put it there wants it.
        std::fs::write(folder.path().join("acme.wasm"), "").unwrap();
        assert_eq!(found("acme"), folder.path().join("acme.wasm"));
        assert!(folders.find("acme@3.0.0", Path::new("/")).is_err());
    }

    #[test]
    fn a_path_is_relative_to_the_settings() {
        let folder = folder_with(&["mine.wasm"]);
        let none = PluginFolders::default();
        assert_eq!(
            none.find("mine.wasm", folder.path()).unwrap(),
            folder.path().join("mine.wasm")
        );
        assert_eq!(
            none.find("./mine.wasm", folder.path()).unwrap(),
            folder.path().join("./mine.wasm")
        );
        let problem = none.find("./other.wasm", folder.path()).unwrap_err();
        assert!(problem.message().contains("there is no connector at"), "{problem}");
    }

    #[test]
    fn what_is_missing_says_where_was_looked_and_what_is_near() {
        let folder = folder_with(&["imap.wasm"]);
        let folders = PluginFolders::new(&[folder.path().into(), "/not/there".into()], None, None, None);
        let text = folders.find("imapp", Path::new("/")).unwrap_err().render();
        for part in [
            "there is no connector `imapp`",
            "did you mean `imap`?",
            "/not/there (not there)",
            "--plugins DIR",
            VARIABLE,
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert!(
            folders
                .find("zzz", Path::new("/"))
                .unwrap_err()
                .render()
                .contains("there are: imap")
        );
    }
}
