//! What plugins return is judged here before anyone relies on it. A lie is told as a [`Lie`] and becomes an
//! `internal` failure that names the connector and the call.

use std::collections::HashSet;

use serde_json::Value;
use whimbrel_model::{
    Change, Collection, Description, Failure, ItemMeta, Limits, Outcome, Page, Permission, Placement,
};

use crate::PluginLimits;
use crate::convert::clean;

/// Bytes of the id of a collection or item.
const ID: usize = 1024;
/// Bytes of a cursor.
const CURSOR: usize = 64 << 10;
/// Entries of the small lists: flags, labels, attributes, path segments, alterations.
const FEW: usize = 10_000;
/// Bytes of a schema.
const SCHEMA: usize = 256 << 10;

/// A sentence on what the plugin returned that it must not: "it returned …".
pub(crate) type Lie = String;
type Checked<T = ()> = Result<T, Lie>;

fn list<T>(what: &str, items: &[T], limit: usize) -> Checked {
    if items.len() > limit {
        return Err(format!("it returned {} {what}; the limit is {limit}", items.len()));
    }
    Ok(())
}

fn text(what: &str, text: &str, limit: usize) -> Checked {
    if text.len() > limit {
        return Err(format!(
            "it returned {what} of {} bytes; the limit is {limit}",
            text.len()
        ));
    }
    Ok(())
}

fn id(what: &str, id: &str) -> Checked {
    if id.is_empty() {
        return Err(format!("it returned {what} without an id"));
    }
    if id.len() > ID {
        return text(&format!("the id of {what}"), id, ID);
    }
    if id.contains('\0') {
        return Err(format!("it returned {what} with a NUL in its id"));
    }
    Ok(())
}

fn pairs(pairs: &[(String, String)], limits: &PluginLimits) -> Checked {
    list("attributes", pairs, FEW)?;
    pairs.iter().try_for_each(|(name, value)| {
        text("the name of an attribute", name, ID)?;
        text("the value of an attribute", value, limits.max_string)
    })
}

/// Flags go into commands of other servers: nothing that could end a line.
fn flags(what: &str, flags: &[String]) -> Checked {
    list(what, flags, FEW)?;
    flags.iter().try_for_each(|flag| {
        text("a flag or label", flag, ID)?;
        if flag.is_empty() || flag.chars().any(char::is_control) {
            return Err("it returned a flag or label that is empty or holds control characters".to_owned());
        }
        Ok(())
    })
}

pub(crate) fn collection(collection: &Collection, limits: &PluginLimits) -> Checked {
    id("a collection", &collection.id)?;
    if collection.path.is_empty() {
        return Err("it returned a collection without a path".to_owned());
    }
    list("path segments", &collection.path, 1000)?;
    let bytes: usize = collection.path.iter().map(String::len).sum();
    if bytes > limits.max_string {
        return Err(format!(
            "it returned a path of {bytes} bytes; the limit is {}",
            limits.max_string
        ));
    }
    if let Some(generation) = &collection.generation {
        text("a generation", generation, ID)?;
    }
    pairs(&collection.attributes, limits)
}

pub(crate) fn collections(collections: &[Collection], limits: &PluginLimits) -> Checked {
    list("collections", collections, limits.max_list)?;
    let mut ids: Vec<&str> = collections.iter().map(|collection| collection.id.as_str()).collect();
    ids.sort_unstable();
    if let Some(pair) = ids.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(format!(
            "it returned two collections with the id {:?}",
            clean(pair[0], 100)
        ));
    }
    collections.iter().try_for_each(|it| collection(it, limits))
}

pub(crate) fn meta(meta: &ItemMeta, limits: &PluginLimits) -> Checked {
    id("an item", &meta.id)?;
    text("a revision", &meta.revision, limits.max_string)?;
    if let Some(identity) = &meta.identity {
        text("an identity", identity, ID)?;
    }
    flags("flags", &meta.flags)?;
    flags("labels", &meta.labels)?;
    pairs(&meta.attributes, limits)
}

