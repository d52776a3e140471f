//! The clusters as columns. Names, uids and labels are rendered when somebody asks.

use super::choice::Table;
use crate::ids::{ClusterId, Uid};
use crate::scenario::label::{ENVIRONMENT, KUBERNETES, REGION};
use crate::scenario::{Fleet, Nodes, Weighted};
use crate::seed::Seed;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The hub's number among the clusters of its API server.
const HUB: u32 = 0;

/// Digits of the number in a cluster's name; longer numbers stand as they are. Fixed, so that a bigger fleet renames
/// nothing.
const DIGITS: usize = 5;

/// All clusters of a run: those of the start, then the reserve that may join later. 10 bytes each.
#[derive(Clone, Debug)]
pub struct Clusters {
    /// The run's seed, as given.
    seed: u64,
    initial: u32,
    prefix: String,
    labels: BTreeMap<String, String>,
    pub(super) regions: Vec<String>,
    pub(super) environments: Vec<String>,
    /// Version and its minor number.
    pub(super) versions: Vec<(String, u32)>,
    pub(super) region: Vec<u16>,
    pub(super) environment: Vec<u16>,
    pub(super) version: Vec<u16>,
    nodes: Vec<u32>,
}

impl Clusters {
    /// Draws `fleet.clusters + reserve` clusters. Every attribute of every cluster is a draw of its own.
    pub(super) fn generate(fleet: &Fleet, reserve: u32, seed: u64) -> Self {
        let len = u64::from(fleet.clusters) + u64::from(reserve);
        let draws = Seed::new(seed).child("clusters");
        let column = |purpose: &str, table: &Table| -> Vec<u16> {
            let seed = draws.child(purpose);
            (0..len).map(|id| u16::try_from(table.draw(seed, id)).unwrap_or(u16::MAX)).collect()
        };
        let names = |choices: &[Weighted]| choices.iter().map(|c| c.name.clone()).collect();
        Self {
            seed,
            initial: fleet.clusters,
            prefix: fleet.name_prefix.clone(),
            labels: fleet.labels.clone(),
            regions: names(&fleet.regions),
            environments: names(&fleet.environments),
            versions: fleet.kubernetes.iter().map(|c| (c.name.clone(), minor(&c.name))).collect(),
            region: column("region", &Table::weighted(&fleet.regions)),
            environment: column("environment", &Table::weighted(&fleet.environments)),
            version: column("kubernetes", &Table::weighted(&fleet.kubernetes)),
            nodes: draw_nodes(fleet.nodes, len, draws.child("nodes")),
        }
    }

    /// How many there are, the reserve included.
    #[must_use]
    pub fn len(&self) -> u32 {
        ClusterId::from_index(self.nodes.len()).0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many the fleet starts with; the others are the reserve.
    #[must_use]
    pub const fn initial(&self) -> u32 {
        self.initial
    }

    /// All ids, the reserve included.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = ClusterId> + use<> {
        (0..self.len()).map(ClusterId)
    }

    /// `<prefix>-<number>`.
    #[must_use]
    pub fn name(&self, id: ClusterId) -> String {
        cluster_name(&self.prefix, id.0)
    }

    /// The cluster of a name.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<ClusterId> {
        let digits = name.strip_prefix(&self.prefix)?.strip_prefix('-')?;
        let canonical = digits.len() == DIGITS || digits.len() > DIGITS && !digits.starts_with('0');
        if !canonical || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        digits.parse().ok().filter(|&id| id < self.len()).map(ClusterId)
    }

    /// The uid of its Secret on the hub, which is the id that Argo CD shards by.
    #[must_use]
    pub fn uid(&self, id: ClusterId) -> Uid {
        Uid::derive(self.seed, HUB, "", "Secret", super::ARGOCD_NAMESPACE, &self.name(id), 0)
    }

    /// Its region; empty if the fleet has none.
    #[must_use]
    pub fn region(&self, id: ClusterId) -> &str {
        self.regions.get(usize::from(self.region[id.index()])).map_or("", String::as_str)
    }

    /// Its environment; empty if the fleet has none.
    #[must_use]
    pub fn environment(&self, id: ClusterId) -> &str {
        self.environments.get(usize::from(self.environment[id.index()])).map_or("", String::as_str)
    }

    /// Its Kubernetes version (`1.36`); empty if the fleet has none.
    #[must_use]
    pub fn kubernetes(&self, id: ClusterId) -> &str {
        self.versions.get(usize::from(self.version[id.index()])).map_or("", |(name, _)| name)
    }

    /// The minor number of its Kubernetes version.
    #[must_use]
    pub fn minor(&self, id: ClusterId) -> u32 {
        self.versions.get(usize::from(self.version[id.index()])).map_or(0, |&(_, minor)| minor)
    }

    /// Its nodes.
    #[must_use]
    pub fn nodes(&self, id: ClusterId) -> u32 {
        self.nodes[id.index()]
    }

    /// Its labels: the fleet's, and its region, environment and Kubernetes version.
    #[must_use]
    pub fn labels(&self, id: ClusterId) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        for (key, value) in
            [(REGION, self.region(id)), (ENVIRONMENT, self.environment(id)), (KUBERNETES, self.kubernetes(id))]
        {
            if !value.is_empty() {
                labels.insert(key.to_owned(), value.to_owned());
            }
        }
        labels
    }

    /// A label that every cluster carries alike.
    pub(super) fn common_label(&self, key: &str) -> Option<&str> {
        self.labels.get(key).map(String::as_str)
    }

    /// The template with `{cluster}`, `{region}`, `{environment}`, `{kubernetes}` and `{nodes}` replaced.
    #[must_use]
    pub fn render(&self, template: &str, id: ClusterId) -> String {
        let mut out = String::with_capacity(template.len());
        let mut rest = template;
        while let Some(open) = rest.find('{') {
            out.push_str(&rest[..open]);
            rest = &rest[open..];
            let Some(close) = rest.find('}') else { break };
            match self.variable(&rest[1..close], id) {
                Some(value) => {
                    out.push_str(&value);
                    rest = &rest[close + 1..];
                }
                None => {
                    out.push('{');
                    rest = &rest[1..];
                }
            }
        }
        out.push_str(rest);
        out
    }

    fn variable(&self, name: &str, id: ClusterId) -> Option<Cow<'_, str>> {
        Some(match name {
            "cluster" => self.name(id).into(),
            "region" => self.region(id).into(),
            "environment" => self.environment(id).into(),
            "kubernetes" => self.kubernetes(id).into(),
            "nodes" => self.nodes(id).to_string().into(),
            _ => return None,
        })
    }
}

/// `<prefix>-<number>`, the number in five digits at least.
#[must_use]
pub fn cluster_name(prefix: &str, number: u32) -> String {
    let mut name = String::with_capacity(prefix.len() + 1 + DIGITS);
    // Writing to a string cannot fail.
    let _ = write!(name, "{prefix}-{number:0DIGITS$}");
    name
}

fn draw_nodes(nodes: Nodes, len: u64, seed: Seed) -> Vec<u32> {
    let table = Table::nodes(nodes);
    let size = |id| match nodes {
        Nodes::Fixed(nodes) => nodes,
        Nodes::Zipf { .. } => u32::try_from(table.draw(seed, id)).map_or(u32::MAX, |k| k + 1),
    };
    (0..len).map(size).collect()
}

/// 36 of `1.36` and of `v1.36.3`; 0 of anything else.
fn minor(version: &str) -> u32 {
    version.split('.').nth(1).and_then(|minor| minor.parse().ok()).unwrap_or(0)
}
