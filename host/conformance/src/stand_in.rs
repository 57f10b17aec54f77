//! A stand-in for a provider: a program that speaks JSON lines over its standard input and output.
//!
//! It says a line when it is ready, answers each request with a line, and ends when its input ends. The requests are those
//! of [`Hooks`], and `content`.

use std::collections::VecDeque;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::time::timeout;
use whimbrel_model::{Collection, Role, Timestamp};

use crate::config::ConfigError;
use crate::{Add, Content, Hooks, Known, KnownItem, Mark, Remove, hook};

/// How long it may take to start: some are compiled first.
const STARTING: Duration = Duration::from_secs(300);
/// How long it may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it may take to end once its input has ended.
const ENDING: Duration = Duration::from_secs(2);
/// Lines of its standard error that are kept for whoever asks why it failed.
const KEPT: usize = 20;

/// A running stand-in.
#[derive(Debug)]
pub struct StandIn {
    line: Arc<Line>,
    said: Map<String, Value>,
    does: Vec<String>,
}

/// The way to it.
#[derive(Debug)]
struct Line {
    command: String,
    ends: tokio::sync::Mutex<Ends>,
    complaints: Complaints,
    child: Child,
}

#[derive(Debug)]
struct Ends {
    input: ChildStdin,
    output: Lines<BufReader<ChildStdout>>,
}

/// The last lines of its standard error.
type Complaints = Arc<Mutex<VecDeque<String>>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ready {
    ready: Map<String, Value>,
    #[serde(default)]
    does: Vec<String>,
}

impl StandIn {
    /// Starts it in a folder, and waits until it is ready.
    pub async fn start(command: &[String], folder: &Path) -> Result<Self, ConfigError> {
        let shown = command.join(" ");
        let failed = |reason: String| ConfigError::StandIn {
            command: shown.clone(),
            reason,
        };
        let (program, arguments) = command
            .split_first()
            .ok_or_else(|| failed("is no command".to_owned()))?;
        let program = match program.contains('/') {
            true => std::path::absolute(folder.join(program)).unwrap_or_else(|_| program.into()),
            false => program.into(),
        };
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| failed(format!("cannot be started: {error}")))?;
        let (Some(input), Some(output), Some(errors)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(failed("cannot be talked to".to_owned()));
        };
        let complaints = Complaints::default();
        let kept = Arc::clone(&complaints);
        tokio::spawn(async move {
            let mut lines = BufReader::new(errors).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.push_back(line);
                if kept.len() > KEPT {
                    kept.pop_front();
                }
            }
        });
        let line = Line {
            command: shown,
            ends: tokio::sync::Mutex::new(Ends {
                input,
                output: BufReader::new(output).lines(),
            }),
            complaints,
            child,
        };
        let first = line.ends.lock().await.read(STARTING).await;
        let first = first.map_err(|reason| line.broken(&reason))?;
        let ready: Ready = serde_json::from_str(&first).map_err(|error| {
            line.broken(&format!(
                "began with what is no `{{\"ready\": …}}`: {error}: {first:.200}"
            ))
        })?;
        Ok(Self {
            line: Arc::new(line),
            said: ready.ready,
            does: ready.does,
        })
    }

    /// Ends its input, and waits a while for it to end by itself, with what it cleans up. Dropping it ends it at once.
    pub async fn end(self) {
        let Some(line) = Arc::into_inner(self.line) else { return };
        let Line { ends, mut child, .. } = line;
        drop(ends);
        // Whoever does not end is ended by being dropped.
        let _ = timeout(ENDING, child.wait()).await;
    }

    /// What it said of itself when it was ready.
    pub fn said(&self) -> &Map<String, Value> {
        &self.said
    }

    /// What the account holds; nothing where it cannot tell.
    pub async fn content(&self) -> Result<Content, ConfigError> {
        if !self.does("content") {
            return Ok(Vec::new());
        }
        let answer = self.line.ask(&json!({ "do": "content" })).await;
        let answer = answer.map_err(|reason| self.line.broken(&reason))?;
        content(&answer.to_string()).map_err(|reason| {
            self.line
                .broken(&format!("answered `content` with what it is not: {reason}"))
        })
    }

    fn does(&self, what: &str) -> bool {
        self.does.iter().any(|does| does == what)
    }

    /// The changes that it can make.
    pub fn hooks(&self) -> Hooks {
        let ask = |what: &str| self.does(what).then(|| Arc::clone(&self.line));
        Hooks {
            add: ask("add").and_then(|line| {
                hook(move |add: Add| {
                    let request = json!({
                        "do": "add", "collection": named(&add.collection), "content": STANDARD.encode(&add.content),
                    });
                    done(Arc::clone(&line), request)
                })
            }),
            mark: ask("mark").and_then(|line| {
                hook(move |mark: Mark| {
                    let request = json!({
                        "do": "mark", "collection": named(&mark.collection), "id": mark.id,
                        "content": STANDARD.encode(&mark.content), "flags": mark.flags,
                    });
                    done(Arc::clone(&line), request)
                })
            }),
            remove: ask("remove").and_then(|line| {
                hook(move |remove: Remove| {
                    let request = json!({
                        "do": "remove", "collection": named(&remove.collection), "id": remove.id,
                        "content": STANDARD.encode(&remove.content),
                    });
                    done(Arc::clone(&line), request)
                })
            }),
            digest: ask("digest").and_then(|line| {
                hook(move |()| {
                    let line = Arc::clone(&line);
                    async move {
                        let answer = line.ask(&json!({ "do": "digest" })).await?;
                        let digest = answer.get("digest").and_then(Value::as_str);
                        digest
                            .map(str::to_owned)
                            .ok_or_else(|| "the stand-in gave no digest".to_owned())
                    }
                })
            }),
            renumber: ask("renumber").and_then(|line| {
                hook(move |collection: Collection| {
                    done(
                        Arc::clone(&line),
                        json!({ "do": "renumber", "collection": named(&collection) }),
                    )
                })
            }),
            throttle: ask("throttle").and_then(|line| {
                hook(move |seconds: u64| done(Arc::clone(&line), json!({ "do": "throttle", "seconds": seconds })))
            }),
            cut: ask("cut").and_then(|line| hook(move |()| done(Arc::clone(&line), json!({ "do": "cut" })))),
        }
    }
}

