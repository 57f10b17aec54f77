//! Characters that do something instead of being seen.

use std::fmt::Write as _;

/// Shows control characters, and those that change the direction of writing, as `⟨U+202E⟩`. The page itself has none of
/// them but line feeds: whatever is found came from a mailbox or a server.
pub fn harmless(text: String) -> String {
    if !text.contains(acts) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 64);
    for c in text.chars() {
        if acts(c) {
            let _ = write!(out, "\u{27e8}U+{:04X}\u{27e9}", u32::from(c));
        } else {
            out.push(c);
        }
    }
    out
}

fn acts(c: char) -> bool {
    match c {
        '\n' => false,
        // Marks, embeddings, overrides and isolates of the bidirectional algorithm; separators of lines; fillers that
        // nobody sees; tags.
        '\u{061c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' => true,
        '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_acts_is_shown_and_what_is_written_stays() {
        let shown = harmless("a\u{202e}b\u{1b}[2J\u{0}\r\u{2028}\u{e0041}".to_owned());
        assert_eq!(shown, "a⟨U+202E⟩b⟨U+001B⟩[2J⟨U+0000⟩⟨U+000D⟩⟨U+2028⟩⟨U+E0041⟩");
        // Hebrew, Persian with a joiner, a family, thin spaces: all as they are.
        for text in ["שלום", "می\u{200c}خواهم", "👨\u{200d}👩\u{200d}👧", "1\u{202f}234\n"] {
            assert_eq!(harmless(text.to_owned()), text);
        }
    }
}
