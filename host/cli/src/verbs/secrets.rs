//! `whimbrel secrets`: the vault, and logins by OAuth. No value is ever shown.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use whimbrel_model::{Failure, Tokens};
use whimbrel_vault::{Content, Entry, Key, Vault, VaultError};
use whimbrel_wire::oauth::{Client, Granted};

use crate::args::{Global, SecretsVerb};
use crate::ask;
use crate::exit::Exit;
use crate::failures;
use crate::interrupt;
use crate::output::table::{Rows, plural};
use crate::output::{Output, complain, safe};
use crate::problem::{Problem, Result};
use crate::secrets::{Keeper, command, entry_of, held, now};
use crate::settings::{Account, Flow, Settings, nearest};

/// How long a browser is waited for.
const PATIENCE: Duration = Duration::from_secs(600);

/// Does it.
pub async fn run(global: &Global, verb: &SecretsVerb, output: Output) -> Result<Exit> {
    let mut settings = Settings::load(&global.config)?;
    if let SecretsVerb::Login { only, .. } = verb {
        settings.only(&only.only)?;
    }
    let keeper = Keeper::new(&settings);
    match verb {
        SecretsVerb::Init => init(&settings, &keeper, output),
        SecretsVerb::Set { name, refresh_token } => set(&keeper, name, *refresh_token, output),
        SecretsVerb::List => list(&keeper, output),
        SecretsVerb::Remove { names } => remove(&keeper, names, output),
        SecretsVerb::Rekey { key_file } => rekey(&settings, &keeper, key_file.as_deref(), output),
        SecretsVerb::Login { name, .. } => interrupt::or(login(&settings, &keeper, name, output)).await,
    }
}

fn failed(error: &VaultError) -> Box<Problem> {
    Box::new(failures::vault(error))
}

fn init(settings: &Settings, keeper: &Keeper, output: Output) -> Result<Exit> {
    let path = Vault::path_in(&settings.state);
    if path.exists() {
        // Before a key is made that nobody needs.
        return Err(failed(&VaultError::Exists { path }));
    }
    let (key, made) = keeper.new_key()?;
    let vault = Vault::create(&settings.state, key).map_err(|error| failed(&error))?;
    let (path, key_file) = (vault.path().display(), settings.vault.key_file.as_deref());
    output.document(
        json!({
            "vault": path.to_string(),
            "key_file": key_file.map(|file| file.display().to_string()),
            "key_made": made,
        }),
        Exit::Ok,
    );
    output.say(format!("The vault is {path}."));
    match key_file {
        Some(file) => output.say(format!(
            "Its key is {}: keep a copy elsewhere, and never beside a copy of the vault. Without it nobody can open the vault.",
            file.display()
        )),
        None => output.say("Without its passphrase nobody can open it, and nobody can help."),
    }
    output.say("Next: `whimbrel secrets set NAME`, and { secret = \"NAME\" } in the settings.");
    Ok(Exit::Ok)
}

fn set(keeper: &Keeper, name: &str, refresh_token: bool, output: Output) -> Result<Exit> {
    if refresh_token {
        login_name(keeper, name)?;
    }
    let mut vault = held(keeper.vault()?);
    let what = if refresh_token { "Refresh token" } else { "Secret" };
    let secret = ask::typed_or_piped(&format!("{what} `{}`", safe(name)), false)?;
    let content = match refresh_token {
        true => Content::Login(Tokens {
            refresh: Some(secret),
            ..Tokens::default()
        }),
        false => Content::Text(secret),
    };
    let replaced = vault.get(name).is_some();
    vault.set(name, content, now()).map_err(|error| failed(&error))?;
    output.document(json!({ "name": name, "replaced": replaced }), Exit::Ok);
    output.say(format!(
        "`{}` is {}.",
        safe(name),
        if replaced { "replaced" } else { "set" }
    ));
    Ok(Exit::Ok)
}

