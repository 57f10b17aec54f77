//! Signed and encrypted mail: what a change would break.

use crate::{content_type::ContentType, head::Head, words::unfold};

impl ContentType {
    /// Signed, detached (RFC 1847) or opaque (RFC 8551 section 3.5.2).
    pub(crate) fn is_signed(&self) -> bool {
        match self.kind.as_str() {
            "multipart/signed" => true,
            "application/pkcs7-mime" | "application/x-pkcs7-mime" => self
                .param("smime-type")
                .is_some_and(|kind| kind.eq_ignore_ascii_case("signed-data")),
            _ => false,
        }
    }

    /// Encrypted with OpenPGP (RFC 3156) or S/MIME; an opaque S/MIME content that does not say what it is counts too.
    pub(crate) fn is_encrypted(&self) -> bool {
        match self.kind.as_str() {
            "multipart/encrypted" | "application/pgp-encrypted" => true,
            "application/pkcs7-mime" | "application/x-pkcs7-mime" => self.param("smime-type").is_none_or(|kind| {
                let kind = kind.to_ascii_lowercase();
                kind == "enveloped-data" || kind == "authenveloped-data"
            }),
            _ => false,
        }
    }
}

impl Head {
    /// Whether something signs the message: DKIM (RFC 6376), ARC (RFC 8617), OpenPGP or S/MIME around the whole content.
    pub fn is_signed(&self) -> bool {
        self.is_dkim_signed() || self.has("ARC-Seal") || self.content_type().is_signed()
    }

    /// Whether there is a DKIM signature, whoever made it.
    pub fn is_dkim_signed(&self) -> bool {
        self.has("DKIM-Signature")
    }

    /// Whether the whole content is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.content_type().is_encrypted()
    }

    /// Whether a DKIM signature covers the fields of this name: whether it stands in an `h=` tag (RFC 6376 section 3.5).
    pub fn dkim_covers(&self, name: &str) -> bool {
        self.all("DKIM-Signature").any(|field| {
            let value = unfold(field.value());
            value.split(|&byte| byte == b';').any(|tag| {
                let mut parts = tag.splitn(2, |&byte| byte == b'=');
                let (Some(key), Some(list)) = (parts.next(), parts.next()) else {
                    return false;
                };
                key.trim_ascii() == b"h"
                    && list
                        .split(|&byte| byte == b':')
                        .any(|covered| covered.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(text: &'static str) -> Head {
        Head::parse(text.as_bytes().into())
    }

    #[test]
    fn signatures_are_seen() {
        let dkim =
            head("DKIM-Signature: v=1; a=rsa-sha256; bh=h=x; h=From:To\r\n : Subject ; b=abc\r\nFrom: a\r\n\r\n");
        assert!(dkim.is_signed() && dkim.is_dkim_signed());
        for (name, covered) in [
            ("from", true),
            ("TO", true),
            ("Subject", true),
            ("x", false),
            ("Date", false),
        ] {
            assert_eq!(dkim.dkim_covers(name), covered, "{name}");
        }
        for (text, signed, encrypted) in [
            ("ARC-Seal: i=1\n\n", true, false),
            ("Content-Type: multipart/signed; boundary=x\n\n", true, false),
            (
                "Content-Type: application/pkcs7-mime; smime-type=Signed-Data\n\n",
                true,
                false,
            ),
            (
                "Content-Type: application/pkcs7-mime; smime-type=enveloped-data\n\n",
                false,
                true,
            ),
            ("Content-Type: application/x-pkcs7-mime\n\n", false, true),
            ("Content-Type: multipart/encrypted\n\n", false, true),
            ("Content-Type: text/plain\n\n", false, false),
            ("", false, false),
        ] {
            assert_eq!(
                (head(text).is_signed(), head(text).is_encrypted()),
                (signed, encrypted),
                "{text}"
            );
            assert!(!head(text).is_dkim_signed());
        }
    }
}
