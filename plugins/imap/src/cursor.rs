//! Where a listing stands, as compact text.
//!
//! `1:<uidvalidity>,<uidnext>,<modseq>,<count>,<claimed>`, and while a listing runs
//! `,<mode>,<at>,<seen>,<uidnext>,<modseq>,<count>,<claimed>`: what is known already, then how far the listing is, and
//! the state of the mailbox when it began, which will be what is known when it ends.

use whimbrel_plugin::{Failure, Result, cursor_body, next_field};

/// The state of a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Known {
    /// Higher than every UID that was listed.
    pub uid_next: u32,
    /// HIGHESTMODSEQ (RFC 7162); 0 where there is none.
    pub modseq: u64,
    /// How many messages it showed.
    pub count: u64,
    /// How many it claimed (EXISTS).
    pub claimed: u64,
}

/// What is being listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Everything, nothing being known.
    Full,
    /// Everything, again: the server keeps no mod-sequences.
    Again,
    /// What has a higher mod-sequence.
    Changed,
    /// The same, and then what vanished follows (QRESYNC).
    ChangedThenVanished,
    /// What vanished.
    Vanished,
    /// What has a higher mod-sequence, and the mere presence of the rest.
    Present,
    /// Everything from a UID on, for ever: what a crash is settled against.
    Newer,
}

const MODES: [(char, Mode); 7] = [
    ('f', Mode::Full),
    ('a', Mode::Again),
    ('c', Mode::Changed),
    ('q', Mode::ChangedThenVanished),
    ('v', Mode::Vanished),
    ('p', Mode::Present),
    ('n', Mode::Newer),
];

/// A listing under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Step {
    pub mode: Mode,
    /// The next UID to look at.
    pub at: u32,
    /// How many messages were listed so far.
    pub seen: u64,
    /// The state when it began.
    pub began: Known,
}

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    pub validity: u32,
    pub known: Known,
    pub step: Option<Step>,
}

impl Cursor {
    /// # Errors
    /// `internal` for what is no cursor of this plugin.
    pub fn parse(text: &str) -> Result<Self> {
        let mut fields = cursor_body(1, text)?.split(',');
        let validity = next_field(&mut fields, "uidvalidity")?;
        let known = Known::parse(&mut fields)?;
        let Some(letter) = fields.next() else {
            return Ok(Self {
                validity,
                known,
                step: None,
            });
        };
        let mode = MODES
            .iter()
            .find(|(known, _)| letter.chars().eq([*known]))
            .map(|(_, mode)| *mode);
        let mode = mode.ok_or_else(|| Failure::internal("the cursor's `mode` is none of this plugin's"))?;
        let at = next_field(&mut fields, "at")?;
        let seen = next_field(&mut fields, "seen")?;
        let began = Known::parse(&mut fields)?;
        Ok(Self {
            validity,
            known,
            step: Some(Step { mode, at, seen, began }),
        })
    }

    /// As text, at most some 200 bytes.
    pub fn text(&self) -> String {
        let mut text = format!("1:{},{}", self.validity, self.known.text());
        if let Some(Step { mode, at, seen, began }) = &self.step {
            let letter = MODES
                .iter()
                .find(|(_, known)| known == mode)
                .map_or('?', |(letter, _)| *letter);
            text.push_str(&format!(",{letter},{at},{seen},{}", began.text()));
        }
        text
    }
}

impl Known {
    fn parse<'a>(fields: &mut impl Iterator<Item = &'a str>) -> Result<Self> {
        Ok(Self {
            uid_next: next_field(fields, "uidnext")?,
            modseq: next_field(fields, "modseq")?,
            count: next_field(fields, "count")?,
            claimed: next_field(fields, "claimed")?,
        })
    }

    fn text(&self) -> String {
        format!("{},{},{},{}", self.uid_next, self.modseq, self.count, self.claimed)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn known() -> impl Strategy<Value = Known> {
        any::<(u32, u64, u64, u64)>().prop_map(|(uid_next, modseq, count, claimed)| Known {
            uid_next,
            modseq,
            count,
            claimed,
        })
    }

    proptest! {
        #[test]
        fn they_come_back(validity: u32, known in known(), step in proptest::option::of((0usize..7, any::<u32>(), any::<u64>(), known()))) {
            let step = step.map(|(mode, at, seen, began)| Step { mode: MODES[mode].1, at, seen, began });
            let cursor = Cursor { validity, known, step };
            prop_assert_eq!(Cursor::parse(&cursor.text()).unwrap(), cursor);
        }

        #[test]
        fn no_text_makes_it_panic(text in "(1:)?[0-9a-z,é]{0,60}") {
            let _ = Cursor::parse(&text);
        }
    }

    #[test]
    fn what_is_none_is_refused() {
        for text in [
            "",
            "1:",
            "2:1,2,3,4,5",
            "1:1,2,3,4",
            "1:1,2,3,4,5,x,1,1,1,1,1,1",
            "1:1,2,3,4,5,f,1",
            "1:-1,2,3,4,5",
        ] {
            assert!(matches!(Cursor::parse(text), Err(Failure::Internal(_))), "{text}");
        }
    }
}
