//! `schema`.

use super::Failure;
use std::io::Write;
use std::process::ExitCode;

pub(super) fn run() -> Result<ExitCode, Failure> {
    std::io::stdout().lock().write_all(crate::scenario::schema().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
