//! What reading and writing share.

use std::collections::HashSet;

use whimbrel_plugin::files::Folder;
use whimbrel_plugin::{Collection, Failure, Result, Role, Settings};

use crate::faults::Fault;
use crate::listing::View;
use crate::settings;
use crate::store::{Mailbox, Store};

/// An account that is open.
#[derive(Debug)]
pub struct Account {
    /// Where it lies.
    pub folder: Folder,
    /// What is done wrong.
    pub fault: Fault,
    /// Of the account, as it was set.
    pub owner: String,
    /// Bodies that were read.
    pub seen: HashSet<String>,
    /// Whether a listing was begun.
    pub began: bool,
}

impl Account {
    /// Opens the folder that the settings name.
    ///
    /// # Errors
    /// `invalid-settings`, and what opening the folder fails with.
    pub fn open(settings: &Settings) -> Result<Self> {
        let (fault, owner) = settings::read(settings)?;
        Ok(Self {
            fault,
            owner,
            folder: Folder::open("root")?,
            seen: HashSet::new(),
            began: false,
        })
    }

    /// Whether this fault is planted.
    pub fn planted(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    /// All that there is, read anew: somebody else may have written it.
    ///
    /// # Errors
    /// What reading fails with; `throttled` where the account is to be left alone for a while.
    pub fn load(&self) -> Result<Store> {
        let store = Store::load(&self.folder)?;
        match store.throttled {
            None => Ok(store),
            Some(_) if self.planted(Fault::ThrottledAsInternal) => Err(Failure::internal("the account is busy")),
            Some(_) if self.planted(Fault::ThrottledTimeless) => Err(Failure::throttled(None, "the account is busy")),
            Some(seconds) => Err(Failure::throttled(Some(seconds * 1000), "the account is busy")),
        }
    }

    /// A collection as it is shown.
    pub fn view<'a>(&'a self, mailbox: &'a Mailbox) -> View<'a> {
        View {
            mailbox,
            fault: self.fault,
            seen: &self.seen,
            began: self.began,
        }
    }

    /// A collection in the words of the contract.
    pub fn collection(&self, mailbox: &Mailbox) -> Collection {
        let claimed = mailbox.items.len() as u64 + u64::from(self.planted(Fault::ClaimsMore));
        let mut path = mailbox.path.clone();
        if self.planted(Fault::SeparatorSplits) {
            path = path
                .iter()
                .flat_map(|name| name.split('/'))
                .map(str::to_owned)
                .collect();
        }
        Collection::new(mailbox.id.clone(), path)
            .role(mailbox.role.as_deref().and_then(role))
            .subscribed(true)
            .claims(Some(claimed), None)
            .generation(Some(mailbox.generation.to_string()))
    }
}

/// Roles by name.
const ROLES: [(&str, Role); 6] = [
    ("inbox", Role::Inbox),
    ("archive", Role::Archive),
    ("drafts", Role::Drafts),
    ("sent", Role::Sent),
    ("junk", Role::Junk),
    ("trash", Role::Trash),
];

fn role(name: &str) -> Option<Role> {
    ROLES.iter().find(|(known, _)| *known == name).map(|(_, role)| *role)
}

/// The name of a role, where it is kept.
pub fn role_name(role: Role) -> Option<String> {
    let found = ROLES.iter().find(|(_, known)| *known == role);
    found.map(|(name, _)| (*name).to_owned())
}
