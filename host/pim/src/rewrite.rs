//! Addresses in a text, and others in their place.

/// What is looked for, and what takes its place.
#[derive(Debug, Clone, Copy)]
pub enum Wish<'w> {
    /// A whole address.
    Address {
        /// In any case.
        from: &'w str,
        /// As it is to stand.
        to: &'w str,
    },
    /// What stands behind the `@`.
    Domain {
        /// In any case.
        from: &'w str,
        /// As it is to stand.
        to: &'w str,
    },
}

/// Whether a character may stand in an address that is in no quotes.
fn belongs(letter: char) -> bool {
    letter.is_alphanumeric() || "@._-+%&!~#$'*/?^`{|}".contains(letter)
}

/// The text with all addresses that are meant changed; none where there are none.
pub fn rewrite(text: &str, wish: Wish<'_>) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut changed = false;
    let mut rest = text;
    while let Some(start) = rest.find(belongs) {
        let end = rest[start..]
            .find(|letter| !belongs(letter))
            .map_or(rest.len(), |length| start + length);
        let word = &rest[start..end];
        out.push_str(&rest[..start]);
        match instead(word, wish) {
            Some(new) => {
                changed = true;
                out.push_str(&new);
            }
            None => out.push_str(word),
        }
        rest = &rest[end..];
    }
    out.push_str(rest);
    changed.then_some(out)
}

fn instead(word: &str, wish: Wish<'_>) -> Option<String> {
    // What follows an address in a `mailto` URI (RFC 6068), and the point at the end of a sentence.
    let address = word.split('?').next().unwrap_or(word).trim_end_matches('.');
    let more = &word[address.len()..];
    let (local, domain) = address.rsplit_once('@')?;
    let new = match wish {
        Wish::Address { from, to } => address.eq_ignore_ascii_case(from).then(|| to.to_owned())?,
        Wish::Domain { from, to } => domain.eq_ignore_ascii_case(from).then(|| format!("{local}@{to}"))?,
    };
    Some(new + more)
}
