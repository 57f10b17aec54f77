//! The accounts of every mailbox, checked against what the connectors ask for.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};
use whimbrel_engine::{Daily, Endpoint, Mailbox, OfKinds, Provider};
use whimbrel_model::Kind;
use whimbrel_sandbox::{AccountSpec, Activity, Connections, Plugin, Timeouts};
use whimbrel_wire::Credentials;

use crate::problem::Problem;
use crate::rules::Elsewhere;
use crate::secrets::Keeper;
use crate::session::Loaded;
use crate::settings::{Account, Part, SecretRef, Settings, Side, Whose};

/// The connectors of each part of the settings, and the kinds of items that it moves.
pub struct Pairs<'p>(Vec<Option<Pair<'p>>>);

struct Pair<'p> {
    /// Of the source and of the destination.
    plugins: [&'p Plugin; 2],
    /// What is moved.
    moved: Vec<Kind>,
    /// What the source has, the destination does not hold, and no other part moves: it is told of.
    unheld: Vec<Kind>,
}

impl<'p> Pairs<'p> {
    /// Of connectors by the names that the settings have for them; a part of which one is missing is left out.
    pub fn new(settings: &Settings, plugins: &HashMap<&str, &'p Plugin>, problems: &mut Vec<Problem>) -> Self {
        let mut pairs: Vec<Option<Pair<'p>>> = Vec::new();
        for part in &settings.parts {
            let of = |side: &Side| plugins.get(side.connector.as_str()).copied();
            let (Some(source), Some(destination)) = (of(&part.source), of(&part.destination)) else {
                pairs.push(None);
                continue;
            };
            if !destination.can_write() {
                problems.push(read_only(&part.destination, destination));
            }
            let moved = moved(part, source, destination).unwrap_or_else(|problem| {
                problems.push(*problem);
                Vec::new()
            });
            pairs.push(Some(Pair {
                plugins: [source, destination],
                moved,
                unheld: Vec::new(),
            }));
        }
        for number in 0..pairs.len() {
            let section = |at: usize| &settings.parts[at].source.section;
            let sharing = (0..pairs.len()).filter(|at| section(*at) == section(number));
            if sharing.clone().min() != Some(number) || settings.parts[number].kinds.is_some() {
                continue;
            }
            let elsewhere: HashSet<Kind> = sharing
                .filter_map(|at| pairs[at].as_ref())
                .flat_map(|pair| pair.moved.clone())
                .collect();
            if let Some(pair) = &mut pairs[number] {
                let kinds = pair.plugins[0].description().kinds.iter().copied();
                pair.unheld = kinds.filter(|kind| !elsewhere.contains(kind)).collect();
            }
        }
        Self(pairs)
    }

    /// What they are, for the trail.
    pub fn loaded(&self) -> Vec<[Loaded; 2]> {
        let known = |pair: &Option<Pair<'_>>| match pair {
            Some(pair) => pair.plugins.map(Loaded::of),
            None => Default::default(),
        };
        self.0.iter().map(known).collect()
    }
}

/// The kinds of items that a part moves.
fn moved(part: &Part, source: &Plugin, destination: &Plugin) -> Result<Vec<Kind>, Box<Problem>> {
    let [given, held] = [source, destination].map(|plugin| plugin.description());
    let list = |kinds: &[Kind]| {
        kinds
            .iter()
            .map(|kind| format!("{kind}s"))
            .collect::<Vec<_>>()
            .join(", ")
    };
    let nothing = |message: String| {
        let help = format!(
            "`{}` gives {}, and `{}` holds {}",
            given.name,
            list(&given.kinds),
            held.name,
            list(&held.kinds)
        );
        Box::new(
            Problem::settings(message)
                .at(part.destination.connector_place.clone())
                .help(help),
        )
    };
    let both = |kind: &Kind| given.kinds.contains(kind) && held.kinds.contains(kind);
    let Some(wanted) = &part.kinds else {
        // In the destination's order: the first is what it is for.
        let moved: Vec<Kind> = held.kinds.iter().copied().filter(both).collect();
        return match moved.is_empty() {
            true => Err(nothing(format!(
                "nothing can be moved from `{}` to `{}`",
                part.source.connector, part.destination.connector
            ))),
            false => Ok(moved),
        };
    };
    match wanted.iter().find(|kind| !both(kind)) {
        Some(kind) => Err(nothing(format!(
            "items of the kind {kind} cannot be moved from `{}` to `{}`",
            part.source.connector, part.destination.connector
        ))),
        None => Ok(wanted.clone()),
    }
}

