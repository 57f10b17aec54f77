//! `cargo xtask plugins`: every crate of `plugins/Cargo.toml` that is a `cdylib`, into a component.

use std::path::{Path, PathBuf};

use whimbrel_build::{Cargo, Toolchain, encode, write_changed};

use crate::house::Result;

/// Builds all connectors below `root` and writes each to `<target>/plugins/<folder's name>.wasm`, those that are only
/// there for tests to `<target>/test-plugins`, in one step and only where it differs from what is there. Gives the paths,
/// sorted.
pub fn build(root: &Path, target: &Path) -> Result<Vec<PathBuf>> {
    let cargo = Cargo {
        manifest: &root.join("plugins/Cargo.toml"),
        workspace: true,
        target: Some(&target.join("plugins-wasm")),
        names: false,
    };
    let mut components = Vec::new();
    for module in cargo.compile(&Toolchain::find()?)? {
        let name = module.folder.file_name().unwrap_or_default();
        let ships = root.join("plugins").join(name).is_dir();
        let folder = target.join(if ships { "plugins" } else { "test-plugins" });
        let path = folder.join(name).with_extension("wasm");
        let component = encode(module.bytes).map_err(|error| format!("plugin `{}`: {error}", name.display()))?;
        write_changed(&path, &component)?;
        components.push(path);
    }
    components.sort();
    Ok(components)
}
