use whimbrel_model::{Failure, Timestamp};

use super::opened;
use crate::Blob;
use crate::imap::fake::{Fake, with};
use crate::imap::{Outgoing, Session};

fn message(text: &str) -> Outgoing {
    Outgoing {
        content: Blob::from_bytes(text.as_bytes().to_vec()),
        received: None,
        flags: Vec::new(),
    }
}

fn told(answers: &[Result<Option<u32>, Failure>]) -> Vec<String> {
    let told = |answer: &Result<Option<u32>, Failure>| match answer {
        Ok(Some(uid)) => uid.to_string(),
        Ok(None) => "ok".to_owned(),
        Err(failure) => failure.code().to_owned(),
    };
    answers.iter().map(told).collect()
}

#[tokio::test]
async fn without_extensions_each_literal_asks_for_leave() {
    let client = async |mut session: Session| {
        let mut first = message("one");
        first.received = Some(Timestamp {
            unix_ms: 837_596_665_000,
            offset_minutes: -420,
        });
        first.flags = vec!["\\Seen".into(), "\\Recent".into(), "$X".into()];
        let answers = session
            .append("INBOX", &[first, message("refused"), message("two")])
            .await
            .unwrap();
        assert_eq!(told(&answers), ["ok", "rejected", "7"]);
    };
    with("UIDPLUS", client, async |fake: &mut Fake| {
        let tag = fake
            .expect("APPEND \"INBOX\" (\\Seen $X) \"17-Jul-1996 02:44:25 -0700\" {3}")
            .await;
        fake.send("+ go\r\n").await;
        assert_eq!(fake.line().await, "one\r\n");
        fake.send(format!("{tag} OK done\r\n")).await;
        let tag = fake.expect("APPEND \"INBOX\" () {7}").await;
        fake.send(format!("{tag} NO I do not like it\r\n")).await;
        let tag = fake.expect("APPEND \"INBOX\" () {3}").await;
        fake.send("* 5 EXISTS\r\n+ go\r\n").await;
        assert_eq!(fake.line().await, "two\r\n");
        fake.send(format!("{tag} OK [APPENDUID 1 7] done\r\n")).await;
    })
    .await;
}

#[tokio::test]
async fn small_literals_alone_are_free_with_literal_minus() {
    let client = async |mut session: Session| {
        let large = "x".repeat(5000);
        let answers = session
            .append("INBOX", &[message("small"), message(&large)])
            .await
            .unwrap();
        assert_eq!(told(&answers), ["ok", "ok"]);
    };
    with("LITERAL-", client, async |fake: &mut Fake| {
        // The small one leaves together with the announcement of the large one.
        let first = fake.expect("APPEND \"INBOX\" () {5+}small").await;
        let second = fake.expect("APPEND \"INBOX\" () {5000}").await;
        fake.send(format!("{first} OK done\r\n+ go\r\n")).await;
        fake.bytes(5002).await;
        fake.send(format!("{second} OK done\r\n")).await;
    })
    .await;
}

#[tokio::test]
async fn single_appends_are_pipelined_with_literal_plus() {
    let client = async |mut session: Session| {
        let answers = session.append("INBOX", &["a", "b", "c"].map(message)).await.unwrap();
        assert_eq!(told(&answers), ["1", "rejected", "2"]);
    };
    with("LITERAL+ UIDPLUS", client, async |fake: &mut Fake| {
        let mut tags = Vec::new();
        for text in ["a", "b", "c"] {
            tags.push(fake.expect(&format!("APPEND \"INBOX\" () {{1+}}{text}")).await);
        }
        let [a, b, c] = tags.try_into().unwrap();
        fake.send(format!(
            "{b} BAD what is this\r\n{a} OK [APPENDUID 9 1] x\r\n{c} OK [APPENDUID 9 2] x\r\n"
        ))
        .await;
    })
    .await;
}

