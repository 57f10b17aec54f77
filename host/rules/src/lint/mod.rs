//! What is wrong with a script, or looks wrong, beyond what running it would show.
//!
//! The script and its own modules are looked at as syntax trees; the library (`std/…`) is taken to be right. Types go
//! forward, from the hooks through all calls; where a type is not known, nothing is said about the value. Values that
//! stand in the text are tried on the functions that rules run on.

mod arms;
mod calls;
mod conditions;
mod context;
mod flow;
mod functions;
mod natives;
mod report;
mod source;
mod trial;
mod types;
mod unused;
mod values;
mod walk;

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use rhai::{ASTNode, Expr, Stmt};
use serde::Serialize;

use self::context::Context;
use self::natives::Natives;
use self::report::Report;
use self::source::{FunctionId, Program};
use self::trial::Trial;
use self::types::Type;
use self::walk::{Facts, Walker};
use crate::engine;
use crate::loader::SourceFile;
use crate::options::Options;
use crate::problem::{Problem, RulesError};
use crate::program::Script;
use crate::rules::{Hook, Rules};
use crate::shared::Shared;

/// Walks through functions to learn types, beyond which nothing more is learnt about parameters.
const MOST_WALKS: usize = 20_000;

/// How often what functions return is asked again with what was learnt.
const ROUNDS: usize = 3;

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// The script does not compile, or fails where it comes to this place.
    Error,
    /// It runs, but hardly does what was meant.
    Warning,
}

/// One thing that is wrong, or looks wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub level: Level,
    /// Where, and what.
    pub problem: Problem,
    /// The kind of finding, as `unknown-property`; it stays the same when texts change.
    pub code: &'static str,
}

/// Checks a script with its modules, which come from its own folder or below, and from the library. In the order of the
/// files and lines, up to 1000 findings; empty where nothing was found. Where the script does not compile, the modules
/// beside it are not looked at.
pub fn lint_file(script: &Path, options: &Options) -> Vec<Finding> {
    let read = || {
        let script = Script::read(script).ok()?;
        Some(SourceFile {
            name: script.name,
            text: script.text,
        })
    };
    all(Rules::load(script, options), read, options)
}

/// Checks a script that has no folder: it imports from the library only.
pub fn lint(name: &str, source: &str, options: &Options) -> Vec<Finding> {
    let read = || {
        Some(SourceFile {
            name: name.to_owned(),
            text: source.to_owned(),
        })
    };
    all(Rules::compile(name, source, options), read, options)
}

fn all(rules: Result<Rules, RulesError>, main: impl FnOnce() -> Option<SourceFile>, options: &Options) -> Vec<Finding> {
    let (sources, problems) = match rules {
        Ok(rules) => (rules.sources().to_vec(), Vec::new()),
        Err(error) => (main().into_iter().collect(), error.problems),
    };
    let mut findings = looked_at(&sources, options);
    // What the lints know better is told by them alone.
    let place = |problem: &Problem| (problem.file.clone(), problem.line, problem.column);
    let known: HashSet<_> = findings.iter().map(|finding| place(&finding.problem)).collect();
    let compiled = problems
        .into_iter()
        .filter(|problem| problem.line == 0 || !known.contains(&place(problem)));
    findings.extend(compiled.map(|problem| Finding {
        level: Level::Error,
        problem,
        code: "compile",
    }));
    findings.sort_by_cached_key(|finding| (place(&finding.problem), finding.level, finding.code));
    findings.dedup();
    findings
}

fn looked_at(sources: &[SourceFile], options: &Options) -> Vec<Finding> {
    let Some(main) = sources.first() else {
        return Vec::new();
    };
    let shared = Shared::new(&main.name, options);
    let runner = engine::runner(&shared);
    let context = Context {
        program: Program::parse(&engine::scanner(&options.limits), sources),
        natives: Natives::of(&runner),
        trial: Trial::new(&runner, shared),
        sources,
        attachments: options.attachments,
        set: &options.set,
        tokens: RefCell::default(),
    };
    let mut report = Report::default();
    let program = &context.program;
    // A script that cannot be parsed is no script without hooks.
    if program.files.first().is_some_and(|file| file.name == main.name) {
        let changed: Vec<HashMap<usize, HashSet<String>>> = program.files.iter().map(changed).collect();
        let facts = learn(&context, &changed);
        let hooks = program.hooks();
        for id in program.own() {
            if let Some(names) = changed.get(id.0).and_then(|names| names.get(&id.1)) {
                let hook = hook_of(&hooks, id);
                Walker::new(&context, &facts, id.0, names, Some(&mut report)).function(id, hook);
            }
        }
        constants(&context, &facts, &mut report);
        unused::unused(program, &mut report);
    }
    let names: Vec<&str> = program.files.iter().map(|file| file.name.as_str()).collect();
    report.finish(sources, &names)
}

