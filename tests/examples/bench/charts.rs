//! Bar charts of wall time, as SVG that follows the reader's choice of light or dark.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use crate::contenders::is_floor;
use crate::results::{Course, Results, Row, best_floor};

const WIDTH: f64 = 760.0;
/// Where the bars begin.
const LEFT: f64 = 236.0;
/// Where the longest may end; the figures stand beyond.
const RIGHT: f64 = 620.0;
/// Where the first row begins.
const TOP: f64 = 84.0;
/// Bars that are longer than so many of the best floor are cut.
const MOST: f64 = 12.0;
const ROW: f64 = 32.0;
const BAR: f64 = 18.0;

const STYLE: &str = "\
text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans','DejaVu Sans',sans-serif;font-size:13px}
.cut{stroke-width:3px}
.title{font-size:16px;font-weight:600}
.small{font-size:12px}
.strong{font-weight:600}
.over{paint-order:stroke;stroke-width:5px;stroke-linejoin:round}
.ground{fill:#ffffff}
.over,.cut{stroke:#ffffff}
.ink{fill:#1f2328}
.muted{fill:#656d76}
.grid{stroke:#d8dee4}
.mark{stroke:#656d76;stroke-dasharray:3 3}
.range{stroke:#1f2328;stroke-width:1.25}
.own{fill:#0f8a72}
.floor{fill:#c3cad1}
.peer{fill:#8fb0dc}
@media (prefers-color-scheme: dark){
.ground{fill:#0d1117}
.over,.cut{stroke:#0d1117}
.ink{fill:#e6edf3}
.muted{fill:#8d96a0}
.grid{stroke:#2a3038}
.mark{stroke:#8d96a0}
.range{stroke:#e6edf3}
.own{fill:#2fb896}
.floor{fill:#4a525c}
.peer{fill:#41679b}
}
";

/// Writes a chart for each course, named after it.
pub fn write(results: &Results, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    for course in results.courses() {
        let chart = chart(course, results.rows(course));
        fs::write(folder.join(course.name() + ".svg"), chart)?;
    }
    Ok(())
}

/// The quickest first.
fn chart(course: Course, mut rows: Vec<Row>) -> String {
    rows.sort_by(|one, other| one.wall[1].total_cmp(&other.wall[1]));
    let longest = rows.iter().map(|row| row.wall[2]).fold(0.0, f64::max).max(1e-3);
    let most = best_floor(&rows).map_or(longest, |(_, wall)| longest.min(wall * MOST));
    let (step, digits) = step(most);
    let at = |seconds: f64| LEFT + (seconds / most).min(1.0) * (RIGHT - LEFT);
    let bottom = TOP + ROW * rows.len() as f64;
    let height = bottom + 60.0;
    let title = format!("{}: {}", course.kind.name(), course.kind.about());
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\">\n<title>{}</title>\n<style>\n{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>\n",
        escaped(&title)
    );
    text(&mut out, "title ink", "start", (20.0, 32.0), &title);
    text(&mut out, "small muted", "start", (20.0, 54.0), &subtitle(course, &rows));
    let mut tick = 0;
    while f64::from(tick) * step <= most * 1.0001 {
        let seconds = f64::from(tick) * step;
        upright(&mut out, "grid", at(seconds), (TOP - 6.0, bottom + 4.0));
        let label = format!("{seconds:.digits$}");
        text(&mut out, "small muted", "middle", (at(seconds), bottom + 20.0), &label);
        tick += 1;
    }
    text(
        &mut out,
        "small muted",
        "start",
        (RIGHT + 12.0, bottom + 20.0),
        "seconds",
    );
    text(&mut out, "small muted", "start", (20.0, bottom + 44.0), &legend(&rows));
    let best = best_floor(&rows);
    for (number, row) in rows.iter().enumerate() {
        let middle = TOP + ROW * (number as f64 + 0.5);
        let class = match () {
            () if row.name == "whimbrel" => "own",
            () if is_floor(&row.name) => "floor",
            () => "peer",
        };
        let strong = if class == "own" { "strong ink" } else { "ink" };
        text(&mut out, strong, "end", (LEFT - 12.0, middle + 4.5), &row.name);
        bar(&mut out, class, at(row.wall[1]), middle);
        let mut end = at(row.wall[1]);
        if row.wall[1] > most {
            cut(&mut out, end, middle);
        } else if row.rounds > 1 {
            let [low, _, high] = row.wall.map(at);
            range(&mut out, low, high, middle);
            end = high;
        }
        let ratio = best.map(|(_, wall)| format!("\u{d7} {:.2}", row.wall[1] / wall));
        let _ = writeln!(
            out,
            "<text class=\"strong over ink\" x=\"{:.1}\" y=\"{:.1}\">{}<tspan class=\"muted\" font-weight=\"400\" dx=\"8\">{}</tspan></text>",
            end + 8.0,
            middle + 4.5,
            seconds(row.wall[1]),
            ratio.unwrap_or_default()
        );
    }
    if let Some((_, wall)) = best {
        upright(&mut out, "mark", at(wall), (TOP - 6.0, bottom + 4.0));
    }
    out + "</svg>\n"
}

fn subtitle(course: Course, rows: &[Row]) -> String {
    let Course { place, rtt, .. } = course;
    let rounds = rows.iter().map(|row| row.rounds).max().unwrap_or_default();
    let mut parts = vec![format!("destination in {place}")];
    if rtt > 0 {
        parts.push(format!("{rtt} ms round trip"));
    }
    parts.push(match rounds {
        0 | 1 => "one run each".to_owned(),
        rounds => format!("median of {rounds} runs"),
    });
    parts.join(", ")
}

/// What the signs mean.
fn legend(rows: &[Row]) -> String {
    let mut parts = Vec::new();
    if rows.iter().any(|row| row.rounds > 1) {
        parts.push("thin line: fastest to slowest");
    }
    if let Some((_, wall)) = best_floor(rows) {
        parts.push("dashed line and \u{d7}: the best floor");
        if rows.iter().any(|row| row.wall[1] > wall * MOST) {
            parts.push("//: a bar cut short");
        }
    }
    parts.join("; ")
}

/// A bar with its right corners rounded.
fn bar(out: &mut String, class: &str, end: f64, middle: f64) {
    let (top, radius) = (middle - BAR / 2.0, 3.0_f64.min((end - LEFT) / 2.0));
    let (across, down) = (end - LEFT - radius, BAR - 2.0 * radius);
    let _ = writeln!(
        out,
        "<path class=\"{class}\" d=\"M{LEFT} {top:.1}h{across:.1}q{radius:.1} 0 {radius:.1} {radius:.1}v{down:.1}\
         q0 {radius:.1} -{radius:.1} {radius:.1}h-{across:.1}z\"/>"
    );
}

/// Two slanting gaps, in a bar that is too long to be shown whole.
fn cut(out: &mut String, end: f64, middle: f64) {
    for x in [end - 24.0, end - 16.0] {
        let top = middle - BAR / 2.0 - 1.0;
        let _ = writeln!(
            out,
            "<path class=\"cut\" fill=\"none\" d=\"M{x:.1} {top:.1}l-6 {:.1}\"/>",
            BAR + 2.0
        );
    }
}

/// From the fastest to the slowest, with small ends.
fn range(out: &mut String, low: f64, high: f64, middle: f64) {
    let _ = writeln!(
        out,
        "<path class=\"range\" fill=\"none\" d=\"M{low:.1} {middle:.1}H{high:.1}M{low:.1} {:.1}v6M{high:.1} {:.1}v6\"/>",
        middle - 3.0,
        middle - 3.0
    );
}

fn upright(out: &mut String, class: &str, x: f64, (top, bottom): (f64, f64)) {
    let _ = writeln!(
        out,
        "<path class=\"{class}\" fill=\"none\" d=\"M{x:.1} {top:.1}V{bottom:.1}\"/>"
    );
}

fn text(out: &mut String, class: &str, anchor: &str, (x, y): (f64, f64), text: &str) {
    let text = escaped(text);
    let _ = writeln!(
        out,
        "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// With three figures, or fewer below a tenth.
fn seconds(seconds: f64) -> String {
    match seconds {
        tiny if tiny < 1.0 => format!("{tiny:.3} s"),
        small if small < 10.0 => format!("{small:.2} s"),
        small if small < 100.0 => format!("{small:.1} s"),
        large => format!("{large:.0} s"),
    }
}

/// The distance between two marks of the axis, of which there are four to eight, and the digits after its point.
fn step(most: f64) -> (f64, usize) {
    let mut power = 1e-3;
    let mut digits: usize = 3;
    loop {
        for factor in [1.0, 2.0, 5.0] {
            if most / (factor * power) < 8.0 {
                return (factor * power, digits);
            }
        }
        power *= 10.0;
        digits = digits.saturating_sub(1);
    }
}
