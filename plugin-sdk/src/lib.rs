//! What the author of a Rust connector for Whimbrel uses.
//!
//! A connector is a crate of type `cdylib` that implements [`Connector`] (or [`Reader`], where nothing can be
//! written), with a [`Source`] and a [`Destination`], and exports it with one macro. It is built for
//! `wasm32-unknown-unknown` and made a component; it holds no authority beyond what its description asks for and the
//! admin's file grants. Everything also compiles natively, so that logic is tested with plain `cargo test`: only what
//! the host gives ([`Blob`], [`imap`], [`http`], [`files`]) is not there then, so keep such calls at the edge.
//!
//! ```
//! use whimbrel_plugin::{Abilities, Change, Collection, Description, Failure, Item, ItemMeta, Page, Reader, Result};
//! use whimbrel_plugin::{Settings, Source, blobs, export_reader};
//!
//! /// One folder with so many numbered notes.
//! struct Numbers;
//!
//! #[derive(serde::Deserialize)]
//! struct Account {
//!     count: u32,
//! }
//!
//! impl Reader for Numbers {
//!     type Source = Account;
//!     fn describe() -> Description {
//!         Description::new("numbers", env!("CARGO_PKG_VERSION"), "Counts").schemas(
//!             r#"{"type":"object","properties":{"count":{"type":"integer","minimum":0}},"required":["count"]}"#,
//!             r#"{"type":"object"}"#,
//!         )
//!     }
//! }
//!
//! impl Source for Account {
//!     fn open(settings: &Settings) -> Result<Self> {
//!         settings.parse()
//!     }
//!     fn collections(&mut self) -> Result<Vec<Collection>> {
//!         Ok(vec![Collection::new("all", ["INBOX"]).claims(Some(self.count.into()), None)])
//!     }
//!     fn changes(&mut self, _: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
//!         let from: u32 = cursor.map_or(Ok(0), |cursor| whimbrel_plugin::decode_cursor(1, cursor))?;
//!         let to = from.saturating_add(limit).min(self.count);
//!         let changes = (from..to).map(|n| Change::Upserted(ItemMeta::new(n.to_string()))).collect();
//!         Ok(Page::new(changes, whimbrel_plugin::encode_cursor(1, &to)?).more(to < self.count))
//!     }
//!     fn fetch(&mut self, _: &str, ids: &[String]) -> Result<Vec<Result<Item>>> {
//!         Ok(ids
//!             .iter()
//!             .map(|id| match id.parse::<u32>() {
//!                 Ok(n) if n < self.count => {
//!                     let body = blobs::blob(format!("Subject: {n}\r\n\r\n").as_bytes());
//!                     Ok(Item::message(ItemMeta::new(id), body))
//!                 }
//!                 _ => Err(Failure::not_found(format!("there is no item {id}"))),
//!             })
//!             .collect())
//!     }
//! }
//!
//! export_reader!(Numbers);
//!
//! // All but the bodies runs natively:
//! let mut account = Account::open(&Settings::new(r#"{"count":3}"#)).unwrap();
//! let page = account.changes("all", None, 2).unwrap();
//! assert!(page.more && page.changes.len() == 2);
//! assert_eq!(account.changes("all", Some(&page.cursor), 2).unwrap().changes[0].id(), "2");
//! assert!(Account::open(&Settings::new("{}")).is_err());
//! ```

pub mod bindings;
pub mod blobs;
mod failure;
#[doc(hidden)]
pub mod glue;
pub mod log;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
mod native;
mod paging;
mod settings;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
pub mod testing;
mod traits;
mod types;

pub use bindings::connector::exports::whimbrel::connector::descriptor::{Abilities, Description, Permission};
pub use bindings::connector::exports::whimbrel::connector::destination::{Limits, Remark};
#[cfg(not(all(feature = "testing", not(target_family = "wasm"))))]
use bindings::connector::whimbrel::connector as host;
#[cfg(all(feature = "testing", not(target_family = "wasm")))]
use native as host;

pub use bindings::connector::whimbrel::connector::types::{
    Change, Collection, Failure, Item, ItemMeta, Kind, Outcome, Page, Placement, Role, Timestamp,
};
pub use failure::Result;
pub use host::blobs::Blob;
/// Granted folders; see `wit/files.wit`.
pub use host::files;
/// HTTP, done by the host; see `wit/http.wit`.
pub use host::http;
/// IMAP, spoken by the host; see `wit/imap.wit`.
pub use host::imap;
/// Connections for protocols of lines; see `wit/tcp.wit`.
pub use host::tcp;
pub use paging::{MAX_CURSOR_BYTES, Pager, cursor_body, decode_cursor, encode_cursor, next_field};
pub use settings::Settings;
pub use traits::{Connector, Destination, Reader, Source};

/// The version of this crate, which every plugin bears in the custom section `whimbrel-sdk`.
pub const SDK_VERSION: &str = env!("CARGO_PKG_VERSION");
