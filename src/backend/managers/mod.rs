//! The real Argo CD and Flux as the managers of a run: their own programs, started for it.
//!
//! In: the folder of the programs and a scenario, a kubeconfig of the hub. Out: processes that are at work, or what is
//! absent. Which arguments they get is decided in `argocd` and `flux`, as values.

mod argocd;
mod flux;

use super::hex;
use super::programs::{Ended, Program, Running, free_ports};
use crate::scenario::{Manager, ManagerKind, Scenario};
use crate::units::Span;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

/// The name of their folder below that of a run; their logs are in it.
pub const FOLDER: &str = "managers";
/// How long each of them may take until it listens: 2 s on a quiet machine (measured).
const PATIENCE: Span = Span::from_secs(120);
/// The most controllers of one Argo CD: ports are found at once.
const SHARDS_MAX: usize = 64;

/// Where the programs are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found(BTreeMap<&'static str, PathBuf>);

/// Why they cannot be started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPrograms {
    /// One of their own.
    #[error(
        "manager.command is {} and has no {program}: let it name a folder with {}; `tests/controllers/run` builds them",
        folder.display(), needed.join(", ")
    )]
    Absent {
        /// The folder.
        folder: PathBuf,
        /// What is not in it.
        program: &'static str,
        /// What should be.
        needed: Vec<&'static str>,
    },
    /// One that they use.
    #[error("Argo CD needs {program}, which is not in PATH: install it (on Debian the package of the same name)")]
    Beside {
        /// Which.
        program: &'static str,
    },
}

/// Why they do not work.
#[derive(Debug, thiserror::Error)]
pub enum ManagersError {
    /// Files, ports or processes.
    #[error("cannot start the managers below {}: {source}", folder.display())]
    Start {
        /// Their folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// One of them ended.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// One of them never listened.
    #[error("{program} did not listen within {PATIENCE}; is the machine overloaded? its last words: {words}")]
    Slow {
        /// Which.
        program: &'static str,
        /// The end of its log.
        words: String,
    },
}

/// What a program stands on.
struct Ground<'a> {
    /// A private folder.
    folder: &'a Path,
    /// The way to the hub.
    kubeconfig: &'a Path,
}

/// Finds the programs of a scenario's managers; none if they are ours.
///
/// # Errors
/// What is missing.
pub fn find(manager: &Manager) -> Result<Option<Found>, NoPrograms> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let search: Vec<PathBuf> = std::env::split_paths(&path).collect();
    find_in(manager, &search, |path| path.is_file())
}

fn find_in(
    manager: &Manager,
    search: &[PathBuf],
    is_there: impl Fn(&Path) -> bool,
) -> Result<Option<Found>, NoPrograms> {
    let Some(command) = &manager.command else { return Ok(None) };
    let folder = PathBuf::from(command);
    let (own, beside): (&[_], &[_]) = match manager.kind {
        ManagerKind::Argocd(_) => (&argocd::PROGRAMS, &argocd::BESIDE),
        ManagerKind::Flux => (&flux::PROGRAMS, &[]),
        ManagerKind::Loopback | ManagerKind::Flamingo(_) => return Ok(None),
    };
    let mut found = BTreeMap::new();
    for &program in own {
        let path = folder.join(program);
        if !is_there(&path) {
            return Err(NoPrograms::Absent { folder, program, needed: own.to_vec() });
        }
        found.insert(program, path);
    }
    for &program in beside {
        let path = search.iter().map(|folder| folder.join(program)).find(|path| is_there(path));
        found.insert(program, path.ok_or(NoPrograms::Beside { program })?);
    }
    Ok(Some(Found(found)))
}

impl Found {
    fn path(&self, program: &str) -> PathBuf {
        self.0.get(program).cloned().unwrap_or_default()
    }

    /// Names of the programs, each with the SHA-256 of its file in hex: which build was measured.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn identities(&self) -> io::Result<Vec<(&'static str, String)>> {
        let mut known: BTreeMap<PathBuf, String> = BTreeMap::new();
        let mut all = Vec::new();
        for (name, path) in &self.0 {
            let path = path.canonicalize()?;
            if !known.contains_key(&path) {
                known.insert(path.clone(), hex(&digest(&path)?));
            }
            all.push((*name, known[&path].clone()));
        }
        Ok(all)
    }
}

