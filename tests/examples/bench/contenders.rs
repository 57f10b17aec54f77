//! Who copies, and the field they run on.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use tempfile::TempDir;
use whimbrel_tests::account::Account;
use whimbrel_tests::compare::{Allow, differences};
use whimbrel_tests::proxy::{Plan, Proxy};
use whimbrel_tests::run::{Job, account, imap_side_at, mailbox};
use whimbrel_tests::scratch;
use whimbrel_tests::servers::{Dovecot, Options, PASSWORD, Server};
use whimbrel_tests::writers;

use crate::accounts::Kind;
use crate::floor::{self, Manner};
use crate::peers::Peer;
use crate::process::{self, Cost};

/// The longest that any of them may take.
const LIMIT: Duration = Duration::from_secs(900);

/// Somebody who copies an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contender {
    /// The program itself.
    Whimbrel,
    /// A bare copier, with so many connections.
    Floor {
        /// Connections a side.
        connections: usize,
        /// Whether it SELECTs each folder at the destination.
        select: bool,
    },
    /// Another program.
    Peer(Peer, PathBuf),
}

impl Contender {
    /// Everybody who can run here.
    pub fn all() -> Vec<Self> {
        let floors =
            [(1, false), (4, false), (4, true)].map(|(connections, select)| Self::Floor { connections, select });
        let peers = Peer::ALL
            .into_iter()
            .filter_map(|peer| Some(Self::Peer(peer, peer.program()?)));
        floors.into_iter().chain([Self::Whimbrel]).chain(peers).collect()
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::Whimbrel => "whimbrel".to_owned(),
            Self::Floor { connections, select } => {
                let select = if *select { ", SELECTed" } else { "" };
                let plural = if *connections == 1 { "" } else { "s" };
                format!("floor, {connections} connection{plural}{select}")
            }
            Self::Peer(peer, _) => peer.name().to_owned(),
        }
    }
}

/// One copy of an account.
#[derive(Debug, Clone)]
pub struct Run {
    /// Who copied.
    pub name: String,
    /// What the copy cost; of the floor, wall time only.
    pub cost: Cost,
    /// Seconds of a second run with nothing new, where there is such a thing.
    pub again: Option<f64>,
    /// Bytes over both lines, where they were counted.
    pub line: Option<u64>,
    /// What is not as it was, where that was looked at.
    pub wrong: Option<Vec<String>>,
}

impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Cost { wall, cpu, peak } = self.cost;
        write!(
            f,
            "{:32} {wall:7.3} s, {cpu:6.2} s of CPU, {:5.1} MB",
            self.name,
            peak as f64 / 1e6
        )?;
        if let Some(again) = self.again {
            write!(f, ", again {again:.3} s")?;
        }
        if let Some(line) = self.line {
            write!(f, ", {:.1} MB on the line", line as f64 / 1e6)?;
        }
        match self.wrong.as_deref() {
            None | Some([]) => Ok(()),
            Some(wrong) => write!(f, "; {} things are not as they were, e.g. {}", wrong.len(), wrong[0]),
        }
    }
}

/// Two servers, and an account at the first.
pub struct Field {
    source: Dovecot,
    destination: Dovecot,
    lines: Option<[Proxy; 2]>,
    expected: Account,
    runs: u32,
}

impl Field {
    /// Starts the servers and fills the first; with a delaying line before each where `rtt` is not zero.
    pub fn new(kind: Kind, disk: bool, rtt: Duration) -> Self {
        let options = |on_disk| Options {
            on_disk,
            // As Dovecot is delivered.
            extra: "mail_fsync = optimized\n",
            ..Options::default()
        };
        let (source, destination) = (Dovecot::start(&options(false)), Dovecot::start(&options(disk)));
        let tree = scratch::folder("bench");
        writers::maildir(tree.path(), &kind.account());
        source.adopt("alice", tree.path());
        drop(tree);
        // Its indexes are made, as those of an account in use are.
        let expected = Account::read(&mut source.imap("alice"));
        let lines = (!rtt.is_zero()).then(|| {
            [source.port(), destination.port()].map(|port| {
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
            source,
            destination,
            lines,
            expected,
            runs: 0,
        }
    }

    fn ports(&self) -> (u16, u16) {
        match &self.lines {
            Some([source, destination]) => (source.port(), destination.port()),
            None => (self.source.port(), self.destination.port()),
        }
    }

    fn on_the_line(&self) -> u64 {
        self.lines.iter().flatten().map(Proxy::bytes).sum()
    }

    /// Lets somebody copy the account to a new user; with `look`, what arrived is compared.
    pub fn run(&mut self, contender: &Contender, look: bool) -> Result<Run, String> {
        self.runs += 1;
        let user = format!("user{}", self.runs);
        let (from, to) = self.ports();
        let before = self.on_the_line();
        let (cost, again) = match contender {
            Contender::Floor { connections, select } => {
                let manner = Manner {
                    connections: *connections,
                    batch: 50,
                    select: *select,
                };
                let wall = floor::copy((from, "alice"), (to, &user), manner).as_secs_f64();
                let cost = Cost {
                    wall,
                    cpu: 0.0,
                    peak: 0,
                };
                (cost, None)
            }
            Contender::Whimbrel => {
                let job = Job::new(&[
                    imap_side_at("source", from, None),
                    imap_side_at("destination", to, None),
                    mailbox("alice", &account("alice"), &account(&user)),
                ]);
                let mut command = job.command(&["migrate"]);
                let cost = process::run(&mut command, LIMIT)?;
                (cost, Some(process::run(&mut command, LIMIT)?.wall))
            }
            Contender::Peer(peer, program) => {
                let state: TempDir = scratch::folder("peer");
                let mut command = peer.command(program, (from, "alice"), (to, &user), state.path());
                command.env("WHIMBREL_TEST_PASSWORD", PASSWORD);
                let cost = process::run(&mut command, LIMIT)?;
                (cost, Some(process::run(&mut command, LIMIT)?.wall))
            }
        };
        let line = self.lines.is_some().then(|| self.on_the_line() - before);
        let allow = Allow {
            special: true,
            ..Allow::dovecot()
        };
        let wrong = look.then(|| {
            let found = Account::read(&mut self.destination.imap(&user));
            differences(&self.expected, &found, &allow)
        });
        let _ = fs::remove_dir_all(self.destination.home(&user));
        Ok(Run {
            name: contender.name(),
            cost,
            again,
            line,
            wrong,
        })
    }
}
