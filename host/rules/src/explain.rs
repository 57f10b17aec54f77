//! What the language says, in words for people who do not program.

use rhai::{EvalAltResult, LexError, ParseError, ParseErrorType, Position};

use crate::loader::SourceFile;
use crate::options::Limits;
use crate::problem::{Problem, RuleError, RuleErrorKind};
use crate::registry;
use crate::run::Stop;
use crate::script::REFUSED;
use crate::suggest::closest;

/// Characters of a source line that are shown.
const MOST_LINE: usize = 300;

/// A problem at a place, with its line.
pub(crate) fn place(
    sources: &[SourceFile],
    file: &str,
    position: Position,
    message: String,
    hint: Option<String>,
) -> Problem {
    let line = position.line().unwrap_or(0);
    let text = sources
        .iter()
        .find(|source| source.name == file)
        .map(|source| source.text.as_str());
    let source = text.and_then(|text| text.lines().nth(line.checked_sub(1)?));
    Problem {
        file: file.to_owned(),
        line: u32::try_from(line).unwrap_or(0),
        column: position
            .position()
            .and_then(|column| u32::try_from(column).ok())
            .unwrap_or(0),
        source: source.map(|line| line.chars().take(MOST_LINE).collect()),
        message,
        hint,
    }
}

/// A type as people call it.
pub(crate) fn type_in_words(name: &str) -> &str {
    match name {
        "()" => "nothing",
        "i64" | "int" | "integer" => "a whole number",
        "f64" | "float" => "a fraction",
        "bool" => "true or false",
        "string" | "&str" | "ImmutableString" | "String" => "a string",
        "char" => "a character",
        "array" | "Array" => "an array",
        "map" | "Map" => "a map",
        "Fn" | "FnPtr" => "a function",
        "range" | "range=" => "a range",
        "Message" => "a message",
        "Event" => "an event",
        "Task" => "a task",
        "Contact" => "a contact",
        "Filter" => "a filter",
        "Folder" => "a folder",
        "Mailbox" => "a mailbox",
        "Failure" => "a failure",
        "Address" => "an address",
        "Attachment" => "an attachment",
        "Date" => "a date",
        "Period" => "a number of days or years",
        other => other,
    }
}

/// A number with commas, as people write it.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Why a run was stopped.
pub(crate) fn stopped(
    sources: &[SourceFile],
    file: &str,
    position: Position,
    stop: &Stop,
    limits: &Limits,
) -> RuleError {
    let (message, hint, kind) = match stop {
        Stop::Time => (
            format!(
                "this rule did not come to an end within {} s",
                limits.time.as_secs_f64()
            ),
            Some("look for a loop that does not end, or for work that can be done once in a const".to_owned()),
            RuleErrorKind::Time,
        ),
        Stop::Steps => (
            format!("this rule took more than {} decisions about one item", limits.steps),
            Some("look for a deciding call inside a loop".to_owned()),
            RuleErrorKind::Limit,
        ),
        Stop::Content(error) => (
            format!("the message cannot be read: {error}"),
            None,
            RuleErrorKind::Other,
        ),
        Stop::NeedsContent => (
            "the message is not there to be read".to_owned(),
            None,
            RuleErrorKind::Other,
        ),
    };
    RuleError {
        problem: place(sources, file, position, message, hint),
        kind,
    }
}

/// The reason of the stop, where there was one, else what the language says.
pub(crate) fn stopped_or(
    sources: &[SourceFile],
    file: &str,
    error: &EvalAltResult,
    stop: Option<Stop>,
    limits: &Limits,
) -> RuleError {
    match stop {
        Some(stop) => {
            let (file, error) = innermost(file, error);
            stopped(sources, file, error.position(), &stop, limits)
        }
        None => {
            let mut explained = runtime(sources, file, error);
            if matches!(innermost(file, error).1, EvalAltResult::ErrorTooManyOperations(_)) {
                explained.problem.message = format!(
                    "this rule did not come to an end within {} steps",
                    grouped(limits.operations)
                );
            }
            explained
        }
    }
}

