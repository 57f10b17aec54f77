//! `whimbrel`: moves mailboxes between providers and proves that nothing was lost.

mod accounts;
mod args;
mod ask;
mod demo;
mod exit;
mod failures;
mod folders;
mod interrupt;
mod output;
mod problem;
mod public_key;
mod rules;
mod secrets;
mod session;
mod settings;
mod trust;
mod verbs;
mod verified;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, LedgerVerb, PluginVerb, ProofVerb, RulesVerb, SecretsVerb, Verb};
use exit::Exit;
use output::{Output, logging};
use problem::{Problem, Result};

#[cfg(all(feature = "jemalloc", target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.global.verbose, cli.global.json);
    quiet_store();
    let output = Output::new(name(&cli.verb), cli.global.json);
    let result = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => {
            let result = runtime.block_on(run(cli, output));
            // What still runs in the background is not waited for: everything that counts is on the disk.
            runtime.shutdown_background();
            result
        }
        Err(error) => Err(Box::new(Problem::failed(format!("cannot start threads: {error}")))),
    };
    result.unwrap_or_else(|problem| output.problem(&problem)).into()
}

/// The store panics where its file is damaged. The ledger makes an error of that, with what to do: the panic itself is for
/// the log.
fn quiet_store() {
    let loud = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let place = panic.location().map(std::panic::Location::file);
        if place.is_some_and(|file| file.contains("/sled-")) {
            tracing::debug!("{panic}");
        } else {
            loud(panic);
        }
    }));
}

/// What the verb is called in JSON.
fn name(verb: &Verb) -> &'static str {
    match verb {
        Verb::Demo { .. } => "demo",
        Verb::Check(_) => "check",
        Verb::Assess(_) => "assess",
        Verb::Plan(_) | Verb::Migrate { dry_run: true, .. } => "plan",
        Verb::Migrate { .. } => "migrate",
        Verb::Verify(_) => "verify",
        Verb::Proof(ProofVerb::Write { .. }) => "proof write",
        Verb::Proof(ProofVerb::Message(_)) => "proof message",
        Verb::Proof(ProofVerb::Check { .. }) => "proof check",
        Verb::Status(_) => "status",
        Verb::Report(_) => "report",
        Verb::Retry { .. } => "retry",
        Verb::Events { .. } => "events",
        Verb::Ledger(LedgerVerb::Export { .. }) => "ledger export",
        Verb::Ledger(LedgerVerb::Import { .. }) => "ledger import",
        Verb::Ledger(LedgerVerb::Rebuild(_)) => "ledger rebuild",
        Verb::Rules(RulesVerb::Check { .. }) => "rules check",
        Verb::Rules(RulesVerb::Test { .. }) => "rules test",
        Verb::Rules(RulesVerb::Try(_)) => "rules try",
        Verb::Rules(RulesVerb::Api { .. }) => "rules api",
        Verb::Rules(RulesVerb::Repl { .. }) => "rules repl",
        Verb::Secrets(SecretsVerb::Init) => "secrets init",
        Verb::Secrets(SecretsVerb::Set { .. }) => "secrets set",
        Verb::Secrets(SecretsVerb::List) => "secrets list",
        Verb::Secrets(SecretsVerb::Remove { .. }) => "secrets remove",
        Verb::Secrets(SecretsVerb::Rekey { .. }) => "secrets rekey",
        Verb::Secrets(SecretsVerb::Login { .. }) => "secrets login",
        Verb::Plugin(PluginVerb::List) => "plugin list",
        Verb::Plugin(PluginVerb::Inspect { .. }) => "plugin inspect",
        Verb::Plugin(PluginVerb::Trust { .. }) => "plugin trust",
        Verb::Plugin(PluginVerb::Install { .. }) => "plugin install",
        Verb::Plugin(PluginVerb::Remove { .. }) => "plugin remove",
        Verb::Plugin(PluginVerb::Publish { .. }) => "plugin publish",
        Verb::Plugin(PluginVerb::New { .. }) => "plugin new",
        Verb::Plugin(PluginVerb::Build { .. }) => "plugin build",
        Verb::Plugin(PluginVerb::Test { .. }) => "plugin test",
        Verb::Plugin(PluginVerb::Try { .. }) => "plugin try",
        Verb::Plugin(PluginVerb::Keygen { .. }) => "plugin keygen",
        Verb::Plugin(PluginVerb::Sign { .. }) => "plugin sign",
        Verb::Plugin(PluginVerb::Verify { .. }) => "plugin verify",
        Verb::Document { .. } => "document",
    }
}

async fn run(cli: Cli, output: Output) -> Result<Exit> {
    let global = &cli.global;
    match &cli.verb {
        Verb::Demo { folder } => verbs::demo::run(global, folder, output).await,
        Verb::Check(only) => interrupt::or(verbs::check::run(global, &only.only, output)).await,
        Verb::Assess(only) => interrupt::or(verbs::assess::run(global, &only.only, output)).await,
        Verb::Plan(only) | Verb::Migrate { only, dry_run: true } => {
            interrupt::or(verbs::plan::run(global, &only.only, output)).await
        }
        Verb::Migrate { only, dry_run: false } => verbs::migrate::run(global, &only.only, output).await,
        Verb::Verify(args) => verbs::verify::run(global, args, output).await,
        Verb::Proof(ProofVerb::Write { only, folder }) => verbs::proof::write(global, &only.only, folder, output),
        Verb::Proof(ProofVerb::Message(args)) => verbs::proof::message(args, output),
        Verb::Proof(ProofVerb::Check { file, key }) => verbs::proof::check(file, key.as_deref(), output),
        Verb::Status(only) => verbs::status::run(global, &only.only, output),
        Verb::Report(args) => verbs::report::run(global, args, output),
        Verb::Retry { only, reason } => verbs::retry::run(global, &only.only, reason.as_deref(), output).await,
        Verb::Events { only, after } => verbs::events::run(global, &only.only, *after, output),
        Verb::Ledger(LedgerVerb::Export { file }) => verbs::ledger::export(global, file.as_deref(), output),
        Verb::Ledger(LedgerVerb::Import { file }) => verbs::ledger::import(global, file, output),
        Verb::Ledger(LedgerVerb::Rebuild(only)) => verbs::rebuild::run(global, &only.only, output).await,
        Verb::Rules(verb) => verbs::rules::run(global, verb, output).await,
        Verb::Secrets(verb) => verbs::secrets::run(global, verb, output).await,
        Verb::Plugin(verb) => interrupt::or(verbs::plugin::run(global, verb, output)).await,
        Verb::Document { part } => verbs::document::run(global, part, output).await,
    }
}
