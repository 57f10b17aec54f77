//! A connector's project: `connector.toml`, which says how the connector is built and what it is tried on.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Map, Value};
use whimbrel_sandbox::{AccountSpec, Activity, Connections, Timeouts};
use whimbrel_wire::Credentials;

use crate::stand_in::{self, StandIn};
use crate::{SourceSubject, Subject, cases};

/// Why a project cannot be used, or its stand-in not be started. The texts name file and key, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read `{file}`: {reason}", file = file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is not of the form that is wanted.
    #[error("`{file}`: {reason}", file = file.display())]
    Form {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        reason: String,
    },
    /// The stand-in does not do what it should.
    #[error("the stand-in `{command}` {reason}")]
    StandIn {
        /// Its command line.
        command: String,
        /// What is wrong; continues "the stand-in … ".
        reason: String,
    },
}

/// How a connector is built where cargo alone does not do it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Build {
    /// A program and its arguments, run in the project's folder.
    pub command: Vec<String>,
    /// The core module or component that it makes, relative to that folder.
    pub module: PathBuf,
}

/// A `connector.toml`, read; nothing is started.
#[derive(Debug)]
pub struct Project {
    /// The folder that it lies in.
    pub folder: PathBuf,
    /// How the connector is built.
    pub build: Option<Build>,
    /// The component of the release before.
    pub previous: Option<PathBuf>,
    file: PathBuf,
    wanted: File,
}

/// What a connector is tried on, with the stand-in that runs for it.
#[derive(Debug)]
pub struct Bench {
    /// The accounts.
    pub subject: Subject,
    /// It ends when this is dropped.
    stand_in: Option<StandIn>,
}

