//! Objects as the watches deliver them: the few fields that count, read in one pass.
//!
//! In: JSON of a watch event or a reply. Out: [`Object`] (names, content, raw spec) and [`Flux`] (what decides an app's
//! health). managedFields, half of every object's bytes, are skipped without being parsed.
//!
//! Arithmetic: an install delivers about 15 events of 2.5 KB per app, 600,000 in all; at 4 us each that is 2.4 s.

use crate::calls::{ContentId, Kind};
use crate::reconcile::{self, Facts, LAST_APPLIED, Ready, SourceRef};
use crate::scenario::Behaviour;
use http::Uri;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::DynamicResourceScope;
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// The annotation of an applied object: fingerprint of the document that was applied.
pub(super) const STAMP: &str = "flamboyance.dev/applied";

/// Which collection of which API server a watch is about. The first segment of the path is the server's number, which
/// the router takes off again.
#[derive(Clone, Debug)]
pub(super) struct Collection {
    /// 0 is the hub, leaf `n` is `n + 1`.
    pub(super) server: u32,
    /// What it holds.
    pub(super) kind: Kind,
    /// In which version.
    pub(super) version: String,
}

impl Collection {
    /// `/apis/GROUP/VERSION` or `/api/v1`, without the server.
    pub(super) fn group_path(&self) -> String {
        self.kind.info().group_path(&self.version)
    }

    /// The path of an object, or of the collection if `name` is empty; without the server.
    pub(super) fn path(&self, namespace: &str, name: &str) -> String {
        self.kind.info().path(&self.version, namespace, name)
    }
}

/// An object of any kind.
#[derive(Clone, Debug, Default)]
pub(super) struct Object {
    /// Name, namespace and resourceVersion alone.
    meta: ObjectMeta,
    pub(super) generation: i64,
    pub(super) uid: Box<str>,
    pub(super) deleting: bool,
    pub(super) finalizers: Vec<String>,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// As written; empty if there is none.
    pub(super) spec: Box<str>,
    /// As written; empty if there is none.
    pub(super) status: Box<str>,
    /// `data` of a Secret.
    pub(super) data: BTreeMap<String, String>,
    /// `operation` of an Application exists.
    pub(super) operation: bool,
}

impl Object {
    pub(super) fn name(&self) -> &str {
        self.meta.name.as_deref().unwrap_or_default()
    }

    pub(super) fn namespace(&self) -> &str {
        self.meta.namespace.as_deref().unwrap_or_default()
    }

    pub(super) fn resource_version(&self) -> &str {
        self.meta.resource_version.as_deref().unwrap_or_default()
    }

    /// Its resourceVersion as a number: the greater is the later one.
    pub(super) fn rv(&self) -> u64 {
        self.meta.resource_version.as_deref().and_then(|rv| rv.parse().ok()).unwrap_or_default()
    }

    /// The fingerprint of everything that people and controllers ask for: spec, labels, annotations.
    pub(super) fn content(&self) -> ContentId {
        use std::hash::Hasher;
        let mut hash = rustc_hash::FxHasher::default();
        hash.write(self.spec.as_bytes());
        for (key, value) in self.labels.iter().chain(&self.annotations) {
            hash.write(key.as_bytes());
            hash.write(value.as_bytes());
        }
        ContentId(hash.finish() | 1)
    }
}

#[derive(Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    metadata: MetaWire<'a>,
    #[serde(borrow)]
    spec: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(default)]
    data: BTreeMap<String, String>,
    operation: Option<IgnoredAny>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MetaWire<'a> {
    name: String,
    namespace: Option<String>,
    resource_version: Option<String>,
    #[serde(borrow, default)]
    uid: Cow<'a, str>,
    #[serde(default)]
    generation: i64,
    deletion_timestamp: Option<IgnoredAny>,
    #[serde(default)]
    finalizers: Vec<String>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::deserialize(deserializer)?;
        let meta = wire.metadata;
        let text =
            |raw: Option<&RawValue>| raw.map(RawValue::get).filter(|raw| *raw != "null").unwrap_or_default().into();
        Ok(Self {
            generation: meta.generation,
            uid: meta.uid.into(),
            deleting: meta.deletion_timestamp.is_some(),
            finalizers: meta.finalizers,
            labels: meta.labels.unwrap_or_default(),
            annotations: meta.annotations.unwrap_or_default(),
            spec: text(wire.spec),
            status: text(wire.status),
            data: wire.data,
            operation: wire.operation.is_some(),
            meta: ObjectMeta {
                name: Some(meta.name),
                namespace: meta.namespace,
                resource_version: meta.resource_version,
                ..ObjectMeta::default()
            },
        })
    }
}

