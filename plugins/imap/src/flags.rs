//! Flags that a mailbox keeps (PERMANENTFLAGS; RFC 9051, 7.1 and 2.3.2).

/// System flags that a client may set.
const SYSTEM: [&str; 5] = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"];

/// What of the flags can be set in a mailbox with these PERMANENTFLAGS (none: not known, so all), and by name what was
/// left out: `flag-dropped`, `keyword-dropped`.
pub fn keepable(flags: Vec<String>, permanent: Option<&[String]>) -> (Vec<String>, Vec<String>) {
    let mut kept = Vec::with_capacity(flags.len());
    let mut dropped: Vec<String> = Vec::new();
    for flag in flags {
        if flag.eq_ignore_ascii_case("\\Recent") {
            continue;
        }
        let system = SYSTEM.iter().any(|known| known.eq_ignore_ascii_case(&flag));
        let possible = if flag.starts_with('\\') { system } else { is_atom(&flag) };
        let allowed = permanent.is_none_or(|permanent| {
            permanent
                .iter()
                .any(|known| known.eq_ignore_ascii_case(&flag) || (known == "\\*" && !system))
        });
        if possible && allowed {
            kept.push(flag);
            continue;
        }
        let name = if flag.starts_with('\\') {
            "flag-dropped"
        } else {
            "keyword-dropped"
        };
        if !dropped.iter().any(|known| known == name) {
            dropped.push(name.to_owned());
        }
    }
    (kept, dropped)
}

/// RFC 9051, section 9: `atom`.
fn is_atom(keyword: &str) -> bool {
    !keyword.is_empty()
        && keyword
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strings(flags: &[&str]) -> Vec<String> {
        flags.iter().map(|flag| (*flag).to_owned()).collect()
    }

    #[test]
    fn what_cannot_be_kept_is_named_once() {
        let flags = strings(&["\\Seen", "\\Recent", "Work", "Home", "$Forwarded", "\\Odd", "two words"]);
        let some = strings(&["\\seen", "$forwarded"]);
        assert_eq!(
            keepable(flags.clone(), Some(&some)),
            (
                strings(&["\\Seen", "$Forwarded"]),
                strings(&["keyword-dropped", "flag-dropped"])
            )
        );
        let any = strings(&["\\Seen", "\\*"]);
        assert_eq!(
            keepable(flags[..5].to_vec(), Some(&any)),
            (strings(&["\\Seen", "Work", "Home", "$Forwarded"]), vec![])
        );
        assert_eq!(keepable(strings(&["\\Draft"]), Some(&any)).1, ["flag-dropped"]);
        assert_eq!(
            keepable(flags, None).0,
            strings(&["\\Seen", "Work", "Home", "$Forwarded"])
        );
    }

    proptest! {
        #[test]
        fn what_is_kept_fits_into_a_command(flags in proptest::collection::vec(".{0,10}", 0..5)) {
            for flag in keepable(flags, None).0 {
                prop_assert!(flag.bytes().all(|byte| byte.is_ascii_graphic() && byte != b')' && byte != b'"'));
            }
        }
    }
}
