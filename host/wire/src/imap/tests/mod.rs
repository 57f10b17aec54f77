//! Against a scripted server.

mod appending;
mod hostile;
mod login;
mod reading;

use super::fake::Fake;
use super::{Session, Status};

/// What a fake says to EXAMINE or SELECT of a mailbox with so many messages.
async fn opened(fake: &mut Fake, exists: u64) {
    let (tag, text) = fake.command().await;
    assert!(text.starts_with("EXAMINE") || text.starts_with("SELECT"), "{text}");
    fake.send(format!(
        "* FLAGS (\\Seen)\r\n* {exists} EXISTS\r\n* OK [UIDVALIDITY 7] x\r\n* OK [UIDNEXT 1000] x\r\n\
         * OK [HIGHESTMODSEQ 50] x\r\n* OK [PERMANENTFLAGS (\\Seen \\*)] x\r\n{tag} OK [READ-ONLY] done\r\n"
    ))
    .await;
}

async fn open(session: &mut Session) -> Status {
    session.open("INBOX", true).await.unwrap()
}
