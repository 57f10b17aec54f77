//! The sandbox with real plugins in it: what they may, what they may not, and what becomes of those that misbehave.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // A test fails by panicking, its helpers too.

mod support;

use std::time::{Duration, Instant};

use serde_json::json;
use support::{Bench, ids};
use whimbrel_model::{Change, Collection, Failure, Kind, Permission};
use whimbrel_sandbox::{CONTRACT, Destination, LoadError, Plugin, PluginLimits, Source};

async fn misbehaving(bench: &Bench) -> Plugin {
    bench.load("misbehaving").await
}

async fn source(bench: &Bench, plugin: &Plugin, mode: &str) -> Source {
    plugin
        .source(&bench.spec(json!({"mode": mode})))
        .await
        .expect("it opens")
}

async fn destination(bench: &Bench, plugin: &Plugin, mode: &str) -> Destination {
    plugin
        .destination(&bench.spec(json!({"mode": mode})))
        .await
        .expect("it opens")
}

fn internal<T: std::fmt::Debug>(result: Result<T, Failure>) -> String {
    match result {
        Err(Failure::Internal(text)) => text,
        other => panic!("no internal failure: {other:?}"),
    }
}

fn forbidden<T>(result: Result<T, Failure>) -> String {
    match result {
        Err(Failure::Forbidden(text)) => text,
        Err(other) => panic!("not forbidden: {other:?}"),
        Ok(_) => panic!("it was allowed"),
    }
}

#[tokio::test]
async fn a_plugin_tells_what_it_is() {
    let bench = Bench::new();
    let plugin = misbehaving(&bench).await;
    assert_eq!(plugin.description().name, "misbehaving");
    assert_eq!(plugin.contract(), CONTRACT);
    assert!(plugin.can_write());
    assert!(plugin.sdk().is_some());
    assert!(plugin.description().permissions.contains(&Permission::Files {
        setting: "folder".into(),
        write: true
    }));
    assert_eq!(plugin.bytes(), std::fs::metadata(plugin.path()).unwrap().len());
    assert!(
        plugin
            .imports()
            .iter()
            .all(|import| import.starts_with("whimbrel:connector/") || import.starts_with("wasi:")),
        "{:?}",
        plugin.imports()
    );
    let honest = bench.load("memory").await;
    assert!(
        honest
            .imports()
            .iter()
            .all(|import| import.starts_with("whimbrel:connector/")),
        "{:?}",
        honest.imports()
    );
}

#[tokio::test]
async fn settings_are_checked_and_secrets_are_not_shown() {
    let bench = Bench::new();
    let memory = bench.load("memory").await;
    assert_eq!(
        memory.check_settings(&json!({"messages": 3}), &json!({"user": "x"})),
        Vec::<String>::new()
    );
    let problems = memory.check_settings(&json!({"messages": -1, "odd": 1}), &json!({"user": {"hunter2": 1}}));
    assert_eq!(problems.len(), 3, "{problems:?}");
    assert!(
        problems.iter().any(|it| it.starts_with("settings, `messages`: -1")),
        "{problems:?}"
    );
    assert!(
        problems.iter().any(|it| it.starts_with("mailbox, `user`: ")),
        "{problems:?}"
    );
    assert!(!problems.concat().contains("hunter2"), "{problems:?}");
}

