//! Which clusters an add-on's action concerns: labels, version compatibility, a share by seed.

use super::clusters::Clusters;
use crate::ids::ClusterId;
use crate::scenario::label::{ENVIRONMENT, KUBERNETES, REGION};
use crate::scenario::{Addon, Selector};
use crate::seed::Seed;

/// A selector resolved against the choices of a fleet: three table look-ups and one draw per cluster.
#[derive(Clone, Debug)]
pub(super) struct Matcher {
    regions: Vec<bool>,
    environments: Vec<bool>,
    versions: Vec<bool>,
    /// A label that all clusters carry alike, or none carries, rules them all out.
    nothing: bool,
    share_ppm: u64,
    seed: Seed,
}

impl Matcher {
    /// `purpose` is a word for the action. The share of an add-on's clusters is drawn by (purpose, add-on, cluster): other
    /// add-ons do not matter, and a larger share of the same purpose contains the smaller.
    pub(super) fn new(clusters: &Clusters, addon: &Addon, selector: &Selector, purpose: &str, seed: Seed) -> Self {
        let allows = |key: &str, value: &str| {
            selector.labels.get(key).is_none_or(|values| values.iter().any(|allowed| allowed == value))
        };
        let table = |key: &str, names: &[String]| {
            let name = |at: usize| names.get(at).map_or("", String::as_str);
            (0..names.len().max(1)).map(|at| allows(key, name(at))).collect()
        };
        let versions = clusters.versions.iter().map(|(name, minor)| {
            allows(KUBERNETES, name) && (addon.kubernetes.min..=addon.kubernetes.max).contains(minor)
        });
        let mut versions: Vec<bool> = versions.collect();
        if versions.is_empty() {
            versions.push(allows(KUBERNETES, ""));
        }
        let own = [REGION, ENVIRONMENT, KUBERNETES];
        let mut others = selector.labels.iter().filter(|(key, _)| !own.contains(&key.as_str()));
        Self {
            regions: table(REGION, &clusters.regions),
            environments: table(ENVIRONMENT, &clusters.environments),
            versions,
            nothing: others.any(|(key, values)| {
                clusters.common_label(key).is_none_or(|common| !values.iter().any(|allowed| allowed == common))
            }),
            share_ppm: u64::from(selector.share_ppm),
            seed: seed.child(purpose).child(&addon.name),
        }
    }

    pub(super) fn matches(&self, clusters: &Clusters, id: ClusterId) -> bool {
        let at = id.index();
        !self.nothing
            && self.regions[usize::from(clusters.region[at])]
            && self.environments[usize::from(clusters.environment[at])]
            && self.versions[usize::from(clusters.version[at])]
            && (self.share_ppm >= 1_000_000 || self.seed.entity(u64::from(id.0)).below(0, 1_000_000) < self.share_ppm)
    }
}
