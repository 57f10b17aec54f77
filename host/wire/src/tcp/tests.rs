//! Connections, with the test as the server.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use whimbrel_model::Failure;

use super::*;
use crate::BlobStoreConfig;

const SECRET: &str = "correct horse";

fn password() -> Credentials {
    Credentials::Password {
        user: "alice".to_owned(),
        password: Secret::from(SECRET),
    }
}

fn target(security: Security, credentials: Credentials, folder: &std::path::Path) -> Target {
    Target {
        host: "pop.test".to_owned(),
        port: 110,
        security,
        tls: Tls::pinned(&[]).unwrap(),
        credentials,
        read_only: true,
        timeouts: Timeouts {
            connect: Duration::from_millis(300),
            reply: Duration::from_millis(300),
            stall: Duration::from_millis(300),
        },
        blobs: BlobStore::new(BlobStoreConfig {
            folder: folder.to_owned(),
            memory: 1 << 20,
            threshold: 1000,
        }),
    }
}

/// A connection, its far end, and where large bodies go.
fn pair(security: Security, credentials: Credentials) -> (Connection, DuplexStream, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let (near, far) = duplex(64 << 10);
    let connection = Connection::over(target(security, credentials, folder.path()), Box::new(near));
    (connection, far, folder)
}

async fn sent(far: &mut DuplexStream) -> String {
    let mut buffer = [0; 4096];
    let read = far.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..read]).into_owned()
}

fn text<T: fmt::Debug>(result: Result<T, Failure>) -> String {
    result.unwrap_err().to_string()
}

#[tokio::test]
async fn lines_and_bodies_come_as_they_were_sent() {
    let (mut connection, mut far, _folder) = pair(Security::Insecure, password());
    let long = "x".repeat(70_000);
    let answer = format!("+OK hello\r\nbare\n+OK\r\n..dot\r\n{long}\r\n.\r\n+OK next\r\n");
    let server = tokio::spawn(async move {
        assert_eq!(sent(&mut far).await, "RETR 1\r\n", "in one piece");
        far.write_all(answer.as_bytes()).await.unwrap();
        far
    });
    connection.write(b"RETR ").await.unwrap();
    connection.write(b"1\r\n").await.unwrap();
    assert_eq!(connection.read_line(100).await.unwrap(), b"+OK hello\r\n");
    assert_eq!(connection.read_line(100).await.unwrap(), b"bare\n");
    assert_eq!(connection.read_line(100).await.unwrap(), b"+OK\r\n");
    let body = connection.read_body(0, 1 << 20).await.unwrap();
    let body = body.to_bytes(1 << 20).await.unwrap();
    assert_eq!(body, format!(".dot\r\n{long}\r\n"));
    assert_eq!(connection.read(3).await.unwrap(), b"+OK");
    drop(server.await.unwrap());
}

#[tokio::test]
async fn a_failure_is_the_end() {
    for (answer, wanted) in [
        ("a line that is too long\r\n", "more than 10 bytes"),
        ("no end", "nothing moved"),
        ("", "nothing moved"),
    ] {
        let (mut connection, mut far, _folder) = pair(Security::Insecure, password());
        far.write_all(answer.as_bytes()).await.unwrap();
        let failed = text(connection.read_line(10).await);
        assert!(failed.contains(wanted) && failed.contains("pop.test:110"), "{failed}");
        assert!(text(connection.read_line(10).await).contains("gone"));
        assert!(text(connection.write(b"QUIT\r\n").await).contains("gone"));
    }
    let (mut connection, mut far, _folder) = pair(Security::Insecure, password());
    far.write_all(b"0123456789\r\n.\r\n").await.unwrap();
    assert!(text(connection.read_body(0, 11).await).contains("more than 11 bytes"));
    let (mut connection, far, _folder) = pair(Security::Insecure, password());
    drop(far);
    assert!(text(connection.read_line(10).await).contains("closed the connection"));
}

#[tokio::test]
async fn a_call_that_was_cancelled_is_the_end() {
    let (mut connection, mut far, _folder) = pair(Security::Insecure, password());
    far.write_all(b"+OK ha").await.unwrap();
    let reading = timeout(Duration::from_millis(20), connection.read_line(100));
    assert!(reading.await.is_err());
    far.write_all(b"lf\r\n").await.unwrap();
    assert!(text(connection.read_line(100).await).contains("gone"));
}

#[tokio::test]
async fn secrets_are_written_in_every_form_and_never_heard_again() {
    for (form, expected) in [
        (Form::Password, SECRET.to_owned()),
        (Form::Plain, "AGFsaWNlAGNvcnJlY3QgaG9yc2U=".to_owned()),
        (Form::Apop, "0f5b670a3b406a296b80c0d06da7a7dd".to_owned()),
    ] {
        let (mut connection, mut far, _folder) = pair(Security::Insecure, password());
        connection.write(b"X ").await.unwrap();
        connection.write_secret(form, Some("<1.2@x>")).await.unwrap();
        connection.write(b"\r\n").await.unwrap();
        let echo = format!("-ERR unknown: {expected} {SECRET}\r\n+OK {SECRET}\r\n");
        far.write_all(echo.as_bytes()).await.unwrap();
        assert_eq!(connection.read_line(1000).await.unwrap(), b"-ERR unknown: *** ***\r\n");
        assert_eq!(connection.read(1000).await.unwrap(), b"+OK ***\r\n");
        assert_eq!(sent(&mut far).await, format!("X {expected}\r\n"));
    }
    // What is read otherwise is not looked at: so it has to wait.
    let (mut connection, _far, _folder) = pair(Security::Insecure, password());
    connection.write_secret(Form::Plain, None).await.unwrap();
    assert!(text(connection.read(10).await).contains("line by line"));
}

