//! `destroy`: removes what runs left on a cluster.

use super::Failure;
use crate::drive::live::{guest, kind};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Kubeconfig of the cluster
    #[arg(long, env = "KUBECONFIG", value_name = "FILE", required_unless_present = "kind")]
    kubeconfig: Option<PathBuf>,
    /// Its context; the current one by default
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// What this run left: the value of the label flamboyance.dev/run; without it what all runs left
    #[arg(long, value_name = "RUN")]
    run: Option<String>,
    /// Delete clusters of kind that runs made, instead of objects on a cluster
    #[arg(long, conflicts_with = "context")]
    kind: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let Some(kubeconfig) = args.kubeconfig.as_deref().filter(|_| !args.kind) else { return clusters(args) };
    let (found, left) = guest::destroy(kubeconfig, args.context.as_deref(), args.run.as_deref())
        .map_err(|error| Failure::environment(miette::Report::from_err(error)))?;
    if left > 0 {
        return Err(Failure::environment(miette::miette!(
            help = "see what holds them: finalizers, or a namespace whose end no controller carries out",
            "{left} of {found} objects are still there"
        )));
    }
    writeln!(std::io::stdout().lock(), "{found} objects removed")?;
    Ok(ExitCode::SUCCESS)
}

/// Deletes clusters of kind.
fn clusters(args: &Args) -> Result<ExitCode, Failure> {
    let deleted =
        kind::destroy(args.run.as_deref()).map_err(|error| Failure::environment(miette::Report::from_err(error)))?;
    let mut out = std::io::stdout().lock();
    for name in &deleted {
        writeln!(out, "{name} deleted")?;
    }
    writeln!(out, "{} clusters deleted", deleted.len())?;
    Ok(ExitCode::SUCCESS)
}
