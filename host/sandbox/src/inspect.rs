//! What a file says of itself before anything in it runs: is it a component, for which contract, what does it want?

use std::collections::BTreeSet;

use wasmparser::{ComponentExternName, Parser, Payload};

use crate::convert::clean;

/// Package of the contract.
const PACKAGE: &str = "whimbrel:connector";
/// The versions of the contract that this host speaks: every one that begins so.
const SPOKEN: &str = "0.1";
/// What this host gives.
const GIVEN: [&str; 9] = [
    "types",
    "blobs",
    "log",
    "imap",
    "http",
    "files",
    "tcp",
    "descriptor",
    "source",
];
/// What WASI gives, with nothing granted.
const WASI: [&str; 6] = [
    "wasi:cli",
    "wasi:clocks",
    "wasi:filesystem",
    "wasi:io",
    "wasi:random",
    "wasi:sockets",
];
/// Name of the custom section that holds the version of the SDK.
const SDK: &str = "whimbrel-sdk";

/// What was found in a component that can be used.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// "whimbrel:connector@0.1.0".
    pub contract: String,
    pub sdk: Option<String>,
    /// Sorted.
    pub imports: Vec<String>,
    pub can_write: bool,
}

/// What was found instead.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unfit {
    NotWasm,
    CoreModule { sdk: Option<String> },
    Broken(String),
    NoConnector(Vec<String>),
    Contract { found: String, sdk: Option<String> },
    Missing(Vec<String>),
    Unknown(Vec<String>),
}

/// Reads the outermost imports and exports, and the SDK's mark wherever it lies.
pub(crate) fn inspect(bytes: &[u8]) -> Result<Facts, Unfit> {
    if Parser::is_core_wasm(bytes) {
        return Err(Unfit::CoreModule {
            sdk: sections(bytes).ok().and_then(|found| found.sdk),
        });
    }
    if !Parser::is_component(bytes) {
        return Err(Unfit::NotWasm);
    }
    let found = sections(bytes).map_err(|error| Unfit::Broken(clean(&error.to_string(), 300)))?;
    let versions: BTreeSet<&str> = found
        .imports
        .iter()
        .chain(&found.exports)
        .filter_map(|name| interface(name))
        .filter(|(package, _, _)| *package == PACKAGE)
        .map(|(_, _, version)| version)
        .collect();
    if let Some(version) = versions.iter().find(|version| !spoken(version)) {
        return Err(Unfit::Contract {
            found: clean(version, 40),
            sdk: found.sdk,
        });
    }
    let exports = |wanted: &str| {
        found
            .exports
            .iter()
            .filter_map(|name| interface(name))
            .any(|(p, name, _)| p == PACKAGE && name == wanted)
    };
    if !exports("descriptor") && !exports("source") && !exports("destination") {
        return Err(Unfit::NoConnector(
            found.exports.iter().take(10).map(|name| clean(name, 100)).collect(),
        ));
    }
    let missing: Vec<_> = ["descriptor", "source"]
        .into_iter()
        .filter(|name| !exports(name))
        .map(str::to_owned)
        .collect();
    if !missing.is_empty() {
        return Err(Unfit::Missing(missing));
    }
    let unknown: Vec<_> = found
        .imports
        .iter()
        .filter(|name| !given(name))
        .map(|name| clean(name, 100))
        .collect();
    if !unknown.is_empty() {
        return Err(Unfit::Unknown(unknown));
    }
    let can_write = exports("destination");
    let version = versions.last().copied().unwrap_or(SPOKEN);
    Ok(Facts {
        contract: format!("{PACKAGE}@{version}"),
        sdk: found.sdk.clone(),
        imports: found.imports.iter().map(|name| clean(name, 100)).collect(),
        can_write,
    })
}

struct Sections {
    imports: BTreeSet<String>,
    exports: BTreeSet<String>,
    sdk: Option<String>,
}

fn sections(bytes: &[u8]) -> Result<Sections, wasmparser::BinaryReaderError> {
    let mut found = Sections {
        imports: BTreeSet::new(),
        exports: BTreeSet::new(),
        sdk: None,
    };
    let mut depth = 0usize;
    for payload in Parser::new(0).parse_all(bytes) {
        match payload? {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(section) if depth == 1 => {
                for import in section {
                    found.imports.insert(full(&import?.name));
                }
            }
            Payload::ComponentExportSection(section) if depth == 1 => {
                for export in section {
                    found.exports.insert(full(&export?.name));
                }
            }
            // The SDK marks the core module inside.
            Payload::CustomSection(section) if section.name() == SDK => {
                found.sdk = Some(clean(String::from_utf8_lossy(section.data()).trim(), 40));
            }
            _ => {}
        }
    }
    Ok(found)
}

fn full(name: &ComponentExternName<'_>) -> String {
    name.full_name().into_owned()
}

/// Package, interface and version of a name such as "whimbrel:connector/source@0.1.0".
fn interface(name: &str) -> Option<(&str, &str, &str)> {
    let (package, rest) = name.split_once('/')?;
    let (interface, version) = rest.split_once('@').unwrap_or((rest, ""));
    Some((package, interface, version))
}

