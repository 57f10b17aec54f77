//! Every key of the settings file: what is checked, suggested and documented comes from here.

mod secrets;

pub use secrets::{OAUTH, OUTSIDE, SECRET, VAULT};

/// What a value must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// A string.
    Text,
    /// `true` or `false`.
    Switch,
    /// A whole number from 1.
    Count,
    /// Bytes: a whole number, or a string such as `"256MiB"`.
    Size,
    /// Whole seconds from 1, or a string such as `"90s"` or `"5m"`.
    Time,
    /// A share of something: a string such as `"0.5%"`.
    Share,
    /// A moment: a date, or a date with time and offset (RFC 3339), in quotes or not.
    Moment,
    /// An array of strings.
    Texts,
    /// A string, or an array of strings.
    OneOrMore,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A table whose keys somebody else defines: the connector, or the script.
    Free,
    /// A table whose values are strings.
    Names,
    /// Where a secret lies: a table with one of these keys, or, with a warning, the secret itself.
    Secret(&'static [Key]),
    /// A table with keys of our own.
    Table(&'static [Key]),
    /// Tables with keys of our own, each by a name that the admin chooses.
    Named(&'static [Key]),
    /// An array of tables with keys of our own.
    Tables(&'static [Key]),
}

impl Form {
    /// What is expected, for messages and docs.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Switch => "switch, true or false",
            Self::Count => "whole number from 1",
            Self::Size => "size, e.g. \"256MiB\"",
            Self::Time => "time, e.g. \"90s\"",
            Self::Share => "share, e.g. \"0.5%\"",
            Self::Moment => "moment, e.g. 2027-01-31T22:00:00+01:00",
            Self::Texts => "list of texts",
            Self::OneOrMore => "text or list of texts",
            Self::Word(_) => "word",
            Self::Secret(_) => "[secret](#secrets)",
            Self::Free | Self::Names | Self::Table(_) => "table",
            Self::Named(_) => "table of tables",
            Self::Tables(_) => "list of tables",
        }
    }
}

/// One key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What its value must be.
    pub form: Form,
    /// Whether the file is refused without it.
    pub required: bool,
    /// What holds where it is missing; empty for nothing.
    pub default: &'static str,
    /// A sentence or two, in Markdown.
    pub help: &'static str,
}

const fn key(name: &'static str, form: Form, required: bool, default: &'static str, help: &'static str) -> Key {
    Key {
        name,
        form,
        required,
        default,
        help,
    }
}

/// `[migration]`.
pub const MIGRATION: &[Key] = &[
    key(
        "name",
        Form::Text,
        true,
        "",
        "What this migration is called in reports.",
    ),
    key(
        "state",
        Form::Text,
        false,
        "state",
        "The folder of the ledger, relative to the settings file. Keep it until the migration is over: it is what makes \
         a second run move only what is new.",
    ),
    key("kinds", Form::Texts, false, "whatever both connectors hold", KINDS_HELP),
];

const KINDS_HELP: &str = "What is moved, of `\"message\"`, `\"event\"`, `\"task\"`, `\"contact\"`, `\"note\"` and `\"filter\"`. \
                          With it, collections of other kinds are left out without a word.";

/// `[part.NAME]`.
pub const PART: &[Key] = &[
    key("kinds", Form::Texts, false, "whatever both connectors hold", KINDS_HELP),
    key(
        "source",
        Form::Table(SIDE),
        false,
        "that of the migration",
        "Where it comes from; without it, from where `[source]` says. The keys are those of `[source]`.",
    ),
    key(
        "destination",
        Form::Table(SIDE),
        false,
        "that of the migration",
        "Where it goes; without it, where `[destination]` says. The keys are those of `[source]`.",
    ),
];

/// `[mailbox.parts.NAME]`.
pub const MAILBOX_PART: &[Key] = &[
    key(
        "source",
        Form::Free,
        false,
        "{}",
        "The account of this part at the source. What is not said here is as in the mailbox's own `source`: `user` and secret, and \
         where the part names no side of its own, everything.",
    ),
    key(
        "destination",
        Form::Free,
        false,
        "{}",
        "The account of this part at the destination, likewise.",
    ),
    key(
        "skip",
        Form::Switch,
        false,
        "false",
        "Whether this mailbox has no such part.",
    ),
];

