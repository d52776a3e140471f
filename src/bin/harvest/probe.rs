//! One kind, asked by creating its seeds.

use crate::Failure;
use crate::learn::{Example, learn};
use crate::server::{JSON, Server};
use serde_json::{Map, Value, json};

/// Where namespaced seeds go.
pub(crate) const NAMESPACE: &str = "harvest";

const APPLY: &str = "application/apply-patch+yaml";
const MERGE: &str = "application/merge-patch+json";

/// A kind as discovery shows it.
pub(crate) struct Kind<'a> {
    pub(crate) group: &'a str,
    pub(crate) version: &'a str,
    pub(crate) root: &'a str,
    pub(crate) resource: &'a Value,
}

impl Kind<'_> {
    fn collection(&self) -> String {
        let plural = self.resource["resource"].as_str().unwrap_or("");
        let namespace =
            if self.resource["scope"] == "Namespaced" { format!("/namespaces/{NAMESPACE}") } else { String::new() };
        format!("{}{namespace}/{plural}", self.root)
    }

    fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.to_owned() } else { format!("{}/{}", self.group, self.version) }
    }

    fn has_status(&self) -> bool {
        self.resource["subresources"].as_array().into_iter().flatten().any(|sub| sub["subresource"] == "status")
    }
}

/// Everything that can be learned about a kind.
pub(crate) async fn kind(server: &Server, kind: &Kind<'_>, seeds: &[Value]) -> Result<Map<String, Value>, Failure> {
    let mut facts = Map::new();
    if kind.resource["verbs"].to_string().contains("\"list\"") {
        let plural = kind.resource["resource"].as_str().unwrap_or("");
        let table = server
            .get(&format!("{}/{plural}?limit=1", kind.root), "application/json;as=Table;v=v1;g=meta.k8s.io")
            .await?;
        facts.insert("columns".to_owned(), table["columnDefinitions"].clone());
    }
    let api_version = kind.api_version();
    let own =
        |seed: &&Value| seed["apiVersion"] == api_version && seed["kind"] == kind.resource["responseKind"]["kind"];
    let mut examples = Vec::new();
    let mut first = None;
    for (at, seed) in seeds.iter().filter(own).enumerate() {
        let Some(object) = create(server, kind, seed, at, &mut examples).await? else { continue };
        first.get_or_insert((seed.clone(), object));
    }
    facts.insert("defaults".to_owned(), Value::Array(learn(&examples)));
    if let Some((seed, object)) = first {
        doors(server, kind, &seed, &object, &mut facts).await?;
    }
    Ok(facts)
}

/// Creates a seed and patches its status; what the server added to each goes into the examples.
async fn create(
    server: &Server,
    kind: &Kind<'_>,
    seed: &Value,
    at: usize,
    examples: &mut Vec<Example>,
) -> Result<Option<Value>, Failure> {
    let mut sent = seed.clone();
    let status = sent.as_object_mut().and_then(|map| map.remove("status"));
    let plural = kind.resource["resource"].as_str().unwrap_or("");
    if seed["metadata"]["name"].is_null() {
        sent["metadata"] = json!({"name": format!("{plural}-{at}")});
    }
    let (code, got) = server.send("POST", &format!("{}?fieldManager=harvest", kind.collection()), &sent, JSON).await?;
    if code != 201 {
        eprintln!("{} seed {at} of {plural}: {code} {}", kind.api_version(), got["message"]);
        return Ok(None);
    }
    examples.push(Example { sent: sent.clone(), got: got.clone() });
    if let Some(status) = status {
        let path = format!("{}/{}/status", kind.collection(), got["metadata"]["name"].as_str().unwrap_or(""));
        let (code, patched) = server.send("PATCH", &path, &json!({"status": status}), MERGE).await?;
        if code == 200 {
            let got = json!({"status": patched["status"], "metadata": {"managedFields": patched["metadata"]["managedFields"]}});
            // What stood in the status before the patch is not what the server adds to a status.
            let mut sent = json!({"status": before(&patched["status"], &status)});
            if let (Some(all), Some(named)) = (sent["status"].as_object_mut(), status.as_object()) {
                all.extend(named.clone());
            }
            examples.push(Example { sent, got });
        } else {
            eprintln!("{} status of seed {at} of {plural}: {code} {}", kind.api_version(), patched["message"]);
        }
    }
    Ok(Some(got))
}

