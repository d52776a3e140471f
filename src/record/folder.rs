//! The folder of a result: made once, never overwritten, whole at any moment.
//!
//! `record.json` is there from the start with status `partial`, and is replaced in one step at the end. So a run that is
//! killed leaves nothing, or a record that says what it is.

use super::model::{FileKind, FileRecord, Reason, RunRecord, SCHEMA_VERSION, Status};
use super::series::{self, ProcessSample};
use super::{assemble, histograms};
use crate::measure::process::Usage;
use crate::measure::{Latencies, Outcome, Window};
use crate::units::Time;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

const RECORD: &str = "record.json";
const HISTOGRAMS: &str = "histograms.hlog";
const WINDOWS: &str = "timeseries.csv";
const PROCESSES: &str = "processes.csv";
const SCENARIO: &str = "scenario.yaml";

/// Why a result cannot be written or read.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The folder is there already.
    #[error("{} exists already and results are never overwritten: choose another folder with --out", .0.display())]
    Exists(PathBuf),
    /// The disk is full.
    #[error("no space left for {}: free some, or choose another disk with --out", .0.display())]
    DiskFull(PathBuf),
    /// It cannot be written.
    #[error("{} cannot be written: choose another folder with --out", path.display())]
    Write {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It cannot be read.
    #[error("{} cannot be read: give the folder of a result, or its record.json", path.display())]
    Read {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is no record.
    #[error("{} is not a record of ours: {problem}", path.display())]
    Malformed {
        /// What.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// A later version wrote it.
    #[error("{} has schema version {version}, and this program reads up to {SCHEMA_VERSION}: use a newer flamboyance", path.display())]
    TooNew {
        /// What.
        path: PathBuf,
        /// Its version.
        version: u64,
    },
}

/// A result that is being written.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    files: Vec<FileRecord>,
}

/// A result that was read.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Where it is.
    pub path: PathBuf,
    /// The record.
    pub record: RunRecord,
    /// Its histograms.
    pub latencies: Latencies,
    /// Its time series.
    pub windows: Vec<Window>,
    /// Readings of its processes.
    pub samples: Vec<ProcessSample>,
    /// The effective scenario.
    pub scenario: String,
}

impl Folder {
    /// Makes the folder, and those above it, with the record of a run that begins.
    ///
    /// # Errors
    /// [`RecordError::Exists`] when it is there, others when it cannot be written.
    pub fn create(path: &Path, begun: &RunRecord) -> Result<Self, RecordError> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(|e| failed(parent, e))?;
        }
        fs::create_dir(path).map_err(|e| match e.kind() {
            io::ErrorKind::AlreadyExists => RecordError::Exists(path.to_owned()),
            _ => failed(path, e),
        })?;
        let folder = Self { path: path.to_owned(), files: Vec::new() };
        folder.write_record(begun).inspect_err(|_| {
            // A folder without a record is no result: better none. It may be gone already.
            let _ = fs::remove_dir(path);
        })?;
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes histograms, time series and the scenario.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_measurements(
        &mut self,
        outcome: &Outcome,
        usages: &[&Usage],
        start: Time,
        scenario: &str,
    ) -> Result<(), RecordError> {
        let seconds = outcome.windows.last().map_or(0.0, |w| w.at.as_secs_f64());
        let log = histograms::write(&outcome.latencies, seconds)
            .map_err(|problem| failed(&self.path.join(HISTOGRAMS), io::Error::other(problem)))?;
        self.write(HISTOGRAMS, FileKind::Histograms, &log)?;
        self.write(WINDOWS, FileKind::TimeSeries, series::write_windows(&outcome.windows).as_bytes())?;
        let readings = series::write_processes(usages.iter().copied(), start);
        self.write(PROCESSES, FileKind::Processes, readings.as_bytes())?;
        self.write(SCENARIO, FileKind::Scenario, scenario.as_bytes())
    }

    /// Writes one more file and lists it.
    ///
    /// # Errors
    /// When it cannot be written; nothing of it is left.
    pub fn write(&mut self, name: &str, kind: FileKind, bytes: &[u8]) -> Result<(), RecordError> {
        replace(&self.path.join(name), bytes)?;
        let sha256 = assemble::hex(&Sha256::digest(bytes));
        self.files.push(FileRecord { path: name.to_owned(), kind, sha256 });
        Ok(())
    }

    /// The result so far with this record, for a report that becomes part of it.
    ///
    /// # Errors
    /// When a file that was just written cannot be read.
    pub fn stored(&self, record: RunRecord) -> Result<Stored, RecordError> {
        read_beside(&self.path, record)
    }

    /// Replaces the record by the final one, with the files listed. When the disk is full the other files make room, and
    /// the record says so.
    ///
    /// # Errors
    /// When even that fails: then the record of the beginning stays.
    pub fn close(self, mut record: RunRecord) -> Result<RunRecord, RecordError> {
        record.files.clone_from(&self.files);
        match self.write_record(&record) {
            Err(RecordError::DiskFull(_)) => self.close_full(record),
            Err(error) => Err(error),
            Ok(()) => Ok(record),
        }
    }

    /// Ends a run whose files did not fit the disk: they go, the record stays and says so.
    ///
    /// # Errors
    /// When even the record does not fit.
    pub fn close_full(self, mut record: RunRecord) -> Result<RunRecord, RecordError> {
        for file in &self.files {
            // What cannot be removed takes room, no more.
            let _ = fs::remove_file(self.path.join(&file.path));
        }
        record.files.clear();
        if record.status == Status::Complete {
            record.status = Status::Partial;
        }
        record.reason = Some(Reason::DiskFull);
        self.write_record(&record)?;
        Ok(record)
    }

    fn write_record(&self, record: &RunRecord) -> Result<(), RecordError> {
        let path = self.path.join(RECORD);
        let mut text = serde_json::to_vec_pretty(record).map_err(|e| failed(&path, e.into()))?;
        text.push(b'\n');
        replace(&path, &text)
    }
}

