//! A report as one HTML file that needs nothing else.

mod charts;
mod details;
mod harmless;
mod parts;
mod tables;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::figures::{count, day, instant, plural, seconds};
use crate::report::{Report, Side};
use parts::name;

/// What every page begins with: by this, an earlier report is known again.
pub const MARK: &str = "<!DOCTYPE html><html lang=\"en\" data-whimbrel-report=\"1\">";

const STYLE: &str = include_str!("style.css");

/// The page. Whatever comes from a mailbox or a server is escaped, and cannot drive the browser in any other way either.
pub fn page(report: &Report) -> String {
    let hash = STANDARD.encode(ring::digest::digest(&ring::digest::SHA256, STYLE.as_bytes()));
    let policy =
        format!("default-src 'none'; style-src 'sha256-{hash}'; img-src data:; base-uri 'none'; form-action 'none'");
    let markup = html! {
        (DOCTYPE)
        html lang="en" data-whimbrel-report="1" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy);
                meta name="referrer" content="no-referrer";
                meta name="robots" content="noindex";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "Migration report: " (name(&report.migration.name)) }
                // An icon of their own keeps browsers from asking a server for one.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body { (body(report)) }
        }
    };
    harmless::harmless(markup.into_string())
}

fn body(report: &Report) -> Markup {
    let chosen = details::chosen(report);
    let verdict = &report.verdict;
    html! {
        (heading(report, !chosen.is_empty()))
        main {
            section.verdict.(parts::class(Some(verdict.level))) {
                (parts::sign(Some(verdict.level)))
                div {
                    h2 { (verdict.headline) }
                    ul { @for sentence in &verdict.sentences { li { (sentence) } } }
                }
            }
            (balance(report))
            @if !report.next.is_empty() {
                section id="next" {
                    h2 { "What to do next" }
                    ol.next { @for advice in &report.next { li {
                        (parts::prose(&advice.text)) "."
                        @if let Some(command) = &advice.command { br; code { (command) } }
                    } } }
                }
            }
            section id="mailboxes" {
                h2 { "Mailboxes" }
                (tables::mailboxes(report, |at| chosen.binary_search(&at).is_ok()))
            }
            @if report.total.found > 0 {
                section id="charts" {
                    h2 { "In pictures" }
                    (charts::charts(report))
                }
            }
            section id="done" {
                h2 { "What was done to messages" }
                (tables::done(report))
            }
            @if !chosen.is_empty() {
                section id="details" {
                    h2 { "Mailbox by mailbox" }
                    (details::details(report, &chosen))
                }
            }
            section id="runs" {
                h2 { "Runs" }
                (tables::runs(report))
            }
            section id="sides" {
                h2 { "Connectors and connections" }
                (tables::sides(report))
            }
        }
        (footing(report))
    }
}

fn heading(report: &Report, details: bool) -> Markup {
    let migration = &report.migration;
    let began = migration.began;
    html! {
        header {
            p.eyebrow { "Migration report" }
            h1 { (name(&migration.name)) }
            p.route { "From " (whereabouts(&report.source)) " to " (whereabouts(&report.destination)) "." }
            p.soft {
                (plural(report.mailboxes.len() as u64, "mailbox")) ", " (plural(report.runs.count, "run"))
                @if report.runs.seconds > 0.0 { " of " (seconds(report.runs.seconds)) " together" }
                @if let Some(began) = began {
                    ", "
                    @match report.runs.last.map(day) {
                        Some(last) if last != day(began) => { (day(began)) " to " (last) }
                        _ => { "on " (day(began)) }
                    }
                }
                ". This report is of " (instant(migration.reported)) "."
            }
            nav aria-label="Parts of this report" {
                a href="#mailboxes" { "Mailboxes" }
                @if report.total.found > 0 { a href="#charts" { "In pictures" } }
                a href="#done" { "What was done" }
                @if details { a href="#details" { "Mailbox by mailbox" } }
                a href="#runs" { "Runs" }
                a href="#sides" { "Connections" }
            }
        }
    }
}

/// A connector, and the server where there is one.
fn whereabouts(side: &Side) -> Markup {
    let connector = &side.connectors.join(", ");
    let mut hosts: Vec<&str> = side.servers.iter().map(|server| server.host.as_str()).collect();
    hosts.dedup();
    html! {
        @match hosts.as_slice() {
            [] => { b { (name(connector)) } }
            [host] => { b { (name(host)) } " (" (name(connector)) ")" }
            [first, rest @ ..] => { b { (name(first)) } " and " (count(rest.len() as u64)) " more (" (name(connector)) ")" }
        }
    }
}

/// The equation, and its parts as a bar.
fn balance(report: &Report) -> Markup {
    let total = &report.total;
    let parts = [
        ("moved", total.moved),
        ("merged", total.merged),
        ("filtered", total.filtered),
        ("oversize", total.oversize),
        ("failed", total.failed),
        ("pending", total.pending),
    ];
    let said: Vec<String> = parts
        .iter()
        .map(|(what, number)| format!("{} {what}", count(*number)))
        .collect();
    let gaps = parts.iter().filter(|(_, number)| *number > 0).count();
    // Whatever is there can be seen; the rest is shared out by size.
    let room = 1000.0 - 6.0 * gaps as f64;
    let mut at = 0.0;
    let mut rects = Vec::new();
    for (what, number) in parts.iter().filter(|(_, number)| *number > 0) {
        let width = 4.0 + room * charts::share(*number, total.found);
        rects.push((*what, at, width));
        at += width + 2.0;
    }
    html! {
        section.balance aria-label="The balance" {
            dl.sum {
                div { dt { "found" } dd { (count(total.found)) } }
                @for (what, number) in parts {
                    div.zero[number == 0] {
                        dt { svg.key viewBox="0 0 10 10" aria-hidden="true" { rect.(what) width="10" height="10" rx="2" {} } (what) }
                        dd { (count(number)) }
                    }
                }
                div.apart.zero[total.unexplained == 0] { dt { "unexplained" } dd { (count(total.unexplained)) } }
            }
            svg.stack viewBox="0 0 1000 10" preserveAspectRatio="none" role="img" aria-label={ (count(total.found)) " found: " (said.join(", ")) } {
                defs { pattern id="hatch" width="6" height="6" patternUnits="userSpaceOnUse" patternTransform="rotate(45)" {
                    line.hatch x1="0" y1="0" x2="0" y2="6" {}
                } }
                @for (what, at, width) in rects {
                    rect.(what) x=(charts::short(at)) width=(charts::short(width)) height="10" {}
                }
            }
        }
    }
}

fn footing(report: &Report) -> Markup {
    html! {
        footer {
            p { "How to read the counts:" }
            dl {
                dt { "found" } dd { "Messages listed at the source, over all runs. It is the sum of the six that follow." }
                dt { "moved" } dd { "They lie at the destination." }
                dt { "merged" } dd { "The destination had an equal message, and keeps one." }
                dt { "filtered" } dd { "A rule of the migration left them out on purpose." }
                dt { "oversize" } dd { "Left out for their size." }
                dt { "failed" } dd { "Could not be read, or were refused; the cause is given." }
                dt { "pending" } dd { "They wait for a further run." }
                dt { "unexplained" } dd { "The source claims that it has them, and does not list them." }
            }
            p { "Written by whimbrel " (report.migration.version) " from its ledger. Times are in UTC. No message's content is in this report"
                @if report.mailboxes.iter().flat_map(|mailbox| &mailbox.failed_items).any(|item| item.subject.is_some()) { " but the subjects of some that failed" }
                "." }
        }
    }
}
