//! A server that means harm, or is broken in ways that nobody thought of.

use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{open, opened};
use crate::imap::fake::{Fake, raw, target, with};
use crate::imap::{Session, Timeouts};

/// Answers as servers give them, of every sort that is read.
const ANSWERS: [&str; 8] = [
    "* LIST (\\HasChildren \\Sent) \"/\" \"Sent &AOQ-\"\r\n* LIST (\\Noselect) NIL {3}\r\na\"b\r\n* STATUS INBOX (MESSAGES 3 UIDNEXT 9 UIDVALIDITY 7 HIGHESTMODSEQ 50 SIZE 99 MAILBOXID (Fx))\r\n",
    "* FLAGS (\\Seen)\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 9] x\r\n* OK [HIGHESTMODSEQ 50] x\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] x\r\n",
    "* SEARCH 1 2 5\r\n* ESEARCH (TAG \"W9\") UID ALL 1:3,5,7:9 MODSEQ 7\r\n",
    "* 1 FETCH (UID 1 FLAGS (\\Seen $X) INTERNALDATE \"01-Jan-2020 00:00:00 +0100\" RFC822.SIZE 9 MODSEQ (8) EMAILID (M1))\r\n* 2 FETCH (UID 2 RFC822.SIZE 3)\r\n",
    "* 1 FETCH (UID 1 BODY[] {9}\r\nSubject: \r\n FLAGS ())\r\n* 2 FETCH (BODY[] \"x\" UID 2)\r\n* 3 FETCH (UID 5 BODY[] NIL)\r\n",
    "* VANISHED (EARLIER) 1:2,4\r\n* 2 EXPUNGE\r\n* VANISHED 7\r\n",
    "* QUOTAROOT INBOX \"\"\r\n* QUOTA \"\" (STORAGE 10 512 MESSAGE 1 2)\r\n",
    "* NAMESPACE ((\"\" \"/\")) NIL NIL\r\n* CAPABILITY IMAP4rev1 IDLE\r\n* ENABLED QRESYNC\r\n* LSUB () \"/\" Old\r\n",
];

/// Asks for everything once; whatever comes of it.
async fn ask(mut session: Session) {
    let _ = session.mailboxes(true).await;
    let _ = session.open("INBOX", true).await;
    let _ = session.uids().await;
    let _ = session.scan(1, u32::MAX, 100, None, &["X-GM-LABELS".to_owned()]).await;
    let _ = session.scan(1, u32::MAX, 100, Some(3), &[]).await;
    let _ = session.vanished(3).await;
    let _ = session.fetch(&[1, 2, 5], &[]).await;
    let _ = session.statuses(&["INBOX".to_owned()]).await;
    let _ = session.quota("INBOX").await;
}

/// Answers each command with all that is given, spoilt.
async fn serve(fake: &mut Fake, said: &[u8]) {
    loop {
        let (tag, _) = fake.command().await;
        if tag.is_empty() {
            return;
        }
        fake.send(said).await;
        fake.send(format!("{tag} OK done\r\n")).await;
    }
}

fn spoilt(first: usize, second: usize, edits: &[(Index, u8, u8)]) -> Vec<u8> {
    let mut said = [ANSWERS[first], ANSWERS[second]].concat().into_bytes();
    for (at, how, byte) in edits {
        let at = at.index(said.len().max(1));
        match how % 4 {
            0 if at < said.len() => said[at] = *byte,
            1 => said.insert(at, *byte),
            2 if at < said.len() => drop(said.remove(at)),
            _ => said.truncate(at),
        }
    }
    said
}

proptest! {
    #[test]
    fn no_reader_panics(
        first in 0..ANSWERS.len(),
        second in 0..ANSWERS.len(),
        edits in proptest::collection::vec((any::<Index>(), any::<u8>(), any::<u8>()), 0..8),
    ) {
        let said = spoilt(first, second, &edits);
        crate::imap::fuzzing::response(&said);
        for line in said.split_inclusive(|byte| *byte == b'\n') {
            crate::imap::fuzzing::response(line);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn no_response_panics(
        first in 0..ANSWERS.len(),
        second in 0..ANSWERS.len(),
        edits in proptest::collection::vec((any::<Index>(), any::<u8>(), any::<u8>()), 0..8),
    ) {
        let said = spoilt(first, second, &edits);
        let patience = Duration::from_millis(20);
        let target = crate::imap::Target {
            timeouts: Timeouts { connect: Duration::from_secs(5), reply: patience, stall: patience },
            ..target()
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(raw(
            &target,
            async |session| {
                if let Ok(session) = session {
                    ask(session).await;
                }
            },
            async |fake: &mut Fake| {
                fake.greet("CONDSTORE QRESYNC ESEARCH ENABLE LIST-EXTENDED LIST-STATUS OBJECTID QUOTA").await;
                serve(fake, &said).await;
            },
        ));
    }
}

/// What is kept of an answer is bounded, however long the server goes on.
#[tokio::test]
async fn an_answer_without_end_is_cut() {
    for line in [
        "* SEARCH 1 3 5 7 9 11 13 15\r\n",
        "* 1 FETCH (UID 9 FLAGS ())\r\n",
        "* OK [X] y\r\n",
        "* LIST () \"/\" x\r\n",
    ] {
        let client = async |mut session: Session| {
            open(&mut session).await;
            session.talk.answer_limit = 1 << 20;
            let failure = session.uids().await.unwrap_err();
            assert_eq!(failure.code(), "unavailable", "{failure}");
            assert!(failure.to_string().contains("an answer without end"), "{failure}");
        };
        with("", client, async |fake: &mut Fake| {
            opened(fake, 3).await;
            fake.expect("UID SEARCH").await;
            let many = line.repeat(1000);
            for _ in 0..((2 << 20) / many.len()) {
                fake.send(&many).await;
            }
            *fake = Fake::gone();
        })
        .await;
    }
}
