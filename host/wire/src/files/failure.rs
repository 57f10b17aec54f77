//! What an error of the file system means to a connector.

use std::io;

use whimbrel_model::Failure;

/// `attempt` on `path` (relative to the folder) failed with `error`.
pub(super) fn failed(attempt: &str, path: &str, error: &io::Error) -> Failure {
    use io::ErrorKind as Kind;
    let text = match error.kind() {
        Kind::StorageFull => format!("{attempt} {path:?}: the disk is full; free some space and run again"),
        Kind::QuotaExceeded => format!("{attempt} {path:?}: the disk quota is used up; raise it and run again"),
        _ => format!("{attempt} {path:?}: {error}"),
    };
    match error.kind() {
        Kind::StorageFull | Kind::QuotaExceeded => Failure::OverQuota(text),
        Kind::PermissionDenied | Kind::ReadOnlyFilesystem => Failure::Forbidden(text),
        Kind::NotFound => Failure::NotFound(text),
        Kind::AlreadyExists
        | Kind::NotADirectory
        | Kind::IsADirectory
        | Kind::DirectoryNotEmpty
        | Kind::InvalidFilename
        | Kind::InvalidInput
        | Kind::FileTooLarge => Failure::Rejected(text),
        Kind::CrossesDevices => Failure::Unsupported(text),
        _ if is_loop(error) => Failure::Rejected(text),
        _ => Failure::Unavailable(text),
    }
}

/// Whether nothing is there: no such name, or something on the way is not a directory.
pub(super) fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

#[cfg(unix)]
fn is_loop(error: &io::Error) -> bool {
    error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

#[cfg(not(unix))]
fn is_loop(_: &io::Error) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn errors_mean_what_the_contract_says() {
        use rustix::io::Errno;
        for (errno, code) in [
            (Errno::NOSPC, "over-quota"),
            (Errno::DQUOT, "over-quota"),
            (Errno::ACCESS, "forbidden"),
            (Errno::PERM, "forbidden"),
            (Errno::ROFS, "forbidden"),
            (Errno::NOENT, "not-found"),
            (Errno::EXIST, "rejected"),
            (Errno::NOTDIR, "rejected"),
            (Errno::ISDIR, "rejected"),
            (Errno::NOTEMPTY, "rejected"),
            (Errno::NAMETOOLONG, "rejected"),
            (Errno::LOOP, "rejected"),
            (Errno::XDEV, "unsupported"),
            (Errno::IO, "unavailable"),
            (Errno::STALE, "unavailable"),
            (Errno::MFILE, "unavailable"),
        ] {
            let failure = failed("writing", "a/b", &errno.into());
            assert_eq!(failure.code(), code, "{errno:?}");
            assert!(failure.to_string().contains("a/b"), "{failure}");
        }
    }
}
