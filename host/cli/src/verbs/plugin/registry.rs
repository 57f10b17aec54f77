//! Connectors in registries of the OCI distribution protocol, in the form that registries hold WebAssembly in: a manifest
//! with one layer `application/wasm`; a signature lies in a layer of its own.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use oci_client::client::{ClientConfig, ClientProtocol, Config, ImageLayer};
use oci_client::errors::{OciDistributionError, OciEnvelope, OciError, OciErrorCode};
use oci_client::manifest::{OciDescriptor, OciImageManifest};
use oci_client::secrets::RegistryAuth;
use oci_client::{Client, Reference};
use serde_json::json;
use tokio::io::AsyncWrite;
use whimbrel_trust::MOST_BYTES;

use crate::exit::Exit;
use crate::output::safe;
use crate::problem::{Problem, Result};

/// What addresses begin with.
const SCHEME: &str = "oci://";
/// The layer that is the component (CNCF, "WebAssembly OCI artifact layout").
const WASM: &str = "application/wasm";
const CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// The layer that is its signature.
const SIGNATURE: &str = "application/vnd.whimbrel.signature.v1+toml";
/// Bytes of a component.
const MOST_COMPONENT: usize = 64 << 20;
const CONNECTING: Duration = Duration::from_secs(20);
const READING: Duration = Duration::from_secs(60);

/// An address in a registry.
pub struct Address {
    reference: Reference,
    text: String,
}

/// What lies at an address.
pub struct Pulled {
    /// The component.
    pub component: Vec<u8>,
    /// The text of its signature, where it has one.
    pub signature: Option<Vec<u8>>,
    /// The address, with the digest of what was there.
    pub from: String,
}

impl Address {
    /// Whether a text is meant as one.
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Reads one.
    pub fn read(text: &str) -> Result<Self> {
        let help = "an address has the form oci://HOST/NAME:TAG, e.g. oci://registry.example.org/connectors/acme:1.2.0";
        let wrong =
            |why: &str| Box::new(Problem::usage(format!("`{text}` is no address in a registry: {why}")).help(help));
        let rest = text
            .strip_prefix(SCHEME)
            .ok_or_else(|| wrong("it does not begin with oci://"))?;
        // Without a host, the form would mean somebody's public registry.
        let host = rest.split('/').next().unwrap_or_default();
        if !rest.contains('/') || !(host.contains(['.', ':']) || host == "localhost") {
            return Err(wrong("it names no host"));
        }
        let reference: Reference = rest
            .parse()
            .map_err(|error: oci_client::ParseError| wrong(&error.to_string()))?;
        Ok(Self {
            reference,
            text: text.to_owned(),
        })
    }

    /// The component and its signature.
    pub async fn pull(&self, auth: &RegistryAuth) -> Result<Pulled> {
        let client = self.client();
        let failed = |error: &OciDistributionError| self.failed("read", error);
        let (manifest, digest) = client
            .pull_image_manifest(&self.reference, auth)
            .await
            .map_err(|error| failed(&error))?;
        let layer = |media_type: &str| manifest.layers.iter().find(|layer| layer.media_type == media_type);
        let Some(component) = layer(WASM) else {
            let held: Vec<&str> = manifest.layers.iter().map(|layer| layer.media_type.as_str()).collect();
            let message = format!("`{}` is no connector: it holds {}", self.text, safe(&held.join(", ")));
            return Err(Box::new(
                Problem::new("registry", message, Exit::Usage)
                    .help(format!("a connector is a layer of the type {WASM}")),
            ));
        };
        let component = self.blob(&client, component, MOST_COMPONENT).await?;
        let signature = match layer(SIGNATURE) {
            Some(layer) => Some(self.blob(&client, layer, MOST_BYTES).await?),
            None => None,
        };
        Ok(Pulled {
            component,
            signature,
            from: format!(
                "{SCHEME}{}/{}@{digest}",
                self.reference.registry(),
                self.reference.repository()
            ),
        })
    }

    async fn blob(&self, client: &Client, layer: &OciDescriptor, most: usize) -> Result<Vec<u8>> {
        let mut held = Held {
            bytes: Vec::new(),
            most,
        };
        client
            .pull_blob(&self.reference, layer, &mut held)
            .await
            .map_err(|error| self.failed("read", &error))?;
        Ok(held.bytes)
    }

