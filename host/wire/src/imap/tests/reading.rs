use std::time::Duration;

use whimbrel_model::Failure;

use super::{open, opened};
use crate::imap::Session;
use crate::imap::fake::{Fake, with};

#[tokio::test]
async fn bodies_come_in_the_order_asked_for_whatever_the_server_does() {
    let client = async |mut session: Session| {
        open(&mut session).await;
        let answers = session.fetch(&[9, 5, 6, 7, 5], &[]).await.unwrap();
        let mut texts = Vec::new();
        for answer in &answers {
            texts.push(match answer {
                Ok(message) => String::from_utf8(message.body.to_bytes(100).await.unwrap().to_vec()).unwrap(),
                Err(failure) => failure.code().to_owned(),
            });
        }
        assert_eq!(texts, ["nine) {3}\r\n", "five", "rejected", "not-found", "five"]);
        let known = |at: usize| &answers[at].as_ref().unwrap().summary;
        assert_eq!((known(0).uid, known(0).size, known(0).flags.len()), (9, 11, 1));
        assert_eq!((known(1).uid, known(1).size, known(1).modseq), (5, 4, Some(8)));
    };
    with("", client, async |fake: &mut Fake| {
        opened(fake, 3).await;
        let said = "* 3 FETCH (UID 9 BODY[] {11}\r\nnine) {3}\r\n FLAGS (\\Seen))\r\n* 2 FETCH (FLAGS (\\Seen))\r\n* 4 EXISTS\r\n\
            * 1 FETCH (BODY[] \"five\" UID 5)\r\n* 1 FETCH (UID 5 MODSEQ (8))\r\n* 2 FETCH (UID 6 BODY[] NIL)\r\n* 8 FETCH (UID 800 BODY[] {1}\r\nx)\r\n";
        fake.answer("UID FETCH 5:7,9 (UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ BODY.PEEK[])", said).await;
        fake.answer("NOOP", "").await;
        fake.answer("UID FETCH 7 ", "").await;
    })
    .await;
}

#[tokio::test]
async fn what_came_or_went_since_the_mailbox_was_opened_is_seen() {
    let client = async |mut session: Session| {
        open(&mut session).await;
        let answers = session.fetch(&[1, 2, 3], &[]).await.unwrap();
        let codes: Vec<&str> = answers
            .iter()
            .map(|answer| answer.as_ref().map_or_else(Failure::code, |_| "ok"))
            .collect();
        assert_eq!(codes, ["ok", "not-found", "ok"]);
    };
    with("", client, async |fake: &mut Fake| {
        opened(fake, 2).await;
        let said = "* 1 FETCH (UID 1 BODY[] \"a\")\r\n* 2 FETCH (UID 2 BODY[] \"b\")\r\n* 2 EXPUNGE\r\n";
        fake.answer("UID FETCH 1:3 ", said).await;
        fake.answer("NOOP", "* 2 EXISTS\r\n").await;
        fake.answer("UID FETCH 3 ", "* 2 FETCH (UID 3 BODY[] \"c\")\r\n").await;
        let there = "* 1 FETCH (UID 1)\r\n* 2 FETCH (UID 3)\r\n";
        fake.answer("UID FETCH 1:3 (UID)", there).await;
    })
    .await;
}

#[tokio::test]
async fn one_unreadable_message_does_not_take_the_others_along() {
    let client = async |mut session: Session| {
        open(&mut session).await;
        let answers = session.fetch(&[1, 2, 3], &[]).await.unwrap();
        let codes: Vec<&str> = answers
            .iter()
            .map(|answer| answer.as_ref().map_or_else(Failure::code, |_| "ok"))
            .collect();
        assert_eq!(codes, ["ok", "rejected", "not-found"]);
    };
    with("", client, async |fake: &mut Fake| {
        opened(fake, 2).await;
        let tag = fake.expect("UID FETCH 1:3").await;
        fake.send(format!(
            "* 1 FETCH (UID 1 BODY[] {{2}}\r\nok)\r\n{tag} NO Some messages could not be read\r\n"
        ))
        .await;
        let tag = fake.expect("UID FETCH 2 ").await;
        fake.send(format!("{tag} NO [CORRUPTION] unreadable\r\n")).await;
        fake.answer("UID FETCH 3 ", "").await;
    })
    .await;
}

