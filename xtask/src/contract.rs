//! The contract as pages: each interface of `wit/` with its types, functions and comments.

use std::path::Path;

use wit_parser::{
    Docs, Flags, Function, FunctionKind, Handle, Interface, Param, Record, Resolve, Type, TypeDefKind, TypeId, Variant,
};

use crate::house::Result;

/// Parts of documents that are an interface begin so.
pub const PART: &str = "interface:";

/// The contract, read.
pub struct Contract(Resolve);

impl Contract {
    /// Reads `wit/` below the root of the house.
    pub fn read(root: &Path) -> Result<Self> {
        let mut resolve = Resolve::default();
        resolve
            .push_dir(root.join("wit"))
            .map_err(|error| format!("wit/: {error:#}"))?;
        Ok(Self(resolve))
    }

    /// One interface, as Markdown.
    pub fn interface(&self, name: &str) -> Result<String> {
        let found = self
            .0
            .interfaces
            .iter()
            .find(|(_, interface)| interface.name.as_deref() == Some(name));
        let (_, interface) = found.ok_or_else(|| format!("wit/ has no interface `{name}`"))?;
        let mut out = text(&interface.docs);
        for (name, id) in &interface.types {
            out += &self.named(interface, name, *id);
        }
        for function in interface
            .functions
            .values()
            .filter(|function| resource(function).is_none())
        {
            out += &self.function(function, "###");
        }
        Ok(out)
    }

    /// A type that the interface defines; those that it only uses are left out.
    fn named(&self, interface: &Interface, name: &str, id: TypeId) -> String {
        let ty = &self.0.types[id];
        let docs = text(&ty.docs);
        let (word, body) = match &ty.kind {
            TypeDefKind::Record(record) => ("record", self.record(record)),
            TypeDefKind::Variant(variant) => ("variant", self.variant(variant)),
            TypeDefKind::Enum(cases) => {
                let cases = cases.cases.iter().map(|case| (case.name.clone(), text(&case.docs)));
                ("enum", table(cases.collect()))
            }
            TypeDefKind::Flags(flags) => ("flags", self.flags(flags)),
            TypeDefKind::Resource => {
                let functions = interface
                    .functions
                    .values()
                    .filter(|function| resource(function) == Some(id));
                (
                    "resource",
                    functions.map(|function| self.function(function, "####")).collect(),
                )
            }
            _ => return String::new(),
        };
        format!("### {word} `{name}`\n\n{docs}{body}")
    }

    fn record(&self, record: &Record) -> String {
        let rows = record.fields.iter().map(|field| {
            let name = format!("{}: {}", field.name, self.ty(&field.ty));
            (name, text(&field.docs))
        });
        table(rows.collect())
    }

    fn variant(&self, variant: &Variant) -> String {
        let rows = variant.cases.iter().map(|case| {
            let name = match &case.ty {
                Some(ty) => format!("{}({})", case.name, self.ty(ty)),
                None => case.name.clone(),
            };
            (name, text(&case.docs))
        });
        table(rows.collect())
    }

    fn flags(&self, flags: &Flags) -> String {
        table(
            flags
                .flags
                .iter()
                .map(|flag| (flag.name.clone(), text(&flag.docs)))
                .collect(),
        )
    }

    fn function(&self, function: &Function, level: &str) -> String {
        let parameters: Vec<String> = function
            .params
            .iter()
            .filter(|parameter| parameter.name != "self")
            .map(|Param { name, ty, .. }| format!("{name}: {}", self.ty(ty)))
            .collect();
        let parameters = parameters.join(", ");
        let result = function
            .result
            .as_ref()
            .map(|ty| format!(" -> {}", self.ty(ty)))
            .unwrap_or_default();
        let signature = match &function.kind {
            FunctionKind::Constructor(_) => format!("constructor({parameters})"),
            FunctionKind::Static(_) | FunctionKind::AsyncStatic(_) => {
                format!("{}: static func({parameters}){result}", function.item_name())
            }
            _ => format!("{}: func({parameters}){result}", function.item_name()),
        };
        format!(
            "{level} `{}`\n\n```wit\n{signature}\n```\n\n{}",
            function.item_name(),
            text(&function.docs)
        )
    }

    /// A type, as it is written in WIT.
    fn ty(&self, ty: &Type) -> String {
        let Type::Id(id) = ty else {
            return format!("{ty:?}").to_lowercase();
        };
        let definition = &self.0.types[*id];
        if let Some(name) = &definition.name {
            return name.clone();
        }
        match &definition.kind {
            TypeDefKind::Option(inner) => format!("option<{}>", self.ty(inner)),
            TypeDefKind::List(inner) => format!("list<{}>", self.ty(inner)),
            TypeDefKind::Tuple(tuple) => {
                let types: Vec<String> = tuple.types.iter().map(|ty| self.ty(ty)).collect();
                format!("tuple<{}>", types.join(", "))
            }
            TypeDefKind::Result(result) => {
                let side = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), |ty| self.ty(ty));
                format!("result<{}, {}>", side(&result.ok), side(&result.err))
            }
            TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", self.ty(&Type::Id(*id))),
            TypeDefKind::Handle(Handle::Own(id)) => self.ty(&Type::Id(*id)),
            other => format!("{other:?}"),
        }
    }
}

/// The resource that a function belongs to.
fn resource(function: &Function) -> Option<TypeId> {
    function.kind.resource()
}

/// A comment as a paragraph; nothing where there is none.
fn text(docs: &Docs) -> String {
    match &docs.contents {
        Some(text) => format!("{}\n\n", text.trim()),
        None => String::new(),
    }
}

/// Names with what is said of them.
fn table(rows: Vec<(String, String)>) -> String {
    if rows.iter().all(|(_, text)| text.is_empty()) {
        let names: Vec<String> = rows.into_iter().map(|(name, _)| format!("`{name}`")).collect();
        return format!("{}.\n\n", names.join(", "));
    }
    let mut out = "| | |\n|---|---|\n".to_owned();
    for (name, text) in rows {
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        out += &format!("| `{name}` | {} |\n", text.replace('|', "\\|"));
    }
    out + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_interface_becomes_a_page() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let contract = Contract::read(&root).unwrap();
        for name in [
            "types",
            "blobs",
            "log",
            "imap",
            "http",
            "tcp",
            "files",
            "descriptor",
            "source",
            "destination",
        ] {
            let page = contract.interface(name).unwrap();
            assert!(!page.contains("Id {") && !page.contains("TypeDefKind"), "{page}");
        }
        let source = contract.interface("source").unwrap();
        let signature =
            "changes: func(collection: string, cursor: option<string>, limit: u32) -> result<page, failure>";
        assert!(
            source.contains(signature) && source.contains("### resource `account`"),
            "{source}"
        );
        let types = contract.interface("types").unwrap();
        assert!(
            types.contains("`throttled(tuple<option<u64>, string>)` | Retry helps"),
            "{types}"
        );
        assert!(contract.interface("nothing").is_err());
    }
}
