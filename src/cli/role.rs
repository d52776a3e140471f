//! `role`: what children of a live run are. Hidden, because it makes no sense without the harness.

use super::Failure;
use crate::drive::live::{Role, play};
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum Name {
    Hub,
    Leaves,
    Above,
    Manager,
    Sources,
}

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The role
    #[arg(value_enum)]
    role: Name,
    /// The file of settings
    settings: PathBuf,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let role = match args.role {
        Name::Hub => Role::Hub,
        Name::Leaves => Role::Leaves,
        Name::Above => Role::Above,
        Name::Manager => Role::Manager,
        Name::Sources => Role::Sources,
    };
    play(role, &args.settings).map_err(|error| Failure::environment(miette::Report::from_err(error)))?;
    Ok(ExitCode::SUCCESS)
}
