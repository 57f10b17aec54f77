//! Questions whose answer is known before they are asked.

use std::fmt::Write as _;

use rhai::{Expr, Stmt};

use super::types::Type;
use crate::script::values::ROLES;
use crate::suggest::closest;

/// What people call a special use that has another name here.
const OTHER_NAMES: [(&str, &str); 8] = [
    ("spam", "junk"),
    ("bulk", "junk"),
    ("bin", "trash"),
    ("deleted", "trash"),
    ("draft", "drafts"),
    ("starred", "flagged"),
    ("notes", "memos"),
    ("outgoing", "outbox"),
];

/// Why a property is never equal to a text, and what to do; None where it may be.
pub(super) fn never_text(on: &str, property: &str, text: &str) -> Option<(String, String)> {
    let upper = text.chars().any(char::is_uppercase);
    let never = |why: &str, hint: String| Some((why.to_owned(), hint));
    match (on, property) {
        (_, "role") => never_role(text),
        ("Message" | "Failure", "folder") | ("Folder", "path") if text.is_empty() => {
            never("no folder has an empty path", "leave this out".to_owned())
        }
        ("Folder", "name") if text.is_empty() => never("no folder has an empty name", "leave this out".to_owned()),
        ("Message" | "Failure", "folder") | ("Folder", "path" | "parent") => never_path(text),
        ("Failure", "side") if text != "source" && text != "destination" => never(
            &format!("the side is never \"{text}\""),
            "it is \"source\" or \"destination\"".to_owned(),
        ),
        ("Address", "domain") if text.starts_with('@') => never(
            "a domain has no @",
            format!("write \"{}\"", text.trim_start_matches('@')),
        ),
        ("Address", "domain") | ("Message", "content_type") | ("Attachment", "type") if upper => never(
            &format!("{property} is in lower case"),
            format!("write \"{}\"", text.to_lowercase()),
        ),
        ("Message", "message_id" | "list_id") if text.starts_with('<') => never(
            &format!("{property} is without < and >"),
            format!("write \"{}\"", text.trim_matches(['<', '>'])),
        ),
        _ => None,
    }
}

fn never_role(text: &str) -> Option<(String, String)> {
    if text.is_empty() || ROLES.iter().any(|(name, _)| *name == text) {
        return None;
    }
    let lower = text.to_lowercase();
    let names = ROLES.iter().map(|(name, _)| *name);
    let other = OTHER_NAMES
        .iter()
        .find(|(name, _)| *name == lower)
        .map(|(_, role)| *role);
    let hint = match other.or_else(|| closest(text, names.clone())) {
        Some(near) => format!("did you mean \"{near}\"?"),
        None => format!("the roles are {}", names.collect::<Vec<_>>().join(", ")),
    };
    Some((format!("no folder has the role \"{text}\""), hint))
}

/// A path that no folder has.
pub(super) fn never_path(text: &str) -> Option<(String, String)> {
    if text.contains('\\') {
        let hint = format!("write \"{}\"", text.replace('\\', "/"));
        return Some((
            "the names of a path are joined by /, not by a backslash".to_owned(),
            hint,
        ));
    }
    if text.len() > 1 && (text.starts_with('/') || text.ends_with('/')) {
        let hint = format!("write \"{}\"", text.trim_matches('/'));
        return Some(("a path has no / at its beginning or end".to_owned(), hint));
    }
    None
}

/// Why a property is never equal to a number.
pub(super) fn never_number(on: &str, property: &str, number: i64) -> Option<(String, String)> {
    let (least, most) = match (on, property) {
        ("Date", "month") => (1, 12),
        ("Date", "day") => (1, 31),
        ("Date", "hour") => (0, 23),
        ("Date", "minute") => (0, 59),
        ("Date", "weekday") => (1, 7),
        ("Message" | "Attachment", "size") | ("Failure", "attempts") => (0, i64::MAX),
        ("Folder", "depth") => (1, i64::MAX),
        ("Folder", "items" | "bytes") | ("Failure", "size") => (-1, i64::MAX),
        _ => return None,
    };
    if (least..=most).contains(&number) {
        return None;
    }
    let hint = if most == i64::MAX {
        format!("it is at least {least}")
    } else {
        format!("it goes from {least} to {most}")
    };
    Some((format!("{property} is never {number}"), hint))
}

