//! `whimbrel rules repl`.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use whimbrel_model::{ItemMeta, Role, Timestamp};
use whimbrel_rules::{FolderFacts, MailboxFacts, MessageFacts, Options, Repl, Rules};

use super::{effects, settings, trial};
use crate::args::Global;
use crate::exit::Exit;
use crate::failures;
use crate::output::{Output, safe};
use crate::problem::{Problem, Result};
use crate::rules;
use crate::settings::RuleSettings;

const HELP: &str = "\
Type a line of a script: `m` is a message, `f` its folder, `b` its mailbox; variables and functions stay.
  :try            what the script does to the message
  :load FILE      another message, from an .eml file
  :folder PATH    the folder that it lies in: Work/2024
  :script FILE    another script, or the same one read again
  :help           this
  :quit           the end; Ctrl-D does it too";

/// A message to begin with.
const SAMPLE: &[u8] = b"From: Bo Wader <bo@old.example>\r\n\
    To: Alice <alice@old.example>\r\n\
    Subject: The tide is out\r\n\
    Date: Tue, 14 Nov 2017 08:00:00 +0100\r\n\
    Message-ID: <sample@old.example>\r\n\
    List-Id: The flock <flock.old.example>\r\n\
    \r\n\
    Come and eat.\r\n";

/// Reads and evaluates lines until there are no more.
pub fn run(global: &Global, script: Option<&Path>, eml: Option<&Path>, output: Output) -> Result<Exit> {
    if output.is_json() {
        return Err(Box::new(Problem::usage(
            "`rules repl` talks to people: leave out --json",
        )));
    }
    let given = settings(global)?.and_then(|settings| settings.rules);
    let given = match (script, given) {
        (Some(script), Some(rules)) => Some(rules.with_script(script)),
        (Some(script), None) => Some(RuleSettings::plain(script)),
        (None, rules) => rules,
    };
    let folder = folder_at("INBOX");
    let (facts, content) = match eml {
        Some(path) => trial::message(&folder, path)?,
        None => sample(&folder),
    };
    let mut table = Table {
        repl: Repl::new(compiled(given.as_ref())?, facts, Arc::new(content)),
        given,
        output,
    };
    let failed = |error: ReadlineError| Box::new(Problem::failed(format!("cannot read what is typed: {error}")));
    let mut editor = DefaultEditor::new().map_err(failed)?;
    output.say(":help tells what can be typed");
    let mut waiting = String::new();
    loop {
        let prompt = if waiting.is_empty() { "> " } else { ". " };
        match editor.readline(prompt) {
            Ok(line) => {
                waiting += &line;
                waiting.push('\n');
                if is_open(&waiting) {
                    continue;
                }
                let text = std::mem::take(&mut waiting);
                let text = text.trim();
                if text.is_empty() {
                    continue;
                }
                // A line that is not remembered is no reason to stop.
                let _ = editor.add_history_entry(text);
                if !table.take(text) {
                    return Ok(Exit::Ok);
                }
            }
            Err(ReadlineError::Interrupted) => waiting.clear(),
            Err(ReadlineError::Eof) => return Ok(Exit::Ok),
            Err(error) => return Err(failed(error)),
        }
    }
}

/// Whether a bracket is open, so that the next line belongs to this one. Brackets in strings are told apart.
fn is_open(text: &str) -> bool {
    let (mut depth, mut quoted, mut escaped) = (0_i32, false, false);
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '(' | '[' | '{' if !quoted => depth += 1,
            ')' | ']' | '}' if !quoted => depth -= 1,
            _ => {}
        }
    }
    depth > 0 && !text.starts_with(':')
}

fn compiled(given: Option<&RuleSettings>) -> Result<Rules> {
    let now = jiff::Timestamp::now().as_second();
    match given {
        Some(settings) => rules::load_at(settings, now),
        None => {
            let name = "rules.rhai";
            let options = Options {
                started: Some(now),
                ..RuleSettings::plain(Path::new(name)).options()
            };
            Rules::compile(name, "", &options).map_err(|error| Box::new(Problem::failed(error.to_string())))
        }
    }
}

