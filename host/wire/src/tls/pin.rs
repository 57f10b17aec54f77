//! Fingerprints of certificates and of their keys.

use std::fmt;
use std::str::FromStr;

use ring::digest::{SHA256, digest};
use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::server::ParsedCertificate;

/// What every pin begins with.
const SCHEME: &str = "sha256:";

/// A SHA-256 fingerprint, written `sha256:` and 64 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pin([u8; 32]);

impl Pin {
    fn of(bytes: &[u8]) -> Self {
        let mut sum = [0; 32];
        sum.copy_from_slice(digest(&SHA256, bytes).as_ref());
        Self(sum)
    }
}

impl FromStr for Pin {
    type Err = String;

    /// Digits of either case, with or without the colons between them that `openssl x509 -fingerprint` prints.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = |what: &str| Err(format!("{what}: a pin is `{SCHEME}` and 64 hexadecimal digits"));
        let Some(digits) = text.trim().strip_prefix(SCHEME) else {
            return wrong("it does not begin so");
        };
        let digits: Vec<u8> = digits.bytes().filter(|byte| *byte != b':').collect();
        if digits.len() != 64 {
            return wrong(&format!("it has {} digits", digits.len()));
        }
        let mut sum = [0; 32];
        for (byte, pair) in sum.iter_mut().zip(digits.chunks(2)) {
            let value = pair
                .iter()
                .try_fold(0, |value, digit| Some(value * 16 + char::from(*digit).to_digit(16)?));
            match value.and_then(|value| u8::try_from(value).ok()) {
                Some(value) => *byte = value,
                None => return wrong("it has other characters"),
            }
        }
        Ok(Self(sum))
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SCHEME)?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Both fingerprints of a certificate; either of them may be pinned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fingerprints {
    /// Of the certificate as a whole: what browsers and `openssl x509 -fingerprint -sha256` show.
    pub certificate: Pin,
    /// Of its public key (SubjectPublicKeyInfo, as in RFC 7469): the same after a renewal that keeps the key. None where
    /// the certificate cannot be read.
    pub key: Option<Pin>,
}

impl Fingerprints {
    pub fn of(certificate: &CertificateDer<'_>) -> Self {
        let key = ParsedCertificate::try_from(certificate)
            .ok()
            .map(|parsed| Pin::of(&parsed.subject_public_key_info()));
        Self {
            certificate: Pin::of(certificate),
            key,
        }
    }

    pub fn among(&self, pins: &[Pin]) -> bool {
        pins.contains(&self.certificate) || self.key.is_some_and(|key| pins.contains(&key))
    }
}

impl fmt::Display for Fingerprints {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.certificate)?;
        match self.key {
            Some(key) => write!(f, " (its key alone: {key})"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pins_are_read_as_tools_write_them() {
        let plain = format!("sha256:{}", "0a".repeat(32));
        let pin: Pin = plain.parse().unwrap();
        assert_eq!(pin.to_string(), plain);
        let openssl = format!("sha256:{}", ["0A"; 32].join(":"));
        assert_eq!(openssl.parse::<Pin>().unwrap(), pin);
        for (bad, word) in [
            ("", "does not begin so"),
            ("sha1:00", "does not begin so"),
            ("sha256:00", "2 digits"),
            (&format!("sha256:{}", "g0".repeat(32)), "other characters"),
            (&format!("sha256:{}", "é".repeat(32)), "other characters"),
        ] {
            let problem = bad.parse::<Pin>().unwrap_err();
            assert!(
                problem.contains(word) && problem.contains("64 hexadecimal"),
                "{problem}"
            );
        }
    }
}
