//! The few fields of Flux specs that the controllers act on.
//!
//! In: `spec` as JSON and the namespace of the object. Out: typed, shared specs with defaults filled in and sources
//! resolved in the catalogue. A spec that cannot be read is [`Spec::Invalid`]: its object stalls.

use super::catalogue::{Catalogue, RepoId};
use crate::calls::Kind;
use crate::seed::Seed;
use crate::units::Span;
use serde_json::Value;
use std::sync::Arc;

/// The spec of a Flux object.
#[derive(Clone, Debug)]
pub enum Spec {
    /// GitRepository, OCIRepository, HelmRepository.
    Source(Arc<Source>),
    /// HelmChart.
    Chart(Arc<Chart>),
    /// Kustomization.
    Kustomization(Arc<Kustomization>),
    /// HelmRelease.
    Release(Arc<Release>),
    /// Something that its controller cannot work with.
    Invalid,
}

/// A reference to another Flux object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Its kind.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: Arc<str>,
    /// Its name.
    pub name: Arc<str>,
}

/// What all Flux objects have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Common {
    /// `interval`.
    pub interval: Span,
    /// `suspend`.
    pub suspend: bool,
}

/// A GitRepository, OCIRepository or HelmRepository.
#[derive(Clone, Debug)]
pub struct Source {
    /// Interval and suspension.
    pub common: Common,
    /// `url`.
    pub url: Arc<str>,
    /// What it points at, if the catalogue has it.
    pub repo: Option<RepoId>,
    /// A HelmRepository of type `oci`: nothing reconciles it, charts are pulled from its URL.
    pub fixed: bool,
}

/// A HelmChart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Interval and suspension.
    pub common: Common,
    /// `chart`: a name, or a path in a Git repository.
    pub chart: Arc<str>,
    /// `version`.
    pub version: Arc<str>,
    /// `sourceRef`.
    pub source: Reference,
}

/// A Kustomization.
#[derive(Clone, Debug)]
pub struct Kustomization {
    /// Interval and suspension.
    pub common: Common,
    /// `retryInterval`, by default the interval.
    pub retry: Span,
    /// `timeout`, by default interval - 30 s, at least 30 s.
    pub timeout: Span,
    /// `sourceRef`.
    pub source: Reference,
    /// `path`.
    pub path: Arc<str>,
    /// `prune`.
    pub prune: bool,
    /// `wait`.
    pub wait: bool,
    /// `dependsOn`.
    pub depends: Vec<Reference>,
    /// `postBuild.substitute`.
    pub values: Values,
}

/// A HelmRelease.
#[derive(Clone, Debug)]
pub struct Release {
    /// Interval and suspension.
    pub common: Common,
    /// `timeout`, by default 5 m.
    pub timeout: Span,
    /// `chart.spec`, by which a HelmChart is created.
    pub chart: Option<Chart>,
    /// `chartRef` to an OCIRepository or HelmChart instead.
    pub chart_ref: Option<Reference>,
    /// `releaseName`, by default the object's name.
    pub name: Option<Arc<str>>,
    /// `install.disableWait`, `upgrade.disableWait`.
    pub wait: bool,
    /// `driftDetection.mode: enabled`.
    pub correct_drift: bool,
    /// `driftDetection.mode` is `enabled` or `warn`.
    pub detect_drift: bool,
    /// `install.remediation.retries`; negative is unlimited.
    pub install_retries: i64,
    /// `upgrade.remediation.retries`; negative is unlimited.
    pub upgrade_retries: i64,
    /// `dependsOn`.
    pub depends: Vec<Reference>,
    /// `values`.
    pub values: Values,
}

/// Values or substitutions, flattened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    /// Dotted path to scalar, in order.
    pub entries: Vec<(String, String)>,
    /// Fingerprint of them all; 0 for none.
    pub digest: u64,
    /// `replicas` or `replicaCount`, where given.
    pub replicas: Option<u32>,
    /// The same as JSON text.
    pub json: String,
}

