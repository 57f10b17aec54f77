//! Mailboxes that are not worked on, and that rules may send messages to.

use async_trait::async_trait;
use whimbrel_engine::{Destination, Endpoint, Provider, Source};
use whimbrel_model::Failure;
use whimbrel_sandbox::{AccountSpec, Plugin};

use crate::settings::Account;

/// The destination account of such a mailbox. Its secret is read when a rule first sends something there: what is wrong
/// with it concerns nobody else.
pub struct Elsewhere {
    /// The connector.
    pub plugin: Plugin,
    /// What it is opened with, the credentials apart.
    pub spec: AccountSpec,
    /// Where they come from.
    pub account: Account,
}

impl Elsewhere {
    fn ready(&self) -> Result<Endpoint, Failure> {
        let whose = format!("mailbox `{}` at the destination", self.spec.mailbox);
        let credentials = self.account.credentials(&whose);
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
}
