//! An installation of Argo CD -> a scenario whose fleet is shaped like it.
//!
//! In: its cluster Secrets and Applications, as `kubectl get secrets,applications -A -o yaml` prints them. Out: the text of a
//! scenario. Read are labels, addresses and names of clusters, and what Applications say of their sources and of what
//! they installed; credentials are never looked at. Nothing is drawn or asked.
//!
//! A fleet is generated, so what is kept is how much of what there is: clusters by region, environment and version of
//! Kubernetes, and for each source of Applications the share of clusters that have it and what one installation consists of.

use super::super::spec::DnsLabel;
use super::text;
use crate::units::Share;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Why there is no fleet in it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoFleet {
    /// Nothing in it is an Application.
    #[error(
        "there are no Applications: give what `kubectl get secrets,applications.argoproj.io -n argocd -o yaml` prints, or a \
         file with it"
    )]
    Empty,
}

/// The label of cluster Secrets.
const CLUSTER: (&str, &str) = ("argocd.argoproj.io/secret-type", "cluster");
/// Where people note the region of a cluster, and what it is for.
const REGIONS: [&str; 2] = ["region", "topology.kubernetes.io/region"];
const ENVIRONMENTS: [&str; 3] = ["environment", "env", "stage"];
/// Argo CD's own label with the version of a cluster.
const KUBERNETES: [&str; 1] = ["argocd.argoproj.io/kubernetes-version"];
/// The cluster that Argo CD runs in, which needs no Secret.
const OWN: &str = "https://kubernetes.default.svc";
/// Instances that an add-on, and installed objects of one sort that an instance may have (the schema's limits).
const MOST: usize = 1_000;

#[derive(Debug, Default)]
struct Found {
    /// Names of clusters by their address; the name is an address, too.
    clusters: BTreeMap<String, String>,
    labels: Vec<BTreeMap<String, String>>,
    /// By repository, and path or chart.
    sources: BTreeMap<(String, String), Source>,
}

/// Applications of one source.
#[derive(Debug, Default)]
struct Source {
    helm: bool,
    apps: usize,
    clusters: BTreeSet<String>,
    versions: BTreeMap<String, usize>,
    /// Deployments, ServiceAccounts, Services and everything else, of all of them together.
    objects: [usize; 4],
}

/// The scenario of an installation. With `hashed`, names of repositories, paths, regions and environments are hashes.
///
/// # Errors
/// When there are no Applications.
pub fn fleet(objects: &[Value], hashed: bool) -> Result<String, NoFleet> {
    let mut found = Found::default();
    // Applications name clusters, so those come first.
    each(objects, &mut |object| found.cluster(object));
    each(objects, &mut |object| found.application(object));
    if found.sources.is_empty() { Err(NoFleet::Empty) } else { Ok(found.write(hashed)) }
}

fn each(objects: &[Value], take: &mut impl FnMut(&Value)) {
    for object in objects {
        match object.get("items").and_then(Value::as_array) {
            Some(items) => each(items, take),
            None => take(object),
        }
    }
}

impl Found {
    fn cluster(&mut self, object: &Value) {
        let labels = object.pointer("/metadata/labels").and_then(Value::as_object);
        let labels =
            labels.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        let labels: BTreeMap<_, _> = labels.collect();
        if object["kind"] != "Secret" || labels.get(CLUSTER.0).is_none_or(|sort| sort != CLUSTER.1) {
            return;
        }
        let decoded = |key: &str| {
            let bytes = STANDARD.decode(text(object, &format!("/data/{key}"))).unwrap_or_default();
            String::from_utf8(bytes).unwrap_or_default()
        };
        let (name, server) = (decoded("name"), decoded("server"));
        let known = if server.is_empty() { name.clone() } else { server };
        self.clusters.insert(name, known.clone());
        self.clusters.insert(known.clone(), known);
        self.labels.push(labels);
    }

