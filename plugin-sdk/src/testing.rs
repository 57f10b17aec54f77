//! A host without a sandbox, for `cargo test` of a connector (feature `testing`, native builds alone).
//!
//! With the feature, [`Blob`](crate::Blob), [`http`](crate::http), [`tcp`](crate::tcp), [`files`](crate::files) and the log work
//! natively: bodies lie in memory, connections go to the loopback and nowhere else, folders are those that the test
//! names, and [IMAP](crate::imap) sessions are what the test answers. Put the feature into `[dev-dependencies]`, so that
//! the component is built without it.
//!
//! ```
//! use whimbrel_plugin::testing::{self, Host};
//! use whimbrel_plugin::{blobs, http};
//!
//! let host = Host::new().login("alice", "Sesame-7341").http(|request| {
//!     assert_eq!(request.url, "https://api.example.org/folders");
//!     Ok(http::Response { status: 200, url: request.url.clone(), headers: Vec::new(), body: blobs::blob(b"[]") })
//! });
//! let here = host.enter();
//! let request = http::Request {
//!     method: "GET".into(), url: "https://api.example.org/folders".into(), headers: Vec::new(), body: None,
//!     authenticate: true, timeout_ms: None, max_bytes: None,
//! };
//! assert_eq!(testing::bytes(&http::send(request).unwrap().body), b"[]");
//! whimbrel_plugin::info!("done"; "requests" => 1);
//! assert_eq!(here.log(), ["Level::Info: done requests=1"]);
//! ```

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde_json::{Value, json};

pub use crate::native::blobs::Body;
use crate::native::{self, World};
use crate::{Blob, Result, http, imap};

/// What a test lets the connector reach.
#[derive(Default)]
pub struct Host {
    world: World,
}

impl std::fmt::Debug for Host {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Host")
            .field("user", &self.world.user)
            .finish_non_exhaustive()
    }
}

impl Host {
    /// Nothing but bodies, the log and the loopback.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
    /// Who logs in, by password.
    #[must_use]
    pub fn login(mut self, user: &str, password: &str) -> Self {
        user.clone_into(&mut self.world.user);
        self.world.password = Some(password.to_owned());
        self
    }
    /// Who logs in, by token.
    #[must_use]
    pub fn token(mut self, user: &str, token: &str) -> Self {
        user.clone_into(&mut self.world.user);
        self.world.token = Some(token.to_owned());
        self
    }
    /// The folder that a setting names.
    #[must_use]
    pub fn folder(mut self, setting: &str, folder: &Path) -> Self {
        self.world.folders.insert(setting.to_owned(), folder.to_owned());
        self
    }
    /// What answers in the place of servers.
    #[must_use]
    pub fn http(mut self, answer: impl FnMut(&http::Request) -> Result<http::Response> + 'static) -> Self {
        self.world.http = Some(Box::new(answer));
        self
    }
    /// What answers in the place of IMAP servers.
    #[must_use]
    pub fn imap(
        mut self,
        open: impl FnMut(&str, u16, imap::Security) -> Result<Box<dyn imap::Answers>> + 'static,
    ) -> Self {
        self.world.imap = Some(Box::new(open));
        self
    }
    /// From here on this is the host of this thread, until what is given back is dropped.
    #[must_use = "the host leaves when this is dropped"]
    pub fn enter(self) -> Here {
        Here {
            before: native::replace(Some(self.world)),
        }
    }
}

/// A host at work; see [`Host::enter`].
#[must_use]
pub struct Here {
    before: Option<World>,
}

impl std::fmt::Debug for Here {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Here").finish_non_exhaustive()
    }
}

impl Here {
    /// What was logged, line by line: the level, the text, the fields.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        native::with(|world| Ok(world.log.clone())).unwrap_or_default()
    }
}

impl Drop for Here {
    fn drop(&mut self) {
        native::replace(self.before.take());
    }
}

/// All bytes of a body.
#[must_use]
pub fn bytes(body: &Blob) -> Vec<u8> {
    body.bytes()
}

/// A body that the host of the test keeps.
#[must_use]
pub fn body(body: std::sync::Arc<dyn Body>) -> Blob {
    Blob::elsewhere(body)
}

/// What was given to [`body`]; none where the connector made the body.
#[must_use]
pub fn kept(body: &Blob) -> Option<&dyn Body> {
    body.kept_elsewhere()
}

/// The small fake of the provider that `connector.toml` names, as `whimbrel plugin test` starts it.
#[derive(Debug)]
pub struct StandIn {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    ready: Value,
}

impl StandIn {
    /// Starts it in a folder, and waits until it is ready.
    ///
    /// # Errors
    /// What kept it from that.
    pub fn start(folder: &Path, command: &[&str]) -> std::io::Result<Self> {
        let (program, words) = command.split_first().ok_or(std::io::ErrorKind::InvalidInput)?;
        let mut start = Command::new(program);
        start
            .args(words)
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = start.spawn()?;
        let pipes = child.stdin.take().zip(child.stdout.take());
        let (input, output) = pipes.ok_or(std::io::ErrorKind::BrokenPipe)?;
        let mut new = Self {
            child,
            input: Some(input),
            output: BufReader::new(output),
            ready: Value::Null,
        };
        new.ready = new.line()?["ready"].take();
        Ok(new)
    }
    /// What it said of itself when it was ready: `url`, `port`…
    #[must_use]
    pub fn ready(&self, name: &str) -> &Value {
        &self.ready[name]
    }
    /// Asks something of it, e.g. `{"do":"content"}`.
    ///
    /// # Errors
    /// Where it could not, with its words.
    pub fn ask(&mut self, request: &Value) -> std::io::Result<Value> {
        if let Some(input) = &mut self.input {
            writeln!(input, "{request}")?;
        }
        let answer = self.line()?;
        match &answer["error"] {
            Value::Null => Ok(answer),
            error => Err(std::io::Error::other(format!(
                "the stand-in cannot do {}: {error}",
                json!(request["do"])
            ))),
        }
    }

    fn line(&mut self) -> std::io::Result<Value> {
        let mut line = String::new();
        self.output.read_line(&mut line)?;
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for StandIn {
    /// It ends when its input does.
    fn drop(&mut self) {
        self.input = None;
        let _ = self.child.wait();
    }
}
