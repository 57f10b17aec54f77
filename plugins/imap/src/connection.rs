//! The session, opened again when it is needed after it broke.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use whimbrel_plugin::imap::{self, Session, Status, Summary};
use whimbrel_plugin::{Collection, Failure, Result, Role};

use crate::listing::Mailbox;
use crate::names::Names;
use crate::ranges::{self, Range};
use crate::roles;
use crate::settings::Settings;

/// What is known once a session is up.
#[derive(Debug)]
struct Live {
    session: Session,
    names: Names,
    capabilities: Vec<String>,
    open: Option<Open>,
}

impl Live {
    fn open(settings: &Settings) -> Result<Self> {
        let session = Session::connect(&settings.host, settings.port, settings.security())?;
        let namespace = session.personal_namespace()?;
        let prefix = settings.prefix.as_deref().unwrap_or(&namespace.prefix);
        let names = Names::new(prefix, namespace.delimiter.as_deref());
        let capabilities = session.capabilities();
        Ok(Self {
            session,
            names,
            capabilities,
            open: None,
        })
    }
}

/// The mailbox that is open.
#[derive(Debug, Clone)]
pub struct Open {
    name: String,
    read_only: bool,
    /// As it was when it was opened.
    pub status: Status,
}

/// Where the session of an account is, if there is one.
type Seat = Mutex<Option<Live>>;

/// What an instance holds. It serves one account, so who reads that account and who writes it share a session: each costs
/// a login and often a process, and servers count them.
#[derive(Debug)]
struct Instance(Mutex<Option<(Settings, Weak<Seat>)>>);

static INSTANCE: Instance = Instance::new();

impl Instance {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The seat of the account with these settings: the one that somebody holds, or a new one.
    fn seat(&self, settings: &Settings) -> Arc<Seat> {
        let mut held = lock(&self.0);
        let known = held.as_ref().filter(|(of, _)| of == settings);
        if let Some(seat) = known.and_then(|(_, seat)| seat.upgrade()) {
            return seat;
        }
        let seat = Arc::default();
        *held = Some((settings.clone(), Arc::downgrade(&seat)));
        seat
    }
}

/// A session of one account. A failure that leaves it unusable closes it; the next call opens another.
#[derive(Debug)]
pub struct Connection {
    settings: Settings,
    seat: Arc<Seat>,
}

impl Connection {
    /// Connected and logged in.
    pub fn connect(settings: Settings) -> Result<Self> {
        // A native build, of tests, may hold several accounts in one process.
        let seat = if cfg!(target_family = "wasm") {
            INSTANCE.seat(&settings)
        } else {
            Arc::default()
        };
        let connection = Self { settings, seat };
        connection.with(|_| ())?;
        Ok(connection)
    }

    /// Does something with the session, which is opened if there is none.
    fn with<T>(&self, work: impl FnOnce(&mut Live) -> T) -> Result<T> {
        let mut seat = lock(&self.seat);
        let live = match &mut *seat {
            Some(live) => live,
            none => none.insert(Live::open(&self.settings)?),
        };
        Ok(work(live))
    }

    /// Calls the session; drops it where the failure says so.
    pub fn call<T>(&self, call: impl FnOnce(&Session) -> Result<T>) -> Result<T> {
        let result = self.with(|live| call(&live.session))?;
        if let Err(failure) = &result
            && !failure.leaves_session_usable()
        {
            *lock(&self.seat) = None;
        }
        result
    }

    /// How the server writes names.
    pub fn names(&self) -> Result<Names> {
        self.with(|live| live.names.clone())
    }

    /// Whether the server offers this extension.
    pub fn offers(&self, capability: &str) -> Result<bool> {
        self.with(|live| live.capabilities.iter().any(|other| other == capability))
    }

    /// The value of a capability of the form `NAME=value`.
    pub fn capability_value(&self, name: &str) -> Result<Option<String>> {
        self.with(|live| {
            let values = live.capabilities.iter().filter_map(|other| other.split_once('='));
            let mut values = values.filter(|(key, _)| *key == name);
            values.next().map(|(_, value)| value.to_owned())
        })
    }

