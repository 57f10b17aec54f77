//! HTTP requests. Where they may go is decided by the grants, for each redirect anew; credentials go straight to the
//! client and are never seen by the plugin.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::{Result, bail};
use whimbrel_model::Failure;
use whimbrel_wire::http as wire;

use crate::Attempt;
use crate::activity::Interface;
use crate::bindings::types;
use crate::bindings::whimbrel::connector::http;
use crate::convert;
use crate::grants::Grants;
use crate::host::{HostResult, bytes_of};
use crate::instance::State;

/// Requests given at once.
const MOST_REQUESTS: usize = 1_000;
/// Bytes of an address.
const ADDRESS: usize = 8 << 10;
/// Bytes of all headers of a request.
const HEADERS: usize = 64 << 10;

/// Methods that alter nothing (RFC 9110 section 9.2.1, and the registry of safe methods).
const SAFE: [&str; 7] = ["GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT", "SEARCH", "QUERY"];

impl State {
    /// The client of this account, made when it is asked for first.
    async fn http_client(&mut self) -> Result<wire::Client, Failure> {
        if let Some(client) = &self.http {
            return Ok(client.clone());
        }
        let tls = self.tls().await?;
        let spec = self.grants.account()?;
        let grants = Arc::clone(&self.grants);
        let connections = spec.connections.clone();
        let client = wire::Client::new(wire::Setup {
            tls,
            credentials: spec.credentials.clone(),
            timeouts: spec.timeouts,
            blobs: self.blobs.clone(),
            largest: self.limits.max_body_bytes,
            gate: Arc::new(move |url| gate(&grants, url)),
            witness: Arc::new(move |url, protection| {
                let port = url.port_or_known_default().unwrap_or_default();
                connections.note(url.host_str().unwrap_or_default(), port, protection);
            }),
        })?;
        self.http = Some(client.clone());
        Ok(client)
    }

    /// A request as the client takes it, where it may be sent at all.
    fn outgoing(&mut self, request: http::Request) -> Result<Result<wire::Request, Failure>> {
        if request.url.len() > ADDRESS {
            bail!(
                "passed an address of {} bytes; the limit is {ADDRESS}",
                request.url.len()
            );
        }
        let bytes: usize = request
            .headers
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        if bytes > HEADERS {
            bail!("passed {bytes} bytes of HTTP headers; the limit is {HEADERS}");
        }
        let body = match request.body {
            Some(body) => Some(self.take_body(body)?),
            None => None,
        };
        let Ok(url) = wire::Url::parse(&request.url) else {
            return Ok(Err(Failure::Internal(format!(
                "connector `{}` wanted to send a request to what is no address",
                self.grants.plugin()
            ))));
        };
        if !SAFE.contains(&request.method.as_str()) && !self.grants.writable() {
            let method = convert::clean(&request.method, 32);
            self.activity
                .refuse(Attempt::Write, &format!("send a {method} request"));
            return Ok(Err(Failure::Forbidden(format!(
                "connector `{}` tried to send a {method} request at the source of mailbox `{}`: a source is only read",
                self.grants.plugin(),
                self.grants.mailbox()
            ))));
        }
        Ok(Ok(wire::Request {
            method: request.method,
            url,
            headers: request.headers,
            body,
            authenticate: request.authenticate,
            timeout: request.timeout_ms.map(Duration::from_millis),
            largest: request.max_bytes,
        }))
    }

    fn answer(&mut self, response: wire::Response) -> Result<http::Response> {
        Ok(http::Response {
            status: response.status,
            url: response.url.into(),
            headers: response.headers,
            body: self.lend(response.body)?,
        })
    }
}

/// Method and address without what may hold a token, for whoever watches.
fn line_of(request: &http::Request) -> String {
    let address = request.url.split(['?', '#']).next().unwrap_or_default();
    format!("{} {address}", request.method)
}

/// Whether a request may go there.
fn gate(grants: &Grants, url: &wire::Url) -> Result<(), Failure> {
    let host = url.host_str().unwrap_or_default();
    let port = url.port_or_known_default().unwrap_or_default();
    grants.http(host, port, url.scheme() != "https")
}

impl http::Host for State {
    async fn send(&mut self, request: http::Request) -> HostResult<http::Response> {
        let mut waiting = self.host(Interface::Http, "send");
        waiting.note(|| line_of(&request));
        let request = self.outgoing(request)??;
        let response = self.http_client().await?.send(request).await?;
        waiting.note(|| format!("{}, {}", response.status, bytes_of(response.body.size())));
        Ok(self.answer(response)?)
    }

    async fn send_all(&mut self, requests: Vec<http::Request>) -> Result<Vec<Result<http::Response, types::Failure>>> {
        let mut waiting = self.host(Interface::Http, "send-all");
        waiting.note(|| format!("{} requests", requests.len()));
        if let Some(first) = requests.first() {
            waiting.note(|| format!("first {}", line_of(first)));
        }
        if requests.len() > MOST_REQUESTS {
            bail!(
                "passed {} requests at once; the limit is {MOST_REQUESTS}",
                requests.len()
            );
        }
        let mut outgoing = Vec::with_capacity(requests.len());
        let mut answers = Vec::with_capacity(requests.len());
        for request in requests {
            match self.outgoing(request)? {
                Ok(request) => {
                    outgoing.push(request);
                    answers.push(None);
                }
                Err(failure) => answers.push(Some(failure)),
            }
        }
        let responses = match self.http_client().await {
            Ok(client) => client.send_all(outgoing).await,
            Err(failure) => outgoing.iter().map(|_| Err(failure.clone())).collect(),
        };
        waiting.note(|| {
            let answered = responses.iter().filter_map(|response| response.as_ref().ok());
            let (count, bytes) = answered.fold((0, 0), |(count, bytes), response| {
                (count + 1, bytes + response.body.size())
            });
            format!("{count} answers, {}", bytes_of(bytes))
        });
        let mut responses = responses.into_iter();
        let mut given = Vec::with_capacity(answers.len());
        for refused in answers {
            let answer = match refused {
                Some(failure) => Err(failure),
                None => responses
                    .next()
                    .unwrap_or_else(|| Err(Failure::Internal("a request was not answered".to_owned()))),
            };
            given.push(match answer {
                Ok(response) => Ok(self.answer(response)?),
                Err(failure) => Err(convert::failure_to_guest(failure)),
            });
        }
        Ok(given)
    }
}
