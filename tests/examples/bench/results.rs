//! Figures of several rounds, as tables and as JSON.

use std::fmt::Write as _;

use serde_json::json;

use crate::accounts::Kind;
use crate::contenders::{ONE, is_floor};
use crate::peers::Peer;
use crate::run::{Run, Traffic};

/// How many differences of a run are written out.
const MOST: usize = 20;

/// What the figures of a line mean.
const TURNS: &str = "a turn is a client that begins to send after the server has spoken, summed over all connections; \
                     serial round trips are the wall time divided by the round trip, so at most that many";

/// What was copied, where to, and over what line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Course {
    /// The account.
    pub kind: Kind,
    /// Where the destination lies.
    pub place: &'static str,
    /// The round trip in milliseconds.
    pub rtt: u128,
}

impl Course {
    /// Its name, as a file may have it.
    pub fn name(&self) -> String {
        let Self { kind, place, rtt } = self;
        match rtt {
            0 => format!("{}-{place}", kind.name()),
            _ => format!("{}-{place}-{rtt}ms", kind.name()),
        }
    }
}

/// All runs, in their order.
#[derive(Debug, Default)]
pub struct Results(Vec<(Course, Run)>);

/// One contender on one course.
pub struct Row {
    /// Who copied.
    pub name: String,
    /// Wall-clock seconds: the least, the middle, the most.
    pub wall: [f64; 3],
    /// How many runs there were.
    pub rounds: usize,
    rate: f64,
    cpu: f64,
    peak: u64,
    flushes: Option<f64>,
    line: [Option<f64>; 2],
    again: Option<f64>,
    again_line: [Option<f64>; 2],
    serial: Option<f64>,
    wrong: Option<usize>,
}

impl Results {
    /// Adds a run.
    pub fn add(&mut self, course: Course, run: Run) {
        self.0.push((course, run));
    }

    /// Whether what this contender brought there has been compared.
    pub fn compared(&self, course: Course, name: &str) -> bool {
        let mut runs = self.0.iter().filter(|(other, _)| *other == course);
        runs.any(|(_, run)| run.name == name && run.wrong.is_some())
    }

    /// All courses, in their order.
    pub fn courses(&self) -> Vec<Course> {
        let mut all: Vec<Course> = Vec::new();
        for (course, _) in &self.0 {
            if !all.contains(course) {
                all.push(*course);
            }
        }
        all
    }

    /// Everybody on one course, in the order of the first runs.
    pub fn rows(&self, course: Course) -> Vec<Row> {
        let runs: Vec<&Run> = self
            .0
            .iter()
            .filter(|(other, _)| *other == course)
            .map(|(_, run)| run)
            .collect();
        let mut names: Vec<&str> = Vec::new();
        for run in &runs {
            if !names.contains(&run.name.as_str()) {
                names.push(&run.name);
            }
        }
        names.into_iter().map(|name| row(name, &runs)).collect()
    }

    /// A table for each course.
    pub fn markdown(&self) -> String {
        self.courses()
            .into_iter()
            .map(|course| table(course, &self.rows(course)))
            .collect()
    }

    /// Everything, run by run.
    pub fn json(&self) -> String {
        let runs = self.0.iter().map(|(Course { kind, place, rtt }, run)| {
            let again = run.again.as_ref();
            let again_line = again.and_then(|again| again.line);
            json!({
                "account": kind.name(), "destination": place, "rtt_ms": u64::try_from(*rtt).unwrap_or(u64::MAX),
                "who": run.name, "messages": run.messages, "wall": run.cost.wall, "messages_per_second": run.rate(),
                "cpu": run.cost.cpu, "peak_bytes": run.cost.peak, "flushes": run.flushes,
                "line_bytes": run.line.map(|line| line.bytes), "line_turns": run.line.map(|line| line.turns),
                "again": again.map(|again| again.wall()), "again_walls": again.map(|again| &again.walls),
                "again_line_bytes": again_line.map(|line| line.bytes),
                "again_line_turns": again_line.map(|line| line.turns),
                "again_serial_round_trips": again.and_then(|again| again.serial),
                "again_problem": run.problem, "partly_compared": kind.partly(),
                "differences": run.wrong.as_ref().map(Vec::len),
                "first_differences": run.wrong.as_ref().map(|wrong| &wrong[..wrong.len().min(MOST)]),
            })
        });
        json!({ "runs": runs.collect::<Vec<_>>() }).to_string()
    }
}

