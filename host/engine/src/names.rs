//! Where folders go: special-use first, then the admin's map, then the same path; collisions and forbidden names are
//! planned before anything is made.
//!
//! Pure: source collections, destination collections and limits in, names out.

use std::collections::{HashMap, HashSet};

use serde::Serialize;
use whimbrel_model::{Collection, Limits, Role};
use whimbrel_rules::Wanted;

use crate::FolderOptions;

/// Why a folder goes where it goes, when that is not simply its own path.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NameNote {
    /// The destination has a folder for this purpose.
    SpecialUse,
    /// The settings say so.
    Mapped,
    /// A rule says so.
    Rule,
    /// It was there in an earlier run.
    Kept,
    /// Its parent goes elsewhere.
    FollowsParent,
    /// The name has characters that the destination cannot keep.
    Characters,
    /// The name is too long for the destination.
    Length,
    /// The destination does not nest that deep.
    Depth,
    /// Another folder has that name already.
    Collision,
}

/// Where a folder goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedName {
    /// Its id at the source.
    pub source: String,
    /// Its path at the destination.
    pub path: Vec<String>,
    /// Why there.
    pub notes: Vec<NameNote>,
}

/// What decides where folders go, beside their own names.
#[derive(Debug, Clone, Copy)]
pub struct Guides<'a> {
    /// What earlier runs decided, by source id: it stands.
    pub kept: &'a HashMap<String, Vec<String>>,
    /// What rules say, by source id.
    pub ruled: &'a HashMap<String, Wanted>,
    /// What the settings say.
    pub options: &'a FolderOptions,
}

/// Plans names for all folders at once.
pub fn plan_names(
    sources: &[Collection],
    destinations: &[Collection],
    guides: Guides<'_>,
    limits: &Limits,
) -> Vec<PlannedName> {
    let kept = guides.kept;
    let by_role: HashMap<Role, &Collection> = destinations
        .iter()
        .filter(|collection| collection.selectable)
        .filter_map(|collection| Some((collection.role?, collection)))
        .rev()
        .collect();
    let mut taken: HashSet<String> = kept.values().map(|path| key(path, limits)).collect();
    let mut roles_used: HashSet<Role> = HashSet::new();
    let mut moved: HashMap<&[String], Vec<String>> = HashMap::new();
    let mut order: Vec<&Collection> = sources.iter().collect();
    // Parents before children; and whoever has a purpose chooses before whoever has only a name.
    order.sort_by_key(|collection| (collection.path.len(), collection.role.is_none()));
    let mut planned: HashMap<&str, PlannedName> = HashMap::new();
    for collection in order {
        let mut notes = Vec::new();
        let path = if let Some(path) = kept.get(&collection.id) {
            notes.push(NameNote::Kept);
            path.clone()
        } else {
            let mut path = wanted(
                collection,
                &by_role,
                &mut roles_used,
                &moved,
                limits,
                guides,
                &mut notes,
            );
            if limits.max_path_depth.is_some_and(|depth| path.len() > depth as usize) {
                path = flatten(
                    &path,
                    limits.max_path_depth.unwrap_or(1).max(1) as usize,
                    limits,
                    &mut notes,
                );
            }
            // Who writes a rule may lead several folders into one.
            if !notes.contains(&NameNote::Rule) && !taken.insert(key(&path, limits)) {
                path = unique(path, &taken, limits);
                taken.insert(key(&path, limits));
                notes.push(NameNote::Collision);
            }
            path
        };
        moved.insert(&collection.path, path.clone());
        planned.insert(
            &collection.id,
            PlannedName {
                source: collection.id.clone(),
                path,
                notes,
            },
        );
    }
    sources
        .iter()
        .filter_map(|collection| planned.remove(collection.id.as_str()))
        .collect()
}

