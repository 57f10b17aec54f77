//! Open accounts: what the engine calls.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use wasmtime::component::ResourceAny;
use whimbrel_model::{Collection, Failure, ItemMeta, Kind, Limits, Page, Placement, Remark};
use whimbrel_wire::{Blob, Credentials, Pin};

use crate::activity::Fault;
use crate::bindings::{destination, source, types};
use crate::grants::{Grants, Use};
use crate::instance::{Cause, Running, cause, stack, watch, why};
use crate::runtime::Ticking;
use crate::trace::Seen;
use crate::validate::{self, Lie};
use crate::{Activity, Attempt, Connections, Plugin, Timeouts, convert};

/// Faults in a row after which an account is given up.
const MOST_FAULTS: u32 = 3;

/// How long a plugin may take to close an account.
const CLOSING: Duration = Duration::from_secs(5);

/// An account to open.
#[derive(Debug, Clone)]
pub struct AccountSpec {
    /// The admin's name for the mailbox, for messages.
    pub mailbox: String,
    /// The settings, with the mailbox's values merged in ("user"…), secrets left out: all that the plugin sees.
    pub settings: serde_json::Map<String, Value>,
    /// What the host logs in with; never enters the plugin.
    pub credentials: Credentials,
    /// A PEM file of certificate authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// Fingerprints by which alone servers are trusted; by authorities where there is none.
    pub pins: Vec<Pin>,
    /// Whether connections are compressed; None: unless the server is this machine.
    pub compress: Option<bool>,
    /// What it was connected to.
    pub connections: Connections,
    /// What its connector used and tried.
    pub activity: Activity,
    /// Folder that relative paths in the settings start from.
    pub base: PathBuf,
    /// Hosts that the admin's file allows beside those that the settings name; `*.example.org` for a domain.
    pub endpoints: Vec<String>,
    /// For the network.
    pub timeouts: Timeouts,
}

/// An item with its body.
#[derive(Debug, Clone)]
pub struct Item {
    /// What is known of it.
    pub meta: ItemMeta,
    /// "message/rfc822", "text/calendar"…
    pub media_type: String,
    /// Its bytes.
    pub content: Blob,
}

/// An account and the instance it lives in.
///
/// A call takes the instance out and puts it back when it ended well. Whatever happens in between (a trap, a limit, a
/// lie, a dropped future), an instance in an unknown state is never used again; the next call makes a new one and
/// opens the account anew; whoever calls decides on pauses.
pub(crate) struct Account {
    plugin: Plugin,
    grants: Arc<Grants>,
    purpose: Use,
    settings: String,
    live: Option<Live>,
    faults: u32,
    last: Option<Failure>,
}

/// An instance with an open account.
struct Live {
    running: Running,
    source: source::Guest,
    reading: Option<ResourceAny>,
    writing: Option<(destination::Guest, ResourceAny)>,
}

/// Gives the plugin a handle of an item's body, for a call.
fn lend(call: &mut Call, item: Item) -> wasmtime::Result<types::Item> {
    Ok(types::Item {
        meta: convert::meta_to_guest(item.meta),
        media_type: item.media_type,
        content: call.live.running.store.data_mut().lend(item.content)?,
    })
}

/// A call under way.
struct Call {
    live: Live,
    _ticking: Ticking,
}

impl Account {
    pub(crate) fn new(plugin: &Plugin, spec: &AccountSpec, purpose: Use) -> Self {
        Self {
            plugin: plugin.clone(),
            grants: Arc::new(Grants::new(plugin.description(), spec, purpose)),
            purpose,
            settings: Value::Object(spec.settings.clone()).to_string(),
            live: None,
            faults: 0,
            last: None,
        }
    }

    /// Opens the account for what it is for, unless it is open.
    pub(crate) async fn open(&mut self) -> Result<(), Failure> {
        let live = self.enter(self.purpose).await?.live;
        self.live = Some(live);
        Ok(())
    }

    /// Takes the instance for a call. It is lost unless [`Account::leave`] puts it back.
    async fn enter(&mut self, purpose: Use) -> Result<Call, Failure> {
        self.grants.activity().call();
        let ticking = self.plugin.shared().ticker.tick();
        let mut live = match self.live.take() {
            Some(live) => live,
            None => self.start().await?,
        };
        if purpose == Use::Source && live.reading.is_none() {
            let clock = live.running.begin();
            let guest = live.source.account();
            let opening = guest.call_open(&mut live.running.store, &self.settings);
            let opened = watch(clock, opening).await;
            live.reading = Some(self.opened(opened)?);
        }
        if purpose == Use::Destination && live.writing.is_none() {
            let guest = self.destination_exports(&mut live)?;
            let clock = live.running.begin();
            let opening = guest.account();
            let opened = watch(clock, opening.call_open(&mut live.running.store, &self.settings)).await;
            let account = self.opened(opened)?;
            live.writing = Some((guest, account));
        }
        Ok(Call {
            live,
            _ticking: ticking,
        })
    }