impl Values {
    /// Flattens a JSON map.
    #[must_use]
    pub fn new(values: &Value) -> Self {
        let mut entries = Vec::new();
        flatten("", values, &mut entries);
        if entries.is_empty() {
            return Self { json: "{}".to_owned(), ..Self::default() };
        }
        let replicas = entries.iter().rev().find(|(k, _)| k == "replicas" || k == "replicaCount");
        let replicas = replicas.and_then(|(_, v)| v.parse().ok());
        let json = values.to_string();
        let digest = Seed::new(0).child(&json).bits(0).max(1);
        Self { entries, digest, replicas, json }
    }
}

fn flatten(path: &str, value: &Value, out: &mut Vec<(String, String)>) {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => map.iter().for_each(|(key, value)| flatten(&join(key), value, out)),
        Value::Array(list) => list.iter().enumerate().for_each(|(n, v)| flatten(&join(&n.to_string()), v, out)),
        Value::Null => {}
        Value::String(text) => out.push((path.to_owned(), text.clone())),
        other => out.push((path.to_owned(), other.to_string())),
    }
}

impl Spec {
    /// Reads the `spec` of an object of a Flux kind.
    #[must_use]
    pub fn read(kind: Kind, namespace: &Arc<str>, spec: &Value, catalogue: &Catalogue) -> Self {
        let read = match kind {
            Kind::GIT_REPOSITORY | Kind::OCI_REPOSITORY | Kind::HELM_REPOSITORY => source(kind, spec, catalogue),
            Kind::HELM_CHART => chart(spec, namespace).map(|c| Self::Chart(Arc::new(c))),
            Kind::KUSTOMIZATION => kustomization(spec, namespace),
            Kind::HELM_RELEASE => release(spec, namespace),
            _ => None,
        };
        read.unwrap_or(Self::Invalid)
    }

    /// Interval and suspension.
    #[must_use]
    pub fn common(&self) -> Option<&Common> {
        match self {
            Self::Source(s) => Some(&s.common),
            Self::Chart(s) => Some(&s.common),
            Self::Kustomization(s) => Some(&s.common),
            Self::Release(s) => Some(&s.common),
            Self::Invalid => None,
        }
    }

    /// The object whose artifact it uses.
    #[must_use]
    pub fn source(&self) -> Option<&Reference> {
        match self {
            Self::Chart(s) => Some(&s.source),
            Self::Kustomization(s) => Some(&s.source),
            Self::Release(s) => s.chart_ref.as_ref(),
            Self::Source(_) | Self::Invalid => None,
        }
    }

    /// The objects that must be Ready first.
    #[must_use]
    pub fn depends(&self) -> &[Reference] {
        match self {
            Self::Kustomization(s) => &s.depends,
            Self::Release(s) => &s.depends,
            _ => &[],
        }
    }

    /// Values or substitutions.
    #[must_use]
    pub fn values(&self) -> Option<&Values> {
        match self {
            Self::Kustomization(s) => Some(&s.values),
            Self::Release(s) => Some(&s.values),
            _ => None,
        }
    }
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key)?.as_str().filter(|t| !t.is_empty())
}

fn span(value: &Value, key: &str) -> Option<Span> {
    text(value, key)?.parse().ok()
}

fn flag(value: &Value, key: &str) -> bool {
    value.get(key).and_then(Value::as_bool).unwrap_or_default()
}

/// The interval is required by every Flux CRD; HelmChart's template may leave it to the HelmRelease's.
fn common(spec: &Value) -> Option<Common> {
    Some(Common { interval: span(spec, "interval")?, suspend: flag(spec, "suspend") })
}

fn source(kind: Kind, spec: &Value, catalogue: &Catalogue) -> Option<Spec> {
    let common = match kind {
        // Optional since HelmRepository v1; 1m there.
        Kind::HELM_REPOSITORY if spec.get("interval").is_none() => {
            Common { interval: Span::from_secs(60), suspend: flag(spec, "suspend") }
        }
        _ => common(spec)?,
    };
    let url = text(spec, "url")?;
    let reference = spec.get("ref").unwrap_or(&Value::Null);
    let named = |keys: &[&str]| keys.iter().find_map(|key| text(reference, key));
    let repo = match kind {
        // Precedence and default of source-controller's GitRepository and OCIRepository.
        Kind::GIT_REPOSITORY => {
            catalogue.git(url, named(&["commit", "name", "semver", "tag", "branch"]).unwrap_or("master"))
        }
        Kind::OCI_REPOSITORY => catalogue.oci(url, named(&["digest", "semver", "tag"]).unwrap_or("latest")),
        _ => catalogue.index(url),
    };
    let fixed = kind == Kind::HELM_REPOSITORY && text(spec, "type") == Some("oci");
    Some(Spec::Source(Arc::new(Source { common, url: url.into(), repo, fixed })))
}

