//! TLS for every protocol client: the operating system's trust store, extra authorities, pins, and errors with a remedy.

mod explain;
mod judge;
mod older;
mod pin;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls_platform_verifier::Verifier;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, ProtocolVersion, version};
use whimbrel_model::Failure;

use explain::{explain, too_old};
use judge::{Ground, Judge};
use pin::Fingerprints;

pub use pin::Pin;

/// Whom to trust. TLS 1.2 or higher, certificates always verified, by authorities or by pins; there is no way to switch
/// that off.
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

/// How a connection is protected, as both sides agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Protection {
    /// "TLS 1.3", "TLS 1.2", or "TLS 1.2 or higher" where it is not known which.
    pub version: &'static str,
    /// By its name in the registry of IANA, e.g. "TLS13_AES_256_GCM_SHA384"; empty where it is not known.
    pub cipher: String,
    /// Of the server's certificate.
    pub fingerprint: Option<Pin>,
}

impl Protection {
    fn of(connection: &ClientConnection) -> Self {
        let version = match connection.protocol_version() {
            Some(ProtocolVersion::TLSv1_3) => "TLS 1.3",
            // Nothing older is ever agreed to.
            _ => "TLS 1.2",
        };
        let cipher = connection
            .negotiated_cipher_suite()
            .map(|suite| format!("{:?}", suite.suite()))
            .unwrap_or_default();
        let certificate = connection.peer_certificates().and_then(|chain| chain.first());
        Self {
            version,
            cipher,
            fingerprint: certificate.map(fingerprint),
        }
    }
}

/// What is trusted, by the file of extra authorities and the pins. The system's store has hundreds of certificates: it is
/// read once, and not for each of thousands of connections.
#[derive(Debug, Default)]
pub struct Trust(Mutex<HashMap<Grounds, Tls>>);

/// A file of authorities, and pins.
type Grounds = (Option<PathBuf>, Vec<Pin>);

impl Trust {
    /// As [`Tls::new`], read from the disk when it is asked for first. Blocks then.
    ///
    /// # Errors
    /// As [`Tls::new`]; what failed is tried again when it is asked for again.
    pub fn with(&self, extra_authorities_pem: Option<&Path>, pins: &[Pin]) -> Result<Tls, Failure> {
        let key = (extra_authorities_pem.map(Path::to_owned), pins.to_vec());
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = known.get(&key) {
            return Ok(tls.clone());
        }
        let tls = match pins {
            [] => Tls::new(extra_authorities_pem)?,
            pins => Tls::pinned(pins)?,
        };
        known.insert(key, tls.clone());
        Ok(tls)
    }
}

/// Makes the cryptography that this crate uses that of the whole process, for libraries that bring none of their own.
/// Harmless to repeat.
pub fn provide_cryptography() {
    // The answer tells that there is one already: the same.
    let _ = ring::default_provider().install_default();
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
            config: Ok(Arc::new(config(provider, Ground::Authorities(verifier))?)),
        })
    }

    /// Trusts a server whose certificate, or whose certificate's key, has one of these fingerprints, and no other. No
    /// authority is asked, nor the name and the dates that the certificate bears.
    ///
    /// # Errors
    /// `Internal` where TLS cannot be set up.
    pub fn pinned(pins: &[Pin]) -> Result<Self, Failure> {
        let provider = Arc::new(ring::default_provider());
        Ok(Self {
            config: Ok(Arc::new(config(provider, Ground::Pins(pins.to_vec()))?)),
        })
    }

    /// Shakes hands over an open connection; `host` is the name that the certificate must bear.
    ///
    /// # Errors
    /// `InvalidSettings` for a certificate that does not verify, with the remedy; `Unavailable` for anything that may
    /// pass, a certificate out of its time included.
    pub(crate) async fn connect<S>(
        &self,
        host: &str,
        port: u16,
        stream: S,
    ) -> Result<(TlsStream<S>, Protection), Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let config = self.client()?;
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Failure::InvalidSettings(format!(
                "`{host}` is neither a host name nor an IP address: correct `host`"
            ))
        })?;
        let connector = TlsConnector::from(config.clone());
        let stream = connector
            .connect(name, stream)
            .await
            .map_err(|error| explain(host, port, &error))?;
        let protection = Protection::of(stream.get_ref().1);
        Ok((stream, protection))
    }

    /// Why a handshake failed that another library made with this configuration.
    pub(crate) fn explain(host: &str, port: u16, error: &std::io::Error) -> Failure {
        explain(host, port, error)
    }

    /// After a handshake that broke off: asks the server over a new connection, and gives the failure that says so where
    /// it speaks nothing that is new enough.
    pub(crate) async fn diagnose<S>(host: &str, port: u16, again: S) -> Option<Failure>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        older::version(again)
            .await
            .map(|version| too_old(host, port, Some(version)))
    }

    /// What clients shake hands with.
    ///
    /// # Errors
    /// `InvalidSettings` where there is nothing to verify with.
    pub(crate) fn client(&self) -> Result<&Arc<ClientConfig>, Failure> {
        self.config
            .as_ref()
            .map_err(|reason| Failure::InvalidSettings(reason.clone()))
    }
}

