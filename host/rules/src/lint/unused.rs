//! What is there and never used: functions, constants, imports. And hooks that are none.

use std::collections::HashSet;

use rhai::{ASTNode, Expr, Position, Stmt};

use super::Level;
use super::report::Report;
use super::source::{File, FunctionId, Program, Target, pointer};
use crate::rules::{API_CONSTANT, Hook};

/// What one function, or the top of a file, mentions.
#[derive(Default)]
struct Mentions {
    /// Functions called by name, or named in quotes where a function is wanted.
    functions: HashSet<String>,
    /// Functions of modules.
    qualified: Vec<(rhai::Namespace, String)>,
    variables: HashSet<String>,
    aliases: HashSet<String>,
    /// A function is looked up by a name that is computed.
    anything: bool,
}

impl Mentions {
    fn add(&mut self, statement: &Stmt) {
        statement.walk(&mut Vec::new(), &mut |path: &[ASTNode<'_>]| {
            match path.last() {
                Some(ASTNode::Expr(expression)) => self.expression(expression),
                Some(ASTNode::Stmt(Stmt::FnCall(call, _))) => self.call(call),
                Some(ASTNode::Stmt(Stmt::Share(names))) => {
                    self.variables
                        .extend(names.iter().map(|(name, _)| name.name.to_string()));
                }
                _ => {}
            }
            true
        });
    }

    fn expression(&mut self, expression: &Expr) {
        match expression {
            Expr::FnCall(call, _) | Expr::MethodCall(call, _) => self.call(call),
            Expr::Variable(variable, _, _) if variable.2.is_empty() => {
                self.variables.insert(variable.1.to_string());
            }
            Expr::Variable(variable, _, _) => self.namespace(&variable.2),
            Expr::DynamicConstant(..) => self.functions.extend(pointer(expression).map(|(name, _)| name)),
            _ => {}
        }
    }

    fn call(&mut self, call: &rhai::FnCallExpr) {
        if call.is_qualified() {
            self.namespace(&call.namespace);
            self.qualified.push((call.namespace.clone(), call.name.to_string()));
        } else {
            self.functions.insert(call.name.to_string());
        }
        for argument in call.args.iter() {
            match argument {
                Expr::StringConstant(text, _) => {
                    self.functions.insert(text.to_string());
                }
                _ if call.name == "Fn" => self.anything = true,
                _ => {}
            }
        }
    }

    fn namespace(&mut self, namespace: &rhai::Namespace) {
        self.aliases
            .extend(namespace.path.first().map(|first| first.name.to_string()));
    }
}

/// Tells what is unused, and what is wrong with hooks.
pub(super) fn unused(program: &Program, report: &mut Report) {
    let mentions: Vec<Vec<Mentions>> = program.files.iter().map(mentions).collect();
    hooks(program, report);
    functions(program, &mentions, report);
    for (number, file) in program.files.iter().enumerate().filter(|(_, file)| !file.library) {
        let Some(all) = mentions.get(number) else { continue };
        for import in &file.imports {
            let used = all.iter().any(|one| one.aliases.contains(&import.alias));
            if !used && !import.alias.is_empty() {
                let message = format!("nothing of {} is used", import.alias);
                let hint = "leave the import out".to_owned();
                report.add(
                    Level::Warning,
                    "unused-import",
                    (number, import.position),
                    message,
                    Some(hint),
                );
            }
        }
        for constant in &file.constants {
            let used = all.iter().any(|one| one.variables.contains(&constant.name));
            let meant = constant.exported || constant.name.starts_with('_') || constant.name == API_CONSTANT;
            if !used && !meant {
                let message = format!("the constant {} is never used", constant.name);
                let hint = "leave it out, or use it in a function".to_owned();
                report.add(
                    Level::Warning,
                    "unused-constant",
                    (number, constant.position),
                    message,
                    Some(hint),
                );
            }
        }
    }
}

/// Of each function in turn, and of the top of the file at the end.
fn mentions(file: &File) -> Vec<Mentions> {
    let mut all = Vec::with_capacity(file.functions.len() + 1);
    for function in &file.functions {
        let mut one = Mentions::default();
        function.statements.iter().for_each(|statement| one.add(statement));
        all.push(one);
    }
    let mut top = Mentions::default();
    for constant in &file.constants {
        top.add(&Stmt::Expr(constant.value.clone().into()));
    }
    all.push(top);
    all
}

