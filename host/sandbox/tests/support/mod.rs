//! A runtime in a folder of its own, and the plugins that `cargo xtask plugins` built.

use std::path::{Path, PathBuf};

use serde_json::Value;
use whimbrel_model::ItemMeta;
use whimbrel_sandbox::{
    AccountSpec, Activity, Connections, Item, Plugin, PluginLimits, Runtime, RuntimeConfig, Timeouts,
};
use whimbrel_wire::{BlobStore, BlobStoreConfig, Credentials, Secret};

/// The built component of this name.
pub fn plugin(name: &str) -> PathBuf {
    // This test lies in <target>/<profile>/deps.
    let own = std::env::current_exe().expect("a test has a path");
    let target = own.ancestors().nth(3).expect("a test lies in a target folder");
    let file = format!("{name}.wasm");
    ["test-plugins", "plugins"]
        .iter()
        .map(|folder| target.join(folder).join(&file))
        .find(|path| path.is_file())
        .unwrap_or_else(|| panic!("{file} is missing: run `cargo xtask plugins`"))
}

/// Where a test tries things out.
pub struct Bench {
    folder: tempfile::TempDir,
    runtime: Runtime,
    blobs: BlobStore,
}

impl Bench {
    pub fn new() -> Self {
        Self::with(PluginLimits::default())
    }

    pub fn with(limits: PluginLimits) -> Self {
        Self::build(limits, true)
    }

    pub fn uncached() -> Self {
        Self::build(PluginLimits::default(), false)
    }

    fn build(limits: PluginLimits, cached: bool) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let spill = folder.path().join("spill");
        let blobs = BlobStore::new(BlobStoreConfig {
            folder: spill,
            memory: 16 << 20,
            threshold: 1 << 20,
        });
        let cache = cached.then(|| folder.path().join("cache"));
        let runtime = Runtime::new(RuntimeConfig {
            cache,
            limits,
            blobs: blobs.clone(),
        })
        .expect("a runtime");
        Self { folder, runtime, blobs }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn cache(&self) -> PathBuf {
        self.folder.path().join("cache")
    }

    pub fn runtime(&self) -> &Runtime {
        &self.runtime
    }

    pub async fn load(&self, name: &str) -> Plugin {
        match self.runtime.load(&plugin(name)).await {
            Ok(plugin) => plugin,
            Err(error) => panic!("{error}"),
        }
    }

    pub fn spec(&self, settings: Value) -> AccountSpec {
        let Value::Object(settings) = settings else {
            panic!("settings are an object")
        };
        AccountSpec {
            mailbox: "alice".into(),
            settings,
            credentials: Credentials::Password {
                user: "alice".into(),
                password: Secret::from("hunter2"),
            },
            ca: None,
            pins: Vec::new(),
            compress: None,
            connections: Connections::default(),
            activity: Activity::default(),
            base: self.folder.path().to_owned(),
            endpoints: Vec::new(),
            timeouts: Timeouts::default(),
        }
    }

    pub async fn item(&self, text: &str) -> Item {
        let mut writer = self.blobs.writer();
        writer.write(text.as_bytes()).await.expect("it is written");
        let content = writer.finish().await.expect("it is finished");
        Item {
            meta: ItemMeta {
                id: "1".into(),
                ..ItemMeta::default()
            },
            media_type: "message/rfc822".into(),
            content,
        }
    }
}

pub fn ids<const N: usize>(ids: [&str; N]) -> Vec<String> {
    ids.map(str::to_owned).to_vec()
}
