//! The store as a destination: what it takes, and how it breaks in the middle of that.

use async_trait::async_trait;
use whimbrel_engine::Destination;
use whimbrel_model::{Abilities, Collection, Failure, Kind, Limits, Outcome, Placement, Remark, Timestamp};
use whimbrel_sandbox::Item;

use super::{Store, broken, holds, revision, rewritten};

#[async_trait]
impl Destination for Store {
    async fn limits(&mut self, _: Kind) -> Result<Limits, Failure> {
        let mut state = self.state();
        state.read()?;
        Ok(Limits {
            max_item_bytes: state.character.largest,
            batch_items: 7,
            batch_bytes: 1 << 20,
            case_insensitive_names: state.character.case_insensitive,
            abilities: Abilities {
                server_side_move: state.character.moves,
                returns_ids: state.character.tells_ids,
                keeps_flags: true,
                keeps_received: true,
                ..Abilities::default()
            },
            ..Limits::default()
        })
    }

    async fn ensure(&mut self, wanted: &[Collection]) -> Result<Vec<Result<Collection, Failure>>, Failure> {
        let mut state = self.state();
        state.read()?;
        Ok(wanted.iter().map(|wanted| state.ensure(wanted)).collect())
    }

    async fn watermark(&mut self, collection: &str) -> Result<String, Failure> {
        let mut state = self.state();
        state.read()?;
        let folder = state.folder(collection);
        Ok(format!("{}.0.{}.{}", folder.validity, folder.next, folder.next))
    }

    async fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement, Failure>>, Failure> {
        let mut bodies = Vec::new();
        for item in &items {
            bodies.push(item.content.read_at(0, 1 << 20).await.unwrap().to_vec());
        }
        let pace = self.state().pace;
        if !pace.is_zero() {
            tokio::time::sleep(pace).await;
        }
        let store = self.clone();
        let mut state = store.state();
        state.asked("put")?;
        state.puts += items.len() as u64;
        let breaks = state.breaks();
        let character = state.character.clone();
        let used: usize = state
            .folders
            .values()
            .flat_map(|folder| &folder.messages)
            .map(|m| m.bytes.len())
            .sum();
        let folder = state.folder(collection);
        let half = items.len().div_ceil(2);
        let mut answers = Vec::new();
        let mut arrived = Vec::new();
        let mut room = character.room.saturating_sub(used);
        for (at, (item, body)) in items.into_iter().zip(bodies).enumerate() {
            // A broken call stored some of the batch, and nobody knows how much.
            if breaks && at >= half {
                return Err(broken());
            }
            if holds(&body, character.kills.as_ref()) {
                return Err(broken());
            }
            let received = item.meta.received.map_or(0, Timestamp::unix_seconds);
            if received < character.oldest
                || holds(&body, character.refuses.as_ref())
                || item.meta.flags.iter().any(|flag| flag == "\\Odd")
            {
                self.1 += 1;
                if character.patience.is_some_and(|patience| self.1 > patience) {
                    return Err(broken());
                }
                answers.push(Err(Failure::Rejected("contains what it must not".into())));
                continue;
            }
            if body.len() > room {
                answers.push(Err(Failure::OverQuota("full".into())));
                continue;
            }
            room -= body.len();
            arrived.push((tokio::time::Instant::now(), body.len()));
            let body = rewritten(&character, body);
            let revision = (character.kind != Kind::Message).then(|| revision(&body));
            let uid = folder.add(body, item.meta.flags, received);
            answers.push(Ok(Placement {
                id: character.tells_ids.then(|| uid.to_string()),
                revision,
                outcome: Outcome::Created,
                alterations: Vec::new(),
            }));
        }
        state.arrived.extend(arrived);
        if breaks { Err(broken()) } else { Ok(answers) }
    }

    async fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement, Failure> {
        let mut state = self.state();
        state.asked("relocate")?;
        let breaks = state.breaks();
        let tells = state.character.tells_ids;
        let uid: u32 = id.parse().map_err(|_| Failure::NotFound(id.into()))?;
        // A broken call did it or not.
        if breaks && !uid.is_multiple_of(2) {
            return Err(broken());
        }
        if !state.folders.contains_key(target) {
            return Err(Failure::NotFound(target.into()));
        }
        let message = state
            .folder(origin)
            .remove(uid)
            .ok_or_else(|| Failure::NotFound(id.into()))?;
        let uid = state.folder(target).add(message.bytes, message.flags, message.received);
        if breaks {
            return Err(broken());
        }
        Ok(Placement {
            id: tells.then(|| uid.to_string()),
            revision: None,
            outcome: Outcome::Created,
            alterations: Vec::new(),
        })
    }

    async fn replace(
        &mut self,
        collection: &str,
        id: &str,
        known: Option<&str>,
        item: Item,
    ) -> Result<Placement, Failure> {
        let body = item.content.read_at(0, 1 << 20).await.unwrap().to_vec();
        let mut state = self.state();
        let breaks = state.breaks();
        let body = rewritten(&state.character, body);
        let uid: u32 = id.parse().map_err(|_| Failure::NotFound(id.into()))?;
        let folder = state.folder(collection);
        let message = folder
            .messages
            .iter_mut()
            .find(|message| message.uid == uid)
            .ok_or_else(|| Failure::NotFound(id.into()))?;
        if known.is_some_and(|known| known != revision(&message.bytes)) {
            return Err(Failure::Rejected("somebody else changed it".into()));
        }
        // A broken call did it or not.
        if breaks && !uid.is_multiple_of(2) {
            return Err(broken());
        }
        message.bytes = body;
        let now = revision(&message.bytes);
        folder.change += 1;
        folder.changed.insert(uid, folder.change);
        if breaks {
            return Err(broken());
        }
        Ok(Placement {
            id: None,
            revision: Some(now),
            outcome: Outcome::Replaced,
            alterations: Vec::new(),
        })
    }

    async fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<(), Failure>>, Failure> {
        let mut state = self.state();
        let breaks = state.breaks();
        let folder = state.folder(collection);
        let gone = |id: &String| id.parse().ok().and_then(|uid| folder.remove(uid)).is_some();
        let answers = ids
            .iter()
            .map(gone)
            .zip(ids)
            .map(|(gone, id)| {
                if gone {
                    Ok(())
                } else {
                    Err(Failure::NotFound(id.clone()))
                }
            })
            .collect();
        if breaks { Err(broken()) } else { Ok(answers) }
    }

    async fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Vec<Result<(), Failure>>, Failure> {
        let mut state = self.state();
        let breaks = state.breaks();
        let folder = state.folder(collection);
        let answers = remarks
            .iter()
            .map(|remark| {
                let done = remark
                    .id
                    .parse()
                    .is_ok_and(|uid| folder.mark(uid, remark.flags.clone()));
                if done {
                    Ok(())
                } else {
                    Err(Failure::NotFound(remark.id.clone()))
                }
            })
            .collect();
        if breaks { Err(broken()) } else { Ok(answers) }
    }
}
