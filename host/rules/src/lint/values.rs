//! What expressions give, and what is wrong with their parts.

use rhai::{ASTFlags, Expr, FnCallExpr, Position, Stmt};

use super::Level;
use super::conditions;
use super::report::{call_start, start};
use super::types::{Type, maybe};
use super::walk::{Use, Value, Walker};

/// Operators that answer true or false.
const COMPARISONS: [&str; 6] = ["==", "!=", "<", "<=", ">", ">="];

impl Walker<'_> {
    pub(super) fn expression(&mut self, expression: &Expr) -> Value {
        match expression {
            Expr::DynamicConstant(value, _) => Value::of(match value.type_name() {
                "Fn" => {
                    self.kept(expression);
                    Type::Function
                }
                "range" | "range=" => Type::Range,
                _ => Type::Unknown,
            }),
            Expr::BoolConstant(..) => Value::asked(Type::Bool, true),
            Expr::IntegerConstant(..) => Value::asked(Type::Int, true),
            Expr::FloatConstant(..) => Value::asked(Type::Float, true),
            Expr::CharConstant(..) => Value::asked(Type::Char, true),
            Expr::StringConstant(..) => Value::asked(Type::Text, true),
            Expr::Unit(_) => Value::of(Type::Unit),
            Expr::InterpolatedString(parts, _) => {
                let asks = self.joined(parts).asks;
                Value::asked(Type::Text, asks)
            }
            Expr::Array(parts, _) => {
                let parts = self.joined(parts);
                Value::asked(Type::array(parts.kind), parts.asks)
            }
            Expr::Map(parts, _) => {
                let mut asks = true;
                for (_, part) in &parts.0 {
                    asks &= self.expression(part).asks;
                }
                Value::asked(Type::Map, asks)
            }
            Expr::Variable(variable, _, _) if variable.2.is_empty() => self.variable(&variable.1),
            Expr::Stmt(block) => match block.statements() {
                [Stmt::Expr(inner)] => self.expression(inner),
                _ => Value::of(self.block(block, Use::Taken).kind),
            },
            Expr::FnCall(call, position) => self.call(call, *position),
            Expr::Dot(..) | Expr::Index(..) => self.chain(expression, false),
            Expr::And(parts, _) | Expr::Or(parts, _) => {
                let mut asks = true;
                for part in parts.iter() {
                    asks &= self.condition(part);
                }
                Value::asked(Type::Bool, asks)
            }
            Expr::Coalesce(parts, _) => self.joined(parts),
            _ => Value::unknown(),
        }
    }

    fn variable(&mut self, name: &str) -> Value {
        let known = self.read(name);
        let value = known.or_else(|| self.context.constant(self.file, name).map(Value::of));
        Value {
            asks: true,
            ..value.unwrap_or_else(Value::unknown)
        }
    }

    /// The place that an assignment changes.
    pub(super) fn assigned(&mut self, place: &Expr) {
        match place {
            Expr::Dot(..) | Expr::Index(..) => {
                self.chain(place, true);
            }
            other => {
                self.expression(other);
            }
        }
    }

    /// `a.b(c)[d].e`: the tree hangs to the right, and may hang low.
    fn chain(&mut self, expression: &Expr, assigned: bool) -> Value {
        let (first, mut rest, mut index, mut last) = match expression {
            Expr::Dot(parts, ..) => (&parts.lhs, &parts.rhs, false, false),
            Expr::Index(parts, flags, _) => (&parts.lhs, &parts.rhs, true, flags.contains(ASTFlags::BREAK)),
            _ => return Value::unknown(),
        };
        let mut value = self.expression(first);
        let mut links = 0_usize;
        loop {
            let (link, next) = match rest {
                Expr::Dot(parts, ..) if !(index && last) => (&parts.lhs, Some((&parts.rhs, false, false))),
                Expr::Index(parts, flags, _) if !(index && last) => {
                    (&parts.lhs, Some((&parts.rhs, true, flags.contains(ASTFlags::BREAK))))
                }
                link => (link, None),
            };
            value = if index {
                let asks = value.asks & self.expression(link).asks;
                Value::asked(entry_of(&value.kind), asks)
            } else {
                match link {
                    Expr::Property(property, position) => {
                        self.property(&value, &property.2, *position, assigned && next.is_none())
                    }
                    Expr::MethodCall(call, position) => {
                        self.captured(first, call);
                        self.method(&value, (links == 0).then_some(first), call, *position)
                    }
                    other => self.expression(other),
                }
            };
            links += 1;
            match next {
                Some(next) => (rest, index, last) = next,
                None => return value,
            }
        }
    }

    /// An operator between values.
    pub(super) fn operator(&mut self, call: &FnCallExpr, position: Position) -> Value {
        let name = call.name.as_str();
        match (name, &call.args[..]) {
            ("!", [inner]) => {
                let asks = self.condition(inner);
                Value::asked(Type::Bool, asks)
            }
            (_, [left, right]) if COMPARISONS.contains(&name) => self.comparison(name, left, right, position),
            (_, [left, right]) => {
                let (a, b) = (self.expression(left), self.expression(right));
                Value::asked(computed(name, &a.kind, &b.kind), a.asks && b.asks)
            }
            (_, [one]) => {
                let one = self.expression(one);
                Value::asked(one.kind, one.asks)
            }
            (_, all) => {
                for one in all {
                    self.expression(one);
                }
                Value::unknown()
            }
        }
    }

    fn comparison(&mut self, name: &str, left: &Expr, right: &Expr, position: Position) -> Value {
        let (a, b) = (self.expression(left), self.expression(right));
        let at = start(left);
        let position = if at.is_none() { position } else { at };
        self.compared(name, (left, &a), (right, &b), position);
        Value::asked(Type::Bool, a.asks && b.asks)
    }

    fn compared(&mut self, name: &str, (left, a): (&Expr, &Value), (right, b): (&Expr, &Value), position: Position) {
        if !self.reports() {
            return;
        }
        let equality = matches!(name, "==" | "!=");
        if !a.kind.can_equal(&b.kind) {
            let message = if equality {
                format!("{} is never equal to {}", a.kind.words(), b.kind.words())
            } else {
                format!("{} cannot be compared with {}", a.kind.words(), b.kind.words())
            };
            let hint = hint_for_types(a, (right, b)).or_else(|| hint_for_types(b, (left, a)));
            self.tell(Level::Warning, "never-equal", position, message, hint);
            return;
        }
        let same = || {
            let text = |one| conditions::same_text(one, &|name, values| self.is_question(name, values));
            let text = (text(left)?, text(right)?);
            (text.0 == text.1)
                .then(|| conditions::answer(name, std::cmp::Ordering::Equal))
                .flatten()
        };
        if let Some(always) = conditions::fixed(name, left, right).or_else(same) {
            let message = format!("this comparison is always {always}");
            let hint = "compare with something that changes".to_owned();
            self.tell(Level::Warning, "constant-condition", position, message, hint);
            return;
        }
        if equality {
            self.impossible(a, right, position);
            self.impossible(b, left, position);
        }
    }

    /// A property and a fixed value that it never has.
    fn impossible(&mut self, value: &Value, other: &Expr, position: Position) {
        let Some(entry) = value.property else { return };
        match other {
            Expr::StringConstant(text, _) => {
                self.never(value, text, position);
            }
            Expr::IntegerConstant(number, _) => {
                if let Some((message, hint)) = conditions::never_number(entry.on, entry.name, *number) {
                    self.tell(Level::Warning, "never-equal", position, message, hint);
                }
            }
            _ => {}
        }
    }

    /// `item in [ … ]`.
    pub(super) fn within(&mut self, container: &Expr, item: &Value) {
        if let Expr::Array(parts, _) = container {
            for part in parts.iter() {
                if let Expr::StringConstant(text, position) = part {
                    self.never(item, text, *position);
                }
            }
        }
    }

    /// A call of a function by its name.
    pub(super) fn call(&mut self, call: &FnCallExpr, position: Position) -> Value {
        if call.is_operator_call() && call.name != "contains" {
            return self.operator(call, position);
        }
        let at = call_start(call, position);
        if call.is_qualified() {
            return self.module_call(call, at);
        }
        if call.name == "curry" && super::source::pointer(&call.args[0]).is_some() {
            return self.closure(call);
        }
        self.plain_call(call, at)
    }
}

