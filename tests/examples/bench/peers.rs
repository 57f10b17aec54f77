//! Other programs that do the same, where they are installed: how each is asked to copy one account.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use whimbrel_tests::servers::PASSWORD;

/// An account: its port on this machine, and its user.
pub type End<'a> = (u16, &'a str);

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
}

impl Peer {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Interimap, Self::Mbsync, Self::Imapsync, Self::Offlineimap];

    /// Its name, which is that of its program.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mbsync => "mbsync",
            Self::Interimap => "interimap",
            Self::Offlineimap => "offlineimap",
            Self::Imapsync => "imapsync",
        }
    }

    /// Its program, if it is installed.
    pub fn program(self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH")?;
        std::env::split_paths(&path)
            .map(|folder| folder.join(self.name()))
            .find(|program| program.is_file())
    }

    /// One copy from one account of this machine to another; `state` is a folder of its own, which a second run finds
    /// again.
    pub fn command(self, program: &Path, source: End<'_>, destination: End<'_>, state: &Path) -> Command {
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
        }
        command
    }
}
