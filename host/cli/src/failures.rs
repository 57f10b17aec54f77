//! Other crates' errors as problems with a remedy.

use std::path::Path;

use whimbrel_engine::{EngineError, remedy};
use whimbrel_ledger::LedgerError;
use whimbrel_model::Failure;
use whimbrel_rules::RuleError;
use whimbrel_sandbox::LoadError;
use whimbrel_vault::VaultError;

use crate::exit::Exit;
use crate::output::safe;
use crate::problem::Problem;
use crate::rules;

/// A ledger that cannot be used. Its texts end with what to do, after a semicolon.
pub fn ledger(error: &LedgerError) -> Problem {
    sentence("ledger", &error.to_string(), "; ", Exit::Failed)
}

/// A vault that cannot be used. Its texts end with what to do, after a semicolon.
pub fn vault(error: &VaultError) -> Problem {
    let exit = match error {
        VaultError::Truncated { .. }
        | VaultError::Damaged { .. }
        | VaultError::Version { .. }
        | VaultError::Locked { .. }
        | VaultError::Sealing(_)
        | VaultError::Io { .. } => Exit::Failed,
        _ => Exit::Usage,
    };
    sentence("vault", &error.to_string(), "; ", exit)
}

/// Something that a provider of tokens, or the way to it, failed at.
pub fn login(failure: &Failure) -> Problem {
    let text = failure.to_string();
    let problem = sentence(failure.code(), &text, "; ", Exit::Failed);
    if problem.has_help() {
        problem
    } else {
        problem.help(remedy(failure))
    }
}

/// A run that ended as a whole.
pub fn engine(error: &EngineError) -> Problem {
    match error {
        EngineError::Ledger(error) => ledger(error),
        EngineError::Rules(error) => script(error),
    }
}

/// A rule that failed, where that ends what was begun.
pub fn script(error: &RuleError) -> Problem {
    rules::problem(Path::new(&error.problem.file), &error.problem, Exit::Failed)
}

/// A connector that cannot be loaded. The texts end with what to do, in a sentence of its own.
pub fn load(error: &LoadError, path: &Path) -> Problem {
    let exit = if matches!(error, LoadError::Engine { .. }) {
        Exit::Failed
    } else {
        Exit::Usage
    };
    let problem = sentence("connector", &error.to_string(), ". ", exit);
    if problem.has_help() {
        problem
    } else {
        problem.help(format!("the connector is {}", path.display()))
    }
}

/// One side of a mailbox that failed.
pub fn side(mailbox: &str, side: &str, failure: &Failure) -> Problem {
    Problem::new(
        failure.code(),
        format!("`{mailbox}`, {side}: {}", safe(&failure.to_string())),
        Exit::Partial,
    )
    .help(remedy(failure))
}

/// Up to the first `mark` what is wrong, behind it what to do.
fn sentence(code: &'static str, text: &str, mark: &str, exit: Exit) -> Problem {
    let text = safe(text);
    match text.split_once(mark) {
        Some((what, help)) => Problem::new(code, what, exit).help(help),
        None => Problem::new(code, text, exit),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_stands_apart() {
        let error = LedgerError::Locked {
            folder: "/state".into(),
            process: Some(7),
        };
        let problem = ledger(&error);
        assert_eq!(
            problem.message(),
            "the ledger in /state is in use by another whimbrel (process 7)"
        );
        assert!(
            problem.render().contains("help: wait until it has ended"),
            "{}",
            problem.render()
        );
        assert_eq!(problem.exit(), Exit::Failed);
    }

    #[test]
    fn a_failed_side_names_the_mailbox_and_the_remedy() {
        let problem = side(
            "alice",
            "source",
            &Failure::Unauthenticated("NO [AUTHENTICATIONFAILED]\u{1b}".into()),
        );
        let text = problem.render();
        for part in [
            "`alice`, source: the credentials were refused",
            "check the user name and the password",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
        assert!(!text.contains('\u{1b}'));
        assert_eq!(problem.json()["code"], "unauthenticated");
    }
}