/// What `[ ]` takes out of a value.
fn entry_of(kind: &Type) -> Type {
    match kind.present() {
        Type::Array(element) => (**element).clone(),
        Type::Text => Type::Char,
        _ => Type::Unknown,
    }
}

/// What an operator gives that computes.
fn computed(name: &str, a: &Type, b: &Type) -> Type {
    match (name, a.present(), b.present()) {
        (".." | "..=", _, _) => Type::Range,
        ("+", Type::Text, Type::Array(_)) | ("+", Type::Array(_), Type::Text) => Type::Unknown,
        ("+", Type::Text, other) | ("+", other, Type::Text) if other.is_known() => Type::Text,
        ("+" | "-" | "*" | "/" | "%", Type::Int, Type::Int) => Type::Int,
        ("+" | "-" | "*" | "/", Type::Int | Type::Float, Type::Int | Type::Float) => Type::Float,
        ("+" | "-", Type::Own("Date"), Type::Own("Period")) => Type::Own("Date"),
        ("+", Type::Array(a), Type::Array(b)) => Type::Array(Box::new(a.join(b))),
        _ => Type::Unknown,
    }
}

/// What was probably meant by comparing these.
fn hint_for_types(one: &Value, (written, other): (&Expr, &Value)) -> Option<String> {
    let literal = matches!(written, Expr::StringConstant(..));
    Some(match (one.kind.present(), other.kind.present()) {
        (Type::Int | Type::Float, Type::Text) if literal => "write the number without quotes".to_owned(),
        (Type::Bool, Type::Text) => "compare it with true or false, or leave the comparison out".to_owned(),
        (Type::Own("Date"), Type::Text) if literal => "write date(\"2020-01-31\") for a date".to_owned(),
        (Type::Own("Address"), Type::Int) => "compare it with an address in quotes".to_owned(),
        (Type::Array(_), Type::Text) => "ask whether the text is in it: … in …".to_owned(),
        (Type::Text, Type::Unit) => "a text that is missing is \"\"".to_owned(),
        (Type::Own("Mailbox"), Type::Text) => "compare its name: .name".to_owned(),
        _ => return None,
    })
}

/// `find` and the like.
pub(super) fn element_or_nothing(of: &Type) -> Type {
    match of.present() {
        Type::Array(element) => maybe((**element).clone()),
        _ => Type::Unknown,
    }
}