#[tokio::test]
async fn throttling_is_told_with_its_number() {
    let client = async |mut session: Session| {
        open(&mut session).await;
        let failure = session.fetch(&[1, 2], &[]).await.unwrap_err();
        assert!(
            matches!(
                failure,
                Failure::Throttled {
                    retry_after_ms: Some(299_961),
                    ..
                }
            ),
            "{failure:?}"
        );
    };
    with("", client, async |fake: &mut Fake| {
        opened(fake, 2).await;
        let tag = fake.expect("UID FETCH").await;
        fake.send(format!(
            "{tag} NO Request is throttled. Suggested Backoff Time: 299961 milliseconds\r\n"
        ))
        .await;
    })
    .await;
}

#[tokio::test]
async fn whatever_breaks_the_connection_leaves_a_dead_session() {
    let endless = [b"* OK ".as_slice(), &vec![b'x'; 6 << 20]].concat();
    for garbage in [
        &b"* BYE see you\r\n"[..],
        b"\x00\xff\xfe\r\n",
        b"* 1 FETCH (UID\r\n",
        b"* 1 FETCH (UID 5 BODY[] {4}\r\nabc",
        b"* 1 FETCH (FLAGS {99999999999}\r\n",
        b"* 1 FETCH (BODY[] {1}\r\nx)\r\n",
        b"W77 OK never sent\r\n",
        b"",
        &endless,
    ] {
        let client = async |mut session: Session| {
            open(&mut session).await;
            let failure = session.fetch(&[1], &[]).await.unwrap_err();
            assert_eq!(failure.code(), "unavailable", "{failure}");
            assert!(failure.to_string().contains("mail.test"), "{failure}");
            let again = session.mailboxes(false).await.unwrap_err();
            assert!(again.to_string().contains("earlier"), "{again}");
        };
        with("", client, async |fake: &mut Fake| {
            opened(fake, 1).await;
            fake.expect("UID FETCH").await;
            fake.send(garbage).await;
            *fake = Fake::gone();
        })
        .await;
    }
}

#[tokio::test]
async fn a_cancelled_call_leaves_a_dead_session() {
    let client = async |mut session: Session| {
        open(&mut session).await;
        assert!(
            tokio::time::timeout(Duration::from_millis(50), session.fetch(&[1], &[]))
                .await
                .is_err()
        );
        let failure = session.uids().await.unwrap_err();
        assert!(failure.to_string().contains("interrupted"), "{failure}");
        assert_eq!(session.open("INBOX", true).await.unwrap_err().code(), "unavailable");
    };
    with("", client, async |fake: &mut Fake| opened(fake, 1).await).await;
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let client = async |mut session: Session| {
        open(&mut session).await;
        session.talk.link.timeouts.reply = Duration::from_millis(50);
        let failure = session.fetch(&[1], &[]).await.unwrap_err();
        assert!(failure.to_string().contains("nothing moved"), "{failure}");
    };
    with("", client, async |fake: &mut Fake| opened(fake, 1).await).await;
}

fn summary(uid: u32) -> String {
    format!("* 1 FETCH (UID {uid} RFC822.SIZE 10 INTERNALDATE \"01-Jan-2020 00:00:00 +0000\" FLAGS (\\Seen))\r\n")
}

#[tokio::test]
async fn pages_are_filled_across_holes() {
    let client = async |mut session: Session| {
        open(&mut session).await;
        let page = session.scan(1, u32::MAX, 2, None, &[]).await.unwrap();
        assert_eq!(page.iter().map(|one| one.uid).collect::<Vec<_>>(), [3, 900_000]);
        let page = session.scan(900_001, u32::MAX, 2, None, &[]).await.unwrap();
        assert_eq!(page.iter().map(|one| one.uid).collect::<Vec<_>>(), [4_000_000_001]);
    };
    with("ESEARCH CONDSTORE", client, async |fake: &mut Fake| {
        opened(fake, 4).await;
        fake.answer(
            "UID SEARCH RETURN (ALL) ALL",
            "* ESEARCH (TAG \"x\") UID ALL 2:3,900000,4000000001\r\n",
        )
        .await;
        // UID 2 was expunged meanwhile, and the flags of another one changed.
        let said = [summary(3), "* 9 FETCH (UID 2 FLAGS ())\r\n".to_owned()].concat();
        fake.answer("UID FETCH 2:3 (UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ)", said)
            .await;
        fake.answer("UID FETCH 900000 ", summary(900_000)).await;
        fake.answer("UID FETCH 4000000001 ", summary(4_000_000_001)).await;
    })
    .await;
}