impl Bench {
    /// Lets the stand-in end by itself.
    pub async fn end(self) {
        let Self { subject, stand_in } = self;
        // The hooks hold on to it.
        drop(subject);
        if let Some(stand_in) = stand_in {
            stand_in.end().await;
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    build: Option<Build>,
    stand_in: Option<Program>,
    source: Option<Account>,
    destination: Option<Account>,
    previous: Option<Previous>,
    #[serde(default)]
    excused: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Program {
    command: Vec<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Previous {
    plugin: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Account {
    user: Option<String>,
    password: Option<Given>,
    token: Option<Given>,
    /// What it holds, where no stand-in tells.
    content: Option<PathBuf>,
    /// Hosts that a permission names by itself, and the account may be at.
    #[serde(default)]
    allow: Vec<String>,
    /// A PEM file of authorities.
    ca: Option<PathBuf>,
    #[serde(default)]
    settings: Map<String, Value>,
}

/// A secret: the text itself, which is for stand-ins, or where to look.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Given {
    Text(String),
    Variable { env: String },
}

impl Project {
    /// Reads one.
    ///
    /// # Errors
    /// What is wrong with it, and where.
    pub fn read(file: &Path) -> Result<Self, ConfigError> {
        let text = fs::read_to_string(file).map_err(|error| ConfigError::Read {
            file: file.to_owned(),
            reason: error.to_string(),
        })?;
        Self::parse(file, &text)
    }

    fn parse(file: &Path, text: &str) -> Result<Self, ConfigError> {
        let form = |reason: String| ConfigError::Form {
            file: file.to_owned(),
            reason,
        };
        let wanted: File = toml::from_str(text).map_err(|error| form(error.to_string().trim_end().to_owned()))?;
        let programs = [
            ("build.command", wanted.build.as_ref().map(|build| &build.command)),
            (
                "stand-in.command",
                wanted.stand_in.as_ref().map(|program| &program.command),
            ),
        ];
        for (key, command) in programs {
            if command.is_some_and(Vec::is_empty) {
                return Err(form(format!(
                    "`{key}` is empty: a program and its arguments are wanted"
                )));
            }
        }
        for (key, account) in [("source", &wanted.source), ("destination", &wanted.destination)] {
            let Some(account) = account else { continue };
            if account.password.is_some() && account.token.is_some() {
                return Err(form(format!("[{key}] has a `password` and a `token`: one of them")));
            }
            if account.user.is_none() && (account.password.is_some() || account.token.is_some()) {
                return Err(form(format!("[{key}] has a secret and no `user`")));
            }
            if key == "destination" && account.content.is_some() {
                return Err(form("[destination] has `content`: only a [source] is known".to_owned()));
            }
        }
        if let Some(unknown) = wanted
            .excused
            .keys()
            .find(|id| !cases().any(|(known, _)| known == id.as_str()))
        {
            return Err(form(format!(
                "[excused] names `{unknown}`, and there is no such case: `whimbrel plugin test` shows their ids"
            )));
        }
        let folder = match file.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self {
            build: wanted.build.clone(),
            previous: wanted.previous.as_ref().map(|previous| folder.join(&previous.plugin)),
            folder,
            file: file.to_owned(),
            wanted,
        })
    }

    /// Starts the stand-in where there is one, and gives what the suite runs on. `environment` looks variables up that
    /// secrets are taken from.
    ///
    /// # Errors
    /// What is wrong with an account, or with the stand-in.
    pub async fn start(&self, environment: &dyn Fn(&str) -> Option<String>) -> Result<Bench, ConfigError> {
        let stand_in = match &self.wanted.stand_in {
            Some(program) => Some(StandIn::start(&program.command, &self.folder).await?),
            None => None,
        };
        let said = stand_in.as_ref().map(StandIn::said);
        let source = match &self.wanted.source {
            Some(account) => Some(SourceSubject {
                spec: self.spec("source", account, said, environment)?,
                content: match (&stand_in, &account.content) {
                    (_, Some(file)) => self.content(file)?,
                    (Some(stand_in), None) => stand_in.content().await?,
                    (None, None) => Vec::new(),
                },
                hooks: stand_in.as_ref().map(StandIn::hooks).unwrap_or_default(),
            }),
            None => None,
        };
        let destination = match &self.wanted.destination {
            Some(account) => Some(self.spec("destination", account, said, environment)?),
            None => None,
        };
        let excused = self.wanted.excused.iter().map(|(id, why)| (id.clone(), why.clone()));
        Ok(Bench {
            subject: Subject {
                source,
                destination,
                excused: excused.collect(),
                previous: None,
            },
            stand_in,
        })
    }

    fn form(&self, reason: String) -> ConfigError {
        ConfigError::Form {
            file: self.file.clone(),
            reason,
        }
    }

    fn content(&self, file: &Path) -> Result<crate::Content, ConfigError> {
        let file = self.folder.join(file);
        let text = fs::read_to_string(&file).map_err(|error| ConfigError::Read {
            file: file.clone(),
            reason: error.to_string(),
        })?;
        stand_in::content(&text).map_err(|reason| ConfigError::Form { file, reason })
    }

    fn spec(
        &self,
        side: &str,
        account: &Account,
        said: Option<&Map<String, Value>>,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<AccountSpec, ConfigError> {
        let filled = |text: &str| filled(text, said).map_err(|name| self.form(unsaid(side, &name, said)));
        let mut settings = Map::new();
        for (key, value) in &account.settings {
            settings.insert(key.clone(), self.filled_value(side, value, said)?);
        }
        let user = account.user.as_deref().map(filled).transpose()?;
        let user = match user {
            Some(Value::String(user)) => Some(user),
            Some(other) => Some(other.to_string()),
            None => None,
        };
        let secret = |given: &Given| match given {
            Given::Text(text) => Ok(text.clone()),
            Given::Variable { env } => environment(env).ok_or_else(|| {
                self.form(format!(
                    "[{side}] wants the variable `{env}`, and the environment has none"
                ))
            }),
        };
        let credentials = match (&user, &account.password, &account.token) {
            (Some(user), Some(password), _) => Credentials::Password {
                user: user.clone(),
                password: secret(password)?.into(),
            },
            (Some(user), None, Some(token)) => Credentials::OAuth {
                user: user.clone(),
                token: secret(token)?.into(),
            },
            _ => Credentials::None,
        };
        if let Some(user) = user {
            settings.entry("user").or_insert(Value::String(user));
        }
        Ok(AccountSpec {
            mailbox: "conformance".to_owned(),
            settings,
            credentials,
            ca: account.ca.as_ref().map(|ca| self.folder.join(ca)),
            pins: Vec::new(),
            compress: None,
            connections: Connections::default(),
            activity: Activity::default(),
            base: std::path::absolute(&self.folder).unwrap_or_else(|_| self.folder.clone()),
            endpoints: account.allow.clone(),
            timeouts: Timeouts::default(),
        })
    }

    fn filled_value(&self, side: &str, value: &Value, said: Option<&Map<String, Value>>) -> Result<Value, ConfigError> {
        Ok(match value {
            Value::String(text) => filled(text, said).map_err(|name| self.form(unsaid(side, &name, said)))?,
            Value::Array(list) => {
                let list = list.iter().map(|value| self.filled_value(side, value, said));
                Value::Array(list.collect::<Result<_, _>>()?)
            }
            Value::Object(object) => {
                let object = object
                    .iter()
                    .map(|(key, value)| Ok((key.clone(), self.filled_value(side, value, said)?)));
                Value::Object(object.collect::<Result<_, ConfigError>>()?)
            }
            other => other.clone(),
        })
    }
}

/// `{name}` is what the stand-in said of `name`; a text that is nothing else has its type, too.
fn filled(text: &str, said: Option<&Map<String, Value>>) -> Result<Value, String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let name = after.split_once('}').filter(|(name, _)| is_word(name));
        let Some((name, behind)) = name else {
            out += before;
            out.push('{');
            rest = after;
            continue;
        };
        let value = said.and_then(|said| said.get(name)).ok_or_else(|| name.to_owned())?;
        if before.is_empty() && behind.is_empty() && out.is_empty() {
            return Ok(value.clone());
        }
        out += before;
        match value {
            Value::String(text) => out += text,
            other => out += &other.to_string(),
        }
        rest = behind;
    }
    Ok(Value::String(out + rest))
}

fn is_word(name: &str) -> bool {
    !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

fn unsaid(side: &str, name: &str, said: Option<&Map<String, Value>>) -> String {
    match said {
        None => format!("[{side}] wants `{{{name}}}`, and there is no [stand-in] to tell it"),
        Some(said) => {
            let names: Vec<&str> = said.keys().map(String::as_str).collect();
            format!(
                "[{side}] wants `{{{name}}}`, and the stand-in tells: {}",
                names.join(", ")
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parsed(text: &str) -> Result<Project, String> {
        Project::parse(Path::new("there/connector.toml"), text).map_err(|error| error.to_string())
    }

    fn started(text: &str) -> Result<Bench, String> {
        let project = parsed(text).unwrap();
        let environment = |name: &str| (name == "SECRET").then(|| "from-there".to_owned());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime
            .block_on(project.start(&environment))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn accounts_are_read() {
        let bench = started(
            "[source]\nuser = \"alice\"\npassword = { env = \"SECRET\" }\n[source.settings]\nhost = \"h\"\nport = 143\n\
             [destination]\n[destination.settings]\nroot = \"out\"",
        )
        .unwrap();
        let source = bench.subject.source.unwrap().spec;
        assert_eq!(
            Value::Object(source.settings),
            json!({ "host": "h", "port": 143, "user": "alice" })
        );
        let wanted = Credentials::Password {
            user: "alice".into(),
            password: "from-there".into(),
        };
        assert_eq!(source.credentials, wanted);
        assert!(source.base.ends_with("there") && source.base.is_absolute());
        assert_eq!(bench.subject.destination.unwrap().credentials, Credentials::None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, part) in [
            ("[source]\nusr = 1", "usr"),
            ("[source]\npassword = \"x\"", "no `user`"),
            ("[source]\nuser = \"a\"\npassword = \"x\"\ntoken = \"y\"", "one of them"),
            ("[destination]\ncontent = \"x\"", "only a [source]"),
            ("[stand-in]\ncommand = []", "`stand-in.command` is empty"),
            ("[excused]\n\"put/nonsense\" = \"x\"", "no such case"),
            ("[[", "line 1"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(part) && error.contains("connector.toml"), "{error}");
        }
        let error = started("[source]\nuser = \"a\"\npassword = { env = \"NOTHING\" }").unwrap_err();
        assert!(error.contains("`NOTHING`"), "{error}");
        let error = started("[source]\n[source.settings]\nurl = \"{url}\"").unwrap_err();
        assert!(error.contains("no [stand-in]"), "{error}");
    }

    #[test]
    fn places_are_filled() {
        let said = json!({ "url": "http://h:1", "port": 1 });
        let said = said.as_object();
        assert_eq!(filled("{url}/x{port}", said), Ok(json!("http://h:1/x1")));
        assert_eq!(filled("{port}", said), Ok(json!(1)));
        assert_eq!(filled("a {b c} {", said), Ok(json!("a {b c} {")));
        assert_eq!(filled("{host}", said), Err("host".to_owned()));
    }
}
