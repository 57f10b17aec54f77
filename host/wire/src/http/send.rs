//! One request, from the first hop to the last byte of the answer.

use std::time::Duration;

use http_body::Frame;
use http_body_util::StreamBody;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, LOCATION};
use reqwest::tls::TlsInfo;
use reqwest::{Body, Method, Response as Answer, StatusCode, Url};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::CertificateDer;
use whimbrel_model::Failure;

use super::setup::{retry_after, unreached};
use super::{Request, Response, Shared, place};
use crate::tls::fingerprint;
use crate::{Blob, Protection};

/// For a request with its answer.
const WHOLE: Duration = Duration::from_secs(600);
const LONGEST: Duration = Duration::from_secs(3600);

const REDIRECTS: usize = 10;

/// A challenge is answered, and perhaps a second one whose predecessor had run out.
const TRIES: usize = 3;

/// Headers of a request, and of an answer.
const MOST_HEADERS: usize = 64;
const MOST_ANSWERED: usize = 256;

/// A body up to this size is sent from memory in one piece.
const AT_ONCE: u64 = 256 << 10;

/// What the client writes itself.
const RESERVED: [&str; 14] = [
    "accept-encoding",
    "authorization",
    "connection",
    "content-length",
    "cookie",
    "expect",
    "host",
    "keep-alive",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// What would make another method of the one that is named: what may be sent is decided by the method.
const OVERRIDES: [&str; 3] = ["x-http-method", "x-http-method-override", "x-method-override"];

/// What no plugin needs to see.
const HIDDEN: [&str; 6] = [
    "set-cookie",
    "set-cookie2",
    "www-authenticate",
    "proxy-authenticate",
    "authentication-info",
    "proxy-authentication-info",
];

/// A request on its way: where a redirect has led it.
struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Blob>,
}

impl Shared {
    pub(super) async fn send(&self, request: Request) -> Result<Response, Failure> {
        let patience = request.timeout.unwrap_or(WHOLE).min(LONGEST);
        let asked = place(&request.url);
        match timeout(patience, self.follow(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failure::Unavailable(format!(
                "{asked} has not answered in full after {} s",
                patience.as_secs()
            ))),
        }
    }

    async fn follow(&self, request: Request) -> Result<Response, Failure> {
        let largest = request.largest.unwrap_or(u64::MAX).min(self.setup.largest);
        let mut hop = Hop {
            method: method(&request.method)?,
            headers: headers(&request.headers)?,
            url: request.url,
            body: request.body,
        };
        let first = hop.url.clone();
        for _ in 0..=REDIRECTS {
            check(&hop.url)?;
            (self.setup.gate)(&hop.url)?;
            if let Some(blind) = self.blind.as_ref().filter(|_| hop.url.scheme() == "https") {
                return Err(blind.clone());
            }
            let login = request.authenticate && same_host(&first, &hop.url);
            let answer = if login {
                self.logged_in(&hop).await?
            } else {
                self.once(&hop, None).await?
            };
            match next(&hop, &answer)? {
                Some(onward) => hop = onward,
                None if request.authenticate && !login && answer.status() == StatusCode::UNAUTHORIZED => {
                    return Err(Failure::Unauthenticated(format!(
                        "{} sends on to {}, which wants a login of its own (401): name that address in the settings",
                        place(&first),
                        place(&hop.url)
                    )));
                }
                None => return self.take(&hop.url, answer, largest).await,
            }
        }
        Err(Failure::InvalidSettings(format!(
            "{} sends from one address to the next without end: correct `url`",
            place(&first)
        )))
    }

    /// With whatever the server asks for.
    async fn logged_in(&self, hop: &Hop) -> Result<Answer, Failure> {
        if self.login.asks_first(&hop.url) {
            let probe = Hop {
                method: Method::OPTIONS,
                url: hop.url.clone(),
                headers: HeaderMap::new(),
                body: None,
            };
            let answer = self.once(&probe, None).await?;
            self.login.learn(answer.headers());
        }
        let mut proof = self.login.first(&hop.method, &hop.url).await?;
        for _ in 0..TRIES {
            let answer = self.once(hop, proof.header.clone()).await?;
            if answer.status() != StatusCode::UNAUTHORIZED {
                self.login.accepted();
                return Ok(answer);
            }
            proof = self
                .login
                .refused(&proof, answer.headers(), &hop.method, &hop.url)
                .await?;
        }
        Err(Failure::Unauthenticated(format!(
            "{} asks for the login again and again (401)",
            place(&hop.url)
        )))
    }

