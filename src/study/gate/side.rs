//! One side of a gate: a program and how it runs the scenario.

use crate::record::{self, RecordError, Stored};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// What is kept of a program's complaint.
const TAIL: usize = 2_000;

/// A program and how it runs the scenario.
#[derive(Clone, Debug)]
pub struct Side {
    /// The program: a flamboyance of any version with this format of scenario and record.
    pub program: PathBuf,
    /// What stands behind `run`, without `--out`.
    pub arguments: Vec<OsString>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum PlayError {
    /// It cannot be started.
    #[error("cannot start {}: {source}; is it a program for this machine?", program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// It was stopped by the user.
    #[error("interrupted")]
    Interrupted,
    /// It ended without a result.
    #[error("{} left no result ({status}): {said}", program.display())]
    NoResult {
        /// Which.
        program: PathBuf,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        said: String,
    },
    /// Its result cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Side {
    /// Runs the scenario once, into a folder that does not exist.
    ///
    /// # Errors
    /// When there is no result. A result of a run that did not end is one.
    pub fn play(&self, out: &Path) -> Result<Stored, PlayError> {
        let ran = Command::new(&self.program)
            .arg("run")
            .args(&self.arguments)
            .args(["--quiet".as_ref(), "--out".as_ref(), out.as_os_str()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .output()
            .map_err(|source| PlayError::Start { program: self.program.clone(), source })?;
        if ran.status.code() == Some(130) {
            return Err(PlayError::Interrupted);
        }
        record::load(out).map_err(|error| match error {
            RecordError::Read { .. } => {
                let said = tail(&ran.stderr);
                PlayError::NoResult { program: self.program.clone(), status: ran.status, said }
            }
            other => other.into(),
        })
    }
}

/// The end of what a program said.
fn tail(text: &[u8]) -> String {
    let from = text.len().saturating_sub(TAIL);
    String::from_utf8_lossy(&text[from..]).trim().to_owned()
}
