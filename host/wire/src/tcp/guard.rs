//! What a source is told: nothing that alters it.

use whimbrel_model::Failure;

/// How commands begin that alter what is there, of the protocols that are spoken over such connections: POP3's DELE
/// (RFC 1939), and those of ManageSieve (RFC 5804), whose DELETESCRIPT begins like it.
const ALTERING: [&str; 4] = ["DELE", "PUTSCRIPT", "SETACTIVE", "RENAMESCRIPT"];
/// The longest of them.
const LONGEST: usize = 12;

/// Looks at the first word of every line that is written.
#[derive(Debug)]
pub(super) struct Guard {
    active: bool,
    /// How the line begins that is being written; no more of it than counts.
    word: Vec<u8>,
    /// The first word is over.
    over: bool,
}

impl Guard {
    pub fn new(active: bool) -> Self {
        Self {
            active,
            word: Vec::new(),
            over: false,
        }
    }

    /// Lets these bytes pass, which go on where the last ones stopped.
    ///
    /// # Errors
    /// `Forbidden` where one of their lines is a command that alters.
    pub fn pass(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        if !self.active {
            return Ok(());
        }
        for &byte in bytes {
            if byte == b'\n' {
                self.word.clear();
                self.over = false;
            } else if !self.over {
                if byte.is_ascii_whitespace() {
                    // Blanks before a command mean nothing to some servers.
                    self.over = !self.word.is_empty();
                } else {
                    self.word.push(byte);
                    self.over = self.word.len() > LONGEST;
                }
            }
            let word = std::str::from_utf8(&self.word).unwrap_or_default();
            if let Some(command) = ALTERING.iter().find(|command| command.eq_ignore_ascii_case(word)) {
                return Err(Failure::Forbidden(format!(
                    "{command} was to be sent to a source: a source is only read"
                )));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_alter_do_not_pass_however_they_are_written() {
        for pieces in [
            &["DELE 1\r\n"][..],
            &["RETR 1\r\ndele 1\r\n"],
            &["DE", "LE", " 1\r\n"],
            &["  DELE 1"],
            &["NOOP\nDeLe\t1"],
            &["DELETESCRIPT \"a\"\r\n"],
            &["LISTSCRIPTS\r\nputscript \"a\" {1+}\r\n"],
            &["SetActive \"\"\r\n"],
            &["RENAME", "SCRIPT \"a\" \"b\"\r\n"],
        ] {
            let mut guard = Guard::new(true);
            let passed = pieces.iter().try_for_each(|piece| guard.pass(piece.as_bytes()));
            assert!(matches!(passed, Err(Failure::Forbidden(_))), "{pieces:?}");
            let mut none = Guard::new(false);
            assert!(pieces.iter().all(|piece| none.pass(piece.as_bytes()).is_ok()));
        }
        let mut guard = Guard::new(true);
        for passed in [
            "RETR 1\r\n",
            "TOP 1 0\r\nUIDL\r\n",
            "USER dele\r\n",
            "XDELE\r\n",
            "DEL 1\r\n",
            "GETSCRIPT \"PUTSCRIPT\"\r\n",
            "CHECKSCRIPT {1+}\r\n",
            "\r\n\r\nNOOP\r\n",
        ] {
            guard.pass(passed.as_bytes()).unwrap();
        }
    }
}