    /// The mailbox, if it is the one that is open.
    pub fn opened(&self, name: &str) -> Option<Open> {
        let seat = lock(&self.seat);
        let open = seat.as_ref()?.open.as_ref()?;
        (open.name == name).then(|| open.clone())
    }

    /// The mailbox, if it is open in that mode: what was opened for writing does not do for reading, since those who write
    /// change it without looking again.
    pub fn opened_as(&self, name: &str, read_only: bool) -> Option<Status> {
        let open = self.opened(name)?;
        (open.read_only == read_only).then_some(open.status)
    }

    /// Opens it, even where it is open: the state is fresh.
    pub fn open_anew(&self, name: &str, read_only: bool) -> Result<Status> {
        // A failed SELECT leaves no mailbox open.
        self.with(|live| live.open = None)?;
        let status = self
            .call(|session| session.open(name, read_only))
            .map_err(|failure| match failure {
                // No mailbox has a level without a name, whatever the server finds wrong with it.
                Failure::Rejected(text) if self.has_empty_level(name) => Failure::NotFound(text),
                other => other,
            })?;
        self.with(|live| {
            live.open = Some(Open {
                name: name.to_owned(),
                read_only,
                status: status.clone(),
            });
        })?;
        Ok(status)
    }

    fn has_empty_level(&self, name: &str) -> bool {
        let seat = lock(&self.seat);
        let delimiter = seat.as_ref().and_then(|live| live.names.delimiter());
        delimiter.is_some_and(|delimiter| name.split(delimiter).any(str::is_empty))
    }

    /// Which of these messages of the open mailbox are there, found out in few scans. Ascending.
    pub fn there(&self, uids: &[u32]) -> Result<Vec<Summary>> {
        const GAP: u32 = 16;
        const MOST: u32 = 10_000;
        let mut wanted = uids.to_vec();
        wanted.sort_unstable();
        wanted.dedup();
        let extra = self.extra()?;
        let mut all = Vec::with_capacity(wanted.len());
        for (first, last) in ranges::runs(&wanted, GAP) {
            let mut from = first;
            loop {
                let found = self.call(|session| session.scan(from, last, MOST, None, &extra))?;
                let end = found.len() < MOST as usize;
                let highest = found.last().map_or(last, |summary| summary.uid);
                all.extend(
                    found
                        .into_iter()
                        .filter(|summary| wanted.binary_search(&summary.uid).is_ok()),
                );
                if end || highest >= last || highest < from {
                    break;
                }
                from = highest + 1;
            }
        }
        Ok(all)
    }

    /// Opens it unless it is open; the status may be that of some time ago.
    pub fn open(&self, name: &str, read_only: bool) -> Result<Status> {
        match self.opened_as(name, read_only) {
            Some(status) => Ok(status),
            None => self.open_anew(name, read_only),
        }
    }

    /// Every mailbox that is not left out, as a collection, and what the server said of each.
    pub fn mailboxes(&self, with_status: bool) -> Result<Vec<(Collection, imap::Mailbox)>> {
        let mut mailboxes = self.call(|session| session.mailboxes(with_status))?;
        // Some servers list a mailbox twice, and INBOX in two spellings.
        let mut seen = std::collections::HashSet::new();
        mailboxes.retain(|mailbox| {
            let inbox = mailbox.name.eq_ignore_ascii_case("INBOX");
            seen.insert(if inbox {
                "INBOX".to_owned()
            } else {
                mailbox.name.clone()
            })
        });
        let names = self.names()?;
        mailboxes.retain(|mailbox| !excluded(&self.settings.exclude, &mailbox.name, mailbox.delimiter.as_deref()));
        let with_paths: Vec<(Vec<String>, &[String])> = mailboxes
            .iter()
            .map(|mailbox| (path(&names, mailbox), mailbox.attributes.as_slice()))
            .collect();
        let roles = roles::roles(&with_paths);
        let paths: Vec<Vec<String>> = with_paths.into_iter().map(|(path, _)| path).collect();
        let collections = paths.into_iter().zip(roles).zip(mailboxes);
        Ok(collections
            .map(|((path, role), mailbox)| (collection(path, role, &mailbox), mailbox))
            .collect())
    }

