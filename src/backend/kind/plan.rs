//! What kind is asked for: names, configurations, arguments. Nothing is started here.

use serde_json::Value;
use std::collections::BTreeSet;
use std::path::Path;

use crate::backend::guest::RUN;

/// Names of clusters that runs make begin so; whatever is called so may be deleted.
pub(super) const PREFIX: &str = "flamboyance-run-";
/// How long kind waits until the nodes of a cluster are ready.
const WAIT: &str = "5m";

/// What a cluster is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// A management cluster of one node.
    Hub,
    /// One with three control planes.
    HaHub,
    /// A managed cluster.
    Leaf,
}

impl Shape {
    /// Its file of `kind-configs/`.
    const fn file(self) -> &'static str {
        match self {
            Self::Hub => include_str!("../../../kind-configs/hub.yaml"),
            Self::HaHub => include_str!("../../../kind-configs/hub-ha.yaml"),
            Self::Leaf => include_str!("../../../kind-configs/leaf.yaml"),
        }
    }

    /// The configuration of a cluster of a run: the file, its nodes labelled with the run.
    ///
    /// # Panics
    /// Never: the files are part of this program, and a test reads them.
    #[must_use]
    #[expect(clippy::expect_used, reason = "the files are part of this program, and a test reads them")]
    pub fn config(self, run: &str) -> Value {
        let mut config: Value = serde_saphyr::from_str(self.file()).expect("a shipped file is YAML");
        for node in config["nodes"].as_array_mut().into_iter().flatten() {
            node["labels"][RUN] = run.into();
        }
        config
    }
}

/// The images that a configuration names.
#[must_use]
pub fn images(config: &Value) -> BTreeSet<String> {
    let nodes = config["nodes"].as_array().into_iter().flatten();
    nodes.filter_map(|node| node["image"].as_str()).map(str::to_owned).collect()
}

/// The name of a cluster of a run. Nodes are called after it and must stay below the 63 letters of a host name, so the run
/// gives its last word alone, which is drawn.
#[must_use]
pub fn name(run: &str, what: &str) -> String {
    format!("{}{what}", prefix(Some(run)))
}

/// How the names of a run's clusters begin, or those of all runs.
pub(super) fn prefix(run: Option<&str>) -> String {
    let Some(run) = run else { return PREFIX.to_owned() };
    let word = run.rsplit('-').next().unwrap_or(run).to_ascii_lowercase();
    format!("{PREFIX}{word}-")
}

/// Makes a cluster and writes how it is reached to a file of its own. What does not come up stays, for its logs.
pub(super) fn create(name: &str, config: &Path, kubeconfig: &Path) -> Vec<String> {
    let file = |path: &Path| path.display().to_string();
    let mut all = words(&["create", "cluster", "--retain", "--wait", WAIT, "--name", name]);
    all.extend(["--config".to_owned(), file(config), "--kubeconfig".to_owned(), file(kubeconfig)]);
    all
}

/// Deletes a cluster. `kubeconfig` is a file from which its context goes: never the user's.
pub(super) fn delete(name: &str, kubeconfig: &Path) -> Vec<String> {
    let mut all = words(&["delete", "cluster", "--name", name, "--kubeconfig"]);
    all.push(kubeconfig.display().to_string());
    all
}

/// Writes the logs of a cluster below a folder.
pub(super) fn logs(name: &str, folder: &Path) -> Vec<String> {
    let mut all = words(&["export", "logs", "--name", name]);
    all.push(folder.display().to_string());
    all
}

/// Lists clusters, one a line.
pub(super) fn list() -> Vec<String> {
    words(&["get", "clusters"])
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shipped_cluster_carries_the_run_and_pinned_images() {
        for (shape, nodes) in [(Shape::Hub, 1), (Shape::HaHub, 4), (Shape::Leaf, 1)] {
            let config = shape.config("smoke-20261123T000000Z-ab12cd");
            let all = config["nodes"].as_array().unwrap();
            assert_eq!(all.len(), nodes);
            assert!(all.iter().all(|node| node["labels"][RUN] == "smoke-20261123T000000Z-ab12cd"), "{config}");
            assert!(images(&config).iter().all(|image| image.contains("@sha256:")), "{config}");
            assert!(!images(&config).is_empty());
        }
    }

    #[test]
    fn names_say_whose_they_are_and_leave_room_for_the_names_of_nodes() {
        let long = format!("{}-20261123T000000Z-AB12cd", "x".repeat(60));
        let name = name(&long, "leaf-99999");
        assert_eq!(name, "flamboyance-run-ab12cd-leaf-99999");
        assert!(format!("{name}-external-load-balancer").len() < 63);
        assert!(name.starts_with(&prefix(Some(&long))) && name.starts_with(&prefix(None)));
        // Clusters that the user makes of the shipped files are not a run's.
        assert!(!"flamboyance-hub".starts_with(&prefix(None)));
    }
}
