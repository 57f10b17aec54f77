//! What an account was connected to, for whoever wants to tell the admin.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;
use whimbrel_wire::Protection;

/// Different connections of an account that are remembered.
const MOST: usize = 16;

/// A server, and how connections to it were protected.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Connection {
    /// As the connector named it.
    pub host: String,
    /// TCP.
    pub port: u16,
    /// "TLS 1.3", "TLS 1.2", "TLS 1.2 or higher" (HTTP), or none for clear text.
    pub tls: Option<String>,
    /// By its name in the registry of IANA, where it is known.
    pub cipher: Option<String>,
    /// Of the server's certificate: `sha256:` and 64 hexadecimal digits, as `pin` in the settings wants it.
    pub fingerprint: Option<String>,
}

impl Connection {
    /// For people: "TLS 1.3 (TLS13_AES_256_GCM_SHA384)", or that there is no encryption.
    pub fn protection(&self) -> String {
        match (&self.tls, &self.cipher) {
            (Some(tls), Some(cipher)) => format!("{tls} ({cipher})"),
            (Some(tls), None) => tls.clone(),
            (None, _) => "no encryption".to_owned(),
        }
    }
}

/// The connections of an account so far. Clones of an [`crate::AccountSpec`] share them.
#[derive(Debug, Clone, Default)]
pub struct Connections(Arc<Mutex<BTreeSet<Connection>>>);

impl Connections {
    /// In order, each once.
    pub fn list(&self) -> Vec<Connection> {
        self.hold().iter().cloned().collect()
    }

    pub(crate) fn note(&self, host: &str, port: u16, protection: Option<&Protection>) {
        let connection = Connection {
            host: host.to_owned(),
            port,
            tls: protection.map(|it| it.version.to_owned()),
            cipher: protection.map(|it| it.cipher.clone()).filter(|it| !it.is_empty()),
            fingerprint: protection.and_then(|it| it.fingerprint).map(|pin| pin.to_string()),
        };
        let mut known = self.hold();
        if known.len() < MOST {
            known.insert(connection);
        }
    }

    fn hold(&self) -> MutexGuard<'_, BTreeSet<Connection>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_connection_is_told_once_and_clear_text_is_called_so() {
        let connections = Connections::default();
        let other = connections.clone();
        let protection = Protection {
            version: "TLS 1.3",
            cipher: "X".into(),
            fingerprint: None,
        };
        for port in [993, 993, 143] {
            other.note("mail.example", port, (port == 993).then_some(&protection));
        }
        let told: Vec<String> = connections.list().iter().map(Connection::protection).collect();
        assert_eq!(told, ["no encryption", "TLS 1.3 (X)"]);
        (0..100).for_each(|port| connections.note("h", port, None));
        assert_eq!(connections.list().len(), MOST);
    }
}
