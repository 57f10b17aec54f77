//! An account that is read.

use std::collections::HashMap;
use std::marker::PhantomData;

use whimbrel_plugin::blobs::blob;
use whimbrel_plugin::http::send;
use whimbrel_plugin::{Collection, Failure, Item, ItemMeta, Page, Result, Settings};

use crate::account::{Account, Folder};
use crate::flavour::Flavour;
use crate::object::{uid, with_crlf};
use crate::requests::{header, multiget, multistatus, refusal, request, xml_request};
use crate::xml::DAV;

/// Objects asked for at once.
const BATCH: usize = 50;

/// Bytes of an identity that the host takes; a UID may have more.
const IDENTITY: usize = 1024;

/// Calendars or address books.
#[derive(Debug)]
pub struct Source<F>(Account, PhantomData<F>);

impl<F: Flavour> whimbrel_plugin::Source for Source<F> {
    fn open(settings: &Settings) -> Result<Self> {
        Ok(Self(Account::open(F::service(), settings)?, PhantomData))
    }

    fn collections(&mut self) -> Result<Vec<Collection>> {
        let folders = self.0.folders()?;
        Ok(folders.iter().map(|folder| self.0.collection(folder)).collect())
    }

    fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        self.0.changes(collection, cursor, limit)
    }

    fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item>>> {
        let folder = self.0.known(collection)?;
        let mut answers = Vec::with_capacity(ids.len());
        for batch in ids.chunks(BATCH) {
            let mut found = self.0.objects(&folder, batch)?;
            for id in batch {
                answers.push(match found.remove(id) {
                    Some(item) => Ok(item),
                    None => self.0.object(&folder, id),
                });
            }
        }
        Ok(answers)
    }
}

impl Account {
    /// What a multiget gives, by id. Empty where the server has none.
    fn objects(&self, folder: &Folder, ids: &[String]) -> Result<HashMap<String, Item>> {
        let resources: Vec<_> = ids
            .iter()
            .filter(|id| is_name(id))
            .map(|id| folder.at.child(id))
            .collect();
        let mut found = HashMap::new();
        if resources.is_empty() {
            return Ok(found);
        }
        let data = format!("C:{}", self.service.data);
        let body = multiget(self.service, &["D:getetag", &data], &resources);
        let response = match send(xml_request("REPORT", &folder.at, Some("1"), &body)) {
            // Together they are too large: each is asked for by itself.
            Err(Failure::TooLarge(_)) => return Ok(found),
            other => other?,
        };
        if matches!(response.status, 400 | 403 | 405 | 501) {
            return Ok(found);
        }
        let read = multistatus(&response, "reading objects", &mut |one| {
            let name = folder.at.name_of(&folder.at.join(&one.href)?);
            let content = one.property(self.service.namespace, self.service.data);
            if let (Some(name), Some(etag), Some(content)) = (name, one.text(DAV, "getetag"), content) {
                let bytes = with_crlf(content.text.trim_start());
                let item = self.item(&name, etag, &bytes);
                found.insert(name, item);
            }
            Ok(())
        });
        // One that cannot be read takes no other with it: those that are missing are asked for by themselves.
        if let Err(failure) = read {
            whimbrel_plugin::warn!("objects are read one by one: {failure}");
        }
        Ok(found)
    }

    /// One object by itself.
    pub fn object(&self, folder: &Folder, id: &str) -> Result<Item> {
        let gone = || Failure::not_found("the object is not there any more");
        if !is_name(id) {
            return Err(gone());
        }
        let response = send(request("GET", &folder.at.child(id)))?;
        match response.status {
            200 => {
                let etag = header(&response, "etag").unwrap_or_default().to_owned();
                let bytes = whimbrel_plugin::blobs::read_whole(&response.body, 24 << 20)?;
                Ok(self.item(id, &etag, &bytes))
            }
            404 | 410 => Err(gone()),
            _ => Err(refusal(&response, "reading an object")),
        }
    }

    fn item(&self, name: &str, etag: &str, bytes: &[u8]) -> Item {
        let mut meta = ItemMeta::new(name)
            .revision(etag)
            .identity(uid(bytes).filter(|uid| uid.len() <= IDENTITY));
        meta.size = Some(bytes.len() as u64);
        Item {
            meta,
            media_type: self.service.media_type.to_owned(),
            content: blob(bytes),
        }
    }
}

/// Whether an id can be the name of a resource in a collection.
pub fn is_name(id: &str) -> bool {
    !id.is_empty() && !id.contains(['/', '?', '#', ' ']) && id != "." && id != ".."
}
