//! `explain NAME`.

use super::Failure;
use std::io::Write;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A key of the scenario, such as fleet.clusters or healthPoll
    name: String,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let name = &args.name;
    let text = crate::scenario::explain(name)
        .map_err(|hint| Failure::input(miette::miette!(help = hint, "nothing is called `{name}`")))?;
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
