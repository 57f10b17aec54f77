//! TLS for every protocol client: the operating system's trust store, extra authorities, and errors with a remedy.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{CertificateError, ClientConfig, Error as TlsError, version};
use whimbrel_model::Failure;

/// Whom to trust. TLS 1.2 or higher, certificates always verified; there is no way to switch that off.
#[derive(Clone)]
pub struct Tls {
    /// Or why there is nothing to verify with, told when a connection needs it.
    config: Result<Arc<ClientConfig>, String>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls").field("usable", &self.config.is_ok()).finish()
    }
}

/// What is trusted, by the file of extra authorities. The system's store has hundreds of certificates: it is read once, and
/// not for each of thousands of connections.
#[derive(Debug, Default)]
pub struct Trust(Mutex<HashMap<Option<PathBuf>, Tls>>);

impl Trust {
    /// As [`Tls::new`], read from the disk when it is asked for first. Blocks then.
    ///
    /// # Errors
    /// As [`Tls::new`]; what failed is tried again when it is asked for again.
    pub fn with(&self, extra_authorities_pem: Option<&Path>) -> Result<Tls, Failure> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = known.get(&extra_authorities_pem.map(Path::to_owned)) {
            return Ok(tls.clone());
        }
        let tls = Tls::new(extra_authorities_pem)?;
        known.insert(extra_authorities_pem.map(Path::to_owned), tls.clone());
        Ok(tls)
    }
}

impl Tls {
    /// Trusts the authorities of the operating system and those in the PEM file.
    ///
    /// # Errors
    /// `InvalidSettings` where the file cannot be read, holds no certificate or a broken one. A system without any
    /// trust store is told when a TLS connection is made.
    pub fn new(extra_authorities_pem: Option<&Path>) -> Result<Self, Failure> {
        let provider = Arc::new(ring::default_provider());
        let extra = match extra_authorities_pem {
            Some(path) => authorities(path)?,
            None => Vec::new(),
        };
        let verifier = match Verifier::new_with_extra_roots(extra, provider.clone()) {
            Ok(verifier) => verifier,
            Err(error) => match extra_authorities_pem {
                Some(path) => return Err(bad_file(path, &error)),
                None => {
                    return Ok(Self {
                        config: Err(format!(
                            "this system has no certificate authorities to verify a server with ({error}): install its \
                             CA certificates (the package is often called ca-certificates) or name a file of them \
                             with `ca = \"…\"` in the settings"
                        )),
                    });
                }
            },
        };
        Ok(Self {
            config: Ok(Arc::new(config(provider, verifier)?)),
        })
    }

    /// Shakes hands over an open connection; `host` is the name that the certificate must bear.
    ///
    /// # Errors
    /// `InvalidSettings` for a certificate that does not verify, with the remedy; `Unavailable` for anything that may
    /// pass, a certificate out of its time included.
    pub(crate) async fn connect<S>(&self, host: &str, port: u16, stream: S) -> Result<TlsStream<S>, Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self
            .config
            .as_ref()
            .map_err(|reason| Failure::InvalidSettings(reason.clone()))?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Failure::InvalidSettings(format!(
                "`{host}` is neither a host name nor an IP address: correct `host`"
            ))
        })?;
        let connector = TlsConnector::from(config.clone());
        connector
            .connect(name, stream)
            .await
            .map_err(|error| explain(host, port, &error))
    }
}

fn config(provider: Arc<CryptoProvider>, verifier: Verifier) -> Result<ClientConfig, Failure> {
    let config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|error| Failure::Internal(format!("TLS cannot be set up: {error}")))?
        .dangerous() // The name of the method that takes one's own verifier: here the system's, which verifies fully.
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    Ok(config)
}

fn bad_file(path: &Path, error: &dyn fmt::Display) -> Failure {
    Failure::InvalidSettings(format!(
        "the file of authorities `{}` (`ca` in the settings) cannot be used: {error}; it must hold certificates in PEM \
         form (-----BEGIN CERTIFICATE-----)",
        path.display()
    ))
}

fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path)
        .map_err(|error| bad_file(path, &error))?
        .collect();
    let found = found.map_err(|error| bad_file(path, &error))?;
    if found.is_empty() {
        return Err(bad_file(path, &"no certificate in it"));
    }
    Ok(found)
}

/// Says plainly why a handshake failed.
fn explain(host: &str, port: u16, error: &io::Error) -> Failure {
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
        TlsError::InvalidCertificate(certificate) => explain_certificate(host, port, certificate),
        TlsError::InvalidMessage(_) => Failure::InvalidSettings(format!(
            "{host}:{port} does not answer in TLS: wrong port, or a server that starts in clear text (then \
             `tls = \"starttls\"` in the settings)"
        )),
        TlsError::PeerIncompatible(_) | TlsError::AlertReceived(_) => Failure::Unavailable(format!(
            "{host}:{port} refused the TLS handshake ({tls}): it may speak only versions or ciphers older than TLS 1.2"
        )),
        other => Failure::Unavailable(format!("the TLS handshake with {host}:{port} failed: {other}")),
    }
}