/// `OAUTH/USER`, where there is such a section.
fn login_name(keeper: &Keeper, name: &str) -> Result<()> {
    match name.split_once('/') {
        Some((section, user)) if !user.is_empty() => keeper.oauth(section).map(drop),
        _ => {
            let problem = Problem::usage(format!("`{name}` does not name a login"));
            Err(Box::new(problem.help(
                "write OAUTH/USER: the name of a section [oauth.OAUTH], and the account's `user`",
            )))
        }
    }
}

fn list(keeper: &Keeper, output: Output) -> Result<Exit> {
    let vault = held(keeper.vault()?);
    let secrets: Vec<Value> = vault.list().map(|(name, entry)| described(name, entry)).collect();
    output.document(
        json!({ "vault": vault.path().display().to_string(), "secrets": secrets }),
        Exit::Ok,
    );
    if secrets.is_empty() {
        output.say("The vault is empty.");
        return Ok(Exit::Ok);
    }
    let mut rows = Rows::new(&["name", "kind", "set", "ends"]);
    for (name, entry) in vault.list() {
        let ends = match (entry.expires(), renews(entry)) {
            (_, true) => "renews itself".to_owned(),
            (Some(at), false) => time(at),
            (None, false) => String::new(),
        };
        rows.add([name, entry.kind().code(), &time(entry.set), &ends]);
    }
    output.say(rows.render());
    Ok(Exit::Ok)
}

/// An entry without its value.
fn described(name: &str, entry: &Entry) -> Value {
    json!({
        "name": name,
        "kind": entry.kind().code(),
        "set": time(entry.set),
        "expires": entry.expires().map(time),
        "renews": renews(entry),
    })
}

/// Whether there is a refresh token.
fn renews(entry: &Entry) -> bool {
    matches!(&entry.content, Content::Login(tokens) if tokens.refresh.is_some())
}

fn time(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).map_or_else(|_| seconds.to_string(), |time| time.to_string())
}

fn remove(keeper: &Keeper, names: &[String], output: Output) -> Result<Exit> {
    let mut vault = held(keeper.vault()?);
    let mut missing = Vec::new();
    for name in names {
        if vault.remove(name).map_err(|error| failed(&error))? {
            continue;
        }
        let problem = Problem::usage(format!("the vault has no secret `{}`", safe(name)));
        missing.push(match nearest(name, vault.list().map(|(name, _)| name)) {
            Some(meant) => problem.help(format!("did you mean `{meant}`?")),
            None => problem.help("`whimbrel secrets list` shows what is there"),
        });
    }
    let removed = names.len() - missing.len();
    if let Some(problem) = Problem::all(|count| format!("{count} secrets are not there"), missing) {
        return Err(Box::new(problem));
    }
    output.document(json!({ "removed": removed }), Exit::Ok);
    output.say(format!("{} removed.", plural(removed as u64, "secret")));
    Ok(Exit::Ok)
}

fn rekey(settings: &Settings, keeper: &Keeper, key_file: Option<&Path>, output: Output) -> Result<Exit> {
    let mut vault = held(keeper.vault()?);
    let (key, made) = match key_file {
        Some(path) if path.exists() => (Key::read(path).map_err(|error| failed(&error))?, false),
        Some(path) => (Key::create(path).map_err(|error| failed(&error))?, true),
        None => {
            let passphrase = ask::typed_or_piped("New passphrase", true)?;
            (Key::passphrase(passphrase).map_err(|error| failed(&error))?, false)
        }
    };
    vault.rekey(key).map_err(|error| failed(&error))?;
    output.document(
        json!({
            "vault": vault.path().display().to_string(),
            "key_file": key_file.map(|file| file.display().to_string()),
            "key_made": made,
        }),
        Exit::Ok,
    );
    output.say(match key_file {
        Some(file) => format!(
            "The vault opens with {} alone. In the settings: [secrets] key_file = \"…\", relative to {}.",
            file.display(),
            settings.base.display()
        ),
        None if settings.vault.key_file.is_some() => {
            "The vault opens with the new passphrase alone. Remove `key_file` from [secrets] in the settings."
                .to_owned()
        }
        None => "The vault opens with the new passphrase alone.".to_owned(),
    });
    Ok(Exit::Ok)
}