    /// A fresh instance.
    async fn start(&mut self) -> Result<Live, Failure> {
        if let Some(last) = self.last.as_ref().filter(|_| self.faults >= MOST_FAULTS) {
            return Err(last.clone());
        }
        let shared = self.plugin.shared();
        let Ok(place) = Arc::clone(&shared.places).try_acquire_owned() else {
            return Err(Failure::Unavailable(format!(
                "all {} places for plugin instances are taken; lower `mailboxes` or `connections` in [limits]",
                shared.limits.max_instances
            )));
        };
        let made = async {
            let mut running = Running::new(shared, self.plugin.pre(), Arc::clone(&self.grants), place).await?;
            let source = self
                .plugin
                .source_exports()
                .load(&mut running.store, &running.instance)?;
            Ok(Live {
                running,
                source,
                reading: None,
                writing: None,
            })
        };
        made.await.map_err(|error| self.fault("instantiate", &error))
    }

    fn destination_exports(&mut self, live: &mut Live) -> Result<destination::Guest, Failure> {
        let Some(exports) = self.plugin.destination_exports() else {
            return Err(Failure::Unsupported(format!(
                "connector `{}` can only read",
                self.grants.plugin()
            )));
        };
        let running = &mut live.running;
        exports
            .load(&mut running.store, &running.instance)
            .map_err(|error| self.fault("instantiate", &error))
    }

    /// Opening failed: the instance goes, the failure is the plugin's answer.
    fn opened<T>(&mut self, answer: wasmtime::Result<Result<T, types::Failure>>) -> Result<T, Failure> {
        match answer {
            Ok(Ok(account)) => Ok(account),
            Ok(Err(failure)) => Err(convert::failure(failure)),
            Err(error) => Err(self.fault("open", &error)),
        }
    }

    /// Ends a call: the instance goes back, unless it trapped or says that its session is dead.
    fn leave<T>(
        &mut self,
        verb: &'static str,
        call: Call,
        answer: wasmtime::Result<Result<T, types::Failure>>,
    ) -> Result<T, Failure> {
        match answer {
            Ok(Ok(answer)) => {
                self.live = Some(call.live);
                Ok(answer)
            }
            Ok(Err(failure)) => {
                self.faults = 0;
                let failure = convert::failure(failure);
                let dead = matches!(
                    failure,
                    Failure::Unavailable(_) | Failure::Unauthenticated(_) | Failure::Internal(_)
                );
                if !dead {
                    self.live = Some(call.live);
                }
                Err(failure)
            }
            Err(error) => Err(self.fault(verb, &error)),
        }
    }

    /// An answer was judged. A liar's instance is not used again.
    fn judge<T>(&mut self, verb: &'static str, answer: T, verdict: Result<(), Lie>) -> Result<T, Failure> {
        match verdict {
            Ok(()) => {
                self.faults = 0;
                Ok(answer)
            }
            Err(lie) => {
                self.live = None;
                self.grants
                    .activity()
                    .refuse(Attempt::Lie, &format!("in `{verb}`: {lie}"));
                Err(self.blame(verb, &format!("{lie}. That is against the contract")))
            }
        }
    }

    fn fault(&mut self, verb: &'static str, error: &wasmtime::Error) -> Failure {
        tracing::debug!(
            plugin = self.grants.plugin(),
            mailbox = self.grants.mailbox(),
            verb,
            "{error:?}"
        );
        let activity = self.grants.activity();
        activity.tell(|| Seen::Fault {
            call: verb,
            reason: why(error),
            stack: stack(error),
        });
        match cause(error) {
            Cause::Time => activity.fault(Fault::Time),
            Cause::Memory => activity.fault(Fault::Memory),
            Cause::Trap => activity.fault(Fault::Trap),
            Cause::Misuse => activity.refuse(Attempt::Misuse, &format!("in `{verb}`: {}", why(error))),
            Cause::Host => {}
        }
        self.blame(verb, &why(error))
    }

    /// A fault of the plugin's own.
    fn blame(&mut self, verb: &'static str, reason: &str) -> Failure {
        self.faults += 1;
        let (plugin, version) = (self.grants.plugin(), &self.plugin.description().version);
        let failure = Failure::Internal(format!(
            "connector `{plugin}` {version} in `{verb}`: {reason}. This is a fault in the connector: tell its vendor"
        ));
        let mailbox = self.grants.mailbox();
        tracing::warn!(
            plugin,
            mailbox,
            verb,
            reason,
            faults = self.faults,
            "a connector failed; its instance is dropped"
        );
        self.last = Some(failure.clone());
        failure
    }

