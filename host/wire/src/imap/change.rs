//! What changes a mailbox, apart from storing messages; quota and IDLE.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use whimbrel_model::Failure;

use super::errors::{Attempt, Completion, garbled};
use super::fetch::SET_BYTES;
use super::flags;
use super::parse::Status;
use super::session::{Name, Session};
use super::sets::{UidSet, expand};
use super::talk::{Part, Tag, ignore};

/// RFC 2177 has clients end IDLE before 29 minutes, when servers take them for gone.
const IDLE: Duration = Duration::from_secs(25 * 60);

/// Commands about mailboxes under way at a time.
pub(super) const WINDOW: usize = 50;

impl Session {
    /// Copies messages of the open mailbox. Pairs of old and new UID where the server tells them (COPYUID), else
    /// nothing.
    ///
    /// # Errors
    /// `NotFound` where there is no such mailbox, `OverQuota`, `Forbidden`.
    pub async fn copy(&mut self, uids: &[u32], mailbox: &str) -> Result<Vec<(u32, u32)>, Failure> {
        self.enter()?;
        let result = self.carry("UID COPY ", uids, mailbox).await;
        self.leave(result)
    }

    /// Moves messages of the open mailbox (RFC 6851), or copies, marks and expunges exactly them.
    ///
    /// # Errors
    /// As [`Session::copy`]; `Unsupported` where the server has neither MOVE nor UIDPLUS.
    pub async fn r#move(&mut self, uids: &[u32], mailbox: &str) -> Result<Vec<(u32, u32)>, Failure> {
        self.enter()?;
        let result = self.relocate(uids, mailbox).await;
        self.leave(result)
    }

    async fn relocate(&mut self, uids: &[u32], mailbox: &str) -> Result<Vec<(u32, u32)>, Failure> {
        if self.can("MOVE") {
            return self.carry("UID MOVE ", uids, mailbox).await;
        }
        if !self.can("UIDPLUS") {
            return Err(Failure::Unsupported(
                "the server has neither MOVE nor UIDPLUS: a plain EXPUNGE could delete other messages".to_owned(),
            ));
        }
        let pairs = self.carry("UID COPY ", uids, mailbox).await?;
        let open = self.opened_name()?;
        for set in UidSet::from_uids(uids.iter().copied()).format(SET_BYTES) {
            let mark = [
                Part::Text("UID STORE "),
                Part::Text(&set),
                Part::Text(" +FLAGS.SILENT (\\Deleted)"),
            ];
            self.talk.run(&mark, Name::attempt(&open), &mut ignore).await?;
            self.talk
                .run(
                    &[Part::Text("UID EXPUNGE "), Part::Text(&set)],
                    Name::attempt(&open),
                    &mut ignore,
                )
                .await?;
        }
        Ok(pairs)
    }

    async fn carry(&mut self, verb: &str, uids: &[u32], mailbox: &str) -> Result<Vec<(u32, u32)>, Failure> {
        let result = self.carry_once(verb, uids, mailbox).await;
        match result {
            // Nothing was carried yet: a set is refused as a whole.
            Err(Failure::NotFound(_)) if self.learn_names(mailbox).await? => self.carry_once(verb, uids, mailbox).await,
            result => result,
        }
    }

    async fn carry_once(&mut self, verb: &str, uids: &[u32], mailbox: &str) -> Result<Vec<(u32, u32)>, Failure> {
        self.opened()?;
        let name = self.name(mailbox)?;
        let mut pairs = Vec::new();
        for set in UidSet::from_uids(uids.iter().copied()).format(SET_BYTES) {
            self.talk.forget();
            let parts = [Part::Text(verb), Part::Text(&set), Part::Text(" "), name.part()];
            let said = self.talk.run(&parts, Name::attempt(mailbox), &mut ignore).await?;
            // MOVE tells it in an untagged OK (RFC 6851 section 4.3).
            let told = match said.has_code("COPYUID") {
                true => Some(said.arguments.as_str()),
                false => self.talk.note("COPYUID"),
            };
            pairs.extend(told.and_then(|told| copied(told, uids.len())).unwrap_or_default());
        }
        Ok(pairs)
    }

    /// Sets the flags of a message of the open mailbox to exactly these, `\Recent` apart.
    ///
    /// # Errors
    /// `Rejected` for a flag that IMAP cannot write or the mailbox does not take; `Forbidden` where it can only be read.
    pub async fn store(&mut self, uid: u32, flags: &[String]) -> Result<(), Failure> {
        self.enter()?;
        let result = self.set_flags(uid, flags).await;
        self.leave(result)
    }

    async fn set_flags(&mut self, uid: u32, flags: &[String]) -> Result<(), Failure> {
        let list = flags::format(flags)?;
        let open = self.opened_name()?;
        let command = format!("UID STORE {uid} FLAGS.SILENT {list}");
        self.talk
            .run(&[Part::Text(&command)], Name::attempt(&open), &mut ignore)
            .await
            .map(drop)
    }

    /// Makes mailboxes in this order, each with its special use (`\Sent`) where the server can take one (RFC 6154
    /// section 3). One answer for each; no failure where it exists. Pipelined: a parent may come just before its child.
    ///
    /// # Errors
    /// Of one: `Rejected` for a name that the server does not take; `Forbidden`; `OverQuota`. As a whole where the
    /// connection ends.
    pub async fn create(&mut self, wanted: &[(String, Option<String>)]) -> Result<Vec<Result<(), Failure>>, Failure> {
        self.enter()?;
        let result = self.make(wanted).await;
        self.leave(result)
    }

    async fn make(&mut self, wanted: &[(String, Option<String>)]) -> Result<Vec<Result<(), Failure>>, Failure> {
        let mut answers = Vec::with_capacity(wanted.len());
        for window in wanted.chunks(WINDOW) {
            let mut under_way = Vec::with_capacity(window.len());
            for (mailbox, special_use) in window {
                let name = self.name(mailbox);
                let special_use = special_use.as_deref().filter(|_| self.can("CREATE-SPECIAL-USE"));
                under_way.push(match name {
                    Ok(name) => self.send_create(&name, special_use).await?.map(|tag| (name, tag)),
                    Err(failure) => Err(failure),
                });
            }
            let first = answers.len();
            for sent in &under_way {
                answers.push(match sent {
                    Ok((_, tag)) => Ok(self.talk.wait(*tag, None, &mut ignore).await?),
                    Err(failure) => Err(failure.clone()),
                });
            }
            for ((sent, answer), (_, special_use)) in under_way.iter().zip(&mut answers[first..]).zip(window) {
                // The use is taken by another mailbox, or not to be given (USEATTR): the mailbox is wanted all the same.
                if let (Ok((name, _)), Ok(said), Some(_)) = (sent, &answer, special_use)
                    && !exists_now(said)
                {
                    let tag = self.send_create(name, None).await??;
                    *answer = Ok(self.talk.wait(tag, None, &mut ignore).await?);
                }
            }
        }
        let judged = answers
            .into_iter()
            .zip(wanted)
            .map(|(answer, (mailbox, _))| match answer? {
                said if exists_now(&said) => Ok(()),
                said => said.success(Name::attempt(mailbox)).map(drop),
            });
        Ok(judged.collect())
    }

    /// Queues a CREATE. The inner failure: what cannot be written.
    async fn send_create(&mut self, name: &Name, special_use: Option<&str>) -> Result<Result<Tag, Failure>, Failure> {
        let Some(special_use) = special_use else {
            return Ok(Ok(self.talk.send(&[Part::Text("CREATE "), name.part()]).await?));
        };
        let list = match flags::format(&[special_use.to_owned()]) {
            Ok(list) => list,
            Err(failure) => return Ok(Err(failure)),
        };
        let parts = [
            Part::Text("CREATE "),
            name.part(),
            Part::Text(" (USE "),
            Part::Text(&list),
            Part::Text(")"),
        ];
        Ok(Ok(self.talk.send(&parts).await?))
    }

    /// Subscribes to mailboxes, pipelined; one answer for each.
    ///
    /// # Errors
    /// Of one: `NotFound` where there is none, `Forbidden`. As a whole where the connection ends.
    pub async fn subscribe(&mut self, mailboxes: &[String]) -> Result<Vec<Result<(), Failure>>, Failure> {
        self.enter()?;
        let result = self.subscribe_all(mailboxes).await;
        self.leave(result)
    }

    async fn subscribe_all(&mut self, mailboxes: &[String]) -> Result<Vec<Result<(), Failure>>, Failure> {
        let mut answers = Vec::with_capacity(mailboxes.len());
        for window in mailboxes.chunks(WINDOW) {
            let mut under_way = Vec::with_capacity(window.len());
            for mailbox in window {
                under_way.push(match self.name(mailbox) {
                    Ok(name) => Ok(self.talk.send(&[Part::Text("SUBSCRIBE "), name.part()]).await?),
                    Err(failure) => Err(failure),
                });
            }
            for (sent, mailbox) in under_way.into_iter().zip(window) {
                answers.push(match sent {
                    Ok(tag) => {
                        let said = self.talk.wait(tag, None, &mut ignore).await?;
                        said.success(Name::attempt(mailbox)).map(drop)
                    }
                    Err(failure) => Err(failure),
                });
            }
        }
        Ok(answers)
    }

    /// Bytes used and allowed for the mailbox's quota root (RFC 9208), the tightest where there are several; None where
    /// the server keeps none.
    ///
    /// # Errors
    /// `NotFound` where there is no such mailbox.
    pub async fn quota(&mut self, mailbox: &str) -> Result<Option<(u64, u64)>, Failure> {
        self.enter()?;
        let result = self.quota_of(mailbox).await;
        self.leave(result)
    }

    async fn quota_of(&mut self, mailbox: &str) -> Result<Option<(u64, u64)>, Failure> {
        if !self
            .capabilities
            .iter()
            .any(|word| word == "QUOTA" || word.starts_with("QUOTA="))
        {
            return Ok(None);
        }
        let name = self.name(mailbox)?;
        let mut tightest: Option<(u64, u64)> = None;
        let said = self
            .talk
            .call(&[Part::Text("GETQUOTAROOT "), name.part()], &mut |data| {
                if !data.is("QUOTA") || data.rest.astring().is_none() {
                    return Ok(());
                }
                // Courier leaves the list out where there is no limit.
                let Some(words) = data.rest.words() else { return Ok(()) };
                for resource in words
                    .chunks_exact(3)
                    .filter(|resource| resource[0].eq_ignore_ascii_case("STORAGE"))
                {
                    // Units of 1,024 octets (RFC 9208 section 5.1).
                    let bytes = |text: &str| text.parse::<u64>().ok().map(|units| units.saturating_mul(1024));
                    if let (Some(used), Some(allowed)) = (bytes(&resource[1]), bytes(&resource[2])) {
                        let left = |quota: (u64, u64)| quota.1.saturating_sub(quota.0);
                        if tightest.is_none_or(|known| left((used, allowed)) < left(known)) {
                            tightest = Some((used, allowed));
                        }
                    }
                }
                Ok(())
            })
            .await?;
        said.success(Name::attempt(mailbox))?;
        Ok(tightest)
    }

    /// True when something changed in the open mailbox before the time was up; false at once without IDLE (RFC 2177).
    ///
    /// # Errors
    /// Where the connection ends.
    pub async fn idle(&mut self, patience: Duration) -> Result<bool, Failure> {
        self.enter()?;
        let result = self.watch(patience).await;
        self.leave(result)
    }

    async fn watch(&mut self, patience: Duration) -> Result<bool, Failure> {
        if !self.can("IDLE") || self.open.is_none() {
            return Ok(false);
        }
        let start = Instant::now();
        // A day at a time: far beyond what a caller waits for in one call.
        let end = start + patience.min(Duration::from_secs(86_400));
        let mut changed = false;
        while !changed && Instant::now() < end {
            changed = self.idle_once(end.min(Instant::now() + IDLE)).await?;
        }
        Ok(changed)
    }

    async fn idle_once(&mut self, end: Instant) -> Result<bool, Failure> {
        let before = (self.talk.exists, self.talk.expunged);
        let tag = self.talk.send(&[Part::Text("IDLE")]).await?;
        self.talk.link.flush().await?;
        let mut touched = false;
        let mut begun = false;
        loop {
            // EXISTS alone may only repeat what is known.
            if touched || (self.talk.exists, self.talk.expunged) != before {
                break;
            }
            if begun {
                // A wait that is cut off loses nothing: what was read stays with the link.
                match timeout_at(end, self.talk.link.ready(IDLE * 2)).await {
                    Err(_) => break,
                    Ok(ready) => ready?,
                }
            }
            begun |= self
                .talk
                .step(None, &mut |data| {
                    touched |= data.is("FETCH") || data.is("EXPUNGE") || data.is("VANISHED");
                    Ok(())
                })
                .await?;
            if self.talk.finished(tag) {
                self.talk
                    .wait(tag, None, &mut ignore)
                    .await?
                    .success(Attempt::Command("IDLE"))?;
                return Err(garbled("IDLE ended by itself"));
            }
        }
        while !begun {
            begun = self.talk.step(None, &mut ignore).await?;
            if self.talk.finished(tag) {
                return Err(garbled("IDLE ended by itself"));
            }
        }
        self.talk.link.push(b"DONE\r\n");
        self.talk
            .wait(tag, None, &mut ignore)
            .await?
            .success(Attempt::Command("IDLE"))?;
        Ok(touched || (self.talk.exists, self.talk.expunged) != before)
    }
}

