//! Flags and keywords, in IMAP's spelling (RFC 9051, 2.3.2).

/// Sorted, without duplicates and without `\Recent`; system flags in their usual spelling. Keywords keep theirs, and
/// two that differ in case only are one (RFC 9051, 2.3.2: keywords are case-insensitive).
pub fn normalise(flags: &[String]) -> Vec<String> {
    let mut out: Vec<String> = Vec::with_capacity(flags.len());
    for flag in flags {
        let flag = system(flag).unwrap_or(flag);
        if flag.is_empty() || flag.eq_ignore_ascii_case("\\Recent") {
            continue;
        }
        if !out.iter().any(|known| known.eq_ignore_ascii_case(flag)) {
            out.push(flag.to_owned());
        }
    }
    out.sort();
    out
}

/// Whether both name the same flags, in whatever order and case.
pub fn same(a: &[String], b: &[String]) -> bool {
    let (a, b) = (normalise(a), normalise(b));
    a.len() == b.len()
        && a.iter()
            .all(|flag| b.iter().any(|other| other.eq_ignore_ascii_case(flag)))
}

fn system(flag: &str) -> Option<&'static str> {
    ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"]
        .into_iter()
        .find(|known| known.eq_ignore_ascii_case(flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn strings(flags: &[&str]) -> Vec<String> {
        flags.iter().map(|flag| (*flag).to_owned()).collect()
    }

    #[test]
    fn system_flags_get_their_usual_spelling_and_recent_goes() {
        assert_eq!(
            normalise(&strings(&["\\SEEN", "Work", "\\Recent", "work", "\\seen"])),
            strings(&["Work", "\\Seen"])
        );
    }

    #[test]
    fn order_and_case_do_not_matter() {
        assert!(same(&strings(&["a", "\\seen"]), &strings(&["\\Seen", "A"])));
        assert!(!same(&strings(&["a"]), &strings(&["a", "b"])));
    }
}
