//! Compiled plugins, kept between runs.
//!
//! A file is one image: the engine's serialised component, the BLAKE3 of it, and a magic line. The component comes first, so
//! that the file can be mapped: that of an interpreter has tens of megabytes, which are read once for the hash and copied
//! nowhere. Its name says which plugin it was made from and which engine made it, so an image is never looked up for another.

use std::fs::{self, File, OpenOptions};
use std::hash::{Hash as _, Hasher};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use wasmtime::Engine;
use wasmtime::component::Component;
use whimbrel_model::Hash;

const MAGIC: &[u8] = b"whimbrel plugin image 2\n";
const FOOTER: usize = blake3::OUT_LEN + MAGIC.len();
/// Bytes that are hashed at once, on all cores.
const PIECE: usize = 4 << 20;
/// Images that are kept; beyond them the oldest go.
const KEPT: usize = 64;
/// Bytes of an image; a plugin of 64 MiB becomes about four times as large.
const MOST: u64 = 1 << 30;

/// A folder of images.
pub(crate) struct Images {
    folder: PathBuf,
    /// Of engine and settings: an image made by another is not looked at.
    engine: String,
}

impl Images {
    /// Uses a folder, which is made where it is missing.
    ///
    /// # Errors
    /// Why it cannot be used, for people.
    pub(crate) fn open(folder: &Path, engine: &Engine) -> Result<Self, String> {
        make(folder).map_err(|error| format!("the folder cannot be made: {error}"))?;
        ours(folder)?;
        let mut hasher = Blake(blake3::Hasher::new());
        // Holds the engine's version, its settings and the processor's features.
        engine.precompile_compatibility_hash().hash(&mut hasher);
        let engine = hasher.0.finalize().to_hex().as_str()[..16].to_owned();
        Ok(Self {
            folder: folder.to_owned(),
            engine,
        })
    }

    fn path(&self, plugin: Hash) -> PathBuf {
        self.folder.join(format!("{plugin}-{}.2.image", self.engine))
    }

    /// The compiled plugin of this content, if it is there and whole. Blocks on the disk.
    pub(crate) fn load(&self, engine: &Engine, plugin: Hash) -> Option<Component> {
        let path = self.path(plugin);
        match verified(&path) {
            Ok(Some(true)) => {}
            Ok(Some(false)) => {
                tracing::warn!(path = %path.display(), "a compiled plugin is damaged; it is compiled anew");
                return None;
            }
            Ok(None) => return None,
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "a compiled plugin cannot be read");
                return None;
            }
        }
        match deserialize(engine, &path) {
            Ok(component) => Some(component),
            Err(error) => {
                tracing::debug!(path = %path.display(), %error, "a compiled plugin does not fit this engine");
                None
            }
        }
    }

    /// Keeps a compiled plugin. Failing is harmless: it is compiled again next time. Blocks on the disk.
    pub(crate) fn store(&self, plugin: Hash, component: &Component) {
        let kept = component
            .serialize()
            .map_err(io::Error::other)
            .and_then(|code| self.write(plugin, &code));
        if let Err(error) = kept.and_then(|()| self.prune()) {
            tracing::debug!(folder = %self.folder.display(), %error, "a compiled plugin cannot be kept");
        }
    }

    /// In one step: a reader sees the whole image or none.
    fn write(&self, plugin: Hash, code: &[u8]) -> io::Result<()> {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let draft = self
            .folder
            .join(format!("{plugin}.{}.{count}.draft", std::process::id()));
        let write = || {
            let mut file = create(&draft)?;
            file.write_all(code)?;
            file.write_all(blake3::hash(code).as_bytes())?;
            file.write_all(MAGIC)?;
            fs::rename(&draft, self.path(plugin))
        };
        write().inspect_err(|_| {
            let _ = fs::remove_file(&draft);
        })
    }

    /// Old images go: of plugins and engines that are no longer used, mostly.
    fn prune(&self) -> io::Result<()> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            if entry.path().extension().is_some_and(|extension| extension == "image") {
                found.push((entry.metadata()?.modified()?, entry.path()));
            }
        }
        found.sort();
        for (_, path) in &found[..found.len().saturating_sub(KEPT)] {
            fs::remove_file(path)?;
        }
        Ok(())
    }
}

/// Turns an image back into a component. What follows the component in the file is none of the engine's business.
///
/// # Safety argument
/// [`Component::deserialize_file`] maps the file and runs it as machine code, so it must be what the engine serialised, and
/// stay so. It is: the folder belongs to the user this process runs as and nobody else may write to it ([`ours`], checked
/// when it is opened), so whoever could place a file there could as well replace this program; the file is written in one
/// step under a name that holds the engine's compatibility hash, and never again: images are replaced and removed as a
/// whole, which a mapping outlives; its BLAKE3 is checked right before ([`verified`]), so a torn or damaged file does not
/// get here; and the engine checks its own version and settings again.
#[allow(unsafe_code)]
fn deserialize(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: see above.
    unsafe { Component::deserialize_file(engine, path) }
}