fn hook_of(hooks: &[(Hook, FunctionId)], id: FunctionId) -> Option<Hook> {
    hooks.iter().find(|(_, known)| *known == id).map(|(hook, _)| *hook)
}

/// What stands at top level.
fn constants(context: &Context<'_>, facts: &Facts, report: &mut Report) {
    let nothing = HashSet::new();
    for (number, file) in context
        .program
        .files
        .iter()
        .enumerate()
        .filter(|(_, file)| !file.library)
    {
        for constant in &file.constants {
            Walker::new(context, facts, number, &nothing, Some(report)).expression(&constant.value);
        }
    }
}

/// By function, the names of variables that get other values later. Functions without a name share those around them.
fn changed(file: &source::File) -> HashMap<usize, HashSet<String>> {
    let mut all: HashMap<usize, HashSet<String>> = HashMap::new();
    let mut anonymous: HashSet<String> = HashSet::new();
    for (number, function) in file.functions.iter().enumerate() {
        let mut names = HashSet::new();
        for statement in &function.statements {
            statement.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| {
                match path.last() {
                    Some(ASTNode::Stmt(Stmt::Assignment(parts))) => names.extend(root(&parts.1.lhs)),
                    Some(ASTNode::Expr(Expr::Dot(parts, ..))) => names.extend(grown(parts)),
                    _ => {}
                }
                true
            });
        }
        if function.is_anonymous() {
            anonymous.extend(names.iter().cloned());
        }
        all.insert(number, names);
    }
    for names in all.values_mut() {
        names.extend(anonymous.iter().cloned());
    }
    all
}

/// The variable that an assignment changes.
fn root(place: &Expr) -> Option<String> {
    match place {
        Expr::Variable(variable, _, _) => Some(variable.1.to_string()),
        Expr::Index(parts, ..) => root(&parts.lhs),
        _ => None,
    }
}

/// The variable that a method puts something into.
fn grown(parts: &rhai::BinaryExpr) -> Option<String> {
    const GROW: [&str; 7] = ["push", "insert", "append", "pad", "splice", "set", "for_each"];
    let grows = match &parts.rhs {
        Expr::MethodCall(call, _) => GROW.contains(&call.name.as_str()),
        _ => false,
    };
    grows.then(|| root(&parts.lhs)).flatten()
}

/// Learns what functions are given and what they return, until nothing new comes.
fn learn(context: &Context<'_>, changed: &[HashMap<usize, HashSet<String>>]) -> Facts {
    let mut facts = Facts::default();
    let mut walks = 0;
    for _ in 0..ROUNDS {
        let returns = std::mem::take(&mut facts.returns);
        facts = parameters(context, changed, returns, &mut walks);
        let mut learnt = HashMap::new();
        for id in context.program.own() {
            if let Some(names) = changed.get(id.0).and_then(|names| names.get(&id.1)) {
                walks += 1;
                learnt.insert(id, Walker::new(context, &facts, id.0, names, None).function(id, None));
            }
        }
        let done = learnt == facts.returns;
        facts.returns = learnt;
        if done || walks > MOST_WALKS {
            break;
        }
    }
    facts
}

/// What functions are given: from the hooks on, as far as calls lead.
fn parameters(
    context: &Context<'_>,
    changed: &[HashMap<usize, HashSet<String>>],
    returns: HashMap<FunctionId, Type>,
    walks: &mut usize,
) -> Facts {
    let mut facts = Facts {
        parameters: HashMap::new(),
        returns,
    };
    for (hook, id) in context.program.hooks() {
        facts.parameters.insert(id, vec![Type::of_hook(hook)]);
    }
    let mut waiting: Vec<FunctionId> = facts.parameters.keys().copied().collect();
    let mut queued: HashSet<FunctionId> = waiting.iter().copied().collect();
    while let Some(id) = waiting.pop() {
        queued.remove(&id);
        *walks += 1;
        if *walks > MOST_WALKS {
            facts.parameters.clear();
            return facts;
        }
        let Some(names) = changed.get(id.0).and_then(|names| names.get(&id.1)) else {
            continue;
        };
        let mut walker = Walker::new(context, &facts, id.0, names, None);
        walker.function(id, None);
        for (called, given) in std::mem::take(&mut walker.calls) {
            let known = facts.parameters.get(&called);
            let joined: Vec<Type> = match known {
                Some(known) => known.iter().zip(&given).map(|(a, b)| a.join(b)).collect(),
                None => given,
            };
            if known != Some(&joined) {
                facts.parameters.insert(called, joined);
                if queued.insert(called) {
                    waiting.push(called);
                }
            }
        }
    }
    facts
}
