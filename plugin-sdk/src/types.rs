//! Builders for the nouns of the contract.

use crate::{Abilities, Change, Collection, Description, Item, ItemMeta, Kind, Limits, Outcome, Page, Placement};
use crate::{Blob, Permission, Role, Timestamp};

impl ItemMeta {
    /// An item of which only the id is known.
    pub fn new(id: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            revision: String::new(),
            identity: None,
            size: None,
            received: None,
            flags: Vec::new(),
            labels: Vec::new(),
            attributes: Vec::new(),
        }
    }
    /// What changes whenever the item changes.
    #[must_use]
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = revision.into();
        self
    }
    /// The same in every collection that holds the item.
    #[must_use]
    pub fn identity(mut self, identity: Option<String>) -> Self {
        self.identity = identity;
        self
    }
    /// Bytes of the content, as claimed.
    #[must_use]
    pub fn size(mut self, bytes: u64) -> Self {
        self.size = Some(bytes);
        self
    }
    /// When the provider received it.
    #[must_use]
    pub fn received(mut self, at: Option<Timestamp>) -> Self {
        self.received = at;
        self
    }
    /// Flags and keywords in IMAP's spelling. `\Recent` is left out.
    #[must_use]
    pub fn flags(mut self, flags: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.flags = flags
            .into_iter()
            .map(Into::into)
            .filter(|flag| !flag.eq_ignore_ascii_case("\\Recent"))
            .collect();
        self
    }
    /// Labels that are neither flags nor collections.
    #[must_use]
    pub fn labels(mut self, labels: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.labels = labels.into_iter().map(Into::into).collect();
        self
    }
    /// One more attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }
}

impl Item {
    /// A mail message (RFC 5322).
    pub fn message(meta: ItemMeta, content: Blob) -> Self {
        Self {
            meta,
            media_type: "message/rfc822".to_owned(),
            content,
        }
    }
}

impl Collection {
    /// A selectable collection of mail, not subscribed, of which nothing else is known.
    pub fn new(id: impl Into<String>, path: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            id: id.into(),
            path: path.into_iter().map(Into::into).collect(),
            kind: Kind::Message,
            role: None,
            selectable: true,
            subscribed: false,
            items: None,
            bytes: None,
            generation: None,
            attributes: Vec::new(),
        }
    }
    /// What its items are.
    #[must_use]
    pub fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }
    /// Its well-known purpose.
    #[must_use]
    pub fn role(mut self, role: Option<Role>) -> Self {
        self.role = role;
        self
    }
    /// Whether it holds items, or only children.
    #[must_use]
    pub fn selectable(mut self, selectable: bool) -> Self {
        self.selectable = selectable;
        self
    }
    /// Whether the user subscribed to it.
    #[must_use]
    pub fn subscribed(mut self, subscribed: bool) -> Self {
        self.subscribed = subscribed;
        self
    }
    /// What the provider claims that it holds.
    #[must_use]
    pub fn claims(mut self, items: Option<u64>, bytes: Option<u64>) -> Self {
        self.items = items;
        self.bytes = bytes;
        self
    }
    /// Changes when all item ids became void.
    #[must_use]
    pub fn generation(mut self, generation: Option<String>) -> Self {
        self.generation = generation;
        self
    }
    /// One more attribute.
    #[must_use]
    pub fn attribute(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.attributes.push((name.into(), value.into()));
        self
    }
}

impl Page {
    /// The last page of a listing of changes, which says nothing of what it leaves out.
    pub fn new(changes: Vec<Change>, cursor: impl Into<String>) -> Self {
        Self {
            changes,
            cursor: cursor.into(),
            more: false,
            complete: false,
            capped: None,
        }
    }
    /// Whether more is waiting right now.
    #[must_use]
    pub fn more(mut self, more: bool) -> Self {
        self.more = more;
        self
    }
    /// Whether the listing names every item of the collection; the same on all its pages.
    #[must_use]
    pub fn complete(mut self, complete: bool) -> Self {
        self.complete = complete;
        self
    }
    /// The provider cut the listing short: why. Never together with `complete`, which this clears.
    #[must_use]
    pub fn capped(mut self, reason: impl Into<String>) -> Self {
        self.capped = Some(reason.into());
        self.complete = false;
        self
    }
}

impl Change {
    /// The id of the item that this speaks of.
    pub fn id(&self) -> &str {
        match self {
            Self::Upserted(meta) | Self::Marked(meta) => &meta.id,
            Self::Present(id) | Self::Vanished(id) => id,
        }
    }
}

impl Placement {
    /// A new item under this id (none where the provider does not tell), its bytes exactly those given.
    pub fn created(id: Option<String>) -> Self {
        Self {
            id,
            revision: None,
            outcome: Outcome::Created,
            alterations: Vec::new(),
        }
    }
    /// What became of it, where it is not new.
    #[must_use]
    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }
    /// Its revision there.
    #[must_use]
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }
    /// Something that the destination's format forced on the item, by name.
    #[must_use]
    pub fn altered(mut self, name: impl Into<String>) -> Self {
        self.alterations.push(name.into());
        self
    }
}

impl Limits {
    /// A destination that can do this, takes what it is given, and likes batches of 100 items and 8 MiB.
    pub fn new(abilities: Abilities) -> Self {
        Self {
            max_item_bytes: None,
            batch_items: 100,
            batch_bytes: 8 * 1024 * 1024,
            max_path_depth: None,
            max_name_bytes: None,
            case_insensitive_names: false,
            forbidden_in_names: String::new(),
            flags: None,
            quota_free_bytes: None,
            crlf_only: false,
            abilities,
        }
    }
}

impl Description {
    /// A connector for mail without settings and permissions. `name` and `version` are best given as
    /// `env!("CARGO_PKG_VERSION")` and the folder's name.
    pub fn new(name: &str, version: &str, summary: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            summary: summary.to_owned(),
            homepage: None,
            kinds: vec![Kind::Message],
            abilities: Abilities::empty(),
            permissions: Vec::new(),
            settings_schema: EMPTY_SCHEMA.to_owned(),
            account_schema: EMPTY_SCHEMA.to_owned(),
        }
    }
    /// What kinds of items it moves.
    #[must_use]
    pub fn kinds(mut self, kinds: impl IntoIterator<Item = Kind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }
    /// The most that it can do.
    #[must_use]
    pub fn abilities(mut self, abilities: Abilities) -> Self {
        self.abilities = abilities;
        self
    }
    /// One more door that it wants opened.
    #[must_use]
    pub fn permission(mut self, permission: Permission) -> Self {
        self.permissions.push(permission);
        self
    }
    /// JSON Schema (2020-12) of the settings, and of what a mailbox must give.
    #[must_use]
    pub fn schemas(mut self, settings: &str, account: &str) -> Self {
        self.settings_schema = settings.to_owned();
        self.account_schema = account.to_owned();
        self
    }
}

const EMPTY_SCHEMA: &str = r#"{"type":"object","additionalProperties":false}"#;
