//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

const AFTER: &str = "Exit codes: 0 all well; 1 the program failed; 2 bad usage or settings; 3 finished, but some items or \
                     mailboxes failed; 4 verification found a difference, or a proof or signature does not hold; 130 \
                     interrupted, run again to go on.";

/// Moves mailboxes between providers and proves that nothing was lost.
#[derive(Debug, Parser)]
#[command(name = "whimbrel", version, after_help = AFTER, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

/// The settings file where none is named.
pub const SETTINGS: &str = "whimbrel.toml";

/// What every verb knows.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The settings file.
    #[arg(short, long, global = true, value_name = "FILE", default_value = SETTINGS)]
    pub config: PathBuf,
    /// Machine-readable output on standard output.
    #[arg(long, global = true)]
    pub json: bool,
    /// A folder with connectors, looked in first; may be repeated.
    #[arg(long, global = true, value_name = "DIR")]
    pub plugins: Vec<PathBuf>,
    /// Log to standard error: -v what happens, -vv details, -vvv everything. Never subjects, bodies or secrets.
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// Which mailboxes.
#[derive(Debug, Clone, Args)]
pub struct Only {
    /// Only these mailboxes.
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    pub only: Vec<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// A whole migration of a built-in sample account, with no server and no settings.
    Demo {
        /// Where to put it; made if it is not there.
        #[arg(value_name = "FOLDER", default_value = "demo-out")]
        folder: PathBuf,
    },
    /// Check settings, connectors, permissions, connections and capabilities: every problem at once, with its remedy.
    Check(Only),
    /// What is there: collections, counts, sizes, oversize and risky items, capped listings, time estimate.
    Assess(Only),
    /// What would be done, step by step.
    Plan(Only),
    /// Do it; run again to resume or to catch up.
    Migrate {
        #[command(flatten)]
        only: Only,
        /// Show what would be done, and do nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Compare both sides with the ledger, message by message, and grade the outcome. Only reads.
    Verify(VerifyArgs),
    /// What became of every message, signed, for others to check.
    #[command(subcommand)]
    Proof(ProofVerb),
    /// Where things stand, from the ledger alone.
    Status(Only),
    /// What became of it, to show and to sign off: the verdict, the balance, what to do; with --html as a page.
    Report(ReportArgs),
    /// Take failed and oversize items up again, and migrate.
    Retry {
        #[command(flatten)]
        only: Only,
        /// Only items that failed for this reason, e.g. over-quota; `oversize` for those left out for their size.
        #[arg(long, value_name = "CODE")]
        reason: Option<String>,
    },
    /// The audit trail, oldest first. With --json, one object a line.
    Events {
        #[command(flatten)]
        only: Only,
        /// Only what came after the event of this number.
        #[arg(long, value_name = "NUMBER")]
        after: Option<u64>,
    },
    /// The ledger as JSON lines.
    #[command(subcommand)]
    Ledger(LedgerVerb),
    /// The script that decides: check it, test it, try it on real mail.
    #[command(subcommand)]
    Rules(RulesVerb),
    /// The vault: passwords, tokens and logins, encrypted in the state folder. Values are never shown.
    #[command(subcommand)]
    Secrets(SecretsVerb),
    /// The connectors.
    #[command(subcommand)]
    Plugin(PluginVerb),
    /// The generated part of a document; for `cargo xtask docs`.
    #[command(hide = true)]
    Document {
        /// Which one.
        part: String,
    },
}

/// How to verify.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    pub only: Only,
    /// Read so many bodies besides, chosen at random over all mailboxes: a number, or a share such as 5%.
    #[arg(long, value_name = "N|PERCENT", conflicts_with = "deep")]
    pub sample: Option<String>,
    /// What chance starts from: the same number chooses the same messages again.
    #[arg(long, value_name = "NUMBER", requires = "sample")]
    pub seed: Option<u64>,
    /// Read every body, at both sides.
    #[arg(long)]
    pub deep: bool,
    /// Messages at the destination that are not of the migration are differences too.
    #[arg(long)]
    pub strict: bool,
    /// Write a line for every message to a new file: `=` equal, `+` only at the source, `-` only at the destination, `*`
    /// different, `!` could not be read; then mailbox, folder and id.
    #[arg(long, value_name = "FILE")]
    pub combined: Option<PathBuf>,
    /// Write every difference to a new folder, a file for each class, as JSON lines.
    #[arg(long, value_name = "DIR")]
    pub differences: Option<PathBuf>,
}

