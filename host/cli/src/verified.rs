//! What the last verification of each mailbox said, kept in the state folder: a line for every message, which proofs are
//! made of, and the outcome, which reports show.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use whimbrel_engine::{Checked, How, MailboxVerified};
use whimbrel_proof::{Leaf, Place};

/// The version of the form.
const FORMAT: u32 = 1;

/// The first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`FORMAT`].
    #[serde(rename = "whimbrel-verified")]
    format: u32,
    /// The mailbox's name.
    pub mailbox: String,
    /// `listing`, `sample` or `deep`.
    pub depth: String,
    /// When it began, in seconds since 1970.
    pub began: i64,
}

/// The last line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct End {
    /// How many messages there are before it.
    messages: u64,
    /// As `verify --json` has it.
    outcome: Value,
}

/// The folder of all records.
pub fn folder(state: &Path) -> PathBuf {
    state.join("verified")
}

/// A name for a file of a mailbox: what no file system minds, and a hash of the whole name where that is not all of it.
pub fn file_name(mailbox: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "@._-".contains(c);
    let kept: String = mailbox
        .chars()
        .map(|c| if plain(c) { c } else { '_' })
        .take(100)
        .collect();
    // Some file systems do not tell capitals from small letters.
    let own = kept.starts_with(|c: char| c.is_ascii_alphanumeric()) && !kept.contains(|c: char| c.is_ascii_uppercase());
    if kept == mailbox && own {
        return kept;
    }
    let hash = mailbox.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("_{kept}-{hash:016x}")
}

/// As a leaf of a proof.
pub fn leaf(checked: &Checked) -> Leaf {
    let place = checked.place.as_ref().map(|spot| Place {
        mailbox: spot.mailbox.clone(),
        collection: spot.collection.clone(),
        id: spot.id.clone(),
    });
    Leaf {
        collection: checked.collection.clone(),
        id: checked.id.clone(),
        fate: checked.fate.to_owned(),
        exact: checked.exact.map(|hash| hash.to_string()),
        content: checked.content.map(|hash| hash.to_string()),
        place,
        how: how(checked.how).to_owned(),
        classes: checked.classes.iter().map(|class| class.code().to_owned()).collect(),
    }
}

fn how(how: How) -> &'static str {
    match how {
        How::Bytes => "bytes",
        How::Transport => "transport",
        How::Content => "content",
        How::Listing => "listing",
        How::NotThere => "not-there",
        How::Unreadable => "unreadable",
        How::Different => "different",
    }
}

/// A record that is being written, beside its place until it is whole.
pub struct Recorder {
    file: BufWriter<tempfile::NamedTempFile>,
    path: PathBuf,
    messages: u64,
}

impl Recorder {
    /// Of a mailbox.
    pub fn begin(state: &Path, mailbox: &str, depth: &str, began: i64) -> io::Result<Self> {
        let folder = folder(state);
        std::fs::create_dir_all(&folder)?;
        let file = tempfile::Builder::new().prefix(".part-").tempfile_in(&folder)?;
        let mut recorder = Self {
            file: BufWriter::new(file),
            path: folder.join(format!("{}.jsonl", file_name(mailbox))),
            messages: 0,
        };
        let header = Header {
            format: FORMAT,
            mailbox: mailbox.to_owned(),
            depth: depth.to_owned(),
            began,
        };
        recorder.line(&serde_json::to_string(&header)?)?;
        Ok(recorder)
    }

    fn line(&mut self, line: &str) -> io::Result<()> {
        self.file.write_all(line.as_bytes())?;
        self.file.write_all(b"\n")
    }

    /// One message.
    pub fn message(&mut self, leaf: &Leaf) -> io::Result<()> {
        self.messages += 1;
        self.line(&leaf.line())
    }

