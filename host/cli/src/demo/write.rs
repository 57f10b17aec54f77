//! Writes the sample account to disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use super::messages::{KEYWORDS, Sample};

/// Both samples below `folder`: `spool` and `Maildir`.
pub fn lay_out(folder: &Path, spool: &[Sample], maildir: &[Sample]) -> io::Result<()> {
    write_spool(&folder.join("spool"), spool)?;
    write_maildir(&folder.join("Maildir"), maildir)
}

/// One mbox file (mboxrd: lines that begin with From are quoted, reversibly) for each folder.
fn write_spool(root: &Path, samples: &[Sample]) -> io::Result<()> {
    fs::create_dir_all(root)?;
    for sample in samples {
        let file = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(root.join(sample.folder.join("/")))?;
        let mut out = io::BufWriter::new(file);
        writeln!(out, "From bo@old.example {}", asctime(sample.received))?;
        write_quoted(&mut out, sample)?;
        out.write_all(b"\n")?;
        out.flush()?;
    }
    Ok(())
}

/// Header with the flags in `Status` and `X-Status`, as mutt and Pine write them; then the body, quoted.
fn write_quoted(out: &mut impl Write, sample: &Sample) -> io::Result<()> {
    let mut header = true;
    for line in sample.content.split_inclusive(|&byte| byte == b'\n') {
        if header && line == b"\n" {
            header = false;
            let has = |letter: char| sample.flags.contains(letter);
            writeln!(out, "Status: {}O", if has('S') { "R" } else { "" })?;
            let more: String = [('R', 'A'), ('F', 'F')]
                .iter()
                .filter(|(flag, _)| has(*flag))
                .map(|(_, letter)| *letter)
                .collect();
            if !more.is_empty() {
                writeln!(out, "X-Status: {more}")?;
            }
        }
        let arrows = line.iter().take_while(|&&byte| byte == b'>').count();
        if !header && line[arrows..].starts_with(b"From ") {
            out.write_all(b">")?;
        }
        out.write_all(line)?;
    }
    Ok(())
}

/// Maildir++: folders are directories `.Parent.Child`, their names in modified UTF-7.
fn write_maildir(root: &Path, samples: &[Sample]) -> io::Result<()> {
    for (number, sample) in samples.iter().enumerate() {
        let folder = match sample.folder {
            ["INBOX"] => root.to_owned(),
            path => root.join(format!(
                ".{}",
                path.iter().map(|name| encoded(name)).collect::<Vec<_>>().join(".")
            )),
        };
        for part in ["cur", "new", "tmp"] {
            fs::create_dir_all(folder.join(part))?;
        }
        let keywords: String = KEYWORDS
            .iter()
            .enumerate()
            .map(|(number, keyword)| format!("{number} {keyword}\n"))
            .collect();
        fs::write(folder.join("dovecot-keywords"), keywords)?;
        let name = format!("{}.M{number}P1.old:2,{}", sample.received, sample.flags);
        let mut file = File::create(folder.join("cur").join(name))?;
        file.write_all(&sample.content)?;
        file.set_modified(UNIX_EPOCH + Duration::from_secs(sample.received.into()))?;
    }
    Ok(())
}

/// Modified UTF-7 (RFC 3501, 5.1.3) of the few names that the sample has.
fn encoded(name: &str) -> String {
    name.replace('&', "&-")
        .replace('\u{fc}', "&APw-")
        .replace('\u{1f426}', "&2D3cJg-")
}

/// `Tue Nov 14 07:20:00 2017`, UTC.
fn asctime(seconds: u32) -> String {
    match jiff::Timestamp::from_second(seconds.into()) {
        Ok(time) => time.strftime("%a %b %e %H:%M:%S %Y").to_string(),
        // Any second that fits 32 bits is a date.
        Err(_) => "Thu Jan  1 00:00:00 1970".to_owned(),
    }
}

/// The settings of one of the two migrations.
pub fn settings_file(name: &str, connector: &str, root: &str) -> String {
    format!(
        "# Written by `whimbrel demo`. See docs/settings.md for what can stand here.\n\
         [migration]\nname = \"{name}\"\nstate = \"state/{connector}\"\n\n\
         [source]\nconnector = \"{connector}\"\nsettings = {{ root = \"{root}\" }}\n\n\
         [destination]\nconnector = \"maildir\"\nsettings = {{ root = \"new/alice\" }}\n\n\
         [rules]\nscript = \"rules.rhai\"\n\n\
         [[mailbox]]\nname = \"alice\"\n"
    )
}

#[cfg(test)]
mod tests {
    use super::super::{maildir, spool};
    use super::*;
    use crate::settings::Settings;

    #[test]
    fn both_samples_lie_where_they_should() {
        let folder = tempfile::tempdir().unwrap();
        lay_out(folder.path(), &spool(), &maildir()).unwrap();
        let inbox = fs::read(folder.path().join("spool/INBOX")).unwrap();
        let text = String::from_utf8_lossy(&inbox);
        assert!(
            text.starts_with("From bo@old.example Tue Nov 14 07:20:00 2017\nFrom: Bo Wader"),
            "{text}"
        );
        assert!(
            text.contains("\n>From here it is not far.\n>>From there neither.\n>>>From nowhere.\n"),
            "{text}"
        );
        assert!(text.contains("\nStatus: RO\nX-Status: A\n\nStraight"), "{text}");
        for name in [
            ".Archive.2019",
            ".&2D3cJg- birds",
            ".R&-D.Entw&APw-rfe",
            "cur/1560000060.M1P1.old:2,Fa",
        ] {
            assert!(folder.path().join("Maildir").join(name).exists(), "{name}");
        }
    }

    #[test]
    fn the_settings_are_good() {
        let text = settings_file("demo-spool", "mbox", "old/spool");
        let settings = Settings::parse(Path::new("demo-out/spool.toml"), &text).unwrap();
        assert!(settings.warnings.is_empty() && settings.mailboxes.len() == 1);
    }
}
