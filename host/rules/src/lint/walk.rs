//! Goes through the statements of a function with what is known of each variable.

use std::collections::{HashMap, HashSet};

use rhai::{ASTFlags, Expr, Position, Stmt, StmtBlock};

use super::context::Context;
use super::flow;
use super::report::Report;
use super::source::FunctionId;
use super::types::Type;
use super::{Level, conditions};
use crate::explain::type_in_words;
use crate::registry::Entry;
use crate::rules::Hook;

/// What is known of functions from all that calls them.
#[derive(Default)]
pub(super) struct Facts {
    /// Joined over all calls.
    pub(super) parameters: HashMap<FunctionId, Vec<Type>>,
    /// What they return.
    pub(super) returns: HashMap<FunctionId, Type>,
}

/// What is known of a value.
#[derive(Debug, Clone)]
pub(super) struct Value {
    pub(super) kind: Type,
    /// The property that it was read from.
    pub(super) property: Option<&'static Entry>,
    /// Nothing was done but ask for it.
    pub(super) asks: bool,
}

impl Value {
    pub(super) fn of(kind: Type) -> Self {
        Self {
            kind,
            property: None,
            asks: false,
        }
    }

    /// An answer that is there for its own sake.
    pub(super) fn asked(kind: Type, asks: bool) -> Self {
        Self { asks, ..Self::of(kind) }
    }

    pub(super) fn unknown() -> Self {
        Self::of(Type::Unknown)
    }
}

/// What becomes of the value of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Nobody sees it.
    Dropped,
    /// The expression around it takes it.
    Taken,
    /// The function returns it.
    Returned,
}

struct Variable {
    name: String,
    value: Value,
    position: Position,
    used: bool,
    /// Declared by `let` or `const`, so that it is told where nobody reads it.
    told: bool,
}

/// One walk through one function.
pub(super) struct Walker<'a> {
    pub(super) context: &'a Context<'a>,
    pub(super) facts: &'a Facts,
    pub(super) file: usize,
    hook: Option<Hook>,
    variables: Vec<Variable>,
    /// Names of variables that get other values, here or in a function without a name.
    changed: &'a HashSet<String>,
    /// What the function returns.
    returns: Type,
    /// Calls of the script's functions, with the types of their values.
    pub(super) calls: Vec<(FunctionId, Vec<Type>)>,
    report: Option<&'a mut Report>,
}

impl<'a> Walker<'a> {
    pub(super) fn new(
        context: &'a Context<'a>,
        facts: &'a Facts,
        file: usize,
        changed: &'a HashSet<String>,
        report: Option<&'a mut Report>,
    ) -> Self {
        Self {
            context,
            facts,
            file,
            hook: None,
            variables: Vec::new(),
            changed,
            returns: Type::Never,
            calls: Vec::new(),
            report,
        }
    }

    /// Walks through a function; what it returns.
    pub(super) fn function(&mut self, id: FunctionId, hook: Option<Hook>) -> Type {
        let Some((_, function)) = self.context.program.get(id) else {
            return Type::Unknown;
        };
        self.hook = hook;
        let known = self.facts.parameters.get(&id);
        for (number, name) in function.parameters.iter().enumerate() {
            let kind = known
                .and_then(|types| types.get(number))
                .cloned()
                .unwrap_or(Type::Unknown);
            let kind = if kind == Type::Never { Type::Unknown } else { kind };
            self.declare(name, Value::of(kind), Position::NONE, false);
        }
        let last = self.statements(&function.statements, Use::Returned);
        let returns = self.returns.join(&last.kind);
        self.close(0);
        // Nothing is known of one that only throws; and nobody asks.
        if returns == Type::Never { Type::Unknown } else { returns }
    }

    pub(super) fn tell(
        &mut self,
        level: Level,
        code: &'static str,
        position: Position,
        message: impl Into<String>,
        hint: impl Into<Option<String>>,
    ) {
        if let Some(report) = &mut self.report {
            report.add(level, code, (self.file, position), message, hint.into());
        }
    }

    pub(super) fn reports(&self) -> bool {
        self.report.as_ref().is_some_and(|report| !report.is_full())
    }

    fn declare(&mut self, name: &str, value: Value, position: Position, told: bool) {
        let value = if self.changed.contains(name) {
            Value::unknown()
        } else {
            value
        };
        self.variables.push(Variable {
            name: name.to_owned(),
            value,
            position,
            used: false,
            told: told && !name.starts_with('_'),
        });
    }

    /// The variable with a name, which is read now.
    pub(super) fn read(&mut self, name: &str) -> Option<Value> {
        let variable = self.variables.iter_mut().rev().find(|variable| variable.name == name)?;
        variable.used = true;
        Some(variable.value.clone())
    }

