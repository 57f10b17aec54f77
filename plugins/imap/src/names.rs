//! Mailbox names and paths.
//!
//! A path is what the user sees: without the prefix of the personal namespace (RFC 2342), cut at the delimiter. INBOX
//! is always `["INBOX"]`, in whatever case the server writes it. Where the prefix is `INBOX.`, every mailbox is formally
//! a child of INBOX: `INBOX.Sent` is `["Sent"]`, and what another server keeps as a child of INBOX, `["INBOX", "a"]`, is
//! `INBOX.INBOX.a`, so that nothing collides.

use whimbrel_plugin::{Failure, Result};

const INBOX: &str = "INBOX";

/// How this server writes names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    prefix: String,
    delimiter: Option<String>,
}

impl Names {
    /// From the personal namespace; an empty delimiter is none.
    pub fn new(prefix: &str, delimiter: Option<&str>) -> Self {
        let delimiter = delimiter.filter(|delimiter| !delimiter.is_empty()).map(str::to_owned);
        let mut prefix = prefix.to_owned();
        // Some servers, and some admins, leave the last delimiter out.
        if let Some(delimiter) = &delimiter
            && !prefix.is_empty()
            && !prefix.ends_with(delimiter.as_str())
        {
            prefix.push_str(delimiter);
        }
        Self { prefix, delimiter }
    }

    /// What separates the levels of a name.
    pub fn delimiter(&self) -> Option<&str> {
        self.delimiter.as_deref()
    }

    /// The path of a mailbox with this name.
    pub fn path(&self, name: &str) -> Vec<String> {
        if name.eq_ignore_ascii_case(INBOX) {
            return vec![INBOX.to_owned()];
        }
        let rest = strip_prefix(name, &self.prefix)
            .filter(|rest| !rest.is_empty())
            .unwrap_or(name);
        let mut path = self.split(rest);
        if path[0].eq_ignore_ascii_case(INBOX) {
            INBOX.clone_into(&mut path[0]);
            if path.len() == 1 {
                // A mailbox of that name below the prefix is not the inbox itself.
                path.push(INBOX.to_owned());
            }
        }
        path
    }

    fn split(&self, name: &str) -> Vec<String> {
        let segments: Vec<String> = match &self.delimiter {
            Some(delimiter) => name
                .split(delimiter.as_str())
                .filter(|segment| !segment.is_empty())
                .map(str::to_owned)
                .collect(),
            None => vec![name.to_owned()],
        };
        if segments.is_empty() {
            vec![name.to_owned()]
        } else {
            segments
        }
    }

    /// The name of a mailbox with this path.
    ///
    /// # Errors
    /// `rejected` where no name can stand for it.
    pub fn name(&self, path: &[String]) -> Result<String> {
        let Some(first) = path.first() else {
            return Err(Failure::rejected("a mailbox must have a name"));
        };
        for segment in path {
            if segment.is_empty() {
                return Err(Failure::rejected("a level of the mailbox name is empty"));
            }
            if segment.contains(['\0', '\r', '\n']) {
                return Err(Failure::rejected(
                    "the mailbox name holds a control character that IMAP cannot carry",
                ));
            }
            if self.delimiter().is_some_and(|delimiter| segment.contains(delimiter)) {
                let delimiter = self.delimiter().unwrap_or_default();
                return Err(Failure::rejected(format!(
                    "`{segment}` holds `{delimiter}`, which separates levels here"
                )));
            }
        }
        let inbox = first.eq_ignore_ascii_case(INBOX);
        if inbox && path.len() == 1 {
            return Ok(INBOX.to_owned());
        }
        let Some(delimiter) = self.delimiter() else {
            return match path {
                [name] => Ok(format!("{}{name}", self.prefix)),
                _ => Err(Failure::rejected("this server keeps no mailboxes below others")),
            };
        };
        if inbox {
            let rest = path[1..].join(delimiter);
            let below_inbox = strip_prefix(&self.prefix, &format!("{INBOX}{delimiter}")).is_some();
            let prefix = if below_inbox { self.prefix.as_str() } else { "" };
            return Ok(format!("{prefix}{INBOX}{delimiter}{rest}"));
        }
        Ok(format!("{}{}", self.prefix, path.join(delimiter)))
    }
}

