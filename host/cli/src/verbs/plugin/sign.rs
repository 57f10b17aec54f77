//! Keys and signatures of connectors.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::json;
use whimbrel_trust::{PublicKey, Signature, SignatureError, SigningKey};

use super::{known_settings, load_file};
use crate::args::Global;
use crate::exit::Exit;
use crate::output::{Output, safe};
use crate::problem::{Problem, Result};
use crate::public_key;
use crate::trust::{self, Signed};

/// Bytes of a key's file.
const MOST_KEY: u64 = 4096;

/// A new pair: the secret one, readable to its owner alone, and the public one.
pub fn keygen(name: &Path, output: Output) -> Result<Exit> {
    let [secret, public] = ["key", "pem"].map(|ending| with_ending(name, ending));
    let bytes = SigningKey::generate().map_err(|error| Box::new(Problem::failed(error.to_string())))?;
    let key = SigningKey::read(&bytes).map_err(|error| Box::new(Problem::failed(error.to_string())))?;
    let public_key = key.public();
    create(&secret, &bytes, 0o600)?;
    create(&public, public_key.pem().as_bytes(), 0o644)?;
    let text = public_key.text();
    output.document(
        json!({ "key": text, "secret_file": shown(&secret), "public_file": shown(&public) }),
        Exit::Ok,
    );
    output.say(format!(
        "The public key is {text}\n{}: keep it secret, like a password\n{}: give it to whoever is to trust what you sign",
        shown(&secret),
        shown(&public)
    ));
    Ok(Exit::Ok)
}

/// Signs a connector: `FILE.sig`.
pub async fn sign(file: &Path, key: &Path, output: Output) -> Result<Exit> {
    let key = secret_key(key)?;
    let plugin = load_file(file).await?;
    let hash = plugin.hash().to_string();
    let text = Signature::make(&key, trust::subject(&plugin, &hash));
    let path = trust::signature_path(file);
    trust::persist(&path, text.as_bytes(), 0o644)
        .map_err(|error| Box::new(Problem::io("write", &path, &error).exit_with(Exit::Usage)))?;
    let description = plugin.description();
    output.document(
        json!({
            "file": shown(&path), "name": description.name, "version": description.version, "blake3": hash,
            "key": key.public().text(),
        }),
        Exit::Ok,
    );
    output.say(format!(
        "{} {} is signed with {}: {}",
        description.name,
        description.version,
        key.public().text(),
        shown(&path)
    ));
    Ok(Exit::Ok)
}

/// Checks the signature of a connector.
pub async fn verify(global: &Global, file: &Path, keys: &[String], output: Output) -> Result<Exit> {
    let settings = if keys.is_empty() { known_settings(global)? } else { None };
    let trusted = match &settings {
        Some(settings) => settings.trust.public(),
        None => given(keys)?,
    };
    if trusted.is_empty() {
        let help = "name one with --key, or several with `trusted_keys` in [plugins] of the settings file";
        return Err(Box::new(Problem::usage("there is no key to check with").help(help)));
    }
    let plugin = load_file(file).await?;
    let key = match trust::signature(&plugin, &trusted)? {
        Signed::By(key) => key,
        Signed::No => {
            let path = trust::signature_path(file);
            let message = format!("there is no signature `{}`", shown(&path));
            return Err(Box::new(
                Problem::new("signature", message, Exit::Different).help("get it from the vendor of the connector"),
            ));
        }
        Signed::Unknown(key) => {
            let error = SignatureError::UnknownKey { key };
            return Err(Box::new(trust::bad_signature(&plugin, &error, Exit::Different)));
        }
        Signed::Bad(error) => return Err(Box::new(trust::bad_signature(&plugin, &error, Exit::Different))),
    };
    let description = plugin.description();
    let name = settings.as_ref().and_then(|settings| settings.trust.name_of(&key));
    output.document(
        json!({
            "name": description.name, "version": description.version, "blake3": plugin.hash().to_string(),
            "key": key.text(), "key_name": name,
        }),
        Exit::Ok,
    );
    let by = name.map(|name| format!("{name}, ")).unwrap_or_default();
    output.say(safe(&format!(
        "The signature holds: {} {}, by {by}{}",
        description.name,
        description.version,
        key.text()
    )));
    Ok(Exit::Ok)
}

/// Public keys that were named.
pub fn given(keys: &[String]) -> Result<Vec<PublicKey>> {
    let read = |text: &String| {
        public_key::read(text, Path::new("")).map_err(|why| {
            let problem = Problem::usage(format!("`--key {text}`: {why}"));
            Box::new(problem.help("name the PEM file that `whimbrel plugin keygen` made, or 64 hexadecimal digits"))
        })
    };
    keys.iter().map(read).collect()
}

fn secret_key(path: &Path) -> Result<SigningKey> {
    let io = |error: &std::io::Error| Box::new(Problem::io("read", path, error).exit_with(Exit::Usage));
    let length = fs::metadata(path).map_err(|error| io(&error))?.len();
    if length > MOST_KEY {
        return Err(Box::new(no_key(path, "it is too large")));
    }
    let bytes = fs::read(path).map_err(|error| io(&error))?;
    SigningKey::read(&bytes).map_err(|error| Box::new(no_key(path, &error.to_string())))
}

fn no_key(path: &Path, why: &str) -> Problem {
    let message = format!("`{}` holds no secret key: {why}", path.display());
    Problem::usage(message).help("name the NAME.key that `whimbrel plugin keygen NAME` made")
}

fn with_ending(name: &Path, ending: &str) -> PathBuf {
    let mut path = name.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}

fn create(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    let written = options.open(path).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    written.map_err(|error| crate::verbs::cannot("write", path, &error))
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_made_once() {
        let temp = tempfile::tempdir().unwrap();
        let name = temp.path().join("acme.build");
        let output = Output::new("plugin keygen", true);
        keygen(&name, output).unwrap();
        let key = secret_key(&temp.path().join("acme.build.key")).unwrap();
        let pem = temp.path().join("acme.build.pem");
        assert_eq!(given(&[shown(&pem)]).unwrap(), [key.public()]);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(temp.path().join("acme.build.key"))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let again = keygen(&name, output).unwrap_err();
        assert!(again.has_help() && again.exit() == Exit::Usage);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("x.key");
        for wrong in [&b""[..], b"nonsense", &[0; 5000]] {
            fs::write(&path, wrong).unwrap();
            let Err(problem) = secret_key(&path) else {
                panic!("no key")
            };
            assert!(problem.message().contains("x.key") && problem.exit() == Exit::Usage);
        }
        assert!(secret_key(&temp.path().join("nowhere")).is_err());
        assert!(given(&["nowhere.pem".into()]).is_err());
    }
}
