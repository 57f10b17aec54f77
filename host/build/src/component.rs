//! From a core module to a component.

use std::process::{Command, Stdio};

use wasmparser::Parser;

use crate::{BuildError, Result};

/// The component that a core module describes itself as, validated; a component is given as it is.
///
/// # Errors
/// [`BuildError::Component`] where the bytes are neither, or the module does not say what it implements: that is what
/// `wit-bindgen` puts into a section of its own.
pub fn encode(bytes: Vec<u8>) -> Result<Vec<u8>> {
    if Parser::is_component(&bytes) {
        return Ok(bytes);
    }
    if !Parser::is_core_wasm(&bytes) {
        return Err(BuildError::Component("it is not WebAssembly".to_owned()));
    }
    // The whole chain of causes is in the alternate form.
    wit_component::ComponentEncoder::default()
        .validate(true)
        .module(&bytes)
        .and_then(|encoder| encoder.encode())
        .map_err(|error| BuildError::Component(format!("{error:#}")))
}

/// What became of [`optimise`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Optimised {
    /// The module, smaller or faster.
    Done(Vec<u8>),
    /// There is no `wasm-opt` here.
    NoTool,
    /// It is a component already, and `wasm-opt` knows core modules only.
    NotAModule,
    /// `wasm-opt` did not succeed; what it said.
    Failed(String),
}

/// Runs `wasm-opt`, where it is there, over a core module.
///
/// # Errors
/// Files that cannot be written or read.
pub fn optimise(module: &[u8]) -> Result<Optimised> {
    if !Parser::is_core_wasm(module) {
        return Ok(Optimised::NotAModule);
    }
    let folder = tempfile::tempdir().map_err(|error| BuildError::File {
        path: std::env::temp_dir(),
        reason: error.to_string(),
    })?;
    let (before, after) = (folder.path().join("before.wasm"), folder.path().join("after.wasm"));
    crate::write_changed(&before, module)?;
    let mut command = Command::new("wasm-opt");
    // What the compiler uses beyond the first version of WebAssembly is known from the module alone.
    command.args(["-Os", "--all-features", "-o"]).arg(&after).arg(&before);
    let output = match command.stdin(Stdio::null()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Optimised::NoTool),
        Err(error) => return Err(BuildError::start("wasm-opt", &error)),
    };
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        return Ok(Optimised::Failed(text.lines().next().unwrap_or("it failed").to_owned()));
    }
    std::fs::read(&after)
        .map(Optimised::Done)
        .map_err(|error| BuildError::File {
            path: after,
            reason: error.to_string(),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_component_is_refused() {
        for bytes in [&b"garbage"[..], b"", b"\0asm\x01\0\0\0\x01\xff"] {
            let error = encode(bytes.to_vec()).unwrap_err().to_string();
            assert!(error.starts_with("it is no component: "), "{error}");
        }
    }

    #[test]
    fn a_component_stays_as_it_is() {
        let empty = b"\0asm\x0d\0\x01\0".to_vec();
        assert_eq!(encode(empty.clone()).unwrap(), empty);
        assert_eq!(optimise(&empty).unwrap(), Optimised::NotAModule);
    }
}
