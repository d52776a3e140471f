//! Predictions of measurements that others published and of our own that are held back, before anybody has seen them.
//!
//! In: a way to play a scenario. Out: for every question a value, an interval and what it rests on. A question that no
//! mechanism of this program reaches gets a wide interval and says why. What was fitted is said too: [`FITTED`] lists
//! every constant that comes from a point given in a publication; everything else is measured elsewhere or assumed.
//!
//! ```text
//! argo     C2 C3 C4 M2: scenarios of scenarios/published, played with `manager.kind: argocd`
//! waves    C1 M1: workers, the build lock, kube-controller-manager's limiter
//! balance  C6: the schemes of `topology`
//! laws     C5 C7 C8 C9: a law of few constants each
//! ```

mod argo;
mod balance;
mod laws;
mod waves;

use serde::Serialize;
use std::collections::BTreeMap;

/// A value, or two of them.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// One.
    One(f64),
    /// Low and high, such as two percentiles.
    Two([f64; 2]),
}

/// One prediction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Prediction {
    /// What the model says.
    pub value: Value,
    /// Of what it is a quantity.
    pub unit: &'static str,
    /// Where the answer is expected, with nine chances in ten in our own opinion.
    pub interval: [f64; 2],
    /// The scenario that gives it, with its overrides; nothing where a law gives it.
    pub scenario: Option<String>,
    /// It lies beyond what the model was compared with.
    pub extrapolates: bool,
    /// By which mechanism, and what is weak about it.
    pub how: &'static str,
}

/// A constant that was fitted to a published point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Fit {
    /// For which questions.
    pub questions: &'static str,
    /// Which constant.
    pub constant: &'static str,
    /// To which point.
    pub point: &'static str,
}

/// Everything that was fitted.
pub const FITTED: &[Fit] = &[
    Fit {
        questions: "C1.ks1000, C1.hr1000 (not the .nofit ones)",
        constant: "seconds per app beyond a constant start",
        point: "C1, Flux 2.8, N = 100 and 500",
    },
    Fit { questions: "C1.ks1000.memory", constant: "Mi per Kustomization", point: "C1, Flux 2.8, N = 100 and 500" },
    Fit {
        questions: "M1",
        constant: "0.225 s per build under the lock on two busy cores",
        point: "run b: 100 in 23.4 s; the other runs check it",
    },
    Fit {
        questions: "M2",
        constant: "1.12: what CPU-bound runs take beyond the model",
        point: "N = 300 at QPS 100 and 200, 20/10 processors",
    },
    Fit { questions: "C5", constant: "GiB per cluster and per 1,000 apps", point: "all four rows" },
    Fit { questions: "C7", constant: "service time and its growth per instance", point: "1 and 3 instances" },
    Fit { questions: "C8", constant: "time per create and per page", point: "64k" },
    Fit { questions: "C9.maestro50", constant: "seconds per item and per batch", point: "20 and 100 items" },
];

/// All predictions with the version of the model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Predictions {
    /// Version of the models.
    pub model_version: &'static str,
    /// What was fitted to what.
    pub fitted: &'static [Fit],
    /// By question.
    pub predictions: BTreeMap<String, Prediction>,
}

/// What a played scenario came to, seconds and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Played {
    /// Until all apps of the install were healthy.
    pub all_healthy_s: f64,
    /// The slowest upgrade and the slowest commit.
    pub upgrade_s: f64,
    /// See there.
    pub commit_s: f64,
    /// The largest manager.
    pub memory_bytes: f64,
}

/// Plays one of the shipped scenarios, given by text, name and overrides.
pub type Play<'a> = dyn FnMut(&'static str, &str, &[String]) -> Played + 'a;

/// Asks everything.
pub fn all(play: &mut Play<'_>) -> Predictions {
    let mut predictions = BTreeMap::new();
    let mut put = |id: &str, prediction: Prediction| _ = predictions.insert(id.to_owned(), prediction);
    waves::predict(&mut put);
    argo::predict(play, &mut put);
    laws::predict(&mut put);
    balance::predict(&mut put);
    Predictions { model_version: crate::record::MODEL_VERSION, fitted: FITTED, predictions }
}

/// Where predictions go.
type Put<'a> = dyn FnMut(&str, Prediction) + 'a;

/// Three digits are more than anybody knows.
fn round(value: f64) -> f64 {
    if value == 0.0 {
        return 0.0;
    }
    let scale = 10_f64.powf(2.0 - value.abs().log10().floor());
    (value * scale).round() / scale
}

/// A prediction of one value within factors of it.
fn within(value: f64, low: f64, high: f64, unit: &'static str, how: &'static str) -> Prediction {
    Prediction {
        value: Value::One(round(value)),
        unit,
        interval: [round(value * low), round(value * high)],
        scenario: None,
        extrapolates: false,
        how,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every question that is asked.
    const ASKED: &str = "C1.ks1000 C1.hr1000 C1.ks1000.memory C1.ks100.nofit C1.ks500.nofit C1.ks1000.nofit \
        C1.ks1000.concurrency4 C1.ks1000.nowait M1.ks300 M1.ks300.late M1.ks40.c4.late M1.hr100.late \
        M2.two_controllers M2.op50 M2.op50.memory M2.status4 C2.qps100 C2.qps150 C2.qps200 C2.qps300 C3.default \
        C3.workers25_50 C3.workers100_200 C3.qps100 C3.qps150 C3.clusters10_shard1 C3.clusters10_shards10_legacy \
        C4.shards6 C4.shards9 C4.shards12 C5.10k_250 C5.20k_500 C5.30k_500 C5.50k_500 C7.n2 C7.n4 C7.n5 C7.n2.breach \
        C7.n4.breach C7.n5.breach C8.create256k C8.list256k C9.etcd.1000placements C9.resync.1000placements C9.one_more \
        C9.maestro50 C9.fleet.ready";

    #[test]
    fn every_question_is_answered_within_its_own_interval() {
        let any = Played { all_healthy_s: 40.0, upgrade_s: 4_000.0, commit_s: 4_000.0, memory_bytes: 1e9 };
        let all = all(&mut |_, _, _| any);
        let schemes = ["legacy", "round-robin", "greedy-minimum", "weighted-ring", "consistent-hashing"];
        let mut asked: Vec<String> = ASKED.split_whitespace().map(str::to_owned).collect();
        for scheme in schemes {
            asked.extend(["even", "random"].map(|load| format!("C6.range.{scheme}.{load}")));
            asked.push(format!("C6.moves.{scheme}"));
        }
        asked.sort();
        assert_eq!(all.predictions.keys().cloned().collect::<Vec<_>>(), asked);
        for (id, prediction) in &all.predictions {
            let [low, high] = prediction.interval;
            let inside = |value: f64| low <= value && value <= high;
            match prediction.value {
                Value::One(value) => assert!(inside(value), "{id}: {prediction:?}"),
                Value::Two(values) => assert!(values.into_iter().all(inside), "{id}: {prediction:?}"),
            }
        }
    }
}
