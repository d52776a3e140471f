//! The objects that both clocks leave behind: the same names, the same content, the same state.

use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Something that is not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The cluster, `hub` for the hub.
    pub cluster: String,
    /// The object, or nothing if it is about the cluster.
    pub object: String,
    /// What is not the same, and how.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.cluster, self.object, self.what)
    }
}

/// So many objects may be in the middle of a reconcile when a run ends: one in five.
const RESTLESS: usize = 5;

/// What is not the same in the objects of a live run and of a simulation, by cluster.
#[must_use]
pub fn differences(live: &Map<String, Value>, simulated: &Map<String, Value>) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut say = |cluster: &str, object: &str, what: String| {
        all.push(Difference { cluster: cluster.to_owned(), object: object.to_owned(), what });
    };
    if !live.keys().eq(simulated.keys()) {
        let names = |of: &Map<String, Value>| of.keys().cloned().collect::<BTreeSet<_>>();
        let odd: Vec<String> = names(live).symmetric_difference(&names(simulated)).cloned().collect();
        say("", "", format!("only one of both has the clusters {}", odd.join(", ")));
    }
    let (mut compared, mut restless) = (0_usize, 0_usize);
    for (cluster, objects) in simulated {
        let real = of_run(live.get(cluster));
        let own = by_key(Some(objects));
        for odd in real.keys().filter(|key| !own.contains_key(*key)) {
            say(cluster, odd, "is there live and not simulated".to_owned());
        }
        for (key, simulated) in &own {
            let Some(real) = real.get(key) else {
                say(cluster, key, "is there simulated and not live".to_owned());
                continue;
            };
            if let Some(what) = content(key, real, simulated) {
                say(cluster, key, what);
            }
            let ((real, a), (simulated, b)) = (state(real), state(simulated));
            compared += 1;
            if !(a && b) {
                restless += 1;
            } else if real != simulated {
                say(cluster, key, format!("its state is {real:?} live and {simulated:?} simulated"));
            }
        }
    }
    if restless * RESTLESS >= compared.max(1) {
        say("", "", format!("{restless} of {compared} objects were being reconciled at the end"));
    }
    all
}

/// What a run has made of a cluster: not what it had from the start, nor what the collector is about to take.
fn of_run(objects: Option<&Value>) -> BTreeMap<String, Value> {
    let all = by_key(objects);
    let own = |key: &String| !key.contains("/kube-system/") && !key.contains("/default/");
    let owned =
        |key: &String| key.strip_prefix("ReplicaSet").is_none_or(|rest| all.contains_key(&format!("Deployment{rest}")));
    all.iter().filter(|(key, _)| own(key) && owned(key)).map(|(key, object)| (key.clone(), object.clone())).collect()
}

fn by_key(objects: Option<&Value>) -> BTreeMap<String, Value> {
    let objects = objects.and_then(Value::as_array).into_iter().flatten();
    objects.map(|object| (key(object), object.clone())).collect()
}

/// The words of an object that do not depend on when things happened.
fn key(object: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (kind, metadata) = (word(&object["kind"]), &object["metadata"]);
    let name = word(&metadata["name"]);
    // The hash in the name of a ReplicaSet is taken from a template that a simulation does not have.
    let name = if kind == "ReplicaSet" { name.rsplit_once('-').map_or("", |(name, _)| name) } else { &name };
    format!("{kind}/{}/{name}", word(&metadata["namespace"]))
}

fn at<'a>(object: &'a Value, pointer: &str) -> &'a Value {
    object.pointer(pointer).unwrap_or(&Value::Null)
}

/// What is not the same in what was asked for.
fn content(key: &str, real: &Value, simulated: &Value) -> Option<String> {
    ["/spec", "/data"].into_iter().find_map(|part| {
        let content = at(simulated, part);
        let target = key.starts_with("Application/");
        let same = content.is_null()
            || target && at(real, "/spec/source") == at(simulated, "/spec/source")
            || contains(at(real, part), content);
        (!same).then(|| format!("{part} is {} live and {content} simulated", at(real, part)))
    })
}

