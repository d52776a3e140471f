//! The objects that workloads apply: manifests of add-ons, HelmCharts, storage Secrets of Helm.

use super::{Pen, quote, release_name, secret_name};
use crate::calls::{ContentId, Kind, ObjectId};
use crate::ids::AddonId;
use crate::model::flux::catalogue::{Catalogue, Entry, Image};
use crate::model::flux::spec::{Spec, Values};
use crate::model::flux::{Build, Item, Object, Place, ReleaseState};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustc_hash::FxHasher;
use std::fmt::Write as _;
use std::hash::{Hash as _, Hasher as _};

/// What tells two versions of one manifest apart, without its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Essence {
    /// Equal where the manifests are.
    pub content: ContentId,
    /// Deployments: `spec.replicas`; else 0.
    pub replicas: u32,
    /// Deployments: stands for `spec.template`; else 0.
    pub template: u32,
}

/// The essence of the `n`-th object of a build as `owner` applies it, with these values.
#[must_use]
pub fn essence(catalogue: &Catalogue, owner: Kind, values: Option<&Values>, build: Build, n: u16) -> Essence {
    let entry = catalogue.entry(build.addon);
    let (objects, item) = (&entry.addon.objects, entry.items.get(usize::from(n)));
    let mut essence = Essence { content: ContentId::default(), replicas: 0, template: 0 };
    let mut hash = FxHasher::default();
    (owner, build.version, n).hash(&mut hash);
    if n == 0 && objects.config_maps == 0 {
        build.commits.hash(&mut hash);
    }
    match item.map(|item| (item.kind, item.nth)) {
        Some((Kind::CONFIG_MAP, 0)) => (build.commits, values.map_or(0, |v| v.digest)).hash(&mut hash),
        Some((Kind::DEPLOYMENT, _)) => {
            essence.replicas = values.and_then(|v| v.replicas).unwrap_or(objects.replicas);
            essence.template = build.version + 1;
            essence.replicas.hash(&mut hash);
        }
        _ => {}
    }
    essence.content = ContentId(hash.finish() | 1);
    essence
}

