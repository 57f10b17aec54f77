//! Charts: made here, so that the page needs no script.

use maud::{Markup, html};

use crate::figures::{bytes, count, instant, plural};
use crate::report::{Bin, Period, Report};

use super::parts::label;

/// Bars of one chart; the rest is one bar.
const MOST_BARS: usize = 12;
/// Up to so many months, months are shown, else years.
const MOST_MONTHS: i32 = 36;

/// Width and height of a plot, and the room for figures at its left and below.
const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 52.0;
const BELOW: f64 = 22.0;
const ABOVE: f64 = 8.0;

/// All of them; those without anything to show are left out.
pub fn charts(report: &Report) -> Markup {
    html! {
        div.charts {
            (volume(report))
            (reasons(report))
            (rate(report, "Messages per minute", "messages", |point| point.messages, figure))
            (rate(report, "Bytes per minute", "bytes", |point| point.bytes, size))
            (sizes(report))
            (received(report))
        }
    }
}

/// One bar: label, size, what is written beside it.
struct Bar {
    label: String,
    value: u64,
    texts: Vec<String>,
}

/// Bars beside their figures: the table is the chart.
fn bars(title: &str, note: &str, headings: &[&str], bars: &[Bar], class: &str) -> Markup {
    let most = bars.iter().map(|bar| bar.value).max().unwrap_or_default().max(1);
    html! {
        figure {
            figcaption { b { (title) } span.soft.small { (note) } }
            table.bars {
                thead { tr {
                    @for (at, heading) in headings.iter().enumerate() { th scope="col" .num[at > 0] { (heading) } }
                } }
                tbody { @for bar in bars {
                    tr {
                        th.name scope="row" { (label(&bar.label)) }
                        @for text in &bar.texts { td.num { (text) } }
                    }
                    tr.bar aria-hidden="true" { td colspan=(headings.len()) {
                        svg viewBox="0 0 100 8" preserveAspectRatio="none" {
                            rect.(class) width=(short(share(bar.value, most) * 100.0)) height="8" {}
                        }
                    } }
                } }
            }
        }
    }
}

fn volume(report: &Report) -> Markup {
    let one = report.mailboxes.len() == 1;
    let mut rows: Vec<(String, u64, u64)> = match report.mailboxes.as_slice() {
        [mailbox] => {
            let folders = mailbox.folders.iter();
            folders
                .map(|folder| (folder.path.clone(), folder.counts.found, folder.bytes_found))
                .collect()
        }
        many => many
            .iter()
            .map(|mailbox| (mailbox.name.clone(), mailbox.counts.found, mailbox.bytes_found))
            .collect(),
    };
    rows.retain(|(_, found, _)| *found > 0);
    if rows.is_empty() {
        return html! {};
    }
    rows.sort_by_key(|(_, found, bytes)| std::cmp::Reverse((*bytes, *found)));
    let shown: Vec<Bar> = rows
        .iter()
        .take(MOST_BARS)
        .map(|(label, found, size)| Bar {
            label: label.clone(),
            value: *size,
            texts: vec![count(*found), bytes(*size)],
        })
        .collect();
    let what = if one { "folder" } else { "mailbox" };
    let note = match rows.len().saturating_sub(MOST_BARS) {
        0 => format!("What was found in each {what}, the largest first."),
        more => {
            let (found, size) = rows
                .iter()
                .skip(MOST_BARS)
                .fold((0, 0), |sum: (u64, u64), row| (sum.0 + row.1, sum.1 + row.2));
            format!(
                "What was found in the {} largest; the other {} have {} and {} together.",
                plural(MOST_BARS as u64, what),
                count(more as u64),
                plural(found, "message"),
                bytes(size)
            )
        }
    };
    bars("Volume", &note, &[what, "messages", "size"], &shown, "fill")
}

fn reasons(report: &Report) -> Markup {
    let mut rows: Vec<Bar> = report
        .reasons
        .iter()
        .map(|reason| Bar {
            label: reason.code.to_owned(),
            value: reason.count,
            texts: vec![count(reason.count)],
        })
        .collect();
    if report.total.unexplained > 0 {
        rows.push(Bar {
            label: "unexplained".to_owned(),
            value: report.total.unexplained,
            texts: vec![count(report.total.unexplained)],
        });
    }
    if rows.is_empty() {
        return html! {};
    }
    bars(
        "What did not arrive",
        "Messages by the reason.",
        &["reason", "messages"],
        &rows,
        "failed",
    )
}

/// One column of a plot.
struct Column {
    label: String,
    messages: u64,
    bytes: u64,
}

