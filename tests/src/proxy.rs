//! A TCP proxy that makes trouble on purpose: seeded, so that a run can be had again.

use std::io;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until};

use crate::scratch::Random;

/// What a slow line holds, in bytes.
const SLOW_BUFFER: u32 = 64 << 10;

/// What happens to one connection. Bytes are counted over both directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Nothing: it passes everything.
    None,
    /// Closed before a byte passes.
    Refuse,
    /// This is said in the server's place, and it is closed.
    Say(&'static [u8]),
    /// Both ends are closed after so many bytes, in the middle of whatever passes.
    Cut {
        /// Bytes.
        after: u64,
    },
    /// Nothing passes any more after so many bytes, and it is closed only after this time.
    Stall {
        /// Bytes.
        after: u64,
        /// How long it stays open.
        open: Duration,
    },
    /// One bit of a byte flips after so many bytes. Over TLS only: in clear text nobody could tell.
    Garble {
        /// Bytes.
        after: u64,
    },
}

/// Chooses the fault of a connection.
pub type Faults = Box<dyn Fn(u64, &mut Random) -> Fault + Send>;

/// How a proxy behaves.
pub struct Plan {
    /// How long each byte takes in each direction.
    pub delay: Duration,
    /// Bytes a second that pass at most, over all connections and both directions; none: as fast as they come.
    pub rate: Option<u64>,
    /// A connection ends when the client sends this, or the server.
    pub poison: Option<&'static [u8]>,
    /// What the server says is replaced by something of the same length, e.g. `APPENDUID` by `XAPPENDUD`.
    pub replace: Vec<(&'static [u8], &'static [u8])>,
    /// The fault of a connection, by its number (from 0) and the seeded numbers.
    pub fault: Faults,
    /// Where the numbers come from.
    pub seed: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            delay: Duration::ZERO,
            rate: None,
            poison: None,
            replace: Vec::new(),
            fault: Box::new(|_, _| Fault::None),
            seed: 0,
        }
    }
}

impl Plan {
    /// A line that hides that the server has UIDPLUS: the codes APPENDUID and COPYUID become unknown ones.
    pub fn without_uidplus() -> Self {
        Self {
            replace: vec![
                (b"[APPENDUID ", b"[X-APPENDU "),
                (b"[COPYUID ", b"[X-COPYU "),
                (b" UIDPLUS ", b" XX-PLUS "),
            ],
            ..Self::default()
        }
    }
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("delay", &self.delay)
            .field("rate", &self.rate)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// A running proxy; it ends with the value.
#[derive(Debug)]
pub struct Proxy {
    port: u16,
    state: Arc<State>,
    runtime: Option<Runtime>,
}

#[derive(Debug, Default)]
struct State {
    calm: AtomicBool,
    /// Nobody gets through.
    away: watch::Sender<bool>,
    connections: AtomicU64,
    faults: AtomicU64,
    bytes: AtomicU64,
    turns: AtomicU64,
    /// When the line is free again, where it has a rate.
    free: Mutex<Option<Instant>>,
}

impl State {
    /// When so many bytes have passed at this rate.
    fn passed_at(&self, bytes: u64, rate: u64) -> Instant {
        let mut free = self.free.lock().expect("no panic holds it");
        let from = free.unwrap_or_else(Instant::now).max(Instant::now());
        let end = from + Duration::from_micros(bytes.saturating_mul(1_000_000) / rate.max(1));
        *free = Some(end);
        end
    }
}

impl Proxy {
    /// Listens on a free loopback port and passes everything on to `target`, a port of this machine.
    pub fn start(target: u16, plan: Plan) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("threads");
        let listener = runtime.block_on(async { listen(plan.rate) }).expect("a free port");
        let port = listener.local_addr().expect("bound").port();
        let state = Arc::new(State::default());
        let shared = Arc::clone(&state);
        runtime.spawn(async move {
            let random = Mutex::new(Random::new(plan.seed));
            while let Ok((client, _)) = listener.accept().await {
                let number = shared.connections.fetch_add(1, Ordering::Relaxed);
                let mut fault = (plan.fault)(number, &mut random.lock().expect("no panic holds it"));
                if shared.calm.load(Ordering::Relaxed) {
                    fault = Fault::None;
                }
                let line = Line {
                    fault,
                    delay: plan.delay,
                    rate: plan.rate,
                    poison: plan.poison,
                    replace: plan.replace.clone(),
                    passed: AtomicU64::new(0),
                    heard: AtomicBool::new(true),
                    state: Arc::clone(&shared),
                };
                tokio::spawn(connection(client, target, Arc::new(line)));
            }
        });
        Self {
            port,
            state,
            runtime: Some(runtime),
        }
    }

