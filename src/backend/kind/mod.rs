//! Clusters of kind (Kubernetes in containers) for the time of a run.
//!
//! In: the programs `kind` and a container engine, what shall be made. Out: kubeconfigs of clusters that are ready. Their
//! nodes are no processes of ours and outlive whoever made them: names say which are ours, and [`Kind::ours`] finds
//! them. [`plan`] decides what kind is told.

pub mod plan;

use crate::units::Span;
use serde_json::Value;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

/// By this variable kind is told which engine to use.
const PROVIDER: &str = "KIND_EXPERIMENTAL_PROVIDER";
/// The engines that kind looks for, in its order (v0.32.0, `DetectNodeProvider`).
const ENGINES: [&str; 3] = ["docker", "nerdctl", "podman"];
/// The longest that one command may take: a cluster of four nodes with its image to fetch. Assumed, generous.
const PATIENCE: Span = Span::from_secs(900);
/// Lines of a failed command that are told.
const LAST_WORDS: usize = 8;

/// Why there is no kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKind {
    /// The program is absent.
    #[error(
        "the scenario asks for clusters of kind and no program `kind` is in PATH: \
         https://kind.sigs.k8s.io/docs/user/quick-start/#installation says where to get it; spec.backend `mock` and \
         `local-control-plane` do without"
    )]
    Program,
    /// Nothing runs containers.
    #[error(
        "kind needs docker, nerdctl or podman, and none of them is in PATH; spec.backend `mock` and `local-control-plane` do without"
    )]
    Engine,
    /// The engine does not answer.
    #[error("`{engine} info` fails, so kind cannot work: {words}")]
    Silent {
        /// Which.
        engine: String,
        /// What it said.
        words: String,
    },
}

/// Why kind did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum KindError {
    /// A command failed.
    #[error("`{command}` failed: {words}")]
    Failed {
        /// The command.
        command: String,
        /// The end of what it said.
        words: String,
    },
    /// A command never ended.
    #[error("`{command}` did not end within {PATIENCE}")]
    Slow {
        /// The command.
        command: String,
    },
    /// Files or processes.
    #[error("`{command}` cannot be run: {source}")]
    Run {
        /// The command.
        command: String,
        /// Why.
        source: io::Error,
    },
}

/// The programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kind {
    program: PathBuf,
    engine: PathBuf,
}

impl Kind {
    /// Finds the programs of this process's environment and asks the engine whether it works.
    ///
    /// # Errors
    /// What is missing.
    pub async fn find() -> Result<Self, NoKind> {
        let (path, provider) = (std::env::var_os("PATH"), std::env::var_os(PROVIDER));
        let found = find_in(path, provider, |path| path.is_file())?;
        match said(&found.engine, &["info".to_owned()]).await {
            Ok(_) => Ok(found),
            Err(error) => {
                let words = match error {
                    KindError::Failed { words, .. } => words,
                    other => other.to_string(),
                };
                Err(NoKind::Silent { engine: file_name(&found.engine), words })
            }
        }
    }

