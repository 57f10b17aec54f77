//! The tokens of a script with their places, as far as it takes to insert text between statements.

/// What matters of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `(` or `[`.
    Open,
    /// `)` or `]`.
    Close,
    /// `{`.
    OpenBlock,
    /// `#{`.
    OpenMap,
    /// `}`, of a block or a map.
    CloseBlock,
    /// `;`.
    Semicolon,
    /// `,`.
    Comma,
    /// `=>`.
    Arrow,
    /// `|` or `||`.
    Bar,
    /// A name, a keyword or a number.
    Word,
    /// Anything else.
    Other,
}

/// A token.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    /// In bytes.
    pub(crate) start: usize,
    /// In bytes, exclusive.
    pub(crate) end: usize,
    /// From 1.
    pub(crate) line: usize,
    /// In characters, from 1.
    pub(crate) column: usize,
}

/// Splits a script. What it does not understand becomes a token of its own; it never fails.
pub(crate) fn tokens(text: &str) -> Vec<Token> {
    let mut cursor = Cursor {
        text,
        at: 0,
        line: 1,
        column: 1,
    };
    let mut out = Vec::new();
    while let Some(first) = cursor.peek() {
        if first.is_whitespace() {
            cursor.next();
            continue;
        }
        if cursor.rest().starts_with("//") || (cursor.at == 0 && cursor.rest().starts_with("#!")) {
            while cursor.peek().is_some_and(|c| c != '\n') {
                cursor.next();
            }
            continue;
        }
        if cursor.rest().starts_with("/*") {
            cursor.comment();
            continue;
        }
        let (start, line, column) = (cursor.at, cursor.line, cursor.column);
        let kind = cursor.token(first);
        out.push(Token {
            kind,
            start,
            end: cursor.at,
            line,
            column,
        });
    }
    out
}

struct Cursor<'a> {
    text: &'a str,
    at: usize,
    line: usize,
    column: usize,
}

impl Cursor<'_> {
    fn rest(&self) -> &str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        if next == '\n' {
            self.line += 1;
            self.column = 1;
        } else {
            self.column += 1;
        }
        Some(next)
    }

    fn take(&mut self, count: usize) {
        for _ in 0..count {
            self.next();
        }
    }

    /// Comments may hold comments.
    fn comment(&mut self) {
        let mut depth = 0_usize;
        loop {
            if self.rest().starts_with("/*") {
                depth += 1;
                self.take(2);
            } else if self.rest().starts_with("*/") {
                depth -= 1;
                self.take(2);
                if depth == 0 {
                    return;
                }
            } else if self.next().is_none() {
                return;
            }
        }
    }

    fn token(&mut self, first: char) -> Kind {
        const FIXED: [(&str, Kind); 13] = [
            ("#{", Kind::OpenMap),
            ("=>", Kind::Arrow),
            ("==", Kind::Other),
            ("||", Kind::Bar),
            ("|", Kind::Bar),
            ("(", Kind::Open),
            ("[", Kind::Open),
            (")", Kind::Close),
            ("]", Kind::Close),
            ("{", Kind::OpenBlock),
            ("}", Kind::CloseBlock),
            (";", Kind::Semicolon),
            (",", Kind::Comma),
        ];
        for (text, kind) in FIXED {
            if self.rest().starts_with(text) {
                self.take(text.chars().count());
                return kind;
            }
        }
        match first {
            '"' | '\'' => self.quoted(first),
            '`' => self.interpolated(),
            '#' if self.raw() => {}
            c if c.is_alphanumeric() || c == '_' => {
                while self.peek().is_some_and(|c| c.is_alphanumeric() || c == '_') {
                    self.next();
                }
                return Kind::Word;
            }
            _ => {
                self.next();
            }
        }
        Kind::Other
    }

    fn quoted(&mut self, quote: char) {
        self.next();
        while let Some(next) = self.next() {
            if next == '\\' {
                self.next();
            } else if next == quote {
                return;
            }
        }
    }

    /// A string in backticks, with the code in it.
    fn interpolated(&mut self) {
        self.next();
        while let Some(next) = self.peek() {
            if self.rest().starts_with("${") {
                self.take(2);
                self.code();
                continue;
            }
            self.next();
            if next == '`' {
                if self.peek() == Some('`') {
                    self.next();
                } else {
                    return;
                }
            }
        }
    }

    /// Code within a string, up to its closing bracket.
    fn code(&mut self) {
        let mut depth = 1_usize;
        while let Some(first) = self.peek() {
            if self.rest().starts_with("/*") {
                self.comment();
                continue;
            }
            match self.token(first) {
                Kind::OpenBlock | Kind::OpenMap => depth += 1,
                Kind::CloseBlock => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return;
            }
        }
    }

    /// `#"…"#`, with as many `#` as the author likes.
    fn raw(&mut self) -> bool {
        let marks = self.rest().chars().take_while(|c| *c == '#').count();
        if self.rest().chars().nth(marks) != Some('"') {
            return false;
        }
        self.take(marks + 1);
        let end = format!("\"{}", "#".repeat(marks));
        while !self.rest().starts_with(&end) {
            if self.next().is_none() {
                return true;
            }
        }
        self.take(end.chars().count());
        true
    }
}
