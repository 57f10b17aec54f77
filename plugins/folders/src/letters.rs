//! Flags as the letters of Maildir, in a file's name. Keywords go by the letters `a` to `z` of [`Keywords`].

use crate::keywords::Keywords;

/// The letters of Maildir, in the order in which a name holds them, and what they mean.
const LETTERS: [(char, &str); 6] = [
    ('D', "\\Draft"),
    ('F', "\\Flagged"),
    ('P', "$Forwarded"),
    ('R', "\\Answered"),
    ('S', "\\Seen"),
    ('T', "\\Deleted"),
];

/// The flags that these letters tell, in IMAP's spelling. Letters without a meaning tell nothing.
pub fn flags(letters: &str, keywords: &Keywords) -> Vec<String> {
    let mut flags: Vec<String> = Vec::new();
    for letter in letters.chars() {
        let flag = match LETTERS.iter().find(|(known, _)| *known == letter) {
            Some((_, flag)) => Some(*flag),
            None => keywords.name(letter),
        };
        if let Some(flag) = flag
            && !flags.iter().any(|known| known.eq_ignore_ascii_case(flag))
        {
            flags.push(flag.to_owned());
        }
    }
    flags
}

/// The letters for these flags, made on top of those that the file has now: letters without a meaning stay. Keywords
/// get a letter; true where there was none left for one.
pub fn letters(flags: &[String], keywords: &mut Keywords, now: &str) -> (String, bool) {
    let mut chosen: Vec<char> = now
        .chars()
        .filter(|&letter| LETTERS.iter().all(|(known, _)| *known != letter) && keywords.name(letter).is_none())
        .collect();
    let mut dropped = false;
    for flag in flags {
        if flag.eq_ignore_ascii_case("\\Recent") || flag.is_empty() {
            continue;
        }
        let letter = LETTERS
            .iter()
            .find(|(_, known)| known.eq_ignore_ascii_case(flag))
            .map(|(letter, _)| *letter);
        chosen.extend(letter);
        // Dovecot does not know `P`: forwarded messages get the keyword as well.
        if letter.is_none_or(|letter| letter == 'P') {
            match keywords.letter_for(flag) {
                Some(letter) => chosen.push(letter),
                None => dropped |= letter.is_none(),
            }
        }
    }
    chosen.sort_unstable();
    chosen.dedup();
    (chosen.into_iter().collect(), dropped)
}
