//! What a plan makes larger: clusters, add-ons per cluster, changes per second, or fewer managers.
//!
//! In: a scenario and a size. Out: the overrides that make it so. Pure.

use crate::scenario::{Action, Scenario, TopologyKind};
use serde::Serialize;
use serde_json::Value;
use std::str::FromStr;

/// What is made larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Axis {
    /// `fleet.clusters`.
    Clusters,
    /// Add-ons of the catalogue, those of the scenario again and again.
    Apps,
    /// Changes per second of every churn in the timeline.
    Churn,
    /// Managers or cells, of which few are asked for.
    Managers,
}

/// An axis and its largest size: `clusters=100000`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upto {
    /// What.
    pub axis: Axis,
    /// How far.
    pub max: u64,
}

impl FromStr for Upto {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const FORM: &str = "write clusters=100000, apps=40, churn=500 or managers=64";
        let (name, max) = text.split_once('=').ok_or_else(|| format!("`{text}` has no size; {FORM}"))?;
        let axis = match name {
            "clusters" => Axis::Clusters,
            "apps" => Axis::Apps,
            "churn" => Axis::Churn,
            "managers" => Axis::Managers,
            _ => return Err(format!("`{name}` cannot be made larger; {FORM}")),
        };
        let most = axis.most();
        match max.trim_end_matches("/s").replace('_', "").parse() {
            Ok(max) if (1..=most).contains(&max) => Ok(Self { axis, max }),
            _ => Err(format!("`{max}` is no size from 1 to {most}; {FORM}")),
        }
    }
}

/// A scenario that has not what a plan would change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Nothing churns.
    #[error("{0} has no churn whose rate could be raised")]
    NoChurn(String),
    /// Managers that nobody can count out.
    #[error("`{0}` has a manager for every cluster, so nobody asks how many")]
    NoShards(&'static str),
    /// The largest size is below what is there already.
    #[error("{name} has {own} add-ons already, and {max} is the most that was asked for")]
    Below {
        /// Of the scenario.
        name: String,
        /// What it has.
        own: u64,
        /// What was asked.
        max: u64,
    },
}

impl Axis {
    /// The largest size that a scenario may have.
    const fn most(self) -> u64 {
        match self {
            Self::Clusters => 1_000_000,
            Self::Apps | Self::Managers => 1_000,
            Self::Churn => 100_000,
        }
    }

    /// What so many of it are called.
    #[must_use]
    pub const fn unit(self) -> &'static str {
        match self {
            Self::Clusters => "clusters",
            Self::Apps => "add-ons per cluster",
            Self::Churn => "changes per second",
            Self::Managers => "managers",
        }
    }

    /// Fewer of it are harder.
    #[must_use]
    pub const fn falls(self) -> bool {
        matches!(self, Self::Managers)
    }

    /// The smallest size that makes sense.
    ///
    /// # Errors
    /// The scenario has not what this changes.
    pub fn smallest(self, scenario: &Scenario, max: u64) -> Result<u64, Unfit> {
        let own = scenario.addons.len() as u64;
        let churns = scenario.timeline.iter().any(|step| matches!(step.action, Action::Churn { .. }));
        match self {
            // No manager without a cluster.
            Self::Clusters => Ok(u64::from(scenario.topology.shards).min(max)),
            Self::Apps if own > max => Err(Unfit::Below { name: scenario.name.clone(), own, max }),
            Self::Apps => Ok(own),
            Self::Churn if !churns => Err(Unfit::NoChurn(scenario.name.clone())),
            Self::Managers if scenario.topology.kind == TopologyKind::HubAndSpoke => {
                Err(Unfit::NoShards(scenario.topology.kind.name()))
            }
            Self::Churn | Self::Managers => Ok(1),
        }
    }

    /// The overrides that give a scenario this size.
    #[must_use]
    pub fn sets(self, scenario: &Scenario, size: u64) -> Vec<String> {
        match self {
            Self::Clusters => vec![format!("fleet.clusters={size}")],
            Self::Apps => apps(scenario, size),
            Self::Churn => {
                let churn = |(n, step): (usize, &crate::scenario::Step)| {
                    let churns = matches!(step.action, Action::Churn { .. });
                    churns.then(|| format!("timeline.{n}.change.churn.rate={size}/s"))
                };
                scenario.timeline.iter().enumerate().filter_map(churn).collect()
            }
            Self::Managers => {
                let single = scenario.topology.kind == TopologyKind::Single;
                let kind = single.then(|| "topology.kind=sharded".to_owned());
                kind.into_iter().chain([format!("topology.shards={size}")]).collect()
            }
        }
    }
}

