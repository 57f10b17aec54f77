//! What opens a vault.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::str::FromStr;

use age::secrecy::{ExposeSecret, SecretString};
use age::{DecryptError, scrypt, x25519};
use whimbrel_model::Secret;
use zeroize::Zeroizing;

use crate::{Result, VaultError};

/// Bytes that a key file has at most.
const LARGEST_KEY_FILE: u64 = 64 << 10;

/// The base-2 logarithm of scrypt's N for a passphrase: 128 MiB of memory for about a third of a second, as OWASP advises.
const WORK: u8 = if cfg!(test) { 4 } else { 17 };

/// The largest that is taken: 1 GiB.
const MOST_WORK: u8 = 20;

/// A passphrase, or an X25519 identity from a key file. `Debug` shows which, and nothing of it.
#[derive(Clone)]
pub struct Key(Form);

#[derive(Clone)]
enum Form {
    Passphrase(Secret),
    Identity(x25519::Identity),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Form::Passphrase(_) => "Key::Passphrase([redacted])",
            Form::Identity(_) => "Key::Identity([redacted])",
        })
    }
}

impl Key {
    /// From a passphrase.
    ///
    /// # Errors
    /// Where it is empty.
    pub fn passphrase(passphrase: Secret) -> Result<Self> {
        match passphrase.expose().is_empty() {
            true => Err(VaultError::EmptyPassphrase),
            false => Ok(Self(Form::Passphrase(passphrase))),
        }
    }

    /// From a key file, as `age-keygen` writes them too: the first line that is an identity counts.
    ///
    /// # Errors
    /// Where it cannot be read or holds none.
    pub fn read(path: &Path) -> Result<Self> {
        let size = fs::metadata(path)
            .map_err(VaultError::io("read the key file", path))?
            .len();
        if size > LARGEST_KEY_FILE {
            return Err(VaultError::NoKey { path: path.to_owned() });
        }
        let text = fs::read_to_string(path).map_err(VaultError::io("read the key file", path))?;
        let text = Zeroizing::new(text);
        text.lines()
            .find_map(|line| x25519::Identity::from_str(line.trim()).ok())
            .map(|identity| Self(Form::Identity(identity)))
            .ok_or_else(|| VaultError::NoKey { path: path.to_owned() })
    }

    /// A new one, in a new file that only its owner can read.
    ///
    /// # Errors
    /// Where the file is there already or cannot be written.
    pub fn create(path: &Path) -> Result<Self> {
        let identity = x25519::Identity::generate();
        let secret = identity.to_string();
        let text = Zeroizing::new(format!(
            "# Opens a vault of whimbrel. Keep it apart from the vault, and to yourself.\n# public key: {}\n{}\n",
            identity.to_public(),
            secret.expose_secret()
        ));
        keep(path, &text).map_err(VaultError::io("write the key file", path))?;
        Ok(Self(Form::Identity(identity)))
    }

    /// Whether it is a passphrase.
    pub fn is_passphrase(&self) -> bool {
        matches!(self.0, Form::Passphrase(_))
    }

    /// Encrypts, in age's text form.
    pub(crate) fn seal(&self, plain: &[u8]) -> Result<String> {
        let sealed = match &self.0 {
            Form::Passphrase(passphrase) => {
                let mut recipient = scrypt::Recipient::new(secret_string(passphrase));
                recipient.set_work_factor(WORK);
                age::encrypt_and_armor(&recipient, plain)
            }
            Form::Identity(identity) => age::encrypt_and_armor(&identity.to_public(), plain),
        };
        sealed.map_err(|error| VaultError::Sealing(error.to_string()))
    }

    /// Decrypts what [`Self::seal`] gave.
    pub(crate) fn open(&self, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, DecryptError> {
        let plain = match &self.0 {
            Form::Passphrase(passphrase) => {
                let mut identity = scrypt::Identity::new(secret_string(passphrase));
                identity.set_max_work_factor(MOST_WORK);
                age::decrypt(&identity, sealed)
            }
            Form::Identity(identity) => age::decrypt(identity, sealed),
        };
        plain.map(Zeroizing::new)
    }

    /// What a failure to decrypt the vault at `path` means.
    pub(crate) fn explain(&self, path: &Path, sealed: &[u8], error: &DecryptError) -> VaultError {
        let path = path.to_owned();
        match error {
            DecryptError::ExcessiveWork { required, .. } => VaultError::TooCostly {
                path,
                factor: *required,
                most: MOST_WORK,
            },
            DecryptError::UnknownFormat => VaultError::Version {
                path,
                found: "a newer age format".to_owned(),
                known: crate::contents::VERSION,
            },
            DecryptError::NoMatchingKeys | DecryptError::DecryptionFailed | DecryptError::KeyDecryptionFailed => {
                let has_passphrase = age::Decryptor::new(age::armor::ArmoredReader::new(sealed))
                    .is_ok_and(|decryptor| decryptor.is_scrypt());
                match (self.is_passphrase(), has_passphrase) {
                    (true, true) => VaultError::WrongPassphrase { path },
                    (true, false) => VaultError::NeedsKey { path },
                    (false, true) => VaultError::NeedsPassphrase { path },
                    (false, false) => VaultError::WrongKey { path },
                }
            }
            _ => VaultError::Damaged { path },
        }
    }
}

fn secret_string(secret: &Secret) -> SecretString {
    SecretString::from(secret.expose().to_owned())
}

/// Whole or not at all; temporary files are their owner's alone (mode 0600).
fn keep(path: &Path, text: &str) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::Builder::new().prefix(".part-").tempfile_in(folder)?;
    file.write_all(text.as_bytes())?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|error| error.error)?;
    Ok(())
}
