//! Discovery documents, encoded once per catalog.

use super::Resource;
use base64::Engine as _;
use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256, Sha512};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A document with its strong validator.
#[derive(Clone, Debug)]
pub struct Document {
    /// The JSON body.
    pub body: Bytes,
    /// The ETag with its quotes: upper-case hex of SHA-512.
    pub etag: String,
}

impl Document {
    /// A document of this JSON, ended by a newline.
    #[must_use]
    pub fn of(value: &Value) -> Self {
        Self::of_bytes(format!("{value}\n").into_bytes())
    }

    /// A document of these bytes.
    #[must_use]
    pub fn of_bytes(body: Vec<u8>) -> Self {
        let etag = format!("\"{}\"", hex(&Sha512::digest(&body)));
        Self { body: Bytes::from(body), etag }
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// What discovery shows as the storage version: base64 of the first 8 bytes of SHA-256 of `group/version/kind`.
pub(super) fn storage_version_hash(group: &str, version: &str, kind: &str) -> String {
    let digest = Sha256::digest(format!("{group}/{version}/{kind}"));
    base64::engine::general_purpose::STANDARD.encode(&digest[..8])
}

/// Every discovery document of a catalog.
#[derive(Debug)]
pub struct Discovery {
    /// `/api` in the aggregated form.
    pub core: Document,
    /// `/apis` in the aggregated form.
    pub groups: Document,
    /// `/apis` in the legacy form.
    pub group_list: Document,
    /// `/apis/{group}` in the legacy form, by group.
    pub group: BTreeMap<String, Document>,
    /// `/api/v1` and `/apis/{group}/{version}` in the legacy form, by `v1` or `group/version`.
    pub resources: BTreeMap<String, Document>,
}

impl Discovery {
    pub(super) fn of(resources: &[Arc<Resource>]) -> Self {
        let groups = grouped(resources);
        let aggregated = |core: bool| {
            let items: Vec<Value> =
                groups.iter().filter(|group| group.name.is_empty() == core).map(aggregated_group).collect();
            Document::of(
                &json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}),
            )
        };
        let named = || groups.iter().filter(|group| !group.name.is_empty());
        let legacy: Vec<Value> = named().map(legacy_group).collect();
        let group = named().map(|group| {
            let mut value = legacy_group(group);
            value["kind"] = "APIGroup".into();
            value["apiVersion"] = "v1".into();
            (group.name.to_owned(), Document::of(&value))
        });
        let lists = groups.iter().flat_map(|group| group.versions.iter().map(|(_, members)| legacy_resources(members)));
        Self {
            core: aggregated(true),
            groups: aggregated(false),
            group_list: Document::of(&json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": legacy})),
            group: group.collect(),
            resources: lists.collect(),
        }
    }
}

struct Group<'a> {
    name: &'a str,
    /// Versions in order of preference, with their resources.
    versions: Vec<(&'a str, Vec<&'a Resource>)>,
}

fn grouped(resources: &[Arc<Resource>]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for one in resources {
        let at = groups.iter().position(|group| group.name == one.group).unwrap_or_else(|| {
            groups.push(Group { name: &one.group, versions: Vec::new() });
            groups.len() - 1
        });
        let versions = &mut groups[at].versions;
        match versions.iter_mut().find(|(version, _)| *version == one.version) {
            Some((_, members)) => members.push(one),
            None => versions.push((&one.version, vec![one])),
        }
    }
    groups
}

fn aggregated_group(group: &Group<'_>) -> Value {
    let versions: Vec<Value> = group
        .versions
        .iter()
        .map(|(version, members)| {
            let resources: Vec<Value> = members.iter().map(|one| aggregated_resource(one)).collect();
            json!({"version": version, "resources": resources, "freshness": "Current"})
        })
        .collect();
    let metadata = if group.name.is_empty() { json!({}) } else { json!({"name": group.name}) };
    json!({"metadata": metadata, "versions": versions})
}

