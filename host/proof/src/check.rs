//! Checking a proof, line by line.

use crate::{
    Leaf, Path, ProofError, PublicKey, Result, Statement, Tree, hex, leaf_hash,
    statement::{FORMAT, Signature},
};

/// What a proof is of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// All messages of a mailbox.
    Mailbox,
    /// One message: which one, and what became of it.
    Message(Box<Leaf>),
}

/// A proof that holds.
#[derive(Debug, Clone, PartialEq)]
pub struct Proven {
    /// What was signed.
    pub statement: Statement,
    /// Of what it is.
    pub kind: Kind,
}

/// Checks a proof of either kind. `each` gets the messages of a whole mailbox, one after the other; they are proven only
/// when this returns without an error. With `key`, it must be signed with that one; without, with the one that it names.
///
/// # Errors
///
/// It does not hold, and why. `lines` failing is an error of the line.
pub fn check(
    lines: impl IntoIterator<Item = std::io::Result<String>>,
    key: Option<&PublicKey>,
    mut each: impl FnMut(Leaf),
) -> Result<Proven> {
    let mut lines = lines.into_iter().zip(1u64..).map(|(line, number)| match line {
        Ok(line) => Ok((line, number)),
        Err(error) => Err(wrong(number, error.to_string())),
    });
    let (first, _) = lines.next().ok_or(ProofError::Short("there is no statement"))??;
    let statement: Statement =
        serde_json::from_str(&first).map_err(|error| wrong(1, format!("it is no statement: {error}")))?;
    if statement.format != FORMAT {
        return Err(wrong(
            1,
            format!("its form is {}, and {FORMAT} is known here", statement.format),
        ));
    }
    let own = PublicKey::parse(&statement.key).ok_or_else(|| wrong(1, "it names no key"))?;
    if let Some(wanted) = key.filter(|wanted| **wanted != own) {
        return Err(ProofError::OtherKey {
            found: own.text(),
            wanted: wanted.text(),
        });
    }
    let mut tree = Tree::default();
    let mut only: Option<(Leaf, [u8; 32])> = None;
    let mut path: Option<Path> = None;
    let mut signature: Option<Signature> = None;
    for line in lines {
        let (line, number) = line?;
        if signature.is_some() {
            return Err(wrong(number, "nothing belongs behind the signature"));
        }
        if let Ok(found) = serde_json::from_str::<Signature>(&line) {
            signature = Some(found);
        } else if path.is_some() {
            return Err(wrong(number, "a signature belongs here"));
        } else if let Ok(found) = serde_json::from_str::<Path>(&line) {
            if tree.leaves() != 1 {
                return Err(wrong(number, "a path belongs to one message"));
            }
            path = Some(found);
        } else {
            let leaf = Leaf::parse(&line).map_err(|problem| wrong(number, format!("it is no message: {problem}")))?;
            let hash = leaf_hash(line.as_bytes());
            only = (tree.leaves() == 0).then(|| (leaf.clone(), hash));
            tree.push(hash);
            each(leaf);
        }
    }
    let signature = signature.ok_or(ProofError::Short("there is no signature"))?;
    let (root, kind) = match (path, only) {
        (Some(path), Some((leaf, hash))) => (path.root(hash, statement.messages), Kind::Message(Box::new(leaf))),
        _ => (
            (tree.leaves() == statement.messages).then(|| tree.root()),
            Kind::Mailbox,
        ),
    };
    if root.map(|root| hex::encode(&root)).as_ref() != Some(&statement.root) {
        return Err(ProofError::Root);
    }
    if !signature.is_of(&first, &own) {
        return Err(ProofError::Signature);
    }
    Ok(Proven { statement, kind })
}

fn wrong(line: u64, problem: impl Into<String>) -> ProofError {
    ProofError::Line {
        line,
        problem: problem.into(),
    }
}
