//! Calendars over HTTPS: an authority of one's own is trusted, by its file or by a pin, and nobody else is.

#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fs;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::thread;

use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use whimbrel_tests::authority::{Authority, Certificate};
use whimbrel_tests::corpus;
use whimbrel_tests::dav::Sort;
use whimbrel_tests::run::{Job, account, mailbox};
use whimbrel_tests::scratch;
use whimbrel_tests::servers::{DavServer, Radicale};

/// TLS in front of a server that has none. It ends with the process.
struct Front {
    port: u16,
    authority: Authority,
    _folder: TempDir,
}

impl Front {
    fn start(to: u16, certificate: Certificate) -> Self {
        let folder = scratch::folder("front");
        let authority = Authority::with(folder.path(), certificate);
        let chain = CertificateDer::pem_file_iter(&authority.certificate).unwrap();
        let chain: Vec<_> = chain.collect::<Result<_, _>>().unwrap();
        let key = PrivateKeyDer::from_pem_file(&authority.key).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async move {
                let listener = TcpListener::from_std(listener).unwrap();
                while let Ok((stream, _)) = listener.accept().await {
                    let acceptor = acceptor.clone();
                    tokio::spawn(async move {
                        let mut outer = acceptor.accept(stream).await.ok()?;
                        let mut inner = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).await.ok()?;
                        copy_bidirectional(&mut outer, &mut inner).await.ok()
                    });
                }
            });
        });
        Self {
            port,
            authority,
            _folder: folder,
        }
    }

    /// The source of a migration; `trust` is a line of its section.
    fn side(&self, trust: &str) -> String {
        format!(
            "[source]\nconnector = \"caldav\"\n{trust}settings = {{ url = \"https://localhost:{}/\" }}\n",
            self.port
        )
    }

    fn ca(&self) -> String {
        format!("ca = \"{}\"\n", self.authority.ca.display())
    }
}

/// A calendar with some events.
fn filled() -> (Radicale, u16) {
    let server = Radicale::start();
    let dav = server.dav();
    dav.children("/alice/");
    dav.make(Sort::Calendars, "/alice/work/", "Work");
    for number in 0..20 {
        let uid = format!("event-{number}");
        dav.put(
            Sort::Calendars,
            &format!("/alice/work/{uid}.ics"),
            &corpus::event(&uid, "An event"),
        );
    }
    let port = server
        .url()
        .trim_end_matches('/')
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    (server, port)
}

fn job(source: String) -> Job {
    let job = Job::new(&[
        source,
        "[destination]\nconnector = \"ics\"\nsettings = { root = \"out\" }\n".to_owned(),
        mailbox("alice", &account("alice"), "{ }"),
        "[limits]\nretries = 1\nwait = \"1s\"\n".to_owned(),
    ]);
    fs::create_dir_all(job.folder().join("out")).unwrap();
    job
}

#[test]
fn an_authority_of_ones_own_or_a_pin_is_trusted() {
    let (_server, port) = filled();
    let front = Front::start(port, Certificate::Good);
    let by_authority = job(front.side(&front.ca()));
    let outcome = by_authority.migrate();
    assert_eq!(outcome.total("moved"), 20, "{outcome}");
    let report = by_authority.run(&["report"]);
    let servers = report.json()["source"]["servers"].clone();
    assert!(
        servers[0]["tls"].as_str().is_some_and(|tls| tls.starts_with("TLS 1.")),
        "{report}"
    );

    // One that signed itself, by what the admin was told of it.
    let front = Front::start(port, Certificate::SelfSigned);
    let output = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha256", "-in"])
        .arg(&front.authority.certificate)
        .output()
        .unwrap();
    let shown = String::from_utf8(output.stdout).unwrap();
    let pin = shown.trim().split_once('=').unwrap().1.replace(':', "").to_lowercase();
    let job = job(front.side(&format!("pin = \"sha256:{pin}\"\n")));
    assert_eq!(job.migrate().total("moved"), 20);
}

#[test]
fn nobody_else_is_trusted_and_nothing_is_sent_to_them() {
    let (_server, port) = filled();
    let good = Front::start(port, Certificate::Good);
    for (front, trust, says) in [
        (Front::start(port, Certificate::Good), good.ca(), "authorit"),
        (Front::start(port, Certificate::Good), String::new(), "authorit"),
        (Front::start(port, Certificate::SelfSigned), String::new(), ""),
    ] {
        let job = job(front.side(&trust));
        let outcome = job.run(&["migrate"]);
        outcome.expect(3);
        outcome.says(&["certificate", says, "fingerprint is sha256:"]);
        assert!(!outcome.text().contains("Sesame"), "{outcome}");
    }
    for (certificate, says) in [(Certificate::Expired, "expired"), (Certificate::OtherName, "name")] {
        let front = Front::start(port, certificate);
        let job = job(front.side(&front.ca()));
        let outcome = job.run(&["migrate"]);
        outcome.expect(3);
        outcome.says(&["certificate", says]);
    }
}
