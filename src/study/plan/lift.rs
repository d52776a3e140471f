//! What would make a limit eight times wider.
//!
//! In: a scenario, and what was used up. Out: overrides. Pure.

use crate::measure::limit::Limit;
use crate::scenario::{ManagerKind, Scenario};

/// How much wider a limit is made: enough to be none, and still a number that somebody could buy.
const WIDER: u32 = 8;

/// Overrides, and what they do in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Lift {
    /// `model.hub.cores 4 -> 32`.
    pub(super) words: String,
    /// As `--set` takes them.
    pub(super) sets: Vec<String>,
}

fn lift(path: &str, from: impl std::fmt::Display, to: impl std::fmt::Display) -> Lift {
    Lift { words: format!("{path} {from} -> {to}"), sets: vec![format!("{path}={to}")] }
}

fn cores(path: &str, milli: u32) -> Lift {
    let text = |milli: u32| format!("{}", f64::from(milli) / 1e3);
    lift(path, text(milli), text(milli.saturating_mul(WIDER).min(1_000_000)))
}

/// The overrides that lift a limit; `None` where a scenario has no such number.
#[must_use]
pub(super) fn limit(scenario: &Scenario, limit: &Limit) -> Option<Lift> {
    let (model, manager) = (&scenario.model, &scenario.manager);
    let argo = manager.kind.argo();
    let wider = |n: u32| n.saturating_mul(WIDER).min(100_000);
    let place = |prefix: &str| limit.place.starts_with(prefix);
    match limit.resource.as_str() {
        "workers" => Some(match argo {
            Some(argo) => lift("manager.operations", argo.operations, wider(argo.operations)),
            None => lift("manager.concurrency", manager.concurrency, wider(manager.concurrency)),
        }),
        "cpu" if place("hub") => Some(cores("model.hub.cores", model.hub.milli)),
        "cpu" if place("leaf") || place("leaves") => Some(cores("model.leaf.cores", model.leaf.milli)),
        "cpu" if place("manager") || place("machine") => Some(cores("model.manager.cores", model.manager.milli)),
        "cpu" if place("host") => model.host.map(|host| lift("model.host", host, wider(host).min(1_000))),
        "seats" | "throttling" => Some(lift("model.hub.seats", model.hub.seats, model.hub.seats.saturating_mul(WIDER))),
        "hub-qps" | "qps" => Some(rate("manager.hub.qps", manager.hub_qps_milli)),
        "leaf-qps" => Some(rate("manager.leaf.qps", manager.leaf_qps_milli)),
        _ => None,
    }
}

fn rate(path: &str, milli: u64) -> Lift {
    let text = |milli: u64| crate::units::Rate { milli }.to_string();
    lift(path, text(milli), text(milli.saturating_mul(WIDER.into())))
}

/// What can be used up in a scenario, in the words of a reader.
#[must_use]
pub(super) fn named(scenario: &Scenario, limit: &Limit) -> String {
    let of = |what: &str| format!("{what} of {}", limit.place);
    match limit.resource.as_str() {
        "workers" if matches!(scenario.manager.kind, ManagerKind::Loopback) => of("the workers"),
        "workers" => of("the operation processors"),
        "cpu" => of("the CPU"),
        "seats" => of("the API server's seats"),
        "hub-qps" | "qps" => of("the client-side limit to the hub"),
        "leaf-qps" => of("the client-side limit to clusters"),
        "throttling" => "the API server's answer 429".to_owned(),
        other => of(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario;

    fn load(sets: &[String]) -> Scenario {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios/ten-thousand.yaml");
        scenario::load(path, sets).unwrap_or_else(|errors| panic!("{errors:?}"))
    }

    #[test]
    fn every_limit_that_a_scenario_gives_a_number_is_made_wider_by_overrides_that_are_valid() {
        let scenario = load(&["manager.hub.qps=50/s".to_owned(), "manager.leaf.qps=5/s".to_owned()]);
        for (resource, place, words) in [
            ("workers", "manager-0", "manager.concurrency 256 -> 2048"),
            ("cpu", "hub", "model.hub.cores 4 -> 32"),
            ("cpu", "leaf-7", "model.leaf.cores 2 -> 16"),
            ("cpu", "manager-3", "model.manager.cores 1 -> 8"),
            ("seats", "hub", "model.hub.seats 245 -> 1960"),
            ("hub-qps", "manager-0", "manager.hub.qps 50/s -> 400/s"),
            ("leaf-qps", "managers", "manager.leaf.qps 5/s -> 40/s"),
        ] {
            let known = Limit { resource: resource.into(), place: place.into(), share: 1.0, evidence: String::new() };
            let lift = limit(&scenario, &known).unwrap();
            assert_eq!(lift.words, words);
            load(&lift.sets);
        }
        let none = Limit { resource: "none".into(), place: String::new(), share: 0.1, evidence: String::new() };
        assert_eq!(limit(&scenario, &none), None);
    }
}
