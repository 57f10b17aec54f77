//! What is to be said of single mailboxes.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::parts::{CountColumns, grade, label, left_out, maybe_size, name, prose, scroll, size, state};
use crate::figures::{bytes, count, day, instant, plural};
use crate::report::{FailedItem, Mailbox, Report};
use crate::verified::Verified;

/// Mailboxes of which more is said than their row in the table.
const MOST: usize = 500;

/// For which mailboxes there are details, by their places.
pub fn chosen(report: &Report) -> Vec<usize> {
    // Where there are too many, those where something is wrong come first.
    let mut chosen: Vec<usize> = (0..report.mailboxes.len())
        .filter(|at| report.mailboxes[*at].has_details())
        .collect();
    if chosen.len() > MOST {
        chosen.sort_by_key(|at| report.mailboxes[*at].state);
        chosen.truncate(MOST);
        chosen.sort_unstable();
    }
    chosen
}

/// Their details.
pub fn details(report: &Report, chosen: &[usize]) -> Markup {
    let all = report.mailboxes.iter().filter(|mailbox| mailbox.has_details()).count();
    html! {
        @for at in chosen { (mailbox(*at, &report.mailboxes[*at])) }
        (left_out((all - chosen.len()) as u64, "mailboxes with something to say", "whimbrel report --json has them, or --only NAME for one"))
    }
}

fn mailbox(at: usize, mailbox: &Mailbox) -> Markup {
    html! {
        section.mailbox id={ "m" (at) } {
            h3 { bdi { (label(&mailbox.name)) } }
            p { (state(mailbox.state)) " · " (grade(mailbox)) " · " (plural(mailbox.counts.found, "message")) ", " (bytes(mailbox.bytes_found)) }
            @if let Some(verified) = &mailbox.verified { (verification(verified)) }
            @for problem in &mailbox.problems {
                div.problem {
                    p {
                        @if let Some(collection) = &problem.collection { b { bdi { (name(collection)) } } ": " }
                        bdi { (problem.text) }
                    }
                    p.soft { "→ " (prose(&problem.remedy)) }
                }
            }
            (folders(mailbox))
            (failed(mailbox))
            (oversize(mailbox))
            @if let Some(verified) = &mailbox.verified { (differences(verified)) }
        }
    }
}

fn verification(verified: &Verified) -> Markup {
    let depth = match verified.depth.as_str() {
        "deep" => "by every body",
        "sample" => "by a sample of bodies",
        _ => "by the listings",
    };
    html! {
        p.soft.small {
            "Verified " (depth) " on " (instant(verified.began)) ": " (plural(verified.looked.compared, "message")) " compared, "
            (count(verified.looked.equal)) " without any difference, " (plural(verified.looked.read, "body")) " read."
            @for (at, reason) in verified.reasons.iter().enumerate() {
                @if at == 0 { " Not perfect for: " } @else { ", " }
                (name(&reason.what)) " " (count(reason.count)) @if reason.serious { " (serious)" }
            }
        }
        @for line in &verified.remainder { p.small { "Unexplained: " bdi { (name(line)) } } }
    }
}

fn folders(mailbox: &Mailbox) -> Markup {
    let columns = CountColumns::of(&mailbox.counts);
    html! {
        @if !mailbox.folders.is_empty() {
            h4 { "Folders" }
            (scroll("Folders", &html! { table {
                thead { tr {
                    th scope="col" { "at the source" } th scope="col" { "at the destination" }
                    (columns.headings())
                    th.num scope="col" { "size" }
                } }
                tbody { @for folder in &mailbox.folders { tr {
                    th.name scope="row" {
                        (label(&folder.path))
                        @if let Some(capped) = &folder.capped { br; span.soft.small { "cut short: " (name(capped)) } }
                    }
                    td.name { @match &folder.target {
                        Some(target) if *target == folder.path => span.soft { "the same" },
                        Some(target) => (label(target)),
                        None => span.zero { "none" },
                    } }
                    (columns.cells(&folder.counts))
                    (size(folder.bytes_found))
                } } }
            } }))
        }
        (left_out(mailbox.folders_left_out, "folders", "whimbrel ledger export has all of them"))
    }
}