fn folder_at(path: &str) -> Arc<FolderFacts> {
    let inbox = path.eq_ignore_ascii_case("INBOX");
    Arc::new(FolderFacts {
        mailbox: Arc::new(MailboxFacts {
            name: "alice".to_owned(),
            ..MailboxFacts::default()
        }),
        path: path
            .split('/')
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect(),
        role: inbox.then_some(Role::Inbox),
        ..FolderFacts::default()
    })
}

fn sample(folder: &Arc<FolderFacts>) -> (MessageFacts, Bytes) {
    let facts = MessageFacts {
        folder: Arc::clone(folder),
        meta: Arc::new(ItemMeta {
            id: "1".to_owned(),
            size: Some(SAMPLE.len() as u64),
            received: Some(Timestamp {
                unix_ms: 1_510_642_800_000,
                offset_minutes: 60,
            }),
            flags: vec!["\\Seen".to_owned(), "Work".to_owned()],
            ..ItemMeta::default()
        }),
    };
    (facts, Bytes::from_static(SAMPLE))
}

/// What lines work on.
struct Table {
    repl: Repl,
    given: Option<RuleSettings>,
    output: Output,
}

impl Table {
    /// Does what a line says; false where it says that this is the end.
    fn take(&mut self, text: &str) -> bool {
        let Some(command) = text.strip_prefix(':') else {
            self.evaluate(text);
            return true;
        };
        let (word, rest) = command.split_once(char::is_whitespace).unwrap_or((command, ""));
        let rest = rest.trim();
        let done = match word {
            "quit" | "q" => return false,
            "help" | "h" => {
                self.output.say(HELP);
                Ok(())
            }
            "try" | "t" => {
                self.output.say(effects::full(&self.repl.effect(), true));
                Ok(())
            }
            "load" => self.load(rest),
            "folder" => self.folder(rest),
            "script" => self.script(rest),
            other => Err(Box::new(
                Problem::usage(format!("there is no :{other}")).help("type :help"),
            )),
        };
        if let Err(problem) = done {
            self.output.warn(&problem);
        }
        true
    }

    fn evaluate(&mut self, text: &str) {
        match self.repl.eval(text) {
            Ok(answer) => {
                for step in &answer.steps {
                    self.output.say(safe(&format!("→ {}", step.did)));
                }
                if let Some(value) = &answer.value {
                    self.output.say(safe(value));
                }
            }
            Err(error) => self.output.warn(&failures::script(&error)),
        }
    }

    fn load(&mut self, path: &str) -> Result<()> {
        if path.is_empty() {
            return Err(Box::new(Problem::usage("which file?").help(":load FILE")));
        }
        let (facts, content) = trial::message(&self.repl.facts().folder, Path::new(path))?;
        self.repl.look_at(facts, Arc::new(content));
        Ok(())
    }

    fn folder(&mut self, path: &str) -> Result<()> {
        if path.split('/').all(str::is_empty) {
            return Err(Box::new(Problem::usage("which folder?").help(":folder Work/2024")));
        }
        let facts = MessageFacts {
            folder: folder_at(path),
            ..self.repl.facts().clone()
        };
        let content = Arc::clone(self.repl.content());
        self.repl.look_at(facts, content);
        Ok(())
    }

    fn script(&mut self, path: &str) -> Result<()> {
        let given = match (path, &self.given) {
            ("", None) => return Err(Box::new(Problem::usage("which script?").help(":script FILE"))),
            ("", Some(given)) => given.clone(),
            (path, Some(given)) => given.with_script(Path::new(path)),
            (path, None) => RuleSettings::plain(Path::new(path)),
        };
        let (facts, content) = (self.repl.facts().clone(), Arc::clone(self.repl.content()));
        self.repl = Repl::new(compiled(Some(&given))?, facts, content);
        self.given = Some(given);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_goes_on_while_a_bracket_is_open() {
        assert!(is_open("fn double(n) {\n") && is_open("[1,\n"));
        assert!(!is_open("fn double(n) { n * 2 }\n") && !is_open("m.skip(\"a ( b\")\n") && !is_open(":load (x\n"));
        assert!(!is_open("\"a \\\" {\""));
    }
}
