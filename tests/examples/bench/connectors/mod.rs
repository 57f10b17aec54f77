//! The price of the sandbox: one mailbox, the same engine and the same connector's code in two processes, once as the
//! component that is shipped and once compiled into this program and called directly.

mod convert;
mod native;
mod session;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use whimbrel_engine::{Clock, Endpoint, FaultOptions, Mailbox, NoObserver, Options, Provider, Stop, migrate};
use whimbrel_ledger::{Ledger, LedgerOptions};
use whimbrel_sandbox::{AccountSpec, Activity, Connections, Plugin, PluginLimits, Runtime, RuntimeConfig};
use whimbrel_tests::servers::PASSWORD;
use whimbrel_wire::{BlobStore, BlobStoreConfig, Credentials, Secret, Timeouts};

/// What the program allows bodies by default.
const MEMORY: u64 = (128 << 20) / 4;

/// Where one side is.
type Side<'a> = (u16, &'a str);

/// The words with which this program does one such run, after its own name.
pub fn words(native: bool, from: Side<'_>, to: Side<'_>, state: &Path, images: &Path) -> Vec<String> {
    let manner = if native { "native" } else { "sandboxed" };
    let mut words = vec![HERE.to_owned(), manner.to_owned()];
    for (port, user) in [from, to] {
        words.extend([port.to_string(), user.to_owned()]);
    }
    words.extend([state, images].map(|path| path.display().to_string()));
    words
}

/// The first of these words.
pub const HERE: &str = "connectors";

/// Does what the words after the first say.
pub fn run(words: &[String]) -> Result<(), String> {
    let [manner, from, alice, to, other, state, images] = words else {
        return Err("this is called by the benchmark itself".to_owned());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let port = |text: &String| text.parse::<u16>().map_err(|error| format!("{text}: {error}"));
    let sides = [(port(from)?, alice.as_str()), (port(to)?, other.as_str())];
    runtime.block_on(moved(manner == "native", sides, Path::new(state), Path::new(images)))
}

async fn moved(native: bool, sides: [Side<'_>; 2], state: &Path, images: &Path) -> Result<(), String> {
    whimbrel_wire::provide_cryptography();
    let blobs = BlobStore::new(BlobStoreConfig {
        folder: state.join("bodies"),
        memory: MEMORY,
        threshold: BlobStoreConfig::THRESHOLD,
    });
    std::fs::create_dir_all(state.join("bodies")).map_err(|error| error.to_string())?;
    let [source, destination] = match native {
        true => sides.map(|(port, user)| {
            let account = native::Imap::new(&settings(port, user), credentials(user), blobs.clone());
            Arc::new(account) as Arc<dyn Provider>
        }),
        false => {
            let plugin = plugin(blobs.clone(), images).await?;
            sides.map(|(port, user)| {
                let spec = spec(settings(port, user), credentials(user), state);
                let plugin = plugin.clone();
                Arc::new(Endpoint { plugin, spec }) as Arc<dyn Provider>
            })
        }
    };
    let options = Options {
        mailboxes: 1,
        connections: 4,
        memory: MEMORY,
        max_item_bytes: None,
        retries: 0,
        repairs: Default::default(),
        rules: None,
        deletions: None,
        only_recognise: false,
        quiet: Duration::from_secs(1),
        faults: FaultOptions::new(Clock::new(|| 0)),
        folders: Default::default(),
        quarantine: None,
        blobs,
    };
    let ledger = LedgerOptions {
        cache_bytes: 32 << 20,
        create: true,
    };
    let ledger = Ledger::open(&state.join("state"), ledger).map_err(|error| error.to_string())?;
    let mailbox = Mailbox::new(sides[0].1, source, destination);
    let report = migrate(&ledger, vec![mailbox], &options, Arc::new(NoObserver), Stop::new())
        .await
        .map_err(|error| error.to_string())?;
    if report.total.failed > 0 || report.total.pending > 0 {
        return Err(format!("not all was moved: {:?}", report.total));
    }
    println!("{}", json!({ "flushes": ledger.flushes() }));
    Ok(())
}

fn settings(port: u16, user: &str) -> Map<String, Value> {
    let settings = json!({ "host": "127.0.0.1", "port": port, "tls": "insecure", "user": user });
    settings.as_object().cloned().unwrap_or_default()
}

fn credentials(user: &str) -> Credentials {
    Credentials::Password {
        user: user.to_owned(),
        password: Secret::new(PASSWORD),
    }
}

/// Compiles the component into this folder, unless it is there, so that no run is charged with it.
pub fn compile(images: &Path) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    let blobs = BlobStore::new(BlobStoreConfig {
        folder: images.to_owned(),
        memory: MEMORY,
        threshold: BlobStoreConfig::THRESHOLD,
    });
    runtime.block_on(plugin(blobs, images)).map(drop)
}

async fn plugin(blobs: BlobStore, images: &Path) -> Result<Plugin, String> {
    let runtime = Runtime::new(RuntimeConfig {
        cache: Some(images.to_owned()),
        limits: PluginLimits::default(),
        blobs,
    });
    let file = whimbrel_tests::run::plugin("imap");
    let plugin = runtime.map_err(|error| error.to_string())?.load(&file).await;
    plugin.map_err(|error| error.to_string())
}

fn spec(settings: Map<String, Value>, credentials: Credentials, state: &Path) -> AccountSpec {
    AccountSpec {
        mailbox: "alice".to_owned(),
        settings,
        credentials,
        ca: None,
        pins: Vec::new(),
        compress: None,
        connections: Connections::default(),
        activity: Activity::default(),
        base: state.to_owned(),
        endpoints: Vec::new(),
        timeouts: Timeouts::default(),
    }
}
