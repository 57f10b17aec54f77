//! Between the connectors' types and the engine's.

use whimbrel_model as model;
use whimbrel_plugin as plugin;

pub fn failure(failure: plugin::Failure) -> model::Failure {
    use model::Failure as To;
    use plugin::Failure as From;
    match failure {
        From::Unauthenticated(it) => To::Unauthenticated(it),
        From::Forbidden(it) => To::Forbidden(it),
        From::NotFound(it) => To::NotFound(it),
        From::Throttled((retry_after_ms, reason)) => To::Throttled { retry_after_ms, reason },
        From::Unavailable(it) => To::Unavailable(it),
        From::OverQuota(it) => To::OverQuota(it),
        From::TooLarge(limit) => To::TooLarge(limit),
        From::Rejected(it) => To::Rejected(it),
        From::GenerationChanged => To::GenerationChanged,
        From::Unsupported(it) => To::Unsupported(it),
        From::InvalidSettings(it) => To::InvalidSettings(it),
        From::Internal(it) => To::Internal(it),
    }
}

pub fn to_failure(failure: model::Failure) -> plugin::Failure {
    use model::Failure as From;
    use plugin::Failure as To;
    match failure {
        From::Unauthenticated(it) => To::Unauthenticated(it),
        From::Forbidden(it) => To::Forbidden(it),
        From::NotFound(it) => To::NotFound(it),
        From::Throttled { retry_after_ms, reason } => To::Throttled((retry_after_ms, reason)),
        From::Unavailable(it) => To::Unavailable(it),
        From::OverQuota(it) => To::OverQuota(it),
        From::TooLarge(limit) => To::TooLarge(limit),
        From::Rejected(it) => To::Rejected(it),
        From::GenerationChanged => To::GenerationChanged,
        From::Unsupported(it) => To::Unsupported(it),
        From::InvalidSettings(it) => To::InvalidSettings(it),
        From::Internal(it) | From::Rules(it) => To::Internal(it),
    }
}

/// Kinds and roles have the same names on both sides.
macro_rules! same {
    ($to:ident, $from:ident, $name:ident, $($variant:ident)*) => {
        pub fn $from(it: plugin::$name) -> model::$name {
            match it {
                $(plugin::$name::$variant => model::$name::$variant,)*
            }
        }

        pub fn $to(it: model::$name) -> plugin::$name {
            match it {
                $(model::$name::$variant => plugin::$name::$variant,)*
            }
        }
    };
}

same!(to_kind, kind, Kind, Message Event Task Contact Note Filter);
same!(to_role, role, Role, Inbox Archive Drafts Sent Junk Trash All Flagged Important Templates Outbox Memos);

pub fn timestamp(it: plugin::Timestamp) -> model::Timestamp {
    model::Timestamp {
        unix_ms: it.unix_ms,
        offset_minutes: it.offset_minutes,
    }
}

pub fn to_timestamp(it: model::Timestamp) -> plugin::Timestamp {
    plugin::Timestamp {
        unix_ms: it.unix_ms,
        offset_minutes: it.offset_minutes,
    }
}

pub fn collection(it: plugin::Collection) -> model::Collection {
    model::Collection {
        id: it.id,
        path: it.path,
        kind: kind(it.kind),
        role: it.role.map(role),
        selectable: it.selectable,
        subscribed: it.subscribed,
        items: it.items,
        bytes: it.bytes,
        generation: it.generation,
        attributes: it.attributes,
    }
}

pub fn to_collection(it: &model::Collection) -> plugin::Collection {
    plugin::Collection {
        id: it.id.clone(),
        path: it.path.clone(),
        kind: to_kind(it.kind),
        role: it.role.map(to_role),
        selectable: it.selectable,
        subscribed: it.subscribed,
        items: it.items,
        bytes: it.bytes,
        generation: it.generation.clone(),
        attributes: it.attributes.clone(),
    }
}

pub fn meta(it: plugin::ItemMeta) -> model::ItemMeta {
    model::ItemMeta {
        id: it.id,
        revision: it.revision,
        identity: it.identity,
        size: it.size,
        received: it.received.map(timestamp),
        flags: it.flags,
        labels: it.labels,
        attributes: it.attributes,
    }
}

pub fn to_meta(it: model::ItemMeta) -> plugin::ItemMeta {
    plugin::ItemMeta {
        id: it.id,
        revision: it.revision,
        identity: it.identity,
        size: it.size,
        received: it.received.map(to_timestamp),
        flags: it.flags,
        labels: it.labels,
        attributes: it.attributes,
    }
}

pub fn page(it: plugin::Page) -> model::Page {
    let change = |change| match change {
        plugin::Change::Upserted(it) => model::Change::Upserted(meta(it)),
        plugin::Change::Marked(it) => model::Change::Marked(meta(it)),
        plugin::Change::Present(id) => model::Change::Present(id),
        plugin::Change::Vanished(id) => model::Change::Vanished(id),
    };
    model::Page {
        changes: it.changes.into_iter().map(change).collect(),
        cursor: it.cursor,
        more: it.more,
        complete: it.complete,
        capped: it.capped,
    }
}

pub fn placement(it: plugin::Placement) -> model::Placement {
    model::Placement {
        id: it.id,
        revision: it.revision,
        outcome: match it.outcome {
            plugin::Outcome::Created => model::Outcome::Created,
            plugin::Outcome::MergedWithExisting => model::Outcome::MergedWithExisting,
            plugin::Outcome::Replaced => model::Outcome::Replaced,
        },
        alterations: it.alterations,
    }
}

pub fn limits(it: plugin::Limits) -> model::Limits {
    use plugin::Abilities as A;
    let able = |ability| it.abilities.contains(ability);
    model::Limits {
        abilities: model::Abilities {
            incremental: able(A::INCREMENTAL),
            reports_vanished: able(A::REPORTS_VANISHED),
            push: able(A::PUSH),
            server_side_copy: able(A::SERVER_SIDE_COPY),
            server_side_move: able(A::SERVER_SIDE_MOVE),
            returns_ids: able(A::RETURNS_IDS),
            keeps_received: able(A::KEEPS_RECEIVED),
            keeps_flags: able(A::KEEPS_FLAGS),
            keeps_labels: able(A::KEEPS_LABELS),
            multi_collection: able(A::MULTI_COLLECTION),
            replaces: able(A::REPLACES),
        },
        max_item_bytes: it.max_item_bytes,
        batch_items: it.batch_items,
        batch_bytes: it.batch_bytes,
        max_path_depth: it.max_path_depth,
        max_name_bytes: it.max_name_bytes,
        case_insensitive_names: it.case_insensitive_names,
        forbidden_in_names: it.forbidden_in_names,
        flags: it.flags,
        quota_free_bytes: it.quota_free_bytes,
        crlf_only: it.crlf_only,
    }
}

pub fn to_remark(it: &model::Remark) -> plugin::Remark {
    plugin::Remark {
        id: it.id.clone(),
        flags: it.flags.clone(),
        labels: it.labels.clone(),
    }
}
