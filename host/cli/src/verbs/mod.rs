//! One module for each verb.

pub mod assess;
pub mod check;
pub mod demo;
pub mod document;
pub mod events;
pub mod ledger;
pub mod migrate;
pub mod plan;
pub mod plugin;
pub mod proof;
pub mod rebuild;
pub mod report;
pub mod retry;
pub mod rules;
pub mod secrets;
pub mod status;
pub mod verify;

use std::fs::File;
use std::future::Future;
use std::io::{self, BufWriter};
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use whimbrel_engine::Mailbox;

use crate::problem::{Problem, Result};

/// A file that was not there before.
fn new_file(path: &Path) -> Result<BufWriter<File>> {
    let file = File::create_new(path).map(BufWriter::new);
    file.map_err(|error| cannot("write", path, &error))
}

/// What is wrong with a file or folder that somebody asked for.
fn cannot(what: &str, path: &Path, error: &io::Error) -> Box<Problem> {
    let problem = Problem::usage(format!("cannot {what} `{}`: {error}", path.display()));
    Box::new(match error.kind() {
        io::ErrorKind::AlreadyExists => problem.help("nothing is overwritten: name another one, or move it away"),
        _ => problem,
    })
}

/// Does `work` with every mailbox, so many at once; the results come in the order of the mailboxes.
async fn each<T, F>(mailboxes: Vec<Mailbox>, at_once: usize, work: impl Fn(Mailbox) -> F) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let slots = Arc::new(Semaphore::new(at_once.clamp(1, Semaphore::MAX_PERMITS)));
    let mut tasks = JoinSet::new();
    for (number, mailbox) in mailboxes.into_iter().enumerate() {
        let (work, slots) = (work(mailbox), Arc::clone(&slots));
        tasks.spawn(async move {
            let _slot = slots.acquire().await;
            (number, work.await)
        });
    }
    let mut results = Vec::new();
    while let Some(joined) = tasks.join_next().await {
        match joined {
            Ok(result) => results.push(result),
            Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
            Err(_) => {}
        }
    }
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}
