//! The field they run on: two servers, lines before them, and the account at the first.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use whimbrel_tests::account::Account;
use whimbrel_tests::compare::{Allow, differences};
use whimbrel_tests::imap::Imap;
use whimbrel_tests::proxy::{Plan, Proxy};
use whimbrel_tests::run::{Job, account, imap_side_at, mailbox};
use whimbrel_tests::scratch;
use whimbrel_tests::servers::{Dovecot, Options, Server};

use crate::Wanted;
use crate::accounts::Kind;
use crate::connectors;
use crate::contenders::Contender;
use crate::floor::{self, Manner};
use crate::peers::Route;
use crate::process::{self, Cost};
use crate::run::{Again, Run, Traffic};

/// How often a run with nothing new is made after each copy.
const AGAIN: usize = 3;
/// How many messages the floor puts into one APPEND.
const BATCH: u64 = 50;

/// Two servers, and an account at the first.
pub struct Field {
    kind: Kind,
    disk: bool,
    source: Dovecot,
    destination: Dovecot,
    /// Before the source, the destination, and the destination's own protocol.
    lines: Option<[Proxy; 3]>,
    rtt: Duration,
    at_once: Option<u32>,
    /// What is compared, with the number of the user.
    expected: Vec<(usize, Account)>,
    runs: u32,
    /// Compiled connectors.
    images: TempDir,
}

/// A user at the source, and whom the mail is copied to.
type Pair = (String, String);

impl Field {
    /// Starts the servers and fills the first; with a delaying line before each where that is wanted.
    pub fn new(kind: Kind, disk: bool, wanted: &Wanted) -> Self {
        let (rtt, at_once) = (wanted.rtt, wanted.at_once);
        let options = |on_disk| Options {
            on_disk,
            dsync: true,
            // As Dovecot is delivered.
            extra: "mail_fsync = optimized\n".into(),
            ..Options::default()
        };
        let (source, destination) = (Dovecot::start(&options(false)), Dovecot::start(&options(disk)));
        kind.write(&source);
        let compared = kind.compared();
        let mut expected = Vec::new();
        for (number, user) in kind.users().iter().enumerate() {
            // Its indexes are made, as those of an account in use are.
            let mut imap = source.imap(user);
            match compared.contains(&number) {
                true => expected.push((number, Account::read(&mut imap))),
                false => index(&mut imap),
            }
        }
        let lines = (!rtt.is_zero()).then(|| {
            [source.port(), destination.port(), destination.dsync_port()].map(|port| {
                Proxy::start(
                    port,
                    Plan {
                        delay: rtt / 2,
                        ..Plan::default()
                    },
                )
            })
        });
        Self {
            kind,
            disk,
            source,
            destination,
            lines,
            rtt,
            at_once,
            expected,
            runs: 0,
            images: scratch::folder("images"),
        }
    }

    /// A folder for what a contender remembers: where the destination lies, too.
    fn state(&self, purpose: &str) -> TempDir {
        match self.disk {
            true => scratch::on_disk(purpose),
            false => scratch::folder(purpose),
        }
    }

    fn ports(&self) -> [u16; 3] {
        match &self.lines {
            Some(lines) => lines.each_ref().map(Proxy::port),
            None => [
                self.source.port(),
                self.destination.port(),
                self.destination.dsync_port(),
            ],
        }
    }

    fn traffic(&self) -> Option<Traffic> {
        let lines = self.lines.as_ref()?;
        Some(Traffic {
            bytes: lines.iter().map(Proxy::bytes).sum(),
            turns: lines.iter().map(Proxy::turns).sum(),
        })
    }

    /// What passed since.
    fn since(&self, before: Option<Traffic>) -> Option<Traffic> {
        Some(self.traffic()? - before?)
    }

    /// Lets somebody copy the account to new users; with `look`, what arrived is compared.
    pub fn run(&mut self, contender: &Contender, look: bool) -> Result<Run, String> {
        self.runs += 1;
        let to = |user: String| (user.clone(), format!("run{}-{user}", self.runs));
        let pairs: Vec<Pair> = self.kind.users().into_iter().map(to).collect();
        let outcome = self.copy(contender, &pairs).map(|run| Run {
            wrong: look.then(|| self.looked(&pairs)),
            ..run
        });
        for (_, to) in &pairs {
            let _ = fs::remove_dir_all(self.destination.home(to));
        }
        outcome
    }

    fn copy(&self, contender: &Contender, pairs: &[Pair]) -> Result<Run, String> {
        let [from, to, dsync] = self.ports();
        let [(alice, other), ..] = pairs else {
            return Err("there are no users".to_owned());
        };
        let name = contender.name();
        match contender {
            Contender::Floor { connections, select } => {
                let manner = Manner {
                    connections: *connections,
                    batch: BATCH,
                    select: *select,
                };
                Ok(self.timed(name, || floor::copy((from, alice), (to, other), manner)))
            }
            Contender::Workers(workers) => {
                Ok(self.timed(name, || floor::copy_users([from, to], pairs, *workers, BATCH)))
            }
            Contender::Whimbrel { ledger_in_memory } => {
                let mut sections = vec![
                    imap_side_at("source", from, None),
                    imap_side_at("destination", to, None),
                ];
                sections.extend(self.at_once.map(|at_once| format!("[limits]\nmailboxes = {at_once}\n")));
                sections.extend(
                    pairs
                        .iter()
                        .map(|(user, other)| mailbox(user, &account(user), &account(other))),
                );
                let folder = if *ledger_in_memory {
                    scratch::folder("job")
                } else {
                    self.state("job")
                };
                let job = Job::within(folder, &sections);
                self.ran(name, &mut job.command(&["migrate"]))
            }
            Contender::Engine { native } => {
                let state = self.state("job");
                let images = self.images.path();
                connectors::compile(images)?;
                let own = std::env::current_exe().map_err(|error| error.to_string())?;
                let words = connectors::words(*native, (from, alice), (to, other), state.path(), images);
                self.ran(name, Command::new(own).args(words))
            }
            Contender::Peer(peer, program) => {
                let state = self.state("peer");
                let [source, destination] = [&self.source, &self.destination].map(Dovecot::configuration);
                let route = Route {
                    source: (from, alice),
                    destination: (to, other),
                    configurations: [&source, &destination],
                    dsync,
                    state: state.path(),
                };
                let alias = peer.needs_alias();
                if alias {
                    self.source.alias(alice, other);
                }
                let outcome = self.ran(name, &mut peer.command(program, &route));
                if alias {
                    let _ = fs::remove_file(self.source.home(other));
                }
                outcome
            }
        }
    }

