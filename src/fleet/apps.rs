//! Apps as pairs: every (cluster, add-on) has an id, whether the app exists or not.

use super::clusters::Clusters;
use super::select::Matcher;
use crate::ids::{AddonId, AppId, ClusterId};
use crate::scenario::Addon;
use crate::seed::Seed;

/// The numbering of apps: cluster by cluster, add-ons in the order of the catalogue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Grid {
    pub(super) clusters: u32,
    pub(super) addons: u32,
    /// Root of the selectors' draws.
    pub(super) seed: Seed,
}

impl Grid {
    pub(super) const fn len(self) -> usize {
        self.clusters as usize * self.addons as usize
    }

    pub(super) const fn app(self, cluster: ClusterId, addon: AddonId) -> AppId {
        AppId::from_index(cluster.index() * self.addons as usize + addon.index())
    }

    pub(super) const fn cluster(self, app: AppId) -> ClusterId {
        ClusterId(app.0 / self.addons)
    }

    pub(super) const fn addon(self, app: AppId) -> AddonId {
        AddonId(app.0 % self.addons)
    }

    pub(super) fn apps_of(self, cluster: ClusterId) -> impl Iterator<Item = AppId> + use<> {
        (0..self.addons).map(move |addon| self.app(cluster, AddonId(addon)))
    }
}

/// The clusters that an add-on's own selector selects.
pub(super) fn catalogue_matcher(clusters: &Clusters, addon: &Addon, seed: Seed) -> Matcher {
    Matcher::new(clusters, addon, &addon.selector, "install", seed)
}
