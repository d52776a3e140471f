//! Clusters for the tests of others: as many API servers as one likes, in this process, with or without sockets.
//!
//! In: how many clusters, and what each holds from the start. Out: a [`Service`] per cluster, and a [`Serving`] for those who
//! need addresses. It never touches files, and nothing survives the [`Fleet`] but what its clients still hold.
//!
//! Arithmetic: a cluster that nobody has written to is below 1 KiB, so a thousand of them start in a few milliseconds.

use super::clusters::{BadBase, Base, Clusters, Settings};
use super::http::{self, Server, Service, Serving, Setup, Site};
use super::listen::{Listen, ListenError};
use super::rbac::Authorization;
use super::request::Now;
use super::tls::{Authority, Certificates, TlsError};
use serde::Serialize;
use serde_json::Value;
use std::sync::Arc;
use tokio::runtime::{Handle, TryCurrentError};
use tokio::task::JoinHandle;

/// Why a fleet cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    /// What its clusters shall hold makes no sense.
    #[error(transparent)]
    Base(#[from] BadBase),
    /// A definition or an object is no JSON.
    #[error("an object of the fleet: {0}")]
    Object(#[from] serde_json::Error),
    /// No keys or certificates.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// No socket.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The socket does not tell its address.
    #[error("the address of the socket: {0}")]
    Address(#[from] std::io::Error),
    /// Deadlines need tokio's timers.
    #[error("{0}: start the fleet inside of a tokio runtime, as #[tokio::test] gives it")]
    Runtime(#[from] TryCurrentError),
}

/// Many Kubernetes clusters, each an API server of its own, in this process.
///
/// # Without a socket
///
/// [`Fleet::service`] is a tower service, which is what `kube::Client::new` takes; it works with any version of kube.
///
/// ```
/// use flamboyance::apiserver::Fleet;
/// use k8s_openapi::api::core::v1::Namespace;
/// use kube::{Api, Client, api::ListParams};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let fleet = Fleet::builder().clusters(1_000).start()?;
/// let client = Client::new(fleet.service(7), "default");
/// let namespaces = Api::<Namespace>::all(client).list(&ListParams::default()).await?;
/// assert_eq!(namespaces.items.len(), 4);
///
/// // The same clusters at addresses of their own, for what needs a kubeconfig.
/// let serving = fleet.listen()?;
/// let kubeconfig = kube::config::Kubeconfig::from_yaml(&serving.kubeconfig())?;
/// let options = kube::config::KubeConfigOptions { context: Some(fleet.name(7).to_owned()), ..Default::default() };
/// let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await?;
/// assert_eq!(Client::try_from(config)?.apiserver_version().await?.minor, "36");
/// # Ok(())
/// # }
/// ```
///
/// `examples/controller.rs` runs a kube-runtime controller against a thousand clusters.
#[derive(Debug)]
pub struct Fleet {
    clusters: Arc<Clusters>,
    server: Arc<Server>,
    ticking: JoinHandle<()>,
}

/// What a [`Fleet`] is to be. One cluster, as kube-apiserver starts it, if nothing else is said.
#[derive(Debug)]
pub struct Builder {
    clusters: u32,
    crds: Vec<Value>,
    objects: Vec<Value>,
    broken: Option<serde_json::Error>,
    authorization: Authorization,
    settings: Settings,
}

impl Builder {
    /// So many clusters, all alike at first: `cluster-00000`, `cluster-00001` and so on.
    #[must_use]
    pub const fn clusters(mut self, clusters: u32) -> Self {
        self.clusters = clusters;
        self
    }

    /// A CustomResourceDefinition that every cluster has from the start.
    #[must_use]
    pub fn crd(mut self, crd: &impl Serialize) -> Self {
        let crd = self.read(crd);
        self.crds.extend(crd);
        self
    }

    /// An object that every cluster has from the start, with its `apiVersion` and `kind`. It is stored as it stands: no
    /// defaults, no validation. Clusters share it until one of them writes to it.
    #[must_use]
    pub fn object(mut self, object: &impl Serialize) -> Self {
        let object = self.read(object);
        self.objects.extend(object);
        self
    }

    /// What cannot be read is told at the start.
    fn read(&mut self, object: &impl Serialize) -> Option<Value> {
        serde_json::to_value(object).map_err(|error| self.broken = Some(error)).ok()
    }

    /// Roles and bindings count. Otherwise everybody who is known may do everything.
    #[must_use]
    pub const fn rbac(mut self) -> Self {
        self.authorization = Authorization::Rbac;
        self
    }

    /// Does what kube-controller-manager does to clean up: garbage collection by `ownerReferences`, contents of namespaces
    /// that are deleted, their service account and root certificate. Otherwise nothing changes by itself.
    #[must_use]
    pub const fn housekeeping(mut self) -> Self {
        self.settings.housekeeping = true;
        self
    }

    /// Root of uids and generated names; 0 by default.
    #[must_use]
    pub const fn seed(mut self, seed: u64) -> Self {
        self.settings.seed = seed;
        self
    }

    /// Starts the clusters on the current tokio runtime.
    ///
    /// # Errors
    /// When a definition or object cannot be used, or there is no runtime.
    pub fn start(self) -> Result<Fleet, FleetError> {
        let runtime = Handle::try_current()?;
        if let Some(error) = self.broken {
            return Err(error.into());
        }
        let base = Base::new(&self.crds, &self.objects)?;
        let authority = Authority::generate()?;
        let mut clusters = Clusters::new(self.settings, Vec::new());
        let now = Now::read();
        let mut site = |number: u32| {
            let name = format!("cluster-{number:05}");
            Site {
                token: authority.secret(&name),
                cluster: clusters.add(&base, now),
                kubernetes: "".into(),
                authorization: self.authorization,
                name,
            }
        };
        let sites = (0..self.clusters).map(&mut site).collect();
        let clusters = Arc::new(clusters);
        let certificates = Certificates::Ours(Arc::new(authority));
        let setup = Setup { sites, certificates, listen: Listen::new(None), gzip: false };
        let ticking = runtime.spawn(http::tick(Arc::clone(&clusters)));
        Ok(Fleet { clusters, server: Arc::new(Server::new(setup)), ticking })
    }
}

impl Fleet {
    /// Begins to describe a fleet.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            clusters: 1,
            crds: Vec::new(),
            objects: Vec::new(),
            broken: None,
            authorization: Authorization::Everyone,
            settings: Settings::default(),
        }
    }

    /// A cluster as a tower service. One that does not exist answers 404 to everything.
    #[must_use]
    pub fn service(&self, cluster: u32) -> Service {
        Service::new(&self.server, cluster)
    }

    /// The name of a cluster, which is also its context in the kubeconfig; empty if there is no such cluster.
    #[must_use]
    pub fn name(&self, cluster: u32) -> &str {
        self.server.sites().get(cluster as usize).map_or("", |site| &site.name)
    }

    /// The clusters themselves: what they hold, and who called what how often.
    #[must_use]
    pub fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// Serves the clusters on loopback as well, with TLS, each at an address of its own and all at one free port, until what
    /// this returns is dropped.
    ///
    /// # Errors
    /// When there is no socket to be had, or no runtime.
    pub fn listen(&self) -> Result<Serving, FleetError> {
        Handle::try_current()?;
        Ok(Serving::over(Arc::clone(&self.server), Listen::new(None).bind()?)?)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        self.ticking.abort();
    }
}
