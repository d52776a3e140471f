//! What ends a command early: an exit code and a text for the reader.

use std::process::ExitCode;

/// A failed command. The exit codes are a promise to scripts.
#[derive(Debug)]
pub struct Failure {
    code: u8,
    report: miette::Report,
}

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

    /// Prints the failure on standard error and gives its exit code. A reader that closed the pipe is no failure.
    #[must_use]
    pub fn report(self) -> ExitCode {
        let broken_pipe = self.report.chain().any(|cause| {
            cause.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
        });
        if broken_pipe {
            return ExitCode::SUCCESS;
        }
        #[expect(clippy::print_stderr, reason = "the one place where errors are shown")]
        {
            eprintln!("{:?}", self.report);
        }
        ExitCode::from(self.code)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self { code: 3, report: miette::Report::from_err(error) }
    }
}