/// Inside a version of the contract only functions are added: any patch level will do.
fn spoken(version: &str) -> bool {
    version.strip_prefix(SPOKEN).is_some_and(|rest| {
        rest.strip_prefix('.')
            .is_some_and(|patch| !patch.is_empty() && patch.bytes().all(|b| b.is_ascii_digit()))
    })
}

fn given(import: &str) -> bool {
    match interface(import) {
        Some((PACKAGE, name, _)) => GIVEN.contains(&name),
        Some((package, _, version)) => WASI.contains(&package) && version.starts_with("0.2."),
        None => false,
    }
}

/// "0.1".
pub(crate) fn spoken_versions() -> &'static str {
    SPOKEN
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A component out of sections; only for what is read here, it would not validate.
    fn component(imports: &[&str], exports: &[&str], sdk: Option<&str>) -> Vec<u8> {
        fn leb(out: &mut Vec<u8>, mut value: usize) {
            loop {
                let byte = u8::try_from(value & 0x7f).unwrap();
                value >>= 7;
                out.push(if value == 0 { byte } else { byte | 0x80 });
                if value == 0 {
                    return;
                }
            }
        }
        fn name(out: &mut Vec<u8>, text: &str) {
            leb(out, text.len());
            out.extend(text.as_bytes());
        }
        fn section(out: &mut Vec<u8>, id: u8, body: &[u8]) {
            out.push(id);
            leb(out, body.len());
            out.extend(body);
        }
        let mut out = b"\0asm\x0d\0\x01\0".to_vec();
        let mut body = Vec::new();
        leb(&mut body, imports.len());
        for import in imports {
            body.push(0);
            name(&mut body, import);
            body.extend([5, 0]); // an instance of type 0
        }
        section(&mut out, 10, &body);
        if let Some(sdk) = sdk {
            let mut module = b"\0asm\x01\0\0\0".to_vec();
            let mut custom = Vec::new();
            name(&mut custom, SDK);
            custom.extend(sdk.as_bytes());
            section(&mut module, 0, &custom);
            section(&mut out, 1, &module);
        }
        let mut body = Vec::new();
        leb(&mut body, exports.len());
        for export in exports {
            body.push(0);
            name(&mut body, export);
            body.extend([5, 0, 0]); // instance 0, no type
        }
        section(&mut out, 11, &body);
        out
    }

    const READER: [&str; 2] = ["whimbrel:connector/descriptor@0.1.0", "whimbrel:connector/source@0.1.0"];

    #[test]
    fn a_reader_is_known() {
        let bytes = component(
            &["whimbrel:connector/blobs@0.1.0", "wasi:io/poll@0.2.6"],
            &READER,
            Some("0.1.0\n"),
        );
        let facts = inspect(&bytes).unwrap();
        assert_eq!(facts.contract, "whimbrel:connector@0.1.0");
        assert_eq!(facts.sdk.as_deref(), Some("0.1.0"));
        assert_eq!(facts.imports, ["wasi:io/poll@0.2.6", "whimbrel:connector/blobs@0.1.0"]);
        assert!(!facts.can_write);
    }

    #[test]
    fn a_connector_can_write() {
        let exports = [READER[0], READER[1], "whimbrel:connector/destination@0.1.0"];
        assert!(inspect(&component(&[], &exports, None)).unwrap().can_write);
    }

    #[test]
    fn what_is_unfit_is_told_apart() {
        assert_eq!(inspect(b""), Err(Unfit::NotWasm));
        assert_eq!(inspect(b"#!/bin/sh\n"), Err(Unfit::NotWasm));
        assert_eq!(inspect(b"\0asm\x01\0\0\0"), Err(Unfit::CoreModule { sdk: None }));
        assert!(matches!(inspect(b"\0asm\x0d\0\x01\0\x0a\x7f"), Err(Unfit::Broken(_))));
        assert_eq!(
            inspect(&component(&[], &["wasi:cli/run@0.2.0"], None)),
            Err(Unfit::NoConnector(vec!["wasi:cli/run@0.2.0".into()]))
        );
        assert_eq!(
            inspect(&component(&[], &READER[..1], None)),
            Err(Unfit::Missing(vec!["source".into()]))
        );
        let newer = ["whimbrel:connector/descriptor@0.3.0", "whimbrel:connector/source@0.3.0"];
        let expected = Unfit::Contract {
            found: "0.3.0".into(),
            sdk: Some("0.3.1".into()),
        };
        assert_eq!(inspect(&component(&[], &newer, Some("0.3.1"))), Err(expected));
        for import in [
            "whimbrel:connector/smtp@0.1.0",
            "wasi:http/types@0.2.0",
            "wasi:io/poll@0.3.0",
            "acme:x/y",
            "env",
        ] {
            assert_eq!(
                inspect(&component(&[import], &READER, None)),
                Err(Unfit::Unknown(vec![import.into()])),
                "{import}"
            );
        }
    }

    #[test]
    fn versions() {
        for good in ["0.1.0", "0.1.17"] {
            assert!(spoken(good), "{good}");
        }
        for bad in ["", "0.1", "0.10.0", "0.1.", "1.0.0", "0.1.0-rc", "0.3.0"] {
            assert!(!spoken(bad), "{bad}");
        }
    }
}
