//! The signature beside a component: a short text that names what was signed, by which key.
//!
//! What is signed are the bytes of all lines but the last, as they stand. The first line separates these signatures from
//! whatever else a key signs: nothing else begins with it.

use base64::{Engine, engine::general_purpose::STANDARD};
use whimbrel_proof::{PublicKey, SigningKey};

/// The first line.
const HEADER: &str = "whimbrel connector signature 1";

/// What the other lines name, in this order.
const FIELDS: [&str; 6] = ["algorithm", "name", "version", "blake3", "key", "signature"];

/// The only algorithm of this form (RFC 8032).
const ALGORITHM: &str = "ed25519";

/// Bytes of a signature file; a longer one is none.
pub const MOST_BYTES: usize = 4096;

/// What a component is, for signing and checking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subject<'t> {
    /// As it describes itself.
    pub name: &'t str,
    /// Likewise.
    pub version: &'t str,
    /// BLAKE3 of its file, in 64 hexadecimal digits.
    pub blake3: &'t str,
}

/// A signature whose form is right. Whether it holds says [`Signature::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    name: String,
    version: String,
    blake3: String,
    key: PublicKey,
    signed: String,
    signature: Vec<u8>,
}

/// What is wrong with a signature. Each text says what to think of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// It is no such text.
    #[error("line {line} of the signature is wrong: {problem}")]
    Form {
        /// From 1.
        line: usize,
        /// What is wrong.
        problem: &'static str,
    },
    /// The key that it names did not make it.
    #[error("the signature was not made by the key that it names ({key}): it was changed, or forged")]
    Forged {
        /// That key.
        key: String,
    },
    /// It is good, and of something else.
    #[error("the signature is of another connector: `{name}` {version}")]
    OtherConnector {
        /// What was signed.
        name: String,
        /// Its version.
        version: String,
    },
    /// It is good, and of other bytes.
    #[error(
        "the component is not what was signed: its BLAKE3 is {found}, the signature is of {signed}. It was altered, or built \
         again"
    )]
    Altered {
        /// Of the signature.
        signed: String,
        /// Of the file.
        found: String,
    },
    /// It is good, by a key that nobody trusts.
    #[error("the signature is good, but its key {key} is not among the trusted ones")]
    UnknownKey {
        /// Whose it is.
        key: String,
    },
}

impl Signature {
    /// Signs; gives the text of the file.
    pub fn make(key: &SigningKey, subject: Subject<'_>) -> String {
        let Subject { name, version, blake3 } = subject;
        let public = key.public().text();
        let signed = format!(
            "{HEADER}\nalgorithm: {ALGORITHM}\nname: {name}\nversion: {version}\nblake3: {blake3}\nkey: {public}\n"
        );
        let signature = STANDARD.encode(key.sign(signed.as_bytes()));
        format!("{signed}signature: {signature}\n")
    }

    /// Reads the text of a file. One signature has one spelling: these lines, in this order, and nothing else.
    ///
    /// # Errors
    /// [`SignatureError::Form`].
    pub fn parse(text: &str) -> Result<Self, SignatureError> {
        let form = |line, problem| SignatureError::Form { line, problem };
        if text.len() > MOST_BYTES {
            return Err(form(1, "it is too long"));
        }
        let Some(body) = text.strip_suffix('\n') else {
            return Err(form(1, "it does not end with a line feed"));
        };
        let mut lines = body.split('\n');
        if lines.next() != Some(HEADER) {
            return Err(form(1, "it is not \"whimbrel connector signature 1\""));
        }
        let mut values = [""; FIELDS.len()];
        for (number, (field, value)) in FIELDS.iter().zip(&mut values).enumerate() {
            let line = lines.next().unwrap_or_default();
            let given = line.strip_prefix(field).and_then(|rest| rest.strip_prefix(": "));
            *value = given
                .filter(|given| !given.is_empty() && !given.contains(char::is_whitespace))
                .ok_or_else(|| form(number + 2, "it does not name what belongs there"))?;
        }
        if lines.next().is_some() {
            return Err(form(FIELDS.len() + 2, "nothing belongs there"));
        }
        let [algorithm, name, version, blake3, key, signature] = values;
        if algorithm != ALGORITHM {
            return Err(form(2, "the algorithm is not `ed25519`"));
        }
        let key = PublicKey::parse(key).ok_or_else(|| form(6, "a key has 64 lower-case hexadecimal digits"))?;
        if PublicKey::parse(blake3).is_none() {
            return Err(form(5, "a hash has 64 lower-case hexadecimal digits"));
        }
        let made = STANDARD
            .decode(signature)
            .map_err(|_| form(7, "the signature is not in base64"))?;
        let signed_bytes = text.len() - format!("signature: {signature}\n").len();
        Ok(Self {
            name: name.to_owned(),
            version: version.to_owned(),
            blake3: blake3.to_owned(),
            key,
            signed: text[..signed_bytes].to_owned(),
            signature: made,
        })
    }

    /// The key that it says it was made with.
    pub fn key(&self) -> PublicKey {
        self.key
    }

