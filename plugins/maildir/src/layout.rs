//! Folder names and the directories they live in.

use whimbrel_folders::escape::{escape, unescape};
use whimbrel_folders::utf7;
use whimbrel_plugin::Failure;

/// Bytes that a file name has at most.
const NAME_BYTES: usize = 255;

/// Where folders lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
pub enum Layout {
    /// Maildir++: the inbox is the root, and every other folder, however deep, is a directory `.Parent.Child` in it.
    #[serde(rename = "maildir++")]
    Plus,
    /// Nested directories; the root is the inbox where it has `cur` and `new` itself.
    #[serde(rename = "fs")]
    Nested,
}

/// How names beyond ASCII are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Spelling {
    /// Modified UTF-7 (RFC 3501, 5.1.3).
    Utf7,
    /// As they are.
    Utf8,
}

/// How names become directories and back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Names {
    /// Where folders lie.
    pub layout: Layout,
    /// How their names are written.
    pub spelling: Spelling,
}

impl Names {
    /// The directory of the folder at this path, relative to the root; `""` for the inbox.
    ///
    /// # Errors
    /// `rejected` for a name that no directory can bear.
    pub fn directory(self, path: &[String]) -> Result<String, Failure> {
        if path.is_empty() || path.iter().any(String::is_empty) {
            return Err(Failure::rejected("a folder name cannot be empty"));
        }
        if let [name] = path
            && name.eq_ignore_ascii_case("INBOX")
        {
            return Ok(String::new());
        }
        let segments: Vec<String> = path
            .iter()
            .enumerate()
            .map(|(depth, segment)| self.write(depth, segment))
            .collect();
        let directory = match self.layout {
            Layout::Plus => format!(".{}", segments.join(".")),
            Layout::Nested => segments.join("/"),
        };
        match directory.split('/').map(str::len).max() {
            Some(longest) if longest > NAME_BYTES => Err(Failure::rejected(format!(
                "the folder's directory would have a name of {longest} bytes, and {NAME_BYTES} is the most: shorten the name"
            ))),
            _ => Ok(directory),
        }
    }

    /// The path of the folder in this directory.
    pub fn path(self, directory: &str) -> Vec<String> {
        if directory.is_empty() {
            return vec!["INBOX".to_owned()];
        }
        let separator = match self.layout {
            Layout::Plus => '.',
            Layout::Nested => '/',
        };
        let name = if self.layout == Layout::Plus {
            directory.strip_prefix('.').unwrap_or(directory)
        } else {
            directory
        };
        let mut path: Vec<String> = Vec::new();
        let mut held = String::new();
        for segment in name.split(separator) {
            // Nothing between two separators is no name: they belong to the next one.
            if segment.is_empty() {
                held.push(separator);
            } else {
                path.push(format!("{}{}", std::mem::take(&mut held), self.read(segment)));
            }
        }
        match path.last_mut() {
            Some(last) => last.push_str(&held),
            None => path.push(held),
        }
        path
    }

    fn write(self, depth: usize, segment: &str) -> String {
        let escaped = match self.layout {
            // A `~` at the beginning is a home folder to Dovecot.
            Layout::Plus => escape(segment, |at, c| {
                matches!(c, '.' | '/') || (depth == 0 && at == 0 && c == '~')
            }),
            Layout::Nested => {
                let reserved = is_reserved(depth, segment);
                escape(segment, |at, c| {
                    c == '/' || (at == 0 && (reserved || matches!(c, '.' | '~')))
                })
            }
        };
        match self.spelling {
            Spelling::Utf7 => utf7::encode(&escaped),
            Spelling::Utf8 => escaped,
        }
    }

    fn read(self, segment: &str) -> String {
        match self.spelling {
            Spelling::Utf7 => unescape(&utf7::decode(segment).unwrap_or_else(|| segment.to_owned())),
            Spelling::Utf8 => unescape(segment),
        }
    }

    /// The directory's name as a line of the `subscriptions` file (version 1) has it.
    pub fn subscription(self, directory: &str) -> String {
        match (directory, self.layout) {
            ("", _) => "INBOX".to_owned(),
            (_, Layout::Plus) => directory.strip_prefix('.').unwrap_or(directory).to_owned(),
            (_, Layout::Nested) => directory.to_owned(),
        }
    }
}

/// Names that mean something else in a Maildir.
fn is_reserved(depth: usize, segment: &str) -> bool {
    matches!(segment, "cur" | "new" | "tmp")
        || (depth == 0
            && (segment == "subscriptions" || segment.starts_with("dovecot") || segment.starts_with("whimbrel-")))
}

/// How names are written, as far as these directory names tell: UTF-8 where one of them can be nothing else.
pub fn detect_spelling<'a>(directories: impl Iterator<Item = &'a str>) -> Spelling {
    if directories.into_iter().any(|name| !name.is_ascii()) {
        Spelling::Utf8
    } else {
        Spelling::Utf7
    }
}

/// The `subscriptions` file: one folder a line. Version 2 begins with `V<TAB>2` and an empty line, and sets the
/// segments of a name apart by tabs; in version 1 a line is a directory's name without the leading dot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Subscriptions {
    second: bool,
    lines: Vec<String>,
}

