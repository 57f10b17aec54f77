//! `dovecot-uidlist`: the order in which an IMAP server shows a folder's messages. Read, never written.

use std::collections::HashMap;

use whimbrel_folders::hash::fnv;

use crate::names;

/// UIDs by base name.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct UidList {
    /// UIDVALIDITY.
    pub validity: u32,
    /// The UID that the next message gets: a message without one, or with a higher one, is newer than the list.
    pub next: u32,
    uids: HashMap<u64, u32>,
    line: Vec<u8>,
    first: bool,
}

/// A line longer than this is none of a list.
const LINE_BYTES: usize = 4096;

impl UidList {
    /// Nothing read so far.
    pub fn new() -> Self {
        Self {
            first: true,
            ..Self::default()
        }
    }

    /// The next bytes of the file.
    pub fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|&byte| byte == b'\n') {
            self.keep(&rest[..at]);
            let line = std::mem::take(&mut self.line);
            self.read_line(&String::from_utf8_lossy(&line));
            rest = &rest[at + 1..];
        }
        self.keep(rest);
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = LINE_BYTES.saturating_sub(self.line.len());
        self.line.extend_from_slice(&bytes[..bytes.len().min(room)]);
    }

    /// The first line is `3 V<uidvalidity> N<next uid> …` (version 3) or `1 <uidvalidity> <next uid>`; the others are
    /// `<uid> [extensions] :<file name>` or `<uid> <file name>`.
    fn read_line(&mut self, line: &str) {
        if std::mem::take(&mut self.first) {
            let mut fields = line.split(' ').skip(1);
            let mut number = |letter: char| {
                fields
                    .next()
                    .and_then(|field| field.strip_prefix(letter).unwrap_or(field).parse().ok())
                    .unwrap_or_default()
            };
            self.validity = number('V');
            self.next = number('N');
            return;
        }
        let Some((uid, rest)) = line.split_once(' ') else {
            return;
        };
        let Ok(uid) = uid.parse::<u32>() else { return };
        let file = match rest.strip_prefix(':') {
            Some(file) => file,
            None => rest.split_once(" :").map_or(rest, |(_, file)| file),
        };
        self.uids.insert(fnv(names::split(file).0.as_bytes()), uid);
    }

    /// The UID of the message with this base name; none where it is newer than the list.
    pub fn uid(&self, base: &str) -> Option<u32> {
        self.uids.get(&fnv(base.as_bytes())).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(bytes: &[u8]) -> UidList {
        let mut list = UidList::new();
        list.update(bytes);
        list
    }

    #[test]
    fn both_versions_are_read() {
        let three = list(b"3 V1275660208 N25022 G3085f01b7f11094c501100008c4a11c1\n25006 :1276528487.M364837P9451.host,S=1355,W=1394:2,\n25017 W2481 :1276533073.M242911P3632.host:2,F\n");
        assert_eq!((three.validity, three.next), (1_275_660_208, 25_022));
        assert_eq!(three.uid("1276528487.M364837P9451.host,S=1355,W=1394"), Some(25_006));
        assert_eq!(three.uid("1276533073.M242911P3632.host"), Some(25_017));
        assert_eq!(three.uid("x"), None);
        let one = list(b"1 1173189136 20221\n20001 1209378541.P4.host:2,S\n");
        assert_eq!(
            (one.validity, one.next, one.uid("1209378541.P4.host")),
            (1_173_189_136, 20_221, Some(20_001))
        );
    }

    proptest! {
        #[test]
        fn pieces_and_garbage_do_no_harm(bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b' '), Just(b':'), Just(b'1'), any::<u8>()], 0..200), cut in 0usize..200) {
            let mut pieces = UidList::new();
            let cut = cut.min(bytes.len());
            pieces.update(&bytes[..cut]);
            pieces.update(&bytes[cut..]);
            prop_assert_eq!(pieces, list(&bytes));
        }
    }
}
