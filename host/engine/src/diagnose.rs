//! What in an item may have made a destination refuse it.

use whimbrel_model::Fingerprint;

/// The longest line of RFC 5322, 2.1.1, and RFC 5321, 4.5.3.1.6, in bytes without its end.
const LONGEST_LINE: u64 = 998;

/// The oddities of a body, as a sentence; none where there is nothing odd.
pub fn diagnose(fingerprint: &Fingerprint) -> Option<String> {
    let mut oddities = Vec::new();
    if fingerprint.size == 0 {
        oddities.push("it is empty".to_owned());
    }
    if fingerprint.nuls > 0 {
        oddities.push(format!(
            "it contains {} NUL bytes (RFC 5322 forbids them, RFC 3516 BINARY allows them)",
            fingerprint.nuls
        ));
    }
    if fingerprint.bare_line_feeds > 0 {
        oddities.push(format!(
            "{} of its lines end without a carriage return",
            fingerprint.bare_line_feeds
        ));
    }
    if fingerprint.longest_line > LONGEST_LINE {
        oddities.push(format!(
            "its longest line has {} bytes (RFC 5322 allows {LONGEST_LINE})",
            fingerprint.longest_line
        ));
    }
    if oddities.is_empty() {
        None
    } else {
        Some(oddities.join("; "))
    }
}

#[cfg(test)]
mod tests {
    use whimbrel_model::Fingerprinter;

    use super::*;

    fn of(bytes: &[u8]) -> Option<String> {
        let mut printer = Fingerprinter::new();
        printer.update(bytes);
        diagnose(&printer.finish())
    }

    #[test]
    fn only_oddities_are_named() {
        assert_eq!(of(b"Subject: x\r\n\r\nfine\r\n"), None);
        let text = of(&[b"a\0\n".as_slice(), &[b'x'; 1200]].concat()).unwrap();
        assert!(
            text.contains("1 NUL") && text.contains("1200 bytes") && text.contains("1 of its lines"),
            "{text}"
        );
    }
}