/// What a server's certificate is known by.
pub(crate) fn fingerprint(certificate: &CertificateDer<'_>) -> Pin {
    Fingerprints::of(certificate).certificate
}

fn config(provider: Arc<CryptoProvider>, ground: Ground) -> Result<ClientConfig, Failure> {
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])
        .map_err(|error| Failure::Internal(format!("TLS cannot be set up: {error}")))?
        .dangerous() // The name of the method that takes one's own verifier; ours verifies fully.
        .with_custom_certificate_verifier(Arc::new(Judge { ground, provider }))
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

    async fn shake(acceptor: TlsAcceptor, tls: &Tls, host: &str) -> Result<Protection, Failure> {
        let (client, server) = tokio::io::duplex(64 << 10);
        let server = tokio::spawn(async move { drop(acceptor.accept(server).await) });
        let result = tls.connect(host, 993, client).await.map(|(_, protection)| protection);
        server.await.unwrap();
        result
    }

    fn text<T: fmt::Debug>(result: Result<T, Failure>) -> String {
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
        for refused in [unknown, name, expired] {
            assert!(refused.contains("pin = \"sha256:"), "{refused}");
        }
    }

    /// The fingerprints that a refusal shows: of the certificate, and of its key.
    fn shown(text: &str) -> Vec<Pin> {
        let found = text
            .match_indices("sha256:")
            .map(|(at, _)| text[at..at + 71].parse().unwrap());
        let mut pins: Vec<Pin> = found.collect();
        pins.dedup();
        pins
    }

    #[tokio::test]
    async fn a_pin_is_all_that_a_server_needs_and_what_it_cannot_do_without() {
        let (authority, nobody) = (Authority::new(), Authority::new());
        let odd = |params: &mut CertificateParams| {
            params.not_before = rcgen::date_time_ymd(2001, 1, 1);
            params.not_after = rcgen::date_time_ymd(2002, 1, 1);
        };
        let server = authority.server("other.test", odd);
        let refused = text(shake(server.clone(), &nobody.trusted(), "mail.test").await);
        let [certificate, key, ..] = shown(&refused)[..] else {
            panic!("two fingerprints are missing: {refused}")
        };
        assert_ne!(certificate, key);
        for pin in [certificate, key] {
            let protection = shake(server.clone(), &Tls::pinned(&[pin]).unwrap(), "mail.test")
                .await
                .unwrap();
            assert_eq!(protection.fingerprint, Some(certificate));
            assert_eq!(protection.version, "TLS 1.3");
            assert!(protection.cipher.starts_with("TLS13_"), "{protection:?}");
        }
        let good = authority.server("mail.test", |_: &mut CertificateParams| {});
        let wrong = text(shake(good, &Tls::pinned(&[certificate, key]).unwrap(), "mail.test").await);
        assert!(
            wrong.contains("is not the one that `pin` in the settings names") && !shown(&wrong).contains(&certificate),
            "{wrong}"
        );
    }

    #[tokio::test]
    async fn trust_is_built_once_for_the_same_authorities_and_pins() {
        let trust = Trust::default();
        let pin: Pin = format!("sha256:{}", "00".repeat(32)).parse().unwrap();
        for _ in 0..2 {
            trust.with(None, &[]).unwrap();
            trust.with(None, &[pin]).unwrap();
        }
        assert_eq!(trust.0.lock().unwrap().len(), 2);
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
