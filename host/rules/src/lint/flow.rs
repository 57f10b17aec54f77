//! Which statements are reached, and which decisions last.

use rhai::{Expr, FnCallExpr, Position, Stmt};

use super::report::start;

/// Whether nothing behind a statement is reached: it returns, throws, leaves the loop, or never ends.
pub(super) fn ends(statement: &Stmt) -> bool {
    match statement {
        Stmt::Return(..) | Stmt::BreakLoop(..) => true,
        Stmt::Block(block) => any_ends(block.statements()),
        Stmt::If(parts, _) => any_ends(parts.body.statements()) && any_ends(parts.branch.statements()),
        Stmt::TryCatch(parts, _) => any_ends(parts.body.statements()) && any_ends(parts.branch.statements()),
        Stmt::Switch(parts, _) => {
            parts.1.def_case.is_some() && parts.1.expressions.iter().all(|arm| expression_ends(&arm.rhs))
        }
        Stmt::While(parts, _) => {
            let for_ever = matches!(parts.expr, Expr::Unit(_) | Expr::BoolConstant(true, _));
            for_ever && !leaves_loop(parts.body.statements())
        }
        Stmt::Expr(expression) => expression_ends(expression),
        _ => false,
    }
}

pub(super) fn any_ends(statements: &[Stmt]) -> bool {
    statements.iter().any(ends)
}

fn expression_ends(expression: &Expr) -> bool {
    matches!(expression, Expr::Stmt(block) if any_ends(block.statements()))
}

/// Whether a loop with these statements can be left by `break`.
fn leaves_loop(statements: &[Stmt]) -> bool {
    statements.iter().any(|statement| match statement {
        // `continue` has no such flag.
        Stmt::BreakLoop(_, flags, _) => flags.contains(rhai::ASTFlags::BREAK),
        Stmt::If(parts, _) | Stmt::TryCatch(parts, _) => {
            leaves_loop(parts.body.statements()) || leaves_loop(parts.branch.statements())
        }
        Stmt::Block(block) => leaves_loop(block.statements()),
        Stmt::Switch(parts, _) => parts.1.expressions.iter().any(|arm| within(&arm.rhs, &leaves_loop)),
        Stmt::Expr(expression) => within(expression, &leaves_loop),
        // What can hide a block inside an expression.
        Stmt::Var(parts, ..) => !is_plain(&parts.1),
        Stmt::Assignment(parts) => !is_plain(&parts.1.rhs),
        _ => false,
    })
}

fn within(expression: &Expr, found: &dyn Fn(&[Stmt]) -> bool) -> bool {
    match expression {
        Expr::Stmt(block) => found(block.statements()),
        Expr::Coalesce(..) | Expr::And(..) | Expr::Or(..) => true,
        _ => false,
    }
}

/// Whether an expression cannot hold a `break`.
fn is_plain(expression: &Expr) -> bool {
    !matches!(expression, Expr::Stmt(_) | Expr::Coalesce(..))
}

/// The first statement that is never reached.
pub(super) fn unreachable(statements: &[Stmt]) -> Option<(&Stmt, Position)> {
    let before = statements.iter().position(ends)?;
    let dead = statements
        .get(before + 1..)?
        .iter()
        .find(|statement| !statement.is_noop())?;
    Some((statements.get(before)?, position(dead)))
}

/// Where a statement begins in the text.
pub(super) fn position(statement: &Stmt) -> Position {
    match statement {
        Stmt::Expr(expression) => start(expression),
        Stmt::FnCall(call, position) => super::report::call_start(call, *position),
        Stmt::Assignment(parts) => start(&parts.1.lhs),
        other => other.position(),
    }
}

/// A deciding call on a variable.
#[derive(Clone, Copy)]
pub(super) struct Decides<'a> {
    pub(super) variable: &'a str,
    pub(super) call: &'a FnCallExpr,
    pub(super) position: Position,
}

/// `m.move_to("A")` as a statement of its own.
pub(super) fn decides(statement: &Stmt) -> Option<Decides<'_>> {
    let Stmt::Expr(expression) = statement else {
        return None;
    };
    let Expr::Dot(parts, ..) = &**expression else {
        return None;
    };
    match (&parts.lhs, &parts.rhs) {
        (Expr::Variable(variable, _, _), Expr::MethodCall(call, position)) if variable.2.is_empty() => Some(Decides {
            variable: variable.1.as_str(),
            call,
            position: *position,
        }),
        _ => None,
    }
}

/// What a decision sets: a later one that sets the same takes its place. Empty where both count.
pub(super) fn sets(call: &FnCallExpr, on: &str) -> Vec<String> {
    let named = |what: &str| match call.args.first() {
        Some(Expr::StringConstant(text, _)) => {
            let name = text.trim_start_matches('\\').to_lowercase();
            vec![format!("{what} {name}")]
        }
        _ => Vec::new(),
    };
    let what = match (on, call.name.as_str()) {
        ("Failure", "retry" | "skip" | "stop") => "verb",
        (_, "skip" | "keep") => "skip",
        (_, "move_to" | "move_to_role") => "place",
        ("Message", "detach") => "detach",
        ("Message", "send_to") if call.args.len() > 1 => return vec!["mailbox".to_owned(), "place".to_owned()],
        ("Message", "send_to") => "mailbox",
        ("Folder", "subscribe") => "subscribe",
        ("Message", "set_flag" | "clear_flag" | "add_keyword" | "remove_keyword") => return named("flag"),
        ("Message", "add_label" | "remove_label") => return named("label"),
        _ => return Vec::new(),
    };
    vec![what.to_owned()]
}

/// Whether a statement may be the last one that runs, or change a variable.
pub(super) fn interrupts(statement: &Stmt) -> bool {
    match statement {
        Stmt::Expr(expression) => decides(statement).is_none() && !matches!(&**expression, Expr::FnCall(..)),
        Stmt::FnCall(..) | Stmt::Noop(_) => false,
        _ => true,
    }
}
