//! What a server says, through every reader there is.

use super::dates;
use super::list::read_list;
use super::names::{Encoding, Names};
use super::parse::{Cursor, Kind, Response, announced_literal};
use super::scan::{read_esearch, read_search, read_summary};
use super::select;
use super::sets::UidSet;

/// Reads a response in every way; whatever comes of it.
pub fn response(bytes: &[u8]) {
    let _ = announced_literal(bytes);
    let response = Response {
        bytes: bytes.to_vec(),
        bodies: Vec::new(),
    };
    if let Some(Kind::Data(mut data)) = response.kind() {
        read_list(&mut data);
    }
    if let Some(Kind::Data(data)) = response.kind() {
        let rest = || data.rest.clone();
        let _ = (rest().words(), rest().raw(), rest().item_name(), rest().number());
        let mut values = rest();
        while values.value().is_some() {}
        read(rest);
    }
    read(|| Cursor::over(bytes));
    let _ = dates::parse(bytes);
    for encoding in [Encoding::Utf7, Encoding::Utf8] {
        let mut names = Names::new(encoding);
        let listing: Vec<Vec<u8>> = bytes.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
        for (raw, name) in names.learn(&listing) {
            assert_eq!(names.raw(&name), raw, "a name leads back to its mailbox");
        }
    }
}

fn read<'a>(rest: impl Fn() -> Cursor<'a>) {
    let _ = read_summary(&mut rest(), &["X-GM-LABELS".to_owned()]);
    let _ = read_esearch(&mut rest());
    read_search(&mut rest(), &mut Vec::new());
    let _ = select::read(&mut rest());
    if let Some(set) = UidSet::parse(rest().remaining()) {
        let _ = (set.count(), set.last(), set.format(100));
    }
}
