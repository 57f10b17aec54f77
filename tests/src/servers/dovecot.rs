//! Dovecot 2.3, as root (mail then belongs to the user `mail`) or as whoever runs the tests.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use rustix::process::{Signal, getegid, geteuid};
use tempfile::TempDir;

use super::{Process, Server, copy, free_ports, give, require, tail};
use crate::authority::{Authority, Certificate};
use crate::scratch;

const CONFIGURATION: &str = "dovecot.conf";
/// What it is made of.
const PACKAGES: &str = "dovecot-core dovecot-imapd dovecot-pop3d dovecot-sieve dovecot-managesieved";

/// How Dovecot stores mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)] // Dovecot's own names.
pub enum Format {
    Maildir,
    Sdbox,
    Mdbox,
    Mbox,
}

/// What a Dovecot is to be like.
#[derive(Debug, Clone)]
pub struct Options {
    /// How it stores mail.
    pub format: Format,
    /// The separator of the personal namespace.
    pub separator: char,
    /// The prefix of the personal namespace, e.g. `INBOX.`.
    pub prefix: &'static str,
    /// All that it says it can do, instead of what it can (`imap_capability`). It still does the rest when asked.
    pub capabilities: Option<&'static str>,
    /// A storage quota for each user, e.g. `1M`.
    pub quota: Option<&'static str>,
    /// The largest message it takes, in bytes (APPENDLIMIT).
    pub append_limit: Option<u64>,
    /// Access control lists (`dovecot-acl` files in the mailboxes' folders).
    pub acl: bool,
    /// Whether a name may hold the separator and a leading `~` on disk (the listescape plugin).
    pub escape: bool,
    /// Whether Drafts, Sent, Trash, Junk and Archive are there from the start.
    pub special: bool,
    /// The name of the folder for sent mail.
    pub sent: &'static str,
    /// Whether it compresses a connection when asked (COMPRESS=DEFLATE).
    pub compress: bool,
    /// Whether it takes Dovecot's own protocol for copying (doveadm's dsync) over TCP.
    pub dsync: bool,
    /// Whether it speaks POP3 as well.
    pub pop3: bool,
    /// Whether it keeps Sieve scripts, and speaks ManageSieve.
    pub sieve: bool,
    /// Whether its folder lies on disk even where there is room in memory: for the very large.
    pub on_disk: bool,
    /// What its certificate is like.
    pub certificate: Certificate,
    /// The newest version of TLS that it speaks, as OpenSSL calls it, e.g. `TLSv1.1`; the newest of all without it.
    pub newest_tls: Option<&'static str>,
    /// Lines for the end of its configuration.
    pub extra: String,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            format: Format::Maildir,
            separator: '/',
            prefix: "",
            capabilities: None,
            quota: None,
            append_limit: None,
            acl: false,
            escape: true,
            special: false,
            sent: "Sent",
            compress: false,
            dsync: false,
            pop3: false,
            sieve: false,
            on_disk: false,
            certificate: Certificate::Good,
            newest_tls: None,
            extra: String::new(),
        }
    }
}

/// A running Dovecot. Any user name logs in with [`super::PASSWORD`].
#[derive(Debug)]
pub struct Dovecot {
    // Before the folder: stopped first, removed afterwards. The last one runs; those before it were stopped.
    processes: Vec<Process>,
    folder: TempDir,
    authority: Authority,
    format: Format,
    port: u16,
    tls_port: u16,
    dsync_port: u16,
    pop3_port: u16,
    pop3_tls_port: u16,
    sieve_port: u16,
    sieve_tls_port: u16,
}

impl Server for Dovecot {
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

impl Dovecot {
    /// One that keeps Maildirs, separator `/`, all extensions.
    pub fn plain() -> Self {
        Self::start(&Options::default())
    }

    /// Starts it and waits until it answers.
    pub fn start(options: &Options) -> Self {
        let mut last = String::new();
        for _ in 0..4 {
            match Self::attempt(options) {
                Ok(server) => return server,
                Err(log) => last = log,
            }
        }
        panic!("Dovecot does not start:\n{last}");
    }