#[tokio::test]
async fn an_honest_account_is_read_and_written() {
    let bench = Bench::new();
    let plugin = misbehaving(&bench).await;
    let mut from = source(&bench, &plugin, "good").await;
    let inbox = from.collections().await.unwrap().remove(0);
    let first = from.changes(&inbox.id, None, 15).await.unwrap();
    assert!(first.more && first.changes.len() == 15);
    let rest = from.changes(&inbox.id, Some(&first.cursor), 15).await.unwrap();
    assert!(!rest.more && rest.changes.len() == 5);
    let mut items = Vec::new();
    for answer in from.fetch(&inbox.id, &ids(["1", "99", "2"])).await.unwrap() {
        items.push(answer);
    }
    assert!(matches!(items.remove(1), Err(Failure::NotFound(_))));
    let items: Vec<_> = items.into_iter().map(Result::unwrap).collect();
    let body = items[0].content.to_bytes(1000).await.unwrap();
    assert!(body.starts_with(b"Subject: 1\r\n"), "{body:?}");

    let mut to = plugin.destination(&bench.spec(json!({"messages": 0}))).await.unwrap();
    assert!(to.limits(Kind::Message).await.unwrap().batch_items > 0);
    let wanted = Collection {
        id: "ignored".into(),
        ..inbox
    };
    let target = to.ensure(&wanted).await.unwrap();
    let mark = to.watermark(&target.id).await.unwrap();
    let placed = to.put(&target.id, items).await.unwrap();
    assert_eq!(
        placed
            .iter()
            .map(|it| it.as_ref().unwrap().id.as_deref())
            .collect::<Vec<_>>(),
        [Some("1"), Some("2")]
    );
    let page = to.changes(&target.id, Some(&mark), 10).await.unwrap();
    assert!(matches!(&page.changes[..], [Change::Upserted(a), Change::Upserted(b)] if a.id == "1" && b.id == "2"));
    let back = to.fetch(&target.id, &ids(["1"])).await.unwrap().remove(0).unwrap();
    assert_eq!(back.content.to_bytes(1000).await.unwrap(), body);
    from.close().await;
    to.close().await;
}

#[tokio::test]
async fn accounts_do_not_see_each_other() {
    let bench = Bench::new();
    let plugin = misbehaving(&bench).await;
    let spec = bench.spec(json!({"messages": 0}));
    let mut one = plugin.destination(&spec).await.unwrap();
    let mut other = plugin.destination(&spec).await.unwrap();
    let item = bench.item("secret of one mailbox").await;
    one.put("INBOX", vec![item]).await.unwrap().remove(0).unwrap();
    assert_eq!(one.changes("INBOX", None, 10).await.unwrap().changes.len(), 1);
    assert_eq!(other.changes("INBOX", None, 10).await.unwrap().changes.len(), 0);
}

