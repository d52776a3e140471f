//! A run as a process of its own: so that none lives in the memory or on the threads of another, and a program of another
//! version can play as well.

use crate::record::{self, RecordError, Stored};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

/// A program and how it runs a scenario.
#[derive(Clone, Debug)]
pub struct Child {
    program: PathBuf,
    /// What stands behind `run`, without `--out`.
    arguments: Vec<OsString>,
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// The status of its process; what the codes mean stands in the README.
    pub status: ExitStatus,
    /// What it said on standard error.
    pub said: String,
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
    #[error("{} left no result ({}): {}", program.display(), ended.status, ended.said)]
    NoResult {
        /// Which.
        program: PathBuf,
        /// How it ended.
        ended: Ended,
    },
    /// Its result cannot be read.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Child {
    /// A flamboyance of any version with this format of scenario and record.
    #[must_use]
    pub fn new(program: PathBuf, scenario: &str, clock: &str) -> Self {
        Self { program, arguments: [scenario, "--clock", clock, "--quiet"].map(OsString::from).into() }
    }

    /// The same with overrides of the scenario.
    #[must_use]
    pub fn with<T: AsRef<str>>(mut self, sets: impl IntoIterator<Item = T>) -> Self {
        let pair = |set: T| ["--set".into(), set.as_ref().into()];
        self.arguments.extend(sets.into_iter().flat_map(pair));
        self
    }

    /// The same with all objects in its result.
    #[must_use]
    pub fn keeping_objects(mut self) -> Self {
        self.arguments.push("--objects".into());
        self
    }

    /// Runs the scenario once, into a folder that does not exist.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run(&self, out: &Path) -> Result<Ended, PlayError> {
        let mut command = Command::new(&self.program);
        command.arg("run").args(&self.arguments).arg("--out").arg(out);
        let output = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).output();
        let output = output.map_err(|source| PlayError::Start { program: self.program.clone(), source })?;
        Ok(Ended { status: output.status, said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
    }

    /// The same, and reads what it left. A result of a run that did not end well is one.
    ///
    /// # Errors
    /// When there is no result.
    pub fn play(&self, out: &Path) -> Result<Stored, PlayError> {
        let ended = self.run(out)?;
        if ended.status.code() == Some(130) {
            return Err(PlayError::Interrupted);
        }
        record::load(out).map_err(|error| match error {
            RecordError::Read { .. } => PlayError::NoResult { program: self.program.clone(), ended },
            other => other.into(),
        })
    }
}
