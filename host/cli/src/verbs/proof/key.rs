//! The migration's key, in the state folder.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use whimbrel_proof::{PublicKey, SigningKey};

use crate::exit::Exit;
use crate::problem::{Problem, Result};
use crate::public_key;

/// The file: PKCS #8, readable to its owner alone.
const FILE: &str = "proof.key";

/// The key, made where there is none.
pub fn signing(state: &Path) -> Result<SigningKey> {
    let path = state.join(FILE);
    let unusable = |error: &dyn std::fmt::Display| {
        let problem = Problem::failed(format!("the key `{}` cannot be used: {error}", path.display()));
        Box::new(problem.help("restore it from a backup; or move it away, and proofs are signed with a new one"))
    };
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let bytes = SigningKey::generate().map_err(|error| unusable(&error))?;
            match keep(state, &path, &bytes) {
                Ok(()) => bytes,
                // Another program was faster.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    fs::read(&path).map_err(|error| unusable(&error))?
                }
                Err(error) => return Err(Box::new(Problem::io("write", &path, &error))),
            }
        }
        Err(error) => return Err(Box::new(Problem::io("read", &path, &error))),
    };
    SigningKey::read(&bytes).map_err(|error| unusable(&error))
}

/// Whole or not at all; temporary files are their owner's alone (mode 0600).
fn keep(state: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = tempfile::Builder::new().prefix(".part-").tempfile_in(state)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}

/// A public key that somebody names: a PEM file, or its digits.
pub fn public(text: &str) -> Result<PublicKey> {
    public_key::read(text, Path::new("")).map_err(|why| {
        let problem = Problem::new("usage", format!("`--key {text}`: {why}"), Exit::Usage);
        Box::new(problem.help("name the PEM file that lies beside the proofs, or 64 hexadecimal digits"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_made_once_and_is_its_owners_alone() {
        let temp = tempfile::tempdir().unwrap();
        let key = signing(temp.path()).unwrap().public();
        assert_eq!(signing(temp.path()).unwrap().public(), key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(temp.path().join(FILE)).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        assert_eq!(fs::read_dir(temp.path()).unwrap().count(), 1, "nothing else is left");
        fs::write(temp.path().join(FILE), b"nonsense").unwrap();
        let Err(problem) = signing(temp.path()) else {
            panic!("nonsense is no key")
        };
        assert!(
            problem.message().contains("proof.key") && problem.has_help(),
            "{}",
            problem.message()
        );
    }

    #[test]
    fn public_keys_are_files_or_digits() {
        let temp = tempfile::tempdir().unwrap();
        let key = signing(temp.path()).unwrap().public();
        let file = temp.path().join("key.pem");
        fs::write(&file, key.pem()).unwrap();
        assert_eq!(public(file.to_str().unwrap()).unwrap(), key);
        assert_eq!(public(&key.text()).unwrap(), key);
        fs::write(&file, "nothing").unwrap();
        for wrong in [file.to_str().unwrap(), "nowhere", "00"] {
            assert_eq!(public(wrong).unwrap_err().exit(), Exit::Usage);
        }
    }
}