    /// Up to the head of the answer.
    async fn once(&self, hop: &Hop, proof: Option<HeaderValue>) -> Result<Answer, Failure> {
        let mut headers = hop.headers.clone();
        if let Some(proof) = proof {
            headers.insert(AUTHORIZATION, proof);
        }
        let mut request = self.http.request(hop.method.clone(), hop.url.clone());
        if let Some(body) = &hop.body {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(body.size()));
            request = request.body(outgoing(body).await?);
        }
        let sending = request.headers(headers).send();
        let answer = match timeout(self.setup.timeouts.reply, sending).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(self.trouble(&hop.url, &error)),
            Err(_) => {
                return Err(Failure::Unavailable(format!(
                    "{} does not answer in time",
                    place(&hop.url)
                )));
            }
        };
        let protection = answer.extensions().get::<TlsInfo>().map(|info| Protection {
            // Which of them is not told by the library.
            version: "TLS 1.2 or higher",
            cipher: String::new(),
            fingerprint: info
                .peer_certificate()
                .map(|der| fingerprint(&CertificateDer::from(der))),
        });
        (self.setup.witness)(&hop.url, protection.as_ref());
        Ok(answer)
    }

    /// What the status means, and the body.
    async fn take(&self, url: &Url, mut answer: Answer, largest: u64) -> Result<Response, Failure> {
        let place = place(url);
        let status = answer.status();
        let wait = retry_after(answer.headers());
        match status {
            StatusCode::TOO_MANY_REQUESTS => {
                return Err(Failure::Throttled {
                    retry_after_ms: wait,
                    reason: format!("{place} has had too many requests (429)"),
                });
            }
            StatusCode::SERVICE_UNAVAILABLE if wait.is_some() => {
                return Err(Failure::Throttled {
                    retry_after_ms: wait,
                    reason: format!("{place} has no time now (503)"),
                });
            }
            StatusCode::INSUFFICIENT_STORAGE => {
                return Err(Failure::OverQuota(format!("{place} has no room left (507)")));
            }
            StatusCode::NOT_IMPLEMENTED | StatusCode::HTTP_VERSION_NOT_SUPPORTED => {}
            _ if status.is_server_error() => {
                return Err(Failure::Unavailable(format!("{place} answers {}", status.as_u16())));
            }
            _ => {}
        }
        let claimed = answer.content_length();
        if claimed.is_some_and(|claimed| claimed > largest) {
            return Err(Failure::TooLarge(Some(largest)));
        }
        let headers = shown(answer.headers());
        let keeping = |error: std::io::Error| Failure::Internal(format!("an answer cannot be kept: {error}"));
        let mut writer = self.setup.blobs.writer_sized(claimed.unwrap_or(0).min(AT_ONCE));
        loop {
            let chunk = match timeout(self.setup.timeouts.stall, answer.chunk()).await {
                Ok(Ok(chunk)) => chunk,
                Ok(Err(error)) => return Err(self.trouble(url, &error)),
                Err(_) => {
                    return Err(Failure::Unavailable(format!(
                        "{place} stopped in the middle of an answer"
                    )));
                }
            };
            let Some(chunk) = chunk else { break };
            if writer.written().saturating_add(chunk.len() as u64) > largest {
                return Err(Failure::TooLarge(Some(largest)));
            }
            writer.write(&chunk).await.map_err(keeping)?;
        }
        Ok(Response {
            status: status.as_u16(),
            url: url.clone(),
            headers,
            body: writer.finish().await.map_err(keeping)?,
        })
    }

    fn trouble(&self, url: &Url, error: &reqwest::Error) -> Failure {
        let port = url.port_or_known_default().unwrap_or_default();
        unreached(&place(url), url.host_str().unwrap_or_default(), port, error)
    }
}