#[tokio::test]
async fn a_secret_is_written_as_a_literal_with_its_length() {
    let (mut connection, mut far, _folder) = pair(Security::Insecure, password());
    connection.write(b"AUTHENTICATE \"PLAIN\" ").await.unwrap();
    connection.write_secret_literal(Form::Plain).await.unwrap();
    connection.write(b"\r\n").await.unwrap();
    far.write_all(b"NO \"AGFsaWNlAGNvcnJlY3QgaG9yc2U= correct horse\"\r\n")
        .await
        .unwrap();
    assert_eq!(connection.read_line(1000).await.unwrap(), b"NO \"*** ***\"\r\n");
    assert_eq!(
        sent(&mut far).await,
        "AUTHENTICATE \"PLAIN\" {28+}\r\nAGFsaWNlAGNvcnJlY3QgaG9yc2U=\r\n"
    );
    let (mut connection, _far, _folder) = pair(Security::StartTls, password());
    let refused = connection.write_secret_literal(Form::Plain).await;
    assert!(matches!(refused, Err(Failure::Forbidden(_))), "{refused:?}");
}

#[tokio::test]
async fn a_literal_is_read_to_its_end_and_no_further() {
    let (mut connection, mut far, _folder) = pair(Security::Insecure, password());
    let long = format!("{SECRET}{}", "x".repeat(200_000));
    let answer = format!("{{{}}}\r\n{long}\r\nOK\r\n", long.len());
    let server = tokio::spawn(async move {
        far.write_all(answer.as_bytes()).await.unwrap();
        far
    });
    connection.read_line(100).await.unwrap();
    let body = connection.read_exact(long.len() as u64).await.unwrap();
    assert!(
        body.to_bytes(1 << 20).await.unwrap() == long,
        "it is content, and stays as it is"
    );
    assert_eq!(connection.read_exact(0).await.unwrap().size(), 0);
    assert_eq!(connection.read_line(10).await.unwrap(), b"\r\n");
    assert_eq!(connection.read_line(10).await.unwrap(), b"OK\r\n");
    drop(server.await.unwrap());
    // What does not come is not waited for without end, whatever was claimed.
    assert!(text(connection.read_exact(u64::MAX).await).contains("closed the connection"));
    assert!(text(connection.read_line(10).await).contains("gone"));
}

#[tokio::test]
async fn the_digest_of_the_standard() {
    let credentials = Credentials::Password {
        user: "mrose".to_owned(),
        password: Secret::from("tanstaaf"),
    };
    let (mut connection, mut far, _folder) = pair(Security::Insecure, credentials);
    let challenge = "<1896.697170952@dbc.mtview.ca.us>";
    connection.write_secret(Form::Apop, Some(challenge)).await.unwrap();
    far.write_all(b"+OK\r\n").await.unwrap();
    connection.read_line(10).await.unwrap();
    assert_eq!(sent(&mut far).await, "c4c9334bac560ecc979e58001b3e22fb");
}

#[tokio::test]
async fn tokens_are_written_as_the_mechanisms_want_them() {
    for (form, expected) in [
        (Form::XOAuth2, "user=alice\x01auth=Bearer hunter2\x01\x01"),
        (Form::OAuthBearer, "n,a=alice,\x01auth=Bearer hunter2\x01\x01"),
    ] {
        let credentials = Credentials::OAuth {
            user: "alice".to_owned(),
            token: Secret::from("hunter2"),
        };
        let (mut connection, mut far, _folder) = pair(Security::Insecure, credentials);
        connection.write_secret(form, None).await.unwrap();
        far.write_all(b"+\r\n").await.unwrap();
        connection.read_line(10).await.unwrap();
        let written = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, sent(&mut far).await).unwrap();
        assert_eq!(written, expected.as_bytes());
        assert!(!connection.refused().await.unwrap(), "there is no other");
    }
}

#[tokio::test]
async fn no_secret_leaves_before_encryption_or_in_the_wrong_form() {
    let (mut connection, _far, _folder) = pair(Security::StartTls, password());
    let refused = connection.write_secret(Form::Password, None).await;
    assert!(matches!(refused, Err(Failure::Forbidden(_))), "{refused:?}");
    let (mut connection, _far, _folder) = pair(Security::Insecure, password());
    let refused = text(connection.write_secret(Form::XOAuth2, None).await);
    assert!(refused.contains("token"), "{refused}");
    for secret in ["a\nDELE 1", "a\r", "a\0"] {
        let credentials = Credentials::Password {
            user: "alice".to_owned(),
            password: Secret::from(secret),
        };
        let (mut connection, _far, _folder) = pair(Security::Insecure, credentials);
        let refused = text(connection.write_secret(Form::Password, None).await);
        assert!(refused.contains("line break") && !refused.contains("DELE"), "{refused}");
    }
}

#[tokio::test]
async fn what_was_injected_before_tls_ends_the_connection() {
    let (mut connection, mut far, _folder) = pair(Security::StartTls, password());
    far.write_all(b"+OK begin\r\n+OK injected\r\n").await.unwrap();
    connection.write(b"STLS\r\n").await.unwrap();
    connection.read_line(100).await.unwrap();
    let refused = text(connection.start_tls().await);
    assert!(refused.contains("in clear text"), "{refused}");
    assert!(text(connection.read_line(10).await).contains("gone"));
}

#[tokio::test]
async fn a_source_is_not_told_to_delete() {
    let (mut connection, _far, _folder) = pair(Security::Insecure, password());
    connection.write(b"DE").await.unwrap();
    assert!(matches!(
        connection.write(b"LE 1\r\n").await,
        Err(Failure::Forbidden(_))
    ));
}