    /// The end of its log where it does not start, perhaps because somebody was quicker to take the port.
    fn attempt(options: &Options) -> Result<Self, String> {
        let program = require("dovecot", PACKAGES);
        let folder = if options.on_disk {
            scratch::on_disk("dovecot")
        } else {
            scratch::folder("dovecot")
        };
        let path = folder.path();
        let authority = Authority::with(path, options.certificate);
        for part in ["run", "state", "mail"] {
            fs::create_dir(path.join(part)).expect("own folder");
        }
        let (uid, gid) = owner();
        chown(path.join("mail"), Some(uid), Some(gid)).expect("own folder");
        let ports @ [
            port,
            tls_port,
            dsync_port,
            pop3_port,
            pop3_tls_port,
            sieve_port,
            sieve_tls_port,
        ] = free_ports();
        let greeting = format!("whimbrel testbed {}-{port}", std::process::id());
        let configuration = configuration(path, options, &authority, ports, &greeting);
        let file = path.join(CONFIGURATION);
        fs::write(&file, configuration).expect("own folder");
        let mut command = Command::new(&program);
        if let Some(newest) = options.newest_tls {
            // Dovecot itself has no setting for it. Versions as old as that need ciphers that OpenSSL calls insecure.
            let openssl = path.join("openssl.cnf");
            let text = format!(
                "openssl_conf = init\n[init]\nssl_conf = ssl\n[ssl]\nsystem_default = limits\n[limits]\n\
                 MinProtocol = TLSv1\nMaxProtocol = {newest}\nCipherString = ALL:@SECLEVEL=0\n"
            );
            fs::write(&openssl, text).expect("own folder");
            command.env("OPENSSL_CONF", openssl);
        }
        let process = Process::start(path, command.arg("-F").arg("-c").arg(&file));
        if !process.ready(port, &greeting) {
            return Err(format!("{}\n{}", tail(&path.join("log")), tail(&path.join("output"))));
        }
        Ok(Self {
            processes: vec![process],
            authority,
            format: options.format,
            port,
            tls_port,
            dsync_port,
            pop3_port,
            pop3_tls_port,
            sieve_port,
            sieve_tls_port,
            folder,
        })
    }

    /// Stops it, and starts it again after a while, on the same ports and with the same mail.
    pub fn restart(&mut self, away: Duration) {
        if let Some(process) = self.processes.last() {
            process.stop();
        }
        thread::sleep(away);
        let file = self.configuration();
        let program = require("dovecot", PACKAGES);
        let mut command = Command::new(&program);
        let process = Process::start(self.folder.path(), command.arg("-F").arg("-c").arg(&file));
        assert!(process.ready(self.port, "whimbrel testbed"), "{}", self.log());
        self.processes.push(process);
    }

    /// Gives each user another quota, e.g. `5M`; for connections from now on.
    pub fn set_quota(&self, quota: &str) {
        let file = self.configuration();
        let text = fs::read_to_string(&file).expect("own file");
        let lines = text.lines().map(|line| match line.contains("quota_rule =") {
            true => format!("  quota_rule = *:storage={quota}\n"),
            false => format!("{line}\n"),
        });
        fs::write(&file, lines.collect::<String>()).expect("own file");
        if let Some(process) = self.processes.last() {
            process.signal(Signal::HUP);
        }
    }

    /// Where the mail of a user lies.
    pub fn home(&self, user: &str) -> PathBuf {
        self.folder.path().join("mail").join(user)
    }

    /// The root of a user's store within [`Self::home`].
    pub fn store(&self, user: &str) -> PathBuf {
        self.home(user).join(match self.format {
            Format::Maildir => "Maildir",
            Format::Sdbox => "sdbox",
            Format::Mdbox => "mdbox",
            Format::Mbox => "mbox",
        })
    }

    /// Puts a copy of a tree there as the store of a user, for Dovecot to open.
    pub fn adopt(&self, user: &str, tree: &Path) {
        fs::create_dir_all(self.home(user)).expect("own folder");
        copy(tree, &self.store(user));
        self.give(user);
    }

    /// Gives what was written into a user's home to whom the mail belongs to, for Dovecot to open.
    pub fn give(&self, user: &str) {
        let (uid, gid) = owner();
        give(&self.home(user), uid, gid);
    }