/// Whether the hash of an image is right; none where there is no image.
fn verified(path: &Path) -> io::Result<Option<bool>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let bytes = file.metadata()?.len();
    if bytes > MOST {
        return Err(io::Error::other(format!("{bytes} bytes; the limit is {MOST}")));
    }
    let Some(code) = bytes.checked_sub(FOOTER as u64) else {
        return Ok(Some(false));
    };
    let mut footer = [0; FOOTER];
    file.seek(SeekFrom::Start(code))?;
    file.read_exact(&mut footer)?;
    let (hash, magic) = footer.split_at(blake3::OUT_LEN);
    if magic != MAGIC {
        return Ok(Some(false));
    }
    file.seek(SeekFrom::Start(0))?;
    let mut hasher = blake3::Hasher::new();
    let mut left = usize::try_from(code).unwrap_or(usize::MAX);
    let mut piece = vec![0; left.min(PIECE)];
    while left > 0 {
        let part = &mut piece[..left.min(PIECE)];
        file.read_exact(part)?;
        hasher.update_rayon(part);
        left -= part.len();
    }
    Ok(Some(hasher.finalize().as_bytes() == hash))
}

fn make(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Whether the folder belongs to the user of this process, and nobody else may write to it.
#[cfg(unix)]
fn ours(folder: &Path) -> Result<(), String> {
    use std::os::unix::fs::MetadataExt as _;

    let look = || -> io::Result<(u32, u32, u32)> {
        let there = fs::metadata(folder)?;
        // A file of our own tells whose process this is.
        let probe = folder.join(format!("{}.probe", std::process::id()));
        let _ = fs::remove_file(&probe);
        let own = create(&probe).and_then(|file| file.metadata());
        let _ = fs::remove_file(&probe);
        Ok((there.uid(), own?.uid(), there.mode()))
    };
    let (owner, us, mode) = look().map_err(|error| format!("the folder cannot be used: {error}"))?;
    if owner != us {
        return Err("the folder belongs to another user; name one of your own, or remove it".to_owned());
    }
    if mode & 0o022 != 0 {
        return Err("others may write to the folder; run chmod 700 on it".to_owned());
    }
    Ok(())
}

/// Elsewhere the folder lies in the user's own profile, whose access list keeps others out.
#[cfg(not(unix))]
fn ours(_: &Path) -> Result<(), String> {
    Ok(())
}

/// BLAKE3 as a hasher: the same on every run, unlike the standard library's.
struct Blake(blake3::Hasher);

impl Hasher for Blake {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn finish(&self) -> u64 {
        let hash = self.0.finalize();
        hash.as_bytes()
            .iter()
            .take(8)
            .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The smallest component: a header and nothing else.
    const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";

    fn hash(bytes: &[u8]) -> Hash {
        Hash::of(bytes)
    }

    fn images() -> (tempfile::TempDir, Engine, Images, Hash) {
        let folder = tempfile::tempdir().unwrap();
        let engine = Engine::default();
        let images = Images::open(&folder.path().join("images"), &engine).unwrap();
        images.store(hash(EMPTY), &Component::new(&engine, EMPTY).unwrap());
        (folder, engine, images, hash(EMPTY))
    }

    #[test]
    fn what_is_kept_is_found_again_and_nothing_else() {
        let (_folder, engine, images, plugin) = images();
        assert!(images.load(&engine, plugin).is_some());
        assert!(images.load(&engine, hash(b"another")).is_none());
        let left: Vec<_> = fs::read_dir(&images.folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(left, [images.path(plugin)], "no draft or probe is left");
    }

    #[test]
    fn a_damaged_image_is_ignored_wherever_it_is_damaged() {
        let (_folder, engine, images, plugin) = images();
        let path = images.path(plugin);
        let whole = fs::read(&path).unwrap();
        for at in (0..whole.len()).step_by(whole.len() / 64 + 1).chain([
            0,
            whole.len() - FOOTER,
            whole.len() - MAGIC.len(),
            whole.len() - 1,
        ]) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x40;
            fs::write(&path, &damaged).unwrap();
            assert!(images.load(&engine, plugin).is_none(), "byte {at}");
        }
        for length in [0, 1, FOOTER - 1, FOOTER, whole.len() / 2, whole.len() - 1] {
            fs::write(&path, &whole[..length]).unwrap();
            assert!(images.load(&engine, plugin).is_none(), "{length} bytes");
        }
    }

    #[test]
    fn garbage_with_a_right_hash_is_left_to_the_engine_to_refuse() {
        let (_folder, engine, images, plugin) = images();
        images.write(plugin, b"garbage").unwrap();
        assert!(images.load(&engine, plugin).is_none());
    }

    #[test]
    fn another_engine_has_other_names() {
        let (folder, _, images, plugin) = images();
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let other = Images::open(&folder.path().join("images"), &Engine::new(&config).unwrap()).unwrap();
        assert_ne!(images.path(plugin), other.path(plugin));
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_that_others_may_write_is_not_used() {
        use std::os::unix::fs::PermissionsExt as _;

        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let Err(reason) = Images::open(folder.path(), &Engine::default()) else {
            panic!("it was used")
        };
        assert!(reason.contains("chmod 700"), "{reason}");
    }

    #[test]
    fn the_oldest_go() {
        let (_folder, _, images, _) = images();
        for number in 0..80u8 {
            images.write(hash(&[number]), b"x").unwrap();
        }
        images.prune().unwrap();
        assert_eq!(fs::read_dir(&images.folder).unwrap().count(), KEPT);
    }
}
