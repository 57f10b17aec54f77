//! Gathers findings while the trees are walked.

use std::collections::HashSet;

use rhai::{Expr, FnCallExpr, Position};

use super::{Finding, Level};
use crate::explain;
use crate::loader::SourceFile;

/// Findings told about one script; beyond it the first ones are told.
const MOST: usize = 1000;

/// Findings gathered about one script; beyond it no more are looked for.
const MOST_GATHERED: usize = 10 * MOST;

/// A finding whose line is not looked up yet.
struct Raw {
    file: usize,
    position: Position,
    level: Level,
    code: &'static str,
    message: String,
    hint: Option<String>,
}

/// The findings so far.
#[derive(Default)]
pub(super) struct Report {
    raw: Vec<Raw>,
    seen: HashSet<(usize, Position, &'static str)>,
}

impl Report {
    /// Adds a finding. The same kind of finding is told once a place.
    pub(super) fn add(
        &mut self,
        level: Level,
        code: &'static str,
        (file, position): (usize, Position),
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        if !self.is_full() && self.seen.insert((file, position, code)) {
            self.raw.push(Raw {
                file,
                position,
                level,
                code,
                message: message.into(),
                hint,
            });
        }
    }

    /// Whether there are more than anybody wants.
    pub(super) fn is_full(&self) -> bool {
        self.raw.len() >= MOST_GATHERED
    }

    /// Sorted by place, with their lines. `names` are those of the files.
    pub(super) fn finish(mut self, sources: &[SourceFile], names: &[&str]) -> Vec<Finding> {
        let name = |file: usize| names.get(file).copied().unwrap_or_default();
        let place = |position: Position| (position.line().unwrap_or(0), position.position().unwrap_or(0));
        self.raw.sort_by(|a, b| {
            (name(a.file), place(a.position), a.level, a.code).cmp(&(name(b.file), place(b.position), b.level, b.code))
        });
        let told = self.raw.into_iter().take(MOST);
        told.map(|raw| Finding {
            level: raw.level,
            problem: explain::place(sources, name(raw.file), raw.position, raw.message, raw.hint),
            code: raw.code,
        })
        .collect()
    }
}

/// Where an expression begins in the text.
pub(super) fn start(expression: &Expr) -> Position {
    match expression {
        Expr::FnCall(call, position) => call_start(call, *position),
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => start(&parts.lhs),
        Expr::And(parts, position) | Expr::Or(parts, position) | Expr::Coalesce(parts, position) => {
            parts.first().map_or(*position, start)
        }
        other => other.start_position(),
    }
}

/// Where a call begins; that of an operator begins with its left side.
pub(super) fn call_start(call: &FnCallExpr, position: Position) -> Position {
    match call.args.first() {
        Some(left) if call.is_operator_call() && call.args.len() == 2 => start(left),
        _ if !call.namespace.is_empty() => call.namespace.position(),
        _ => position,
    }
}
