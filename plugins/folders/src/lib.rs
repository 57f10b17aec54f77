//! What the connectors that keep something in a folder share: names and their escapes, roles by name, dates, flags as letters,
//! and the granted folder and bodies behind traits, so that a connector's logic runs natively in tests as it runs in the
//! sandbox.

pub mod dates;
pub mod disk;
pub mod escape;
pub mod hash;
pub mod head;
pub mod keywords;
pub mod letters;
pub mod lines;
#[cfg(any(test, feature = "memory"))]
pub mod memory;
pub mod portable;
pub mod roles;
pub mod sequence;
pub mod utf7;

pub use disk::{Body, Disk, Fetched};
