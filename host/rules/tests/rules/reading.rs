//! What scripts see.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use whimbrel_mail::Content;
use whimbrel_model::ItemMeta;
use whimbrel_rules::{MessageFacts, RuleErrorKind};

use crate::support::{MESSAGE, compile, content, facts, folder, holds, mailbox, value};

#[test]
fn facts_of_a_message() {
    holds(&[
        r#"m.id == "17""#,
        r#"m.folder == "Archive/2019""#,
        r#"m.path == ["Archive", "2019"]"#,
        r#"m.role == "archive""#,
        "m.size == 2048",
        "m.received.year == 2020 && m.received.hour == 11",
        r#"m.flags == ["\\Seen", "$Label1"]"#,
        r#"m.keywords == ["$Label1"]"#,
        r#"m.labels == ["Work"]"#,
        "m.seen && !m.answered && !m.flagged && !m.draft && !m.deleted",
        r#"m.has_flag("\\seen") && m.has_flag("SEEN") && m.has_flag("$label1") && !m.has_flag("draft")"#,
        r#"m.has_keyword("$LABEL1") && !m.has_keyword("\\Seen") && !m.has_keyword("Seen")"#,
        r#"m.has_label("work") && !m.has_label("play")"#,
        r#"m.in_folder("archive") && m.in_folder("ARCHIVE/2019/") && m.in_folder("/Archive")"#,
        r#"!m.in_folder("Arch") && !m.in_folder("Archive/2019/a") && !m.in_folder("")"#,
        r#"m.mailbox.name == "alice" && m.mailbox.get("department") == "sales""#,
        r#"m.mailbox.get("x") == "" && m.mailbox.has("department") && !m.mailbox.has("x")"#,
        r#"m.mailbox.attributes.department == "sales""#,
    ]);
}

#[test]
fn heads_are_decoded() {
    assert_eq!(value("m.subject"), "Grüße from here");
    assert_eq!(value("m.from"), "Jürgen <Juergen@Firma.Example>");
    holds(&[
        r#"m.from.name == "Jürgen" && m.from.local == "Juergen" && m.from.domain == "firma.example""#,
        r#"m.from == "juergen@firma.EXAMPLE" && "juergen@firma.example" == m.from && m.from == m.from"#,
        r#"m.from != "other@firma.example" && m.from != m.to[0]"#,
        r#"m.sender.address == "" && m.reply_to.domain == """#,
        r#"m.to.len() == 2 && m.cc.len() == 1 && m.bcc.len() == 0 && m.recipients.len() == 3"#,
        r#"m.to[1] == "bob@example.net""#,
        r#"m.is_from("@firma.example") && !m.is_from("@example") && m.is_from("Juergen@firma.example")"#,
        r#"m.is_to("carol@example.org") && m.is_to("@EXAMPLE.net") && !m.is_to("@nowhere") && !m.is_to("")"#,
        r#"m.sent.to_string() == "2020-01-01T23:30:00+02:00" && m.date == m.sent"#,
        r#"m.message_id == "one@firma.example" && m.list_id == "list.firma.example""#,
        "m.spam_score == 4.5 && !m.marked_spam",
        "!m.signed && !m.dkim_signed && !m.encrypted",
        r#"m.content_type == "multipart/mixed""#,
        r#"m.headers[0] == "Received" && m.headers.len() == 10"#,
        r#"m.header("SUBJECT") == m.subject && m.header("X-None") == "" && m.header_raw("X-None") == """#,
        r#"m.header_raw("subject").contains("\r\n here") && m.header_all("to").len() == 1"#,
        r#"m.has_header("list-id") && !m.has_header("List")"#,
    ]);
}

#[test]
fn bodies_are_looked_into() {
    holds(&[
        r#"m.text.starts_with("Hello you")"#,
        r#"m.attachments.len() == 1 && m.attachments[0].name == "a.pdf""#,
        r#"m.attachments[0].type == "application/pdf" && m.attachments[0].size == 6 && !m.attachments[0].inline"#,
        r#"m.attachments.some(|a| a.name.matches("*.PDF"))"#,
    ]);
}

#[test]
fn an_empty_message_has_empty_answers() {
    let rules = compile(
        r#"fn message(m) {
            if m.subject == "" && m.from.address == "" && m.sent == () && m.date == m.received && m.to.len() == 0
                && m.message_id == "" && m.list_id == "" && m.spam_score == () && m.text == "" && m.attachments.len() == 0
                && m.header_all("X").len() == 0 && !m.has_header("From") {
                m.note("empty");
            }
        }"#,
    );
    assert_eq!(rules.item(&facts(), content("")).unwrap().notes, ["empty"]);
}

