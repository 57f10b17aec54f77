//! Between the contract's types and the model's. Texts from plugins are cut and stripped here; everything else is
//! judged in [`crate::validate`].

use whimbrel_model::{
    Abilities, Change, Collection, Description, Failure, ItemMeta, Kind, Limits, Outcome, Page, Permission, Placement,
    Remark, Role, Timestamp,
};

use crate::bindings::{descriptor, destination, types};

/// Bytes of a failure's text.
const TEXT: usize = 2 << 10;

/// A text from a plugin, fit for a terminal and a log: control characters become blanks, what is beyond `limit` bytes
/// is cut and marked with an ellipsis.
pub(crate) fn clean(text: &str, limit: usize) -> String {
    let mut out = String::with_capacity(text.len().min(limit));
    for character in text.chars() {
        if out.len() + character.len_utf8() > limit {
            out.push('…');
            break;
        }
        out.push(if is_control(character) { ' ' } else { character });
    }
    out
}

/// Control characters, and those that reorder or hide what stands beside them.
fn is_control(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

pub(crate) fn failure(failure: types::Failure) -> Failure {
    let text = |text: String| clean(text.trim(), TEXT);
    match failure {
        types::Failure::Unauthenticated(it) => Failure::Unauthenticated(text(it)),
        types::Failure::Forbidden(it) => Failure::Forbidden(text(it)),
        types::Failure::NotFound(it) => Failure::NotFound(text(it)),
        types::Failure::Throttled((retry_after_ms, it)) => Failure::Throttled {
            retry_after_ms,
            reason: text(it),
        },
        types::Failure::Unavailable(it) => Failure::Unavailable(text(it)),
        types::Failure::OverQuota(it) => Failure::OverQuota(text(it)),
        types::Failure::TooLarge(limit) => Failure::TooLarge(limit),
        types::Failure::Rejected(it) => Failure::Rejected(text(it)),
        types::Failure::GenerationChanged => Failure::GenerationChanged,
        types::Failure::Unsupported(it) => Failure::Unsupported(text(it)),
        types::Failure::InvalidSettings(it) => Failure::InvalidSettings(text(it)),
        types::Failure::Internal(it) => Failure::Internal(text(it)),
    }
}

pub(crate) fn failure_to_guest(failure: Failure) -> types::Failure {
    match failure {
        Failure::Unauthenticated(it) => types::Failure::Unauthenticated(it),
        Failure::Forbidden(it) => types::Failure::Forbidden(it),
        Failure::NotFound(it) => types::Failure::NotFound(it),
        Failure::Throttled { retry_after_ms, reason } => types::Failure::Throttled((retry_after_ms, reason)),
        Failure::Unavailable(it) => types::Failure::Unavailable(it),
        Failure::OverQuota(it) => types::Failure::OverQuota(it),
        Failure::TooLarge(limit) => types::Failure::TooLarge(limit),
        Failure::Rejected(it) => types::Failure::Rejected(it),
        Failure::GenerationChanged => types::Failure::GenerationChanged,
        Failure::Unsupported(it) => types::Failure::Unsupported(it),
        Failure::InvalidSettings(it) => types::Failure::InvalidSettings(it),
        Failure::Internal(it) | Failure::Rules(it) => types::Failure::Internal(it),
    }
}

pub(crate) fn kind(kind: types::Kind) -> Kind {
    match kind {
        types::Kind::Message => Kind::Message,
        types::Kind::Event => Kind::Event,
        types::Kind::Task => Kind::Task,
        types::Kind::Contact => Kind::Contact,
        types::Kind::Note => Kind::Note,
        types::Kind::Filter => Kind::Filter,
    }
}

pub(crate) fn kind_to_guest(kind: Kind) -> types::Kind {
    match kind {
        Kind::Message => types::Kind::Message,
        Kind::Event => types::Kind::Event,
        Kind::Task => types::Kind::Task,
        Kind::Contact => types::Kind::Contact,
        Kind::Note => types::Kind::Note,
        Kind::Filter => types::Kind::Filter,
    }
}

fn role(role: types::Role) -> Role {
    match role {
        types::Role::Inbox => Role::Inbox,
        types::Role::Archive => Role::Archive,
        types::Role::Drafts => Role::Drafts,
        types::Role::Sent => Role::Sent,
        types::Role::Junk => Role::Junk,
        types::Role::Trash => Role::Trash,
        types::Role::All => Role::All,
        types::Role::Flagged => Role::Flagged,
        types::Role::Important => Role::Important,
        types::Role::Templates => Role::Templates,
        types::Role::Outbox => Role::Outbox,
        types::Role::Memos => Role::Memos,
    }
}

fn role_to_guest(role: Role) -> types::Role {
    match role {
        Role::Inbox => types::Role::Inbox,
        Role::Archive => types::Role::Archive,
        Role::Drafts => types::Role::Drafts,
        Role::Sent => types::Role::Sent,
        Role::Junk => types::Role::Junk,
        Role::Trash => types::Role::Trash,
        Role::All => types::Role::All,
        Role::Flagged => types::Role::Flagged,
        Role::Important => types::Role::Important,
        Role::Templates => types::Role::Templates,
        Role::Outbox => types::Role::Outbox,
        Role::Memos => types::Role::Memos,
    }
}

pub(crate) fn collection(from: types::Collection) -> Collection {
    Collection {
        id: from.id,
        path: from.path,
        kind: kind(from.kind),
        role: from.role.map(role),
        selectable: from.selectable,
        subscribed: from.subscribed,
        items: from.items,
        bytes: from.bytes,
        generation: from.generation,
        attributes: from.attributes,
    }
}

pub(crate) fn collection_to_guest(from: &Collection) -> types::Collection {
    types::Collection {
        id: from.id.clone(),
        path: from.path.clone(),
        kind: kind_to_guest(from.kind),
        role: from.role.map(role_to_guest),
        selectable: from.selectable,
        subscribed: from.subscribed,
        items: from.items,
        bytes: from.bytes,
        generation: from.generation.clone(),
        attributes: from.attributes.clone(),
    }
}

/// No zone on earth is a day away from UTC: an offset of that size is dropped, the instant stays.
pub(crate) fn timestamp(from: types::Timestamp) -> Timestamp {
    let offset = if from.offset_minutes.unsigned_abs() < 24 * 60 {
        from.offset_minutes
    } else {
        0
    };
    Timestamp {
        unix_ms: from.unix_ms,
        offset_minutes: offset,
    }
}

pub(crate) fn timestamp_to_guest(from: Timestamp) -> types::Timestamp {
    types::Timestamp {
        unix_ms: from.unix_ms,
        offset_minutes: from.offset_minutes,
    }
}

pub(crate) fn meta(from: types::ItemMeta) -> ItemMeta {
    ItemMeta {
        id: from.id,
        revision: from.revision,
        identity: from.identity,
        size: from.size,
        received: from.received.map(timestamp),
        flags: from.flags,
        labels: from.labels,
        attributes: from.attributes,
    }
}

pub(crate) fn meta_to_guest(from: ItemMeta) -> types::ItemMeta {
    types::ItemMeta {
        id: from.id,
        revision: from.revision,
        identity: from.identity,
        size: from.size,
        received: from.received.map(timestamp_to_guest),
        flags: from.flags,
        labels: from.labels,
        attributes: from.attributes,
    }
}

pub(crate) fn page(from: types::Page) -> Page {
    let changes = from.changes.into_iter().map(|change| match change {
        types::Change::Upserted(it) => Change::Upserted(meta(it)),
        types::Change::Marked(it) => Change::Marked(meta(it)),
        types::Change::Present(id) => Change::Present(id),
        types::Change::Vanished(id) => Change::Vanished(id),
    });
    Page {
        changes: changes.collect(),
        cursor: from.cursor,
        more: from.more,
        complete: from.complete,
        capped: from.capped.map(|text| clean(&text, TEXT)),
    }
}

pub(crate) fn placement(from: types::Placement) -> Placement {
    Placement {
        id: from.id,
        revision: from.revision,
        outcome: match from.outcome {
            types::Outcome::Created => Outcome::Created,
            types::Outcome::MergedWithExisting => Outcome::MergedWithExisting,
            types::Outcome::Replaced => Outcome::Replaced,
        },
        alterations: from.alterations,
    }
}

fn abilities(from: descriptor::Abilities) -> Abilities {
    use descriptor::Abilities as A;
    Abilities {
        incremental: from.contains(A::INCREMENTAL),
        reports_vanished: from.contains(A::REPORTS_VANISHED),
        push: from.contains(A::PUSH),
        server_side_copy: from.contains(A::SERVER_SIDE_COPY),
        server_side_move: from.contains(A::SERVER_SIDE_MOVE),
        returns_ids: from.contains(A::RETURNS_IDS),
        keeps_received: from.contains(A::KEEPS_RECEIVED),
        keeps_flags: from.contains(A::KEEPS_FLAGS),
        keeps_labels: from.contains(A::KEEPS_LABELS),
        multi_collection: from.contains(A::MULTI_COLLECTION),
        replaces: from.contains(A::REPLACES),
    }
}

pub(crate) fn limits(from: destination::Limits) -> Limits {
    Limits {
        max_item_bytes: from.max_item_bytes,
        batch_items: from.batch_items,
        batch_bytes: from.batch_bytes,
        max_path_depth: from.max_path_depth,
        max_name_bytes: from.max_name_bytes,
        case_insensitive_names: from.case_insensitive_names,
        forbidden_in_names: from.forbidden_in_names,
        flags: from.flags,
        quota_free_bytes: from.quota_free_bytes,
        crlf_only: from.crlf_only,
        abilities: abilities(from.abilities),
    }
}

pub(crate) fn remark_to_guest(from: &Remark) -> destination::Remark {
    destination::Remark {
        id: from.id.clone(),
        flags: from.flags.clone(),
        labels: from.labels.clone(),
    }
}

pub(crate) fn description(from: descriptor::Description) -> Description {
    let permissions = from.permissions.into_iter().map(|permission| match permission {
        descriptor::Permission::Network((host, port)) => Permission::Network { host, port },
        descriptor::Permission::Url(setting) => Permission::Url(setting),
        descriptor::Permission::Endpoint(host) => Permission::Endpoint(host),
        descriptor::Permission::Files((setting, write)) => Permission::Files { setting, write },
    });
    Description {
        name: from.name,
        version: from.version,
        summary: from.summary,
        homepage: from.homepage,
        kinds: from.kinds.into_iter().map(kind).collect(),
        abilities: abilities(from.abilities),
        permissions: permissions.collect(),
        settings_schema: from.settings_schema,
        account_schema: from.account_schema,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_stripped() {
        assert_eq!(clean("a\x1b[31mb\r\nc\u{202e}d", 100), "a [31mb  c d");
        assert_eq!(clean("ééé", 4), "éé…");
        assert_eq!(clean("abc", 3), "abc");
        assert!(clean(&"x".repeat(10_000), TEXT).len() <= TEXT + 3);
    }

    #[test]
    fn failures_survive_both_ways() {
        let all = [
            Failure::Unauthenticated("a".into()),
            Failure::Forbidden("a".into()),
            Failure::NotFound("a".into()),
            Failure::Throttled {
                retry_after_ms: Some(7),
                reason: "a".into(),
            },
            Failure::Unavailable("a".into()),
            Failure::OverQuota("a".into()),
            Failure::TooLarge(Some(9)),
            Failure::Rejected("a".into()),
            Failure::GenerationChanged,
            Failure::Unsupported("a".into()),
            Failure::InvalidSettings("a".into()),
            Failure::Internal("a".into()),
        ];
        for it in all {
            assert_eq!(failure(failure_to_guest(it.clone())), it);
        }
    }

    #[test]
    fn impossible_zones_are_dropped() {
        let odd = types::Timestamp {
            unix_ms: -5,
            offset_minutes: i16::MIN,
        };
        assert_eq!(
            timestamp(odd),
            Timestamp {
                unix_ms: -5,
                offset_minutes: 0
            }
        );
        let east = types::Timestamp {
            unix_ms: 5,
            offset_minutes: 840,
        };
        assert_eq!(timestamp(east).offset_minutes, 840);
    }
}
