//! The catalogue: sources, versions, dependencies.

use super::{at, selector, unique, unknown_addon};
use crate::scenario::errors::Finding;
use crate::scenario::model::label;
use crate::scenario::shape::{did_you_mean, nearest};
use crate::scenario::spec::{Addon, Minor, Mode, Source, Spec};
use crate::units::Span;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

/// Checks every add-on.
pub(super) fn check(spec: &Spec, findings: &mut Vec<Finding>) {
    unique("spec.addons", "name", spec.addons.iter().map(|addon| addon.name.0.clone()), findings);
    for (index, addon) in spec.addons.iter().enumerate() {
        let here = format!("spec.addons.{index}");
        source(&here, addon, findings);
        name(&here, addon, spec, findings);
        mode(&here, addon, findings);
        objects(&here, addon, findings);
        versions(&here, addon, spec, findings);
        dependencies(&here, addon, spec, findings);
        selector::check(&format!("{here}.selector"), &addon.selector, spec, findings);
        placeholders(&format!("{here}.values"), &addon.values, findings);
        if let Some(interval) = addon.interval {
            super::at_least(&format!("{here}.interval"), interval, Span::from_millis(100), findings);
        }
    }
    let all: u32 = spec.addons.iter().map(|addon| addon.instances).fold(0, u32::saturating_add);
    if all > 20_000 {
        let message = format!("{all} add-ons in all, at most 20000 are possible");
        findings.push(Finding::error("range", &at("spec.addons"), message).about("spec.addons.*.instances"));
    }
    cycles(spec, findings);
}

fn source(here: &str, addon: &Addon, findings: &mut Vec<Finding>) {
    let (kind, url, schemes): (_, _, &[&str]) = match &addon.source {
        Source::Git { url, .. } => ("git", url, &["https://", "http://", "ssh://"]),
        Source::Oci { url, .. } => ("oci", url, &["oci://"]),
        Source::Helm { url, .. } => ("helm", url, &["https://", "http://", "oci://"]),
    };
    let path = at(format!("{here}.source.{kind}.url"));
    if !schemes.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty())) {
        let hint = format!("start it with {}", schemes.join(" or "));
        let finding = Finding::error("value", &path, format!("`{url}` is not a URL of `{kind}`"));
        findings.push(match url.starts_with("oci://") {
            true => finding.hint("an OCI artifact is written under `oci:`"),
            false => finding.hint(hint),
        });
    }
    if let Source::Helm { chart, .. } = &addon.source
        && (chart.is_empty() || chart.contains('/'))
    {
        let path = at(format!("{here}.source.helm.chart"));
        let finding = Finding::error("value", &path, format!("`{chart}` is not the name of a chart"));
        findings.push(finding.hint("the name alone, without the repository"));
    }
}

/// Digits in a cluster's name: five, more for ids of 100,000 and above.
fn digits(clusters: u32) -> usize {
    (clusters.saturating_sub(1).max(1).ilog10() as usize + 1).max(5)
}

/// The app's name is the release name of a chart (Helm allows 53 characters) and a label value of what Argo CD tracks.
fn name(here: &str, addon: &Addon, spec: &Spec, findings: &mut Vec<Finding>) {
    let (limit, why) = match addon.source {
        Source::Helm { .. } => (53, "a Helm release"),
        _ => (63, "an Application"),
    };
    // Instances are numbered: `-0001`, one more digit from 10,000 on.
    let number = match addon.instances {
        1 => 0,
        2..10_000 => 5,
        _ => 6,
    };
    let length = addon.name.0.len() + number + 1 + spec.fleet.name_prefix.0.len() + 1 + digits(spec.fleet.clusters);
    if length > limit {
        let message = format!("its apps would have names of {length} characters, {why} allows {limit}");
        let finding = Finding::error("value", &at(format!("{here}.name")), message).about("spec.fleet.namePrefix");
        findings.push(finding.hint(format!("shorten it or `fleet.namePrefix` by {}", length - limit)));
    }
}

