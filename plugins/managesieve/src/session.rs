//! A session that is logged in, and the commands that are used of it.
//!
//! The inner results concern one script; what the outer ones fail with has ended the session.

use std::cell::RefCell;
use std::rc::Rc;

use whimbrel_folders::Body;
use whimbrel_folders::disk::READ_BYTES;
use whimbrel_plugin::{Failure, Result};

use crate::login::Talk;
use crate::reply::{Attempt, Reply};
use crate::settings::Settings;
use crate::syntax::{Token, entry, literal, read_from, read_line, strange, string};
use crate::wire::{Net, Wire};

/// Scripts that are asked for at once.
const ABREAST: usize = 32;
/// Scripts that an account has at most.
const SCRIPTS: usize = 100_000;
/// The largest script that is read, in bytes.
const LARGEST: u64 = 64 << 20;
/// Bytes from which on a server is asked for room before a script is sent.
const ASK_FROM: u64 = 16 << 10;

/// A script, as listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub name: String,
    /// It filters.
    pub active: bool,
}

/// Where a session waits between calls.
pub type Slot<W> = Rc<RefCell<Option<Session<W>>>>;

/// A session.
#[derive(Debug)]
pub struct Session<W: Wire>(Talk<W>);

impl<W: Wire> Session<W> {
    /// Connects and logs in.
    ///
    /// # Errors
    /// See [`Talk::connect`].
    pub fn open<N: Net<Wire = W>>(net: &N, settings: &Settings) -> Result<Self> {
        Talk::connect(net, settings).map(Self)
    }

    /// The extensions of Sieve that the server knows.
    pub fn extensions(&self) -> &[String] {
        &self.0.capabilities.sieve
    }

    fn call(&mut self, parts: &[&[u8]]) -> Result<Reply> {
        self.send(parts)?;
        self.0.reply()
    }

    fn send(&mut self, parts: &[&[u8]]) -> Result<()> {
        parts.iter().try_for_each(|part| self.0.wire.write(part))?;
        self.0.wire.write(b"\r\n")
    }

    /// All scripts, by name.
    ///
    /// # Errors
    /// What ended the session.
    pub fn list(&mut self) -> Result<Vec<Script>> {
        self.send(&[b"LISTSCRIPTS"])?;
        let mut all = Vec::new();
        let end = loop {
            let line = self.0.wire.read_line()?;
            if let Some((name, active)) = entry(&line) {
                all.push(Script { name, active });
                continue;
            }
            let tokens = read_from(line, &mut self.0.wire)?;
            match tokens.as_slice() {
                [name @ Token::Text(_), rest @ ..] => all.push(Script {
                    name: name.text().unwrap_or_default(),
                    active: matches!(rest, [Token::Atom(word)] if word.eq_ignore_ascii_case("ACTIVE")),
                }),
                other => break self.0.alive(Reply::parse(other).ok_or_else(strange)?)?,
            }
            if all.len() > SCRIPTS {
                return Err(strange());
            }
        };
        all.retain(|script| !script.name.is_empty());
        if !end.ok() {
            return Err(end.failure(Attempt::Command("LISTSCRIPTS")));
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all.dedup_by(|one, other| one.name == other.name);
        Ok(all)
    }

    /// The content of these scripts, in order.
    ///
    /// # Errors
    /// What ended the session.
    pub fn get(&mut self, names: &[&str]) -> Result<Vec<Result<W::Body>>> {
        let mut all = Vec::with_capacity(names.len());
        for chunk in names.chunks(ABREAST) {
            for name in chunk {
                self.send(&[b"GETSCRIPT ", &string(name)])?;
            }
            for _ in chunk {
                all.push(self.content()?);
            }
        }
        Ok(all)
    }

    /// The answer to GETSCRIPT.
    fn content(&mut self) -> Result<Result<W::Body>> {
        let line = self.0.wire.read_line()?;
        let body = if let Some(length) = literal(&line) {
            if length > LARGEST {
                return Err(Failure::unavailable(format!(
                    "GETSCRIPT: the server announced a script of {length} bytes, which none has"
                )));
            }
            let body = self.0.wire.read_exact(length)?;
            if !read_line(&mut self.0.wire)?.is_empty() {
                return Err(strange());
            }
            body
        } else {
            let line = read_from(line, &mut self.0.wire)?;
            match line.as_slice() {
                [Token::Text(text)] => W::Body::from_bytes(text),
                _ => {
                    let refused = Reply::parse(&line).filter(|reply| !reply.ok()).ok_or_else(strange)?;
                    return Ok(Err(refused.failure(Attempt::Script("GETSCRIPT"))));
                }
            }
        };
        let end = self.0.reply()?;
        Ok(match end.ok() {
            true => Ok(body),
            false => Err(end.failure(Attempt::Script("GETSCRIPT"))),
        })
    }

    /// Stores a script under a name, in place of what was there, and gives it as the server has it now. The inner refusal
    /// is the server's answer.
    ///
    /// # Errors
    /// What ended the session.
    pub fn put(&mut self, name: &str, content: &W::Body) -> Result<std::result::Result<Option<W::Body>, Reply>> {
        let (name, size) = (string(name), content.size());
        if size >= ASK_FROM {
            let room = self.call(&[b"HAVESPACE ", &name, format!(" {size}").as_bytes()])?;
            if !room.ok() && room.is("QUOTA") {
                return Ok(Err(room));
            }
        }
        let head = format!(" {{{size}+}}\r\n");
        self.0.wire.write(b"PUTSCRIPT ")?;
        self.0.wire.write(&name)?;
        self.0.wire.write(head.as_bytes())?;
        let mut offset = 0;
        while offset < size {
            let piece = content.read(offset, READ_BYTES);
            if piece.is_empty() {
                return Err(Failure::internal("a body ended before its size"));
            }
            offset += piece.len() as u64;
            self.0.wire.write(&piece)?;
        }
        self.send(&[])?;
        self.send(&[b"GETSCRIPT ", &name])?;
        let said = self.0.reply()?;
        let there = self.content()?;
        Ok(match said.ok() {
            true => Ok(there.ok()),
            false => Err(said),
        })
    }

    /// Lets this script filter, or none.
    ///
    /// # Errors
    /// What ended the session.
    pub fn activate(&mut self, name: Option<&str>) -> Result<Result<()>> {
        let said = self.call(&[b"SETACTIVE ", &string(name.unwrap_or_default())])?;
        Ok(match said.ok() {
            true => Ok(()),
            false => Err(said.failure(Attempt::Script("SETACTIVE"))),
        })
    }

    /// Removes a script that does not filter.
    ///
    /// # Errors
    /// What ended the session.
    pub fn delete(&mut self, name: &str) -> Result<Result<()>> {
        let said = self.call(&[b"DELETESCRIPT ", &string(name)])?;
        Ok(match said.ok() {
            true => Ok(()),
            false => Err(said.failure(Attempt::Script("DELETESCRIPT"))),
        })
    }
}

impl<W: Wire> Drop for Session<W> {
    fn drop(&mut self) {
        // Sent when the host closes the connection; nobody waits for an answer.
        let _ = self.0.wire.write(b"LOGOUT\r\n");
    }
}