    /// Whether there is a variable of the name, be it a parameter.
    pub(super) fn is_variable(&self, name: &str) -> bool {
        self.variables.iter().any(|variable| variable.name == name)
    }

    /// Ends the variables declared since then.
    fn close(&mut self, until: usize) {
        while self.variables.len() > until {
            if let Some(variable) = self.variables.pop()
                && variable.told
                && !variable.used
            {
                let message = format!("the variable {} is never used", variable.name);
                let hint = "leave it out, or begin its name with _ if that is on purpose".to_owned();
                self.tell(Level::Warning, "unused-variable", variable.position, message, hint);
            }
        }
    }

    pub(super) fn block(&mut self, block: &StmtBlock, used: Use) -> Value {
        self.statements(block.statements(), used)
    }

    fn statements(&mut self, statements: &[Stmt], used: Use) -> Value {
        let began = self.variables.len();
        if let Some((last, dead)) = flow::unreachable(statements) {
            self.never_reached(last, dead);
        }
        self.overwritten(statements);
        let mut value = Value::of(Type::Unit);
        for (number, statement) in statements.iter().enumerate() {
            let last = number + 1 == statements.len();
            value = self.statement(statement, if last { used } else { Use::Dropped });
        }
        self.close(began);
        if flow::any_ends(statements) {
            Value::of(Type::Never)
        } else {
            value
        }
    }

    fn never_reached(&mut self, last: &Stmt, dead: Position) {
        let message = match last {
            Stmt::Return(_, flags, _) if flags.contains(ASTFlags::BREAK) => {
                "this is never reached: throw stands before it"
            }
            Stmt::Return(..) => "this is never reached: return stands before it",
            Stmt::BreakLoop(_, flags, _) if flags.contains(ASTFlags::BREAK) => {
                "this is never reached: break stands before it"
            }
            Stmt::BreakLoop(..) => "this is never reached: continue stands before it",
            Stmt::While(..) => "this is never reached: the loop before it does not end",
            _ => "this is never reached: every branch before it ends with return, throw or the like",
        };
        let hint = "put it before, or leave it out".to_owned();
        self.tell(Level::Warning, "unreachable", dead, message, hint);
    }

    /// Decisions of which a later one always takes the place.
    fn overwritten(&mut self, statements: &[Stmt]) {
        if !self.reports() {
            return;
        }
        // By the variable and what is set.
        let mut open: HashMap<(&str, String), (flow::Decides<'_>, usize)> = HashMap::new();
        for statement in statements {
            let Some(next) = flow::decides(statement) else {
                if flow::interrupts(statement) {
                    open.clear();
                }
                continue;
            };
            let Some(on) = self.type_of_variable(next.variable) else {
                continue;
            };
            let all = flow::sets(next.call, on);
            for what in &all {
                let key = (next.variable, what.clone());
                let before = open.insert(key, (next, all.len()));
                // One that says more than this is not overwritten as a whole.
                if let Some((first, _)) = before.filter(|(_, said)| *said <= all.len()) {
                    self.takes_the_place(&first, &next);
                }
            }
        }
    }

    fn takes_the_place(&mut self, first: &flow::Decides<'_>, next: &flow::Decides<'_>) {
        // The same said twice does no harm where it is a mark.
        let marks = [
            "set_flag",
            "clear_flag",
            "add_keyword",
            "remove_keyword",
            "add_label",
            "remove_label",
        ];
        if first.call.name == next.call.name && marks.contains(&first.call.name.as_str()) {
            return;
        }
        let line = next.position.line().unwrap_or(0);
        let message = format!(
            "{} has no effect: {} in line {line} takes its place",
            first.call.name, next.call.name
        );
        let hint = "the last of such calls counts: leave one out, or put them into an if and its else".to_owned();
        self.tell(Level::Warning, "overwritten", first.position, message, hint);
    }

    fn type_of_variable(&self, name: &str) -> Option<&'static str> {
        let variable = self.variables.iter().rev().find(|variable| variable.name == name)?;
        variable.value.kind.own()
    }