    fn application(&mut self, object: &Value) {
        if object["kind"] != "Application" || !text(object, "/apiVersion").starts_with("argoproj.io/") {
            return;
        }
        // Of several sources the first counts: it is the one that is most often the add-on itself.
        let source =
            object.pointer("/spec/source").or_else(|| object.pointer("/spec/sources/0")).unwrap_or(&Value::Null);
        let (chart, path) = (text(source, "/chart"), text(source, "/path"));
        let what = if chart.is_empty() { path } else { chart };
        let entry = self.sources.entry((text(source, "/repoURL").to_owned(), what.to_owned())).or_default();
        entry.helm = !chart.is_empty();
        entry.apps += 1;
        let (server, name) = (text(object, "/spec/destination/server"), text(object, "/spec/destination/name"));
        let place = if server.is_empty() { name } else { server };
        let place = self.clusters.get(place).map_or(place, String::as_str);
        entry.clusters.insert(if place.is_empty() || place == "in-cluster" { OWN } else { place }.to_owned());
        *entry.versions.entry(text(source, "/targetRevision").to_owned()).or_default() += 1;
        for resource in object.pointer("/status/resources").and_then(Value::as_array).into_iter().flatten() {
            let sort = match text(resource, "/kind") {
                "Deployment" | "StatefulSet" | "DaemonSet" => 0,
                "ServiceAccount" => 1,
                "Service" => 2,
                _ => 3,
            };
            entry.objects[sort] += 1;
        }
    }

    /// Every cluster that is registered or has an Application.
    fn clusters(&self) -> usize {
        let registered = self.clusters.values();
        let used = self.sources.values().flat_map(|source| &source.clusters);
        registered.chain(used).collect::<BTreeSet<_>>().len().max(1)
    }

    fn write(&self, hashed: bool) -> String {
        let clusters = self.clusters();
        let apps: usize = self.sources.values().map(|source| source.apps).sum();
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "# A fleet like the installation of Argo CD that it was imported from: {clusters} clusters, {apps} Applications of \
             {} sources.\n# Clusters are generated: how many are where and have what is kept, which ones is not.\n\
             apiVersion: flamboyance.dev/v1alpha1\nkind: Scenario\nmetadata: {{ name: imported-fleet }}\nspec:\n  fleet:\n    \
             clusters: {clusters}\n",
            self.sources.len()
        );
        for (key, labels) in [("regions", &REGIONS[..]), ("environments", &ENVIRONMENTS)] {
            let counts = self.count(labels, |value| Some(if hashed { hash(value) } else { dns(value) }));
            let _ = write!(out, "{}", choices(key, "name", &counts));
        }
        let _ = write!(out, "{}", choices("kubernetes", "version", &self.count(&KUBERNETES, minor)));
        out.push_str("  addons:\n");
        let mut names = BTreeSet::new();
        for ((url, what), source) in &self.sources {
            let name = unique(&name(url, what, source.helm, hashed), &mut names);
            source.write(&mut out, (&name, url, what), (clusters, hashed));
        }
        out.push_str(
            "  manager: { kind: argocd }\n  timeline:\n    - change: { install: {} }\n  run: { timeout: 24h }\n  \
             measure: { window: 60s }\n",
        );
        out
    }

    /// How many clusters have which value of the first of these labels that they have.
    fn count(&self, labels: &[&str], read: impl Fn(&str) -> Option<String>) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for own in &self.labels {
            let value = labels.iter().find_map(|label| own.get(*label)).filter(|value| !value.is_empty());
            if let Some(value) = value.and_then(|value| read(value)) {
                *counts.entry(value).or_default() += 1;
            }
        }
        counts
    }
}