/// Whether everything in `part` is in `whole`, which may have more: defaults, say.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => {
            part.iter().all(|(key, part)| whole.get(key).is_some_and(|whole| contains(whole, part)))
        }
        (Value::Array(whole), Value::Array(part)) => {
            whole.len() == part.len() && whole.iter().zip(part).all(|(whole, part)| contains(whole, part))
        }
        (whole, part) => whole == part,
    }
}

/// What counts of an object's state, by name of the field. A reconcile that was under way when the run ended shows itself
/// in Ready and what follows from it: then it is not settled, the second answer.
fn state(object: &Value) -> (BTreeMap<&'static str, Value>, bool) {
    let mut fields = BTreeMap::new();
    let mut put = |name, pointer| fields.insert(name, at(object, pointer).clone());
    let mut settled = true;
    if object["kind"] == "Application" {
        put("sync", "/status/sync/status");
        put("health", "/status/health/status");
        put("revision", "/status/sync/revision");
        put("phase", "/status/operationState/phase");
        let resource = |r: &Value| format!("{} {} {}", r["kind"], r["status"], at(r, "/health/status"));
        let resources = object.pointer("/status/resources").and_then(Value::as_array).into_iter().flatten();
        fields.insert("resources", resources.map(resource).collect());
        settled = at(object, "/status/health/status") == "Healthy"
            && !at(object, "/status/resources").to_string().contains("Progressing");
    } else if object.get("status").is_some_and(|status| status.get("conditions").is_some())
        && object["kind"] != "Deployment"
    {
        put("applied", "/status/lastAppliedRevision");
        put("artifact", "/status/artifact/revision");
        put("digest", "/status/artifact/digest");
        let ready =
            at(object, "/status/conditions").as_array().and_then(|all| all.iter().find(|c| c["type"] == "Ready"));
        fields.insert("ready", ready.map_or(Value::Null, |c| c["status"].clone()));
        settled = ready.is_some_and(|c| c["status"] == "True") || object["kind"] == "HelmRepository";
    }
    (fields, settled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn run(objects: &Value) -> Map<String, Value> {
        Map::from_iter([("cluster-0".to_owned(), objects.clone())])
    }

    fn kustomization(ready: &str, applied: &str) -> Value {
        json!({ "kind": "Kustomization", "metadata": { "name": "a", "namespace": "x" }, "spec": { "path": "p" },
            "status": { "conditions": [{ "type": "Ready", "status": ready }], "lastAppliedRevision": applied } })
    }

    fn check(live: &Value, simulated: &Value, expected: &[&str]) {
        let found: Vec<String> = differences(&run(live), &run(simulated)).iter().map(ToString::to_string).collect();
        assert_eq!(found.len(), expected.len(), "{found:?}");
        for (found, part) in found.iter().zip(expected) {
            assert!(found.contains(part), "{found} without {part}");
        }
    }

    #[test]
    fn what_is_not_the_same_is_told() {
        let (one, other) = (kustomization("True", "1"), kustomization("True", "2"));
        let mut more = one.clone();
        more["spec"]["prune"] = true.into();
        let base = json!({ "kind": "ConfigMap", "metadata": { "name": "root-ca", "namespace": "kube-system" } });
        check(&json!([one]), &json!([one]), &[]);
        check(&json!([more, base]), &json!([one]), &[]);
        check(&json!([one]), &json!([more]), &["/spec is"]);
        check(&json!([one]), &json!([other]), &["its state is"]);
        check(&json!([]), &json!([one]), &["simulated and not live"]);
        check(&json!([one, { "kind": "Service", "metadata": { "name": "b" } }]), &json!([one]), &["live and not"]);
        check(&json!([kustomization("Unknown", "1")]), &json!([other]), &["1 of 1 objects were being reconciled"]);
    }
}