fn read_only(side: &Side, plugin: &Plugin) -> Problem {
    let message = format!(
        "the connector `{}` only reads: it cannot be a destination",
        plugin.description().name
    );
    Problem::settings(message)
        .at(side.connector_place.clone())
        .help("`whimbrel plugin list` shows which connectors write")
}

/// Both sides of every mailbox, checked against what the connectors ask for.
pub fn mailboxes(
    settings: &Settings,
    pairs: &Pairs<'_>,
    keeper: &Arc<Keeper>,
    problems: &mut Vec<Problem>,
    warnings: &mut Vec<Problem>,
) -> Vec<Mailbox> {
    let mut said = HashSet::new();
    let mut ready = Vec::new();
    for mailbox in &settings.mailboxes {
        let Some(pair) = &pairs.0[mailbox.part] else { continue };
        let (part, [source, destination]) = (settings.part(mailbox), pair.plugins);
        let mut ends = Vec::new();
        let sides = [
            (&part.source, source, &mailbox.source),
            (&part.destination, destination, &mailbox.destination),
        ];
        for (side, plugin, account) in sides {
            let account = &fitting(plugin, account);
            warnings.extend(
                account
                    .secret
                    .as_ref()
                    .and_then(|secret| secret.exposed())
                    .filter(|it| said.insert(it.to_string())),
            );
            let whose = Whose {
                mailbox: &mailbox.name,
                side: side.which,
            };
            let before = problems.len();
            let (given, own) = split(plugin, side, account);
            let mut sentences = plugin.check_settings(&Value::Object(given.clone()), &Value::Object(own));
            if account.way_in().is_none()
                && account.values.contains_key("user")
                && wants_secret(plugin)
                && !sentences.is_empty()
            {
                // Clearer than what a schema's "one of these" gives.
                sentences.retain(|sentence| sentence.starts_with("settings"));
                let help = format!(
                    "write {} = {{ user = \"…\", password = {{ env = \"VARIABLE\" }} }}",
                    side.which
                );
                let problem = Problem::settings(format!("{whose} has no password or token"));
                problems.push(problem.at(mailbox.place.clone()).help(help));
            }
            let wrong = !sentences.is_empty() || problems.len() > before;
            // What is wrong with the settings is wrong for every mailbox: said once.
            for sentence in sentences
                .into_iter()
                .filter(|sentence| said.insert(format!("{}: {sentence}", side.section)))
            {
                let message = format!("connector `{}`, {whose}: {sentence}", plugin.description().name);
                let help = format!("`whimbrel plugin inspect {}` shows what it asks for", side.connector);
                let place = if sentence.starts_with("settings") {
                    &side.settings_place
                } else {
                    &mailbox.place
                };
                problems.push(Problem::settings(message).at(place.clone()).help(help));
            }
            match account.credentials(whose, keeper) {
                Ok(credentials) if !wrong => {
                    let spec = spec(settings, side, &mailbox.name, merged(given, account));
                    let renewed = account.secret.as_ref().is_some_and(SecretRef::may_be_renewed);
                    let whole: Arc<dyn Provider> = match renewed {
                        true => Arc::new(Elsewhere {
                            plugin: plugin.clone(),
                            spec,
                            account: account.clone(),
                            keeper: Arc::clone(keeper),
                            side: side.which,
                        }),
                        false => Arc::new(Endpoint {
                            plugin: plugin.clone(),
                            spec: AccountSpec { credentials, ..spec },
                        }),
                    };
                    let mut kinds = pair.moved.clone();
                    if side.which == "source" {
                        kinds.extend(&pair.unheld);
                    }
                    ends.push(Arc::new(OfKinds { whole, kinds }));
                }
                Ok(_) => {}
                // A vault that does not open, or a client's secret that is missing, is said once and not for each mailbox.
                Err(problem) if said.insert(problem.to_string()) => problems.push(*problem),
                Err(_) => {}
            }
        }
        if let Ok([source, destination]) = <[Arc<OfKinds>; 2]>::try_from(ends) {
            ready.push(Mailbox {
                name: mailbox.name.clone(),
                owner: mailbox.owner.clone(),
                source,
                destination,
                attributes: mailbox.attributes.clone(),
                daily: Daily {
                    source: part.source.daily,
                    destination: part.destination.daily,
                },
            });
        }
    }
    ready
}

