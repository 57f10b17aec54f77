//! A connector to Telepost, an invented protocol of lines. The README shows it.

pub mod session;
pub mod source;

use whimbrel_plugin::{Abilities, Description, Permission, Reader, export_reader};

/// JSON Schema (2020-12) of what the admin's file may say.
const SETTINGS: &str = r#"{
    "type": "object",
    "properties": {
        "host": {"type": "string", "description": "Name of the server; its certificate must bear it.", "minLength": 1},
        "port": {
            "type": "integer", "description": "Usually 7343 with TLS.", "minimum": 1, "maximum": 65535, "default": 7343
        },
        "tls": {
            "description": "\"insecure\" sends letters in clear text, and a digest of the password.",
            "enum": ["implicit", "insecure"],
            "default": "implicit"
        }
    },
    "required": ["host"],
    "additionalProperties": false
}"#;
/// What a mailbox must give. The password goes to the host, which logs in; it is never seen here.
const ACCOUNT: &str = r#"{
    "type": "object",
    "properties": {
        "user": {"type": "string", "description": "Who logs in.", "minLength": 1},
        "password": {"type": "string", "description": "The password of this account."}
    },
    "required": ["user", "password"]
}"#;

/// The connector.
pub struct Telepost;

impl Reader for Telepost {
    type Source = source::Account;

    fn describe() -> Description {
        Description::new(
            "telepost",
            env!("CARGO_PKG_VERSION"),
            "Letters on a Telepost server (an invented protocol)",
        )
        .abilities(Abilities::INCREMENTAL | Abilities::REPORTS_VANISHED)
        .permission(Permission::Network(("host".to_owned(), "port".to_owned())))
        .schemas(SETTINGS, ACCOUNT)
    }
}

export_reader!(Telepost);