/// The objects of an add-on at a version as somebody keeps them in a repository: no namespace, nobody's labels. File names
/// with JSON, which is YAML.
#[must_use]
pub fn files(entry: &Entry, version: usize) -> Vec<(String, String)> {
    let text = entry.addon.versions.get(version).map_or("", String::as_str);
    let (values, build) = (Values::default(), Build { addon: AddonId(0), version: 0, commits: 0 });
    let file = |item: &Item| {
        let info = item.kind.info();
        let mut out = String::new();
        head(&mut out, item.kind);
        part(&mut out, entry, item, (text, build, &values));
        let _ = write!(out, r#""kind":"{}","metadata":{{"labels":{{"app.kubernetes.io/version":"#, info.kind);
        quote(&mut out, text);
        let _ = write!(out, r#"}},"name":"{}"}}}}"#, item.name);
        (format!("{}-{}.yaml", info.plural, item.name), out)
    };
    entry.items.iter().map(file).collect()
}

/// The beginning of an object.
fn head(out: &mut String, kind: Kind) {
    let info = kind.info();
    let slash = if info.group.is_empty() { "" } else { "/" };
    let _ = write!(out, r#"{{"apiVersion":"{}{slash}{}","#, info.group, info.version);
}

/// What is particular to its kind.
fn part(out: &mut String, entry: &Entry, item: &Item, (version, build, values): (&str, Build, &Values)) {
    match item.kind {
        Kind::CONFIG_MAP => data(out, entry, item, version, build, values),
        Kind::DEPLOYMENT => deployment(out, entry, item, version, values),
        Kind::SERVICE => {
            let app = &entry.addon.name;
            let _ =
                write!(out, r#""spec":{{"ports":[{{"port":80,"targetPort":8080}}],"selector":{{"app":"{app}"}}}},"#);
        }
        _ => {}
    }
}

impl Pen<'_> {
    /// One object of a build, as server-side apply sends it.
    pub(super) fn manifest(self, out: &mut String, object: &Object, build: Build, kind: Kind, id: ObjectId) {
        let Place::Item(_, n) = Place::of(id) else { return };
        let entry = self.catalogue.entry(build.addon);
        let Some(item) = entry.items.get(usize::from(n)) else { return };
        let version = entry.addon.versions.get(build.version as usize).map_or("", String::as_str);
        let none = Values::default();
        let values = object.spec.values().unwrap_or(&none);
        let info = kind.info();
        head(out, kind);
        part(out, entry, item, (version, build, values));
        let _ = write!(out, r#""kind":"{}","metadata":{{"#, info.kind);
        annotations(out, object, entry, usize::from(n), build);
        labels(out, object, version);
        let _ = write!(out, r#""name":"{}","namespace":"{}"}}}}"#, item.name, entry.addon.namespace);
    }

    /// The HelmChart of a HelmRelease.
    pub(super) fn chart(self, out: &mut String, object: &Object) {
        let Spec::Release(release) = &object.spec else { return };
        let Some(chart) = &release.chart else { return };
        let (namespace, name) = (&object.meta.namespace, &object.meta.name);
        let _ = write!(
            out,
            r#"{{"apiVersion":"source.toolkit.fluxcd.io/v1","kind":"HelmChart","metadata":{{"labels":{{"helm.toolkit.fluxcd.io/name":"{name}","helm.toolkit.fluxcd.io/namespace":"{namespace}"}},"name":"{namespace}-{name}","namespace":"{}"}},"spec":{{"chart":"#,
            chart.source.namespace
        );
        quote(out, &chart.chart);
        let (kind, source) = (chart.source.kind.info().kind, &chart.source.name);
        let _ = write!(
            out,
            r#","interval":"{}","reconcileStrategy":"ChartVersion","sourceRef":{{"kind":"{kind}","name":"{source}"}},"version":"#,
            chart.common.interval
        );
        quote(out, &chart.version);
        out.push_str("}}");
    }

    /// The storage Secret of a release. Helm reads a record that is not compressed, too.
    pub(super) fn release(self, out: &mut String, object: &Object, revision: u32, state: ReleaseState) {
        let (name, namespace, state) = (release_name(object), &object.meta.namespace, state_word(state));
        let mut record = String::with_capacity(512);
        let _ = write!(
            record,
            r#"{{"name":"{name}","namespace":"{namespace}","version":{revision},"info":{{"status":"{state}"}},"#
        );
        record.push_str(r#""manifest":"","chart":{"metadata":{"apiVersion":"v2","name":""#);
        if let Some(chart) = object.status.attempted {
            record.push_str(self.catalogue.chart_name(chart));
            record.push_str(r#"","version":""#);
            self.catalogue.write_revision(&mut record, chart);
        }
        let config = object.spec.values().map_or("{}", |v| if v.json.is_empty() { "{}" } else { &v.json });
        let _ = write!(record, r#""}}}},"config":{config}}}"#);
        out.push_str(r#"{"apiVersion":"v1","data":{"release":""#);
        STANDARD.encode_string(STANDARD.encode(record), out);
        let _ = write!(out, r#""}},"kind":"Secret","metadata":{{"labels":{{"name":"{name}","owner":"helm","#);
        let _ = write!(out, r#""status":"{state}","version":"{revision}"}},"name":""#);
        secret_name(out, object, revision);
        let _ = write!(out, r#"","namespace":"{namespace}"}},"type":"helm.sh/release.v1"}}"#);
    }
}

/// Helm's words.
const fn state_word(state: ReleaseState) -> &'static str {
    match state {
        ReleaseState::PendingInstall => "pending-install",
        ReleaseState::PendingUpgrade => "pending-upgrade",
        ReleaseState::Deployed => "deployed",
        ReleaseState::Superseded => "superseded",
        ReleaseState::Failed => "failed",
        ReleaseState::Uninstalling => "uninstalling",
    }
}

/// The version and the filler; the first ConfigMap also holds the values, which is where they become visible.
fn data(out: &mut String, entry: &Entry, item: &Item, version: &str, build: Build, values: &Values) {
    out.push_str(r#""data":{"#);
    if item.nth == 0 {
        let _ = write!(out, r#""commits":"{}","#, build.commits);
        for (path, value) in &values.entries {
            quote(out, &format!("values.{path}"));
            out.push(':');
            quote(out, value);
            out.push(',');
        }
    }
    if !entry.filler.is_empty() {
        let _ = write!(out, r#""filler":"{}","#, entry.filler);
    }
    out.push_str(r#""version":"#);
    quote(out, version);
    out.push_str("},");
}

/// See [`Image::Pause`].
const PAUSE: &str = "registry.k8s.io/pause:3.10";

fn deployment(out: &mut String, entry: &Entry, item: &Item, version: &str, values: &Values) {
    let (name, addon) = (&item.name, &entry.addon);
    let replicas = values.replicas.unwrap_or(addon.objects.replicas);
    let _ =
        write!(out, r#""spec":{{"replicas":{replicas},"selector":{{"matchLabels":{{"app":"{name}"}}}},"template":{{"#);
    let _ = write!(out, r#""metadata":{{"labels":{{"app":"{name}"}}}},"spec":{{"containers":[{{"#);
    match entry.image {
        Image::Nowhere => {
            out.push_str(r#""image":"#);
            quote(out, &format!("registry.invalid/{}:{version}", addon.name));
        }
        // Its version shows in the template, so that a new one rolls out.
        Image::Pause => {
            out.push_str(r#""env":[{"name":"VERSION","value":"#);
            quote(out, version);
            let _ = write!(out, r#"}}],"image":"{PAUSE}""#);
        }
    }
    out.push_str(r#","name":"main"}]}}},"#);
}

/// What the mark of a new commit is on when there is no ConfigMap: the first object.
fn annotations(out: &mut String, object: &Object, entry: &Entry, n: usize, build: Build) {
    let marked = n == 0 && build.commits > 0 && entry.addon.objects.config_maps == 0;
    let helm = object.kind == Kind::HELM_RELEASE;
    if !marked && !helm {
        return;
    }
    out.push_str(r#""annotations":{"#);
    if marked {
        let _ = write!(out, r#""flamboyance.dev/commits":"{}""#, build.commits);
    }
    if helm {
        let comma = if marked { "," } else { "" };
        let (name, namespace) = (release_name(object), &object.meta.namespace);
        let _ = write!(
            out,
            r#"{comma}"meta.helm.sh/release-name":"{name}","meta.helm.sh/release-namespace":"{namespace}""#
        );
    }
    out.push_str("},");
}

/// The owner, as Flux stamps it on what it applies, and the version.
fn labels(out: &mut String, object: &Object, version: &str) {
    let (namespace, name) = (&object.meta.namespace, &object.meta.name);
    let helm = object.kind == Kind::HELM_RELEASE;
    out.push_str(r#""labels":{"#);
    if helm {
        out.push_str(r#""app.kubernetes.io/managed-by":"Helm","#);
    }
    out.push_str(r#""app.kubernetes.io/version":"#);
    quote(out, version);
    let group = if helm { "helm" } else { "kustomize" };
    let _ = write!(
        out,
        r#","{group}.toolkit.fluxcd.io/name":"{name}","{group}.toolkit.fluxcd.io/namespace":"{namespace}"}},"#
    );
}