/// What an account is opened with, the credentials apart.
fn spec(settings: &Settings, side: &Side, mailbox: &str, given: Map<String, Value>) -> AccountSpec {
    AccountSpec {
        mailbox: mailbox.to_owned(),
        settings: given,
        credentials: Credentials::None,
        ca: side.ca.clone(),
        pins: side.pins.clone(),
        compress: side.compress,
        connections: Connections::default(),
        activity: Activity::default(),
        base: settings.base.clone(),
        endpoints: side.allow.clone(),
        timeouts: Timeouts::default(),
    }
}

/// The destination of every mailbox of the settings: of those that are worked on, and of the others. It is that of the first
/// part: rules send messages there.
pub fn destinations(
    settings: &Settings,
    pairs: &Pairs<'_>,
    mailboxes: &[Mailbox],
    keeper: &Arc<Keeper>,
) -> HashMap<String, Arc<dyn Provider>> {
    let Some(Some(pair)) = pairs.0.first() else {
        return HashMap::new();
    };
    let (side, plugin) = (&settings.parts[0].destination, pair.plugins[1]);
    let others = settings
        .others
        .iter()
        .filter(|mailbox| mailbox.part == 0)
        .map(|mailbox| {
            let account = &mailbox.destination;
            let (given, _) = split(plugin, side, account);
            let elsewhere: Arc<dyn Provider> = Arc::new(Elsewhere {
                plugin: plugin.clone(),
                spec: spec(settings, side, &mailbox.name, merged(given, account)),
                account: account.clone(),
                keeper: Arc::clone(keeper),
                side: side.which,
            });
            (mailbox.name.clone(), elsewhere)
        });
    let own = mailboxes
        .iter()
        .filter(|mailbox| mailbox.name == mailbox.owner)
        .map(|mailbox| (mailbox.name.clone(), Arc::clone(&mailbox.destination)));
    own.chain(others).collect()
}

/// The account without what it has from another part and this connector does not ask for.
fn fitting(plugin: &Plugin, account: &Account) -> Account {
    let description = plugin.description();
    let asks = [&description.account_schema, &description.settings_schema]
        .iter()
        .any(|schema| {
            let schema: Value = serde_json::from_str(schema).unwrap_or_default();
            schema.pointer("/properties/user").is_some()
        });
    account.fitting(asks, wants_secret(plugin))
}

/// Whether the connector's mailboxes have a password or token.
fn wants_secret(plugin: &Plugin) -> bool {
    let schema: Value = serde_json::from_str(&plugin.description().account_schema).unwrap_or_default();
    ["/properties/password", "/properties/token"]
        .iter()
        .any(|path| schema.pointer(path).is_some())
}

/// What goes to the connector's settings schema, and what to its account schema. A mailbox may override a setting; texts
/// (all that CSV has) become numbers and truths where the schema wants them. A secret is only said to be there.
fn split(plugin: &Plugin, side: &Side, account: &Account) -> (Map<String, Value>, Map<String, Value>) {
    let schema: Value = serde_json::from_str(&plugin.description().settings_schema).unwrap_or_default();
    let (mut given, mut own) = (side.settings.clone(), Map::new());
    for (key, value) in &account.values {
        match schema.pointer("/properties").and_then(|properties| properties.get(key)) {
            Some(property) => drop(given.insert(key.clone(), typed(value, property))),
            None => drop(own.insert(key.clone(), value.clone())),
        }
    }
    if let Some(way_in) = account.way_in() {
        own.insert(way_in.to_owned(), json!("•"));
    }
    (given, own)
}

fn merged(mut given: Map<String, Value>, account: &Account) -> Map<String, Value> {
    for (key, value) in &account.values {
        given.entry(key.clone()).or_insert_with(|| value.clone());
    }
    given
}

fn typed(value: &Value, property: &Value) -> Value {
    let Value::String(text) = value else {
        return value.clone();
    };
    let parsed = match property.get("type").and_then(Value::as_str) {
        Some("integer") => text.parse::<i64>().ok().map(Value::from),
        Some("number") => text.parse::<f64>().ok().map(Value::from),
        Some("boolean") => text.parse::<bool>().ok().map(Value::from),
        _ => None,
    };
    parsed.unwrap_or_else(|| value.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_what_the_schema_wants() {
        assert_eq!(typed(&json!("993"), &json!({ "type": "integer" })), json!(993));
        assert_eq!(typed(&json!("true"), &json!({ "type": "boolean" })), json!(true));
        assert_eq!(typed(&json!("993"), &json!({ "type": "string" })), json!("993"));
        assert_eq!(typed(&json!("many"), &json!({ "type": "integer" })), json!("many"));
    }
}
