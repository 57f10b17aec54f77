//! Files that are written beside their place and renamed once they are whole.

use std::{fs, io, path::Path};

use tempfile::NamedTempFile;

/// What their names begin with until then.
const PREFIX: &str = ".part-";

/// A new file in this folder, which is made where it is missing. Others may read it as any file that is made there.
pub fn begin(folder: &Path) -> io::Result<NamedTempFile> {
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Removes what a killed run left in this folder. Nobody may be writing there.
pub fn sweep(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(PREFIX) {
            // What cannot be removed does no harm.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_is_removed_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let left = begin(folder.path()).unwrap().keep().unwrap().1;
        fs::write(folder.path().join("a.pdf"), "a").unwrap();
        sweep(folder.path());
        assert!(!left.exists() && folder.path().join("a.pdf").exists());
        sweep(&folder.path().join("none"));
    }
}