/// A cursor, however it is called.
pub(crate) fn cursor(what: &str, cursor: &str) -> Checked {
    text(what, cursor, CURSOR)
}

/// A page that answers `limit` changes after the cursor `before`.
pub(crate) fn page(page: &Page, before: Option<&str>, limit: u32, limits: &PluginLimits) -> Checked {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(limits.max_list);
    list("changes", &page.changes, limit)?;
    cursor("a cursor", &page.cursor)?;
    if page.more && before == Some(page.cursor.as_str()) {
        return Err("it says that there is more, and its cursor does not move".to_owned());
    }
    if page.complete && page.capped.is_some() {
        return Err("it says of one listing that it is complete and that it is cut short".to_owned());
    }
    page.changes.iter().try_for_each(|change| match change {
        Change::Upserted(it) | Change::Marked(it) => meta(it, limits),
        Change::Present(it) | Change::Vanished(it) => id("an item", it),
    })?;
    let mut seen = HashSet::with_capacity(page.changes.len());
    let twice = page.changes.iter().map(changed).find(|id| !seen.insert(*id));
    twice.map_or(Ok(()), |id| {
        Err(format!("it lists the item {:?} twice", clean(id, 100)))
    })
}

fn changed(change: &Change) -> &str {
    match change {
        Change::Upserted(it) | Change::Marked(it) => &it.id,
        Change::Present(it) | Change::Vanished(it) => it,
    }
}

/// As many answers as questions.
pub(crate) fn answers<T>(what: &str, answers: &[T], asked: usize) -> Checked {
    if answers.len() != asked {
        return Err(format!("it returned {} {what} for {asked}", answers.len()));
    }
    Ok(())
}

/// The item that answers the question for `asked`.
pub(crate) fn item(it: &ItemMeta, media_type: &str, asked: &str, limits: &PluginLimits) -> Checked {
    meta(it, limits)?;
    if it.id != asked {
        return Err(format!(
            "asked for item {:?}, it returned {:?}",
            clean(asked, 100),
            clean(&it.id, 100)
        ));
    }
    if media_type.is_empty() || media_type.len() > 255 || media_type.chars().any(char::is_control) {
        return Err("it returned an item without a media type, or with an impossible one".to_owned());
    }
    Ok(())
}

pub(crate) fn placement(placement: &Placement, limits: &PluginLimits) -> Checked {
    if let Some(it) = &placement.id {
        id("a placement", it)?;
    }
    if let Some(revision) = &placement.revision {
        text("a revision", revision, limits.max_string)?;
    }
    list("alterations", &placement.alterations, 100)?;
    placement.alterations.iter().try_for_each(|name| {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 100 || !name.chars().all(plain) {
            return Err("it returned an alteration whose name is not letters, digits and `-`".to_owned());
        }
        Ok(())
    })
}

/// Items that were made by one call lie in places of their own.
pub(crate) fn apart(placed: &[Result<Placement, Failure>]) -> Checked {
    let mut seen = HashSet::with_capacity(placed.len());
    let mut made = placed
        .iter()
        .flatten()
        .filter(|it| it.outcome == Outcome::Created)
        .filter_map(|it| it.id.as_deref());
    match made.find(|it| !seen.insert(*it)) {
        Some(twice) => Err(format!("it placed two items under the id {:?}", clean(twice, 100))),
        None => Ok(()),
    }
}

pub(crate) fn ids(what: &str, ids: &[String], limits: &PluginLimits) -> Checked {
    list(what, ids, limits.max_list)?;
    ids.iter().try_for_each(|it| id("a collection", it))
}

pub(crate) fn limits(it: &Limits) -> Checked {
    if it.batch_items == 0 || it.batch_bytes == 0 {
        return Err("it wants batches of no items or no bytes".to_owned());
    }
    text("characters that names cannot hold", &it.forbidden_in_names, ID)?;
    it.flags.as_ref().map_or(Ok(()), |it| flags("flags", it))
}

