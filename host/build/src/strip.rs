//! Taking out what only debuggers read.

use wasmparser::Parser;

use crate::{BuildError, Result};

/// Kind bytes of sections (WebAssembly core 5.5.2, and the component model's binary format).
const CUSTOM: u8 = 0;
const CORE_MODULE: u8 = 1;
const COMPONENT: u8 = 4;
/// Bytes before the first section.
const PREAMBLE: usize = 8;

/// A module or component without the names of functions, debug information and remarks of the toolchain, in all modules
/// and components inside it, too. What other programs keep in sections of their own stays.
///
/// # Errors
/// [`BuildError::Component`] where the bytes are cut or damaged.
pub fn strip(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut out = Vec::with_capacity(bytes.len());
    stripped(bytes, &mut out).ok_or_else(|| BuildError::Component("it is cut short or damaged".to_owned()))?;
    Ok(out)
}

fn stripped(bytes: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let is_component = Parser::is_component(bytes);
    if !is_component && !Parser::is_core_wasm(bytes) {
        return None;
    }
    out.extend_from_slice(bytes.get(..PREAMBLE)?);
    let mut rest = bytes.get(PREAMBLE..)?;
    while let Some((&kind, after)) = rest.split_first() {
        let (length, after) = number(after)?;
        let body = after.get(..length)?;
        rest = after.get(length..)?;
        match kind {
            CUSTOM if is_for_debuggers(body)? => {}
            CORE_MODULE | COMPONENT if is_component => {
                let mut inner = Vec::with_capacity(body.len());
                stripped(body, &mut inner)?;
                section(kind, &inner, out);
            }
            _ => section(kind, body, out),
        }
    }
    Some(())
}

fn section(kind: u8, body: &[u8], out: &mut Vec<u8>) {
    out.push(kind);
    let mut length = body.len();
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        if length == 0 {
            out.push(low);
            break;
        }
        out.push(low | 0x80);
    }
    out.extend_from_slice(body);
}

/// By the name that a custom section begins with.
fn is_for_debuggers(body: &[u8]) -> Option<bool> {
    let (length, rest) = number(body)?;
    let name = std::str::from_utf8(rest.get(..length)?).ok()?;
    let exact = [
        "name",
        "component-name",
        "producers",
        "target_features",
        "sourceMappingURL",
    ];
    Some(exact.contains(&name) || name.starts_with(".debug_"))
}

/// An unsigned number of at most 32 bits in LEB128, and what follows it.
fn number(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut value = 0u64;
    for (at, byte) in bytes.iter().take(5).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            let value = u32::try_from(value).ok()?;
            return Some((usize::try_from(value).ok()?, bytes.get(at + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn custom(name: &str, data: &[u8]) -> Vec<u8> {
        let mut body = vec![u8::try_from(name.len()).unwrap()];
        body.extend(name.as_bytes());
        body.extend(data);
        let mut out = Vec::new();
        section(CUSTOM, &body, &mut out);
        out
    }

    fn module(sections: &[Vec<u8>]) -> Vec<u8> {
        [b"\0asm\x01\0\0\0".to_vec(), sections.concat()].concat()
    }

    #[test]
    fn names_go_and_other_sections_stay() {
        let long = vec![7; 300];
        let kept = [custom("whimbrel-sdk", b"0.1.0"), custom("component-type:x", &long)];
        let debug = [
            custom("name", &long),
            custom(".debug_info", b"x"),
            custom("producers", b""),
        ];
        let whole = module(&[&debug[..], &kept[..]].concat());
        assert_eq!(strip(&whole).unwrap(), module(&kept));
        let mut component = b"\0asm\x0d\0\x01\0".to_vec();
        let mut wanted = component.clone();
        section(CORE_MODULE, &whole, &mut component);
        section(CORE_MODULE, &module(&kept), &mut wanted);
        assert_eq!(strip(&component).unwrap(), wanted);
    }

    #[test]
    fn what_is_cut_is_refused() {
        let whole = module(&[custom("whimbrel-sdk", &[1; 200])]);
        assert_eq!(strip(&whole).unwrap(), whole);
        for length in (0..whole.len()).filter(|&length| length != PREAMBLE) {
            assert!(strip(&whole[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200), component: bool) {
            let head: &[u8] = if component { b"\0asm\x0d\0\x01\0" } else { b"\0asm\x01\0\0\0" };
            let _ = strip(&[head, &bytes].concat());
        }
    }
}
