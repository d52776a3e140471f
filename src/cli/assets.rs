//! `assets DIR`: the two programs that test suites of controllers start.
//!
//! controller-runtime's `envtest`, and what is built on it, starts `kube-apiserver` and `etcd` from the folder that
//! `KUBEBUILDER_ASSETS` names. Both are this program under another name: the first serves one cluster, the second has
//! nothing to do but to be healthy, because the cluster is kept by the first.

mod etcd;
mod flags;
mod kube_apiserver;

use super::Failure;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Where they go; made if it does not exist
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

#[derive(Debug, thiserror::Error, miette::Diagnostic)]
enum AssetsError {
    #[error("{} exists and is none of ours", .0.display())]
    #[diagnostic(help("choose another folder"))]
    Foreign(PathBuf),
}

const NAMES: [&str; 2] = ["kube-apiserver", "etcd"];

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    let program = std::env::current_exe()?;
    let links = NAMES.map(|name| args.folder.join(name));
    // Before anything is changed.
    for link in &links {
        if link.symlink_metadata().is_ok() && !is_ours(link, &program) {
            return Err(Failure::input(AssetsError::Foreign(link.clone())));
        }
    }
    std::fs::create_dir_all(&args.folder)?;
    for link in &links {
        // A link of an earlier build leads to the program of that time.
        let _ = std::fs::remove_file(link);
        std::os::unix::fs::symlink(&program, link)?;
    }
    let folder = args.folder.canonicalize()?;
    writeln!(std::io::stdout().lock(), "export KUBEBUILDER_ASSETS={}", folder.display())?;
    Ok(ExitCode::SUCCESS)
}

/// Whether a link leads to a program of this name, wherever that was built.
fn is_ours(link: &Path, program: &Path) -> bool {
    link.read_link().is_ok_and(|target| target.file_name() == program.file_name())
}

/// Runs the program that this one was called as, if it was called by one of their names.
pub(super) fn called() -> Option<Result<ExitCode, Failure>> {
    let called = PathBuf::from(std::env::args_os().next()?);
    match called.file_name()?.to_str()? {
        "kube-apiserver" => Some(kube_apiserver::run()),
        "etcd" => Some(etcd::run()),
        _ => None,
    }
}
