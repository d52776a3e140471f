//! A real control plane for the time of a run: etcd, kube-apiserver and, where there is one, kube-controller-manager.
//!
//! In: the programs and a folder of its own. Out: an API server that is ready, with the credentials of an administrator,
//! and the processes. They are killed when the value is dropped or its thread ends, and the folder goes with them: what
//! they hold is thrown away, so nothing is gained by asking them.
//!
//! Measured (1.36.3, at the end of `smoke.yaml`): kube-apiserver 336 MiB with Argo CD's definitions and 317 MiB with Flux's,
//! etcd 44 MiB, kube-controller-manager with two controllers 80 MiB.

mod plan;

use super::assets::Assets;
use super::programs::{Ended, Running, free_ports};
use crate::apiserver::tls::{Authority, Pair, TlsError};
use crate::clock;
use crate::units::Span;
use plan::{Files, Ports};
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

/// Memory of one control plane, bytes. Measured, see above; a fleet's objects come on top.
pub const BYTES: u64 = 460 << 20;

/// How long it may take until it is ready: 4 s on a quiet machine (measured).
const PATIENCE: Span = Span::from_secs(120);
/// How often it is asked.
const PAUSE: Span = Span::from_millis(100);
/// Times that other ports are tried: between finding a free one and its use somebody may take it.
const TRIES: u32 = 3;

/// Why it does not come up.
#[derive(Debug, thiserror::Error)]
pub enum ControlPlaneError {
    /// Files, ports or processes.
    #[error("cannot start a control plane below {}: {source}", folder.display())]
    Start {
        /// Its folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// A program ended.
    #[error(transparent)]
    Ended(#[from] Ended),
    /// It never answered.
    #[error("kube-apiserver was not ready within {PATIENCE}; is the machine overloaded? its last words: {words}")]
    Slow {
        /// The end of its log.
        words: String,
    },
    /// It cannot be asked.
    #[error("kube-apiserver cannot be asked whether it is ready: {0}")]
    Ask(String),
}

/// A running control plane.
#[derive(Debug)]
pub struct ControlPlane {
    /// Where its API server is.
    pub server: String,
    /// The certificate of its authority, PEM.
    pub ca_pem: String,
    /// An administrator of it.
    pub admin: Pair,
    // The processes go first, then the folder.
    running: Running,
    _scratch: Scratch,
}

/// A folder that goes with its owner.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        // The run's folder goes in any case.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl ControlPlane {
    /// Starts one below `folder`, which it makes, and waits until it is ready. The calling thread must outlive it.
    ///
    /// # Errors
    /// What went wrong, with the last words of the program that it happened to.
    pub async fn start(assets: &Assets, folder: &Path) -> Result<Self, ControlPlaneError> {
        let mut tries = 1;
        loop {
            match Self::try_start(assets, folder).await {
                Err(ControlPlaneError::Ended(Ended { words, .. }))
                    if words.contains("address already in use") && tries < TRIES =>
                {
                    tries += 1;
                }
                done => return done,
            }
        }
    }

    async fn try_start(assets: &Assets, folder: &Path) -> Result<Self, ControlPlaneError> {
        let start = |source| ControlPlaneError::Start { folder: folder.to_owned(), source };
        let authority = Authority::generate()?;
        let admin = authority.client_pair("flamboyance", "system:masters")?;
        let [etcd, peer, api] = free_ports().map_err(start)?;
        let ports = Ports { etcd, peer, api };
        let server = plan::local("https", ports.api);
        let scratch = Scratch(folder.to_owned());
        let mut running = Running::below(folder);
        write_files(folder, &authority, &admin, &server)?;
        for program in [plan::etcd(assets, folder, ports), plan::apiserver(assets, folder, ports)] {
            running.spawn(&program).map_err(start)?;
        }
        let mut plane = Self { server, ca_pem: authority.pem(), admin, running, _scratch: scratch };
        plane.ready().await?;
        if let Some(program) = plan::controller_manager(assets, folder) {
            plane.running.spawn(&program).map_err(start)?;
        }
        Ok(plane)
    }

    /// Names and ids of its processes.
    pub fn processes(&self) -> impl Iterator<Item = (&'static str, u32)> + '_ {
        self.running.processes()
    }

    /// Waits until one of its processes ends, which none of them should.
    pub async fn until_one_ends(&mut self) -> Ended {
        self.running.until_one_ends().await
    }

    /// Waits until the API server says that it is ready.
    async fn ready(&mut self) -> Result<(), ControlPlaneError> {
        let client = self.client()?;
        let deadline = clock::now() + PATIENCE;
        loop {
            self.running.all_alive()?;
            let asked = http::Request::get("/readyz").body(Vec::new());
            let asked = asked.map_err(|error| ControlPlaneError::Ask(error.to_string()))?;
            // Whatever it answers but yes, it is not ready.
            if client.request_text(asked).await.is_ok() {
                return Ok(());
            }
            if clock::now() >= deadline {
                return Err(ControlPlaneError::Slow { words: self.running.last_words("kube-apiserver") });
            }
            tokio::time::sleep(PAUSE.to_std()).await;
        }
    }

    fn client(&self) -> Result<kube::Client, ControlPlaneError> {
        let ask = |error: &dyn std::fmt::Display| ControlPlaneError::Ask(error.to_string());
        let mut config = kube::Config::new(self.server.parse().map_err(|e: http::uri::InvalidUri| ask(&e))?);
        config.root_cert = Some(vec![der(&self.ca_pem).ok_or_else(|| ask(&"its authority is no PEM"))?]);
        let base64 = |pem: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem);
        config.auth_info.client_certificate_data = Some(base64(&self.admin.certificate));
        config.auth_info.client_key_data = Some(base64(&self.admin.key).into());
        kube::Client::try_from(config).map_err(|e| ask(&e))
    }
}

/// The certificates and the kubeconfig, readable by this user alone.
fn write_files(folder: &Path, authority: &Authority, admin: &Pair, server: &str) -> Result<(), ControlPlaneError> {
    let serving = authority.server_pair(Ipv4Addr::LOCALHOST.into())?;
    let files = Files::below(folder);
    let client = (folder.join("admin.crt"), folder.join("admin.key"));
    let write = || -> io::Result<()> {
        std::fs::create_dir_all(folder)?;
        std::fs::set_permissions(folder, std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
        std::fs::write(files.authority(), authority.pem())?;
        std::fs::write(files.certificate(), &serving.certificate)?;
        std::fs::write(files.key(), &serving.key)?;
        std::fs::write(&client.0, &admin.certificate)?;
        std::fs::write(&client.1, &admin.key)?;
        std::fs::write(files.kubeconfig(), plan::kubeconfig(server, folder, (&client.0, &client.1)))
    };
    write().map_err(|source| ControlPlaneError::Start { folder: folder.to_owned(), source })
}

fn der(pem: &str) -> Option<Vec<u8>> {
    use tokio_rustls::rustls::pki_types::CertificateDer;
    use tokio_rustls::rustls::pki_types::pem::PemObject;
    CertificateDer::from_pem_slice(pem.as_bytes()).ok().map(|der| der.to_vec())
}