    /// The handle that was opened by [`Account::enter`]; there is always one.
    fn reading(call: &Call) -> wasmtime::Result<ResourceAny> {
        call.live
            .reading
            .ok_or_else(|| wasmtime::Error::msg("was called without an open account"))
    }
}

/// Calls an exported method and gives its answer, or the trap. The account must have been entered.
macro_rules! read_call {
    ($call:ident, $method:ident $(, $argument:expr)*) => {
        match Account::reading(&$call) {
            Ok(account) => {
                let clock = $call.live.running.begin();
                let guest = $call.live.source.account();
                watch(clock, guest.$method(&mut $call.live.running.store, account $(, $argument)*)).await
            }
            Err(error) => Err(error),
        }
    };
}
macro_rules! write_call {
    ($call:ident, $method:ident $(, $argument:expr)*) => {
        match &$call.live.writing {
            Some((guest, account)) => {
                let clock = $call.live.running.begin();
                watch(clock, guest.account().$method(&mut $call.live.running.store, *account $(, $argument)*)).await
            }
            None => Err(wasmtime::Error::msg("was called without an open account")),
        }
    };
}

/// Reading, from either side.
impl Account {
    async fn collections(&mut self) -> Result<Vec<Collection>, Failure> {
        let mut call = self.enter(Use::Source).await?;
        let answer = read_call!(call, call_collections);
        let found = self.leave("collections", call, answer)?;
        let found: Vec<_> = found.into_iter().map(convert::collection).collect();
        let verdict = validate::collections(&found, &self.plugin.shared().limits);
        self.judge("collections", found, verdict)
    }

    async fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure> {
        let mut call = self.enter(Use::Source).await?;
        let answer = read_call!(call, call_changes, collection, cursor, limit);
        let page = convert::page(self.leave("changes", call, answer)?);
        let verdict = validate::page(&page, cursor, limit, &self.plugin.shared().limits);
        self.judge("changes", page, verdict)
    }

    async fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item, Failure>>, Failure> {
        let mut call = self.enter(Use::Source).await?;
        let answer = read_call!(call, call_fetch, collection, ids);
        // Bodies leave the plugin's table while the instance is at hand.
        let answer = match answer {
            Ok(Ok(answers)) => answers
                .into_iter()
                .map(|answer| match answer {
                    Ok(item) => Ok(Ok(Item {
                        content: call.live.running.store.data_mut().take_body(item.content)?,
                        meta: convert::meta(item.meta),
                        media_type: item.media_type,
                    })),
                    Err(failure) => Ok(Err(convert::failure(failure))),
                })
                .collect::<wasmtime::Result<Vec<_>>>()
                .map(Ok),
            Ok(Err(failure)) => Ok(Err(failure)),
            Err(error) => Err(error),
        };
        let items = self.leave("fetch", call, answer)?;
        let limits = &self.plugin.shared().limits;
        let verdict = validate::answers("items", &items, ids.len()).and_then(|()| {
            ids.iter().zip(&items).try_for_each(|(id, answer)| match answer {
                Ok(item) => validate::item(&item.meta, &item.media_type, id, limits),
                Err(_) => Ok(()),
            })
        });
        self.judge("fetch", items, verdict)
    }

    async fn wait(&mut self, timeout: Duration) -> Result<Vec<String>, Failure> {
        let milliseconds = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX);
        let mut call = self.enter(Use::Source).await?;
        let answer = read_call!(call, call_wait, milliseconds);
        let changed = self.leave("wait", call, answer)?;
        let verdict = validate::ids("collections", &changed, &self.plugin.shared().limits);
        self.judge("wait", changed, verdict)
    }

    /// Lets the plugin say goodbye; what it thinks of it no longer matters.
    async fn close(mut self) {
        let Some(mut live) = self.live.take() else { return };
        let _ticking = self.plugin.shared().ticker.tick();
        let accounts = live
            .reading
            .take()
            .into_iter()
            .chain(live.writing.take().map(|(_, account)| account));
        let closing = async {
            for account in accounts {
                live.running.begin();
                account.resource_drop_async(&mut live.running.store).await?;
            }
            Ok::<_, wasmtime::Error>(())
        };
        if let Ok(Err(error)) = tokio::time::timeout(CLOSING, closing).await {
            tracing::debug!(
                plugin = self.grants.plugin(),
                mailbox = self.grants.mailbox(),
                "closing: {error:?}"
            );
        }
    }
}

