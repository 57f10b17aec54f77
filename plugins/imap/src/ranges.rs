//! Sets of UIDs as inclusive ranges, ascending.

/// Inclusive.
pub type Range = (u32, u32);

/// How many UIDs they hold, at or after `from`.
pub fn count(ranges: &[Range], from: u32) -> u64 {
    ranges
        .iter()
        .filter(|(_, last)| *last >= from)
        .map(|(first, last)| u64::from(*last) - u64::from(*first.max(&from)) + 1)
        .sum()
}

/// The UIDs themselves, at or after `from`.
pub fn each(ranges: &[Range], from: u32) -> impl Iterator<Item = u32> {
    ranges
        .iter()
        .filter(move |(_, last)| *last >= from)
        .flat_map(move |(first, last)| *first.max(&from)..=*last)
}

/// Only what is below `end`.
pub fn below(ranges: Vec<Range>, end: u32) -> Vec<Range> {
    ranges
        .into_iter()
        .filter(|(first, last)| *first < end && first <= last)
        .map(|(first, last)| (first, last.min(end - 1)))
        .collect()
}

/// Whether they have no UID in common.
pub fn disjoint(a: &[Range], b: &[Range]) -> bool {
    let (mut a, mut b) = (a.iter().peekable(), b.iter().peekable());
    while let (Some((a_first, a_last)), Some((b_first, b_last))) = (a.peek(), b.peek()) {
        if a_last < b_first {
            a.next();
        } else if b_last < a_first {
            b.next();
        } else {
            return false;
        }
    }
    true
}

/// UIDs, ascending, in as few runs as possible where up to `gap` missing ones do not end a run.
pub fn runs(uids: &[u32], gap: u32) -> Vec<Range> {
    let mut runs: Vec<Range> = Vec::new();
    for &uid in uids {
        match runs.last_mut() {
            Some((_, last)) if uid <= last.saturating_add(gap).saturating_add(1) => *last = uid,
            _ => runs.push((uid, uid)),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ends_of_the_numbers() {
        assert_eq!(count(&[(1, u32::MAX)], 0), u64::from(u32::MAX));
        assert_eq!(count(&[(5, 7), (9, 9)], 7), 2);
        assert_eq!(below(vec![(1, u32::MAX)], 3), [(1, 2)]);
        assert_eq!(runs(&[u32::MAX - 1, u32::MAX], 10), [(u32::MAX - 1, u32::MAX)]);
    }

    proptest! {
        #[test]
        fn they_are_the_set(uids in proptest::collection::btree_set(1u32..60, 0..30), other in proptest::collection::btree_set(1u32..60, 0..8), from in 0u32..60) {
            let list: Vec<u32> = uids.iter().copied().collect();
            let ranges = runs(&list, 0);
            let rest: Vec<u32> = uids.range(from..).copied().collect();
            prop_assert_eq!(count(&ranges, from), rest.len() as u64);
            prop_assert_eq!(each(&ranges, from).collect::<Vec<_>>(), rest);
            let cut = below(ranges.clone(), from);
            prop_assert_eq!(each(&cut, 0).collect::<BTreeSet<_>>(), uids.range(..from).copied().collect::<BTreeSet<_>>());
            let others = runs(&other.iter().copied().collect::<Vec<_>>(), 0);
            prop_assert_eq!(disjoint(&ranges, &others), uids.is_disjoint(&other));
        }
    }
}
