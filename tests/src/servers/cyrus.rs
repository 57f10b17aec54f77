//! Cyrus IMAP 3.6, as root (it gives that up for the user `cyrus`).
//!
//! Cyrus ends with status 78 where nobody reads `/dev/log`. So it gets a `/dev` of its own, in a private mount
//! namespace that ends with it, and a thread here reads what it logs.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustix::process::geteuid;
use tempfile::TempDir;

use super::{DavServer, PASSWORD, Process, Server, free_ports, require, require_unpacked, tail};
use crate::authority::Authority;
use crate::dav::Sort;

/// The users it knows, each with [`PASSWORD`]. Their INBOX comes into being at the first login.
pub const USERS: [&str; 2] = ["alice", "bob"];

/// A running Cyrus: separator `/`, personal namespace without a prefix, special folders made at the first login.
#[derive(Debug)]
pub struct Cyrus {
    _process: Process,
    log: Arc<Mutex<Vec<u8>>>,
    authority: Authority,
    port: u16,
    tls_port: u16,
    sieve_port: u16,
    http_port: u16,
    _folder: TempDir,
}

impl Server for Cyrus {
    fn port(&self) -> u16 {
        self.port
    }

    fn tls_port(&self) -> Option<u16> {
        Some(self.tls_port)
    }

    fn ca(&self) -> &Path {
        &self.authority.ca
    }
}

/// A `/dev` with what a server needs, and `log` leading into the server's folder. Arguments: the folder, the program.
const PRIVATE_DEV: &str = r#"
folder=$1; shift
mount --make-rprivate / &&
mkdir "$folder/dev" && mount -t tmpfs -o mode=755 none "$folder/dev" &&
for node in null zero full random urandom tty; do
  touch "$folder/dev/$node" && mount --bind /dev/$node "$folder/dev/$node" || exit 70
done
mkdir -m 1777 "$folder/dev/shm" && mount -t tmpfs -o mode=1777 none "$folder/dev/shm" &&
ln -s /proc/self/fd "$folder/dev/fd" && ln -s "$folder/log.socket" "$folder/dev/log" &&
mount --move "$folder/dev" /dev && exec "$@"
"#;

impl DavServer for Cyrus {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.http_port)
    }

    fn user(&self) -> Option<&'static str> {
        Some("alice")
    }

    fn home(&self, sort: Sort) -> &'static str {
        match sort {
            Sort::Calendars => "/dav/calendars/user/alice/",
            Sort::AddressBooks => "/dav/addressbooks/user/alice/",
        }
    }

    /// Cyrus takes no event that ends when it begins.
    fn refuses(&self) -> &'static [&'static str] {
        &["attached.ics"]
    }
}

impl Cyrus {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        assert!(
            geteuid().is_root(),
            "Cyrus takes its rights from root: run this test as root"
        );
        let mut last = String::new();
        for _ in 0..4 {
            match Self::attempt() {
                Ok(server) => return server,
                Err(log) => last = log,
            }
        }
        panic!(
            "Cyrus does not start (it needs a mount namespace of its own: run as root, with CAP_SYS_ADMIN):\n{last}"
        );
    }

    fn attempt() -> Result<Self, String> {
        let packages = "cyrus-common cyrus-caldav sasl2-bin";
        let master = require("cyrmaster", packages);
        let tools = require("ctl_cyrusdb", packages);
        let passwords = require("saslpasswd2", packages);
        let imapd = require_unpacked("cyrus-imapd", "usr/lib/cyrus/bin/imapd");
        // Not below /dev/shm, which the private /dev hides; `imapd` must be reachable for the user `cyrus`.
        let folder = tempfile::Builder::new()
            .prefix("whimbrel-cyrus-")
            .tempdir()
            .expect("a temporary folder");
        let path = folder.path();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("own folder");
        let imapd = {
            let copy = path.join("imapd");
            fs::copy(&imapd, &copy).expect("own folder");
            copy
        };
        let authority = Authority::create(path);
        let sieved = require("timsieved", packages);
        let httpd = require("httpd", packages);
        for part in ["proc", "lock", "log", "msg", "socket", "sync", "db", "quota", "user"] {
            fs::create_dir_all(path.join("conf").join(part)).expect("own folder");
        }
        for part in ["spool", "sieve"] {
            fs::create_dir(path.join(part)).expect("own folder");
        }
        let [port, tls_port, sieve_port, http_port] = free_ports();
        let name = format!("whimbrel{}x{port}.localhost", std::process::id());
        fs::write(path.join("imapd.conf"), settings(path, &authority, &name)).expect("own folder");
        let conf = path.join("imapd.conf");
        fs::write(
            path.join("cyrus.conf"),
            format!(
                "START {{\n  recover cmd=\"{} -C {conf} -r\"\n}}\nSERVICES {{\n  \
                 imap cmd=\"{imapd} -C {conf} -U 30\" listen=\"127.0.0.1:{port}\" prefork=0 maxchild=100\n  \
                 imaps cmd=\"{imapd} -C {conf} -s -U 30\" listen=\"127.0.0.1:{tls_port}\" prefork=0 maxchild=100\n  \
                 sieve cmd=\"{} -C {conf}\" listen=\"127.0.0.1:{sieve_port}\" prefork=0 maxchild=100\n  \
                 http cmd=\"{} -C {conf} -U 30\" listen=\"127.0.0.1:{http_port}\" prefork=0 maxchild=100\n}}\n\
                 EVENTS {{\n  checkpoint cmd=\"{} -C {conf} -c\" period=30\n}}\n",
                tools.display(),
                sieved.display(),
                httpd.display(),
                tools.display(),
                conf = conf.display(),
                imapd = imapd.display(),
            ),
        )
        .expect("own folder");
        for user in USERS.iter().chain(&["cyrus"]) {
            let mut child = Command::new(&passwords)
                .args(["-p", "-c", "-u", &name, "-f"])
                .arg(path.join("sasldb2"))
                .arg(user)
                .stdin(Stdio::piped())
                .spawn()
                .expect("saslpasswd2 starts");
            std::io::Write::write_all(&mut child.stdin.take().expect("piped"), PASSWORD.as_bytes()).expect("a pipe");
            assert!(child.wait().expect("own child").success(), "saslpasswd2 failed");
        }
        let given = Command::new("chown")
            .args(["-R", "cyrus:mail"])
            .arg(path)
            .status()
            .expect("chown runs");
        assert!(
            given.success(),
            "there is no user cyrus: apt-get install --no-install-recommends {packages}"
        );
        let log = listen(&path.join("log.socket"));
        let process = Process::start(
            path,
            Command::new("unshare")
                .args(["--mount", "sh", "-c", PRIVATE_DEV, "sh"])
                .arg(path)
                .arg(&master)
                .arg("-C")
                .arg(&conf)
                .arg("-M")
                .arg(path.join("cyrus.conf"))
                .arg("-p")
                .arg(path.join("master.pid")),
        );
        if !process.ready(port, &name) {
            let logged = String::from_utf8_lossy(&log.lock().expect("no panic holds it")).into_owned();
            return Err(format!("{}\n{logged}", tail(&path.join("output"))));
        }
        Ok(Self {
            _process: process,
            log,
            authority,
            port,
            tls_port,
            sieve_port,
            http_port,
            _folder: folder,
        })
    }

    /// Where it speaks ManageSieve in clear text and with STARTTLS. A user's scripts have a place from the first login over
    /// IMAP on.
    pub fn sieve_port(&self) -> u16 {
        self.sieve_port
    }

    /// What it logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&self.log.lock().expect("no panic holds it")).into_owned()
    }
}

