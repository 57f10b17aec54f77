//! What a connector says of itself, and how it takes settings.

use serde_json::{Map, Value};
use whimbrel_model::{Abilities, Failure, Permission};
use whimbrel_sandbox::AccountSpec;
use whimbrel_wire::Credentials;

use crate::suite::{Case, During, Suite, Verdict, case, check, need};

/// The cases of this theme.
pub const CASES: &[Case] = &[
    case!(
        "describe/identity",
        identity,
        "name, version, summary and kinds are well-formed"
    ),
    case!(
        "describe/schemas",
        schemas,
        "the schemas are JSON Schemas of objects, without secrets among the settings"
    ),
    case!(
        "describe/permissions",
        permissions,
        "permissions name settings that exist"
    ),
    case!(
        "describe/abilities",
        abilities,
        "a connector that only reads claims no ability to write"
    ),
    case!(
        "settings/accepted",
        accepted,
        "the settings of the test accounts fit the schemas"
    ),
    case!(
        "settings/refused",
        refused,
        "missing and malformed settings are refused by the schema"
    ),
    case!(
        "open/invalid-settings",
        invalid_settings,
        "opening with missing or malformed settings gives invalid-settings"
    ),
    case!(
        "open/again",
        again,
        "an account opens twice, and twice at the same time"
    ),
];

async fn identity(suite: &mut Suite<'_>) -> Verdict {
    let description = suite.plugin.description();
    let name = &description.name;
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    check!(
        !name.is_empty() && letters,
        "the name {name:?} is not of lower-case letters, digits and \"-\""
    );
    check!(
        is_version(&description.version),
        "{:?} is not a semantic version",
        description.version
    );
    let summary = &description.summary;
    check!(
        !summary.trim().is_empty() && summary.lines().count() == 1,
        "the summary {summary:?} is not one line"
    );
    check!(!description.kinds.is_empty(), "it names no kinds of items");
    for (at, kind) in description.kinds.iter().enumerate() {
        check!(
            !description.kinds[..at].contains(kind),
            "it names the kind {kind:?} twice"
        );
    }
    if let Some(homepage) = &description.homepage {
        check!(
            homepage.starts_with("https://") || homepage.starts_with("http://"),
            "{homepage:?} is not a web address"
        );
    }
    Ok(())
}

/// `major.minor.patch`, with a pre-release or build behind it where there is one (semver.org, 2).
fn is_version(text: &str) -> bool {
    let (core, rest) = text.split_at(text.find(['-', '+']).unwrap_or(text.len()));
    let number = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'))
    };
    let parts: Vec<&str> = core.split('.').collect();
    parts.len() == 3 && parts.into_iter().all(number) && rest.len() != 1
}

async fn schemas(suite: &mut Suite<'_>) -> Verdict {
    let description = suite.plugin.description();
    for (what, text) in [
        ("settings", &description.settings_schema),
        ("account", &description.account_schema),
    ] {
        let schema = parsed(what, text)?;
        check!(
            schema.get("type") == Some(&Value::from("object")),
            "the {what} schema is not of type \"object\""
        );
        let declared = properties(&schema);
        for required in schema.get("required").and_then(Value::as_array).into_iter().flatten() {
            let name = required.as_str().unwrap_or_default();
            check!(
                declared.contains_key(name),
                "the {what} schema requires {required}, which it does not describe"
            );
        }
        for (name, property) in &declared {
            let described = property
                .get("description")
                .and_then(Value::as_str)
                .is_some_and(|text| !text.is_empty());
            check!(
                described,
                "{name:?} in the {what} schema has no description: it is the admin's documentation"
            );
        }
    }
    let settings = properties(&parsed("settings", &description.settings_schema)?);
    for secret in ["password", "token", "secret", "passphrase"] {
        check!(
            !settings.contains_key(secret),
            "{secret:?} is among the settings: secrets belong to the account schema"
        );
    }
    Ok(())
}

fn parsed(what: &str, schema: &str) -> Verdict<Value> {
    serde_json::from_str(schema)
        .map_err(|error| crate::suite::Stop::Failed(format!("the {what} schema is not JSON: {error}")))
}

