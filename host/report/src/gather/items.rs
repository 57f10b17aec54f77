//! Adding up items, each seen once.

use std::collections::BTreeMap;

use jiff::{Timestamp, tz::Offset};
use whimbrel_engine::remedy;
use whimbrel_ledger::{Fate, ItemRecord};

use crate::bounded::Bounded;
use crate::report::{Applied, Bin, Done, FailedItem, Lists, OversizeItem, Period, Reason, Tallied};

/// Failed messages that are listed, of one mailbox and of all.
const MOST_FAILED: [usize; 2] = [100, 5000];
/// Oversize messages that are listed, of one mailbox and of all.
const MOST_OVERSIZE: [usize; 2] = [20, 1000];
/// Lines of rules with what they did, names of repairs, reasons of rules.
const MOST_NAMES: usize = 500;
/// Characters of a text from a script or a server.
const MOST_TEXT: usize = 500;

/// Where bins of sizes begin, in bytes.
const SIZES: [u64; 12] = [
    0,
    1 << 10,
    4 << 10,
    16 << 10,
    64 << 10,
    256 << 10,
    1 << 20,
    4 << 20,
    16 << 20,
    64 << 20,
    256 << 20,
    1 << 30,
];

/// Gives the subject of a message whose bytes lie at this place of the quarantine.
pub type Subjects<'a> = &'a dyn Fn(&str) -> Option<String>;

type RuleKey = (String, u32, String, String);

/// What was counted over all items so far.
pub struct Items<'a> {
    subjects: Option<Subjects<'a>>,
    sizes: [(u64, u64); SIZES.len()],
    unsized_messages: u64,
    largest: u64,
    months: BTreeMap<(i16, i8), (u64, u64)>,
    undated: u64,
    rules: Bounded<RuleKey>,
    filtered: Bounded<String>,
    repairs: Bounded<String>,
    reasons: BTreeMap<&'static str, (u64, &'static str)>,
    /// Listed so far: failed, oversize.
    listed: [usize; 2],
}

/// What of one mailbox's items is listed.
#[derive(Debug, Default)]
pub struct Listed {
    pub failed: Vec<FailedItem>,
    pub failed_left_out: u64,
    pub oversize: Vec<OversizeItem>,
    pub oversize_left_out: u64,
}

/// What all of it comes to.
pub struct Sums {
    pub done: Done,
    pub sizes: Vec<Bin>,
    pub unsized_messages: u64,
    pub largest: u64,
    pub received: Vec<Period>,
    pub undated: u64,
    pub reasons: Vec<Reason>,
}

impl<'a> Items<'a> {
    pub fn new(subjects: Option<Subjects<'a>>) -> Self {
        Self {
            subjects,
            sizes: Default::default(),
            unsized_messages: 0,
            largest: 0,
            months: BTreeMap::new(),
            undated: 0,
            rules: Bounded::new(MOST_NAMES),
            filtered: Bounded::new(MOST_NAMES),
            repairs: Bounded::new(MOST_NAMES),
            reasons: BTreeMap::new(),
            listed: [0; 2],
        }
    }

