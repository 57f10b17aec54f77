//! What a source's files are, byte for byte, so that a test can show that nobody changed them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::SystemTime;

/// The files below a folder: path, hash of the content, time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot(BTreeMap<String, (String, SystemTime)>);

impl Snapshot {
    /// Takes one. `ignored` are beginnings of file names, e.g. `dovecot.index`: what the server keeps for itself and
    /// rewrites when it is only read.
    pub fn take(root: &Path, ignored: &[&str]) -> Self {
        let mut files = BTreeMap::new();
        visit(root, root, ignored, &mut files);
        Self(files)
    }

    /// What changed since, one line each.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let mut out = Vec::new();
        for (path, before) in &self.0 {
            match later.0.get(path) {
                None => out.push(format!("gone: {path}")),
                Some(after) if after.0 != before.0 => out.push(format!("content changed: {path}")),
                Some(after) if after.1 != before.1 => out.push(format!("time changed: {path}")),
                Some(_) => {}
            }
        }
        out.extend(
            later
                .0
                .keys()
                .filter(|path| !self.0.contains_key(*path))
                .map(|path| format!("new: {path}")),
        );
        out
    }
}

fn visit(root: &Path, path: &Path, ignored: &[&str], files: &mut BTreeMap<String, (String, SystemTime)>) {
    for entry in fs::read_dir(path).unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
        let entry = entry.expect("a readable folder");
        let name = entry.file_name().to_string_lossy().into_owned();
        if ignored.iter().any(|start| name.starts_with(start)) {
            continue;
        }
        let path = entry.path();
        if path.is_dir() {
            visit(root, &path, ignored, files);
        } else {
            let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let time = fs::metadata(&path)
                .and_then(|data| data.modified())
                .expect("a file's time");
            let shown = path.strip_prefix(root).expect("below").display().to_string();
            files.insert(shown, (blake3::hash(&bytes).to_hex().to_string(), time));
        }
    }
}
