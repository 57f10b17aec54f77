//! Counting by name where nobody vouches for how many names there are.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Counts of the first `most` names; those of all further ones together.
#[derive(Debug, Clone)]
pub struct Bounded<K> {
    counts: BTreeMap<K, u64>,
    most: usize,
    others: u64,
}

impl<K: Ord> Bounded<K> {
    /// For so many names.
    pub fn new(most: usize) -> Self {
        Self {
            counts: BTreeMap::new(),
            most,
            others: 0,
        }
    }

    /// One more of this name; `own` makes what it is kept as, which may be shorter.
    pub fn add<Q>(&mut self, name: &Q, own: impl FnOnce(&Q) -> K)
    where
        K: Borrow<Q>,
        Q: Ord + ?Sized,
    {
        if let Some(count) = self.counts.get_mut(name) {
            *count += 1;
            return;
        }
        let full = self.counts.len() >= self.most;
        match self.counts.entry(own(name)) {
            Entry::Occupied(mut known) => *known.get_mut() += 1,
            Entry::Vacant(_) if full => self.others += 1,
            Entry::Vacant(place) => *place.insert(0) += 1,
        }
    }

    /// By name, and how many had others.
    pub fn into_parts(self) -> (BTreeMap<K, u64>, u64) {
        (self.counts, self.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_beyond_the_limit_is_counted_together() {
        let mut bounded = Bounded::new(2);
        for name in ["a", "b", "a", "c", "d", "c"] {
            bounded.add(name, str::to_owned);
        }
        let (counts, others) = bounded.into_parts();
        assert_eq!(counts, [("a".to_owned(), 2), ("b".to_owned(), 1)].into());
        assert_eq!(others, 3);
        let mut bounded = Bounded::new(1);
        for name in ["abc", "abd", "a"] {
            bounded.add(name, |name: &str| name[..1].to_owned());
        }
        assert_eq!(bounded.into_parts(), ([("a".to_owned(), 3)].into(), 0));
    }
}
