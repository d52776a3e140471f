//! `explain NAME`.

use super::Failure;
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A key of the scenario (fleet.clusters), a field of the record (counts.objects), a hop (fetched), a kind of change
    /// (drift) or a warning (host-saturated)
    name: String,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let name = &args.name;
    let text = crate::report::explain(name)
        .map_err(|hint| Failure::input(miette::miette!(help = hint, "nothing is called `{name}`")))?;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