impl kube::Resource for Object {
    type DynamicType = Collection;
    type Scope = DynamicResourceScope;

    fn kind(dt: &Collection) -> Cow<'_, str> {
        dt.kind.info().kind.into()
    }

    fn group(dt: &Collection) -> Cow<'_, str> {
        dt.kind.info().group.into()
    }

    fn version(dt: &Collection) -> Cow<'_, str> {
        dt.version.as_str().into()
    }

    fn plural(dt: &Collection) -> Cow<'_, str> {
        dt.kind.info().plural.into()
    }

    fn url_path(dt: &Collection, namespace: Option<&str>) -> String {
        format!("/{}{}", dt.server, dt.path(namespace.unwrap_or_default(), ""))
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}

/// The server number and the rest of a path made by [`Collection`].
pub(super) fn split_server(uri: &Uri) -> Option<(u32, Uri)> {
    let path = uri.path_and_query()?.as_str();
    let (server, rest) = path.strip_prefix('/')?.split_once('/')?;
    Some((server.parse().ok()?, format!("/{rest}").parse().ok()?))
}

/// A Flux object, read out.
#[derive(Clone, Debug)]
pub(super) struct Flux {
    pub(super) stamp: ContentId,
    pub(super) content: ContentId,
    pub(super) deleting: bool,
    pub(super) health: Option<reconcile::Health>,
    pub(super) message: Box<str>,
    pub(super) revision: Box<str>,
    /// Kind, namespace and name of the source that a workload names.
    pub(super) source: Option<SourceName>,
    pub(super) last_applied: Option<Box<str>>,
    /// [`body`] of the object, as long as it is not known whether it has what it should.
    pub(super) body: Box<str>,
}

impl Flux {
    /// The source that a workload names, in the machine's words.
    pub(super) fn source_ref(&self) -> SourceRef {
        match &self.source {
            None => SourceRef::Nothing,
            Some(SourceName { kind: None, .. }) => SourceRef::Unreadable,
            Some(SourceName { kind: Some(kind), .. }) => SourceRef::Object(*kind),
        }
    }
}

/// The source that a workload names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SourceName {
    /// `None` if it is of a kind that cannot be read.
    pub(super) kind: Option<Kind>,
    pub(super) namespace: Box<str>,
    pub(super) name: Box<str>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct SpecWire<'a> {
    suspend: bool,
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    source_ref: Option<RefWire>,
    chart: Option<ChartWire>,
    chart_ref: Option<RefWire>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum ChartWire {
    Template { spec: ChartSpec },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChartSpec {
    source_ref: Option<RefWire>,
}

#[derive(Deserialize)]
struct RefWire {
    #[serde(default)]
    kind: String,
    #[serde(default)]
    name: Box<str>,
    namespace: Option<Box<str>>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct StatusWire<'a> {
    observed_generation: Option<i64>,
    #[serde(borrow, deserialize_with = "conditions")]
    conditions: Option<Conditions<'a>>,
    #[serde(borrow)]
    last_applied_revision: Option<Cow<'a, str>>,
    #[serde(borrow)]
    last_attempted_revision: Option<Cow<'a, str>>,
    #[serde(borrow)]
    artifact: Option<ArtifactWire<'a>>,
}

#[derive(Deserialize)]
struct ArtifactWire<'a> {
    #[serde(borrow, default)]
    revision: Cow<'a, str>,
}

#[derive(Default)]
struct Conditions<'a> {
    ready: Option<ConditionWire<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConditionWire<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
    #[serde(borrow, default)]
    status: Cow<'a, str>,
    #[serde(borrow, default)]
    reason: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
    observed_generation: Option<i64>,
}

