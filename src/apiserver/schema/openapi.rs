//! OpenAPI documents of a catalog, encoded once. Descriptions are not in them: clients merge, validate and explain types.

use super::crd;
use super::data::{Documents, items, text};
use super::discovery::{Document, hex};
use super::openapi_proto;
use bytes::Bytes;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha512};
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// The documents.
#[derive(Debug)]
pub struct OpenApi {
    /// `/openapi/v2` as JSON.
    pub v2: Document,
    /// The same in its binary form, once somebody asked for it.
    v2_protobuf: OnceLock<Document>,
    /// `/openapi/v3`: the index.
    pub index: Document,
    /// `/openapi/v3/{path}` by path, such as `apis/apps/v1`.
    pub v3: BTreeMap<String, V3>,
}

/// One OpenAPI v3 document.
#[derive(Clone, Debug)]
pub struct V3 {
    /// What the `hash` query parameter names.
    pub hash: String,
    /// The JSON body.
    pub body: Bytes,
}

impl V3 {
    fn of(document: &Value) -> Self {
        let body = document.to_string().into_bytes();
        Self { hash: hex(&Sha512::digest(&body)), body: Bytes::from(body) }
    }
}

/// The documents of the built-in kinds, which every catalog shares.
struct Builtin {
    v2: Value,
    v3: BTreeMap<String, V3>,
}

fn builtin() -> &'static Builtin {
    static BUILTIN: OnceLock<Builtin> = OnceLock::new();
    BUILTIN.get_or_init(|| {
        let documents = Documents::open();
        let expand = |(path, mut document): (String, Value)| {
            if let Some(names) = document.pointer_mut("/components/schemas") {
                let all = Documents::schemas();
                let named = items(names).filter_map(Value::as_str);
                *names = named
                    .filter_map(|name| Some((name.to_owned(), all.get(name)?.clone())))
                    .collect::<Map<_, _>>()
                    .into();
            }
            (path, V3::of(&document))
        };
        Builtin { v2: documents.v2, v3: documents.v3.into_iter().map(expand).collect() }
    })
}

impl OpenApi {
    pub(super) fn of(crds: &[Value]) -> Self {
        let mut v3 = builtin().v3.clone();
        for (path, parts) in crd_parts(crds) {
            v3.insert(path, V3::of(&parts.v3()));
        }
        let paths: Map<String, Value> = v3
            .iter()
            .map(|(path, one)| {
                (path.clone(), json!({"serverRelativeURL": format!("/openapi/v3/{path}?hash={}", one.hash)}))
            })
            .collect();
        let (v2, v2_protobuf) = (Self::v2(crds), OnceLock::new());
        Self { v2, v2_protobuf, index: Document::of(&json!({"paths": paths})), v3 }
    }

    /// `/openapi/v2` in its binary form, made at the first call.
    #[must_use]
    pub fn v2_protobuf(&self) -> &Document {
        self.v2_protobuf.get_or_init(|| {
            let document: Value = serde_json::from_slice(&self.v2.body).unwrap_or_default();
            Document::of_bytes(openapi_proto::encode(&document))
        })
    }

    fn v2(crds: &[Value]) -> Document {
        if crds.is_empty() {
            return Document::of(&builtin().v2);
        }
        let mut document = builtin().v2.clone();
        for parts in crd_parts(crds).into_values() {
            for (key, more) in [("definitions", parts.definitions()), ("paths", parts.paths_v2())] {
                if let Some(map) = document.get_mut(key).and_then(Value::as_object_mut) {
                    map.extend(more);
                }
            }
        }
        Document::of(&document)
    }
}

const V3_PREFIX: &str = "#/components/schemas/";
const CONVENTIONS: &str = "https://git.k8s.io/community/contributors/devel/sig-architecture/api-conventions.md";

/// What every kind says of its own head (`metav1.TypeMeta`).
fn about(field: &str) -> String {
    let (what, more) = if field == "kind" {
        let what = "Kind is a string value representing the REST resource this object represents. Servers may infer this from the endpoint the client submits requests to. Cannot be updated. In CamelCase.";
        (what, "types-kinds")
    } else {
        let what = "APIVersion defines the versioned schema of this representation of an object. Servers should convert recognized schemas to the latest internal value, and may reject unrecognized values.";
        (what, "resources")
    };
    format!("{what} More info: {CONVENTIONS}#{more}")
}

