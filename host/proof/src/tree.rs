//! The Merkle tree (RFC 9162 section 2.1), with SHA-256, which every language has in its standard library.

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};

use crate::hex;

/// A hash of the tree.
pub type TreeHash = [u8; 32];

fn hash(parts: &[&[u8]]) -> TreeHash {
    let mut context = Context::new(&SHA256);
    parts.iter().for_each(|part| context.update(part));
    let mut out = [0; 32];
    out.copy_from_slice(context.finish().as_ref());
    out
}

/// Of a line: SHA-256 of a zero byte and the line.
pub fn leaf_hash(line: &[u8]) -> TreeHash {
    hash(&[&[0], line])
}

/// Of two subtrees: SHA-256 of a one byte and both.
fn node(left: &TreeHash, right: &TreeHash) -> TreeHash {
    hash(&[&[1], left, right])
}

/// A tree that grows leaf by leaf and keeps the roots of its complete subtrees alone.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// From left to right, each larger than the next: as the ones in the number of leaves.
    roots: Vec<TreeHash>,
    leaves: u64,
}

impl Tree {
    /// One more leaf.
    pub fn push(&mut self, leaf: TreeHash) {
        let mut root = leaf;
        let mut full = self.leaves;
        while full & 1 == 1 {
            if let Some(left) = self.roots.pop() {
                root = node(&left, &root);
            }
            full >>= 1;
        }
        self.roots.push(root);
        self.leaves += 1;
    }

    /// How many leaves.
    pub fn leaves(&self) -> u64 {
        self.leaves
    }

    /// The root; SHA-256 of nothing for a tree without leaves.
    pub fn root(&self) -> TreeHash {
        let mut roots = self.roots.iter().rev();
        let Some(last) = roots.next() else { return hash(&[]) };
        roots.fold(*last, |right, left| node(left, &right))
    }

    /// The root, in hexadecimal digits.
    pub fn root_text(&self) -> String {
        hex::encode(&self.root())
    }
}

/// What shows that a leaf is in a tree: the hashes beside its way to the root, from below.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// Which leaf, from 0.
    pub index: u64,
    /// In hexadecimal digits.
    pub path: Vec<String>,
}

/// The line of a path.
pub fn path_line(path: &Path) -> String {
    serde_json::to_string(path).unwrap_or_default()
}

impl Path {
    /// The root that a leaf leads to in a tree of so many leaves; none where the path does not fit.
    pub fn root(&self, leaf: TreeHash, leaves: u64) -> Option<TreeHash> {
        if self.index >= leaves {
            return None;
        }
        // RFC 9162 section 2.1.3.2.
        let (mut at, mut last, mut root) = (self.index, leaves - 1, leaf);
        for step in &self.path {
            if last == 0 {
                return None;
            }
            let beside: TreeHash = hex::decode(step)?.try_into().ok()?;
            if at & 1 == 1 || at == last {
                root = node(&beside, &root);
                while at & 1 == 0 && at != 0 {
                    at >>= 1;
                    last >>= 1;
                }
            } else {
                root = node(&root, &beside);
            }
            at >>= 1;
            last >>= 1;
        }
        (last == 0).then_some(root)
    }
}

/// The paths of some leaves, given all leaves.
pub fn paths(leaves: &[TreeHash], wanted: &[u64]) -> Vec<Path> {
    let one = |index: &u64| {
        let mut path = Vec::new();
        if let Ok(at) = usize::try_from(*index)
            && at < leaves.len()
        {
            climb(leaves, at, &mut path);
        }
        Path { index: *index, path }
    };
    wanted.iter().map(one).collect()
}

/// The path of one leaf (RFC 9162 section 2.1.3.1).
fn climb(leaves: &[TreeHash], at: usize, path: &mut Vec<String>) {
    if leaves.len() < 2 {
        return;
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    let beside = if at < split {
        climb(left, at, path);
        right
    } else {
        climb(right, at - split, path);
        left
    };
    let mut tree = Tree::default();
    beside.iter().for_each(|leaf| tree.push(*leaf));
    path.push(hex::encode(&tree.root()));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn leaves(count: u64) -> Vec<TreeHash> {
        (0..count)
            .map(|number| leaf_hash(number.to_string().as_bytes()))
            .collect()
    }

    fn root(leaves: &[TreeHash]) -> TreeHash {
        let mut tree = Tree::default();
        leaves.iter().for_each(|leaf| tree.push(*leaf));
        assert_eq!(tree.leaves(), leaves.len() as u64);
        tree.root()
    }

    /// As RFC 9162 defines it, word by word.
    fn defined(leaves: &[TreeHash]) -> TreeHash {
        match leaves {
            [] => hash(&[]),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
                node(&defined(left), &defined(right))
            }
        }
    }

    #[test]
    fn the_root_is_that_of_the_rfc() {
        assert_eq!(
            hex::encode(&root(&[])),
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
        // Certificate Transparency's own test vectors: leaves "" and 0x00.
        let vector = [leaf_hash(b""), leaf_hash(&[0])];
        assert_eq!(
            hex::encode(&root(&vector[..1])),
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
        );
        assert_eq!(
            hex::encode(&root(&vector)),
            "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"
        );
        for count in 0..70 {
            assert_eq!(root(&leaves(count)), defined(&leaves(count)), "{count}");
        }
    }

    proptest! {
        #[test]
        fn every_leaf_has_a_path_and_no_other_leaf_has_it(count in 1u64..90, at in any::<prop::sample::Index>(), other in any::<prop::sample::Index>()) {
            let all = leaves(count);
            let index = at.index(all.len());
            let path = &paths(&all, &[index as u64])[0];
            prop_assert_eq!(path.root(all[index], count), Some(root(&all)));
            let other = other.index(all.len());
            if other != index {
                prop_assert_ne!(path.root(all[other], count), Some(root(&all)));
            }
            let mut cut = path.clone();
            if cut.path.pop().is_some() {
                prop_assert_ne!(cut.root(all[index], count), Some(root(&all)));
            }
            let mut long = path.clone();
            long.path.push("00".repeat(32));
            prop_assert_eq!(long.root(all[index], count), None);
        }
    }
}
