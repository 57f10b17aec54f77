//! Two keys to every door: the plugin's description asks, the admin's settings grant.

use std::path::PathBuf;

use serde_json::Value;
use whimbrel_model::{Description, Failure, Permission};
use whimbrel_wire::http::Url;

use crate::convert::clean;
use crate::{AccountSpec, Activity, Attempt};

/// What an account is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// Reading never alters: folders are read-only, mailboxes too.
    Source,
    /// Reading and writing.
    Destination,
}

/// The keys of one instance.
#[derive(Debug)]
pub(crate) struct Grants {
    plugin: String,
    mailbox: String,
    permissions: Vec<Permission>,
    /// Schema defaults of ports: the value that counts where the settings name none.
    schema: Value,
    account: Option<(AccountSpec, Use)>,
    activity: Activity,
}

impl Grants {
    /// Nothing at all, for asking a plugin what it is.
    pub(crate) fn none(plugin: &str, activity: &Activity) -> Self {
        let plugin = clean(plugin, 128);
        Self {
            plugin,
            mailbox: String::new(),
            permissions: Vec::new(),
            schema: Value::Null,
            account: None,
            activity: activity.clone(),
        }
    }

    pub(crate) fn new(description: &Description, spec: &AccountSpec, purpose: Use) -> Self {
        Self {
            plugin: description.name.clone(),
            mailbox: spec.mailbox.clone(),
            permissions: description.permissions.clone(),
            schema: serde_json::from_str(&description.settings_schema).unwrap_or(Value::Null),
            account: Some((spec.clone(), purpose)),
            activity: spec.activity.clone(),
        }
    }

    pub(crate) fn plugin(&self) -> &str {
        &self.plugin
    }

    pub(crate) fn mailbox(&self) -> &str {
        &self.mailbox
    }

    /// Where it is counted what the plugin uses and tries.
    pub(crate) fn activity(&self) -> &Activity {
        &self.activity
    }

    /// Notes what was tried, and refuses it.
    fn refuse<T>(&self, attempt: Attempt, what: &str, why: String) -> Result<T, Failure> {
        self.activity.refuse(attempt, what);
        Err(Failure::Forbidden(why))
    }

    /// Whether the account may be altered.
    pub(crate) fn writable(&self) -> bool {
        matches!(self.account, Some((_, Use::Destination)))
    }

    /// The account that may be logged in to.
    ///
    /// # Errors
    /// `forbidden` while nothing is granted.
    pub(crate) fn account(&self) -> Result<&AccountSpec, Failure> {
        match &self.account {
            Some((spec, _)) => Ok(spec),
            None => Err(Failure::Forbidden(format!(
                "connector `{}` reached out while it was asked to describe itself: nothing is granted then",
                self.plugin
            ))),
        }
    }

    /// Whether a connection to `host` and `port` is granted. `default_port` counts where a `network` permission's
    /// port is in neither the settings nor the schema. `clear` is for a connection without TLS.
    ///
    /// # Errors
    /// `forbidden`, naming both keys.
    pub(crate) fn network(&self, host: &str, port: u16, default_port: u16, clear: bool) -> Result<(), Failure> {
        self.reach(host, port, default_port, clear, false)
    }

    /// As [`Self::network`], for an HTTP request: a `url` permission is a key to it too.
    ///
    /// # Errors
    /// `forbidden`, naming both keys.
    pub(crate) fn http(&self, host: &str, port: u16, clear: bool) -> Result<(), Failure> {
        self.reach(host, port, if clear { 80 } else { 443 }, clear, true)
    }