    /// Puts a component there, with its signature where it has one; gives the address with the digest.
    pub async fn push(&self, component: Vec<u8>, signature: Option<Vec<u8>>, auth: &RegistryAuth) -> Result<String> {
        let config = json!({ "architecture": "wasm", "os": "wasip2", "layerDigests": [] });
        let mut layers = vec![ImageLayer::new(component, WASM.to_owned(), None)];
        layers.extend(signature.map(|text| ImageLayer::new(text, SIGNATURE.to_owned(), None)));
        let config = Config::new(config.to_string().into_bytes(), CONFIG.to_owned(), None);
        let manifest = OciImageManifest::build(&layers, &config, None);
        let client = self.client();
        let failed = |error: &OciDistributionError| self.failed("write", error);
        client
            .push(&self.reference, &layers, config, auth, Some(manifest))
            .await
            .map_err(|error| failed(&error))?;
        let digest = client
            .fetch_manifest_digest(&self.reference, auth)
            .await
            .map_err(|error| failed(&error))?;
        Ok(format!(
            "{SCHEME}{}/{}@{digest}",
            self.reference.registry(),
            self.reference.repository()
        ))
    }

    fn client(&self) -> Client {
        whimbrel_wire::provide_cryptography();
        let registry = self.reference.registry();
        let host = registry.rsplit_once(':').map_or(registry, |(host, _)| host);
        let here = matches!(host, "localhost" | "127.0.0.1" | "[::1]");
        Client::new(ClientConfig {
            // To this machine nothing needs to be encrypted; to others everything is.
            protocol: if here {
                ClientProtocol::Http
            } else {
                ClientProtocol::Https
            },
            platform_resolver: None,
            connect_timeout: Some(CONNECTING),
            read_timeout: Some(READING),
            ..ClientConfig::default()
        })
    }

    fn failed(&self, what: &str, error: &OciDistributionError) -> Box<Problem> {
        let message = format!("cannot {what} `{}`: {}", self.text, safe(&chain(error)));
        let problem = Problem::new("registry", message, Exit::Failed);
        let login = || format!("log in with {USER} and {PASSWORD}");
        let is_unknown = |envelope: &OciEnvelope| {
            let unknown =
                |error: &OciError| matches!(error.code, OciErrorCode::ManifestUnknown | OciErrorCode::NameUnknown);
            envelope.errors.iter().any(unknown)
        };
        Box::new(match error {
            OciDistributionError::AuthenticationFailure(_) | OciDistributionError::UnauthorizedError { .. } => {
                problem.help(login())
            }
            OciDistributionError::ServerError { code: 401 | 403, .. } => problem.help(login()),
            OciDistributionError::ImageManifestNotFoundError(_) => problem.help(CHECK),
            OciDistributionError::RegistryError { envelope, .. } if is_unknown(envelope) => problem.help(CHECK),
            _ => problem,
        })
    }
}

/// What to do where nothing is there.
const CHECK: &str = "check the name and the tag: nothing lies there";

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text += &format!(": {more}");
        }
        cause = error.source();
    }
    text
}

/// The variables of the environment that a registry is logged in to with.
const USER: &str = "WHIMBREL_REGISTRY_USER";
const PASSWORD: &str = "WHIMBREL_REGISTRY_PASSWORD";

/// How to log in.
pub fn auth() -> RegistryAuth {
    match (std::env::var(USER), std::env::var(PASSWORD)) {
        (Ok(user), Ok(password)) => RegistryAuth::Basic(user, password),
        _ => RegistryAuth::Anonymous,
    }
}

/// Keeps so many bytes, and no more: what a registry says of sizes is not relied on.
struct Held {
    bytes: Vec<u8>,
    most: usize,
}

impl AsyncWrite for Held {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.bytes.len() + bytes.len() > self.most {
            let text = format!("it has more than {} bytes", self.most);
            return Poll::Ready(Err(io::Error::other(text)));
        }
        self.bytes.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for good in [
            "oci://localhost:5000/acme:1.0.0",
            "oci://registry.example.org/connectors/acme:1.2.0",
            "oci://registry.example.org/acme",
        ] {
            assert!(Address::is_meant(good) && Address::read(good).is_ok(), "{good}");
        }
        for bad in [
            "oci://",
            "oci://acme",
            "oci://acme/mail:1",
            "oci://h.example/UPPER:1",
            "https://h.example/a:1",
        ] {
            let problem = Address::read(bad).err().unwrap();
            assert!(problem.has_help() && problem.exit() == Exit::Usage, "{bad}");
        }
    }
}
