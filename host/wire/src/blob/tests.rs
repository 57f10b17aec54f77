use std::future::Future;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

fn store(memory: u64, threshold: u64) -> (TempDir, BlobStore) {
    let scratch = tempfile::tempdir().unwrap();
    let config = BlobStoreConfig {
        folder: scratch.path().join("spill"),
        memory,
        threshold,
    };
    (scratch, BlobStore::new(config))
}

fn wait<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
        .block_on(work)
}

async fn write(store: &BlobStore, bytes: &[u8], piece: usize) -> Blob {
    let mut writer = store.writer();
    for piece in bytes.chunks(piece.max(1)) {
        writer.write(piece).await.unwrap();
    }
    assert_eq!(writer.written(), bytes.len() as u64);
    writer.finish().await.unwrap()
}

async fn read(blob: &Blob) -> Vec<u8> {
    let mut out = Vec::new();
    let mut reader = blob.reader();
    while let Some(piece) = reader.next().await.unwrap() {
        assert!(!piece.is_empty() && piece.len() <= PIECE_BYTES);
        out.extend_from_slice(&piece);
    }
    assert_eq!(reader.position(), blob.size());
    out
}

fn fingerprint(bytes: &[u8]) -> Fingerprint {
    let mut printer = Fingerprinter::new();
    printer.update(bytes);
    printer.finish()
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect()
}

#[tokio::test]
async fn small_bodies_stay_in_memory_and_give_their_share_back() {
    let (scratch, store) = store(10_000, 4_096);
    let blob = write(&store, &pattern(4_096), 100).await;
    assert!(!scratch.path().join("spill").exists());
    assert_eq!(store.memory_used(), 4_096);
    let part = blob.slice(10, 20);
    drop(blob);
    assert_eq!(store.memory_used(), 4_096, "a part keeps the whole");
    let bytes = part.read_at(0, 100).await.unwrap();
    drop(part);
    assert_eq!(store.memory_used(), 4_096, "what was read keeps it, too");
    assert_eq!(bytes, pattern(4_096)[10..30]);
    drop(bytes);
    assert_eq!(store.memory_used(), 0);
}

#[tokio::test]
async fn large_bodies_spill_and_leave_nothing_behind() {
    let (scratch, store) = store(1 << 30, 1_000);
    let content = pattern(3 * PIECE_BYTES + 17);
    let blob = write(&store, &content, 70_001).await;
    assert_eq!(store.memory_used(), 0);
    assert_eq!(
        std::fs::read_dir(scratch.path().join("spill")).unwrap().count(),
        0,
        "the file bears no name"
    );
    assert_eq!(read(&blob).await, content);
    assert_eq!(blob.fingerprint().await.unwrap(), fingerprint(&content));
}

#[tokio::test]
async fn a_used_up_budget_makes_bodies_spill() {
    let (_scratch, store) = store(10_000, 100_000);
    let first = write(&store, &pattern(8_000), 8_000).await;
    let second = write(&store, &pattern(5_000), 500).await;
    assert!(store.memory_used() <= 10_000 && store.memory_used() >= 8_000);
    assert_eq!(read(&second).await, pattern(5_000));
    drop(first);
    let third = write(&store, &pattern(9_000), 9_000).await;
    assert!(store.memory_used() >= 9_000 && store.memory_used() <= 10_000);
    assert_eq!(read(&third).await, pattern(9_000));
    drop((second, third));
    assert_eq!(store.memory_used(), 0);
}

#[tokio::test]
async fn an_abandoned_writer_gives_its_share_back() {
    let (_scratch, store) = store(10_000, 100_000);
    let mut writer = store.writer_sized(9_000);
    writer.write(b"x").await.unwrap();
    assert_eq!(store.memory_used(), 9_000);
    drop(writer);
    assert_eq!(store.memory_used(), 0);
    let mut writer = store.writer_sized(9_000);
    writer.write(b"x").await.unwrap();
    let blob = writer.finish().await.unwrap();
    assert!(
        store.memory_used() < 100,
        "a promise that was not kept costs nothing: {}",
        store.memory_used()
    );
    assert_eq!(blob.size(), 1);
}