async fn login(settings: &Settings, keeper: &Keeper, name: &str, output: Output) -> Result<Exit> {
    let section = keeper.oauth(name)?;
    let client = keeper.client(name)?;
    let refused = |failure: Failure| Box::new(failures::login(&failure));
    let again = |mailbox: &str| command(name, section.flow, mailbox);
    match section.flow {
        Flow::RefreshToken => {
            let message = format!("[oauth.{name}] has flow = \"refresh_token\": somebody logs in elsewhere");
            let help = format!("keep the token that they got: {}", again(""));
            return Err(Box::new(Problem::usage(message).help(help)));
        }
        Flow::ClientCredentials => {
            let granted = client.client_credentials(&again("")).await.map_err(refused)?;
            let expires = granted.at(now(), None).expires.map(time);
            output.document(json!({ "logins": [], "expires": expires }), Exit::Ok);
            output.say(format!(
                "{} gives tokens to this program. There is nothing to keep: every run gets its own.",
                safe(name)
            ));
            return Ok(Exit::Ok);
        }
        Flow::Device | Flow::Code => {}
    }
    // Before anybody logs in for nothing.
    let vault = keeper.vault()?;
    let mut users = BTreeSet::new();
    let mut logins = Vec::new();
    for mailbox in &settings.mailboxes {
        for user in [&mailbox.source, &mailbox.destination]
            .into_iter()
            .filter_map(|it| user_of(it, name))
        {
            if !users.insert(user.to_owned()) {
                continue;
            }
            complain(&format!("Mailbox `{}`: log in as {}.", safe(&mailbox.name), safe(user)));
            let granted = grant(&client, section.flow, &again(&mailbox.name))
                .await
                .map_err(refused)?;
            let tokens = granted.at(now(), None);
            let entry = Entry {
                content: Content::Login(tokens),
                set: now(),
            };
            let entry_name = entry_of(name, user);
            let document = described(&entry_name, &entry);
            if !renews(&entry) {
                let problem = Problem::settings(format!(
                    "[oauth.{name}] gave no refresh token: the login ends at {}",
                    entry.expires().map_or_else(|| "an unknown time".to_owned(), time)
                ));
                output.warn(&problem.warning().help(
                    "ask for one, as the provider documents it: often the scope `offline_access`, or a parameter",
                ));
            }
            held(vault)
                .set(&entry_name, entry.content, entry.set)
                .map_err(|error| failed(&error))?;
            complain("Logged in.");
            logins.push(document);
        }
    }
    if logins.is_empty() {
        let message = format!("no mailbox logs in with [oauth.{name}]");
        let help = format!("write oauth = \"{name}\" beside `user` in the account of a mailbox");
        return Err(Box::new(Problem::usage(message).help(help)));
    }
    output.say(format!("{} kept in the vault.", plural(logins.len() as u64, "login")));
    output.document(json!({ "logins": logins }), Exit::Ok);
    Ok(Exit::Ok)
}

/// The user of an account that logs in with this section.
fn user_of<'a>(account: &'a Account, name: &str) -> Option<&'a str> {
    account.login.as_ref().filter(|login| login.name == name)?;
    account.user()
}

/// Has somebody log in.
async fn grant(client: &Client, flow: Flow, again: &str) -> Result<Granted, Failure> {
    if flow == Flow::Code {
        let authorization = client.authorization().await?;
        complain(&format!(
            "Open this address in a browser on this machine:\n\n  {}\n",
            safe(&authorization.url)
        ));
        return client.authorized(authorization, PATIENCE, again).await;
    }
    let device = client.device_code(again).await?;
    let direct = match &device.verification_uri_complete {
        Some(uri) => format!(", or {}", safe(uri)),
        None => String::new(),
    };
    complain(&format!(
        "Open {}{direct} on any device, and enter the code {} within {} minutes.",
        safe(&device.verification_uri),
        safe(&device.user_code),
        device.lifetime.as_secs().div_ceil(60)
    ));
    client.device_tokens(&device, again).await
}
