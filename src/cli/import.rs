//! `import`: what people have, as a scenario.

use super::Failure;
use crate::scenario::import::{self, Way};
use serde_json::Value;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(Debug, clap::Subcommand)]
pub(super) enum Args {
    /// Write a scenario that installs an add-on like these manifests: `kustomize build DIR`, `helm template CHART`
    Addon(Addon),
    /// Write a scenario with a fleet like an installation of Argo CD:
    /// `kubectl get secrets,applications.argoproj.io -n argocd -o yaml | flamboyance import fleet -`
    Fleet(Fleet),
}

#[derive(Debug, clap::Args)]
pub(super) struct Fleet {
    /// Cluster Secrets and Applications: a file, a folder of files, or `-` for standard input. Credentials are not read
    manifests: PathBuf,
    /// Write hashes in place of names of repositories, paths, charts, regions and environments
    #[arg(long)]
    hash_names: bool,
}

#[derive(Debug, clap::Args)]
pub(super) struct Addon {
    /// A file of manifests, a folder whose .yaml, .yml and .json files are manifests, or `-` for standard input
    manifests: PathBuf,
    /// The name of the add-on [default: that of the file or folder]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// Its version
    #[arg(long, value_name = "VERSION", default_value = "v1")]
    version: String,
    /// It comes as a chart, not by Kustomize
    #[arg(long)]
    helm: bool,
}

pub(super) fn run(args: &Args) -> Result<ExitCode, Failure> {
    match args {
        Args::Addon(args) => addon(args),
        Args::Fleet(args) => {
            let text = import::fleet(&read(&args.manifests)?, args.hash_names);
            say(&text.map_err(|error| Failure::input(miette::Report::from_err(error)))?)
        }
    }
}

fn say(text: &str) -> Result<ExitCode, Failure> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

fn addon(args: &Addon) -> Result<ExitCode, Failure> {
    let objects = read(&args.manifests)?;
    let stem = args.manifests.canonicalize().ok();
    let stem = stem.as_deref().and_then(Path::file_stem).and_then(|stem| stem.to_str());
    let name = args.name.clone().unwrap_or_else(|| stem.unwrap_or("addon").to_lowercase());
    let way = if args.helm { Way::Helm } else { Way::Kustomize };
    let text = import::addon(&objects, &name, &args.version, way);
    say(&text.map_err(|error| Failure::input(miette::Report::from_err(error)))?)
}

/// All objects of a file, a folder or standard input, in the order of the files' names.
fn read(path: &Path) -> Result<Vec<Value>, Failure> {
    let cannot = |path: &Path, error: &dyn std::fmt::Display| {
        Failure::input(miette::miette!("cannot read {} as manifests: {error}", path.display()))
    };
    if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().lock().read_to_string(&mut text)?;
        return serde_saphyr::from_multiple(&text).map_err(|error| cannot(path, &error));
    }
    if !path.is_dir() {
        let text = std::fs::read_to_string(path).map_err(|error| cannot(path, &error))?;
        return serde_saphyr::from_multiple(&text).map_err(|error| cannot(path, &error));
    }
    let listed = std::fs::read_dir(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let mut below: Vec<PathBuf> =
        listed.map_err(|error| cannot(path, &error))?.into_iter().map(|entry| entry.path()).collect();
    below.sort();
    let manifests = |path: &PathBuf| {
        let extension = path.extension().and_then(|end| end.to_str()).unwrap_or_default();
        path.is_dir() || ["yaml", "yml", "json"].contains(&extension)
    };
    let all: Result<Vec<Vec<Value>>, Failure> =
        below.iter().filter(|path| manifests(path)).map(|path| read(path)).collect();
    all.map(|all| all.concat())
}