#[tokio::test]
async fn budgets_hold_while_many_write_at_once() {
    let (_scratch, store) = store(50_000, 100_000);
    let tasks: Vec<_> = (0..32)
        .map(|number| {
            let store = store.clone();
            tokio::spawn(async move {
                let content = pattern(3_000 + number);
                let blob = write(&store, &content, 700).await;
                assert!(store.memory_used() <= 50_000);
                assert_eq!(read(&blob).await, content);
                blob
            })
        })
        .collect();
    let mut blobs = Vec::new();
    for task in tasks {
        blobs.push(task.await.unwrap());
    }
    assert!(store.memory_used() <= 50_000);
    drop(blobs);
    assert_eq!(store.memory_used(), 0);
}

#[tokio::test]
async fn a_spill_folder_that_cannot_be_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path().join("file");
    std::fs::write(&folder, b"").unwrap();
    let store = BlobStore::new(BlobStoreConfig {
        folder: folder.clone(),
        memory: 0,
        threshold: 0,
    });
    let mut writer = store.writer();
    let error = writer.write(b"x").await.unwrap_err();
    assert!(error.to_string().contains(folder.to_str().unwrap()), "{error}");
    assert!(writer.write(b"y").await.is_err());
    assert!(writer.finish().await.is_err(), "what is left is not the body");
}

#[tokio::test]
async fn bodies_without_bytes() {
    let (_scratch, store) = store(100, 100);
    for blob in [
        store.writer().finish().await.unwrap(),
        Blob::from_bytes(""),
        Blob::concat(&[]).unwrap(),
        Blob::from_bytes("abc").slice(3, 9),
    ] {
        assert_eq!((blob.size(), blob.segments()), (0, 0));
        assert_eq!(read(&blob).await, b"");
        assert_eq!(blob.read_at(5, 5).await.unwrap(), "");
        assert_eq!(blob.fingerprint().await.unwrap(), fingerprint(b""));
    }
    assert_eq!(store.memory_used(), 0);
}

