//! From the text of a file to functions and constants.

use std::collections::BTreeMap;

use rhai::{AST, ASTFlags, ASTNode, Dynamic, Engine, Expr, Position, Scope, Stmt};

use crate::loader::Loader;
use crate::options::SetValue;
use crate::problem::Problem;
use crate::rules::{API_CONSTANT, API_VERSION};
use crate::shared::Function;
use crate::suggest::closest;
use crate::{explain, run};

/// A file that was compiled.
pub(crate) struct Unit {
    pub(crate) file: String,
    /// Functions alone.
    pub(crate) functions: AST,
    /// Functions and what stands at top level.
    pub(crate) whole: AST,
    /// Alias and name of each import at top level.
    pub(crate) imports: Vec<(String, String)>,
}

/// Compiles a file, with all that it imports, and evaluates its constants. `set` takes the place of constants; None for
/// modules, whose constants are their own.
pub(crate) fn unit(
    engine: &Engine,
    loader: &Loader,
    file: &str,
    text: &str,
    set: Option<&BTreeMap<String, SetValue>>,
) -> Result<Unit, Vec<Problem>> {
    let parse = |engine: &Engine, scope: &Scope<'_>, text: &str| {
        let parsed = engine.compile_with_scope(scope, text);
        parsed.map_err(|error| vec![explain::parse(&loader.sources(), file, text, &error)])
    };
    let scan = parse(&loader.scanner, &Scope::new(), text)?;
    let found = survey(loader, file, &scan)?;
    for (name, position) in &found.modules {
        loader.module(engine, name, file, *position)?;
    }
    // Functions see the constants: as variables from outside, which the engine asks for when they are used.
    let mut outside = Scope::new();
    for name in &found.constants {
        outside.push(name.as_str(), ());
    }
    let probed = loader
        .probe
        .as_ref()
        .and_then(|probe| probe.prepare(&loader.scanner, file, text, &scan));
    let mut strict = parse(engine, &outside, probed.as_deref().unwrap_or(text))?;
    strict.set_source(file);
    if let Some(set) = set {
        check_set(loader, file, &found.constants, set)?;
    }
    functions(loader, file, &strict);
    evaluate(engine, loader, file, &scan, &strict, set)?;
    let library = strict.shared_lib().clone();
    Ok(Unit {
        file: file.to_owned(),
        functions: AST::new_with_source([], library.clone(), file),
        whole: AST::new_with_source(scan.statements().iter().cloned(), library, file),
        imports: found.imports,
    })
}

/// What a file declares.
struct Survey {
    constants: Vec<String>,
    imports: Vec<(String, String)>,
    modules: Vec<(String, Position)>,
}

