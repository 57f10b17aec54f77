//! Properties and methods: whether they are there, and what they are given.

use rhai::{Dynamic, Expr, FnCallExpr, Position};

use super::Level;
use super::conditions;
use super::functions::{counted, did_you_mean, words, wrong_count};
use super::natives::{Fit, Native, Natives};
use super::report::start;
use super::source::pointer;
use super::types::Type;
use super::values::element_or_nothing;
use super::walk::{Value, Walker};
use crate::registry::{Entry, Kind, entries};
use crate::suggest::closest;

/// Methods of arrays that give their elements to a function, one after the other.
const EACH: [&str; 9] = [
    "all", "drain", "filter", "find", "find_map", "index_of", "map", "retain", "some",
];

/// The entries of a type.
fn entries_of(on: &str) -> impl Iterator<Item = &'static Entry> {
    entries().iter().filter(move |entry| entry.on == on && !on.is_empty())
}

impl Walker<'_> {
    /// Whether a function only asks, whatever it is called on. `values` counts the one before the point.
    pub(super) fn is_question(&self, name: &str, values: usize) -> bool {
        let own = self.context.program.files.get(self.file);
        if own.is_some_and(|file| file.named(name).next().is_some()) {
            return false;
        }
        let anything = vec![Type::Unknown; values];
        match self.context.natives.fit(name, &anything, false) {
            Fit::Fits(forms) => forms.iter().all(|form| form.only_asks(name)),
            _ => false,
        }
    }

    /// A property is read, or set where `assigned`.
    pub(super) fn property(&mut self, of: &Value, name: &str, position: Position, assigned: bool) -> Value {
        let kind = of.kind.present();
        if let Some(on) = kind.own() {
            return self.own_property(of, on, name, position, assigned);
        }
        if matches!(
            kind,
            Type::Unknown | Type::Never | Type::Map | Type::Unit | Type::Function | Type::Range | Type::Maybe(_)
        ) {
            return Value::asked(Type::Unknown, of.asks);
        }
        if let Some(found) = self.context.natives.property(name, kind) {
            return Value::asked(found, of.asks);
        }
        if !self.reports() {
            return Value::unknown();
        }
        let known = self.context.natives.names_of(kind);
        if known.contains(&name) {
            self.without_brackets(name, position);
        } else {
            let hint = did_you_mean(closest(name, known.iter().copied()));
            let message = format!("{} has no {name}", kind.words());
            self.tell(Level::Error, "unknown-property", position, message, hint);
        }
        Value::unknown()
    }

    fn own_property(&mut self, of: &Value, on: &str, name: &str, position: Position, assigned: bool) -> Value {
        let words = of.kind.words();
        let Some(entry) = entries_of(on).find(|entry| entry.name == name) else {
            if !self.reports() {
                return Value::unknown();
            }
            let hint = did_you_mean(closest(name, entries_of(on).map(|entry| entry.name)));
            self.tell(
                Level::Error,
                "unknown-property",
                position,
                format!("{words} has no {name}"),
                hint,
            );
            return Value::unknown();
        };
        if entry.kind != Kind::Property {
            self.without_brackets(name, position);
            return Value::unknown();
        }
        if assigned {
            let message = format!("{name} of {words} cannot be changed by assignment");
            self.tell(Level::Error, "assigned-property", position, message, instead(on, name));
        }
        let kind = entry
            .signature
            .split_once(" -> ")
            .map_or(Type::Unknown, |(_, gives)| Type::of_signature(gives));
        Value {
            kind,
            property: Some(entry),
            asks: of.asks,
        }
    }

    fn without_brackets(&mut self, name: &str, position: Position) {
        if !self.reports() {
            return;
        }
        let message = format!("{name} is a method and needs ( ) behind it");
        let hint = entries()
            .iter()
            .find(|entry| entry.name == name && entry.kind != Kind::Property);
        let hint = match hint {
            Some(entry) => format!("write it as {}", entry.signature),
            None => format!("write {name}( )"),
        };
        self.tell(Level::Error, "method-without-brackets", position, message, hint);
    }

    /// `base.name(…)`; `written` is the base where the chain begins with it.
    pub(super) fn method(
        &mut self,
        base: &Value,
        written: Option<&Expr>,
        call: &FnCallExpr,
        position: Position,
    ) -> Value {
        let name = call.name.as_str();
        self.give_elements(base, call);
        self.mentioned(call);
        let given: Vec<Value> = call.args.iter().map(|argument| self.expression(argument)).collect();
        let kinds: Vec<Type> = given.iter().map(|value| value.kind.clone()).collect();
        let asks = base.asks && given.iter().all(|value| value.asks);
        if let Some(returns) = self.script_method(name, &kinds) {
            return Value::of(returns);
        }
        let kind = base.kind.present().clone();
        if matches!(
            kind,
            Type::Unknown | Type::Never | Type::Map | Type::Unit | Type::Function | Type::Maybe(_)
        ) || Natives::is_word(name)
        {
            let question = kind != Type::Map && kind != Type::Function && self.is_question(name, kinds.len() + 1);
            return Value::asked(Type::Unknown, asks && question);
        }
        let all: Vec<Type> = [kind.clone()].into_iter().chain(kinds.iter().cloned()).collect();
        let context = self.context;
        let entry = entries_of(kind.own().unwrap_or_default())
            .chain(entries().iter().filter(|entry| entry.on.is_empty()))
            .find(|entry| entry.name == name && entry.kind != Kind::Hook);
        match context.natives.fit(name, &all, true) {
            Fit::Unknown => self.unknown_method(&kind, name, entry, position),
            Fit::Count => {
                let message = wrong_count(name, kinds.len());
                let hint = match entry {
                    Some(entry) => format!("write it as {}", entry.signature),
                    None => format!("it takes {}", counted(&context.natives.counts(name, Some(&kind)))),
                };
                self.tell(Level::Error, "wrong-argument-count", position, message, hint);
            }
            Fit::Types => {
                let message = format!("{name} does not take {} in its brackets", words(&kinds));
                let hint = entry.map(|entry| format!("write it as {}", entry.signature));
                let at = call.args.first().map_or(position, start);
                self.tell(Level::Error, "wrong-argument-type", at, message, hint);
            }
            Fit::Fits(forms) => {
                self.checked(base, written, entry, call, position);
                if written.is_none() {
                    self.changes_a_copy(base, &forms, name, position);
                }
                let result = result_of(&kind, name, entry, &forms);
                let question = forms.iter().all(|form| form.only_asks(name)) && !kinds.contains(&Type::Function);
                return Value::asked(result, asks && question && !entry.is_some_and(|entry| entry.decides));
            }
        }
        Value::unknown()
    }

    /// A function of the script that is called on a value: which one that is depends on the value.
    fn script_method(&mut self, name: &str, kinds: &[Type]) -> Option<Type> {
        let program = &self.context.program;
        let typed = program
            .files
            .iter()
            .flat_map(|file| file.named(name))
            .any(|(_, function)| function.typed);
        let file = program.files.get(self.file)?;
        let found = file.function(name, kinds.len());
        if let Some(number) = found {
            self.calls.push(((self.file, number), kinds.to_vec()));
        }
        (typed || found.is_some()).then_some(Type::Unknown)
    }

    /// `m.to.some(|a| …)`: the function sees elements.
    fn give_elements(&mut self, base: &Value, call: &FnCallExpr) {
        let Type::Array(element) = base.kind.present() else {
            return;
        };
        if !EACH.contains(&call.name.as_str()) {
            return;
        }
        let Some((name, taken)) = call.args.first().and_then(pointer) else {
            return;
        };
        let taken = taken.len();
        let Some(file) = self.context.program.files.get(self.file) else {
            return;
        };
        for (number, function) in file.named(&name) {
            let mut kinds = vec![Type::Never; function.parameters.len()];
            if let Some(kind) = kinds.get_mut(taken) {
                *kind = (**element).clone();
            }
            for kind in kinds.iter_mut().skip(taken + 1) {
                *kind = Type::Unknown;
            }
            self.calls.push(((self.file, number), kinds));
        }
    }

    /// `m.to.some(|a| … m …)`: while a chain that begins with a variable is under way, nobody else may use the variable.
    pub(super) fn captured(&mut self, first: &Expr, call: &FnCallExpr) {
        let Expr::Variable(variable, _, _) = first else { return };
        let name = variable.1.as_str();
        if !variable.2.is_empty() || !self.is_variable(name) {
            return;
        }
        for argument in call.args.iter() {
            let taken = pointer(argument).map(|(_, taken)| taken).unwrap_or_default();
            let again = taken
                .iter()
                .any(|one| matches!(one, Expr::Variable(one, _, _) if one.1.as_str() == name));
            if again {
                let message = format!("{name} cannot be used in here, since {name} stands at the beginning");
                let hint =
                    format!("keep what is needed first: let kept = {name}. …; and use kept at one of the two places");
                self.tell(Level::Error, "used-twice", start(argument), message, hint);
            }
        }
    }

    fn unknown_method(&mut self, kind: &Type, name: &str, entry: Option<&'static Entry>, position: Position) {
        if !self.reports() {
            return;
        }
        let context = self.context;
        if entry.is_some_and(|entry| entry.kind == Kind::Property) || context.natives.property(name, kind).is_some() {
            let message = format!("{name} is written without ( )");
            self.tell(
                Level::Error,
                "property-with-brackets",
                position,
                message,
                format!("write .{name}"),
            );
            return;
        }
        let elsewhere = entries().iter().find(|entry| entry.name == name && entry.decides);
        let hint = if let (Some(entry), Some(_)) = (elsewhere, kind.own()) {
            Some(format!(
                "that is for {}: {}",
                Type::Own(entry.on).words(),
                entry.signature
            ))
        } else {
            let known = context.natives.names_of(kind);
            let own = self.context.program.files.get(self.file);
            let scripts = own
                .into_iter()
                .flat_map(|file| &file.functions)
                .map(|function| function.name.as_str());
            did_you_mean(closest(name, known.iter().copied())).or_else(|| {
                let as_function = scripts.into_iter().any(|known| known == name);
                as_function.then(|| format!("it is a function of the script: write {name}( … )"))
            })
        };
        let message = format!("{} has no {name}()", kind.words());
        self.tell(Level::Error, "unknown-method", position, message, hint);
    }

    /// `m.flags.push("x")` changes what was read, and not the message.
    fn changes_a_copy(&mut self, base: &Value, forms: &[&Native], name: &str, position: Position) {
        let Some(entry) = base.property.filter(|_| forms.iter().all(|form| form.only_changes())) else {
            return;
        };
        if entry.decides || name == "for_each" || base.kind.own().is_some() {
            return;
        }
        let message = format!("{name} changes a copy of {}: nothing comes of it", entry.name);
        let hint = instead(entry.on, entry.name).unwrap_or_else(|| {
            format!(
                "keep the copy first: let changed = … .{}; changed.{name}( … );",
                entry.name
            )
        });
        self.tell(Level::Warning, "changes-a-copy", position, message, hint);
    }

    /// What a call of the registry's says with fixed values, and where it may stand.
    fn checked(
        &mut self,
        base: &Value,
        written: Option<&Expr>,
        entry: Option<&'static Entry>,
        call: &FnCallExpr,
        position: Position,
    ) {
        let Some(entry) = entry.filter(|_| self.reports()) else {
            return;
        };
        if entry.on == "Mailbox" && entry.decides && base.kind.present() != &Type::HookMailbox {
            let message = format!(
                "{} of a mailbox can be said in mailbox(b) only, before the mailbox starts",
                entry.name
            );
            let hint = "put it into fn mailbox(b), or leave out messages or folders instead".to_owned();
            self.tell(Level::Error, "wrong-hook", position, message, hint);
            return;
        }
        if (entry.on, entry.name) == ("Message", "detach") && !self.context.attachments {
            let message = "detach needs a place for the files";
            let hint = "set [rules.attachments] in the settings file".to_owned();
            self.tell(Level::Error, "detach-without-attachments", position, message, hint);
            return;
        }
        if let ("in_folder", Some(Expr::StringConstant(path, at))) = (entry.name, call.args.first())
            && let Some((message, hint)) = conditions::never_path(path).filter(|_| path.contains('\\'))
        {
            self.tell(Level::Warning, "never-equal", *at, message, hint);
        }
        if let ("has_keyword", Some(Expr::StringConstant(name, at))) = (entry.name, call.args.first())
            && name.starts_with('\\')
        {
            let message = "a keyword has no backslash, so that this is always false";
            self.tell(
                Level::Warning,
                "constant-condition",
                *at,
                message,
                "use has_flag".to_owned(),
            );
        }
        if entry.on.is_empty() {
            // Written after a point, its first value stands before it.
            let first = written.and_then(|first| self.context.fixed(self.file, first));
            self.tried(entry, &[first], call, position);
        } else {
            self.tried(entry, &[], call, position);
        }
    }

    /// Runs the call with its fixed values; `before` are those that do not stand in its brackets.
    pub(super) fn tried(
        &mut self,
        entry: &'static Entry,
        before: &[Option<Dynamic>],
        call: &FnCallExpr,
        position: Position,
    ) {
        if !entry.decides && !entry.on.is_empty() {
            return;
        }
        let fixed = |argument: &Expr| match argument {
            // A variable may hide a constant.
            Expr::Variable(variable, _, _) if self.is_variable(&variable.1) => None,
            argument => self.context.fixed(self.file, argument),
        };
        let values = match entry.name {
            "started" => return,
            // Any text does to try a pattern.
            "like" | "matches" => call.args.last().and_then(fixed).map(|pattern| vec!["".into(), pattern]),
            _ => before
                .iter()
                .cloned()
                .chain(call.args.iter().map(fixed))
                .collect::<Option<Vec<_>>>(),
        };
        let Some(values) = values else { return };
        if let Some(message) = self.context.trial.refusal(entry.on, entry.name, &values) {
            let (message, hint) = match message.split_once("; did you mean ") {
                Some((message, near)) => (message.to_owned(), Some(format!("did you mean {near}"))),
                None => (message, None),
            };
            let at = call.args.first().map_or(position, start);
            self.tell(Level::Error, code_of(entry.name), at, message, hint);
        }
    }
}

