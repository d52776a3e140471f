//! `version`.

use super::Failure;
use super::output::{self, Output};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// How to print it
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let version = env!("CARGO_PKG_VERSION");
    let commit = option_env!("FLAMBOYANCE_COMMIT").unwrap_or("unknown");
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let document = serde_json::json!({ "version": version, "commit": commit, "profile": profile });
    output::print(&match args.output {
        Output::Table => format!("flamboyance {version} ({commit}, {profile})\n"),
        Output::Json => output::json(&document)?,
        Output::Yaml => output::yaml(&document)?,
    })?;
    Ok(ExitCode::SUCCESS)
}
