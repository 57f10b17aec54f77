//! What the host gives, without a host: for `cargo test` of a connector. The names and types are those of the contract,
//! so that a connector's code is the same.

pub mod blobs;
pub mod files;
pub mod http;
pub mod imap;
pub mod tcp;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::log::Level;
use crate::{Failure, Result};

/// What a test lets the connector reach.
#[derive(Default)]
pub struct World {
    pub user: String,
    pub password: Option<String>,
    pub token: Option<String>,
    pub folders: BTreeMap<String, PathBuf>,
    pub http: Option<http::Answerer>,
    pub imap: Option<imap::Opener>,
    pub log: Vec<String>,
}

thread_local! {
    /// Of this thread, so that tests run beside each other.
    static WORLD: RefCell<Option<World>> = const { RefCell::new(None) };
}

/// Puts one in the place of another.
pub fn replace(world: Option<World>) -> Option<World> {
    WORLD.with(|here| here.replace(world))
}

/// Does something with the one that is here.
pub fn with<T>(work: impl FnOnce(&mut World) -> Result<T>) -> Result<T> {
    WORLD.with(|here| match here.borrow_mut().as_mut() {
        Some(world) => work(world),
        None => Err(Failure::internal(
            "no host is here: a test enters one, see `whimbrel_plugin::testing::Host`",
        )),
    })
}

/// Keeps a line.
pub fn logged(level: Level, message: &str, fields: &[(&str, String)]) {
    let fields: String = fields.iter().map(|(name, value)| format!(" {name}={value}")).collect();
    // Where no host is entered, nobody wants to read it.
    let _ = with(|world| {
        world.log.push(format!("{level:?}: {message}{fields}"));
        Ok(())
    });
}
