use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;
use whimbrel_model::{Secret, Tokens};

use crate::{Content, Key, Vault, VaultError};

const VALUE: &str = "correct horse \"battery\" \u{1}staple é";

fn passphrase(text: &str) -> Key {
    Key::passphrase(Secret::from(text)).unwrap()
}

fn text(value: &str) -> Content {
    Content::Text(Secret::from(value))
}

fn login() -> Content {
    Content::Login(Tokens {
        access: Some("access-7".into()),
        refresh: Some("refresh-7".into()),
        issued: Some(100),
        expires: Some(3700),
    })
}

/// A vault with a secret of each kind.
fn filled(key: Key) -> (TempDir, Vault) {
    let folder = tempfile::tempdir().unwrap();
    let mut vault = Vault::create(&folder.path().join("state"), key).unwrap();
    vault.set("alice", text(VALUE), 5).unwrap();
    vault.set("provider/alice", login(), 6).unwrap();
    (folder, vault)
}

fn file(vault: &Vault) -> Vec<u8> {
    fs::read(vault.path()).unwrap()
}

/// What comes of opening a vault whose file holds these bytes.
fn opened(key: Key, bytes: &[u8]) -> Result<Vault, VaultError> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(Vault::path_in(folder.path()), bytes).unwrap();
    Vault::open(folder.path(), key)
}

#[test]
fn what_is_set_is_there_again_with_either_key() {
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("vault.key");
    for key in [passphrase("p"), Key::create(&key_file).unwrap()] {
        let (_folder, vault) = filled(key.clone());
        let again = Vault::open(vault.path().parent().unwrap(), key).unwrap();
        let entry = again.get("alice").unwrap();
        assert_eq!((&entry.content, entry.set, entry.expires()), (&text(VALUE), 5, None));
        let entry = again.get("provider/alice").unwrap();
        assert_eq!((&entry.content, entry.expires()), (&login(), Some(3700)));
        let names: Vec<&str> = again.list().map(|(name, _)| name).collect();
        assert_eq!(names, ["alice", "provider/alice"]);
    }
    let key = Key::read(&key_file).unwrap();
    assert!(!key.is_passphrase());
}

#[test]
fn nothing_secret_is_on_the_disk_in_debug_or_left_behind() {
    let (_folder, vault) = filled(passphrase("open sesame"));
    let folder = vault.path().parent().unwrap();
    for entry in fs::read_dir(folder).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let shown = String::from_utf8_lossy(&bytes);
        for secret in ["horse", "access-7", "refresh-7", "sesame", "alice"] {
            assert!(!shown.contains(secret), "{secret}");
        }
    }
    let shown = format!("{vault:?} {:?} {:?}", vault.key(), vault.get("alice"));
    assert!(!shown.contains("horse") && !shown.contains("sesame"), "{shown}");
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["secrets.age", "secrets.lock"]);
}

#[cfg(unix)]
#[test]
fn every_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let key_file = folder.path().join("vault.key");
    let (_kept, vault) = filled(Key::create(&key_file).unwrap());
    let lock = vault.path().with_file_name("secrets.lock");
    for path in [vault.path(), &lock, &key_file] {
        let mode = fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
}

#[test]
fn a_key_file_is_never_overwritten_and_must_hold_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("vault.key");
    Key::create(&path).unwrap();
    let before = fs::read(&path).unwrap();
    assert!(matches!(Key::create(&path), Err(VaultError::Io { .. })));
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::write(&path, "AGE-SECRET-KEY-1NOTHING\n").unwrap();
    assert!(matches!(Key::read(&path), Err(VaultError::NoKey { .. })));
    assert!(matches!(Key::read(Path::new("/nowhere")), Err(VaultError::Io { .. })));
    assert!(matches!(
        Key::passphrase(Secret::from("")),
        Err(VaultError::EmptyPassphrase)
    ));
}

#[test]
fn each_way_of_not_opening_has_its_own_error() {
    let folder = tempfile::tempdir().unwrap();
    let key = Key::create(&folder.path().join("a.key")).unwrap();
    let other = Key::create(&folder.path().join("b.key")).unwrap();
    let (_one, by_passphrase) = filled(passphrase("p"));
    let (_two, by_key) = filled(key.clone());
    let cases: [(&Vault, Key, &str); 4] = [
        (&by_passphrase, passphrase("q"), "the passphrase does not open"),
        (
            &by_passphrase,
            other.clone(),
            "opens with a passphrase, not with a key file",
        ),
        (&by_key, other, "the key file does not open"),
        (&by_key, passphrase("p"), "opens with a key file, not with a passphrase"),
    ];
    for (vault, key, words) in cases {
        let error = opened(key, &file(vault)).unwrap_err().to_string();
        assert!(error.contains(words) && error.contains("; "), "{error}");
    }
    let whole = file(&by_key);
    for bytes in [&whole[..whole.len() - 9], &whole[..whole.len() / 2], &[]] {
        let error = opened(key.clone(), bytes).unwrap_err();
        assert!(matches!(error, VaultError::Truncated { .. }), "{error}");
    }
    let none = tempfile::tempdir().unwrap();
    assert!(matches!(Vault::open(none.path(), key), Err(VaultError::Missing { .. })));
}

