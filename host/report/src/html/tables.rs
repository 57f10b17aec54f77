//! Tables that concern all mailboxes.

use maud::{Markup, html};

use super::parts::{CountColumns, class, grade, label, left_out, name, number, scroll, size, state};
use crate::figures::{bytes, count, instant, plural, seconds};
use crate::report::{Level, Report, RunEnd, Side, Tallied};

/// Mailboxes in the table.
const MOST_ROWS: usize = 10_000;
/// Rows of what was done.
const MOST_DONE: usize = 100;

/// Every mailbox; `details` says for which there is more below.
pub fn mailboxes(report: &Report, details: impl Fn(usize) -> bool) -> Markup {
    let total = &report.total;
    let columns = CountColumns::of(total);
    let table = html! {
        table {
            thead { tr {
                th scope="col" { "mailbox" }
                (columns.headings())
                th.num scope="col" { "size" }
                th scope="col" { "state" }
                th scope="col" { "verified" }
            } }
            tbody { @for (at, mailbox) in report.mailboxes.iter().enumerate().take(MOST_ROWS) { tr {
                th.name.who scope="row" {
                    @if details(at) { a href={ "#m" (at) } { (label(&mailbox.name)) } } @else { (label(&mailbox.name)) }
                }
                (columns.cells(&mailbox.counts))
                (size(mailbox.bytes_found))
                td { (state(mailbox.state)) }
                td { (grade(mailbox)) }
            } } }
            @if report.mailboxes.len() > 1 {
                tfoot { tr {
                    th scope="row" { "all " (count(report.mailboxes.len() as u64)) }
                    (columns.cells(total))
                    (size(report.bytes_found))
                    td { (count(report.verdict.complete)) " complete" }
                    td { (count(report.verdict.verified)) " verified" }
                } }
            }
        }
    };
    let more = report.mailboxes.len().saturating_sub(MOST_ROWS) as u64;
    html! {
        (scroll("Mailboxes", &table))
        (columns.note())
        (left_out(more, "mailboxes", "whimbrel status --json has all of them"))
    }
}

/// What rules, repairs and formats did to messages.
pub fn done(report: &Report) -> Markup {
    let done = &report.done;
    html! {
        @if !done.rules.is_empty() {
            h3 { "By the rules" }
            (scroll("What the rules did", &html! { table {
                thead { tr {
                    th scope="col" { "rule" } th scope="col" { "line" } th scope="col" { "what it did" } th.num scope="col" { "messages" }
                } }
                tbody { @for rule in done.rules.iter().take(MOST_DONE) { tr {
                    th.name scope="row" { (name(&rule.rule)) }
                    td.when { code { (name(&rule.file)) ":" (rule.line) } }
                    td.wide { (label(&rule.did)) }
                    (number(rule.count))
                } } }
            } }))
            @let more = done.rules.len().saturating_sub(MOST_DONE) as u64 + report.left_out.rules;
            (left_out(more, "decisions", "whimbrel ledger export has every one"))
        }
        (tallied("Left out by a rule", "reason", &done.filtered, report.left_out.filtered))
        (tallied("Repairs, and what formats forced on content", "name", &done.repairs, report.left_out.repairs))
        @if done.rules.is_empty() && done.filtered.is_empty() && done.repairs.is_empty() {
            p { "Nothing: every message lies at the destination byte for byte as it was read." }
        }
    }
}

fn tallied(title: &str, what: &str, rows: &[Tallied], others: u64) -> Markup {
    html! {
        @if !rows.is_empty() {
            h3 { (title) }
            (scroll(title, &html! { table {
                thead { tr { th scope="col" { (what) } th.num scope="col" { "messages" } } }
                tbody { @for row in rows.iter().take(MOST_DONE) { tr {
                    th.wide scope="row" { (label(&row.what)) }
                    (number(row.count))
                } } }
            } }))
            @let more = rows.iter().skip(MOST_DONE).map(|row| row.count).sum::<u64>() + others;
            (left_out(more, "messages", "whimbrel ledger export has every one"))
        }
    }
}

