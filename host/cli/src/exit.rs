//! Exit codes.

use std::process::ExitCode;

/// How the program ends; the numbers are stable and documented.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All well.
    Ok,
    /// Finished, but some items or mailboxes failed, or something is unexplained.
    Partial,
    /// Verification found a difference, or a proof or signature does not hold.
    Different,
    /// Bad usage or settings.
    Usage,
    /// The program failed.
    Failed,
    /// Interrupted; the state is flushed, run again to go on.
    Interrupted,
}

impl Exit {
    /// Every code with its meaning, in the order of the numbers.
    pub const TABLE: [(Self, &'static str); 6] = [
        (Self::Ok, "all well"),
        (Self::Failed, "the program failed"),
        (Self::Usage, "bad usage or settings"),
        (Self::Partial, "finished, but some items or mailboxes failed"),
        (
            Self::Different,
            "verification found a difference, or a proof or signature does not hold",
        ),
        (
            Self::Interrupted,
            "interrupted; the state is flushed, run again to go on",
        ),
    ];

    /// The number that the shell sees.
    pub fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Partial => 3,
            Self::Different => 4,
            Self::Interrupted => 130,
        }
    }

    /// The worse of both.
    pub fn and(self, other: Self) -> Self {
        self.max(other)
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_are_those_of_the_design() {
        let numbers: Vec<u8> = Exit::TABLE.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 130]);
    }

    #[test]
    fn the_worse_wins() {
        assert_eq!(Exit::Ok.and(Exit::Partial), Exit::Partial);
        assert_eq!(Exit::Interrupted.and(Exit::Partial), Exit::Interrupted);
        assert_eq!(Exit::Partial.and(Exit::Failed), Exit::Failed);
    }
}
