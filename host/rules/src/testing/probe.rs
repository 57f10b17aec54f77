//! Which lines of a script ran.
//!
//! A copy of each file gets a call before each statement, in the same line. Rhai gives no other way: what it tells while
//! a script runs has no place in the text.

use std::cell::Cell;
use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rhai::{AST, ASTNode, Engine, Expr, Position, Stmt};

use super::tokens::{Kind, Token, tokens};

/// The function that counts.
const COUNT: &str = "__ran__";

thread_local! {
    /// The statement that this thread began last.
    static LAST: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Counts how often statements run. The library's are not counted.
#[derive(Default)]
pub(crate) struct Probe {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    files: BTreeMap<String, Prepared>,
    /// By statement.
    runs: Vec<u64>,
}

struct Prepared {
    /// With the calls in it; None where it could not be made.
    text: Option<String>,
    /// The line and the number of each statement.
    statements: Vec<(u32, usize)>,
}

/// What is known of one statement: its file, its line, and how often it ran.
pub(crate) struct Ran {
    pub(crate) file: String,
    pub(crate) line: u32,
    pub(crate) runs: u64,
}

impl Probe {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn register(self: &std::sync::Arc<Self>, engine: &mut Engine) {
        let probe = self.clone();
        engine.register_fn(COUNT, move |number: i64| {
            let Ok(number) = usize::try_from(number) else { return };
            LAST.set(Some(number));
            if let Some(runs) = probe.state().runs.get_mut(number) {
                *runs += 1;
            }
        });
    }

    /// File and line of the statement that `run` begins last on this thread.
    pub(crate) fn last(&self, run: impl FnOnce()) -> Option<(String, u32)> {
        LAST.set(None);
        run();
        let last = LAST.take()?;
        let state = self.state();
        state.files.iter().find_map(|(file, prepared)| {
            let found = prepared.statements.iter().find(|(_, number)| *number == last)?;
            Some((file.clone(), found.0))
        })
    }

    /// The text of a file with the calls in it; None where nothing is to be counted. The same file may come again.
    pub(crate) fn prepare(&self, scanner: &Engine, file: &str, text: &str, ast: &AST) -> Option<String> {
        if file.starts_with("std/") {
            return None;
        }
        let mut state = self.state();
        if let Some(known) = state.files.get(file) {
            return known.text.clone();
        }
        let first = state.runs.len();
        let (lines, inserts) = plan(text, ast, first);
        let statements: Vec<(u32, usize)> = lines
            .iter()
            .zip(first..)
            .map(|(line, number)| (*line, number))
            .collect();
        let text = Some(insert(text, inserts)).filter(|text| scanner.compile(text).is_ok());
        let kept = if text.is_some() { statements } else { Vec::new() };
        state.runs.resize(first + kept.len(), 0);
        let prepared = Prepared {
            text: text.clone(),
            statements: kept,
        };
        state.files.insert(file.to_owned(), prepared);
        text
    }

    /// All statements that could run, by file and line.
    pub(crate) fn ran(&self) -> Vec<Ran> {
        let state = self.state();
        let mut out = Vec::new();
        for (file, prepared) in &state.files {
            for (line, number) in &prepared.statements {
                out.push(Ran {
                    file: file.clone(),
                    line: *line,
                    runs: state.runs.get(*number).copied().unwrap_or(0),
                });
            }
        }
        out.sort_by(|a, b| (&a.file, a.line).cmp(&(&b.file, b.line)));
        out
    }
}

/// A piece of text and where it goes, in bytes; pieces that end something come first.
type Insert = (usize, bool, String);

/// The line of each statement, and what to insert. Statements are numbered from `first` on.
fn plan(text: &str, ast: &AST, first: usize) -> (Vec<u32>, Vec<Insert>) {
    let tokens = tokens(text);
    let at_top: Vec<*const Stmt> = ast.statements().iter().map(std::ptr::from_ref).collect();
    let mut places: Vec<(usize, Shape)> = Vec::new();
    let mut seen = HashSet::new();
    ast.walk(&mut |path: &[ASTNode<'_>]| {
        if let Some(ASTNode::Stmt(top)) = path.first()
            && at_top.contains(&std::ptr::from_ref(*top))
        {
            return true;
        }
        if let Some(ASTNode::Stmt(statement)) = path.last()
            && let Some(position) = start(statement)
            && let Some(at) = token_at(&tokens, position)
            && seen.insert(at)
        {
            places.push((at, shape(statement)));
        }
        true
    });
    let (mut lines, mut inserts) = (Vec::new(), Vec::new());
    places.sort_by_key(|(at, _)| *at);
    for (at, shape) in places {
        // The tree does not tell brackets around an expression.
        let mut begin = at;
        while begin > 0
            && tokens
                .get(begin - 1)
                .is_some_and(|token| token.kind == Kind::Open && is_round(text, token))
        {
            begin -= 1;
        }
        let before = begin.checked_sub(1).and_then(|before| tokens.get(before));
        let (Some(before), Some(token)) = (before, tokens.get(begin)) else {
            continue;
        };
        let call = format!("{COUNT}({});", first + lines.len());
        match before.kind {
            Kind::OpenBlock | Kind::CloseBlock | Kind::Semicolon => inserts.push((token.start, true, call)),
            // An expression that stands alone needs a block around it.
            Kind::Bar | Kind::Arrow => {
                let Some(end) = end_of(text, &tokens, begin, shape) else {
                    continue;
                };
                inserts.push((token.start, true, format!("{{{call}")));
                inserts.push((end, false, "}".to_owned()));
            }
            _ => continue,
        }
        lines.push(u32::try_from(token.line).unwrap_or(u32::MAX));
    }
    (lines, inserts)
}

fn insert(text: &str, mut inserts: Vec<Insert>) -> String {
    inserts.sort();
    let mut out = String::with_capacity(text.len() * 2);
    let mut done = 0;
    for (at, _, piece) in inserts {
        out.push_str(text.get(done..at).unwrap_or_default());
        out.push_str(&piece);
        done = at;
    }
    out.push_str(text.get(done..).unwrap_or_default());
    out
}

fn is_round(text: &str, token: &Token) -> bool {
    text.get(token.start..token.end) == Some("(")
}

fn token_at(tokens: &[Token], position: Position) -> Option<usize> {
    let place = (position.line()?, position.position()?);
    tokens
        .binary_search_by_key(&place, |token| (token.line, token.column))
        .ok()
}

/// Where a statement begins; None for what is no statement of the author's, and for blocks, whose statements count.
fn start(statement: &Stmt) -> Option<Position> {
    match statement {
        Stmt::Noop(_) | Stmt::Block(_) | Stmt::Share(_) => None,
        Stmt::Expr(expression) => Some(expression_start(expression)),
        Stmt::FnCall(call, position) => Some(call_start(call, *position)),
        Stmt::Assignment(parts) => Some(expression_start(&parts.1.lhs)),
        other => Some(other.position()),
    }
}

fn expression_start(expression: &Expr) -> Position {
    match expression {
        Expr::FnCall(call, position) => call_start(call, *position),
        Expr::Dot(parts, ..) | Expr::Index(parts, ..) => expression_start(&parts.lhs),
        Expr::And(parts, _) | Expr::Or(parts, _) | Expr::Coalesce(parts, _) => {
            parts.first().map_or(Position::NONE, expression_start)
        }
        other => other.start_position(),
    }
}

fn call_start(call: &rhai::FnCallExpr, position: Position) -> Position {
    match call.args.first() {
        Some(left) if call.is_operator_call() && call.args.len() == 2 => expression_start(left),
        _ if !call.namespace.is_empty() => call.namespace.position(),
        _ => position,
    }
}

/// How a statement ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// With a comma, a semicolon or a bracket that is not its own.
    Plain,
    /// With its block, or that of `else`.
    If,
    /// With its block.
    Loop,
    /// With the block of `catch`.
    Try,
}

