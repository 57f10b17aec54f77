//! `[oauth.NAME]`: who gives tokens.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::de::DeTable;
use whimbrel_wire::Pin;
use whimbrel_wire::oauth::{ClientAuth, Endpoint, Redirect};

use super::read::{self, Findings};
use super::secrets::{self, SecretKind, SecretRef};
use super::{Mailbox, keys, pins};
use crate::problem::Problem;

/// How tokens are got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Somebody types a code on any device.
    Device,
    /// Somebody logs in with a browser.
    Code,
    /// The program itself.
    ClientCredentials,
    /// Somebody else got a refresh token.
    RefreshToken,
}

/// One section.
#[derive(Clone)]
pub struct OAuthSettings {
    /// The section's own name.
    pub name: String,
    pub flow: Flow,
    pub token: Endpoint,
    pub device: Option<Endpoint>,
    pub authorization: Option<Endpoint>,
    pub redirect: Redirect,
    pub client_id: String,
    pub client_secret: Option<SecretRef>,
    pub client_auth: ClientAuth,
    pub scopes: Vec<String>,
    pub parameters: BTreeMap<String, String>,
    pub ca: Option<PathBuf>,
    pub pins: Vec<Pin>,
}

/// From tables whose structure was checked.
pub fn read(findings: &mut Findings, base: &Path, table: Option<&DeTable<'_>>) -> BTreeMap<String, OAuthSettings> {
    let mut all = BTreeMap::new();
    for (name, value) in table.into_iter().flatten() {
        let (name, Some(table)) = (name.get_ref().to_string(), value.get_ref().as_table()) else {
            continue;
        };
        if name.contains('/') || name.chars().any(char::is_control) {
            let message = "the name of a section [oauth.NAME] holds a `/` or a control character".to_owned();
            findings.wrong(message, value.span(), "this section", "choose a plain name");
        }
        if let Some(section) = one(findings, base, &name, table, value.span()) {
            all.insert(name, section);
        }
    }
    all
}

fn one(
    findings: &mut Findings,
    base: &Path,
    name: &str,
    table: &DeTable<'_>,
    span: std::ops::Range<usize>,
) -> Option<OAuthSettings> {
    let whole = format!("oauth.{name}");
    let insecure = read::switch(table, "insecure").unwrap_or(false);
    let before = findings.problems.len();
    let mut endpoint = |key: &str| {
        let text = read::text(table, key)?;
        Endpoint::new(text, insecure)
            .map_err(|reason| {
                let span = table.get(key).map_or(0..0, toml::Spanned::span);
                let help = "write the https address that the provider documents; only `insecure = true` allows http";
                findings.wrong(format!("`{whole}.{key}` cannot be used: {reason}"), span, "this", help);
            })
            .ok()
    };
    let (token, device, authorization) = (
        endpoint("token_url"),
        endpoint("device_url"),
        endpoint("authorization_url"),
    );
    let flow = match read::text(table, "flow")? {
        "device" => Flow::Device,
        "code" => Flow::Code,
        "client_credentials" => Flow::ClientCredentials,
        _ => Flow::RefreshToken,
    };
    let redirect = read::text(table, "redirect_url").map(Redirect::new).transpose();
    let redirect = redirect.unwrap_or_else(|reason| {
        let span = table.get("redirect_url").map_or(0..0, toml::Spanned::span);
        let help = "write e.g. redirect_url = \"http://localhost:8400/\"";
        findings.wrong(
            format!("`{whole}.redirect_url` cannot be used: {reason}"),
            span,
            "this",
            help,
        );
        None
    });
    let client_secret = table.get("client_secret").and_then(|value| {
        let key = format!("{whole}.client_secret");
        secrets::read(findings, base, &key, SecretKind::ClientSecret, keys::SECRET, value)
    });
    let wanted = match flow {
        Flow::Device => Some("device_url"),
        Flow::Code => Some("authorization_url"),
        Flow::ClientCredentials => Some("client_secret"),
        Flow::RefreshToken => None,
    };
    if let Some(missing) = wanted.filter(|key| !table.contains_key(*key)) {
        let message = format!("`{missing}` is missing in `{whole}`, whose flow needs it");
        findings.wrong(
            message,
            span,
            "it belongs here",
            format!("add {missing} = …, or choose another flow"),
        );
    }
    let pins = pins(findings, table, &whole);
    if findings.problems.len() > before {
        return None;
    }
    Some(OAuthSettings {
        name: name.to_owned(),
        flow,
        token: token?,
        device,
        authorization,
        redirect: redirect.unwrap_or_default(),
        client_id: read::text(table, "client_id")?.to_owned(),
        client_secret,
        client_auth: match read::text(table, "client_auth") {
            Some("basic") => ClientAuth::Basic,
            _ => ClientAuth::Body,
        },
        scopes: read::texts(table, "scopes"),
        parameters: read::names(table, "parameters"),
        ca: read::text(table, "ca").map(|path| base.join(path)),
        pins,
    })
}

/// Every login names a section that is there. What is wrong with a name is said once.
pub fn known(findings: &mut Findings, sections: &BTreeMap<String, OAuthSettings>, boxes: &[Mailbox]) {
    if !findings.problems.is_empty() {
        return;
    }
    let mut said = Vec::new();
    for mailbox in boxes {
        for login in [&mailbox.source.login, &mailbox.destination.login]
            .into_iter()
            .flatten()
        {
            if sections.contains_key(&login.name) || said.contains(&&login.name) {
                continue;
            }
            said.push(&login.name);
            let help = match read::nearest(&login.name, sections.keys().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("add a section [oauth.{}]", login.name),
            };
            let place = login.place.clone().unwrap_or_else(|| mailbox.place.clone());
            let problem = Problem::settings(format!("there is no section [oauth.{}]", login.name));
            findings.problems.push(problem.at(place).help(help));
        }
    }
}