    fn reach(&self, host: &str, port: u16, default_port: u16, clear: bool, http: bool) -> Result<(), Failure> {
        let shown = clean(host, 255);
        let tried = format!("{shown}:{port}");
        let spec = match self.account() {
            Ok(spec) => spec,
            Err(failure) => {
                self.activity.refuse(Attempt::Connect, &tried);
                return Err(failure);
            }
        };
        if clear && spec.settings.get("tls").and_then(Value::as_str) != Some("insecure") {
            let why = format!(
                "connector `{}` wanted a connection without encryption to {shown}, and the settings of mailbox `{}` \
                 do not say tls = \"insecure\"",
                self.plugin, self.mailbox
            );
            return self.refuse(Attempt::ClearText, &tried, why);
        }
        let mut asked = Vec::new();
        for permission in &self.permissions {
            match permission {
                Permission::Network {
                    host: host_key,
                    port: port_key,
                } => {
                    let granted_host = spec.settings.get(host_key).and_then(Value::as_str);
                    let granted_port = self.port(spec, port_key).unwrap_or(default_port);
                    let same = granted_host.is_some_and(|granted| same_host(granted, host));
                    if same && granted_port == port {
                        return Ok(());
                    }
                    let grant = granted_host.map_or_else(
                        || format!("`{host_key}` is not in the settings"),
                        |host| format!("the settings say {host}:{granted_port}"),
                    );
                    asked.push(format!("network({host_key}, {port_key}), {grant}"));
                }
                Permission::Url(setting) if http => {
                    let granted = spec.settings.get(setting).and_then(Value::as_str);
                    let granted = granted.and_then(|text| Url::parse(text).ok());
                    if granted
                        .as_ref()
                        .is_some_and(|granted| covers(granted, host, port, clear))
                    {
                        return Ok(());
                    }
                    let grant = granted.map_or_else(
                        || format!("`{setting}` is no address in the settings"),
                        |granted| format!("the settings say {}", granted.origin().ascii_serialization()),
                    );
                    asked.push(format!("url({setting}), {grant}"));
                }
                Permission::Url(setting) => asked.push(format!("url({setting}), which is for HTTP")),
                Permission::Endpoint(pattern) => {
                    let allowed = spec.endpoints.iter().any(|allow| matches_host(allow, host));
                    if matches_host(pattern, host) && allowed && !clear {
                        return Ok(());
                    }
                    let grant = if allowed {
                        "the settings allow this host"
                    } else {
                        "the settings do not allow this host"
                    };
                    asked.push(format!("endpoint({pattern}), {grant}"));
                }
                Permission::Files { .. } => {}
            }
        }
        let asked = if asked.is_empty() {
            "for no connection at all".to_owned()
        } else {
            asked.join("; ")
        };
        let why = format!(
            "connector `{}` wanted to connect to {shown}:{port} for mailbox `{}`. Two keys are needed: its description \
             must ask for it (it asks: {asked}), and the settings must name the host and port, or list the host in \
             `allow`",
            self.plugin, self.mailbox
        );
        self.refuse(Attempt::Connect, &tried, why)
    }

    fn port(&self, spec: &AccountSpec, key: &str) -> Option<u16> {
        let value = spec
            .settings
            .get(key)
            .or_else(|| self.schema.get("properties")?.get(key)?.get("default"))?;
        value.as_u64().and_then(|port| u16::try_from(port).ok())
    }

    /// The folder that a setting grants, and whether it may be written.
    ///
    /// # Errors
    /// `forbidden`, naming both keys.
    pub(crate) fn folder(&self, setting: &str) -> Result<(PathBuf, bool), Failure> {
        let shown = clean(setting, 128);
        let spec = match self.account() {
            Ok(spec) => spec,
            Err(failure) => {
                self.activity.refuse(Attempt::Folder, &shown);
                return Err(failure);
            }
        };
        let asked = self.permissions.iter().find_map(|permission| match permission {
            Permission::Files { setting: asked, write } if asked == setting => Some(*write),
            _ => None,
        });
        let Some(write) = asked else {
            let known = self.permissions.iter().filter_map(|permission| match permission {
                Permission::Files { setting, .. } => Some(format!("files({setting})")),
                _ => None,
            });
            let known = known.collect::<Vec<_>>();
            let known = if known.is_empty() {
                "for no folder at all".to_owned()
            } else {
                known.join(", ")
            };
            let why = format!(
                "connector `{}` wanted the folder of setting `{shown}` for mailbox `{}`. Two keys are needed: its \
                 description must ask for files({shown}) (it asks: {known}), and the settings must name the folder",
                self.plugin, self.mailbox
            );
            return self.refuse(Attempt::Folder, &shown, why);
        };
        let Some(path) = spec
            .settings
            .get(setting)
            .and_then(Value::as_str)
            .filter(|path| !path.is_empty())
        else {
            let why = format!(
                "connector `{}` asks for files({shown}), and the settings of mailbox `{}` name no folder there: add \
                 `{shown} = \"…\"`",
                self.plugin, self.mailbox
            );
            return self.refuse(Attempt::Folder, &shown, why);
        };
        Ok((spec.base.join(path), write && self.writable()))
    }
}

/// Whether an address of the settings covers this one: the same host, and the same port and protection, or TLS where the
/// settings ask for less.
fn covers(granted: &Url, host: &str, port: u16, clear: bool) -> bool {
    let same = granted.host_str().is_some_and(|granted| same_host(granted, host));
    let same_port = granted.port_or_known_default() == Some(port);
    same && match granted.scheme() {
        "https" => !clear && same_port,
        "http" if clear => same_port,
        "http" => same_port || port == 443,
        _ => false,
    }
}

/// Host names are compared without case, and with or without the root's dot.
fn same_host(a: &str, b: &str) -> bool {
    let bare = |host: &str| host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let (a, b) = (bare(a), bare(b));
    !a.is_empty() && a == b
}

