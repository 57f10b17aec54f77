//! Calls of functions, and functions that are handed on: whether they are there, and what they are given.

use rhai::{Expr, FnCallExpr, Position};

use super::Level;
use super::natives::{Fit, Natives};
use super::source::{Target, pointer};
use super::types::Type;
use super::walk::{Value, Walker};
use crate::registry::{Kind, entries};
use crate::suggest::closest;

pub(super) fn did_you_mean(near: Option<&str>) -> Option<String> {
    near.map(|near| format!("did you mean {near}?"))
}

/// Numbers as people write them: `1 or 2`.
pub(super) fn counted(counts: &[usize]) -> String {
    let words: Vec<String> = counts.iter().map(ToString::to_string).collect();
    match words.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, before)) => format!("{} or {last}", before.join(", ")),
        None => "other".to_owned(),
    }
}

fn values(count: usize) -> String {
    match count {
        0 => "nothing".to_owned(),
        1 => "1 value".to_owned(),
        count => format!("{count} values"),
    }
}

pub(super) fn words(kinds: &[Type]) -> String {
    if kinds.is_empty() {
        return "nothing".to_owned();
    }
    let words: Vec<String> = kinds.iter().map(Type::words).collect();
    words.join(", ")
}

/// A function that takes another number of values than it gets.
pub(super) fn wrong_count(name: &str, count: usize) -> String {
    match count {
        0 => format!("{name} needs something in its brackets"),
        count => format!("{name} does not take {} in its brackets", values(count)),
    }
}

fn counted_values(counts: &[usize]) -> String {
    match counts {
        [1] => "1 value".to_owned(),
        [0] => "no value".to_owned(),
        counts => format!("{} values", counted(counts)),
    }
}

