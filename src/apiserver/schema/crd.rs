//! CustomResourceDefinitions into resources.

use super::data::{Data, Documents, items, text, texts};
use super::types::{TypeRef, Types};
use super::{Column, Resets, Resource, ScalePaths, Subresource};
use crate::apiserver::defaults::Rules;
use serde_json::{Map, Value, json};
use std::sync::{Arc, OnceLock};

/// Why a CustomResourceDefinition cannot be served.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("custom resource definition {name:?} lacks {field}: add it")]
pub struct BadCrd {
    /// Its name.
    pub name: String,
    /// The field that is missing or of another type.
    pub field: &'static str,
}

const VERBS: [&str; 8] = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
pub(super) const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
const RAW_EXTENSION: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";
pub(super) const LIST_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta";

/// The resources that a definition serves, newest version first.
pub(super) fn resources(crd: &Value) -> Result<Vec<Resource>, BadCrd> {
    let name = crd.pointer("/metadata/name").and_then(Value::as_str).unwrap_or("").to_owned();
    let lacks = |field: &'static str| BadCrd { name: name.clone(), field };
    let spec = crd.get("spec").ok_or_else(|| lacks("spec"))?;
    for (path, field) in
        [("/group", "spec.group"), ("/names/plural", "spec.names.plural"), ("/names/kind", "spec.names.kind")]
    {
        spec.pointer(path).and_then(Value::as_str).filter(|text| !text.is_empty()).ok_or_else(|| lacks(field))?;
    }
    let served: Vec<&Value> = items(&spec["versions"]).filter(|one| one["served"] != false).collect();
    if served.is_empty() {
        return Err(lacks("a served version in spec.versions"));
    }
    let mut versions: Vec<String> = served.iter().map(|one| text(one, "name")).collect();
    versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
    let mut out: Vec<Resource> = served.iter().map(|version| resource(spec, version, &versions)).collect();
    out.sort_by_key(|one| versions.iter().position(|version| *version == one.version));
    Ok(out)
}

fn resource(spec: &Value, version: &Value, versions: &[String]) -> Resource {
    let (names, group) = (&spec["names"], text(spec, "group"));
    let (kind, plural, name) = (text(names, "kind"), text(names, "plural"), text(version, "name"));
    let or = |text: String, other: String| if text.is_empty() { other } else { text };
    let sub = &version["subresources"];
    let has_status = sub.get("status").is_some_and(Value::is_object);
    let scale = sub.get("scale").map(|scale| ScalePaths {
        spec_replicas: text(scale, "specReplicasPath"),
        status_replicas: text(scale, "statusReplicasPath"),
        label_selector: scale.get("labelSelectorPath").and_then(Value::as_str).map(str::to_owned),
    });
    let (types, id) = types(&version["schema"]["openAPIV3Schema"]);
    let api_version = format!("{group}/{name}");
    let storage = items(&spec["versions"])
        .find(|one| one["storage"] == true)
        .map_or_else(|| name.clone(), |one| text(one, "name"));
    Resource {
        storage_version_hash: super::discovery::storage_version_hash(&group, &storage, &kind),
        skeleton: json!({"apiVersion": api_version, "kind": kind}),
        list_kind: or(text(names, "listKind"), format!("{kind}List")),
        singular: or(text(names, "singular"), kind.to_lowercase()),
        short_names: texts(&names["shortNames"]),
        categories: texts(&names["categories"]),
        namespaced: spec["scope"] == "Namespaced",
        verbs: VERBS.iter().map(|verb| (*verb).to_owned()).collect(),
        subresources: subresources(has_status, scale.is_some(), &group, &name, &kind),
        custom: true,
        has_status,
        tracks_generation: true,
        create_on_update: false,
        unconditional_update: false,
        returns_deleted: false,
        columns: columns(version),
        selectable_fields: items(&version["selectableFields"]).map(|one| text(one, "jsonPath")).collect(),
        scale,
        deprecation: (version["deprecated"] == true)
            .then(|| or(text(version, "deprecationWarning"), deprecation(spec, version, versions))),
        schema: TypeRef { types: Arc::new(types), id },
        versions: versions.to_vec(),
        rules: super::rules::Rules::of_schema(&version["schema"]["openAPIV3Schema"]).map(Arc::new),
        resets: resets(has_status),
        defaults: Rules::default(),
        group,
        version: name,
        kind,
        plural,
    }
}