fn wanted(
    collection: &Collection,
    by_role: &HashMap<Role, &Collection>,
    roles_used: &mut HashSet<Role>,
    moved: &HashMap<&[String], Vec<String>>,
    limits: &Limits,
    guides: Guides<'_>,
    notes: &mut Vec<NameNote>,
) -> Vec<String> {
    match guides.ruled.get(&collection.id) {
        Some(Wanted::Path(path)) if !path.is_empty() => {
            notes.push(NameNote::Rule);
            return path.iter().map(|segment| segment_for(segment, limits, notes)).collect();
        }
        Some(Wanted::Role(role)) => {
            notes.push(NameNote::Rule);
            return match by_role.get(role) {
                Some(there) => there.path.clone(),
                None => standard_path(*role),
            };
        }
        _ => {}
    }
    let options = guides.options;
    if let Some(path) = options.mapped(&collection.path).filter(|path| !path.is_empty()) {
        notes.push(NameNote::Mapped);
        return path.iter().map(|segment| segment_for(segment, limits, notes)).collect();
    }
    if let Some(role) = collection.role
        && let Some(there) = by_role.get(&role)
        && roles_used.insert(role)
    {
        if there.path != collection.path {
            notes.push(NameNote::SpecialUse);
        }
        return there.path.clone();
    }
    let (parents, last) = match collection.path.split_last() {
        Some((last, parents)) => (parents, last.as_str()),
        None => (&[][..], "unnamed"),
    };
    let mut path = match moved.get(parents) {
        Some(path) => {
            if path != parents {
                notes.push(NameNote::FollowsParent);
            }
            path.clone()
        }
        None => parents
            .iter()
            .map(|segment| segment_for(segment, limits, notes))
            .collect(),
    };
    path.push(segment_for(last, limits, notes));
    path
}

/// Where a folder of this purpose goes where the destination has none, by its usual English name.
pub fn standard_path(role: Role) -> Vec<String> {
    let name = match role {
        Role::Inbox => "INBOX",
        Role::Archive => "Archive",
        Role::Drafts => "Drafts",
        Role::Sent => "Sent",
        Role::Junk => "Junk",
        Role::Trash => "Trash",
        Role::All => "All Mail",
        Role::Flagged => "Flagged",
        Role::Important => "Important",
        Role::Templates => "Templates",
        Role::Outbox => "Outbox",
        Role::Memos => "Notes",
    };
    vec![name.to_owned()]
}

/// A path that a rule names, as the destination can keep it: one that is there already in the destination's own
/// spelling, parents included.
pub fn destination_path(path: &[String], there: &[Collection], limits: &Limits) -> Vec<String> {
    let mut notes = Vec::new();
    let mut out: Vec<String> = path
        .iter()
        .map(|segment| segment_for(segment, limits, &mut notes))
        .collect();
    if let Some(depth) = limits.max_path_depth.filter(|depth| out.len() > *depth as usize) {
        out = flatten(&out, depth.max(1) as usize, limits, &mut notes);
    }
    for length in (1..=out.len()).rev() {
        let wanted = key(&out[..length], limits);
        if let Some(found) = there.iter().find(|other| key(&other.path, limits) == wanted) {
            let mut path = found.path.clone();
            path.extend_from_slice(&out[length..]);
            return path;
        }
    }
    out
}

/// One segment as the destination can keep it.
fn segment_for(segment: &str, limits: &Limits, notes: &mut Vec<NameNote>) -> String {
    let mut out: String = segment
        .chars()
        .map(|char| {
            if limits.forbidden_in_names.contains(char) || char.is_control() {
                '_'
            } else {
                char
            }
        })
        .collect();
    if out != segment {
        notes.push(NameNote::Characters);
    }
    if out.is_empty() {
        out.push('_');
        notes.push(NameNote::Characters);
    }
    if let Some(limit) = limits.max_name_bytes.map(|limit| limit as usize)
        && out.len() > limit
    {
        out = shorten(&out, limit, segment);
        notes.push(NameNote::Length);
    }
    out
}

/// The beginning of `text` and a mark of the whole, in at most `limit` bytes.
fn shorten(text: &str, limit: usize, whole: &str) -> String {
    let mut mark = format!("~{}", &blake3::hash(whole.as_bytes()).to_hex()[..8]);
    mark.truncate(limit.max(1));
    let mut end = limit.saturating_sub(mark.len()).min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{mark}", &text[..end])
}

/// The deepest segments joined into one.
fn flatten(path: &[String], depth: usize, limits: &Limits, notes: &mut Vec<NameNote>) -> Vec<String> {
    notes.push(NameNote::Depth);
    let (kept, rest) = path.split_at(depth - 1);
    let mut out = kept.to_vec();
    out.push(segment_for(&rest.join(" - "), limits, notes));
    out
}