/// The prefix may begin with INBOX, whose case does not matter.
fn strip_prefix<'a>(name: &'a str, prefix: &str) -> Option<&'a str> {
    let head = name.get(..prefix.len())?;
    let inbox = prefix
        .get(..INBOX.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(INBOX));
    let same = if inbox {
        head[..INBOX.len()].eq_ignore_ascii_case(INBOX) && head[INBOX.len()..] == prefix[INBOX.len()..]
    } else {
        head == prefix
    };
    same.then(|| &name[prefix.len()..])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(names: &Names, name: &str) -> String {
        names.path(name).join("|")
    }

    #[test]
    fn a_plain_server() {
        let names = Names::new("", Some("/"));
        for (name, expected) in [
            ("INBOX", "INBOX"),
            ("Inbox", "INBOX"),
            ("a/b", "a|b"),
            ("inbox/child", "INBOX|child"),
            ("a.b", "a.b"),
            ("a/", "a"),
            ("/", "/"),
        ] {
            assert_eq!(path(&names, name), expected);
        }
    }

    #[test]
    fn a_server_with_everything_below_inbox() {
        let names = Names::new("INBOX.", Some("."));
        for (name, expected) in [
            ("INBOX", "INBOX"),
            ("INBOX.Sent", "Sent"),
            ("Inbox.Sent.2020", "Sent|2020"),
            ("INBOX.INBOX.child", "INBOX|child"),
            ("INBOX.INBOX", "INBOX|INBOX"),
            ("shared.x", "shared|x"),
        ] {
            assert_eq!(path(&names, name), expected);
        }
        assert_eq!(
            names.name(&["INBOX".to_owned(), "child".to_owned()]).unwrap(),
            "INBOX.INBOX.child"
        );
        assert_eq!(names.name(&["Sent".to_owned()]).unwrap(), "INBOX.Sent");
        assert_eq!(Names::new("INBOX", Some(".")), names);
    }

    #[test]
    fn another_prefix_and_no_hierarchy() {
        let names = Names::new("Mail/", Some("/"));
        assert_eq!(names.name(&["INBOX".to_owned(), "x".to_owned()]).unwrap(), "INBOX/x");
        assert_eq!(path(&names, "INBOX/x"), "INBOX|x");
        assert_eq!(path(&names, "Mail/x"), "x");
        let flat = Names::new("", None);
        assert_eq!(path(&flat, "a/b"), "a/b");
        assert!(flat.name(&["a".to_owned(), "b".to_owned()]).is_err());
    }

    #[test]
    fn impossible_names_are_refused() {
        let names = Names::new("", Some("/"));
        for path in [vec![], vec!["a/b"], vec![""], vec!["a", "b\0"], vec!["a\r"]] {
            let path: Vec<String> = path.into_iter().map(str::to_owned).collect();
            assert!(matches!(names.name(&path), Err(Failure::Rejected(_))), "{path:?}");
        }
    }

    proptest! {
        #[test]
        fn paths_come_back(prefix in prop_oneof![Just(""), Just("INBOX."), Just("Mail.")], segments in proptest::collection::vec("[a-zA-Zé& ]{1,6}|INBOX", 1..5)) {
            let names = Names::new(prefix, Some("."));
            let mut expected = segments.clone();
            if expected[0].eq_ignore_ascii_case("INBOX") {
                expected[0] = "INBOX".to_owned();
            }
            prop_assert_eq!(names.path(&names.name(&segments).unwrap()), expected);
        }

        #[test]
        fn no_name_makes_it_panic(prefix in ".{0,8}", name in ".{0,20}", delimiter in proptest::option::of(".{0,1}")) {
            let names = Names::new(&prefix, delimiter.as_deref());
            prop_assert!(!names.path(&name).is_empty());
        }
    }
}