/// The warning of a version, with the one to use instead if a better one is served.
fn deprecation(spec: &Value, version: &Value, versions: &[String]) -> String {
    let (group, kind) = (text(spec, "group"), text(&spec["names"], "kind"));
    let named = |name: &str| format!("{group}/{name} {kind}");
    let sound = |name: &&String| items(&spec["versions"]).any(|one| one["name"] == **name && one["deprecated"] != true);
    let own = text(version, "name");
    // Best first.
    let better = versions.iter().take_while(|name| **name != own).find(sound);
    match better {
        Some(better) => format!("{} is deprecated; use {}", named(&own), named(better)),
        None => format!("{} is deprecated", named(&own)),
    }
}

/// The structural schema with the parts that every object has, as upstream publishes it.
pub(super) fn published(schema: &Value) -> Map<String, Value> {
    let mut schema = schema.as_object().cloned().unwrap_or_default();
    schema.entry("type").or_insert_with(|| json!("object"));
    let properties = schema.entry("properties").or_insert_with(|| Value::Object(Map::new()));
    if let Some(properties) = properties.as_object_mut() {
        properties.insert("apiVersion".to_owned(), json!({"type": "string"}));
        properties.insert("kind".to_owned(), json!({"type": "string"}));
        properties.insert("metadata".to_owned(), json!({"$ref": format!("#/components/schemas/{OBJECT_META}")}));
    }
    schema
}

fn types(schema: &Value) -> (Types, super::TypeId) {
    Types::from_inline(&Value::Object(published(schema)), meta_schemas())
}

/// The schemas of `metadata` and what it refers to.
pub(super) fn meta_schemas() -> &'static Map<String, Value> {
    static META: OnceLock<Map<String, Value>> = OnceLock::new();
    META.get_or_init(|| {
        let all = Documents::schemas().iter();
        all.filter(|(name, _)| name.starts_with("io.k8s.apimachinery.pkg.apis.meta.v1.") || *name == RAW_EXTENSION)
            .map(|(name, schema)| (name.clone(), schema.clone()))
            .collect()
    })
}

fn subresources(status: bool, scale: bool, group: &str, version: &str, kind: &str) -> Vec<Subresource> {
    let verbs = || ["get", "patch", "update"].map(str::to_owned).to_vec();
    let one = |name: &str, group: &str, version: &str, kind: &str| Subresource {
        name: name.to_owned(),
        group: group.to_owned(),
        version: version.to_owned(),
        kind: kind.to_owned(),
        verbs: verbs(),
    };
    let mut out = Vec::new();
    if status {
        out.push(one("status", group, version, kind));
    }
    if scale {
        out.push(one("scale", "autoscaling", "v1", "Scale"));
    }
    out
}

/// What a write through each door leaves alone (upstream: the custom resource strategies).
fn resets(status: bool) -> Resets {
    let path = |name: &str| vec![name.to_owned()];
    let main = if status { vec![path("status")] } else { Vec::new() };
    Resets { doors: vec![(String::new(), main), ("status".to_owned(), vec![path("metadata"), path("spec")])] }
}

fn columns(version: &Value) -> Vec<Column> {
    let common = |name: &str| Data::get().common_column(name);
    let mut out = vec![Column { json_path: ".metadata.name".to_owned(), ..common("Name") }];
    let declared = items(&version["additionalPrinterColumns"]);
    out.extend(declared.map(|one| {
        let mut column: Column = serde_json::from_value(one.clone()).unwrap_or_default();
        if column.description.is_empty() {
            column.description =
                format!("Custom resource definition column (in JSONPath format): {}", column.json_path);
        }
        column
    }));
    if out.len() == 1 {
        let (kind, json_path) = ("date".to_owned(), ".metadata.creationTimestamp".to_owned());
        out.push(Column { kind, json_path, ..common("Age") });
    }
    out
}

