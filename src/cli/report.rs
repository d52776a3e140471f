//! `report`: what a record says.

use super::Failure;
use super::output::{self, Output};
use crate::record::{self, RecordError};
use crate::report;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Form {
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
    /// Every metric with its unit and value
    Csv,
    /// Text that Prometheus reads, with the names of Kubernetes, controller-runtime and Argo CD
    Openmetrics,
    /// A test case per thing that a run must be, for a CI server
    Junit,
    /// `customSmallerIsBetter` of github-action-benchmark
    Benchmark,
    /// Bencher Metric Format
    Bencher,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The folder of a result, or its record.json
    result: PathBuf,
    /// What to print or write
    #[arg(short, long, value_enum, default_value_t)]
    output: Form,
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
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let stored = record::load(&args.result).map_err(|error| Failure::input(ReportError::from(error)))?;
    let record = |form| output::record(&stored.record, form, output::style(args.out.is_none()));
    let text = match args.output {
        Form::Table => record(Output::Table)?,
        Form::Json => record(Output::Json)?,
        Form::Yaml => record(Output::Yaml)?,
        Form::Html => report::page(&stored),
        Form::Csv => report::csv(&stored),
        Form::Openmetrics => report::openmetrics(&stored.record, &stored.latencies),
        Form::Junit => report::junit(&stored),
        Form::Benchmark => report::benchmark(&stored),
        Form::Bencher => report::bencher(&stored),
        Form::Png => return pictures(&stored, args.out.as_deref().unwrap_or(Path::new("."))),
    };
    match &args.out {
        None => output::print(&text)?,
        Some(path) => {
            let written = std::fs::File::create_new(path).and_then(|mut file| file.write_all(text.as_bytes()));
            written.map_err(|source| cannot_write(path, source))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn pictures(stored: &record::Stored, folder: &Path) -> Result<ExitCode, Failure> {
    std::fs::create_dir_all(folder).map_err(|source| cannot_write(folder, source))?;
    let names = report::png(stored, folder).map_err(|error| Failure::environment(ReportError::from(error)))?;
    let mut out = std::io::stdout().lock();
    for name in names {
        writeln!(out, "{}", folder.join(name).display())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A place that is taken is the user's to choose, as it is for `run`.
fn cannot_write(path: &Path, source: std::io::Error) -> Failure {
    let taken = source.kind() == std::io::ErrorKind::AlreadyExists;
    let error = ReportError::Write { path: path.to_owned(), source };
    if taken { Failure::input(error) } else { Failure::environment(error) }
}
