//! `init`.

use super::Failure;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Write it to this file instead of standard output; a file that exists is left alone
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let text = crate::scenario::TEMPLATE;
    match &args.out {
        None => std::io::stdout().lock().write_all(text.as_bytes())?,
        Some(path) => {
            let shown = path.display();
            let mut file = std::fs::OpenOptions::new().write(true).create_new(true).open(path).map_err(|error| {
                if error.kind() == std::io::ErrorKind::AlreadyExists {
                    Failure::input(miette::miette!(help = "choose another name", "{shown} exists already"))
                } else {
                    Failure::environment(miette::miette!("cannot write {shown}: {error}"))
                }
            })?;
            file.write_all(text.as_bytes())?;
            writeln!(std::io::stdout().lock(), "wrote {shown}; try `flamboyance check {shown}`")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
