//! Proofs that hold, and everything that was done to them that makes them not hold.
#![allow(clippy::unwrap_used)]

use whimbrel_proof::{
    FORMAT, Kind, Leaf, Place, ProofError, PublicKey, SigningKey, Statement, Tree, check, leaf_hash, path_line, paths,
    signature_line,
};

fn leaf(number: u64) -> Leaf {
    Leaf {
        collection: "INBOX".into(),
        id: number.to_string(),
        fate: "moved".into(),
        exact: Some(format!("{number:064x}")),
        content: None,
        place: Some(Place {
            mailbox: None,
            collection: "INBOX".into(),
            id: Some((number + 100).to_string()),
        }),
        how: "listing".into(),
        classes: Vec::new(),
    }
}

struct Made {
    key: SigningKey,
    statement: Statement,
    leaves: Vec<String>,
}

fn made(count: u64) -> Made {
    let key = SigningKey::read(&SigningKey::generate().unwrap()).unwrap();
    let leaves: Vec<String> = (0..count).map(|number| leaf(number).line()).collect();
    let mut tree = Tree::default();
    leaves.iter().for_each(|line| tree.push(leaf_hash(line.as_bytes())));
    let statement = Statement {
        format: FORMAT,
        migration: "acme".into(),
        mailbox: "alice".into(),
        verified: 1_700_000_000,
        depth: "deep".into(),
        grade: "perfect".into(),
        counts: [("found".to_owned(), count.into())].into_iter().collect(),
        messages: count,
        root: tree.root().iter().map(|byte| format!("{byte:02x}")).collect(),
        key: key.public().text(),
    };
    Made { key, statement, leaves }
}

impl Made {
    fn mailbox(&self) -> Vec<String> {
        let mut lines = vec![self.statement.line()];
        lines.extend(self.leaves.clone());
        lines.push(signature_line(&self.statement, &self.key));
        lines
    }

    fn message(&self, index: usize) -> Vec<String> {
        let hashes: Vec<_> = self.leaves.iter().map(|line| leaf_hash(line.as_bytes())).collect();
        vec![
            self.statement.line(),
            self.leaves[index].clone(),
            path_line(&paths(&hashes, &[index as u64])[0]),
            signature_line(&self.statement, &self.key),
        ]
    }
}

fn checked(lines: &[String], key: Option<&PublicKey>) -> whimbrel_proof::Result<(Kind, usize)> {
    let mut count = 0;
    let proven = check(lines.iter().cloned().map(Ok), key, |_| count += 1)?;
    Ok((proven.kind, count))
}

#[test]
fn what_was_made_holds() {
    for count in [0, 1, 2, 7, 64, 65] {
        let made = made(count);
        let public = made.key.public();
        for key in [None, Some(&public)] {
            assert_eq!(
                checked(&made.mailbox(), key).unwrap(),
                (Kind::Mailbox, usize::try_from(count).unwrap())
            );
        }
        for index in 0..usize::try_from(count).unwrap() {
            let (kind, _) = checked(&made.message(index), Some(&public)).unwrap();
            assert_eq!(kind, Kind::Message(Box::new(leaf(index as u64))));
        }
    }
}

#[test]
fn no_line_can_be_changed_added_removed_or_moved() {
    let made = made(9);
    for whole in [made.mailbox(), made.message(4)] {
        checked(&whole, None).unwrap();
        for at in 0..whole.len() {
            let mut without = whole.clone();
            without.remove(at);
            assert!(checked(&without, None).is_err(), "without line {at}");
            let mut twice = whole.clone();
            twice.insert(at, whole[at].clone());
            assert!(checked(&twice, None).is_err(), "line {at} twice");
            let mut moved = whole.clone();
            moved.swap(at, (at + 1) % whole.len());
            assert!(checked(&moved, None).is_err(), "line {at} moved");
            // Each digit that becomes another one.
            for (place, byte) in whole[at].bytes().enumerate().filter(|(_, byte)| byte.is_ascii_digit()) {
                let mut changed = whole.clone();
                let other = if byte == b'1' { "2" } else { "1" };
                changed[at].replace_range(place..=place, other);
                assert!(checked(&changed, None).is_err(), "line {at}, place {place}");
            }
        }
    }
}

#[test]
fn another_key_is_told() {
    let (one, other) = (made(3), made(3));
    let public = other.key.public();
    let error = checked(&one.mailbox(), Some(&public)).unwrap_err();
    assert!(matches!(&error, ProofError::OtherKey { .. }), "{error}");
    // Signed again by somebody else, who leaves the key as it was.
    let mut forged = one.mailbox();
    let last = forged.len() - 1;
    forged[last] = signature_line(&one.statement, &other.key);
    assert_eq!(checked(&forged, None).unwrap_err(), ProofError::Signature);
}

#[test]
fn texts_say_where_and_what() {
    let made = made(2);
    for (lines, part) in [
        (vec![], "there is no statement"),
        (vec!["{}".to_owned()], "line 1: it is no statement"),
        (
            vec![
                made.statement
                    .line()
                    .replace("\"whimbrel-proof\":1", "\"whimbrel-proof\":9"),
            ],
            "line 1: its form is 9",
        ),
        (made.mailbox()[..3].to_vec(), "there is no signature"),
        (
            [made.mailbox(), vec!["{}".to_owned()]].concat(),
            "line 5: nothing belongs behind",
        ),
    ] {
        let error = checked(&lines, None).unwrap_err().to_string();
        assert!(error.contains(part), "{error}");
    }
    let broken = std::iter::once(Err(std::io::Error::other("the disk is gone")));
    assert!(
        check(broken, None, |_| ())
            .unwrap_err()
            .to_string()
            .contains("the disk is gone")
    );
}
