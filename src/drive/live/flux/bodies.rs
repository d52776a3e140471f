//! What the workload controllers read of Deployments and write of them and their ReplicaSets.

use crate::apiserver::object::{Blob, Object, instant};
use crate::apiserver::request::Now;
use crate::calls::Kind;
use crate::model::workload::{Deployment, Op, Place, Write, hash_name};
use rustc_hash::FxHasher;
use serde_json::{Value, json};
use std::hash::Hasher as _;
use std::sync::Arc;

/// Name and body of a call.
pub(super) struct Call {
    pub(super) name: String,
    pub(super) body: Value,
}

/// Replicas and template of a Deployment; the caller knows the rest.
pub(super) fn deployment(object: &Object) -> Deployment {
    let spec = object.field("spec").unwrap_or(&Value::Null);
    let mut hash = FxHasher::default();
    hash.write(spec["template"].to_string().as_bytes());
    Deployment {
        namespace: "".into(),
        name: "".into(),
        generation: 0,
        replicas: spec["replicas"].as_u64().and_then(|n| u32::try_from(n).ok()).unwrap_or(1),
        template: u32::try_from(hash.finish() >> 33).unwrap_or_default(),
    }
}

/// kstatus: a Deployment is current when its controller has seen this generation and it is Available; other kinds are
/// when they exist.
pub(super) fn is_current(object: &Object) -> bool {
    if object.resource.kind != "Deployment" {
        return true;
    }
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Status<'a> {
        #[serde(default)]
        observed_generation: u64,
        #[serde(default, borrow)]
        conditions: Vec<Condition<'a>>,
    }
    #[derive(serde::Deserialize)]
    struct Condition<'a> {
        #[serde(rename = "type", borrow)]
        kind: std::borrow::Cow<'a, str>,
        #[serde(borrow)]
        status: std::borrow::Cow<'a, str>,
    }
    let Some(status) = object.status().and_then(|blob| serde_json::from_slice::<Status<'_>>(blob.bytes()).ok()) else {
        return false;
    };
    status.observed_generation >= object.meta.generation
        && status.conditions.iter().any(|c| c.kind == "Available" && c.status == "True")
}

/// A call of kube-controller-manager. No resourceVersion is sent: its conflicts with Flux are not modelled. Of a status
/// write only what the store takes through that door is sent.
pub(super) fn workload(deployment: &Object, op: &Op, now: Now) -> Call {
    let time = instant::format(now.unix_secs());
    let (namespace, name) = (&*deployment.meta.namespace, &*deployment.meta.name);
    match (Place::of(op.object), op.body) {
        (Place::ReplicaSet(_, hash), write) => replica_set(deployment, hash, write),
        (Place::Deployment(_), Write::Scaled { from, to }) => Call {
            name: String::new(),
            body: json!({"apiVersion": "v1", "kind": "Event", "count": 1, "firstTimestamp": time, "lastTimestamp": time,
                "metadata": {"namespace": namespace, "name": format!("{name}.{:016x}", now.monotonic.0)},
                "involvedObject": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name, "namespace": namespace,
                    "uid": deployment.meta.uid.to_string()},
                "message": format!("Scaled up replica set of {name} from {from} to {to}"), "reason": "ScalingReplicaSet",
                "source": {"component": "deployment-controller"}, "type": "Normal"}),
        },
        (Place::Deployment(_), write) => {
            let spec = deployment.field("spec").unwrap_or(&Value::Null);
            let replicas = spec["replicas"].as_u64().unwrap_or(1);
            let meta = &deployment.meta;
            let part = |blob: &Option<Arc<Blob>>| blob.as_ref().map_or(Value::Null, |blob| blob.value().clone());
            let mut annotations = part(&meta.annotations);
            annotations["deployment.kubernetes.io/revision"] = "1".into();
            let metadata = json!({"name": name, "namespace": namespace, "annotations": annotations,
                "finalizers": part(&meta.finalizers), "ownerReferences": part(&meta.owners)});
            let status = status(meta.generation, replicas, write == Write::Available, &time);
            Call { name: name.to_owned(), body: json!({"metadata": metadata, "status": status}) }
        }
    }
}

/// The status of a Deployment, as its controller writes it.
fn status(generation: u64, replicas: u64, available: bool, time: &str) -> Value {
    let condition = |kind: &str, status: &str, reason: &str, message: &str| {
        json!({"type": kind, "status": status, "reason": reason, "message": message,
            "lastTransitionTime": time, "lastUpdateTime": time})
    };
    let progressing = if available {
        condition("Progressing", "True", "NewReplicaSetAvailable", "ReplicaSet has successfully progressed.")
    } else {
        condition("Progressing", "True", "NewReplicaSetCreated", "Created new replica set.")
    };
    if !available {
        return json!({"observedGeneration": generation, "conditions": [progressing]});
    }
    let minimum = condition("Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.");
    let mut status = json!({"observedGeneration": generation, "conditions": [minimum, progressing]});
    if replicas > 0 {
        for field in ["replicas", "updatedReplicas", "readyReplicas", "availableReplicas"] {
            status[field] = replicas.into();
        }
    }
    status
}

fn replica_set(deployment: &Object, hash: u32, write: Write) -> Call {
    let hash = hash_name(hash);
    let name = format!("{}-{hash}", deployment.meta.name);
    let owner = json!({"apiVersion": "apps/v1", "kind": "Deployment", "name": &*deployment.meta.name,
        "uid": deployment.meta.uid.to_string(), "controller": true, "blockOwnerDeletion": true});
    let mut metadata = json!({"name": name, "namespace": &*deployment.meta.namespace,
        "ownerReferences": [owner], "annotations": {"deployment.kubernetes.io/revision": "1"}});
    let replicas = match write {
        Write::ReplicaSetStatus { replicas, available } => {
            let mut status = json!({"observedGeneration": 1, "replicas": replicas});
            if available > 0 {
                for field in ["readyReplicas", "availableReplicas", "fullyLabeledReplicas"] {
                    status[field] = available.into();
                }
            }
            return Call { name, body: json!({"metadata": metadata, "status": status}) };
        }
        Write::ReplicaSet { replicas } | Write::Scale { replicas } => replicas,
        _ => 0,
    };
    let spec = deployment.field("spec").unwrap_or(&Value::Null);
    let mut template = spec["template"].clone();
    template["metadata"]["labels"]["pod-template-hash"] = hash.clone().into();
    let mut selector = spec["selector"].clone();
    selector["matchLabels"]["pod-template-hash"] = hash.into();
    metadata["labels"] = template["metadata"]["labels"].clone();
    let body = json!({"apiVersion": "apps/v1", "kind": Kind::REPLICA_SET.info().kind, "metadata": metadata,
        "spec": {"replicas": replicas, "selector": selector, "template": template}});
    Call { name, body }
}
