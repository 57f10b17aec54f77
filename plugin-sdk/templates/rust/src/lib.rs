//! A connector to a bulletin of folders and letters, which is an invented provider.

pub mod bulletin;
pub mod destination;
pub mod source;

use whimbrel_plugin::{Abilities, Connector, Description, Permission, export_connector};

/// JSON Schema (2020-12) of what the admin's file may say. Whimbrel checks the file with it before anything runs.
const SETTINGS: &str = r#"{
    "type": "object",
    "properties": {
        "url": {"type": "string", "description": "Address of the bulletin's API", "minLength": 1},
        "tls": {
            "description": "`insecure` lets an address with `http://` be used",
            "enum": ["verify", "insecure"],
            "default": "verify"
        }
    },
    "required": ["url"],
    "additionalProperties": false
}"#;
/// What a mailbox must give. The password goes to the host, which logs in; it is never seen here.
const ACCOUNT: &str = r#"{
    "type": "object",
    "properties": {
        "user": {"type": "string", "description": "Who logs in", "minLength": 1},
        "password": {"type": "string", "description": "The password of this account"}
    },
    "required": ["user", "password"]
}"#;
/// What the provider can do, reading and writing.
const ABILITIES: Abilities = Abilities::INCREMENTAL
    .union(Abilities::REPORTS_VANISHED)
    .union(Abilities::RETURNS_IDS)
    .union(Abilities::KEEPS_RECEIVED)
    .union(Abilities::KEEPS_FLAGS);

/// The connector.
pub struct Letters;

impl Connector for Letters {
    type Source = source::Account;
    type Destination = destination::Account;

    fn describe() -> Description {
        let summary = "A bulletin of folders and letters (an invented provider)";
        Description::new("{{name}}", env!("CARGO_PKG_VERSION"), summary)
            .abilities(ABILITIES)
            .permission(Permission::Url("url".to_owned()))
            .schemas(SETTINGS, ACCOUNT)
    }
}

export_connector!(Letters);
