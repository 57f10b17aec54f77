//! What is shown when something is wrong: what, where, why and what to do.

use std::fmt;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents, Severity,
    SourceCode, SourceSpan, SpanContents,
};
use serde_json::{Value, json};

use crate::exit::Exit;

/// A file of the admin's as it may be shown: with secrets blanked out. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shown {
    file: Arc<Path>,
    text: Arc<str>,
    /// The number of the first line of `text`, from 0.
    line: usize,
}

impl Shown {
    /// The whole file.
    pub fn new(file: &Path, text: &str) -> Self {
        Self {
            file: file.into(),
            text: text.into(),
            line: 0,
        }
    }

    /// One line of it, from 1, of which nothing but `text` may be shown.
    pub fn line(file: &Path, line: u64, text: &str) -> Self {
        let line = usize::try_from(line.saturating_sub(1)).unwrap_or(usize::MAX);
        Self {
            file: file.into(),
            text: text.into(),
            line,
        }
    }

    /// Bytes of the text.
    pub fn len(&self) -> usize {
        self.text.len()
    }

    /// A place in it; cut to what is there.
    pub fn place(&self, span: std::ops::Range<usize>, label: impl Into<String>) -> Place {
        let start = floor(&self.text, span.start);
        let end = floor(&self.text, span.end).max(start);
        Place {
            shown: self.clone(),
            span: start..end,
            label: label.into(),
        }
    }
}

impl SourceCode for Shown {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        before: usize,
        after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self.text.as_ref().read_span(span, before, after)?;
        let name = self.file.display().to_string();
        let line = inner.line().saturating_add(self.line);
        // Columns count characters, as in JSON.
        let before = &self.text[..floor(&self.text, inner.span().offset())];
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count());
        let contents =
            MietteSpanContents::new_named(name, inner.data(), *inner.span(), line, column, inner.line_count());
        Ok(Box::new(contents))
    }
}

/// A place in a file of the admin's.
#[derive(Debug, Clone)]
pub struct Place {
    shown: Shown,
    span: std::ops::Range<usize>,
    label: String,
}

impl Place {
    /// The file.
    pub fn file(&self) -> &Path {
        &self.shown.file
    }

    /// Line and column, from 1; columns count characters.
    pub fn position(&self) -> (usize, usize) {
        let before = &self.shown.text[..self.span.start];
        let line = before.matches('\n').count() + self.shown.line + 1;
        let column = before.rsplit('\n').next().map_or(0, |last| last.chars().count()) + 1;
        (line, column)
    }
}

