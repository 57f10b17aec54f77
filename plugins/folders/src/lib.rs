//! What the connectors that keep mail in a folder share: names and their escapes, roles by name, and the granted folder
//! behind traits, so that a connector's logic runs natively in tests as it runs in the sandbox.

pub mod disk;
pub mod escape;
pub mod hash;
#[cfg(any(test, feature = "memory"))]
pub mod memory;
pub mod roles;
pub mod utf7;

pub use disk::{Body, Disk, Fetched};