/// `[source]`, and most of `[destination]`.
pub const SIDE: &[Key] = &[
    key(
        "connector",
        Form::Text,
        true,
        "",
        "A connector's name, looked for in the plugin folders, or a path to a `.wasm`, relative to the settings file. \
         `whimbrel plugin list` shows what is there.",
    ),
    key(
        "settings",
        Form::Free,
        false,
        "{}",
        "What the connector asks for: `whimbrel plugin inspect NAME` shows it. Paths are relative to the settings file. \
         Never a secret.",
    ),
    key(
        "allow",
        Form::Texts,
        false,
        "[]",
        "Fixed hosts that this connector may reach beyond what its settings name, e.g. `[\"api.example.org\"]`. A \
         connector asks, this file grants; without both nothing is reached.",
    ),
    key(
        "ca",
        Form::Text,
        false,
        "",
        "A PEM file of certificate authorities to trust besides those of the system.",
    ),
    key(
        "pin",
        Form::OneOrMore,
        false,
        "",
        "Fingerprints by which servers are trusted instead of by authorities, e.g. `\"sha256:6b86…\"`: SHA-256 of the \
         certificate, as `openssl x509 -fingerprint -sha256` shows it, or of its public key (SPKI), which stays the same \
         when a renewal keeps the key. A server with another one is refused, whoever vouches for it; the name and the \
         dates that a pinned certificate bears do not count.",
    ),
    key(
        "compress",
        Form::Switch,
        false,
        "unless the server is this machine",
        "Whether IMAP connections are compressed where the server can (RFC 4978). It makes a slow line faster, and costs \
         both sides computing time: on a fast line of your own, `false` may be faster.",
    ),
    key(
        "daily",
        Form::Size,
        false,
        "",
        "How many bytes of messages each mailbox may move here in any 24 hours, for providers that lock accounts which move \
         more, e.g. `\"2GiB\"`. Counted in the ledger, over all runs; a mailbox that has used it up is parked until there \
         is room again.",
    ),
];

/// `[destination]`.
pub const DESTINATION: &[Key] = &WITH_REPAIRS;

const WITH_REPAIRS: [Key; SIDE.len() + 2] = {
    let mut keys = [SIDE[0]; SIDE.len() + 2];
    let mut at = 0;
    while at < SIDE.len() {
        keys[at] = SIDE[at];
        at += 1;
    }
    keys[at] = key(
        "repairs",
        Form::Texts,
        false,
        "[]",
        "What is tried with messages that are refused as they are, e.g. `[\"nul\", \"long-lines\"]`; see \
         [faults](faults.md#repairs). Without it, exact bytes are put or none.",
    );
    keys[at + 1] = key(
        "repairs_keep_original",
        Form::Switch,
        false,
        "false",
        "Whether the original of a repaired message is kept in the quarantine folder. Its fingerprint is kept in any case.",
    );
    keys
};

