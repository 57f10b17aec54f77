//! What takes more than a line to do wrong.

use std::hint::black_box;

use whimbrel_plugin::bindings::connector::whimbrel::connector::blobs::Writer;
use whimbrel_plugin::imap::{Security, Session};
use whimbrel_plugin::{Blob, Failure, Result, Settings, files, log, warn};

use crate::settings::Mode;
use crate::{attempts, wasi};

/// Computes for ever.
pub fn spin() -> ! {
    let mut count = 0u64;
    loop {
        count = black_box(count.wrapping_add(1));
    }
}

/// Takes memory until there is none.
pub fn allocate() -> ! {
    let mut all: Vec<Vec<u8>> = Vec::new();
    loop {
        all.push(black_box(vec![1; 1024 * 1024]));
    }
}

/// Stops the instance.
pub fn trap() -> ! {
    #[cfg(target_family = "wasm")]
    core::arch::wasm32::unreachable();
    #[cfg(not(target_family = "wasm"))]
    std::process::abort()
}

/// Overflows the stack.
#[allow(unconditional_recursion)] // The point of it.
pub fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    recurse(black_box(depth + 1)) + frame[usize::try_from(depth % 64).unwrap_or(0)]
}

/// Far too many lines, each far too long.
pub fn flood_log() {
    let line = "x".repeat(64 * 1024);
    for number in 0..10_000 {
        warn!("{number} {line}"; "line" => number);
    }
}

/// Makes bodies, each with a writer, and holds them.
pub fn fill_disk() -> ! {
    let piece = vec![b'x'; 1024 * 1024];
    let mut all = Vec::new();
    loop {
        let writer = Writer::new();
        for _ in 0..8 {
            writer.write(&piece);
        }
        all.push(Writer::finish(writer));
    }
}

/// Makes bodies of nothing, and holds them.
pub fn hoard_handles() -> ! {
    let mut all = Vec::new();
    loop {
        all.push(Blob::new(&[]));
    }
}

/// What is tried when an account is opened. A refusal is passed on; success is a fault of the host's.
pub fn on_open(mode: Mode, settings: &Settings) -> Result<()> {
    let refused: Result<()> = match mode {
        Mode::TrapOpen => trap(),
        Mode::UngrantedHost => Session::connect("ungranted.invalid", 993, Security::Implicit).map(drop),
        Mode::UngrantedSetting => files::Folder::open("mode").map(drop),
        Mode::EscapeFolder => files::Folder::open("folder")
            .and_then(|folder| folder.read("../outside", 0, None))
            .map(drop),
        Mode::AbsolutePath => files::Folder::open("folder")
            .and_then(|folder| folder.read("/etc/passwd", 0, None))
            .map(drop),
        Mode::SecretSettings => {
            return if settings.json().contains("password") || settings.json().contains("token") {
                Err(Failure::internal("there is a secret among the settings"))
            } else {
                Ok(())
            };
        }
        Mode::HostTricks => return attempts::host_tricks(settings),
        Mode::ReadSecrets => return attempts::read_secrets(settings),
        Mode::OtherMailbox => return attempts::other_mailbox(),
        Mode::WriteSource => return attempts::write_source(),
        Mode::WriteImap => return attempts::write_imap(settings),
        Mode::AskWasi => return wasi::ask(),
        Mode::HoardFolders => return attempts::hoard_folders(),
        _ => return Ok(()),
    };
    refused?;
    log::write(log::Level::Error, "a door was open that nobody granted", &[]);
    Ok(())
}