    /// One item of this folder. Those that vanished before they were placed count for nothing.
    pub fn add(&mut self, path: &str, item: &ItemRecord, listed: &mut Listed) {
        if matches!(item.fate, Fate::Gone) {
            return;
        }
        let size = item.fingerprint.map(|print| print.size).or(item.meta.size);
        self.measure(size);
        self.date(item, size.unwrap_or_default());
        for repair in &item.repairs {
            self.repairs.add(repair.as_str(), cut);
        }
        if let Some(ruling) = &item.ruling {
            for (at, step) in ruling.steps.iter().enumerate() {
                // The same decision twice on one message is one.
                if !ruling.steps[..at].contains(step) {
                    let key = (step.file.clone(), step.line, step.rule.clone(), cut(&step.did));
                    self.rules.add(&key, RuleKey::clone);
                }
            }
        }
        match &item.fate {
            Fate::Filtered { reason } => self.filtered.add(reason.as_str(), cut),
            Fate::Oversize { limit } => {
                self.reason("oversize", TOO_LARGE);
                let (own, all) = (listed.oversize.len(), &mut self.listed[1]);
                if own < MOST_OVERSIZE[0] && *all < MOST_OVERSIZE[1] {
                    *all += 1;
                    listed.oversize.push(OversizeItem {
                        collection: path.to_owned(),
                        id: item.source_id().to_owned(),
                        size,
                        limit: *limit,
                        received: received(item),
                    });
                } else {
                    listed.oversize_left_out += 1;
                }
            }
            Fate::Failed {
                failure,
                diagnosis,
                quarantine,
            } => {
                self.reason(failure.code(), remedy(failure));
                let (own, all) = (listed.failed.len(), &mut self.listed[0]);
                if own < MOST_FAILED[0] && *all < MOST_FAILED[1] {
                    *all += 1;
                    let subject = self.subjects.zip(quarantine.as_deref());
                    listed.failed.push(FailedItem {
                        collection: path.to_owned(),
                        id: item.source_id().to_owned(),
                        code: failure.code(),
                        cause: cut(&failure.to_string()),
                        diagnosis: diagnosis.clone(),
                        remedy: remedy(failure),
                        size,
                        received: received(item),
                        attempts: item.attempts,
                        subject: subject.and_then(|(subjects, place)| subjects(place)),
                        quarantine: quarantine.as_ref().map(|place| format!("quarantine/{place}")),
                    });
                } else {
                    listed.failed_left_out += 1;
                }
            }
            Fate::Pending | Fate::Placed { .. } | Fate::Gone => {}
        }
    }

    fn measure(&mut self, size: Option<u64>) {
        let Some(size) = size else {
            self.unsized_messages += 1;
            return;
        };
        let bin = SIZES.partition_point(|from| *from <= size).saturating_sub(1);
        if let Some((messages, bytes)) = self.sizes.get_mut(bin) {
            *messages += 1;
            *bytes = bytes.saturating_add(size);
        }
        self.largest = self.largest.max(size);
    }

    fn date(&mut self, item: &ItemRecord, size: u64) {
        let time = item
            .meta
            .received
            .and_then(|time| Timestamp::from_millisecond(time.unix_ms).ok());
        // Years that no mail can be of are no dates, and they would make many.
        match time
            .map(|time| Offset::UTC.to_datetime(time))
            .filter(|time| (1900..2200).contains(&time.year()))
        {
            Some(time) => {
                let (messages, bytes) = self.months.entry((time.year(), time.month())).or_default();
                *messages += 1;
                *bytes = bytes.saturating_add(size);
            }
            None => self.undated += 1,
        }
    }

    fn reason(&mut self, code: &'static str, remedy: &'static str) {
        self.reasons.entry(code).or_insert((0, remedy)).0 += 1;
    }

    /// All of it; what is left out of lists goes to `left_out`.
    pub fn finish(self, left_out: &mut Lists) -> Sums {
        let (rules, filtered, repairs);
        (rules, left_out.rules) = self.rules.into_parts();
        (filtered, left_out.filtered) = self.filtered.into_parts();
        (repairs, left_out.repairs) = self.repairs.into_parts();
        let rules = rules.into_iter().map(|((file, line, rule, did), count)| Applied {
            rule,
            file,
            line,
            did,
            count,
        });
        let done = Done {
            rules: rules.collect(),
            filtered: ranked(filtered),
            repairs: ranked(repairs),
        };
        let bins = self.sizes.iter().enumerate().map(|(at, (messages, bytes))| Bin {
            from: SIZES[at],
            below: SIZES.get(at + 1).copied(),
            messages: *messages,
            bytes: *bytes,
        });
        let months = self.months.iter().map(|((year, month), (messages, bytes))| Period {
            year: *year,
            month: *month,
            messages: *messages,
            bytes: *bytes,
        });
        let reasons = self.reasons.iter().map(|(code, (count, remedy))| Reason {
            code,
            count: *count,
            remedy,
        });
        let mut reasons: Vec<Reason> = reasons.collect();
        reasons.sort_by_key(|reason| std::cmp::Reverse(reason.count));
        Sums {
            done,
            sizes: bins.collect(),
            unsized_messages: self.unsized_messages,
            largest: self.largest,
            received: months.collect(),
            undated: self.undated,
            reasons,
        }
    }
}