/// A collection as the stand-in is told of it.
fn named(collection: &Collection) -> Value {
    json!({ "id": collection.id, "path": collection.path })
}

async fn done(line: Arc<Line>, request: Value) -> Result<(), String> {
    line.ask(&request).await.map(drop)
}

impl Line {
    async fn ask(&self, request: &Value) -> Result<Value, String> {
        let mut ends = self.ends.lock().await;
        let sent = async {
            ends.input.write_all(format!("{request}\n").as_bytes()).await?;
            ends.input.flush().await
        };
        let what = request["do"].as_str().unwrap_or_default().to_owned();
        sent.await.map_err(|error| format!("does not take `{what}`: {error}"))?;
        let answer = ends.read(PATIENCE).await?;
        let answer: Value = serde_json::from_str(&answer)
            .map_err(|error| format!("answered `{what}` with what is no JSON: {error}"))?;
        match answer.get("error").and_then(Value::as_str) {
            Some(error) => Err(format!("the stand-in could not `{what}`: {error}")),
            None => Ok(answer),
        }
    }

    /// With what it complained of.
    fn broken(&self, reason: &str) -> ConfigError {
        let complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
        let mut reason = reason.to_owned();
        if !complaints.is_empty() {
            let lines: Vec<&str> = complaints.iter().map(String::as_str).collect();
            reason += &format!("\nit said:\n{}", lines.join("\n"));
        }
        ConfigError::StandIn {
            command: self.command.clone(),
            reason,
        }
    }
}

