//! WASI 0.2 for components from toolchains that cannot do without it, with nothing behind it: no folder, no
//! environment, no arguments, no socket, no name look-up, no input. Clocks and random numbers are real; what is written
//! to standard output and error goes to the log at debug level.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

use crate::convert::clean;
use crate::grants::Grants;
use crate::host::log::LINE;
use crate::instance::State;

/// Bytes of output that an instance gets into the log over its life.
const OUTPUT: usize = 64 << 10;

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

/// A WASI that grants nothing.
pub(crate) fn nothing(grants: &Arc<Grants>) -> WasiCtx {
    let output = Output {
        grants: Arc::clone(grants),
        left: Arc::new(AtomicUsize::new(OUTPUT)),
    };
    WasiCtx::builder()
        .stdout(output.clone())
        .stderr(output)
        .allow_tcp(false)
        .allow_udp(false)
        .allow_ip_name_lookup(false)
        .socket_addr_check(|_, _| Box::pin(async { false }))
        .max_random_size(1 << 20)
        .build()
}

/// Standard output and error.
#[derive(Clone)]
struct Output {
    grants: Arc<Grants>,
    left: Arc<AtomicUsize>,
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }
}

impl AsyncWrite for Output {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let take = |left: usize| Some(left.saturating_sub(bytes.len()));
        let left = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
            .unwrap_or(0);
        let shown = &bytes[..bytes.len().min(left)];
        for line in String::from_utf8_lossy(shown).lines() {
            tracing::debug!(
                plugin = self.grants.plugin(),
                mailbox = self.grants.mailbox(),
                "{}",
                clean(line, LINE)
            );
        }
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::Activity;

    #[tokio::test]
    async fn output_is_taken_for_ever_and_logged_up_to_a_limit() {
        let grants = Arc::new(Grants::none("x", &Activity::default()));
        let mut output = Output {
            grants,
            left: Arc::new(AtomicUsize::new(OUTPUT)),
        };
        let mut other = output.clone();
        for _ in 0..100 {
            output.write_all(&[b'x'; 1000]).await.unwrap();
            other.write_all("\u{1b}[2J\n".as_bytes()).await.unwrap();
        }
        assert_eq!(output.left.load(Ordering::Relaxed), 0);
    }
}
