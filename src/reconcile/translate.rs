//! Application -> two Flux documents.
//!
//! In: an Application as JSON, the API versions to write, whose behaviour counts. Out: a [`Plan`]: where the workload and
//! its source live and, in AutoCreate mode, both documents. Never reads a cluster; fields it does not know are left alone.
//!
//! Source of every field and constant: the published patch set of the Flux subsystem for Argo CD 2.10 (FSA), as mapped
//! in its `sync_fsa` step.

use super::values::{self, ValuesError};
use crate::calls::Kind;
use crate::scenario::{Behaviour, FluxApi};
use serde_json::{Map, Value, json};

/// `metadata.labels` of an Application that renames the workload.
const WORKLOAD_NAME: &str = "flamingo/workload-name";
/// The interval of all generated objects.
const INTERVAL: &str = "10m";

/// How an Application is to be treated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// Not ours: the repo-server renders it.
    Ordinary,
    /// The Flux objects are generated.
    AutoCreate,
    /// Existing Flux objects are read.
    Reference,
}

/// Which of an app's two Flux objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Slot {
    /// Kustomization or HelmRelease.
    Workload,
    /// GitRepository, OCIRepository or HelmRepository.
    Source,
}

impl Slot {
    /// Both, in the order in which Argo CD lists them.
    pub const BOTH: [Self; 2] = [Self::Workload, Self::Source];

    /// 0 for the workload, 1 for the source.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }
}

/// What an Application asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// How it is treated.
    pub mode: Mode,
    /// Kinds of workload and source. In Reference mode the source is only a guess until the workload was read.
    pub kinds: [Kind; 2],
    /// `spec.destination.namespace`.
    pub namespace: String,
    /// Names of workload and source.
    pub names: [String; 2],
    /// The generated documents (AutoCreate only).
    pub documents: Option<[Value; 2]>,
}

/// Why an Application cannot be translated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TranslateError {
    /// Multi-source Applications have no `spec.source`; the original panics on them.
    #[error("no spec.source: the Flux subsystem supports Applications with a single source only")]
    NoSource,
    /// An annotation holds no YAML mapping.
    #[error("annotation {annotation} is not a YAML mapping: {reason}")]
    BadAnnotation {
        /// Its full name.
        annotation: String,
        /// What the parser said.
        reason: String,
    },
    /// Helm values cannot be merged.
    #[error(transparent)]
    Values(#[from] ValuesError),
}

impl TranslateError {
    /// The original does not report this: it panics, recovers and never updates the app.
    #[must_use]
    pub const fn crashes_the_original(&self) -> bool {
        matches!(self, Self::NoSource | Self::Values(ValuesError::NilMap))
    }
}

/// The API version in which a Flux kind is written and read.
#[must_use]
pub fn flux_version(kind: Kind, api: &FluxApi) -> &str {
    match kind {
        Kind::KUSTOMIZATION => &api.kustomize,
        Kind::HELM_RELEASE => &api.helm,
        Kind::GIT_REPOSITORY | Kind::OCI_REPOSITORY | Kind::HELM_REPOSITORY | Kind::HELM_CHART | Kind::BUCKET => {
            &api.source
        }
        other => other.info().version,
    }
}

/// How an Application is to be treated, by its sync options alone.
#[must_use]
pub fn mode(spec: &Value) -> Mode {
    let has =
        |option: &str| spec["syncPolicy"]["syncOptions"].as_array().is_some_and(|all| all.iter().any(|o| o == option));
    match (has("FluxSubsystem=true"), has("AutoCreateFluxResources=true")) {
        (false, _) => Mode::Ordinary,
        (true, true) => Mode::AutoCreate,
        (true, false) => Mode::Reference,
    }
}

/// Translates an Application.
///
/// # Errors
/// See [`TranslateError`]; an ordinary Application never fails.
pub fn translate(app: &Value, api: &FluxApi, behaviour: Behaviour) -> Result<Plan, TranslateError> {
    let (meta, spec) = (&app["metadata"], &app["spec"]);
    let mode = mode(spec);
    let source = &spec["source"];
    if mode != Mode::Ordinary && !source.is_object() {
        return Err(TranslateError::NoSource);
    }
    let name = text(&meta["name"]);
    let workload_name = meta["labels"][WORKLOAD_NAME].as_str().unwrap_or(name);
    let kinds = kinds(source);
    let mut plan = Plan {
        mode,
        kinds,
        namespace: text(&spec["destination"]["namespace"]).to_owned(),
        names: [workload_name.to_owned(), name.to_owned()],
        documents: None,
    };
    if mode == Mode::AutoCreate {
        let values =
            if kinds[0] == Kind::HELM_RELEASE { values::merged(&source["helm"], behaviour)? } else { Value::Null };
        let mut documents = generate(&plan, source, api, values);
        adjust(&mut documents, kinds, &meta["annotations"])?;
        plan.documents = Some(documents);
    }
    Ok(plan)
}