fn mode(here: &str, addon: &Addon, findings: &mut Vec<Finding>) {
    let mut contradict = |key: &str, why: &str, hint: &str| {
        let path = at(format!("{here}.{key}"));
        let finding = Finding::error("contradiction", &path, why).of_key().about(&format!("{here}.source"));
        findings.push(finding.about(&format!("{here}.mode")).hint(hint));
    };
    if addon.mode == Mode::Ordinary {
        for (key, given) in [
            ("dependsOn", !addon.depends_on.is_empty()),
            ("interval", addon.interval.is_some()),
            ("wait", addon.wait.is_some()),
            ("driftDetection", addon.drift_detection.is_some()),
        ] {
            if given {
                contradict(key, "an `ordinary` Application has no Flux objects", "remove it, or choose another `mode`");
            }
        }
        return;
    }
    let helm = matches!(addon.source, Source::Helm { .. });
    if helm && addon.wait.is_some() {
        contradict("wait", "`wait` is a field of Kustomizations, and this is a chart", "remove it: Helm always waits");
    }
    if !helm && addon.drift_detection.is_some() {
        let why = "`driftDetection` is a field of HelmReleases, and this is no chart";
        contradict("driftDetection", why, "remove it: Kustomizations always correct drift");
    }
}

fn objects(here: &str, addon: &Addon, findings: &mut Vec<Finding>) {
    let objects = &addon.objects;
    if objects.deployments + objects.config_maps + objects.service_accounts + objects.services == 0 {
        let finding = Finding::error("contradiction", &at(format!("{here}.objects")), "an installation of nothing");
        findings.push(finding.of_key().hint("give it at least one object"));
    }
    if objects.config_map_size.0 > 1 << 20 {
        let message = format!("{} is more than a ConfigMap holds", objects.config_map_size);
        let finding = Finding::error("range", &at(format!("{here}.objects.configMapSize")), message);
        findings.push(finding.hint("Kubernetes allows 1Mi"));
    }
}

fn versions(here: &str, addon: &Addon, spec: &Spec, findings: &mut Vec<Finding>) {
    unique(&format!("{here}.versions"), "", addon.versions.iter().cloned(), findings);
    for (index, version) in addon.versions.iter().enumerate() {
        if version.is_empty() || version.contains(char::is_whitespace) {
            let path = at(format!("{here}.versions.{index}"));
            findings.push(Finding::error("value", &path, format!("`{version}` is not a version")));
        }
    }
    let (min, max) = (addon.kubernetes.min, addon.kubernetes.max);
    if min > max {
        let path = at(format!("{here}.kubernetes.min"));
        let finding = Finding::error("contradiction", &path, format!("{min} is above `max`, which is {max}"));
        findings.push(finding.about(&format!("{here}.kubernetes.max")));
        return;
    }
    let selected = addon.selector.labels.get(label::KUBERNETES);
    let runs = |version: &Minor| {
        (min..=max).contains(version) && selected.is_none_or(|selected| selected.contains(&version.to_string()))
    };
    let fleet: Vec<Minor> = spec.fleet.kubernetes.iter().map(|one| one.version).collect();
    if !fleet.iter().any(runs) {
        let path = at(format!("{here}.kubernetes"));
        let have: Vec<String> = fleet.iter().map(ToString::to_string).collect();
        let message = format!("it runs on Kubernetes {min} to {max}, and no selected cluster has such a version");
        let finding = Finding::error("never-matches", &path, message).of_key().about("spec.fleet.kubernetes.*.version");
        let finding = finding.about(&format!("{here}.selector.labels.**"));
        findings.push(finding.hint(format!("the clusters of this fleet have {}", have.join(", "))));
    }
}

