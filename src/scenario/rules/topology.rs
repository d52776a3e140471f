//! Who manages what: managers without work, weights that fit nothing, clusters that two entries claim.

use super::{at, selector};
use crate::scenario::errors::Finding;
use crate::scenario::shape::{did_you_mean, nearest};
use crate::scenario::spec::{Manual, Scheme, Selector, Spec, TopologyKind};
use crate::units::{Share, Span};
use std::collections::BTreeMap;

/// The most points of a ring, in weights: 2,000 points each are 8 million points and 128 MB.
const WEIGHTS_MAX: u64 = 4_000;

/// Checks the topology.
pub(super) fn check(spec: &Spec, findings: &mut Vec<Finding>) {
    shards(spec, findings);
    options(spec, findings);
    lease(spec, findings);
    weights(spec, findings);
    costs(spec, findings);
    label(spec, findings);
    manual(spec, findings);
}

fn shards(spec: &Spec, findings: &mut Vec<Finding>) {
    let (shards, clusters) = (spec.topology.shards, spec.fleet.clusters);
    let path = at("spec.topology.shards");
    let alone = match spec.topology.kind {
        TopologyKind::Single => Some("`single` has one manager"),
        TopologyKind::HubAndSpoke => Some("`hub-and-spoke` has a manager on every cluster"),
        TopologyKind::Sharded | TopologyKind::Cells => None,
    };
    if let Some(alone) = alone.filter(|_| shards > 1) {
        let finding = Finding::error("contradiction", &path, format!("{alone}, not {shards}"));
        let finding = finding.about("spec.topology.kind");
        findings.push(finding.hint("write `kind: sharded` or `kind: cells`, or remove `shards`"));
    } else if shards > clusters {
        let what = if spec.topology.kind == TopologyKind::Cells { "cells" } else { "managers" };
        let message = format!("{shards} {what} cannot share {clusters} clusters");
        let finding = Finding::error("contradiction", &path, message).about("spec.fleet.clusters");
        findings.push(finding.hint(format!("write at most {clusters}, or raise `fleet.clusters`")));
    }
}

/// The shortest lease: a renewal is a third of it, and machines that are busy pause processes for tens of milliseconds.
const LEASE_MIN: Span = Span::from_millis(300);

fn lease(spec: &Spec, findings: &mut Vec<Finding>) {
    let Some(lease) = spec.topology.lease else { return };
    if spec.topology.kind != TopologyKind::Sharded {
        let message = "only managers that share a hub take over from each other";
        let finding = Finding::error("contradiction", &at("spec.topology.lease"), message).of_key();
        findings.push(finding.about("spec.topology.kind").hint("write `kind: sharded`, or remove `lease`"));
    }
    if lease < LEASE_MIN {
        let finding = Finding::error("range", &at("spec.topology.lease"), format!("{lease} is too short"));
        findings.push(finding.hint(format!("write at least {LEASE_MIN}; client-go's default is 15s")));
    }
}

/// Options that the scheme does not know would be ignored in silence.
fn options(spec: &Spec, findings: &mut Vec<Finding>) {
    let topology = &spec.topology;
    let mut only = |given: bool, key: &str, schemes: &[Scheme]| {
        if given && !schemes.contains(&topology.scheme) {
            let names: Vec<String> = schemes.iter().map(|scheme| name(*scheme)).collect();
            let message = format!("`{}` has no `{key}`", name(topology.scheme));
            let finding = Finding::error("contradiction", &at(format!("spec.topology.{key}")), message);
            let finding = finding.of_key().about("spec.topology.scheme");
            findings.push(finding.hint(format!("remove it, or write `scheme: {}`", names.join("` or `scheme: "))));
        }
    };
    only(topology.bound.is_some(), "bound", &[Scheme::WeightedRing, Scheme::Rendezvous]);
    only(!topology.weights.is_empty(), "weights", &[Scheme::WeightedRing]);
    only(topology.label.is_some(), "label", &[Scheme::Label]);
    let mut needs = |missing: bool, scheme: Scheme, key: &str, hint: &str| {
        if missing && topology.scheme == scheme {
            let message = format!("`{}` needs `topology.{key}`", name(scheme));
            findings.push(Finding::error("contradiction", &at("spec.topology.scheme"), message).hint(hint));
        }
    };
    needs(topology.label.is_none(), Scheme::Label, "label", "write `label: { key: region, shards: { eu-west: 0 } }`");
    needs(
        topology.manual.is_empty(),
        Scheme::Manual,
        "manual",
        "write `manual: [{ clusters: [cluster-00000], shard: 1 }]`",
    );
}

/// Its name in the file.
fn name(scheme: Scheme) -> String {
    serde_json::to_value(scheme).ok().and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
}

fn weights(spec: &Spec, findings: &mut Vec<Finding>) {
    let topology = &spec.topology;
    let path = at("spec.topology.weights");
    if topology.weights.len() > topology.shards as usize {
        let message = format!("{} weights for {} managers", topology.weights.len(), topology.shards);
        let finding = Finding::error("contradiction", &path, message).about("spec.topology.shards");
        findings.push(finding.hint("remove some, or raise `topology.shards`"));
    } else {
        let rest = u64::from(topology.shards) - topology.weights.len() as u64;
        let sum = rest + topology.weights.iter().map(|weight| u64::from(*weight)).sum::<u64>();
        if sum > WEIGHTS_MAX {
            let finding = Finding::error("range", &path, format!("the weights sum up to {sum}"));
            findings.push(finding.hint(format!("at most {WEIGHTS_MAX} fit the ring: only their proportions matter")));
        }
    }
}

