//! Flags and fetch items that come from plugins: nothing in them may end a command or start another.

use whimbrel_model::Failure;

/// A parenthesised flag list (RFC 9051 `flag-list`), `\Recent` left out, which no client can set.
///
/// # Errors
/// `Rejected` for a flag that IMAP cannot write.
pub(super) fn format(flags: &[String]) -> Result<String, Failure> {
    let mut out = String::from("(");
    for flag in flags {
        if flag.eq_ignore_ascii_case("\\Recent") {
            continue;
        }
        let name = flag.strip_prefix('\\').unwrap_or(flag);
        if name.is_empty() || name.len() > 1000 || !name.bytes().all(atom_char) {
            return Err(Failure::Rejected(format!(
                "`{}` cannot be a flag in IMAP: no space, control or 8-bit character and none of ( ) {{ % * \" \\ ] may \
                 be in it",
                flag.chars()
                    .take(60)
                    .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
                    .collect::<String>()
            )));
        }
        if out.len() > 1 {
            out.push(' ');
        }
        out.push_str(flag);
    }
    out.push(')');
    Ok(out)
}

/// RFC 9051 `ATOM-CHAR`.
fn atom_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !b"(){%*\"\\]".contains(&byte)
}

/// Whether a plugin may fetch this item: plain names only. Body sections are not, for they could set `\Seen`.
pub(super) fn extra_item(item: &str) -> Result<(), Failure> {
    let upper = item.to_ascii_uppercase();
    let plain = !item.is_empty()
        && item.len() <= 64
        && item
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
    let body = [
        "RFC822",
        "RFC822.TEXT",
        "RFC822.HEADER",
        "BODY",
        "BODY.PEEK",
        "BINARY",
        "BINARY.PEEK",
    ]
    .contains(&upper.as_str());
    if plain && !body {
        return Ok(());
    }
    Err(Failure::Unsupported(format!(
        "`{}` is no fetch item that a listing can ask for",
        item.chars().filter(|c| !c.is_control()).take(60).collect::<String>()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_are_written_or_refused() {
        let list = |flags: &[&str]| format(&flags.iter().map(|flag| (*flag).to_owned()).collect::<Vec<_>>());
        assert_eq!(
            list(&["\\Seen", "\\recent", "$Forwarded", "Work+1"]).unwrap(),
            "(\\Seen $Forwarded Work+1)"
        );
        assert_eq!(list(&[]).unwrap(), "()");
        for bad in ["", "\\", "a b", "a)", "ü", "a\r\nb", "\\*", "a\"", "x]", "\\\\Seen"] {
            assert!(matches!(list(&[bad]), Err(Failure::Rejected(_))), "{bad}");
        }
    }

    #[test]
    fn no_extra_item_reads_a_body() {
        for good in ["X-GM-LABELS", "THREADID", "SAVEDATE", "x-gm-msgid"] {
            extra_item(good).unwrap();
        }
        for bad in [
            "BODY[]",
            "body",
            "RFC822",
            "Rfc822.Text",
            "A B",
            "A)\r\nX",
            "",
            "BODY.PEEK",
        ] {
            assert!(extra_item(bad).is_err(), "{bad}");
        }
    }
}