/// The error itself and the file it arose in, out of the calls around it.
fn innermost<'a>(file: &'a str, error: &'a EvalAltResult) -> (&'a str, &'a EvalAltResult) {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, source, inner, _) if source.is_empty() => innermost(file, inner),
        EvalAltResult::ErrorInFunctionCall(_, source, inner, _) => innermost(source, inner),
        EvalAltResult::ErrorInModule(_, inner, _) => innermost(file, inner),
        error => (file, error),
    }
}

/// An error while a script runs.
pub(crate) fn runtime(sources: &[SourceFile], file: &str, error: &EvalAltResult) -> RuleError {
    use EvalAltResult as E;
    let (file, error) = innermost(file, error);
    let mut hint = None;
    let (kind, message) = match error {
        E::ErrorTooManyOperations(_) => {
            hint = Some("look for a loop that does not end".to_owned());
            (RuleErrorKind::Limit, "this rule did not come to an end".to_owned())
        }
        E::ErrorStackOverflow(_) => {
            hint = Some("a function that calls itself needs a case in which it does not".to_owned());
            (RuleErrorKind::Limit, "the function calls itself without end".to_owned())
        }
        E::ErrorDataTooLarge(what, _) => (RuleErrorKind::Limit, too_large(what)),
        E::ErrorTooManyVariables(_) => (RuleErrorKind::Limit, "there are too many variables".to_owned()),
        E::ErrorTooManyModules(_) => (RuleErrorKind::Limit, "there are too many imports".to_owned()),
        E::ErrorTerminated(..) => (RuleErrorKind::Other, "the run was ended".to_owned()),
        E::ErrorRuntime(token, _) if token.tag() == REFUSED => (RuleErrorKind::Type, token.to_string()),
        E::ErrorRuntime(token, _) if token.is_unit() => (RuleErrorKind::Thrown, "the script gave up: throw".to_owned()),
        E::ErrorRuntime(token, _) => {
            let text: String = token.to_string().chars().take(MOST_LINE).collect();
            (RuleErrorKind::Thrown, format!("the script gave up: {text}"))
        }
        E::ErrorFunctionNotFound(signature, _) => {
            let (message, near) = unknown_function(signature);
            hint = near;
            (RuleErrorKind::Type, message)
        }
        E::ErrorDotExpr(text, _) => {
            let (message, near) = unknown_property(text);
            hint = near;
            (RuleErrorKind::Type, message)
        }
        E::ErrorPropertyNotFound(name, _) => (RuleErrorKind::Type, format!("there is no {name} here")),
        E::ErrorIndexNotFound(index, _) => (RuleErrorKind::Type, format!("there is no entry {index}")),
        E::ErrorVariableNotFound(name, _) => (RuleErrorKind::Type, format!("{name} is not known here")),
        E::ErrorModuleNotFound(name, _) => {
            hint = Some("import it at the top of the script".to_owned());
            (RuleErrorKind::Type, format!("nothing is imported as {name}"))
        }
        E::ErrorMismatchDataType(wanted, found, _) | E::ErrorMismatchOutputType(wanted, found, _) => {
            (RuleErrorKind::Type, mismatch(wanted, found))
        }
        E::ErrorIndexingType(name, _) => {
            let name = type_in_words(name.split(" [").next().unwrap_or(name));
            (RuleErrorKind::Type, format!("{name} has no entries to take with [ ]"))
        }
        E::ErrorFor(_) => (
            RuleErrorKind::Type,
            "for … in … needs an array, a range or a string".to_owned(),
        ),
        E::ErrorUnboundThis(_) => (RuleErrorKind::Type, "there is no this here".to_owned()),
        E::ErrorNonPureMethodCallOnConstant(name, _) => {
            hint = Some("copy it to a variable with let first".to_owned());
            (RuleErrorKind::Type, format!("{name} would change a constant"))
        }
        E::ErrorAssignmentToConstant(name, _) if name.is_empty() => {
            (RuleErrorKind::Type, "a constant cannot be changed".to_owned())
        }
        E::ErrorAssignmentToConstant(name, _) => (
            RuleErrorKind::Type,
            format!("{name} is a constant and cannot be changed"),
        ),
        E::ErrorArrayBounds(length, index, _) => (
            RuleErrorKind::Type,
            format!("there is no element {index} in an array of {length}; the first one is 0"),
        ),
        E::ErrorStringBounds(length, index, _) => (
            RuleErrorKind::Type,
            format!("there is no character {index} in a string of {length}; the first one is 0"),
        ),
        E::ErrorArithmetic(text, _) => (RuleErrorKind::Type, format!("this cannot be computed: {text}")),
        E::ErrorDataRace(..) => {
            hint = Some("keep one of them first: let kept = …; and use kept instead".to_owned());
            let message = "what stands before the point is used in the brackets as well, and is busy then";
            (RuleErrorKind::Type, message.to_owned())
        }
        E::ErrorParsing(kind, _) => (RuleErrorKind::Other, parse_message(kind).0),
        other => (RuleErrorKind::Other, other.to_string()),
    };
    RuleError {
        problem: place(sources, file, error.position(), message, hint),
        kind,
    }
}

