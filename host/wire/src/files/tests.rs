use tempfile::TempDir;
use whimbrel_model::{Failure, Timestamp};

use super::*;

async fn folder() -> (TempDir, Folder) {
    let scratch = tempfile::tempdir().unwrap();
    let folder = Folder::open(&scratch.path().join("granted"), true).await.unwrap();
    (scratch, folder)
}

fn body(text: &str) -> Blob {
    Blob::from_bytes(text.as_bytes().to_vec())
}

async fn text(folder: &Folder, path: &str) -> String {
    let blob = folder.read(path, 0, None).await.unwrap();
    String::from_utf8(blob.to_bytes(1 << 20).await.unwrap().to_vec()).unwrap()
}

async fn names(folder: &Folder, path: &str) -> Vec<String> {
    folder
        .entries(path, None, MOST_ENTRIES)
        .await
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect()
}

#[tokio::test]
async fn a_folder_to_be_written_is_made_and_one_to_be_read_is_not() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("a/b");
    assert!(matches!(Folder::open(&path, false).await, Err(Failure::NotFound(_))));
    assert!(!path.exists());
    assert!(Folder::open(&path, true).await.unwrap().is_writable());
    assert!(path.is_dir());
    fs::write(scratch.path().join("file"), b"").unwrap();
    for write in [false, true] {
        let failure = Folder::open(&scratch.path().join("file"), write).await.unwrap_err();
        assert_eq!(failure.code(), "invalid-settings", "{failure}");
    }
}

#[tokio::test]
async fn what_is_written_is_read_again() {
    let (_scratch, folder) = folder().await;
    folder.create("a/b").await.unwrap();
    folder.create("a/b").await.unwrap();
    folder.write("a/b/c", &body("hello"), false).await.unwrap();
    assert_eq!(text(&folder, "a/b/c").await, "hello");
    let blob = folder.read("a/b/c", 1, Some(3)).await.unwrap();
    assert_eq!(blob.to_bytes(10).await.unwrap(), "ell");
    assert_eq!(folder.read("a/b/c", 5, None).await.unwrap().size(), 0);
    let stat = folder.stat("a/b/c").await.unwrap().unwrap();
    assert_eq!((stat.name.as_str(), stat.directory, stat.bytes), ("c", false, 5));
    assert!(folder.stat("a").await.unwrap().unwrap().directory);
    assert_eq!(folder.stat("").await.unwrap().unwrap().name, "");
    assert_eq!(folder.stat("a/x").await.unwrap(), None);
    assert_eq!(folder.stat("a/b/c/d").await.unwrap(), None);
    folder.sync().await.unwrap();
    folder.sync().await.unwrap();
}

#[tokio::test]
async fn a_large_body_is_written_in_pieces() {
    let (_scratch, folder) = folder().await;
    let content: Vec<u8> = (0..700_000u32).flat_map(u32::to_le_bytes).collect();
    let blob = Blob::from_bytes(content.clone());
    folder.write("large", &blob, false).await.unwrap();
    folder.write("large", &blob, true).await.unwrap();
    assert_eq!(folder.append("large", &blob).await.unwrap(), content.len() as u64);
    folder.sync().await.unwrap();
    let back = folder.read("large", content.len() as u64, None).await.unwrap();
    assert_eq!(back.fingerprint().await.unwrap(), blob.fingerprint().await.unwrap());
}