fn sizes(report: &Report) -> Markup {
    let used = |bin: &&Bin| bin.messages > 0;
    let (Some(first), Some(last)) = (
        report.sizes.iter().find(used).map(|bin| bin.from),
        report.sizes.iter().rfind(used).map(|bin| bin.from),
    ) else {
        return html! {};
    };
    let bins = report.sizes.iter().filter(|bin| (first..=last).contains(&bin.from));
    let columns: Vec<Column> = bins
        .map(|bin| Column {
            label: bin.below.map_or_else(
                || format!("≥ {}", round(bin.from)),
                |below| format!("< {}", round(below)),
            ),
            messages: bin.messages,
            bytes: bin.bytes,
        })
        .collect();
    let mut note = format!("Messages by their size. The largest has {}.", bytes(report.largest));
    if report.unsized_messages > 0 {
        note += &format!(
            " The size of {} is not known.",
            plural(report.unsized_messages, "message")
        );
    }
    columns_figure("Sizes", &note, "size", &columns)
}

/// Sizes of bins are powers of two: no fraction is needed.
fn round(size: u64) -> String {
    bytes(size).replace(".0 ", " ")
}

fn received(report: &Report) -> Markup {
    let (Some(first), Some(last)) = (report.received.first(), report.received.last()) else {
        return html! {};
    };
    let number = |period: &Period| i32::from(period.year) * 12 + i32::from(period.month) - 1;
    let by_month = number(last) - number(first) < MOST_MONTHS;
    let (from, to) = match by_month {
        true => (number(first), number(last)),
        false => (i32::from(first.year), i32::from(last.year)),
    };
    let mut columns: Vec<Column> = (from..=to)
        .map(|at| Column {
            label: if by_month {
                format!("{}-{:02}", at.div_euclid(12), at.rem_euclid(12) + 1)
            } else {
                at.to_string()
            },
            messages: 0,
            bytes: 0,
        })
        .collect();
    for period in &report.received {
        let at = if by_month {
            number(period)
        } else {
            i32::from(period.year)
        } - from;
        if let Some(column) = usize::try_from(at).ok().and_then(|at| columns.get_mut(at)) {
            column.messages += period.messages;
            column.bytes = column.bytes.saturating_add(period.bytes);
        }
    }
    let unit = if by_month { "month" } else { "year" };
    let mut note = format!("Messages by the {unit} in which they were received.");
    if report.undated > 0 {
        note += &format!(" {} no date.", has(report.undated));
    }
    columns_figure("Age", &note, unit, &columns)
}

fn has(number: u64) -> String {
    format!(
        "{} {}",
        plural(number, "message"),
        if number == 1 { "has" } else { "have" }
    )
}

#[allow(clippy::cast_possible_truncation)] // A small number.
fn columns_figure(title: &str, note: &str, unit: &str, columns: &[Column]) -> Markup {
    let most = columns.iter().map(|column| column.messages).max().unwrap_or_default();
    let top = nice(most as f64);
    let step = (WIDTH - LEFT) / columns.len().max(1) as f64;
    let gap = (step * 0.16).min(3.0);
    // A label is up to 60 wide.
    let every = (64.0 / step).ceil().max(1.0) as usize;
    let height = |messages: u64| (HEIGHT - ABOVE - BELOW) * messages as f64 / top;
    let highest = columns.iter().max_by_key(|column| column.messages);
    let text = highest.map_or_else(String::new, |column| {
        format!(
            "{note} Most are of {}: {}.",
            column.label,
            plural(column.messages, "message")
        )
    });
    html! {
        figure {
            figcaption { b { (title) } span.soft.small { (note) } }
            svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label=(text) {
                (grid(top, &figure))
                @for (at, column) in columns.iter().enumerate() {
                    @let tall = height(column.messages);
                    @if column.messages > 0 {
                        rect.fill x=(short(LEFT + step * at as f64 + gap)) y=(short(HEIGHT - BELOW - tall.max(1.0)))
                            width=(short((step - 2.0 * gap).max(0.8))) height=(short(tall.max(1.0))) {}
                    }
                    @if at % every == 0 {
                        text x=(short(LEFT + step * (at as f64 + 0.5))) y=(short(HEIGHT - 6.0)) text-anchor="middle" { (column.label) }
                    }
                }
            }
            (data(unit, &["messages", "size"], columns.iter().map(|column| {
                (column.label.clone(), vec![count(column.messages), bytes(column.bytes)])
            })))
        }
    }
}

