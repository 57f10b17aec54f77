//! The shipped library, imported as `std/…`. It is part of the program.

/// A file of the library: its name without `.rhai`, and its text.
pub(crate) type LibraryFile = (&'static str, &'static str);

/// Lists the files of `scripts/std` by name.
macro_rules! library {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../../scripts/", $name, ".rhai")))),*]
    };
}

/// All files, sorted by name.
pub(crate) const FILES: &[LibraryFile] = library![
    "std/dates",
    "std/domains",
    "std/folder_names/latin",
    "std/folder_names/scripts",
    "std/folders",
    "std/gmail",
    "std/keywords",
    "std/names",
    "std/newsletters",
    "std/providers/cyrus",
    "std/providers/dovecot",
    "std/providers/gmail",
    "std/providers/microsoft365",
    "std/providers/yahoo",
    "std/receipts",
    "std/sizes",
    "std/spam",
];

/// The text of a file, by its name without `.rhai`.
pub(crate) fn text(name: &str) -> Option<&'static str> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Options, Rules};

    #[test]
    fn every_file_of_the_library_can_be_imported() {
        for (name, _) in FILES {
            let script = format!("import \"{name}\" as x; fn message(m) {{ }}");
            let rules = Rules::compile("x", &script, &Options::default());
            assert!(rules.is_ok(), "{name}: {}", rules.unwrap_err());
        }
        assert!(FILES.is_sorted());
    }

    #[test]
    fn no_file_is_left_out() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scripts");
        let mut waiting = vec![folder.join("std")];
        let mut found = Vec::new();
        while let Some(next) = waiting.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                let name = path.strip_prefix(&folder).unwrap().to_string_lossy().into_owned();
                if path.is_dir() {
                    waiting.push(path);
                } else if let Some(name) = name.strip_suffix(".rhai").filter(|name| !name.ends_with(".test")) {
                    found.push(name.to_owned());
                }
            }
        }
        found.sort();
        assert_eq!(found, FILES.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    }
}