/// `*.example.org` is every host below the domain, not the domain itself.
fn matches_host(pattern: &str, host: &str) -> bool {
    let Some(domain) = pattern.strip_prefix("*.") else {
        return same_host(pattern, host);
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let domain = domain.strip_suffix('.').unwrap_or(domain).to_ascii_lowercase();
    !domain.is_empty()
        && host
            .strip_suffix(&domain)
            .and_then(|rest| rest.strip_suffix('.'))
            .is_some_and(|label| !label.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use whimbrel_model::{Abilities, Kind};
    use whimbrel_wire::Credentials;

    use super::*;
    use crate::Connections;

    fn description(permissions: Vec<Permission>) -> Description {
        Description {
            name: "imap".into(),
            version: "1.0.0".into(),
            summary: "x".into(),
            homepage: None,
            kinds: vec![Kind::Message],
            abilities: Abilities::default(),
            permissions,
            settings_schema: r#"{"properties":{"other":{"default":1993}}}"#.into(),
            account_schema: "{}".into(),
        }
    }

    fn spec(settings: Value, endpoints: &[&str]) -> AccountSpec {
        let Value::Object(settings) = settings else {
            panic!("an object")
        };
        AccountSpec {
            mailbox: "alice".into(),
            settings,
            credentials: Credentials::None,
            ca: None,
            pins: Vec::new(),
            compress: None,
            connections: Connections::default(),
            activity: Activity::default(),
            base: "/base".into(),
            endpoints: endpoints.iter().map(|host| (*host).to_owned()).collect(),
            timeouts: crate::Timeouts::default(),
        }
    }

    fn network(port: &str) -> Permission {
        Permission::Network {
            host: "host".into(),
            port: port.into(),
        }
    }

    fn grants(permissions: Vec<Permission>, settings: Value, endpoints: &[&str]) -> Grants {
        Grants::new(&description(permissions), &spec(settings, endpoints), Use::Destination)
    }

    fn refusal<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
        match result {
            Err(Failure::Forbidden(text)) => text,
            other => panic!("not refused: {other:?}"),
        }
    }

    #[test]
    fn the_host_and_port_of_the_settings_and_no_other() {
        let grants = grants(
            vec![network("port")],
            json!({"host": "Mail.Example.", "port": 994}),
            &[],
        );
        grants.network("mail.example", 994, 993, false).unwrap();
        for (host, port) in [
            ("mail.example", 993),
            ("evil.example", 994),
            ("", 994),
            ("mail.example.evil.example", 994),
        ] {
            let text = refusal(grants.network(host, port, 993, false));
            assert!(
                text.contains("network(host, port), the settings say Mail.Example.:994"),
                "{text}"
            );
            assert!(text.contains("alice") && text.contains("`imap`"), "{text}");
        }
    }

    #[test]
    fn a_port_that_is_not_set_is_the_schemas_or_the_protocols() {
        let settings = json!({"host": "mail.example"});
        grants(vec![network("other")], settings.clone(), &[])
            .network("mail.example", 1993, 993, false)
            .unwrap();
        let plain = grants(vec![network("port")], settings, &[]);
        plain.network("mail.example", 993, 993, false).unwrap();
        refusal(plain.network("mail.example", 1993, 993, false));
    }

    #[test]
    fn both_keys_are_needed() {
        let settings = json!({"host": "mail.example", "port": 993});
        let text = refusal(grants(Vec::new(), settings, &["mail.example"]).network("mail.example", 993, 993, false));
        assert!(text.contains("for no connection at all"), "{text}");
        let text = refusal(grants(vec![network("port")], json!({}), &[]).network("mail.example", 993, 993, false));
        assert!(text.contains("`host` is not in the settings"), "{text}");
    }

    #[test]
    fn an_address_opens_its_own_host_and_port_to_http_alone() {
        let with = |url: &str, tls: &str| {
            grants(
                vec![Permission::Url("url".into())],
                json!({"url": url, "tls": tls}),
                &[],
            )
        };
        let given = with("https://Dav.Example/path", "implicit");
        given.http("dav.example", 443, false).unwrap();
        for (host, port, clear) in [
            ("dav.example", 8443, false),
            ("dav.example", 80, true),
            ("dav.example", 443, true),
            ("dav.example.evil.example", 443, false),
            ("", 443, false),
        ] {
            refusal(given.http(host, port, clear));
        }
        let text = refusal(given.network("dav.example", 443, 993, false));
        assert!(text.contains("url(url), which is for HTTP"), "{text}");
        let clear = with("http://dav.example:8080/", "insecure");
        clear.http("dav.example", 8080, true).unwrap();
        clear.http("dav.example", 443, false).unwrap();
        refusal(clear.http("dav.example", 80, true));
        let unsaid = with("http://dav.example:8080/", "implicit");
        let text = refusal(unsaid.http("dav.example", 8080, true));
        assert!(text.contains("tls = \"insecure\""), "{text}");
        for url in ["", "dav.example", "ftp://dav.example/"] {
            refusal(with(url, "insecure").http("dav.example", 443, false));
        }
    }

    #[test]
    fn endpoints_need_both_too() {
        let asks = || vec![Permission::Endpoint("*.api.example".into())];
        grants(asks(), json!({}), &["eu.api.example"])
            .network("EU.api.example", 443, 993, false)
            .unwrap();
        grants(asks(), json!({}), &["*.api.example"])
            .network("eu.api.example", 443, 993, false)
            .unwrap();
        refusal(grants(asks(), json!({}), &[]).network("eu.api.example", 443, 993, false));
        refusal(grants(asks(), json!({}), &["*.api.example"]).network("api.example", 443, 993, false));
        refusal(grants(asks(), json!({}), &["evilapi.example"]).network("evilapi.example", 443, 993, false));
        refusal(grants(asks(), json!({"tls": "insecure"}), &["eu.api.example"]).network(
            "eu.api.example",
            80,
            143,
            true,
        ));
    }

    #[test]
    fn clear_text_needs_the_word() {
        let settings = |tls: &str| json!({"host": "mail.example", "port": 143, "tls": tls});
        let text =
            refusal(grants(vec![network("port")], settings("starttls"), &[]).network("mail.example", 143, 143, true));
        assert!(text.contains("tls = \"insecure\""), "{text}");
        grants(vec![network("port")], settings("insecure"), &[])
            .network("mail.example", 143, 143, true)
            .unwrap();
    }

    #[test]
    fn folders() {
        let asks = || {
            vec![Permission::Files {
                setting: "root".into(),
                write: true,
            }]
        };
        let given = grants(asks(), json!({"root": "out/mail", "secret": "/etc"}), &[]);
        assert_eq!(given.folder("root"), Ok((PathBuf::from("/base/out/mail"), true)));
        let text = refusal(given.folder("secret"));
        assert!(text.contains("files(secret)") && text.contains("files(root)"), "{text}");
        for settings in [json!({}), json!({"root": ""}), json!({"root": 7})] {
            let text = refusal(grants(asks(), settings, &[]).folder("root"));
            assert!(text.contains("root = "), "{text}");
        }
        let source = Grants::new(&description(asks()), &spec(json!({"root": "/in"}), &[]), Use::Source);
        assert_eq!(
            source.folder("root"),
            Ok((PathBuf::from("/in"), false)),
            "a source is only read"
        );
        assert!(!source.writable());
    }

    #[test]
    fn nothing_is_granted_for_describing() {
        let activity = Activity::default();
        let none = Grants::none("x", &activity);
        refusal(none.folder("root"));
        refusal(none.network("a", 1, 993, false));
        assert!(!none.writable());
        assert_eq!(tried(&none), ["Folder root", "Connect a:1"]);
    }

    /// What was noted, in order.
    fn tried(grants: &Grants) -> Vec<String> {
        let refused = grants.activity().usage().refused;
        refused
            .iter()
            .map(|it| format!("{:?} {}", it.attempt, it.what))
            .collect()
    }

    #[test]
    fn names_that_look_like_the_granted_one_are_refused_and_noted() {
        let grants = grants(
            vec![network("port"), Permission::Endpoint("*.api.example".into())],
            json!({"host": "mail.example", "port": 993}),
            &["*.api.example"],
        );
        for host in ["MAIL.example", "mail.example."] {
            grants.network(host, 993, 993, false).unwrap();
        }
        let tricks = [
            "mail.example..",
            ".mail.example",
            " mail.example",
            "mail.example ",
            "mail.example:993",
            "mail.example/",
            "mail.example@evil.example",
            "evil.example#mail.example",
            "mail.example\0.evil.example",
            "mail。example",
            "ｍail.example",
            "mаil.example",
            "127.0.0.1",
            "2130706433",
            "0x7f000001",
            "[::1]",
            "::ffff:127.0.0.1",
            "localhost",
            "api.example",
            ".api.example",
            "x.api.example.evil.example",
            "xapi.example",
        ];
        for host in tricks {
            refusal(grants.network(host, 993, 993, false));
        }
        for port in [0, 25, 143, 65535] {
            refusal(grants.network("mail.example", port, 993, false));
        }
        assert_eq!(tried(&grants).len(), tricks.len() + 4);
        assert!(tried(&grants).contains(&"Connect mail.example:25".to_owned()));
    }

    #[test]
    fn clear_text_that_was_tried_is_noted() {
        let grants = grants(vec![network("port")], json!({"host": "mail.example", "port": 143}), &[]);
        refusal(grants.network("mail.example", 143, 143, true));
        assert_eq!(tried(&grants), ["ClearText mail.example:143"]);
    }
}
