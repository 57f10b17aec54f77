//! Runs the program under test: with settings in a folder of its own, a time limit, an eye on its memory.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::scratch;
use crate::servers::{PASSWORD, Server};

/// The folder that cargo builds into.
pub fn target_folder() -> PathBuf {
    profile_folder()
        .parent()
        .expect("a profile's folder lies in the target folder")
        .to_owned()
}

fn profile_folder() -> PathBuf {
    let program = std::env::current_exe().expect("this program has a path");
    let folder = program.parent().expect("a folder");
    let folder = if folder.ends_with("deps") || folder.ends_with("examples") {
        folder.parent().expect("a folder")
    } else {
        folder
    };
    folder.to_owned()
}

/// The program under test.
pub fn program() -> PathBuf {
    let path = profile_folder().join("whimbrel");
    assert!(
        path.exists(),
        "{} is not there. Build it with: cargo build -p whimbrel",
        path.display()
    );
    path
}

/// A built connector, by its name.
pub fn plugin(name: &str) -> PathBuf {
    let file = format!("{name}.wasm");
    ["test-plugins", "plugins"]
        .iter()
        .map(|folder| target_folder().join(folder).join(&file))
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("{file} is not there. Build it with: cargo xtask plugins"))
}

/// Settings for the side of a migration that is a server: TLS from the first byte where it has that, else the
/// explicit word for clear text. `side` is `source` or `destination`.
pub fn imap_side(side: &str, server: &dyn Server) -> String {
    match server.tls_port() {
        Some(port) => imap_side_at(side, port, Some(server.ca())),
        None => imap_side_at(side, server.port(), None),
    }
}

/// The same for a port of this machine: with TLS and this authority, or in clear text.
pub fn imap_side_at(side: &str, port: u16, ca: Option<&Path>) -> String {
    match ca {
        Some(ca) => format!(
            "[{side}]\nconnector = \"imap\"\nca = \"{}\"\nsettings = {{ host = \"localhost\", port = {port}, tls = \"implicit\" }}\n",
            ca.display()
        ),
        None => format!(
            "[{side}]\nconnector = \"imap\"\nsettings = {{ host = \"127.0.0.1\", port = {port}, tls = \"insecure\" }}\n"
        ),
    }
}

/// Settings for the side that is a folder or file: `connector` and the TOML of its settings.
pub fn local_side(side: &str, connector: &str, settings: &str) -> String {
    format!("[{side}]\nconnector = \"{connector}\"\nsettings = {{ {settings} }}\n")
}

/// An account at a server, as TOML: the user, and the password from the environment.
pub fn account(user: &str) -> String {
    format!("{{ user = \"{user}\", password = {{ env = \"WHIMBREL_TEST_PASSWORD\" }} }}")
}

/// A `[[mailbox]]` section from the TOML of both accounts.
pub fn mailbox(name: &str, source: &str, destination: &str) -> String {
    format!("[[mailbox]]\nname = \"{name}\"\nsource = {source}\ndestination = {destination}\n")
}

/// All sections of a migration of one mailbox, `alice`, from one server to another.
pub fn server_to_server(source: &dyn Server, destination: &dyn Server) -> Vec<String> {
    vec![
        imap_side("source", source),
        imap_side("destination", destination),
        mailbox("alice", &account("alice"), &account("alice")),
    ]
}

/// A settings file in a folder of its own, with the state beside it.
#[derive(Debug)]
pub struct Job {
    folder: TempDir,
}

impl Job {
    /// `sections` is all of the settings file but `[migration]`.
    pub fn new(sections: &[String]) -> Self {
        Self::within(scratch::folder("job"), sections)
    }

    /// The same in this folder.
    pub fn within(folder: TempDir, sections: &[String]) -> Self {
        let job = Self { folder };
        job.rewrite(sections);
        job
    }

    /// Writes the settings anew; the state stays.
    pub fn rewrite(&self, sections: &[String]) {
        let text = format!(
            "[migration]\nname = \"test\"\nstate = \"state\"\n\n{}",
            sections.join("\n")
        );
        fs::write(self.settings(), text).expect("own folder");
    }

