//! Add-ons with `instances` become as many add-ons, and what the timeline says of them is said of each.

use crate::scenario::spec::{Addon, Change, DnsLabel, Source, Spec, Step};

/// Expands all of them.
pub(super) fn expand(spec: &mut Spec) {
    if spec.addons.iter().all(|addon| addon.instances == 1) {
        return;
    }
    let names = |name: &str, addons: &[Addon]| -> Vec<String> {
        let found = addons.iter().find(|addon| addon.name.0 == name);
        found.map_or_else(|| vec![name.to_owned()], instances)
    };
    for step in &mut spec.timeline {
        if let Some(Change::Install { addons, .. }) = &mut step.change {
            *addons = addons.iter().flat_map(|name| names(name, &spec.addons)).collect();
        }
    }
    let steps = std::mem::take(&mut spec.timeline);
    for step in steps {
        let of = step.change.as_ref().and_then(addon).map(|name| names(name, &spec.addons));
        match of {
            Some(names) if names.len() > 1 => spec.timeline.extend(names.into_iter().map(|name| renamed(&step, name))),
            _ => spec.timeline.push(step),
        }
    }
    spec.addons = spec.addons.iter().flat_map(each).collect();
}

/// The names of an add-on's instances.
fn instances(addon: &Addon) -> Vec<String> {
    if addon.instances == 1 {
        return vec![addon.name.0.clone()];
    }
    (1..=addon.instances).map(|n| format!("{}-{n:04}", addon.name.0)).collect()
}

fn each(addon: &Addon) -> Vec<Addon> {
    if addon.instances == 1 {
        return vec![addon.clone()];
    }
    let numbered = (1..=addon.instances).zip(instances(addon));
    numbered
        .map(|(n, name)| {
            let name = DnsLabel(name);
            let namespace = addon.namespace.clone().unwrap_or_else(|| name.clone());
            Addon { instances: 1, namespace: Some(namespace), source: source(&addon.source, n), name, ..addon.clone() }
        })
        .collect()
}

fn source(source: &Source, n: u32) -> Source {
    let url = |url: &String| url.replace("{instance}", &format!("{n:04}"));
    let path = |path: &String| format!("{}/{n:04}", path.trim_end_matches('/'));
    match source {
        Source::Git { url: at, path: to } => Source::Git { url: url(at), path: path(to) },
        Source::Oci { url: at, path: to } => Source::Oci { url: url(at), path: path(to) },
        Source::Helm { url: at, chart } => Source::Helm { url: url(at), chart: format!("{chart}-{n:04}") },
    }
}

/// The one add-on that a change names.
fn addon(change: &Change) -> Option<&str> {
    match change {
        Change::Upgrade { addon, .. }
        | Change::Commit { addon }
        | Change::Scale { addon, .. }
        | Change::Rollout { addon, .. }
        | Change::Decommission { addon, .. } => Some(addon),
        Change::Drift { addon, .. } => addon.as_deref(),
        Change::Install { .. }
        | Change::Clusters { .. }
        | Change::Churn { .. }
        | Change::Managers { .. }
        | Change::Move { .. }
        | Change::Drain { .. } => None,
    }
}

fn renamed(step: &Step, name: String) -> Step {
    let mut step = step.clone();
    match &mut step.change {
        Some(
            Change::Upgrade { addon, .. }
            | Change::Commit { addon }
            | Change::Scale { addon, .. }
            | Change::Rollout { addon, .. }
            | Change::Decommission { addon, .. },
        ) => *addon = name,
        Some(Change::Drift { addon, .. }) => *addon = Some(name),
        _ => {}
    }
    step
}
