//! What `src/bin/harvest.rs` took from a real API server, opened when first asked for.
//!
//! The file is two zstd frames of JSON, so that a cluster that never serves an OpenAPI document never unpacks one:
//! `facts` (discovery, types, defaults, columns, bootstrap objects) and `openapi` (the documents).
//! Sizes: 44 KB and 52 KB packed, 0.7 MB and 2.3 MB of JSON. Nothing in them is written by hand.

use super::types::{TypeRef, Types};
use super::{Column, Resets, Resource, Subresource};
use crate::apiserver::defaults::Rules;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

static FACTS: &[u8] = include_bytes!("data/facts.json.zst");
static OPENAPI: &[u8] = include_bytes!("data/openapi.json.zst");

/// The facts about one Kubernetes version.
#[derive(Debug, Deserialize)]
pub(in crate::apiserver) struct Data {
    /// The body of `/version`.
    pub(in crate::apiserver) version: Value,
    /// Items of the aggregated discovery documents, core group first.
    pub(super) groups: Vec<Value>,
    /// Named OpenAPI v3 schemas, descriptions stripped.
    schemas: Map<String, Value>,
    /// What else is known of a resource, by `group/version/plural`.
    resources: BTreeMap<String, Facts>,
    /// Objects of a fresh cluster.
    bootstrap: Vec<Value>,
}

/// What discovery does not say about a resource.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Facts {
    columns: Vec<Column>,
    hash: String,
    tracks_generation: bool,
    create_on_update: bool,
    unconditional_update: bool,
    returns_deleted: bool,
    resets: Resets,
    defaults: Rules,
}

impl Data {
    /// The data, unpacked on first use.
    pub(in crate::apiserver) fn get() -> &'static Self {
        static DATA: OnceLock<Data> = OnceLock::new();
        DATA.get_or_init(|| unpack(FACTS))
    }

    /// A column that every kind has, as ConfigMaps show it: `Name` or `Age`.
    pub(super) fn common_column(&self, name: &str) -> Column {
        let shown =
            self.resources.get("/v1/configmaps").and_then(|facts| facts.columns.iter().find(|c| c.name == name));
        shown.cloned().unwrap_or_else(|| Column { name: name.to_owned(), ..Column::default() })
    }

    /// The built-in resources in discovery order.
    pub(super) fn resources(&self) -> Vec<Arc<Resource>> {
        let (types, names) = Types::from_openapi(&self.schemas);
        let types = Arc::new(types);
        let mut kinds: BTreeMap<(String, String, String), &str> = BTreeMap::new();
        for (name, schema) in &self.schemas {
            for gvk in schema.get("x-kubernetes-group-version-kind").and_then(Value::as_array).into_iter().flatten() {
                let text = |key: &str| gvk.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
                kinds.insert((text("group"), text("version"), text("kind")), name);
            }
        }
        let mut out = Vec::new();
        for group in &self.groups {
            let group_name = group["metadata"]["name"].as_str().unwrap_or("");
            let versions: Vec<String> = items(&group["versions"]).map(|one| text(one, "version")).collect();
            for version in items(&group["versions"]) {
                for resource in items(&version["resources"]) {
                    let mut built = self.resource(group_name, &text(version, "version"), resource);
                    let kind = (built.group.clone(), built.version.clone(), built.kind.clone());
                    let id = kinds.get(&kind).and_then(|name| names.get(*name)).copied();
                    built.schema = TypeRef { types: types.clone(), id: id.unwrap_or(super::types::DEDUCED) };
                    built.skeleton = types.zero(built.schema.id);
                    built.defaults.complete(&mut built.skeleton);
                    built.versions.clone_from(&versions);
                    out.push(Arc::new(built));
                }
            }
        }
        out
    }

    fn resource(&self, group: &str, version: &str, item: &Value) -> Resource {
        let plural = text(item, "resource");
        let facts = self.resources.get(&format!("{group}/{version}/{plural}")).cloned().unwrap_or_default();
        let kind = text(&item["responseKind"], "kind");
        let subresources: Vec<Subresource> =
            items(&item["subresources"]).map(|sub| subresource(sub, group, version)).collect();
        Resource {
            group: group.to_owned(),
            version: version.to_owned(),
            list_kind: format!("{kind}List"),
            kind,
            singular: text(item, "singularResource"),
            short_names: texts(&item["shortNames"]),
            categories: texts(&item["categories"]),
            namespaced: item["scope"] == "Namespaced",
            verbs: texts(&item["verbs"]),
            custom: false,
            has_status: subresources.iter().any(|sub| sub.name == "status"),
            subresources,
            tracks_generation: facts.tracks_generation,
            create_on_update: facts.create_on_update,
            unconditional_update: facts.unconditional_update,
            returns_deleted: facts.returns_deleted,
            columns: facts.columns,
            selectable_fields: Vec::new(),
            scale: None,
            deprecation: deprecated(group, version, &plural),
            plural,
            schema: TypeRef { types: Arc::default(), id: super::types::DEDUCED },
            versions: Vec::new(),
            storage_version_hash: facts.hash,
            skeleton: Value::Object(Map::new()),
            rules: None,
            resets: facts.resets,
            defaults: facts.defaults,
        }
    }
}

/// Kinds that are still served and should not be used (`APILifecycleDeprecated` of `k8s.io/api`).
fn deprecated(group: &str, version: &str, plural: &str) -> Option<String> {
    match (group, version, plural) {
        ("", "v1", "endpoints") => {
            Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice".to_owned())
        }
        ("", "v1", "componentstatuses") => Some("v1 ComponentStatus is deprecated in v1.19+".to_owned()),
        _ => None,
    }
}

fn subresource(item: &Value, group: &str, version: &str) -> Subresource {
    let kind = &item["responseKind"];
    let or = |text: String, other: &str| if text.is_empty() { other.to_owned() } else { text };
    Subresource {
        name: text(item, "subresource"),
        group: if text(kind, "version").is_empty() { group.to_owned() } else { text(kind, "group") },
        version: or(text(kind, "version"), version),
        kind: text(kind, "kind"),
        verbs: texts(&item["verbs"]),
    }
}

/// The objects of a fresh cluster, as the original makes them at its first start.
pub(in crate::apiserver) fn bootstrap_objects() -> &'static [Value] {
    &Data::get().bootstrap
}

/// The OpenAPI documents as taken.
#[derive(Debug, Deserialize)]
pub(super) struct Documents {
    /// OpenAPI v2, descriptions stripped.
    pub(super) v2: Value,
    /// Paths and other top-level parts of each OpenAPI v3 document, and the names of its schemas.
    pub(super) v3: BTreeMap<String, Value>,
}

impl Documents {
    /// The documents, unpacked anew: they are read once per catalog and then kept encoded.
    pub(super) fn open() -> Self {
        unpack(OPENAPI)
    }

    /// The named schemas that documents refer to.
    pub(super) fn schemas() -> &'static Map<String, Value> {
        &Data::get().schemas
    }
}

#[expect(clippy::expect_used, reason = "the bytes are part of the program and a test opens them")]
fn unpack<T: for<'a> Deserialize<'a>>(packed: &[u8]) -> T {
    let plain = zstd::decode_all(packed).expect("the embedded data is zstd");
    serde_json::from_slice(&plain).expect("the embedded data is JSON of the known form")
}

pub(super) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

pub(super) fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or("").to_owned()
}

pub(super) fn texts(value: &Value) -> Vec<String> {
    items(value).filter_map(Value::as_str).map(str::to_owned).collect()
}
