//! What every HTTP client here has in common, and what its errors mean.

use std::error::Error as _;
use std::io;
use std::time::Duration;

use jiff::fmt::rfc2822::DateTimeParser;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use reqwest::{ClientBuilder, redirect};
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::Error as TlsError;
use whimbrel_model::Failure;

use crate::Tls;

/// The TLS of all other connections; no redirect, proxy or referrer by itself. HTTP/2 where the server speaks it.
pub(crate) fn builder(tls: &ClientConfig, connect: Duration) -> ClientBuilder {
    let mut config = tls.clone();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    reqwest::Client::builder()
        .tls_backend_preconfigured(config)
        .redirect(redirect::Policy::none())
        .referer(false)
        .no_proxy()
        .connect_timeout(connect)
        .user_agent(concat!("whimbrel/", env!("CARGO_PKG_VERSION")))
}

/// The client of a builder.
pub(crate) fn build(builder: ClientBuilder) -> Result<reqwest::Client, Failure> {
    builder
        .build()
        .map_err(|_| Failure::Internal("the HTTP client cannot be set up".to_owned()))
}

/// Why a request had no answer. `whom` is who was asked, for people. The error's own text may hold the address with
/// anything in it: only its kind and what lies below are used.
pub(crate) fn unreached(whom: &str, host: &str, port: u16, error: &reqwest::Error) -> Failure {
    let cause = lowest(error);
    if let Some(io) = cause.filter(|io| is_tls(io)) {
        return Tls::explain(host, port, io);
    }
    Failure::Unavailable(match cause {
        _ if error.is_timeout() => format!("{whom} does not answer in time"),
        _ if error.is_decode() => format!("{whom} sent an answer that cannot be unpacked, or broke it off"),
        Some(io) if error.is_connect() => format!("{whom} cannot be reached: {io}"),
        None if error.is_connect() => format!("{whom} cannot be reached"),
        Some(io) => format!("the connection to {whom} broke off: {io}"),
        None => format!("the connection to {whom} broke off"),
    })
}

/// The lowest I/O error below another one.
fn lowest(error: &reqwest::Error) -> Option<&io::Error> {
    let mut found = None;
    let mut next = error.source();
    while let Some(error) = next {
        found = error.downcast_ref::<io::Error>().or(found);
        next = error.source();
    }
    // One that is wrapped in another is none of the sources.
    while let Some(inner) = found.and_then(|error| error.get_ref()?.downcast_ref::<io::Error>()) {
        found = Some(inner);
    }
    found
}

fn is_tls(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<TlsError>())
}

/// `Retry-After` in milliseconds. A date is taken from the server's own clock, where it tells it.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<u64> {
    let text = |name: &HeaderName| Some(headers.get(name)?.to_str().ok()?.trim());
    let wanted = text(&RETRY_AFTER)?;
    if let Ok(seconds) = wanted.parse::<u64>() {
        return Some(seconds.saturating_mul(1000));
    }
    let second = |text: &str| {
        DateTimeParser::new()
            .parse_timestamp(text)
            .ok()
            .map(|at| at.as_second())
    };
    let wait = second(wanted)?.saturating_sub(second(text(&DATE)?)?);
    Some(u64::try_from(wait).unwrap_or(0).saturating_mul(1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_seconds_or_dates_of_the_servers_clock() {
        let wait = |retry: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, retry.parse().unwrap());
            date.map(|date| headers.insert(DATE, date.parse().unwrap()));
            retry_after(&headers)
        };
        assert_eq!(wait(" 7 ", None), Some(7000));
        assert_eq!(wait("99999999999999999999", None), None);
        assert_eq!(wait("soon", None), None);
        let (then, now) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:48:37 GMT");
        assert_eq!(wait(then, Some(now)), Some(60_000));
        assert_eq!(wait(now, Some(then)), Some(0));
        assert_eq!(wait(then, None), None, "we have no clock of our own");
    }
}
