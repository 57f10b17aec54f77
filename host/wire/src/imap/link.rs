//! The connection beneath a session: whole responses in, buffered commands out, every wait and every size bounded.
//!
//! During login the link also carries async-imap, which sees nothing of what the server says but continuations and
//! the bare outcome of its own commands: its grammar is strict, recursive and unbounded, and a server may be hostile.

use std::fmt;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use memchr::memchr;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;
use whimbrel_model::Failure;

use crate::reach::Stream;
use crate::{Blob, BlobStore};

use super::Timeouts;
use super::errors::{Completion, garbled};
use super::parse::{Kind, Response, Status, announced_literal, may_hold_literals};

/// Bytes of one response that are kept in memory: by far enough for anything but a list of all messages.
pub(super) const RESPONSE_BYTES: usize = 4 << 20;
/// For responses that grow with the number of messages: about eight million UIDs.
pub(super) const LISTING_BYTES: usize = 64 << 20;

/// Read in one go.
const READ_BYTES: usize = 64 << 10;
/// Held back before it is written while a message is sent.
const WRITE_BYTES: usize = 64 << 10;
/// Bytes of a body from which on it is sent from where it lies; fewer are copied to what is queued, so that they leave
/// together.
const UNCOPIED_BYTES: usize = 64 << 10;
/// Read ahead while writing, so that a server that talks while it is talked to does not end in a deadlock.
const AHEAD_BYTES: usize = 1 << 20;
/// Bodies in one response; more than one is never asked for.
const BODIES: usize = 4;
/// A line that async-imap is to see, or that comes during login.
const LOGIN_LINE_BYTES: usize = 64 << 10;

pub(super) struct Link {
    stream: Box<dyn Stream>,
    input: BytesMut,
    output: BytesMut,
    pub timeouts: Timeouts,
    /// Most bytes of one response in memory.
    pub limit: usize,
    /// See [`Screen`].
    screen: Screen,
}

/// What async-imap sees of the link.
#[derive(Default)]
struct Screen {
    /// Bytes as they are: for compression, which lies between two links.
    transparent: bool,
    /// Ready to be seen.
    shown: BytesMut,
    /// What was said last, for the caller to judge.
    outcome: Outcome,
}

/// What a server said while async-imap logged in.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// How the last command ended.
    pub completion: Option<Completion>,
    /// The last untagged CAPABILITY response, without its first word.
    pub capabilities: Option<String>,
    /// The last BYE.
    pub bye: Option<Completion>,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

