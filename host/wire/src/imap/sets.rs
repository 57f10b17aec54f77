//! Sets of UIDs (RFC 9051 `sequence-set`), as ascending inclusive ranges.

/// UIDs, as disjoint inclusive ranges in ascending order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct UidSet {
    ranges: Vec<(u32, u32)>,
}

impl UidSet {
    /// From ranges in any order, overlapping or upside down. Zero is no UID.
    pub fn from_ranges(mut ranges: Vec<(u32, u32)>) -> Self {
        for range in &mut ranges {
            *range = (range.0.min(range.1).max(1), range.0.max(range.1));
        }
        ranges.retain(|range| range.1 > 0);
        ranges.sort_unstable();
        let mut out: Vec<(u32, u32)> = Vec::with_capacity(ranges.len().min(1024));
        for (first, last) in ranges {
            match out.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                _ => out.push((first, last)),
            }
        }
        Self { ranges: out }
    }

    pub fn from_uids(uids: impl IntoIterator<Item = u32>) -> Self {
        Self::from_ranges(uids.into_iter().map(|uid| (uid, uid)).collect())
    }

    /// Reads `1:4,7,9:*`; `*` is the highest there can be. None where it is no set.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?.trim();
        Some(Self::from_ranges(ordered(text)?))
    }

    pub fn ranges(&self) -> &[(u32, u32)] {
        &self.ranges
    }

    pub fn into_ranges(self) -> Vec<(u32, u32)> {
        self.ranges
    }

    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// How many UIDs.
    pub fn count(&self) -> u64 {
        self.ranges
            .iter()
            .map(|(first, last)| u64::from(last - first) + 1)
            .sum()
    }

    pub fn last(&self) -> Option<u32> {
        self.ranges.last().map(|range| range.1)
    }

    /// The first and last of the next `limit` UIDs in `from..=to`, and how many they are.
    pub fn page(&self, from: u32, to: u32, limit: u64) -> Option<(u32, u32, u64)> {
        let start = self.ranges.partition_point(|range| range.1 < from);
        let (mut first, mut last, mut count) = (None, 0, 0u64);
        for &(low, high) in &self.ranges[start..] {
            let (low, high) = (low.max(from), high.min(to));
            if low > high || count >= limit {
                break;
            }
            let take = (u64::from(high - low) + 1).min(limit - count);
            first.get_or_insert(low);
            last = u32::try_from(u64::from(low) + take - 1).unwrap_or(high);
            count += take;
        }
        first.map(|first| (first, last, count))
    }

    /// What is in this set and not in the other.
    pub fn without(&self, other: &Self) -> Self {
        let mut out = Vec::new();
        let mut others = other.ranges.iter().copied().peekable();
        for &(mut first, last) in &self.ranges {
            while others.next_if(|range| range.1 < first).is_some() {}
            let mut ahead = others.clone();
            let mut done = false;
            while let Some((low, high)) = ahead.next_if(|range| range.0 <= last) {
                if low > first {
                    out.push((first, low - 1));
                }
                match high.checked_add(1) {
                    Some(next) if next <= last => first = next,
                    _ => {
                        done = true;
                        break;
                    }
                }
            }
            if !done {
                out.push((first, last));
            }
        }
        Self { ranges: out }
    }

    /// Cut off above `last`.
    pub fn up_to(mut self, last: u32) -> Self {
        self.ranges.retain(|range| range.0 <= last);
        if let Some(range) = self.ranges.last_mut() {
            range.1 = range.1.min(last);
        }
        self
    }

    /// For commands: pieces of at most `length` bytes or so.
    pub fn format(&self, length: usize) -> Vec<String> {
        let mut out: Vec<String> = Vec::new();
        for &(first, last) in &self.ranges {
            let range = if first == last {
                first.to_string()
            } else {
                format!("{first}:{last}")
            };
            match out.last_mut() {
                Some(piece) if piece.len() + range.len() < length => {
                    piece.push(',');
                    piece.push_str(&range);
                }
                _ => out.push(range),
            }
        }
        out
    }
}