    /// Lets a user have another name too, which shares the home.
    pub fn alias(&self, user: &str, other: &str) {
        symlink(user, self.home(other)).expect("own folder");
    }

    /// Its configuration file, for doveadm.
    pub fn configuration(&self) -> PathBuf {
        self.folder.path().join(CONFIGURATION)
    }

    /// Where it takes dsync, if it was started with [`Options::dsync`]; the password is [`super::PASSWORD`].
    pub fn dsync_port(&self) -> u16 {
        self.dsync_port
    }

    /// Where it speaks POP3 in clear text and with STLS, if it was started with [`Options::pop3`].
    pub fn pop3_port(&self) -> u16 {
        self.pop3_port
    }

    /// Where it speaks POP3 over TLS, if it was started with [`Options::pop3`].
    pub fn pop3_tls_port(&self) -> u16 {
        self.pop3_tls_port
    }

    /// Where it speaks ManageSieve in clear text and with STARTTLS, if it was started with [`Options::sieve`].
    pub fn sieve_port(&self) -> u16 {
        self.sieve_port
    }

    /// Where it speaks ManageSieve over TLS, if it was started with [`Options::sieve`].
    pub fn sieve_tls_port(&self) -> u16 {
        self.sieve_tls_port
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Path {
        &self.authority.certificate
    }

    /// What it logged.
    pub fn log(&self) -> String {
        fs::read(self.folder.path().join("log"))
            .map(|log| String::from_utf8_lossy(&log).into_owned())
            .unwrap_or_default()
    }
}

/// Whom the mail belongs to: Debian's user and group `mail` where the tests run as root.
fn owner() -> (u32, u32) {
    if geteuid().is_root() {
        (8, 8)
    } else {
        (geteuid().as_raw(), getegid().as_raw())
    }
}

fn configuration(
    folder: &Path,
    options: &Options,
    authority: &Authority,
    [
        port,
        tls_port,
        dsync_port,
        pop3_port,
        pop3_tls_port,
        sieve_port,
        sieve_tls_port,
    ]: [u16; 7],
    greeting: &str,
) -> String {
    let (uid, gid) = owner();
    let d = folder.display();
    let location = match options.format {
        Format::Maildir => "maildir:~/Maildir",
        Format::Sdbox => "sdbox:~/sdbox",
        Format::Mdbox => "mdbox:~/mdbox",
        Format::Mbox => "mbox:~/mbox:INBOX=~/mbox/inbox",
    };
    let mut plugins = Vec::new();
    if options.escape {
        plugins.push("listescape");
    }
    if options.quota.is_some() || options.append_limit.is_some() {
        plugins.push("quota");
    }
    if options.acl {
        plugins.push("acl");
    }
    let plugins = plugins.join(" ");
    let mut imap_plugins = plugins.clone();
    if options.quota.is_some() || options.append_limit.is_some() {
        imap_plugins.push_str(" imap_quota");
    }
    if options.acl {
        imap_plugins.push_str(" imap_acl");
    }
    if options.compress {
        imap_plugins.push_str(" imap_zlib");
    }
    let auto = if options.special { "subscribe" } else { "no" };
    let separator = options.separator;
    let prefix = options.prefix;
    let sent = options.sent;
    let pop3 = if options.pop3 { " pop3" } else { "" };
    let sieve = if options.sieve { " sieve" } else { "" };
    let protocols = format!("imap{pop3}{sieve}");
    let mut text = format!(
        r#"base_dir = {d}/run
state_dir = {d}/state
instance_name = whimbrel-{port}
log_path = {d}/log
mail_temp_dir = {d}/run
login_greeting = {greeting}
protocols = {protocols}
listen = 127.0.0.1
default_process_limit = 1024
default_client_limit = 4096
default_vsz_limit = 0
auth_mechanisms = plain login
auth_failure_delay = 0
disable_plaintext_auth = no
first_valid_uid = 1
mail_location = {location}
mail_fsync = never
mail_plugins = {plugins}
ssl = yes
ssl_cert = <{certificate}
ssl_key = <{key}
ssl_min_protocol = {oldest_tls}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={d}/mail/%u allow_all_users=yes
}}
namespace inbox {{
  inbox = yes
  separator = {separator}
  prefix = {prefix}
  mailbox Drafts {{
    special_use = \Drafts
    auto = {auto}
  }}
  mailbox "{sent}" {{
    special_use = \Sent
    auto = {auto}
  }}
  mailbox Trash {{
    special_use = \Trash
    auto = {auto}
  }}
  mailbox Junk {{
    special_use = \Junk
    auto = {auto}
  }}
  mailbox Archive {{
    special_use = \Archive
    auto = {auto}
  }}
}}
service imap-login {{
  service_count = 0
  client_limit = 1000
  inet_listener imap {{
    port = {port}
  }}
  inet_listener imaps {{
    port = {tls_port}
    ssl = yes
  }}
}}
protocol imap {{
  mail_max_userip_connections = 1000
  mail_plugins = {imap_plugins}
}}
"#,
        oldest_tls = if options.newest_tls.is_some() {
            "TLSv1"
        } else {
            "TLSv1.2"
        },
        certificate = authority.certificate.display(),
        key = authority.key.display(),
        password = super::PASSWORD,
    );
    if options.newest_tls.is_some() {
        text.push_str("import_environment = OPENSSL_CONF\nssl_cipher_list = ALL:@SECLEVEL=0\n");
    }
    if let Some(capabilities) = options.capabilities {
        let _ = writeln!(text, "imap_capability = {capabilities}");
    }
    text.push_str("plugin {\n");
    if options.quota.is_some() || options.append_limit.is_some() {
        text.push_str("  quota = count:User quota\n  quota_vsizes = yes\n");
    }
    if let Some(quota) = options.quota {
        let _ = writeln!(text, "  quota_rule = *:storage={quota}");
        let _ = writeln!(text, "  quota_grace = 0");
    }
    if options.acl {
        text.push_str("  acl = vfile\n");
    }
    if let Some(limit) = options.append_limit {
        let _ = writeln!(text, "  quota_max_mail_size = {limit}");
    }
    if options.sieve {
        text.push_str("  sieve = file:~/sieve;active=~/.dovecot.sieve\n");
    }
    text.push_str("}\n");
    if options.sieve {
        let _ = writeln!(
            text,
            "service managesieve-login {{\n  service_count = 0\n  client_limit = 1000\n  inet_listener sieve {{\n    \
             port = {sieve_port}\n  }}\n  inet_listener sieves {{\n    port = {sieve_tls_port}\n    ssl = yes\n  }}\n}}\n\
             protocol sieve {{\n  mail_max_userip_connections = 1000\n}}"
        );
        if !geteuid().is_root() {
            text.push_str("service managesieve-login {\n  chroot =\n}\n");
        }
    }
    if options.dsync {
        let password = super::PASSWORD;
        let _ = writeln!(
            text,
            "doveadm_password = {password}\nservice doveadm {{\n  inet_listener {{\n    port = {dsync_port}\n  }}\n}}"
        );
    }
    if options.pop3 {
        let _ = writeln!(
            text,
            "service pop3-login {{\n  service_count = 0\n  client_limit = 1000\n  inet_listener pop3 {{\n    port = {pop3_port}\n  }}\n  \
             inet_listener pop3s {{\n    port = {pop3_tls_port}\n    ssl = yes\n  }}\n}}\n\
             protocol pop3 {{\n  mail_max_userip_connections = 1000\n}}"
        );
        if !geteuid().is_root() {
            text.push_str("service pop3-login {\n  chroot =\n}\n");
        }
    }
    if !geteuid().is_root() {
        let name = user_name();
        let _ = writeln!(text, "default_login_user = {name}\ndefault_internal_user = {name}");
        let group = group_name();
        let _ = writeln!(text, "default_internal_group = {group}");
        text.push_str(
            "service anvil {\n  chroot =\n}\nservice imap-login {\n  chroot =\n}\nservice stats {\n  chroot =\n}\n",
        );
    }
    text.push_str(&options.extra);
    text
}

fn user_name() -> String {
    said_by("id", "-un")
}

fn group_name() -> String {
    said_by("id", "-gn")
}

fn said_by(program: &str, argument: &str) -> String {
    let output = Command::new(program)
        .arg(argument)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {program}: {error}"));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