impl Link {
    pub fn new(stream: Box<dyn Stream>, timeouts: Timeouts) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            timeouts,
            limit: RESPONSE_BYTES,
            screen: Screen::default(),
        }
    }

    /// A link to nowhere, to leave behind where one is taken away.
    pub fn closed() -> Self {
        Self::new(Box::new(tokio::io::empty()), Timeouts::default())
    }

    /// The stream beneath; whatever was read ahead is dropped.
    pub fn into_stream(self) -> Box<dyn Stream> {
        self.stream
    }

    /// From now on, async-imap sees the bytes as they are.
    pub fn make_transparent(&mut self) {
        self.screen.transparent = true;
    }

    /// What the server said while async-imap used the link.
    pub fn take_outcome(&mut self) -> Outcome {
        std::mem::take(&mut self.screen.outcome)
    }

    /// Reads one whole response. Literals that are bodies of messages go into blobs of `bodies`, if given.
    ///
    /// # Errors
    /// `Unavailable` for anything that ends the connection; `Internal` where a body cannot be kept.
    pub async fn read(&mut self, response: &mut Response, bodies: Option<&BlobStore>) -> Result<(), Failure> {
        response.clear();
        loop {
            self.read_line(response).await?;
            if !may_hold_literals(&response.bytes) {
                return Ok(());
            }
            let Some((brace, size)) = announced_literal(&response.bytes) else {
                return Ok(());
            };
            match bodies {
                Some(store) if is_body(&response.bytes[..brace]) => {
                    if response.bodies.len() >= BODIES {
                        return Err(garbled("several bodies in one response"));
                    }
                    let blob = self.read_body(store, size).await?;
                    response.bodies.push((response.bytes.len(), blob));
                }
                _ => self.read_literal(response, size).await?,
            }
        }
    }

    async fn read_line(&mut self, response: &mut Response) -> Result<(), Failure> {
        loop {
            let end = memchr(b'\n', &self.input).map(|at| at + 1);
            let take = end.unwrap_or(self.input.len());
            if response.bytes.len() + take > self.limit {
                return Err(garbled("a response without end"));
            }
            response.bytes.extend_from_slice(&self.input[..take]);
            self.input.advance(take);
            if end.is_some() {
                return Ok(());
            }
            self.fill(if response.bytes.is_empty() {
                self.timeouts.reply
            } else {
                self.timeouts.stall
            })
            .await?;
        }
    }

    async fn read_literal(&mut self, response: &mut Response, size: u64) -> Result<(), Failure> {
        let mut left = usize::try_from(size)
            .ok()
            .filter(|size| response.bytes.len().saturating_add(*size) <= self.limit)
            .ok_or_else(|| garbled("a literal that is too long"))?;
        while left > 0 {
            if self.input.is_empty() {
                self.fill(self.timeouts.stall).await?;
            }
            let take = left.min(self.input.len());
            response.bytes.extend_from_slice(&self.input[..take]);
            self.input.advance(take);
            left -= take;
        }
        Ok(())
    }

    async fn read_body(&mut self, store: &BlobStore, size: u64) -> Result<Blob, Failure> {
        let mut writer = store.writer_sized(size);
        let mut left = size;
        while left > 0 {
            if self.input.is_empty() {
                self.fill(self.timeouts.stall).await?;
            }
            let take = usize::try_from(left).unwrap_or(usize::MAX).min(self.input.len());
            writer
                .write(&self.input[..take])
                .await
                .map_err(|error| cannot_keep(&error))?;
            self.input.advance(take);
            left -= take as u64;
        }
        writer.finish().await.map_err(|error| cannot_keep(&error))
    }

    /// Waits until the server has said something, however long it is silent. Can be cancelled without loss.
    ///
    /// # Errors
    /// Where the connection ends.
    pub async fn ready(&mut self, patience: Duration) -> Result<(), Failure> {
        if !self.input.is_empty() {
            return Ok(());
        }
        self.fill(patience).await
    }

    /// Reads what is there.
    async fn fill(&mut self, patience: Duration) -> Result<(), Failure> {
        self.input.reserve(READ_BYTES);
        let Self { stream, input, .. } = self;
        let read = timeout(patience, tokio::io::AsyncReadExt::read_buf(stream, input)).await;
        match read {
            Err(_) => Err(silent(patience)),
            Ok(Err(error)) => Err(lost(&error)),
            Ok(Ok(0)) => Err(Failure::Unavailable("the server closed the connection".to_owned())),
            Ok(Ok(_)) => Ok(()),
        }
    }

    /// Queues bytes; nothing is sent before [`Link::flush`] or [`Link::send_blob`].
    pub fn push(&mut self, bytes: &[u8]) {
        self.output.extend_from_slice(bytes);
    }

    /// Bytes queued.
    pub fn queued(&self) -> usize {
        self.output.len()
    }

    /// Sends a body, piece by piece; the end of it may stay queued.
    ///
    /// # Errors
    /// As [`Link::flush`]; `Internal` where the body cannot be read.
    pub async fn send_blob(&mut self, blob: &Blob) -> Result<(), Failure> {
        let mut reader = blob.reader();
        let read = |error: io::Error| Failure::Internal(format!("a body cannot be read: {error}"));
        while let Some(piece) = reader.next().await.map_err(read)? {
            if piece.len() >= UNCOPIED_BYTES {
                self.write_out(piece).await?;
                continue;
            }
            self.push(&piece);
            if self.output.len() >= WRITE_BYTES {
                self.write_out(Bytes::new()).await?;
            }
        }
        Ok(())
    }

    /// Sends all that is queued.
    ///
    /// # Errors
    /// `Unavailable`, or what the server's last words mean, where the connection is gone or nothing moves any more.
    pub async fn flush(&mut self) -> Result<(), Failure> {
        self.write_out(Bytes::new()).await?;
        let patience = self.timeouts.stall;
        match timeout(patience, self.stream.flush()).await {
            Err(_) => Err(silent(patience)),
            Ok(Err(error)) => Err(self.last_words(&error).await),
            Ok(Ok(())) => Ok(()),
        }
    }

    /// Hands the queue to the stream, and these bytes after it, reading ahead while the server does not take them.
    async fn write_out(&mut self, mut behind: Bytes) -> Result<(), Failure> {
        let patience = self.timeouts.stall;
        while !self.output.is_empty() || !behind.is_empty() {
            let step = std::future::poll_fn(|cx| self.poll_step(cx, &mut behind));
            match timeout(patience, step).await {
                Err(_) => return Err(silent(patience)),
                Ok(Err(error)) => return Err(self.last_words(&error).await),
                Ok(Ok(())) => {}
            }
        }
        if self.output.capacity() > 2 * WRITE_BYTES {
            self.output = BytesMut::new();
        }
        Ok(())
    }

    /// Ready when something was written or read.
    fn poll_step(&mut self, cx: &mut Context<'_>, behind: &mut Bytes) -> Poll<io::Result<()>> {
        let both = [IoSlice::new(&self.output), IoSlice::new(behind)];
        // A stream that takes one slice only may take the first that is not empty.
        if let Poll::Ready(written) = Pin::new(&mut self.stream).poll_write_vectored(cx, &both) {
            return match written? {
                0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => {
                    let queued = written.min(self.output.len());
                    self.output.advance(queued);
                    behind.advance(written - queued);
                    Poll::Ready(Ok(()))
                }
            };
        }
        // Bytes may lie in a buffer of TLS or compression, and have to leave before there is room.
        if let Poll::Ready(Err(error)) = Pin::new(&mut self.stream).poll_flush(cx) {
            return Poll::Ready(Err(error));
        }
        if self.input.len() >= AHEAD_BYTES {
            return Poll::Pending;
        }
        match ready!(self.poll_input(cx))? {
            0 => Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_input(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.input.reserve(READ_BYTES);
        read_some(Pin::new(&mut self.stream), cx, &mut self.input)
    }

    /// The connection broke while writing: the server may have said why before it closed.
    async fn last_words(&mut self, error: &io::Error) -> Failure {
        let mut response = Response::default();
        self.timeouts.reply = Duration::from_secs(1);
        self.timeouts.stall = Duration::from_secs(1);
        for _ in 0..100 {
            if self.read(&mut response, None).await.is_err() {
                break;
            }
            match response.kind() {
                Some(Kind::Status(completion)) if completion.status == Status::Bye => return farewell(&completion),
                Some(Kind::Tagged { completion, .. }) if completion.status != Status::Ok => {
                    return match completion.failure(super::errors::Attempt::Command("sending")) {
                        failure @ (Failure::OverQuota(_) | Failure::Throttled { .. }) => failure,
                        other => Failure::Unavailable(format!("{other}; then the server closed the connection")),
                    };
                }
                _ => {}
            }
        }
        lost(error)
    }
}

/// What a BYE that nobody asked for means.
pub(super) fn farewell(bye: &Completion) -> Failure {
    match bye.failure(super::errors::Attempt::Command("connection")) {
        failure @ (Failure::Throttled { .. } | Failure::OverQuota(_)) => failure,
        _ if bye.text.is_empty() => Failure::Unavailable("the server ended the connection".to_owned()),
        _ => Failure::Unavailable(format!("the server ended the connection: {}", bye.text)),
    }
}

fn silent(patience: Duration) -> Failure {
    Failure::Unavailable(format!(
        "nothing moved for {} seconds: the connection was given up",
        patience.as_secs_f64()
    ))
}

fn lost(error: &io::Error) -> Failure {
    Failure::Unavailable(match error.kind() {
        io::ErrorKind::UnexpectedEof => "the server closed the connection".to_owned(),
        _ => format!("the connection was lost: {error}"),
    })
}

fn cannot_keep(error: &io::Error) -> Failure {
    Failure::Internal(format!("a body that was read cannot be kept: {error}"))
}

/// Whether the literal that follows is the body of a message.
fn is_body(before: &[u8]) -> bool {
    let before = before.strip_suffix(b"~").unwrap_or(before).trim_ascii_end();
    let ends =
        |name: &[u8]| before.len() >= name.len() && before[before.len() - name.len()..].eq_ignore_ascii_case(name);
    ends(b"BODY[]") || ends(b"RFC822")
}

fn read_some(stream: Pin<&mut Box<dyn Stream>>, cx: &mut Context<'_>, input: &mut BytesMut) -> Poll<io::Result<usize>> {
    let mut piece = [0u8; 16 << 10];
    let mut buffer = ReadBuf::new(&mut piece);
    ready!(stream.poll_read(cx, &mut buffer))?;
    input.extend_from_slice(buffer.filled());
    Poll::Ready(Ok(buffer.filled().len()))
}

impl AsyncRead for Link {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if this.screen.transparent {
            if this.input.is_empty() {
                return Pin::new(&mut this.stream).poll_read(cx, buf);
            }
            let take = buf.remaining().min(this.input.len());
            buf.put_slice(&this.input[..take]);
            this.input.advance(take);
            return Poll::Ready(Ok(()));
        }
        while this.screen.shown.is_empty() {
            if let Some(end) = memchr(b'\n', &this.input) {
                let line = this.input.split_to(end + 1);
                this.screen.look(&line)?;
            } else if this.input.len() > LOGIN_LINE_BYTES {
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, "a line without end")));
            } else if ready!(this.poll_input(cx))? == 0 {
                return Poll::Ready(Ok(()));
            }
        }
        let take = buf.remaining().min(this.screen.shown.len());
        buf.put_slice(&this.screen.shown[..take]);
        this.screen.shown.advance(take);
        Poll::Ready(Ok(()))
    }
}