    fn statement(&mut self, statement: &Stmt, used: Use) -> Value {
        match statement {
            Stmt::If(parts, _) => self.chain_of_ifs(parts, used),
            Stmt::Switch(parts, position) => self.switch(&parts.0, &parts.1, *position, used),
            Stmt::While(parts, _) => {
                match parts.expr {
                    Expr::Unit(_) | Expr::BoolConstant(true, _) => {}
                    _ => {
                        self.condition(&parts.expr);
                    }
                }
                self.block(&parts.body, Use::Dropped);
                Value::unknown()
            }
            Stmt::Do(parts, ..) => {
                self.block(&parts.body, Use::Dropped);
                if !matches!(parts.expr, Expr::BoolConstant(..)) {
                    self.condition(&parts.expr);
                }
                Value::unknown()
            }
            Stmt::For(parts, _) => {
                let over = self.expression(&parts.2.expr);
                let element = self.element(&over.kind, &parts.2.expr);
                let began = self.variables.len();
                self.declare(&parts.0.name, Value::of(element), parts.0.pos, false);
                if let Some(counter) = &parts.1 {
                    self.declare(&counter.name, Value::of(Type::Int), counter.pos, false);
                }
                self.block(&parts.2.body, Use::Dropped);
                self.close(began);
                Value::unknown()
            }
            Stmt::Var(parts, ..) => {
                let value = self.expression(&parts.1);
                self.declare(&parts.0.name, value, parts.0.pos, true);
                Value::of(Type::Unit)
            }
            Stmt::Assignment(parts) => {
                self.expression(&parts.1.rhs);
                match &parts.1.lhs {
                    // To get a value is not to be used.
                    Expr::Variable(variable, _, _) if variable.2.is_empty() => {}
                    place => self.assigned(place),
                }
                Value::of(Type::Unit)
            }
            Stmt::FnCall(call, position) => {
                let value = self.call(call, *position);
                self.end_of_statement(value, flow::position(statement), used)
            }
            Stmt::Expr(expression) => {
                let value = match &**expression {
                    Expr::Stmt(block) => return self.block(block, used),
                    expression => self.expression(expression),
                };
                self.end_of_statement(value, flow::position(statement), used)
            }
            Stmt::Block(block) => self.block(block, used),
            Stmt::TryCatch(parts, _) => {
                let body = self.block(&parts.body, used);
                let began = self.variables.len();
                if let Expr::Variable(variable, _, position) = &parts.expr {
                    self.declare(&variable.1, Value::unknown(), *position, false);
                }
                let branch = self.block(&parts.branch, used);
                self.close(began);
                Value::of(body.kind.join(&branch.kind))
            }
            Stmt::BreakLoop(value, ..) => {
                if let Some(value) = value {
                    self.expression(value);
                }
                Value::of(Type::Never)
            }
            Stmt::Return(value, flags, position) => {
                let value = value.as_ref().map(|value| self.expression(value));
                if !flags.contains(ASTFlags::BREAK) {
                    let kind = value.map_or(Type::Unit, |value| value.kind);
                    self.hook_returns(&kind, *position);
                    self.returns = self.returns.join(&kind);
                }
                Value::of(Type::Never)
            }
            Stmt::Share(names) => {
                for (name, _) in names.iter() {
                    self.read(&name.name);
                }
                Value::of(Type::Unit)
            }
            _ => Value::of(Type::Unit),
        }
    }

    fn end_of_statement(&mut self, value: Value, position: Position, used: Use) -> Value {
        match used {
            Use::Dropped if value.asks => {
                let message = "nothing is done with this answer, so that the line has no effect";
                let hint = "use it in a condition, as if … { }, keep it with let, or leave it out".to_owned();
                self.tell(Level::Warning, "unused-result", position, message, hint);
            }
            Use::Returned => self.hook_returns(&value.kind, position),
            _ => {}
        }
        value
    }

    /// A hook returns nothing.
    fn hook_returns(&mut self, kind: &Type, position: Position) {
        let Some(hook) = self.hook else { return };
        if !kind.is_known() || *kind == Type::Unit {
            return;
        }
        let would = if matches!(kind, Type::Maybe(_)) {
            "may return"
        } else {
            "would return"
        };
        let message = format!(
            "{}({}) {would} {}, and a hook returns nothing",
            hook.name(),
            hook.parameter(),
            kind.words()
        );
        let hint = "a function returns its last value, even with a semicolon behind it: write return; in a line below";
        self.tell(Level::Error, "hook-returns-value", position, message, hint.to_owned());
    }

    fn chain_of_ifs(&mut self, first: &rhai::FlowControl, used: Use) -> Value {
        let mut seen: HashSet<String> = HashSet::new();
        let mut parts = first;
        let mut kind = Type::Never;
        loop {
            self.condition(&parts.expr);
            if self.reports()
                && let Some(text) = conditions::same_text(&parts.expr, &|name, values| self.is_question(name, values))
                && !seen.insert(text)
            {
                let message = "this branch is never reached: the same condition stands above in this chain";
                let hint = "correct the condition, or put both branches together".to_owned();
                self.tell(
                    Level::Warning,
                    "repeated-condition",
                    super::report::start(&parts.expr),
                    message,
                    hint,
                );
            }
            kind = kind.join(&self.block(&parts.body, used).kind);
            match parts.branch.statements() {
                [] => return Value::of(kind.join(&Type::Unit)),
                [Stmt::If(next, _)] => parts = next,
                _ => return Value::of(kind.join(&self.block(&parts.branch, used).kind)),
            }
        }
    }