#[tokio::test]
async fn a_body_cannot_be_doubled_without_end() {
    let mut blob = Blob::from_bytes("ab");
    let error = loop {
        match Blob::concat(&[blob.clone(), blob.clone()]) {
            Ok(twice) => blob = twice,
            Err(error) => break error,
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert_eq!(blob.segments(), MAX_SEGMENTS);
    assert_eq!(blob.read_at(blob.size() - 3, 10).await.unwrap(), "bab");
}

#[tokio::test]
async fn parts_of_a_file_in_a_row_are_one_segment() {
    let (_scratch, store) = store(0, 0);
    let blob = write(&store, &pattern(100), 100).await;
    let joined = Blob::concat(&[blob.slice(0, 10), blob.slice(10, 50), blob.slice(60, 99)]).unwrap();
    assert_eq!(joined.segments(), 1);
    assert_eq!(read(&joined).await, pattern(100));
    let swapped = Blob::concat(&[blob.slice(50, 50), blob.slice(0, 50)]).unwrap();
    assert_eq!(swapped.segments(), 2);
    assert_eq!(
        swapped.read_at(45, 10).await.unwrap(),
        [&pattern(100)[95..], &pattern(100)[..5]].concat()
    );
}

#[tokio::test]
async fn to_bytes_knows_its_limit() {
    let blob = Blob::from_bytes("abc");
    assert_eq!(blob.to_bytes(3).await.unwrap(), "abc");
    assert_eq!(blob.to_bytes(2).await.unwrap_err().kind(), io::ErrorKind::InvalidInput);
}

#[tokio::test]
async fn nothing_is_copied_where_lines_end_well() {
    let (_scratch, store) = store(1 << 20, 1 << 20);
    let blob = write(&store, b"a\r\nb\rc\r\n", 3).await;
    let same = store.with_crlf(&blob).await.unwrap();
    assert!(Arc::ptr_eq(&blob.inner, &same.inner));
}

#[tokio::test]
async fn line_ends_across_pieces() {
    let (_scratch, store) = store(1 << 20, 1 << 20);
    for filler in [PIECE_BYTES - 2, PIECE_BYTES - 1, PIECE_BYTES] {
        for end in ["\n", "\r\n", "\r\r\n", "\n\n", "\n\r\n"] {
            let mut content = vec![b'x'; filler];
            content.extend_from_slice(end.as_bytes());
            content.extend_from_slice(b"y\n");
            let converted = store.with_crlf(&Blob::from_bytes(content.clone())).await.unwrap();
            assert_eq!(read(&converted).await, crlf(&content), "{filler} {end:?}");
        }
    }
}

/// The plainest way to do it.
fn crlf(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for &byte in bytes {
        if byte == b'\n' && out.last() != Some(&b'\r') {
            out.push(b'\r');
        }
        out.push(byte);
    }
    out
}

/// What is done to bodies, and to byte vectors that they are compared with.
#[derive(Debug, Clone)]
enum Step {
    Write { bytes: Vec<u8>, piece: usize, store: usize },
    Slice { of: usize, offset: u64, length: u64 },
    Concat(Vec<usize>),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = proptest::collection::vec(any::<u8>(), 0..200);
    prop_oneof![
        (bytes, 1usize..80, 0usize..3).prop_map(|(bytes, piece, store)| Step::Write { bytes, piece, store }),
        (any::<usize>(), 0u64..250, prop_oneof![0u64..250, Just(u64::MAX)])
            .prop_map(|(of, offset, length)| Step::Slice { of, offset, length }),
        proptest::collection::vec(any::<usize>(), 0..5).prop_map(Step::Concat),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bodies_behave_like_byte_vectors(steps in proptest::collection::vec(step(), 1..14), reads in proptest::collection::vec((0u64..400, 0usize..400), 6)) {
        wait(async {
            // In memory always, on disk always, and whichever the budget says.
            let stores = [store(1 << 20, 1 << 20), store(0, 0), store(300, 150)];
            let mut known: Vec<(Blob, Vec<u8>)> = vec![(Blob::from_bytes("seed"), b"seed".to_vec())];
            for step in steps {
                let made = match step {
                    Step::Write { bytes, piece, store } => (write(&stores[store].1, &bytes, piece).await, bytes),
                    Step::Slice { of, offset, length } => {
                        let (blob, bytes) = &known[of % known.len()];
                        let from = usize::try_from(offset).unwrap().min(bytes.len());
                        let length_here = usize::try_from(length).unwrap_or(usize::MAX);
                        let to = from.saturating_add(length_here).min(bytes.len());
                        (blob.slice(offset, length), bytes[from..to].to_vec())
                    }
                    Step::Concat(of) => {
                        let parts: Vec<_> = of.iter().map(|of| &known[of % known.len()]).collect();
                        let blobs: Vec<_> = parts.iter().map(|(blob, _)| blob.clone()).collect();
                        let bytes: Vec<u8> = parts.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
                        if bytes.len() > 5_000 {
                            continue;
                        }
                        (Blob::concat(&blobs).unwrap(), bytes)
                    }
                };
                known.push(made);
            }
            for (blob, bytes) in &known {
                assert_eq!(blob.size(), bytes.len() as u64);
                assert_eq!(&read(blob).await, bytes);
                assert_eq!(blob.fingerprint().await.unwrap(), fingerprint(bytes));
                for (offset, length) in &reads {
                    let from = usize::try_from(*offset).unwrap().min(bytes.len());
                    let to = (from + length).min(bytes.len());
                    assert_eq!(blob.read_at(*offset, *length).await.unwrap(), &bytes[from..to]);
                }
            }
            drop(known);
            for (_, store) in &stores {
                assert_eq!(store.memory_used(), 0);
            }
        });
    }

    #[test]
    fn crlf_is_what_the_plain_way_gives(bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..100)) {
        wait(async {
            let (_scratch, store) = store(1 << 20, 1 << 20);
            let blob = Blob::from_bytes(bytes.clone());
            let converted = store.with_crlf(&blob).await.unwrap();
            assert_eq!(read(&converted).await, crlf(&bytes));
            let print = converted.fingerprint().await.unwrap();
            assert_eq!(print.bare_line_feeds, 0);
            assert_eq!(print.transport, fingerprint(&bytes).transport);
            assert_eq!(converted.size(), bytes.len() as u64 + fingerprint(&bytes).bare_line_feeds);
        });
    }
}
