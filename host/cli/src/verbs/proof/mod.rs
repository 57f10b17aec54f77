//! `whimbrel proof`: what became of every message, signed. The files are specified in `docs/proof.md`.

mod key;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, Write};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use whimbrel_proof::{
    FORMAT, Kind, Leaf, ProofError, Proven, SigningKey, Statement, Tree, TreeHash, leaf_hash, path_line, paths,
    signature_line,
};

use super::new_file;
use crate::args::{Global, ProofMessage};
use crate::exit::Exit;
use crate::output::{Output, safe, table::plural};
use crate::problem::{Problem, Result};
use crate::session;
use crate::verified::{Record, file_name};

/// What others check with, beside the proofs.
const PUBLIC: &str = "public-key.pem";
/// The counts that a statement has.
const COUNTS: [&str; 8] = [
    "found",
    "moved",
    "merged",
    "filtered",
    "oversize",
    "failed",
    "pending",
    "unexplained",
];

/// Writes a proof of each mailbox.
pub fn write(global: &Global, only: &[String], folder: &Path, output: Output) -> Result<Exit> {
    let settings = session::settings(global, only)?;
    let mut missing = Vec::new();
    let mut records = Vec::new();
    for mailbox in &settings.mailboxes {
        let record = Record::find(&settings.state, &mailbox.name);
        match record.map_err(|error| Box::new(Problem::failed(format!("what was verified cannot be read: {error}"))))? {
            Some(record) => records.push(record),
            None => missing.push(mailbox.name.clone()),
        }
    }
    if records.is_empty() {
        let problem = Problem::new("proof", "no mailbox was verified in full yet", Exit::Partial);
        return Err(Box::new(problem.help("run `whimbrel verify --deep`, then this again")));
    }
    let key = key::signing(&settings.state)?;
    fs::create_dir_all(folder).map_err(|error| super::cannot("make the folder", folder, &error))?;
    let public = folder.join(PUBLIC);
    let pem = key.public().pem();
    if fs::read_to_string(&public).ok().as_ref() != Some(&pem) {
        let written = new_file(&public)?.write_all(pem.as_bytes());
        written.map_err(|error| Box::new(Problem::io("write", &public, &error)))?;
    }
    let mut proofs = Vec::new();
    for record in &records {
        proofs.push(write_one(record, &settings.name, &key, folder)?);
    }
    let exit = session::outcome(missing.is_empty());
    output.document(
        json!({
            "proofs": proofs.iter().map(Written::json).collect::<Vec<_>>(),
            "not_verified": missing,
            "key": key.public().text(),
            "key_file": public.display().to_string(),
        }),
        exit,
    );
    for Written { file, statement } in &proofs {
        output.say(format!(
            "{}: {}, verified {} ({}): {}",
            file.display(),
            plural(statement.messages, "message"),
            time(statement.verified),
            statement.depth,
            statement.grade
        ));
    }
    for name in &missing {
        output.say(format!(
            "✗ {}: was not verified in full yet\n  → run `whimbrel verify` for it, and see what it says",
            safe(name)
        ));
    }
    output.say(format!(
        "Signed with the key {}; {} is for those who check.\nGive it to them on another way than the proofs.",
        key.public().text(),
        public.display()
    ));
    Ok(exit)
}

/// A proof that was written.
struct Written {
    file: PathBuf,
    statement: Statement,
}

impl Written {
    fn json(&self) -> Value {
        json!({ "file": self.file.display().to_string(), "statement": self.statement })
    }
}

fn write_one(record: &Record, migration: &str, key: &SigningKey, folder: &Path) -> Result<Written> {
    let file = folder.join(format!("{}.proof", file_name(&record.header.mailbox)));
    let unreadable = |error: io::Error| Box::new(Problem::failed(format!("what was verified cannot be read: {error}")));
    let mut tree = Tree::default();
    for line in record.lines().map_err(unreadable)? {
        tree.push(leaf_hash(line.map_err(unreadable)?.as_bytes()));
    }
    let counts: Map<String, Value> = COUNTS
        .iter()
        .map(|name| ((*name).to_owned(), record.outcome[*name].clone()))
        .collect();
    let statement = Statement {
        format: FORMAT,
        migration: migration.to_owned(),
        mailbox: record.header.mailbox.clone(),
        verified: record.header.began,
        depth: record.header.depth.clone(),
        grade: record.outcome["verdict"]["grade"]
            .as_str()
            .unwrap_or_default()
            .to_owned(),
        counts,
        messages: tree.leaves(),
        root: tree.root_text(),
        key: key.public().text(),
    };
    let mut out = new_file(&file)?;
    let whole = || -> io::Result<()> {
        writeln!(out, "{}", statement.line())?;
        for line in record.lines()? {
            writeln!(out, "{}", line?)?;
        }
        writeln!(out, "{}", signature_line(&statement, key))?;
        out.flush()
    };
    whole_or_nothing(&file, whole)?;
    Ok(Written { file, statement })
}