#[tokio::test]
async fn spinning_ends_with_the_budget() {
    let bench = Bench::with(PluginLimits {
        cpu: Duration::from_millis(300),
        ..PluginLimits::default()
    });
    let plugin = misbehaving(&bench).await;
    let started = Instant::now();
    let text = internal(source(&bench, &plugin, "spin").await.changes("INBOX", None, 10).await);
    assert!(
        text.contains("connector `misbehaving`") && text.contains("in `changes`"),
        "{text}"
    );
    assert!(
        text.contains("used more than 300ms of computing time in one call"),
        "{text}"
    );
    internal(
        destination(&bench, &plugin, "spin-put")
            .await
            .put("INBOX", Vec::new())
            .await,
    );
    internal(
        source(&bench, &plugin, "huge-wait")
            .await
            .wait(Duration::from_secs(1))
            .await,
    );
    assert!(started.elapsed() > Duration::from_millis(800));
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

/// On one thread, a spinning plugin leaves room for everybody else.
#[tokio::test(flavor = "current_thread")]
async fn a_spinning_plugin_starves_nobody() {
    let bench = Bench::with(PluginLimits {
        cpu: Duration::from_millis(500),
        ..PluginLimits::default()
    });
    let plugin = misbehaving(&bench).await;
    let mut spinning = source(&bench, &plugin, "spin").await;
    let mut good = source(&bench, &plugin, "good").await;
    let spin = tokio::spawn(async move { internal(spinning.changes("INBOX", None, 10).await) });
    tokio::task::yield_now().await;
    let mut calls = 0;
    while !spin.is_finished() {
        good.collections().await.unwrap();
        calls += 1;
        tokio::task::yield_now().await;
    }
    assert!(calls > 5, "{calls} calls went through meanwhile");
    spin.await.unwrap();
}

#[tokio::test]
async fn traps_and_limits_name_their_cause() {
    let bench = Bench::new();
    let plugin = misbehaving(&bench).await;
    for (mode, cause) in [
        ("allocate", "more than 64 MiB of memory"),
        ("recurse", "used up its stack"),
    ] {
        let text = internal(source(&bench, &plugin, mode).await.changes("INBOX", None, 10).await);
        assert!(text.contains(cause), "{mode}: {text}");
    }
    let text = internal(source(&bench, &plugin, "trap").await.fetch("INBOX", &ids(["1"])).await);
    assert!(text.contains("in `fetch`: it gave up"), "{text}");
    let text = internal(
        source(&bench, &plugin, "huge-blob")
            .await
            .fetch("INBOX", &ids(["1"]))
            .await,
    );
    assert!(text.contains("a body of 2097152 bytes in one go"), "{text}");
    let text = internal(
        destination(&bench, &plugin, "trap-put")
            .await
            .put("INBOX", Vec::new())
            .await,
    );
    assert!(text.contains("in `put`"), "{text}");
    let text = internal(plugin.source(&bench.spec(json!({"mode": "trap-open"}))).await.map(drop));
    assert!(text.contains("in `open`"), "{text}");
}

#[tokio::test]
async fn lies_are_told() {
    let bench = Bench::new();
    let plugin = misbehaving(&bench).await;
    for (mode, lie) in [
        ("stuck-cursor", "does not move"),
        ("too-many-changes", "11 changes; the limit is 10"),
        ("huge-cursor", "a cursor of 1048576 bytes"),
        ("empty-id", "without an id"),
        ("long-id", "2000 bytes"),
        ("duplicate-ids", "twice"),
        ("complete-and-capped", "cut short"),
    ] {
        let mut account = source(&bench, &plugin, mode).await;
        let before = (mode == "stuck-cursor").then_some("1:0");
        let text = internal(account.changes("INBOX", before, 10).await);
        assert!(text.contains(lie) && text.contains("tell its vendor"), "{mode}: {text}");
    }
    for (mode, lie) in [
        ("fewer-answers", "1 items for 2"),
        ("more-answers", "3 items for 2"),
        ("swapped-answers", "asked for item \"1\", it returned \"2\""),
        ("unlisted-answers", "asked for item \"1\""),
    ] {
        let text = internal(
            source(&bench, &plugin, mode)
                .await
                .fetch("INBOX", &ids(["1", "2"]))
                .await,
        );
        assert!(text.contains(lie), "{mode}: {text}");
    }
    for (mode, lie) in [
        ("duplicate-collections", "two collections"),
        ("huge-string", "a path of"),
        ("huge-list", ""),
    ] {
        let text = internal(source(&bench, &plugin, mode).await.collections().await);
        assert!(text.contains(lie), "{mode}: {text}");
    }
    for (mode, lie) in [
        ("fewer-placements", "1 placements for 2"),
        ("same-placement", "two items under the id \"1\""),
    ] {
        let items = vec![bench.item("a").await, bench.item("b").await];
        let text = internal(destination(&bench, &plugin, mode).await.put("INBOX", items).await);
        assert!(text.contains(lie), "{mode}: {text}");
    }
}

#[tokio::test]
async fn a_flood_of_log_lines_ends() {
    let bench = Bench::with(PluginLimits {
        cpu: Duration::from_secs(2),
        ..PluginLimits::default()
    });
    let plugin = misbehaving(&bench).await;
    let started = Instant::now();
    // Whether it runs into its budget or gets through: it ends, and its lines are cut and counted.
    let _ = source(&bench, &plugin, "flood-log")
        .await
        .changes("INBOX", None, 10)
        .await;
    assert!(started.elapsed() < Duration::from_secs(120), "{:?}", started.elapsed());
}

#[tokio::test]
async fn closed_doors_stay_closed() {
    let bench = Bench::new();
    let plugin = misbehaving(&bench).await;
    let folder = bench.folder().join("granted");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(bench.folder().join("outside"), "secret").unwrap();
    for (mode, keys) in [
        ("ungranted-host", "ungranted.invalid:993"),
        ("ungranted-setting", "files(mode)"),
    ] {
        let text = forbidden(
            plugin
                .source(&bench.spec(json!({"mode": mode, "folder": "granted"})))
                .await,
        );
        assert!(
            text.contains(keys) && text.contains("Two keys are needed"),
            "{mode}: {text}"
        );
    }
    for mode in ["escape-folder", "absolute-path"] {
        forbidden(
            plugin
                .source(&bench.spec(json!({"mode": mode, "folder": "granted"})))
                .await,
        );
        let text = forbidden(plugin.source(&bench.spec(json!({"mode": mode}))).await);
        assert!(text.contains("name no folder"), "{mode}: {text}");
    }
}

/// Of an account, after what it was opened for: sort and text of each attempt.
async fn attempts(bench: &Bench, plugin: &Plugin, settings: serde_json::Value) -> (Result<(), Failure>, Vec<String>) {
    let spec = bench.spec(settings);
    let result = plugin.source(&spec).await.map(drop);
    let refused = spec.activity.usage().refused;
    let told = refused.iter().map(|it| format!("{:?} {}", it.attempt, it.what));
    (result, told.collect())
}

#[tokio::test]
async fn every_attempt_is_noted() {
    let bench = Bench::new();
    let plugin = misbehaving(&bench).await;
    for folder in ["own", "other"] {
        std::fs::create_dir(bench.folder().join(folder)).unwrap();
        std::fs::write(bench.folder().join(folder).join("kept"), "as it was").unwrap();
    }
    let settings = |mode: &str| json!({"mode": mode, "folder": "own", "host": "127.0.0.1", "port": 993});
    for (mode, expected) in [
        ("host-tricks", "Connect 127.0.0.1:25"),
        ("host-tricks", "Connect evil.invalid#127.0.0.1:993"),
        ("other-mailbox", "Outside ../other/secret"),
        ("other-mailbox", "Outside /proc/self/environ"),
        ("write-source", "Write write a file"),
        ("write-source", "Write remove a file"),
        ("ungranted-setting", "Folder mode"),
    ] {
        let (result, told) = attempts(&bench, &plugin, settings(mode)).await;
        forbidden(result);
        assert!(told.iter().any(|it| it == expected), "{mode}: {told:?}");
    }
    let (result, told) = attempts(&bench, &plugin, settings("hoard-folders")).await;
    assert!(internal(result).contains("16 folders open"), "{told:?}");
    assert!(
        told.iter()
            .any(|it| it.starts_with("Misuse in `open`: it has 16 folders open")),
        "{told:?}"
    );
    let kept = std::fs::read_to_string(bench.folder().join("own/kept")).unwrap();
    assert_eq!(kept, "as it was");
    assert_eq!(std::fs::read_dir(bench.folder().join("own")).unwrap().count(), 1);
}

#[tokio::test]
async fn wasi_gives_nothing_of_the_machine() {
    let bench = Bench::new();
    let plugin = misbehaving(&bench).await;
    plugin.source(&bench.spec(json!({"mode": "ask-wasi"}))).await.unwrap();
}

#[tokio::test]
async fn what_a_connector_uses_is_counted() {
    let bench = Bench::new();
    let plugin = misbehaving(&bench).await;
    let spec = bench.spec(json!({"mode": "good"}));
    let mut account = plugin.source(&spec).await.unwrap();
    account.collections().await.unwrap();
    account.fetch("INBOX", &ids(["1", "2"])).await.unwrap();
    let usage = spec.activity.usage();
    assert_eq!((usage.calls, usage.instances), (3, 1), "{usage:?}");
    assert!(usage.host_calls.blobs >= 2 && usage.bytes_out > 50, "{usage:?}");
    assert!(usage.peak_memory > 0 && usage.peak_memory < 64 << 20, "{usage:?}");
    assert!(usage.is_quiet(), "{usage:?}");
}

#[tokio::test]
async fn bodies_beyond_the_limit_are_refused() {
    let bench = Bench::with(PluginLimits {
        max_held_bytes: 20 << 20,
        ..PluginLimits::default()
    });
    let plugin = misbehaving(&bench).await;
    let cause = "holds bodies of its own of more than 20971520 bytes";
    let spec = bench.spec(json!({"mode": "fill-disk"}));
    let mut account = plugin.source(&spec).await.unwrap();
    let text = internal(account.changes("INBOX", None, 10).await);
    assert!(text.contains(cause), "{text}");
    let refused = spec.activity.usage().refused;
    assert!(refused.iter().any(|it| it.what.contains(cause)), "{refused:?}");

    // The engine's own table of handles ends as soon as the host's does.
    let spec = bench.spec(json!({"mode": "hoard-handles"}));
    let mut account = plugin.source(&spec).await.unwrap();
    let text = internal(account.changes("INBOX", None, 10).await);
    let cause = "handle limit exceeded";
    assert!(text.contains(cause), "{text}");
    let refused = spec.activity.usage().refused;
    assert!(refused.iter().any(|it| it.what.contains(cause)), "{refused:?}");
}

#[tokio::test]
async fn secrets_stay_outside() {
    let bench = Bench::new();
    let plugin = misbehaving(&bench).await;
    plugin
        .source(&bench.spec(json!({"mode": "secret-settings"})))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_faulty_account_is_opened_anew_and_given_up_in_the_end() {
    let bench = Bench::new();
    let plugin = misbehaving(&bench).await;
    let mut account = source(&bench, &plugin, "trap").await;
    internal(account.fetch("INBOX", &ids(["1"])).await);
    internal(account.fetch("INBOX", &ids(["1"])).await);
    // What goes well in between counts as recovered.
    assert_eq!(account.collections().await.unwrap().len(), 1);
    for _ in 0..3 {
        internal(account.fetch("INBOX", &ids(["1"])).await);
    }
    let started = Instant::now();
    let text = internal(account.collections().await);
    assert!(text.contains("in `fetch`"), "the last fault is told: {text}");
    assert!(started.elapsed() < Duration::from_millis(50), "at once");
}

#[tokio::test]
async fn a_cancelled_call_costs_the_instance_only() {
    let bench = Bench::new();
    let plugin = misbehaving(&bench).await;
    let mut account = plugin
        .destination(&bench.spec(json!({"mode": "spin-put", "messages": 0})))
        .await
        .unwrap();
    let put = tokio::time::timeout(Duration::from_millis(100), account.put("INBOX", Vec::new())).await;
    assert!(put.is_err(), "it was under way");
    account.limits(Kind::Message).await.unwrap();
}

#[tokio::test]
async fn instances_are_counted() {
    let bench = Bench::with(PluginLimits {
        max_instances: 1,
        ..PluginLimits::default()
    });
    let plugin = misbehaving(&bench).await;
    let first = source(&bench, &plugin, "good").await;
    let Err(Failure::Unavailable(text)) = plugin.source(&bench.spec(json!({}))).await.map(drop) else {
        panic!("there was a second place")
    };
    assert!(text.contains("lower `mailboxes`"), "{text}");
    drop(first);
    source(&bench, &plugin, "good").await;
}

#[tokio::test]
async fn images_are_kept_and_damage_is_survived() {
    let bench = Bench::new();
    let cold = misbehaving(&bench).await;
    let image = std::fs::read_dir(bench.cache())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let written = std::fs::metadata(&image).unwrap().modified().unwrap();
    misbehaving(&bench).await;
    assert_eq!(
        std::fs::metadata(&image).unwrap().modified().unwrap(),
        written,
        "it was used, not made again"
    );
    std::fs::write(&image, "garbage").unwrap();
    let again = misbehaving(&bench).await;
    assert_eq!(again.hash(), cold.hash());
    assert!(std::fs::metadata(&image).unwrap().len() > 1000, "it was made again");
}

#[tokio::test]
async fn files_that_are_no_plugin_are_refused_with_a_remedy() {
    let bench = Bench::new();
    let path = bench.folder().join("x.wasm");
    let missing = bench.runtime().load(&path).await.unwrap_err();
    assert!(matches!(missing, LoadError::Read { .. }), "{missing}");
    for (bytes, expected) in [
        (&b"#!/bin/sh"[..], "is not WebAssembly"),
        (b"\0asm\x01\0\0\0", "core WebAssembly module"),
        (b"\0asm\x0d\0\x01\0", "no connector"),
        (b"\0asm\x0d\0\x01\0\x0a\x7f", "damaged"),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let error = bench.runtime().load(&path).await.unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("x.wasm"), "{error}");
    }
    std::fs::File::create(&path).unwrap().set_len(65 << 20).unwrap();
    let error = bench.runtime().load(&path).await.unwrap_err();
    assert!(matches!(error, LoadError::TooLarge { .. }), "{error}");
}

/// Whatever byte is wrong in a plugin's file: an error or a plugin, never a panic.
#[tokio::test]
async fn damaged_plugins_do_no_harm() {
    let bench = Bench::uncached();
    let good = std::fs::read(support::plugin("misbehaving")).unwrap();
    let path = bench.folder().join("damaged.wasm");
    for step in 0..12 {
        let mut bytes = good.clone();
        let at = 8 + step * (good.len() - 9) / 12;
        bytes[at] ^= 0xff;
        std::fs::write(&path, &bytes).unwrap();
        let _ = bench.runtime().load(&path).await;
        std::fs::write(&path, &good[..at]).unwrap();
        assert!(bench.runtime().load(&path).await.is_err(), "cut at {at}");
    }
}

#[tokio::test]
async fn bodies_that_cross_are_the_bodies_that_were_given() {
    let bench = Bench::new();
    let memory = bench.load("memory").await;
    let mut from = memory
        .source(&bench.spec(json!({"messages": 3, "large": 5_000_000})))
        .await
        .unwrap();
    let inbox = from.collections().await.unwrap().remove(0);
    let page = from.changes(&inbox.id, None, 10).await.unwrap();
    let known: Vec<String> = page
        .changes
        .iter()
        .filter_map(|it| {
            if let Change::Upserted(it) = it {
                Some(it.id.clone())
            } else {
                None
            }
        })
        .collect();
    assert_eq!(known.len(), 3);
    let items: Vec<_> = from
        .fetch(&inbox.id, &known)
        .await
        .unwrap()
        .into_iter()
        .map(Result::unwrap)
        .collect();
    assert!(
        items.iter().any(|item| item.content.size() == 5_000_000),
        "large bodies are written piece by piece"
    );
    let mut prints = Vec::new();
    for item in &items {
        prints.push(item.content.fingerprint().await.unwrap().exact);
    }
    let mut to = memory.destination(&bench.spec(json!({}))).await.unwrap();
    let target = to.ensure(&inbox).await.unwrap();
    let placed = to.put(&target.id, items).await.unwrap();
    let placed: Vec<String> = placed.into_iter().map(|it| it.unwrap().id.unwrap()).collect();
    for (item, print) in to.fetch(&target.id, &placed).await.unwrap().into_iter().zip(prints) {
        assert_eq!(item.unwrap().content.fingerprint().await.unwrap().exact, print);
    }
}