#[tokio::test]
async fn nothing_is_replaced_unless_told() {
    let (scratch, folder) = folder().await;
    folder.write("a", &body("one"), false).await.unwrap();
    let failure = folder.write("a", &body("two"), false).await.unwrap_err();
    assert_eq!(failure.code(), "rejected");
    assert!(failure.to_string().contains("\"a\""), "{failure}");
    assert_eq!(text(&folder, "a").await, "one");
    folder.write("a", &body("three"), true).await.unwrap();
    folder.write("new", &body("four"), true).await.unwrap();
    assert_eq!(text(&folder, "a").await, "three");
    folder.create("d").await.unwrap();
    assert_eq!(
        folder.write("d", &body("x"), true).await.unwrap_err().code(),
        "rejected"
    );
    assert_eq!(folder.create("a").await.unwrap_err().code(), "rejected");
    assert_eq!(folder.create("a/b").await.unwrap_err().code(), "rejected");
    assert_eq!(
        folder.write("no/such", &body("x"), false).await.unwrap_err().code(),
        "not-found"
    );
    assert_eq!(folder.rename("a", "new").await.unwrap_err().code(), "rejected");
    assert_eq!(folder.rename("x", "y").await.unwrap_err().code(), "not-found");
    // No draft is left behind.
    let mut left: Vec<_> = fs::read_dir(scratch.path().join("granted"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    left.sort();
    assert_eq!(left, ["a", "d", "new"]);
}

#[cfg(unix)]
#[tokio::test]
async fn replacing_keeps_the_access_rights_and_new_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let (scratch, folder) = folder().await;
    let at = |name: &str| scratch.path().join("granted").join(name);
    let mode = |name: &str| fs::metadata(at(name)).unwrap().permissions().mode() & 0o7777;
    folder.write("a", &body("one"), false).await.unwrap();
    folder.create("d").await.unwrap();
    assert_eq!((mode("a"), mode("d")), (0o600, 0o700));
    fs::set_permissions(at("a"), fs::Permissions::from_mode(0o644)).unwrap();
    folder.write("a", &body("two"), true).await.unwrap();
    assert_eq!(mode("a"), 0o644);
}

#[tokio::test]
async fn a_write_that_fails_leaves_nothing() {
    let (scratch, folder) = folder().await;
    let shrinking = scratch.path().join("granted/shrinking");
    fs::write(&shrinking, vec![b'x'; 600_000]).unwrap();
    let content = folder.read("shrinking", 0, None).await.unwrap();
    fs::write(&shrinking, vec![b'x'; 300_000]).unwrap();
    folder.write("kept", &body("before"), false).await.unwrap();
    assert_eq!(
        folder.write("new", &content, false).await.unwrap_err().code(),
        "unavailable"
    );
    assert_eq!(
        folder.write("kept", &content, true).await.unwrap_err().code(),
        "unavailable"
    );
    assert_eq!(folder.append("kept", &content).await.unwrap_err().code(), "unavailable");
    assert_eq!(text(&folder, "kept").await, "before");
    assert_eq!(names(&folder, "").await, ["kept", "shrinking"]);
}

#[tokio::test]
async fn appending_tells_where_and_truncating_cuts() {
    let (_scratch, folder) = folder().await;
    assert_eq!(folder.append("spool", &body("one")).await.unwrap(), 0);
    assert_eq!(folder.append("spool", &body("two")).await.unwrap(), 3);
    assert_eq!(text(&folder, "spool").await, "onetwo");
    folder.truncate("spool", 4).await.unwrap();
    assert_eq!(text(&folder, "spool").await, "onet");
    assert_eq!(folder.truncate("spool", 5).await.unwrap_err().code(), "rejected");
    assert_eq!(folder.truncate("none", 0).await.unwrap_err().code(), "not-found");
    folder.create("d").await.unwrap();
    assert_eq!(folder.append("d", &body("x")).await.unwrap_err().code(), "rejected");
    assert_eq!(folder.append("", &body("x")).await.unwrap_err().code(), "forbidden");
    folder.sync().await.unwrap();
}

#[tokio::test]
async fn a_body_survives_renaming_and_removing_its_file_but_not_its_shrinking() {
    let (scratch, folder) = folder().await;
    folder.write("a", &body("content"), false).await.unwrap();
    let blob = folder.read("a", 0, None).await.unwrap();
    folder.rename("a", "b").await.unwrap();
    folder.write("a", &body("another"), false).await.unwrap();
    assert_eq!(blob.to_bytes(100).await.unwrap(), "content");
    folder.remove("b").await.unwrap();
    assert_eq!(blob.to_bytes(100).await.unwrap(), "content");

    let blob = folder.read("a", 2, None).await.unwrap();
    fs::write(scratch.path().join("granted/a"), "anot").unwrap();
    assert_eq!(blob.slice(0, 2).to_bytes(100).await.unwrap(), "ot");
    let error = blob.to_bytes(100).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    assert!(error.to_string().contains("\"a\" became shorter"), "{error}");
    assert!(blob.fingerprint().await.is_err());
}

#[tokio::test]
async fn a_body_that_is_not_held_open_knows_its_file_again() {
    let (scratch, folder) = folder().await;
    folder.write("a", &body("content"), false).await.unwrap();
    let (_, metadata) = folder.inner.open_to_read(Path::new("a"), "a").unwrap();
    let id = file_id(&metadata);
    assert!(folder.inner.reopen(Path::new("a"), "a", id).is_ok());
    // Another file of the same name; both exist at once, so that their numbers differ.
    fs::write(scratch.path().join("granted/b"), "different").unwrap();
    fs::rename(scratch.path().join("granted/b"), scratch.path().join("granted/a")).unwrap();
    let error = folder.inner.reopen(Path::new("a"), "a", id).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    folder.remove("a").await.unwrap();
    assert_eq!(
        folder.inner.reopen(Path::new("a"), "a", id).unwrap_err().kind(),
        io::ErrorKind::NotFound
    );
}

#[tokio::test]
async fn a_part_beyond_the_end_is_refused() {
    let (_scratch, folder) = folder().await;
    folder.write("a", &body("12345"), false).await.unwrap();
    for (offset, length) in [(0, Some(6)), (5, Some(1)), (6, None), (1, Some(u64::MAX))] {
        let failure = folder.read("a", offset, length).await.unwrap_err();
        assert_eq!(failure.code(), "rejected", "{failure}");
    }
    assert_eq!(folder.read("a", 5, Some(0)).await.unwrap().size(), 0);
}

#[tokio::test]
async fn a_folder_for_reading_is_not_written() {
    let (scratch, folder) = folder().await;
    folder.write("a", &body("x"), false).await.unwrap();
    let path = scratch.path().join("granted");
    let folder = Folder::open(&path, false).await.unwrap();
    assert_eq!(text(&folder, "a").await, "x");
    let at = Timestamp {
        unix_ms: 0,
        offset_minutes: 0,
    };
    for result in [
        folder.write("b", &body("x"), true).await,
        folder.append("a", &body("x")).await.map(drop),
        folder.truncate("a", 0).await,
        folder.create("d").await,
        folder.rename("a", "b").await,
        folder.set_modified("a", at).await,
        folder.remove("a").await,
    ] {
        assert_eq!(result.unwrap_err().code(), "forbidden");
    }
    assert_eq!(fs::read_dir(&path).unwrap().count(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn no_link_leads_out() {
    use std::os::unix::fs::symlink;
    let (scratch, folder) = folder().await;
    let granted = scratch.path().join("granted");
    fs::create_dir(scratch.path().join("outside")).unwrap();
    fs::write(scratch.path().join("outside/secret"), "secret").unwrap();
    symlink("../outside", granted.join("relative")).unwrap();
    symlink(scratch.path().join("outside"), granted.join("absolute")).unwrap();
    symlink("../outside/secret", granted.join("file")).unwrap();
    symlink("loop", granted.join("loop")).unwrap();
    symlink("nowhere", granted.join("dangling")).unwrap();
    for path in [
        "relative/secret",
        "absolute/secret",
        "file",
        "../outside/secret",
        "a/../../outside/secret",
    ] {
        let failure = folder.read(path, 0, None).await.unwrap_err();
        assert_eq!(failure.code(), "forbidden", "{path}: {failure}");
        assert!(folder.stat(path).await.is_err(), "{path}");
        assert_eq!(
            folder.append(path, &body("x")).await.unwrap_err().code(),
            "forbidden",
            "{path}"
        );
        assert_eq!(
            folder.truncate(path, 0).await.unwrap_err().code(),
            "forbidden",
            "{path}"
        );
    }
    for directory in ["relative", "absolute"] {
        assert_eq!(
            folder.entries(directory, None, 10).await.unwrap_err().code(),
            "forbidden"
        );
        assert_eq!(
            folder
                .write(&format!("{directory}/new"), &body("x"), false)
                .await
                .unwrap_err()
                .code(),
            "forbidden"
        );
        assert_eq!(
            folder.create(&format!("{directory}/new")).await.unwrap_err().code(),
            "forbidden"
        );
        assert_eq!(
            folder.remove(&format!("{directory}/secret")).await.unwrap_err().code(),
            "forbidden"
        );
        folder.write("mine", &body("x"), true).await.unwrap();
        assert_eq!(
            folder
                .rename("mine", &format!("{directory}/new"))
                .await
                .unwrap_err()
                .code(),
            "forbidden"
        );
        assert_eq!(
            folder
                .rename(&format!("{directory}/secret"), "stolen")
                .await
                .unwrap_err()
                .code(),
            "forbidden"
        );
    }
    assert_eq!(fs::read_dir(scratch.path().join("outside")).unwrap().count(), 1);
    assert_eq!(
        fs::read_to_string(scratch.path().join("outside/secret")).unwrap(),
        "secret"
    );
    // They are listed all the same: nothing is hidden.
    assert_eq!(
        names(&folder, "").await,
        ["absolute", "dangling", "file", "loop", "mine", "relative"]
    );
    assert_eq!(folder.read("loop", 0, None).await.unwrap_err().code(), "rejected");
    assert_eq!(folder.read("dangling", 0, None).await.unwrap_err().code(), "not-found");
    // A link is replaced and removed itself, never what it leads to.
    folder.write("file", &body("mine"), true).await.unwrap();
    folder.remove("absolute").await.unwrap();
    assert_eq!(
        fs::read_to_string(scratch.path().join("outside/secret")).unwrap(),
        "secret"
    );
    // Links that stay inside work.
    fs::create_dir(granted.join("inside")).unwrap();
    symlink("inside", granted.join("link")).unwrap();
    folder.write("link/x", &body("through"), false).await.unwrap();
    assert_eq!(text(&folder, "inside/x").await, "through");
}

#[cfg(unix)]
#[tokio::test]
async fn a_named_pipe_is_refused_without_waiting() {
    let (scratch, folder) = folder().await;
    let pipe = scratch.path().join("granted/pipe");
    assert!(
        std::process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(folder.read("pipe", 0, None).await.unwrap_err().code(), "rejected");
    assert!(folder.append("pipe", &body("x")).await.is_err());
    assert_eq!(names(&folder, "").await, ["pipe"]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn names_that_are_not_utf8() {
    use std::os::unix::ffi::OsStrExt;
    let (scratch, folder) = folder().await;
    let raw = scratch
        .path()
        .join("granted")
        .join(std::ffi::OsStr::from_bytes(b"caf\xe9 100%"));
    fs::write(&raw, "old").unwrap();
    assert_eq!(names(&folder, "").await, ["caf%E9 100%25"]);
    assert_eq!(text(&folder, "caf%E9 100%25").await, "old");
    folder.rename("caf%E9 100%25", "caf%C3 100%25").await.unwrap();
    folder.rename("caf%C3 100%25", "caf%E9 100%25").await.unwrap();
    assert!(raw.exists());
    folder.write("caf%25E9", &body("literal"), false).await.unwrap();
    assert_eq!(
        fs::read_to_string(scratch.path().join("granted/caf%E9")).unwrap(),
        "literal"
    );
    assert_eq!(names(&folder, "").await, ["caf%25E9", "caf%E9 100%25"]);
}

#[tokio::test]
async fn pages_are_sorted_and_whole() {
    let (_scratch, folder) = folder().await;
    folder.create("box").await.unwrap();
    let mut wanted = Vec::new();
    for number in 0..123 {
        let name = format!("{}", number * 37 % 1000);
        folder.write(&format!("box/{name}"), &body("x"), false).await.unwrap();
        wanted.push(name);
    }
    wanted.sort();
    for limit in [1, 2, 7, 122, 123, 124] {
        let mut listed: Vec<String> = Vec::new();
        loop {
            let page = folder
                .entries("box", listed.last().map(String::as_str), limit)
                .await
                .unwrap();
            let fewer = page.len() < limit as usize;
            listed.extend(page.into_iter().map(|entry| entry.name));
            if fewer {
                break;
            }
        }
        assert_eq!(listed, wanted, "pages of {limit}");
    }
    // What is written between two pages is seen, also where the listing is kept.
    let first = folder.entries("box", None, 5).await.unwrap();
    let last = first.last().unwrap().name.clone();
    folder.write(&format!("box/{last}x"), &body("x"), false).await.unwrap();
    assert_eq!(
        folder.entries("box", Some(&last), 1).await.unwrap()[0].name,
        format!("{last}x")
    );
    folder.remove(&format!("box/{last}x")).await.unwrap();
    assert_ne!(
        folder.entries("box", Some(&last), 1).await.unwrap()[0].name,
        format!("{last}x")
    );
    assert_eq!(folder.entries("box", None, 0).await.unwrap(), []);
    assert_eq!(folder.entries("none", None, 1).await.unwrap_err().code(), "not-found");
    assert_eq!(folder.entries("box/0", None, 1).await.unwrap_err().code(), "rejected");
}

#[tokio::test]
async fn times_are_kept_to_the_millisecond() {
    let (_scratch, folder) = folder().await;
    folder.create("d").await.unwrap();
    folder.write("a", &body("x"), false).await.unwrap();
    for unix_ms in [1_000_000_000_123, 0, -1, -86_400_001] {
        let at = Timestamp {
            unix_ms,
            offset_minutes: 120,
        };
        for path in ["a", "d"] {
            folder.set_modified(path, at).await.unwrap();
            assert_eq!(
                folder.stat(path).await.unwrap().unwrap().modified.unix_ms,
                unix_ms,
                "{path}"
            );
        }
    }
    let never = Timestamp {
        unix_ms: i64::MAX,
        offset_minutes: 0,
    };
    assert!(folder.set_modified("a", never).await.is_err());
    folder.sync().await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn reading_leaves_the_access_time() {
    let (scratch, folder) = folder().await;
    folder.write("a", &body("x"), false).await.unwrap();
    let path = scratch.path().join("granted/a");
    let long_ago = UNIX_EPOCH + Duration::from_secs(1_000_000);
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_times(fs::FileTimes::new().set_accessed(long_ago).set_modified(long_ago))
        .unwrap();
    drop(file);
    assert_eq!(text(&folder, "a").await, "x");
    assert_eq!(fs::metadata(&path).unwrap().accessed().unwrap(), long_ago);
}

#[tokio::test]
async fn more_files_than_are_held_are_written_and_synced() {
    let (_scratch, folder) = folder().await;
    folder.create("tmp").await.unwrap();
    folder.create("cur").await.unwrap();
    for number in 0..600 {
        folder.write(&format!("tmp/{number}"), &body("x"), false).await.unwrap();
        folder
            .rename(&format!("tmp/{number}"), &format!("cur/{number}"))
            .await
            .unwrap();
    }
    folder.rename("cur", "new").await.unwrap();
    folder.remove("tmp").await.unwrap();
    folder.sync().await.unwrap();
    assert_eq!(names(&folder, "new").await.len(), 600);
    assert_eq!(folder.remove("new").await.unwrap_err().code(), "rejected");
    assert_eq!(folder.remove("").await.unwrap_err().code(), "forbidden");
}

#[tokio::test]
async fn a_loss_that_nobody_was_told_of_is_told_by_the_next_sync() {
    let (_scratch, folder) = folder().await;
    folder.inner.state().lost = Some(Failure::Unavailable("x".into()));
    assert!(folder.sync().await.is_err());
    assert!(folder.sync().await.is_ok());
}

#[tokio::test]
async fn writers_at_once_never_replace_each_other() {
    let (_scratch, folder) = folder().await;
    let tasks: Vec<_> = (0..16)
        .map(|number| {
            let folder = folder.clone();
            tokio::spawn(async move {
                let own = format!("own-{number}");
                folder.write(&own, &body(&own), false).await.unwrap();
                folder.rename(&own, "target").await.is_ok()
            })
        })
        .collect();
    let mut winners = 0;
    for task in tasks {
        winners += usize::from(task.await.unwrap());
    }
    assert_eq!(winners, 1);
    assert_eq!(names(&folder, "").await.len(), 16, "nothing was lost");
}