fn properties(schema: &Value) -> Map<String, Value> {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

async fn permissions(suite: &mut Suite<'_>) -> Verdict {
    let description = suite.plugin.description();
    let mut known = properties(&parsed("settings", &description.settings_schema)?);
    known.extend(properties(&parsed("account", &description.account_schema)?));
    for permission in &description.permissions {
        let named = match permission {
            Permission::Network { host, port } => vec![host, port],
            Permission::Files { setting, .. } | Permission::Url(setting) => vec![setting],
            Permission::Endpoint(host) => {
                let domain = host.strip_prefix("*.").unwrap_or(host);
                let letters = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
                check!(
                    !domain.is_empty() && domain.bytes().all(letters),
                    "the endpoint {host:?} is not a host name"
                );
                continue;
            }
        };
        for setting in named {
            check!(
                known.contains_key(setting),
                "a permission names the setting {setting:?}, which no schema describes"
            );
        }
    }
    Ok(())
}

async fn abilities(suite: &mut Suite<'_>) -> Verdict {
    need!(!suite.plugin.can_write(), "the connector writes, too");
    let claimed = suite.plugin.description().abilities;
    let Abilities {
        incremental,
        reports_vanished,
        push,
        ..
    } = claimed;
    let reading = Abilities {
        incremental,
        reports_vanished,
        push,
        ..Abilities::default()
    };
    check!(claimed == reading, "it only reads, but claims {claimed:?}");
    Ok(())
}

/// The settings and the mailbox's values of an account, as the admin writes them in two places.
fn apart(suite: &Suite<'_>, spec: &AccountSpec) -> Verdict<(Map<String, Value>, Map<String, Value>)> {
    let description = suite.plugin.description();
    let of_account = properties(&parsed("account", &description.account_schema)?);
    let of_settings = properties(&parsed("settings", &description.settings_schema)?);
    let is_account = |name: &String| of_account.contains_key(name) && !of_settings.contains_key(name);
    let (mut account, settings): (Map<_, _>, Map<_, _>) = spec
        .settings
        .clone()
        .into_iter()
        .partition(|(name, _)| is_account(name));
    match &spec.credentials {
        Credentials::Password { user, .. } => {
            account.entry("user").or_insert_with(|| user.clone().into());
            account.insert("password".to_owned(), "…".into());
        }
        Credentials::OAuth { user, .. } | Credentials::Login { user, .. } => {
            account.entry("user").or_insert_with(|| user.clone().into());
            account.insert("token".to_owned(), "…".into());
        }
        _ => {}
    }
    Ok((settings, account))
}

async fn accepted(suite: &mut Suite<'_>) -> Verdict {
    let source = suite.subject.source.as_ref().map(|source| &source.spec);
    let specs: Vec<&AccountSpec> = source.into_iter().chain(&suite.subject.destination).collect();
    need!(!specs.is_empty(), "no account was given");
    for spec in specs {
        let (settings, account) = apart(suite, spec)?;
        let problems = suite.plugin.check_settings(&settings.into(), &account.into());
        check!(
            problems.is_empty(),
            "the settings of {:?} work, but do not fit: {}",
            spec.mailbox,
            problems.join("; ")
        );
    }
    Ok(())
}

/// Settings that cannot be.
struct Malformed {
    /// The setting that is wrong.
    name: String,
    /// What is wrong with it.
    what: String,
    settings: Map<String, Value>,
}

/// The settings without each one that is required, and with nonsense in its place.
fn malformed(suite: &Suite<'_>, spec: &AccountSpec) -> Verdict<Vec<Malformed>> {
    let schema = parsed("settings", &suite.plugin.description().settings_schema)?;
    let mut all = Vec::new();
    for name in schema
        .get("required")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
    {
        let mut without = spec.settings.clone();
        without.remove(name);
        all.push(Malformed {
            name: name.to_owned(),
            what: format!("without {name:?}"),
            settings: without,
        });
        let mut nonsense = spec.settings.clone();
        nonsense.insert(name.to_owned(), serde_json::json!({"nonsense": [true]}));
        all.push(Malformed {
            name: name.to_owned(),
            what: format!("with an object as {name:?}"),
            settings: nonsense,
        });
    }
    need!(!all.is_empty(), "no setting is required");
    Ok(all)
}

async fn refused(suite: &mut Suite<'_>) -> Verdict {
    let spec = any_spec(suite)?;
    for Malformed { what, settings, .. } in malformed(suite, &spec)? {
        let (settings, account) = apart(
            suite,
            &AccountSpec {
                settings,
                ..spec.clone()
            },
        )?;
        let problems = suite.plugin.check_settings(&settings.into(), &account.into());
        check!(!problems.is_empty(), "settings {what} fit the schema");
    }
    Ok(())
}

fn any_spec(suite: &Suite<'_>) -> Verdict<AccountSpec> {
    let source = suite.subject.source.as_ref().map(|source| &source.spec);
    let spec = source.or(suite.subject.destination.as_ref()).cloned();
    spec.ok_or_else(|| crate::suite::Stop::Skipped("no account was given".into()))
}

async fn invalid_settings(suite: &mut Suite<'_>) -> Verdict {
    let spec = suite.known()?.spec.clone();
    for Malformed { name, what, settings } in malformed(suite, &spec)? {
        let spec = AccountSpec {
            settings,
            ..spec.clone()
        };
        let failure = match suite.plugin.source(&spec).await {
            Err(failure) => Some(failure),
            // Opened lazily: the first call tells.
            Ok(mut source) => source.collections().await.err(),
        };
        match failure {
            Some(Failure::InvalidSettings(_)) => {}
            // The host's own answer where the setting is the key to a door.
            Some(Failure::Forbidden(_)) if opens_a_door(&suite.plugin.description().permissions, &name) => {}
            Some(other) => check!(
                false,
                "opening {what} gave {:?} and not invalid-settings: {other}",
                other.code()
            ),
            None => check!(false, "an account opened {what}"),
        }
    }
    Ok(())
}

fn opens_a_door(permissions: &[Permission], name: &str) -> bool {
    permissions.iter().any(|permission| match permission {
        Permission::Network { host, port } => host == name || port == name,
        Permission::Files { setting, .. } | Permission::Url(setting) => setting == name,
        Permission::Endpoint(_) => false,
    })
}

async fn again(suite: &mut Suite<'_>) -> Verdict {
    let mut first = suite.source().await?;
    let before = first.collections().await.during("collections")?.len();
    let mut second = suite.source().await?;
    let beside = second.collections().await.during("collections")?.len();
    let after = first.collections().await.during("collections")?.len();
    check!(
        before == beside && beside == after,
        "two open accounts see {before}, {beside} and {after} collections"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for good in ["0.1.0", "10.20.30", "1.0.0-alpha.1", "1.0.0+5"] {
            assert!(is_version(good), "{good}");
        }
        for bad in ["", "1", "1.0", "1.0.x", "01.0.0", "1.0.0.0", "v1.0.0", "1.0.0-"] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}