/// What to report.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    #[command(flatten)]
    pub only: Only,
    /// Write one HTML file with everything: mailboxes, charts, failures, rules, runs. Takes the place of an earlier report,
    /// and of nothing else.
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,
    /// Show the subjects of messages that failed, read from the quarantine. They are content of messages.
    #[arg(long)]
    pub subjects: bool,
}

/// What to do with proofs.
#[derive(Debug, Subcommand)]
pub enum ProofVerb {
    /// Write a proof of each mailbox, from its last verification, and the key that others check them with.
    Write {
        #[command(flatten)]
        only: Only,
        /// Where to; made if it is not there. Never overwrites a proof.
        #[arg(value_name = "FOLDER")]
        folder: PathBuf,
    },
    /// Take one message out of a mailbox's proof, for whom it concerns: it holds by itself and tells of no other one.
    Message(ProofMessage),
    /// Check a proof. Needs neither settings nor a network.
    Check {
        /// A proof of a mailbox or of a message.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Whose it must be: the public key in a PEM file, or its 64 hexadecimal digits.
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
    },
}

/// Which message, and where to.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("which").multiple(true).required(true))]
pub struct ProofMessage {
    /// The proof of its mailbox.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Where to write it. Never overwrites.
    #[arg(value_name = "OUT")]
    pub out: PathBuf,
    /// The folder at the source that it was in, as a path.
    #[arg(long, value_name = "PATH", group = "which")]
    pub folder: Option<String>,
    /// Its id there (the UID, for IMAP).
    #[arg(long, value_name = "ID", group = "which")]
    pub id: Option<String>,
    /// BLAKE3 of its bytes at the source, as `b3sum` shows it.
    #[arg(long, value_name = "HASH", group = "which")]
    pub hash: Option<String>,
}