fn reference(value: &Value, namespace: &Arc<str>, default: Option<Kind>) -> Option<Reference> {
    let kind = match text(value, "kind") {
        Some(kind) => {
            [Kind::GIT_REPOSITORY, Kind::OCI_REPOSITORY, Kind::HELM_REPOSITORY, Kind::BUCKET, Kind::HELM_CHART]
                .into_iter()
                .find(|k| k.info().kind == kind)?
        }
        None => default?,
    };
    let namespace = text(value, "namespace").map_or_else(|| Arc::clone(namespace), Arc::from);
    Some(Reference { kind, namespace, name: text(value, "name")?.into() })
}

fn depends(spec: &Value, kind: Kind, namespace: &Arc<str>) -> Vec<Reference> {
    let list = spec.get("dependsOn").and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|d| reference(d, namespace, Some(kind))).collect()
}

fn chart(spec: &Value, namespace: &Arc<str>) -> Option<Chart> {
    let source = reference(spec.get("sourceRef")?, namespace, None)?;
    let version = text(spec, "version").unwrap_or("*").into();
    Some(Chart { common: common(spec)?, chart: text(spec, "chart")?.into(), version, source })
}

fn kustomization(spec: &Value, namespace: &Arc<str>) -> Option<Spec> {
    let common = common(spec)?;
    let interval = common.interval;
    let default_timeout = Span(interval.0.saturating_sub(Span::from_secs(30).0));
    let timeout = span(spec, "timeout").unwrap_or(default_timeout).max(Span::from_secs(30));
    let values = spec.get("postBuild").and_then(|p| p.get("substitute"));
    Some(Spec::Kustomization(Arc::new(Kustomization {
        retry: span(spec, "retryInterval").unwrap_or(interval),
        timeout,
        source: reference(spec.get("sourceRef")?, namespace, None)?,
        path: text(spec, "path").unwrap_or("./").into(),
        prune: flag(spec, "prune"),
        wait: flag(spec, "wait"),
        depends: depends(spec, Kind::KUSTOMIZATION, namespace),
        values: Values::new(values.unwrap_or(&Value::Null)),
        common,
    })))
}

fn release(spec: &Value, namespace: &Arc<str>) -> Option<Spec> {
    let common = common(spec)?;
    let template = spec.get("chart").and_then(|c| c.get("spec"));
    let chart = template.and_then(|t| {
        let interval = span(t, "interval").unwrap_or(common.interval);
        let source = reference(t.get("sourceRef")?, namespace, None)?;
        let version = text(t, "version").unwrap_or("*").into();
        let common = Common { interval, suspend: false };
        Some(Chart { common, chart: text(t, "chart")?.into(), version, source })
    });
    let chart_ref = spec.get("chartRef").and_then(|r| reference(r, namespace, None));
    if chart.is_none() && chart_ref.is_none() {
        return None;
    }
    let action = |name: &str| spec.get(name).unwrap_or(&Value::Null);
    let retries = |name: &str| action(name).pointer("/remediation/retries").and_then(Value::as_i64).unwrap_or(0);
    let mode = spec.pointer("/driftDetection/mode").and_then(Value::as_str).unwrap_or("disabled");
    Some(Spec::Release(Arc::new(Release {
        timeout: span(spec, "timeout").unwrap_or(Span::from_secs(300)),
        chart,
        chart_ref,
        name: text(spec, "releaseName").map(Arc::from),
        wait: !flag(action("install"), "disableWait") && !flag(action("upgrade"), "disableWait"),
        correct_drift: mode == "enabled",
        detect_drift: mode != "disabled",
        install_retries: retries("install"),
        upgrade_retries: retries("upgrade"),
        depends: depends(spec, Kind::HELM_RELEASE, namespace),
        values: Values::new(spec.get("values").unwrap_or(&Value::Null)),
        common,
    })))
}
