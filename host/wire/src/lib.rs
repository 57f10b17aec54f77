//! Native protocol clients and the bodies they carry: IMAP, HTTP, OAuth, connections for protocols of lines, TLS, files,
//! blobs, credentials.

mod blob;
mod credentials;
mod files;
pub mod http;
pub mod imap;
pub mod oauth;
mod places;
mod reach;
pub mod tcp;
mod tls;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use imap::fuzzing;

pub use blob::{Blob, BlobReader, BlobStore, BlobStoreConfig, BlobWriter, MAX_SEGMENTS, PIECE_BYTES};
pub use credentials::Credentials;
pub use files::{Entry, Folder, MOST_ENTRIES, leads_out};
pub use imap::Timeouts;
pub use tls::{Pin, Protection, Tls, Trust, provide_cryptography};
pub use whimbrel_model::Secret;
