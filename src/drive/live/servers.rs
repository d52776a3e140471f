//! The API servers of a fleet in this process, for whoever wants them without a run.
//!
//! In: custom resources and a number, or a scenario. Out: clusters with names and tokens, ready to be served; if wanted
//! the controllers that are modelled on them. The hub is cluster 0. Nothing changes by itself but what controllers do: the
//! timeline of a scenario is not played.

use super::bases;
use super::flux::{Inbox, Model, Setup, Stores};
use crate::apiserver::clusters::{BadBase, Base, Cluster, Clusters, Settings};
use crate::apiserver::http::Site;
use crate::apiserver::listen::Listen;
use crate::apiserver::rbac::Authorization;
use crate::apiserver::request::{Body, Now, Request, Verb};
use crate::apiserver::schema::{argocd_crds, flux_crds};
use crate::apiserver::tls::Authority;
use crate::fleet::{Endpoint, Target, World, bearer, cluster_name};
use crate::ids::{AppId, ClusterId};
use crate::model::flux::{self, Catalogue};
use crate::scenario::{Delay, Mode, Scenario};
use crate::seed::Seed;
use crate::units::Span;
use serde_json::Value;
use std::sync::Arc;

/// The name of the hub.
pub const HUB: &str = "hub";
/// The prefix of clusters that no scenario names: a scenario's default.
const PREFIX: &str = "cluster";
/// Under this name Flux objects of Reference mode are written, as if somebody had done it by hand.
const USER_AGENT: &str = "kubectl";

/// Which controllers run beside the API servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Controllers {
    /// None: as behind a kube-apiserver alone.
    None,
    /// Those of kube-controller-manager: Deployments become available, garbage and contents of namespaces go.
    Workloads,
    /// Flux's as well.
    All,
}

/// How clients reach the servers.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// Who makes the tokens and signs the certificates.
    pub authority: &'a Authority,
    /// Which local addresses count.
    pub listen: Listen,
    /// The port.
    pub port: u16,
}

/// API servers that are ready to be served.
pub struct Servers {
    /// The clusters, the hub first.
    pub clusters: Arc<Clusters>,
    /// The same as clients find them.
    pub sites: Vec<Site>,
    /// Runs until this is dropped.
    _controllers: Option<Model>,
}