/// Leaves no half file behind.
fn whole_or_nothing(file: &Path, write: impl FnOnce() -> io::Result<()>) -> Result<()> {
    write().map_err(|error| {
        // What cannot be removed is told of by its check: it is cut short.
        let _ = fs::remove_file(file);
        Box::new(Problem::io("write", file, &error))
    })
}

/// Takes one message out of a proof that holds.
pub fn message(args: &ProofMessage, output: Output) -> Result<Exit> {
    let mut file = open(&args.file)?;
    let wanted = |leaf: &Leaf| {
        args.folder.as_ref().is_none_or(|folder| leaf.collection == *folder)
            && args.id.as_ref().is_none_or(|id| leaf.id == *id)
            && args.hash.as_ref().is_none_or(|hash| leaf.exact.as_ref() == Some(hash))
    };
    let (mut number, mut found, mut many) = (0u64, None, 0u64);
    let proven = whimbrel_proof::check(BufReader::new(&file).lines(), None, |leaf| {
        if wanted(&leaf) {
            many += 1;
            found = Some((number, leaf));
        }
        number += 1;
    })
    .map_err(|error| refused(&args.file, &error))?;
    if proven.kind != Kind::Mailbox {
        let text = format!("`{}` is the proof of one message already", args.file.display());
        return Err(Box::new(Problem::usage(text)));
    }
    let (index, leaf) = match found {
        Some(found) if many == 1 => found,
        Some(_) => {
            let problem = Problem::usage(format!("{} are described so", plural(many, "message")));
            return Err(Box::new(problem.help("name one by --folder, --id and --hash together")));
        }
        None => {
            let problem = Problem::usage("no message of this proof is described so");
            let help = format!("its messages are the lines of `{}`", args.file.display());
            return Err(Box::new(problem.help(help)));
        }
    };
    let unreadable = |error: &io::Error| Box::new(Problem::io("read", &args.file, error));
    file.rewind().map_err(|error| unreadable(&error))?;
    let mut lines = BufReader::new(&file).lines();
    let mut next = || lines.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
    let statement = next().map_err(|error| unreadable(&error))?;
    let (mut hashes, mut own): (Vec<TreeHash>, String) = Default::default();
    for at in 0..proven.statement.messages {
        let line = next().map_err(|error| unreadable(&error))?;
        hashes.push(leaf_hash(line.as_bytes()));
        if at == index {
            own = line;
        }
    }
    let signature = next().map_err(|error| unreadable(&error))?;
    let mut out = new_file(&args.out)?;
    whole_or_nothing(&args.out, || {
        writeln!(out, "{statement}\n{own}")?;
        for path in paths(&hashes, &[index]) {
            writeln!(out, "{}", path_line(&path))?;
        }
        writeln!(out, "{signature}")?;
        out.flush()
    })?;
    output.document(
        json!({ "file": args.out.display().to_string(), "statement": proven.statement, "message": leaf }),
        Exit::Ok,
    );
    output.say(format!("{}: {}", args.out.display(), fate(&leaf)));
    Ok(Exit::Ok)
}

/// Checks a proof.
pub fn check(file: &Path, key: Option<&str>, output: Output) -> Result<Exit> {
    let wanted = key.map(key::public).transpose()?;
    let lines = BufReader::new(open(file)?).lines();
    let proven = whimbrel_proof::check(lines, wanted.as_ref(), |_| ()).map_err(|error| refused(file, &error))?;
    output.document(document(&proven, wanted.is_some()), Exit::Ok);
    output.say(told(&proven, wanted.is_some()));
    Ok(Exit::Ok)
}

fn open(file: &Path) -> Result<File> {
    File::open(file).map_err(|error| super::cannot("read", file, &error))
}

/// A proof that does not hold.
fn refused(file: &Path, error: &ProofError) -> Box<Problem> {
    let problem = Problem::new(
        "proof",
        format!("`{}` proves nothing: {error}", file.display()),
        Exit::Different,
    );
    Box::new(match error {
        ProofError::OtherKey { .. } => problem.help("ask whoever migrated for their key, or for a proof of theirs"),
        _ => problem.help("ask whoever gave it to you for another copy"),
    })
}

fn document(proven: &Proven, key_given: bool) -> Value {
    let (kind, message) = match &proven.kind {
        Kind::Mailbox => ("mailbox", None),
        Kind::Message(leaf) => ("message", Some(leaf)),
    };
    json!({ "kind": kind, "statement": proven.statement, "message": message, "key_given": key_given })
}

