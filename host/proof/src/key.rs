//! Keys: Ed25519 (RFC 8032).

use base64::{Engine, engine::general_purpose::STANDARD};
use ring::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey},
};

use crate::{ProofError, Result, hex};

/// What comes before the 32 bytes of a public key in its DER form (RFC 8410 section 4).
const DER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The key of a migration.
pub struct SigningKey(Ed25519KeyPair);

impl SigningKey {
    /// A new one, as PKCS #8 (RFC 5958): keep it where nobody else can read it.
    ///
    /// # Errors
    ///
    /// The system gives no random numbers.
    pub fn generate() -> Result<Vec<u8>> {
        let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new());
        let document = document.map_err(|_| ProofError::Key("the system gives no random numbers".into()))?;
        Ok(document.as_ref().to_vec())
    }

    /// From PKCS #8.
    ///
    /// # Errors
    ///
    /// It is no Ed25519 key.
    pub fn read(pkcs8: &[u8]) -> Result<Self> {
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(pkcs8);
        pair.map(Self)
            .map_err(|rejected| ProofError::Key(format!("it is no Ed25519 key ({rejected})")))
    }

    /// What others check with.
    pub fn public(&self) -> PublicKey {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(self.0.public_key().as_ref());
        PublicKey(bytes)
    }

    /// Signs.
    pub fn sign(&self, text: &[u8]) -> Vec<u8> {
        self.0.sign(text).as_ref().to_vec()
    }
}

/// What others check with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(pub [u8; 32]);

impl PublicKey {
    /// As text: 64 hexadecimal digits.
    pub fn text(&self) -> String {
        hex::encode(&self.0)
    }

    /// From text.
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self(hex::decode(text.trim())?.try_into().ok()?))
    }

    /// As PEM (RFC 7468), for other programs.
    pub fn pem(&self) -> String {
        let der = STANDARD.encode([&DER[..], &self.0].concat());
        format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
    }

    /// From PEM.
    pub fn from_pem(text: &str) -> Option<Self> {
        let body: String = text
            .lines()
            .filter(|line| !line.starts_with("-----"))
            .map(str::trim)
            .collect();
        let der = STANDARD.decode(body).ok()?;
        Some(Self(der.strip_prefix(&DER)?.try_into().ok()?))
    }

    /// Whether the signature is that of the text.
    pub fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, self.0).verify(text, signature).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_signs_and_is_known_again() {
        let pkcs8 = SigningKey::generate().unwrap();
        let key = SigningKey::read(&pkcs8).unwrap();
        let (public, signature) = (key.public(), key.sign(b"text"));
        assert!(public.verify(b"text", &signature));
        assert!(!public.verify(b"texts", &signature));
        assert!(!PublicKey([7; 32]).verify(b"text", &signature));
        assert_eq!(PublicKey::parse(&public.text()), Some(public));
        assert_eq!(PublicKey::from_pem(&public.pem()), Some(public));
        assert_eq!(PublicKey::from_pem("-----BEGIN PUBLIC KEY-----\nAAAA\n"), None);
        assert!(SigningKey::read(b"nonsense").is_err());
        assert_ne!(SigningKey::generate().unwrap(), pkcs8);
    }
}