    /// A run of the floor.
    fn timed(&self, name: String, copy: impl FnOnce() -> Duration) -> Run {
        let before = self.traffic();
        let wall = copy().as_secs_f64();
        Run {
            name,
            messages: self.kind.messages(),
            cost: Cost {
                wall,
                cpu: 0.0,
                peak: 0,
            },
            line: self.since(before),
            flushes: None,
            again: None,
            problem: None,
            wrong: None,
        }
    }

    /// A run of a program, and further ones with nothing new.
    fn ran(&self, name: String, command: &mut Command) -> Result<Run, String> {
        let before = self.traffic();
        let (cost, output) = process::run(command, self.kind.limit())?;
        let line = self.since(before);
        let (again, problem) = match self.again(command) {
            Ok(again) => (Some(again), None),
            Err(problem) => (None, Some(problem)),
        };
        Ok(Run {
            name,
            messages: self.kind.messages(),
            cost,
            line,
            flushes: flushes(&output),
            again,
            problem,
            wrong: None,
        })
    }

    fn again(&self, command: &mut Command) -> Result<Again, String> {
        let mut runs = Vec::new();
        for _ in 0..AGAIN {
            let before = self.traffic();
            let (cost, _) = process::run(command, self.kind.limit())?;
            runs.push((cost.wall, self.since(before)));
        }
        runs.sort_by(|(one, _), (other, _)| one.total_cmp(other));
        let (wall, line) = runs[AGAIN / 2];
        Ok(Again {
            walls: runs.iter().map(|(wall, _)| *wall).collect(),
            line,
            serial: self.lines.is_some().then(|| wall / self.rtt.as_secs_f64()),
        })
    }

    /// What is not as it was, or that it cannot be told.
    fn looked(&self, pairs: &[Pair]) -> Vec<String> {
        for (_, to) in pairs {
            self.forget_list(to);
        }
        let wrong = catch_unwind(AssertUnwindSafe(|| self.wrong(pairs)));
        wrong.unwrap_or_else(|_| vec!["what arrived cannot be read, see above".to_owned()])
    }

    /// Lets the destination list its folders anew: doveadm may leave some in its list that are gone.
    fn forget_list(&self, user: &str) {
        let entries = fs::read_dir(self.destination.store(user));
        for entry in entries.into_iter().flatten().flatten() {
            if entry.file_name().to_string_lossy().starts_with("dovecot.list.index") {
                let _ = fs::remove_file(entry.path());
            }
        }
    }

    /// What is not as it was.
    fn wrong(&self, pairs: &[Pair]) -> Vec<String> {
        if self.expected.is_empty() {
            return pairs
                .iter()
                .flat_map(|(_, to)| self.miscounted(&mut self.destination.imap(to)))
                .collect();
        }
        let allow = Allow {
            special: true,
            ..Allow::dovecot()
        };
        let mut wrong = Vec::new();
        for (number, expected) in &self.expected {
            let (user, to) = &pairs[*number];
            let found = Account::read(&mut self.destination.imap(to));
            let found = differences(expected, &found, &allow);
            wrong.extend(found.into_iter().map(|line| match pairs.len() {
                1 => line,
                _ => format!("{user}: {line}"),
            }));
        }
        wrong
    }

    /// Folders that do not hold as many messages as they should.
    fn miscounted(&self, imap: &mut Imap) -> Vec<String> {
        let listed: Vec<String> = imap.list().into_iter().map(|folder| folder.name).collect();
        let wrong = |(path, wanted): (Vec<String>, u64)| {
            let name = path.join("/");
            let found = match listed.contains(&name) {
                true => imap.status(&name, "MESSAGES"),
                false => 0,
            };
            (found != wanted).then(|| format!("[{name}] {wanted} messages expected, {found} there"))
        };
        self.kind.folders().into_iter().filter_map(wrong).collect()
    }
}

/// Lets the server make its indexes, without keeping what it says.
fn index(imap: &mut Imap) {
    for folder in imap.list() {
        let is_there = !folder.has("\\Noselect") && !folder.has("\\NonExistent");
        if is_there && imap.examine(&folder.name) > 0 {
            imap.fetch("1:*", false);
        }
    }
}

/// How often the ledger waited for the disk, if the program says so.
fn flushes(output: &str) -> Option<u64> {
    let document: Value = serde_json::from_str(output.trim()).ok()?;
    document.get("flushes")?.as_u64()
}
