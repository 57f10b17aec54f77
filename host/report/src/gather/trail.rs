//! What the audit trail tells of runs.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;
use whimbrel_ledger::Event;

use super::items::cut;
use crate::report::{Connector, EndedCalls, Problem, RatePoint, Refused, Run, RunEnd, Runs, Server, Side};

/// Runs that are listed.
const MOST_RUNS: usize = 50;
/// Problems that are kept of a mailbox.
const MOST_PROBLEMS: usize = 20;
/// Connectors, servers and refused attempts of a side.
const MOST_SIDE: usize = 100;
/// Points of the rate.
const POINTS: usize = 60;

/// What was read so far.
#[derive(Debug, Default)]
pub struct Trail {
    runs: Vec<Kept>,
    count: u64,
    seconds: f64,
    problems: HashMap<String, Vec<Problem>>,
    /// When a run last did something for a mailbox, in milliseconds since 1970.
    changed: HashMap<String, i64>,
    sides: [SideTrail; 2],
}

#[derive(Debug, Default)]
struct SideTrail {
    /// The last one first.
    used: Vec<Connector>,
    servers: BTreeMap<ServerKey, u64>,
    refused: Vec<Refused>,
    refused_left_out: u64,
    ended: EndedCalls,
}

type ServerKey = (String, u16, Option<String>, Option<String>, Option<String>);

/// A run, and when it copied for which time.
#[derive(Debug)]
struct Kept {
    run: Run,
    began_ms: i64,
    open: bool,
    spans: Vec<Span>,
}

/// A mailbox's part of a run.
#[derive(Debug, Clone, Copy)]
struct Span {
    from_ms: i64,
    to_ms: i64,
    messages: u64,
    bytes: u64,
}

impl Trail {
    /// The next event.
    pub fn add(&mut self, event: &Event) {
        let fields = &event.fields;
        match (event.kind.as_str(), &event.mailbox) {
            ("run-began", _) => self.began(event),
            ("run-ended", _) => {
                if let Some(kept) = self.runs.last_mut().filter(|kept| kept.open) {
                    let interrupted = fields["interrupted"].as_bool().unwrap_or_default();
                    let seconds = fields["seconds"].as_f64().unwrap_or_default().max(0.0);
                    kept.open = false;
                    kept.run.end = if interrupted {
                        RunEnd::Interrupted
                    } else {
                        RunEnd::Finished
                    };
                    kept.run.seconds = Some(seconds);
                    self.seconds += seconds;
                }
            }
            ("run", Some(mailbox)) => {
                self.changed.insert(mailbox.clone(), event.unix_ms);
                self.worked(event);
            }
            ("problem", Some(mailbox)) => {
                let problems = self.problems.entry(mailbox.clone()).or_default();
                if problems.len() < MOST_PROBLEMS {
                    problems.push(Problem {
                        collection: fields["collection"].as_str().map(cut),
                        code: text(&fields["code"]),
                        text: text(&fields["text"]),
                        remedy: text(&fields["remedy"]),
                    });
                }
            }
            ("connected", Some(_)) => {
                for (side, name) in self.sides.iter_mut().zip(["source", "destination"]) {
                    for connection in fields[name].as_array().into_iter().flatten() {
                        side.connected(connection);
                    }
                }
            }
            ("refused" | "faults", Some(_)) => {
                let sides = self.sides.iter_mut().zip(["source", "destination"]);
                for (side, _) in sides.filter(|(_, name)| fields["side"] == *name) {
                    side.tried(&event.kind, fields);
                }
            }
            _ => {}
        }
    }

    fn began(&mut self, event: &Event) {
        let fields = &event.fields;
        // What the run looks at again is no problem until it says so again.
        match fields["only"].as_array() {
            None => self.problems.clear(),
            Some(only) => only.iter().filter_map(Value::as_str).for_each(|name| {
                self.problems.remove(name);
            }),
        }
        for (side, name) in self.sides.iter_mut().zip(["source", "destination"]) {
            // The first one is to come out first.
            match fields[name].as_array() {
                Some(used) => used.iter().rev().for_each(|one| side.used(one)),
                None => side.used(&fields[name]),
            }
        }
        self.count += 1;
        let run = Run {
            began: event.unix_ms.div_euclid(1000),
            verb: text(&fields["verb"]),
            version: text(&fields["version"]),
            end: RunEnd::BrokenOff,
            seconds: None,
            mailboxes: fields["mailboxes"].as_u64().unwrap_or_default(),
            found: 0,
            copied: 0,
            bytes: 0,
            merged: 0,
            marked: 0,
        };
        if self.runs.len() >= MOST_RUNS {
            // The ones that did most tell most.
            let least = self.runs.iter().enumerate().min_by_key(|(_, kept)| kept.run.copied);
            if let Some((at, _)) = least {
                self.runs.remove(at);
            }
        }
        self.runs.push(Kept {
            run,
            began_ms: event.unix_ms,
            open: true,
            spans: Vec::new(),
        });
    }