fn failed(mailbox: &Mailbox) -> Markup {
    let mut groups: BTreeMap<&str, Vec<&FailedItem>> = BTreeMap::new();
    for item in &mailbox.failed_items {
        groups.entry(item.code).or_default().push(item);
    }
    html! {
        @for (code, items) in groups {
            h4 { "Failed: " (code) }
            @if let Some(first) = items.first() { p.soft.small { "→ " (prose(first.remedy)) } }
            @let subjects = items.iter().any(|item| item.subject.is_some());
            (scroll("Failed messages", &html! { table {
                thead { tr {
                    th scope="col" { "folder" } th scope="col" { "message" }
                    @if subjects { th scope="col" { "subject" } }
                    th scope="col" { "received" } th.num scope="col" { "size" } th scope="col" { "cause" } th scope="col" { "its bytes" }
                } }
                tbody { @for item in items { tr {
                    th.name scope="row" { (label(&item.collection)) }
                    td.when { (label(&item.id)) }
                    @if subjects { td.name { @if let Some(subject) = &item.subject { (name(subject)) } } }
                    td.when { (item.received.map_or_else(|| "not known".to_owned(), day)) }
                    (maybe_size(item.size))
                    td.wide {
                        (item.cause)
                        @if let Some(diagnosis) = &item.diagnosis { br; span.soft { (diagnosis) } }
                        @if item.attempts > 1 { br; span.soft { "tried " (count(item.attempts.into())) " times" } }
                    }
                    td.name { @match &item.quarantine {
                        Some(place) => code { (label(place)) },
                        None => span.soft { "at the source only" },
                    } }
                } } }
            } }))
        }
        (left_out(mailbox.failed_left_out, "failed messages", "whimbrel ledger export has every one"))
    }
}

fn oversize(mailbox: &Mailbox) -> Markup {
    html! {
        @if !mailbox.oversize_items.is_empty() {
            h4 { "Left out for their size" }
            (scroll("Oversize messages", &html! { table {
                thead { tr {
                    th scope="col" { "folder" } th scope="col" { "message" } th scope="col" { "received" }
                    th.num scope="col" { "size" } th.num scope="col" { "limit" }
                } }
                tbody { @for item in &mailbox.oversize_items { tr {
                    th.name scope="row" { (label(&item.collection)) }
                    td.when { (label(&item.id)) }
                    td.when { (item.received.map_or_else(|| "not known".to_owned(), day)) }
                    (maybe_size(item.size))
                    (size(item.limit))
                } } }
            } }))
        }
        (left_out(mailbox.oversize_left_out, "oversize messages", "whimbrel ledger export has every one"))
    }
}

fn differences(verified: &Verified) -> Markup {
    let listed = verified.found_different.len() as u64;
    html! {
        @if listed > 0 {
            h4 { "Differences that verification found" }
            (scroll("Differences", &html! { table {
                thead { tr {
                    th scope="col" { "class" } th scope="col" { "folder" } th scope="col" { "message" }
                    th scope="col" { "expected, found" } th scope="col" { "likely cause, and what to do" }
                } }
                tbody { @for one in &verified.found_different { tr {
                    th scope="row" { (name(&one.class)) }
                    td.name { @if let Some(collection) = &one.collection { (label(collection)) } }
                    td.when { @if let Some(id) = &one.id { (label(id)) } }
                    td.name {
                        @if let Some(expected) = &one.expected { (label(expected)) }
                        @if let Some(found) = &one.found { br; (label(found)) }
                    }
                    td.wide { (name(&one.cause)) br; span.soft { "→ " (prose(&one.remedy)) } }
                } } }
            } }))
        }
        (left_out(verified.different().saturating_sub(listed), "differences", "whimbrel verify --differences DIR writes all of them"))
    }
}