fn exists_now(said: &Completion) -> bool {
    let text = said.text.to_ascii_lowercase();
    said.status == Status::Ok
        || said.has_code("ALREADYEXISTS")
        || (said.code.is_none() && said.status == Status::No && text.contains("already exist"))
        || (said.code.is_none() && said.status == Status::No && text.contains("mailbox exists"))
}

/// `38505 304,319:320 3956:3958` (RFC 4315 section 3): old and new UIDs pair up by position.
fn copied(told: &str, most: usize) -> Option<Vec<(u32, u32)>> {
    let mut words = told.split_ascii_whitespace().skip(1);
    let (old, new) = (expand(words.next()?, most)?, expand(words.next()?, most)?);
    (old.len() == new.len()).then(|| old.into_iter().zip(new).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copyuid_pairs_up_by_position() {
        assert_eq!(
            copied("38505 304,319:320 3956:3958", 9),
            Some(vec![(304, 3956), (319, 3957), (320, 3958)])
        );
        assert_eq!(copied("1 7,3 5,9", 9), Some(vec![(7, 5), (3, 9)]));
        for bad in ["", "1 2", "1 1:3 1:2", "1 1:4000000000 1:4000000000"] {
            assert_eq!(copied(bad, 9), None, "{bad}");
        }
    }
}
