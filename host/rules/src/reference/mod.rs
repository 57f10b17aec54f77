//! The reference of what scripts see, from the [registry](crate::registry): for people, for editors, for programs.

mod definitions;
mod markdown;

pub use definitions::definitions;
pub use markdown::markdown;

use crate::registry::{self, Entry};

/// All entries, for JSON.
pub fn entries() -> &'static [Entry] {
    registry::entries()
}

/// The types, with what they are and the name that the reference gives their values.
pub(crate) const TYPES: [(&str, &str); 11] = [
    ("Message", "The parameter of `message(m)`."),
    ("Event", "The parameter of `event(e)`."),
    ("Task", "The parameter of `task(t)`."),
    ("Contact", "The parameter of `contact(c)`."),
    ("Filter", "The parameter of `filter(s)`."),
    ("Folder", "The parameter of `folder(f)`."),
    (
        "Mailbox",
        "The parameter of `mailbox(b)`, and the `mailbox` of everything else.",
    ),
    ("Failure", "The parameter of `failure(e)`."),
    (
        "Address",
        "What `m.from`, `m.to` and so on give. Equal to another address, or to a string, in any case of letters.",
    ),
    ("Attachment", "What `m.attachments` holds."),
    (
        "Date",
        "Dates are compared with `<`, `==` and so on; with `()`, which stands for a missing date, nothing but `!=` is true.",
    ),
];
