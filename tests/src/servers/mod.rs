//! Real mail servers, each in a folder of its own, on free loopback ports, gone with the value that stands for it.

mod courier;
mod cyrus;
mod dav;
mod dovecot;
mod registry;

use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

pub use courier::Courier;
pub use cyrus::Cyrus;
pub use dav::{DavServer, Radicale, Xandikos};
pub use dovecot::{Dovecot, Format, Options};
pub use registry::Registry;

use crate::imap::Imap;
use crate::scratch::Random;

/// The password of every user of every server here.
pub const PASSWORD: &str = "Sesame-7341";

/// What the tests need to know of a server, whichever it is.
pub trait Server {
    /// The port for clear text (with STARTTLS where the server has it).
    fn port(&self) -> u16;
    /// The port with TLS from the first byte.
    fn tls_port(&self) -> Option<u16>;
    /// The certificate of the authority that signed the server's.
    fn ca(&self) -> &Path;
    /// A session of the independent client, logged in.
    fn imap(&self, user: &str) -> Imap {
        let mut imap = Imap::connect(self.port());
        imap.login(user, PASSWORD);
        imap
    }
}

/// A server process with its children, stopped when the value goes, and also when this process is killed: a small
/// guard waits for the end of a pipe that only this process holds open.
#[derive(Debug)]
struct Process {
    guard: Child,
    pid_file: PathBuf,
}

/// Starts the server it is given, waits for the end of its input, stops the server with all its children and removes
/// the folder (a killed test cannot).
const GUARD: &str = r#"
folder=$0
trap : TERM INT HUP
"$@" </dev/null >>"$folder/output" 2>&1 &
server=$!
echo $server >"$folder/server.pid"
read -r _
kill -TERM $server 2>/dev/null
tries=0
while kill -0 $server 2>/dev/null && [ $tries -lt 60 ]; do
  state=$(cat /proc/$server/stat 2>/dev/null); case "${state##*) }" in Z*) break;; esac
  sleep 0.05; tries=$((tries+1))
done
kill -KILL $server 2>/dev/null
rm -rf "$folder"
kill -s KILL -- -$$
"#;

impl Process {
    /// Starts `program` in the foreground; its output goes to `output` in the folder.
    fn start(folder: &Path, program: &mut Command) -> Self {
        let pid_file = folder.join("server.pid");
        let _ = fs::remove_file(&pid_file);
        let guard = Command::new("/bin/sh")
            .arg("-c")
            .arg(GUARD)
            .arg(folder)
            .arg(program.get_program())
            .args(program.get_args())
            .envs(program.get_envs().filter_map(|(name, value)| Some((name, value?))))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start /bin/sh: {error}"));
        Self { guard, pid_file }
    }

    /// Sends the server a signal.
    fn signal(&self, signal: Signal) {
        let pid = fs::read_to_string(&self.pid_file).ok();
        let pid = pid.and_then(|pid| Pid::from_raw(pid.trim().parse().ok()?));
        kill_process(pid.expect("the server runs"), signal).expect("own server");
    }

