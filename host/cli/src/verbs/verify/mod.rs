//! `whimbrel verify`: both sides compared with the ledger, and graded.

mod show;
mod witness;

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use serde_json::{Value, json};
use whimbrel_engine::{CONFIDENCE, Depth, Sample, SampleSize, Stop, Verification, VerifyOptions};

use crate::args::{Global, VerifyArgs};
use crate::exit::Exit;
use crate::failures;
use crate::interrupt;
use crate::output::Output;
use crate::output::progress::{Manner, Shower};
use crate::problem::{Problem, Result};
use crate::session::{Aim, Session};
use crate::settings::units;
use crate::verified::Recorder;
use witness::{Targets, Writer};

/// Compares, tells and grades.
pub async fn run(global: &Global, args: &VerifyArgs, output: Output) -> Result<Exit> {
    let depth = depth(args)?;
    let mut session = Session::open(global, &args.only.only, Aim::Move).await?;
    let ledger = session.known_ledger()?;
    output.warnings(&session.warnings);
    let options = VerifyOptions {
        depth,
        strict: args.strict,
        grades: session.settings.grades.clone(),
    };
    let began = jiff::Timestamp::now().as_second();
    let mut records = HashMap::new();
    for mailbox in &session.mailboxes {
        let record = Recorder::begin(&session.settings.state, &mailbox.name, depth_name(depth), began);
        let record = record.map_err(|error| {
            let state = session.settings.state.display();
            Box::new(Problem::failed(format!(
                "cannot write to the state folder `{state}`: {error}"
            )))
        })?;
        records.insert(mailbox.name.clone(), record);
    }
    let stop = Stop::new();
    let targets = Targets {
        combined: args.combined.clone(),
        differences: args.differences.clone(),
    };
    let writer = Arc::new(Writer::open(&targets, records, stop.clone())?);
    let mailboxes = std::mem::take(&mut session.mailboxes);
    let manner = if output.has_terminal() {
        Manner::Bars
    } else {
        Manner::Silent
    };
    let shower = Arc::new(Shower::new(manner, mailboxes.len()));
    let _watch = interrupt::watch(stop.clone());
    let engine = session.options();
    let result = whimbrel_engine::verify(
        &ledger,
        mailboxes,
        (&engine, &options),
        shower.clone(),
        writer.clone(),
        stop,
    )
    .await;
    shower.finish();
    let verification = result.map_err(|error| Box::new(failures::engine(&error)))?;
    writer.finish(&verification)?;
    ledger.flush().map_err(|error| Box::new(failures::ledger(&error)))?;
    let exit = exit(&verification);
    output.document(document(&verification, depth), exit);
    output.say(show::report(&verification, depth));
    Ok(exit)
}

fn depth(args: &VerifyArgs) -> Result<Depth> {
    let Some(text) = &args.sample else {
        return Ok(if args.deep { Depth::Deep } else { Depth::Listing });
    };
    let size = match text.strip_suffix('%') {
        Some(_) => units::share(text)
            .ok()
            .filter(|share| *share > 0.0)
            .map(SampleSize::Share),
        None => text.parse().ok().filter(|items| *items > 0).map(SampleSize::Items),
    };
    let size = size.ok_or_else(|| {
        let problem = Problem::usage(format!(
            "`--sample {text}` is neither a number of messages nor a share of them"
        ));
        Box::new(problem.help("write e.g. --sample 500 or --sample 5%"))
    })?;
    // No secret depends on it: any number will do, and it is told.
    let seed = args.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish());
    Ok(Depth::Sample(Sample { size, seed }))
}

fn depth_name(depth: Depth) -> &'static str {
    match depth {
        Depth::Listing => "listing",
        Depth::Sample(_) => "sample",
        Depth::Deep => "deep",
    }
}

/// For programs.
fn document(verification: &Verification, depth: Depth) -> Value {
    let mut document = serde_json::to_value(verification).unwrap_or_default();
    if let Some(object) = document.as_object_mut() {
        object.insert("depth".into(), depth_name(depth).into());
        if let Depth::Sample(sample) = depth {
            let percent = CONFIDENCE * 100.0;
            object.insert(
                "sample".into(),
                json!({ "seed": sample.seed, "confidence_percent": percent }),
            );
        }
    }
    document
}