/// The path with a number behind it, so that nobody else has it.
fn unique(path: Vec<String>, taken: &HashSet<String>, limits: &Limits) -> Vec<String> {
    let Some((last, parents)) = path.split_last() else {
        return path;
    };
    (2u32..)
        .map(|number| {
            let suffix = format!(" ({number})");
            let room = limits
                .max_name_bytes
                .map_or(usize::MAX, |limit| (limit as usize).saturating_sub(suffix.len()));
            let base = if last.len() > room {
                shorten(last, room, last)
            } else {
                last.clone()
            };
            let mut candidate = parents.to_vec();
            candidate.push(format!("{base}{suffix}"));
            candidate
        })
        .find(|candidate| !taken.contains(&key(candidate, limits)))
        .unwrap_or(path)
}

/// What two paths have in common that the destination takes for the same. INBOX is the same in any case (RFC 9051, 5.1).
fn key(path: &[String], limits: &Limits) -> String {
    let key = path.join("\0");
    if limits.case_insensitive_names {
        return key.to_lowercase();
    }
    match path.split_first() {
        Some((first, rest)) if first.eq_ignore_ascii_case("INBOX") => std::iter::once("INBOX")
            .chain(rest.iter().map(String::as_str))
            .collect::<Vec<_>>()
            .join("\0"),
        _ => key,
    }
}