#[tokio::test]
async fn a_mailbox_that_fits_is_listed_in_one_go() {
    let client = async |mut session: Session| {
        open(&mut session).await;
        let all = session.scan(2, 90, 4, None, &[]).await.unwrap();
        assert_eq!(all.iter().map(|one| one.uid).collect::<Vec<_>>(), [3, 7, 9, 12]);
        let rest = session.scan(13, 90, 4, None, &[]).await.unwrap();
        assert_eq!(rest.iter().map(|one| one.uid).collect::<Vec<_>>(), [13]);
    };
    with("ESEARCH CONDSTORE", client, async |fake: &mut Fake| {
        opened(fake, 4).await;
        // One more came meanwhile; and UID 1 was not asked for.
        let said = [7, 3, 12, 9, 13, 1].map(summary).concat();
        fake.answer("UID FETCH 2:90 ", said).await;
        fake.answer("UID FETCH 13:90 ", summary(13)).await;
    })
    .await;
}

#[tokio::test]
async fn only_what_changed_is_asked_for() {
    let client = async |mut session: Session| {
        open(&mut session).await;
        assert!(session.scan(1, u32::MAX, 100, Some(49), &[]).await.unwrap().is_empty());
        let extra = ["X-GM-LABELS".to_owned()];
        let page = session.scan(1, u32::MAX, 100, Some(40), &extra).await.unwrap();
        assert_eq!(page[0].extra, [("X-GM-LABELS".to_owned(), "(a)".to_owned())]);
        assert!(matches!(
            session.scan(1, 9, 9, None, &["BODY[]".to_owned()]).await,
            Err(Failure::Unsupported(_))
        ));
    };
    with("ESEARCH CONDSTORE", client, async |fake: &mut Fake| {
        opened(fake, 4).await;
        fake.answer(
            "UID SEARCH RETURN (ALL) UID 1:* MODSEQ 50",
            "* ESEARCH (TAG \"x\") UID\r\n",
        )
        .await;
        fake.answer("UID SEARCH RETURN (ALL) UID 1:* MODSEQ 41", "* ESEARCH UID ALL 7\r\n")
            .await;
        let said = "* 1 FETCH (UID 7 RFC822.SIZE 1 X-GM-LABELS (a) MODSEQ (45))\r\n";
        fake.answer(
            "UID FETCH 7 (UID FLAGS INTERNALDATE RFC822.SIZE MODSEQ X-GM-LABELS) (CHANGEDSINCE 40)",
            said,
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_search_that_is_cut_short_is_noticed() {
    let client = async |mut session: Session| {
        open(&mut session).await;
        assert_eq!(session.uids().await.unwrap(), [(5, 6), (8, 8)]);
    };
    with("", client, async |fake: &mut Fake| {
        opened(fake, 3).await;
        fake.answer("UID SEARCH ALL", "* SEARCH 5 6\r\n").await;
        fake.answer(
            "FETCH 1:3 (UID)",
            "* 1 FETCH (UID 5)\r\n* 2 FETCH (UID 6)\r\n* 3 FETCH (UID 8)\r\n",
        )
        .await;
    })
    .await;
}

#[tokio::test]
async fn what_vanished_is_told_but_never_what_is_still_there() {
    let client = async |mut session: Session| {
        assert_eq!(open(&mut session).await.highest_modseq, Some(50));
        assert_eq!(
            session.vanished(10).await.unwrap(),
            Some(vec![(1, 4), (7, 7), (11, 999)])
        );
    };
    with("ESEARCH ENABLE QRESYNC", client, async |fake: &mut Fake| {
        opened(fake, 3).await;
        let said = "* VANISHED (EARLIER) 1:7,11:*\r\n* 1 FETCH (UID 10 MODSEQ (44))\r\n";
        fake.answer("UID FETCH 1:* (UID) (CHANGEDSINCE 10 VANISHED)", said)
            .await;
        fake.answer("UID SEARCH RETURN (ALL) ALL", "* ESEARCH UID ALL 5:6,10\r\n")
            .await;
    })
    .await;
}

#[tokio::test]
async fn odd_names_can_be_listed_and_opened() {
    let client = async |mut session: Session| {
        // Nothing is known of the names yet: the listing is made when the proper spelling is not found.
        session.open("Entwürfe", true).await.unwrap();
        let mailboxes = session.mailboxes(true).await.unwrap();
        let names: Vec<&str> = mailboxes.iter().map(|mailbox| mailbox.name.as_str()).collect();
        assert_eq!(names, ["INBOX", "A", "A/B", "A-C", "Entwürfe", "müll", "quo\"te "]);
        assert_eq!(mailboxes[1].attributes, ["\\Marked", "\\Subscribed"]);
        assert_eq!(mailboxes[0].status.as_ref().unwrap().messages, 3);
        assert!(mailboxes[1].status.is_none());
    };
    let listing: &[u8] = b"* LIST () \"/\" \"m&APw-ll\"\r\n* LIST () \"/\" \"Users/bob/x\"\r\n* LIST () \"/\" Shared\r\n\
        * LIST () \"/\" A/B\r\n* LIST () \"/\" A-C\r\n* LIST (\\Marked) \"/\" A\r\n* LIST () \"/\" Inbox\r\n* LIST () \"/\" INBOX\r\n\
        * LIST () \"/\" {9}\r\nEntw\xc3\xbcrfe\r\n* LIST () \"/\" \"quo\\\"te \"\r\n";
    with("NAMESPACE LITERAL+", client, async |fake: &mut Fake| {
        let (tag, text) = fake.command().await;
        assert_eq!(text, "EXAMINE \"Entw&APw-rfe\"");
        fake.send(format!("{tag} NO [NONEXISTENT] no such mailbox\r\n")).await;
        fake.answer("LIST \"\" \"*\"", listing).await;
        fake.answer(
            "LSUB",
            "* LSUB () \"/\" A\r\n* LSUB () \"/\" gone\r\n* LSUB (\\Noselect) \"/\" A-C\r\n",
        )
        .await;
        let (tag, text) = fake.command().await;
        assert_eq!(text, "EXAMINE {9+}Entwürfe");
        fake.send(format!("* 0 EXISTS\r\n{tag} OK done\r\n")).await;
        // UIDNEXT was not told.
        fake.answer("STATUS {9+}", "").await;
        fake.answer("LIST \"\" \"*\"", listing).await;
        fake.answer("LSUB", "* LSUB () \"/\" A\r\n").await;
        for _ in 0..7 {
            let (tag, text) = fake.command().await;
            assert!(text.starts_with("STATUS "), "{text}");
            if text.contains("box") {
                fake.send("* STATUS inbox (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 1)\r\n")
                    .await;
                fake.send(format!("{tag} OK done\r\n")).await;
            } else {
                fake.send(format!("{tag} NO not you\r\n")).await;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn idle_ends_when_something_changed_or_the_time_is_up() {
    let client = async |mut session: Session| {
        open(&mut session).await;
        assert!(session.idle(Duration::from_secs(10)).await.unwrap());
        assert!(!session.idle(Duration::from_millis(50)).await.unwrap());
        assert_eq!(session.uids().await.unwrap(), [(1, 4)]);
    };
    with("IDLE", client, async |fake: &mut Fake| {
        opened(fake, 3).await;
        for change in ["* OK still here\r\n* 3 EXISTS\r\n* 4 EXISTS\r\n", ""] {
            let tag = fake.expect("IDLE").await;
            fake.send("+ idling\r\n").await;
            fake.send(change).await;
            assert_eq!(fake.line().await, "DONE\r\n");
            fake.send(format!("{tag} OK done\r\n")).await;
        }
        fake.answer("UID SEARCH ALL", "* SEARCH 1 2 3 4\r\n").await;
    })
    .await;
}