    /// Where the settings lie; relative paths in them start here.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The settings file.
    pub fn settings(&self) -> PathBuf {
        self.folder().join("whimbrel.toml")
    }

    /// The program with `--json`, these arguments and the settings.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command
            .args(arguments)
            .arg("--json")
            .arg("--config")
            .arg(self.settings())
            .current_dir(self.folder())
            .env("WHIMBREL_TEST_PASSWORD", PASSWORD)
            .env_remove("WHIMBREL_PLUGINS")
            .arg("--plugins")
            .arg(target_folder().join("plugins"));
        command
    }

    /// Starts it.
    pub fn start(&self, arguments: &[&str]) -> Running {
        Running::start(&mut self.command(arguments))
    }

    /// Runs it to its end, which must come within five minutes.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.start(arguments).wait(Duration::from_secs(300))
    }

    /// The same with this on its standard input.
    pub fn run_with(&self, arguments: &[&str], input: &str) -> Outcome {
        let mut running = Running::with_input(&mut self.command(arguments), Stdio::piped());
        let mut stdin = running.child.stdin.take().expect("piped");
        stdin.write_all(input.as_bytes()).expect("a reader");
        drop(stdin);
        running.wait(Duration::from_secs(60))
    }

    /// Grants a connector what it asks for, as an admin does.
    #[track_caller]
    pub fn trust(&self, connector: &str) {
        self.run(&["plugin", "trust", connector, "--yes"]).expect(0);
    }

    /// The audit trail, an event a line.
    #[track_caller]
    pub fn events(&self) -> Vec<Value> {
        let outcome = self.run(&["events"]);
        outcome.expect(0);
        let read = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        outcome.stdout.lines().map(read).collect()
    }

    /// `migrate`, which must end with 0.
    #[track_caller]
    pub fn migrate(&self) -> Outcome {
        let outcome = self.run(&["migrate"]);
        outcome.expect(0);
        outcome
    }
}

/// The program, running.
#[derive(Debug)]
pub struct Running {
    child: Child,
    start: Instant,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    peak: u64,
}

impl Running {
    /// Starts a command, its output caught.
    pub fn start(command: &mut Command) -> Self {
        Self::with_input(command, Stdio::null())
    }

    fn with_input(command: &mut Command, input: Stdio) -> Self {
        let mut child = command
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{:?} does not start: {error}", command.get_program()));
        let stdout = child.stdout.take().map(caught);
        let stderr = child.stderr.take().map(caught);
        Self {
            child,
            start: Instant::now(),
            stdout,
            stderr,
            peak: 0,
        }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets it run for this long, at most until its end. Whether it still runs.
    pub fn run_for(&mut self, time: Duration) -> bool {
        let end = Instant::now() + time;
        loop {
            self.look();
            if !matches!(self.child.try_wait(), Ok(None)) {
                return false;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return true;
            }
            thread::sleep(left.min(Duration::from_millis(2)));
        }
    }

    /// Ends it with SIGKILL, at whatever instruction it is.
    pub fn kill(mut self) -> Outcome {
        let _ = self.child.kill();
        self.wait(Duration::from_secs(10))
    }

    /// Asks it to stop, as Ctrl-C does.
    pub fn interrupt(&self) {
        let id = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
            .expect("a process id");
        rustix::process::kill_process(id, rustix::process::Signal::INT).expect("own child");
    }

    /// Waits for its end; a panic with its output where that does not come in time.
    #[track_caller]
    pub fn wait(mut self, limit: Duration) -> Outcome {
        let in_time = !self.run_for(limit);
        if !in_time {
            let _ = self.child.kill();
        }
        let status = self.child.wait().expect("own child");
        let text = |handle: Option<JoinHandle<Vec<u8>>>| {
            let bytes = handle
                .map(|handle| handle.join().expect("a reader"))
                .unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let outcome = Outcome {
            code: status.code(),
            stdout: text(self.stdout.take()),
            stderr: text(self.stderr.take()),
            seconds: self.start.elapsed().as_secs_f64(),
            peak: self.peak,
        };
        assert!(in_time, "not finished after {limit:?}:\n{outcome}");
        outcome
    }

    /// Its largest resident memory so far, in bytes, from the kernel's own mark.
    fn look(&mut self) {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = mark.and_then(|mark| mark.split_whitespace().next()?.parse::<u64>().ok());
        self.peak = self.peak.max(kilobytes.unwrap_or(0) * 1024);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn caught(mut stream: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        bytes
    })
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// Wall-clock time.
    pub seconds: f64,
    /// Its largest resident memory, in bytes.
    pub peak: u64,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let cut = |text: &str| text.chars().take(8000).collect::<String>();
        write!(
            f,
            "exit code {:?} after {:.1} s\n--- stdout\n{}\n--- stderr\n{}",
            self.code,
            self.seconds,
            cut(&self.stdout),
            cut(&self.stderr)
        )
    }
}

impl Outcome {
    /// Fails with all of its output unless it ended with this code.
    #[track_caller]
    pub fn expect(&self, code: i32) {
        assert_eq!(self.code, Some(code), "{self}");
    }

