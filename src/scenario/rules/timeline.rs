//! The timeline, played in order of time: every change must find what it changes.

mod fault;
mod shift;

use super::{at, catalogue, selector, unique, unknown_addon};
use crate::scenario::errors::Finding;
use crate::scenario::shape::did_you_mean;
use crate::scenario::spec::{Addon, Change, Mode, Selector, Source, Spec, Step};
use crate::units::Span;
use std::collections::{BTreeMap, BTreeSet};

/// Checks every step.
pub(super) fn check(spec: &Spec, findings: &mut Vec<Finding>) {
    let state = vec![State::default(); spec.addons.len()];
    let mut play = Play {
        spec,
        state,
        clusters: i64::from(spec.fleet.clusters),
        managers: i64::from(spec.topology.shards),
        drained: BTreeSet::new(),
        hurt: Vec::new(),
        findings,
    };
    let mut order: Vec<usize> = (0..spec.timeline.len()).collect();
    order.sort_by_key(|index| spec.timeline[*index].at);
    for index in order {
        play.step(index, &spec.timeline[index]);
    }
    play.end();
}

/// What became of an add-on so far.
#[derive(Clone, Debug, Default)]
struct State {
    installed: bool,
    ever: bool,
    /// Somewhere else than its selector says.
    rolled_out: bool,
    /// The version that all its apps have; none if they differ.
    version: Option<usize>,
}

struct Play<'a> {
    spec: &'a Spec,
    state: Vec<State>,
    clusters: i64,
    /// Managers or cells.
    managers: i64,
    /// Cells that are empty by then.
    drained: BTreeSet<u32>,
    /// Faults so far: whose, end, index of the step.
    hurt: Vec<(String, Span, usize)>,
    findings: &'a mut Vec<Finding>,
}

/// Everything that a finding about the order of things rests on.
const ORDER: [&str; 5] = [
    "spec.addons.*.name",
    "spec.timeline.*.at",
    "spec.timeline.*.change",
    "spec.timeline.*.change.install.addons.*",
    "spec.timeline.*.change.*.selector.**",
];

