//! Looks for every sample message in the new Maildir.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use whimbrel_model::{Fingerprint, Fingerprinter, Hash};

use super::{Fate, Sample};

/// What was found of what was put in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Compared {
    /// Messages in the old account, but for those that rules leave out.
    pub expected: usize,
    /// Byte for byte.
    pub equal: usize,
    /// Byte for byte as the rules change them.
    pub changed: usize,
    /// Left out by rules, and not there.
    pub left_out: usize,
    /// The same but for what mail stores change on the way: line ends, and NUL.
    pub transport: usize,
    /// Not there.
    pub missing: usize,
    /// There, and not from the old account, or twice.
    pub surplus: usize,
}

impl Compared {
    /// Nothing lost, nothing doubled.
    pub fn well(self) -> bool {
        self.missing == 0 && self.surplus == 0
    }
}

/// Compares the samples with every message below the Maildir `root`.
pub fn compare(root: &Path, samples: &[&Sample]) -> io::Result<Compared> {
    let mut there: Vec<Fingerprint> = Vec::new();
    for file in messages(root)? {
        there.push(print(&fs::read(file)?));
    }
    let mut compared = Compared::default();
    let (mut wanted, mut changed) = (Vec::new(), Vec::new());
    for sample in samples {
        match sample.fate() {
            Fate::Same => wanted.push(print(&sample.content)),
            Fate::Changed(bytes) => changed.push(print(&bytes)),
            Fate::LeftOut => compared.left_out += 1,
        }
    }
    compared.expected = wanted.len() + changed.len();
    compared.equal = take_pairs(&mut wanted, &mut there, |print| print.exact);
    compared.changed = take_pairs(&mut changed, &mut there, |print| print.exact);
    wanted.append(&mut changed);
    compared.transport = take_pairs(&mut wanted, &mut there, |print| print.transport);
    compared.missing = wanted.len();
    compared.surplus = there.len();
    Ok(compared)
}

/// Takes out of both what is equal by this hash, one for one; how many.
fn take_pairs(wanted: &mut Vec<Fingerprint>, there: &mut Vec<Fingerprint>, of: fn(&Fingerprint) -> Hash) -> usize {
    let mut counts: HashMap<Hash, usize> = HashMap::new();
    for print in there.iter() {
        *counts.entry(of(print)).or_default() += 1;
    }
    let before = wanted.len();
    let mut taken: HashMap<Hash, usize> = HashMap::new();
    wanted.retain(|print| match counts.get_mut(&of(print)) {
        Some(left) if *left > 0 => {
            *left -= 1;
            *taken.entry(of(print)).or_default() += 1;
            false
        }
        _ => true,
    });
    there.retain(|print| match taken.get_mut(&of(print)) {
        Some(left) if *left > 0 => {
            *left -= 1;
            false
        }
        _ => true,
    });
    before - wanted.len()
}

fn print(bytes: &[u8]) -> Fingerprint {
    let mut printer = Fingerprinter::new();
    printer.update(bytes);
    printer.finish()
}

/// Files in `cur` and `new`, of all folders.
fn messages(root: &Path) -> io::Result<Vec<PathBuf>> {
    let (mut found, mut folders) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        let holds_mail = folder.file_name().is_some_and(|name| name == "cur" || name == "new");
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let is_folder = entry.file_type()?.is_dir();
            if is_folder {
                folders.push(entry.path());
            } else if holds_mail {
                found.push(entry.path());
            }
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::{lay_out, maildir};
    use super::*;

    #[test]
    fn what_is_lost_changed_or_doubled_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        // As they are after the rules.
        let samples: Vec<Sample> = maildir()
            .into_iter()
            .filter_map(|sample| match sample.fate() {
                Fate::Same => Some(sample),
                Fate::Changed(content) => Some(Sample { content, ..sample }),
                Fate::LeftOut => None,
            })
            .collect();
        lay_out(folder.path(), &[], &samples).unwrap();
        let root = folder.path().join("Maildir");
        let old = maildir();
        let all: Vec<&Sample> = old.iter().collect();
        let well = compare(&root, &all).unwrap();
        assert!(
            well.well() && (well.expected, well.equal, well.changed, well.left_out) == (11, 10, 1, 1),
            "{well:?}"
        );

        let files = messages(&root).unwrap();
        let landed = files
            .iter()
            .find(|file| file.to_string_lossy().contains("1560000000.M0"))
            .unwrap();
        let text = fs::read_to_string(landed).unwrap();
        fs::write(landed, text.replace('\n', "\r\n")).unwrap();
        assert_eq!(compare(&root, &all).unwrap().transport, 1);

        fs::write(root.join("new/twice"), &samples[0].content).unwrap();
        let doubled = compare(&root, &all).unwrap();
        assert!(!doubled.well() && doubled.surplus == 1, "{doubled:?}");
        fs::remove_file(landed).unwrap();
        fs::remove_file(root.join("new/twice")).unwrap();
        assert_eq!(compare(&root, &all).unwrap().missing, 1);
    }
}
