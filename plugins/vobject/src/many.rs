//! A file of many objects, written anew with some added, changed or left out.

use std::collections::BTreeSet;

use whimbrel_folders::Body;
use whimbrel_plugin::{Failure, Outcome, Placement, Result};

use crate::content::{self, part, zones_of};
use crate::file::Objects;
use crate::form::Form;
use crate::index::{About, Index};
use crate::line::{Range, each_line, property, written};
use crate::scan::is_of_collection;

/// The largest object that is taken, in bytes.
pub const LARGEST: u64 = 16 << 20;
/// The beginning of a calendar that this connector makes.
const HEAD: &[u8] = b"BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//Whimbrel//Whimbrel//EN\r\n";
/// What every calendar says of itself, whoever writes it.
const ORDINARY: [&str; 4] = ["VERSION", "PRODID", "CALSCALE", "METHOD"];

/// The definition of a time zone: the hash of its name, and that of all of it.
type Brought = (u128, Vec<u8>);

/// An object that is to be written.
pub struct Incoming<'a, B> {
    pub content: &'a B,
    pub index: Index,
    pub uid: Option<Vec<u8>>,
}

impl<B: Body> Incoming<'_, B> {
    /// By what it is known in its file.
    pub fn key(&self) -> String {
        self.index.key(0, self.uid.as_deref())
    }
}

/// What a file of nothing looks like.
pub fn empty_calendar(about: &About) -> Vec<u8> {
    let mut out = HEAD.to_vec();
    let said = [
        ("X-WR-CALNAME", &about.name),
        ("X-WR-CALDESC", &about.description),
        ("X-APPLE-CALENDAR-COLOR", &about.colour),
        ("X-APPLE-CALENDAR-ORDER", &about.order),
    ];
    for (name, text) in said {
        if let Some(text) = text {
            out.extend(written(name, text));
        }
    }
    out.extend_from_slice(content::FOOT);
    out
}

/// Looks at an object that is to be written: it has to be one, and would be read as one.
pub fn incoming<B: Body>(form: Form, content: &B) -> Result<Incoming<'_, B>> {
    if content.size() > LARGEST {
        return Err(Failure::too_large(Some(LARGEST)));
    }
    let index = Index::read(form, content)?;
    if let Some(why) = (0..index.len()).find_map(|at| index.why(at)) {
        return Err(Failure::rejected(format!(
            "the content is no whole {} object: {}",
            form.media_type(),
            why.text()
        )));
    }
    match index.len() {
        1 => {}
        count => {
            return Err(Failure::rejected(format!(
                "the content is {count} {} objects, and would have to be one",
                form.media_type()
            )));
        }
    }
    let uid = content::uid(&index, &mut content::lines(&index, content), 0);
    Ok(Incoming { content, index, uid })
}

/// The object as it lies in a file of many: its components, and its revision there.
pub fn parts_of<B: Body>(one: &Incoming<B>) -> (Vec<B>, String) {
    let mut parts = Vec::new();
    for piece in one.index.pieces(0) {
        part(&one.index, one.content, piece.range, &mut parts);
    }
    let hash = B::concat(&parts.iter().collect::<Vec<_>>()).hash();
    let revision = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    (parts, revision)
}

/// The file with what is added to it.
pub struct Added<'a, B> {
    objects: &'a Objects<B>,
    parts: Vec<B>,
    /// Time zones that the added ones bring, by the hash of their name.
    zones: Vec<Brought>,
    /// Objects that get a calendar of their own behind that of the others.
    apart: Vec<B>,
    /// What the file's calendar says of itself, but for what every one says; none before it holds anything.
    said: Option<BTreeSet<Vec<u8>>>,
    /// What it is to say from now on.
    says: Vec<B>,
    /// By what they are known, and how.
    keys: Vec<(String, String)>,
    /// The item that is to go.
    pub leaves: Option<usize>,
    /// There is something to write.
    pub changed: bool,
}

impl<'a, B: Body> Added<'a, B> {
    /// Nothing yet.
    pub fn new(objects: &'a Objects<B>) -> Self {
        let index = &objects.index;
        let said = index
            .calendars
            .first()
            .filter(|calendar| calendar.pieces > 0)
            .map(|calendar| {
                let mut said = BTreeSet::new();
                let mut lines = objects.lines();
                for &head in index.heads.get(calendar.heads.0..calendar.heads.1).unwrap_or_default() {
                    each_line(Form::Calendar, &mut lines, head, |_, text| {
                        said.extend(own_words(text));
                        true
                    });
                }
                said
            });
        Self {
            objects,
            parts: Vec::new(),
            zones: Vec::new(),
            apart: Vec::new(),
            said,
            says: Vec::new(),
            keys: Vec::new(),
            leaves: None,
            changed: false,
        }
    }

