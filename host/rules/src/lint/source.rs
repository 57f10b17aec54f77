//! The files of a script as syntax trees: functions with their statements, constants, imports.

use std::collections::HashMap;

use rhai::{AST, ASTFlags, ASTNode, Dynamic, Engine, Expr, FnAccess, FnPtr, Module, Namespace, Position, Stmt};

use crate::library;
use crate::loader::SourceFile;
use crate::rules::Hook;

/// How the names of functions without a name begin.
const ANONYMOUS: &str = "anon$";

/// A function, by its file and its number there.
pub(super) type FunctionId = (usize, usize);

/// A function of a script.
pub(super) struct Function {
    pub(super) name: String,
    pub(super) parameters: Vec<String>,
    pub(super) statements: Vec<Stmt>,
    /// Where its body begins.
    pub(super) position: Position,
    pub(super) private: bool,
    /// Called on values of one type only.
    pub(super) typed: bool,
}

impl Function {
    pub(super) fn is_anonymous(&self) -> bool {
        self.name.starts_with(ANONYMOUS)
    }
}

/// A constant at top level.
pub(super) struct Constant {
    pub(super) name: String,
    pub(super) value: Expr,
    pub(super) position: Position,
    /// Other files may use it.
    pub(super) exported: bool,
}

/// An import, anywhere in a file.
pub(super) struct Import {
    pub(super) alias: String,
    pub(super) module: String,
    pub(super) position: Position,
}

/// A file.
pub(super) struct File {
    pub(super) name: String,
    pub(super) functions: Vec<Function>,
    pub(super) constants: Vec<Constant>,
    pub(super) imports: Vec<Import>,
    /// Part of the program: its functions are known, and nothing is said about it.
    pub(super) library: bool,
    by_name: HashMap<String, Vec<usize>>,
}

impl File {
    fn parse(scanner: &Engine, source: &SourceFile, library: bool) -> Option<Self> {
        let tree = scanner.compile(&source.text).ok()?;
        let mut file = Self {
            name: source.name.clone(),
            functions: Vec::new(),
            constants: Vec::new(),
            imports: Vec::new(),
            library,
            by_name: HashMap::new(),
        };
        for function in tree.iter_fn_def() {
            let alone = AST::new([], Module::from([function.clone()]));
            let mut statements = Vec::new();
            alone.walk(&mut |path: &[ASTNode<'_>]| {
                if let [ASTNode::Stmt(statement)] = path {
                    statements.push((*statement).clone());
                }
                true
            });
            file.functions.push(Function {
                name: function.name.to_string(),
                parameters: function.params.iter().map(ToString::to_string).collect(),
                statements,
                position: function.body.start_position(),
                private: function.access == FnAccess::Private,
                typed: function.this_type.is_some(),
            });
        }
        // The tree keeps them in no order.
        let place = |position: Position| (position.line(), position.position());
        file.functions.sort_by_key(|function| place(function.position));
        for (number, function) in file.functions.iter().enumerate() {
            file.by_name.entry(function.name.clone()).or_default().push(number);
        }
        file.read_top(&tree);
        Some(file)
    }

    fn read_top(&mut self, tree: &AST) {
        let exports: Vec<String> = tree
            .statements()
            .iter()
            .filter_map(|statement| match statement {
                Stmt::Export(names, _) => Some(names.0.name.to_string()),
                _ => None,
            })
            .collect();
        for statement in tree.statements() {
            if let Stmt::Var(declared, flags, _) = statement {
                let name = declared.0.name.to_string();
                self.constants.push(Constant {
                    value: declared.1.clone(),
                    position: declared.0.pos,
                    exported: flags.contains(ASTFlags::EXPORTED) || exports.contains(&name),
                    name,
                });
            }
        }
        let imports = &mut self.imports;
        tree.walk(&mut |path: &[ASTNode<'_>]| {
            if let Some(ASTNode::Stmt(Stmt::Import(import, position))) = path.last()
                && let Expr::StringConstant(module, _) = &import.0
            {
                imports.push(Import {
                    alias: import.1.name.to_string(),
                    module: module.to_string(),
                    position: *position,
                });
            }
            true
        });
    }

    /// Functions of a name, with their numbers.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = (usize, &Function)> {
        let numbers = self.by_name.get(name).map(Vec::as_slice).unwrap_or_default();
        numbers
            .iter()
            .filter_map(|number| Some((*number, self.functions.get(*number)?)))
    }

    /// The one with so many parameters.
    pub(super) fn function(&self, name: &str, parameters: usize) -> Option<usize> {
        let mut named = self.named(name).filter(|(_, function)| !function.typed);
        named
            .find(|(_, function)| function.parameters.len() == parameters)
            .map(|(number, _)| number)
    }

    /// The value of a constant at top level.
    pub(super) fn constant(&self, name: &str) -> Option<&Constant> {
        self.constants.iter().find(|constant| constant.name == name)
    }
}