/// Why they cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ServersError {
    /// What they shall hold at the start makes no sense.
    #[error(transparent)]
    Base(#[from] BadBase),
    /// The controllers' threads.
    #[error("cannot start the controllers: {0}")]
    Start(#[from] std::io::Error),
}

impl Servers {
    /// A hub and so many clusters, all with these custom resources and nothing else.
    ///
    /// # Errors
    /// When a custom resource cannot be used, or a thread not be started.
    pub fn alike(
        crds: &[Value],
        clusters: u32,
        controllers: Controllers,
        place: Place<'_>,
    ) -> Result<Self, ServersError> {
        let base = Base::new(crds, &[])?;
        let leaves = (0..clusters).map(|number| (cluster_name(PREFIX, number), "")).collect();
        let flux = flux::World {
            catalogue: Catalogue::new(&[]),
            settings: flux::default_settings(),
            seed: Seed::new(Settings::default().seed).child("flux"),
        };
        let plan = Plan {
            hub: &base,
            leaf: &base,
            leaves,
            seed: Settings::default().seed,
            flux,
            ready: Delay::Fixed(Span(0)),
        };
        plan.carry_out(controllers, place, |_| {})
    }

    /// The fleet of a scenario as if everything that its add-ons select had just been installed: the hub has the cluster
    /// Secrets and Applications, and the clusters have the Flux objects that Reference mode expects. `leaf_crds` are the
    /// custom resources of the clusters.
    ///
    /// # Errors
    /// When a custom resource cannot be used, or a thread not be started.
    pub fn of(
        scenario: &Scenario,
        leaf_crds: &[Value],
        controllers: Controllers,
        place: Place<'_>,
    ) -> Result<Self, ServersError> {
        let world = World::generate(scenario);
        let fleet = world.clusters();
        let ids = || (0..fleet.initial()).map(ClusterId);
        let selected = |id| world.apps_of(id).filter(|&app| world.selected(app));
        let url = |id: ClusterId| place.listen.url(id.0 + 1, &fleet.name(id), place.port);
        let ca_pem = place.authority.pem();
        let objects = ids().flat_map(|id| {
            let (server, token) = (url(id), place.authority.secret(&fleet.name(id)));
            let credentials = bearer(&token, &ca_pem);
            let secret = world.cluster_secret(id, Endpoint { server: &server, credentials: &credentials });
            let apps = selected(id).map(|app| world.application(app, Target::default(), &server));
            std::iter::once(secret).chain(apps.collect::<Vec<_>>())
        });
        let hub = bases::hub(&world, &[argocd_crds(), flux_crds()].concat(), objects)?;
        let leaf = bases::leaf(&world, leaf_crds)?;
        let plan = Plan {
            hub: &hub,
            leaf: &leaf,
            leaves: ids().map(|id| (fleet.name(id), fleet.kubernetes(id))).collect(),
            seed: scenario.run.seed,
            flux: flux::World::new(scenario),
            ready: scenario.run.workload_ready,
        };
        plan.carry_out(controllers, place, |clusters| {
            for id in ids() {
                let Some(cluster) = clusters.get(id.0 + 1) else { continue };
                for app in selected(id) {
                    refer(&world, cluster, app);
                }
            }
        })
    }
}

/// Everything about the servers but where they are.
struct Plan<'a> {
    hub: &'a Arc<Base>,
    leaf: &'a Arc<Base>,
    /// Name and Kubernetes version of each cluster.
    leaves: Vec<(String, &'a str)>,
    seed: u64,
    flux: flux::World,
    ready: Delay,
}

impl Plan<'_> {
    fn carry_out(
        self,
        controllers: Controllers,
        place: Place<'_>,
        furnish: impl FnOnce(&Clusters),
    ) -> Result<Servers, ServersError> {
        let settings =
            Settings { seed: self.seed, housekeeping: controllers != Controllers::None, ..Settings::default() };
        let inbox = Inbox::new(1, controllers == Controllers::All);
        let observers = if controllers == Controllers::None { Vec::new() } else { vec![inbox.observer()] };
        let mut clusters = Clusters::new(settings, observers);
        let now = Now::read();
        let mut site = |name: String, kubernetes: &str, base: &Arc<Base>| Site {
            token: place.authority.secret(&name),
            cluster: clusters.add(base, now),
            kubernetes: kubernetes.into(),
            authorization: Authorization::Everyone,
            name,
        };
        let mut sites = vec![site(HUB.to_owned(), "", self.hub)];
        sites.extend(self.leaves.into_iter().map(|(name, kubernetes)| site(name, kubernetes, self.leaf)));
        let clusters = Arc::new(clusters);
        furnish(&clusters);
        let setup = Setup {
            stores: Stores::Here(Arc::clone(&clusters)),
            settle: Span::ZERO,
            world: Arc::new(self.flux),
            workload_ready: self.ready,
            app: Arc::new(|_, _| None),
            tell: Arc::new(|_| {}),
        };
        let model = (controllers != Controllers::None).then(|| Model::start(inbox, setup)).transpose()?;
        Ok(Servers { clusters, sites, _controllers: model })
    }
}

/// Writes the Flux objects of an app in Reference mode, where their kinds are served.
fn refer(world: &World, cluster: &Cluster, app: AppId) {
    let addon = world.addon(app);
    if addon.mode != Mode::Reference || !addon.flux_subsystem {
        return;
    }
    let catalog = cluster.catalog();
    for object in world.flux_objects(app, Target::default()) {
        let text = |name: &str| object[name].as_str().unwrap_or_default();
        let (group, version) = text("apiVersion").split_once('/').unwrap_or_default();
        let Some(resource) = catalog.find_kind(group, version, text("kind")) else { continue };
        let request = Request { body: Body::Value(&object), ..Request::new(Verb::Create, resource, USER_AGENT) };
        cluster.handle(&request.on(&addon.namespace, ""), Now::read());
    }
}