    /// Where it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// From now on new connections meet no fault (or meet them again).
    pub fn calm(&self, calm: bool) {
        self.state.calm.store(calm, Ordering::Relaxed);
    }

    /// The line is down from now on, or is there again: what is open ends, and what is new is closed at once.
    pub fn away(&self, away: bool) {
        self.state.away.send_replace(away);
    }

    /// How many connections there have been.
    pub fn connections(&self) -> u64 {
        self.state.connections.load(Ordering::Relaxed)
    }

    /// How many faults have struck.
    pub fn faults(&self) -> u64 {
        self.state.faults.load(Ordering::Relaxed)
    }

    /// How many bytes have passed, both directions together.
    pub fn bytes(&self) -> u64 {
        self.state.bytes.load(Ordering::Relaxed)
    }

    /// How often a client has begun to send after the server spoke last, over all connections; what it sends first
    /// counts too. Each is a wait for the line, unless the client sends what does not depend on what it has just heard.
    pub fn turns(&self) -> u64 {
        self.state.turns.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// On a free port of loopback. A slow line holds little itself: what waits for it stays with who sends it.
fn listen(rate: Option<u64>) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    if rate.is_some() {
        socket.set_recv_buffer_size(SLOW_BUFFER)?;
    }
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(1024)
}

struct Line {
    fault: Fault,
    delay: Duration,
    rate: Option<u64>,
    poison: Option<&'static [u8]>,
    replace: Vec<(&'static [u8], &'static [u8])>,
    passed: AtomicU64,
    /// Whether the client has been given something since it sent last, or has sent nothing yet.
    heard: AtomicBool,
    state: Arc<State>,
}

async fn connection(mut client: TcpStream, target: u16, line: Arc<Line>) {
    let mut away = line.state.away.subscribe();
    if *away.borrow() {
        return;
    }
    match line.fault {
        Fault::Refuse => {
            line.state.faults.fetch_add(1, Ordering::Relaxed);
            return;
        }
        Fault::Say(text) => {
            line.state.faults.fetch_add(1, Ordering::Relaxed);
            let _ = client.write_all(text).await;
            let _ = client.shutdown().await;
            return;
        }
        _ => {}
    }
    sleep(line.delay * 2).await; // The handshake takes a round trip too.
    let Ok(server) = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await else {
        return;
    };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // Whichever direction ends by a fault takes the other with it; an ordinary end lets the other finish.
    let up = tokio::spawn(pass(from_client, to_server, Arc::clone(&line), false));
    let down = tokio::spawn(pass(from_server, to_client, Arc::clone(&line), true));
    let (up_abort, down_abort) = (up.abort_handle(), down.abort_handle());
    let both = async {
        tokio::join!(
            async {
                if up.await.unwrap_or(true) {
                    down_abort.abort();
                }
            },
            async {
                if down.await.unwrap_or(true) {
                    up_abort.abort();
                }
            }
        )
    };
    tokio::select! {
        _ = both => {}
        _ = away.wait_for(|away| *away) => {
            line.state.faults.fetch_add(1, Ordering::Relaxed);
            up_abort.abort();
            down_abort.abort();
        }
    }
}

/// Passes one direction on until its end. True where a fault ended it.
async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, line: Arc<Line>, is_server: bool) -> bool {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let written = Arc::clone(&line);
    let writer = tokio::spawn(async move {
        while let Some((when, bytes)) = receiver.recv().await {
            sleep_until(when).await;
            if is_server && !bytes.is_empty() {
                written.heard.store(true, Ordering::Relaxed);
            }
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    });
    let writer_end = writer.abort_handle();
    let mut buffer = vec![0; 1 << 16];
    let mut held = Vec::new();
    let mut seen: Vec<u8> = Vec::new();
    let broken = loop {
        let Ok(count) = from.read(&mut buffer).await else {
            break false;
        };
        if count == 0 {
            let _ = sender
                .send((Instant::now() + line.delay, std::mem::take(&mut held)))
                .await;
            break false;
        }
        if let Some(rate) = line.rate {
            sleep_until(line.state.passed_at(count as u64, rate)).await;
        }
        line.state.bytes.fetch_add(count as u64, Ordering::Relaxed);
        if !is_server && line.heard.swap(false, Ordering::Relaxed) {
            line.state.turns.fetch_add(1, Ordering::Relaxed);
        }
        let mut bytes = buffer[..count].to_vec();
        if let Some(poison) = line.poison {
            seen.extend_from_slice(&bytes);
            if seen.windows(poison.len()).any(|window| window == poison) {
                line.state.faults.fetch_add(1, Ordering::Relaxed);
                writer_end.abort();
                break true;
            }
            seen.drain(..seen.len().saturating_sub(poison.len()));
        }
        let before = line.passed.fetch_add(count as u64, Ordering::Relaxed);
        let strikes = |after: u64| (before..before + count as u64).contains(&after);
        let part = |after: u64| {
            usize::try_from(after.saturating_sub(before))
                .unwrap_or(count)
                .min(count)
        };
        match line.fault {
            Fault::Cut { after } if before + count as u64 > after => {
                bytes.truncate(part(after));
                let _ = sender.send((Instant::now() + line.delay, bytes)).await;
                sleep(line.delay + Duration::from_millis(5)).await;
                line.state.faults.fetch_add(1, Ordering::Relaxed);
                writer_end.abort();
                break true;
            }
            Fault::Stall { after, open } if before + count as u64 > after => {
                line.state.faults.fetch_add(1, Ordering::Relaxed);
                sleep(open).await;
                writer_end.abort();
                break true;
            }
            Fault::Garble { after } if strikes(after) => {
                line.state.faults.fetch_add(1, Ordering::Relaxed);
                bytes[part(after)] ^= 0x10;
            }
            _ => {}
        }
        if is_server && !line.replace.is_empty() {
            held.extend_from_slice(&bytes);
            bytes = replaced(&mut held, &line.replace);
        }
        if sender.send((Instant::now() + line.delay, bytes)).await.is_err() {
            break false;
        }
    };
    drop(sender);
    let _ = writer.await;
    broken
}

/// What can go out: all but an end that may be the beginning of something to replace.
fn replaced(held: &mut Vec<u8>, replace: &[(&'static [u8], &'static [u8])]) -> Vec<u8> {
    for (from, to) in replace {
        assert_eq!(
            from.len(),
            to.len(),
            "a replacement of another length would break literals"
        );
        let mut at = 0;
        while let Some(found) = held[at..].windows(from.len()).position(|window| window == *from) {
            held[at + found..at + found + from.len()].copy_from_slice(to);
            at += found + from.len();
        }
    }
    let keep = replace
        .iter()
        .flat_map(|(from, _)| (1..from.len()).rev().find(|&length| held.ends_with(&from[..length])))
        .max()
        .unwrap_or(0);
    let rest = held.split_off(held.len() - keep);
    std::mem::replace(held, rest)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener as Std, TcpStream as Client};
    use std::thread;

    use super::*;

    /// A server that sends back what it gets.
    fn echo() -> u16 {
        let listener = Std::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                thread::spawn(move || {
                    let mut buffer = [0; 4096];
                    while let Ok(count) = stream.read(&mut buffer) {
                        if count == 0 || stream.write_all(&buffer[..count]).is_err() {
                            break;
                        }
                    }
                });
            }
        });
        port
    }

    fn through(proxy: &Proxy, bytes: &[u8]) -> Vec<u8> {
        let mut stream = Client::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut back = Vec::new();
        let _ = stream.read_to_end(&mut back);
        back
    }

    fn with(fault: Fault) -> Plan {
        Plan {
            fault: Box::new(move |_, _| fault),
            ..Plan::default()
        }
    }

    #[test]
    fn bytes_pass_unchanged() {
        let bytes: Vec<u8> = (0..200_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let proxy = Proxy::start(echo(), Plan::default());
        assert_eq!(through(&proxy, &bytes), bytes);
        assert_eq!((proxy.connections(), proxy.faults()), (1, 0));
    }

    #[test]
    fn each_fault_strikes() {
        let bytes = vec![b'a'; 10_000];
        let port = echo();
        let cut = through(&Proxy::start(port, with(Fault::Cut { after: 5000 })), &bytes);
        assert!(cut.len() <= 5000, "{}", cut.len());
        let garbled = through(&Proxy::start(port, with(Fault::Garble { after: 5000 })), &bytes);
        assert_eq!(garbled.len(), bytes.len());
        assert_eq!(garbled.iter().filter(|&&byte| byte != b'a').count(), 1);
        assert!(through(&Proxy::start(port, with(Fault::Refuse)), &bytes).is_empty());
        let start = std::time::Instant::now();
        let open = Duration::from_millis(300);
        let stalled = through(&Proxy::start(port, with(Fault::Stall { after: 0, open })), &bytes);
        assert!(stalled.is_empty() && start.elapsed() >= open);
        let proxy = Proxy::start(port, with(Fault::Cut { after: 1 }));
        proxy.calm(true);
        assert_eq!(through(&proxy, &bytes), bytes);
    }

    #[test]
    fn a_delay_is_paid_each_way() {
        let proxy = Proxy::start(
            echo(),
            Plan {
                delay: Duration::from_millis(50),
                ..Plan::default()
            },
        );
        let start = std::time::Instant::now();
        assert_eq!(through(&proxy, b"x"), b"x");
        assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    }

    #[test]
    fn a_turn_is_what_follows_an_answer() {
        let proxy = Proxy::start(
            echo(),
            Plan {
                delay: Duration::from_millis(100),
                ..Plan::default()
            },
        );
        let mut stream = Client::connect((Ipv4Addr::LOCALHOST, proxy.port())).unwrap();
        let hears = |stream: &mut Client| stream.read_exact(&mut [0; 2]).unwrap();
        stream.write_all(b"x").unwrap();
        thread::sleep(Duration::from_millis(20));
        stream.write_all(b"y").unwrap();
        hears(&mut stream);
        assert_eq!(proxy.turns(), 1, "`y` did not wait for an answer");
        stream.write_all(b"zz").unwrap();
        hears(&mut stream);
        assert_eq!(proxy.turns(), 2);
        assert_eq!(through(&proxy, b"another"), b"another");
        assert_eq!(proxy.turns(), 3);
    }

    #[test]
    fn a_rate_holds_for_both_directions_together() {
        let proxy = Proxy::start(
            echo(),
            Plan {
                rate: Some(100_000),
                ..Plan::default()
            },
        );
        let start = std::time::Instant::now();
        assert_eq!(through(&proxy, &[b'a'; 10_000]).len(), 10_000);
        assert!(start.elapsed() >= Duration::from_millis(180), "{:?}", start.elapsed());
    }

    #[test]
    fn what_is_replaced_may_lie_across_pieces() {
        let replace: [(&[u8], &[u8]); 1] = [(b"[APPENDUID ", b"[X-APPENDU ")];
        let mut held = b"t1 OK [APPEN".to_vec();
        assert_eq!(replaced(&mut held, &replace), b"t1 OK ");
        held.extend_from_slice(b"DUID 1 2] done [AP");
        assert_eq!(replaced(&mut held, &replace), b"[X-APPENDU 1 2] done ");
        assert_eq!(held, b"[AP");
    }
}
