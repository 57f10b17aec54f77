//! Which bodies are read where not all are, and what that says about the others.

use std::collections::{BinaryHeap, HashMap, HashSet};

use serde::Serialize;
use whimbrel_ledger::{CollectionId, Fate, Ledger, LedgerError, MailboxId};

/// The confidence of what is said of the whole.
pub const CONFIDENCE: f64 = 0.95;

/// How many bodies are read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SampleSize {
    /// So many, over all mailboxes.
    Items(u64),
    /// This share of all, from 0 to 1.
    Share(f64),
}

/// A random sample, the same whenever it is drawn with the same seed from the same ledger.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// How many.
    pub size: SampleSize,
    /// What chance starts from.
    pub seed: u64,
}

/// The chosen items of one mailbox.
pub type Chosen = HashSet<(CollectionId, String)>;

impl Sample {
    /// Chooses among all placed items of these mailboxes: each has a number by its name and the seed, and the smallest
    /// numbers are taken, so that every set of that size is as likely as any other. Holds the chosen ones alone.
    ///
    /// # Errors
    ///
    /// The ledger cannot be read.
    pub fn draw(
        self,
        ledger: &Ledger,
        mailboxes: &[(MailboxId, String)],
    ) -> Result<HashMap<MailboxId, Chosen>, LedgerError> {
        let mut placed = 0;
        for (id, _) in mailboxes {
            let totals = ledger.totals(*id)?;
            placed += totals.moved + totals.merged;
        }
        let wanted = self.wanted(placed);
        let mut smallest: BinaryHeap<(u64, MailboxId, CollectionId, String)> = BinaryHeap::new();
        let key = *blake3::hash(&self.seed.to_le_bytes()).as_bytes();
        for (id, name) in mailboxes {
            for collection in ledger.collections(*id)? {
                for item in ledger.items(*id, collection.id) {
                    let item = item?;
                    if wanted == 0 || !matches!(item.fate, Fate::Placed { .. }) {
                        continue;
                    }
                    let number = number(&key, &[name, &collection.source.id, &item.meta.id]);
                    if smallest.len() as u64 >= wanted {
                        if smallest.peek().is_some_and(|(largest, ..)| *largest <= number) {
                            continue;
                        }
                        smallest.pop();
                    }
                    smallest.push((number, *id, collection.id, item.meta.id));
                }
            }
        }
        let mut chosen: HashMap<MailboxId, Chosen> = HashMap::new();
        for (_, mailbox, collection, item) in smallest {
            chosen.entry(mailbox).or_default().insert((collection, item));
        }
        Ok(chosen)
    }

    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )] // Rounded up.
    fn wanted(self, placed: u64) -> u64 {
        match self.size {
            SampleSize::Items(items) => items.min(placed),
            SampleSize::Share(share) => ((placed as f64 * share.clamp(0.0, 1.0)).ceil() as u64).min(placed),
        }
    }
}

fn number(key: &[u8; 32], parts: &[&str]) -> u64 {
    let mut hasher = blake3::Hasher::new_keyed(key);
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes());
        hasher.update(part.as_bytes());
    }
    let mut number = [0; 8];
    number.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    u64::from_le_bytes(number)
}

/// What a sample says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Estimate {
    /// Bodies that were chosen and read.
    pub read: u64,
    /// Bodies among them that say something else, or are not there.
    pub different: u64,
    /// Placed messages that they were chosen from.
    pub of: u64,
    /// With a confidence of 95 %, no larger share of all differs, in percent.
    pub at_most_percent: f64,
}

impl Estimate {
    /// From what was counted.
    #[allow(clippy::cast_precision_loss)] // A share.
    pub fn new(read: u64, different: u64, of: u64) -> Self {
        let at_most = if read >= of && of > 0 {
            different as f64 / of as f64
        } else {
            upper_bound(read, different)
        };
        Self {
            read,
            different,
            of,
            at_most_percent: at_most * 100.0,
        }
    }
}

/// The one-sided upper bound of Clopper and Pearson: the share p for which `different` or fewer of `read` are found with
/// a probability of 5 %. Where none is found that is 1 - 0.05^(1/read). It holds for any sample drawn at random, and is
/// cautious where the sample is a large part of the whole.
pub fn upper_bound(read: u64, different: u64) -> f64 {
    if read == 0 || different >= read {
        return 1.0;
    }
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if at_most(read, different, middle) > 1.0 - CONFIDENCE {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

/// The probability of `most` or fewer hits in `tries` that hit with probability `p` each.
#[allow(clippy::cast_precision_loss)] // Probabilities.
fn at_most(tries: u64, most: u64, p: f64) -> f64 {
    if p <= 0.0 {
        return 1.0;
    }
    if p >= 1.0 {
        return 0.0;
    }
    let (hit, miss) = (p.ln(), (-p).ln_1p());
    let mut log = tries as f64 * miss;
    let mut sum = log.exp();
    for hits in 1..=most {
        log += ((tries - hits + 1) as f64 / hits as f64).ln() + hit - miss;
        sum += log.exp();
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(a: f64, b: f64) {
        assert!((a - b).abs() < 1e-6, "{a} is not {b}");
    }

    #[test]
    fn the_bound_is_that_of_the_tables() {
        // The rule of three, exactly.
        near(upper_bound(1000, 0), 1.0 - 0.05f64.powf(0.001));
        near(upper_bound(1, 0), 0.95);
        // Clopper and Pearson (1934): 1 of 10, 5 of 100, one-sided 95 %.
        near(upper_bound(10, 1), 0.394_163_3);
        assert!(
            (upper_bound(100, 5) - 0.102_253).abs() < 1e-5,
            "{}",
            upper_bound(100, 5)
        );
        near(upper_bound(0, 0), 1.0);
        near(upper_bound(7, 7), 1.0);
    }

    #[test]
    fn a_sample_of_everything_is_no_estimate() {
        near(Estimate::new(50, 0, 50).at_most_percent, 0.0);
        near(Estimate::new(50, 1, 50).at_most_percent, 2.0);
        assert!(Estimate::new(50, 0, 51).at_most_percent > 5.0);
    }

    #[test]
    fn sizes_are_rounded_up_and_never_larger_than_the_whole() {
        let wanted = |size, placed| Sample { size, seed: 1 }.wanted(placed);
        assert_eq!(wanted(SampleSize::Items(10), 7), 7);
        assert_eq!(wanted(SampleSize::Share(0.1), 7), 1);
        assert_eq!(wanted(SampleSize::Share(1.0), 7), 7);
        assert_eq!(wanted(SampleSize::Share(0.5), 0), 0);
    }
}