fn explain_certificate(host: &str, port: u16, error: &CertificateError) -> Failure {
    use CertificateError as E;
    match error {
        E::UnknownIssuer | E::BadSignature => Failure::InvalidSettings(format!(
            "the certificate of {host}:{port} is signed by an unknown authority: if you trust it, name the authority's \
             certificate with `ca = \"…\"` in the settings"
        )),
        E::NotValidForName | E::NotValidForNameContext { .. } => {
            let names = match error {
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
                 `host` in the settings"
            ))
        }
        E::Expired | E::ExpiredContext { .. } => Failure::Unavailable(format!(
            "the certificate of {host}:{port} has expired: the server's operator must renew it (or this machine's clock \
             is wrong)"
        )),
        E::NotValidYet | E::NotValidYetContext { .. } => Failure::Unavailable(format!(
            "the certificate of {host}:{port} is not valid yet: check this machine's clock"
        )),
        E::Revoked => Failure::InvalidSettings(format!("the certificate of {host}:{port} has been revoked")),
        other => {
            // A self-signed end-entity certificate that is an authority of its own ends here.
            let text = format!("{other:?}");
            let remedy = if text.contains("CaUsedAsEndEntity") {
                "it is self-signed: issue one from an authority, and name that authority with `ca = \"…\"` in the settings"
            } else {
                "the server's operator must replace it"
            };
            Failure::InvalidSettings(format!(
                "the certificate of {host}:{port} is not acceptable ({other}): {remedy}"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    use super::*;

    struct Authority {
        issuer: CertifiedIssuer<'static, KeyPair>,
        folder: tempfile::TempDir,
    }

    impl Authority {
        fn new() -> Self {
            let mut params = CertificateParams::new(Vec::new()).unwrap();
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
            Self { issuer, folder }
        }

        fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
            let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
            change(&mut params);
            let key = KeyPair::generate().unwrap();
            let certificate = params.signed_by(&key, &self.issuer).unwrap();
            let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
                .with_safe_default_protocol_versions()
                .unwrap()
                .with_no_client_auth()
                .with_single_cert(
                    vec![certificate.der().clone()],
                    PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
                )
                .unwrap();
            TlsAcceptor::from(Arc::new(config))
        }

        fn trusted(&self) -> Tls {
            Tls::new(Some(&self.folder.path().join("ca.pem"))).unwrap()
        }
    }

    async fn shake(acceptor: TlsAcceptor, tls: &Tls, host: &str) -> Result<(), Failure> {
        let (client, server) = tokio::io::duplex(64 << 10);
        let server = tokio::spawn(async move { drop(acceptor.accept(server).await) });
        let result = tls.connect(host, 993, client).await.map(drop);
        server.await.unwrap();
        result
    }

    fn text(result: Result<(), Failure>) -> String {
        result.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn each_fault_of_a_certificate_has_its_own_words_and_remedy() {
        let authority = Authority::new();
        let good = |_: &mut CertificateParams| {};
        shake(authority.server("mail.test", good), &authority.trusted(), "mail.test")
            .await
            .unwrap();

        let other = Authority::new();
        let unknown = text(shake(authority.server("mail.test", good), &other.trusted(), "mail.test").await);
        assert!(
            unknown.contains("unknown authority") && unknown.contains("ca = "),
            "{unknown}"
        );

        let name = text(shake(authority.server("other.test", good), &authority.trusted(), "mail.test").await);
        assert!(
            name.contains("not for the name `mail.test`") && name.contains("other.test"),
            "{name}"
        );

        let expired = |params: &mut CertificateParams| {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        };
        let expired = text(
            shake(
                authority.server("mail.test", expired),
                &authority.trusted(),
                "mail.test",
            )
            .await,
        );
        assert!(expired.contains("has expired"), "{expired}");
    }

    #[tokio::test]
    async fn clear_text_where_tls_is_due_is_recognised() {
        let (client, mut server) = tokio::io::duplex(1024);
        tokio::io::AsyncWriteExt::write_all(&mut server, b"* OK IMAP4rev1 ready\r\n")
            .await
            .unwrap();
        let text = text(
            Authority::new()
                .trusted()
                .connect("mail.test", 143, client)
                .await
                .map(drop),
        );
        assert!(text.contains("starttls"), "{text}");
    }

    #[test]
    fn a_bad_file_of_authorities_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        fs::write(&empty, "nothing here").unwrap();
        for path in [empty, folder.path().join("missing.pem")] {
            let failure = Tls::new(Some(&path)).unwrap_err();
            assert!(
                matches!(&failure, Failure::InvalidSettings(text) if text.contains("pem")),
                "{failure}"
            );
        }
    }
}