    fn worked(&mut self, event: &Event) {
        let Some(kept) = self.runs.last_mut().filter(|kept| kept.open) else {
            return;
        };
        let count = |name: &str| event.fields[name].as_u64().unwrap_or_default();
        let run = &mut kept.run;
        for (sum, name) in [
            (&mut run.found, "found"),
            (&mut run.copied, "copied"),
            (&mut run.bytes, "bytes"),
            (&mut run.merged, "merged"),
            (&mut run.marked, "marked"),
        ] {
            *sum = sum.saturating_add(count(name));
        }
        if count("copied") > 0 {
            let seconds = event.fields["seconds"].as_f64().unwrap_or_default();
            kept.spans.push(Span {
                from_ms: event.unix_ms.saturating_sub(milliseconds(seconds)).max(kept.began_ms),
                to_ms: event.unix_ms,
                messages: count("copied"),
                bytes: count("bytes"),
            });
        }
    }

    /// The runs, how fast they were, and both sides with the connectors that the settings name.
    pub fn finish(self, connectors: [&[&str]; 2]) -> Told {
        let rate = rate(&self.runs);
        let runs = Runs {
            count: self.count,
            seconds: self.seconds,
            last: self.runs.last().map(|kept| kept.run.began),
            list: self.runs.into_iter().map(|kept| kept.run).collect(),
        };
        let [source, destination] = self.sides;
        Told {
            runs,
            rate,
            source: source.finish(connectors[0]),
            destination: destination.finish(connectors[1]),
            problems: self.problems,
            changed: self.changed,
        }
    }
}

/// What the audit trail tells.
pub struct Told {
    pub runs: Runs,
    pub rate: Vec<RatePoint>,
    pub source: Side,
    pub destination: Side,
    pub problems: HashMap<String, Vec<Problem>>,
    pub changed: HashMap<String, i64>,
}

impl SideTrail {
    fn used(&mut self, fields: &Value) {
        let connector = Connector {
            name: text(&fields["connector"]),
            version: text(&fields["version"]),
            blake3: text(&fields["blake3"]),
            runs: 1,
        };
        if connector.name.is_empty() {
            return;
        }
        let known = self
            .used
            .iter()
            .position(|used| used.blake3 == connector.blake3 && used.name == connector.name);
        let before = known.map_or(0, |at| self.used.remove(at).runs);
        self.used.truncate(MOST_SIDE - 1);
        self.used.insert(
            0,
            Connector {
                runs: before + 1,
                ..connector
            },
        );
    }

    fn connected(&mut self, fields: &Value) {
        let own = |name: &str| fields[name].as_str().map(cut);
        let port = fields["port"].as_u64().and_then(|port| u16::try_from(port).ok());
        let (Some(host), Some(port)) = (own("host"), port) else {
            return;
        };
        let key = (host, port, own("tls"), own("cipher"), own("fingerprint"));
        if self.servers.len() < MOST_SIDE || self.servers.contains_key(&key) {
            *self.servers.entry(key).or_default() += 1;
        }
    }

