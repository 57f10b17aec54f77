//! Attempts at what is not granted. Each is made to the end, whatever comes of the first; a door that opens is told as an
//! `internal` failure, which no test takes for a refusal.

use whimbrel_plugin::imap::{Outgoing, Security, Session};
use whimbrel_plugin::{Failure, Result, Settings, Timestamp, blobs, files};

use crate::settings::Settings as Own;

/// The last refusal of several attempts; a fault of the host's where one succeeded.
fn all_refused(attempts: impl IntoIterator<Item = (String, Result<()>)>) -> Result<()> {
    let mut last = Failure::internal("nothing was tried");
    for (what, result) in attempts {
        match result {
            Ok(()) => {
                return Err(Failure::internal(format!(
                    "a door was open that nobody granted: {what}"
                )));
            }
            Err(failure) if matches!(failure, Failure::Forbidden(_)) => last = failure,
            Err(failure) => return Err(Failure::internal(format!("{what} was not forbidden: {failure:?}"))),
        }
    }
    Err(last)
}

/// Names, addresses and ports beside the granted ones.
pub fn host_tricks(settings: &Settings) -> Result<()> {
    let Own { host, port, .. } = Own::read(settings)?;
    let names = [
        format!("{host}.."),
        format!(".{host}"),
        format!("{host} "),
        format!("{host}\0"),
        format!("{host}:{port}"),
        format!("{host}/"),
        format!("{host}@evil.invalid"),
        format!("evil.invalid#{host}"),
        format!("{host}.evil.invalid"),
        format!("evil-{host}"),
        "allowed.invalid".to_owned(),
        "x.allowed.invalid".to_owned(),
        "2130706433".to_owned(),
        "0x7f000001".to_owned(),
        "0177.0.0.1".to_owned(),
        "[::1]".to_owned(),
        "::ffff:127.0.0.1".to_owned(),
        "169.254.169.254".to_owned(),
        String::new(),
    ];
    let by_name = names.into_iter().map(|name| (name, port));
    let by_port = [0, 22, 25, port.wrapping_add(1)].map(|other| (host.clone(), other));
    let attempts = by_name.chain(by_port).map(|(name, port)| {
        let connected = Session::connect(&name, port, Security::Implicit).map(drop);
        (format!("{name}:{port}"), connected)
    });
    all_refused(attempts)
}

/// Everything that the host gives, searched for the password.
pub fn read_secrets(settings: &Settings) -> Result<()> {
    let own = Own::read(settings)?;
    let needle: String = own.needle.chars().rev().collect();
    if needle.is_empty() {
        return Err(Failure::invalid_settings("`needle` is wanted"));
    }
    let mut seen = vec![settings.json().to_owned()];
    seen.extend(crate::wasi::texts());
    if !own.host.is_empty() {
        for security in [Security::Implicit, Security::Starttls, Security::Insecure] {
            match Session::connect(&own.host, own.port, security) {
                Ok(session) => seen.extend(texts(&session)),
                Err(failure) => seen.push(format!("{failure:?}")),
            }
        }
    }
    for setting in ["password", "token", "user", "folder", "host"] {
        match files::Folder::open(setting) {
            Ok(folder) => seen.push(format!("{:?}", folder.entries("", None, 1000))),
            Err(failure) => seen.push(format!("{failure:?}")),
        }
    }
    match seen.iter().any(|text| text.contains(&needle)) {
        true => Err(Failure::internal("the password was seen")),
        false => Ok(()),
    }
}

/// All that a session tells.
fn texts(session: &Session) -> Vec<String> {
    vec![
        format!("{:?}", session.capabilities()),
        format!("{:?}", session.server_id()),
        format!("{:?}", session.personal_namespace()),
        format!("{:?}", session.mailboxes(true)),
        format!("{:?}", session.open("INBOX", true)),
        format!("{:?}", session.open("nowhere at all", true)),
        format!(
            "{:?}",
            session.scan(1, u32::MAX, 100, None, &["BODY[HEADER]".to_owned()])
        ),
        format!("{:?}", session.uids()),
        format!("{:?}", session.quota("INBOX")),
        format!("{:?}", session.statuses(&["INBOX".to_owned()])),
    ]
}

/// The mailbox beside this one.
pub fn other_mailbox() -> Result<()> {
    let folder = files::Folder::open("folder")?;
    let paths = [
        "../other",
        "../other/secret",
        "x/../../other/secret",
        "..",
        "/",
        "/proc/self/environ",
        "../../whimbrel.toml",
    ];
    let mut attempts = Vec::new();
    for path in paths {
        attempts.push((format!("read {path}"), folder.read(path, 0, None).map(drop)));
        attempts.push((format!("list {path}"), folder.entries(path, None, 10).map(drop)));
        attempts.push((format!("look at {path}"), folder.stat(path).map(drop)));
    }
    all_refused(attempts)
}

/// The folder of a source.
pub fn write_source() -> Result<()> {
    let folder = files::Folder::open("folder")?;
    let body = blobs::blob(b"changed");
    let now = Timestamp {
        unix_ms: 0,
        offset_minutes: 0,
    };
    all_refused([
        ("write".to_owned(), folder.write("new", &body, false)),
        ("replace".to_owned(), folder.write("kept", &body, true)),
        ("append".to_owned(), folder.append("kept", &body).map(drop)),
        ("truncate".to_owned(), folder.truncate("kept", 0)),
        ("create".to_owned(), folder.create("made")),
        ("rename".to_owned(), folder.rename("kept", "moved")),
        ("set time".to_owned(), folder.set_modified("kept", now)),
        ("remove".to_owned(), folder.remove("kept")),
    ])
}

/// The IMAP account of a source.
pub fn write_imap(settings: &Settings) -> Result<()> {
    let own = Own::read(settings)?;
    let session = Session::connect(&own.host, own.port, Security::Insecure)?;
    session.open("INBOX", true)?;
    let message = Outgoing {
        content: blobs::blob(b"Subject: x\r\n\r\nx\r\n"),
        received: None,
        flags: Vec::new(),
    };
    all_refused([
        ("open to write".to_owned(), session.open("INBOX", false).map(drop)),
        ("append".to_owned(), session.append("INBOX", vec![message]).map(drop)),
        ("store".to_owned(), session.store(1, &["\\Deleted".to_owned()])),
        ("copy".to_owned(), session.copy(&[1], "INBOX").map(drop)),
        ("move".to_owned(), session.move_(&[1], "INBOX").map(drop)),
        (
            "create".to_owned(),
            session.create(&[("Evil".to_owned(), None)]).map(drop),
        ),
        (
            "subscribe".to_owned(),
            session.subscribe(&["INBOX".to_owned()]).map(drop),
        ),
    ])
}

/// More folders than an instance may have open.
pub fn hoard_folders() -> Result<()> {
    let mut all = Vec::new();
    for _ in 0..100 {
        all.push(files::Folder::open("folder")?);
    }
    Err(Failure::internal("a hundred folders were opened"))
}
