//! Finds test files.

use std::path::{Path, PathBuf};
use std::{fs, io};

use serde::Serialize;

/// How the names of test files end.
const ENDING: &str = ".test.rhai";

/// A file of tests, and the script that it tests.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct TestFile {
    /// `rules.test.rhai`.
    pub path: PathBuf,
    /// `rules.rhai` beside it.
    pub script: PathBuf,
}

impl TestFile {
    /// None where the name does not end with `.test.rhai`.
    pub fn new(path: &Path) -> Option<Self> {
        let name = path.file_name()?.to_str()?.strip_suffix(ENDING)?;
        Some(Self {
            path: path.to_owned(),
            script: path.with_file_name(format!("{name}.rhai")),
        })
    }
}

/// All test files of some paths, each once, in the order of their names. A path is a test file, a script whose tests lie
/// beside it, or a folder that is searched with those below it. Hidden folders and links to folders are passed over.
///
/// # Errors
///
/// A path that is not there, that cannot be read, or that is another file; the text names it.
pub fn discover<P: AsRef<Path>>(paths: &[P]) -> io::Result<Vec<TestFile>> {
    let mut found = Vec::new();
    for path in paths {
        let path = path.as_ref();
        let about = fs::metadata(path).map_err(|error| named(path, &error))?;
        if about.is_dir() {
            search(path, &mut found)?;
        } else if let Some(file) = TestFile::new(path) {
            found.push(file);
        } else {
            let beside = path.with_extension("test.rhai");
            let tests = TestFile::new(&beside).filter(|tests| tests.script == path && tests.path.is_file());
            found.push(tests.ok_or_else(|| {
                let text = format!("{}: there is no {} beside it", path.display(), beside.display());
                io::Error::new(io::ErrorKind::NotFound, text)
            })?);
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn search(folder: &Path, found: &mut Vec<TestFile>) -> io::Result<()> {
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in fs::read_dir(&folder).map_err(|error| named(&folder, &error))? {
            let entry = entry.map_err(|error| named(&folder, &error))?;
            let path = entry.path();
            let kind = entry.file_type().map_err(|error| named(&path, &error))?;
            let hidden = entry.file_name().to_string_lossy().starts_with('.');
            if kind.is_dir() {
                if !hidden {
                    waiting.push(path);
                }
            } else if path.is_file() {
                found.extend(TestFile::new(&path));
            }
        }
    }
    Ok(())
}
