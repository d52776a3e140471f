//! What no schema can say: values that contradict each other, references to nothing, changes that would change nothing.
//!
//! In: a file of the right shape. Out: findings, all of them. Nothing is changed or resolved here.

mod catalogue;
mod prices;
mod real;
mod selector;
mod timeline;
mod topology;

use super::errors::Finding;
use super::model::label;
use super::shape::{did_you_mean, nearest};
use super::spec::{Delay, Spec, TopologyKind};
use crate::units::Span;
use std::collections::BTreeSet;

/// Everything that contradicts.
pub(super) fn check(spec: &Spec) -> Vec<Finding> {
    let mut findings = Vec::new();
    fleet(spec, &mut findings);
    catalogue::check(spec, &mut findings);
    topology::check(spec, &mut findings);
    manager(spec, &mut findings);
    real::check(spec, &mut findings);
    run(spec, &mut findings);
    prices::check(spec, &mut findings);
    timeline::check(spec, &mut findings);
    matrix(spec, &mut findings);
    findings
}

/// A path in the file.
fn at(path: impl AsRef<str>) -> Vec<String> {
    path.as_ref().split('.').map(str::to_owned).collect()
}

fn fleet(spec: &Spec, findings: &mut Vec<Finding>) {
    let fleet = &spec.fleet;
    unique("spec.fleet.regions", "name", fleet.regions.iter().map(|one| one.name.0.clone()), findings);
    unique("spec.fleet.environments", "name", fleet.environments.iter().map(|one| one.name.0.clone()), findings);
    unique("spec.fleet.kubernetes", "version", fleet.kubernetes.iter().map(|one| one.version.to_string()), findings);
    for (key, value) in &fleet.labels {
        let mut path = at("spec.fleet.labels");
        path.push(key.clone());
        if [label::REGION, label::ENVIRONMENT, label::KUBERNETES].contains(&key.as_str()) {
            let message = format!("the label `{key}` is made from `spec.fleet`");
            findings.push(Finding::error("contradiction", &path, message).of_key().hint("choose another name"));
        } else if !is_label_key(key) {
            let hint = "letters, digits, `-`, `_` and `.`, at most 63, after an optional DNS name and `/`";
            findings.push(Finding::error("value", &path, format!("`{key}` is not a label")).of_key().hint(hint));
        } else if !value.is_empty() && !is_label_name(value) {
            let hint = "letters, digits, `-`, `_` and `.`, at most 63";
            findings.push(Finding::error("value", &path, format!("`{value}` is not the value of a label")).hint(hint));
        }
    }
}

/// Every name of a list stands there once.
fn unique(list: &str, key: &str, names: impl Iterator<Item = String>, findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for (index, name) in names.enumerate() {
        if !seen.insert(name.clone()) {
            let path = at(if key.is_empty() { format!("{list}.{index}") } else { format!("{list}.{index}.{key}") });
            let finding = Finding::error("duplicate", &path, format!("`{name}` is already in the list"));
            findings.push(finding.about(&format!("{list}.*.{key}")));
        }
    }
}

/// Kubernetes' qualified name: an optional DNS subdomain and `/`, then a name.
fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').unwrap_or(("x", key));
    let prefix_fits = prefix.len() <= 253 && prefix.split('.').all(|part| super::spec::DnsLabel::check(part).is_ok());
    prefix_fits && is_label_name(name)
}

fn is_label_name(name: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = name.as_bytes();
    let inner = bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte));
    bytes.len() <= 63 && edge(bytes.first()) && edge(bytes.last()) && inner
}

/// How many managers there are.
const fn managers(spec: &Spec) -> u32 {
    match spec.topology.kind {
        TopologyKind::Single => 1,
        TopologyKind::Sharded | TopologyKind::Cells => spec.topology.shards,
        TopologyKind::HubAndSpoke => spec.fleet.clusters,
    }
}

/// The shortest wait that makes sense: below it a run spins instead of waiting.
const WAIT_MIN: Span = Span::from_millis(1);

fn manager(spec: &Spec, findings: &mut Vec<Finding>) {
    let manager = &spec.manager;
    kinds(spec, findings);
    at_least("spec.manager.resync", manager.resync, Span::from_secs(1), findings);
    at_least("spec.manager.backoffBase", manager.backoff_base, WAIT_MIN, findings);
    ordered("spec.manager", ["backoffBase", "backoffMax"], [manager.backoff_base, manager.backoff_max], findings);
    // The versions that the CRDs of the mock serve, old to new.
    let known: [(&str, &str, &[&str]); 3] = [
        ("source", &manager.flux_api.source.0, &["v1beta2", "v1"]),
        ("kustomize", &manager.flux_api.kustomize.0, &["v1beta2", "v1"]),
        ("helm", &manager.flux_api.helm.0, &["v2beta1", "v2beta2", "v2"]),
    ];
    for (key, version, versions) in known {
        if !versions.contains(&version) {
            let path = at(format!("spec.manager.fluxApi.{key}"));
            let message = format!("Flux serves no `{version}` of its {key} API");
            findings.push(Finding::error("unknown-reference", &path, message).hint(did_you_mean(None, versions)));
        }
    }
}

