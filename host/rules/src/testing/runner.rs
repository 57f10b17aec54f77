//! Runs the tests of a file.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rhai::{CallFnOptions, Dynamic, Scope};

use super::bench::Bench;
use super::report::{FileReport, Outcome, TestReport};
use super::{Probe, TestFile, coverage};
use crate::explain;
use crate::options::{Limits, Options};
use crate::problem::{Problem, RulesError};
use crate::program::{self, Program, Script};
use crate::run::Run;

/// How the names of tests begin.
const PREFIX: &str = "test_";

/// What `started()` gives where the options do not say it: 2026-01-01T00:00:00Z.
const STARTED: i64 = 1_767_225_600;

/// What a test may cost. It may hold large messages, so that the limits are wider than those of rules.
fn limits() -> Limits {
    Limits {
        operations: 100_000_000,
        string_bytes: 256 << 20,
        array: 1_000_000,
        map: 1_000_000,
        time: Duration::from_secs(60),
        ..Limits::default()
    }
}

/// Runs the tests of a file whose names contain `filter`, one after the other, each with a fresh state. The rules have
/// the limits and values of `options`; attachments may be detached.
pub fn run(file: &TestFile, options: &Options, filter: Option<&str>) -> FileReport {
    let options = Options {
        attachments: true,
        started: options.started.or(Some(STARTED)),
        ..options.clone()
    };
    let mut report = FileReport {
        path: file.path.clone(),
        script: file.script.clone(),
        problems: Vec::new(),
        tests: Vec::new(),
        coverage: Vec::new(),
    };
    match pass(file, &options, filter, None) {
        Ok(tests) => report.tests = tests,
        Err(error) => {
            report.problems = error.problems;
            return report;
        }
    }
    // Once more with counted lines. The results are those of the pass without, since counting costs operations.
    let probe = Arc::new(Probe::default());
    let counted = Options {
        limits: Limits {
            operations: options.limits.operations.saturating_mul(8),
            time: options.limits.time.saturating_mul(8),
            ..options.limits.clone()
        },
        ..options
    };
    if pass(file, &counted, filter, Some(probe.clone())).is_ok() {
        report.coverage = coverage::of(&probe);
    }
    report
}

fn pass(
    file: &TestFile,
    options: &Options,
    filter: Option<&str>,
    probe: Option<Arc<Probe>>,
) -> Result<Vec<TestReport>, RulesError> {
    let bench = Bench::new(file, options, probe)?;
    let own = Options {
        limits: limits(),
        started: options.started,
        attachments: true,
        ..Options::default()
    };
    let script = Script::read(&file.path)?;
    let name = script.name.clone();
    let extended = bench.clone();
    let program = program::build(script, &own, None, |engine| extended.register(engine), |_, _| Ok(()))?;
    let mut tests: Vec<(u32, String, usize)> = program
        .ast
        .iter_functions()
        .filter(|function| function.name.starts_with(PREFIX))
        .map(|function| {
            let place = program.shared.function(&name, function.name).map(|known| known.start.0);
            let line = place.and_then(|line| u32::try_from(line).ok()).unwrap_or(0);
            (line, function.name.to_owned(), function.params.len())
        })
        .collect();
    tests.sort();
    if tests.is_empty() {
        return Err(Problem {
            file: name,
            message: "there is no test here".to_owned(),
            hint: Some(format!("a test is a function whose name begins with {PREFIX}")),
            ..Problem::default()
        }
        .into());
    }
    if let Some((line, test, _)) = tests.iter().find(|(_, _, parameters)| *parameters > 0) {
        let position = u16::try_from(*line).map_or(rhai::Position::NONE, |line| rhai::Position::new(line.max(1), 0));
        let message = format!("{test} has parameters; nobody would give it any");
        return Err(explain::place(&program.sources, &name, position, message, None).into());
    }
    Ok(tests
        .into_iter()
        .filter(|(_, test, _)| filter.is_none_or(|filter| test.contains(filter)))
        .map(|(line, test, _)| one(&program, &bench, &name, line, test))
        .collect())
}

fn one(program: &Program, bench: &Bench, file: &str, line: u32, name: String) -> TestReport {
    bench.reset();
    let begin = Instant::now();
    let run = Run::begin(program.shared.limits.time);
    let result = catch_unwind(AssertUnwindSafe(|| {
        let options = CallFnOptions::new().eval_ast(false).rewind_scope(true);
        let mut scope = Scope::new();
        program
            .engine
            .call_fn_with_options::<Dynamic>(options, &mut scope, &program.ast, &name, ())
    }));
    let stopped = run.end();
    let duration = begin.elapsed();
    let limits = &program.shared.limits;
    let outcome = match result {
        Ok(Ok(_)) if stopped.is_none() => Outcome::Passed,
        Ok(Ok(_)) => Outcome::Failed(Problem {
            file: file.to_owned(),
            line,
            message: "the test was stopped".to_owned(),
            ..Problem::default()
        }),
        Ok(Err(error)) => {
            let problem = explain::stopped_or(&program.sources, file, &error, stopped, limits).problem;
            Outcome::Failed(at_least_the_test(program, problem, file, line))
        }
        Err(_) => Outcome::Failed(Problem {
            file: file.to_owned(),
            line,
            message: "the test brought the interpreter down".to_owned(),
            ..Problem::default()
        }),
    };
    TestReport {
        name,
        line,
        outcome,
        duration,
    }
}

/// Where an error does not say its line, it is told at the test. What was ended there is no rule.
fn at_least_the_test(program: &Program, mut problem: Problem, file: &str, line: u32) -> Problem {
    if problem.file != file {
        return problem;
    }
    problem.message = problem.message.replacen("this rule ", "this test ", 1);
    if problem.line > 0 {
        return problem;
    }
    let position = u16::try_from(line.max(1)).map_or(rhai::Position::NONE, |line| rhai::Position::new(line, 0));
    explain::place(&program.sources, file, position, problem.message, problem.hint)
}
