//! Address lists (RFC 5322 section 3.4 with the obsolete forms of 4.4, RFC 6532): one tokenizer for reading and for
//! rewriting.

use std::ops::Range;

use crate::words::{decode_words, encoded_word_length};

/// A mailbox of an address list.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Address {
    /// The display name, decoded; the last comment where there is none; else empty.
    pub name: String,
    /// `local@domain` as written, without comments and folding; empty where only a name stands.
    pub address: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A run of ordinary bytes, or an encoded word.
    Atom,
    Quoted,
    Literal,
    Comment,
    Special(u8),
}

#[derive(Debug, Clone)]
struct Token {
    kind: Kind,
    start: usize,
    end: usize,
}

/// Where an addr-spec stands in a value: the tokens of its local part and of its domain.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    local: Vec<Range<usize>>,
    domain: Vec<Range<usize>>,
    comments: Vec<Range<usize>>,
}

impl Spec {
    /// The local part without quotes, comments and folding.
    pub(crate) fn local(&self, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for range in &self.local {
            match &value[range.clone()] {
                quoted @ [b'"', ..] => out.extend_from_slice(&unquote(quoted)),
                plain => out.extend_from_slice(plain),
            }
        }
        out
    }

    /// The domain without comments and folding.
    pub(crate) fn domain(&self, value: &[u8]) -> Vec<u8> {
        joined(value, &self.domain)
    }

    /// From the first byte of the local part to the last of the domain.
    pub(crate) fn range(&self) -> Range<usize> {
        let domain = self.domain_range();
        self.local.first().map_or(domain.start, |range| range.start)..domain.end
    }

    /// From the first byte of the domain to its last.
    pub(crate) fn domain_range(&self) -> Range<usize> {
        let start = self.domain.first().map_or(0, |range| range.start);
        start..self.domain.last().map_or(start, |range| range.end)
    }

    /// The comments in a range of the value that belong to this addr-spec, one after the other.
    pub(crate) fn comments_in(&self, value: &[u8], range: &Range<usize>) -> Vec<u8> {
        let inside = |comment: &&Range<usize>| comment.start >= range.start && comment.end <= range.end;
        self.comments
            .iter()
            .filter(inside)
            .flat_map(|comment| &value[comment.clone()])
            .copied()
            .collect()
    }

    fn text(&self, value: &[u8]) -> String {
        let mut out = joined(value, &self.local);
        out.push(b'@');
        out.extend_from_slice(&self.domain(value));
        crate::words::decode_text(&out)
    }
}

fn joined(value: &[u8], ranges: &[Range<usize>]) -> Vec<u8> {
    ranges.iter().flat_map(|range| &value[range.clone()]).copied().collect()
}

/// The addresses that a value lists.
pub(crate) fn addresses(value: &[u8]) -> Vec<Address> {
    let tokens = tokens(value);
    mailboxes(&tokens)
        .into_iter()
        .filter_map(|mailbox| view(value, &tokens[mailbox.range], mailbox.angle))
        .collect()
}

/// The addr-specs of a value; none that stands in a comment, a display name, a quoted string or an encoded word.
pub(crate) fn specs(value: &[u8]) -> Vec<Spec> {
    let tokens = tokens(value);
    mailboxes(&tokens)
        .into_iter()
        .flat_map(|mailbox| {
            let tokens = &tokens[mailbox.range];
            match mailbox.angle {
                Some(angle) => find_specs(value, &tokens[angle]),
                None => find_specs(value, tokens),
            }
        })
        .collect()
}

/// One entry of a list, as ranges of tokens.
struct Mailbox {
    range: Range<usize>,
    /// What stands between the angle brackets, behind the route; relative to `range`.
    angle: Option<Range<usize>>,
}

/// Cuts the list at commas and semicolons, and behind the colon of a group's name.
fn mailboxes(tokens: &[Token]) -> Vec<Mailbox> {
    let mut out = Vec::new();
    let mut start = 0;
    let mut at = 0;
    let mut angle: Option<Range<usize>> = None;
    let mut push = |range: Range<usize>, angle: Option<Range<usize>>| {
        if !range.is_empty() {
            let first = range.start;
            let angle = angle.map(|angle| angle.start - first..angle.end - first);
            out.push(Mailbox { range, angle });
        }
    };
    while let Some(token) = tokens.get(at) {
        match token.kind {
            Kind::Special(b'<') => {
                let open = route_end(tokens, at + 1);
                let mut close = open;
                while tokens
                    .get(close)
                    .is_some_and(|token| !matches!(token.kind, Kind::Special(b'>' | b',' | b';' | b'<')))
                {
                    close += 1;
                }
                // Of several pairs of brackets the first that holds something counts.
                if angle.as_ref().is_none_or(Range::is_empty) {
                    angle = Some(open..close);
                }
                at = close.max(at + 1);
                if matches!(tokens.get(at).map(|token| token.kind), Some(Kind::Special(b'>'))) {
                    at += 1;
                }
                continue;
            }
            Kind::Special(b',' | b';') => {
                push(start..at, angle.take());
                start = at + 1;
            }
            Kind::Special(b':') if angle.is_none() => start = at + 1,
            _ => {}
        }
        at += 1;
    }
    push(start..tokens.len(), angle);
    out
}