    /// What a connector tried, or failed at.
    fn tried(&mut self, kind: &str, fields: &Value) {
        let number = |name: &str| fields[name].as_u64().unwrap_or_default();
        if kind == "faults" {
            for (sum, name) in [
                (&mut self.ended.traps, "traps"),
                (&mut self.ended.timeouts, "timeouts"),
                (&mut self.ended.memory_refusals, "memory_refusals"),
                (&mut self.refused_left_out, "refused_more"),
            ] {
                *sum = sum.saturating_add(number(name));
            }
            return;
        }
        let new = Refused {
            connector: text(&fields["connector"]),
            version: text(&fields["version"]),
            attempt: text(&fields["attempt"]),
            what: text(&fields["what"]),
            count: 0,
        };
        let known = self.refused.iter().position(|old| {
            Refused {
                count: 0,
                ..old.clone()
            } == new
        });
        let at = known.unwrap_or(self.refused.len());
        if known.is_none() && at < MOST_SIDE {
            self.refused.push(new);
        }
        let sum = match self.refused.get_mut(at) {
            Some(refused) => &mut refused.count,
            None => &mut self.refused_left_out,
        };
        *sum = sum.saturating_add(number("count"));
    }

    fn finish(self, connectors: &[&str]) -> Side {
        let servers = self
            .servers
            .into_iter()
            .map(|((host, port, tls, cipher, fingerprint), turns)| Server {
                host,
                port,
                tls,
                cipher,
                fingerprint,
                turns,
            });
        Side {
            connectors: connectors.iter().map(|name| (*name).to_owned()).collect(),
            used: self.used,
            servers: servers.collect(),
            refused: self.refused,
            refused_left_out: self.refused_left_out,
            ended: self.ended,
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().map(cut).unwrap_or_default()
}

#[allow(clippy::cast_possible_truncation)] // Saturates, and that is meant.
fn milliseconds(seconds: f64) -> i64 {
    (seconds.max(0.0) * 1000.0) as i64
}

/// How fast the runs that copied something were, with the time between them left out. The messages of a mailbox count as
/// spread evenly over its part of a run.
#[allow(clippy::cast_possible_truncation)] // Small numbers, and instants.
fn rate(runs: &[Kept]) -> Vec<RatePoint> {
    let lengths: Vec<(usize, &Kept, f64)> = runs
        .iter()
        .enumerate()
        .filter(|(_, kept)| !kept.spans.is_empty())
        .map(|(at, kept)| {
            let last = kept.spans.iter().map(|span| span.to_ms).max().unwrap_or(kept.began_ms);
            let length = (last.saturating_sub(kept.began_ms)).max(1) as f64;
            (at, kept, length.max(kept.run.seconds.unwrap_or_default() * 1000.0))
        })
        .collect();
    let all: f64 = lengths.iter().map(|(_, _, length)| length).sum();
    let mut points = Vec::new();
    for (run, kept, length) in lengths {
        let share = (length / all * POINTS as f64).round();
        let bins = (share as u32).clamp(1, POINTS as u32);
        let width = length / f64::from(bins);
        for bin in 0..bins {
            let from = kept.began_ms as f64 + width * f64::from(bin);
            let (mut messages, mut bytes) = (0.0, 0.0);
            for span in &kept.spans {
                let (start, end) = (span.from_ms as f64, (span.to_ms.max(span.from_ms + 1)) as f64);
                let overlap = (end.min(from + width) - start.max(from)).max(0.0) / (end - start);
                messages += span.messages as f64 * overlap;
                bytes += span.bytes as f64 * overlap;
            }
            let per_minute = 60_000.0 / width;
            points.push(RatePoint {
                run,
                began_ms: from as i64,
                seconds: width / 1000.0,
                messages: messages * per_minute,
                bytes: bytes * per_minute,
            });
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(unix_ms: i64, mailbox: Option<&str>, kind: &str, fields: Value) -> Event {
        Event {
            sequence: 1,
            unix_ms,
            mailbox: mailbox.map(str::to_owned),
            kind: kind.to_owned(),
            fields,
        }
    }

    fn began(at: i64, only: &Value) -> Event {
        let side = json!({ "connector": "imap", "version": "0.1.0", "blake3": "ab" });
        let fields = json!({ "verb": "migrate", "version": "0.1.0", "mailboxes": 2, "only": only, "source": side, "destination": side });
        event(at, None, "run-began", fields)
    }

    fn told(events: &[Event]) -> Told {
        let mut trail = Trail::default();
        events.iter().for_each(|event| trail.add(event));
        trail.finish([&["imap"], &["imap"]])
    }

    #[test]
    fn runs_are_told_with_what_they_did_and_how_they_ended() {
        let work = json!({ "found": 4, "copied": 3, "bytes": 300, "merged": 1, "marked": 0, "seconds": 2.0 });
        let told = told(&[
            began(1_000_000, &Value::Null),
            event(1_004_000, Some("a"), "run", work.clone()),
            began(2_000_000, &Value::Null),
            event(2_003_000, Some("a"), "run", work.clone()),
            event(2_004_000, Some("b"), "run", work),
            event(
                2_004_000,
                None,
                "run-ended",
                json!({ "seconds": 4.0, "interrupted": false }),
            ),
            began(3_000_000, &Value::Null),
            event(
                3_001_000,
                None,
                "run-ended",
                json!({ "seconds": 1.0, "interrupted": true }),
            ),
        ]);
        assert_eq!(
            (told.runs.count, told.runs.seconds, told.runs.last),
            (3, 5.0, Some(3000))
        );
        let ends: Vec<(RunEnd, u64, Option<f64>)> = told
            .runs
            .list
            .iter()
            .map(|run| (run.end, run.copied, run.seconds))
            .collect();
        assert_eq!(
            ends,
            [
                (RunEnd::BrokenOff, 3, None),
                (RunEnd::Finished, 6, Some(4.0)),
                (RunEnd::Interrupted, 0, Some(1.0)),
            ]
        );
        assert_eq!(
            told.changed,
            [("a".to_owned(), 2_003_000), ("b".to_owned(), 2_004_000)].into()
        );
        assert_eq!(told.source.used[0].runs, 3);
        // What was copied is all there, in the runs that copied something.
        let copied: f64 = told
            .rate
            .iter()
            .map(|point| point.messages * point.seconds / 60.0)
            .sum();
        assert!((copied - 9.0).abs() < 1e-6, "{copied}");
        let runs: std::collections::BTreeSet<usize> = told.rate.iter().map(|point| point.run).collect();
        assert_eq!(runs, [0, 1].into());
        let first = told.rate[0];
        assert_eq!(
            (first.began_ms, first.messages),
            (1_000_000, 0.0),
            "two seconds went by before it began to count"
        );
    }

    #[test]
    fn problems_are_those_of_the_last_run_of_a_mailbox() {
        let problem = json!({ "collection": null, "code": "unavailable", "text": "t", "remedy": "r" });
        let events = [
            began(1, &Value::Null),
            event(2, Some("a"), "problem", problem.clone()),
            event(3, Some("b"), "problem", problem),
            began(4, &json!(["b"])),
        ];
        let told = told(&events);
        assert_eq!(told.problems.keys().collect::<Vec<_>>(), ["a"]);
        assert_eq!(told.problems["a"][0].code, "unavailable");
        let mut trail = Trail::default();
        events
            .iter()
            .chain(&[began(5, &Value::Null)])
            .for_each(|event| trail.add(event));
        assert!(trail.finish([&[""], &[""]]).problems.is_empty());
    }

    #[test]
    fn the_runs_that_copied_most_are_kept() {
        let mut trail = Trail::default();
        for at in 0..80 {
            trail.add(&began(at * 10_000, &Value::Null));
            if at == 3 {
                trail.add(&event(
                    at * 10_000 + 5,
                    Some("a"),
                    "run",
                    json!({ "copied": 7, "seconds": 1.0 }),
                ));
            }
            trail.add(&event(at * 10_000 + 9, None, "run-ended", json!({ "seconds": 0.5 })));
        }
        let told = trail.finish([&[""], &[""]]);
        assert_eq!((told.runs.count, told.runs.list.len()), (80, MOST_RUNS));
        assert_eq!(told.runs.list[0].copied, 7);
        assert_eq!(told.runs.last, Some(790));
    }

    #[test]
    fn servers_are_listed_once_with_their_protection() {
        let connection =
            json!({ "host": "h", "port": 993, "tls": "TLS 1.3", "cipher": "c", "fingerprint": "sha256:00" });
        let fields = json!({ "source": [connection, { "host": "h", "port": 70_000 }], "destination": [] });
        let told = told(&[
            event(1, Some("a"), "connected", fields.clone()),
            event(2, Some("b"), "connected", fields),
        ]);
        assert_eq!(told.source.servers.len(), 1);
        assert_eq!(
            (told.source.servers[0].turns, told.source.servers[0].tls.as_deref()),
            (2, Some("TLS 1.3"))
        );
        assert!(told.destination.servers.is_empty());
    }
}
