//! What tests see: fixtures, `run`, assertions.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rhai::{Array, Dynamic, Engine, EvalAltResult, FnPtr, Map, NativeCallContext};

use super::decided::{self, Decided};
use super::fixture::{self, Fixture};
use super::{Probe, TestFile};
use crate::explain;
use crate::options::{Options, SetValue};
use crate::problem::{Problem, RulesError};
use crate::rules::{Hook, Rules};
use crate::script::values::short;
use crate::script::{Answer, parse_date, refuse};

/// Bytes of a value that are shown where an assertion does not hold.
const MOST_SHOWN: usize = 300;

/// The script under test, and what the test that runs has changed about it.
pub(super) struct Bench {
    script: PathBuf,
    /// Where the files lie that `eml` reads.
    folder: PathBuf,
    options: Options,
    probe: Option<Arc<Probe>>,
    plain: Arc<Rules>,
    state: Mutex<State>,
}

struct State {
    rules: Arc<Rules>,
    set: BTreeMap<String, SetValue>,
    started: Option<i64>,
}

impl Bench {
    /// Loads the script.
    pub(super) fn new(file: &TestFile, options: &Options, probe: Option<Arc<Probe>>) -> Result<Arc<Self>, RulesError> {
        let plain = Arc::new(Rules::load_probed(&file.script, options, probe.clone())?);
        Ok(Arc::new(Self {
            script: file.script.clone(),
            folder: file.path.parent().map(PathBuf::from).unwrap_or_default(),
            options: options.clone(),
            probe,
            state: Mutex::new(State {
                rules: plain.clone(),
                set: options.set.clone(),
                started: options.started,
            }),
            plain,
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes back what a test set.
    pub(super) fn reset(&self) {
        let mut state = self.state();
        state.rules = self.plain.clone();
        state.set = self.options.set.clone();
        state.started = self.options.started;
    }

    /// Loads the script again with other values.
    fn change(&self, change: impl FnOnce(&mut State)) -> Answer<()> {
        let mut state = self.state();
        change(&mut state);
        let options = Options {
            set: state.set.clone(),
            started: state.started,
            ..self.options.clone()
        };
        match Rules::load_probed(&self.script, &options, self.probe.clone()) {
            Ok(rules) => {
                state.rules = Arc::new(rules);
                Ok(())
            }
            Err(error) => refuse(told(&error)),
        }
    }

    fn run(&self, fixture: Fixture) -> Answer<Decided> {
        let rules = self.state().rules.clone();
        let hooks = fixture.hooks();
        if !hooks.iter().any(|hook| rules.has(*hook)) {
            let wanted: Vec<String> = hooks
                .iter()
                .map(|hook| format!("fn {}({})", hook.name(), hook.parameter()))
                .collect();
            return refuse(format!("the script has no {}", wanted.join(" and no ")));
        }
        let decided = match fixture {
            Fixture::Mailbox(mailbox) => rules.mailbox(&mailbox).map(Decided::of_mailbox),
            Fixture::Folder(folder) => rules.folder(&folder).map(Decided::of_folder),
            Fixture::Failure(failure) => rules.failure(&failure).map(Decided::of_failure),
            Fixture::Item(facts, content) => {
                let decision = rules.item(&facts, Arc::new(content.clone()));
                decision.map(|decision| Decided::of_item(decision, facts.folder.kind, content))
            }
        };
        decided.or_else(|error| match &error.problem.hint {
            Some(hint) => refuse(format!("{error} ({hint})")),
            None => refuse(error.to_string()),
        })
    }

    /// Registers all that tests see beyond what rules see.
    pub(super) fn register(self: &Arc<Self>, engine: &mut Engine) {
        decided::register(engine);
        fixture::register(engine, &self.folder);
        let bench = self.clone();
        engine.register_fn("run", move |fixture: Fixture| bench.run(fixture));
        let bench = self.clone();
        engine.register_fn("set", move |name: &str, value: Dynamic| -> Answer<()> {
            let value = set_value(&value)?;
            bench.change(|state| {
                state.set.insert(name.to_owned(), value);
            })
        });
        let bench = self.clone();
        engine.register_fn("set_started", move |text: &str| -> Answer<()> {
            let date = parse_date(text)?;
            bench.change(|state| state.started = Some(date.unix))
        });
        assertions(engine);
    }
}

impl Fixture {
    /// Those that may be meant.
    fn hooks(&self) -> &'static [Hook] {
        match self {
            Fixture::Mailbox(_) => &[Hook::Mailbox],
            Fixture::Folder(_) => &[Hook::Folder],
            Fixture::Item(facts, _) => Hook::of(facts.folder.kind),
            Fixture::Failure(_) => &[Hook::Failure],
        }
    }
}

/// All problems with what to do about them.
fn told(error: &RulesError) -> String {
    let one = |problem: &Problem| match &problem.hint {
        Some(hint) => format!("{problem} ({hint})"),
        None => problem.to_string(),
    };
    error.problems.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn set_value(value: &Dynamic) -> Answer<SetValue> {
    if let Ok(value) = value.as_bool() {
        return Ok(SetValue::Bool(value));
    }
    if let Ok(value) = value.as_int() {
        return Ok(SetValue::Int(value));
    }
    if let Ok(value) = value.as_float() {
        return Ok(SetValue::Float(value));
    }
    if let Ok(value) = value.as_immutable_string_ref() {
        return Ok(SetValue::Text(value.to_string()));
    }
    if let Ok(values) = value.as_array_ref() {
        return Ok(SetValue::List(values.iter().map(set_value).collect::<Answer<_>>()?));
    }
    if let Ok(values) = value.as_map_ref() {
        let pairs = values
            .iter()
            .map(|(key, value)| Ok((key.to_string(), set_value(value)?)));
        return Ok(SetValue::Map(pairs.collect::<Answer<_>>()?));
    }
    refuse(format!(
        "a setting cannot be {}",
        explain::type_in_words(value.type_name())
    ))
}

fn assertions(engine: &mut Engine) {
    engine.register_fn("assert", |holds: bool| -> Answer<()> {
        if holds { Ok(()) } else { refuse("this does not hold") }
    });
    engine.register_fn("assert", |holds: bool, text: &str| -> Answer<()> {
        if holds { Ok(()) } else { refuse(text) }
    });
    engine.register_fn(
        "assert_eq",
        |context: NativeCallContext<'_>, found: Dynamic, expected: Dynamic| -> Answer<()> {
            if equal(&context, &found, &expected)? {
                return Ok(());
            }
            refuse(format!(
                "{} is expected here, and this is {}",
                shown(&expected),
                shown(&found)
            ))
        },
    );
    engine.register_fn(
        "assert_ne",
        |context: NativeCallContext<'_>, found: Dynamic, other: Dynamic| -> Answer<()> {
            if !equal(&context, &found, &other)? {
                return Ok(());
            }
            refuse(format!("anything but {} is expected here", shown(&other)))
        },
    );
    engine.register_fn(
        "assert_error",
        |context: NativeCallContext<'_>, function: FnPtr, text: &str| -> Answer<()> {
            let Err(error) = function.call_within_context::<Dynamic>(&context, ()) else {
                return refuse(format!(
                    "an error is expected here with \"{}\", and there is none",
                    short(text)
                ));
            };
            if ended(&error) {
                return Err(error);
            }
            let told = explain::runtime(&[], "", &error).problem.message;
            if told.contains(text) {
                return Ok(());
            }
            refuse(format!(
                "an error is expected here with \"{}\", and this one says: {told}",
                short(text)
            ))
        },
    );
}

/// Whether the run itself was ended: that cannot be what a test expects.
fn ended(error: &EvalAltResult) -> bool {
    match error {
        EvalAltResult::ErrorTerminated(..) | EvalAltResult::ErrorTooManyOperations(_) => true,
        EvalAltResult::ErrorInFunctionCall(_, _, inner, _) => ended(inner),
        _ => false,
    }
}

/// As `==` has it; arrays and maps by their elements.
fn equal(context: &NativeCallContext<'_>, a: &Dynamic, b: &Dynamic) -> Answer<bool> {
    if let (Ok(a), Ok(b)) = (a.as_array_ref(), b.as_array_ref()) {
        return all_equal(context, &a, &b);
    }
    if let (Ok(a), Ok(b)) = (a.as_map_ref(), b.as_map_ref()) {
        return maps_equal(context, &a, &b);
    }
    if a.is_unit() || b.is_unit() {
        return Ok(a.is_unit() && b.is_unit());
    }
    context.call_native_fn::<bool>("==", (a.flatten_clone(), b.flatten_clone()))
}

fn all_equal(context: &NativeCallContext<'_>, a: &Array, b: &Array) -> Answer<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (a, b) in a.iter().zip(b) {
        if !equal(context, a, b)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn maps_equal(context: &NativeCallContext<'_>, a: &Map, b: &Map) -> Answer<bool> {
    if a.len() != b.len() {
        return Ok(false);
    }
    for (key, a) in a {
        match b.get(key) {
            Some(b) if equal(context, a, b)? => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// A value as a test would write it.
fn shown(value: &Dynamic) -> String {
    let text = if let Ok(text) = value.as_immutable_string_ref() {
        format!("{:?}", text.as_str())
    } else if let Ok(values) = value.as_array_ref() {
        let all: Vec<String> = values.iter().take(20).map(shown).collect();
        format!("[{}{}]", all.join(", "), if values.len() > 20 { ", …" } else { "" })
    } else if value.is_unit() {
        "()".to_owned()
    } else {
        value.to_string()
    };
    match text.char_indices().nth(MOST_SHOWN) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}