/// Kubernetes' order of versions: stable before beta before alpha, higher numbers first, other names last.
fn priority(version: &str) -> (u8, u64, u64, std::cmp::Reverse<String>) {
    let parse = || {
        let rest = version.strip_prefix('v')?;
        let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
        let major: u64 = rest[..digits].parse().ok()?;
        let tail = &rest[digits..];
        let (rank, minor) = match (tail, tail.strip_prefix("beta"), tail.strip_prefix("alpha")) {
            ("", _, _) => (3, 0),
            (_, Some(minor), _) => (2, minor.parse().ok()?),
            (_, _, Some(minor)) => (1, minor.parse().ok()?),
            _ => return None,
        };
        Some((rank, major, minor))
    };
    let (rank, major, minor) = parse().unwrap_or((0, 0, 0));
    (rank, major, minor, std::cmp::Reverse(version.to_owned()))
}

/// The CustomResourceDefinitions of Argo CD's kinds: Application, AppProject, ApplicationSet.
#[must_use]
pub fn argocd_crds() -> &'static [Value] {
    static CRDS: OnceLock<Vec<Value>> = OnceLock::new();
    CRDS.get_or_init(|| read(include_str!("crds/argocd.yaml")))
}

/// The CustomResourceDefinitions of Flux's kinds: the five sources, Kustomization and HelmRelease.
#[must_use]
pub fn flux_crds() -> &'static [Value] {
    static CRDS: OnceLock<Vec<Value>> = OnceLock::new();
    CRDS.get_or_init(|| read(include_str!("crds/flux.yaml")))
}

#[expect(clippy::expect_used, reason = "the text is part of the program and a test reads it")]
fn read(file: &str) -> Vec<Value> {
    let mut file: Value = serde_saphyr::from_str(file).expect("the embedded definitions are YAML");
    match file["items"].take() {
        Value::Array(crds) => crds,
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use crate::apiserver::object::Kept;
    use crate::apiserver::schema::{Catalog, argocd_crds, flux_crds};
    use crate::apiserver::{defaults::defaults, prune::prune};
    use serde_json::json;

    #[test]
    fn the_addon_kinds_are_served_with_their_subresources() {
        let catalog = Catalog::builtin().with_crds(argocd_crds()).unwrap().with_crds(flux_crds()).unwrap();
        for (group, version, plural, status) in [
            ("argoproj.io", "v1alpha1", "applications", false),
            ("argoproj.io", "v1alpha1", "appprojects", false),
            ("argoproj.io", "v1alpha1", "applicationsets", true),
            ("source.toolkit.fluxcd.io", "v1", "gitrepositories", true),
            ("source.toolkit.fluxcd.io", "v1", "ocirepositories", true),
            ("source.toolkit.fluxcd.io", "v1", "helmrepositories", true),
            ("source.toolkit.fluxcd.io", "v1", "helmcharts", true),
            ("source.toolkit.fluxcd.io", "v1", "buckets", true),
            ("kustomize.toolkit.fluxcd.io", "v1", "kustomizations", true),
            ("helm.toolkit.fluxcd.io", "v2", "helmreleases", true),
        ] {
            let resource = catalog.find(group, version, plural).unwrap();
            assert_eq!(resource.has_status, status, "{plural}");
        }
    }

    #[test]
    fn a_kustomization_keeps_what_people_write_and_gets_its_defaults() {
        let catalog = Catalog::builtin().with_crds(flux_crds()).unwrap();
        let resource = catalog.find("kustomize.toolkit.fluxcd.io", "v1", "kustomizations").unwrap();
        let spec = json!({"interval": "5m", "prune": true, "path": "./x", "wait": true, "sourceRef": {"kind": "GitRepository", "name": "g"},
            "postBuild": {"substitute": {"a": "b"}}, "patches": [{"patch": "p", "target": {"kind": "Deployment"}}]});
        let mut object = json!({"apiVersion": "kustomize.toolkit.fluxcd.io/v1", "kind": "Kustomization", "metadata": {"name": "k"},
            "spec": spec, "odd": 1});
        assert_eq!(prune(resource, &mut object), ["odd"]);
        defaults(resource, &mut object, Kept::default());
        let mut expected = spec;
        expected["force"] = json!(false);
        assert_eq!(object["spec"], expected);
        assert_eq!(object["status"], json!({"observedGeneration": -1}));
    }
}