/// What to do with the ledger.
#[derive(Debug, Subcommand)]
pub enum LedgerVerb {
    /// Write every record, as JSON lines.
    Export {
        /// Where to; standard output without it. Never overwrites.
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Read an export into a ledger that is not there yet or is empty.
    Import {
        /// Where from; `-` for standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Find out from the destination what is there, where the ledger was lost or is damaged. Reads every message of both
    /// sides, and writes none.
    Rebuild(Only),
}

/// What to do with scripts.
#[derive(Debug, Subcommand)]
pub enum RulesVerb {
    /// What is wrong with a script, or looks wrong: unknown names, wrong arguments, rules that never apply.
    Check {
        /// The scripts; that of the settings without any.
        #[arg(value_name = "SCRIPT")]
        scripts: Vec<PathBuf>,
        /// What looks wrong counts like what is wrong.
        #[arg(long)]
        strict: bool,
    },
    /// Run the tests beside scripts: every `NAME.test.rhai` tests the `NAME.rhai` in its folder.
    Test {
        /// Test files, scripts, or folders that are searched; the folder of the settings' script without any.
        #[arg(value_name = "PATH")]
        paths: Vec<PathBuf>,
        /// Only tests whose names contain this.
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
        /// Write the results as JUnit XML too.
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
    },
    /// Show what the rules would do to mailboxes, to one message, or to .eml files. Only reads.
    Try(RulesTry),
    /// What scripts can use: the reference.
    Api {
        /// Only what has this in its name or description.
        #[arg(value_name = "WORD")]
        word: Option<String>,
        /// As a .d.rhai file, for editors.
        #[arg(long)]
        definitions: bool,
    },
    /// Type lines of a script and see at once what they give; `m` is a message.
    Repl {
        /// The script whose functions are at hand; that of the settings without it, if there are settings.
        #[arg(value_name = "SCRIPT")]
        script: Option<PathBuf>,
        /// The message; a small sample without it.
        #[arg(long, value_name = "FILE")]
        eml: Option<PathBuf>,
    },
}

/// What to try a script on.
#[derive(Debug, Clone, Args)]
pub struct RulesTry {
    #[command(flatten)]
    pub only: Only,
    /// Another script than that of the settings; it gets the same `[rules]` settings.
    #[arg(long, value_name = "FILE")]
    pub script: Option<PathBuf>,
    /// An older version of the script: what would the new one do otherwise?
    #[arg(long, value_name = "FILE")]
    pub against: Option<PathBuf>,
    /// Messages in files instead of mailboxes.
    #[arg(long, value_name = "FILE", num_args = 1..)]
    pub eml: Vec<PathBuf>,
    /// Only this folder and those below it; with --eml, the folder that the messages are said to lie in.
    #[arg(long, value_name = "PATH")]
    pub folder: Option<String>,
    /// Only the message with this id in its folder (the UID, for IMAP).
    #[arg(long, value_name = "ID", requires = "folder", conflicts_with = "eml")]
    pub id: Option<String>,
    /// At most so many messages of each folder.
    #[arg(long, value_name = "NUMBER", conflicts_with = "eml")]
    pub most: Option<u64>,
    /// Write what becomes of every message to a new file, as JSON lines.
    #[arg(long, value_name = "FILE")]
    pub list: Option<PathBuf>,
    /// Show the values of header fields that change, not only their names. They are content of messages.
    #[arg(long)]
    pub values: bool,
}

/// What to do with secrets.
#[derive(Debug, Subcommand)]
pub enum SecretsVerb {
    /// Make the vault, and the key file that the settings name where it is not there yet.
    Init,
    /// Set a secret. It is typed, unseen, on a terminal; else it is read from standard input.
    Set {
        /// What the settings call it: `{ secret = "NAME" }`.
        #[arg(value_name = "NAME")]
        name: String,
        /// It is an OAuth refresh token that was got elsewhere; NAME is OAUTH/USER then.
        #[arg(long)]
        refresh_token: bool,
    },
    /// Names, kinds, when they were set, when they end. Never values.
    List,
    /// Remove secrets.
    Remove {
        /// As `list` shows them.
        #[arg(value_name = "NAME", required = true)]
        names: Vec<String>,
    },
    /// Encrypt everything for another key: a new passphrase, or a key file.
    Rekey {
        /// A key file; made if it is not there.
        #[arg(long, value_name = "FILE")]
        key_file: Option<PathBuf>,
    },
    /// Log in as a section [oauth.NAME] says, for every account that names it, and keep the tokens.
    Login {
        /// The section's name.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        only: Only,
    },
}

/// What a connector's project is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// With the SDK and nothing but cargo.
    Rust,
    /// With componentize-py.
    Python,
    /// With componentize-qjs.
    Javascript,
}

impl Language {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Python => "python",
            Self::Javascript => "javascript",
        }
    }
}

/// Where connectors are installed.
#[derive(Debug, Clone, Args)]
pub struct Into {
    /// The plugin folder; where nothing is said, the first of --plugins and WHIMBREL_PLUGINS, else the user's own.
    #[arg(long, value_name = "DIR")]
    pub into: Option<PathBuf>,
}

