//! What all walks through a script share.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use rhai::{Dynamic, Expr, Position};

use super::arms::{self, Arm};
use super::natives::Natives;
use super::source::Program;
use super::trial::Trial;
use super::types::Type;
use crate::compile;
use crate::loader::SourceFile;
use crate::options::SetValue;
use crate::testing::tokens::{self, Token};

/// A script, what the engine knows, and what the settings say.
pub(super) struct Context<'a> {
    pub(super) program: Program,
    pub(super) natives: Natives,
    pub(super) trial: Trial<'a>,
    pub(super) sources: &'a [SourceFile],
    /// Whether attachments have a place to go to.
    pub(super) attachments: bool,
    pub(super) set: &'a BTreeMap<String, SetValue>,
    pub(super) tokens: RefCell<HashMap<usize, Vec<Token>>>,
}

impl Context<'_> {
    /// The arms of the `switch` at a place.
    pub(super) fn arms(&self, file: usize, switch: Position) -> Option<Vec<Arm>> {
        let name = &self.program.files.get(file)?.name;
        let text = self.sources.iter().find(|source| source.name == *name)?.text.as_str();
        let mut all = self.tokens.borrow_mut();
        let tokens = all.entry(file).or_insert_with(|| tokens::tokens(text));
        arms::arms(text, tokens, switch)
    }

    /// The value of an expression that is fixed: it stands in the text, in a constant, or in the settings.
    pub(super) fn fixed(&self, file: usize, expression: &Expr) -> Option<Dynamic> {
        let Expr::Variable(variable, index, _) = expression else {
            return expression.get_literal_value(None);
        };
        // A variable of the function has an index.
        if !variable.2.is_empty() || index.is_some() || variable.0.is_some() {
            return None;
        }
        if let Some(wanted) = self.set.get(variable.1.as_str()).filter(|_| file == 0) {
            return Some(compile::dynamic(wanted));
        }
        let constant = self.program.files.get(file)?.constant(&variable.1)?;
        constant.value.get_literal_value(None)
    }

    /// The type of a constant. Other values of the same type may come from the settings.
    pub(super) fn constant(&self, file: usize, name: &str) -> Option<Type> {
        let constant = self.program.files.get(file)?.constant(name)?;
        Some(match &constant.value {
            Expr::BoolConstant(..) => Type::Bool,
            Expr::IntegerConstant(..) => Type::Int,
            Expr::FloatConstant(..) => Type::Float,
            Expr::CharConstant(..) => Type::Char,
            Expr::StringConstant(..) | Expr::InterpolatedString(..) => Type::Text,
            Expr::Array(..) => Type::Array(Box::new(Type::Unknown)),
            Expr::Map(..) => Type::Map,
            _ => Type::Unknown,
        })
    }
}