#[test]
fn a_version_that_is_not_known_is_named() {
    let key = passphrase("p");
    for (inside, found) in [(r#"{"version":7,"vaults":[]}"#, Some("7")), ("nonsense", None)] {
        let sealed = key.seal(inside.as_bytes()).unwrap();
        let error = opened(key.clone(), sealed.as_bytes()).unwrap_err();
        match (&error, found) {
            (VaultError::Version { found, known: 1, .. }, Some(version)) => assert_eq!(found, version),
            (VaultError::Damaged { .. }, None) => {}
            _ => panic!("{error}"),
        }
        assert!(!error.to_string().contains("nonsense"));
    }
}

#[test]
fn writers_do_not_lose_what_others_wrote() {
    let key = passphrase("p");
    let (_folder, mut one) = filled(key.clone());
    let folder = one.path().parent().unwrap().to_owned();
    let mut two = Vault::open(&folder, key.clone()).unwrap();
    one.set("bob", text("b"), 7).unwrap();
    two.set("carol", text("c"), 8).unwrap();
    one.reload().unwrap();
    for name in ["alice", "bob", "carol"] {
        assert!(one.get(name).is_some(), "{name}");
    }
    assert!(two.remove("bob").unwrap());
    assert!(!two.remove("bob").unwrap());
    one.reload().unwrap();
    assert!(one.get("bob").is_none());
    // Many at once take turns.
    std::thread::scope(|scope| {
        for at in 0..8 {
            let (folder, key) = (&folder, key.clone());
            scope.spawn(move || {
                let mut vault = Vault::open(folder, key).unwrap();
                vault.set(&format!("n{at}"), text("x"), at).unwrap();
            });
        }
    });
    one.reload().unwrap();
    assert_eq!(one.list().filter(|(name, _)| name.starts_with('n')).count(), 8);
}

#[test]
fn a_vault_is_made_once_and_a_name_must_be_one() {
    let (_folder, mut vault) = filled(passphrase("p"));
    let folder = vault.path().parent().unwrap().to_owned();
    let before = file(&vault);
    assert!(matches!(
        Vault::create(&folder, passphrase("q")),
        Err(VaultError::Exists { .. })
    ));
    for name in ["", "a\nb", &"x".repeat(201)] {
        assert!(matches!(vault.set(name, text("x"), 0), Err(VaultError::BadName)));
    }
    assert_eq!(file(&vault), before);
}

#[test]
fn another_key_takes_the_place_of_the_old_one() {
    let (_folder, mut vault) = filled(passphrase("old"));
    let folder = vault.path().parent().unwrap().to_owned();
    let key = Key::create(&folder.join("vault.key")).unwrap();
    vault.rekey(key.clone()).unwrap();
    vault.set("bob", text("b"), 9).unwrap();
    assert!(Vault::open(&folder, passphrase("old")).is_err());
    let again = Vault::open(&folder, key).unwrap();
    assert_eq!(again.get("alice").unwrap().content, text(VALUE));
    assert!(again.get("bob").is_some());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// A byte that is flipped anywhere is found out, and nothing panics.
    #[test]
    fn a_flipped_byte_never_goes_unnoticed(at in any::<prop::sample::Index>(), with in 1_u8..) {
        let key = passphrase("p");
        let (_folder, vault) = filled(key.clone());
        let mut bytes = file(&vault);
        let at = at.index(bytes.len());
        bytes[at] ^= with;
        match opened(key, &bytes) {
            Ok(same) => {
                // Blank space at the end carries nothing.
                prop_assert!(at >= bytes.len() - 2, "byte {} of {}", at, bytes.len());
                prop_assert!(same.get("alice") == vault.get("alice"));
            }
            Err(error) => prop_assert!(!error.to_string().contains("horse")),
        }
    }

    #[test]
    fn any_text_is_kept(value in ".*", name in "[^\\p{C}]{1,40}") {
        let key = passphrase("p");
        let (_folder, mut vault) = filled(key.clone());
        vault.set(&name, text(&value), 1).unwrap();
        let again = Vault::open(vault.path().parent().unwrap(), key).unwrap();
        prop_assert_eq!(&again.get(&name).unwrap().content, &text(&value));
    }
}