impl Play<'_> {
    fn step(&mut self, index: usize, step: &Step) {
        let here = format!("spec.timeline.{index}");
        match (&step.change, &step.fault) {
            (Some(change), None) => self.change(&format!("{here}.change"), step.at, change),
            (None, Some(fault)) => self.fault(&format!("{here}.fault"), index, step.at, fault),
            (change, _) => {
                let both = if change.is_some() { "both" } else { "neither" };
                let message = format!("has {both} a `change` and a `fault`");
                let message = if change.is_some() { message } else { message.replace(" and ", " nor ") };
                let finding = Finding::error("one-of", &at(&here), message).about(&format!("{here}.change"));
                self.findings.push(finding.about(&format!("{here}.fault")).hint("write exactly one of the two"));
            }
        }
        self.in_time(&format!("{here}.at"), step.at, "this step");
    }

    /// Whether something at `time` comes before the run is given up.
    fn in_time(&mut self, path: &str, time: Span, what: &str) {
        let timeout = self.spec.run.timeout;
        if time >= timeout {
            let message = format!("{what} would come at {time}, and the run is given up after {timeout}");
            let finding = Finding::error("too-late", &at(path), message).about("spec.run.timeout");
            self.findings.push(finding.hint("raise `run.timeout`, or let it come earlier"));
        }
    }

    fn refuse(&mut self, code: &'static str, path: &str, message: String, hint: &str) {
        let finding = Finding::error(code, &at(path), message);
        self.findings.push(ORDER.iter().fold(finding, |finding, path| finding.about(path)).hint(hint));
    }

    /// The index of an add-on, or a finding.
    fn find(&mut self, path: &str, name: &str) -> Option<usize> {
        let found = self.spec.addons.iter().position(|addon| addon.name.0 == name);
        if found.is_none() {
            self.findings.push(unknown_addon(&at(path), name, self.spec));
        }
        found
    }

    /// The index of an add-on that is installed by now, or a finding. With a selector, some cluster must have it.
    fn installed(&mut self, here: &str, name: &str, on: Option<&Selector>) -> Option<usize> {
        let path = format!("{here}.addon");
        let index = self.find(&path, name)?;
        if let Some(on) = on {
            selector::check(&format!("{here}.selector"), on, self.spec, self.findings);
        }
        let state = self.state[index].clone();
        if !state.installed {
            let message = if state.ever { "is decommissioned by then" } else { "is not installed by then" };
            self.refuse("too-early", &path, format!("`{name}` {message}"), "put its `install` before this step");
            return None;
        }
        let own = &self.spec.addons[index].selector;
        if !state.rolled_out && on.is_some_and(|on| selector::disjoint(on, own)) {
            let message = format!("no cluster that this selects has `{name}`");
            let finding = Finding::error("never-matches", &at(format!("{here}.selector")), message).of_key();
            let finding = finding.about(&format!("spec.addons.{index}.selector.**"));
            self.findings.push(finding.hint("compare it with the selector of the add-on, or roll it out first"));
        }
        Some(index)
    }

    fn change(&mut self, here: &str, time: Span, change: &Change) {
        match change {
            Change::Install { addons, waves, wave_gap } => {
                self.install(&format!("{here}.install"), addons, *waves);
                let last = Span(wave_gap.0.saturating_mul(u64::from(waves - 1))) + time;
                if *waves > 1 {
                    self.in_time(&format!("{here}.install.waveGap"), last, "the last wave");
                }
            }
            Change::Upgrade { addon, version, selector } => {
                self.upgrade(&format!("{here}.upgrade"), addon, version, selector);
            }
            Change::Commit { addon } => _ = self.installed(&format!("{here}.commit"), addon, None),
            Change::Scale { addon, values, replicas, selector } => {
                let here = format!("{here}.scale");
                let index = self.installed(&here, addon, Some(selector));
                self.scale(&here, index, values.is_empty(), *replicas);
                catalogue::placeholders(&format!("{here}.values"), values, self.findings);
            }
            Change::Rollout { addon, selector } => self.rollout(&format!("{here}.rollout"), addon, selector),
            Change::Clusters { delta } => self.resize(&format!("{here}.clusters.delta"), *delta),
            Change::Drift { addon, apps, .. } => self.drift(&format!("{here}.drift"), time, addon.as_deref(), *apps),
            Change::Decommission { addon, selector } => {
                let all = selector.labels.is_empty() && selector.share.ppm == 1_000_000;
                if let Some(index) = self.installed(&format!("{here}.decommission"), addon, Some(selector)) {
                    self.state[index].installed = !all;
                }
            }
            Change::Managers { .. } | Change::Move { .. } | Change::Drain { .. } => self.shift(here, change),
            Change::Churn { rate, duration, .. } => {
                let here = format!("{here}.churn");
                if rate.milli == 0 || duration.0 == 0 {
                    let path = if rate.milli == 0 { format!("{here}.rate") } else { format!("{here}.duration") };
                    self.findings.push(Finding::error("range", &at(path), "nothing would ever change"));
                }
                if !self.state.iter().any(|state| state.installed) {
                    self.refuse(
                        "too-early",
                        &here,
                        "nothing is installed by then".to_owned(),
                        "put `install` before it",
                    );
                }
                self.in_time(&format!("{here}.duration"), time + *duration, "its end");
            }
        }
    }

    fn install(&mut self, here: &str, names: &[String], waves: u32) {
        unique(&format!("{here}.addons"), "", names.iter().cloned(), self.findings);
        let mut chosen: BTreeMap<usize, String> = BTreeMap::new();
        for (position, name) in names.iter().enumerate() {
            let path = format!("{here}.addons.{position}");
            chosen.extend(self.find(&path, name).map(|index| (index, path)));
        }
        if names.is_empty() {
            chosen = (0..self.spec.addons.len()).map(|index| (index, here.to_owned())).collect();
        }
        for (index, path) in chosen {
            if self.state[index].installed {
                let message = format!("`{}` is installed already", self.spec.addons[index].name.0);
                self.refuse("too-early", &path, message, "use `rollout` for more clusters, or decommission it first");
            }
            self.state[index] = State { installed: true, ever: true, rolled_out: false, version: Some(0) };
        }
        if i64::from(waves) > self.clusters {
            let message = format!("{waves} waves for {} clusters: some would be empty", self.clusters);
            let finding = Finding::warning("no-effect", &at(format!("{here}.waves")), message);
            self.findings.push(finding.about("spec.fleet.clusters"));
        }
    }

    fn upgrade(&mut self, here: &str, name: &str, version: &str, on: &Selector) {
        let path = format!("{here}.version");
        let installed = self.installed(here, name, Some(on));
        let Some(index) = self.spec.addons.iter().position(|addon| addon.name.0 == name) else { return };
        let versions = &self.spec.addons[index].versions;
        let Some(target) = versions.iter().position(|known| known == version) else {
            let names: Vec<&str> = versions.iter().map(String::as_str).collect();
            let hint = did_you_mean(None, &names);
            let message = format!("`{name}` has no version `{version}`");
            let finding = Finding::error("unknown-reference", &at(path), message);
            self.findings.push(finding.about(&format!("spec.addons.{index}.versions.**")).hint(hint));
            return;
        };
        if installed.is_none() {
            return;
        }
        if self.spec.addons[index].mode == Mode::Reference {
            let message = format!("`{name}` is in Reference mode, where the target revision decides nothing");
            let finding = Finding::error("contradiction", &at(here), message).of_key();
            let finding = finding.about(&format!("spec.addons.{index}.mode"));
            self.findings.push(finding.hint("use `commit`, or `mode: auto-create`"));
        } else if self.state[index].version == Some(target) {
            let message = format!("`{name}` has version `{version}` already");
            self.refuse("no-effect", &path, message, "name another of its versions");
        }
        let all = on.labels.is_empty() && on.share.ppm == 1_000_000;
        self.state[index].version = all.then_some(target);
    }

    fn scale(&mut self, here: &str, index: Option<usize>, no_values: bool, replicas: Option<u32>) {
        if no_values && replicas.is_none() {
            self.refuse("no-effect", here, "changes nothing".to_owned(), "give it `values` or `replicas`");
        }
        let Some(addon) = index.map(|index| &self.spec.addons[index]) else { return };
        if replicas.is_some() && addon.objects.deployments == 0 {
            let message = format!("`{}` has no Deployments", addon.name.0);
            let finding = Finding::error("contradiction", &at(format!("{here}.replicas")), message);
            self.findings.push(finding.about("spec.addons.*.objects.**"));
        }
    }

    fn rollout(&mut self, here: &str, name: &str, on: &Selector) {
        let Some(index) = self.find(&format!("{here}.addon"), name) else { return };
        selector::check(&format!("{here}.selector"), on, self.spec, self.findings);
        if !self.state[index].installed {
            let message = format!("`{name}` is not installed by then");
            self.refuse("too-early", &format!("{here}.addon"), message, "`install` it first, or use `install`");
        } else if selector::covers(&self.spec.addons[index].selector, on) {
            let message = format!("every cluster that this selects has `{name}` already");
            let finding = Finding::warning("no-effect", &at(here), message).of_key();
            self.findings.push(finding.about(&format!("spec.addons.{index}.selector.**")));
        }
        self.state[index].rolled_out = true;
    }

    fn resize(&mut self, path: &str, delta: i64) {
        let after = self.clusters + delta;
        if delta == 0 {
            self.findings.push(Finding::error("no-effect", &at(path), "no cluster would join or leave"));
        } else if !(1..=1_000_000).contains(&after) {
            let message = format!("{} clusters would become {after}, possible are 1 to 1000000", self.clusters);
            self.findings.push(Finding::error("contradiction", &at(path), message).about("spec.fleet.clusters"));
            return;
        }
        self.clusters = after;
    }

    fn drift(&mut self, here: &str, time: Span, name: Option<&str>, apps: u32) {
        let chosen: Vec<usize> = match name {
            Some(name) => self.installed(here, name, None).into_iter().collect(),
            None => (0..self.state.len()).filter(|index| self.state[*index].installed).collect(),
        };
        if chosen.is_empty() {
            if name.is_none() {
                self.refuse("too-early", here, "nothing is installed by then".to_owned(), "put `install` before it");
            }
            return;
        }
        let most = self.clusters.unsigned_abs() * chosen.len() as u64;
        if u64::from(apps) > most {
            let message = format!("there are at most {most} such apps by then");
            let finding = Finding::warning("no-effect", &at(format!("{here}.apps")), message);
            self.findings.push(ORDER.iter().fold(finding, |finding, path| finding.about(path)));
        }
        for index in chosen {
            if let Some(why) = never_corrected(&self.spec.addons[index], time, self.spec.run.timeout) {
                let finding = Finding::warning("no-effect", &at(here), why).of_key().about("spec.run.timeout");
                let finding = finding.about(&format!("spec.addons.{index}.**"));
                self.findings.push(finding.hint("the run would wait for the correction until its timeout"));
            }
        }
    }

    /// What the whole timeline says of the catalogue.
    fn end(&mut self) {
        for (index, addon) in self.spec.addons.iter().enumerate() {
            if !self.state[index].ever {
                let finding =
                    Finding::warning("no-effect", &at(format!("spec.addons.{index}.name")), "is never installed");
                let finding = ORDER.iter().fold(finding, |finding, path| finding.about(path));
                self.findings.push(finding.hint("name it in an `install` of the timeline"));
                continue;
            }
            for (position, name) in addon.depends_on.iter().enumerate() {
                let other = self.spec.addons.iter().position(|other| other.name.0 == *name);
                if other.is_some_and(|other| !self.state[other].ever) {
                    let path = format!("spec.addons.{index}.dependsOn.{position}");
                    let message = format!("`{name}` is never installed, `{}` would wait for ever", addon.name.0);
                    self.refuse("contradiction", &path, message, "install it too");
                }
            }
        }
    }
}

/// Why drift of an add-on outlives the run, if it does.
fn never_corrected(addon: &Addon, time: Span, timeout: Span) -> Option<String> {
    let name = &addon.name.0;
    // Flamingo generates intervals of 10m.
    let interval = addon.interval.unwrap_or(Span::from_secs(600));
    if matches!(addon.source, Source::Helm { .. }) && addon.drift_detection != Some(true) {
        return Some(format!("nobody corrects drift of `{name}`: its HelmRelease has no `driftDetection`"));
    }
    let late = time + interval > timeout;
    late.then(|| {
        format!("drift of `{name}` is corrected after up to {interval}, behind the end of the run at {timeout}")
    })
}