/// What a method gives: the registry says it best.
fn result_of(kind: &Type, name: &str, entry: Option<&Entry>, forms: &[&Native]) -> Type {
    if let Some((_, gives)) = entry.and_then(|entry| entry.signature.split_once(" -> ")) {
        return Type::of_signature(gives);
    }
    if let Type::Array(_) = kind {
        match name {
            "filter" | "drain" | "retain" | "extract" | "order" | "order_desc" | "order_by" => return kind.clone(),
            "find" | "get" | "pop" | "shift" => return element_or_nothing(kind),
            _ => {}
        }
    }
    let results = forms.iter().map(|form| form.result.clone());
    results.reduce(|a, b| a.join(&b)).unwrap_or(Type::Unknown)
}

/// The kind of finding for a value that a function refuses.
fn code_of(name: &str) -> &'static str {
    match name {
        "move_to_role" => "bad-role",
        "set_flag" | "clear_flag" => "bad-flag",
        "add_keyword" | "remove_keyword" => "bad-keyword",
        "move_to" | "copy_to" | "send_to" => "bad-folder",
        "date" => "bad-date",
        "like" | "matches" => "bad-pattern",
        "set_header" | "add_header" | "remove_header" | "rewrite_header" => "bad-header",
        "rewrite_address" | "rewrite_domain" => "bad-address",
        "set_property" | "add_property" | "remove_property" => "bad-property",
        _ => "bad-value",
    }
}

