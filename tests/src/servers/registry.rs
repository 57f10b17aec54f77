//! A registry of the OCI distribution protocol, over HTTP, on this machine only.

use std::fs;
use std::process::Command;

use tempfile::TempDir;

use super::dav::start;
use super::{Process, require};

/// A running registry that `alice` logs in to.
#[derive(Debug)]
pub struct Registry {
    _process: Process,
    port: u16,
    _folder: TempDir,
}

/// `alice` with [`super::PASSWORD`], as bcrypt, which is all that it takes.
const USERS: &str = "alice:$2y$05$J6GRvjXQvZTUEgnVUcmBTepZm8VsdczVi1JuPCw9XvBMDQIYo706q\n";

impl Registry {
    /// Starts it and waits until it answers.
    pub fn start() -> Self {
        let program = require("docker-registry", "docker-registry");
        let (process, port, folder) = start("registry", |folder, port| {
            fs::write(folder.join("users"), USERS).expect("own folder");
            let settings = format!(
                "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {0}/store}}\n\
                 http: {{addr: \"127.0.0.1:{port}\"}}\nauth:\n  htpasswd: {{realm: registry, path: {0}/users}}\n",
                folder.display()
            );
            fs::write(folder.join("config.yml"), settings).expect("own folder");
            let mut command = Command::new(&program);
            command.arg("serve").arg(folder.join("config.yml"));
            command
        });
        Self {
            _process: process,
            port,
            _folder: folder,
        }
    }

    /// The address of something in it.
    pub fn address(&self, name: &str) -> String {
        format!("oci://127.0.0.1:{}/{name}", self.port)
    }
}
