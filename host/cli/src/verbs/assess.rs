//! `whimbrel assess`: what is there.

use std::time::Duration;

use serde_json::{Value, json};
use whimbrel_engine::Assessment;

use super::check::boxes;
use crate::args::Global;
use crate::exit::Exit;
use crate::failures;
use crate::output::table::{Rows, count, plural};
use crate::output::{Output, safe};
use crate::problem::Result;
use crate::session::{self, Aim, Session};
use crate::settings::units::{show_bytes, show_time};

/// Looks at every mailbox; changes nothing.
pub async fn run(global: &Global, only: &[String], output: Output) -> Result<Exit> {
    let mut session = Session::open(global, only, Aim::Look).await?;
    output.warnings(&session.warnings);
    let options = session.options();
    let mailboxes = std::mem::take(&mut session.mailboxes);
    let results: Vec<Result<Assessment>> = super::each(mailboxes, options.mailboxes, |mailbox| {
        let options = options.clone();
        async move {
            let assessed = whimbrel_engine::assess(&mailbox, &options).await;
            assessed.map_err(|failure| Box::new(failures::side(&mailbox.name, "source", &failure)))
        }
    })
    .await;
    let exit = session::outcome(results.iter().all(Result::is_ok));
    output.document(document(&results), exit);
    if !output.is_json() {
        for result in &results {
            match result {
                Ok(assessment) => output.say(show(assessment)),
                Err(problem) => output.warn(problem),
            }
        }
        output.say(total(&results));
    }
    Ok(exit)
}

/// `mailboxes`, `problems`, `total`.
fn document(results: &[Result<Assessment>]) -> Value {
    let good: Vec<&Assessment> = results.iter().filter_map(|result| result.as_ref().ok()).collect();
    let problems: Vec<Value> = results
        .iter()
        .filter_map(|result| result.as_ref().err())
        .map(|problem| problem.json())
        .collect();
    let sum = |of: fn(&Assessment) -> u64| good.iter().map(|one| of(one)).sum::<u64>();
    let total = json!({
        "items": sum(|one| one.items),
        "bytes": sum(|one| one.bytes),
        "oversize": sum(|one| one.oversize),
        "unexplained": sum(|one| one.unexplained),
        "estimated_seconds": sum(|one| one.estimated_seconds),
    });
    json!({ "mailboxes": good, "problems": problems, "total": total })
}

fn show(assessment: &Assessment) -> String {
    let mut rows = Rows::new(&[
        "folder",
        ">messages",
        ">size",
        ">largest",
        ">oversize",
        ">unexplained",
        "",
    ]);
    for folder in &assessment.collections {
        let remark = match (&folder.capped, folder.excluded) {
            (_, false) if !folder.held => format!("{}s: the destination holds none", folder.kind),
            (_, true) => "left out by the settings".to_owned(),
            (Some(reason), _) => format!("listing cut short: {reason}"),
            _ => String::new(),
        };
        rows.add([
            folder.path.as_str(),
            &count(folder.items),
            &show_bytes(folder.bytes),
            &show_bytes(folder.largest),
            &count(folder.oversize),
            &count(folder.unexplained),
            &remark,
        ]);
    }
    let time = show_time(Duration::from_secs(assessment.estimated_seconds));
    let days = match assessment.days {
        Some(days) if days > 1 => format!(", and {days} days with what may be moved in one (`daily`)"),
        _ => String::new(),
    };
    let mut out = format!(
        "{}: {}, {}, {}; a first run takes roughly {time}{days}\n{}\n",
        safe(&assessment.mailbox),
        plural(assessment.collections.len() as u64, "folder"),
        plural(assessment.items, "message"),
        show_bytes(assessment.bytes),
        rows.render(),
    );
    for warning in &assessment.warnings {
        out += &format!("! {}\n", safe(warning));
    }
    out
}

fn total(results: &[Result<Assessment>]) -> String {
    let good = results.iter().filter_map(|result| result.as_ref().ok());
    let (items, bytes) = good.fold((0, 0), |(items, bytes), one| (items + one.items, bytes + one.bytes));
    format!(
        "{}: {}, {}",
        boxes(results.len()),
        plural(items, "message"),
        show_bytes(bytes)
    )
}

#[cfg(test)]
mod tests {
    use whimbrel_engine::CollectionAssessment;

    use super::*;
    use crate::problem::Problem;

    fn sample() -> Assessment {
        let folder = CollectionAssessment {
            path: "INBOX".into(),
            items: 3,
            bytes: 3000,
            unexplained: 1,
            capped: Some("the server lists 3 at most".into()),
            oversize: 0,
            largest: 2000,
            excluded: false,
            kind: whimbrel_model::Kind::Message,
            held: true,
        };
        Assessment {
            mailbox: "alice".into(),
            collections: vec![folder],
            items: 3,
            bytes: 3000,
            oversize: 0,
            unexplained: 1,
            keywords: [("Work".to_owned(), 2)].into(),
            room: None,
            estimated_seconds: 61,
            days: Some(3),
            warnings: vec!["look".into()],
        }
    }

    #[test]
    fn people_see_folders_and_warnings() {
        let text = show(&sample());
        for part in [
            "alice: 1 folder, 3 messages, 2.9 KiB",
            "1 min 1 s, and 3 days with what may be moved in one",
            "INBOX",
            "listing cut short: the server",
            "! look",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }

    #[test]
    fn the_json_is_the_documented_one() {
        let value = document(&[Ok(sample()), Err(Box::new(Problem::failed("x")))]);
        assert_eq!(
            value,
            json!({
                "mailboxes": [{
                    "mailbox": "alice",
                    "collections": [{
                        "path": "INBOX", "items": 3, "bytes": 3000, "unexplained": 1, "capped": "the server lists 3 at most",
                        "oversize": 0, "largest": 2000, "excluded": false, "kind": "message", "held": true,
                    }],
                    "items": 3, "bytes": 3000, "oversize": 0, "unexplained": 1, "keywords": { "Work": 2 }, "room": null,
                    "estimated_seconds": 61, "days": 3, "warnings": ["look"],
                }],
                "problems": [{ "code": "failed", "message": "x" }],
                "total": { "items": 3, "bytes": 3000, "oversize": 0, "unexplained": 1, "estimated_seconds": 61 },
            })
        );
    }
}
