//! Figures of several rounds, as tables and as JSON.

use serde_json::json;

use crate::contenders::Run;

/// What was copied, where to, and over what line.
type Course = (&'static str, &'static str, u128);

/// All runs, in their order.
#[derive(Debug, Default)]
pub struct Results(Vec<(Course, Run)>);

/// One contender on one course.
struct Row {
    name: String,
    wall: [f64; 3],
    cpu: f64,
    peak: u64,
    again: Option<f64>,
    line: Option<u64>,
    wrong: Option<usize>,
}

impl Results {
    /// Adds a run.
    pub fn add(&mut self, course: Course, run: Run) {
        self.0.push((course, run));
    }

    fn courses(&self) -> Vec<Course> {
        let mut all: Vec<Course> = Vec::new();
        for (course, _) in &self.0 {
            if !all.contains(course) {
                all.push(*course);
            }
        }
        all
    }

    fn rows(&self, course: Course) -> Vec<Row> {
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
        let row = |name: &&str| {
            let own: Vec<&&Run> = runs.iter().filter(|run| run.name == **name).collect();
            let walls = sorted(own.iter().map(|run| run.cost.wall));
            let middle = |figures: Vec<f64>| figures.get(figures.len() / 2).copied();
            Row {
                name: (*name).to_owned(),
                wall: [walls[0], walls[walls.len() / 2], walls[walls.len() - 1]],
                cpu: middle(sorted(own.iter().map(|run| run.cost.cpu))).unwrap_or_default(),
                peak: own.iter().map(|run| run.cost.peak).max().unwrap_or_default(),
                again: middle(sorted(own.iter().filter_map(|run| run.again))),
                line: own.iter().filter_map(|run| run.line).min(),
                wrong: own.iter().find_map(|run| run.wrong.as_ref()).map(Vec::len),
            }
        };
        names.iter().map(row).collect()
    }

    /// A table for each course.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        for course in self.courses() {
            let (kind, place, rtt) = course;
            let rows = self.rows(course);
            let floor = rows
                .iter()
                .find(|row| row.name.starts_with("floor"))
                .map(|row| row.wall[1]);
            out += &format!(
                "### {kind}, destination in {place}, {rtt} ms\n\n\
                 | who | wall s (range) | to the floor | own CPU s | peak MB | again s | MB on the line | differences |\n\
                 |---|---|---|---|---|---|---|---|\n"
            );
            for row in rows {
                let [low, middle, high] = row.wall;
                let own = |text: String| if row.peak == 0 { "-".to_owned() } else { text };
                out += &format!(
                    "| {} | {middle:.2} ({low:.2} to {high:.2}) | {} | {} | {} | {} | {} | {} |\n",
                    row.name,
                    floor.map_or("-".to_owned(), |floor| format!("{:.2}", middle / floor)),
                    own(format!("{:.2}", row.cpu)),
                    own(format!("{:.0}", row.peak as f64 / 1e6)),
                    row.again.map_or("-".to_owned(), |again| format!("{again:.2}")),
                    row.line
                        .map_or("-".to_owned(), |line| format!("{:.1}", line as f64 / 1e6)),
                    row.wrong.map_or("-".to_owned(), |wrong| wrong.to_string()),
                );
            }
            out.push('\n');
        }
        out
    }

    /// Everything, run by run.
    pub fn json(&self) -> String {
        let runs = self.0.iter().map(|((kind, place, rtt), run)| {
            json!({
                "account": kind, "destination": place, "rtt_ms": u64::try_from(*rtt).unwrap_or(u64::MAX),
                "who": run.name, "wall": run.cost.wall, "cpu": run.cost.cpu, "peak_bytes": run.cost.peak,
                "again": run.again, "line_bytes": run.line, "differences": run.wrong,
            })
        });
        json!({ "runs": runs.collect::<Vec<_>>() }).to_string()
    }
}

fn sorted(figures: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut figures: Vec<f64> = figures.collect();
    figures.sort_by(f64::total_cmp);
    figures
}
