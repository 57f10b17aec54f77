//! What items need of whoever is to hold them, and what the destination offers: names that connectors give.

use std::collections::{BTreeMap, BTreeSet};

use whimbrel_model::{Collection, ItemMeta};

/// Of a collection: what its items may need.
const OFFERS: &str = "offers";
/// Of an item: what it needs.
const REQUIRES: &str = "requires";
/// Items that are named for each need, and needs that are told.
const NAMED: usize = 10;
const TOLD: usize = 20;

fn words<'a>(attributes: &'a [(String, String)], name: &'a str) -> impl Iterator<Item = &'a str> {
    let found = attributes.iter().filter(move |(known, _)| known == name);
    found.flat_map(|(_, value)| value.split_ascii_whitespace())
}

/// What the destination offers; nothing is known where no collection says so.
#[derive(Debug, Default)]
pub struct Offers(Option<BTreeSet<String>>);

impl Offers {
    /// Of all these collections together.
    pub fn of(collections: &[Collection]) -> Self {
        let says = |collection: &&Collection| collection.attributes.iter().any(|(name, _)| name == OFFERS);
        let mut known = None;
        for collection in collections.iter().filter(says) {
            let offered = words(&collection.attributes, OFFERS).map(str::to_owned);
            known.get_or_insert_with(BTreeSet::new).extend(offered);
        }
        Self(known)
    }
}

/// What items need, with how many do and what some are called.
#[derive(Debug, Default)]
pub struct Needs(BTreeMap<String, (u64, Vec<String>)>);

impl Needs {
    /// One more item.
    pub fn add(&mut self, meta: &ItemMeta) {
        for need in words(&meta.attributes, REQUIRES) {
            let (count, named) = self.0.entry(need.to_owned()).or_default();
            *count += 1;
            if named.len() < NAMED {
                named.push(meta.identity.clone().unwrap_or_else(|| meta.id.clone()));
            }
        }
    }

    /// A warning for each need that is not met.
    pub fn unmet(self, offers: &Offers) -> Vec<String> {
        let Some(offers) = &offers.0 else { return Vec::new() };
        let unmet = self.0.into_iter().filter(|(need, _)| !offers.contains(need));
        unmet
            .take(TOLD)
            .map(|(need, (count, named))| {
                let names: Vec<String> = named.iter().map(|name| format!("`{name}`")).collect();
                let more = if count > named.len() as u64 { ", \u{2026}" } else { "" };
                format!(
                    "the destination does not offer `{need}`, which {count} items need ({}{more}): it will refuse them",
                    names.join(", ")
                )
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_model::Kind;

    use super::*;

    fn item(name: &str, requires: &str) -> ItemMeta {
        ItemMeta {
            id: name.to_owned(),
            attributes: vec![(REQUIRES.to_owned(), requires.to_owned())],
            ..ItemMeta::default()
        }
    }

    fn collection(attributes: &[(&str, &str)]) -> Collection {
        let attributes = attributes.iter();
        Collection {
            id: "c".to_owned(),
            path: vec!["c".to_owned()],
            kind: Kind::Filter,
            role: None,
            selectable: true,
            subscribed: true,
            items: None,
            bytes: None,
            generation: None,
            attributes: attributes
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        }
    }

    fn unmet(items: &[ItemMeta], collections: &[Collection]) -> Vec<String> {
        let mut needs = Needs::default();
        items.iter().for_each(|item| needs.add(item));
        needs.unmet(&Offers::of(collections))
    }

    #[test]
    fn what_is_not_offered_is_told_with_number_and_names() {
        let items = [item("one", "a b"), item("two", "b"), ItemMeta::default()];
        let offers = collection(&[("offers", "a c")]);
        assert_eq!(
            unmet(&items, &[offers]),
            ["the destination does not offer `b`, which 2 items need (`one`, `two`): it will refuse them"]
        );
        let both = [collection(&[("offers", "a")]), collection(&[("offers", "b")])];
        assert!(unmet(&items, &both).is_empty());
        // Who says nothing is not known to lack anything; who offers nothing lacks all.
        assert!(unmet(&items, &[collection(&[("colour", "red")])]).is_empty());
        assert_eq!(unmet(&items, &[collection(&[("offers", "")])]).len(), 2);
    }

    #[test]
    fn warnings_stay_short() {
        let items: Vec<ItemMeta> = (0..100).map(|number| item(&format!("i{number}"), "x")).collect();
        let warnings = unmet(&items, &[collection(&[("offers", "a")])]);
        assert!(
            warnings[0].contains("100 items") && warnings[0].contains("`i9`, \u{2026}"),
            "{warnings:?}"
        );
        let many: Vec<ItemMeta> = (0..100).map(|number| item("i", &format!("n{number}"))).collect();
        assert_eq!(unmet(&many, &[collection(&[("offers", "a")])]).len(), TOLD);
    }
}