/// The nearest character boundary at or before `at`.
fn floor(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// One problem, or several under one heading.
#[derive(Debug, Clone)]
pub struct Problem {
    code: &'static str,
    message: String,
    help: Option<String>,
    place: Option<Place>,
    warning: bool,
    exit: Exit,
    related: Vec<Problem>,
}

/// What the verbs return.
pub type Result<T, E = Box<Problem>> = std::result::Result<T, E>;

impl Problem {
    /// A problem with a short stable name, a sentence, and how the program ends.
    pub fn new(code: &'static str, message: impl Into<String>, exit: Exit) -> Self {
        Self {
            code,
            message: message.into(),
            help: None,
            place: None,
            warning: false,
            exit,
            related: Vec::new(),
        }
    }

    /// Bad settings.
    pub fn settings(message: impl Into<String>) -> Self {
        Self::new("settings", message, Exit::Usage)
    }

    /// Bad usage.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", message, Exit::Usage)
    }

    /// The program cannot go on.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new("failed", message, Exit::Failed)
    }

    /// A file or folder that cannot be used.
    pub fn io(what: &str, path: &Path, error: &std::io::Error) -> Self {
        let problem = Self::failed(format!("cannot {what} `{}`: {error}", path.display()));
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                problem.help("run whimbrel as a user who may, or change the permissions with chmod or chown")
            }
            std::io::ErrorKind::StorageFull => problem.help("free some space on this disk and run again"),
            std::io::ErrorKind::ReadOnlyFilesystem => problem.help("choose a folder that can be written"),
            _ => problem,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// Where it is.
    #[must_use]
    pub fn at(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    /// Whether it says where it is.
    pub fn is_placed(&self) -> bool {
        self.place.is_some()
    }

    /// Only a warning.
    #[must_use]
    pub fn warning(mut self) -> Self {
        self.warning = true;
        self
    }

    /// Ends the program so.
    #[must_use]
    pub fn exit_with(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// One problem out of all; `heading` is used where there are several. None where there is none.
    pub fn all(heading: impl FnOnce(usize) -> String, mut problems: Vec<Self>) -> Option<Self> {
        match problems.len() {
            0 | 1 => problems.pop(),
            count => {
                let exit = problems.iter().fold(Exit::Ok, |exit, problem| exit.and(problem.exit));
                let mut whole = Self::new(problems[0].code, heading(count), exit);
                whole.related = problems;
                Some(whole)
            }
        }
    }

    /// How the program ends.
    pub fn exit(&self) -> Exit {
        self.exit
    }

    /// Whether it says what to do.
    pub fn has_help(&self) -> bool {
        self.help.is_some()
    }

    /// The sentence.
    #[cfg(test)]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// As JSON: `code`, `message`, and where known `help`, `file`, `line`, `column`, `problems`.
    pub fn json(&self) -> Value {
        let mut object = serde_json::Map::new();
        object.insert("code".into(), json!(self.code));
        object.insert("message".into(), json!(self.message));
        if let Some(help) = &self.help {
            object.insert("help".into(), json!(help));
        }
        if let Some(place) = &self.place {
            let (line, column) = place.position();
            object.insert("file".into(), json!(place.file().display().to_string()));
            object.insert("line".into(), json!(line));
            object.insert("column".into(), json!(column));
        }
        if !self.related.is_empty() {
            object.insert("problems".into(), self.related.iter().map(Self::json).collect());
        }
        Value::Object(object)
    }

    /// For people; coloured and drawn where standard error is a terminal.
    pub fn render(&self) -> String {
        let terminal = std::io::stderr().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let theme = match (terminal, plain) {
            (true, false) => GraphicalTheme::unicode(),
            _ => GraphicalTheme::unicode_nocolor(),
        };
        let width = if terminal { console_width() } else { 120 };
        let mut text = String::new();
        let handler = GraphicalReportHandler::new_themed(theme)
            .with_width(width)
            .with_links(false);
        if handler.render_report(&mut text, self).is_err() {
            text = format!("{self}\n");
        }
        text
    }
}

fn console_width() -> usize {
    comfy_table::Table::new()
        .width()
        .map_or(100, usize::from)
        .clamp(40, 120)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}

impl Diagnostic for Problem {
    fn severity(&self) -> Option<Severity> {
        Some(if self.warning {
            Severity::Warning
        } else {
            Severity::Error
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as Box<dyn fmt::Display>)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.place.as_ref().map(|place| &place.shown as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let place = self.place.as_ref()?;
        let label = LabeledSpan::new_primary_with_span(Some(place.label.clone()), place.span.clone());
        Some(Box::new(std::iter::once(label)))
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        if self.related.is_empty() {
            return None;
        }
        Some(Box::new(self.related.iter().map(|problem| problem as &dyn Diagnostic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_counts_from_one_and_in_characters() {
        let place = Shown::new(Path::new("x.toml"), "a = 1\nüb = 2\n").place(8..9, "here");
        assert_eq!(place.position(), (2, 2));
        assert_eq!(
            Shown::new(Path::new("x.toml"), "ü")
                .place(1..900, "cut to what is there")
                .position(),
            (1, 1)
        );
        assert_eq!(
            Shown::line(Path::new("x.csv"), 7, "alice").place(0..5, "").position(),
            (7, 1)
        );
    }

    #[test]
    fn what_is_rendered_names_file_line_column_and_the_remedy() {
        let problem = Problem::settings("the port is not a number")
            .at(Shown::new(Path::new("whimbrel.toml"), "[source]\nport = \"x\"\n").place(16..19, "not a number"))
            .help("write port = 993");
        let text = problem.render();
        for part in [
            "the port is not a number",
            "whimbrel.toml:2:8",
            "port = \"x\"",
            "write port = 993",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert_eq!(problem.json()["line"], 2);
    }

    #[test]
    fn several_problems_have_one_heading_and_the_worst_exit() {
        let several = vec![Problem::settings("one"), Problem::failed("two")];
        let whole = Problem::all(|count| format!("{count} problems"), several).unwrap();
        assert_eq!(whole.exit(), Exit::Failed);
        let text = whole.render();
        assert!(
            text.contains("2 problems") && text.contains("one") && text.contains("two"),
            "{text}"
        );
        assert!(Problem::all(|_| String::new(), Vec::new()).is_none());
    }
}
