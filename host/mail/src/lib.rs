//! A message as bytes: finds things in it and changes one thing, and nothing else.

mod addresses;
mod canonical;
mod content;
mod content_type;
mod detach;
mod edits;
mod encode;
mod field;
mod head;
mod parts;
mod repair;
mod rewrite;
mod scan;
mod signatures;
mod text;
mod transfer;
mod words;

pub use addresses::Address;
pub use canonical::{TRANSPORT_HEADERS, content_print};
pub use content::Content;
pub use content_type::ContentType;
pub use detach::{Detached, Replacement, Slice, detach, detached_mark};
pub use edits::{Applied, Change, Edit, EditError, Edits, What};
pub use encode::ADDRESS_HEADERS;
pub use field::{Date, Field};
pub use head::{HEAD_LIMIT, Head, LineEnd, Piece};
pub use parts::{AttachmentInfo, Limits, Part, Structure, attachments, parts};
pub use repair::{Emit, LONGEST_LINE, Repair};
pub use text::text;
pub use transfer::{Decoder, Encoding};