/// Writing.
impl Account {
    async fn limits(&mut self, kind: Kind) -> Result<Limits, Failure> {
        let mut call = self.enter(Use::Destination).await?;
        let answer = write_call!(call, call_limits, convert::kind_to_guest(kind));
        let limits = convert::limits(self.leave("limits", call, answer)?);
        let verdict = validate::limits(&limits);
        self.judge("limits", limits, verdict)
    }

    async fn ensure_all(&mut self, wanted: &[Collection]) -> Result<Vec<Result<Collection, Failure>>, Failure> {
        let to_guest = |wanted: &Collection| types::Collection {
            id: String::new(),
            ..convert::collection_to_guest(wanted)
        };
        let asked: Vec<_> = wanted.iter().map(to_guest).collect();
        let mut call = self.enter(Use::Destination).await?;
        let answer = write_call!(call, call_ensure, &asked);
        let found = answers(self.leave("ensure", call, answer)?, convert::collection);
        let limits = &self.plugin.shared().limits;
        let verdict = validate::answers("collections", &found, wanted.len())
            .and_then(|()| validate::each(&found, |it| validate::collection(it, limits)));
        self.judge("ensure", found, verdict)
    }

    async fn watermark(&mut self, collection: &str) -> Result<String, Failure> {
        let mut call = self.enter(Use::Destination).await?;
        let answer = write_call!(call, call_watermark, collection);
        let watermark = self.leave("watermark", call, answer)?;
        let verdict = validate::cursor("a watermark", &watermark);
        self.judge("watermark", watermark, verdict)
    }

    async fn put(&mut self, collection: &str, items: Vec<Item>) -> Result<Vec<Result<Placement, Failure>>, Failure> {
        let asked = items.len();
        let mut call = self.enter(Use::Destination).await?;
        let mut lent = Vec::with_capacity(asked);
        for item in items {
            match lend(&mut call, item) {
                Ok(item) => lent.push(item),
                Err(error) => return Err(self.fault("put", &error)),
            }
        }
        let answer = write_call!(call, call_put, collection, &lent);
        let placed = answers(self.leave("put", call, answer)?, convert::placement);
        let limits = &self.plugin.shared().limits;
        let verdict = validate::answers("placements", &placed, asked)
            .and_then(|()| validate::each(&placed, |it| validate::placement(it, limits)))
            .and_then(|()| validate::apart(&placed));
        self.judge("put", placed, verdict)
    }

    async fn copy(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement, Failure> {
        let mut call = self.enter(Use::Destination).await?;
        let answer = write_call!(call, call_copy, origin, id, target);
        let placed = convert::placement(self.leave("copy", call, answer)?);
        let verdict = validate::placement(&placed, &self.plugin.shared().limits);
        self.judge("copy", placed, verdict)
    }

    async fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement, Failure> {
        let mut call = self.enter(Use::Destination).await?;
        let answer = write_call!(call, call_relocate, origin, id, target);
        let placed = convert::placement(self.leave("relocate", call, answer)?);
        let verdict = validate::placement(&placed, &self.plugin.shared().limits);
        self.judge("relocate", placed, verdict)
    }

    async fn replace(
        &mut self,
        collection: &str,
        id: &str,
        revision: Option<&str>,
        item: Item,
    ) -> Result<Placement, Failure> {
        let mut call = self.enter(Use::Destination).await?;
        let item = match lend(&mut call, item) {
            Ok(item) => item,
            Err(error) => return Err(self.fault("replace", &error)),
        };
        let answer = write_call!(call, call_replace, collection, id, revision, &item);
        let placed = convert::placement(self.leave("replace", call, answer)?);
        let verdict = validate::placement(&placed, &self.plugin.shared().limits);
        self.judge("replace", placed, verdict)
    }

    async fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Vec<Result<(), Failure>>, Failure> {
        let wanted: Vec<_> = remarks.iter().map(convert::remark_to_guest).collect();
        let mut call = self.enter(Use::Destination).await?;
        let answer = write_call!(call, call_mark, collection, &wanted);
        let marked = answers(self.leave("mark", call, answer)?, |()| ());
        let verdict = validate::answers("answers", &marked, remarks.len());
        self.judge("mark", marked, verdict)
    }

    async fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<(), Failure>>, Failure> {
        let mut call = self.enter(Use::Destination).await?;
        let answer = write_call!(call, call_remove, collection, ids);
        let removed = answers(self.leave("remove", call, answer)?, |()| ());
        let verdict = validate::answers("answers", &removed, ids.len());
        self.judge("remove", removed, verdict)
    }
}

fn answers<A, B>(answers: Vec<Result<A, types::Failure>>, convert: impl Fn(A) -> B) -> Vec<Result<B, Failure>> {
    answers
        .into_iter()
        .map(|answer| answer.map(&convert).map_err(convert::failure))
        .collect()
}

/// An account open for reading. See `source` in the contract for what each call promises.
pub struct Source(pub(crate) Account);

impl Source {
    /// All collections, parents before children.
    pub async fn collections(&mut self) -> Result<Vec<Collection>, Failure> {
        self.0.collections().await
    }