impl Ends {
    async fn read(&mut self, patience: Duration) -> Result<String, String> {
        match timeout(patience, self.output.next_line()).await {
            Ok(Ok(Some(line))) => Ok(line),
            Ok(Ok(None)) => {
                // What it complained of may still be on its way.
                tokio::time::sleep(Duration::from_millis(100)).await;
                Err("ended".to_owned())
            }
            Ok(Err(error)) => Err(format!("cannot be read: {error}")),
            Err(_) => Err(format!("said nothing for {} s", patience.as_secs())),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Told {
    collections: Vec<ToldCollection>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldCollection {
    path: Vec<String>,
    role: Option<Role>,
    #[serde(default)]
    items: Vec<ToldItem>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ToldItem {
    /// In base64.
    content: Option<String>,
    text: Option<String>,
    flags: Option<Vec<String>>,
    /// In the form of RFC 3339, with the offset in which it was written.
    received: Option<String>,
}

/// What an account holds, out of JSON.
///
/// # Errors
/// What is wrong with it.
pub fn content(text: &str) -> Result<Content, String> {
    let told: Told = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let known = |collection: ToldCollection| {
        Ok(Known {
            path: collection.path,
            role: collection.role,
            items: collection.items.into_iter().map(item).collect::<Result<_, String>>()?,
        })
    };
    told.collections.into_iter().map(known).collect()
}

fn item(told: ToldItem) -> Result<KnownItem, String> {
    let content = match (told.content, told.text) {
        (Some(base64), None) => Bytes::from(
            STANDARD
                .decode(&base64)
                .map_err(|error| format!("`content`: {error}"))?,
        ),
        (None, Some(text)) => Bytes::from(text),
        _ => return Err("an item has either `content`, in base64, or `text`".to_owned()),
    };
    let received = told.received.as_deref().map(instant).transpose()?;
    Ok(KnownItem {
        content,
        flags: told.flags,
        received,
    })
}

fn instant(text: &str) -> Result<Timestamp, String> {
    let wrong = |error: jiff::Error| format!("`received` {text:?}: {error}");
    let instant: jiff::Timestamp = text.parse().map_err(wrong)?;
    let pieces = jiff::fmt::temporal::Pieces::parse(text).map_err(wrong)?;
    let offset = pieces.to_numeric_offset().unwrap_or(jiff::tz::Offset::UTC);
    Ok(Timestamp {
        unix_ms: instant.as_millisecond(),
        offset_minutes: i16::try_from(offset.seconds() / 60).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_read() {
        let known = content(
            r#"{"collections":[{"path":["INBOX"],"role":"inbox","items":[
                {"content":"YQ==","flags":["\\Seen"],"received":"2024-05-01T12:00:00+02:00"},{"text":"b"}]}]}"#,
        )
        .unwrap();
        let [inbox] = &known[..] else { panic!("{known:?}") };
        assert_eq!((inbox.role, inbox.items.len()), (Some(Role::Inbox), 2));
        assert_eq!(inbox.items[0].content, &b"a"[..]);
        let received = Timestamp {
            unix_ms: 1_714_557_600_000,
            offset_minutes: 120,
        };
        assert_eq!(inbox.items[0].received, Some(received));
        assert_eq!(inbox.items[1].flags, None);
        for wrong in [
            "{}",
            r#"{"collections":[{"path":["a"],"items":[{}]}]}"#,
            r#"{"collections":[{"path":["a"],"items":[{"content":"?"}]}]}"#,
            r#"{"collections":[{"path":["a"],"items":[{"text":"","received":"yesterday"}]}]}"#,
        ] {
            assert!(content(wrong).is_err(), "{wrong}");
        }
    }

    fn shell(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).into()
    }

    #[tokio::test]
    async fn it_is_talked_to_in_lines() {
        let script = r#"echo '{"ready":{"port":7},"does":["digest","cut"]}'
            while read line; do case $line in
                *digest*) echo '{"digest":"one"}';; *cut*) echo '{"error":"not now"}';; esac; done"#;
        let stand_in = StandIn::start(&shell(script), Path::new(".")).await.unwrap();
        assert_eq!(stand_in.said()["port"], 7);
        assert!(stand_in.content().await.unwrap().is_empty());
        let hooks = stand_in.hooks();
        assert!(hooks.add.is_none() && hooks.throttle.is_none());
        assert_eq!(hooks.digest.unwrap()(()).await.unwrap(), "one");
        let error = hooks.cut.unwrap()(()).await.unwrap_err();
        assert!(error.contains("not now"), "{error}");
    }

    #[tokio::test]
    async fn one_that_does_not_start_is_told_with_what_it_said() {
        let cases = [
            ("echo 'no such port' >&2; exit 3", "no such port"),
            ("echo hello", "began with what is no"),
            ("exit 0", "ended"),
        ];
        for (script, part) in cases {
            let error = StandIn::start(&shell(script), Path::new("."))
                .await
                .unwrap_err()
                .to_string();
            assert!(error.contains(part) && error.contains("sh -c"), "{error}");
        }
        let nothing = ["./no-such-program".to_owned()];
        let error = StandIn::start(&nothing, Path::new(".")).await.unwrap_err().to_string();
        assert!(error.contains("cannot be started"), "{error}");
    }
}