/// `[limits]`.
pub const LIMITS: &[Key] = &[
    key(
        "mailboxes",
        Form::Count,
        false,
        "8",
        "How many mailboxes are moved at once.",
    ),
    key(
        "connections",
        Form::Count,
        false,
        "4",
        "How many connections a mailbox has at most, to each side.",
    ),
    key(
        "memory",
        Form::Size,
        false,
        "128MiB",
        "What the whole run should take of memory. A quarter of it is for message bodies; those beyond go to unlinked temporary \
         files, so a large message costs disk and no memory.",
    ),
    key(
        "cpu",
        Form::Time,
        false,
        "30s",
        "How long a connector may compute in one call; waiting for the network does not count.",
    ),
    key(
        "plugin_memory",
        Form::Size,
        false,
        "64MiB",
        "How much memory one instance of a connector may use.",
    ),
    key(
        "plugin_disk",
        Form::Size,
        false,
        "8GiB",
        "How much one instance of a connector may hold in message bodies that it makes itself; beyond the memory for bodies they \
         lie in temporary files. One body may have half of it.",
    ),
    key(
        "max_item",
        Form::Size,
        false,
        "",
        "Messages above this size are left out and counted as `oversize`; without it only the destination's own limit holds.",
    ),
    key(
        "retries",
        Form::Count,
        false,
        "5",
        "How often in a row something that may pass is tried again before a mailbox is parked or stops; see \
         [faults](faults.md).",
    ),
    key(
        "wait",
        Form::Time,
        false,
        "30m",
        "How long the run waits, in sum, for a mailbox that is parked and in which nothing moves meanwhile, once no other has \
         anything to do. Then the run ends and says when to run again.",
    ),
    key(
        "max_backoff",
        Form::Time,
        false,
        "1h",
        "The longest pause that a server may ask for; a longer wish is cut to this.",
    ),
    key(
        "quiet",
        Form::Time,
        false,
        "5s",
        "How long a destination must show nothing new before what a broken connection or a killed run left open is sent \
         again: until then, some of it may still be on its way. Raise it for slow lines with large buffers.",
    ),
];

/// `[folders]`.
pub const FOLDERS: &[Key] = &[
    key(
        "map",
        Form::Names,
        false,
        "{}",
        "Where folders go that are to be called differently, e.g. `{ \"Gesendet\" = \"Sent\" }`. Levels are joined by `/`; \
         what lies below a folder follows it. Sent, drafts, trash and the like find their counterparts by themselves.",
    ),
    key(
        "exclude",
        Form::Texts,
        false,
        "[]",
        "Folders that are left out, with everything below them, e.g. `[\"Spam\"]`.",
    ),
];

/// `[[mailbox]]`.
pub const MAILBOX: &[Key] = &[
    key(
        "name",
        Form::Text,
        true,
        "",
        "What this mailbox is called in reports, with `--only`, and in the ledger. Unique.",
    ),
    key(
        "source",
        Form::Free,
        false,
        "{}",
        "The account at the source: `user`; `password`, `token` or `oauth`; and what else the connector asks for. Values \
         here win over those of `[source] settings`. `oauth` is the name of a section `[oauth.NAME]`.",
    ),
    key(
        "destination",
        Form::Free,
        false,
        "{}",
        "The account at the destination, likewise.",
    ),
    key(
        "attributes",
        Form::Names,
        false,
        "{}",
        "What rules are told about this mailbox, e.g. `{ department = \"sales\" }`: `b.get(\"department\")` in a script.",
    ),
    key(
        "parts",
        Form::Named(MAILBOX_PART),
        false,
        "",
        "What is different in a part of the mailbox, e.g. `[mailbox.parts.calendars]`, or \
         `parts.calendars = { source = { user = \"…\" } }` in the section of the mailbox.",
    ),
];

/// `[rules]`.
pub const RULES: &[Key] = &[
    key(
        "script",
        Form::Text,
        true,
        "",
        "The script, relative to the settings file, e.g. `rules.rhai`. Its modules lie in its folder or below it.",
    ),
    key(
        "on_error",
        Form::Word(&["quarantine", "stop"]),
        false,
        "quarantine",
        "What follows where the script fails on a message: `quarantine` keeps that message aside as failed and goes on with \
         the next, `stop` ends the run.",
    ),
    key(
        "set",
        Form::Free,
        false,
        "{}",
        "Values that take the place of the script's top-level constants, e.g. `{ YEARS = 3, ARCHIVE = \"Old\" }`. A name \
         that the script does not have, or a value of another type, is refused.",
    ),
    key(
        "limits",
        Form::Table(RULES_LIMITS),
        false,
        "",
        "What the script may cost for one message, folder or mailbox.",
    ),
    key(
        "attachments",
        Form::Table(ATTACHMENTS),
        false,
        "",
        "Where attachments go that rules detach. Without this section, `m.detach(…)` is an error.",
    ),
];