fn survey(loader: &Loader, file: &str, scan: &AST) -> Result<Survey, Vec<Problem>> {
    let mut found = Survey {
        constants: Vec::new(),
        imports: Vec::new(),
        modules: Vec::new(),
    };
    let mut problems = Vec::new();
    let mut problem = |position: Position, message: &str, hint: &str| {
        let hint = (!hint.is_empty()).then(|| hint.to_owned());
        problems.push(loader.problem(file, position, message.to_owned(), hint));
    };
    for statement in scan.statements() {
        match statement {
            Stmt::Noop(_) | Stmt::Export(..) => {}
            Stmt::Var(declared, flags, position) if flags.contains(ASTFlags::CONSTANT) => {
                let name = declared.0.name.to_string();
                if found.constants.contains(&name) {
                    problem(*position, &format!("the constant {name} is there twice"), "");
                }
                if name == API_CONSTANT
                    && let Some((message, hint)) = other_version(&declared.1)
                {
                    problem(*position, &message, &hint);
                }
                found.constants.push(name);
            }
            Stmt::Var(declared, _, position) => problem(
                *position,
                &format!(
                    "{} is a variable outside the functions, and no function would see it",
                    declared.0.name
                ),
                "write const instead of let",
            ),
            Stmt::Import(import, position) => {
                if import.1.name.is_empty() {
                    problem(
                        *position,
                        "the import has no name to use it by",
                        "write import \"…\" as name;",
                    );
                } else if let Expr::StringConstant(name, _) = &import.0 {
                    found.imports.push((import.1.name.to_string(), name.to_string()));
                }
            }
            other => problem(
                other.position(),
                "this stands outside the functions and would never run",
                "outside the functions there are only const, import and fn; put it into fn message(m) or another",
            ),
        }
    }
    scan.walk(&mut |path: &[ASTNode<'_>]| {
        match path.last() {
            Some(ASTNode::Stmt(Stmt::Import(import, position))) => match &import.0 {
                Expr::StringConstant(name, at) => found.modules.push((name.to_string(), *at)),
                _ => problem(*position, "an import takes a fixed name in quotes", ""),
            },
            Some(ASTNode::Expr(Expr::Variable(variable, _, position)))
                if !variable.2.is_empty() && variable.2.root() == "global" =>
            {
                problem(
                    *position,
                    "constants are written without global::",
                    "leave out global::",
                );
            }
            _ => {}
        }
        true
    });
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// What is wrong with the version that a script says it is written for, and what to do.
fn other_version(said: &Expr) -> Option<(String, String)> {
    let known = API_VERSION;
    match said {
        Expr::IntegerConstant(version @ 1.., _) if *version <= known.into() => None,
        Expr::IntegerConstant(version @ 1.., _) => Some((
            format!("the script is written for version {version} of the rules, and this program knows {known}"),
            "use a newer whimbrel, or a script that was written for this one".to_owned(),
        )),
        _ => Some((
            format!("{API_CONSTANT} is not a version: a whole number from 1"),
            format!("write const {API_CONSTANT} = {known};"),
        )),
    }
}

/// Tells where the functions lie; what is not named belongs to the function around it.
fn functions(loader: &Loader, file: &str, ast: &AST) {
    let place = |position: Position| (position.line().unwrap_or(0), position.position().unwrap_or(0));
    let named = ast.iter_fn_def().filter(|function| !function.name.starts_with("anon$"));
    let all = named.map(|function| Function {
        name: function.name.to_string(),
        start: place(function.body.start_position()),
        end: match function.body.end_position() {
            Position::NONE => (usize::MAX, 0),
            position => place(position),
        },
    });
    loader.shared.add_functions(file, all.collect());
}

fn check_set(
    loader: &Loader,
    file: &str,
    constants: &[String],
    set: &BTreeMap<String, SetValue>,
) -> Result<(), Vec<Problem>> {
    let unknown = set.keys().filter(|name| !constants.contains(name));
    let problems: Vec<Problem> = unknown
        .map(|name| {
            let hint = match closest(name, constants.iter().map(String::as_str)) {
                Some(near) => format!("did you mean {near}?"),
                None if constants.is_empty() => "the script has no constants at top level".to_owned(),
                None => format!("its constants are {}", constants.join(", ")),
            };
            let message = format!("the settings give a value to {name}, but the script has no such constant");
            loader.problem(file, Position::NONE, message, Some(hint))
        })
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// Evaluates the constants one after the other, each with the imports before it.
fn evaluate(
    engine: &Engine,
    loader: &Loader,
    file: &str,
    scan: &AST,
    strict: &AST,
    set: Option<&BTreeMap<String, SetValue>>,
) -> Result<(), Vec<Problem>> {
    let mut scope = Scope::new();
    let mut before: Vec<Stmt> = Vec::new();
    for statement in scan.statements() {
        match statement {
            Stmt::Import(..) => before.push(statement.clone()),
            Stmt::Var(declared, _, position) => {
                let name = declared.0.name.as_str();
                let statements = before.iter().chain([statement]).cloned();
                let one = AST::new_with_source(statements, strict.shared_lib().clone(), file);
                let run = run::Run::begin(loader.shared.limits.time);
                let result = engine.eval_ast_with_scope::<Dynamic>(&mut scope, &one);
                let stopped = run.end();
                if let Err(error) = result {
                    let error = explain::stopped_or(&loader.sources(), file, &error, stopped, &loader.shared.limits);
                    return Err(vec![error.problem]);
                }
                let mut value = scope.get(name).map_or(Dynamic::UNIT, Dynamic::flatten_clone);
                if let Some(wanted) = set.and_then(|set| set.get(name)) {
                    value = replace(&value, wanted).map_err(|message| {
                        vec![loader.problem(file, *position, format!("the settings give {name} {message}"), None)]
                    })?;
                    scope.pop();
                    scope.push_constant_dynamic(name, value.clone());
                }
                loader.shared.constants.add(file, name, value);
            }
            _ => {}
        }
    }
    Ok(())
}

/// The value from the settings, where it is of the type of the script's own. A whole number does for a fraction.
fn replace(own: &Dynamic, wanted: &SetValue) -> Result<Dynamic, String> {
    let value = dynamic(wanted);
    #[allow(clippy::cast_precision_loss)] // As anybody who writes a whole number for a fraction expects.
    let value = match (own.is_float(), value.as_int()) {
        (true, Ok(whole)) => Dynamic::from(whole as f64),
        _ => value,
    };
    if own.is_unit() || own.type_id() == value.type_id() {
        return Ok(value);
    }
    Err(format!(
        "{}, but it is {} in the script",
        explain::type_in_words(value.type_name()),
        explain::type_in_words(own.type_name())
    ))
}

pub(crate) fn dynamic(value: &SetValue) -> Dynamic {
    match value {
        SetValue::Bool(value) => Dynamic::from(*value),
        SetValue::Int(value) => Dynamic::from(*value),
        SetValue::Float(value) => Dynamic::from(*value),
        SetValue::Text(value) => Dynamic::from(value.clone()),
        SetValue::List(values) => Dynamic::from_array(values.iter().map(dynamic).collect()),
        SetValue::Map(values) => Dynamic::from_map(
            values
                .iter()
                .map(|(key, value)| (key.as_str().into(), dynamic(value)))
                .collect(),
        ),
    }
}
