//! Bodies that end with a line of one dot, and in which a dot before a dot at the beginning of a line means nothing
//! (RFC 1939 section 3).

use memchr::memchr;

/// Where in a line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Start,
    /// Behind a dot that began the line.
    Dot,
    /// Behind that and a carriage return.
    DotReturn,
    Within,
}

/// Takes such a body apart, in pieces of any size.
#[derive(Debug)]
pub(super) struct Dotted {
    at: At,
    /// Whether a line may end without a carriage return.
    bare: bool,
}

impl Dotted {
    /// At its beginning. `bare` where the server's lines end with a line feed alone.
    pub fn new(bare: bool) -> Self {
        Self { at: At::Start, bare }
    }

    /// Adds what `input` holds of the body to `out`; how much of it was used, and whether the end was among it.
    pub fn take(&mut self, input: &[u8], out: &mut Vec<u8>) -> (usize, bool) {
        let mut at = 0;
        while let Some(&byte) = input.get(at) {
            match (self.at, byte) {
                (At::Start, b'.') => {
                    self.at = At::Dot;
                    at += 1;
                }
                (At::Start, _) => self.at = At::Within,
                (At::Dot, b'\n') if self.bare => return (at + 1, true),
                (At::Dot, b'\r') => {
                    self.at = At::DotReturn;
                    at += 1;
                }
                (At::Dot, _) => self.at = At::Within,
                (At::DotReturn, b'\n') => return (at + 1, true),
                (At::DotReturn, _) => {
                    out.push(b'\r');
                    self.at = At::Within;
                }
                (At::Within, _) => {
                    let rest = &input[at..];
                    let end = memchr(b'\n', rest).map(|end| end + 1);
                    if end.is_some() {
                        self.at = At::Start;
                    }
                    let end = end.unwrap_or(rest.len());
                    out.extend_from_slice(&rest[..end]);
                    at += end;
                }
            }
        }
        (at, false)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Everything, given in pieces of `size` bytes: the body, and what is behind its end.
    fn taken(input: &[u8], size: usize, bare: bool) -> Option<(Vec<u8>, Vec<u8>)> {
        let mut dotted = Dotted::new(bare);
        let (mut out, mut from) = (Vec::new(), 0);
        for piece in input.chunks(size) {
            let (used, done) = dotted.take(piece, &mut out);
            from += used;
            if done {
                return Some((out, input[from..].to_vec()));
            }
        }
        None
    }

    #[test]
    fn dots_are_taken_away_and_the_end_is_found() {
        for (input, expected) in [
            ("a\r\n.\r\n", Some("a\r\n")),
            (".\r\n", Some("")),
            ("..\r\n...\r\n..a\r\n.b\r\n.\r\n", Some(".\r\n..\r\n.a\r\nb\r\n")),
            ("a.\r\n.\r\n", Some("a.\r\n")),
            ("a\n..b\n.\r\n", Some("a\n.b\n")),
            ("a\r\n.\rb\r\n.\r\n", Some("a\r\n\rb\r\n")),
            ("a\r\n.\n", None),
            ("a\r\n.", None),
            ("a", None),
        ] {
            for size in 1..6 {
                let found = taken(input.as_bytes(), size, false).map(|(body, _)| body);
                assert_eq!(found.as_deref(), expected.map(str::as_bytes), "{input:?} by {size}");
            }
        }
        assert_eq!(
            taken(b"a\n..\n.\n+OK", 2, true),
            Some((b"a\n.\n".to_vec(), b"+OK".to_vec()))
        );
    }

    proptest! {
        #[test]
        fn every_body_comes_back(lines in proptest::collection::vec("[.a\r]{0,4}", 0..8), size in 1usize..9) {
            let body: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
            let stuffed: String = lines
                .iter()
                .map(|line| if line.starts_with('.') { format!(".{line}\r\n") } else { format!("{line}\r\n") })
                .collect();
            let found = taken(format!("{stuffed}.\r\nrest").as_bytes(), size, false);
            prop_assert_eq!(found, Some((body.into_bytes(), b"rest".to_vec())));
        }
    }
}
