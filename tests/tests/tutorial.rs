//! `docs/tutorial.md`, word for word: its commands run in order, in each language.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)] // Helpers of tests.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

use whimbrel_tests::kit::{Tools, house, succeeded};
use whimbrel_tests::run::{program, target_folder};
use whimbrel_tests::scratch;

/// A block of the page: what is said of it after the language, and what it holds.
struct Block {
    mark: String,
    text: String,
}

fn blocks() -> Vec<Block> {
    let page = fs::read_to_string(house().join("docs/tutorial.md")).unwrap();
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(fence) = line.strip_prefix("```") else { continue };
        let mark = fence.split_once(' ').map_or("", |(_, mark)| mark).to_owned();
        let mut text = String::new();
        for line in lines.by_ref().take_while(|line| *line != "```") {
            writeln!(text, "{line}").unwrap();
        }
        blocks.push(Block { mark, text });
    }
    blocks
}

/// The port that the page uses, and one that is free.
const PORT: &str = "8471";

fn follow(language: &str) {
    let scratch = scratch::on_disk("tutorial");
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string();
    let mut folder = scratch.path().to_owned();
    let mut paths = vec![program().parent().unwrap().to_owned()];
    paths.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let path = std::env::join_paths(paths).unwrap();
    let shell = |text: &str, folder: &PathBuf| {
        let mut command = Command::new("sh");
        command.args(["-e", "-c", text]).current_dir(folder).env("PATH", &path);
        command.env("HOME", scratch.path()).env("XDG_CACHE_HOME", target_folder().join("kit/cache"));
        command.env("CARGO_HOME", std::env::var_os("CARGO_HOME").unwrap_or_else(|| home(".cargo")));
        command.env("RUSTUP_HOME", std::env::var_os("RUSTUP_HOME").unwrap_or_else(|| home(".rustup")));
        command.env("CARGO_TARGET_DIR", target_folder().join("kit/cargo")).stdin(Stdio::null());
        command
    };
    let mut stand_in = None;
    let mut ran = 0;
    for Block { mark, text } in blocks() {
        let text = text.replace(PORT, &port);
        let (kind, whom) = mark.split_once(':').unwrap_or_default();
        match kind {
            "file" => fs::write(folder.join(whom), text).unwrap(),
            _ if whom != language && whom != "all" => {}
            // Without the network: they were set up before.
            "tools" => Tools::find().link(&folder),
            "stand-in" => {
                let mut child = shell(&format!("exec {text}"), &folder).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
                let mut ready = String::new();
                std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.take().unwrap()), &mut ready).unwrap();
                assert!(ready.contains(&port), "{ready}");
                stand_in = Some(child);
            }
            "tested" if text.trim() == "cd acme" => folder.push("acme"),
            "tested" => {
                let begun = Instant::now();
                let output = shell(&text, &folder).output().unwrap();
                succeeded(&text, &output);
                ran += 1;
                // To be read with `--nocapture`: how long each step takes.
                println!("{language}: {:.1} s: {}", begun.elapsed().as_secs_f32(), text.trim().replace('\n', "; "));
            }
            _ => panic!("nobody knows what to do with a block marked `{mark}`"),
        }
    }
    assert!(ran >= 7, "{ran} blocks ran");
    let mut child = stand_in.expect("a stand-in");
    drop(child.stdin.take());
    child.wait().unwrap();
}

fn home(folder: &str) -> std::ffi::OsString {
    PathBuf::from(std::env::var_os("HOME").expect("a home")).join(folder).into()
}

#[test]
fn in_python() {
    follow("python");
}

#[test]
fn in_javascript() {
    follow("javascript");
}

#[test]
fn in_rust() {
    follow("rust");
}
