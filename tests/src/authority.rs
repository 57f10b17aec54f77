//! A throw-away certificate authority, and a server certificate from it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose, date_time_ymd,
};

/// What a server's certificate is like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certificate {
    /// Nothing is wrong with it.
    Good,
    /// Its time is over.
    Expired,
    /// It is for `mail.other.example` alone.
    OtherName,
    /// It signed itself.
    SelfSigned,
}

/// The files of an authority and of one server certificate for `localhost`, `127.0.0.1` and `::1`.
#[derive(Debug, Clone)]
pub struct Authority {
    /// The authority's certificate: what a client is to trust.
    pub ca: PathBuf,
    /// The server's certificate.
    pub certificate: PathBuf,
    /// The server's private key; readable for everybody, as servers give up root before they read it.
    pub key: PathBuf,
}

impl Authority {
    /// Writes `ca.pem`, `server.pem` and `server.key` into the folder.
    pub fn create(folder: &Path) -> Self {
        Self::with(folder, Certificate::Good)
    }

    /// The same, with something wrong.
    pub fn with(folder: &Path, kind: Certificate) -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params
            .distinguished_name
            .push(DnType::CommonName, "Whimbrel testbed authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");

        let names: &[&str] = match kind {
            Certificate::OtherName => &["mail.other.example"],
            _ => &["localhost", "127.0.0.1", "::1"],
        };
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let mut params = CertificateParams::new(names).expect("good names");
        params.distinguished_name.push(DnType::CommonName, "localhost");
        if kind == Certificate::Expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = match kind {
            Certificate::SelfSigned => params.self_signed(&key),
            _ => params.signed_by(&key, &issuer),
        }
        .expect("a certificate");

        let authority = Self {
            ca: folder.join("ca.pem"),
            certificate: folder.join("server.pem"),
            key: folder.join("server.key"),
        };
        fs::write(&authority.ca, issuer.pem()).expect("own folder");
        fs::write(&authority.certificate, certificate.pem()).expect("own folder");
        fs::write(&authority.key, key.serialize_pem()).expect("own folder");
        fs::set_permissions(&authority.key, fs::Permissions::from_mode(0o644)).expect("own file");
        authority
    }
}