fn method(text: &str) -> Result<Method, Failure> {
    let plain =
        !text.is_empty() && text.len() <= 32 && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte == b'-');
    let refused = || Failure::Internal("the connector gave an HTTP method that cannot be one".to_owned());
    if !plain || text == "CONNECT" || text == "TRACE" {
        return Err(refused());
    }
    Method::from_bytes(text.as_bytes()).map_err(|_| refused())
}

fn headers(given: &[(String, String)]) -> Result<HeaderMap, Failure> {
    if given.len() > MOST_HEADERS {
        return Err(Failure::Internal(format!(
            "the connector gave more than {MOST_HEADERS} HTTP headers"
        )));
    }
    let mut headers = HeaderMap::new();
    for (name, value) in given {
        let refused = || Failure::Internal("the connector gave an HTTP header that cannot be one".to_owned());
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| refused())?;
        if RESERVED.contains(&name.as_str()) {
            return Err(Failure::Internal(format!(
                "the connector gave the HTTP header `{name}`, which the host writes"
            )));
        }
        if OVERRIDES.contains(&name.as_str()) {
            return Err(Failure::Forbidden(format!(
                "the connector gave the HTTP header `{name}`, which hides the method of a request"
            )));
        }
        headers.append(name, HeaderValue::from_str(value).map_err(|_| refused())?);
    }
    Ok(headers)
}

/// What a plugin sees of an answer's headers.
fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|(name, _)| !HIDDEN.contains(&name.as_str()))
        .take(MOST_ANSWERED)
        .map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
            (name.as_str().to_owned(), value)
        })
        .collect()
}

fn check(url: &Url) -> Result<(), Failure> {
    let web = matches!(url.scheme(), "http" | "https") && url.host_str().is_some_and(|host| !host.is_empty());
    if !web || !url.username().is_empty() || url.password().is_some() {
        return Err(Failure::Forbidden(
            "a request was to go to an address that is neither http nor https, or holds a user or password".to_owned(),
        ));
    }
    Ok(())
}

/// Whether what one of them may know the other may know: the same host and port, or the same host over TLS.
fn same_host(first: &Url, other: &Url) -> bool {
    first.origin() == other.origin()
        || (first.host_str() == other.host_str() && first.scheme() == "http" && other.scheme() == "https")
}

/// The address that an answer sends on to.
pub(super) fn next_url(from: &Url, answer: &Answer) -> Result<Option<Url>, Failure> {
    let location = answer.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let (301 | 302 | 303 | 307 | 308, Some(location)) = (answer.status().as_u16(), location) else {
        return Ok(None);
    };
    let place = place(from);
    let mut url = from
        .join(location)
        .map_err(|_| Failure::Unavailable(format!("{place} sends on to what is no address")))?;
    url.set_fragment(None);
    if from.scheme() == "https" && url.scheme() != "https" {
        return Err(Failure::Forbidden(format!(
            "{place} sends on to an address without encryption: nothing is sent there"
        )));
    }
    Ok(Some(url))
}

/// The request that follows.
fn next(hop: &Hop, answer: &Answer) -> Result<Option<Hop>, Failure> {
    let Some(url) = next_url(&hop.url, answer)? else {
        return Ok(None);
    };
    let status = answer.status().as_u16();
    let reads = status == 303 || (status < 303 && hop.method == Method::POST);
    Ok(Some(Hop {
        method: if reads { Method::GET } else { hop.method.clone() },
        url,
        headers: hop.headers.clone(),
        body: hop.body.clone().filter(|_| !reads),
    }))
}

/// In one piece where it is small, else as it is read.
async fn outgoing(body: &Blob) -> Result<Body, Failure> {
    if body.size() <= AT_ONCE {
        let length = usize::try_from(body.size()).unwrap_or(usize::MAX);
        let bytes = body
            .read_at(0, length)
            .await
            .map_err(|error| Failure::Internal(format!("a body cannot be read: {error}")))?;
        return Ok(Body::from(bytes));
    }
    let pieces = futures::stream::try_unfold(body.reader(), |mut reader| async move {
        let piece = reader.next().await?;
        Ok::<_, std::io::Error>(piece.map(|piece| (Frame::data(piece), reader)))
    });
    Ok(Body::wrap(StreamBody::new(pieces)))
}