/// `[rules.limits]`.
pub const RULES_LIMITS: &[Key] = &[
    key(
        "operations",
        Form::Count,
        false,
        "1000000",
        "How many steps the script may take.",
    ),
    key(
        "depth",
        Form::Count,
        false,
        "64",
        "How deep its functions may call one another; at most 128.",
    ),
    key(
        "string",
        Form::Size,
        false,
        "1MiB",
        "How long one of its strings may be.",
    ),
    key(
        "time",
        Form::Time,
        false,
        "1s",
        "How long it may take, the reading of the message from memory or disk included.",
    ),
    key(
        "text",
        Form::Size,
        false,
        "64KiB",
        "How much of a message's text `m.text` holds.",
    ),
];

/// `[rules.attachments]`.
pub const ATTACHMENTS: &[Key] = &[
    key(
        "folder",
        Form::Text,
        true,
        "",
        "The folder for the files, relative to the settings file; they lie below it as `MAILBOX/HASH/NAME`.",
    ),
    key(
        "link",
        Form::Text,
        false,
        "",
        "What the link in the message begins with, e.g. `https://files.example.org/`; `MAILBOX/HASH/NAME` follows. Without \
         it, the message names the file's path.",
    ),
];

/// `[deletions]`.
pub const DELETIONS: &[Key] = &[
    key(
        "until",
        Form::Moment,
        true,
        "",
        "The moment up to which the source is the truth: the cutover. After it no deletion is mirrored. A date alone is its \
         beginning, UTC.",
    ),
    key(
        "apart",
        Form::Time,
        false,
        "24h",
        "How long a message must have been missing before it is looked for once more, and moved to the trash.",
    ),
    key(
        "max_share",
        Form::Share,
        false,
        "1%",
        "The largest share of a mailbox's messages that may be missing; where more are, none is moved to the trash.",
    ),
];

/// `[verify]`.
pub const VERIFY: &[Key] = &[
    key(
        "serious",
        Form::Texts,
        false,
        "[\"missing\", \"altered-content\", \"extra\", \"placement\", \"failed\", \"unexplained\"]",
        "Which findings are serious; all others (`altered-transport`, `date`, `flags`, `oversize`, `pending`) are slight.",
    ),
    key(
        "good_serious",
        Form::Share,
        false,
        "0%",
        "The largest share of messages with serious findings that is still graded `good`.",
    ),
    key(
        "good_slight",
        Form::Share,
        false,
        "1%",
        "The largest share of messages with slight findings that is still graded `good`.",
    ),
    key(
        "investigate_serious",
        Form::Share,
        false,
        "0.1%",
        "The largest share with serious findings that is graded `investigate`; above it is `poor`.",
    ),
    key(
        "investigate_slight",
        Form::Share,
        false,
        "10%",
        "The largest share with slight findings that is graded `investigate`; above it is `poor`.",
    ),
];

/// `[plugins]`.
pub const PLUGINS: &[Key] = &[
    key(
        "grants",
        Form::Text,
        false,
        "whimbrel.grants.toml",
        "The file that says which connectors are trusted, relative to the settings file. It is written by the program.",
    ),
    key(
        "trusted_keys",
        Form::Names,
        false,
        "{}",
        "Keys whose signatures of connectors count, each under a name of yours: 64 hexadecimal digits, or a PEM file relative \
         to the settings file, e.g. `{ acme = \"keys/acme.pem\" }`.",
    ),
    key(
        "require_signature",
        Form::Switch,
        false,
        "false",
        "Whether a connector that no trusted key has signed is refused.",
    ),
];

/// `[mailboxes]`.
pub const MAILBOXES: &[Key] = &[key(
    "file",
    Form::Text,
    true,
    "",
    "A CSV file with one mailbox a line, relative to the settings file, instead of or besides `[[mailbox]]`.",
)];