/// Fields of the first level that the patch did not name.
fn before(patched: &Value, status: &Value) -> Value {
    let fields = patched.as_object().cloned().unwrap_or_default();
    fields.into_iter().filter(|(name, _)| status.get(name).is_none()).collect::<Map<_, _>>().into()
}

/// How the kind's doors behave, tried without storing except for the delete.
async fn doors(
    server: &Server,
    kind: &Kind<'_>,
    seed: &Value,
    object: &Value,
    facts: &mut Map<String, Value>,
) -> Result<(), Failure> {
    let name = object["metadata"]["name"].as_str().unwrap_or("");
    let path = format!("{}/{name}", kind.collection());
    facts.insert("tracks_generation".to_owned(), (object["metadata"]["generation"].is_number()).into());

    let mut other = seed.clone();
    // An absent name of the same shape: kinds with speaking names refuse others for their form, not their absence.
    let absent = if seed["metadata"]["name"].is_null() { format!("{name}-absent") } else { format!("absent.{name}") };
    other["metadata"] = json!({"name": absent});
    let (code, _) = server.send("PUT", &format!("{}/{absent}?dryRun=All", kind.collection()), &other, JSON).await?;
    facts.insert("create_on_update".to_owned(), (code == 201).into());

    let mut again = server.json(&path).await?;
    if let Some(metadata) = again["metadata"].as_object_mut() {
        metadata.remove("resourceVersion");
    }
    let (_, refused) = server.send("PUT", &format!("{path}?dryRun=All"), &again, JSON).await?;
    let needs = refused["message"].as_str().unwrap_or("").contains("metadata.resourceVersion");
    facts.insert("unconditional_update".to_owned(), (!needs).into());

    facts.insert("resets".to_owned(), json!({"doors": resets(server, kind, seed, &path, name).await?}));
    let (_, deleted) = server.send("DELETE", &format!("{path}?gracePeriodSeconds=0"), &Value::Null, JSON).await?;
    // With finalizers any kind answers with the object.
    let object = deleted["kind"] != "Status" && deleted["metadata"]["finalizers"].is_null();
    facts.insert("returns_deleted".to_owned(), object.into());
    Ok(())
}

/// The paths that an apply through each door does not come to own.
async fn resets(server: &Server, kind: &Kind<'_>, seed: &Value, path: &str, name: &str) -> Result<Vec<Value>, Failure> {
    if !kind.has_status() {
        return Ok(Vec::new());
    }
    let mut config = seed.clone();
    config["metadata"] = json!({"name": name, "labels": {"harvest": "x"}, "annotations": {"harvest": "x"}});
    if config["status"].is_null() {
        config["status"] = json!({});
    }
    let mut out = Vec::new();
    for (door, url) in [("", path.to_owned()), ("status", format!("{path}/status"))] {
        let url = format!("{url}?dryRun=All&fieldManager=doors&force=true");
        let (code, got) = server.send("PATCH", &url, &config, APPLY).await?;
        if code != 200 {
            eprintln!("door {door:?} of {path}: {code} {}", got["message"]);
            continue;
        }
        let entries = got["metadata"]["managedFields"].as_array().into_iter().flatten();
        let own = entries
            .filter(|one| one["manager"] == "doors")
            .map(|one| one["fieldsV1"].clone())
            .next()
            .unwrap_or(json!({}));
        out.push(json!([door, missing(&config, &own)]));
    }
    Ok(out)
}

fn missing(config: &Value, own: &Value) -> Vec<Vec<&'static str>> {
    let mut out = Vec::new();
    for section in ["spec", "status"] {
        let sent = config[section].as_object().is_some_and(|map| !map.is_empty())
            || (section == "status" && !config[section].is_null());
        if sent && own.get(format!("f:{section}")).is_none() {
            out.push(vec![section]);
        }
    }
    match (own.pointer("/f:metadata/f:labels").is_some(), own.pointer("/f:metadata/f:annotations").is_some()) {
        (true, true) => {}
        (false, false) => out.push(vec!["metadata"]),
        (false, true) => out.push(vec!["metadata", "labels"]),
        (true, false) => out.push(vec!["metadata", "annotations"]),
    }
    out
}
