use whimbrel_model::Failure;

use crate::Credentials;
use crate::imap::fake::{Fake, raw, target, with};
use crate::imap::session::Name;
use crate::imap::{Security, Session, Target};

/// What comes of connecting to a server that greets so and then says no more.
async fn greeted(greeting: &str) -> Result<Session, Failure> {
    raw(
        &target(),
        async |session: Result<Session, Failure>| session,
        async |fake: &mut Fake| fake.send(greeting).await,
    )
    .await
}

#[tokio::test]
async fn servers_that_turn_us_away_or_are_none() {
    for (greeting, code) in [
        ("* BYE go away\r\n", "unavailable"),
        (
            "* BYE [UNAVAILABLE] Too many connections from your address\r\n",
            "throttled",
        ),
        ("220 mail.test ESMTP\r\n", "unavailable"),
        ("\x16\x03\x01\r\n", "unavailable"),
        ("* NO\r\n", "unavailable"),
    ] {
        assert_eq!(greeted(greeting).await.unwrap_err().code(), code, "{greeting}");
    }
}

#[tokio::test]
async fn preauth_is_taken_but_never_in_place_of_encryption() {
    let client = async |session: Result<Session, Failure>| {
        assert!(session.unwrap().capabilities().contains(&"X".to_owned()));
    };
    raw(&target(), client, async |fake: &mut Fake| {
        fake.send("* PREAUTH [CAPABILITY IMAP4rev1 X] hello\r\n").await;
        fake.answer("LIST \"\" \"\"", "* LIST () \".\" \"\"\r\n").await;
    })
    .await;
    let starttls = Target {
        security: Security::StartTls,
        ..target()
    };
    for (greeting, word) in [
        ("* PREAUTH [CAPABILITY IMAP4rev1 STARTTLS] hello\r\n", "PREAUTH"),
        (
            "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n",
            "does not offer STARTTLS",
        ),
    ] {
        let client = async |session: Result<Session, Failure>| {
            let failure = session.unwrap_err();
            assert!(
                matches!(&failure, Failure::InvalidSettings(text) if text.contains(word)),
                "{failure}"
            );
        };
        raw(&starttls, client, async |fake: &mut Fake| {
            fake.send(greeting).await;
            assert_eq!(fake.line().await, "", "nothing may be said in clear text");
        })
        .await;
    }
}

/// What comes of a login where the server answers the first command so; `%` stands for its tag.
async fn answered(credentials: Credentials, offered: &str, command: &str, answer: &str) -> Failure {
    let target = Target {
        credentials,
        ..target()
    };
    raw(
        &target,
        async |session: Result<Session, Failure>| session.unwrap_err(),
        async |fake: &mut Fake| {
            fake.send(format!("* OK [CAPABILITY IMAP4rev1 {offered}] hi\r\n")).await;
            if !command.is_empty() {
                let tag = fake.expect(command).await;
                fake.send(answer.replace('%', &tag)).await;
            }
        },
    )
    .await
}

#[tokio::test]
async fn refused_logins_say_why_and_keep_the_secret() {
    let password = || Credentials::Password {
        user: "alice".into(),
        password: "hunter2".into(),
    };
    let token = || Credentials::OAuth {
        user: "alice".into(),
        token: "hunter2".into(),
    };
    for (credentials, offered, command, answer, code) in [
        (
            password(),
            "AUTH=PLAIN SASL-IR",
            "AUTHENTICATE PLAIN AG",
            "% NO [AUTHENTICATIONFAILED] wrong\r\n",
            "unauthenticated",
        ),
        (
            password(),
            "",
            "LOGIN \"alice\" \"hunter2\"",
            "% NO Invalid credentials\r\n",
            "unauthenticated",
        ),
        (
            password(),
            "",
            "LOGIN",
            "% NO [UNAVAILABLE] database down\r\n",
            "unavailable",
        ),
        (
            password(),
            "",
            "LOGIN",
            "* BYE shutting down\r\n% NO bye\r\n",
            "unauthenticated",
        ),
        (password(), "LOGINDISABLED", "", "", "invalid-settings"),
        (password(), "LOGINDISABLED AUTH=XOAUTH2", "", "", "invalid-settings"),
        (
            password(),
            "",
            "LOGIN",
            "% NO [ALERT] Your account is not enabled for IMAP use.\r\n",
            "forbidden",
        ),
        (token(), "AUTH=PLAIN", "", "", "invalid-settings"),
        (Credentials::None, "", "", "", "invalid-settings"),
        (password(), "", "LOGIN", "\x00\x01 garbage\r\n", "unavailable"),
        (
            token(),
            "AUTH=XOAUTH2 SASL-IR",
            "AUTHENTICATE XOAUTH2 dX",
            "% NO [AUTHENTICATIONFAILED] expired\r\n",
            "unauthenticated",
        ),
    ] {
        let failure = answered(credentials, offered, command, answer).await;
        assert_eq!(failure.code(), code, "{failure}");
        assert!(!failure.to_string().contains("hunter2"), "{failure}");
    }
}

#[tokio::test]
async fn token_errors_are_acknowledged_before_they_are_told() {
    for (offered, command, acknowledgement) in [
        ("AUTH=XOAUTH2 SASL-IR", "AUTHENTICATE XOAUTH2 ", "\r\n"),
        ("AUTH=OAUTHBEARER SASL-IR", "AUTHENTICATE OAUTHBEARER ", "AQ==\r\n"),
    ] {
        let target = Target {
            credentials: Credentials::OAuth {
                user: "alice".into(),
                token: "t".into(),
            },
            ..target()
        };
        let client = async |session: Result<Session, Failure>| {
            let failure = session.unwrap_err();
            assert!(
                matches!(&failure, Failure::Unauthenticated(text) if text.contains("status 401")),
                "{failure}"
            );
        };
        raw(&target, client, async |fake: &mut Fake| {
            fake.send(format!("* OK [CAPABILITY IMAP4rev1 {offered}] hi\r\n")).await;
            let tag = fake.expect(command).await;
            fake.send("+ eyJzdGF0dXMiOiI0MDEifQ==\r\n").await;
            assert_eq!(fake.line().await, acknowledgement);
            fake.send(format!("{tag} NO refused\r\n")).await;
        })
        .await;
    }
}

#[tokio::test]
async fn plain_without_an_initial_response_waits_for_leave() {
    let client = async |session: Result<Session, Failure>| drop(session.unwrap());
    raw(&target(), client, async |fake: &mut Fake| {
        fake.send("* OK hi\r\n").await;
        fake.answer("CAPABILITY", "* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\n").await;
        let tag = fake.expect("AUTHENTICATE PLAIN").await;
        fake.send("+\r\n").await;
        assert_eq!(fake.line().await, "AGFsaWNlAHNlY3JldA==\r\n");
        fake.send(format!("* CAPABILITY IMAP4rev1 AFTER\r\n{tag} OK in\r\n"))
            .await;
        fake.answer("LIST \"\" \"\"", "* LIST () NIL \"\"\r\n").await;
    })
    .await;
}

#[tokio::test]
async fn what_is_offered_is_arranged_at_login() {
    let client = async |session: Session| {
        assert!(session.qresync);
        assert_eq!(session.personal_namespace().unwrap().delimiter.as_deref(), Some("/"));
        assert!(matches!(session.name("Entwürfe"), Ok(Name::Quoted(quoted)) if quoted == "\"Entwürfe\"".as_bytes()));
    };
    with(
        "ENABLE QRESYNC CONDSTORE UTF8=ACCEPT NAMESPACE",
        client,
        async |_: &mut Fake| {},
    )
    .await;
}
