//! Managers that are programs of others: what they cannot be asked for.
//!
//! What ours do for an add-on by way of Flux, Argo CD does not: so much of a scenario makes sense for one of them alone.

use super::at;
use crate::scenario::errors::Finding;
use crate::scenario::spec::{
    Addon, Backend, Behaviour, Change, DriftKind, Manager, ManagerKind, Mode, Scheme, Source, Spec, Step, TopologyKind,
};

/// Checks what `manager.command` makes of a scenario.
pub(super) fn check(spec: &Spec, findings: &mut Vec<Finding>) {
    let manager = &spec.manager;
    let place = at("spec.manager.command");
    let (real, flux) = (manager.command.is_some(), manager.kind == ManagerKind::Flux);
    if flux && !real {
        let finding = Finding::error("contradiction", &at("spec.manager.kind"), "of `flux` there is no model");
        let hint = "name the folder of its programs: `command: /path/to/controllers`";
        findings.push(finding.about("spec.manager.command").hint(hint));
    }
    if !real && !flux {
        return;
    }
    if !flux && manager.kind != ManagerKind::Argocd {
        let message = "only `argocd` and `flux` are programs of others";
        let finding = Finding::error("contradiction", &place, message).of_key().about("spec.manager.kind");
        findings.push(finding.hint("remove it, or let `manager.kind` be `argocd` or `flux`"));
        return;
    }
    let mut real = Real { flux, findings };
    real.places(spec);
    real.settings(manager);
    spec.addons.iter().enumerate().for_each(|(index, addon)| real.addon(&format!("spec.addons.{index}"), addon));
    spec.timeline.iter().enumerate().for_each(|(index, step)| real.step(&format!("spec.timeline.{index}"), step));
}

struct Real<'a> {
    flux: bool,
    findings: &'a mut Vec<Finding>,
}

impl Real<'_> {
    const fn name(&self) -> &'static str {
        if self.flux { "the real Flux" } else { "the real Argo CD" }
    }

    /// Refuses a key because of what the managers are.
    fn refuse(&mut self, path: &str, message: &str, hint: &str) {
        let message = format!("{}: {message}", self.name());
        let finding = Finding::error("contradiction", &at(path), message).of_key();
        self.findings.push(finding.about("spec.manager.kind").about("spec.manager.command").hint(hint));
    }

    fn places(&mut self, spec: &Spec) {
        let topology = &spec.topology;
        match topology.kind {
            TopologyKind::Single => {}
            TopologyKind::Sharded if !self.flux => {
                if !matches!(topology.scheme, Scheme::Legacy | Scheme::RoundRobin | Scheme::ConsistentHashing) {
                    let hint = "write `legacy`, `round-robin` or `consistent-hashing`";
                    self.refuse("spec.topology.scheme", "it has no such scheme", hint);
                }
                if !topology.manual.is_empty() {
                    self.refuse("spec.topology.manual", "its clusters are placed by scheme alone", "remove it");
                }
            }
            _ if self.flux => self.refuse("spec.topology.kind", "it is one", "let it be `single`"),
            _ => self.refuse("spec.topology.kind", "it has one hub", "let it be `single` or `sharded`"),
        }
        if topology.lease.is_some() {
            self.refuse("spec.topology.lease", "its shards do not take over from each other", "remove it");
        }
        if !matches!(spec.backend, Backend::Mock) {
            self.refuse("spec.backend", "it works on the mock in this version", "remove it");
        }
    }

    /// Settings of managers of ours, which it would not hear of.
    fn settings(&mut self, manager: &Manager) {
        let ours = Manager::default();
        let leaf = (manager.leaf.qps, manager.leaf.burst) != (ours.leaf.qps, ours.leaf.burst);
        let api = (&manager.flux_api.source.0, &manager.flux_api.kustomize.0, &manager.flux_api.helm.0);
        let newest = (&ours.flux_api.source.0, &ours.flux_api.kustomize.0, &ours.flux_api.helm.0);
        let resync = (manager.resync, manager.resync_jitter) != (ours.resync, ours.resync_jitter);
        for (key, set) in [
            ("leaf", leaf),
            ("behaviour", !matches!(manager.behaviour, Behaviour::Fixed)),
            ("backoffBase", manager.backoff_base != ours.backoff_base),
            ("backoffMax", manager.backoff_max != ours.backoff_max),
            ("clientCache", manager.client_cache != ours.client_cache),
            ("connections", manager.connections != ours.connections),
            ("nodes", manager.nodes.is_some()),
            ("fluxApi", api != newest),
            ("hub", self.flux && manager.hub.as_ref().is_some_and(|hub| hub.qps.milli > 0)),
            ("concurrency", self.flux && manager.concurrency != ours.concurrency),
            ("resync", self.flux && resync),
        ] {
            if set {
                let hint = if self.flux { "remove it; `run.flux` sets what it has" } else { "remove it" };
                self.refuse(&format!("spec.manager.{key}"), "it does not hear of this setting", hint);
            }
        }
    }

    fn addon(&mut self, here: &str, addon: &Addon) {
        match (&addon.source, self.flux) {
            (Source::Git { .. }, _) | (Source::Helm { .. }, true) => {}
            (Source::Helm { .. }, false) => {
                let hint = "let it come from `git`: no `helm` is started here, which its repo-server calls";
                self.refuse(&format!("{here}.source.helm"), "charts are not rendered in this version", hint);
            }
            (Source::Oci { .. }, _) => {
                self.refuse(
                    &format!("{here}.source.oci"),
                    "nobody serves OCI artifacts here",
                    "let it come from `git`",
                );
            }
        }
        for (key, set, message) in [
            ("mode", addon.mode == Mode::Reference, "nobody writes Flux objects on the clusters"),
            ("values", !addon.values.is_empty(), "manifests are served as they are in this version"),
            ("dependsOn", !addon.depends_on.is_empty(), "add-ons are not ordered in this version"),
            ("automated", !addon.automated, "whatever is not synced by itself is never installed here"),
        ] {
            if set {
                self.refuse(&format!("{here}.{key}"), message, "remove it");
            }
        }
    }

    fn step(&mut self, here: &str, step: &Step) {
        if step.fault.is_some() {
            let hint = "leave it out; faults are played with managers of ours";
            self.refuse(&format!("{here}.fault"), "nothing is hurt in this version", hint);
        }
        let change = match &step.change {
            None
            | Some(
                Change::Install { .. } | Change::Upgrade { .. } | Change::Rollout { .. } | Change::Decommission { .. },
            ) => return,
            Some(Change::Drift { kind: DriftKind::Delete, .. }) if !self.flux => return,
            Some(Change::Drift { .. }) => "drift",
            Some(Change::Commit { .. }) => "commit",
            Some(Change::Scale { .. }) => "scale",
            Some(Change::Clusters { .. }) => "clusters",
            Some(Change::Churn { .. }) => "churn",
            Some(Change::Managers { .. }) => "managers",
            Some(Change::Move { .. }) => "move",
            Some(Change::Drain { .. }) => "drain",
        };
        let drift = if self.flux { "" } else { ", `drift` that deletes" };
        let hint = format!("possible are `install`, `upgrade`, `rollout`, `decommission`{drift}");
        self.refuse(&format!("{here}.change.{change}"), "this step is not played in this version", &hint);
    }
}
