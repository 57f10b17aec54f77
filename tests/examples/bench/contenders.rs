//! Who copies.

use std::path::PathBuf;

use crate::accounts::Kind;
use crate::peers::Peer;

/// Somebody who copies an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Contender {
    /// The program itself.
    Whimbrel {
        /// Its ledger lies in memory, though the destination lies on disk: the price of the ledger's flushes.
        ledger_in_memory: bool,
    },
    /// The engine with one connector for both sides, sandboxed or called directly: the price of the sandbox.
    Engine {
        /// Called directly.
        native: bool,
    },
    /// A bare copier, with so many connections.
    Floor {
        /// Connections a side.
        connections: usize,
        /// Whether it SELECTs each folder at the destination.
        select: bool,
    },
    /// A bare copier of many users: so many workers, each of which takes one user after the other.
    Workers(usize),
    /// Another program.
    Peer(Peer, PathBuf),
}

impl Contender {
    /// Everybody who can copy this account here, to a destination on disk or in memory.
    pub fn all(kind: Kind, disk: bool) -> Vec<Self> {
        let floor = |connections, select| Self::Floor { connections, select };
        let whimbrel = |ledger_in_memory| Self::Whimbrel { ledger_in_memory };
        match kind {
            Kind::Fleet => return vec![Self::Workers(4), whimbrel(false)],
            Kind::Million => return vec![floor(4, false), whimbrel(false)],
            _ => {}
        }
        let floors = [floor(1, false), floor(4, false), floor(4, true)];
        let peers = Peer::ALL
            .into_iter()
            .filter_map(|peer| Some(Self::Peer(peer, peer.program()?)));
        let engines = [Self::Engine { native: false }, Self::Engine { native: true }];
        let engines = engines
            .into_iter()
            .filter(|_| matches!(kind, Kind::Mixed | Kind::Small));
        let own = [whimbrel(false)]
            .into_iter()
            .chain(disk.then(|| whimbrel(true)))
            .chain(engines);
        floors.into_iter().chain(own).chain(peers).collect()
    }

    /// Its name.
    pub fn name(&self) -> String {
        match self {
            Self::Whimbrel { ledger_in_memory } => {
                let apart = if *ledger_in_memory { ", ledger in memory" } else { "" };
                format!("whimbrel{apart}")
            }
            Self::Engine { native: false } => "engine, sandboxed connectors".to_owned(),
            Self::Engine { native: true } => "engine, native connectors".to_owned(),
            Self::Floor { connections: 1, .. } => ONE.to_owned(),
            Self::Floor { connections, select } => {
                let select = if *select { ", SELECTed" } else { "" };
                format!("floor, {connections} connections{select}")
            }
            Self::Workers(number) => format!("floor, {number} workers"),
            Self::Peer(peer, _) => peer.name().to_owned(),
        }
    }
}

/// The name of the floor with one connection a side.
pub const ONE: &str = "floor, 1 connection";

/// Whether this is the name of a floor.
pub fn is_floor(name: &str) -> bool {
    name.starts_with("floor")
}