fn told(proven: &Proven, key_given: bool) -> String {
    let statement = &proven.statement;
    let mut out = String::from("The proof holds.\n\n");
    if let Kind::Message(leaf) = &proven.kind {
        out += &format!("{}\n\nIt is one of all messages of this mailbox:\n", fate(leaf));
    }
    out += &format!(
        "mailbox `{}` of the migration `{}`, verified {} ({}): {}\n",
        safe(&statement.mailbox),
        safe(&statement.migration),
        time(statement.verified),
        safe(&statement.depth),
        safe(&statement.grade)
    );
    let counts: Vec<String> = statement
        .counts
        .iter()
        .map(|(name, count)| format!("{count} {}", safe(name)))
        .collect();
    out += &format!("{}\n\nSigned with the key {}", counts.join(", "), statement.key);
    out += match key_given {
        true => ", as asked for.",
        false => {
            ".\nIt is the key that the file names: compare it with what you know of whoever migrated, or use --key."
        }
    };
    out
}

/// What became of a message, in a sentence or two.
fn fate(leaf: &Leaf) -> String {
    let mut out = format!(
        "Message {} of folder `{}`: {}",
        safe(&leaf.id),
        safe(&leaf.collection),
        safe(&leaf.fate)
    );
    if let Some(place) = &leaf.place {
        let whose = place
            .mailbox
            .as_ref()
            .map(|name| format!(" of mailbox `{}`", safe(name)));
        let id = place.id.as_ref().map(|id| format!(", message {} there", safe(id)));
        out += &format!(
            ", to folder `{}`{}{}",
            safe(&place.collection),
            whose.unwrap_or_default(),
            id.unwrap_or_default()
        );
    }
    out += &match leaf.how.as_str() {
        "bytes" => ". Its bytes were read there and are those that were put.".to_owned(),
        "transport" => ". It was read there, and differs in nothing but line ends.".to_owned(),
        "content" => ". It was read there and says the same.".to_owned(),
        "listing" => ". It is listed there; its bytes were not read.".to_owned(),
        "not-there" => ".".to_owned(),
        _ => format!(". It is different: {}.", safe(&leaf.classes.join(", "))),
    };
    if let Some(hash) = &leaf.exact {
        out += &format!("\nBLAKE3 of its bytes at the source: {}", safe(hash));
    }
    out
}

fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

#[cfg(test)]
mod tests {
    use whimbrel_proof::Place;

    use super::*;

    fn statement() -> Statement {
        Statement {
            format: FORMAT,
            migration: "acme".into(),
            mailbox: "alice".into(),
            verified: 1_700_000_000,
            depth: "deep".into(),
            grade: "perfect".into(),
            counts: [("found".to_owned(), 3.into()), ("moved".to_owned(), 3.into())]
                .into_iter()
                .collect(),
            messages: 3,
            root: "00".into(),
            key: "11".into(),
        }
    }

    fn leaf() -> Leaf {
        Leaf {
            collection: "INBOX".into(),
            id: "7".into(),
            fate: "moved".into(),
            exact: Some("ab".into()),
            content: None,
            place: Some(Place {
                mailbox: Some("team".into()),
                collection: "From Alice".into(),
                id: Some("107".into()),
            }),
            how: "bytes".into(),
            classes: Vec::new(),
        }
    }

    #[test]
    fn people_see_what_was_proven_and_by_whom() {
        let proven = Proven {
            statement: statement(),
            kind: Kind::Message(Box::new(leaf())),
        };
        let text = told(&proven, false);
        for part in [
            "Message 7 of folder `INBOX`: moved, to folder `From Alice` of mailbox `team`, message 107 there.",
            "Its bytes were read there",
            "BLAKE3 of its bytes at the source: ab",
            "mailbox `alice` of the migration `acme`, verified 2023-11-14T22:13:20Z (deep): perfect",
            "3 found, 3 moved",
            "use --key",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        let whole = Proven {
            kind: Kind::Mailbox,
            ..proven
        };
        assert!(told(&whole, true).ends_with("Signed with the key 11, as asked for."));
    }

    #[test]
    fn the_json_is_the_documented_one() {
        let proven = Proven {
            statement: statement(),
            kind: Kind::Message(Box::new(leaf())),
        };
        assert_eq!(
            document(&proven, true),
            json!({
                "kind": "message",
                "statement": {
                    "whimbrel-proof": 1, "migration": "acme", "mailbox": "alice", "verified": 1_700_000_000,
                    "depth": "deep", "grade": "perfect", "counts": { "found": 3, "moved": 3 }, "messages": 3,
                    "root": "00", "key": "11",
                },
                "message": {
                    "collection": "INBOX", "id": "7", "fate": "moved", "exact": "ab", "content": null,
                    "place": { "mailbox": "team", "collection": "From Alice", "id": "107" },
                    "how": "bytes", "classes": [],
                },
                "key_given": true,
            })
        );
    }
}
