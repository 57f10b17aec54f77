//! `whimbrel document PART`: the generated parts of the documents.

use std::fmt::Write;
use std::time::Duration;

use clap::{Command, CommandFactory};
use whimbrel_engine::{Class, RETRY_CLASSES, RepairKind, Then, Tries};
use whimbrel_mail::TRANSPORT_HEADERS;
use whimbrel_rules::reference;
use whimbrel_wire::imap::LOGIN_CAUSES;

use super::plugin;
use crate::args::{Cli, Global};
use crate::exit::Exit;
use crate::output::Output;
use crate::problem::{Problem, Result};
use crate::settings::{document_csv, keys};

/// The parts, connectors apart.
const PARTS: [&str; 11] = [
    "settings",
    "csv",
    "cli",
    "exit-codes",
    "classes",
    "retry-classes",
    "login-causes",
    "repairs",
    "transport-headers",
    "rules-reference",
    "rules-definitions",
];

/// Prints one of them, as Markdown.
pub async fn run(global: &Global, part: &str, output: Output) -> Result<Exit> {
    let text = match part {
        "settings" => keys::document(),
        "csv" => document_csv(),
        "cli" => command_line(),
        "exit-codes" => exit_codes(),
        "classes" => classes(),
        "retry-classes" => retry_classes(),
        "login-causes" => login_causes(),
        "repairs" => repairs(),
        "transport-headers" => transport_headers(),
        "rules-reference" => reference::markdown(),
        "rules-definitions" => reference::definitions(),
        other => match other.strip_prefix("connector:") {
            Some(name) => plugin::markdown(&plugin::load(global, name).await?),
            None => {
                let help = format!("there are: {}, connector:NAME", PARTS.join(", "));
                return Err(Box::new(
                    Problem::usage(format!("there is no part `{other}`")).help(help),
                ));
            }
        },
    };
    output.say(text.trim_end());
    Ok(Exit::Ok)
}

fn exit_codes() -> String {
    let rows = Exit::TABLE
        .iter()
        .map(|(exit, meaning)| format!("| {} | {meaning} |\n", exit.code()));
    std::iter::once("| code | meaning |\n|---|---|\n".to_owned())
        .chain(rows)
        .collect()
}

/// What verification tells apart.
fn classes() -> String {
    let rows = Class::ALL
        .iter()
        .map(|class| format!("| `{}` | {} | {} |\n", class.code(), class.cause(), class.remedy()));
    std::iter::once("| class | likely cause | what to do |\n|---|---|---|\n".to_owned())
        .chain(rows)
        .collect()
}

/// What follows which failure.
fn retry_classes() -> String {
    let mut out = "| class | when | tries | pauses | then |\n|---|---|---|---|---|\n".to_owned();
    for row in &RETRY_CLASSES {
        let tries = match row.tries {
            Tries::Fixed(tries) => tries.to_string(),
            Tries::Setting => "`retries`".to_owned(),
        };
        let pauses = match row.tries {
            Tries::Fixed(0) => String::new(),
            _ => format!(
                "up to {}, then {} times as long each, up to {}",
                short(row.first),
                row.factor,
                short(row.longest)
            ),
        };
        let then = match row.then {
            Then::Park { first, longest } => format!("parked: {}, doubled up to {}", short(first), short(longest)),
            Then::Stop => "the mailbox stops".to_owned(),
            Then::Aside => "the message goes to the quarantine, the folder is left out".to_owned(),
        };
        let _ = writeln!(out, "| `{}` | {} | {tries} | {pauses} | {then} |", row.name, row.when);
    }
    out
}

/// Why logins are refused.
fn login_causes() -> String {
    let rows = LOGIN_CAUSES
        .iter()
        .map(|cause| format!("| {} | {} |\n", cause.cause, cause.remedy));
    std::iter::once("| likely cause | what to do |\n|---|---|\n".to_owned())
        .chain(rows)
        .collect()
}

/// What can be tried with refused messages.
fn repairs() -> String {
    let rows = RepairKind::all().map(|repair| format!("| `{}` | {} |\n", repair.name(), repair.summary()));
    std::iter::once("| repair | what it does |\n|---|---|\n".to_owned())
        .chain(rows)
        .collect()
}

/// A whole number of hours, minutes or seconds.
fn short(time: Duration) -> String {
    match time.as_secs() {
        seconds if seconds > 0 && seconds % 3600 == 0 => format!("{} h", seconds / 3600),
        seconds if seconds > 0 && seconds % 60 == 0 => format!("{} min", seconds / 60),
        seconds => format!("{seconds} s"),
    }
}

/// What content fingerprints pass over.
fn transport_headers() -> String {
    let names: Vec<String> = TRANSPORT_HEADERS.iter().map(|name| format!("`{name}`")).collect();
    names.join(", ")
}

/// The help of every verb.
fn command_line() -> String {
    let mut command = Cli::command().term_width(100);
    command.build();
    let mut out = String::new();
    sections(&mut command, "whimbrel", 3, &mut out);
    out
}

fn sections(command: &mut Command, name: &str, level: usize, out: &mut String) {
    // What every verb knows stands at the top only.
    let nested = name.contains(' ');
    let mut shown = command.clone().mut_args(|arg| {
        let hidden = nested && (arg.is_global_set() || arg.get_id() == "help");
        arg.hide(hidden)
    });
    let help = if nested {
        shown.render_help()
    } else {
        shown.render_long_help()
    }
    .to_string();
    // Writing into a String cannot fail.
    let _ = write!(
        out,
        "{} `{name}`\n\n```text\n{}\n```\n\n",
        "#".repeat(level),
        trimmed(&help)
    );
    for verb in command.get_subcommands_mut().filter(|verb| !verb.is_hide_set()) {
        let name = format!("{name} {}", verb.get_name());
        sections(verb, &name, level, out);
    }
}

/// Without blanks at line ends.
fn trimmed(text: &str) -> String {
    text.trim_end()
        .lines()
        .map(str::trim_end)
        .collect::<Vec<_>>()
        .join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_its_help_and_hidden_ones_have_none() {
        let text = command_line();
        for verb in [
            "`whimbrel migrate`",
            "`whimbrel ledger export`",
            "`whimbrel plugin inspect`",
            "`whimbrel rules try`",
            "--dry-run",
        ] {
            assert!(text.contains(verb), "{verb} is missing");
        }
        assert!(!text.contains("whimbrel document"));
    }

    #[test]
    fn every_exit_code_is_documented() {
        assert!(exit_codes().contains("| 130 | interrupted"));
    }

    #[test]
    fn every_retry_class_is_documented() {
        let text = retry_classes();
        assert!(
            text.contains("| `connection-lost` | a connection ends in the midst of work | `retries` | up to 1 s, then 2 times as long each, up to 30 s | parked: 1 min, doubled up to 15 min |"),
            "{text}"
        );
        assert_eq!(text.lines().count(), 2 + RETRY_CLASSES.len());
    }

    #[test]
    fn what_verification_knows_is_documented() {
        assert!(classes().contains("| `altered-content` | it was edited"));
        assert!(transport_headers().contains("`received`, `received-spf`"));
    }
}