fn functions(program: &Program, mentions: &[Vec<Mentions>], report: &mut Report) {
    if program.hooks().is_empty() {
        return;
    }
    let Some(reached) = reached(program, mentions) else {
        return;
    };
    for id in program.own() {
        let Some((file, function)) = program.get(id) else {
            continue;
        };
        if reached.contains(&id) || function.is_anonymous() || is_hook(id.0, &function.name) {
            continue;
        }
        if let Some(hook) = nearly_a_hook(program, id) {
            let message = format!("{} is no hook and nobody calls it", function.name);
            let hint = format!("did you mean fn {}({})?", hook.name(), hook.parameter());
            report.add(
                Level::Warning,
                "nearly-a-hook",
                (id.0, function.position),
                message,
                Some(hint),
            );
            continue;
        }
        let message = format!("the function {} is never called", function.name);
        let hint = format!(
            "call it from a hook of {}, or leave it out",
            program.files.first().unwrap_or(file).name
        );
        report.add(
            Level::Warning,
            "unused-function",
            (id.0, function.position),
            message,
            Some(hint),
        );
    }
}

fn is_hook(file: usize, name: &str) -> bool {
    file == 0 && Hook::ALL.into_iter().any(|hook| hook.name() == name)
}

/// The hook whose name was probably meant.
fn nearly_a_hook(program: &Program, id: FunctionId) -> Option<Hook> {
    let (_, function) = program.get(id)?;
    if id.0 > 0 || function.parameters.len() != 1 {
        return None;
    }
    let name = function.name.to_lowercase();
    Hook::ALL
        .into_iter()
        .find(|hook| strsim::osa_distance(&name, hook.name()) <= 2)
}

/// All functions that a hook leads to; None where that cannot be told.
fn reached(program: &Program, mentions: &[Vec<Mentions>]) -> Option<HashSet<FunctionId>> {
    let mut reached: HashSet<FunctionId> = HashSet::new();
    // The number behind the last function stands for the top of the file.
    let tops = program
        .files
        .iter()
        .enumerate()
        .map(|(number, file)| (number, file.functions.len()));
    let mut waiting: Vec<FunctionId> = tops.chain(program.hooks().into_iter().map(|(_, id)| id)).collect();
    // Another script may use what a module has.
    let public = |id: &FunctionId| program.get(*id).is_some_and(|(_, one)| id.0 > 0 && !one.private);
    waiting.extend(program.own().filter(public));
    while let Some(id) = waiting.pop() {
        if !reached.insert(id) {
            continue;
        }
        let Some(one) = mentions.get(id.0).and_then(|all| all.get(id.1)) else {
            continue;
        };
        if one.anything {
            return None;
        }
        for name in &one.functions {
            // A function of a module may be given one of the script by its name.
            for number in [id.0, 0] {
                let file = program.files.get(number)?;
                waiting.extend(file.named(name).map(|(at, _)| (number, at)));
            }
            let typed = program.files.iter().enumerate();
            for (number, file) in typed {
                waiting.extend(
                    file.named(name)
                        .filter(|(_, one)| one.typed)
                        .map(|(at, _)| (number, at)),
                );
            }
        }
        for (namespace, name) in &one.qualified {
            if let Target::File(number) = program.module(id.0, namespace) {
                let file = program.files.get(number)?;
                waiting.extend(file.named(name).map(|(at, _)| (number, at)));
            }
        }
    }
    Some(reached)
}

/// Hooks with other parameters, and scripts without any.
fn hooks(program: &Program, report: &mut Report) {
    let Some(main) = program.files.first() else { return };
    let found = program.hooks();
    let mut nearly = false;
    for hook in Hook::ALL {
        if found.iter().any(|(known, _)| *known == hook) {
            continue;
        }
        if let Some((_, other)) = main.named(hook.name()).next() {
            nearly = true;
            let message = format!(
                "{} has {} parameters and would never be called",
                hook.name(),
                other.parameters.len()
            );
            let hint = format!("write fn {}({})", hook.name(), hook.parameter());
            report.add(
                Level::Error,
                "hook-parameters",
                (0, other.position),
                message,
                Some(hint),
            );
        }
    }
    if !found.is_empty() {
        return;
    }
    for number in 0..main.functions.len() {
        if let (Some(hook), Some(function)) = (nearly_a_hook(program, (0, number)), main.functions.get(number))
            && function.name != hook.name()
        {
            nearly = true;
            let message = format!("{} is no hook and nobody calls it", function.name);
            let hint = format!("did you mean fn {}({})?", hook.name(), hook.parameter());
            report.add(
                Level::Warning,
                "nearly-a-hook",
                (0, function.position),
                message,
                Some(hint),
            );
        }
    }
    if !nearly {
        let hint = "write fn message(m) { … }, or fn mailbox(b), fn folder(f), fn failure(e)".to_owned();
        let message = "this script has no hook, so that it decides nothing";
        report.add(Level::Warning, "no-hook", (0, Position::NONE), message, Some(hint));
    }
}