impl Screen {
    /// Notes what the line says, and shows the harmless core of it.
    fn look(&mut self, line: &[u8]) -> io::Result<()> {
        let response = Response {
            bytes: line.to_vec(),
            bodies: Vec::new(),
        };
        match response.kind() {
            Some(Kind::Continuation) => {
                // A challenge in base64; anything else is words for people.
                let text = line[1..].trim_ascii();
                let challenge = text
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(byte))
                    && text.len().is_multiple_of(4);
                self.shown.extend_from_slice(b"+ ");
                self.shown.extend_from_slice(if challenge { text } else { b"" });
                self.shown.extend_from_slice(b"\r\n");
            }
            Some(Kind::Tagged { tag, completion }) if tag.iter().all(u8::is_ascii_alphanumeric) => {
                self.shown.extend_from_slice(tag);
                self.shown.extend_from_slice(if completion.status == Status::Ok {
                    b" OK done\r\n"
                } else {
                    b" NO no\r\n"
                });
                self.outcome.completion = Some(completion);
            }
            Some(Kind::Status(completion)) if completion.status == Status::Bye => self.outcome.bye = Some(completion),
            Some(Kind::Status(completion)) if completion.has_code("CAPABILITY") => {
                self.outcome.capabilities = Some(completion.arguments);
            }
            Some(Kind::Data(data)) if data.is("CAPABILITY") => {
                self.outcome.capabilities = Some(String::from_utf8_lossy(data.rest.remaining()).trim().to_owned());
            }
            Some(Kind::Status(_) | Kind::Data(_)) => {}
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "no IMAP")),
        }
        Ok(())
    }
}

impl AsyncWrite for Link {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.screen.transparent {
            return Pin::new(&mut self.stream).poll_write(cx, buf);
        }
        self.output.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        while !this.output.is_empty() {
            let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &this.output))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            this.output.advance(written);
        }
        Pin::new(&mut this.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