fn dependencies(here: &str, addon: &Addon, spec: &Spec, findings: &mut Vec<Finding>) {
    unique(&format!("{here}.dependsOn"), "", addon.depends_on.iter().cloned(), findings);
    for (index, name) in addon.depends_on.iter().enumerate() {
        let path = at(format!("{here}.dependsOn.{index}"));
        let Some(other) = spec.addons.iter().find(|other| other.name.0 == *name) else {
            findings.push(unknown_addon(&path, name, spec));
            continue;
        };
        let is_helm = |addon: &Addon| matches!(addon.source, Source::Helm { .. });
        let contradiction = |message: String, hint: &str| {
            let finding = Finding::error("contradiction", &path, message).about("spec.addons.*.source");
            finding.about("spec.addons.*.selector.**").about("spec.addons.*.mode").hint(hint)
        };
        if other.mode == Mode::Ordinary {
            let message = format!("`{name}` is an ordinary Application, Flux cannot wait for it");
            findings.push(contradiction(message, "depend on an add-on that Flux manages"));
        } else if is_helm(addon) != is_helm(other) {
            let message = format!("one of `{}` and `{name}` is a chart, the other is not", addon.name.0);
            let hint = "Flux lets Kustomizations depend on Kustomizations and HelmReleases on HelmReleases";
            findings.push(contradiction(message, hint));
        } else if !selector::covers(&other.selector, &addon.selector) {
            let message =
                format!("some clusters get `{}` without `{name}`, it would wait there for ever", addon.name.0);
            findings
                .push(contradiction(message, "let the selector of the dependency select at least the same clusters"));
        }
    }
}

/// Follows each add-on's dependencies; a way back to its start is a cycle, told once at its first add-on.
fn cycles(spec: &Spec, findings: &mut Vec<Finding>) {
    let index: BTreeMap<&str, usize> =
        spec.addons.iter().enumerate().map(|(index, addon)| (addon.name.0.as_str(), index)).collect();
    let edges = |from: usize| spec.addons[from].depends_on.iter().filter_map(|name| index.get(name.as_str()).copied());
    for start in 0..spec.addons.len() {
        // Where each was reached from; cycles through smaller starts were told already.
        let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
        let mut reached = vec![start];
        let mut closed_by = None;
        while let Some(from) = reached.pop() {
            for to in edges(from).filter(|to| *to >= start) {
                if to == start {
                    closed_by = closed_by.or(Some(from));
                } else if let Entry::Vacant(first) = came_from.entry(to) {
                    first.insert(from);
                    reached.push(to);
                }
            }
        }
        let Some(mut last) = closed_by else { continue };
        let mut way = vec![spec.addons[start].name.0.as_str()];
        while last != start {
            way.push(&spec.addons[last].name.0);
            last = came_from[&last];
        }
        way.push(&spec.addons[start].name.0);
        way.reverse();
        let message = format!("add-ons wait for each other: {}", way.join(" -> "));
        let finding = Finding::error("cycle", &at(format!("spec.addons.{start}.dependsOn")), message);
        findings.push(finding.of_key().about("spec.addons.*.name").hint("remove one of these dependencies"));
    }
}

/// The placeholders that the fleet replaces in values.
const PLACEHOLDERS: [&str; 5] = ["cluster", "region", "environment", "kubernetes", "nodes"];

/// Warns of words in braces that nobody replaces. `${name}` and `{{ name }}` belong to Kustomize and Helm.
pub(super) fn placeholders(path: &str, values: &BTreeMap<String, String>, findings: &mut Vec<Finding>) {
    for (key, template) in values {
        for (open, _) in template.match_indices('{') {
            let foreign = template[..open].ends_with(['$', '{']);
            let Some(word) = template[open + 1..].split_once('}').map(|(word, _)| word) else { continue };
            let plain = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphabetic());
            if foreign || !plain || PLACEHOLDERS.contains(&word) {
                continue;
            }
            let mut place = at(path);
            place.push(key.clone());
            let hint = did_you_mean(nearest(word, PLACEHOLDERS.into_iter()), &PLACEHOLDERS);
            findings.push(Finding::warning("no-effect", &place, format!("`{{{word}}}` is not replaced")).hint(hint));
        }
    }
}
