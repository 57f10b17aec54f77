//! Which keyword each of the letters `a` to `z` stands for in a folder's file names; in the form of Dovecot's
//! `dovecot-keywords`.

/// Letters there are.
const LETTERS: usize = 26;

/// The keywords of one folder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Keywords {
    names: [Option<String>; LETTERS],
    /// Lines with an index that has no letter, as they were.
    others: Vec<String>,
    changed: bool,
}

impl Keywords {
    /// From the file's bytes: lines of an index and a name. Lines that are none are passed over.
    pub fn parse(bytes: &[u8]) -> Self {
        let mut keywords = Self::default();
        for line in String::from_utf8_lossy(bytes).lines() {
            let Some((index, name)) = line.split_once(' ') else {
                continue;
            };
            let Ok(index) = index.parse::<usize>() else { continue };
            match keywords.names.get_mut(index) {
                Some(place) if !name.is_empty() => *place = Some(name.to_owned()),
                Some(_) => {}
                None => keywords.others.push(line.to_owned()),
            }
        }
        keywords
    }

    /// The file's bytes.
    pub fn render(&self) -> Vec<u8> {
        let mut out = String::new();
        for (index, name) in self.names.iter().enumerate() {
            if let Some(name) = name {
                out.push_str(&format!("{index} {name}\n"));
            }
        }
        for line in &self.others {
            out.push_str(line);
            out.push('\n');
        }
        out.into_bytes()
    }

    /// The keyword that the letter stands for.
    pub fn name(&self, letter: char) -> Option<&str> {
        let index = u32::from(letter)
            .checked_sub(u32::from('a'))
            .and_then(|index| usize::try_from(index).ok())?;
        self.names.get(index)?.as_deref()
    }

    /// The keyword's letter, a new one if need be; none where all are taken, or the keyword cannot stand in a line.
    pub fn letter_for(&mut self, keyword: &str) -> Option<char> {
        let known = self
            .names
            .iter()
            .position(|name| name.as_deref().is_some_and(|name| name.eq_ignore_ascii_case(keyword)));
        let index = match known {
            Some(index) => index,
            None => {
                if keyword.is_empty()
                    || keyword.starts_with('\\')
                    || keyword.contains(|c: char| c.is_control() || c == ' ')
                {
                    return None;
                }
                let free = self.names.iter().position(Option::is_none)?;
                self.names[free] = Some(keyword.to_owned());
                self.changed = true;
                free
            }
        };
        u8::try_from(index).ok().map(|index| char::from(b'a' + index))
    }

    /// True once after letters were given out.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_comes_back_and_letters_stay() {
        let mut keywords = Keywords::parse(b"0 Work\nnonsense\n2 $Junk\n30 Far\nx y\n");
        assert_eq!(
            (keywords.name('a'), keywords.name('b'), keywords.name('c')),
            (Some("Work"), None, Some("$Junk"))
        );
        assert_eq!(
            (keywords.name('A'), keywords.name('{'), keywords.name('ü')),
            (None, None, None)
        );
        assert_eq!(keywords.letter_for("work"), Some('a'));
        assert!(!keywords.take_changed());
        assert_eq!(keywords.letter_for("New"), Some('b'));
        assert!(keywords.take_changed());
        assert_eq!(keywords.render(), b"0 Work\n1 New\n2 $Junk\n30 Far\n");
    }

    #[test]
    fn a_keyword_that_would_break_the_file_gets_no_letter() {
        for keyword in ["a b", "a\nb", "", "\\Strange"] {
            assert_eq!(Keywords::default().letter_for(keyword), None);
        }
    }
}
