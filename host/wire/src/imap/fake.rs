//! A server that follows a script, for what real servers seldom do.

use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufStream, DuplexStream};
use tokio::time::timeout;
use whimbrel_model::Failure;

use crate::{BlobStore, BlobStoreConfig, Credentials, Tls};

use super::{Security, Session, Target, Timeouts};

/// The server's end of a connection.
pub(super) struct Fake(BufStream<DuplexStream>);

impl Fake {
    /// A connection that was closed.
    pub fn gone() -> Self {
        Self(BufStream::new(tokio::io::duplex(1).0))
    }

    /// Sends these bytes.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The client may have given up already.
        let _ = self.0.write_all(bytes.as_ref()).await;
        let _ = self.0.flush().await;
    }

    /// The next line with its line end, empty at the end.
    pub async fn line(&mut self) -> String {
        let mut line = Vec::new();
        let _ = self.0.read_until(b'\n', &mut line).await;
        String::from_utf8_lossy(&line).into_owned()
    }

    pub async fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.read_exact(&mut bytes).await.unwrap();
        bytes
    }

    /// The tag and text of the next command; non-synchronising literals stand in the text as they are.
    pub async fn command(&mut self) -> (String, String) {
        let line = self.line().await;
        let (tag, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let mut text = rest.trim_end_matches(['\r', '\n']).to_owned();
        while let Some(size) = text
            .strip_suffix("+}")
            .and_then(|text| text.rsplit_once('{')?.1.parse().ok())
        {
            let literal = self.bytes(size).await;
            text.push_str(&String::from_utf8_lossy(&literal));
            text.push_str(self.line().await.trim_end_matches(['\r', '\n']));
        }
        (tag.to_owned(), text)
    }

    /// The tag of the next command, which must begin so.
    pub async fn expect(&mut self, start: &str) -> String {
        let (tag, text) = self.command().await;
        assert!(text.starts_with(start), "expected `{start}`, got `{text}`");
        tag
    }

    /// Expects a command, and answers with these lines and OK.
    pub async fn answer(&mut self, start: &str, lines: impl AsRef<[u8]>) {
        let tag = self.expect(start).await;
        self.send(lines).await;
        self.send(format!("{tag} OK done\r\n")).await;
    }

    /// Lets anybody in, and says what it can.
    pub async fn greet(&mut self, capabilities: &str) {
        self.send("* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] ready\r\n")
            .await;
        let tag = self.expect("AUTHENTICATE PLAIN AGFsaWNlAHNlY3JldA==").await;
        self.send(format!("{tag} OK [CAPABILITY IMAP4rev1 {capabilities}] in\r\n"))
            .await;
        loop {
            let (tag, text) = self.command().await;
            let verb = text.split(' ').next().unwrap().to_owned();
            let reply = match verb.as_str() {
                "ENABLE" => format!("* ENABLED {}\r\n", text.trim_start_matches("ENABLE ")),
                "NAMESPACE" => "* NAMESPACE ((\"\" \"/\")) ((\"Users/\" \"/\")) ((\"Shared/\" \"/\"))\r\n".to_owned(),
                "LIST" => "* LIST (\\Noselect) \"/\" \"\"\r\n".to_owned(),
                other => panic!("{other} at login"),
            };
            self.send(format!("{reply}{tag} OK done\r\n")).await;
            if matches!(verb.as_str(), "NAMESPACE" | "LIST") {
                return;
            }
        }
    }
}

pub(super) fn target() -> Target {
    Target {
        host: "mail.test".into(),
        port: 143,
        security: Security::Insecure,
        tls: Tls::new(None).unwrap(),
        credentials: Credentials::Password {
            user: "alice".into(),
            password: "secret".into(),
        },
        compress: None,
        timeouts: Timeouts {
            connect: Duration::from_secs(5),
            reply: Duration::from_secs(5),
            stall: Duration::from_secs(5),
        },
        blobs: BlobStore::new(BlobStoreConfig {
            folder: std::env::temp_dir(),
            memory: 64 << 20,
            threshold: 64 << 20,
        }),
    }
}

/// Runs a client that connects for itself against a script that begins with the greeting.
pub(super) async fn raw<T>(
    target: &Target,
    client: impl AsyncFnOnce(Result<Session, Failure>) -> T,
    server: impl AsyncFnOnce(&mut Fake),
) -> T {
    let (near, far) = tokio::io::duplex(64 << 10);
    let server = async {
        let mut fake = Fake(BufStream::new(far));
        server(&mut fake).await;
        fake
    };
    let client = async { client(Session::over(target, Box::new(near), false).await).await };
    let both = async { tokio::join!(client, server) };
    timeout(Duration::from_secs(20), both)
        .await
        .expect("client and server wait for each other")
        .0
}

/// Runs a client that is logged in against a script.
pub(super) async fn with<T>(
    capabilities: &str,
    client: impl AsyncFnOnce(Session) -> T,
    server: impl AsyncFnOnce(&mut Fake),
) -> T {
    let client = async |session: Result<Session, Failure>| client(session.unwrap()).await;
    raw(&target(), client, async |fake: &mut Fake| {
        fake.greet(capabilities).await;
        server(fake).await;
    })
    .await
}