    /// One more object; where it is to be refused, the file stays as it is.
    pub fn add(&mut self, one: &Incoming<B>) -> Result<Placement> {
        let key = one.key();
        let (parts, revision) = parts_of(one);
        let mut placement = Placement::created(Some(key.clone())).revision(revision.clone());
        let there = self.objects.index.of_key(&key).filter(|at| self.leaves != Some(*at));
        let known = match there {
            Some(at) => Some(content::revision(&self.objects.index, &self.objects.body, at)),
            None => self
                .keys
                .iter()
                .find(|(known, _)| *known == key)
                .map(|(_, revision)| revision.clone()),
        };
        match known {
            Some(known) if known == revision => return Ok(placement.outcome(Outcome::MergedWithExisting)),
            Some(_) => {
                return Err(Failure::rejected(
                    "the file holds another object with this UID: `layout = \"folders\"` keeps both",
                ));
            }
            None => {}
        }
        if one.index.form == Form::Card {
            if parts.len() > one.index.pieces(0).len() {
                placement = placement.altered("final-newline");
            }
            self.parts.extend(parts);
        } else {
            let (words, whole) = words(one);
            let zones = self.zones_to_bring(one);
            let fits = whole && self.said.as_ref().is_none_or(|said| *said == words);
            match zones.filter(|_| fits) {
                Some(zones) => {
                    if self.said.is_none() {
                        for word in &words {
                            self.says.push(B::from_bytes(word));
                            self.says.push(B::from_bytes(b"\r\n"));
                        }
                        self.said = Some(words);
                    }
                    for (zone, range) in zones {
                        self.zones.push(zone);
                        part(&one.index, one.content, range, &mut self.parts);
                    }
                    self.parts.extend(parts);
                }
                // It cannot share a calendar with the others.
                None => {
                    let range = one.index.calendars.first().map_or((0, 0), |calendar| calendar.range);
                    part(&one.index, one.content, range, &mut self.apart);
                }
            }
        }
        self.keys.push((key, revision));
        self.changed = true;
        Ok(placement)
    }

    /// Definitions of time zones that the object has and the file has not; none where the file has another one by the same
    /// name.
    fn zones_to_bring(&self, one: &Incoming<B>) -> Option<Vec<(Brought, Range)>> {
        let index = &self.objects.index;
        let there = index.calendars.first().map_or((0, 0), |calendar| calendar.zones);
        let of_file = index.zones.get(there.0..there.1).unwrap_or_default();
        let hash = |body: &B, (from, to): Range| body.slice(from, to - from).hash();
        let mut new = Vec::new();
        let mut wanted = zones_of(&one.index, &mut content::lines(&one.index, one.content), 0);
        for zone in &one.index.zones {
            if !wanted.remove(&zone.key) {
                continue;
            }
            let own = hash(one.content, zone.range);
            let found = of_file.iter().find(|known| known.key == zone.key);
            let found = found.map(|known| hash(&self.objects.body, known.range));
            let brought = || {
                self.zones
                    .iter()
                    .find(|(key, _)| *key == zone.key)
                    .map(|(_, hash)| hash.clone())
            };
            match found.or_else(brought) {
                Some(found) if zone.known || found == own => {}
                Some(_) => return None,
                None => new.push(((zone.key, own), zone.range)),
            }
        }
        Some(new)
    }

    /// All of the file anew, without what lies in `cuts`.
    pub fn written(self, cuts: &[Range]) -> Result<B> {
        let Objects { body, index } = self.objects;
        let mut inserts = Vec::new();
        let end = body.size();
        let mut last = Vec::new();
        if !matches!(body.read(end.saturating_sub(1), 1).as_slice(), b"" | b"\n" | b"\r") {
            last.push(B::from_bytes(b"\r\n"));
        }
        match (index.form, index.calendars.first()) {
            (Form::Card, _) => last.extend(self.parts),
            (Form::Calendar, Some(calendar)) => {
                let foot = calendar.foot.ok_or_else(|| {
                    Failure::rejected("the calendar in the file has no END:VCALENDAR: nothing can be added to it")
                })?;
                inserts.push((foot, self.says.into_iter().chain(self.parts).collect()));
                last.extend(self.apart);
            }
            (Form::Calendar, None) => {
                last.push(B::from_bytes(HEAD));
                last.extend(self.says);
                last.extend(self.parts);
                last.push(B::from_bytes(content::FOOT));
                last.extend(self.apart);
            }
        }
        inserts.push((end, last));
        Ok(edited(body, cuts, inserts))
    }
}

/// A line that a calendar says of itself, unless every one says it.
fn own_words(text: &[u8]) -> Option<Vec<u8>> {
    let property = property(text)?;
    let ordinary = property.is("BEGIN") || property.is("END") || ORDINARY.iter().any(|name| property.is(name));
    (!ordinary).then(|| text.to_vec())
}

/// What the object's calendar says of itself, but for what every one says, and whether it can do so among others.
fn words<B: Body>(one: &Incoming<B>) -> (BTreeSet<Vec<u8>>, bool) {
    let range = one.index.calendars.first().map_or((0, 0), |calendar| calendar.range);
    let (mut words, mut depth, mut whole) = (BTreeSet::new(), 0_u32, one.index.calendars.len() == 1);
    each_line(
        Form::Calendar,
        &mut content::lines(&one.index, one.content),
        range,
        |_, text| {
            let Some(property) = property(text) else { return true };
            if property.is("BEGIN") {
                depth += 1;
            } else if property.is("END") {
                depth = depth.saturating_sub(1);
            } else if depth == 1 {
                let own = own_words(text);
                // What it says of a collection is not for that of the others.
                whole &= own.is_none() || !is_of_collection(&property);
                // A long line is not known to its end.
                whole &= text.len() < 1000;
                words.extend(own);
            }
            true
        },
    );
    (words, whole)
}

/// The body without these parts of it, and with others at these places.
pub fn edited<B: Body>(body: &B, cuts: &[Range], inserts: Vec<(u64, Vec<B>)>) -> B {
    let mut steps: Vec<(u64, u64, Vec<B>)> = cuts.iter().map(|&(from, to)| (from, to, Vec::new())).collect();
    steps.extend(inserts.into_iter().map(|(at, parts)| (at, at, parts)));
    steps.sort_by_key(|(from, to, _)| (*from, *to));
    let mut parts = Vec::new();
    let mut at = 0;
    for (from, to, inserted) in steps {
        if from > at {
            parts.push(body.slice(at, from - at));
        }
        parts.extend(inserted);
        at = at.max(to);
    }
    if body.size() > at {
        parts.push(body.slice(at, body.size() - at));
    }
    B::concat(&parts.iter().collect::<Vec<_>>())
}
