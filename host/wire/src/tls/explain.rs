//! Why a handshake failed, and what to do about it.

use std::io;

use tokio_rustls::rustls::{AlertDescription, CertificateError, Error as TlsError, PeerIncompatible};
use whimbrel_model::Failure;

use super::judge::Refused;
use super::pin::Fingerprints;

/// Says plainly why a handshake failed.
pub(super) fn explain(host: &str, port: u16, error: &io::Error) -> Failure {
    let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) else {
        return Failure::Unavailable(match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => {
                format!(
                    "{host}:{port} closed the connection during the TLS handshake: does this port speak TLS? (`tls` and \
                 `port` in the settings)"
                )
            }
            _ => format!("the TLS handshake with {host}:{port} failed: {error}"),
        });
    };
    match tls {
        TlsError::InvalidCertificate(CertificateError::Other(other)) => match other.0.downcast_ref::<Refused>() {
            Some(refused) => explain_refusal(host, port, refused),
            None => Failure::InvalidSettings(format!("the certificate of {host}:{port} is not acceptable: {tls}")),
        },
        TlsError::InvalidMessage(_) => Failure::InvalidSettings(format!(
            "{host}:{port} does not answer in TLS: wrong port, or a server that starts in clear text (then \
             `tls = \"starttls\"` in the settings)"
        )),
        // Nothing that passes by itself, and nothing that a setting may soften.
        TlsError::AlertReceived(AlertDescription::ProtocolVersion)
        | TlsError::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13) => too_old(host, port, None),
        TlsError::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::InsufficientSecurity)
        | TlsError::PeerIncompatible(_) => Failure::Unsupported(format!(
            "{host}:{port} and this program have no method of encryption in common ({tls}): its operator must switch on \
             TLS 1.2 or higher with ECDHE and AES-GCM or ChaCha20"
        )),
        other => Failure::Unavailable(format!("the TLS handshake with {host}:{port} failed: {other}")),
    }
}

/// A server that speaks `version` at most, where that is known.
pub(super) fn too_old(host: &str, port: u16, version: Option<&str>) -> Failure {
    let only = version.map(|version| format!(", only {version}")).unwrap_or_default();
    Failure::Unsupported(format!(
        "{host}:{port} speaks neither TLS 1.3 nor TLS 1.2{only}; older versions can be broken, and no setting allows them: \
         its operator must switch on TLS 1.2 or higher"
    ))
}

/// How to trust what was seen, for those who know the server by it.
fn pinning(seen: &Fingerprints) -> String {
    format!(
        "its fingerprint is {seen}; if its operator tells you the same one, `pin = \"{}\"` in the settings trusts it",
        seen.certificate
    )
}

fn explain_refusal(host: &str, port: u16, refused: &Refused) -> Failure {
    use CertificateError as E;
    let seen = &refused.seen;
    let Some(fault) = &refused.fault else {
        return Failure::InvalidSettings(format!(
            "the certificate of {host}:{port} is not the one that `pin` in the settings names: its fingerprint is {seen}. \
             Either the server has a new certificate, which its operator can confirm (then change `pin`), or somebody \
             stands between you and the server (then do not)"
        ));
    };
    match fault {
        // The last: an authority of the same name is known, and has another kind of key.
        E::UnknownIssuer | E::BadSignature | E::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
            Failure::InvalidSettings(format!(
                "the certificate of {host}:{port} is signed by an unknown authority: if you trust it, name the authority's \
             certificate with `ca = \"…\"` in the settings; or {}",
                pinning(seen)
            ))
        }
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            let names = match fault {
                E::NotValidForNameContext { presented, .. } if !presented.is_empty() => {
                    let shown: Vec<&str> = presented
                        .iter()
                        .take(5)
                        .map(|name| name.get(..120).unwrap_or(name))
                        .collect();
                    format!(" (it is for {})", shown.join(", "))
                }
                _ => String::new(),
            };
            Failure::InvalidSettings(format!(
                "the certificate of {host}:{port} is not for the name `{host}`{names}: write the name that it bears as \
                 `host` in the settings; or {}",
                pinning(seen)
            ))
        }
        E::Expired | E::ExpiredContext { .. } => Failure::Unavailable(format!(
            "the certificate of {host}:{port} has expired: the server's operator must renew it (or this machine's clock \
             is wrong); or {}",
            pinning(seen)
        )),
        E::NotValidYet | E::NotValidYetContext { .. } => Failure::Unavailable(format!(
            "the certificate of {host}:{port} is not valid yet: check this machine's clock; or {}",
            pinning(seen)
        )),
        E::Revoked => Failure::InvalidSettings(format!(
            "the certificate of {host}:{port} has been revoked: its operator must replace it"
        )),
        other => {
            // A self-signed end-entity certificate that is an authority of its own ends here.
            let remedy = if format!("{other:?}").contains("CaUsedAsEndEntity") {
                "it is self-signed"
            } else {
                "the server's operator must replace it"
            };
            Failure::InvalidSettings(format!(
                "the certificate of {host}:{port} is not acceptable ({other}): {remedy}; or {}",
                pinning(seen)
            ))
        }
    }
}