/// What a plugin says of itself.
pub(crate) fn description(it: &Description) -> Checked {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let proper =
        it.name.len() <= 64 && it.name.starts_with(|c: char| c.is_ascii_lowercase()) && !it.name.ends_with('-');
    if !proper || !it.name.chars().all(plain) {
        return Err(format!(
            "its name {:?} is not made of lower-case letters, digits and `-` (64 at most, a letter first)",
            clean(&it.name, 100)
        ));
    }
    if !is_semver(&it.version) {
        return Err(format!(
            "its version {:?} is not a semantic version such as 1.2.3",
            clean(&it.version, 100)
        ));
    }
    if it.summary.is_empty() || it.summary.len() > 300 || it.summary.chars().any(char::is_control) {
        return Err("its summary is not one line of 1 to 300 bytes".to_owned());
    }
    if let Some(homepage) = &it.homepage {
        let address = homepage.starts_with("https://") || homepage.starts_with("http://");
        if !address || homepage.len() > 500 || homepage.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err("its homepage is not a web address".to_owned());
        }
    }
    if it.kinds.is_empty() || it.kinds.len() > 6 {
        return Err("it names no kind of item that it moves, or one twice".to_owned());
    }
    list("permissions", &it.permissions, 100)?;
    it.permissions.iter().try_for_each(|permission| match permission {
        Permission::Network { host, port } => setting_name(host).and_then(|()| setting_name(port)),
        Permission::Files { setting, .. } | Permission::Url(setting) => setting_name(setting),
        Permission::Endpoint(host) => endpoint(host),
    })?;
    schema("settings schema", &it.settings_schema)?;
    schema("account schema", &it.account_schema)
}

fn setting_name(name: &str) -> Checked {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(format!(
            "a permission names the setting {:?}, which cannot be one",
            clean(name, 100)
        ));
    }
    Ok(())
}

fn endpoint(host: &str) -> Checked {
    let domain = host.strip_prefix("*.").unwrap_or(host);
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    if !domain.contains('.') || domain.starts_with('.') || domain.len() > 253 || !domain.chars().all(plain) {
        return Err(format!(
            "it asks for the endpoint {:?}, which is not a host name",
            clean(host, 100)
        ));
    }
    Ok(())
}

fn schema(what: &str, source: &str) -> Checked {
    text(&format!("a {what}"), source, SCHEMA)?;
    match serde_json::from_str::<Value>(source) {
        Ok(Value::Object(_)) => Ok(()),
        Ok(_) => Err(format!("its {what} is not a JSON object")),
        Err(error) => Err(format!("its {what} is not JSON: {error}")),
    }
}