/// The ranges as written, in their order. None where it is no set.
fn ordered(text: &str) -> Option<Vec<(u32, u32)>> {
    let number = |text: &str| {
        if text == "*" {
            Some(u32::MAX)
        } else {
            text.parse::<u32>().ok()
        }
    };
    text.split(',')
        .filter(|part| !part.is_empty())
        .map(|part| match part.split_once(':') {
            Some((first, last)) => Some((number(first)?, number(last)?)),
            None => number(part).map(|uid| (uid, uid)),
        })
        .collect()
}

/// The UIDs of a set one by one in the order in which it names them (RFC 4315: APPENDUID and COPYUID pair up by
/// position), but no more than `most`. None where it is no set or holds more.
pub(super) fn expand(text: &str, most: usize) -> Option<Vec<u32>> {
    let mut out = Vec::new();
    for (first, last) in ordered(text.trim())? {
        let length = usize::try_from(first.abs_diff(last)).ok()?.checked_add(1)?;
        if out.len().checked_add(length)? > most {
            return None;
        }
        // RFC 4315: 2:4 and 4:2 are equivalent.
        out.extend(first.min(last)..=first.max(last));
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sets_are_read_and_written() {
        let set = UidSet::parse(b"7,1:3,9:8,4,20:*").unwrap();
        assert_eq!(set.ranges(), [(1, 4), (7, 9), (20, u32::MAX)]);
        assert_eq!(set.format(8), ["1:4,7:9", "20:4294967295"]);
        assert_eq!(UidSet::parse(b"").unwrap(), UidSet::default());
        for bad in [&b"a"[..], b"1:", b"1-2", b"99999999999", b"\xff"] {
            assert!(UidSet::parse(bad).is_none());
        }
        assert_eq!(expand("5,3:1,9", 10), Some(vec![5, 1, 2, 3, 9]));
        assert_eq!(expand("1:4000000000", 10), None);
    }

    #[test]
    fn pages_count_messages_not_numbers() {
        let set = UidSet::from_ranges(vec![(1, 2), (1_000_000, 1_000_000), (4_000_000_000, u32::MAX)]);
        assert_eq!(set.page(1, u32::MAX, 2), Some((1, 2, 2)));
        assert_eq!(set.page(2, u32::MAX, 2), Some((2, 1_000_000, 2)));
        assert_eq!(set.page(3, u32::MAX, 3), Some((1_000_000, 4_000_000_001, 3)));
        assert_eq!(set.page(3, 999_999, 3), None);
        assert_eq!(set.page(u32::MAX, u32::MAX, 3), Some((u32::MAX, u32::MAX, 1)));
    }

    fn uids() -> impl Strategy<Value = BTreeSet<u32>> {
        proptest::collection::btree_set(1u32..60, 0..40)
    }

    proptest! {
        #[test]
        fn sets_are_like_sets(a in uids(), b in uids(), from in 1u32..60, to in 1u32..60, limit in 1u32..20) {
            let (x, y) = (UidSet::from_uids(a.iter().copied()), UidSet::from_uids(b.iter().copied()));
            prop_assert_eq!(x.count(), a.len() as u64);
            prop_assert_eq!(x.without(&y), UidSet::from_uids(a.difference(&b).copied()));
            for piece in [10, 1000] {
                prop_assert_eq!(&UidSet::parse(x.format(piece).join(",").as_bytes()).unwrap(), &x);
            }
            let page: Vec<u32> = a.iter().copied().filter(|uid| (from..=to).contains(uid)).take(usize::try_from(limit).unwrap()).collect();
            let expected = page.first().map(|first| (*first, *page.last().unwrap(), page.len() as u64));
            prop_assert_eq!(x.page(from, to, u64::from(limit)), expected);
        }
    }
}