const TOO_LARGE: &str = "raise the limit (`max_item` in [limits], or that of the destination) and run `whimbrel retry --reason oversize`, or leave these messages where they are";

fn received(item: &ItemRecord) -> Option<i64> {
    item.meta.received.map(whimbrel_model::Timestamp::unix_seconds)
}

fn ranked(counts: BTreeMap<String, u64>) -> Vec<Tallied> {
    let mut ranked: Vec<Tallied> = counts
        .into_iter()
        .map(|(what, count)| Tallied { what, count })
        .collect();
    ranked.sort_by_key(|one| std::cmp::Reverse(one.count));
    ranked
}

/// Not longer than anybody reads.
pub fn cut(text: &str) -> String {
    match text.char_indices().nth(MOST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_model::{Failure, ItemMeta, Timestamp};

    use super::*;

    fn item(size: Option<u64>, unix_ms: Option<i64>, fate: Fate) -> ItemRecord {
        ItemRecord {
            meta: ItemMeta {
                id: "7".into(),
                size,
                received: unix_ms.map(|unix_ms| Timestamp {
                    unix_ms,
                    offset_minutes: 0,
                }),
                ..ItemMeta::default()
            },
            fate,
            live: true,
            fingerprint: None,
            put: None,
            repairs: vec!["crlf".into()],
            attempts: 1,
            ruling: None,
            copies: Vec::new(),
            gone: None,
        }
    }

    #[test]
    fn sizes_and_months_have_their_bins() {
        let mut items = Items::new(None);
        let mut listed = Listed::default();
        for (size, time) in [
            (Some(0), Some(0)),
            (Some(1023), Some(-1)),
            (Some(1024), Some(1_700_000_000_000)),
            (Some(u64::MAX), Some(i64::MAX)),
            (None, None),
        ] {
            items.add("INBOX", &item(size, time, Fate::Pending), &mut listed);
        }
        items.add("INBOX", &item(Some(5), Some(0), Fate::Gone), &mut listed);
        let sums = items.finish(&mut Lists::default());
        let filled: Vec<(u64, u64)> = sums
            .sizes
            .iter()
            .filter(|bin| bin.messages > 0)
            .map(|bin| (bin.from, bin.messages))
            .collect();
        assert_eq!(filled, [(0, 2), (1024, 1), (1 << 30, 1)]);
        assert_eq!((sums.unsized_messages, sums.undated, sums.largest), (1, 2, u64::MAX));
        let months: Vec<(i16, i8, u64)> = sums
            .received
            .iter()
            .map(|one| (one.year, one.month, one.messages))
            .collect();
        assert_eq!(months, [(1969, 12, 1), (1970, 1, 1), (2023, 11, 1)]);
        assert_eq!(
            sums.done.repairs,
            [Tallied {
                what: "crlf".into(),
                count: 5
            }]
        );
    }

    #[test]
    fn lists_end_and_counting_goes_on() {
        let fate = || Fate::Failed {
            failure: Failure::Rejected("x".repeat(2000)),
            diagnosis: None,
            quarantine: Some("alice/a.eml".into()),
        };
        let subject = |place: &str| Some(format!("of {place}"));
        let mut items = Items::new(Some(&subject));
        let mut listed = Listed::default();
        for _ in 0..MOST_FAILED[0] + 3 {
            items.add("INBOX", &item(None, None, fate()), &mut listed);
            items.add("INBOX", &item(Some(9), None, Fate::Oversize { limit: 5 }), &mut listed);
        }
        assert_eq!((listed.failed.len(), listed.failed_left_out), (MOST_FAILED[0], 3));
        assert_eq!(listed.oversize.len(), MOST_OVERSIZE[0]);
        let first = &listed.failed[0];
        assert_eq!(first.quarantine.as_deref(), Some("quarantine/alice/a.eml"));
        assert_eq!(first.subject.as_deref(), Some("of alice/a.eml"));
        assert_eq!(first.cause.chars().count(), MOST_TEXT + 1);
        let reasons = items.finish(&mut Lists::default()).reasons;
        let counted: Vec<(&str, u64)> = reasons.iter().map(|reason| (reason.code, reason.count)).collect();
        assert_eq!(counted, [("oversize", 103), ("rejected", 103)]);
    }
}
