//! Progress: bars where a person watches, plain lines otherwise.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use whimbrel_engine::{Observer, Progress};

use super::table::{count, plural};
use super::{complain, safe};
use crate::settings::units::{show_bytes, show_time};

/// How often plain lines tell of a mailbox under way.
const EVERY: Duration = Duration::from_secs(10);

static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// Runs `write`, which writes to standard error, with the bars out of the way.
pub fn above<T>(write: impl FnOnce() -> T) -> T {
    match BARS.get() {
        Some(bars) => bars.suspend(write),
        None => write(),
    }
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// Bars.
    Bars,
    /// Lines.
    Lines,
    /// Not at all.
    Silent,
}

/// Shows what the engine tells.
pub struct Shower {
    manner: Manner,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mailboxes: HashMap<String, Row>,
    total: Option<ProgressBar>,
}

struct Row {
    bar: Option<ProgressBar>,
    started: Instant,
    said: Instant,
    items: u64,
    bytes: u64,
    wanted: u64,
}

impl Shower {
    /// For so many mailboxes.
    pub fn new(manner: Manner, mailboxes: usize) -> Self {
        let mut state = State::default();
        if manner == Manner::Bars && mailboxes > 1 {
            let bars = BARS.get_or_init(MultiProgress::new);
            let bar = bars.add(ProgressBar::new(mailboxes as u64));
            bar.set_style(style("{prefix:>24} {bar:30} {pos}/{len} mailboxes done, {elapsed}"));
            bar.set_prefix("all");
            state.total = Some(bar);
        }
        Self {
            manner,
            state: Mutex::new(state),
        }
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        let mut state = self.lock();
        for row in state.mailboxes.values().filter_map(|row| row.bar.as_ref()) {
            row.finish_and_clear();
        }
        if let Some(total) = state.total.take() {
            total.finish_and_clear();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(&self, mailbox: &str) {
        let now = Instant::now();
        let bar = (self.manner == Manner::Bars).then(|| {
            let bar = BARS.get_or_init(MultiProgress::new).add(ProgressBar::new_spinner());
            bar.set_style(style("{prefix:>24} {spinner} {msg}"));
            bar.set_prefix(shorten(&safe(mailbox), 24));
            bar.set_message("connecting");
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        let row = Row {
            bar,
            started: now,
            said: now,
            items: 0,
            bytes: 0,
            wanted: 0,
        };
        self.lock().mailboxes.insert(mailbox.to_owned(), row);
    }

    fn line(&self, text: impl FnOnce() -> String) {
        if self.manner == Manner::Lines {
            complain(&safe(&text()));
        }
    }

    fn settled(&self, mailbox: &str, items: u64, bytes: u64) {
        let mut state = self.lock();
        let Some(row) = state.mailboxes.get_mut(mailbox) else {
            return;
        };
        row.items += items;
        row.bytes += bytes;
        if let Some(bar) = &row.bar {
            bar.set_length(row.wanted.max(row.items));
            bar.set_position(row.items);
            bar.set_message(speed(row));
        }
        if self.manner == Manner::Lines && row.said.elapsed() >= EVERY {
            row.said = Instant::now();
            let text = format!(
                "{mailbox}: {} of {} messages, {}",
                count(row.items),
                count(row.wanted),
                speed(row)
            );
            drop(state);
            complain(&safe(&text));
        }
    }
}

fn speed(row: &Row) -> String {
    let milliseconds = u64::try_from(row.started.elapsed().as_millis())
        .unwrap_or(u64::MAX)
        .max(1);
    format!(
        "{}, {}/s",
        show_bytes(row.bytes),
        show_bytes(row.bytes.saturating_mul(1000) / milliseconds)
    )
}

impl Observer for Shower {
    fn notify(&self, progress: Progress<'_>) {
        if self.manner == Manner::Silent {
            return;
        }
        match progress {
            Progress::Started { mailbox } => self.start(mailbox),
            Progress::Listed {
                mailbox,
                collection,
                pending,
            } => {
                if let Some(bar) = self.lock().mailboxes.get(mailbox).and_then(|row| row.bar.as_ref()) {
                    bar.set_message(format!(
                        "listed {}: {} waiting",
                        shorten(&safe(collection), 40),
                        plural(pending, "message")
                    ));
                }
            }
            Progress::Planned { mailbox, items, bytes } => {
                if let Some(row) = self.lock().mailboxes.get_mut(mailbox) {
                    row.wanted = items;
                    row.started = Instant::now();
                    if let Some(bar) = &row.bar {
                        bar.set_style(style(
                            "{prefix:>24} {bar:30} {human_pos}/{human_len} messages, {msg}, {eta} left",
                        ));
                        bar.set_length(items);
                        bar.set_message(show_bytes(0));
                    }
                }
                if items > 0 {
                    self.line(|| format!("{mailbox}: {} to copy, {}", plural(items, "message"), show_bytes(bytes)));
                }
            }
            Progress::Settled { mailbox, items, bytes } => self.settled(mailbox, items, bytes),
            Progress::Waiting {
                mailbox,
                reason,
                milliseconds,
            } => {
                let pause = show_time(Duration::from_millis(milliseconds));
                complain(&safe(&format!("{mailbox}: goes on in {pause}: {reason}")));
            }
            Progress::Parked {
                mailbox,
                reason,
                milliseconds,
            } => {
                let row = self.lock().mailboxes.remove(mailbox);
                if let Some(bar) = row.and_then(|row| row.bar) {
                    bar.finish_and_clear();
                }
                let pause = show_time(Duration::from_millis(milliseconds));
                complain(&safe(&format!(
                    "{mailbox}: gives its place to others and may go on in {pause}: {reason}"
                )));
            }
            Progress::Warning { mailbox, text } => complain(&safe(&format!("{mailbox}: {text}"))),
            Progress::Finished { mailbox } => {
                let mut state = self.lock();
                let row = state.mailboxes.remove(mailbox);
                if let Some(bar) = row.as_ref().and_then(|row| row.bar.as_ref()) {
                    bar.finish_and_clear();
                }
                if let Some(total) = &state.total {
                    total.inc(1);
                }
                drop(state);
                if let Some(row) = row {
                    self.line(|| {
                        format!(
                            "{mailbox}: ended, {} copied, {}",
                            plural(row.items, "message"),
                            show_bytes(row.bytes)
                        )
                    });
                }
            }
        }
    }
}

/// Counts messages that are looked at, where a person watches.
pub struct Looking(Option<ProgressBar>);

impl Looking {
    /// Begins to count.
    pub fn new(watched: bool) -> Self {
        Self(watched.then(|| {
            let bar = BARS.get_or_init(MultiProgress::new).add(ProgressBar::new_spinner());
            bar.set_style(style("{spinner} {human_pos} messages looked at, {elapsed}"));
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        }))
    }

    /// One more was looked at.
    pub fn one_more(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    /// Takes the line away.
    pub fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    // A template that does not parse is a mistake of ours that a test finds.
    ProgressStyle::with_template(template)
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("█▉▊▋▌▍▎▏ ")
}

/// At most so many characters, cut with `…`.
pub fn shorten(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_parse() {
        for template in [
            "{prefix:>24} {bar:30} {pos}/{len} mailboxes done, {elapsed}",
            "{prefix:>24} {spinner} {msg}",
            "{spinner} {human_pos} messages looked at, {elapsed}",
            "{prefix:>24} {bar:30} {human_pos}/{human_len} messages, {msg}, {eta} left",
        ] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }

    #[test]
    fn counting_goes_by_mailbox_and_survives_what_it_does_not_know() {
        let shower = Shower::new(Manner::Silent, 1);
        shower.notify(Progress::Settled {
            mailbox: "nobody",
            items: 1,
            bytes: 1,
        });
        let shower = Shower::new(Manner::Lines, 1);
        shower.notify(Progress::Settled {
            mailbox: "nobody",
            items: 1,
            bytes: 1,
        });
        shower.notify(Progress::Started { mailbox: "a" });
        shower.notify(Progress::Planned {
            mailbox: "a",
            items: 3,
            bytes: 30,
        });
        shower.notify(Progress::Settled {
            mailbox: "a",
            items: 2,
            bytes: 20,
        });
        assert_eq!(shower.lock().mailboxes["a"].items, 2);
        shower.notify(Progress::Finished { mailbox: "a" });
        assert!(shower.lock().mailboxes.is_empty());
    }

    #[test]
    fn long_names_are_cut() {
        assert_eq!(shorten("abcdef", 4), "abc…");
        assert_eq!(shorten("äöüß", 4), "äöüß");
    }
}