/// A script with its modules.
pub(super) struct Program {
    /// The script first.
    pub(super) files: Vec<File>,
    by_name: HashMap<String, usize>,
}

/// What a namespace leads to.
pub(super) enum Target {
    /// A file.
    File(usize),
    /// Nothing is imported by this name.
    Missing,
    /// A file that could not be read, or more than one.
    Unsure,
}

impl Program {
    /// Parses what can be parsed. The library's files come along where the script imports them.
    pub(super) fn parse(scanner: &Engine, sources: &[SourceFile]) -> Self {
        let mut program = Self {
            files: Vec::new(),
            by_name: HashMap::new(),
        };
        for (number, source) in sources.iter().enumerate() {
            let library = number > 0 && source.name.starts_with("std/");
            program.add(File::parse(scanner, source, library));
        }
        // Where the script does not compile, nobody has loaded them.
        let wanted: Vec<String> = program
            .files
            .iter()
            .flat_map(|file| &file.imports)
            .map(|import| import.module.clone())
            .collect();
        for module in wanted {
            let name = format!("{module}.rhai");
            if !program.by_name.contains_key(&name)
                && let Some(text) = library::text(&module)
            {
                let text = text.to_owned();
                program.add(File::parse(scanner, &SourceFile { name, text }, true));
            }
        }
        program
    }

    fn add(&mut self, file: Option<File>) {
        if let Some(file) = file {
            self.by_name.insert(file.name.clone(), self.files.len());
            self.files.push(file);
        }
    }

    pub(super) fn get(&self, (file, function): FunctionId) -> Option<(&File, &Function)> {
        let file = self.files.get(file)?;
        Some((file, file.functions.get(function)?))
    }

    /// All functions that are looked at.
    pub(super) fn own(&self) -> impl Iterator<Item = FunctionId> {
        let files = self.files.iter().enumerate().filter(|(_, file)| !file.library);
        files.flat_map(|(file, about)| (0..about.functions.len()).map(move |function| (file, function)))
    }

    /// The hooks of the script.
    pub(super) fn hooks(&self) -> Vec<(Hook, FunctionId)> {
        let Some(main) = self.files.first() else {
            return Vec::new();
        };
        let found = Hook::ALL
            .into_iter()
            .filter_map(|hook| Some((hook, (0, main.function(hook.name(), 1)?))));
        found.collect()
    }

    /// The file that a namespace of another file leads to.
    pub(super) fn module(&self, file: usize, namespace: &Namespace) -> Target {
        let mut at = file;
        for (depth, name) in namespace.path.iter().enumerate() {
            let Some(here) = self.files.get(at) else {
                return Target::Unsure;
            };
            let mut found: Vec<&str> = here
                .imports
                .iter()
                .filter(|import| import.alias == name.name.as_str())
                .map(|import| import.module.as_str())
                .collect();
            found.dedup();
            match (found[..].split_first(), depth) {
                (Some((module, [])), _) => match self.by_name.get(&format!("{module}.rhai")) {
                    Some(next) => at = *next,
                    None => return Target::Unsure,
                },
                (None, 0) => return Target::Missing,
                _ => return Target::Unsure,
            }
        }
        Target::File(at)
    }
}

/// The function that an expression makes, and how many values it takes along: `|a| …` or `Fn("name")`.
pub(super) fn pointer(expression: &Expr) -> Option<(String, &[Expr])> {
    match expression {
        Expr::DynamicConstant(value, _) => Some((name_of(value)?, &[])),
        Expr::Stmt(block) => match block.statements() {
            [Stmt::Share(_), Stmt::Expr(inner)] => pointer(inner),
            _ => None,
        },
        Expr::FnCall(call, _) if call.name == "curry" => {
            let (first, rest) = call.args.split_first()?;
            let (name, taken) = pointer(first)?;
            taken.is_empty().then_some((name, rest))
        }
        Expr::FnCall(call, _) if call.name == "Fn" => match call.args.first() {
            Some(Expr::StringConstant(name, _)) => Some((name.to_string(), &[])),
            _ => None,
        },
        _ => None,
    }
}

fn name_of(value: &Dynamic) -> Option<String> {
    let pointer = value.clone().try_cast::<FnPtr>()?;
    Some(pointer.fn_name().to_owned())
}
