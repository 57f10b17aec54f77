//! `whimbrel plugin try`: a connector by hand.

mod calls;
mod show;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use clap::Parser as _;
use clap::error::ErrorKind;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use serde_json::{Value, json};
use whimbrel_conformance::config::Bench;
use whimbrel_sandbox::{Activity, Destination, Plugin, Seen, Source};

use super::{load_file, project};
use crate::args::Global;
use crate::exit::Exit;
use crate::output::{Output, complain, safe};
use crate::problem::{Problem, Result};
use calls::{Call, Line};

/// What a call gives: for people, and for programs.
struct Answer {
    text: String,
    json: Value,
}

/// One call, or a prompt where there is none.
pub async fn run(global: &Global, file: &Path, trace: bool, words: &[String], output: Output) -> Result<Exit> {
    // What is wrong with a line is told before anything is started for it.
    let call = match words {
        [] if output.is_json() => {
            let problem = Problem::usage("a prompt talks to people: name a call with --json");
            return Err(Box::new(problem));
        }
        [] => None,
        words => match Line::try_parse_from(words) {
            Ok(line) => Some(line.call),
            Err(help) if help.kind() == ErrorKind::DisplayHelp => {
                output.say(help.to_string());
                return Ok(Exit::Ok);
            }
            Err(error) => return Err(Box::new(Problem::usage(error.to_string()))),
        },
    };
    let project = project::of_component(global, file)?;
    let plugin = load_file(file).await?;
    let bench = project::start(&project).await?;
    let mut hand = Hand {
        file: file.to_owned(),
        stamp: stamp(file),
        plugin,
        bench,
        trace,
        source: None,
        destination: None,
    };
    let ended = match call {
        Some(call) => hand.call(call).await.map(|answer| {
            output.document(json!({ "answer": answer.json }), Exit::Ok);
            output.say(safe(&answer.text));
        }),
        None => hand.prompt(output).await,
    };
    hand.end().await;
    ended.map(|()| Exit::Ok)
}

/// A connector and its open accounts.
struct Hand {
    file: PathBuf,
    stamp: Option<Stamp>,
    plugin: Plugin,
    bench: Bench,
    trace: bool,
    source: Option<Source>,
    destination: Option<Destination>,
}

/// By which a file that was written anew is known.
type Stamp = (SystemTime, u64);

fn stamp(file: &Path) -> Option<Stamp> {
    let about = std::fs::metadata(file).ok()?;
    Some((about.modified().ok()?, about.len()))
}

impl Hand {
    /// Closes what is open, and lets the stand-in end.
    async fn end(self) {
        if let Some(source) = self.source {
            source.close().await;
        }
        if let Some(destination) = self.destination {
            destination.close().await;
        }
        self.bench.end().await;
    }

    /// Reads and makes calls until there are no more.
    async fn prompt(&mut self, output: Output) -> Result<()> {
        let failed = |error: ReadlineError| Box::new(Problem::failed(format!("cannot read what is typed: {error}")));
        let mut editor = DefaultEditor::new().map_err(failed)?;
        let name = self.plugin.description().name.clone();
        output.say(format!(
            "`{}` {}; help tells what can be called, Ctrl-D ends",
            safe(&name),
            self.plugin.description().version
        ));
        loop {
            let line = match editor.readline(&format!("{}> ", safe(&name))) {
                Ok(line) => line,
                Err(ReadlineError::Interrupted) => continue,
                Err(ReadlineError::Eof) => return Ok(()),
                Err(error) => return Err(failed(error)),
            };
            let Some(words) = shlex::split(&line) else {
                complain("a quotation mark is not closed");
                continue;
            };
            if words.is_empty() {
                continue;
            }
            // A line that is not remembered is no reason to stop.
            let _ = editor.add_history_entry(&line);
            match Line::try_parse_from(&words) {
                Ok(Line { call: Call::Quit }) => return Ok(()),
                Ok(Line { call }) => {
                    self.reload(output).await;
                    match self.call(call).await {
                        Ok(answer) => output.say(safe(&answer.text)),
                        Err(problem) => complain(&problem.render()),
                    }
                }
                Err(error) => output.say(error.to_string()),
            }
        }
    }

    /// Loads the connector anew where its file was written anew; the old one stays where the new one is no good.
    async fn reload(&mut self, output: Output) {
        let now = stamp(&self.file);
        if now.is_none() || now == self.stamp {
            return;
        }
        match load_file(&self.file).await {
            Ok(plugin) => {
                self.stamp = now;
                self.plugin = plugin;
                (self.source, self.destination) = (None, None);
                output.say(format!("`{}` was built anew: loaded", project::shown(&self.file)));
            }
            Err(problem) => complain(&problem.render()),
        }
    }

    /// The account to read; opened with the first call.
    async fn source(&mut self) -> Result<&mut Source> {
        if self.source.is_none() {
            let subject = self.bench.subject.source.as_ref();
            let mut spec = subject.ok_or_else(|| no_account("source"))?.spec.clone();
            spec.activity = self.activity();
            self.source = Some(
                self.plugin
                    .source(&spec)
                    .await
                    .map_err(|failure| refused("open", &failure))?,
            );
        }
        self.source.as_mut().ok_or_else(|| no_account("source"))
    }

    /// The account to write.
    async fn destination(&mut self) -> Result<&mut Destination> {
        if self.destination.is_none() {
            let spec = self.bench.subject.destination.as_ref();
            let mut spec = spec.ok_or_else(|| no_account("destination"))?.clone();
            spec.activity = self.activity();
            let opened = self.plugin.destination(&spec).await;
            self.destination = Some(opened.map_err(|failure| refused("open", &failure))?);
        }
        self.destination.as_mut().ok_or_else(|| no_account("destination"))
    }

    /// Shows what the connector does: every call of the host where that is wanted; its log and its traps in any case.
    fn activity(&self) -> Activity {
        let trace = self.trace;
        Activity::watched(Arc::new(move |seen| {
            if trace || !matches!(seen, Seen::HostCall { .. }) {
                complain(&show::seen(seen));
            }
        }))
    }
}

fn no_account(side: &str) -> Box<Problem> {
    let problem = Problem::usage(format!("the project's file names no account as [{side}]"));
    Box::new(problem.help(format!("add [{side}] with `user`, `password` and [{side}.settings]")))
}

/// The connector's own answer, which is no success.
fn refused(call: &str, failure: &whimbrel_model::Failure) -> Box<Problem> {
    Box::new(Problem::new(
        "connector",
        format!("`{call}`: {}", failure),
        Exit::Different,
    ))
}