/// A system log: a thread that reads the socket until it goes.
fn listen(path: &Path) -> Arc<Mutex<Vec<u8>>> {
    let socket = UnixDatagram::bind(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    fs::set_permissions(path, fs::Permissions::from_mode(0o666)).expect("own socket");
    socket
        .set_read_timeout(Some(Duration::from_millis(500)))
        .expect("a socket");
    let log = Arc::new(Mutex::new(Vec::new()));
    let (kept, path) = (Arc::downgrade(&log), path.to_owned());
    thread::spawn(move || {
        let mut line = vec![0; 65536];
        while path.exists() {
            let Some(log) = kept.upgrade() else { break };
            if let Ok(length) = socket.recv(&mut line)
                && let Ok(mut log) = log.lock()
            {
                log.extend_from_slice(&line[..length]);
                log.push(b'\n');
            }
        }
    });
    log
}

fn settings(folder: &Path, authority: &Authority, name: &str) -> String {
    format!(
        "configdirectory: {d}/conf\n\
         partition-default: {d}/spool\n\
         sievedir: {d}/sieve\n\
         httpmodules: caldav carddav\n\
         httpallowcompress: no\n\
         caldav_realm: localhost\n\
         calendar_user_address_set: localhost\n\
         carddav_realm: localhost\n\
         sieve_maxscripts: 1000\n\
         sieve_maxscriptsize: 2048\n\
         proc_path: {d}/conf/proc\n\
         mboxname_lockpath: {d}/conf/lock\n\
         idlesocket: {d}/conf/socket/idle\n\
         notifysocket: {d}/conf/socket/notify\n\
         admins: cyrus\n\
         servername: {name}\n\
         defaultdomain: localhost\n\
         virtdomains: off\n\
         unixhierarchysep: yes\n\
         altnamespace: yes\n\
         sasl_pwcheck_method: auxprop\n\
         sasl_auxprop_plugin: sasldb\n\
         sasl_sasldb_path: {d}/sasldb2\n\
         sasl_mech_list: PLAIN LOGIN\n\
         allowplaintext: yes\n\
         tls_server_cert: {certificate}\n\
         tls_server_key: {key}\n\
         autocreate_quota: 0\n\
         autocreate_post: yes\n\
         autocreate_inbox_folders: Sent|Drafts|Trash|Junk|Archive\n\
         autocreate_subscribe_folders: Sent|Drafts|Trash|Junk|Archive\n\
         xlist-sent: Sent\n\
         xlist-drafts: Drafts\n\
         xlist-trash: Trash\n\
         xlist-junk: Junk\n\
         xlist-archive: Archive\n\
         maxlogins_per_user: 0\n\
         maxmessagesize: 104857600\n\
         reject8bit: no\n\
         munge8bit: no\n\
         skiplist_unsafe: yes\n\
         syslog_prefix: whimbrel\n",
        d = folder.display(),
        certificate = authority.certificate.display(),
        key = authority.key.display(),
    )
}