/// Semantic Versioning 2.0.0.
fn is_semver(version: &str) -> bool {
    let (rest, build) = version
        .split_once('+')
        .map_or((version, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest
        .split_once('-')
        .map_or((rest, None), |(core, pre)| (core, Some(pre)));
    let number = |it: &str| {
        !it.is_empty() && it.len() < 10 && it.bytes().all(|b| b.is_ascii_digit()) && (it == "0" || !it.starts_with('0'))
    };
    let words = |it: &str| {
        it.split('.')
            .all(|word| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    version.len() <= 100
        && core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(words)
        && build.is_none_or(words)
}

/// Judges each of several answers.
pub(crate) fn each<T>(answers: &[Result<T, Failure>], check: impl Fn(&T) -> Checked) -> Checked {
    answers
        .iter()
        .try_for_each(|answer| answer.as_ref().map_or(Ok(()), &check))
}

#[cfg(test)]
mod tests {
    use whimbrel_model::{Abilities, Kind, Outcome};

    use super::*;

    fn item_of(id: &str) -> ItemMeta {
        ItemMeta {
            id: id.into(),
            ..ItemMeta::default()
        }
    }

    fn mailbox(id: &str) -> Collection {
        Collection {
            id: id.into(),
            path: vec!["INBOX".into()],
            kind: Kind::Message,
            role: None,
            selectable: true,
            subscribed: true,
            items: None,
            bytes: None,
            generation: None,
            attributes: Vec::new(),
        }
    }

    fn page_of(count: usize, cursor: &str, more: bool) -> Page {
        let changes = (0..count).map(|n| Change::Upserted(item_of(&n.to_string()))).collect();
        Page {
            changes,
            cursor: cursor.into(),
            more,
            ..Page::default()
        }
    }

    fn lie(verdict: Checked) -> String {
        verdict.expect_err("a lie")
    }

    #[test]
    fn pages() {
        let limits = PluginLimits::default();
        let judge = |it: &Page, before| page(it, before, 3, &limits);
        judge(&page_of(3, "a", true), None).unwrap();
        judge(&page_of(0, "a", false), Some("a")).unwrap();
        assert!(lie(judge(&page_of(4, "a", true), None)).contains("4 changes; the limit is 3"));
        assert!(lie(judge(&page_of(1, "a", true), Some("a"))).contains("does not move"));
        assert!(lie(judge(&page_of(1, &"x".repeat(CURSOR + 1), false), None)).contains("a cursor"));
        let both = Page {
            complete: true,
            capped: Some("x".into()),
            ..page_of(0, "a", false)
        };
        assert!(lie(judge(&both, None)).contains("cut short"));
        let twice = Page {
            changes: vec![Change::Present("7".into()), Change::Vanished("7".into())],
            ..page_of(0, "a", false)
        };
        assert!(lie(judge(&twice, None)).contains("twice"));
        for change in [
            Change::Vanished(String::new()),
            Change::Present("x".repeat(ID + 1)),
            Change::Marked(item_of("")),
        ] {
            lie(judge(
                &Page {
                    changes: vec![change],
                    ..page_of(0, "a", false)
                },
                None,
            ));
        }
    }

    #[test]
    fn items() {
        let limits = PluginLimits::default();
        item(&item_of("7"), "message/rfc822", "7", &limits).unwrap();
        assert!(lie(item(&item_of("8"), "message/rfc822", "7", &limits)).contains("returned \"8\""));
        lie(item(&item_of("7"), "", "7", &limits));
        lie(item(&item_of("7"), "a\r\nb", "7", &limits));
        for flag in ["", "a\r\nb LOGOUT", "\0", "\u{7f}"] {
            lie(meta(
                &ItemMeta {
                    flags: vec![flag.into()],
                    ..item_of("7")
                },
                &limits,
            ));
            lie(meta(
                &ItemMeta {
                    labels: vec![flag.into()],
                    ..item_of("7")
                },
                &limits,
            ));
        }
        let attributes = vec![("a".to_owned(), "x".repeat(limits.max_string + 1))];
        lie(meta(
            &ItemMeta {
                attributes,
                ..item_of("7")
            },
            &limits,
        ));
        assert!(lie(answers("items", &[1, 2], 3)).contains("2 items for 3"));
    }

    #[test]
    fn collections_and_placements() {
        let limits = PluginLimits::default();
        collections(&[mailbox("a"), mailbox("b")], &limits).unwrap();
        assert!(lie(collections(&[mailbox("a"), mailbox("a")], &limits)).contains("two collections"));
        lie(collections(&[mailbox("")], &limits));
        lie(collection(
            &Collection {
                path: Vec::new(),
                ..mailbox("a")
            },
            &limits,
        ));
        lie(collection(
            &Collection {
                path: vec!["x".repeat(limits.max_string + 1)],
                ..mailbox("a")
            },
            &limits,
        ));
        let placed = |id: Option<&str>, alteration: &str| Placement {
            id: id.map(str::to_owned),
            revision: None,
            outcome: Outcome::Created,
            alterations: vec![alteration.to_owned()],
        };
        placement(&placed(None, "final-newline"), &limits).unwrap();
        lie(placement(&placed(Some(""), "final-newline"), &limits));
        lie(placement(&placed(None, "a subject line"), &limits));
        apart(&[
            Ok(placed(Some("1"), "x")),
            Ok(placed(Some("2"), "x")),
            Ok(placed(None, "x")),
            Ok(placed(None, "x")),
        ])
        .unwrap();
        assert!(lie(apart(&[Ok(placed(Some("1"), "x")), Ok(placed(Some("1"), "x"))])).contains("two items"));
    }

    #[test]
    fn descriptions() {
        let good = Description {
            name: "imap".into(),
            version: "0.1.0".into(),
            summary: "Moves mail".into(),
            homepage: None,
            kinds: vec![Kind::Message],
            abilities: Abilities::default(),
            permissions: vec![Permission::Endpoint("*.example.org".into())],
            settings_schema: "{}".into(),
            account_schema: "{}".into(),
        };
        description(&good).unwrap();
        let bad = |change: fn(&mut Description)| {
            let mut it = good.clone();
            change(&mut it);
            lie(description(&it))
        };
        bad(|it| it.name = "IMAP".into());
        bad(|it| it.name = String::new());
        bad(|it| it.name = "../x".into());
        bad(|it| it.version = "1.0".into());
        bad(|it| it.summary = "a\nb".into());
        bad(|it| it.homepage = Some("javascript:x".into()));
        bad(|it| it.kinds.clear());
        bad(|it| it.settings_schema = "[]".into());
        bad(|it| it.account_schema = "{".into());
        bad(|it| it.permissions = vec![Permission::Endpoint("*".into())]);
        bad(|it| it.permissions = vec![Permission::Endpoint("*.org.".repeat(100))]);
        bad(|it| {
            it.permissions = vec![Permission::Files {
                setting: "a b".into(),
                write: false,
            }]
        });
    }

    #[test]
    fn versions() {
        for good in ["0.1.0", "1.2.3-rc.1", "10.20.30+build.5", "1.0.0-alpha+001"] {
            assert!(is_semver(good), "{good}");
        }
        for bad in [
            "",
            "1",
            "1.2",
            "1.2.3.4",
            "01.2.3",
            "1.2.x",
            "1.2.3-",
            "1.2.3+",
            "v1.2.3",
            "1.2.3-a..b",
        ] {
            assert!(!is_semver(bad), "{bad}");
        }
    }

    proptest::proptest! {
        /// Whatever a plugin returns: it is judged, and a lie is told in a sentence that fits on a screen.
        #[test]
        #[test]
        fn no_guest_value_panics(
            texts in proptest::collection::vec("\\PC{0,40}|[\\x00-\\x20\\u{202e}]{0,9}", 12),
            long in 0usize..3,
            number in proptest::prelude::any::<u64>(),
        ) {
            let limits = PluginLimits::default();
            let text = |at: usize| texts[at].repeat([1, 100, 2000][long]);
            let mut meta_of = item_of(&text(0));
            meta_of.revision = text(1);
            meta_of.flags = vec![text(2), text(3)];
            meta_of.attributes = vec![(text(4), text(5))];
            let mut collection_of = mailbox(&text(6));
            collection_of.path = vec![text(7), String::new()];
            let told = [
                item(&meta_of, &text(8), &text(9), &limits),
                collections(&[collection_of.clone(), collection_of], &limits),
                page(&Page {
                    changes: vec![Change::Marked(meta_of), Change::Vanished(text(9))],
                    cursor: text(10),
                    ..Page::default()
                }, Some(&text(10)), u32::try_from(number % 5).unwrap_or(0), &limits),
                placement(&Placement {
                    id: Some(text(0)),
                    revision: Some(text(1)),
                    outcome: Outcome::Created,
                    alterations: vec![text(2)],
                }, &limits),
                ids("collections", &[text(3)], &limits),
                description(&Description {
                    name: text(0),
                    version: text(1),
                    summary: text(2),
                    homepage: Some(text(3)),
                    kinds: vec![Kind::Message],
                    abilities: Abilities::default(),
                    permissions: vec![Permission::Endpoint(text(4)), Permission::Files { setting: text(5), write: true }],
                    settings_schema: text(6),
                    account_schema: "{}".to_owned(),
                }),
            ];
            for lie in told.into_iter().filter_map(Result::err) {
                proptest::prop_assert!(!lie.is_empty() && lie.len() < 1000, "{}", lie);
                proptest::prop_assert!(!lie.chars().any(char::is_control), "{:?}", lie);
            }
        }
    }
}
