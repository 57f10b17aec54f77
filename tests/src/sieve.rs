//! A ManageSieve client (RFC 5804) that shares nothing with the program under test, in clear text.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::time::Duration;

use crate::servers::PASSWORD;

/// The scripts of a mailbox, and the name of the one that filters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filters {
    /// By name, with line feeds only and none at the end: stores differ in that.
    pub scripts: BTreeMap<String, String>,
    /// The one that filters.
    pub active: Option<String>,
}

/// A session of `user`, with the password of every user here.
#[derive(Debug)]
pub struct Sieve {
    stream: BufReader<TcpStream>,
}

impl Sieve {
    /// Connects and logs in.
    pub fn login(port: u16, user: &str) -> Self {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("a ManageSieve server");
        stream
            .set_read_timeout(Some(Duration::from_secs(30)))
            .expect("a socket");
        let mut sieve = Self {
            stream: BufReader::new(stream),
        };
        sieve.end().expect("a greeting");
        let secret = crate::dav::base64(format!("\0{user}\0{PASSWORD}").as_bytes());
        sieve.ask(&format!("AUTHENTICATE \"PLAIN\" \"{secret}\""));
        sieve
    }

    /// All that is there.
    pub fn filters(&mut self) -> Filters {
        let mut filters = Filters::default();
        for line in self.ask("LISTSCRIPTS") {
            let (name, rest) = string(&line);
            let text = self.get(&name).replace("\r\n", "\n").trim_end_matches('\n').to_owned();
            let name = decoded(&name);
            if rest.trim().eq_ignore_ascii_case("ACTIVE") {
                filters.active = Some(name.clone());
            }
            let twice = filters.scripts.insert(name, text);
            assert!(twice.is_none(), "{line} is there twice");
        }
        filters
    }

    /// A script as it is served.
    pub fn get(&mut self, name: &str) -> String {
        let answer = self.ask(&format!("GETSCRIPT {}", quoted(name)));
        answer.into_iter().next().unwrap_or_default()
    }

    /// Stores a script.
    pub fn put(&mut self, name: &str, text: &str) {
        self.ask(&format!("PUTSCRIPT {} {{{}+}}\r\n{text}", quoted(name), text.len()));
    }

    /// Lets this one filter; none for an empty name.
    pub fn activate(&mut self, name: &str) {
        self.ask(&format!("SETACTIVE {}", quoted(name)));
    }

    /// Removes a script.
    pub fn delete(&mut self, name: &str) {
        self.ask(&format!("DELETESCRIPT {}", quoted(name)));
    }

    /// Gives a script another name.
    pub fn rename(&mut self, name: &str, to: &str) {
        self.ask(&format!("RENAMESCRIPT {} {}", quoted(name), quoted(to)));
    }

    fn ask(&mut self, command: &str) -> Vec<String> {
        let stream = self.stream.get_mut();
        stream.write_all(command.as_bytes()).expect("an open connection");
        stream.write_all(b"\r\n").expect("an open connection");
        let shown: String = command.chars().take(60).collect();
        self.end().unwrap_or_else(|refused| panic!("{shown}: {refused}"))
    }

    /// What comes before OK, literals as their content; else the refusal.
    fn end(&mut self) -> Result<Vec<String>, String> {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            let read = self.stream.read_line(&mut line).expect("an answer");
            assert!(read > 0, "the server closed the connection");
            let text = line.trim_end();
            let literal = text
                .strip_suffix('}')
                .and_then(|text| text.rsplit_once('{'))
                .and_then(|(before, length)| Some((before, length.trim_end_matches('+').parse::<usize>().ok()?)));
            let whole = match literal {
                Some((before, length)) => {
                    let mut bytes = vec![0; length];
                    self.stream.read_exact(&mut bytes).expect("a literal");
                    let mut rest = String::new();
                    self.stream.read_line(&mut rest).expect("the end of a line");
                    format!("{before}{}", String::from_utf8(bytes).expect("UTF-8"))
                }
                None => text.to_owned(),
            };
            let word = whole.split([' ', '(']).next().unwrap_or_default().to_ascii_uppercase();
            match word.as_str() {
                "OK" if literal.is_none_or(|(before, _)| !before.is_empty()) => return Ok(lines),
                "NO" | "BYE" if literal.is_none_or(|(before, _)| !before.is_empty()) => return Err(whole),
                _ => lines.push(whole),
            }
        }
    }
}

/// As a quoted string; beyond ASCII as a literal, since Cyrus takes nothing else.
fn quoted(text: &str) -> String {
    if !text.is_ascii() {
        return format!("{{{}+}}\r\n{text}", text.len());
    }
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A name that Cyrus lists as encoded words (RFC 2047).
fn decoded(name: &str) -> String {
    let Some(words) = name.strip_prefix("=?UTF-8?Q?").and_then(|rest| rest.strip_suffix("?=")) else {
        return name.to_owned();
    };
    let words = words.replace("?= =?UTF-8?Q?", "").replace('_', " ");
    let mut parts = words.split('=');
    let mut bytes = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        bytes.push(u8::from_str_radix(&part[..2], 16).expect("two digits"));
        bytes.extend_from_slice(&part.as_bytes()[2..]);
    }
    String::from_utf8(bytes).expect("UTF-8")
}

/// The quoted string at the beginning, and what follows it; a literal is the whole. Cyrus does not escape quotes.
fn string(line: &str) -> (String, &str) {
    let Some(inner) = line.strip_prefix('"') else {
        return (line.to_owned(), "");
    };
    let (mut text, mut escaped) = (String::new(), false);
    for (at, letter) in inner.char_indices() {
        match letter {
            _ if escaped => {
                text.push(letter);
                escaped = false;
            }
            '\\' => escaped = true,
            '"' if matches!(inner[at + 1..].trim(), "" | "ACTIVE") => return (text, &inner[at + 1..]),
            _ => text.push(letter),
        }
    }
    panic!("no string: {line}")
}

/// Settings for the side of a migration that is a ManageSieve server: with STARTTLS and this authority, or in clear text.
pub fn side(side: &str, port: u16, ca: Option<&Path>) -> String {
    match ca {
        Some(ca) => format!(
            "[{side}]\nconnector = \"managesieve\"\nca = \"{}\"\nsettings = {{ host = \"localhost\", port = {port} }}\n",
            ca.display()
        ),
        None => format!(
            "[{side}]\nconnector = \"managesieve\"\nsettings = {{ host = \"127.0.0.1\", port = {port}, tls = \"insecure\" }}\n"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_come_apart() {
        assert_eq!(string(&format!("{} ACTIVE", quoted("a \"b\\"))).0, "a \"b\\");
        assert_eq!(string("\"x\" ACTIVE").1, " ACTIVE");
        assert_eq!(decoded("=?UTF-8?Q?=C3=A4_b?="), "\u{e4} b");
    }
}