fn rate(report: &Report, title: &str, unit: &str, of: fn(&crate::RatePoint) -> f64, show: fn(f64) -> String) -> Markup {
    let points = &report.rate;
    let most = points.iter().map(of).fold(0.0, f64::max);
    if most <= 0.0 {
        return html! {};
    }
    let top = if unit == "bytes" { nice_bytes(most) } else { nice(most) };
    let all: f64 = points.iter().map(|point| point.seconds).sum();
    let floor = HEIGHT - BELOW;
    let mut edge = String::new();
    let (mut x, mut turns, mut run) = (LEFT, Vec::new(), None);
    for point in points {
        let width = (WIDTH - LEFT) * point.seconds / all;
        let y = floor - (floor - ABOVE) * of(point) / top;
        if run != Some(point.run) {
            turns.push((x, point.began_ms.div_euclid(1000)));
            run = Some(point.run);
        }
        let verb = if edge.is_empty() { 'M' } else { 'L' };
        edge += &format!("{verb}{} {}H{}", short(x), short(y), short(x + width));
        x += width;
    }
    let area = format!("{edge}V{floor}H{LEFT}Z");
    let copied: f64 = points.iter().map(|point| of(point) * point.seconds / 60.0).sum();
    let mean = copied * 60.0 / all.max(0.001);
    let runs = turns.len() as u64;
    let note = match runs {
        1 => format!("While it ran; {} on average.", show(mean)),
        _ => format!(
            "While the {} that copied something were under way, one after the other; {} on average.",
            plural(runs, "run"),
            show(mean)
        ),
    };
    // Only as many labels as there is room for.
    let mut labels: Vec<(f64, String)> = Vec::new();
    for (x, began) in &turns {
        if *x < WIDTH - 100.0 && labels.last().is_none_or(|(last, _)| x - last >= 110.0) {
            labels.push((*x, instant(*began).replace(" UTC", "")));
        }
    }
    html! {
        figure {
            figcaption { b { (title) } span.soft.small { (note) } }
            svg.plot viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label={ (note) " " (show(most)) " at most." } {
                (grid(top, &show))
                path.area d=(area) {}
                path.edge d=(edge) {}
                @for (x, _) in turns.iter().skip(1) {
                    line.turn x1=(short(*x)) x2=(short(*x)) y1=(ABOVE) y2=(floor) {}
                }
                @for (x, label) in &labels { text x=(short(*x)) y=(short(HEIGHT - 6.0)) { (label) } }
            }
        }
    }
}

/// Lines at a half and the whole, with what they stand for.
fn grid(top: f64, show: &dyn Fn(f64) -> String) -> Markup {
    let floor = HEIGHT - BELOW;
    html! {
        @for share in [1.0, 0.5] {
            @let y = floor - (floor - ABOVE) * share;
            line.grid x1=(LEFT) x2=(WIDTH) y1=(short(y)) y2=(short(y)) {}
            text x=(LEFT - 8.0) y=(short(y + 4.0)) text-anchor="end" { (show(top * share)) }
        }
        line.axis x1=(LEFT) x2=(WIDTH) y1=(floor) y2=(floor) {}
        text x=(LEFT - 8.0) y=(short(floor + 4.0)) text-anchor="end" { "0" }
    }
}

/// The figures behind a plot.
fn data(first: &str, headings: &[&str], rows: impl Iterator<Item = (String, Vec<String>)>) -> Markup {
    html! {
        details {
            summary { "The figures" }
            table {
                thead { tr {
                    th scope="col" { (first) }
                    @for heading in headings { th.num scope="col" { (heading) } }
                } }
                tbody { @for (label, texts) in rows { tr {
                    th scope="row" { (label) }
                    @for text in texts { td.num { (text) } }
                } } }
            }
        }
    }
}

/// A coordinate.
pub fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A share, from 0 to 1.
pub fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole.max(1) as f64
}

/// The next number above that is easy to halve.
fn nice(value: f64) -> f64 {
    let value = value.max(1.0);
    let power = 10f64.powf(value.log10().floor());
    let step = [1.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        .into_iter()
        .find(|step| step * power >= value * 0.999);
    let top = step.unwrap_or(10.0) * power;
    if top < 2.0 { 2.0 } else { top }
}

/// The same for bytes, with units that are powers of 1024.
fn nice_bytes(value: f64) -> f64 {
    let unit = 1024f64.powf(value.max(1.0).log(1024.0).floor());
    let top = nice(value / unit);
    if top >= 1000.0 { 1024.0 * unit } else { top * unit }
}

/// A number for an axis, short.
fn figure(value: f64) -> String {
    match value {
        _ if value < 10.0 && value.fract() > 0.001 => format!("{value:.1}"),
        _ if value < 100_000.0 => count(whole(value)),
        _ if value < 1e6 => format!("{}k", short(value / 1e3)),
        _ => format!("{}M", short(value / 1e6)),
    }
}

fn size(value: f64) -> String {
    round(whole(value))
}

#[allow(clippy::cast_possible_truncation)] // Saturates, and that is meant.
fn whole(value: f64) -> u64 {
    value.round().max(0.0) as u64
}
