//! `report`: what a record says.

use super::Failure;
use crate::record::{self, RecordError};
use crate::report;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// A summary for people
    #[default]
    Table,
    /// The record
    Json,
    /// The record
    Yaml,
    /// One page with charts; to --out, else to standard output
    Html,
    /// Every chart as a picture, into the folder --out
    Png,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of a result, or its record.json
    result: PathBuf,
    /// What to print or write
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
    /// Where to write it instead of standard output; a file that exists is not overwritten
    #[arg(long, value_name = "FILE", required_if_eq("output", "png"))]
    out: Option<PathBuf>,
}

/// What cannot be said about a result.
#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum ReportError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Chart(#[from] report::ChartError),
    #[error("{} cannot be written: choose another place with --out", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("the record cannot be printed as YAML: {0}")]
    Yaml(String),
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let stored = record::load(&args.result).map_err(|error| Failure::input(ReportError::from(error)))?;
    let text = match args.output {
        Output::Table => report::summary(&stored.record, style(args.out.is_none())),
        Output::Json => serde_json::to_string_pretty(&stored.record).map_err(std::io::Error::from)? + "\n",
        Output::Yaml => serde_saphyr::to_string(&stored.record)
            .map_err(|error| Failure::environment(ReportError::Yaml(error.to_string())))?,
        Output::Html => report::page(&stored),
        Output::Png => return pictures(&stored, args.out.as_deref().unwrap_or(Path::new("."))),
    };
    match &args.out {
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
        Some(path) => {
            let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(|source| Failure::environment(ReportError::Write { path: path.clone(), source }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn pictures(stored: &record::Stored, folder: &Path) -> Result<ExitCode, Failure> {
    std::fs::create_dir_all(folder)
        .map_err(|source| Failure::environment(ReportError::Write { path: folder.to_owned(), source }))?;
    let names = report::png(stored, folder).map_err(|error| Failure::environment(ReportError::from(error)))?;
    let mut out = std::io::stdout().lock();
    for name in names {
        writeln!(out, "{}", folder.join(name).display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Colours for people at a terminal who did not ask for none (no-color.org).
pub(super) fn style(to_stdout: bool) -> report::Style {
    let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    report::Style { colour: to_stdout && !refused && std::io::stdout().is_terminal() }
}
