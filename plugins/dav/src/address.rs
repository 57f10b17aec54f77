//! Addresses of resources, spelt in one way: servers write the same `href` now with `@` and now with `%40`.

use whimbrel_plugin::{Failure, Result};

/// Scheme, host and port; and a path whose escapes are normal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// `https://dav.example.org:8443`, lower case.
    pub origin: String,
    /// Begins with `/`.
    pub path: String,
}

impl Address {
    /// From an absolute address; query and fragment are left out.
    ///
    /// # Errors
    /// Half a sentence: what is wrong.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        let text = text.trim();
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err("is not an address that begins with https://".to_owned());
        };
        let scheme = scheme.to_ascii_lowercase();
        if scheme != "https" && scheme != "http" {
            return Err("begins with neither https:// nor http://".to_owned());
        }
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (host, path) = rest.split_at(end);
        if host.is_empty() || host.contains(['@', ' ', '\\']) {
            return Err("holds no host, or more than host and port".to_owned());
        }
        let host = host.to_ascii_lowercase();
        let usual = if scheme == "https" { ":443" } else { ":80" };
        let host = host.strip_suffix(usual).unwrap_or(&host);
        Ok(Self {
            origin: format!("{scheme}://{host}"),
            path: normal_path(path),
        })
    }

    /// What `href` means in an answer from here (RFC 4918 section 8.3).
    ///
    /// # Errors
    /// `unavailable` for what is no address.
    pub fn join(&self, href: &str) -> Result<Self> {
        let href = href.trim();
        if href.contains("://") && !href.starts_with('/') {
            return Self::parse(href).map_err(|_| strange());
        }
        if let Some(rest) = href.strip_prefix("//") {
            let scheme = self.origin.split("://").next().unwrap_or("https");
            return Self::parse(&format!("{scheme}://{rest}")).map_err(|_| strange());
        }
        let path = if href.starts_with('/') {
            href.to_owned()
        } else {
            let folder = self.path.rfind('/').map_or("/", |at| &self.path[..=at]);
            format!("{folder}{href}")
        };
        Ok(Self {
            origin: self.origin.clone(),
            path: normal_path(&path),
        })
    }

    /// The same with a `/` at the end, as collections have it.
    pub fn folder(mut self) -> Self {
        if !self.path.ends_with('/') {
            self.path.push('/');
        }
        self
    }

    /// A resource right in this collection.
    pub fn child(&self, name: &str) -> Self {
        Self {
            origin: self.origin.clone(),
            path: format!("{}{name}", self.path),
        }
    }

    /// The name of a resource that lies right in this collection.
    pub fn name_of(&self, resource: &Self) -> Option<String> {
        let name = resource.path.strip_prefix(self.path.as_str())?;
        let right_here = resource.origin == self.origin && !name.is_empty() && !name.contains('/');
        right_here.then(|| name.to_owned())
    }

    /// The last segment, decoded.
    pub fn last_segment(&self) -> String {
        let path = self.path.trim_end_matches('/');
        let segment = path.rsplit('/').next().unwrap_or_default();
        String::from_utf8_lossy(&decoded(segment)).into_owned()
    }

    /// As requests want it.
    pub fn url(&self) -> String {
        format!("{}{}", self.origin, self.path)
    }
}

fn strange() -> Failure {
    Failure::unavailable("the server named a resource by what is no address")
}

/// Without query and fragment, dots resolved, escaped where it must be and nowhere else.
fn normal_path(path: &str) -> String {
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let mut segments: Vec<String> = Vec::new();
    let mut folder = true;
    for segment in path[..end].split('/') {
        folder = matches!(segment, "" | "." | "..");
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            other => segments.push(escaped(&decoded(other))),
        }
    }
    let mut out = String::with_capacity(path.len() + 1);
    for segment in &segments {
        out.push('/');
        out.push_str(segment);
    }
    if folder || segments.is_empty() {
        out.push('/');
    }
    out
}

/// `%41` is `A`; what is no escape stays.
fn decoded(segment: &str) -> Vec<u8> {
    let bytes = segment.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = segment
            .get(at + 1..at + 3)
            .filter(|pair| bytes[at] == b'%' && pair.bytes().all(|byte| byte.is_ascii_hexdigit()));
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    out
}

/// Everything but the unreserved characters of RFC 3986 section 2.3 is escaped.
pub fn escaped(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => out.push(char::from(*byte)),
            other => out.push_str(&format!("%{other:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Address {
        Address::parse(text).unwrap()
    }

    #[test]
    fn one_spelling() {
        let home = at("HTTPS://Dav.Example.org:443/cal/user%40x/?q#f");
        assert_eq!(home.url(), "https://dav.example.org/cal/user%40x/");
        for href in [
            "/cal/user@x/a b.ics",
            "/cal/user%40x/a%20b.ics",
            "a%20b.ics",
            "//dav.example.org/cal/user@x/a%20b.ics",
            "https://dav.example.org/cal/./user%40x/z/../a%20b.ics",
        ] {
            let resource = home.join(href).unwrap();
            assert_eq!(home.name_of(&resource).as_deref(), Some("a%20b.ics"), "{href}");
        }
        assert_eq!(home.last_segment(), "user@x");
        assert_eq!(home.child("x.ics").url(), "https://dav.example.org/cal/user%40x/x.ics");
    }

    #[test]
    fn what_lies_elsewhere_is_not_here() {
        let home = at("https://dav.example/cal/");
        for href in [
            "/cal/",
            "/cal",
            "/cal/sub/x.ics",
            "/calx",
            "https://evil.example/cal/x.ics",
            "http://dav.example/cal/x",
        ] {
            assert_eq!(home.name_of(&home.join(href).unwrap()), None, "{href}");
        }
        assert_eq!(at("https://h").path, "/");
        assert_eq!(at("https://h/a").folder().path, "/a/");
        assert_eq!(home.join("../../../x").unwrap().path, "/x");
    }

    #[test]
    fn what_is_no_address() {
        for text in [
            "",
            "dav.example",
            "ftp://x/",
            "https://",
            "https:///x",
            "https://u:p@h/",
            "https://a b/",
        ] {
            assert!(Address::parse(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics_and_is_idempotent(text in "\\PC{0,40}") {
            let home = at("https://h/a/");
            if let Ok(address) = home.join(&text) {
                prop_assert!(address.path.starts_with('/'));
                prop_assert_eq!(at(&address.url()), address);
            }
        }
    }
}