fn shape(statement: &Stmt) -> Shape {
    match statement {
        Stmt::If(..) => Shape::If,
        Stmt::While(..) | Stmt::For(..) | Stmt::Switch(..) => Shape::Loop,
        Stmt::TryCatch(..) => Shape::Try,
        _ => Shape::Plain,
    }
}

/// Where a statement ends that begins at a token, in bytes.
fn end_of(text: &str, tokens: &[Token], begin: usize, shape: Shape) -> Option<usize> {
    let mut open: Vec<Kind> = Vec::new();
    let mut end = None;
    for (at, token) in tokens.iter().enumerate().skip(begin) {
        match token.kind {
            Kind::Open | Kind::OpenBlock | Kind::OpenMap => open.push(token.kind),
            Kind::Comma | Kind::Semicolon if open.is_empty() => return end,
            Kind::Close | Kind::CloseBlock => {
                let Some(opened) = open.pop() else {
                    return end;
                };
                if opened == Kind::OpenBlock && open.is_empty() {
                    let next = tokens.get(at + 1).and_then(|next| text.get(next.start..next.end));
                    let goes_on = match shape {
                        Shape::Plain => true,
                        Shape::If => next == Some("else"),
                        Shape::Try => next == Some("catch"),
                        Shape::Loop => false,
                    };
                    if !goes_on {
                        return Some(token.end);
                    }
                }
            }
            _ => {}
        }
        end = Some(token.end);
    }
    None
}