/// The custom kinds of one group and version.
#[derive(Default)]
struct Parts<'a> {
    kinds: Vec<Kind<'a>>,
}

struct Kind<'a> {
    group: String,
    version: String,
    spec: &'a Value,
    schema: Map<String, Value>,
    subresources: Vec<&'static str>,
}

/// The kinds by document path.
fn crd_parts(crds: &[Value]) -> BTreeMap<String, Parts<'_>> {
    let mut out: BTreeMap<String, Parts<'_>> = BTreeMap::new();
    for spec in crds.iter().map(|crd| &crd["spec"]) {
        for version in items(&spec["versions"]).filter(|one| one["served"] != false) {
            let (group, name) = (text(spec, "group"), text(version, "name"));
            let subresources = ["status", "scale"].into_iter().filter(|sub| version["subresources"].get(sub).is_some());
            let kind = Kind {
                schema: crd::published(&version["schema"]["openAPIV3Schema"]),
                subresources: subresources.collect(),
                spec,
                version: name.clone(),
                group: group.clone(),
            };
            out.entry(format!("apis/{group}/{name}")).or_default().kinds.push(kind);
        }
    }
    out
}

impl Kind<'_> {
    fn name(&self) -> String {
        self.spec["names"]["kind"].as_str().unwrap_or("").to_owned()
    }

    /// `io.fluxcd.toolkit.source.v1.GitRepository`: the group reversed, version, kind.
    fn model(&self) -> String {
        let group: Vec<&str> = self.group.split('.').rev().collect();
        format!("{}.{}.{}", group.join("."), self.version, self.name())
    }

    fn gvk(&self) -> Value {
        json!({"group": self.group, "version": self.version, "kind": self.name()})
    }

    /// Paths of the collection and of one object.
    fn paths(&self) -> (String, String) {
        let plural = text(&self.spec["names"], "plural");
        let namespace = if self.spec["scope"] == "Namespaced" { "/namespaces/{namespace}" } else { "" };
        let root = format!("/apis/{}/{}{namespace}/{plural}", self.group, self.version);
        (root.clone(), format!("{root}/{{name}}"))
    }

    /// The schemas of an object and of a list, with references below `prefix`.
    fn schemas(&self, prefix: &str) -> [(String, Value); 2] {
        let mut schema = self.schema.clone();
        let meta = |model: &str, what: &str, more: &str| {
            let (description, target) = (format!("{what} More info: {CONVENTIONS}{more}"), format!("{prefix}{model}"));
            // What stands beside a reference counts in v2 only.
            if prefix == V3_PREFIX {
                json!({"description": description, "allOf": [{"$ref": target}]})
            } else {
                json!({"description": description, "$ref": target})
            }
        };
        let type_meta = || {
            let about = |name: &str| json!({"type": "string", "description": about(name)});
            [("apiVersion".to_owned(), about("apiVersion")), ("kind".to_owned(), about("kind"))]
        };
        if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
            let metadata = meta(crd::OBJECT_META, "Standard object's metadata.", "#metadata");
            properties.extend(type_meta());
            properties.insert("metadata".to_owned(), metadata);
        }
        schema.insert("x-kubernetes-group-version-kind".to_owned(), json!([self.gvk()]));
        let (model, kind) = (self.model(), self.name());
        let mut gvk = self.gvk();
        gvk["kind"] = format!("{kind}List").into();
        let items = format!("List of {}. More info: {CONVENTIONS}", text(&self.spec["names"], "plural"));
        let mut properties: Map<String, Value> = type_meta().into_iter().collect();
        properties.insert("metadata".to_owned(), meta(crd::LIST_META, "Standard list metadata.", "#types-kinds"));
        let of = json!({"$ref": format!("{prefix}{model}")});
        properties.insert("items".to_owned(), json!({"description": items, "type": "array", "items": of}));
        let list = json!({"description": format!("{kind}List is a list of {kind}"), "type": "object", "required": ["items"],
            "x-kubernetes-group-version-kind": [gvk], "properties": properties});
        [(model.clone(), Value::Object(schema)), (format!("{model}List"), list)]
    }

    /// The operations at the collection, the object and its subresources; `body` makes the form of the request body.
    fn operations(&self, operation: impl Fn(&str, &[&str], &[&str]) -> Value) -> Map<String, Value> {
        const WRITE: [&str; 3] = ["dryRun", "fieldManager", "fieldValidation"];
        const PATCHES: [&str; 3] =
            ["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
        let (collection, object) = self.paths();
        let one = |deletes: bool| {
            let mut entry = json!({
                "get": operation("get", &["resourceVersion"], &[]),
                "put": operation("put", &WRITE, &["application/json"]),
                "patch": operation("patch", &["dryRun", "fieldManager", "fieldValidation", "force"], &PATCHES),
            });
            if deletes {
                entry["delete"] =
                    operation("delete", &["dryRun", "gracePeriodSeconds", "propagationPolicy"], &["application/json"]);
            }
            entry
        };
        let mut paths = Map::new();
        let list = ["labelSelector", "fieldSelector", "limit", "continue", "resourceVersion", "watch"];
        paths.insert(
            collection,
            json!({
                "get": operation("list", &list, &[]),
                "post": operation("post", &WRITE, &["application/json"]),
                "delete": operation("deletecollection", &list, &["application/json"]),
            }),
        );
        for sub in &self.subresources {
            paths.insert(format!("{object}/{sub}"), one(false));
        }
        paths.insert(object, one(true));
        paths
    }
}

