//! What ends a command early: an exit code and a text for the reader.

use std::io::Write;
use std::process::ExitCode;

/// A failed command. The exit codes are a promise to scripts.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    report: miette::Report,
}

/// The code of a failure that is none: the reader closed the pipe.
const SILENT: u8 = 0;

impl Failure {
    /// Exit code 1: a gate or an expectation failed, or apps ended unhealthy.
    pub fn unmet(report: impl Into<miette::Report>) -> Self {
        Self { code: 1, report: report.into() }
    }

    /// Exit code 2: the user's input is bad; nothing was changed.
    pub fn input(report: impl Into<miette::Report>) -> Self {
        Self { code: 2, report: report.into() }
    }

    /// Exit code 3: the machine or another system refused (a port in use, a folder that cannot be written).
    pub fn environment(report: impl Into<miette::Report>) -> Self {
        Self { code: 3, report: report.into() }
    }

    /// Exit code 130: the user stopped it.
    pub fn interrupted(report: impl Into<miette::Report>) -> Self {
        Self { code: 130, report: report.into() }
    }

    /// Prints the failure on standard error and gives its exit code. A reader that closed the pipe is no failure.
    #[must_use]
    pub fn report(self) -> ExitCode {
        if self.code != SILENT {
            // A reader that closed standard error does not want to know.
            let _ = writeln!(std::io::stderr(), "{:?}", self.report);
        }
        ExitCode::from(self.code)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        let code = if error.kind() == std::io::ErrorKind::BrokenPipe { SILENT } else { 3 };
        Self { code, report: miette::Report::from_err(error) }
    }
}
