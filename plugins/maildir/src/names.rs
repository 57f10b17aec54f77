//! Names of message files: `unique:2,FLAGS` (Maildir), and the unique names that this connector gives.

use whimbrel_folders::keywords::Keywords;
use whimbrel_folders::letters;

/// Base name and info of a file name: `("1.M2.host,S=3", "2,S")`. The info is empty where there is none. Besides `:`,
/// the separators `;` and `!` of file systems without colons are known.
pub fn split(file: &str) -> (&str, &str) {
    if let Some((base, info)) = file.split_once(':') {
        return if base.is_empty() { (file, "") } else { (base, info) };
    }
    [";2,", "!2,"]
        .iter()
        .find_map(|separator| file.rfind(separator).filter(|&at| at > 0))
        .map_or((file, ""), |at| (&file[..at], &file[at + 1..]))
}

/// The flags that this info tells, in IMAP's spelling. Letters without a meaning tell nothing.
pub fn flags(info: &str, keywords: &Keywords) -> Vec<String> {
    letters::flags(letters_of(info), keywords)
}

/// The info for these flags, made on top of the one that the file has now: letters without a meaning and what other
/// programs wrote behind a second comma stay. Keywords get a letter; true where there was none left for one.
pub fn info(flags: &[String], keywords: &mut Keywords, now: &str) -> (String, bool) {
    let (chosen, dropped) = letters::letters(flags, keywords, letters_of(now));
    let tail = now
        .strip_prefix("2,")
        .and_then(|rest| rest.find(',').map(|at| &rest[at..]))
        .unwrap_or_default();
    (format!("2,{chosen}{tail}"), dropped)
}

fn letters_of(info: &str) -> &str {
    info.strip_prefix("2,")
        .map_or("", |rest| rest.split(',').next().unwrap_or_default())
}

/// A unique name as this connector makes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unique {
    /// Unix time at which the message was received.
    pub seconds: u64,
    /// Rises from one delivery into a folder to the next.
    pub sequence: u64,
    /// Of the content.
    pub hash: u64,
    /// Counts where a name was taken already.
    pub again: u32,
    /// Bytes of the file.
    pub size: u64,
    /// Bytes with CRLF line ends, where they were counted.
    pub virtual_size: Option<u64>,
}

impl Unique {
    /// The name, without info. Names of equal time sort by sequence.
    pub fn name(&self) -> String {
        let again = if self.again == 0 {
            String::new()
        } else {
            format!("x{}", self.again)
        };
        let wide = self.virtual_size.map(|bytes| format!(",W={bytes}")).unwrap_or_default();
        format!(
            "{:010}.W{:08}R{:016x}{again}.whimbrel,S={}{wide}",
            self.seconds, self.sequence, self.hash, self.size
        )
    }
}

/// The sequence of a unique name that this connector made.
pub fn sequence(file: &str) -> Option<u64> {
    let (base, _) = split(file);
    let mut parts = base.splitn(3, '.');
    let (_, unique, host) = (parts.next()?, parts.next()?, parts.next()?);
    let (digits, _) = unique.strip_prefix('W')?.split_once('R')?;
    if host != "whimbrel" && !host.starts_with("whimbrel,") {
        return None;
    }
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| digits.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn strings(flags: &[&str]) -> Vec<String> {
        flags.iter().map(|flag| (*flag).to_owned()).collect()
    }

    #[test]
    fn names_come_apart() {
        assert_eq!(split("1.M2.host,S=3:2,S"), ("1.M2.host,S=3", "2,S"));
        assert_eq!(split("1.M2.host"), ("1.M2.host", ""));
        assert_eq!(split("1.M2.host;2,RS"), ("1.M2.host", "2,RS"));
        assert_eq!(split("1.M2.host!2,"), ("1.M2.host", "2,"));
        assert_eq!(split(":2,S"), (":2,S", ""));
        assert_eq!(split("a:1,x:2,S"), ("a", "1,x:2,S"));
    }

    #[test]
    fn letters_are_flags() {
        let keywords = Keywords::parse(b"0 Work\n1 $Forwarded\n");
        assert_eq!(
            flags("2,DFRSTPab", &keywords),
            strings(&[
                "\\Draft",
                "\\Flagged",
                "\\Answered",
                "\\Seen",
                "\\Deleted",
                "$Forwarded",
                "Work"
            ])
        );
        assert!(flags("", &keywords).is_empty());
        assert!(flags("1,S", &keywords).is_empty());
        assert_eq!(flags("2,SZz,F", &keywords), strings(&["\\Seen"]));
    }

    #[test]
    fn what_is_not_ours_stays_in_the_info() {
        let mut keywords = Keywords::parse(b"0 Work\n");
        assert_eq!(
            info(&strings(&["\\Seen", "\\Recent"]), &mut keywords, "2,FZaz,more"),
            ("2,SZz,more".to_owned(), false)
        );
        assert_eq!(
            info(&strings(&["$forwarded", "work"]), &mut keywords, ""),
            ("2,Pab".to_owned(), false)
        );
    }

    #[test]
    fn the_27th_keyword_is_dropped() {
        let mut keywords = Keywords::default();
        let many: Vec<String> = (0..27).map(|n| format!("k{n}")).collect();
        let (written, dropped) = info(&many, &mut keywords, "");
        assert!(dropped);
        assert_eq!(written.len(), 2 + 26);
        assert_eq!(flags(&written, &keywords), many[..26].to_vec());
        assert_eq!(
            info(&strings(&["$Forwarded"]), &mut keywords, ""),
            ("2,P".to_owned(), false),
            "kept by its letter"
        );
    }

    #[test]
    fn only_our_own_names_have_a_sequence() {
        for foreign in [
            "1.M2P3.host",
            "1.W5R0.host",
            "1.W5.whimbrel",
            "1.WxR0.whimbrel",
            "1.W+5R0.whimbrel",
            "W5R0.whimbrel",
            "1.W5R0.whimbrels",
        ] {
            assert_eq!(sequence(foreign), None, "{foreign}");
        }
    }

    proptest! {
        #[test]
        fn unique_names_tell_their_sequence(seconds: u64, sequence: u64, hash: u64, again: u32, size: u64, virtual_size: Option<u64>) {
            let name = Unique { seconds, sequence, hash, again, size, virtual_size }.name();
            prop_assert!(name.len() < 160 && !name.contains([':', '/']));
            prop_assert_eq!(super::sequence(&name), Some(sequence));
            prop_assert_eq!(super::sequence(&format!("{name}:2,S")), Some(sequence));
        }

        #[test]
        fn flags_come_back(system in proptest::sample::subsequence(vec!["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft", "$Forwarded", "Work", "$Junk"], 0..8)) {
            let mut keywords = Keywords::default();
            let mut given = strings(&system);
            let (written, dropped) = info(&given, &mut keywords, "");
            prop_assert!(!dropped);
            let mut back = flags(&written, &keywords);
            given.sort();
            back.sort();
            prop_assert_eq!(back, given);
        }

        #[test]
        fn no_name_makes_it_fail(name in any::<String>()) {
            let (base, info) = split(&name);
            prop_assert!(base.len() + info.len() <= name.len());
            prop_assert_eq!(base.is_empty(), name.is_empty());
            flags(info, &Keywords::default());
            let _ = sequence(&name);
        }
    }
}
