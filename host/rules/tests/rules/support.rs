//! A message, a folder, a mailbox; short ways to run a script on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use whimbrel_mail::Content;
use whimbrel_model::{ItemMeta, Kind, Role, Timestamp};
use whimbrel_rules::{Decision, FolderFacts, MailboxFacts, MessageFacts, Options, RuleError, Rules, RulesError};

pub const MESSAGE: &str = concat!(
    "Received: by mx.example; Thu, 2 Jan 2020 10:00:00 +0000\r\n",
    "From: =?utf-8?Q?J=C3=BCrgen?= <Juergen@Firma.Example>\r\n",
    "To: Ann <ann@example.org>, bob@example.net\r\n",
    "Cc: carol@example.org\r\n",
    "Subject: =?utf-8?B?R3LDvMOfZQ==?= from\r\n here\r\n",
    "Date: Wed, 01 Jan 2020 23:30:00 +0200\r\n",
    "Message-ID: <one@firma.example>\r\n",
    "List-Id: The list <list.firma.example>\r\n",
    "X-Spam-Status: No, score=4.5 required=5\r\n",
    "Content-Type: multipart/mixed; boundary=b\r\n",
    "\r\n",
    "--b\r\n",
    "Content-Type: text/plain; charset=utf-8\r\n",
    "\r\n",
    "Hello you\r\n",
    "--b\r\n",
    "Content-Type: application/pdf; name=\"a.pdf\"\r\n",
    "Content-Disposition: attachment; filename=\"a.pdf\"\r\n",
    "Content-Transfer-Encoding: base64\r\n",
    "\r\n",
    "aGVsbG8h\r\n",
    "--b--\r\n",
);

pub fn mailbox() -> Arc<MailboxFacts> {
    Arc::new(MailboxFacts {
        name: "alice".to_owned(),
        attributes: BTreeMap::from([("department".to_owned(), "sales".to_owned())]),
    })
}

pub fn folder() -> Arc<FolderFacts> {
    Arc::new(FolderFacts {
        kind: Kind::Message,
        mailbox: mailbox(),
        path: vec!["Archive".to_owned(), "2019".to_owned()],
        role: Some(Role::Archive),
        items: Some(3),
        bytes: None,
        subscribed: true,
    })
}

pub fn facts() -> MessageFacts {
    MessageFacts {
        folder: folder(),
        meta: Arc::new(ItemMeta {
            id: "17".to_owned(),
            size: Some(2048),
            received: Some(Timestamp {
                unix_ms: 1_577_959_200_000,
                offset_minutes: 60,
            }),
            flags: vec!["\\Seen".to_owned(), "$Label1".to_owned()],
            labels: vec!["Work".to_owned()],
            ..ItemMeta::default()
        }),
    }
}

pub fn content(text: &str) -> Arc<dyn Content> {
    Arc::new(Bytes::from(text.to_owned()))
}

pub fn compile(script: &str) -> Rules {
    compile_with(script, &Options::default())
}

pub fn compile_with(script: &str, options: &Options) -> Rules {
    Rules::compile("rules.rhai", script, options).unwrap_or_else(|error| panic!("{error}\n{script}"))
}

pub fn refused(script: &str) -> RulesError {
    Rules::compile("rules.rhai", script, &Options::default()).expect_err("the script is refused")
}

/// Runs the lines as the body of `message(m)`.
pub fn decide(body: &str) -> Decision {
    try_decide(body).unwrap_or_else(|error| panic!("{error}\n{body}"))
}

pub fn try_decide(body: &str) -> Result<Decision, RuleError> {
    compile(&format!("fn message(m) {{\n{body}\n}}")).item(&facts(), content(MESSAGE))
}

/// What an expression gives, as `note` shows it.
pub fn value(expression: &str) -> String {
    let decision = decide(&format!("m.note(`${{{expression}}}`);"));
    decision.notes.into_iter().next().expect("one note")
}

/// Each expression is true.
pub fn holds(expressions: &[&str]) {
    for expression in expressions {
        assert_eq!(value(expression), "true", "{expression}");
    }
}