/// Behind the route of an obsolete angle-addr: `@one,@two:`.
fn route_end(tokens: &[Token], from: usize) -> usize {
    let first = tokens[from.min(tokens.len())..]
        .iter()
        .find(|token| token.kind != Kind::Comment);
    if !first.is_some_and(|token| token.kind == Kind::Special(b'@')) {
        return from;
    }
    for (at, token) in tokens.iter().enumerate().skip(from) {
        match token.kind {
            Kind::Special(b':') => return at + 1,
            Kind::Special(b'>' | b'<' | b';' | b'"') => return from,
            _ => {}
        }
    }
    from
}

/// All `local@domain` among the tokens. Several in a row with more than one `@` are ambiguous and left out.
fn find_specs(value: &[u8], all: &[Token]) -> Vec<Spec> {
    let comments: Vec<&Token> = all.iter().filter(|token| token.kind == Kind::Comment).collect();
    let tokens: Vec<&Token> = all.iter().filter(|token| token.kind != Kind::Comment).collect();
    let mut out: Vec<Spec> = Vec::new();
    let mut free = 0;
    for at in 0..tokens.len() {
        if tokens[at].kind != Kind::Special(b'@') {
            continue;
        }
        let mut first = at;
        while first > free
            && is_local(value, tokens[first - 1])
            && (first == at || adjoins(tokens[first - 1], tokens[first]))
        {
            first -= 1;
        }
        let mut last = at + 1;
        while tokens
            .get(last)
            .is_some_and(|token| is_domain(value, token) && (last == at + 1 || adjoins(tokens[last - 1], token)))
        {
            last += 1;
        }
        let chained = tokens.get(last).is_some_and(|token| token.kind == Kind::Special(b'@'))
            || (first == at && at > 0 && free == at);
        free = last;
        // A dot behind the domain ends a sentence.
        while last > at + 2 && tokens[last - 1].kind == Kind::Special(b'.') {
            last -= 1;
        }
        if first < at && last > at + 1 && !chained {
            let ranges = |tokens: &[&Token]| tokens.iter().map(|token| token.start..token.end).collect();
            let (start, end) = (tokens[first].start, tokens[last - 1].end);
            let from = comments.partition_point(|comment| comment.start < start);
            let to = comments.partition_point(|comment| comment.start < end);
            out.push(Spec {
                local: ranges(&tokens[first..at]),
                domain: ranges(&tokens[at + 1..last]),
                comments: comments[from..to.max(from)]
                    .iter()
                    .map(|token| token.start..token.end)
                    .collect(),
            });
        }
    }
    out
}

fn is_local(value: &[u8], token: &Token) -> bool {
    match token.kind {
        Kind::Atom => !is_word(value, token),
        Kind::Quoted => true,
        Kind::Special(byte) => byte == b'.',
        Kind::Literal | Kind::Comment => false,
    }
}

fn is_domain(value: &[u8], token: &Token) -> bool {
    match token.kind {
        Kind::Atom => !is_word(value, token),
        Kind::Literal => true,
        Kind::Special(byte) => byte == b'.',
        Kind::Quoted | Kind::Comment => false,
    }
}

fn is_word(value: &[u8], token: &Token) -> bool {
    encoded_word_length(&value[token.start..token.end]).is_some()
}

/// Two tokens belong together if they touch, or if one of them is a dot (obsolete: blanks and comments around dots).
fn adjoins(left: &Token, right: &Token) -> bool {
    let dot = |token: &Token| token.kind == Kind::Special(b'.');
    left.end == right.start || dot(left) != dot(right)
}

/// What the tokens of one entry say.
fn view(value: &[u8], tokens: &[Token], angle: Option<Range<usize>>) -> Option<Address> {
    let comment = || {
        let token = tokens.iter().rfind(|token| token.kind == Kind::Comment)?;
        let text = value.get(token.start + 1..token.end)?;
        let text = text.strip_suffix(b")").unwrap_or(text);
        Some(decode_phrase(&unescape(text)))
    };
    if let Some(angle) = angle {
        let inside = &tokens[angle.clone()];
        let before = tokens
            .iter()
            .take(angle.start)
            .rposition(|token| token.kind == Kind::Special(b'<'));
        let phrase = phrase(value, &tokens[..before.unwrap_or(0)]);
        let name = if phrase.is_empty() {
            comment().unwrap_or_default()
        } else {
            phrase
        };
        let address = match find_specs(value, inside).first() {
            Some(spec) => spec.text(value),
            None => plain(value, inside),
        };
        return (!name.is_empty() || !address.is_empty()).then_some(Address { name, address });
    }
    let specs = find_specs(value, tokens);
    if let Some(spec) = specs.first() {
        let range = spec.range();
        let others: Vec<Token> = tokens
            .iter()
            .filter(|token| token.end <= range.start || token.start >= range.end)
            .cloned()
            .collect();
        let phrase = phrase(value, &others);
        let name = if phrase.is_empty() {
            comment().unwrap_or_default()
        } else {
            phrase
        };
        return Some(Address {
            name,
            address: spec.text(value),
        });
    }
    let words: Vec<&Token> = tokens.iter().filter(|token| token.kind != Kind::Comment).collect();
    let ambiguous = words.iter().any(|token| token.kind == Kind::Special(b'@'));
    let single = matches!(words.as_slice(), [token] if token.kind == Kind::Atom && !is_word(value, token));
    let address = if ambiguous || single {
        plain(value, tokens)
    } else {
        String::new()
    };
    let name = if address.is_empty() {
        phrase(value, tokens)
    } else {
        comment().unwrap_or_default()
    };
    (!name.is_empty() || !address.is_empty()).then_some(Address { name, address })
}

