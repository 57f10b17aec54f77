//! Public keys that somebody names: 64 hexadecimal digits, or a PEM file.

use std::path::Path;

use whimbrel_proof::PublicKey;

/// Digits or a file; a path is relative to `base`. The error says why it is neither.
pub fn read(text: &str, base: &Path) -> Result<PublicKey, String> {
    if let Some(key) = PublicKey::parse(text) {
        return Ok(key);
    }
    let pem = std::fs::read_to_string(base.join(text)).map_err(|error| error.to_string())?;
    PublicKey::from_pem(&pem).ok_or_else(|| "it is no Ed25519 public key".to_owned())
}
