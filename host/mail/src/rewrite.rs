//! Other addresses and domains in address lists, byte for byte.

use crate::addresses::{Spec, specs};

/// What shall become what.
pub(crate) enum Rewrite<'a> {
    Address { from: &'a str, to: &'a str },
    Domain { from: &'a str, to: &'a str },
}

/// The value with its matching addr-specs rewritten, and how many there were; `None` where none matches.
///
/// A comment within a rewritten addr-spec moves behind what is new; blanks and folding within it go.
pub(crate) fn rewrite(value: &[u8], rewriting: &Rewrite<'_>) -> Option<(Vec<u8>, usize)> {
    let mut out = Vec::with_capacity(value.len() + 16);
    let mut kept = 0;
    let mut count = 0;
    for spec in specs(value) {
        let (range, to) = match rewriting {
            Rewrite::Address { from, to } if is_address(&spec, value, from) => (spec.range(), *to),
            Rewrite::Domain { from, to } if is_domain(&spec, value, from) => (spec.domain_range(), *to),
            _ => continue,
        };
        let comments = spec.comments_in(value, &range);
        // Specs do not overlap; what would run backwards is left alone.
        if range.start < kept || value[range.clone()] == [to.as_bytes(), &comments].concat() {
            continue;
        }
        out.extend_from_slice(&value[kept..range.start]);
        out.extend_from_slice(to.as_bytes());
        out.extend_from_slice(&comments);
        kept = range.end;
        count += 1;
    }
    out.extend_from_slice(&value[kept..]);
    (count > 0).then_some((out, count))
}

fn is_domain(spec: &Spec, value: &[u8], from: &str) -> bool {
    same(&spec.domain(value), from)
}

fn is_address(spec: &Spec, value: &[u8], from: &str) -> bool {
    let Some((local, domain)) = from.rsplit_once('@') else {
        return false;
    };
    same(&spec.domain(value), domain) && same(&spec.local(value), local)
}

/// Equal but for the case of letters; beyond ASCII where both are UTF-8.
fn same(bytes: &[u8], text: &str) -> bool {
    bytes.eq_ignore_ascii_case(text.as_bytes())
        || (!text.is_ascii()
            && std::str::from_utf8(bytes).is_ok_and(|bytes| bytes.to_lowercase() == text.to_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn domain(value: &str) -> String {
        let rewriting = Rewrite::Domain {
            from: "old.example",
            to: "new.example",
        };
        let out = rewrite(value.as_bytes(), &rewriting).map_or_else(|| value.as_bytes().to_vec(), |(out, _)| out);
        String::from_utf8(out).unwrap()
    }

    fn address(value: &str) -> String {
        let rewriting = Rewrite::Address {
            from: "joe@old.example",
            to: "jim@new.example",
        };
        let out = rewrite(value.as_bytes(), &rewriting).map_or_else(|| value.as_bytes().to_vec(), |(out, _)| out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn domains_change_in_addresses() {
        for (before, after) in [
            ("joe@old.example", "joe@new.example"),
            ("<joe@OLD.Example>", "<joe@new.example>"),
            (
                "a@old.example, b@old.example,, c@x.example,",
                "a@new.example, b@new.example,, c@x.example,",
            ),
            ("a@old.example; b@old.example", "a@new.example; b@new.example"),
            (
                "\"joe@old.example\" <joe@old.example>",
                "\"joe@old.example\" <joe@new.example>",
            ),
            ("joe@old.example <joe@old.example>", "joe@old.example <joe@new.example>"),
            (
                "joe@old.example (joe@old.example (x@old.example))",
                "joe@new.example (joe@old.example (x@old.example))",
            ),
            (
                "=?utf-8?q?joe@old.example?= <a@old.example>",
                "=?utf-8?q?joe@old.example?= <a@new.example>",
            ),
            ("\"joe smith\"@old.example", "\"joe smith\"@new.example"),
            (
                "Friends: a@old.example, B <b@old.example>;, c@old.example",
                "Friends: a@new.example, B <b@new.example>;, c@new.example",
            ),
            (
                "<@relay.example,@old.example:joe@old.example>",
                "<@relay.example,@old.example:joe@new.example>",
            ),
            (
                "Joe\r\n <joe@old.example>,\r\n\tb@old.example",
                "Joe\r\n <joe@new.example>,\r\n\tb@new.example",
            ),
            ("joe@old(c)\r\n .example x", "joe@new.example(c) x"),
            ("joe @ old . example", "joe @ new.example"),
            (
                "Joe <joe@old.example, b@old.example",
                "Joe <joe@new.example, b@new.example",
            ),
            ("mailto:joe@old.example", "mailto:joe@new.example"),
            ("Joe Doe joe@old.example", "Joe Doe joe@new.example"),
            ("\"open joe@old.example", "\"open joe@new.example"),
            ("joe@old.example.", "joe@new.example."),
            ("<<joe@old.example>>", "<<joe@new.example>>"),
            (
                "J\u{fc}rgen <j\u{fc}rgen@old.example>",
                "J\u{fc}rgen <j\u{fc}rgen@new.example>",
            ),
        ] {
            assert_eq!(domain(before), after, "{before}");
        }
    }

    #[test]
    fn other_domains_stay() {
        for value in [
            "joe@sub.old.example",
            "joe@old.example.org",
            "joe@bold.example",
            "joe@old.example@x.example",
            "joe@x.example@old.example",
            "(joe@old.example",
            "undisclosed-recipients:;",
            "@old.example",
            "joe@[old.example]",
            "\"joe@old.example\"",
            "",
            ",,;:<>@.",
        ] {
            assert_eq!(domain(value), value);
        }
    }

    #[test]
    fn addresses_change_as_a_whole() {
        for (before, after) in [
            ("JOE@old.example, joe2@old.example", "jim@new.example, joe2@old.example"),
            ("\"joe\"@old.example", "jim@new.example"),
            ("\"j\\oe\" <joe(c)@(d)old.example>", "\"j\\oe\" <jim@new.example(c)(d)>"),
            ("big.joe@old.example", "big.joe@old.example"),
            ("joe <joe@old.example>", "joe <jim@new.example>"),
        ] {
            assert_eq!(address(before), after, "{before}");
        }
    }

    #[test]
    fn domains_beyond_ascii_and_literals_match() {
        let change = |value: &[u8], from: &str| {
            let rewriting = Rewrite::Domain {
                from,
                to: "new.example",
            };
            rewrite(value, &rewriting).map(|(out, count)| (out.escape_ascii().to_string(), count))
        };
        assert_eq!(
            change("a@M\u{dc}LLER.example".as_bytes(), "m\u{fc}ller.example"),
            Some(("a@new.example".into(), 1))
        );
        assert_eq!(
            change(b"a@[192.0.2.1]", "[192.0.2.1]"),
            Some(("a@new.example".into(), 1))
        );
        assert_eq!(
            change(b"\xff <a@\xff.example>, b@old.example", "old.example"),
            Some(("\\xff <a@\\xff.example>, b@new.example".into(), 1))
        );
    }
}