fn too_large(what: &str) -> String {
    let what = match what {
        "Length of string" => "a string",
        "Size of array/BLOB" => "an array",
        "Size of object map" => "a map",
        other => other,
    };
    format!("{what} became too large")
}

fn mismatch(wanted: &str, found: &str) -> String {
    match (type_in_words(wanted), type_in_words(found)) {
        ("", found) => format!("{found} does not fit here"),
        (wanted, "") => format!("{wanted} is needed here"),
        (wanted, found) => format!("{wanted} is needed here, and this is {found}"),
    }
}

/// `move_too (Message, &str | ImmutableString | String)` in words, with a suggestion.
fn unknown_function(signature: &str) -> (String, Option<String>) {
    let (name, arguments) = signature.split_once('(').unwrap_or((signature, ""));
    let name = name.trim().rsplit("::").next().unwrap_or_default();
    let arguments: Vec<&str> = arguments
        .trim_end_matches(')')
        .split(',')
        .map(|argument| argument.split('|').next().unwrap_or_default().trim())
        .filter(|argument| !argument.is_empty())
        .collect();
    let words = |arguments: &[&str]| {
        let words: Vec<&str> = arguments.iter().map(|argument| type_in_words(argument)).collect();
        words.join(", ")
    };
    if !name.chars().next().is_some_and(|c| c.is_alphabetic() || c == '_') {
        return (
            format!(
                "{name} does not work between {}",
                words(&arguments).replacen(", ", " and ", 1)
            ),
            None,
        );
    }
    let here = arguments.first().copied().unwrap_or_default();
    let known: Vec<_> = registry::entries().iter().filter(|entry| entry.name == name).collect();
    if let Some(entry) = known.iter().find(|entry| entry.on == here || entry.on.is_empty()) {
        let given = if entry.on.is_empty() {
            &arguments[..]
        } else {
            arguments.get(1..).unwrap_or_default()
        };
        let given = if given.is_empty() {
            "nothing".to_owned()
        } else {
            words(given)
        };
        let message = if entry.kind == registry::Kind::Property {
            format!("{name} is written without ( )")
        } else {
            format!("{name} does not take {given} in its brackets")
        };
        return (message, Some(format!("write it as {}", entry.signature)));
    }
    let message = if registry::entries()
        .iter()
        .any(|entry| !here.is_empty() && entry.on == here)
    {
        format!("{} has no {name}()", type_in_words(here))
    } else if arguments.is_empty() {
        format!("there is no function {name}()")
    } else {
        format!("there is no function {name}() for {}", words(&arguments))
    };
    let all = registry::entries()
        .iter()
        .filter(|entry| entry.on == here || entry.on.is_empty());
    let near = closest(name, all.map(|entry| entry.name));
    (message, near.map(|near| format!("did you mean {near}?")))
}

/// `Unknown property 'sbject' - a getter is not registered for type 'Message'` in words, with a suggestion.
fn unknown_property(text: &str) -> (String, Option<String>) {
    let quoted: Vec<&str> = text.split('\'').skip(1).step_by(2).collect();
    let [name, on, ..] = quoted[..] else {
        return (text.to_owned(), None);
    };
    if text.contains("setter") {
        return (
            format!("{name} of {} cannot be changed by assignment", type_in_words(on)),
            None,
        );
    }
    let of_type = || registry::entries().iter().filter(move |entry| entry.on == on);
    let hint = if of_type().any(|entry| entry.name == name && entry.kind == registry::Kind::Method) {
        Some(format!("{name} is a method: write {name}( )"))
    } else {
        closest(name, of_type().map(|entry| entry.name)).map(|near| format!("did you mean {near}?"))
    };
    (format!("{} has no {name}", type_in_words(on)), hint)
}