/// The runs.
pub fn runs(report: &Report) -> Markup {
    let runs = &report.runs;
    html! {
        @if runs.list.is_empty() {
            p { "No run was recorded." }
        } @else {
            (scroll("Runs", &html! { table {
                thead { tr {
                    th scope="col" { "began" } th scope="col" { "verb" } th scope="col" { "ended" }
                    @for heading in ["time", "mailboxes", "found", "copied", "size", "merged", "marked"] { th.num scope="col" { (heading) } }
                } }
                tbody { @for run in &runs.list { tr {
                    th.when scope="row" { (instant(run.began)) }
                    td { (name(&run.verb)) }
                    td { @match run.end {
                        RunEnd::Finished => span.tag { "by itself" },
                        RunEnd::Interrupted => span.tag.(class(Some(Level::Open))) { (super::parts::sign(Some(Level::Open))) "interrupted" },
                        RunEnd::BrokenOff => span.tag.(class(Some(Level::Open))) { (super::parts::sign(Some(Level::Open))) "broken off" },
                    } }
                    td.num { (run.seconds.map_or_else(|| "not known".to_owned(), seconds)) }
                    (number(run.mailboxes)) (number(run.found)) (number(run.copied))
                    td.num.zero[run.bytes == 0] { (bytes(run.bytes)) }
                    (number(run.merged)) (number(run.marked))
                } } }
            } }))
            (left_out(report.left_out.runs, "runs, which copied less", "whimbrel events has all of them"))
        }
    }
}

/// Connectors and connections of both sides.
pub fn sides(report: &Report) -> Markup {
    html! { div.facts {
        (side("Source", &report.source))
        (side("Destination", &report.destination))
    } }
}

fn side(title: &str, side: &Side) -> Markup {
    html! { div {
        h3 { (title) }
        @for connector in &side.used {
            p {
                "Connector " b { (name(&connector.name)) } " " (name(&connector.version)) ", in " (plural(connector.runs, "run")) br;
                span.soft.small { "BLAKE3 of the component: " code { (name(&connector.blake3)) } }
            }
        }
        @if side.used.is_empty() { p { "Connector " b { (name(&side.connectors.join(", "))) } ", not used yet." } }
        @if side.servers.is_empty() {
            p.soft { "No connection over a network was recorded." }
        }
        @for server in &side.servers {
            p {
                b { (name(&server.host)) ":" (server.port) } ", "
                @match &server.tls {
                    Some(tls) => { (name(tls)) @if let Some(cipher) = &server.cipher { " (" (name(cipher)) ")" } }
                    None => { span.tag.bad { (super::parts::sign(Some(Level::Bad))) "no encryption" } }
                }
                @if let Some(fingerprint) = &server.fingerprint {
                    br; span.soft.small { "Certificate: " code { (name(fingerprint)) } }
                }
            }
        }
        (tried(side))
    } }
}

/// What the connectors of a side tried and may not, and which of their calls were ended.
fn tried(side: &Side) -> Markup {
    let ended = [
        ("by a trap", side.ended.traps),
        ("for the time that they took", side.ended.timeouts),
        ("for the memory that they wanted", side.ended.memory_refusals),
    ];
    html! {
        @if !side.refused.is_empty() {
            p { span.tag.bad { (super::parts::sign(Some(Level::Bad))) "refused" } " What it tried and may not:" }
            ul { @for refused in &side.refused { li {
                (name(&refused.connector)) " " (name(&refused.version)) ", "
                b { (name(&refused.attempt)) } ": " code { (name(&refused.what)) } ", "
                (plural(refused.count, "time"))
            } } }
        }
        (left_out(side.refused_left_out, "attempts", "whimbrel events has what is known of them"))
        @for (why, count) in ended.into_iter().filter(|(_, count)| *count > 0) {
            p { (plural(count, "call")) " ended " (why) "." }
        }
    }
}
