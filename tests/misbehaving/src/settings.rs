//! The modes, and what chooses one.

use serde::Deserialize;
use whimbrel_plugin::{Failure, Result};

/// A way to misbehave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // The table below says it.
pub enum Mode {
    Good,
    Spin,
    SpinPut,
    Allocate,
    Trap,
    TrapOpen,
    TrapPut,
    Recurse,
    WrongCount,
    WrongSize,
    FewerAnswers,
    MoreAnswers,
    SwappedAnswers,
    UnlistedAnswers,
    EndlessPages,
    StuckCursor,
    TooManyChanges,
    HugeList,
    HugeString,
    HugeCursor,
    HugeBlob,
    HugeWait,
    EmptyId,
    LongId,
    DuplicateIds,
    DuplicateCollections,
    CompleteAndCapped,
    UngrantedHost,
    UngrantedSetting,
    EscapeFolder,
    AbsolutePath,
    LostPut,
    SamePlacement,
    FewerPlacements,
    Garbage,
    FloodLog,
    SecretSettings,
    HostTricks,
    ReadSecrets,
    OtherMailbox,
    WriteSource,
    WriteImap,
    AskWasi,
    OddNames,
    FillDisk,
    HoardHandles,
    HoardFolders,
}

/// Name, mode, the call in which it strikes, and what it does.
pub const MODES: &[(&str, Mode, &str, &str)] = &[
    ("good", Mode::Good, "", "an honest account"),
    ("spin", Mode::Spin, "changes", "computes for ever"),
    ("spin-put", Mode::SpinPut, "put", "computes for ever"),
    ("allocate", Mode::Allocate, "changes", "takes memory without end"),
    ("trap", Mode::Trap, "fetch", "traps"),
    ("trap-open", Mode::TrapOpen, "open", "traps"),
    (
        "trap-put",
        Mode::TrapPut,
        "put",
        "traps after half of the items are kept",
    ),
    ("recurse", Mode::Recurse, "changes", "overflows the stack"),
    (
        "wrong-count",
        Mode::WrongCount,
        "collections",
        "claims twice as many items as it lists",
    ),
    (
        "wrong-size",
        Mode::WrongSize,
        "changes",
        "claims sizes that the bodies have not",
    ),
    (
        "fewer-answers",
        Mode::FewerAnswers,
        "fetch",
        "leaves out the last answer",
    ),
    ("more-answers", Mode::MoreAnswers, "fetch", "gives an answer too many"),
    (
        "swapped-answers",
        Mode::SwappedAnswers,
        "fetch",
        "gives the answers in reverse",
    ),
    (
        "unlisted-answers",
        Mode::UnlistedAnswers,
        "fetch",
        "gives items under ids that nobody asked for",
    ),
    (
        "endless-pages",
        Mode::EndlessPages,
        "changes",
        "gives empty pages for ever, each with another cursor",
    ),
    (
        "stuck-cursor",
        Mode::StuckCursor,
        "changes",
        "says that more is waiting, with the cursor that it was given",
    ),
    (
        "too-many-changes",
        Mode::TooManyChanges,
        "changes",
        "gives one change more than the limit",
    ),
    (
        "huge-list",
        Mode::HugeList,
        "collections",
        "gives a million collections",
    ),
    ("huge-string", Mode::HugeString, "collections", "gives a name of 32 MiB"),
    ("huge-cursor", Mode::HugeCursor, "changes", "gives a cursor of 1 MiB"),
    (
        "huge-blob",
        Mode::HugeBlob,
        "fetch",
        "makes a body of 2 MiB in one piece",
    ),
    (
        "huge-wait",
        Mode::HugeWait,
        "wait",
        "computes for ever instead of waiting",
    ),
    ("empty-id", Mode::EmptyId, "changes", "gives an item an empty id"),
    ("long-id", Mode::LongId, "changes", "gives an item an id of 2,000 bytes"),
    (
        "duplicate-ids",
        Mode::DuplicateIds,
        "changes",
        "lists the first item twice",
    ),
    (
        "duplicate-collections",
        Mode::DuplicateCollections,
        "collections",
        "gives the same collection twice",
    ),
    (
        "complete-and-capped",
        Mode::CompleteAndCapped,
        "changes",
        "says that a listing is complete and cut short",
    ),
    (
        "ungranted-host",
        Mode::UngrantedHost,
        "open",
        "connects to a host that nobody granted",
    ),
    (
        "ungranted-setting",
        Mode::UngrantedSetting,
        "open",
        "opens a folder by a setting that it did not ask for",
    ),
    ("escape-folder", Mode::EscapeFolder, "open", "reads above its folder"),
    ("absolute-path", Mode::AbsolutePath, "open", "reads an absolute path"),
    (
        "lost-put",
        Mode::LostPut,
        "put",
        "says that everything is placed, and keeps nothing",
    ),
    (
        "same-placement",
        Mode::SamePlacement,
        "put",
        "gives every item the same id",
    ),
    (
        "fewer-placements",
        Mode::FewerPlacements,
        "put",
        "leaves out the last answer",
    ),
    ("garbage", Mode::Garbage, "fetch", "gives bytes that are no message"),
    (
        "flood-log",
        Mode::FloodLog,
        "changes",
        "writes 100,000 lines of 64 KiB to the log",
    ),
    (
        "secret-settings",
        Mode::SecretSettings,
        "open",
        "fails where it finds a secret among its settings, else is good",
    ),
    (
        "host-tricks",
        Mode::HostTricks,
        "open",
        "connects to names, addresses and ports that look like the granted ones",
    ),
    (
        "read-secrets",
        Mode::ReadSecrets,
        "open",
        "looks for a password (`needle`, reversed) in everything that the host gives, else is good",
    ),
    (
        "other-mailbox",
        Mode::OtherMailbox,
        "open",
        "reads the folder of another mailbox beside its own",
    ),
    (
        "write-source",
        Mode::WriteSource,
        "open",
        "changes the folder that a source only reads",
    ),
    (
        "write-imap",
        Mode::WriteImap,
        "open",
        "changes the IMAP account that a source only reads",
    ),
    (
        "ask-wasi",
        Mode::AskWasi,
        "open",
        "looks for environment, arguments, folders and name look-ups in WASI, else is good",
    ),
    (
        "odd-names",
        Mode::OddNames,
        "collections",
        "names a folder with control and reordering characters",
    ),
    ("fill-disk", Mode::FillDisk, "changes", "makes bodies without end"),
    (
        "hoard-handles",
        Mode::HoardHandles,
        "changes",
        "holds bodies without end",
    ),
    (
        "hoard-folders",
        Mode::HoardFolders,
        "open",
        "opens its folder without end",
    ),
];

