//! What the connectors that read mbox spools share: where messages begin and end, what of them is the store's, what their
//! marks are, and their content put together from parts of the spool.

pub mod content;
pub mod from_line;
pub mod marks;
pub mod scan;
