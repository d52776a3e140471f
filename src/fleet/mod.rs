//! The world: a scenario and a seed become clusters, apps and everything that changes over time.
//!
//! In: [`Scenario`], its seed included. Out: [`World`], tables of columns with names rendered on demand, and the timeline as a
//! list of changes. Never: a clock, a socket, a file, or a draw that depends on the order of other draws. A draw is keyed
//! by what it is for and by the names of the entities it concerns, so adding an add-on leaves the others as they were.
//!
//! Arithmetic for 1,000,000 clusters with 4 add-ons installed on all: 10 bytes per cluster in columns (10 MB), three bits
//! (1.5 MB) and 8 bytes of state (32 MB, while the timeline is played) per app, 32 bytes per change (128 MB): about
//! 175 MB. Four draws per cluster and one per app and action at 5 ns each, 4 million changes at 20 ns: about 0.2 s.
//! Measured (`benches/fleet.rs`, busy 2-core machine): 0.39 s, 191 MB resident at the peak of the whole process.

mod apps;
mod bits;
mod choice;
mod clusters;
mod documents;
#[cfg(test)]
pub(crate) mod fixture;
mod sample;
mod select;
#[cfg(test)]
mod tests;
mod timeline;
mod values;

pub use clusters::{Clusters, cluster_name};
pub use documents::{Endpoint, bearer, certificate, kubeconfig, namespace};
pub use timeline::{Change, ChangeKind, Membership, Target};
pub use values::ValuesId;

use crate::ids::{AddonId, AppId, ClusterId};
use crate::scenario::{Addon, FluxApi, Scenario};
use crate::seed::Seed;
use std::collections::BTreeMap;

/// The namespace of Argo CD on the hub.
pub const ARGOCD_NAMESPACE: &str = "argocd";

/// The namespace of Flux, where it works from the hub.
pub const FLUX_NAMESPACE: &str = "flux-system";

/// Everything that a scenario generates from a seed.
#[derive(Clone, Debug)]
pub struct World {
    clusters: Clusters,
    addons: Vec<Addon>,
    flux_api: FluxApi,
    grid: apps::Grid,
    selected: bits::Bits,
    ever: bits::Bits,
    values: values::ValueSets,
    changes: Vec<Change>,
    memberships: Vec<Membership>,
}

impl World {
    /// Generates the world from a scenario and its seed (`run.seed`).
    #[must_use]
    pub fn generate(scenario: &Scenario) -> Self {
        let seed = Seed::new(scenario.run.seed);
        let clusters = Clusters::generate(&scenario.fleet, timeline::reserve(scenario), scenario.run.seed);
        let addons = AddonId::from_index(scenario.addons.len()).0;
        let grid = apps::Grid { clusters: clusters.len(), addons, seed: seed.child("selectors") };
        let mut selected = bits::Bits::new(grid.len());
        for (addon, entry) in (0..addons).map(AddonId).zip(&scenario.addons) {
            let matcher = apps::catalogue_matcher(&clusters, entry, grid.seed);
            for id in clusters.ids().filter(|&id| matcher.matches(&clusters, id)) {
                selected.set(grid.app(id, addon).index());
            }
        }
        let played = timeline::play(scenario, &clusters, grid, seed);
        Self {
            clusters,
            addons: scenario.addons.clone(),
            flux_api: scenario.manager.flux_api.clone(),
            grid,
            selected,
            ever: played.ever,
            values: played.values,
            changes: played.changes,
            memberships: played.memberships,
        }
    }

    /// The clusters, the reserve included.
    #[must_use]
    pub const fn clusters(&self) -> &Clusters {
        &self.clusters
    }

    /// The catalogue; `AddonId` is the index.
    #[must_use]
    pub fn addons(&self) -> &[Addon] {
        &self.addons
    }

    /// The changes of apps, ordered by time; `ChangeId` is the index.
    #[must_use]
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// The clusters that join and leave, ordered by time. A cluster joins before its apps are installed and leaves after
    /// they are decommissioned, in the same instant.
    #[must_use]
    pub fn memberships(&self) -> &[Membership] {
        &self.memberships
    }

    /// How many apps the timeline ever installs.
    #[must_use]
    pub fn apps(&self) -> u64 {
        self.ever.count()
    }

    /// How many ids of apps there are: clusters times add-ons. Tables indexed by `AppId` have this length.
    #[must_use]
    pub const fn app_ids(&self) -> usize {
        self.grid.len()
    }

    /// The app of an add-on on a cluster, existing or not.
    #[must_use]
    pub const fn app(&self, cluster: ClusterId, addon: AddonId) -> AppId {
        self.grid.app(cluster, addon)
    }

    /// The ids of a cluster's apps, existing or not.
    pub fn apps_of(&self, cluster: ClusterId) -> impl Iterator<Item = AppId> + use<> {
        self.grid.apps_of(cluster)
    }

    /// Its cluster.
    #[must_use]
    pub const fn cluster_of(&self, app: AppId) -> ClusterId {
        self.grid.cluster(app)
    }

    /// Its add-on.
    #[must_use]
    pub const fn addon_of(&self, app: AppId) -> AddonId {
        self.grid.addon(app)
    }

    /// Its catalogue entry.
    #[must_use]
    pub fn addon(&self, app: AppId) -> &Addon {
        &self.addons[self.grid.addon(app).index()]
    }

    /// Whether the add-on's own selector selects the cluster: what an `ApplicationSet` with a cluster generator would
    /// make, and what an install installs.
    #[must_use]
    pub fn selected(&self, app: AppId) -> bool {
        self.selected.get(app.index())
    }

    /// Whether the timeline ever installs the app.
    #[must_use]
    pub fn installed(&self, app: AppId) -> bool {
        self.ever.get(app.index())
    }

    /// `<addon>-<cluster>`.
    #[must_use]
    pub fn app_name(&self, app: AppId) -> String {
        format!("{}-{}", self.addon(app).name, self.clusters.name(self.cluster_of(app)))
    }

    /// The app of a name.
    #[must_use]
    pub fn find_app(&self, name: &str) -> Option<AppId> {
        // Names may contain dashes, so several add-ons may be a prefix; one of them leaves the name of a cluster.
        let mut addons = (0..self.grid.addons).map(AddonId).zip(&self.addons);
        addons.find_map(|(id, addon)| {
            let cluster = name.strip_prefix(&addon.name)?.strip_prefix('-')?;
            Some(self.grid.app(self.clusters.find(cluster)?, id))
        })
    }

    /// The values of an app: its add-on's, the target's laid over them, rendered for its cluster.
    #[must_use]
    pub fn values(&self, app: AppId, target: Target) -> BTreeMap<String, String> {
        let own = self.addon(app).values.iter();
        let mut values: BTreeMap<&String, &String> = own.collect();
        values.extend(self.values.get(target.values));
        let cluster = self.cluster_of(app);
        values.into_iter().map(|(name, value)| (name.clone(), self.clusters.render(value, cluster))).collect()
    }

    /// Whether what a target lays over the add-on's own values differs from cluster to cluster.
    #[must_use]
    pub fn values_are_templates(&self, target: Target) -> bool {
        self.values.get(target.values).values().any(|value| value.contains('{'))
    }

    /// The destination namespaces of the catalogue, which exist on every cluster before the first change.
    #[must_use]
    pub fn namespaces(&self) -> std::collections::BTreeSet<&str> {
        self.addons.iter().map(|addon| addon.namespace.as_str()).collect()
    }
}