impl Walker<'_> {
    /// `name(…)`.
    pub(super) fn plain_call(&mut self, call: &FnCallExpr, position: Position) -> Value {
        let name = call.name.as_str();
        let given: Vec<Value> = call.args.iter().map(|argument| self.expression(argument)).collect();
        let kinds: Vec<Type> = given.iter().map(|value| value.kind.clone()).collect();
        self.mentioned(call);
        let context = self.context;
        let Some(file) = context.program.files.get(self.file) else {
            return Value::unknown();
        };
        if let Some(number) = file.function(name, kinds.len()) {
            let id = (self.file, number);
            self.calls.push((id, kinds));
            return Value::of(self.facts.returns.get(&id).cloned().unwrap_or(Type::Unknown));
        }
        if Natives::is_word(name) {
            return Value::unknown();
        }
        if let ("contains", [container, _], [_, item]) = (name, &call.args[..], &given[..]) {
            self.within(container, item);
        }
        let entry = entries()
            .iter()
            .find(|entry| entry.name == name && entry.kind == Kind::Function);
        let parameters: Vec<usize> = file
            .named(name)
            .map(|(_, function)| function.parameters.len())
            .collect();
        match context.natives.fit(name, &kinds, false) {
            Fit::Fits(forms) => {
                if let Some(entry) = entry.filter(|_| self.reports()) {
                    self.tried(entry, &[], call, position);
                }
                let result = forms.iter().map(|form| form.result.clone()).reduce(|a, b| a.join(&b));
                let asks = given.iter().all(|value| value.asks) && forms.iter().all(|form| form.only_asks(name));
                return Value::asked(
                    result.unwrap_or(Type::Unknown),
                    asks && !kinds.contains(&Type::Function),
                );
            }
            _ if !parameters.is_empty() => {
                let message = format!(
                    "the function {name} takes {}, and gets {}",
                    counted_values(&parameters),
                    values(kinds.len())
                );
                self.tell(Level::Error, "wrong-argument-count", position, message, None);
            }
            Fit::Unknown => self.unknown_function(name, position),
            Fit::Count => {
                let message = wrong_count(name, kinds.len());
                let hint = match entry {
                    Some(entry) => format!("write it as {}", entry.signature),
                    None => format!("it takes {}", counted(&context.natives.counts(name, None))),
                };
                self.tell(Level::Error, "wrong-argument-count", position, message, hint);
            }
            Fit::Types => {
                let (message, hint) = if name == "contains" {
                    let container = kinds.first().map(Type::words).unwrap_or_default();
                    (
                        format!(
                            "in does not look into {container} for {}",
                            words(kinds.get(1..).unwrap_or_default())
                        ),
                        None,
                    )
                } else {
                    let hint = entry.map(|entry| format!("write it as {}", entry.signature));
                    (format!("{name} does not take {} in its brackets", words(&kinds)), hint)
                };
                self.tell(Level::Error, "wrong-argument-type", position, message, hint);
            }
        }
        Value::unknown()
    }

    fn unknown_function(&mut self, name: &str, position: Position) {
        if !self.reports() {
            return;
        }
        if self.is_variable(name) {
            self.read(name);
            let message = format!("{name} is a variable, and there is no function of this name");
            let hint = format!("a function that a variable holds is called as {name}.call( … )");
            self.tell(Level::Error, "unknown-function", position, message, hint);
            return;
        }
        let method = entries()
            .iter()
            .find(|entry| entry.name == name && entry.kind != Kind::Hook);
        let hint = match method {
            Some(entry) => Some(format!("write it as {}", entry.signature)),
            None => {
                let file = self.context.program.files.get(self.file);
                let own = file.into_iter().flat_map(|file| &file.functions);
                let own: Vec<&str> = own
                    .filter(|one| !one.is_anonymous())
                    .map(|one| one.name.as_str())
                    .collect();
                // Among so many names something is always a little alike.
                let most = (name.len() / 3).max(1);
                let near = |near: &&str| strsim::osa_distance(name, near) <= most;
                let native = || closest(name, self.context.natives.names()).filter(near);
                did_you_mean(closest(name, own).or_else(native))
            }
        };
        self.tell(
            Level::Error,
            "unknown-function",
            position,
            format!("there is no function {name}()"),
            hint,
        );
    }

    /// `module::name(…)`.
    pub(super) fn module_call(&mut self, call: &FnCallExpr, position: Position) -> Value {
        let kinds: Vec<Type> = call
            .args
            .iter()
            .map(|argument| self.expression(argument).kind)
            .collect();
        let name = call.name.as_str();
        let program = &self.context.program;
        let Target::File(number) = program.module(self.file, &call.namespace) else {
            return Value::unknown();
        };
        let Some(file) = program.files.get(number) else {
            return Value::unknown();
        };
        let module = call.namespace.to_string();
        let public = || {
            file.functions
                .iter()
                .filter(|one| !one.private && !one.typed && !one.is_anonymous())
        };
        match file
            .function(name, kinds.len())
            .filter(|at| file.functions.get(*at).is_some_and(|one| !one.private))
        {
            Some(at) => {
                let id = (number, at);
                self.calls.push((id, kinds));
                return Value::of(self.facts.returns.get(&id).cloned().unwrap_or(Type::Unknown));
            }
            None => {
                let parameters: Vec<usize> = public()
                    .filter(|one| one.name == name)
                    .map(|one| one.parameters.len())
                    .collect();
                if !parameters.is_empty() {
                    let message = format!(
                        "the function {module}::{name} takes {}, and gets {}",
                        counted_values(&parameters),
                        values(kinds.len())
                    );
                    self.tell(Level::Error, "wrong-argument-count", position, message, None);
                } else if file.named(name).any(|(_, one)| one.private) {
                    let message = format!("the function {name} of {} is private", file.name);
                    let hint = "leave out the word private there, or call another function".to_owned();
                    self.tell(Level::Error, "unknown-function", position, message, hint);
                } else {
                    let near = closest(name, public().map(|one| one.name.as_str()));
                    let hint = did_you_mean(near.map(|near| format!("{module}::{near}")).as_deref());
                    let message = format!("{} has no function {name}()", file.name);
                    self.tell(Level::Error, "unknown-function", position, message, hint);
                }
            }
        }
        Value::unknown()
    }

    /// Functions that are handed on by their names: whatever calls them may give them anything.
    pub(super) fn mentioned(&mut self, call: &FnCallExpr) {
        let Some(file) = self.context.program.files.get(self.file) else {
            return;
        };
        for argument in call.args.iter() {
            if let Expr::StringConstant(name, _) = argument {
                for (number, function) in file.named(name) {
                    let kinds = vec![Type::Unknown; function.parameters.len()];
                    self.calls.push(((self.file, number), kinds));
                }
            }
        }
    }

    /// A function that is kept as a value, and called somewhere.
    pub(super) fn kept(&mut self, expression: &Expr) {
        let Some(file) = self.context.program.files.get(self.file) else {
            return;
        };
        if let Some((name, _)) = pointer(expression) {
            for (number, function) in file.named(&name) {
                let kind = if function.is_anonymous() {
                    Type::Never
                } else {
                    Type::Unknown
                };
                self.calls
                    .push(((self.file, number), vec![kind; function.parameters.len()]));
            }
        }
    }

    /// A function without a name takes variables along.
    pub(super) fn closure(&mut self, call: &FnCallExpr) -> Value {
        let kinds: Vec<Type> = call
            .args
            .iter()
            .skip(1)
            .map(|taken| self.expression(taken).kind)
            .collect();
        if let (Some((name, _)), Some(file)) = (
            call.args.first().and_then(pointer),
            self.context.program.files.get(self.file),
        ) {
            for (number, function) in file.named(&name) {
                let mut all = kinds.clone();
                all.resize(function.parameters.len(), Type::Never);
                self.calls.push(((self.file, number), all));
            }
        }
        Value::of(Type::Function)
    }
}
