//! Writes what verification finds, as it finds it: the record in the state folder, and the files that were asked for.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::json;
use whimbrel_engine::{Checked, Class, Difference, How, Stop, Verification, Witness};

use crate::exit::Exit;
use crate::problem::{Problem, Result};
use crate::verbs::{cannot, new_file};
use crate::verified::{Recorder, leaf};

/// Where to write.
#[derive(Debug, Clone, Default)]
pub struct Targets {
    /// One line a message, with its sigil.
    pub combined: Option<PathBuf>,
    /// A folder with a file for each class.
    pub differences: Option<PathBuf>,
}

/// Writes it all. The first failure stops the run.
pub struct Writer {
    state: Mutex<State>,
    stop: Stop,
}

struct State {
    combined: Option<BufWriter<File>>,
    classes: BTreeMap<Class, BufWriter<File>>,
    records: HashMap<String, Recorder>,
    failed: Option<io::Error>,
}

impl Writer {
    /// Opens everything. Nothing is overwritten but the records of the last verification, at the end.
    pub fn open(targets: &Targets, records: HashMap<String, Recorder>, stop: Stop) -> Result<Self> {
        let combined = targets.combined.as_deref().map(new_file).transpose()?;
        let mut classes = BTreeMap::new();
        if let Some(folder) = &targets.differences {
            fs::create_dir(folder).map_err(|error| cannot("make the folder", folder, &error))?;
            for class in Class::ALL {
                classes.insert(class, new_file(&folder.join(format!("{}.jsonl", class.code())))?);
            }
        }
        Ok(Self {
            state: Mutex::new(State {
                combined,
                classes,
                records,
                failed: None,
            }),
            stop,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, work: impl FnOnce(&mut State) -> io::Result<()>) {
        let mut state = self.state();
        if state.failed.is_some() {
            return;
        }
        if let Err(error) = work(&mut state) {
            state.failed = Some(error);
            self.stop.stop();
        }
    }

    /// Ends all files; the records of mailboxes that were verified in full take their places.
    pub fn finish(&self, verification: &Verification) -> Result<()> {
        self.keep(|state| {
            for file in state.combined.iter_mut().chain(state.classes.values_mut()) {
                file.flush()?;
            }
            for mailbox in &verification.mailboxes {
                let record = state.records.remove(&mailbox.name);
                if let Some(record) = record.filter(|_| mailbox.problems.is_empty() && !verification.interrupted) {
                    record.finish(mailbox)?;
                }
            }
            Ok(())
        });
        match self.state().failed.take() {
            None => Ok(()),
            Some(error) => Err(Box::new(Problem::new(
                "failed",
                format!("what was found could not be written: {error}"),
                Exit::Failed,
            ))),
        }
    }
}

impl Witness for Writer {
    fn item(&self, mailbox: &str, checked: &Checked) {
        self.keep(|state| {
            if let Some(record) = state.records.get_mut(mailbox) {
                record.message(&leaf(checked))?;
            }
            let sigil = match checked.how {
                How::Unreadable => '!',
                // What a rule left out is where it should be: nowhere.
                How::NotThere if checked.fate == "filtered" => '=',
                How::NotThere => '+',
                How::Different => checked.classes.iter().map(|class| class.sigil()).next().unwrap_or('*'),
                How::Bytes | How::Transport | How::Content | How::Listing => '=',
            };
            match &mut state.combined {
                Some(file) => writeln!(file, "{sigil} {mailbox}/{}/{}", checked.collection, checked.id),
                None => Ok(()),
            }
        });
    }

    fn difference(&self, mailbox: &str, difference: &Difference) {
        self.keep(|state| {
            if let (Class::Extra, Some(file), Some(place)) = (difference.class, &mut state.combined, &difference.place)
            {
                let id = place.id.as_deref().unwrap_or_default();
                writeln!(file, "- {mailbox}/{}/{id}", place.collection)?;
            }
            let Some(file) = state.classes.get_mut(&difference.class) else {
                return Ok(());
            };
            let mut line = json!({ "mailbox": mailbox });
            if let (Some(line), Ok(serde_json::Value::Object(fields))) =
                (line.as_object_mut(), serde_json::to_value(difference))
            {
                line.extend(fields);
            }
            writeln!(file, "{line}")
        });
    }
}