/// The whole file.
pub const FILE: &[Key] = &[
    key(
        "migration",
        Form::Table(MIGRATION),
        true,
        "",
        "What is migrated, and where the state is kept.",
    ),
    key(
        "source",
        Form::Table(SIDE),
        true,
        "",
        "Where mail comes from. It is only read.",
    ),
    key("destination", Form::Table(DESTINATION), true, "", "Where mail goes."),
    key(
        "part",
        Form::Named(PART),
        false,
        "",
        "What else is moved of every mailbox, by other connectors: `[part.calendars.source]` and `[part.calendars.destination]`, \
         e.g. The name is yours.",
    ),
    key("limits", Form::Table(LIMITS), false, "", "What the run may use."),
    key(
        "folders",
        Form::Table(FOLDERS),
        false,
        "",
        "Which folders are moved, and where to. Case does not matter.",
    ),
    key(
        "plugins",
        Form::Table(PLUGINS),
        false,
        "",
        "Which connectors are trusted; see [trust](trust.md).",
    ),
    key(
        "mailbox",
        Form::Tables(MAILBOX),
        false,
        "",
        "One mailbox; repeat the section for more.",
    ),
    key("mailboxes", Form::Table(MAILBOXES), false, "", "A fleet of mailboxes."),
    key(
        "secrets",
        Form::Table(VAULT),
        false,
        "",
        "How the vault is opened, which keeps secrets encrypted in the state folder; see [secrets](secrets.md).",
    ),
    key(
        "oauth",
        Form::Named(OAUTH),
        false,
        "",
        "A provider of OAuth 2.0 tokens, by a name that you choose; repeat the section for more. See [secrets](secrets.md).",
    ),
    key(
        "rules",
        Form::Table(RULES),
        false,
        "",
        "A script that decides about mailboxes, folders, messages and failures; see [rules](rules.md).",
    ),
    key(
        "deletions",
        Form::Table(DELETIONS),
        false,
        "",
        "With this section, what was deleted at the source goes to the trash of the destination, see \
         [deletions](deletions.md); without it, it stays where it is.",
    ),
    key(
        "verify",
        Form::Table(VERIFY),
        false,
        "",
        "How `whimbrel verify` grades: `perfect` where nothing was found, else by these limits; `poor` where the counts do \
         not add up.",
    ),
];

/// The table of every key, for `docs/settings.md`.
pub fn document() -> String {
    let mut out = String::new();
    for section in FILE {
        describe(&mut out, section, "");
    }
    out += "### Secrets\n\nA `password`, `token` or `client_secret` is a table with one of these; a plain text is accepted with a warning. The \
            `passphrase` of the vault cannot lie in the vault.\n\n";
    out += &table(SECRET);
    out
}

/// A section with the sections in it; `above` is the name of what holds it, with its point.
fn describe(out: &mut String, section: &Key, above: &str) {
    let name = format!("{above}{}", section.name);
    let (keys, title) = match section.form {
        Form::Tables(keys) => (keys, format!("`[[{name}]]`")),
        Form::Table(keys) => (keys, format!("`[{name}]`")),
        Form::Named(keys) => (keys, format!("`[{name}.NAME]`")),
        _ => return,
    };
    let must = if section.required { " Required." } else { "" };
    *out += &format!("### {title}\n\n{}{must}\n\n{}\n", section.help, table(keys));
    for inner in keys {
        describe(out, inner, &format!("{name}."));
    }
}

fn table(keys: &[Key]) -> String {
    let mut out = String::from("| key | value | default | what it is |\n|---|---|---|---|\n");
    for key in keys
        .iter()
        .filter(|key| !matches!(key.form, Form::Table(_) | Form::Tables(_) | Form::Named(_)))
    {
        let default = match (key.default, key.required) {
            (_, true) => "required".to_owned(),
            ("", false) => String::new(),
            (default, false) => format!("`{default}`"),
        };
        let form = match key.form {
            Form::Word(words) => format!("`{}`", words.join("` or `")),
            form => form.describe().to_owned(),
        };
        out += &format!("| `{}` | {form} | {default} | {} |\n", key.name, key.help);
    }
    out
}