/// How the program ends: what is different weighs more than what failed or could not be looked at.
fn exit(verification: &Verification) -> Exit {
    match () {
        () if verification.interrupted => Exit::Interrupted,
        () if verification.is_different() => Exit::Different,
        () if verification.is_complete() => Exit::Ok,
        () => Exit::Partial,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use whimbrel_engine::{
        Class, Counts, Difference, Differences, Estimate, GradeRules, Looked, MailboxVerified, Since, Spot, Verdict,
        Verified,
    };

    use super::*;
    use crate::args::Only;

    pub fn sample() -> Verification {
        let counts = Counts {
            found: 1000,
            moved: 998,
            filtered: 1,
            pending: 1,
            bytes: 4096,
            seconds: 0.5,
            ..Counts::default()
        };
        let mut differences = Differences::default();
        differences.add(Class::Missing);
        let difference = Difference {
            class: Class::Missing,
            collection: Some("INBOX".into()),
            id: Some("7".into()),
            place: Some(Spot {
                mailbox: None,
                collection: "INBOX".into(),
                id: None,
            }),
            expected: Some("INBOX".into()),
            found: None,
            cause: Class::Missing.cause(),
            remedy: Class::Missing.remedy(),
        };
        let outcome = Verified {
            counts,
            looked: Looked {
                listed: 1003,
                compared: 998,
                equal: 997,
                read: 10,
                bytes: 2048,
                unreadable: 0,
                own: 5,
            },
            since: Since {
                new: 1,
                ..Since::default()
            },
            verdict: Verdict::new(&GradeRules::default(), &counts, &differences, Vec::new()),
            differences,
            estimate: Some(Estimate::new(10, 0, 998)),
        };
        Verification {
            mailboxes: vec![MailboxVerified {
                name: "alice".into(),
                outcome: outcome.clone(),
                found_different: vec![difference],
                problems: Vec::new(),
                notes: vec!["folder `Old` is not at the destination any more".into()],
            }],
            total: outcome,
            interrupted: false,
        }
    }

    fn args(sample: &str) -> VerifyArgs {
        VerifyArgs {
            only: Only { only: Vec::new() },
            sample: Some(sample.into()),
            seed: Some(7),
            deep: false,
            strict: false,
            combined: None,
            differences: None,
        }
    }

    #[test]
    fn samples_are_numbers_or_shares() {
        let of = |size| Depth::Sample(Sample { size, seed: 7 });
        assert_eq!(depth(&args("500")).unwrap(), of(SampleSize::Items(500)));
        assert_eq!(depth(&args("5%")).unwrap(), of(SampleSize::Share(0.05)));
        for wrong in ["0", "0%", "101%", "x", "-1", "5 %%"] {
            let problem = depth(&args(wrong)).unwrap_err();
            assert_eq!(problem.exit(), Exit::Usage, "{wrong}");
        }
        let unseeded = VerifyArgs {
            seed: None,
            ..args("5")
        };
        assert_ne!(depth(&unseeded).unwrap(), depth(&unseeded).unwrap(), "chance is chance");
    }

    #[test]
    fn exit_codes_follow_what_was_found() {
        let mut sample = sample();
        assert_eq!(exit(&sample), Exit::Different);
        sample.total.differences = Differences::default();
        assert_eq!(exit(&sample), Exit::Ok);
        sample.mailboxes[0].problems.push(whimbrel_engine::Problem {
            collection: None,
            code: "unavailable",
            text: "x".into(),
            remedy: "y".into(),
        });
        assert_eq!(exit(&sample), Exit::Partial);
        sample.interrupted = true;
        assert_eq!(exit(&sample), Exit::Interrupted);
    }

    #[test]
    fn the_json_is_the_documented_one() {
        let depth = Depth::Sample(Sample {
            size: SampleSize::Items(10),
            seed: 7,
        });
        let value = document(&sample(), depth);
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&value), ["mailboxes", "total", "interrupted", "depth", "sample"]);
        let outcome = [
            "found",
            "moved",
            "merged",
            "filtered",
            "oversize",
            "failed",
            "pending",
            "unexplained",
            "bytes",
            "seconds",
            "looked",
            "since",
            "differences",
            "estimate",
            "verdict",
        ];
        assert_eq!(keys(&value["total"]), outcome);
        let mailbox = &value["mailboxes"][0];
        assert_eq!(
            keys(mailbox),
            [&["name"], &outcome[..], &["found_different", "problems", "notes"]].concat()
        );
        assert_eq!(
            mailbox["looked"],
            json!({ "listed": 1003, "compared": 998, "equal": 997, "read": 10, "bytes": 2048, "unreadable": 0, "own": 5 })
        );
        assert_eq!(
            mailbox["since"],
            json!({ "new": 1, "marked": 0, "gone": 0, "altered": 0 })
        );
        assert_eq!(
            keys(&mailbox["estimate"]),
            ["read", "different", "of", "at_most_percent"]
        );
        assert_eq!(
            mailbox["verdict"],
            json!({
                "grade": "investigate",
                "reasons": [
                    { "what": "missing", "count": 1, "serious": true },
                    { "what": "pending", "count": 1, "serious": false },
                ],
                "serious_percent": 0.1, "slight_percent": 0.1, "balanced": true, "remainder": [],
            })
        );
        assert_eq!(
            mailbox["found_different"][0],
            json!({
                "class": "missing", "collection": "INBOX", "id": "7",
                "place": { "mailbox": null, "collection": "INBOX", "id": null },
                "expected": "INBOX", "found": null, "cause": Class::Missing.cause(), "remedy": Class::Missing.remedy(),
            })
        );
        assert_eq!(value["sample"], json!({ "seed": 7, "confidence_percent": 95.0 }));
    }
}
