//! One run of a program: wall time, its own processor time, its largest resident memory.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// How often its memory is looked at; the kernel keeps the highest mark.
const LOOK: Duration = Duration::from_millis(2);

/// What a run cost.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Wall-clock seconds.
    pub wall: f64,
    /// Seconds of processor time, user and system, of it and of what it started.
    pub cpu: f64,
    /// Largest resident memory of the process itself, in bytes.
    pub peak: u64,
}

/// Runs it to its end: what it cost, and its standard output. The error holds the end of what it wrote, where it failed
/// or took longer than `limit`.
pub fn run(command: &mut Command, limit: Duration) -> Result<(Cost, String), String> {
    let [output, errors] = [(), ()].map(|()| tempfile::NamedTempFile::new().expect("a temporary file"));
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(output.reopen().map(Stdio::from).expect("own file"))
        .stderr(errors.reopen().map(Stdio::from).expect("own file"))
        .spawn()
        .map_err(|error| format!("{:?} does not start: {error}", command.get_program()))?;
    let mut peak = 0;
    let ended = loop {
        peak = peak.max(resident(child.id()));
        if has_ended(&child) {
            break true;
        }
        if start.elapsed() > limit {
            break false;
        }
        std::thread::sleep(LOOK);
    };
    let wall = start.elapsed().as_secs_f64();
    let cpu = processor(child.id());
    if !ended {
        let _ = child.kill();
    }
    let status = child.wait().expect("own child");
    let [output, errors] = [output, errors].map(|file| {
        let bytes = fs::read(file.path()).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    });
    match ended && status.success() {
        true => Ok((Cost { wall, cpu, peak }, output)),
        false => Err(format!(
            "{status} after {wall:.1} s\n{}\n{}",
            end(&output),
            end(&errors)
        )),
    }
}

/// Its last thousand characters.
fn end(text: &str) -> &str {
    let text = text.trim();
    let from = text.char_indices().rev().nth(1000).map_or(0, |(at, _)| at);
    &text[from..]
}

/// Whether it has ended; what it cost can still be read.
fn has_ended(child: &Child) -> bool {
    let id = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process id");
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::Pid(id), options), Ok(Some(_)))
}

fn resident(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap_or_default();
    let mark = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = mark.and_then(|mark| mark.split_whitespace().next()?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) * 1024
}

/// proc(5): utime, stime, cutime, cstime are the fields 14 to 17, in hundredths of a second.
fn processor(id: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
    let ticks: u32 = fields
        .split_whitespace()
        .skip(11)
        .take(4)
        .filter_map(|field| field.parse::<u32>().ok())
        .sum();
    f64::from(ticks) / 100.0
}