    /// Whether the engine has an image already; kind fetches the others, once per cluster.
    ///
    /// # Errors
    /// When the engine cannot be asked.
    pub async fn has(&self, image: &str) -> Result<bool, KindError> {
        let inspect = ["image", "inspect", image].map(str::to_owned);
        match said(&self.engine, &inspect).await {
            Ok(_) => Ok(true),
            Err(KindError::Failed { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Fetches an image.
    ///
    /// # Errors
    /// When the engine cannot.
    pub async fn fetch(&self, image: &str) -> Result<(), KindError> {
        said(&self.engine, &["pull", image].map(str::to_owned)).await.map(drop)
    }

    /// Makes a cluster and gives its kubeconfig, a file below `folder`. One that does not come up stays, for its logs.
    ///
    /// # Errors
    /// What kind said.
    pub async fn create(&self, name: &str, config: &Value, folder: &Path) -> Result<PathBuf, KindError> {
        let file = folder.join(format!("{name}.config.yaml"));
        let kubeconfig = kubeconfig_of(name, folder);
        let arguments = plan::create(name, &file, &kubeconfig);
        // JSON is YAML.
        std::fs::write(&file, config.to_string())
            .map_err(|source| KindError::Run { command: shown(&self.program, &arguments), source })?;
        said(&self.program, &arguments).await?;
        Ok(kubeconfig)
    }

    /// Deletes a cluster; one that is not there is no error.
    ///
    /// # Errors
    /// What kind said.
    pub async fn delete(&self, name: &str, folder: &Path) -> Result<(), KindError> {
        said(&self.program, &plan::delete(name, &kubeconfig_of(name, folder))).await.map(drop)
    }

    /// Keeps the logs of a cluster below `folder`.
    ///
    /// # Errors
    /// What kind said.
    pub async fn logs(&self, name: &str, folder: &Path) -> Result<(), KindError> {
        said(&self.program, &plan::logs(name, folder)).await.map(drop)
    }

    /// The clusters that a run made, or that all runs did.
    ///
    /// # Errors
    /// What kind said.
    pub async fn ours(&self, run: Option<&str>) -> Result<Vec<String>, KindError> {
        let (all, prefix) = (said(&self.program, &plan::list()).await?, plan::prefix(run));
        Ok(all.lines().map(str::trim).filter(|name| name.starts_with(&prefix)).map(str::to_owned).collect())
    }
}

fn kubeconfig_of(name: &str, folder: &Path) -> PathBuf {
    folder.join(format!("{name}.kubeconfig"))
}

/// The first program of each kind, as a shell would find it.
fn find_in(
    path: Option<OsString>,
    provider: Option<OsString>,
    is_there: impl Fn(&Path) -> bool,
) -> Result<Kind, NoKind> {
    let folders: Vec<PathBuf> = path.iter().flat_map(std::env::split_paths).collect();
    let find = |name: &str| folders.iter().map(|folder| folder.join(name)).find(|path| is_there(path));
    let program = find("kind").ok_or(NoKind::Program)?;
    let told = provider.and_then(|name| name.into_string().ok()).filter(|name| !name.is_empty());
    let engine = match told {
        Some(name) => find(&name),
        None => ENGINES.iter().find_map(|name| find(name)),
    };
    Ok(Kind { program, engine: engine.ok_or(NoKind::Engine)? })
}

/// What a command prints. It has a group of its own, because Ctrl-C in a terminal is for the harness, and ends when nobody
/// waits for it any more.
async fn said(program: &Path, arguments: &[String]) -> Result<String, KindError> {
    let command = || shown(program, arguments);
    let output = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .process_group(0)
        .kill_on_drop(true)
        .output();
    let output = match tokio::time::timeout(PATIENCE.to_std(), output).await {
        Err(_) => return Err(KindError::Slow { command: command() }),
        Ok(Err(source)) => return Err(KindError::Run { command: command(), source }),
        Ok(Ok(output)) => output,
    };
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = words.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let words = lines[lines.len().saturating_sub(LAST_WORDS)..].join(" | ");
    let words = if words.is_empty() { output.status.to_string() } else { words };
    Err(KindError::Failed { command: command(), words })
}

fn shown(program: &Path, arguments: &[String]) -> String {
    format!("{} {}", file_name(program), arguments.join(" "))
}

fn file_name(program: &Path) -> String {
    program.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engine_is_the_one_that_kind_would_take() {
        let check = |path: &str, provider: Option<&str>, there: &[&str], expected: Result<&str, NoKind>| {
            let is_there = |path: &Path| there.iter().any(|it| path == Path::new(it));
            let found = find_in(Some(path.into()), provider.map(OsString::from), is_there);
            assert_eq!(found.map(|kind| kind.engine), expected.map(PathBuf::from), "{there:?}");
        };
        check("/a:/b", None, &["/b/kind", "/a/podman", "/b/docker"], Ok("/b/docker"));
        check("/a:/b", None, &["/b/kind", "/a/podman"], Ok("/a/podman"));
        check("/a:/b", Some("podman"), &["/b/kind", "/a/podman", "/b/docker"], Ok("/a/podman"));
        check("/a:/b", Some(""), &["/b/kind", "/b/docker"], Ok("/b/docker"));
        check("/a:/b", Some("podman"), &["/b/kind", "/b/docker"], Err(NoKind::Engine));
        check("/a", None, &["/a/kind"], Err(NoKind::Engine));
        check("/a", None, &["/a/docker", "/b/kind"], Err(NoKind::Program));
    }
}
