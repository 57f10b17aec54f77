//! Courier IMAP 5.0 and its POP3 server, as root: Maildir, separator `.`, prefix `INBOX.`, no LITERAL+, no CONDSTORE.
//!
//! Courier's authentication daemon reads `/etc/courier` and answers in `/run/courier`, whatever its settings say. So
//! each server gets both folders for itself, in a private mount namespace that ends with it: several run side by
//! side, and the machine's own are never touched.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::geteuid;
use tempfile::TempDir;

use super::{PASSWORD, Process, Server, copy, free_ports, require, require_unpacked, tail};
use crate::authority::Authority;
use crate::scratch;

/// The users it knows, each with [`PASSWORD`].
pub const USERS: [&str; 2] = ["alice", "bob"];

/// A running Courier, in clear text only.
#[derive(Debug)]
pub struct Courier {
    _process: Process,
    authority: Authority,
    port: u16,
    pop3_port: u16,
    folder: TempDir,
}

impl Server for Courier {
    fn port(&self) -> u16 {
        self.port
    }

    fn tls_port(&self) -> Option<u16> {
        None
    }

    fn ca(&self) -> &Path {
        &self.authority.ca
    }
}

/// Arguments: the folder, the unpacked package and the port for IMAP, and both for POP3.
const START: &str = r#"
folder=$1; root=$2; port=$3; pop3=$4; pop3_port=$5
mount --make-rprivate / && mount --bind "$folder/etc" /etc/courier && mkdir -p /run/courier &&
mount --bind "$folder/run" /run/courier || exit 70
makeuserdb || exit 71
/usr/sbin/authdaemond start || exit 72
for try in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do [ -S /run/courier/authdaemon/socket ] && break; sleep 0.05; done
set -a; . "$root/etc/courier/imapd"; set +a
export IMAP_CAPABILITY="IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE"
export MAXDAEMONS=100 MAXPERIP=100 ADDRESS=127.0.0.1 PORT=$port MAILDIRPATH=Maildir IMAP_EMPTYTRASH= IMAP_CHECK_ALL_FOLDERS=0 IMAP_ENHANCEDIDLE=0
POP3AUTH="PLAIN" PORT=$pop3_port /usr/sbin/couriertcpd -address=127.0.0.1 -maxprocs=100 -maxperip=100 -nodnslookup -noidentlookup \
  "$pop3_port" "$pop3/courierpop3login" "$pop3/courierpop3d" Maildir &
exec /usr/sbin/couriertcpd -address=127.0.0.1 -maxprocs=100 -maxperip=100 -nodnslookup -noidentlookup "$port" \
  "$root/usr/lib/courier/courier/imaplogin" "$root/usr/bin/imapd" Maildir
"#;

impl Courier {
    /// Where the mail of a user lies.
    pub fn store(&self, user: &str) -> PathBuf {
        self.folder.path().join("mail").join(user).join("Maildir")
    }

    /// Where it speaks POP3, in clear text.
    pub fn pop3_port(&self) -> u16 {
        self.pop3_port
    }

    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        assert!(
            geteuid().is_root(),
            "Courier takes its rights from root: run this test as root"
        );
        let mut last = String::new();
        for _ in 0..4 {
            match Self::attempt() {
                Ok(server) => return server,
                Err(log) => last = log,
            }
        }
        panic!(
            "Courier does not start (it needs a mount namespace of its own: run as root, with CAP_SYS_ADMIN):\n{last}"
        );
    }

    fn attempt() -> Result<Self, String> {
        let packages = "courier-base courier-authdaemon courier-authlib-userdb gamin";
        require("couriertcpd", packages);
        require("authdaemond", packages);
        require("makeuserdb", packages);
        let makedir = require("maildirmake.courier", packages);
        let imapd = require_unpacked("courier-imap", "usr/bin/imapd");
        let pop3d = require_unpacked("courier-pop", "usr/lib/courier/courier/courierpop3d");
        let folder = scratch::folder("courier");
        let path = folder.path();
        // Where the user `mail` may go, which a target folder in somebody's home is not.
        let root = path.join("courier-imap");
        copy(imapd.ancestors().nth(3).expect("three levels"), &root);
        let pop3 = path.join("courier-pop");
        copy(pop3d.parent().expect("a folder"), &pop3);
        let authority = Authority::create(path);
        for part in ["etc", "run/authdaemon", "mail"] {
            fs::create_dir_all(path.join(part)).expect("own folder");
        }
        for entry in fs::read_dir("/etc/courier").expect("courier-base has it") {
            let entry = entry.expect("a readable folder");
            if entry.path().is_file() {
                fs::copy(entry.path(), path.join("etc").join(entry.file_name())).expect("own folder");
            }
        }
        let daemon = fs::read_to_string("/etc/courier/authdaemonrc").expect("courier-authdaemon has it");
        let daemon: Vec<&str> = daemon
            .lines()
            .map(|line| {
                if line.starts_with("authmodulelist=") {
                    "authmodulelist=\"authuserdb\""
                } else {
                    line
                }
            })
            .collect();
        fs::write(path.join("etc/authdaemonrc"), daemon.join("\n") + "\n").expect("own folder");
        let mut users = String::new();
        let secret = hashed(&require("userdbpw", packages));
        for user in USERS {
            let home = path.join("mail").join(user);
            fs::create_dir(&home).expect("own folder");
            let made = Command::new(&makedir)
                .arg(home.join("Maildir"))
                .status()
                .expect("maildirmake runs");
            assert!(made.success(), "maildirmake.courier failed");
            let home = home.display();
            users += &format!("{user}\tuid=8|gid=8|home={home}|mail={home}/Maildir|imappw={secret}|pop3pw={secret}\n");
        }
        fs::write(path.join("etc/userdb"), users).expect("own folder");
        fs::set_permissions(path.join("etc/userdb"), fs::Permissions::from_mode(0o600)).expect("own file");
        for (owner, part) in [("mail:mail", "mail"), ("courier:courier", "run")] {
            let given = Command::new("chown")
                .args(["-R", owner])
                .arg(path.join(part))
                .status()
                .expect("chown runs");
            assert!(
                given.success(),
                "there is no {owner}: apt-get install --no-install-recommends {packages}"
            );
        }
        let [port, pop3_port] = free_ports();
        let process = Process::start(
            path,
            Command::new("unshare")
                .args(["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", START, "sh"])
                .arg(path)
                .arg(&root)
                .arg(port.to_string())
                .arg(&pop3)
                .arg(pop3_port.to_string()),
        );
        if !process.ready(port, "Courier-IMAP ready") || !process.ready(pop3_port, "+OK") {
            return Err(tail(&path.join("output")));
        }
        Ok(Self {
            _process: process,
            authority,
            port,
            pop3_port,
            folder,
        })
    }
}

/// The password as `userdb` wants it.
fn hashed(program: &Path) -> String {
    let mut child = Command::new(program)
        .arg("-md5")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("userdbpw starts");
    writeln!(child.stdin.take().expect("piped"), "{PASSWORD}").expect("a pipe");
    let output = child.wait_with_output().expect("own child");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
