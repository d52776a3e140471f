//! `version`.

use super::Failure;
use std::io::Write;
use std::process::ExitCode;

#[derive(Clone, Copy, Debug, Default, clap::ValueEnum)]
enum Output {
    #[default]
    Table,
    Json,
}

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
    let mut out = std::io::stdout().lock();
    match args.output {
        Output::Table => writeln!(out, "flamboyance {version} ({commit}, {profile})")?,
        Output::Json => {
            writeln!(out, "{}", serde_json::json!({ "version": version, "commit": commit, "profile": profile }))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