/// The catalogue with so many entries: those beyond its own are copies with a name and a namespace of their own.
fn apps(scenario: &Scenario, size: u64) -> Vec<String> {
    // What is effective was made by us: it is YAML and has add-ons.
    let effective: Value = serde_saphyr::from_str(&scenario.effective).unwrap_or_default();
    let own = effective["spec"]["addons"].as_array().cloned().unwrap_or_default();
    let entry = |n: usize| {
        let mut entry = own[n % own.len()].clone();
        let round = n / own.len() + 1;
        if round > 1 {
            let name = format!("{}-{round}", entry["name"].as_str().unwrap_or_default());
            entry["name"] = name.clone().into();
            entry["namespace"] = name.into();
        }
        entry
    };
    let count = if own.is_empty() { 0 } else { usize::try_from(size).unwrap_or(usize::MAX) };
    let all: Vec<Value> = (0..count).map(entry).collect();
    let mut sets = vec![format!("addons={}", Value::from(all))];
    let timeline = effective["spec"]["timeline"].as_array().cloned().unwrap_or_default();
    for (n, step) in timeline.iter().enumerate() {
        // Whoever installs everything installs the copies as well.
        if step["change"]["install"]["addons"].as_array().is_some_and(|named| named.len() == own.len()) {
            sets.push(format!("timeline.{n}.change.install.addons=[]"));
        }
    }
    sets
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn load(sets: &[String]) -> Scenario {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/smoke.yaml");
        scenario::load(path, sets).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    const CHURN: &str =
        "timeline=[{ at: 0s, change: { install: {} } }, { at: 1s, change: { churn: { rate: 1/s, duration: 9s } } }]";

    #[test]
    fn a_scenario_gets_the_size_that_is_asked_for_and_stays_the_same_otherwise() {
        let base = load(&[CHURN.to_owned()]);
        let made = |axis: Axis, size| load(&[vec![CHURN.to_owned()], axis.sets(&base, size)].concat());
        assert_eq!(made(Axis::Clusters, 33).fleet.clusters, 33);
        assert_eq!(made(Axis::Managers, 4).topology.shards, 4);
        let churn = made(Axis::Churn, 70).timeline;
        assert!(matches!(churn[1].action, Action::Churn { rate_milli: 70_000, .. }), "{churn:?}");
        let apps = made(Axis::Apps, 3);
        let names: Vec<_> = apps.addons.iter().map(|addon| addon.name.clone()).collect();
        let own = &base.addons[0].name;
        assert_eq!(names, [own.clone(), format!("{own}-2"), format!("{own}-3")]);
        assert_eq!(crate::fleet::World::generate(&apps).apps(), 60, "all of them are installed");
        assert_eq!(made(Axis::Apps, 1).addons, base.addons);
    }

    #[test]
    fn what_a_scenario_has_not_cannot_be_made_larger() {
        let base = load(&[]);
        assert!(Axis::Churn.smallest(&base, 9).unwrap_err().to_string().contains("no churn"));
        let spokes = load(&["topology.kind=hub-and-spoke".to_owned()]);
        assert!(Axis::Managers.smallest(&spokes, 9).is_err());
        for text in ["clusters", "clusters=0", "clusters=2000000", "nodes=5", "managers=many"] {
            let error = text.parse::<Upto>().unwrap_err();
            assert!(error.contains("write clusters=100000"), "{error}");
        }
        assert_eq!("clusters=100_000".parse(), Ok(Upto { axis: Axis::Clusters, max: 100_000 }));
    }
}
