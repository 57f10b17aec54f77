//! Whether a connector is trusted, and the admin's word that it is.

use serde_json::{Map, Value, json};
use whimbrel_sandbox::Plugin;
use whimbrel_trust::{Candidate, Decision, Grant, How, Installed};

use super::load_from;
use crate::args::Global;
use crate::exit::Exit;
use crate::output::{Output, safe};
use crate::problem::{Problem, Result};
use crate::settings::{Settings, Side, nearest};
use crate::trust::{self, Door, Signed};

/// How a connector stands: its signature, and, where there are settings, what they grant and what was granted before.
pub struct Standing {
    signed: Signed,
    signer: Option<String>,
    /// What was agreed to when it was installed; how it differs from that.
    installed: Result<Option<Installed>>,
    here: Option<Here>,
}

/// With settings.
struct Here {
    candidate: Candidate,
    decision: Decision,
    before: Option<Grant>,
    doors: Vec<Door>,
    used: bool,
    required: bool,
}

/// Finds out; `connector` is what the settings call it.
pub fn standing(plugin: &Plugin, connector: &str, settings: Option<&Settings>) -> Result<Standing> {
    let keys = settings.map(|settings| settings.trust.public()).unwrap_or_default();
    let signed = trust::signature(plugin, &keys)?;
    let installed = trust::installed(plugin, &trust::candidate(connector, plugin, &signed));
    let here = match settings {
        None => None,
        Some(settings) => {
            let grants = trust::read(&settings.trust.grants)?;
            let candidate = trust::candidate(connector, plugin, &signed);
            Some(Here {
                decision: grants.decide(&candidate),
                before: grants.of(connector).cloned(),
                doors: trust::doors(plugin, connector, settings),
                used: settings.sides().any(|side| side.connector == connector),
                required: settings.trust.require_signature,
                candidate,
            })
        }
    };
    let signer = match &signed {
        Signed::By(key) => settings
            .and_then(|settings| settings.trust.name_of(key))
            .map(str::to_owned),
        _ => None,
    };
    Ok(Standing {
        signed,
        signer,
        installed,
        here,
    })
}

impl Standing {
    fn is_installed(&self) -> bool {
        matches!(self.installed, Ok(Some(_)))
    }

    /// For programs: `signature`, and with settings `trust` and `doors`.
    pub fn json(&self) -> Map<String, Value> {
        let mut object = Map::new();
        object.insert(
            "signature".into(),
            trust::signed_json(&self.signed, self.signer.as_deref()),
        );
        let (installed, problem) = match &self.installed {
            Ok(installed) => (installed.as_ref(), None),
            Err(problem) => (None, Some(problem.json())),
        };
        object.insert("installed".into(), json!({ "entry": installed, "problem": problem }));
        if let Some(here) = &self.here {
            let state = match &here.decision {
                Decision::Granted => "granted",
                Decision::Pin(How::Signed) => "signed-update",
                Decision::Pin(_) => "pinned-on-first-use",
                Decision::AskNew if self.is_installed() => "installed",
                Decision::AskNew => "new",
                Decision::AskChanged(_) => "changed",
            };
            let (added, removed) = match &here.decision {
                Decision::AskChanged(difference) => (difference.added.as_slice(), difference.removed.as_slice()),
                _ => (&[][..], &[][..]),
            };
            let about = json!({
                "state": state, "used": here.used, "grant": here.before, "asks_added": added, "asks_removed": removed,
                "signature_required": here.required,
            });
            object.insert("trust".into(), about);
            object.insert("doors".into(), here.doors.iter().map(Door::json).collect());
        }
        object
    }

