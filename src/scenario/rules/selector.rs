//! Selectors that select nobody.

use super::at;
use crate::scenario::errors::Finding;
use crate::scenario::model::label;
use crate::scenario::shape::{did_you_mean, nearest};
use crate::scenario::spec::{Selector, Spec};

/// Checks the selector at `path`.
pub(super) fn check(path: &str, selector: &Selector, spec: &Spec, findings: &mut Vec<Finding>) {
    for (key, wanted) in &selector.labels {
        let mut place = at(format!("{path}.labels"));
        place.push(key.clone());
        let Some(values) = values_of(key, spec) else {
            let names = labels(spec);
            let hint = did_you_mean(nearest(key, names.iter().copied()), &names);
            let finding = Finding::error("never-matches", &place, format!("no cluster has the label `{key}`"));
            findings.push(finding.of_key().about("spec.fleet.labels.**").hint(hint));
            continue;
        };
        if wanted.is_empty() {
            let finding = Finding::error("never-matches", &place, format!("no value of `{key}` is listed"));
            findings.push(finding.hint("list values, or remove the label to select every cluster"));
        }
        for (index, value) in wanted.iter().enumerate().filter(|(_, value)| !values.contains(value)) {
            let mut place = place.clone();
            place.push(index.to_string());
            let names: Vec<&str> = values.iter().map(String::as_str).collect();
            let hint = did_you_mean(nearest(value, names.iter().copied()), &names);
            let finding = Finding::error("never-matches", &place, format!("no cluster has `{key}: {value}`"));
            findings.push(finding.about(source_of(key)).hint(hint));
        }
    }
    let share = path.to_owned() + ".share";
    let about = u64::from(selector.share.ppm) * u64::from(spec.fleet.clusters);
    if selector.share.ppm == 0 {
        findings.push(Finding::error("never-matches", &at(share), "0% of the clusters is none"));
    } else if about < 1_000_000 {
        let message = format!("{} of {} clusters is less than one", selector.share, spec.fleet.clusters);
        findings.push(Finding::warning("never-matches", &at(share), message).about("spec.fleet.clusters"));
    }
}

/// Whether no cluster matches both: they list different values of one label.
pub(super) fn disjoint(one: &Selector, other: &Selector) -> bool {
    let apart = |(key, values): (&String, &Vec<String>)| {
        other.labels.get(key).is_some_and(|others| !values.iter().any(|value| others.contains(value)))
    };
    one.labels.iter().any(apart)
}

/// Whether every cluster that matches `narrow` surely matches `wide`.
pub(super) fn covers(wide: &Selector, narrow: &Selector) -> bool {
    let contained = |(key, values): (&String, &Vec<String>)| {
        narrow.labels.get(key).is_some_and(|narrow| narrow.iter().all(|value| values.contains(value)))
    };
    wide.share.ppm == 1_000_000 && wide.labels.iter().all(contained)
}

pub(super) fn labels(spec: &Spec) -> Vec<&str> {
    let made = [label::REGION, label::ENVIRONMENT, label::KUBERNETES].into_iter();
    made.chain(spec.fleet.labels.keys().map(String::as_str)).collect()
}

pub(super) fn values_of(key: &str, spec: &Spec) -> Option<Vec<String>> {
    let fleet = &spec.fleet;
    match key {
        label::REGION => Some(fleet.regions.iter().map(|one| one.name.0.clone()).collect()),
        label::ENVIRONMENT => Some(fleet.environments.iter().map(|one| one.name.0.clone()).collect()),
        label::KUBERNETES => Some(fleet.kubernetes.iter().map(|one| one.version.to_string()).collect()),
        _ => fleet.labels.get(key).map(|value| vec![value.clone()]),
    }
}

pub(super) fn source_of(key: &str) -> &'static str {
    match key {
        label::REGION => "spec.fleet.regions.*.name",
        label::ENVIRONMENT => "spec.fleet.environments.*.name",
        label::KUBERNETES => "spec.fleet.kubernetes.*.version",
        _ => "spec.fleet.labels.**",
    }
}