fn row(name: &str, runs: &[&Run]) -> Row {
    let own: Vec<&Run> = runs.iter().filter(|run| run.name == name).copied().collect();
    let middle_of = |of: &dyn Fn(&Run) -> Option<f64>| {
        let figures = sorted(own.iter().filter_map(|run| of(run)));
        figures.get(figures.len() / 2).copied()
    };
    let traffic = |of: &dyn Fn(&Run) -> Option<Traffic>| {
        [
            middle_of(&|run| Some(of(run)?.bytes as f64)),
            middle_of(&|run| Some(of(run)?.turns as f64)),
        ]
    };
    let walls = sorted(own.iter().map(|run| run.cost.wall));
    Row {
        name: name.to_owned(),
        wall: [walls[0], walls[walls.len() / 2], walls[walls.len() - 1]],
        rounds: own.len(),
        rate: own[0].messages as f64 / walls[walls.len() / 2],
        cpu: middle_of(&|run| Some(run.cost.cpu)).unwrap_or_default(),
        peak: own.iter().map(|run| run.cost.peak).max().unwrap_or_default(),
        flushes: middle_of(&|run| Some(run.flushes? as f64)),
        line: traffic(&|run| run.line),
        again: middle_of(&|run| Some(run.again.as_ref()?.wall())),
        again_line: traffic(&|run| run.again.as_ref()?.line),
        serial: middle_of(&|run| run.again.as_ref()?.serial),
        wrong: own.iter().find_map(|run| run.wrong.as_ref()).map(Vec::len),
    }
}

/// The name and the middle wall time of the best floor.
pub fn best_floor(rows: &[Row]) -> Option<(&str, f64)> {
    let floors = rows.iter().filter(|row| is_floor(&row.name));
    floors
        .map(|row| (row.name.as_str(), row.wall[1]))
        .min_by(|(_, one), (_, other)| one.total_cmp(other))
}

fn table(course: Course, rows: &[Row]) -> String {
    let Course { kind, place, rtt } = course;
    let one = rows.iter().find(|row| row.name == ONE).map(|row| row.wall[1]);
    let best = best_floor(rows);
    let over_line = rtt > 0;
    let mut headings = vec![
        "who",
        "wall s (range)",
        "messages/s",
        "to one connection",
        "to best floor",
    ];
    headings.extend(["own CPU s", "peak MB", "flushes"]);
    if over_line {
        headings.extend(["MB on the line", "turns"]);
    }
    headings.push("again s");
    if over_line {
        headings.extend(["MB again", "turns again", "serial round trips again"]);
    }
    headings.push("differences");
    let mut out = format!(
        "### {}, destination in {place}, {rtt} ms\n\n{}.\n\n",
        kind.name(),
        kind.about()
    );
    line(&mut out, headings.iter().map(|heading| (*heading).to_owned()));
    line(&mut out, headings.iter().map(|_| "---".to_owned()));
    for row in rows {
        let [low, middle, high] = row.wall;
        let ratio = |to: Option<f64>| figure(to.map(|to| middle / to), 2);
        let own = |figure: String| if row.peak == 0 { "-".to_owned() } else { figure };
        let megabytes = |bytes: Option<f64>| figure(bytes.map(|bytes| bytes / 1e6), 3);
        let mut cells = vec![
            match best {
                Some((name, _)) if name == row.name => format!("**{name}** (best floor)"),
                _ => row.name.clone(),
            },
            format!("{middle:.2} ({low:.2} to {high:.2})"),
            format!("{:.0}", row.rate),
            ratio(one),
            ratio(best.map(|(_, wall)| wall)),
            own(format!("{:.2}", row.cpu)),
            own(format!("{:.0}", row.peak as f64 / 1e6)),
            figure(row.flushes, 0),
        ];
        if over_line {
            cells.extend([megabytes(row.line[0]), figure(row.line[1], 0)]);
        }
        cells.push(figure(row.again, 3));
        if over_line {
            cells.extend([megabytes(row.again_line[0]), figure(row.again_line[1], 0)]);
            cells.push(figure(row.serial, 1));
        }
        cells.push(row.wrong.map_or("-".to_owned(), |wrong| wrong.to_string()));
        line(&mut out, cells.into_iter());
    }
    let turns = over_line.then(|| TURNS.to_owned());
    let notes = rows.iter().filter_map(|row| Peer::note(&row.name).map(str::to_owned));
    for note in kind.partly().into_iter().chain(turns).chain(notes) {
        let _ = write!(out, "\nNote: {note}.\n");
    }
    out + "\n"
}

fn line(out: &mut String, cells: impl Iterator<Item = String>) {
    let cells: Vec<String> = cells.collect();
    let _ = writeln!(out, "| {} |", cells.join(" | "));
}

fn figure(figure: Option<f64>, digits: usize) -> String {
    figure.map_or("-".to_owned(), |figure| format!("{figure:.digits$}"))
}

fn sorted(figures: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures
}
