//! Cursors: every listing is one of everything, since POP3 tells nothing else.

/// What a cursor says. Ids stand at its end, set apart by tabs, which none holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The last message of the listing before this one: what comes behind it is new. None where there was none; empty
    /// where that listing was empty.
    pub before: Option<String>,
    /// The last message that this listing named; none behind its end.
    pub last: Option<String>,
}

impl Cursor {
    /// As text.
    pub fn write(&self) -> String {
        let field = |id: &Option<String>| id.as_ref().map_or_else(|| "-".to_owned(), |id| format!("+{id}"));
        format!("1:{}\t{}", field(&self.before), field(&self.last))
    }

    /// From text; none where it is no cursor of this version.
    pub fn parse(text: &str) -> Option<Self> {
        let (before, last) = text.strip_prefix("1:")?.split_once('\t')?;
        let field = |text: &str| match text.split_at_checked(1) {
            Some(("-", "")) => Some(None),
            Some(("+", id)) => Some(Some(id.to_owned())),
            _ => None,
        };
        Some(Self {
            before: field(before)?,
            last: field(last)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn cursors_come_back(before in proptest::option::of("[!-~ ]{0,80}"), last in proptest::option::of("[!-~ ]{0,80}")) {
            let cursor = Cursor { before, last };
            prop_assert_eq!(Cursor::parse(&cursor.write()), Some(cursor));
        }

        #[test]
        fn no_text_makes_it_fail(text in "1:[-+a\t]{0,8}|\\PC*") {
            let _ = Cursor::parse(&text);
        }
    }
}
