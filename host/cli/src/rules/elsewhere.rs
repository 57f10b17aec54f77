//! Accounts whose secret is read each time that they are opened: those of mailboxes that are not worked on, which rules may
//! send messages to, and those whose password or token lies in a file, which somebody may renew while the run goes on.

use std::sync::Arc;

use async_trait::async_trait;
use whimbrel_engine::{Destination, Endpoint, Provider, Source};
use whimbrel_model::{Failure, Kind};
use whimbrel_sandbox::{AccountSpec, Connection, Plugin, Usage};

use crate::secrets::Keeper;
use crate::settings::{Account, Whose};

/// Such an account. What is wrong with its secret concerns nobody else.
pub struct Elsewhere {
    /// The connector.
    pub plugin: Plugin,
    /// What it is opened with, the credentials apart.
    pub spec: AccountSpec,
    /// Where they come from.
    pub account: Account,
    /// What gets them.
    pub keeper: Arc<Keeper>,
    /// `source` or `destination`.
    pub side: &'static str,
}

impl Elsewhere {
    fn ready(&self) -> Result<Endpoint, Failure> {
        let whose = Whose {
            mailbox: &self.spec.mailbox,
            side: self.side,
        };
        let credentials = self.account.credentials(whose, &self.keeper);
        let credentials = credentials.map_err(|problem| Failure::InvalidSettings(problem.to_string()))?;
        Ok(Endpoint {
            plugin: self.plugin.clone(),
            spec: AccountSpec {
                credentials,
                ..self.spec.clone()
            },
        })
    }
}

#[async_trait]
impl Provider for Elsewhere {
    fn name(&self) -> &str {
        &self.plugin.description().name
    }

    async fn source(&self) -> Result<Box<dyn Source>, Failure> {
        self.ready()?.source().await
    }

    async fn destination(&self) -> Result<Box<dyn Destination>, Failure> {
        self.ready()?.destination().await
    }

    fn kinds(&self) -> &[Kind] {
        &self.plugin.description().kinds
    }

    fn server(&self) -> Option<String> {
        self.plugin.server(&self.spec)
    }

    fn connections(&self) -> Vec<Connection> {
        self.spec.connections.list()
    }

    fn usage(&self) -> Option<(String, Usage)> {
        Some((self.plugin.description().version.clone(), self.spec.activity.usage()))
    }
}
