//! HTTP to servers on the loopback, or to a closure of the test's.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

use super::blobs::Blob;
use crate::{Failure, Result};

/// See `wit/http.wit`.
#[derive(Debug)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Option<Blob>,
    pub authenticate: bool,
    pub timeout_ms: Option<u64>,
    pub max_bytes: Option<u64>,
}

/// See `wit/http.wit`.
#[derive(Debug)]
#[allow(missing_docs, reason = "the documentation is in wit/")]
pub struct Response {
    pub status: u16,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Blob,
}

/// What answers in the place of a server.
pub type Answerer = Box<dyn FnMut(&Request) -> Result<Response>>;

/// One request.
///
/// # Errors
/// Those of the contract.
#[allow(clippy::needless_pass_by_value, reason = "as the contract's")]
pub fn send(request: Request) -> Result<Response> {
    super::with(|world| {
        let response = match &mut world.http {
            Some(answer) => answer(&request)?,
            None => {
                let login = match (&world.token, &world.password) {
                    (Some(token), _) => Some(format!("Bearer {token}")),
                    (None, Some(password)) => Some(format!(
                        "Basic {}",
                        BASE64_STANDARD.encode(format!("{}:{password}", world.user))
                    )),
                    (None, None) => None,
                };
                over_the_loopback(&request, login)?
            }
        };
        meant_for_all(&request, response)
    })
}

/// Several; here one after the other.
pub fn send_all(requests: Vec<Request>) -> Vec<Result<Response>> {
    requests.into_iter().map(send).collect()
}

fn over_the_loopback(request: &Request, login: Option<String>) -> Result<Response> {
    let unavailable =
        |error: &dyn std::fmt::Display| Failure::unavailable(format!("{} failed: {error}", request.method));
    let mut asked = ureq::http::Request::builder()
        .method(request.method.as_str())
        .uri(&request.url);
    for (name, value) in &request.headers {
        asked = asked.header(name, value);
    }
    if let Some(login) = login.filter(|_| request.authenticate) {
        asked = asked.header("authorization", login);
    }
    let body = request.body.as_ref().map(Blob::bytes).unwrap_or_default();
    let asked = asked
        .body(body)
        .map_err(|error| Failure::internal(format!("this is no request: {error}")))?;
    if !matches!(asked.uri().host(), Some("127.0.0.1" | "localhost" | "[::1]")) {
        return Err(Failure::forbidden("a test reaches nothing but the loopback"));
    }
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .allow_non_standard_methods(true)
        .build();
    let mut answer = ureq::Agent::new_with_config(config)
        .run(asked)
        .map_err(|error| unavailable(&error))?;
    let headers = answer.headers().iter();
    let headers = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())));
    let headers = headers.collect();
    let limit = request.max_bytes.unwrap_or(u64::MAX);
    let bytes = answer.body_mut().with_config().limit(limit).read_to_vec();
    let bytes = bytes.map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => Failure::too_large(Some(limit)),
        error => unavailable(&error),
    })?;
    Ok(Response {
        status: answer.status().as_u16(),
        url: request.url.clone(),
        headers,
        body: Blob::of(&bytes),
    })
}

/// What a status means for everybody; see `wit/http.wit`.
fn meant_for_all(request: &Request, response: Response) -> Result<Response> {
    let after = response.headers.iter().find(|(name, _)| name == "retry-after");
    let after = after
        .and_then(|(_, seconds)| seconds.parse::<u64>().ok())
        .map(|seconds| seconds * 1000);
    let said = format!("the server answered {}", response.status);
    match response.status {
        401 if request.authenticate => Err(Failure::unauthenticated(said)),
        429 => Err(Failure::throttled(after, said)),
        503 if after.is_some() => Err(Failure::throttled(after, said)),
        507 => Err(Failure::over_quota(said)),
        500 | 502..=504 | 506..=599 => Err(Failure::unavailable(said)),
        _ => Ok(response),
    }
}
