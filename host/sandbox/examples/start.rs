//! How long a connector takes to start: compiled, and from the cache. `start FILE… [--times N]`
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use whimbrel_sandbox::{PluginLimits, Runtime, RuntimeConfig};
use whimbrel_wire::{BlobStore, BlobStoreConfig};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let times = words.iter().position(|word| word == "--times");
    let count = times.and_then(|at| words.get(at + 1)?.parse().ok()).unwrap_or(20);
    let files = times.map_or(&words[..], |at| &words[..at]);
    if files.is_empty() {
        eprintln!("start FILE… [--times N]");
        return ExitCode::FAILURE;
    }
    println!(
        "{:30} {:>10} {:>12} {:>12} {:>12}",
        "connector", "MiB", "compiled ms", "cached ms", "median of"
    );
    for file in files {
        if let Err(error) = measure(Path::new(file), count) {
            eprintln!("{file}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

/// One connector: compiled with an empty cache, then started anew each time, as a new process would.
fn measure(file: &Path, count: usize) -> Result<(), Box<dyn std::error::Error>> {
    let cache = tempfile::tempdir()?;
    let engine = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let load = |cache: PathBuf| {
        let started = Instant::now();
        let runtime = Runtime::new(RuntimeConfig {
            cache: Some(cache),
            limits: PluginLimits::default(),
            blobs: BlobStore::new(BlobStoreConfig {
                folder: std::env::temp_dir(),
                memory: 1 << 20,
                threshold: BlobStoreConfig::THRESHOLD,
            }),
        })?;
        let set_up = started.elapsed();
        let plugin = engine.block_on(runtime.load(file))?;
        Ok::<_, whimbrel_sandbox::LoadError>((started.elapsed().saturating_sub(set_up), plugin.bytes()))
    };
    let (compiled, bytes) = load(cache.path().to_owned())?;
    let mut cached = Vec::new();
    for _ in 0..count.max(1) {
        cached.push(load(cache.path().to_owned())?.0);
    }
    cached.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{:30} {:>10.2} {:>12.1} {:>12.2} {:>12}",
        file.file_name().unwrap_or_default().to_string_lossy(),
        bytes as f64 / f64::from(1 << 20),
        ms(compiled),
        ms(cached[cached.len() / 2]),
        cached.len()
    );
    Ok(())
}