    /// For people.
    pub fn show(&self) -> String {
        let signature = match &self.signed {
            Signed::No => "none".to_owned(),
            Signed::By(key) => format!(
                "good, by {} ({})",
                self.signer.as_deref().unwrap_or("a trusted key"),
                key.text()
            ),
            Signed::Unknown(key) => format!("good, by a key that is not trusted here: {key}"),
            Signed::Bad(error) => format!("BAD: {error}"),
        };
        let mut out = format!("signature: {signature}\n");
        match &self.installed {
            Ok(None) => {}
            Ok(Some(entry)) => {
                out += &format!(
                    "installed: on {} by {}, from {}\n",
                    entry.installed, entry.by, entry.from
                )
            }
            Err(problem) => out += &format!("installed: {}\n", safe(&problem.to_string())),
        }
        let Some(here) = &self.here else { return out };
        let state = match &here.decision {
            Decision::Granted => match &here.before {
                Some(grant) => format!("granted on {} by {}", grant.granted, grant.by),
                None => "granted".to_owned(),
            },
            Decision::Pin(How::Signed) => {
                "an update by the key that signed it before: used without a question".to_owned()
            }
            Decision::Pin(_) => {
                "new, and asks for nothing but what the settings name: pinned when it is first used".to_owned()
            }
            Decision::AskNew if self.is_installed() => "as it was installed: used without a question".to_owned(),
            Decision::AskNew => {
                "new, and asks for hosts of its own choice: it needs `whimbrel plugin trust`".to_owned()
            }
            Decision::AskChanged(difference) => {
                format!(
                    "{}: it needs `whimbrel plugin trust`",
                    trust::changed(&here.candidate, difference)
                )
            }
        };
        out += &format!("trust: {state}\n");
        if here.used {
            out += &format!("asks for, and the settings grant\n{}", trust::listed(&here.doors));
        }
        out
    }
}

/// Grants a connector of the settings what it asks for, after a question.
pub async fn run(global: &Global, connector: &str, yes: bool, output: Output) -> Result<Exit> {
    let settings = Settings::load(&global.config)?;
    let side = named(&settings, connector)?;
    let plugin = load_from(global, &side.connector, &settings.base).await?;
    let signed = trust::signature(&plugin, &settings.trust.public())?;
    trust::acceptable(&settings.trust, &plugin, &signed)?;
    let standing = standing(&plugin, &side.connector, Some(&settings))?;
    let description = plugin.description();
    let title = format!(
        "{} {}: {}\n{}, BLAKE3 {}",
        description.name,
        description.version,
        description.summary,
        plugin.path().display(),
        plugin.hash()
    );
    output.say(safe(&format!("{title}\n{}", standing.show())));
    if !yes {
        if !trust::has_terminal(global) {
            let message = "nobody can be asked here: standard input is no terminal";
            let help = format!(
                "look at it with `whimbrel plugin inspect {}`, and add --yes",
                side.connector
            );
            return Err(Box::new(Problem::usage(message).help(help)));
        }
        if !trust::asked("Grant this? [y/N] ") {
            output.say("Nothing was granted.");
            return Ok(Exit::Usage);
        }
    }
    let candidate = trust::candidate(&side.connector, &plugin, &signed);
    let grant = trust::grant(&candidate, How::Admin);
    let mut grants = trust::read(&settings.trust.grants)?;
    grants.put(grant.clone());
    trust::write(&settings.trust.grants, &grants)?;
    let file = settings.trust.grants.display().to_string();
    output.document(json!({ "grant": grant, "file": file }), Exit::Ok);
    output.say(format!("Granted, in {file}."));
    Ok(Exit::Ok)
}

/// The side that calls its connector so, or by a path that ends so.
fn named<'s>(settings: &'s Settings, connector: &str) -> Result<&'s Side> {
    let stem = |side: &Side| {
        std::path::Path::new(&side.connector)
            .file_stem()
            .map(|stem| stem == connector)
    };
    let exact = settings.sides().find(|side| side.connector == connector);
    if let Some(side) = exact.or_else(|| settings.sides().find(|side| stem(side) == Some(true))) {
        return Ok(side);
    }
    let known: Vec<&str> = settings.sides().map(|side| side.connector.as_str()).collect();
    let message = format!("`{}` uses no connector `{connector}`", settings.file.display());
    let help = match nearest(connector, known.iter().copied()) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("it uses: {}", known.join(", ")),
    };
    Err(Box::new(Problem::usage(message).help(help)))
}