fn aggregated_resource(one: &Resource) -> Value {
    let kind = |group: &str, version: &str, kind: &str| {
        // The original leaves group and version of built-in kinds empty where they are the version's own.
        let own = !one.custom && group == one.group && version == one.version;
        json!({"group": if own { "" } else { group }, "version": if own { "" } else { version }, "kind": kind})
    };
    let mut value = json!({
        "resource": one.plural,
        "responseKind": kind(&one.group, &one.version, &one.kind),
        "scope": if one.namespaced { "Namespaced" } else { "Cluster" },
        "singularResource": one.singular,
        "verbs": one.verbs,
    });
    if !one.short_names.is_empty() {
        value["shortNames"] = json!(one.short_names);
    }
    if !one.categories.is_empty() {
        value["categories"] = json!(one.categories);
    }
    if !one.subresources.is_empty() {
        let subs = one.subresources.iter().map(|sub| {
            json!({
                "subresource": sub.name, "responseKind": kind(&sub.group, &sub.version, &sub.kind), "verbs": sub.verbs,
            })
        });
        value["subresources"] = subs.collect();
    }
    value
}

fn legacy_group(group: &Group<'_>) -> Value {
    let version = |version: &str| json!({"groupVersion": format!("{}/{version}", group.name), "version": version});
    let versions: Vec<Value> = group.versions.iter().map(|(name, _)| version(name)).collect();
    let preferred = group.versions.first().map(|(name, _)| version(name));
    json!({"name": group.name, "versions": versions, "preferredVersion": preferred})
}

fn legacy_resources(members: &[&Resource]) -> (String, Document) {
    let group_version = members.first().map(|one| one.api_version()).unwrap_or_default();
    let mut list = Vec::new();
    for one in members {
        let mut value = json!({"name": one.plural, "singularName": one.singular, "namespaced": one.namespaced,
            "kind": one.kind, "verbs": one.verbs});
        if !one.short_names.is_empty() {
            value["shortNames"] = json!(one.short_names);
        }
        if !one.categories.is_empty() {
            value["categories"] = json!(one.categories);
        }
        if !one.storage_version_hash.is_empty() {
            value["storageVersionHash"] = json!(one.storage_version_hash);
        }
        list.push(value);
        for sub in &one.subresources {
            let mut value = json!({"name": format!("{}/{}", one.plural, sub.name), "singularName": "",
                "namespaced": one.namespaced, "kind": sub.kind, "verbs": sub.verbs});
            if sub.group != one.group || sub.version != one.version {
                value["group"] = json!(sub.group);
                value["version"] = json!(sub.version);
            }
            list.push(value);
        }
    }
    // The original writes apiVersion for every group but the core one.
    let mut value = json!({"kind": "APIResourceList", "groupVersion": group_version, "resources": list});
    if group_version.contains('/') {
        value["apiVersion"] = "v1".into();
    }
    (group_version, Document::of(&value))
}

#[cfg(test)]
mod tests {
    use crate::apiserver::schema::{Catalog, Data};
    use serde_json::Value;

    #[test]
    fn the_aggregated_documents_are_the_originals() {
        let discovery = Catalog::builtin().discovery();
        let items = |body: &[u8]| -> Vec<Value> {
            let document: Value = serde_json::from_slice(body).unwrap();
            document["items"].as_array().unwrap().clone()
        };
        let mut got = items(&discovery.core.body);
        got.extend(items(&discovery.groups.body));
        let expected = &Data::get().groups;
        assert_eq!(got.len(), expected.len());
        for (got, expected) in got.iter().zip(expected) {
            assert_eq!(got, expected);
        }
    }

    #[test]
    fn a_storage_version_hash_is_that_of_the_original() {
        // Recorded: the hash that kube-apiserver 1.36 shows for apps/v1 Deployment.
        let recorded = &Catalog::builtin().find("apps", "v1", "deployments").unwrap().storage_version_hash;
        assert_eq!(*recorded, super::storage_version_hash("apps", "v1", "Deployment"));
    }
}
