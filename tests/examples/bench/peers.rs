//! Other programs that do the same, where they are installed: how each is asked to copy one account.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use whimbrel_tests::servers::PASSWORD;

/// An account: its port on this machine, and its user.
pub type End<'a> = (u16, &'a str);

/// What a peer is told about the way from one account to another.
#[derive(Debug, Clone, Copy)]
pub struct Route<'a> {
    /// Where the account is.
    pub source: End<'a>,
    /// Where it goes.
    pub destination: End<'a>,
    /// The configuration files of both servers, the source's first: for Dovecot's own tool.
    pub configurations: [&'a Path; 2],
    /// The port of the destination's own protocol.
    pub dsync: u16,
    /// A folder of its own, which a second run finds again.
    pub state: &'a Path,
}

/// A program that can be compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// isync's mbsync.
    Mbsync,
    /// interimap.
    Interimap,
    /// offlineimap.
    Offlineimap,
    /// imapsync with its defaults.
    Imapsync,
    /// Dovecot's doveadm, which talks its own protocol to the destination and reads the source's store itself.
    Dsync,
    /// Dovecot's doveadm, which reads the source over IMAP and writes the destination's store itself.
    DsyncImapc,
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Interimap,
        Self::Mbsync,
        Self::Imapsync,
        Self::Offlineimap,
        Self::Dsync,
        Self::DsyncImapc,
    ];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mbsync => "mbsync",
            Self::Interimap => "interimap",
            Self::Offlineimap => "offlineimap",
            Self::Imapsync => "imapsync",
            Self::Dsync => "dsync",
            Self::DsyncImapc => "dsync-imapc",
        }
    }

    /// What is to be known about its figures.
    pub fn note(name: &str) -> Option<&'static str> {
        match name {
            "dsync" => Some("dsync reads the source's store itself and does not speak IMAP"),
            "dsync-imapc" => Some("dsync-imapc writes the destination's store itself, with no server between"),
            _ => None,
        }
    }

    /// The names that its program may have.
    fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Mbsync => &["mbsync"],
            Self::Interimap => &["interimap"],
            Self::Offlineimap => &["offlineimap3", "offlineimap"],
            Self::Imapsync => &["imapsync"],
            Self::Dsync | Self::DsyncImapc => &["doveadm"],
        }
    }

    /// Its program, if it is installed.
    pub fn program(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
        let mut programs = self
            .programs()
            .iter()
            .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        programs.find(|program| program.is_file())
    }

    /// Whether it takes both users to have the same name, that of the destination's.
    pub fn needs_alias(self) -> bool {
        self == Self::Dsync
    }

    /// One copy from one account of this machine to another.
    pub fn command(self, program: &Path, route: &Route<'_>) -> Command {
        let Route {
            source,
            destination,
            configurations,
            dsync,
            state,
        } = *route;
        let mut command = Command::new(program);
        let write = |name: &str, text: String| {
            let file = state.join(name);
            fs::write(&file, text).expect("own folder");
            file
        };
        match self {
            Self::Mbsync => {
                let account = |name: &str, (port, user): End<'_>| {
                    format!(
                        "IMAPAccount {name}\nHost 127.0.0.1\nPort {port}\nUser {user}\nPass {PASSWORD}\nSSLType None\n\
                         AuthMechs LOGIN\nTimeout 300\n\nIMAPStore {name}\nAccount {name}\n\n"
                    )
                };
                let text = format!(
                    "{}{}Channel c\nFar :far:\nNear :near:\nPatterns *\nCreate Near\nSync Pull\nExpunge None\n\
                     CopyArrivalDate yes\nSyncState {}/\n",
                    account("far", source),
                    account("near", destination),
                    state.display()
                );
                command.arg("-c").arg(write("mbsyncrc", text)).args(["-q", "-a"]);
            }
            Self::Interimap => {
                let side = |name: &str, (port, user): End<'_>| {
                    format!(
                        "[{name}]\ntype = imap\nhost = 127.0.0.1\nport = {port}\nSTARTTLS = NO\nauth = LOGIN\n\
                         username = {user}\npassword = {PASSWORD}\n"
                    )
                };
                let text = format!(
                    "database = {}/db\nlist-mailbox = *\n{}{}",
                    state.display(),
                    side("local", source),
                    side("remote", destination)
                );
                let file = write("config", text);
                for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
                    command.env(name, state);
                }
                command.arg(format!("--config={}", file.display()));
            }
            Self::Offlineimap => {
                let side = |name: &str, (port, user): End<'_>, more: &str| {
                    format!(
                        "[Repository {name}]\ntype = IMAP\nremotehost = 127.0.0.1\nremoteport = {port}\nremoteuser = {user}\n\
                         remotepass = {PASSWORD}\nssl = no\nstarttls = no\nauth_mechanisms = PLAIN\nmaxconnections = 2\n{more}"
                    )
                };
                let text = format!(
                    "[general]\naccounts = a\nmetadata = {}/meta\nui = quiet\n[Account a]\nlocalrepository = l\n\
                     remoterepository = r\n{}{}",
                    state.display(),
                    side("l", destination, ""),
                    side("r", source, "readonly = True\n")
                );
                command.arg("-o").arg("-c").arg(write("rc", text));
            }
            Self::Imapsync => {
                for (number, (port, user)) in [("1", source), ("2", destination)] {
                    command
                        .args([format!("--host{number}"), "127.0.0.1".to_owned()])
                        .args([format!("--port{number}"), port.to_string()])
                        .args([format!("--user{number}"), user.to_owned()])
                        .args([format!("--password{number}"), PASSWORD.to_owned()])
                        .args([format!("--nossl{number}"), format!("--notls{number}")]);
                }
                command.args(["--nolog", "--noreleasecheck", "--no-modulesversion", "--tmpdir"]);
                command.arg(state).arg("--pidfile").arg(state.join("pid"));
            }
            Self::Dsync => {
                let to = format!("tcp:127.0.0.1:{dsync}");
                command.arg("-c").arg(configurations[0]);
                command.args(["-o", &format!("doveadm_password={PASSWORD}")]);
                command.args(["backup", "-u", destination.1, &to]);
            }
            Self::DsyncImapc => {
                let (port, user) = source;
                let settings = [
                    "imapc_host=127.0.0.1".to_owned(),
                    format!("imapc_port={port}"),
                    format!("imapc_user={user}"),
                    format!("imapc_password={PASSWORD}"),
                    // Sizes and headers as the server gives them, and messages asked for ahead.
                    "imapc_features=rfc822.size fetch-headers fetch-bodystructure".to_owned(),
                    "mail_prefetch_count=20".to_owned(),
                ];
                command.arg("-c").arg(configurations[1]);
                command.args(settings.iter().flat_map(|setting| ["-o", setting]));
                command.args(["backup", "-R", "-u", destination.1, "imapc:"]);
            }
        }
        command
    }
}