impl Subscriptions {
    /// From the file's bytes.
    pub fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8_lossy(bytes);
        let mut lines = text.lines().peekable();
        let second = lines.peek() == Some(&"V\t2");
        let skip = usize::from(second);
        Self {
            second,
            lines: lines
                .skip(skip)
                .filter(|line| !line.is_empty())
                .map(str::to_owned)
                .collect(),
        }
    }

    /// The file's bytes.
    pub fn render(&self) -> Vec<u8> {
        let mut out = String::from(if self.second { "V\t2\n\n" } else { "" });
        for line in &self.lines {
            out.push_str(line);
            out.push('\n');
        }
        out.into_bytes()
    }

    /// Whether the folder in this directory is subscribed.
    pub fn contains(&self, names: Names, directory: &str) -> bool {
        let line = self.line(names, directory);
        self.lines.contains(&line)
    }

    /// Subscribes the folder; false where it is already.
    pub fn add(&mut self, names: Names, directory: &str) -> bool {
        let line = self.line(names, directory);
        let new = !self.lines.contains(&line);
        if new {
            self.lines.push(line);
        }
        new
    }

    fn line(&self, names: Names, directory: &str) -> String {
        let line = names.subscription(directory);
        match (self.second, names.layout) {
            (false, _) => line,
            (true, Layout::Plus) => line.replace('.', "\t"),
            (true, Layout::Nested) => line.replace('/', "\t"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLUS: Names = Names {
        layout: Layout::Plus,
        spelling: Spelling::Utf7,
    };
    const NESTED: Names = Names {
        layout: Layout::Nested,
        spelling: Spelling::Utf8,
    };

    fn path(segments: &[&str]) -> Vec<String> {
        segments.iter().map(|segment| (*segment).to_owned()).collect()
    }

    #[test]
    fn the_names_of_maildir_plus_plus() {
        for (segments, directory) in [
            (&["INBOX"][..], ""),
            (&["Sent"], ".Sent"),
            (&["INBOX", "Sent"], ".INBOX.Sent"),
            (&["Entwürfe", "a.b/c"], ".Entw&APw-rfe.a\\2eb\\2fc"),
            (&["R&D "], ".R&-D "),
            (&["~tilde", "~"], ".\\7etilde.~"),
        ] {
            assert_eq!(PLUS.directory(&path(segments)).unwrap(), directory);
            assert_eq!(PLUS.path(directory), path(segments));
        }
        assert_eq!(PLUS.directory(&path(&["inbox"])).unwrap(), "");
    }

    #[test]
    fn the_names_of_nested_directories() {
        for (segments, directory) in [
            (&["INBOX"][..], ""),
            (&["Work", "a.b"], "Work/a.b"),
            (&["cur", "new"], "\\63ur/\\6eew"),
            (&[".hidden", "~"], "\\2ehidden/\\7e"),
            (&["subscriptions", "subscriptions"], "\\73ubscriptions/subscriptions"),
            (&["Entwürfe"], "Entwürfe"),
        ] {
            assert_eq!(NESTED.directory(&path(segments)).unwrap(), directory);
            assert_eq!(NESTED.path(directory), path(segments));
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        assert!(PLUS.directory(&[]).is_err());
        assert!(PLUS.directory(&path(&["a", ""])).is_err());
        assert!(PLUS.directory(&path(&[&"x".repeat(200), &"y".repeat(60)])).is_err());
        assert!(NESTED.directory(&path(&[&"x".repeat(200), &"y".repeat(60)])).is_ok());
    }

    #[test]
    fn foreign_names_always_make_a_path() {
        assert_eq!(PLUS.path(".R&D"), path(&["R&D"]));
        assert_eq!(PLUS.path(".a..b."), path(&["a", ".b."]));
        assert_eq!(PLUS.path("."), path(&["."]));
        assert_eq!(PLUS.path(".."), path(&[".."]));
        assert_eq!(detect_spelling([".Entw&APw-rfe", ".Sent"].into_iter()), Spelling::Utf7);
        assert_eq!(detect_spelling([".Entwürfe", ".Sent"].into_iter()), Spelling::Utf8);
    }

    #[test]
    fn subscriptions_of_both_versions() {
        let mut one = Subscriptions::parse(b"INBOX\nA.B\n");
        assert!(one.contains(PLUS, "") && one.contains(PLUS, ".A.B") && !one.contains(PLUS, ".A"));
        assert!(one.add(PLUS, ".Sent") && !one.add(PLUS, ".Sent"));
        assert_eq!(one.render(), b"INBOX\nA.B\nSent\n");
        let mut two = Subscriptions::parse(b"V\t2\n\nA\tB\nINBOX\n");
        assert!(two.contains(PLUS, "") && two.contains(PLUS, ".A.B") && two.contains(NESTED, "A/B"));
        two.add(NESTED, "x.y/z");
        assert_eq!(two.render(), b"V\t2\n\nA\tB\nINBOX\nx.y\tz\n");
    }

    proptest! {
        #[test]
        fn every_path_comes_back(
            segments in proptest::collection::vec("[^\u{0}]{1,12}|[.~/\\\\&a-z]{1,8}|cur|new|tmp|dovecot|subscriptions", 1..4),
            plus: bool, utf7: bool,
        ) {
            let layout = if plus { Layout::Plus } else { Layout::Nested };
            let spelling = if utf7 { Spelling::Utf7 } else { Spelling::Utf8 };
            let names = Names { layout, spelling };
            if let Ok(directory) = names.directory(&segments) {
                for part in directory.split('/') {
                    prop_assert!(!matches!(part, "." | ".." | "cur" | "new" | "tmp"));
                    prop_assert!(!part.contains('\0'));
                }
                if !(segments.len() == 1 && segments[0].eq_ignore_ascii_case("inbox")) {
                    prop_assert_eq!(names.path(&directory), segments);
                }
            }
        }

        #[test]
        fn every_directory_makes_a_path(name in "\\PC{1,30}|[.&\\\\/a-z-]{1,30}") {
            for names in [PLUS, NESTED] {
                let path = names.path(&name);
                prop_assert!(!path.is_empty() && path.iter().all(|segment| !segment.is_empty()));
            }
        }
    }
}