/// Writes a file beside its place, makes it durable, and moves it there in one step.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), RecordError> {
    let beside = path.with_extension("partial");
    let write = || -> io::Result<()> {
        let mut file = fs::File::create(&beside)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&beside, path)
    };
    write().map_err(|error| {
        // It may never have been made.
        let _ = fs::remove_file(&beside);
        failed(path, error)
    })
}

fn failed(path: &Path, source: io::Error) -> RecordError {
    match source.kind() {
        // The last is the limit of this process (`ulimit -f`).
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            RecordError::DiskFull(path.to_owned())
        }
        _ => RecordError::Write { path: path.to_owned(), source },
    }
}

/// Reads a result: its folder, or the `record.json` in it. Files that are missing (a partial run, or an older version)
/// leave their part empty.
///
/// # Errors
/// When there is no record, or it is not one of ours, or of a later version.
pub fn load(path: &Path) -> Result<Stored, RecordError> {
    let file = if path.is_dir() { path.join(RECORD) } else { path.to_owned() };
    let text = fs::read_to_string(&file).map_err(|source| RecordError::Read { path: file.clone(), source })?;
    let record = parse(&file, &text)?;
    read_beside(file.parent().unwrap_or(Path::new(".")), record)
}

fn parse(file: &Path, text: &str) -> Result<RunRecord, RecordError> {
    let malformed = |problem: String| RecordError::Malformed { path: file.to_owned(), problem };
    let value: serde_json::Value = serde_json::from_str(text).map_err(|e| malformed(e.to_string()))?;
    match value.get("schema_version").and_then(serde_json::Value::as_u64) {
        None => return Err(malformed("it has no schema_version".to_owned())),
        Some(version) if version > SCHEMA_VERSION.into() => {
            return Err(RecordError::TooNew { path: file.to_owned(), version });
        }
        Some(_) => {}
    }
    serde_json::from_value(value).map_err(|e| malformed(e.to_string()))
}

fn read_beside(folder: &Path, record: RunRecord) -> Result<Stored, RecordError> {
    let malformed =
        |name: &str, problem: &str| RecordError::Malformed { path: folder.join(name), problem: problem.to_owned() };
    let table = "its columns are not those of this version";
    let latencies = match optional(folder, HISTOGRAMS)? {
        Some(bytes) => histograms::read(&bytes).map_err(|problem| malformed(HISTOGRAMS, &problem))?,
        None => Latencies::default(),
    };
    let text = |name: &str| -> Result<Option<String>, RecordError> {
        Ok(optional(folder, name)?.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()))
    };
    let windows = match text(WINDOWS)? {
        Some(text) => series::read_windows(&text).ok_or_else(|| malformed(WINDOWS, table))?,
        None => Vec::new(),
    };
    let samples = match text(PROCESSES)? {
        Some(text) => series::read_processes(&text).ok_or_else(|| malformed(PROCESSES, table))?,
        None => Vec::new(),
    };
    let scenario = text(SCENARIO)?.unwrap_or_default();
    Ok(Stored { path: folder.to_owned(), record, latencies, windows, samples, scenario })
}

fn optional(folder: &Path, name: &str) -> Result<Option<Vec<u8>>, RecordError> {
    let path = folder.join(name);
    match fs::read(&path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(RecordError::Read { path, source }),
    }
}

#[cfg(test)]
mod tests;