impl Parts<'_> {
    fn v3(&self) -> Value {
        let mut schemas: Map<String, Value> = crd::meta_schemas().clone();
        let mut paths = Map::new();
        for kind in &self.kinds {
            schemas.extend(kind.schemas(V3_PREFIX));
            let model = json!({"$ref": format!("{V3_PREFIX}{}", kind.model())});
            paths.extend(kind.operations(|action, parameters, bodies| {
                let parameter = |name: &&str| json!({"name": name, "in": "query", "schema": {"type": "string", "uniqueItems": true}});
                let content = |media: &&str| ((*media).to_owned(), json!({"schema": model}));
                let mut operation = json!({
                    "parameters": parameters.iter().map(parameter).collect::<Vec<_>>(),
                    "responses": {"200": {"description": "OK", "content": {"application/json": {"schema": model}}}},
                    "x-kubernetes-action": action,
                    "x-kubernetes-group-version-kind": kind.gvk(),
                });
                if !bodies.is_empty() {
                    operation["requestBody"] = json!({"content": bodies.iter().map(content).collect::<Map<_, _>>()});
                }
                operation
            }));
        }
        json!({"openapi": "3.0.0", "info": {"title": "Kubernetes CRD Swagger", "version": "v0.1.0"}, "paths": paths,
            "components": {"schemas": schemas}})
    }

    /// The kinds as OpenAPI v2 definitions, without what v2 cannot say.
    fn definitions(&self) -> Map<String, Value> {
        let mut out = Map::new();
        for kind in &self.kinds {
            let [(name, mut object), (list_name, list)] = kind.schemas("#/definitions/");
            lower(&mut object);
            // kubectl complains of every field that it does not find, so none are told where all are allowed.
            if keeps_unknown(&kind.schema) {
                object = json!({"type": "object", "x-kubernetes-group-version-kind": [kind.gvk()]});
            }
            out.extend([(name, object), (list_name, list)]);
        }
        out
    }

    fn paths_v2(&self) -> Map<String, Value> {
        let mut out = Map::new();
        for kind in &self.kinds {
            let model = json!({"$ref": format!("#/definitions/{}", kind.model())});
            out.extend(kind.operations(|action, parameters, bodies| {
                let mut all: Vec<Value> = Vec::new();
                if !bodies.is_empty() {
                    all.push(json!({"name": "body", "in": "body", "required": true, "schema": model}));
                }
                all.extend(
                    parameters
                        .iter()
                        .map(|name| json!({"name": name, "in": "query", "type": "string", "uniqueItems": true})),
                );
                json!({"consumes": bodies, "produces": ["application/json", "application/yaml"], "parameters": all,
                    "responses": {"200": {"description": "OK", "schema": model}},
                    "x-kubernetes-action": action, "x-kubernetes-group-version-kind": kind.gvk()})
            }));
        }
        out
    }
}