#[tokio::test]
async fn a_refused_batch_is_halved_down_to_the_culprit() {
    let client = async |mut session: Session| {
        let texts = ["a", "b", "!", "d", "e"].map(message);
        let mut messages = texts.to_vec();
        messages.insert(
            1,
            Outgoing {
                flags: vec!["no flag".into()],
                ..message("f")
            },
        );
        let answers = session.append("INBOX", &messages).await.unwrap();
        assert_eq!(told(&answers), ["1", "rejected", "2", "rejected", "3", "4"]);
        let Err(Failure::Rejected(text)) = &answers[3] else {
            panic!()
        };
        assert!(text.contains("bad header in !"), "{text}");
    };
    with("LITERAL+ MULTIAPPEND UIDPLUS", client, async |fake: &mut Fake| {
        let mut uid = 1;
        for expected in ["ab!de", "ab", "!de", "!", "de"] {
            let (tag, text) = fake.command().await;
            let said: String = text
                .split("() {1+}")
                .skip(1)
                .map(|part| part.trim().to_owned())
                .collect();
            assert_eq!(said, expected);
            if said.contains('!') {
                fake.send(format!("{tag} NO bad header in {said}\r\n")).await;
            } else {
                fake.send(format!(
                    "{tag} OK [APPENDUID 9 {uid}:{}] done\r\n",
                    uid + said.len() - 1
                ))
                .await;
                uid += said.len();
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_full_account_ends_the_call_once_one_message_does_not_fit() {
    let client = async |mut session: Session| {
        let answers = session
            .append("INBOX", &["a", "b", "c", "d"].map(message))
            .await
            .unwrap();
        assert_eq!(told(&answers), ["1", "over-quota", "over-quota", "over-quota"]);
    };
    with("LITERAL+ MULTIAPPEND UIDPLUS", client, async |fake: &mut Fake| {
        for start in [
            "APPEND \"INBOX\" () {1+}a () {1+}b () {1+}c",
            "APPEND \"INBOX\" () {1+}a () {1+}b",
        ] {
            let tag = fake.expect(start).await;
            fake.send(format!("{tag} NO [OVERQUOTA] full\r\n")).await;
        }
        let tag = fake.expect("APPEND \"INBOX\" () {1+}a").await;
        fake.send(format!("{tag} OK [APPENDUID 1 1] x\r\n")).await;
        let tag = fake.expect("APPEND \"INBOX\" () {1+}b").await;
        fake.send(format!("{tag} NO [OVERQUOTA] full\r\n")).await;
    })
    .await;
}

#[tokio::test]
async fn a_missing_mailbox_fails_the_call_and_spares_the_session() {
    let client = async |mut session: Session| {
        assert_eq!(
            session.append("nope", &[message("a")]).await.unwrap_err().code(),
            "not-found"
        );
        assert_eq!(session.subscribe(&["INBOX".into()]).await.unwrap(), [Ok(())]);
    };
    with("LITERAL+ MULTIAPPEND", client, async |fake: &mut Fake| {
        let tag = fake.expect("APPEND \"nope\"").await;
        fake.send(format!("{tag} NO [TRYCREATE] create it first\r\n")).await;
        fake.answer("LIST", "* LIST () \"/\" INBOX\r\n").await;
        fake.answer("LSUB", "").await;
        fake.answer("SUBSCRIBE \"INBOX\"", "").await;
    })
    .await;
}

#[tokio::test]
async fn limits_are_known_before_anything_is_sent() {
    let client = async |mut session: Session| {
        for _ in 0..2 {
            let answers = session
                .append("INBOX", &[message("12345"), message("1234")])
                .await
                .unwrap();
            assert_eq!(answers[0], Err(Failure::TooLarge(Some(4))));
            assert_eq!(answers[1], Ok(None));
        }
    };
    with("LITERAL+ MULTIAPPEND APPENDLIMIT", client, async |fake: &mut Fake| {
        fake.answer(
            "STATUS \"INBOX\" (MESSAGES UIDNEXT UIDVALIDITY APPENDLIMIT)",
            "* STATUS INBOX (APPENDLIMIT 4)\r\n",
        )
        .await;
        fake.answer("APPEND \"INBOX\" () {4+}1234", "").await;
        fake.answer("APPEND \"INBOX\" () {4+}1234", "").await;
    })
    .await;
}

#[tokio::test]
async fn nul_goes_as_literal8() {
    let client = async |mut session: Session| {
        let answers = session.append("INBOX", &[message("a\0b"), message("c")]).await.unwrap();
        assert_eq!(told(&answers), ["ok", "ok"]);
    };
    with("LITERAL+ BINARY MULTIAPPEND", client, async |fake: &mut Fake| {
        fake.answer("APPEND \"INBOX\" () ~{3+}a\0b () {1+}c", "").await;
    })
    .await;
}

#[tokio::test]
async fn a_server_that_talks_while_it_is_talked_to_is_no_deadlock() {
    let client = async |mut session: Session| {
        let large = "x".repeat(2 << 20);
        let answers = session.append("INBOX", &[message(&large)]).await.unwrap();
        assert_eq!(told(&answers), ["ok"]);
    };
    with("LITERAL+", client, async |fake: &mut Fake| {
        fake.send("* OK still saving\r\n".repeat(20_000)).await;
        fake.answer("APPEND", "").await;
    })
    .await;
}

#[tokio::test]
async fn a_farewell_in_the_midst_of_a_message_is_heard() {
    let client = async |mut session: Session| {
        let large = "x".repeat(2 << 20);
        let failure = session.append("INBOX", &[message(&large)]).await.unwrap_err();
        assert!(
            matches!(&failure, Failure::Unavailable(text) if text.contains("too much for me")),
            "{failure}"
        );
        assert_eq!(session.uids().await.unwrap_err().code(), "unavailable");
    };
    with("LITERAL+", client, async |fake: &mut Fake| {
        fake.line().await;
        fake.send("* BYE too much for me\r\n").await;
        *fake = Fake::gone();
    })
    .await;
}

#[tokio::test]
async fn moves_pair_old_and_new_uids() {
    let client = async |mut session: Session| {
        session.open("INBOX", true).await.unwrap();
        assert_eq!(session.r#move(&[4, 3], "X").await.unwrap(), [(3, 10), (4, 11)]);
        session.store(3, &["\\Seen".into()]).await.unwrap();
        assert!(matches!(
            session.store(3, &["a b".into()]).await,
            Err(Failure::Rejected(_))
        ));
    };
    with("MOVE", client, async |fake: &mut Fake| {
        opened(fake, 4).await;
        fake.answer(
            "UID MOVE 3:4 \"X\"",
            "* OK [COPYUID 1 3:4 10:11] moved\r\n* 3 EXPUNGE\r\n* 3 EXPUNGE\r\n",
        )
        .await;
        fake.answer("UID STORE 3 FLAGS.SILENT (\\Seen)", "").await;
    })
    .await;
}

#[tokio::test]
async fn mailboxes_are_made_and_asked_for_together() {
    let client = async |mut session: Session| {
        let wanted = [
            ("A".to_owned(), None),
            // No name at all: refused here, and the others go on.
            (String::new(), None),
            ("A/b".to_owned(), Some("\\Sent".to_owned())),
            ("A/c".to_owned(), None),
        ];
        let made = session.create(&wanted).await.unwrap();
        let told: Vec<_> = made
            .iter()
            .map(|answer| answer.as_ref().map_err(Failure::code))
            .collect();
        assert_eq!(told, [Ok(&()), Err("rejected"), Ok(&()), Err("over-quota")]);
        let asked = ["A".to_owned(), "A/c".to_owned(), "inbox".to_owned()];
        let statuses = session.statuses(&asked).await.unwrap();
        assert_eq!(statuses[0].as_ref().unwrap().uid_validity, 5);
        assert_eq!(statuses[1].as_ref().unwrap_err().code(), "not-found");
        assert_eq!(statuses[2].as_ref().unwrap().messages, 3);
    };
    with("CREATE-SPECIAL-USE", client, async |fake: &mut Fake| {
        // All of them are there before any is answered.
        let first = fake.expect("CREATE \"A\"").await;
        let second = fake.expect("CREATE \"A/b\" (USE (\\Sent))").await;
        let third = fake.expect("CREATE \"A/c\"").await;
        fake.send(format!("{third} NO [OVERQUOTA] enough\r\n")).await;
        fake.send(format!("{first} NO [ALREADYEXISTS] it is there\r\n")).await;
        fake.send(format!("{second} NO [USEATTR] taken\r\n")).await;
        fake.answer("CREATE \"A/b\"", "").await;
        let items = "(MESSAGES UIDNEXT UIDVALIDITY)";
        let first = fake.expect(&format!("STATUS \"A\" {items}")).await;
        let second = fake.expect(&format!("STATUS \"A/c\" {items}")).await;
        let third = fake.expect(&format!("STATUS \"inbox\" {items}")).await;
        fake.send(format!(
            "* STATUS INBOX (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 6)\r\n{third} OK\r\n"
        ))
        .await;
        fake.send("* STATUS A (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 5)\r\n".to_owned())
            .await;
        fake.send(format!("{first} OK x\r\n{second} NO [NONEXISTENT] gone\r\n"))
            .await;
    })
    .await;
}