/// A second try for a path that the destination refused: letters, digits and harmless punctuation only. From the
/// second such try on, the last segment bears its number.
pub fn plain_path(path: &[String], number: usize) -> Vec<String> {
    let mut out: Vec<String> = path
        .iter()
        .map(|segment| {
            let plain: String = segment
                .chars()
                .map(|char| {
                    if char.is_control() || "\"\\/(){}[]%*&?<>|:;'`$#!^~".contains(char) {
                        '_'
                    } else {
                        char
                    }
                })
                .collect();
            match plain.trim().trim_matches('.') {
                "" => "_".to_owned(),
                trimmed => trimmed.to_owned(),
            }
        })
        .collect();
    if number > 1
        && let Some(last) = out.last_mut()
    {
        last.push_str(&format!(" {number}"));
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use whimbrel_model::Kind;

    use super::*;

    fn folder(path: &str, role: Option<Role>) -> Collection {
        Collection {
            id: path.to_owned(),
            path: path.split('/').map(str::to_owned).collect(),
            kind: Kind::Message,
            role,
            selectable: true,
            subscribed: true,
            items: None,
            bytes: None,
            generation: None,
            attributes: Vec::new(),
        }
    }

    fn guided(
        sources: &[Collection],
        destinations: &[Collection],
        kept: &HashMap<String, Vec<String>>,
        ruled: &HashMap<String, Wanted>,
        limits: &Limits,
    ) -> Vec<PlannedName> {
        let guides = Guides {
            kept,
            ruled,
            options: &FolderOptions::default(),
        };
        plan_names(sources, destinations, guides, limits)
    }

    #[test]
    fn rules_come_before_everything_but_earlier_runs() {
        let sources = [
            folder("Gesendet", None),
            folder("Sent", Some(Role::Sent)),
            folder("Old", None),
            folder("Old/2001", None),
            folder("Spam", None),
        ];
        let destinations = [folder("Sent Items", Some(Role::Sent))];
        let ruled = HashMap::from([
            ("Gesendet".to_owned(), Wanted::Role(Role::Sent)),
            ("Old".to_owned(), Wanted::Path(vec!["Archive".into(), "Old".into()])),
            ("Spam".to_owned(), Wanted::Role(Role::Junk)),
        ]);
        let names = guided(&sources, &destinations, &HashMap::new(), &ruled, &Limits::default());
        let paths: Vec<String> = names.iter().map(|name| name.path.join("/")).collect();
        assert_eq!(
            paths,
            ["Sent Items", "Sent Items", "Archive/Old", "Archive/Old/2001", "Junk"]
        );
    }

    #[test]
    fn a_path_that_rules_name_is_found_in_the_destinations_own_spelling() {
        let there = [folder("INBOX", Some(Role::Inbox)), folder("ARCHIVE", None)];
        let insensitive = Limits {
            case_insensitive_names: true,
            forbidden_in_names: ":".into(),
            ..Limits::default()
        };
        let at = |path: &str, limits: &Limits| {
            let path: Vec<String> = path.split('/').map(str::to_owned).collect();
            destination_path(&path, &there, limits).join("/")
        };
        assert_eq!(at("Archive/20:19", &insensitive), "ARCHIVE/20_19");
        assert_eq!(at("Archive/2019", &Limits::default()), "Archive/2019");
        assert_eq!(at("inbox", &Limits::default()), "INBOX");
    }

    fn planned(sources: &[Collection], destinations: &[Collection], limits: &Limits) -> Vec<String> {
        guided(sources, destinations, &HashMap::new(), &HashMap::new(), limits)
            .into_iter()
            .map(|name| name.path.join("/"))
            .collect()
    }

    #[test]
    fn special_use_comes_before_the_name_and_children_follow() {
        let sources = [
            folder("INBOX", Some(Role::Inbox)),
            folder("Gesendet", Some(Role::Sent)),
            folder("Gesendet/2020", None),
            folder("Sent", None),
        ];
        let destinations = [folder("INBOX", Some(Role::Inbox)), folder("Sent", Some(Role::Sent))];
        assert_eq!(
            planned(&sources, &destinations, &Limits::default()),
            ["INBOX", "Sent", "Sent/2020", "Sent (2)"]
        );
    }

    #[test]
    fn names_that_differ_in_case_only_stay_apart() {
        let sources = [folder("Trash", None), folder("trash", None), folder("TRASH (2)", None)];
        let limits = Limits {
            case_insensitive_names: true,
            ..Limits::default()
        };
        assert_eq!(planned(&sources, &[], &limits), ["Trash", "trash (2)", "TRASH (2) (2)"]);
        assert_eq!(
            planned(&sources, &[], &Limits::default()),
            ["Trash", "trash", "TRASH (2)"]
        );
    }

    #[test]
    fn depth_characters_and_length_are_kept_to() {
        let sources = [
            folder("a/b/c/d", None),
            folder("x.y", None),
            folder(&"ä".repeat(40), None),
        ];
        let limits = Limits {
            max_path_depth: Some(2),
            forbidden_in_names: ".".into(),
            max_name_bytes: Some(20),
            ..Limits::default()
        };
        let names = planned(&sources, &[], &limits);
        assert_eq!(names[0], "a/b - c - d");
        assert_eq!(names[1], "x_y");
        assert!(names[2].len() <= 20, "{}", names[2]);
    }

    #[test]
    fn earlier_decisions_stand() {
        let sources = [folder("b", None), folder("B", None)];
        let limits = Limits {
            case_insensitive_names: true,
            ..Limits::default()
        };
        let kept = HashMap::from([("B".to_owned(), vec!["B".to_owned()])]);
        let names = guided(&sources, &[], &kept, &HashMap::new(), &limits);
        assert_eq!(
            (names[0].path.join("/"), names[1].path.join("/")),
            ("b (2)".into(), "B".into())
        );
    }

    /// A mark that is longer than the room for it.
    #[test]
    fn very_short_limits_are_kept_to() {
        let sources = [folder("abcdefghijklmnop", None), folder("abcdefghijklmnopq", None)];
        for limit in 1..14 {
            let limits = Limits {
                max_name_bytes: Some(limit),
                ..Limits::default()
            };
            for name in planned(&sources, &[], &limits) {
                assert!(name.len() <= (limit as usize).max(5), "{name} in {limit}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_two_folders_share_a_name(
            paths in proptest::collection::hash_set(proptest::collection::vec("[aAbB./ ]{0,4}", 1..5), 1..30),
            insensitive: bool,
            depth in 1u32..5,
        ) {
            let sources: Vec<Collection> = paths
                .into_iter()
                .enumerate()
                .map(|(number, path)| Collection { id: number.to_string(), path, ..folder("", None) })
                .collect();
            let limits = Limits {
                case_insensitive_names: insensitive,
                forbidden_in_names: "/".into(),
                max_path_depth: Some(depth),
                max_name_bytes: Some(12),
                ..Limits::default()
            };
            let names = guided(&sources, &[], &HashMap::new(), &HashMap::new(), &limits);
            prop_assert_eq!(names.len(), sources.len());
            let keys: HashSet<String> = names.iter().map(|name| key(&name.path, &limits)).collect();
            prop_assert_eq!(keys.len(), names.len());
            for name in &names {
                prop_assert!(name.path.len() <= depth as usize);
                prop_assert!(name.path.iter().all(|segment| !segment.is_empty() && segment.len() <= 12 && !segment.contains('/')));
            }
        }
    }
}