    /// The mailbox for a listing.
    pub fn listing<'a>(&'a self, name: &'a str) -> Listing<'a> {
        Listing { connection: self, name }
    }

    /// Extra items to fetch of each message.
    pub fn extra(&self) -> Result<Vec<String>> {
        Ok(if self.offers("X-GM-EXT-1")? {
            vec!["X-GM-MSGID".to_owned()]
        } else {
            Vec::new()
        })
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A namespace may be told without a delimiter that LIST gives.
fn path(names: &Names, mailbox: &imap::Mailbox) -> Vec<String> {
    match (names.delimiter(), mailbox.delimiter.as_deref()) {
        (None, Some(delimiter)) => Names::new("", Some(delimiter)).path(&mailbox.name),
        _ => names.path(&mailbox.name),
    }
}

fn collection(path: Vec<String>, role: Option<Role>, mailbox: &imap::Mailbox) -> Collection {
    let status = mailbox.status.as_ref();
    Collection::new(mailbox.name.clone(), path)
        .role(role)
        .selectable(roles::selectable(&mailbox.attributes))
        .subscribed(roles::has(&mailbox.attributes, "\\Subscribed"))
        .claims(
            status.map(|status| status.messages),
            status.and_then(|status| status.bytes),
        )
        .generation(status.map(|status| status.uid_validity.to_string()))
}

/// Whether the name, or one above it, is among those to leave out.
fn excluded(exclude: &[String], name: &str, delimiter: Option<&str>) -> bool {
    exclude.iter().any(|other| {
        name.strip_prefix(other.as_str())
            .is_some_and(|rest| rest.is_empty() || delimiter.is_some_and(|delimiter| rest.starts_with(delimiter)))
    })
}

/// An open mailbox, for [`crate::listing`].
#[derive(Debug)]
pub struct Listing<'a> {
    connection: &'a Connection,
    name: &'a str,
}

impl Mailbox for Listing<'_> {
    fn examine(&mut self) -> Result<Status> {
        self.connection.open_anew(self.name, true)
    }

    fn scan(&mut self, from: u32, to: u32, limit: u32, changed_since: Option<u64>) -> Result<Vec<Summary>> {
        let extra = self.connection.extra()?;
        self.connection
            .call(|session| session.scan(from, to, limit, changed_since, &extra))
    }

    fn uids(&mut self) -> Result<Vec<Range>> {
        self.connection.call(Session::uids)
    }

    fn vanished(&mut self, since: u64) -> Result<Option<Vec<Range>>> {
        self.connection.call(|session| session.vanished(since))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(host: &str) -> Settings {
        let settings = serde_json::json!({"host": host, "port": 993}).to_string();
        Settings::read(&whimbrel_plugin::Settings::new(settings)).unwrap()
    }

    #[test]
    fn a_session_is_shared_as_long_as_somebody_has_it_and_only_with_the_same_account() {
        let instance = Instance::new();
        let reader = instance.seat(&settings("a.example.org"));
        let writer = instance.seat(&settings("a.example.org"));
        assert!(Arc::ptr_eq(&reader, &writer));
        let other = instance.seat(&settings("b.example.org"));
        assert!(!Arc::ptr_eq(&reader, &other));
        let gone = Arc::downgrade(&other);
        drop(other);
        assert_eq!(gone.strong_count(), 0, "nothing keeps a session that nobody has");
        assert!(instance.seat(&settings("b.example.org")).try_lock().unwrap().is_none());
    }

    #[test]
    fn exclusion_is_by_whole_levels() {
        let exclude = vec!["Public".to_owned(), "a/b".to_owned()];
        for (name, expected) in [
            ("Public", true),
            ("Public/x", true),
            ("Publicity", false),
            ("a", false),
            ("a/b", true),
            ("a/b/c", true),
        ] {
            assert_eq!(excluded(&exclude, name, Some("/")), expected, "{name}");
        }
    }
}