/// Helm when a chart is named; else Kustomize from OCI or Git by the URL's scheme.
fn kinds(source: &Value) -> [Kind; 2] {
    if !text(&source["chart"]).is_empty() {
        [Kind::HELM_RELEASE, Kind::HELM_REPOSITORY]
    } else if is_oci(source) {
        [Kind::KUSTOMIZATION, Kind::OCI_REPOSITORY]
    } else {
        [Kind::KUSTOMIZATION, Kind::GIT_REPOSITORY]
    }
}

fn is_oci(source: &Value) -> bool {
    text(&source["repoURL"]).starts_with("oci://")
}

/// Both documents before the annotations of the Application are applied.
fn generate(plan: &Plan, source: &Value, api: &FluxApi, values: Value) -> [Value; 2] {
    let source_ref = json!({
        "kind": plan.kinds[1].info().kind, "name": plan.names[1], "namespace": plan.namespace,
    });
    let specs = match plan.kinds[1] {
        Kind::HELM_REPOSITORY => helm_specs(plan, source, source_ref, values),
        from => {
            let reference = if from == Kind::OCI_REPOSITORY { "tag" } else { "branch" };
            [
                json!({
                    "interval": INTERVAL, "path": text(&source["path"]), "prune": true, "wait": true,
                    "sourceRef": source_ref,
                }),
                json!({
                    "interval": INTERVAL, "url": text(&source["repoURL"]),
                    "ref": { reference: text(&source["targetRevision"]) },
                }),
            ]
        }
    };
    let mut specs = specs.into_iter();
    Slot::BOTH.map(|slot| {
        let kind = plan.kinds[slot.index()];
        json!({
            "apiVersion": format!("{}/{}", kind.info().group, flux_version(kind, api)),
            "kind": kind.info().kind,
            "metadata": {
                "name": plan.names[slot.index()], "namespace": plan.namespace,
                "labels": { "flamingo/generated": "true" },
            },
            "spec": specs.next().unwrap_or_default(),
        })
    })
}

fn helm_specs(plan: &Plan, source: &Value, source_ref: Value, values: Value) -> [Value; 2] {
    [
        json!({
            "interval": INTERVAL,
            "chart": { "spec": {
                "chart": text(&source["chart"]), "version": text(&source["targetRevision"]), "sourceRef": source_ref,
            } },
            "releaseName": plan.names[1],
            "targetNamespace": plan.namespace,
            "install": { "replace": true, "crds": "CreateReplace" },
            "upgrade": { "crds": "CreateReplace" },
            "values": values,
        }),
        json!({
            "interval": INTERVAL, "type": if is_oci(source) { "oci" } else { "default" }, "url": text(&source["repoURL"]),
        }),
    ]
}

/// Override workload, override source, replace workload, replace source: the order of the original.
fn adjust(documents: &mut [Value; 2], kinds: [Kind; 2], annotations: &Value) -> Result<(), TranslateError> {
    for action in ["override", "replace"] {
        for slot in Slot::BOTH {
            let annotation = format!("flamingo/{}-{action}", annotation_word(kinds[slot.index()]));
            let Some(yaml) = annotations[&annotation].as_str() else { continue };
            let mut written = mapping(&annotation, yaml)?;
            let document = &mut documents[slot.index()];
            if action == "override" {
                merge(document, Value::Object(written));
            } else {
                document["spec"] = written.remove("spec").unwrap_or_default();
            }
        }
    }
    Ok(())
}

const fn annotation_word(kind: Kind) -> &'static str {
    match kind {
        Kind::HELM_RELEASE => "helmrelease",
        Kind::HELM_REPOSITORY => "helmrepository",
        Kind::OCI_REPOSITORY => "ocirepository",
        Kind::GIT_REPOSITORY => "gitrepository",
        _ => "kustomize",
    }
}

fn mapping(annotation: &str, yaml: &str) -> Result<Map<String, Value>, TranslateError> {
    let bad = |reason: String| TranslateError::BadAnnotation { annotation: annotation.to_owned(), reason };
    match values::parse_yaml(yaml).map_err(bad)? {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => Err(bad("it holds a single value or a list".to_owned())),
    }
}

/// Deep merge: maps recursively; scalars, lists and explicit nulls replace.
pub(super) fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                match into.get_mut(&key) {
                    Some(old) => merge(old, value),
                    None => {
                        into.insert(key, value);
                    }
                }
            }
        }
        (into, from) => *into = from,
    }
}

/// A string field; anything else counts as empty, as in Go's typed Application.
fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests;