/// Piece by piece: they are large, and this process is measured, too.
fn digest(path: &Path) -> io::Result<Vec<u8>> {
    let (mut file, mut sum, mut piece) = (std::fs::File::open(path)?, Sha256::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut piece)? {
            0 => return Ok(sum.finalize().to_vec()),
            length => sum.update(&piece[..length]),
        }
    }
}

/// How much of a log is kept of a run that failed, bytes.
const LOG_MAX: u64 = 1 << 20;

/// The ends of their logs, by file name, of a run with this folder; none where there were none.
#[must_use]
pub fn logs(run: &Path) -> Vec<(String, Vec<u8>)> {
    let files = std::fs::read_dir(run.join(FOLDER)).into_iter().flatten().flatten();
    let logs = files.filter(|file| file.path().extension().is_some_and(|it| it == "log"));
    let mut all: Vec<_> =
        logs.filter_map(|file| Some((file.file_name().into_string().ok()?, end(&file.path())?))).collect();
    all.sort();
    all
}

fn end(log: &Path) -> Option<Vec<u8>> {
    let mut file = std::fs::File::open(log).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(LOG_MAX))).ok()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

/// What they expect on the hub beside the fleet's own objects.
#[must_use]
pub fn objects(kind: ManagerKind) -> Vec<Value> {
    if matches!(kind, ManagerKind::Argocd(_)) { argocd::objects() } else { Vec::new() }
}

/// Starts them below `folder`, which it makes, with a way to the hub. The calling thread must outlive them.
///
/// # Errors
/// What went wrong, with the last words of the program that it happened to.
pub async fn start(
    found: &Found,
    scenario: &Scenario,
    (folder, kubeconfig): (&Path, &str),
) -> Result<Running, ManagersError> {
    let fail = |source| ManagersError::Start { folder: folder.to_owned(), source };
    let path = folder.join("kubeconfig");
    let mut running = Running::below(folder);
    let ground = Ground { folder, kubeconfig: &path };
    match scenario.manager.kind {
        ManagerKind::Argocd(argo) => {
            furnish(folder, &argocd::FOLDERS, kubeconfig).map_err(fail)?;
            let [redis, repo, repo_metrics] = free_ports().map_err(fail)?;
            let ports = argocd::Ports { redis, repo, repo_metrics };
            let [store, server] = argocd::ground(found, scenario, &ground, ports);
            for (program, port) in [(store, redis), (server, repo)] {
                until_served(&mut running, &program, port, fail).await?;
            }
            let metrics: [u16; SHARDS_MAX] = free_ports().map_err(fail)?;
            let shards = (scenario.topology.shards.max(1) as usize).min(SHARDS_MAX);
            let controllers = argocd::controllers(found, (scenario, argo), &ground, (ports, &metrics[..shards]));
            for (program, port) in controllers.iter().zip(metrics) {
                until_served(&mut running, program, port, fail).await?;
            }
        }
        ManagerKind::Flux => {
            furnish(folder, &flux::FOLDERS, kubeconfig).map_err(fail)?;
            let [artifacts, a, b, c, x, y, z] = free_ports().map_err(fail)?;
            let ports = flux::Ports { artifacts, metrics: [a, b, c], health: [x, y, z] };
            for (program, port) in flux::controllers(found, scenario, &ground, ports).iter().zip(ports.health) {
                until_served(&mut running, program, port, fail).await?;
            }
        }
        ManagerKind::Loopback | ManagerKind::Flamingo(_) => {}
    }
    Ok(running)
}

async fn until_served(
    running: &mut Running,
    program: &Program,
    port: u16,
    fail: impl Fn(io::Error) -> ManagersError,
) -> Result<(), ManagersError> {
    running.spawn(program).map_err(fail)?;
    if running.until_served(port, PATIENCE).await? {
        return Ok(());
    }
    Err(ManagersError::Slow { program: program.name, words: running.last_words(program.name) })
}

/// Their folders, and the kubeconfig, which only this user may read.
fn furnish(folder: &Path, folders: &[&str], kubeconfig: &str) -> io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    folders.iter().try_for_each(|name| std::fs::create_dir_all(folder.join(name)))?;
    std::fs::write(folder.join("kubeconfig"), kubeconfig)
}

#[cfg(test)]
mod tests;
