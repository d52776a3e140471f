//! Takes what the mock API server knows about built-in kinds from a real one.
//!
//! ```text
//! cargo run --bin harvest -- KUBECONFIG src/apiserver/schema/data
//! ```
//!
//! In: a kubeconfig of a fresh, throw-away server (objects are created in it and left behind) and `seeds.yaml` in the
//! folder. Out: `facts.json.zst` and `openapi.json.zst` there. What is taken: version, discovery, OpenAPI without
//! descriptions, table columns, the objects of a fresh cluster, and for each kind with a seed what the server fills in,
//! whether it keeps a generation, creates on PUT, wants a resourceVersion, answers a DELETE with the object, and which
//! fields each door resets.

#![expect(clippy::print_stderr, reason = "a tool for the command line says there what it could not learn")]

mod learn;
mod probe;
mod server;

use serde_json::{Map, Value, json};
use server::Server;
use std::collections::BTreeMap;
use std::path::Path;

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, kubeconfig, folder] = arguments.as_slice() else {
        return Err("usage: harvest KUBECONFIG FOLDER, the folder holding seeds.yaml".into());
    };
    let folder = Path::new(folder);
    let server = Server::connect(kubeconfig).await?;
    let bootstrap = bootstrap(&server).await?;
    let (v3, schemas) = openapi_v3(&server).await?;
    let mut v2 = server.json("/openapi/v2").await?;
    strip(&mut v2);
    let groups = groups(&server).await?;
    let seeds: Vec<Value> = serde_saphyr::from_str(&std::fs::read_to_string(folder.join("seeds.yaml"))?)?;
    let resources = resources(&server, &groups, &seeds).await?;
    let version = server.json("/version").await?;
    let facts = json!({"version": version, "groups": groups, "schemas": schemas, "resources": resources, "bootstrap": bootstrap});
    write(&folder.join("facts.json.zst"), &facts)?;
    write(&folder.join("openapi.json.zst"), &json!({"v2": v2, "v3": v3}))
}

fn write(path: &Path, value: &Value) -> Result<(), Failure> {
    std::fs::write(path, zstd::encode_all(value.to_string().as_bytes(), 19)?)?;
    Ok(())
}

/// Takes descriptions out of OpenAPI; a property that is itself called `description` stays.
fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|key, value| !(key == "description" && value.is_string()));
            map.values_mut().for_each(strip);
        }
        Value::Array(list) => list.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Items of both aggregated discovery documents, core group first.
async fn groups(server: &Server) -> Result<Vec<Value>, Failure> {
    let mut groups = Vec::new();
    for path in ["/api", "/apis"] {
        let accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
        let document = server.get(path, accept).await?;
        groups.extend(document["items"].as_array().cloned().unwrap_or_default());
    }
    Ok(groups)
}

/// Documents by path, their schemas replaced by names, and all schemas by name.
async fn openapi_v3(server: &Server) -> Result<(BTreeMap<String, Value>, Map<String, Value>), Failure> {
    let index = server.json("/openapi/v3").await?;
    let (mut documents, mut schemas) = (BTreeMap::new(), Map::new());
    for (path, entry) in index["paths"].as_object().into_iter().flatten() {
        let mut document = server.json(entry["serverRelativeURL"].as_str().unwrap_or("")).await?;
        strip(&mut document);
        if let Some(Value::Object(own)) = document.pointer_mut("/components/schemas").map(Value::take) {
            document["components"]["schemas"] = own.keys().cloned().collect();
            schemas.extend(own);
        }
        documents.insert(path.clone(), document);
    }
    Ok((documents, schemas))
}

/// Every object of the fresh server but events, oldest first, without what differs per cluster.
async fn bootstrap(server: &Server) -> Result<Vec<Value>, Failure> {
    let mut objects = Vec::new();
    for group in groups(server).await? {
        let name = group["metadata"]["name"].as_str().unwrap_or("").to_owned();
        // The first version is the preferred one; the others show the same objects.
        let version = &group["versions"][0];
        for resource in version["resources"].as_array().into_iter().flatten() {
            let (plural, verbs) = (resource["resource"].as_str().unwrap_or(""), resource["verbs"].to_string());
            if plural == "events" || plural == "componentstatuses" || !verbs.contains("\"list\"") {
                continue;
            }
            let root = server::root(&name, version["version"].as_str().unwrap_or(""));
            let list = server.json(&format!("{root}/{plural}")).await?;
            for mut item in list["items"].as_array().cloned().unwrap_or_default() {
                item["apiVersion"] = list["apiVersion"].clone();
                item["kind"] = resource["responseKind"]["kind"].clone();
                objects.push(item);
            }
        }
    }
    let order =
        |object: &Value| object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse::<u64>().ok());
    objects.sort_by_key(order);
    for object in &mut objects {
        if let Some(metadata) = object["metadata"].as_object_mut() {
            metadata.retain(|key, _| !matches!(key.as_str(), "uid" | "resourceVersion" | "creationTimestamp"));
        }
    }
    Ok(objects)
}

/// What is known of each resource beside its discovery entry, by `group/version/plural`.
async fn resources(server: &Server, groups: &[Value], seeds: &[Value]) -> Result<BTreeMap<String, Value>, Failure> {
    server.send("POST", "/api/v1/namespaces", &json!({"metadata": {"name": probe::NAMESPACE}}), server::JSON).await?;
    let mut out = BTreeMap::new();
    for group in groups {
        let name = group["metadata"]["name"].as_str().unwrap_or("");
        for version in group["versions"].as_array().into_iter().flatten() {
            let version_name = version["version"].as_str().unwrap_or("");
            let root = server::root(name, version_name);
            let legacy = server.json(&root).await?;
            for resource in version["resources"].as_array().into_iter().flatten() {
                let plural = resource["resource"].as_str().unwrap_or("");
                let entries = legacy["resources"].as_array().into_iter().flatten();
                let hash =
                    entries.filter(|one| one["name"] == plural).find_map(|one| one["storageVersionHash"].as_str());
                let kind = probe::Kind { group: name, version: version_name, root: &root, resource };
                let mut facts = probe::kind(server, &kind, seeds).await?;
                facts.insert("hash".to_owned(), hash.unwrap_or("").into());
                out.insert(format!("{name}/{version_name}/{plural}"), Value::Object(facts));
            }
        }
    }
    Ok(out)
}