/// An error in the text of a script.
pub(crate) fn parse(sources: &[SourceFile], file: &str, text: &str, error: &ParseError) -> Problem {
    let (message, mut hint) = parse_message(error.err_type());
    if let ParseErrorType::VariableUndefined(name) = error.err_type() {
        hint = closest(name, words(text).filter(|word| word != name)).map(|near| format!("did you mean {near}?"));
    }
    place(sources, file, error.position(), message, hint)
}

/// The names that a text declares.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let split = text
        .split(|c: char| !(c.is_alphanumeric() || c == '_'))
        .filter(|word| !word.is_empty());
    let mut last = "";
    split.filter(move |word| {
        let declares = matches!(last, "let" | "const" | "for" | "as");
        last = word;
        declares
    })
}

fn parse_message(kind: &ParseErrorType) -> (String, Option<String>) {
    use ParseErrorType as P;
    let mut hint = None;
    let message = match kind {
        P::UnexpectedEOF => {
            hint = Some("look for a bracket ( [ { that is not closed".to_owned());
            "the script ends too early".to_owned()
        }
        P::BadInput(LexError::UnterminatedString) => {
            hint = Some("a string ends with \" in the line in which it begins".to_owned());
            "this string does not end".to_owned()
        }
        P::BadInput(LexError::MalformedEscapeSequence(text)) => {
            hint = Some("write a backslash as \\\\".to_owned());
            format!("{text} is not understood inside a string")
        }
        P::BadInput(LexError::UnexpectedInput(text)) => format!("{text} is not expected here"),
        P::BadInput(LexError::ImproperSymbol(word, _)) if word == "eval" => "eval cannot be used in rules".to_owned(),
        P::BadInput(error) => error.to_string(),
        P::UnknownOperator(text) => format!("{text} is no operator"),
        P::MissingToken(token, _) if token == ";" => {
            hint = Some("the line before may lack its semicolon".to_owned());
            "a semicolon is missing before this".to_owned()
        }
        P::MissingToken(token, _) if token == "," => {
            hint = Some("each bracket that opens needs one that closes".to_owned());
            "a comma or a closing bracket is missing here, or before this".to_owned()
        }
        P::MissingToken(token, _) if ["}", ")", "]"].contains(&token.as_str()) => {
            hint = Some(format!("each bracket that opens needs its {token}"));
            format!("{token} is missing here, or something before it")
        }
        P::MismatchedType(wanted, found) => format!("{wanted} is needed here, and this is {found}"),
        P::MissingToken(token, what) => format!("{token} is missing {what}"),
        P::VariableUndefined(name) => format!("{name} is not known here"),
        P::ModuleUndefined(name) => {
            hint = Some(format!("import it at the top of the script: import \"…\" as {name};"));
            format!("nothing is imported as {name}")
        }
        P::Reserved(word) => format!("{word} is a word of the language and cannot be used here"),
        P::FnDuplicatedDefinition(name, count) => format!("the function {name} with {count} parameters is there twice"),
        P::FnMissingBody(name) => format!("the function {name} has no body in {{ }}"),
        P::WrongFnDefinition => "a function cannot be written inside another one or a block".to_owned(),
        P::AssignmentToConstant(name) => format!("{name} is a constant and cannot be changed"),
        P::ExprTooDeep => "this is nested too deeply".to_owned(),
        P::TooManyFunctions => "there are too many functions".to_owned(),
        P::LiteralTooLarge(what, _) => too_large(what).replace("became", "is"),
        P::LoopBreak => "break and continue belong into a loop".to_owned(),
        P::ExprExpected(what) => format!("{what} is missing here"),
        P::PropertyExpected => "the name of a property is missing here".to_owned(),
        P::VariableExpected => "the name of a variable is missing here".to_owned(),
        other => other.to_string(),
    };
    (message, hint)
}