fn costs(spec: &Spec, findings: &mut Vec<Finding>) {
    for name in spec.topology.cost.addons.keys() {
        let mut path = at("spec.topology.cost.addons");
        path.push(name.clone());
        if !spec.addons.iter().any(|addon| addon.name.0 == *name) {
            findings.push(super::unknown_addon(&path, name, spec).of_key());
        }
    }
}

/// Every value that clusters may have needs a manager: who has none is reconciled by nobody.
fn label(spec: &Spec, findings: &mut Vec<Finding>) {
    let Some(label) = &spec.topology.label else { return };
    let path = at("spec.topology.label.key");
    let Some(values) = selector::values_of(&label.key, spec) else {
        let names = selector::labels(spec);
        let hint = did_you_mean(nearest(&label.key, names.iter().copied()), &names);
        let finding = Finding::error("never-matches", &path, format!("no cluster has the label `{}`", label.key));
        findings.push(finding.about("spec.fleet.labels.**").hint(hint));
        return;
    };
    let place = |value: &str| [at("spec.topology.label.shards"), vec![value.to_owned()]].concat();
    for (value, shard) in &label.shards {
        if !values.contains(value) {
            let names: Vec<&str> = values.iter().map(String::as_str).collect();
            let message = format!("no cluster has `{}: {value}`", label.key);
            let finding = Finding::error("never-matches", &place(value), message).of_key();
            let hint = did_you_mean(nearest(value, names.iter().copied()), &names);
            findings.push(finding.about(selector::source_of(&label.key)).hint(hint));
        }
        existing(&place(value), *shard, spec, findings);
    }
    let homeless: Vec<&str> =
        values.iter().filter(|value| !label.shards.contains_key(*value)).map(String::as_str).collect();
    if !homeless.is_empty() {
        let message = format!("nobody would manage the clusters with `{}: {}`", label.key, homeless.join("`, `"));
        let finding = Finding::error("contradiction", &at("spec.topology.label.shards"), message);
        findings.push(finding.about(selector::source_of(&label.key)).hint("give every value a manager"));
    }
}

fn existing(path: &[String], shard: u32, spec: &Spec, findings: &mut Vec<Finding>) {
    let shards = spec.topology.shards;
    if matches!(spec.topology.kind, TopologyKind::Sharded | TopologyKind::Cells) && shard >= shards {
        let message = format!("there is no manager {shard} among {shards}");
        let finding = Finding::error("range", path, message).about("spec.topology.shards");
        findings.push(finding.hint("managers are counted from 0"));
    }
}

fn manual(spec: &Spec, findings: &mut Vec<Finding>) {
    let entries = &spec.topology.manual;
    let mut named: BTreeMap<&str, u32> = BTreeMap::new();
    for (index, entry) in entries.iter().enumerate() {
        let here = format!("spec.topology.manual.{index}");
        existing(&at(format!("{here}.shard")), entry.shard, spec, findings);
        if entry.clusters.is_empty() && entry.labels.is_empty() {
            let finding = Finding::error("never-matches", &at(&here), "it names no clusters");
            findings.push(finding.hint("list `clusters` or `labels`"));
        }
        selector::check(&here, &by_labels(entry), spec, findings);
        for (position, cluster) in entry.clusters.iter().enumerate() {
            let path = at(format!("{here}.clusters.{position}"));
            known(&path, cluster, spec, findings);
            if let Some(other) = named.insert(cluster, entry.shard).filter(|other| *other != entry.shard) {
                let message = format!("`{cluster}` is given to manager {other} already");
                findings.push(Finding::error("contradiction", &path, message).about("spec.topology.manual.**"));
            }
        }
        for (before, other) in entries[..index].iter().enumerate() {
            let apart = entry.labels.is_empty() || other.labels.is_empty() || entry.shard == other.shard;
            if !apart && !selector::disjoint(&by_labels(entry), &by_labels(other)) {
                let message =
                    format!("a cluster may match this and entry {before}, which gives it to manager {}", other.shard);
                let finding = Finding::error("contradiction", &at(format!("{here}.labels")), message);
                let finding = finding.about(&format!("spec.topology.manual.{before}.**"));
                findings.push(finding.hint("let one label of both list different values"));
            }
        }
    }
}

fn by_labels(entry: &Manual) -> Selector {
    Selector { labels: entry.labels.clone(), share: Share::ALL }
}

/// A finding if the fleet does not start with a cluster of this name.
pub(super) fn known(path: &[String], cluster: &str, spec: &Spec, findings: &mut Vec<Finding>) {
    if !is_cluster(cluster, spec) {
        let finding = Finding::error("unknown-reference", path, format!("there is no cluster `{cluster}`"));
        let (prefix, last) = (&spec.fleet.name_prefix.0, spec.fleet.clusters - 1);
        let finding = finding.about("spec.fleet.clusters").about("spec.fleet.namePrefix");
        findings.push(finding.hint(format!("clusters are {prefix}-00000 to {prefix}-{last:05}")));
    }
}

/// Whether the fleet starts with a cluster of this name.
fn is_cluster(name: &str, spec: &Spec) -> bool {
    let number = name.strip_prefix(&spec.fleet.name_prefix.0).and_then(|rest| rest.strip_prefix('-'));
    let number = number.filter(|digits| digits.len() >= 5).and_then(|digits| digits.parse::<u32>().ok());
    number.is_some_and(|number| number < spec.fleet.clusters && name.ends_with(&format!("-{number:05}")))
}