    /// A place where true or false is needed.
    pub(super) fn condition(&mut self, expression: &Expr) -> bool {
        let value = self.expression(expression);
        let position = super::report::start(expression);
        if let Expr::BoolConstant(always, _) = expression {
            let message = format!("this condition is always {always}");
            let hint = "say what it depends on, or leave the condition out".to_owned();
            self.tell(Level::Warning, "constant-condition", position, message, hint);
        } else if value.kind.is_known() && *value.kind.present() != Type::Bool {
            let message = format!(
                "{} is needed here, and this is {}",
                type_in_words("bool"),
                value.kind.words()
            );
            let hint = match value.kind.present() {
                Type::Text => "compare it, as … != \"\"".to_owned(),
                Type::Int | Type::Float => "compare it, as … > 0".to_owned(),
                Type::Unit => "this call gives no answer".to_owned(),
                _ => "ask a question that is answered by true or false".to_owned(),
            };
            self.tell(Level::Error, "not-a-condition", position, message, hint);
        }
        value.asks
    }

    /// What a loop over a value gives each time.
    fn element(&mut self, over: &Type, expression: &Expr) -> Type {
        match over.present() {
            Type::Array(element) => (**element).clone(),
            Type::Range => Type::Int,
            Type::Text => Type::Char,
            Type::Never | Type::Unknown => Type::Unknown,
            other => {
                let message = format!(
                    "for … in … needs an array, a range or a string, and this is {}",
                    other.words()
                );
                let hint = match other {
                    Type::Map => Some("write .keys() or .values() behind it".to_owned()),
                    _ => None,
                };
                self.tell(
                    Level::Error,
                    "not-iterable",
                    super::report::start(expression),
                    message,
                    hint,
                );
                Type::Unknown
            }
        }
    }

    fn switch(&mut self, on: &Expr, cases: &rhai::SwitchCasesCollection, position: Position, used: Use) -> Value {
        let value = self.expression(on);
        if self.reports() {
            self.cases(&value, cases.expressions.len(), position);
        }
        let mut kind = if cases.def_case.is_some() {
            Type::Never
        } else {
            Type::Unit
        };
        for arm in &cases.expressions {
            if !matches!(arm.lhs, Expr::BoolConstant(true, _)) {
                self.condition(&arm.lhs);
            }
            let given = match &arm.rhs {
                Expr::Stmt(block) => self.block(block, used),
                other => self.expression(other),
            };
            kind = kind.join(&given.kind);
        }
        Value::of(kind)
    }

    /// The values of a switch: those that were there before, and those that never come.
    fn cases(&mut self, value: &Value, count: usize, position: Position) {
        let Some(arms) = self
            .context
            .arms(self.file, position)
            .filter(|arms| arms.len() == count)
        else {
            return;
        };
        let mut seen: HashSet<String> = HashSet::new();
        for arm in &arms {
            for case in arm.cases.iter().filter(|case| case.text != "_") {
                if seen.contains(&case.text) {
                    let message = format!("{} is never reached here: it stands above in this switch", case.text);
                    let hint = "leave one of them out".to_owned();
                    self.tell(Level::Warning, "repeated-case", case.position, message, hint);
                } else if !arm.guarded {
                    seen.insert(case.text.clone());
                }
                let kind = conditions::literal_type(&case.text);
                if !value.kind.can_equal(&kind) {
                    let message = format!("{} is never equal to {}", value.kind.words(), kind.words());
                    self.tell(Level::Warning, "never-equal", case.position, message, None);
                } else if let Some(text) = case.string() {
                    self.never(value, text, case.position);
                }
            }
        }
    }

    /// Tells where a property is never equal to a text.
    pub(super) fn never(&mut self, value: &Value, text: &str, position: Position) -> bool {
        let Some(entry) = value.property else { return false };
        match conditions::never_text(entry.on, entry.name, text) {
            Some((message, hint)) => {
                self.tell(Level::Warning, "never-equal", position, message, hint);
                true
            }
            None => false,
        }
    }

    /// The value of parts that are joined.
    pub(super) fn joined(&mut self, parts: &[Expr]) -> Value {
        let mut kind = Type::Never;
        let mut asks = true;
        for (number, part) in parts.iter().enumerate() {
            let value = self.expression(part);
            asks &= value.asks;
            let last = number + 1 == parts.len();
            kind = kind.join(if last { &value.kind } else { value.kind.present() });
        }
        Value::asked(kind, asks)
    }
}
