//! Radicale and Xandikos: calendars and address books over HTTP, in clear text, on this machine only.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::{PASSWORD, Process, free_ports, require, tail};
use crate::dav::{Dav, Sort};
use crate::scratch;

/// The users that Radicale knows, each with [`PASSWORD`].
const USERS: [&str; 2] = ["alice", "bob"];

/// A server of calendars and address books.
pub trait DavServer {
    /// `http://127.0.0.1:…/`.
    fn url(&self) -> String;
    /// Who logs in, where it asks for that.
    fn user(&self) -> Option<&'static str>;
    /// Where its collections of this sort lie.
    fn home(&self, sort: Sort) -> &'static str;
    /// Files of the corpus that it does not take, and says so.
    fn refuses(&self) -> &'static [&'static str] {
        &[]
    }
    /// The independent client, as that user.
    fn dav(&self) -> Dav {
        Dav::new(&self.url(), self.user().map(|user| (user, PASSWORD)))
    }
    /// The TOML of an account.
    fn account(&self) -> String {
        match self.user() {
            Some(user) => crate::run::account(user),
            None => "{ }".to_owned(),
        }
    }
    /// The side of a migration that it is.
    fn side(&self, side: &str, connector: &str) -> String {
        format!(
            "[{side}]\nconnector = \"{connector}\"\nsettings = {{ url = \"{}\", tls = \"insecure\" }}\n",
            self.url()
        )
    }
}

/// A running Radicale. Its store is a folder of files, which git is not needed for.
#[derive(Debug)]
pub struct Radicale {
    _process: Process,
    port: u16,
    folder: TempDir,
}

/// A running Xandikos. It asks nobody who they are: whoever comes is `user`.
#[derive(Debug)]
pub struct Xandikos {
    _process: Process,
    port: u16,
    _folder: TempDir,
}

impl DavServer for Radicale {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn user(&self) -> Option<&'static str> {
        Some("alice")
    }

    fn home(&self, _: Sort) -> &'static str {
        "/alice/"
    }
}

impl DavServer for Xandikos {
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/", self.port)
    }

    fn user(&self) -> Option<&'static str> {
        None
    }

    fn home(&self, sort: Sort) -> &'static str {
        match sort {
            Sort::Calendars => "/user/calendars/",
            Sort::AddressBooks => "/user/contacts/",
        }
    }
}

impl Radicale {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        let program = require("radicale", "radicale");
        let (process, port, folder) = start("radicale", |folder, port| {
            let mut users = String::new();
            for user in USERS {
                let _ = writeln!(users, "{user}:{PASSWORD}");
            }
            fs::write(folder.join("users"), users).expect("own folder");
            let settings = format!(
                "[server]\nhosts = 127.0.0.1:{port}\nmax_connections = 100\n\
                 [auth]\ntype = htpasswd\nhtpasswd_filename = {0}/users\nhtpasswd_encryption = plain\ndelay = 0\n\
                 [rights]\ntype = owner_only\n[storage]\nfilesystem_folder = {0}/store\n[logging]\nlevel = warning\n",
                folder.display()
            );
            fs::write(folder.join("config"), settings).expect("own folder");
            let mut command = Command::new(&program);
            command.arg("--config").arg(folder.join("config"));
            command
        });
        Self {
            _process: process,
            port,
            folder,
        }
    }

    /// Where everything of a user lies.
    pub fn store(&self, user: &str) -> PathBuf {
        self.folder.path().join("store/collection-root").join(user)
    }
}

impl Xandikos {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        let program = require("xandikos", "xandikos");
        let (process, port, folder) = start("xandikos", |folder, port| {
            let mut command = Command::new(&program);
            command
                .arg("-d")
                .arg(folder.join("store"))
                .args(["-l", "127.0.0.1", "-p", &port.to_string()])
                .args(["--defaults", "--autocreate", "--current-user-principal", "/user/"]);
            command
        });
        Self {
            _process: process,
            port,
            _folder: folder,
        }
    }
}

/// Starts a server that speaks HTTP, and waits until it answers.
pub(super) fn start(name: &str, command: impl Fn(&Path, u16) -> Command) -> (Process, u16, TempDir) {
    let mut last = String::new();
    for _ in 0..4 {
        let folder = scratch::folder(name);
        let [port] = free_ports();
        let process = Process::start(folder.path(), &mut command(folder.path(), port));
        if process.answers_http(port) {
            return (process, port, folder);
        }
        last = tail(&folder.path().join("output"));
    }
    panic!("{name} does not start:\n{last}");
}
