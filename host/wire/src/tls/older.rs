//! Whether a server that broke off the handshake speaks nothing newer than TLS 1.1. Many servers close the connection
//! then without a word, so they are asked in the old way; nothing but this question is ever sent so.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

/// For the answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// A ClientHello of TLS 1.1 (RFC 4346 section 7.4.1.2) with the curves of RFC 4492, its lengths left out.
const VERSION: [u8; 2] = [3, 2];
/// The suites of that time: ECDHE, DHE and RSA with AES-CBC, and 3DES.
const SUITES: [[u8; 2]; 9] = [
    [0xc0, 0x09],
    [0xc0, 0x0a],
    [0xc0, 0x13],
    [0xc0, 0x14],
    [0x00, 0x33],
    [0x00, 0x39],
    [0x00, 0x2f],
    [0x00, 0x35],
    [0x00, 0x0a],
];
/// supported_groups: P-256, P-384, P-521; ec_point_formats: uncompressed.
const EXTENSIONS: [u8; 18] = [
    0x00, 0x0a, 0x00, 0x08, 0x00, 0x06, 0x00, 0x17, 0x00, 0x18, 0x00, 0x19, 0x00, 0x0b, 0x00, 0x02, 0x01, 0x00,
];

/// The version that the server chooses when it is offered TLS 1.1 at most; none where it chooses nothing.
pub(super) async fn version(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Option<&'static str> {
    let asking = async {
        stream.write_all(&hello()).await.ok()?;
        stream.flush().await.ok()?;
        let mut answer = [0; 11];
        stream.read_exact(&mut answer).await.ok()?;
        chosen(&answer)
    };
    timeout(PATIENCE, asking).await.ok().flatten()
}

fn hello() -> Vec<u8> {
    let mut body = VERSION.to_vec();
    // Nothing is encrypted with it.
    body.extend([0x77; 32]);
    body.push(0);
    body.extend(length(SUITES.len() * 2));
    body.extend(SUITES.concat());
    body.extend([1, 0]);
    body.extend(length(EXTENSIONS.len()));
    body.extend(EXTENSIONS);
    let mut handshake = vec![1, 0];
    handshake.extend(length(body.len()));
    handshake.extend(body);
    let mut record = vec![22, 3, 1];
    record.extend(length(handshake.len()));
    record.extend(handshake);
    record
}

/// Everything here is shorter than 64 KiB.
fn length(bytes: usize) -> [u8; 2] {
    u16::try_from(bytes).unwrap_or(u16::MAX).to_be_bytes()
}

/// Of a record that holds a ServerHello.
fn chosen(answer: &[u8; 11]) -> Option<&'static str> {
    match answer {
        [22, 3, _, _, _, 2, _, _, _, 3, 2] => Some("TLS 1.1"),
        [22, 3, _, _, _, 2, _, _, _, 3, 1] => Some("TLS 1.0"),
        [22, 3, _, _, _, 2, _, _, _, 3, 0] => Some("SSL 3.0"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_the_question_are_right() {
        let hello = hello();
        assert_eq!(usize::from(u16::from_be_bytes([hello[3], hello[4]])), hello.len() - 5);
        assert_eq!(usize::from(u16::from_be_bytes([hello[7], hello[8]])), hello.len() - 9);
        let suites = 9 + 2 + 32 + 1;
        assert_eq!(usize::from(hello[suites + 1]), SUITES.len() * 2);
        let extensions = suites + 2 + SUITES.len() * 2 + 2;
        assert_eq!(usize::from(hello[extensions + 1]), hello.len() - extensions - 2);
    }

    #[tokio::test]
    async fn only_a_server_hello_of_an_old_version_counts() {
        let old = [22, 3, 2, 0, 80, 2, 0, 0, 76, 3, 2];
        assert_eq!(chosen(&old), Some("TLS 1.1"));
        for (at, value) in [(0, 21), (5, 1), (10, 3)] {
            let mut other = old;
            other[at] = value;
            assert_eq!(chosen(&other), None, "{at}");
        }
        let (near, far) = tokio::io::duplex(1024);
        drop(far);
        assert_eq!(version(near).await, None);
    }
}