    /// Takes the place of the last record.
    pub fn finish(mut self, outcome: &MailboxVerified) -> io::Result<()> {
        let end = End {
            messages: self.messages,
            outcome: serde_json::to_value(outcome)?,
        };
        self.line(&serde_json::to_string(&end)?)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

/// A record as it lies.
pub struct Record {
    /// Its first line.
    pub header: Header,
    /// The outcome, as `verify --json` has it for the mailbox.
    pub outcome: Value,
    /// How many messages it has.
    pub messages: u64,
    /// Stays the same file when another verification puts a new one in its place.
    file: File,
}

/// The record of a mailbox, and what it is to be called in errors; none where it was never verified.
fn open(state: &Path, mailbox: &str) -> io::Result<Option<(File, PathBuf)>> {
    let path = folder(state).join(format!("{}.jsonl", file_name(mailbox)));
    match File::open(&path) {
        Ok(file) => Ok(Some((file, path))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn broken(path: &Path, problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{}: {problem}", path.display()))
}

/// What the last verification of a mailbox came to, without the lines of its messages.
pub struct Summary {
    /// The first line.
    pub header: Header,
    /// The outcome, as `verify --json` has it for the mailbox.
    pub outcome: Value,
}

impl Summary {
    /// The last one of a mailbox; none where it was never verified. Reads the first line and the last one, whatever lies
    /// between them.
    pub fn find(state: &Path, mailbox: &str) -> io::Result<Option<Self>> {
        let Some((mut file, path)) = open(state, mailbox)? else {
            return Ok(None);
        };
        let broken = |problem: &str| broken(&path, problem);
        let mut first = String::new();
        BufReader::new(&file).take(LONGEST_END).read_line(&mut first)?;
        let header: Header = serde_json::from_str(&first).map_err(|error| broken(&error.to_string()))?;
        let last = last_line(&mut file)?;
        let end: End = serde_json::from_slice(&last).map_err(|_| broken("it is cut short"))?;
        if header.format != FORMAT || header.mailbox != mailbox {
            return Err(broken("it is not what this version wrote; verify again"));
        }
        Ok(Some(Self {
            header,
            outcome: end.outcome,
        }))
    }
}

/// The longest last line: a hundred differences with their texts, and room to spare.
const LONGEST_END: u64 = 16 << 20;

/// The last line of a file, without its end; as much as may be of it.
fn last_line(file: &mut File) -> io::Result<Vec<u8>> {
    let length = file.seek(io::SeekFrom::End(0))?;
    let mut take = 64 << 10;
    loop {
        let from = length.saturating_sub(take);
        file.seek(io::SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.take(length - from).read_to_end(&mut bytes)?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        if let Some(at) = bytes.iter().rposition(|byte| *byte == b'\n') {
            return Ok(bytes.split_off(at + 1));
        }
        if from == 0 || take >= LONGEST_END {
            return Ok(bytes);
        }
        take *= 4;
    }
}

impl Record {
    /// The last one of a mailbox; none where it was never verified. Reads it once, line by line.
    pub fn find(state: &Path, mailbox: &str) -> io::Result<Option<Self>> {
        let Some((file, path)) = open(state, mailbox)? else {
            return Ok(None);
        };
        let broken = |problem: &str| broken(&path, problem);
        let mut lines = BufReader::new(&file).lines();
        let first = lines.next().ok_or_else(|| broken("it is empty"))??;
        let header: Header = serde_json::from_str(&first).map_err(|error| broken(&error.to_string()))?;
        let (mut last, mut messages) = (None, 0u64);
        for line in lines {
            messages += u64::from(last.is_some());
            last = Some(line?);
        }
        let last = last.ok_or_else(|| broken("it is cut short"))?;
        let end: End = serde_json::from_str(&last).map_err(|_| broken("it is cut short"))?;
        if header.format != FORMAT || header.mailbox != mailbox || end.messages != messages {
            return Err(broken("it is not what this version wrote; verify again"));
        }
        Ok(Some(Self {
            header,
            outcome: end.outcome,
            messages,
            file,
        }))
    }

    /// The lines of its messages. One reader at a time.
    pub fn lines(&self) -> io::Result<impl Iterator<Item = io::Result<String>>> {
        let messages = usize::try_from(self.messages).unwrap_or(usize::MAX);
        (&self.file).rewind()?;
        Ok(BufReader::new(&self.file).lines().skip(1).take(messages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files_are_plain_and_their_own() {
        assert_eq!(file_name("alice@example.org"), "alice@example.org");
        for odd in ["a/b", "../up", ".", "", "_a", "Alice", "a\u{e4}", &"x".repeat(200)] {
            let name = file_name(odd);
            assert!(
                name.starts_with('_') && name.len() < 130 && !name.contains('/'),
                "{name}"
            );
        }
        assert_ne!(file_name("a/b"), file_name("a:b"));
        assert_ne!(file_name("Alice").to_lowercase(), file_name("alice"));
    }

    #[test]
    fn a_summary_is_the_first_line_and_the_last() {
        let state = tempfile::tempdir().unwrap();
        assert!(Summary::find(state.path(), "alice").unwrap().is_none());
        std::fs::create_dir(folder(state.path())).unwrap();
        let file = folder(state.path()).join("alice.jsonl");
        let first = r#"{"whimbrel-verified":1,"mailbox":"alice","depth":"deep","began":7}"#;
        // Last lines that fit into what is read at once, and such that do not.
        for size in [10, 65_000, 65_536, 300_000] {
            let last = format!(r#"{{"messages":2,"outcome":{{"x":"{}"}}}}"#, "y".repeat(size));
            std::fs::write(&file, format!("{first}\n{{}}\n{{}}\n{last}\n")).unwrap();
            let summary = Summary::find(state.path(), "alice").unwrap().unwrap();
            assert_eq!((summary.header.began, summary.header.depth.as_str()), (7, "deep"));
            assert_eq!(summary.outcome["x"].as_str().unwrap().len(), size);
        }
        for cut in ["", first, &format!("{first}\n{{}}\n"), "{\n{}\n"] {
            std::fs::write(&file, cut).unwrap();
            assert!(Summary::find(state.path(), "alice").is_err(), "{cut}");
        }
    }
}