/// The tokens without comments, as one word.
fn plain(value: &[u8], tokens: &[Token]) -> String {
    let bytes: Vec<u8> = tokens
        .iter()
        .filter(|token| token.kind != Kind::Comment)
        .flat_map(|token| &value[token.start..token.end])
        .copied()
        .collect();
    crate::words::decode_text(&bytes)
}

/// A display name: words, quoted strings and what else stands there, with one blank where there were some.
fn phrase(value: &[u8], tokens: &[Token]) -> String {
    let mut out = Vec::new();
    let mut end = None;
    for token in tokens.iter().filter(|token| token.kind != Kind::Comment) {
        if end.is_some_and(|end| end != token.start) {
            out.push(b' ');
        }
        match token.kind {
            Kind::Quoted => out.extend_from_slice(&unquote(&value[token.start..token.end])),
            _ => out.extend_from_slice(&value[token.start..token.end]),
        }
        end = Some(token.end);
    }
    decode_phrase(&out)
}

fn decode_phrase(bytes: &[u8]) -> String {
    decode_words(&crate::words::unfold(bytes)).trim().to_owned()
}

fn unquote(quoted: &[u8]) -> Vec<u8> {
    unescape(
        quoted
            .strip_prefix(b"\"")
            .and_then(|rest| rest.strip_suffix(b"\""))
            .unwrap_or(quoted),
    )
}

/// Without the backslashes of quoted pairs.
pub(crate) fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter();
    while let Some(&byte) = bytes.next() {
        match byte {
            b'\\' => out.extend(bytes.next().copied()),
            _ => out.push(byte),
        }
    }
    out
}

fn tokens(value: &[u8]) -> Vec<Token> {
    let mut out = Vec::new();
    let mut at = 0;
    // A quote that nobody closes is an ordinary byte; so are all that follow it.
    let mut quotes = true;
    while let Some(&byte) = value.get(at) {
        let start = at;
        let kind = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'"' if quotes => match quoted_end(value, at) {
                Some(end) => {
                    at = end;
                    Kind::Quoted
                }
                None => {
                    quotes = false;
                    continue;
                }
            },
            b'(' => {
                at = comment_end(value, at);
                Kind::Comment
            }
            b'[' => match literal_end(value, at) {
                Some(end) => {
                    at = end;
                    Kind::Literal
                }
                None => {
                    at += 1;
                    Kind::Special(byte)
                }
            },
            b'<' | b'>' | b',' | b';' | b':' | b'@' | b'.' | b'\\' | b']' | b')' | b'"' => {
                at += 1;
                Kind::Special(byte)
            }
            b'=' if encoded_word_length(&value[at..]).is_some() => {
                at += encoded_word_length(&value[at..]).unwrap_or(1);
                Kind::Atom
            }
            _ => {
                at += 1;
                while value
                    .get(at)
                    .is_some_and(|&byte| is_atom(byte) && !(byte == b'=' && value.get(at + 1) == Some(&b'?')))
                {
                    at += 1;
                }
                Kind::Atom
            }
        };
        out.push(Token { kind, start, end: at });
    }
    out
}

fn is_atom(byte: u8) -> bool {
    !matches!(
        byte,
        b' ' | b'\t'
            | b'\r'
            | b'\n'
            | b'"'
            | b'('
            | b')'
            | b'['
            | b']'
            | b'<'
            | b'>'
            | b','
            | b';'
            | b':'
            | b'@'
            | b'.'
            | b'\\'
    )
}

fn quoted_end(value: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match value.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// Comments nest; one that nobody closes reaches to the end.
fn comment_end(value: &[u8], start: usize) -> usize {
    let mut depth = 0usize;
    let mut at = start;
    while let Some(&byte) = value.get(at) {
        at += 1;
        match byte {
            b'(' => depth += 1,
            b')' => {
                depth -= 1;
                if depth == 0 {
                    return at;
                }
            }
            b'\\' => at += 1,
            _ => {}
        }
    }
    value.len()
}

/// `[192.0.2.1]`; not longer than a line, and nothing that looks like another address.
fn literal_end(value: &[u8], start: usize) -> Option<usize> {
    let length = value[start + 1..]
        .iter()
        .take(256)
        .position(|&byte| matches!(byte, b']' | b'[' | b'<' | b'>' | b',' | b'@' | b'"' | b'('))?;
    let end = start + 1 + length;
    (value[end] == b']').then_some(end + 1)
}