impl Source {
    fn write(&self, out: &mut String, (name, url, what): (&str, &str, &str), (clusters, hashed): (usize, bool)) {
        let quoted = |text: &str| Value::from(text).to_string();
        let url = if hashed { format!("https://git.example.org/{name}.git") } else { url.to_owned() };
        let what = if hashed { "deploy" } else { what };
        let source = match self.helm {
            true if hashed => format!("helm: {{ url: \"https://charts.example.org\", chart: {} }}", quoted(name)),
            true => format!("helm: {{ url: {}, chart: {} }}", quoted(&url), quoted(what)),
            false => format!("git: {{ url: {}, path: {} }}", quoted(&url), quoted(what)),
        };
        let version = self.versions.iter().max_by_key(|(_, count)| **count).map_or("", |(version, _)| version);
        let version = if version.is_empty() { "HEAD" } else { version };
        let share = self.clusters.len() as u64 * u64::from(Share::ALL.ppm) / clusters as u64;
        let share = Share { ppm: u32::try_from(share).unwrap_or(Share::ALL.ppm) };
        let each = self.apps.div_ceil(self.clusters.len().max(1)).min(MOST);
        let mean = |sort: usize| (self.objects[sort] + self.apps / 2).checked_div(self.apps).unwrap_or(0).min(MOST);
        let _ = write!(
            out,
            "    # {} Applications on {} clusters, {} revisions\n    - name: {name}\n      mode: ordinary\n      \
             source: {{ {source} }}\n      versions: [{}]\n",
            self.apps,
            self.clusters.len(),
            self.versions.len(),
            quoted(version)
        );
        if each > 1 {
            let _ = writeln!(out, "      instances: {each}");
        }
        if share != Share::ALL {
            let _ = writeln!(out, "      selector: {{ share: {share} }}");
        }
        let _ = writeln!(
            out,
            "      objects: {{ deployments: {}, serviceAccounts: {}, services: {}, configMaps: {} }}",
            mean(0),
            mean(1),
            mean(2),
            // An installation of nothing would be no add-on.
            mean(3).max(usize::from(self.objects == [0; 4]))
        );
    }
}

/// A list of choices with weights; nothing where nobody said anything.
fn choices(key: &str, of: &str, counts: &BTreeMap<String, usize>) -> String {
    if counts.is_empty() {
        return String::new();
    }
    let quoted = |text: &str| Value::from(text).to_string();
    let list: Vec<_> =
        counts.iter().map(|(name, weight)| format!("{{ {of}: {}, weight: {weight} }}", quoted(name))).collect();
    format!("    {key}: [{}]\n", list.join(", "))
}

/// What an add-on is called: the chart, or the last part of the path that says something, or the repository.
fn name(url: &str, what: &str, helm: bool, hashed: bool) -> String {
    if hashed {
        return hash(&format!("{url} {what}"));
    }
    let repository = url.trim_end_matches('/').trim_end_matches(".git").rsplit('/').next().unwrap_or_default();
    let last = what.trim_matches(['/', '.']).rsplit('/').next().unwrap_or_default();
    let said = helm || !["", "deploy", "manifests", "base", "overlays", "chart", "charts"].contains(&last);
    dns(if said { last } else { repository })
}

/// The first of `name`, `name-2`, `name-3` that is not taken.
fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.to_owned()).chain(numbered).find(|name| !taken.contains(name)).unwrap_or_default();
    taken.insert(free.clone());
    free
}

/// The nearest DNS label, short enough for names that are made of it.
fn dns(text: &str) -> String {
    let lower = text.to_lowercase();
    let only: String = lower.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(40).collect();
    let label = only.trim_matches('-').to_owned();
    if DnsLabel::check(&label).is_ok() { label } else { hash(text) }
}

/// A name that says nothing: the beginning of its SHA-256.
fn hash(text: &str) -> String {
    Sha256::digest(text).iter().take(4).fold("h".to_owned(), |name, byte| format!("{name}{byte:02x}"))
}

