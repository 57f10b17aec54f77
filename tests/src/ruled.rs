//! A script with a bit of everything, and what it has to come to: a second reading of the same rules, byte by byte.

use std::collections::BTreeMap;
use std::path::Path;

use crate::account::{Account, Folder, Message, instant, sorted};
use crate::corpus;
use crate::readers::files;

/// The script. What is decided is decided on the lines that [`Decided`] names.
pub const SCRIPT: &str = r#"
const RECENT = "2000-01-01";

fn message(m) {
    if spam(m) { return; }
    if m.from.local.ends_with("2") { m.copy_to("Copies"); }
    if m.size > kb(60) {
        m.add_keyword("Large");
        m.detach(kb(40));
    }
    if m.received < date(RECENT) { m.move_to("Old/Before"); }
    if m.from.local.ends_with("3") { m.send_to("team", "From Alice"); }
    m.rewrite_domain("example.com", "new.example");
    if m.folder == "INBOX" { m.add_header("X-Moved-By", "rules"); }
    m.clear_flag("deleted");
}

fn spam(m) {
    if m.from.local.ends_with("1") { m.skip("from a spammer"); return true; }
    false
}
"#;

/// The value that the settings give to `RECENT`, and as seconds.
pub const RECENT: &str = "2010-06-01";

fn recent() -> i64 {
    instant(2010, 6, 1, 0, 0, 0)
}

/// What links to attachments begin with.
pub const LINK: &str = "https://files.example";

/// The `[rules]` section that goes with it; attachments go to `attachments` beside the settings.
pub fn section() -> String {
    format!(
        "[rules]\nscript = \"rules.rhai\"\nset = {{ RECENT = \"{RECENT}\" }}\n\n\
         [rules.attachments]\nfolder = \"attachments\"\nlink = \"{LINK}\"\n"
    )
}

/// What the script has to come to.
#[derive(Debug, Default)]
pub struct Decided {
    /// The mailbox `alice` at the destination.
    pub alice: Account,
    /// The mailbox `team` there.
    pub team: Account,
    /// Detached attachments: path below the folder, content.
    pub files: BTreeMap<String, Vec<u8>>,
    /// How many messages were left out.
    pub filtered: u64,
    /// How often each line decided something, with what it did.
    pub lines: BTreeMap<(u64, String), u64>,
}

/// An account for it: ordinary mail, and equal messages that are left out, copied, moved and sent elsewhere.
pub fn mail(seed: u64, messages: u64) -> Account {
    let mut account = corpus::ordinary(seed, messages);
    let some: Vec<Message> = account.folders[0].messages.iter().take(12).cloned().collect();
    let twins = some.iter().chain(&some).cloned().collect();
    account.folders.push(Folder::new(&["Twins"]).with(twins));
    account
}

impl Decided {
    /// Of what lies in the source account.
    pub fn of(source: &Account) -> Self {
        let mut out = Self::default();
        for folder in &source.folders {
            let path: Vec<&str> = folder.path.iter().map(String::as_str).collect();
            out.alice.folder_mut(&path);
            for message in &folder.messages {
                out.decide(&path, message);
            }
        }
        out
    }

    fn said(&mut self, line: u64, did: &str) {
        *self.lines.entry((line, did.to_owned())).or_default() += 1;
    }

    fn decide(&mut self, path: &[&str], message: &Message) {
        let text = String::from_utf8(message.bytes().to_vec()).expect("ordinary mail is UTF-8");
        let (head, body) = text.split_once("\r\n\r\n").expect("ordinary mail has a head");
        let sender = head
            .split("From: ")
            .nth(1)
            .and_then(|rest| rest.split(['<', '@']).nth(1))
            .expect("a sender");
        if sender.ends_with('1') {
            self.said(19, "skip");
            self.filtered += 1;
            return;
        }
        let mut flags = message.flags.clone();
        flags.retain(|flag| flag != "\\Deleted");
        let mut body = body.to_owned();
        if sender.ends_with('2') {
            self.said(6, "copy_to Copies");
        }
        if text.len() > 60 << 10 {
            self.said(8, "add_keyword Large");
            self.said(9, "detach 40960");
            flags.push("Large".to_owned());
            body = self.detached(&body);
        }
        let mut place = path.to_vec();
        if message.received < recent() {
            self.said(11, "move_to Old/Before");
            place = vec!["Old", "Before"];
        }
        let elsewhere = sender.ends_with('3');
        if elsewhere {
            self.said(12, "send_to team, From Alice");
            place = vec!["From Alice"];
        }
        self.said(13, "rewrite_domain example.com new.example");
        let mut head = head.replace("To: alice@example.com", "To: alice@new.example");
        if path == ["INBOX"] {
            self.said(14, "add_header X-Moved-By");
            head = format!("X-Moved-By: rules\r\n{head}");
        }
        self.said(15, "clear_flag \\Deleted");
        let flags: Vec<String> = sorted(flags);
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let put = Message::new(format!("{head}\r\n\r\n{body}").as_bytes(), &flags, message.received);
        if sender.ends_with('2') {
            self.alice.folder_mut(&["Copies"]).messages.push(put.clone());
        }
        let account = if elsewhere { &mut self.team } else { &mut self.alice };
        account.folder_mut(&place).messages.push(put);
    }

    /// The body without its attachment, which becomes a file.
    fn detached(&mut self, body: &str) -> String {
        let (before, part) = body
            .split_once("--=_part\r\nContent-Type: application/pdf")
            .expect("large mail has an attachment");
        let (_, encoded) = part.split_once("\r\n\r\n").expect("a part has a head");
        let (encoded, after) = encoded.split_once("--=_part--").expect("the last boundary");
        let content = base64(encoded);
        let hash = blake3::hash(&content).to_hex();
        let path = format!("alice/{}/a.pdf", &hash[..32]);
        let tenths = content.len() as u64 * 10;
        let size = match tenths >> 20 {
            0..10 => format!("{}.{} KiB", (tenths >> 10) / 10, (tenths >> 10) % 10),
            tenths => format!("{}.{} MiB", tenths / 10, tenths % 10),
        };
        let note = format!(
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\nContent-Disposition: inline\r\n\
             X-Whimbrel-Detached: application/pdf; a.pdf\r\n\r\nAttachment moved: a.pdf ({size}, application/pdf)\r\n{LINK}/{path}"
        );
        self.files.insert(path, content);
        format!("{before}--=_part\r\n{note}\r\n--=_part--{after}")
    }

    /// Fails unless the files below this folder are those that were detached.
    #[track_caller]
    pub fn assert_files(&self, folder: &Path) {
        let there = files(folder);
        let names: Vec<&String> = there.keys().collect();
        assert_eq!(names, self.files.keys().collect::<Vec<_>>());
        for (name, content) in &self.files {
            assert!(there[name] == *content, "{name} has another content");
        }
    }
}

/// RFC 4648, without padding.
fn base64(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut count) = (0u32, 0);
    for byte in text.bytes() {
        let value = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'a'..=b'z' => byte - b'a' + 26,
            b'0'..=b'9' => byte - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => continue,
        };
        bits = bits << 6 | u32::from(value);
        count += 6;
        if count >= 8 {
            count -= 8;
            out.push((bits >> count & 0xff) as u8);
        }
    }
    out
}
