//! What a child is told at its start, as a file in the run's private folder.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Everything a role needs to know.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Settings {
    /// The effective scenario, so that every process generates the same world.
    pub(crate) scenario: PathBuf,
    /// How the leaves are reached; absent for the leaves themselves.
    pub(crate) leaves: Option<Access>,
    /// How the hubs are reached; none for hubs and leaves. That of an orchestrator is the last.
    pub(crate) hubs: Vec<Access>,
    /// Which manager or hub this is, counted from 0.
    pub(crate) number: u32,
    /// Where an API server writes all its objects at its end, if they are wanted.
    pub(crate) objects: Option<PathBuf>,
}

/// How the API servers of one process are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Access {
    /// `https://127.0.0.1:6443`, without a cluster's path.
    pub(crate) url: String,
    /// The authority in PEM; empty without TLS.
    pub(crate) ca_pem: String,
    /// A bearer token per cluster, in the order of ids.
    pub(crate) tokens: Vec<String>,
}

/// Why a child cannot use its settings.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file.
    #[error("cannot use {path}: {source}; roles are started by `flamboyance run`, not by hand")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// Writes the settings, readable by this user alone: they hold tokens.
///
/// # Errors
/// When the file cannot be written.
pub(crate) fn write(path: &Path, settings: &Settings) -> Result<(), SettingsError> {
    let fail = |source| SettingsError::File { path: path.to_owned(), source };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(fail)?;
    serde_json::to_writer(std::io::BufWriter::new(file), settings).map_err(|e| fail(e.into()))
}

/// Reads the settings.
///
/// # Errors
/// When the file cannot be read or is not ours.
pub(crate) fn read(path: &Path) -> Result<Settings, SettingsError> {
    let fail = |source| SettingsError::File { path: path.to_owned(), source };
    let text = std::fs::read(path).map_err(fail)?;
    serde_json::from_slice(&text).map_err(|e| fail(e.into()))
}

impl Access {
    /// The URL of a cluster at the shared endpoint.
    pub(crate) fn server(&self, cluster: &str) -> String {
        format!("{}{}{cluster}", self.url, crate::apiserver::endpoint::PREFIX)
    }
}
