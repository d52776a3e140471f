//! What a child is told at its start, as a file in the run's private folder.

use super::net::{AccessError, credentials, from_cluster_secret, from_kubeconfig, from_token};
use crate::fleet::bearer;
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
    /// The cluster of others that is this hub.
    pub(crate) guest: Option<Guest>,
    /// The clusters of others that are the leaves, in the order of ids.
    pub(crate) hosts: Vec<Contact>,
    /// Where the sources of managers of others are, for whoever comes after them.
    pub(crate) sources: Option<String>,
    /// The run's private folder.
    pub(crate) folder: PathBuf,
    /// Where an API server writes all its objects at its end, if they are wanted.
    pub(crate) objects: Option<PathBuf>,
}

/// How API servers are reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Access {
    /// All behind one address, each below a path of its own.
    Paths {
        /// `https://127.0.0.1:6443`, without a cluster's path.
        url: String,
        /// The authority in PEM.
        ca_pem: String,
        /// A bearer token per cluster, in the order of ids.
        tokens: Vec<String>,
    },
    /// Each at an address of its own, in the order of ids.
    Apart(Vec<Contact>),
}

/// A run as the guest of a cluster of others, which is a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guest {
    /// How the cluster is reached.
    pub(crate) contact: Contact,
    /// The label of everything written there, by which it is removed at the end; none where the cluster itself goes.
    pub(crate) run: Option<String>,
}

/// Clusters of others that stand in for API servers of ours.
#[derive(Clone, Debug, Default)]
pub struct Guests {
    /// Hubs by number; none where they are ours.
    pub hubs: Vec<Guest>,
    /// Leaves in the order of ids; none where they are ours.
    pub leaves: Vec<Contact>,
}

impl Guests {
    /// The label of what is written to hubs.
    pub(crate) fn run(&self) -> Option<&str> {
        self.hubs.first().and_then(|guest| guest.run.as_deref())
    }
}

/// How one API server is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Its URL.
    pub(crate) server: String,
    /// What it trusts and is trusted by, as a cluster Secret of Argo CD has it.
    pub(crate) credentials: String,
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

impl Contact {
    /// How a context of a kubeconfig is reached.
    ///
    /// # Errors
    /// When the file cannot be read, has no such context, or needs a plug-in.
    pub(crate) async fn read(kubeconfig: &Path, context: Option<&str>) -> Result<Self, AccessError> {
        let config = from_kubeconfig(kubeconfig, context).await?;
        let server = config.cluster_url.to_string().trim_end_matches('/').to_owned();
        Ok(Self { server, credentials: credentials(&config)? })
    }

    /// The same for a client of ours.
    ///
    /// # Errors
    /// When the address or the credentials make no sense.
    pub(crate) fn config(&self) -> Result<kube::Config, AccessError> {
        from_cluster_secret(&self.server, self.credentials.as_bytes())
    }
}

impl Access {
    /// Nobody to be reached.
    pub(crate) const fn nobody() -> Self {
        Self::Apart(Vec::new())
    }

    /// The one address, if there is one.
    pub(crate) fn url(&self) -> &str {
        match self {
            Self::Paths { url, .. } => url,
            Self::Apart(_) => "",
        }
    }

    /// How the cluster of this number and name is reached; none where there are fewer.
    pub(crate) fn contact(&self, number: usize, cluster: &str) -> Option<Contact> {
        match self {
            Self::Paths { ca_pem, tokens, .. } => {
                let credentials = bearer(tokens.get(number)?, ca_pem);
                Some(Contact { server: self.server(number, cluster), credentials })
            }
            Self::Apart(contacts) => contacts.get(number).cloned(),
        }
    }

    /// The URL of the cluster of this number and name.
    pub(crate) fn server(&self, number: usize, cluster: &str) -> String {
        match self {
            Self::Paths { url, .. } => format!("{url}{}{cluster}", crate::apiserver::endpoint::PREFIX),
            Self::Apart(contacts) => contacts.get(number).map_or_else(String::new, |contact| contact.server.clone()),
        }
    }

    /// The same for a client of ours.
    ///
    /// # Errors
    /// When there is no such cluster, or its address or credentials make no sense.
    pub(crate) fn config(&self, number: usize, cluster: &str) -> Result<kube::Config, AccessError> {
        match self {
            Self::Paths { ca_pem, tokens, .. } => {
                let token = tokens.get(number).map_or("", String::as_str);
                from_token(&self.server(number, cluster), ca_pem, token)
            }
            Self::Apart(contacts) => {
                let contact = contacts.get(number).ok_or_else(|| AccessError::Url { url: cluster.to_owned() })?;
                contact.config()
            }
        }
    }
}
