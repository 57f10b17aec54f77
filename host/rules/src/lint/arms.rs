//! The cases of a `switch` as they are written: the tree keeps only their hashes.

use rhai::Position;

use crate::testing::tokens::{Kind, Token};

/// One value of a case.
pub(super) struct Case {
    /// As written.
    pub(super) text: String,
    pub(super) position: Position,
}

/// One arm: its values, and whether `if` stands behind them.
pub(super) struct Arm {
    pub(super) cases: Vec<Case>,
    pub(super) guarded: bool,
}

impl Case {
    /// The string, where it is one without escapes.
    pub(super) fn string(&self) -> Option<&str> {
        let inner = self.text.strip_prefix('"')?.strip_suffix('"')?;
        (!inner.contains('\\')).then_some(inner)
    }
}

/// The arms of the `switch` at a place; None where they are not understood. `_` is an arm with that text.
pub(super) fn arms(text: &str, tokens: &[Token], switch: Position) -> Option<Vec<Arm>> {
    let place = (switch.line()?, switch.position()?);
    let begin = tokens
        .binary_search_by_key(&place, |token| (token.line, token.column))
        .ok()?;
    let mut reader = Reader {
        text,
        tokens,
        at: begin + 1,
    };
    reader.skip_to_block()?;
    let mut arms = Vec::new();
    while reader.peek()?.kind != Kind::CloseBlock {
        arms.push(reader.arm()?);
        reader.action()?;
    }
    Some(arms)
}

struct Reader<'a> {
    text: &'a str,
    tokens: &'a [Token],
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn word(&self) -> &str {
        self.peek()
            .and_then(|token| self.text.get(token.start..token.end))
            .unwrap_or_default()
    }

    /// Passes over a token, with all that it brackets.
    fn pass(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            match self.peek()?.kind {
                Kind::Open | Kind::OpenBlock | Kind::OpenMap => depth += 1,
                Kind::Close | Kind::CloseBlock => depth = depth.checked_sub(1)?,
                _ => {}
            }
            self.at += 1;
            if depth == 0 {
                return Some(());
            }
        }
    }

    fn skip_to_block(&mut self) -> Option<()> {
        while self.peek()?.kind != Kind::OpenBlock {
            self.pass()?;
        }
        self.at += 1;
        Some(())
    }

    /// Up to and with the arrow.
    fn arm(&mut self) -> Option<Arm> {
        let mut arm = Arm {
            cases: Vec::new(),
            guarded: false,
        };
        loop {
            let first = *self.peek()?;
            let mut end = first.start;
            while !matches!(self.peek()?.kind, Kind::Bar | Kind::Arrow) && self.word() != "if" {
                let before = self.at;
                self.pass()?;
                end = self.tokens.get(before..self.at)?.last()?.end;
            }
            arm.cases.push(Case {
                text: self.text.get(first.start..end)?.to_owned(),
                position: Position::new(u16::try_from(first.line).ok()?, u16::try_from(first.column).ok()?),
            });
            match self.peek()?.kind {
                Kind::Bar => self.at += 1,
                Kind::Arrow => break,
                _ => {
                    arm.guarded = true;
                    while self.peek()?.kind != Kind::Arrow {
                        self.pass()?;
                    }
                    break;
                }
            }
        }
        self.at += 1;
        Some(arm)
    }

    /// What stands behind the arrow, and the comma behind that.
    fn action(&mut self) -> Option<()> {
        let first = self.peek()?.kind;
        let word = self.word().to_owned();
        let ends_with_block =
            first == Kind::OpenBlock || matches!(&*word, "if" | "switch" | "while" | "loop" | "for" | "try");
        loop {
            let kind = self.peek()?.kind;
            if matches!(kind, Kind::Comma | Kind::CloseBlock) {
                break;
            }
            self.pass()?;
            let goes_on = match &*word {
                "if" => self.word() == "else",
                "try" => self.word() == "catch",
                _ => false,
            };
            if kind == Kind::OpenBlock && ends_with_block && !goes_on {
                break;
            }
        }
        if self.peek()?.kind == Kind::Comma {
            self.at += 1;
        }
        Some(())
    }
}
