//! `whimbrel ledger export|import`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use serde_json::json;
use whimbrel_ledger::Ledger;

use crate::args::Global;
use crate::exit::Exit;
use crate::failures;
use crate::output::{Output, complain};
use crate::problem::{Problem, Result};
use crate::session::open_ledger;
use crate::settings::Settings;

/// Every record as JSON lines, to a new file or to standard output.
pub fn export(global: &Global, file: Option<&Path>, output: Output) -> Result<Exit> {
    let settings = Settings::load(&global.config)?;
    let ledger = open_ledger(&settings, false)?;
    let Some(path) = file else {
        let mut out = BufWriter::new(io::stdout().lock());
        write(&ledger, &mut out)?;
        out.flush()
            .map_err(|error| Box::new(Problem::failed(format!("cannot write to standard output: {error}"))))?;
        return Ok(Exit::Ok);
    };
    let refused = |error: io::Error| {
        let problem = Problem::io("write the export to", path, &error);
        Box::new(match error.kind() {
            io::ErrorKind::AlreadyExists => {
                problem.help("name a file that is not there yet: an export overwrites nothing")
            }
            _ => problem,
        })
    };
    let whole = File::create_new(path).map_err(refused).and_then(|file| {
        let mut out = BufWriter::new(file);
        write(&ledger, &mut out)?;
        out.flush()
            .and_then(|()| out.get_ref().sync_all())
            .map_err(refused)
            .inspect_err(|_| {
                // Half an export would be taken for a whole one.
                let _ = std::fs::remove_file(path);
            })
    });
    whole?;
    output.document(json!({ "file": path.display().to_string() }), Exit::Ok);
    output.say(format!("the ledger is in {}", path.display()));
    Ok(Exit::Ok)
}

fn write(ledger: &Ledger, out: &mut dyn Write) -> Result<()> {
    ledger.export(out).map_err(|error| Box::new(failures::ledger(&error)))
}

/// An export into a ledger that is not there yet, or is empty.
pub fn import(global: &Global, file: &Path, output: Output) -> Result<Exit> {
    let settings = Settings::load(&global.config)?;
    let mut reader: Box<dyn BufRead> = if file == Path::new("-") {
        Box::new(io::stdin().lock())
    } else {
        let opened = File::open(file).map_err(|error| Box::new(Problem::io("read the export", file, &error)))?;
        Box::new(BufReader::new(opened))
    };
    Ledger::import(&settings.state, &mut reader).map_err(|error| Box::new(failures::ledger(&error)))?;
    let state = settings.state.display().to_string();
    output.document(json!({ "state": state }), Exit::Ok);
    if !output.is_json() {
        complain(&format!(
            "the ledger is in {state}; `whimbrel status` shows where things stand"
        ));
    }
    Ok(Exit::Ok)
}
