//! The grants file, read and written.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use whimbrel_trust::{Grants, Lock};

use crate::exit::Exit;
use crate::output::safe;
use crate::problem::{Problem, Result};

/// Bytes of a grants file.
const MOST: usize = 1 << 20;

/// The grants; none where there is no file yet.
pub fn read(path: &Path) -> Result<Grants> {
    let Some(text) = text(path, MOST)? else {
        return Ok(Grants::default());
    };
    Grants::parse(&text).map_err(|error| {
        let message = format!(
            "the grants file `{}` cannot be used: {}",
            path.display(),
            safe(&error.to_string())
        );
        let help = "correct it, or move it away: then every connector is new again";
        Box::new(Problem::new("trust", message, Exit::Usage).help(help))
    })
}

/// Writes them, whole or not at all.
pub fn write(path: &Path, grants: &Grants) -> Result<()> {
    let failed = |error: &io::Error| {
        let problem = Problem::io("write the grants file", path, error).exit_with(Exit::Usage);
        Box::new(problem.help("name a place that can be written, with `grants` in [plugins]"))
    };
    let text = grants.text().map_err(|error| failed(&io::Error::other(error)))?;
    persist(path, text.as_bytes(), 0o644).map_err(|error| failed(&error))
}

/// What was installed in a folder of connectors; nothing where there is no file yet.
pub fn lock(folder: &Path) -> Result<Lock> {
    let path = folder.join(Lock::FILE);
    let Some(text) = text(&path, MOST)? else {
        return Ok(Lock::default());
    };
    Lock::parse(&text).map_err(|error| {
        let message = format!("`{}` cannot be used: {}", path.display(), safe(&error.to_string()));
        let help = "correct it, or move it away and install the connectors anew";
        Box::new(Problem::new("trust", message, Exit::Usage).help(help))
    })
}

/// Writes it, whole or not at all.
pub fn write_lock(folder: &Path, lock: &Lock) -> Result<()> {
    let path = folder.join(Lock::FILE);
    let failed = |error: &io::Error| Box::new(Problem::io("write", &path, error).exit_with(Exit::Usage));
    let text = lock.text().map_err(|error| failed(&io::Error::other(error)))?;
    persist(&path, text.as_bytes(), 0o644).map_err(|error| failed(&error))
}

/// Writes a file beside its place and renames it, with these access rights; takes the place of one that is there.
pub fn persist(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
    #[cfg(not(unix))]
    let _ = mode;
    let mut file = builder.prefix(".part-").tempfile_in(folder.unwrap_or(Path::new(".")))?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// The text of a small file; none where it is not there.
pub fn text(path: &Path, most: usize) -> Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Box::new(Problem::io("read", path, &error).exit_with(Exit::Usage))),
    };
    let mut text = String::new();
    let read = file.take(most as u64 + 1).read_to_string(&mut text);
    let too_long = (text.len() > most).then(|| io::Error::other(format!("it has more than {most} bytes")));
    match read.err().or(too_long) {
        None => Ok(Some(text)),
        Some(error) => Err(Box::new(Problem::io("read", path, &error).exit_with(Exit::Usage))),
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_trust::{Candidate, How};

    use super::*;

    #[test]
    fn grants_are_kept_and_nothing_else_is_left() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("whimbrel.grants.toml");
        assert_eq!(read(&path).unwrap(), Grants::default());
        let mut grants = Grants::default();
        let candidate = Candidate {
            connector: "imap".into(),
            name: "imap".into(),
            version: "1.0.0".into(),
            blake3: "aa".into(),
            permissions: Vec::new(),
            signed_by: None,
        };
        grants.put(candidate.grant("2026-01-02T03:04:05Z", "alice", How::Admin));
        write(&path, &grants).unwrap();
        assert_eq!(read(&path).unwrap(), grants);
        assert_eq!(std::fs::read_dir(temp.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_file_that_is_none_is_a_problem_with_a_remedy() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x.toml");
        for wrong in [&b"grant = 1"[..], &[0xff], &vec![b'#'; MOST + 1]] {
            std::fs::write(&path, wrong).unwrap();
            let problem = read(&path).unwrap_err();
            assert_eq!(problem.exit(), Exit::Usage);
            assert!(problem.message().contains("x.toml"), "{problem}");
        }
        let nowhere = write(&temp.path().join("no/x.toml"), &Grants::default()).unwrap_err();
        assert!(nowhere.has_help() && nowhere.exit() == Exit::Usage);
    }
}
