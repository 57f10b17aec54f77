//! Who judges a certificate: the authorities, or the admin's pins.

use std::fmt;
use std::sync::Arc;

use rustls_platform_verifier::Verifier;
use tokio_rustls::rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio_rustls::rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{CertificateError, DigitallySignedStruct, Error, OtherError, SignatureScheme};

use super::pin::{Fingerprints, Pin};

/// What makes a certificate good.
#[derive(Debug)]
pub(super) enum Ground {
    /// An authority of the system's, or of the admin's file, vouches for it, for the name and for the time.
    Authorities(Verifier),
    /// It is one of these, or has one of these keys. Authorities, name and time have nothing to add then.
    Pins(Vec<Pin>),
}

/// Refuses certificates with a [`Refused`], which remembers what was seen.
#[derive(Debug)]
pub(super) struct Judge {
    pub ground: Ground,
    pub provider: Arc<CryptoProvider>,
}

/// A certificate that was not accepted.
#[derive(Debug)]
pub(super) struct Refused {
    /// None where it is good in itself and was not pinned.
    pub fault: Option<CertificateError>,
    pub seen: Fingerprints,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.fault {
            Some(fault) => write!(f, "{fault}: {}", self.seen),
            None => write!(f, "not the pinned certificate: {}", self.seen),
        }
    }
}

impl std::error::Error for Refused {}

fn refuse(fault: Option<CertificateError>, certificate: &CertificateDer<'_>) -> Error {
    let seen = Fingerprints::of(certificate);
    Error::InvalidCertificate(CertificateError::Other(OtherError(Arc::new(Refused { fault, seen }))))
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match &self.ground {
            Ground::Authorities(verifier) => verifier
                .verify_server_cert(certificate, intermediates, name, ocsp, now)
                .map_err(|error| match error {
                    Error::InvalidCertificate(fault) => refuse(Some(fault), certificate),
                    other => other,
                }),
            Ground::Pins(pins) if Fingerprints::of(certificate).among(pins) => Ok(ServerCertVerified::assertion()),
            Ground::Pins(_) => Err(refuse(None, certificate)),
        }
    }

    // That the server holds the certificate's key is proved in either case.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