#[test]
fn spam_marks_come_in_several_ways() {
    let rules = compile("fn message(m) { m.note(`${m.marked_spam} ${m.spam_score}`); }");
    let said = |head: &str| rules.item(&facts(), content(head)).unwrap().notes.remove(0);
    assert_eq!(said("X-Spam-Flag: YES\r\n\r\n"), "true");
    assert_eq!(said("X-Spam-Status: Yes, score=7.25\r\n\r\n"), "true 7.25");
    assert_eq!(said("X-Spam-Score: 3.5 (***)\r\n\r\n"), "false 3.5");
    assert_eq!(said("X-Rspamd-Score: -1.5\r\n\r\n"), "false -1.5");
    assert_eq!(said("X-MS-Exchange-Organization-SCL: 5\r\n\r\n"), "false 5.0");
    let mut marked = facts();
    Arc::make_mut(&mut marked.meta).flags.push("$Junk".to_owned());
    assert_eq!(rules.item(&marked, content("\r\n")).unwrap().notes[0], "true");
}

#[test]
fn facts_alone_do_where_no_content_is_asked_for() {
    let rules = compile(r#"fn message(m) { if m.size > 1.kb() { m.skip("large"); } else { m.note(m.subject); } }"#);
    let by_facts = rules.item_by_facts(&facts()).unwrap().expect("decided by facts");
    assert_eq!(by_facts, rules.item(&facts(), content(MESSAGE)).unwrap());
    let mut small = facts();
    Arc::make_mut(&mut small.meta).size = Some(10);
    assert_eq!(rules.item_by_facts(&small).unwrap(), None);
    assert_eq!(rules.item(&small, content(MESSAGE)).unwrap().notes, ["Grüße from here"]);
}

#[test]
fn a_size_that_is_not_known_is_that_of_the_content() {
    let rules = compile("fn message(m) { m.note(`${m.size}`); }");
    let facts = MessageFacts {
        folder: folder(),
        meta: Arc::new(ItemMeta::default()),
    };
    assert_eq!(rules.item_by_facts(&facts).unwrap(), None);
    assert_eq!(rules.item(&facts, content("12345")).unwrap().notes, ["5"]);
}

struct Broken;

impl Content for Broken {
    fn size(&self) -> u64 {
        100
    }

    fn read_at(&self, _: u64, _: usize) -> io::Result<Bytes> {
        Err(io::Error::other("the disk is gone"))
    }
}

#[test]
fn content_that_cannot_be_read_is_an_error_that_no_script_catches() {
    for script in [
        "fn message(m) { m.note(m.subject); }",
        r#"fn message(m) { try { m.note(m.text); } catch { m.skip("caught"); } }"#,
    ] {
        let error = compile(script).item(&facts(), Arc::new(Broken)).unwrap_err();
        assert_eq!(error.kind, RuleErrorKind::Other);
        assert!(error.to_string().contains("the disk is gone"), "{error}");
    }
}

#[test]
fn a_slash_in_a_name_is_shown_and_not_taken_for_a_level() {
    let mut odd = (*folder()).clone();
    odd.path = vec!["a/b".to_owned(), "c".to_owned()];
    let rules = compile("fn folder(f) { f.move_to(f.segments); f.note(`${f.path} ${f.depth}`); }");
    let decision = rules.folder(&Arc::new(odd)).unwrap();
    assert_eq!(decision.notes, ["a\u{2215}b/c 2"]);
    assert_eq!(
        decision.place,
        Some(whimbrel_rules::Wanted::Path(vec!["a/b".to_owned(), "c".to_owned()]))
    );
}

#[test]
fn the_same_thread_sees_one_folder_after_another() {
    let rules = compile("fn folder(f) { f.note(f.path); } fn message(m) { m.note(m.folder); }");
    for name in ["one", "two", "one"] {
        let mut next = (*folder()).clone();
        next.path = vec![name.to_owned()];
        let next = Arc::new(next);
        assert_eq!(rules.folder(&next).unwrap().notes, [name]);
        let facts = MessageFacts {
            folder: next,
            ..facts()
        };
        assert_eq!(rules.item_by_facts(&facts).unwrap().unwrap().notes, [name]);
    }
    assert!(!rules.has(whimbrel_rules::Hook::Mailbox));
    assert_eq!(
        rules.mailbox(&mailbox()).unwrap(),
        whimbrel_rules::MailboxDecision::default()
    );
}