    /// The JSON document that it printed.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(self.stdout.trim()).unwrap_or_else(|error| panic!("no JSON document ({error}): {self}"))
    }

    /// What it printed where the program could not begin: message, remedy and all, as one text.
    #[track_caller]
    pub fn text(&self) -> String {
        format!("{}\n{}", self.stdout, self.stderr)
    }

    /// Fails unless every one of these occurs in what it printed, whatever the case.
    #[track_caller]
    pub fn says(&self, words: &[&str]) {
        let text = self.text().to_lowercase();
        for word in words {
            assert!(text.contains(&word.to_lowercase()), "`{word}` is not said: {self}");
        }
    }

    /// One count of the total.
    #[track_caller]
    pub fn total(&self, count: &str) -> u64 {
        let json = self.json();
        json["total"][count]
            .as_u64()
            .unwrap_or_else(|| panic!("no total.{count}: {self}"))
    }

    /// The report of one mailbox.
    #[track_caller]
    pub fn mailbox(&self, name: &str) -> Value {
        let json = self.json();
        let mailboxes = json["mailboxes"].as_array().cloned().unwrap_or_default();
        mailboxes
            .into_iter()
            .find(|mailbox| mailbox["name"] == name)
            .unwrap_or_else(|| panic!("no mailbox {name}: {self}"))
    }

    /// The sum over all mailboxes of one thing that this run did, e.g. `copied`.
    #[track_caller]
    pub fn worked(&self, what: &str) -> u64 {
        let json = self.json();
        let mailboxes = json["mailboxes"].as_array().cloned().unwrap_or_default();
        mailboxes
            .iter()
            .map(|mailbox| {
                mailbox["worked"][what]
                    .as_u64()
                    .unwrap_or_else(|| panic!("no worked.{what}: {self}"))
            })
            .sum()
    }

    /// Fails unless the counts add up, in total and for each mailbox: nothing pending, nothing unexplained.
    #[track_caller]
    pub fn adds_up(&self) {
        let json = self.json();
        let mut all = json["mailboxes"].as_array().cloned().unwrap_or_default();
        all.push(json["total"].clone());
        for counts in all {
            let count = |name: &str| {
                counts[name]
                    .as_u64()
                    .unwrap_or_else(|| panic!("no count {name}: {self}"))
            };
            let parts = ["moved", "merged", "filtered", "oversize", "failed"]
                .map(count)
                .iter()
                .sum::<u64>();
            assert_eq!(
                (count("found"), count("pending"), count("unexplained")),
                (parts, 0, 0),
                "{self}"
            );
            assert!(counts["bytes"].is_u64() && counts["seconds"].is_number(), "{self}");
        }
    }
}