/// Keys that mean something to some kinds of managers alone.
fn kinds(spec: &Spec, findings: &mut Vec<Finding>) {
    let manager = &spec.manager;
    let mut contradict = |path: String, message: &str, hint: &str| {
        let finding = Finding::error("contradiction", &at(path), message).of_key().about("spec.manager.kind");
        findings.push(finding.hint(hint));
    };
    if !manager.kind.is_argo() {
        for (key, given) in [
            ("version", manager.version.is_some()),
            ("operations", manager.operations.is_some()),
            ("kubectl", manager.kubectl.is_some()),
            ("nodes", manager.nodes.is_some()),
        ] {
            if given {
                let message = format!("`{key}` is a setting of Argo CD, and this manager is none");
                contradict(format!("spec.manager.{key}"), &message, "remove it, or let `manager.kind` be `argocd`");
            }
        }
        for (index, addon) in spec.addons.iter().enumerate().filter(|(_, addon)| !addon.automated) {
            let message =
                format!("only Argo CD syncs by hand, and `{}` has no other way to be installed", addon.name.0);
            contradict(format!("spec.addons.{index}.automated"), &message, "remove it");
        }
    }
    if manager.kind.is_argo()
        && manager.command.is_none()
        && !matches!(spec.topology.kind, TopologyKind::Single | TopologyKind::Sharded)
    {
        let message = "only our own manager is simulated in this topology";
        let finding = Finding::error("not-in-this-version", &at("spec.topology.kind"), message);
        findings.push(finding.about("spec.manager.kind").hint("let it be `single` or `sharded`"));
    }
}

/// Most runs of one study.
const CELLS_MAX: usize = 1_000;

fn matrix(spec: &Spec, findings: &mut Vec<Finding>) {
    unique("spec.matrix", "axis", spec.matrix.iter().map(|axis| axis.axis.0.clone()), findings);
    for (index, axis) in spec.matrix.iter().enumerate() {
        let points = axis.points.iter().map(|point| point.name.0.clone());
        unique(&format!("spec.matrix.{index}.points"), "name", points, findings);
    }
    let cells = spec.matrix.iter().fold(1_usize, |cells, axis| cells.saturating_mul(axis.points.len()));
    if cells > CELLS_MAX {
        let finding = Finding::error("range", &at("spec.matrix"), format!("{cells} combinations are too many"));
        findings.push(finding.hint(format!("at most {CELLS_MAX} are run: split the study")));
    }
}

fn run(spec: &Spec, findings: &mut Vec<Finding>) {
    let (run, flux) = (&spec.run, &spec.run.flux);
    at_least("spec.run.timeout", run.timeout, Span::from_secs(1), findings);
    at_least("spec.run.flux.dependencyPoll", flux.dependency_poll, WAIT_MIN, findings);
    at_least("spec.run.flux.healthPoll", flux.health_poll, WAIT_MIN, findings);
    at_least("spec.run.flux.backoffBase", flux.backoff_base, WAIT_MIN, findings);
    ordered("spec.run.flux", ["backoffBase", "backoffMax"], [flux.backoff_base, flux.backoff_max], findings);
    for (path, delay) in [
        ("spec.run.workloadReady", &run.workload_ready),
        ("spec.run.flux.fetch", &flux.fetch),
        ("spec.run.flux.build", &flux.build),
    ] {
        if let Delay::Uniform { min, max } = delay {
            ordered(&format!("{path}.uniform"), ["min", "max"], [*min, *max], findings);
        }
    }
    if run.history.0 < 1 << 20 {
        let finding = Finding::error("range", &at("spec.run.history"), format!("{} is too small", run.history));
        findings.push(finding.hint("write at least 1Mi: without history every watch starts over"));
    }
    if flux.jitter.ppm > 500_000 {
        let finding = Finding::error("range", &at("spec.run.flux.jitter"), format!("{} is out of range", flux.jitter));
        findings.push(finding.hint("Flux allows 0% to 50%"));
    }
    at_least("spec.measure.window", spec.measure.window, Span::from_millis(10), findings);
    let windows = run.timeout.0 / spec.measure.window.0.max(1);
    if windows > 1_000_000 {
        let message = format!("a run of {} would have {windows} windows", run.timeout);
        let finding = Finding::error("range", &at("spec.measure.window"), message).about("spec.run.timeout");
        findings.push(finding.hint("at most 1000000 are kept: widen the window or shorten `run.timeout`"));
    }
    if run.duration >= run.timeout {
        let message = format!("the run is given up after {}, before it may end", run.timeout);
        let finding = Finding::error("contradiction", &at("spec.run.duration"), message);
        findings.push(finding.about("spec.run.timeout").hint("raise `run.timeout`"));
    }
    for (key, span) in [("allHealthy", spec.expect.all_healthy), ("endToEndP99", spec.expect.end_to_end_p99)] {
        if span.is_some_and(|span| span > run.timeout) {
            let message = format!("the run is given up after {}, before this can be told", run.timeout);
            let finding = Finding::error("contradiction", &at(format!("spec.expect.{key}")), message);
            findings.push(finding.about("spec.run.timeout").hint("raise `run.timeout`"));
        }
    }
}

fn at_least(path: &str, span: Span, least: Span, findings: &mut Vec<Finding>) {
    if span < least {
        let finding = Finding::error("range", &at(path), format!("{span} is too short"));
        findings.push(finding.hint(format!("write at least {least}")));
    }
}

/// The first of two spans is at most the second.
fn ordered(parent: &str, keys: [&str; 2], spans: [Span; 2], findings: &mut Vec<Finding>) {
    if spans[0] > spans[1] {
        let message = format!("{} is more than `{}`, which is {}", spans[0], keys[1], spans[1]);
        let finding = Finding::error("contradiction", &at(format!("{parent}.{}", keys[0])), message);
        findings.push(finding.about(&format!("{parent}.{}", keys[1])));
    }
}

/// A name that must be one of an add-on's.
fn unknown_addon(path: &[String], name: &str, spec: &Spec) -> Finding {
    let names: Vec<&str> = spec.addons.iter().map(|addon| addon.name.0.as_str()).collect();
    let hint = did_you_mean(nearest(name, names.iter().copied()), &names);
    let message = format!("there is no add-on `{name}`");
    Finding::error("unknown-reference", path, message).about("spec.addons.*.name").hint(hint)
}