/// What to call instead of changing a property.
fn instead(on: &str, name: &str) -> Option<String> {
    let way = match (on, name) {
        ("Message", "folder" | "path") | ("Folder", "path" | "segments" | "name" | "parent") => "move_to(…)",
        ("Event" | "Task" | "Contact", "folder" | "path") => "move_to(…)",
        ("Event" | "Task" | "Contact", "categories") => "add_property(\"CATEGORIES\", …)",
        ("Event" | "Task", "organizer" | "attendees") | ("Contact", "emails") => {
            "rewrite_address(…) or rewrite_domain(…)"
        }
        ("Event" | "Task" | "Contact", name) if name != "uid" && name != "id" => "set_property(…)",
        ("Filter", "text") => "rewrite_string(…)",
        ("Message" | "Folder", "role") => "move_to_role(…)",
        ("Message", "mailbox") => "send_to(…)",
        ("Message", "flags" | "seen" | "answered" | "flagged" | "draft" | "deleted") => "set_flag(…) or clear_flag(…)",
        ("Message", "keywords") => "add_keyword(…) or remove_keyword(…)",
        ("Message", "labels") => "add_label(…) or remove_label(…)",
        ("Message", "subject") => "set_header(\"Subject\", …)",
        ("Message", "from" | "to" | "cc" | "bcc" | "sender" | "reply_to" | "recipients") => {
            "rewrite_address(…) or set_header(…)"
        }
        ("Message", "headers" | "message_id" | "list_id" | "content_type") => "set_header(…)",
        ("Folder", "subscribed") => "subscribe(…)",
        _ => return None,
    };
    Some(format!("use {way}"))
}