    /// Whether it holds for this component and is by one of these keys.
    ///
    /// # Errors
    /// All of [`SignatureError`] but [`SignatureError::Form`]. [`SignatureError::UnknownKey`] only where all else is right.
    pub fn check(&self, subject: Subject<'_>, trusted: &[PublicKey]) -> Result<PublicKey, SignatureError> {
        let key = self.key.text();
        if !self.key.verify(self.signed.as_bytes(), &self.signature) {
            return Err(SignatureError::Forged { key });
        }
        if (self.name.as_str(), self.version.as_str()) != (subject.name, subject.version) {
            return Err(SignatureError::OtherConnector {
                name: self.name.clone(),
                version: self.version.clone(),
            });
        }
        if self.blake3 != subject.blake3 {
            return Err(SignatureError::Altered {
                signed: self.blake3.clone(),
                found: subject.blake3.to_owned(),
            });
        }
        if trusted.contains(&self.key) {
            Ok(self.key)
        } else {
            Err(SignatureError::UnknownKey { key })
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HASH: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
    const SUBJECT: Subject<'_> = Subject {
        name: "imap",
        version: "0.1.0",
        blake3: HASH,
    };

    fn key() -> SigningKey {
        SigningKey::read(&SigningKey::generate().unwrap()).unwrap()
    }

    #[test]
    fn what_was_signed_holds() {
        let key = key();
        let text = Signature::make(&key, SUBJECT);
        let signature = Signature::parse(&text).unwrap();
        assert_eq!(signature.check(SUBJECT, &[key.public()]), Ok(key.public()));
        assert_eq!(text.lines().count(), 7);
        assert!(text.starts_with("whimbrel connector signature 1\nalgorithm: ed25519\nname: imap\n"));
    }

    #[test]
    fn a_key_that_nobody_trusts_is_told_apart() {
        let (own, other) = (key(), key());
        let signature = Signature::parse(&Signature::make(&other, SUBJECT)).unwrap();
        let key = other.public().text();
        assert_eq!(
            signature.check(SUBJECT, &[own.public()]),
            Err(SignatureError::UnknownKey { key })
        );
    }

    #[test]
    fn a_signature_under_the_name_of_another_key_is_forged() {
        let (own, other) = (key(), key());
        let text = Signature::make(&other, SUBJECT).replace(&other.public().text(), &own.public().text());
        let forged = Signature::parse(&text).unwrap().check(SUBJECT, &[own.public()]);
        let key = own.public().text();
        assert_eq!(forged, Err(SignatureError::Forged { key }));
    }

    #[test]
    fn an_altered_component_is_told_apart() {
        let key = key();
        let signature = Signature::parse(&Signature::make(&key, SUBJECT)).unwrap();
        let found = HASH.replace('0', "1");
        let altered = Subject {
            blake3: &found,
            ..SUBJECT
        };
        let expected = SignatureError::Altered {
            signed: HASH.into(),
            found: found.clone(),
        };
        assert_eq!(signature.check(altered, &[key.public()]), Err(expected));
    }

    #[test]
    fn a_swapped_signature_is_told_apart() {
        let key = key();
        let other = Subject {
            name: "maildir",
            ..SUBJECT
        };
        let signature = Signature::parse(&Signature::make(&key, other)).unwrap();
        let expected = SignatureError::OtherConnector {
            name: "maildir".into(),
            version: "0.1.0".into(),
        };
        assert_eq!(signature.check(SUBJECT, &[key.public()]), Err(expected));
        let older = Subject {
            version: "0.0.9",
            ..SUBJECT
        };
        let signature = Signature::parse(&Signature::make(&key, older)).unwrap();
        assert!(matches!(
            signature.check(SUBJECT, &[key.public()]),
            Err(SignatureError::OtherConnector { .. })
        ));
    }

    #[test]
    fn what_is_no_signature_is_refused_with_its_line() {
        let good = Signature::make(&key(), SUBJECT);
        for (text, at) in [
            (String::new(), 1),
            (good.trim_end().to_owned(), 1),
            (good.replace("signature 1", "signature 2"), 1),
            (good.replace("ed25519", "rsa"), 2),
            (good.replace("name: imap", "name: "), 3),
            (good.replace("name: imap", "name: imap evil"), 3),
            (good.replace("version", "Version"), 4),
            (good.replace(HASH, &HASH.to_uppercase()), 5),
            (good.replace("key: ", "key: 00"), 6),
            (good.replace("signature: ", "signature: !"), 7),
            (format!("{good}more\n"), 8),
            (good.replace('\n', "\r\n"), 1),
            ("x".repeat(MOST_BYTES + 1), 1),
        ] {
            match Signature::parse(&text) {
                Err(SignatureError::Form { line, .. }) => assert_eq!(line, at, "{text}"),
                other => panic!("{other:?}: {text}"),
            }
        }
    }

    proptest! {
        #[test]
        fn any_change_of_a_byte_is_found_out(at in 0usize..300, with in any::<u8>()) {
            let key = SigningKey::read(&SigningKey::generate().unwrap()).unwrap();
            let mut bytes = Signature::make(&key, SUBJECT).into_bytes();
            let at = at % bytes.len();
            prop_assume!(bytes[at] != with);
            bytes[at] = with;
            let holds = String::from_utf8(bytes).ok()
                .and_then(|text| Signature::parse(&text).ok())
                .is_some_and(|signature| signature.check(SUBJECT, &[key.public()]).is_ok());
            prop_assert!(!holds);
        }

        #[test]
        fn nothing_panics(text in "\\PC*") {
            let _ = Signature::parse(&text);
            let _ = Signature::parse(&format!("{HEADER}\n{text}\n"));
        }
    }
}
