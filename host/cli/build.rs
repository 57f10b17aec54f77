//! Takes the contract, the SDK and the templates of connector projects into the program, for `plugin new`.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What building leaves behind: not part of what is given to others.
const LEFT_BEHIND: [&str; 6] = ["target", "build", "node_modules", "__pycache__", "dist", ".venv"];

fn main() -> Result<()> {
    let root = PathBuf::from(std::env::var("CARGO_MANIFEST_DIR")?).join("../..");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    let sdk = root.join("plugin-sdk");
    let manifest = out.join("sdk.toml");
    fs::write(
        &manifest,
        standalone(&sdk.join("Cargo.toml"), &root.join("Cargo.toml"))?,
    )?;
    let mut source = Vec::new();
    for (name, folder) in [("src", sdk.join("src")), ("wit", root.join("wit"))] {
        files(&folder, name, &mut source)?;
    }
    source.push(("README.md".to_owned(), sdk.join("README.md")));
    source.push(("Cargo.toml".to_owned(), manifest));
    let mut contract = Vec::new();
    files(&root.join("wit"), "", &mut contract)?;
    let mut code = table("SDK", &source)? + &table("CONTRACT", &contract)?;
    for language in ["rust", "python", "javascript"] {
        let mut template = Vec::new();
        files(&sdk.join("templates").join(language), "", &mut template)?;
        code += &table(&language.to_uppercase(), &template)?;
    }
    fs::write(out.join("kit.rs"), code)?;
    Ok(())
}

/// All files below a folder by their path in it, sorted.
fn files(folder: &Path, name: &str, found: &mut Vec<(String, PathBuf)>) -> Result<()> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut entries = fs::read_dir(folder)?.collect::<std::result::Result<Vec<_>, _>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let file = entry.file_name().to_string_lossy().into_owned();
        let inner = if name.is_empty() {
            file.clone()
        } else {
            format!("{name}/{file}")
        };
        match entry.path() {
            path if path.is_dir() && LEFT_BEHIND.contains(&file.as_str()) => {}
            path if path.is_dir() => files(&path, &inner, found)?,
            path => found.push((inner, path)),
        }
    }
    Ok(())
}

/// A constant of paths and contents.
fn table(name: &str, files: &[(String, PathBuf)]) -> Result<String> {
    let mut code = format!(
        "/// Paths and contents.\npub const {name}: [(&str, &[u8]); {}] = [\n",
        files.len()
    );
    for (inner, path) in files {
        let path = fs::canonicalize(path)?;
        println!("cargo::rerun-if-changed={}", path.display());
        writeln!(code, "    ({inner:?}, include_bytes!({path:?})),")?;
    }
    Ok(code + "];\n")
}

/// A manifest without what it has from its workspace, for use outside of it: what is for its own development is left out.
fn standalone(manifest: &Path, workspace: &Path) -> Result<String> {
    let read = |path: &Path| -> Result<Table> {
        println!("cargo::rerun-if-changed={}", path.display());
        Ok(fs::read_to_string(path)?.parse()?)
    };
    let (mut manifest, workspace) = (read(manifest)?, read(workspace)?);
    let shared = |table: &str| workspace["workspace"].get(table).and_then(Value::as_table).cloned();
    for part in ["lints", "dev-dependencies", "example", "test", "bench"] {
        manifest.remove(part);
    }
    for part in ["package", "dependencies"] {
        let shared = shared(part).unwrap_or_default();
        let Some(own) = manifest.get_mut(part).and_then(Value::as_table_mut) else {
            continue;
        };
        for (key, value) in own.iter_mut() {
            if value.get("workspace").is_none() {
                continue;
            }
            let given = shared.get(key).ok_or_else(|| format!("the workspace has no `{key}`"))?;
            *value = inherited(value, given);
        }
    }
    // A workspace of its own: one that it is put into is none of its business.
    manifest.insert("workspace".to_owned(), Value::Table(Table::new()));
    Ok(toml::to_string(&manifest)?)
}

/// What the workspace gives, with what is said beside `workspace = true`.
fn inherited(own: &Value, given: &Value) -> Value {
    let beside: Table = own
        .as_table()
        .into_iter()
        .flatten()
        .filter(|(key, _)| *key != "workspace")
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if beside.is_empty() {
        return given.clone();
    }
    let mut all = match given {
        Value::Table(table) => table.clone(),
        version => Table::from_iter([("version".to_owned(), version.clone())]),
    };
    all.extend(beside);
    Value::Table(all)
}