/// `1.36` of `1.36`, `v1.36.2` or `1.36+`.
fn minor(version: &str) -> Option<String> {
    let mut parts = version.trim_start_matches('v').split('.');
    let (major, minor) = (parts.next()?, parts.next()?);
    let digits: String = minor.chars().take_while(char::is_ascii_digit).collect();
    (major == "1" && (1..=2).contains(&digits.len())).then(|| format!("1.{digits}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secret(name: &str, labels: Value) -> Value {
        let mut labels = labels;
        labels[CLUSTER.0] = CLUSTER.1.into();
        let server = format!("https://{name}.corp.example");
        let data = json!({ "name": STANDARD.encode(name), "server": STANDARD.encode(server),
            "config": STANDARD.encode(r#"{"bearerToken":"very-secret"}"#) });
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name, "labels": labels }, "data": data })
    }

    fn application(place: Value, source: Value, kinds: &[&str]) -> Value {
        let resources: Vec<_> = kinds.iter().map(|kind| json!({ "kind": kind })).collect();
        json!({ "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "spec": { "source": source, "destination": place },
            "status": { "resources": resources } })
    }

    fn installation() -> Vec<Value> {
        let git = json!({ "repoURL": "https://git.corp.example/platform/ingress.git", "path": "deploy", "targetRevision": "v2" });
        let chart =
            json!({ "repoURL": "https://charts.corp.example", "chart": "cert-manager", "targetRevision": "1.2.3" });
        let by_name = json!({ "name": "b" });
        vec![json!({ "kind": "List", "items": [
            secret("a", json!({ "region": "eu-west", "env": "prod", "argocd.argoproj.io/kubernetes-version": "v1.33.1" })),
            secret("b", json!({ "region": "us-east", "env": "prod", "argocd.argoproj.io/kubernetes-version": "1.33" })),
            application(json!({ "server": "https://a.corp.example" }), git.clone(), &["Deployment", "Service", "ConfigMap"]),
            application(by_name.clone(), git, &["Deployment", "Service", "ConfigMap", "Role", "Role"]),
            application(by_name, chart, &["DaemonSet"]),
        ] })]
    }

    #[test]
    fn clusters_and_applications_become_a_scenario_of_the_same_shape() {
        let text = fleet(&installation(), false).unwrap();
        let scenario = crate::scenario::parse(&text, "imported", &[]).unwrap_or_else(|e| panic!("{e}\n{text}"));
        assert_eq!((scenario.fleet.clusters, scenario.addons.len()), (2, 2));
        let weights: Vec<_> = scenario.fleet.regions.iter().map(|one| (one.name.as_str(), one.weight)).collect();
        assert_eq!(weights, [("eu-west", 1), ("us-east", 1)]);
        assert_eq!(scenario.fleet.kubernetes[0].name, "1.33");
        let [chart, ingress] = &scenario.addons[..] else { panic!("{text}") };
        assert_eq!(
            (ingress.name.as_str(), ingress.selector.share_ppm, ingress.versions[0].as_str()),
            ("ingress", 1_000_000, "v2")
        );
        // Four objects on the average: one of each, and a Role on every second cluster counts as one.
        let objects = ingress.objects;
        assert_eq!((objects.deployments, objects.services, objects.config_maps), (1, 1, 2));
        assert_eq!(
            (chart.name.as_str(), chart.chart.as_str(), chart.selector.share_ppm),
            ("cert-manager", "cert-manager", 500_000)
        );
    }

    #[test]
    fn hashed_names_and_credentials_appear_nowhere() {
        let plain = fleet(&installation(), false).unwrap();
        let hashed = fleet(&installation(), true).unwrap();
        assert!(plain.contains("corp.example") && !plain.contains("secret"), "{plain}");
        for word in ["corp", "eu-west", "prod", "ingress", "cert-manager", "secret"] {
            assert!(!hashed.contains(word), "{word}: {hashed}");
        }
        crate::scenario::parse(&hashed, "hashed", &[]).unwrap();
    }

    #[test]
    fn what_is_no_installation_is_told() {
        assert_eq!(fleet(&[json!({ "kind": "ConfigMap" })], false), Err(NoFleet::Empty));
    }

    #[test]
    fn names_are_made_labels_and_stay_apart() {
        let mut taken = BTreeSet::new();
        let mut check = |url: &str, what: &str, helm, expected: &str| {
            assert_eq!(unique(&name(url, what, helm, false), &mut taken), expected);
        };
        check("https://git.example.org/Platform/Ingress_NG.git", "./deploy", false, "ingress-ng");
        check("https://git.example.org/all.git", "addons/dns", false, "dns");
        check("https://git.example.org/other.git", "addons/dns/", false, "dns-2");
        check("https://charts.example.org", "chart", true, "chart");
        for (version, expected) in [("v1.33.1", Some("1.33")), ("1.30+", Some("1.30")), ("2.1", None), ("1", None)] {
            assert_eq!(minor(version).as_deref(), expected);
        }
    }
}
