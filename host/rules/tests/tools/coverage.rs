//! Which lines of a script ran in its tests.

use whimbrel_rules::testing::FileCoverage;

use crate::support::{folder, run_in, tested};

const RULES: &str = "\
import \"std/spam\" as spam;
// A comment.
const LIMIT = 5;

fn message(m) {
    if m.size > LIMIT {
        m.skip(\"large\");
    } else if m.seen {
        m.note(\"seen\");
        return;
    }
    spam::to_junk(m);
    let big = m.attachments.filter(|a|
        a.size > 10
    );
    switch big.len() {
        0 => m.note(\"none\"),
        1 => {
            m.note(\"one\");
        }
        _ => m.note(\"many\"),
    }
}

fn never(m) {
    m.keep();
}
";

fn of(report_tests: &str) -> FileCoverage {
    let report = tested(RULES, report_tests);
    assert_eq!(report.problems, vec![]);
    assert_eq!(report.coverage.len(), 1, "{:?}", report.coverage);
    report.coverage[0].clone()
}

fn lines(file: &FileCoverage) -> Vec<u32> {
    file.lines.iter().map(|line| line.line).collect()
}

#[test]
fn lines_that_did_not_run_are_missed() {
    let file = of("fn test_it() { run(message(#{ size: 10 })); }");
    assert_eq!(file.file, "rules.rhai");
    assert_eq!(lines(&file), [6, 7, 9, 10, 12, 13, 14, 16, 17, 19, 21, 26]);
    assert_eq!(
        file.missed(),
        [9, 10, 14, 17, 19, 21, 26]
            .into_iter()
            .filter(|line| !ran(&file, *line))
            .collect::<Vec<u32>>()
    );
    assert!(ran(&file, 6) && ran(&file, 7));
    assert!(!ran(&file, 9) && !ran(&file, 26));
    assert_eq!(file.could_run(), 12);
    assert_eq!(file.ran() + file.missed().len(), file.could_run());
}

fn ran(file: &FileCoverage, line: u32) -> bool {
    let found = file.lines.iter().find(|known| known.line == line);
    found.unwrap_or_else(|| panic!("line {line} is not counted")).runs > 0
}

#[test]
fn all_tests_count_together() {
    let file = of(r#"fn small(n) {
               let all = [];
               for i in 0..n { all.push(#{ name: "a", size: 20 }); }
               run(message(#{ size: 1, attachments: all }));
           }
           fn test_a() { small(0); }
           fn test_b() { small(1); small(2); }
           fn test_c() { run(message(#{ size: 1, flags: ["\\Seen"] })); }"#);
    assert_eq!(file.missed(), [7, 26]);
    let runs = |line: u32| file.lines.iter().find(|known| known.line == line).unwrap().runs;
    assert_eq!((runs(6), runs(9), runs(12), runs(14), runs(17)), (4, 1, 3, 3, 1));
}

#[test]
fn a_test_that_fails_counts_as_far_as_it_came() {
    let file = of(
        "fn test_it() { run(message(#{ size: 10 })); assert(false); run(message(#{ size: 1, flags: [\"\\\\Seen\"] })); }",
    );
    assert!(ran(&file, 7) && ran(&file, 12) && !ran(&file, 9));
}

#[test]
fn several_statements_in_a_line_are_told_apart() {
    let report = tested(
        "fn message(m) { if m.seen { m.keep(); } else { m.skip(\"x\"); } }",
        "fn test_it() { run(message(#{})); }",
    );
    let line = report.coverage[0].lines[0];
    assert_eq!(
        (line.line, line.statements, line.statements_run, line.runs),
        (1, 3, 2, 1)
    );
    assert_eq!(report.coverage[0].missed(), Vec::<u32>::new());
}

#[test]
fn modules_count_and_the_library_does_not() {
    let folder = folder(&[
        (
            "rules.rhai",
            "import \"own/one\" as one;\nimport \"std/sizes\" as sizes;\nfn message(m) {\n  one::rule(m);\n  sizes::leave_out_over(m, 1);\n}",
        ),
        (
            "own/one.rhai",
            "fn rule(m) {\n  m.note(\"x\");\n}\nfn other(m) {\n  m.keep();\n}",
        ),
        ("rules.test.rhai", "fn test_it() { run(message(#{ size: 5 })); }"),
    ]);
    let report = run_in(&folder);
    assert!(report.passed(), "{report:#?}");
    let told: Vec<_> = report
        .coverage
        .iter()
        .map(|file| (file.file.as_str(), lines(file), file.missed()))
        .collect();
    assert_eq!(
        told,
        [
            ("own/one.rhai", vec![2, 5], vec![5]),
            ("rules.rhai", vec![4, 5], vec![])
        ]
    );
}

#[test]
fn counting_changes_no_result() {
    // What stands in strings, comments and closures is no statement.
    let rules = "fn message(m) {\n  let s = `a${ if m.seen { \"; {\" } else { \"}\" } }b`; // ; {\n  /* { ; */ let f = |x| x + \"|\";\n  m.note(f.call(s));\n  let n = switch s { \"a}b\" => (1 + 2) * 3, _ => 4 };\n  m.note(`${n}`);\n}";
    let report = tested(
        rules,
        "fn test_it() { assert_eq(run(message(#{})).notes, [\"a}b|\", \"9\"]); }",
    );
    assert!(report.passed(), "{report:#?}");
    assert_eq!(report.coverage[0].missed(), Vec::<u32>::new(), "{:?}", report.coverage);
    assert!(
        lines(&report.coverage[0]).starts_with(&[2, 3, 4, 5, 6]),
        "{:?}",
        report.coverage
    );
}

#[test]
fn a_rule_near_its_limits_is_counted_as_well() {
    let rules = "fn message(m) {\n  let n = 0;\n  for i in 0..150000 {\n    n += 1;\n  }\n  m.note(`${n}`);\n}";
    let report = tested(
        rules,
        "fn test_it() { assert_eq(run(message(#{})).notes, [\"150000\"]); }",
    );
    assert!(report.passed(), "{report:#?}");
    assert_eq!(report.coverage[0].missed(), Vec::<u32>::new());
}