    /// The page of changes after `cursor`, at most `limit`.
    pub async fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure> {
        self.0.changes(collection, cursor, limit).await
    }

    /// The items of these ids, one answer for each, in order.
    pub async fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item, Failure>>, Failure> {
        self.0.fetch(collection, ids).await
    }

    /// Ids of collections that changed, or none when the time is up.
    pub async fn wait(&mut self, timeout: Duration) -> Result<Vec<String>, Failure> {
        self.0.wait(timeout).await
    }

    /// Closes the account in good order. Dropping it instead is safe, only less polite to the server.
    pub async fn close(self) {
        self.0.close().await;
    }
}

/// An account open for writing and for reading back what was written. See `destination` in the contract.
pub struct Destination(pub(crate) Account);

impl Destination {
    /// What the destination can take.
    pub async fn limits(&mut self, kind: Kind) -> Result<Limits, Failure> {
        self.0.limits(kind).await
    }

    /// Finds or creates collections and gives them as they are: one answer for each, in order. At most 1,000 at once,
    /// parents before children; the ids of `wanted` are ignored.
    pub async fn ensure_all(&mut self, wanted: &[Collection]) -> Result<Vec<Result<Collection, Failure>>, Failure> {
        self.0.ensure_all(wanted).await
    }

    /// [`Destination::ensure_all`] of one.
    pub async fn ensure(&mut self, wanted: &Collection) -> Result<Collection, Failure> {
        let answers = self.ensure_all(std::slice::from_ref(wanted)).await?;
        let missing = || Err(Failure::Internal("`ensure` gave no answer".to_owned()));
        answers.into_iter().next().unwrap_or_else(missing)
    }

    /// A cursor for [`Destination::changes`] after which everything put from now on is listed.
    pub async fn watermark(&mut self, collection: &str) -> Result<String, Failure> {
        self.0.watermark(collection).await
    }

    /// Stores items: one answer for each, in order. When the call as a whole fails, an unknown part was stored.
    pub async fn put(
        &mut self,
        collection: &str,
        items: Vec<Item>,
    ) -> Result<Vec<Result<Placement, Failure>>, Failure> {
        self.0.put(collection, items).await
    }

    /// Item `id` of collection `origin` into `target` as well.
    pub async fn copy(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement, Failure> {
        self.0.copy(origin, id, target).await
    }

    /// Item `id` of collection `origin` into `target` instead.
    pub async fn relocate(&mut self, origin: &str, id: &str, target: &str) -> Result<Placement, Failure> {
        self.0.relocate(origin, id, target).await
    }

    /// Item `id` has this content from now on, where it still has this revision.
    pub async fn replace(
        &mut self,
        collection: &str,
        id: &str,
        revision: Option<&str>,
        item: Item,
    ) -> Result<Placement, Failure> {
        self.0.replace(collection, id, revision, item).await
    }

    /// Sets flags and labels: one answer for each, in order.
    pub async fn mark(&mut self, collection: &str, remarks: &[Remark]) -> Result<Vec<Result<(), Failure>>, Failure> {
        self.0.mark(collection, remarks).await
    }

    /// Removes items: one answer for each, in order.
    pub async fn remove(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<(), Failure>>, Failure> {
        self.0.remove(collection, ids).await
    }

    /// As [`Source::collections`], in the same instance.
    pub async fn collections(&mut self) -> Result<Vec<Collection>, Failure> {
        self.0.collections().await
    }

    /// As [`Source::changes`], in the same instance.
    pub async fn changes(&mut self, collection: &str, cursor: Option<&str>, limit: u32) -> Result<Page, Failure> {
        self.0.changes(collection, cursor, limit).await
    }

    /// As [`Source::fetch`], in the same instance.
    pub async fn fetch(&mut self, collection: &str, ids: &[String]) -> Result<Vec<Result<Item, Failure>>, Failure> {
        self.0.fetch(collection, ids).await
    }

    /// Closes the account in good order. Dropping it instead is safe, only less polite to the server.
    pub async fn close(self) {
        self.0.close().await;
    }
}