/// What the admin, or a mailbox, sets.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    #[serde(default = "good")]
    mode: String,
    /// How many messages there are.
    #[serde(default = "twenty")]
    pub messages: u32,
    /// The server that is granted.
    #[serde(default)]
    pub host: String,
    /// Its port.
    #[serde(default)]
    pub port: u16,
    /// A password, reversed, so that nobody finds it here.
    #[serde(default)]
    pub needle: String,
}

fn good() -> String {
    "good".to_owned()
}

fn twenty() -> u32 {
    20
}

impl Settings {
    /// Reads them.
    ///
    /// # Errors
    /// `invalid-settings` where the mode is not known.
    pub fn read(settings: &whimbrel_plugin::Settings) -> Result<Self> {
        let settings: Self = settings.parse()?;
        settings.find()?;
        Ok(settings)
    }

    /// The mode that is set.
    pub fn mode(&self) -> Mode {
        self.find().unwrap_or(Mode::Good)
    }

    fn find(&self) -> Result<Mode> {
        let found = MODES
            .iter()
            .find(|(name, ..)| *name == self.mode)
            .map(|(_, mode, ..)| *mode);
        found.ok_or_else(|| Failure::invalid_settings("`mode` is none of the modes"))
    }
}

/// JSON Schema of the settings, and of a mailbox: a mailbox may have a mode of its own.
pub fn schema() -> String {
    let names: Vec<String> = MODES.iter().map(|(name, ..)| format!("\"{name}\"")).collect();
    format!(
        r#"{{"type":"object","properties":{{"mode":{{"enum":[{}],"default":"good"}},"messages":{{"type":"integer","minimum":0,"default":20}},"folder":{{"type":"string"}},"host":{{"type":"string"}},"port":{{"type":"integer"}},"tls":{{"type":"string"}},"needle":{{"type":"string"}},"user":{{"type":"string"}},"password":{{}}}}}}"#,
        names.join(",")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mode_is_in_the_schema_and_the_readme_once() {
        let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
        let names = schema["properties"]["mode"]["enum"].as_array().unwrap();
        assert_eq!(names.len(), MODES.len());
        let readme = include_str!("../README.md");
        for (name, mode, call, what) in MODES {
            assert_eq!(names.iter().filter(|other| other == name).count(), 1, "{name}");
            assert_eq!(MODES.iter().filter(|(_, other, ..)| other == mode).count(), 1, "{name}");
            assert!(readme.contains(&format!("| `{name}` | {call} | {what} |")), "{name}");
            let settings = whimbrel_plugin::Settings::new(format!(r#"{{"mode":"{name}"}}"#));
            assert_eq!(Settings::read(&settings).unwrap().mode(), *mode);
        }
        assert!(Settings::read(&whimbrel_plugin::Settings::new(r#"{"mode":"odd"}"#)).is_err());
    }
}