    /// Stops the server; its guard stays, and removes the folder in the end.
    fn stop(&self) {
        self.signal(Signal::TERM);
        let start = Instant::now();
        while !self.ended() {
            assert!(start.elapsed() < Duration::from_secs(10), "the server does not stop");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Whether the server has ended.
    fn ended(&self) -> bool {
        let Ok(pid) = fs::read_to_string(&self.pid_file) else {
            return false;
        };
        let Ok(stat) = fs::read_to_string(format!("/proc/{}/stat", pid.trim())) else {
            return !pid.trim().is_empty();
        };
        stat.rsplit(") ").next().is_some_and(|rest| rest.starts_with('Z'))
    }

    /// Waits until a greeting that holds `greeting` comes from the port. False where the server ended, or nothing
    /// came in ten seconds.
    fn ready(&self, port: u16, greeting: &str) -> bool {
        self.says(port, "", greeting)
    }

    /// The same for a server that is asked something over HTTP.
    fn answers_http(&self, port: u16) -> bool {
        self.says(port, "OPTIONS / HTTP/1.0\r\n\r\n", "HTTP/1.")
    }

    fn says(&self, port: u16, question: &str, greeting: &str) -> bool {
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(10) {
            if let Ok(mut stream) = TcpStream::connect((Ipv4Addr::LOCALHOST, port)) {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
                let _ = stream.write_all(question.as_bytes());
                let mut line = String::new();
                if BufReader::new(stream).read_line(&mut line).is_ok() && line.contains(greeting) {
                    return true;
                }
            }
            if self.ended() {
                return false;
            }
            thread::sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(5) {
            if matches!(self.guard.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
        if let Some(pid) = i32::try_from(self.guard.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(pid, Signal::KILL);
        }
        let _ = self.guard.wait();
    }
}

/// Ports of the loopback interface that are free now, below the range from which outgoing connections take theirs.
/// Another process may be quicker: whoever starts a server on one checks that it is its own that answers.
pub fn free_ports<const N: usize>() -> [u16; N] {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_nanos());
    let seed = u64::try_from(now & u128::from(u64::MAX)).unwrap_or_default()
        ^ (u64::from(std::process::id()) << 32)
        ^ (CALLS.fetch_add(1, Ordering::Relaxed) << 56);
    let mut random = Random::new(seed);
    let mut held: Vec<TcpListener> = Vec::new();
    while held.len() < N {
        let port = u16::try_from(random.between(12_000, 32_000)).expect("in range");
        if let Ok(listener) = TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
            held.push(listener);
        }
    }
    std::array::from_fn(|at| held[at].local_addr().expect("bound").port())
}

/// The program's path, or a panic with the line that installs it.
fn require(program: &str, packages: &str) -> PathBuf {
    let places = [
        "/usr/sbin",
        "/usr/bin",
        "/sbin",
        "/bin",
        "/usr/local/sbin",
        "/usr/local/bin",
        "/usr/lib/cyrus/bin",
    ];
    places
        .iter()
        .map(|place| Path::new(place).join(program))
        .find(|path| path.exists())
        .unwrap_or_else(|| {
            panic!("{program} is not installed. Install it with: apt-get install --no-install-recommends {packages}")
        })
}

/// A file of a package that is unpacked beside the installed ones (see `tests/servers.txt`), or a panic with the line
/// that brings it.
fn require_unpacked(package: &str, file: &str) -> PathBuf {
    let root = crate::run::target_folder().join("servers");
    let path = root.join(package).join(file);
    assert!(
        path.exists(),
        "{package} is not unpacked (its Debian package excludes Dovecot's). Unpack it with: cargo xtask test, or: \
         mkdir -p {root} && cd {root} && apt-get download {package} && dpkg-deb -x {package}_*.deb {package}",
        root = root.display(),
    );
    path
}

/// The end of a log, for the message of a server that did not start.
fn tail(path: &Path) -> String {
    let text = fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].join("\n")
}

/// Copies a tree, times of files included: Dovecot takes a Maildir message's INTERNALDATE from there.
pub fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).expect("own folder");
        for entry in fs::read_dir(from).unwrap_or_else(|error| panic!("{}: {error}", from.display())) {
            let entry = entry.expect("a readable folder");
            // Links within packages lead to packages that are not there.
            if entry.path().exists() {
                copy(&entry.path(), &to.join(entry.file_name()));
            }
        }
        return;
    }
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
    let modified = fs::metadata(from).and_then(|data| data.modified()).expect("times");
    fs::File::options()
        .write(true)
        .open(to)
        .and_then(|file| file.set_modified(modified))
        .expect("own file");
}

/// Gives a tree to somebody, unreadable for others.
fn give(path: &Path, uid: u32, gid: u32) {
    chown(path, Some(uid), Some(gid)).expect("own tree");
    if path.is_dir() {
        fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("own tree");
        for entry in fs::read_dir(path).expect("own tree") {
            give(&entry.expect("own tree").path(), uid, gid);
        }
    }
}