/// Of a list of conditions only Ready.
fn conditions<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Conditions<'de>>, D::Error> {
    let all = Option::<Vec<ConditionWire<'de>>>::deserialize(deserializer)?;
    Ok(all.map(|all| Conditions { ready: all.into_iter().find(|c| c.r#type == "Ready") }))
}

impl Flux {
    /// Reads a Flux object. A spec or status of another shape counts as empty: it cannot be healthy then.
    pub(super) fn read(kind: Kind, object: &Object, behaviour: Behaviour) -> Self {
        let spec: SpecWire<'_> = serde_json::from_str(&object.spec).unwrap_or_default();
        let status: StatusWire<'_> = serde_json::from_str(&object.status).unwrap_or_default();
        let ready = status.conditions.as_ref().and_then(|c| c.ready.as_ref());
        let facts = Facts {
            oci_helm_repository: kind == Kind::HELM_REPOSITORY && spec.r#type == "oci",
            suspended: spec.suspend,
            generation: object.generation,
            observed_generation: status.observed_generation,
            has_conditions: status.conditions.is_some(),
            ready: ready.map(|ready| Ready {
                status: &ready.status,
                reason: &ready.reason,
                message: &ready.message,
                observed_generation: ready.observed_generation,
            }),
        };
        let assessed = reconcile::assess(kind, &facts, behaviour);
        let health = assessed.as_ref().map(|(health, _)| *health);
        // helm-controller's v2 has no lastAppliedRevision: what it attempted is applied once it is ready.
        let attempted = status.last_attempted_revision.filter(|_| health == Some(reconcile::Health::Healthy));
        let revision = status.last_applied_revision.or(attempted).or(status.artifact.map(|a| a.revision));
        let stamp = object.annotations.get(STAMP).and_then(|hex| u64::from_str_radix(hex, 16).ok());
        Self {
            stamp: ContentId(stamp.unwrap_or_default()),
            content: object.content(),
            deleting: object.deleting,
            health,
            message: assessed.map(|(_, text)| text.as_ref().into()).unwrap_or_default(),
            revision: revision.unwrap_or_default().into(),
            source: source_name(kind, spec, object.namespace(), behaviour),
            body: Box::default(),
            last_applied: object.annotations.get(LAST_APPLIED).map(|text| text.as_str().into()),
        }
    }
}

/// What is compared with a document.
pub(super) fn body(object: &Object) -> Box<str> {
    let map = |map: &BTreeMap<String, String>| serde_json::to_string(map).unwrap_or_default();
    let spec = if object.spec.is_empty() { "null" } else { &object.spec };
    format!(
        r#"{{"metadata":{{"labels":{},"annotations":{}}},"spec":{spec}}}"#,
        map(&object.labels),
        map(&object.annotations)
    )
    .into()
}

fn source_name(kind: Kind, spec: SpecWire<'_>, namespace: &str, behaviour: Behaviour) -> Option<SourceName> {
    let reference = match kind {
        Kind::KUSTOMIZATION => spec.source_ref,
        Kind::HELM_RELEASE => match spec.chart {
            Some(ChartWire::Template { spec }) => spec.source_ref,
            // The original knows no chartRef.
            _ => spec.chart_ref.filter(|_| behaviour == Behaviour::Fixed),
        },
        _ => None,
    }?;
    let kind = Kind::find("source.toolkit.fluxcd.io", &reference.kind);
    let namespace = reference.namespace.unwrap_or_else(|| namespace.into());
    Some(SourceName { kind, namespace, name: reference.name })
}

/// What an Application's status says, as text.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AppStatus {
    pub(super) sync: SyncWire,
    pub(super) health: HealthWire,
    pub(super) resources: Vec<ResourceWire>,
    pub(super) conditions: Vec<AppCondition>,
    pub(super) operation_state: Option<OperationWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct SyncWire {
    pub(super) status: String,
    pub(super) revision: String,
    pub(super) compared_to: Option<ComparedWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ComparedWire {
    pub(super) source: serde_json::Value,
    pub(super) destination: serde_json::Value,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct HealthWire {
    pub(super) status: String,
    pub(super) message: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ResourceWire {
    pub(super) group: String,
    pub(super) kind: String,
    pub(super) status: String,
    pub(super) health: Option<HealthWire>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct AppCondition {
    pub(super) r#type: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct OperationWire {
    pub(super) phase: String,
}
