//! Native protocol clients and the bodies they carry: IMAP, OAuth, TLS, files, blobs, credentials.

mod blob;
mod credentials;
mod files;
pub mod imap;
pub mod oauth;
mod places;
mod tls;

#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub use imap::fuzzing;

pub use blob::{Blob, BlobReader, BlobStore, BlobStoreConfig, BlobWriter, MAX_SEGMENTS, PIECE_BYTES};
pub use credentials::Credentials;
pub use files::{Entry, Folder, MOST_ENTRIES, leads_out};
pub use imap::Timeouts;
pub use tls::{Pin, Protection, Tls, Trust};
pub use whimbrel_model::Secret;