/// The answer of a comparison between two fixed values.
pub(super) fn fixed(operator: &str, left: &Expr, right: &Expr) -> Option<bool> {
    let order = match (left, right) {
        (Expr::IntegerConstant(a, _), Expr::IntegerConstant(b, _)) => a.cmp(b),
        (Expr::StringConstant(a, _), Expr::StringConstant(b, _)) => a.cmp(b),
        (Expr::BoolConstant(a, _), Expr::BoolConstant(b, _)) => a.cmp(b),
        _ => return None,
    };
    answer(operator, order)
}

/// What a comparison answers where the two sides stand in this order.
pub(super) fn answer(operator: &str, order: std::cmp::Ordering) -> Option<bool> {
    Some(match operator {
        "==" => order.is_eq(),
        "!=" => order.is_ne(),
        "<" => order.is_lt(),
        "<=" => order.is_le(),
        ">" => order.is_gt(),
        ">=" => order.is_ge(),
        _ => return None,
    })
}

/// The type of a value that stands in the text.
pub(super) fn literal_type(text: &str) -> Type {
    let number = text.trim_start_matches('-');
    match text.chars().next() {
        Some('"' | '`' | '#') => Type::Text,
        Some('\'') => Type::Char,
        _ if matches!(text, "true" | "false") => Type::Bool,
        _ if number.starts_with(|c: char| c.is_ascii_digit()) && !number.contains(['.', 'e', 'E']) => Type::Int,
        _ => Type::Unknown,
    }
}

/// An expression in one way of writing, the same for the same questions. None where asking twice may give two answers.
pub(super) fn same_text(expression: &Expr, is_question: &dyn Fn(&str, usize) -> bool) -> Option<String> {
    let mut out = String::new();
    write_out(expression, is_question, &mut out)?;
    Some(out)
}

fn all(parts: &[Expr], is_question: &dyn Fn(&str, usize) -> bool, out: &mut String) -> Option<()> {
    for part in parts {
        write_out(part, is_question, out)?;
        out.push(',');
    }
    Some(())
}

fn write_out(expression: &Expr, is_question: &dyn Fn(&str, usize) -> bool, out: &mut String) -> Option<()> {
    match expression {
        Expr::BoolConstant(value, _) => write!(out, "{value}").ok(),
        Expr::IntegerConstant(value, _) => write!(out, "{value}").ok(),
        Expr::FloatConstant(value, _) => write!(out, "{value:?}").ok(),
        Expr::CharConstant(value, _) => write!(out, "{value:?}").ok(),
        Expr::StringConstant(value, _) => write!(out, "{value:?}").ok(),
        Expr::Unit(_) => write!(out, "()").ok(),
        Expr::Variable(variable, _, _) => write!(out, "{}::{}", variable.2, variable.1).ok(),
        Expr::ThisPtr(_) => write!(out, "this").ok(),
        Expr::Property(property, _) => write!(out, "{}", property.2).ok(),
        Expr::Array(parts, _) => {
            out.push('[');
            all(parts, is_question, out)?;
            out.push(']');
            Some(())
        }
        Expr::InterpolatedString(parts, _) => {
            out.push('`');
            all(parts, is_question, out)?;
            out.push('`');
            Some(())
        }
        Expr::Stmt(block) => match block.statements() {
            [Stmt::Expr(inner)] => write_out(inner, is_question, out),
            _ => None,
        },
        Expr::FnCall(call, _) | Expr::MethodCall(call, _) => {
            let method = matches!(expression, Expr::MethodCall(..));
            if !call.namespace.is_empty()
                || !(call.is_operator_call() || is_question(&call.name, call.args.len() + usize::from(method)))
            {
                return None;
            }
            write!(out, "{}(", call.name).ok()?;
            all(&call.args, is_question, out)?;
            out.push(')');
            Some(())
        }
        Expr::Dot(parts, flags, _) | Expr::Index(parts, flags, _) => {
            let kind = if matches!(expression, Expr::Dot(..)) { '.' } else { '[' };
            out.push('(');
            write_out(&parts.lhs, is_question, out)?;
            write!(out, "{kind}{flags:?}").ok()?;
            write_out(&parts.rhs, is_question, out)?;
            out.push(')');
            Some(())
        }
        Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => {
            out.push_str(match expression {
                Expr::And(..) => "and(",
                Expr::Or(..) => "or(",
                _ => "else(",
            });
            all(parts, is_question, out)?;
            out.push(')');
            Some(())
        }
        _ => None,
    }
}