/// Takes out of a schema what OpenAPI v2, or kubectl's reading of it, does not bear: defaults, alternatives, types of what
/// may be null, the structure of what keeps unknown fields (`apiextensions-apiserver/pkg/controller/openapi/v2`).
fn lower(schema: &mut Value) {
    let Some(map) = schema.as_object_mut() else { return };
    for key in ["default", "allOf", "oneOf", "anyOf", "not"] {
        map.remove(key);
    }
    let nullable = map.remove("nullable") == Some(Value::Bool(true));
    let unknown = keeps_unknown(map);
    if nullable || unknown {
        map.remove("properties");
        map.remove("items");
    }
    let kind = map.get("type").and_then(Value::as_str).unwrap_or_default();
    if nullable || (unknown && kind == "object") || (kind == "array" && !map.contains_key("items")) {
        map.remove("type");
    }
    let null = |part: Option<&Value>| part.is_some_and(|part| part["nullable"] == true);
    let properties = map.get("properties").cloned().unwrap_or_default();
    let keeps = !null(map.get("additionalProperties"));
    if let Some(required) = map.get_mut("required").and_then(Value::as_array_mut) {
        required.retain(|name| keeps && !name.as_str().is_some_and(|name| null(properties.get(name))));
        if required.is_empty() {
            map.remove("required");
        }
    }
    for key in ["items", "additionalProperties"] {
        map.get_mut(key).into_iter().for_each(lower);
    }
    map.get_mut("properties").and_then(Value::as_object_mut).into_iter().flat_map(Map::values_mut).for_each(lower);
}

fn keeps_unknown(schema: &Map<String, Value>) -> bool {
    schema.get("x-kubernetes-preserve-unknown-fields") == Some(&Value::Bool(true))
}

#[cfg(test)]
mod tests {
    use crate::apiserver::schema::{Catalog, flux_crds};
    use serde_json::Value;

    #[test]
    fn every_document_of_the_index_is_there_and_its_references_lead_somewhere() {
        let catalog = Catalog::builtin().with_crds(flux_crds()).unwrap();
        let openapi = catalog.openapi();
        let index: Value = serde_json::from_slice(&openapi.index.body).unwrap();
        let paths = index["paths"].as_object().unwrap();
        assert!(paths.contains_key("api/v1") && paths.contains_key("apis/helm.toolkit.fluxcd.io/v2"));
        for (path, entry) in paths {
            let v3 = &openapi.v3[path];
            assert_eq!(entry["serverRelativeURL"], format!("/openapi/v3/{path}?hash={}", v3.hash));
            let text = std::str::from_utf8(&v3.body).unwrap();
            let document: Value = serde_json::from_str(text).unwrap();
            for part in text.split("\"#/components/schemas/").skip(1) {
                let name = part.split('"').next().unwrap();
                assert!(document["components"]["schemas"].get(name).is_some(), "{path}: {name}");
            }
        }
    }

    #[test]
    fn a_client_sees_that_patches_take_field_validation_and_which_kinds_merge_strategically() {
        let catalog = Catalog::builtin().with_crds(flux_crds()).unwrap();
        for (path, object, strategic) in [
            ("apis/apps/v1", "/apis/apps/v1/namespaces/{namespace}/deployments/{name}", true),
            (
                "apis/kustomize.toolkit.fluxcd.io/v1",
                "/apis/kustomize.toolkit.fluxcd.io/v1/namespaces/{namespace}/kustomizations/{name}",
                false,
            ),
        ] {
            let document: Value = serde_json::from_slice(&catalog.openapi().v3[path].body).unwrap();
            let patch = &document["paths"][object]["patch"];
            assert!(
                patch["parameters"].as_array().unwrap().iter().any(|one| one["name"] == "fieldValidation"),
                "{path}"
            );
            let content = patch["requestBody"]["content"].as_object().unwrap();
            assert_eq!(content.contains_key("application/strategic-merge-patch+json"), strategic, "{path}");
            assert!(patch["x-kubernetes-group-version-kind"]["kind"].is_string());
        }
    }
}
