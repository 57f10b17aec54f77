//! The one place that turns to `whimbrel-mail`.

use std::io;

use whimbrel_mail::{AttachmentInfo, Content, Head, Limits, Structure};

/// A date as (seconds since 1970, minutes east of UTC).
pub(crate) fn date(head: &Head, name: &str) -> Option<(i64, i16)> {
    let date = head.date(name)?;
    Some((date.unix, i16::try_from(date.offset_minutes).unwrap_or(0)))
}

/// Display names and addresses of all fields with a name.
pub(crate) fn addresses(head: &Head, name: &str) -> Vec<(String, String)> {
    let found = head.addresses(name).into_iter();
    found.map(|address| (address.name, address.address)).collect()
}

/// Without `<>`; empty if none.
pub(crate) fn message_id(head: &Head) -> String {
    head.message_id().unwrap_or_default()
}

/// Without `<>`; empty if none.
pub(crate) fn list_id(head: &Head) -> String {
    head.list_id().unwrap_or_default()
}

/// In lower case; `text/plain` if none.
pub(crate) fn content_type(head: &Head) -> String {
    head.content_type().kind
}

/// The parts.
pub(crate) fn structure(content: &dyn Content) -> io::Result<Structure> {
    whimbrel_mail::parts(content, &Limits::default())
}

/// The attachments among the parts.
pub(crate) fn attachments(structure: &Structure) -> Vec<AttachmentInfo> {
    whimbrel_mail::attachments(structure)
}

/// The beginning of the readable text.
pub(crate) fn text(content: &dyn Content, structure: &Structure, limit: usize) -> io::Result<String> {
    whimbrel_mail::text(content, structure, limit)
}

/// How edits are written down.
pub(crate) mod edits {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use whimbrel_mail::{Edit, Edits};

    #[derive(Serialize, Deserialize)]
    #[serde(remote = "Edit")]
    enum Written {
        Set {
            name: String,
            value: String,
        },
        Add {
            name: String,
            value: String,
        },
        Remove {
            name: String,
        },
        Replace {
            name: String,
            from: String,
            to: String,
        },
        Address {
            from: String,
            to: String,
            headers: Option<Vec<String>>,
            signed: bool,
        },
        Domain {
            from: String,
            to: String,
            headers: Option<Vec<String>>,
            signed: bool,
        },
    }

    #[derive(Serialize, Deserialize)]
    struct One(#[serde(with = "Written")] Edit);

    pub(crate) fn serialize<S: Serializer>(edits: &[Edit], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(edits.iter().cloned().map(One))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Edits, D::Error> {
        let all = Vec::<One>::deserialize(deserializer)?;
        Ok(all.into_iter().map(|one| one.0).collect())
    }
}