/// What to do with connectors.
#[derive(Debug, Subcommand)]
pub enum PluginVerb {
    /// Every connector in the plugin folders.
    List,
    /// What a connector is, asks for and can do.
    Inspect {
        /// A name, or a path to a .wasm.
        #[arg(value_name = "CONNECTOR")]
        connector: String,
    },
    /// Grant a connector of the settings what it asks for, as it is now: new ones that ask for hosts of their own choice, and
    /// those that changed, are not used before.
    Trust {
        /// As the settings call it.
        #[arg(value_name = "CONNECTOR")]
        connector: String,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Make a project for a connector of your own: it builds, passes the suite, and reads like an example.
    New {
        /// What it is to be called: lower-case letters, digits and `-`.
        #[arg(value_name = "NAME")]
        name: String,
        /// What it is written in.
        #[arg(long, value_enum, value_name = "LANGUAGE")]
        lang: Language,
        /// Where; a new folder of its name where nothing is said.
        #[arg(long, value_name = "DIR")]
        folder: Option<PathBuf>,
    },
    /// Make one checked component of a project, a core module or a component.
    Build {
        /// The project's folder, or a .wasm.
        #[arg(value_name = "PROJECT|FILE", default_value = ".")]
        place: PathBuf,
        /// Where to; build/NAME.wasm in the project where nothing is said.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Keep the names of functions: the stacks of traps are readable, and the component is larger.
        #[arg(long)]
        names: bool,
    },
    /// Run the conformance suite over a connector, on the accounts of its connector.toml: the one that --config names, or the
    /// nearest in the folders above the .wasm.
    Test {
        /// The .wasm.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What SHOULD hold has to hold, and nothing is skipped for want of a stand-in that can.
        #[arg(long)]
        strict: bool,
        /// Only the cases whose id begins so, e.g. changes/ or put/order.
        #[arg(long, value_name = "CASE", num_args = 1.., value_delimiter = ',')]
        only: Vec<String>,
        /// Write the outcome in the form of JUnit, too.
        #[arg(long, value_name = "FILE")]
        junit: Option<PathBuf>,
    },
    /// Open a connector and make calls by hand: `collections`, `changes INBOX`, `fetch INBOX ID`, `put INBOX FILE`…; without
    /// a call, at a prompt, where a connector that is built anew is loaded anew. On the accounts of its connector.toml, as
    /// `plugin test`.
    Try {
        /// The .wasm.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Show each call of the host, with its time and sizes.
        #[arg(long)]
        trace: bool,
        /// The call; `help` lists them.
        #[arg(value_name = "CALL", trailing_var_arg = true, allow_hyphen_values = true)]
        call: Vec<String>,
    },
    /// Put connectors into the plugin folder, versions side by side: checks them, shows what they ask for, and notes that in the
    /// folder's connectors.lock.
    Install {
        /// A .wasm, a folder of them, or oci://HOST/NAME:TAG.
        #[arg(value_name = "FILE|DIR|ADDRESS")]
        from: String,
        #[command(flatten)]
        into: Into,
        /// Whose it must be: the public key in a PEM file, or its 64 hexadecimal digits. Those that the settings trust count too.
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Take an installed connector out of the plugin folder.
    Remove {
        /// NAME@VERSION, or NAME where one version is installed.
        #[arg(value_name = "NAME")]
        name: String,
        #[command(flatten)]
        into: Into,
    },
    /// Put a connector with its signature into a registry, for others to install. Logs in with WHIMBREL_REGISTRY_USER and
    /// WHIMBREL_REGISTRY_PASSWORD where they are set.
    Publish {
        /// The .wasm.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Where: oci://HOST/NAME:TAG.
        #[arg(value_name = "ADDRESS")]
        to: String,
    },
    /// Make a key to sign connectors with: NAME.key, to be kept secret, and NAME.pem, to be given away.
    Keygen {
        /// A path without an ending. Never overwrites.
        #[arg(value_name = "NAME")]
        name: PathBuf,
    },
    /// Sign a connector: writes FILE.sig beside it.
    Sign {
        /// The .wasm.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// What `plugin keygen` made.
        #[arg(long, value_name = "NAME.key")]
        key: PathBuf,
    },
    /// Check a connector's signature, by the keys given or by those that the settings trust.
    Verify {
        /// The .wasm.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Whose it must be: the public key in a PEM file, or its 64 hexadecimal digits.
        #[arg(long, value_name = "KEY")]
        key: Vec<String>,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::exit::Exit;

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_names_every_exit_code() {
        for (exit, _) in Exit::TABLE {
            assert!(AFTER.contains(&exit.code().to_string()), "{exit:?}");
        }
    }

    #[test]
    fn options_stand_before_and_after_the_verb() {
        let cli = Cli::try_parse_from([
            "whimbrel", "--json", "migrate", "--only", "a", "b,c", "-c", "x.toml", "-vv",
        ])
        .unwrap();
        assert!(cli.global.json && cli.global.verbose == 2 && cli.global.config.as_os_str() == "x.toml");
        let Verb::Migrate { only, dry_run: false } = cli.verb else {
            panic!("not migrate")
        };
        assert_eq!(only.only, ["a", "b", "c"]);
    }

    #[test]
    fn bad_usage_exits_with_two() {
        for line in [
            &["whimbrel"][..],
            &["whimbrel", "migrat"],
            &["whimbrel", "events", "--after", "x"],
        ] {
            assert_eq!(
                Cli::try_parse_from(line).unwrap_err().exit_code(),
                i32::from(Exit::Usage.code()),
                "{line:?}"
            );
        }
    }
}
