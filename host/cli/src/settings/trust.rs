//! `[plugins]`: which connectors are trusted.

use std::path::{Path, PathBuf};

use toml::de::DeTable;
use whimbrel_trust::PublicKey;

use super::read::{self, Findings};
use crate::public_key;

/// The grants file, unless the settings say otherwise.
const GRANTS: &str = "whimbrel.grants.toml";

/// `[plugins]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrustSettings {
    /// The grants file.
    pub grants: PathBuf,
    /// Keys whose signatures count, by the names that the admin gave them.
    pub keys: Vec<(String, PublicKey)>,
    /// Whether a connector that none of them signed is refused.
    pub require_signature: bool,
}

impl TrustSettings {
    /// The admin's name for a key.
    pub fn name_of(&self, key: &PublicKey) -> Option<&str> {
        let found = self.keys.iter().find(|(_, known)| known == key);
        found.map(|(name, _)| name.as_str())
    }

    /// The keys alone.
    pub fn public(&self) -> Vec<PublicKey> {
        self.keys.iter().map(|(_, key)| *key).collect()
    }
}

/// From a table whose structure was checked; the defaults where it is not there.
pub fn read(findings: &mut Findings, base: &Path, table: Option<&DeTable<'_>>) -> TrustSettings {
    let mut settings = TrustSettings {
        grants: base.join(GRANTS),
        keys: Vec::new(),
        require_signature: false,
    };
    let Some(table) = table else { return settings };
    if let Some(path) = read::text(table, "grants") {
        settings.grants = base.join(path);
    }
    settings.require_signature = read::switch(table, "require_signature").unwrap_or_default();
    let span = table.get("trusted_keys").map_or(0..0, toml::Spanned::span);
    for (name, text) in read::names(table, "trusted_keys") {
        match public_key::read(&text, base) {
            Ok(key) => settings.keys.push((name, key)),
            Err(reason) => findings.wrong(
                format!("`plugins.trusted_keys.{name}` cannot be used: {reason}"),
                span.clone(),
                "here",
                "write the 64 hexadecimal digits of a public key, or the path of its PEM file; `whimbrel plugin keygen` makes both",
            ),
        }
    }
    if settings.require_signature && settings.keys.is_empty() && findings.problems.is_empty() {
        let span = table.get("require_signature").map_or(0..0, toml::Spanned::span);
        findings.wrong(
            "`plugins.require_signature` is set, and there is no trusted key".into(),
            span,
            "no connector could be used",
            "add trusted_keys = { NAME = \"KEY\" }",
        );
    }
    settings
}
